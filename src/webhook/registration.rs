//! Registers reroll's webhooks with an API server, for local use without Helm and cert-manager.
//!
//! The rules, selectors and match conditions here are those of the chart: keep everything away that is none of
//! reroll's business, so that a request which does not concern it is never delayed by it. Names are known beforehand,
//! so that the next start cleans up what a killed process left.

use std::{collections::BTreeMap, net::IpAddr, sync::Arc, time::Duration};

use axum::http::Uri;
use k8s_openapi::{
    ByteString,
    api::admissionregistration::v1::{
        MutatingWebhookConfiguration, ValidatingWebhookConfiguration,
    },
    api::core::v1::ConfigMap,
    apimachinery::pkg::apis::meta::v1::{LabelSelector, LabelSelectorRequirement},
};
use kube::{
    Api, Client,
    api::{DeleteParams, ObjectMeta, Patch, PatchParams, PostParams},
    core::{Expression, Selector},
};
use serde_json::{Value, json};

use super::routes::{SOURCES_PATH, WORKLOADS_PATH};
use crate::model::{
    Conventions, Index,
    annotation::{FIELD_MANAGER, PREFIX, RESTART_ON, reloader::DOMAIN},
    conventions::Vocabulary,
    workload::Kinds,
};

/// Seconds that the API server waits for an answer.
const TIMEOUT_SECONDS: u32 = 1;

/// What is registered where.
#[derive(Clone, Debug)]
pub struct Registration {
    /// Name of both configurations.
    pub name: String,
    /// `https://HOST:PORT`
    pub url: String,
    /// PEM of the authority that the API server trusts for it.
    pub authority: String,
    /// The namespaces that are watched; empty for all.
    pub namespaces: Vec<String>,
    /// Reroll's own namespace, always left out.
    pub own_namespace: String,
    /// The user that reroll's own writes are made by.
    pub own_user: String,
    /// The kinds that are rolled.
    pub kinds: Kinds,
    /// What was agreed on: which annotations opt in, and which namespaces are left alone.
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
        /// Why.
        source: Box<kube::Error>,
    },
    /// It did not answer in time.
    #[error("the API server did not answer in time about the webhook configurations \"{0}\"")]
    Timeout(String),
}

impl Registration {
    /// Registers both webhooks, or brings those of an earlier process up to date.
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

    /// Removes both; it is no error where they are gone.
    pub async fn remove(
        &self,
        client: &Client,
        timeout: Duration,
    ) -> Result<(), RegistrationError> {
        let validating = Api::<ValidatingWebhookConfiguration>::all(client.clone());
        let mutating = Api::<MutatingWebhookConfiguration>::all(client.clone());
        // The one that a probe meets comes last.
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

    /// Asks the API server for a write that is not persisted, so that it calls the webhook. Whether it did shows in
    /// the webhook's own count of reviews. API servers take up configurations some time after they are written.
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

    /// Where a probe is to be made, of namespaces that are known; `None` where nobody knows.
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

    fn validating(&self) -> Value {
        json!({
            "apiVersion": "admissionregistration.k8s.io/v1",
            "kind": "ValidatingWebhookConfiguration",
            "metadata": { "name": self.name },
            "webhooks": [self.webhook("sources.reroll.dev", SOURCES_PATH, &json!({
                "sideEffects": "NoneOnDryRun",
                "rules": [{
                    "apiGroups": [""], "apiVersions": ["v1"], "resources": ["secrets", "configmaps"],
                    "operations": ["CREATE", "UPDATE", "DELETE"], "scope": "Namespaced",
                }],
                "namespaceSelector": { "matchExpressions": self.namespaces() },
                "objectSelector": { "matchExpressions": requirements(self.conventions.sources.as_ref()) },
                "matchConditions": source_conditions(),
            }))],
        })
    }

    fn mutating(&self) -> Value {
        let rules: Vec<_> = self
            .kinds
            .iter()
            .map(|kind| {
                // Which version of an optional kind is served shows later, and may change.
                let version = if kind.optional { "*" } else { kind.version };
                json!({
                    "apiGroups": [kind.group], "apiVersions": [version], "resources": [kind.plural],
                    "operations": ["CREATE", "UPDATE"], "scope": "Namespaced",
                })
            })
            .collect();
        let workloads = |name: &str, label: &str, mut conditions: Vec<Value>| {
            let mut selector = self.namespaces();
            selector.push(json!({ "key": RESTART_ON, "operator": label }));
            conditions.push(self.not_own_write());
            self.webhook(
                name,
                WORKLOADS_PATH,
                &json!({
                    "sideEffects": "None",
                    "reinvocationPolicy": "IfNeeded",
                    "rules": rules,
                    "namespaceSelector": { "matchExpressions": selector },
                    "matchConditions": conditions,
                }),
            )
        };
        // Two entries, of which one write matches one: a namespace's label can only be seen by a namespaceSelector, a
        // workload's annotation only by a match condition.
        json!({
            "apiVersion": "admissionregistration.k8s.io/v1",
            "kind": "MutatingWebhookConfiguration",
            "metadata": { "name": self.name },
            "webhooks": [
                workloads("annotated.workloads.reroll.dev", "DoesNotExist", self.opted_in()),
                workloads("labelled.workloads.reroll.dev", "Exists", Vec::new()),
            ],
        })
    }

    fn webhook(&self, name: &str, path: &str, more: &Value) -> Value {
        let mut webhook = json!({
            "name": name,
            "clientConfig": {
                "url": format!("{}{path}", self.url),
                "caBundle": ByteString(self.authority.clone().into_bytes()),
            },
            "admissionReviewVersions": ["v1"],
            "failurePolicy": "Ignore",
            "matchPolicy": "Equivalent",
            "timeoutSeconds": TIMEOUT_SECONDS,
        });
        json_patch::merge(&mut webhook, more);
        webhook
    }

    fn namespaces(&self) -> Vec<Value> {
        let name = "kubernetes.io/metadata.name";
        let ignored = self
            .conventions
            .ignored_namespaces
            .iter()
            .map(String::as_str);
        let never = [&self.own_namespace, "kube-system", "kube-node-lease"];
        let never: Vec<_> = never.into_iter().chain(ignored).collect();
        let mut selector = vec![json!({ "key": name, "operator": "NotIn", "values": never })];
        if !self.namespaces.is_empty() {
            selector.push(json!({ "key": name, "operator": "In", "values": self.namespaces }));
        }
        selector.extend(requirements(self.conventions.namespaces.as_ref()));
        selector
    }

    /// None where everybody is opted in.
    fn opted_in(&self) -> Vec<Value> {
        if self.conventions.all {
            return Vec::new();
        }
        vec![annotated(&self.conventions.vocabulary)]
    }

    fn not_own_write(&self) -> Value {
        let user = self.own_user.replace('\\', "\\\\").replace('\'', "\\'");
        condition(
            "not-rerolls-own-write",
            &format!(
                "!(request.userInfo.username == '{user}' && has(request.options.fieldManager) \
                 && request.options.fieldManager == '{FIELD_MANAGER}')"
            ),
        )
    }
}

/// Whether a URL's host is this machine by its name: `localhost` or a loopback address. Nothing is looked up.
pub fn is_loopback(url: &Uri) -> bool {
    let host = url.host().unwrap_or_default();
    let address = host.trim_start_matches('[').trim_end_matches(']');
    host == "localhost"
        || address
            .parse::<IpAddr>()
            .is_ok_and(|address| address.is_loopback())
}

/// Carries an annotation that may be for reroll, on itself or on its pod template.
fn annotated(vocabulary: &Vocabulary) -> Value {
    let mut may = vec![
        format!("key.startsWith('{PREFIX}')"),
        format!("key.contains('{DOMAIN}')"),
    ];
    may.extend(vocabulary.names().map(|name| format!("key == '{name}'")));
    let may = may.join(" || ");
    let carries = |object: &str| {
        format!("({object}.?metadata.?annotations.orValue({{}}).exists(key, {may}))")
    };
    let of_template = |object: &str| {
        format!(
            "({object}.?spec.?template.?metadata.?annotations.orValue({{}}).exists(key, {may}))"
        )
    };
    let either = |object: &str| {
        format!(
            "({object} != null && ({} || {}))",
            carries(object),
            of_template(object)
        )
    };
    condition(
        "asks-for-restarts",
        &format!("{} || {}", either("object"), either("oldObject")),
    )
}

/// What writes of sources are nobody's configuration, and deletions that must not wait for us: a namespace with many
/// Secrets is emptied one by one.
fn source_conditions() -> Vec<Value> {
    let either = "(object != null ? object : oldObject)";
    vec![
        condition(
            "not-by-namespace-or-gc-controller",
            "request.operation != 'DELETE' || !(request.userInfo.username in \
             ['system:serviceaccount:kube-system:namespace-controller', \
             'system:serviceaccount:kube-system:generic-garbage-collector', 'system:kube-controller-manager'])",
        ),
        condition(
            "not-helm-or-token",
            &format!(
                "request.resource.resource != 'secrets' || !has({either}.type) || !({either}.type in \
                 ['helm.sh/release.v1', 'kubernetes.io/service-account-token', 'bootstrap.kubernetes.io/token'])"
            ),
        ),
        condition(
            "not-kube-root-ca-or-leader-election",
            &format!(
                "request.resource.resource != 'configmaps' || !({either}.metadata.?name.orValue('') == 'kube-root-ca.crt' \
                 || {either}.metadata.?annotations['control-plane.alpha.kubernetes.io/leader'].hasValue())"
            ),
        ),
    ]
}

/// A selector as a list of requirements.
fn requirements(selector: Option<&Selector>) -> Vec<Value> {
    let selector: LabelSelector = selector.cloned().unwrap_or_default().into();
    let labels = selector.match_labels.unwrap_or_default().into_iter();
    let equal = labels.map(|(key, value)| LabelSelectorRequirement {
        key,
        operator: "In".to_owned(),
        values: Some(vec![value]),
    });
    equal
        .chain(selector.match_expressions.unwrap_or_default())
        .map(|requirement| json!(requirement))
        .collect()
}

/// Labels that a selector selects, as far as one can tell: those that it does not ask for are left out.
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

fn condition(name: &str, expression: &str) -> Value {
    json!({ "name": name, "expression": expression })
}

fn gone(result: Result<(), kube::Error>) -> Result<(), kube::Error> {
    match result {
        Err(kube::Error::Api(status)) if status.is_not_found() => Ok(()),
        other => other,
    }
}

#[cfg(test)]
mod tests {
    use kube::core::SelectorExt as _;

    use super::*;

    #[test]
    fn a_probe_has_labels_that_are_selected() {
        let set = |values: &[&str]| values.iter().map(|value| (*value).to_owned()).collect();
        let selector: Selector = [
            Expression::Equal("a".to_owned(), "1".to_owned()),
            Expression::In("b".to_owned(), set(&["2", "3"])),
            Expression::NotIn("c".to_owned(), set(&["4"])),
            Expression::NotEqual("d".to_owned(), "5".to_owned()),
            Expression::Exists("e".to_owned()),
            Expression::DoesNotExist("f".to_owned()),
        ]
        .into_iter()
        .collect();
        assert!(selector.matches(&labels_for(Some(&selector))));
        assert_eq!(requirements(Some(&selector)).len(), 6);
        assert!(requirements(None).is_empty());
    }

    #[test]
    fn only_the_host_itself_makes_a_url_local() {
        let local = |url: &str| is_loopback(&url.parse().unwrap());
        for url in [
            "https://127.0.0.1:6443",
            "http://127.1.2.3",
            "https://localhost:6443/path",
            "https://[::1]:6443",
        ] {
            assert!(local(url), "{url}");
        }
        for url in [
            "https://127.0.0.1.example.com",
            "https://localhost.example.com",
            "https://10.0.0.1:6443",
            "https://0.0.0.0",
            "https://example.com/127.0.0.1",
        ] {
            assert!(!local(url), "{url}");
        }
    }
}
