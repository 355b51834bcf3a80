//! What selects a workload's pods.

use std::collections::BTreeMap;

use k8s_openapi::apimachinery::pkg::apis::meta::v1::LabelSelector;
use kube::core::{DynamicObject, Selector};

use super::Kind;

/// Returns what selects a workload's pods. Kinds that not every cluster has may mean something else by
/// `spec.selector`, or write it otherwise; one that would select everything is none. Then it is the labels that the
/// template gives.
pub fn selector(kind: Kind, object: &DynamicObject) -> Option<Selector> {
    let own = object.data.pointer("/spec/selector").and_then(|selector| {
        let selector: LabelSelector = serde_json::from_value(selector.clone()).ok()?;
        let selects = selector.match_labels.is_some() || selector.match_expressions.is_some();
        selects.then_some(selector)
    });
    let selector = own.or_else(|| {
        let template = object.data.pointer(kind.template)?;
        let labels = template.pointer("/metadata/labels")?.clone();
        let labels: BTreeMap<_, _> = serde_json::from_value(labels).ok()?;
        (!labels.is_empty()).then_some(LabelSelector {
            match_labels: Some(labels),
            match_expressions: None,
        })
    });
    selector?.try_into().ok()
}

#[cfg(test)]
mod tests {
    use serde_json::{Value, json};

    use super::*;
    use crate::model::workload::{DEPLOYMENT_CONFIG, KINDS};

    #[test]
    fn what_selects_the_pods() {
        let labels = json!({"metadata": {"labels": {"t": "1"}}});
        let rows: [(Kind, Value, Value, Option<&str>); 6] = [
            (
                &KINDS[0],
                json!({"matchLabels": {"a": "b"}}),
                labels.clone(),
                Some("a=b"),
            ),
            (
                &DEPLOYMENT_CONFIG,
                json!({"a": "b"}),
                labels.clone(),
                Some("t=1"),
            ),
            (&DEPLOYMENT_CONFIG, json!(null), labels.clone(), Some("t=1")),
            (&DEPLOYMENT_CONFIG, json!("a=b"), labels, Some("t=1")),
            (
                &DEPLOYMENT_CONFIG,
                json!({}),
                json!({"metadata": {"labels": {}}}),
                None,
            ),
            (&DEPLOYMENT_CONFIG, json!({}), json!({}), None),
        ];
        for (kind, own, template, expected) in rows {
            let object = json!({"metadata": {}, "spec": {"selector": own, "template": template}});
            let found = selector(kind, &serde_json::from_value(object).unwrap());
            let found = found.map(|found| found.to_string());
            assert_eq!(found.as_deref(), expected, "{own} {template}");
        }
    }
}
