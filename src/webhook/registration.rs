//! Registers reroll's webhooks with an API server, for local use without Helm and cert-manager.
//!
//! The names of the configurations are known beforehand, so that the next start takes over what a killed process left.

mod configurations;

use std::{collections::BTreeMap, net::IpAddr, sync::Arc};

use axum::http::Uri;
use k8s_openapi::api::{
    admissionregistration::v1::{MutatingWebhookConfiguration, ValidatingWebhookConfiguration},
    core::v1::ConfigMap,
};
use kube::{
    Api,
    api::{DeleteParams, ObjectMeta},
    core::{Expression, Selector},
};

use crate::{
    cluster::{Cluster, Failure, Write},
    model::{Conventions, Index, workload::Kinds},
};

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
#[error(
    "cannot write the webhook configurations \"{name}\": {source}; the user needs create, patch and delete on validating- and mutatingwebhookconfigurations"
)]
pub struct RegistrationError {
    name: String,
    source: Failure,
}

impl Registration {
    /// Registers all webhooks, or updates those of an earlier process.
    ///
    /// # Errors
    /// When the API server refuses, or does not answer in time.
    pub async fn apply(&self, cluster: &Cluster) -> Result<(), RegistrationError> {
        let (validating, mutating) = apis(cluster);
        let configuration = self.validating();
        let written = cluster.apply(&validating, &self.name, &configuration);
        written.await.map_err(|source| self.failed(source))?;
        let configuration = self.mutating();
        let written = cluster.apply(&mutating, &self.name, &configuration);
        written.await.map_err(|source| self.failed(source))?;
        Ok(())
    }

    /// Removes both. Counts one that is gone as removed.
    ///
    /// # Errors
    /// When the API server refuses, or does not answer in time.
    pub async fn remove(&self, cluster: &Cluster) -> Result<(), RegistrationError> {
        let (validating, mutating) = apis(cluster);
        let params = DeleteParams::default();
        // A probe calls the validating one, so that one goes last.
        let removed = gone(cluster.delete(&mutating, &self.name, &params).await);
        removed.map_err(|source| self.failed(source))?;
        let removed = gone(cluster.delete(&validating, &self.name, &params).await);
        removed.map_err(|source| self.failed(source))
    }

    /// Asks the API server for a write that is not persisted, so that it calls the webhook. The webhook's own count of reviews
    /// shows whether it did. API servers take up configurations some time after they are written.
    ///
    /// # Errors
    /// When the API server refuses, or does not answer in time.
    pub async fn probe(&self, cluster: &Cluster, namespace: &str) -> Result<(), Failure> {
        let probe = ConfigMap {
            metadata: ObjectMeta {
                generate_name: Some("reroll-probe-".to_owned()),
                labels: Some(labels_for(self.conventions.sources.as_ref())),
                ..ObjectMeta::default()
            },
            ..ConfigMap::default()
        };
        let api = Api::<ConfigMap>::namespaced(cluster.client(), namespace);
        let tried = cluster.create(&api, &probe, Write::DryRun);
        tried.await.map(drop)
    }

    /// Returns the namespace for a probe whose turn it is, of those that are known and that the API server asks about; `None`
    /// where none would do. A probe that fails takes the next turn: its namespace may be absent, or going.
    pub fn probed_namespace(&self, known: &Index, turn: usize) -> Option<String> {
        let never = [
            self.own_namespace.as_str(),
            "kube-system",
            "kube-node-lease",
        ];
        let mut all: Vec<&str> = known.names().filter(|name| !never.contains(name)).collect();
        all.sort_unstable();
        let usual = match self.namespaces.as_slice() {
            [] => vec!["default"],
            named => named.iter().map(String::as_str).collect(),
        };
        all.retain(|name| !usual.contains(name));
        let usual = usual
            .into_iter()
            .filter(|name| *name != self.own_namespace && known.works_in(name));
        let all: Vec<_> = usual.chain(all).collect();
        let at = turn.checked_rem(all.len())?;
        all.get(at).map(|name| (*name).to_owned())
    }

    fn failed(&self, source: Failure) -> RegistrationError {
        RegistrationError {
            name: self.name.clone(),
            source,
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

fn apis(
    cluster: &Cluster,
) -> (
    Api<ValidatingWebhookConfiguration>,
    Api<MutatingWebhookConfiguration>,
) {
    (Api::all(cluster.client()), Api::all(cluster.client()))
}

fn gone(deleted: Result<(), Failure>) -> Result<(), Failure> {
    match deleted {
        Err(Failure::Gone) => Ok(()),
        other => other,
    }
}

#[cfg(test)]
mod tests;
