//! `caBundle` of the webhook configurations that call this webhook.
//!
//! The patch writes only this field, and tests that the entry is the one that was read: others may write the rest of the
//! object at the same time.

use json_patch::Patch;
use k8s_openapi::ByteString;
use kube::{
    Api,
    core::{ApiResource, DynamicObject, GroupVersionKind},
};
use serde_json::{Value, json};

use crate::cluster::{Cluster, Failure, Write};

/// Whoever carries this has its authority written by cert-manager.
const INJECTED: &str = "cert-manager.io/inject-ca-from";

/// The two configurations, which have one name.
#[derive(Clone)]
pub(super) struct Configurations {
    cluster: Cluster,
    name: String,
    apis: [Api<DynamicObject>; 2],
}

/// How the configurations were found.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) struct Found {
    /// How many of the two do not exist, or are cert-manager's to write.
    pub(super) left: usize,
    /// How many entries trusted other authorities, and were written.
    pub(super) written: usize,
}

impl Configurations {
    pub(super) fn new(cluster: Cluster, name: &str) -> Self {
        let api = |kind: &str| {
            let gvk = GroupVersionKind::gvk("admissionregistration.k8s.io", "v1", kind);
            Api::all_with(cluster.client(), &ApiResource::from_gvk(&gvk))
        };
        let kinds = [
            "ValidatingWebhookConfiguration",
            "MutatingWebhookConfiguration",
        ];
        Self {
            apis: kinds.map(api),
            cluster,
            name: name.to_owned(),
        }
    }

    /// Makes every entry trust these authorities (PEM).
    pub(super) async fn publish(&self, bundle: &str) -> Result<Found, Failure> {
        let mut found = Found::default();
        for api in &self.apis {
            let Some(object) = self.cluster.get(api, &self.name).await? else {
                found.left += 1;
                continue;
            };
            if is_handed_over(&object) {
                found.left += 1;
                continue;
            }
            let (patch, entries) = patch(&object.data, bundle);
            if entries > 0 {
                self.cluster
                    .patch(api, &self.name, &patch, Write::Real)
                    .await?;
                found.written += entries;
            }
        }
        Ok(found)
    }

    /// Whether one of them is cert-manager's to write: an upgrade that gives certificates to it has begun, and this replica is
    /// one of those that will end.
    pub(super) async fn are_handed_over(&self) -> Result<bool, Failure> {
        for api in &self.apis {
            let found = self.cluster.get(api, &self.name).await?;
            if found.as_ref().is_some_and(is_handed_over) {
                return Ok(true);
            }
        }
        Ok(false)
    }
}

fn is_handed_over(object: &DynamicObject) -> bool {
    let annotations = object.metadata.annotations.as_ref();
    annotations.is_some_and(|all| all.contains_key(INJECTED))
}

/// Returns the patch, and how many entries it writes.
fn patch(configuration: &Value, bundle: &str) -> (Patch, usize) {
    let bundle = json!(ByteString(bundle.as_bytes().to_vec()));
    let entries = configuration["webhooks"].as_array().into_iter().flatten();
    let outdated: Vec<_> = entries
        .enumerate()
        .filter(|(_, entry)| entry["clientConfig"]["caBundle"] != bundle)
        .collect();
    let operations = outdated.iter().flat_map(|(number, entry)| {
        let at = format!("/webhooks/{number}");
        [
            json!({ "op": "test", "path": format!("{at}/name"), "value": entry["name"] }),
            json!({ "op": "add", "path": format!("{at}/clientConfig/caBundle"), "value": bundle }),
        ]
    });
    // These operations always read as a patch.
    let patch = serde_json::from_value(operations.collect()).unwrap_or_default();
    (patch, outdated.len())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_what_differs_is_written() {
        let entry = |name: &str, bundle: Option<&str>| json!({ "name": name, "clientConfig": { "service": {}, "caBundle": bundle } });
        let mut object = json!({ "webhooks": [
            entry("none", None), entry("same", Some("Yg==")), entry("other", Some("YQ==")),
        ] });
        let (first, entries) = patch(&object, "b");
        assert_eq!(entries, 2);
        json_patch::patch(&mut object, &first).unwrap();
        let bundles: Vec<_> = (0..3)
            .map(|number| &object["webhooks"][number]["clientConfig"]["caBundle"])
            .collect();
        assert_eq!(bundles, ["Yg=="; 3]);
        assert_eq!(patch(&object, "b").1, 0);
        assert_eq!(patch(&json!({}), "b").1, 0);
    }
}
