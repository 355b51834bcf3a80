//! The webhook configurations. Pure.
//!
//! The chart has the same rules, selectors and match conditions; a test compares the two. They keep everything away that
//! does not concern reroll, so that reroll never delays such a request.

use k8s_openapi::{
    ByteString,
    apimachinery::pkg::apis::meta::v1::{LabelSelector, LabelSelectorRequirement},
};
use kube::core::Selector;
use serde_json::{Value, json};

use super::Registration;
use crate::{
    model::{
        annotation::{FIELD_MANAGER, PREFIX, RESTART_ON, reloader::DOMAIN},
        conventions::{Conventions, Vocabulary},
        source::SourceKind,
        workload::{Kind, off_by_default},
    },
    webhook::routes::{NAMESPACES_PATH, OFF_PATH, SOURCES_PATH, WORKLOADS_PATH},
};

/// The types of Secrets that workloads hardly ever use, and that are written often.
const UNUSED_TYPES: [&str; 3] = [
    "helm.sh/release.v1",
    "kubernetes.io/service-account-token",
    "bootstrap.kubernetes.io/token",
];

/// Seconds that the API server waits for an answer.
const TIMEOUT_SECONDS: u32 = 1;

impl Registration {
    /// Returns the configuration for Secrets and ConfigMaps, and for what only gets warnings.
    pub(super) fn validating(&self) -> Value {
        let sources = self.webhook("sources.reroll.dev", SOURCES_PATH, &json!({
            "sideEffects": "NoneOnDryRun",
            "rules": [{
                "apiGroups": [""], "apiVersions": ["v1"], "resources": reviewed(),
                "operations": ["CREATE", "UPDATE", "DELETE"], "scope": "Namespaced",
            }],
            "namespaceSelector": { "matchExpressions": self.namespaces() },
            "objectSelector": { "matchExpressions": requirements(self.conventions.sources.as_ref()) },
            "matchConditions": source_conditions(&self.conventions),
        }));
        // Of a Namespace a namespaceSelector sees its own labels.
        let namespaces = self.webhook(
            "namespaces.reroll.dev",
            NAMESPACES_PATH,
            &json!({
                "sideEffects": "None",
                "rules": [{
                    "apiGroups": [""], "apiVersions": ["v1"], "resources": ["namespaces"],
                    "operations": ["CREATE", "UPDATE"], "scope": "Cluster",
                }],
                "namespaceSelector": { "matchExpressions": self.namespaces() },
                "matchConditions": [keyed()],
            }),
        );
        let off = off_by_default().filter(|kind| self.kinds.find(kind.group, kind.kind).is_none());
        let rules = off.map(rule).collect::<Vec<_>>();
        let off = (!rules.is_empty()).then(|| {
            self.webhook(
                "off.workloads.reroll.dev",
                OFF_PATH,
                &json!({
                    "sideEffects": "None",
                    "rules": rules,
                    "namespaceSelector": { "matchExpressions": self.namespaces() },
                    "matchConditions": [keyed_or_asked(), by_no_controller()],
                }),
            )
        });
        let webhooks: Vec<_> = [sources, namespaces].into_iter().chain(off).collect();
        json!({
            "apiVersion": "admissionregistration.k8s.io/v1",
            "kind": "ValidatingWebhookConfiguration",
            "metadata": { "name": self.name },
            "webhooks": webhooks,
        })
    }

    /// Returns the configuration for workloads.
    pub(super) fn mutating(&self) -> Value {
        let rules: Vec<_> = self.kinds.iter().map(rule).collect();
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
        // One write matches one of the two entries. Only a namespaceSelector sees a namespace's label, and only a match
        // condition sees a workload's annotation.
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

    /// Returns no condition where every workload is opted in.
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

/// Returns the resources of the sources that stand in one object.
fn reviewed() -> Vec<&'static str> {
    let kinds = SourceKind::ALL.into_iter();
    kinds
        .filter(|kind| kind.is_readable())
        .map(SourceKind::plural)
        .collect()
}

/// Where the metadata of pod templates stand: of most kinds, and of a CronJob.
const TEMPLATES: [&str; 2] = [
    ".?spec.?template.?metadata",
    ".?spec.?jobTemplate.?spec.?template.?metadata",
];

/// Returns the rule for writes of a kind.
fn rule(kind: Kind) -> Value {
    // Discovery shows later which version of an optional kind is served, and that may change.
    let version = if kind.optional { "*" } else { kind.version };
    json!({
        "apiGroups": [kind.group], "apiVersions": [version], "resources": [kind.plural],
        "operations": ["CREATE", "UPDATE"], "scope": "Namespaced",
    })
}

/// Returns the condition that an object has an annotation or a label of reroll's.
fn keyed() -> Value {
    let own = format!("key.startsWith('{PREFIX}')");
    // Who takes the label away is told whom that opts out.
    let before = format!(
        "(oldObject != null && oldObject.?metadata.?labels.orValue({{}}).exists(key, {own}))"
    );
    condition(
        "has-a-key-of-rerolls",
        &format!("{} || {before}", has_keys(&own, &own)),
    )
}

/// Returns the condition that an object has one of those, or an annotation of Reloader's under its usual name.
fn keyed_or_asked() -> Value {
    let own = format!("key.startsWith('{PREFIX}')");
    let asked = format!("{own} || key.contains('{DOMAIN}')");
    let on_template = TEMPLATES.map(|path| {
        format!("object{path}.?annotations.orValue({{}}).exists(key, key.contains('{DOMAIN}'))")
    });
    let all = [&[has_keys(&asked, &own)][..], &on_template].concat();
    condition("has-a-key-of-rerolls-or-reloaders", &all.join(" || "))
}

fn has_keys(annotation: &str, label: &str) -> String {
    let has = |what: &str, key: &str| {
        format!("object.?metadata.?{what}.orValue({{}}).exists(key, {key})")
    };
    format!(
        "{} || {}",
        has("annotations", annotation),
        has("labels", label)
    )
}

/// Returns the condition that no controller made an object: the runs of a CronJob have nobody who reads a warning.
fn by_no_controller() -> Value {
    condition(
        "not-of-a-controller",
        "!object.?metadata.?ownerReferences.orValue([]).exists(owner, owner.?controller.orValue(false))",
    )
}

/// Returns the condition that a workload carries an annotation that may be for reroll, on itself or on its pod template.
fn annotated(vocabulary: &Vocabulary) -> Value {
    let mut may = vec![
        format!("key.startsWith('{PREFIX}')"),
        format!("key.contains('{DOMAIN}')"),
    ];
    may.extend(vocabulary.names().map(|name| format!("key == '{name}'")));
    let may = may.join(" || ");
    let carries = |object: &str| {
        let paths = [".?metadata"].into_iter().chain(TEMPLATES);
        let carries = paths.map(|path| {
            format!(
                "({object} != null && {object}{path}.?annotations.orValue({{}}).exists(key, {may}))"
            )
        });
        carries.collect::<Vec<_>>()
    };
    // One that stands as a label does nothing: the webhook says so.
    let labelled = format!(
        "(object != null && object.?metadata.?labels.orValue({{}}).exists(key, key.startsWith('{PREFIX}')))"
    );
    let either = [carries("object"), carries("oldObject"), vec![labelled]].concat();
    condition("asks-for-restarts", &either.join(" || "))
}

/// Returns the conditions that leave out writes of sources that no workload reads. They also leave out deletions that must
/// not wait for reroll: the namespace controller empties a namespace with many Secrets one by one.
fn source_conditions(conventions: &Conventions) -> Vec<Value> {
    let either = "(object != null ? object : oldObject)";
    let skipped = conventions.skipped_types.iter().map(String::as_str);
    let skipped = skipped.filter(|kind| !UNUSED_TYPES.contains(kind));
    let types: Vec<_> = UNUSED_TYPES.into_iter().chain(skipped).collect();
    let types = types.join("', '");
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
                "request.resource.resource != 'secrets' || !has({either}.type) || !({either}.type in ['{types}'])"
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

/// Returns a selector as a list of requirements.
pub(super) fn requirements(selector: Option<&Selector>) -> Vec<Value> {
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

fn condition(name: &str, expression: &str) -> Value {
    json!({ "name": name, "expression": expression })
}
