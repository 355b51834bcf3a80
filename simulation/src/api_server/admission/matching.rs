//! Whether a webhook concerns a write: rules, selectors, match conditions.

use std::sync::Arc;

use serde_json::Value;

use super::Attempt;
use crate::api_server::{
    ApiServer,
    answer::Refusal,
    resources::{Row, find},
    selectors::{labels_hold, of_object},
};

const GROUP: &str = "admissionregistration.k8s.io";

/// One webhook of a configuration.
pub(super) struct Hook {
    configuration: Arc<Value>,
    at: usize,
}

impl Hook {
    fn spec(&self) -> &Value {
        &self.configuration["webhooks"][self.at]
    }

    pub(super) fn configuration(&self) -> &str {
        self.configuration["metadata"]["name"]
            .as_str()
            .unwrap_or_default()
    }

    pub(super) fn name(&self) -> &str {
        self.spec()["name"].as_str().unwrap_or_default()
    }

    pub(super) fn is_mutating(&self) -> bool {
        self.configuration["kind"] == "MutatingWebhookConfiguration"
    }

    pub(super) fn is_reinvoked(&self) -> bool {
        self.spec()["reinvocationPolicy"] == "IfNeeded"
    }

    pub(super) fn allows_dry_run(&self) -> bool {
        matches!(
            self.spec()["sideEffects"].as_str(),
            Some("None" | "NoneOnDryRun")
        )
    }

    pub(super) fn ignores_failures(&self) -> bool {
        self.spec()["failurePolicy"] == "Ignore"
    }

    pub(super) fn timeout_seconds(&self) -> u64 {
        self.spec()["timeoutSeconds"].as_u64().unwrap_or(10)
    }
}

/// Returns all webhooks of one kind of configuration, in the order of their calls.
pub(super) fn hooks(server: &ApiServer, plural: &str) -> Vec<Hook> {
    let Some(row) = find(GROUP, "v1", plural) else {
        return Vec::new();
    };
    let configurations =
        server.with_store(|store| store.objects(row).values().cloned().collect::<Vec<_>>());
    let hooks = configurations.into_iter().flat_map(|configuration| {
        let count = configuration["webhooks"].as_array().map_or(0, Vec::len);
        (0..count).map(move |at| Hook {
            configuration: Arc::clone(&configuration),
            at,
        })
    });
    hooks.collect()
}

/// Whether a webhook is to see a write.
pub(super) fn concerns(
    server: &ApiServer,
    hook: &Hook,
    attempt: &Attempt,
) -> Result<bool, Refusal> {
    let spec = hook.spec();
    // So that nobody locks everybody out.
    if attempt.row.group == GROUP {
        return Ok(false);
    }
    let rules = spec["rules"].as_array().into_iter().flatten();
    let is_ruled = rules
        .into_iter()
        .any(|rule| applies(rule, attempt.row, attempt.subresource, attempt.operation));
    if !is_ruled || !in_namespace(server, &spec["namespaceSelector"], attempt) {
        return Ok(false);
    }
    let wanted = of_object(&spec["objectSelector"]);
    let selected =
        |object: &Value| !object.is_null() && labels_hold(&wanted, &object["metadata"]["labels"]);
    if !wanted.is_empty() && !selected(&attempt.object) && !selected(&attempt.old) {
        return Ok(false);
    }
    let conditions = spec["matchConditions"].as_array();
    let Some(conditions) = conditions.filter(|all| !all.is_empty()) else {
        return Ok(true);
    };
    let request = attempt.request("");
    for condition in conditions {
        let name = condition["name"].as_str().unwrap_or_default();
        let Some(holds) = server.condition(name) else {
            return Err(Refusal::internal(format!(
                "no function is registered for the match condition \"{name}\""
            )));
        };
        if !holds(
            condition["expression"].as_str().unwrap_or_default(),
            &request,
        ) {
            return Ok(false);
        }
    }
    Ok(true)
}

fn in_namespace(server: &ApiServer, selector: &Value, attempt: &Attempt) -> bool {
    let wanted = of_object(selector);
    if wanted.is_empty() {
        return true;
    }
    if attempt.row.kind == "Namespace" {
        let object = if attempt.object.is_null() {
            &*attempt.old
        } else {
            &attempt.object
        };
        return labels_hold(&wanted, &object["metadata"]["labels"]);
    }
    let Some(namespace) = attempt.namespace else {
        return true;
    };
    let found = find("", "v1", "namespaces")
        .and_then(|row| server.with_store(|store| store.get(row, namespace).cloned()));
    found.is_some_and(|namespace| labels_hold(&wanted, &namespace["metadata"]["labels"]))
}

/// Whether a rule is about such a request.
fn applies(rule: &Value, row: &Row, subresource: Option<&str>, operation: &str) -> bool {
    let has = |field: &str, wanted: &str| {
        let values = rule[field].as_array().into_iter().flatten();
        values
            .into_iter()
            .any(|value| value == "*" || value == wanted)
    };
    let scope = match rule["scope"].as_str() {
        Some("Namespaced") => row.is_namespaced(),
        Some("Cluster") => !row.is_namespaced(),
        _ => true,
    };
    let resources = rule["resources"].as_array().into_iter().flatten();
    let resource = resources.filter_map(Value::as_str).any(|pattern| {
        let (plural, sub) = pattern
            .split_once('/')
            .map_or((pattern, None), |(plural, sub)| (plural, Some(sub)));
        let sub_fits = match (sub, subresource) {
            (None, None) => true,
            (Some(sub), found) => sub == "*" || Some(sub) == found,
            (None, Some(_)) => false,
        };
        (plural == "*" || plural == row.plural) && sub_fits
    });
    scope
        && resource
        && has("operations", operation)
        && has("apiGroups", row.group)
        && has("apiVersions", row.version)
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;
    use crate::api_server::resources::ROWS;

    #[test]
    fn rules() {
        let row = ROWS.iter().find(|row| row.kind == "Deployment").unwrap();
        let rule = |resources: Value, more: Value| {
            let mut rule = json!({ "apiGroups": ["apps"], "apiVersions": ["*"], "operations": ["UPDATE"], "resources": resources });
            json_patch::merge(&mut rule, &more);
            rule
        };
        for (rule, subresource, expected) in [
            (rule(json!(["deployments"]), json!({})), None, true),
            (
                rule(json!(["deployments"]), json!({})),
                Some("status"),
                false,
            ),
            (
                rule(json!(["deployments/status"]), json!({})),
                Some("status"),
                true,
            ),
            (
                rule(json!(["deployments/*"]), json!({})),
                Some("status"),
                true,
            ),
            (rule(json!(["deployments/status"]), json!({})), None, false),
            (rule(json!(["*"]), json!({})), None, true),
            (rule(json!(["*/*"]), json!({})), Some("status"), true),
            (rule(json!(["secrets"]), json!({})), None, false),
            (
                rule(json!(["deployments"]), json!({ "scope": "Cluster" })),
                None,
                false,
            ),
            (
                rule(json!(["deployments"]), json!({ "operations": ["CREATE"] })),
                None,
                false,
            ),
            (
                rule(json!(["deployments"]), json!({ "apiVersions": ["v2"] })),
                None,
                false,
            ),
        ] {
            assert_eq!(
                applies(&rule, row, subresource, "UPDATE"),
                expected,
                "{rule} {subresource:?}"
            );
        }
    }
}
