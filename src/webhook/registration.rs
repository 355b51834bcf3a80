//! Registers reroll's webhooks with an API server, for local use without Helm and cert-manager.
//!
//! The names of the configurations are known beforehand, so that the next start takes over what a killed process left.

mod configurations;

use std::{collections::BTreeMap, net::IpAddr, sync::Arc, time::Duration};

use axum::http::Uri;
use k8s_openapi::api::{
    admissionregistration::v1::{MutatingWebhookConfiguration, ValidatingWebhookConfiguration},
    core::v1::ConfigMap,
};
use kube::{
    Api, Client,
    api::{DeleteParams, ObjectMeta, Patch, PatchParams, PostParams},
    core::{Expression, Selector},
};

use crate::model::{Conventions, Index, annotation::FIELD_MANAGER, workload::Kinds};

/// What to register, and where.
#[derive(Clone, Debug)]
pub struct Registration {
    /// The name of both configurations.
    pub name: String,
    /// `https://HOST:PORT`
    pub url: String,
    /// The authority that the API server trusts for it, as PEM.
    pub authority: String,
    /// The namespaces that are watched; empty for all.
    pub namespaces: Vec<String>,
    /// reroll's own namespace, which is always left out.
    pub own_namespace: String,
    /// The user that makes reroll's own writes.
    pub own_user: String,
    /// The kinds of workloads.
    pub kinds: Kinds,
    /// The conventions: which annotations opt in, and which namespaces are left alone.
    pub conventions: Arc<Conventions>,
}

/// The webhooks could not be registered or removed.
#[derive(Debug, thiserror::Error)]
pub enum RegistrationError {
    /// The API server refused or did not answer.
    #[error(
        "cannot write the webhook configurations \"{name}\": {source}; the user needs create, patch and delete on validating- and mutatingwebhookconfigurations"
    )]
    Api {
        /// Their name.
        name: String,
        /// What the API server said.
        source: Box<kube::Error>,
    },
    /// The API server did not answer in time.
    #[error("the API server did not answer in time about the webhook configurations \"{0}\"")]
    Timeout(String),
}

impl Registration {
    /// Registers both webhooks, or updates those of an earlier process.
    pub async fn apply(&self, client: &Client, timeout: Duration) -> Result<(), RegistrationError> {
        let params = PatchParams::apply(FIELD_MANAGER).force();
        let validating = Api::<ValidatingWebhookConfiguration>::all(client.clone());
        let mutating = Api::<MutatingWebhookConfiguration>::all(client.clone());
        let write = async {
            validating
                .patch(&self.name, &params, &Patch::Apply(self.validating()))
                .await?;
            mutating
                .patch(&self.name, &params, &Patch::Apply(self.mutating()))
                .await?;
            Ok(())
        };
        self.within(timeout, write).await
    }

    /// Removes both. Counts one that is gone as removed.
    pub async fn remove(
        &self,
        client: &Client,
        timeout: Duration,
    ) -> Result<(), RegistrationError> {
        let validating = Api::<ValidatingWebhookConfiguration>::all(client.clone());
        let mutating = Api::<MutatingWebhookConfiguration>::all(client.clone());
        // A probe calls the validating one, so that one goes last.
        let remove = async {
            gone(
                mutating
                    .delete(&self.name, &DeleteParams::default())
                    .await
                    .map(drop),
            )?;
            gone(
                validating
                    .delete(&self.name, &DeleteParams::default())
                    .await
                    .map(drop),
            )
        };
        self.within(timeout, remove).await
    }

    /// Asks the API server for a write that is not persisted, so that it calls the webhook. The webhook's own count of reviews
    /// shows whether it did. API servers take up configurations some time after they are written.
    pub async fn probe(
        &self,
        client: &Client,
        namespace: &str,
        timeout: Duration,
    ) -> Result<(), RegistrationError> {
        let probe = ConfigMap {
            metadata: ObjectMeta {
                generate_name: Some("reroll-probe-".to_owned()),
                labels: Some(labels_for(self.conventions.sources.as_ref())),
                ..ObjectMeta::default()
            },
            ..ConfigMap::default()
        };
        let params = PostParams {
            dry_run: true,
            ..PostParams::default()
        };
        let api = Api::<ConfigMap>::namespaced(client.clone(), namespace);
        self.within(timeout, async {
            api.create(&params, &probe).await.map(drop)
        })
        .await
    }

    /// Returns a namespace for a probe, of those that are known; `None` where none would do.
    pub fn probed_namespace(&self, known: &Index) -> Option<String> {
        let usual = self.namespaces.first().map_or("default", String::as_str);
        if known.works_in(usual) {
            return Some(usual.to_owned());
        }
        let never = [
            self.own_namespace.as_str(),
            "kube-system",
            "kube-node-lease",
        ];
        let mut others = known.names();
        others
            .find(|name| !never.contains(name))
            .map(ToOwned::to_owned)
    }

    async fn within(
        &self,
        timeout: Duration,
        work: impl Future<Output = Result<(), kube::Error>>,
    ) -> Result<(), RegistrationError> {
        match tokio::time::timeout(timeout, work).await {
            Err(_) => Err(RegistrationError::Timeout(self.name.clone())),
            Ok(result) => result.map_err(|source| RegistrationError::Api {
                name: self.name.clone(),
                source: source.into(),
            }),
        }
    }
}

/// Returns whether a URL's host is this machine by its name: `localhost` or a loopback address. Looks nothing up.
pub fn is_loopback(url: &Uri) -> bool {
    let host = url.host().unwrap_or_default();
    let address = host.trim_start_matches('[').trim_end_matches(']');
    host == "localhost"
        || address
            .parse::<IpAddr>()
            .is_ok_and(|address| address.is_loopback())
}

/// Returns labels that a selector selects, as far as it names any: others are left out.
fn labels_for(selector: Option<&Selector>) -> BTreeMap<String, String> {
    let asked = selector.cloned().unwrap_or_default().into_iter();
    let label = |expression| match expression {
        Expression::Equal(key, value) => Some((key, value)),
        Expression::In(key, values) => Some((key, values.into_iter().next()?)),
        Expression::Exists(key) => Some((key, String::new())),
        Expression::NotEqual(..) | Expression::NotIn(..) | Expression::DoesNotExist(_) => None,
    };
    asked.filter_map(label).collect()
}

fn gone(result: Result<(), kube::Error>) -> Result<(), kube::Error> {
    match result {
        Err(kube::Error::Api(status)) if status.is_not_found() => Ok(()),
        other => other,
    }
}

#[cfg(test)]
mod tests;
