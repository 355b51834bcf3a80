//! The index: events in any order, opting in and out, and `observed` that somebody else wrote.

use std::collections::BTreeMap;

use super::{super::testing::*, *};
use crate::model::{
    decide::{Decision, Doubt, Known, Lookup},
    policy::Selection,
    source::{SourceKey, SourceName},
    version::Version,
};

mod asked;
mod csi;
mod edges;
mod foreseen;
mod hidden;
mod immutable;
mod lending;
mod memory;
mod order;
mod orphaned;
mod recreated;
mod tombstones;
mod unread;

use super::super::{
    annotation::{LAST_RESTART, OBSERVED, RESTART_ON},
    decide::CauseKind,
    stamp::stamp_update,
    workload::KINDS,
};

/// A Deployment as the API server shows it.
#[derive(Clone, Debug)]
struct Shown {
    name: &'static str,
    uid: &'static str,
    rv: u64,
    restart_on: Option<&'static str>,
    observed: Option<String>,
    last_restart: bool,
    restarted_for: String,
    secrets: Vec<&'static str>,
}

fn shown(rv: u64) -> Shown {
    Shown {
        name: "web",
        uid: WORKLOAD,
        rv,
        restart_on: Some("auto"),
        observed: None,
        last_restart: false,
        restarted_for: String::new(),
        secrets: vec!["s"],
    }
}

impl Shown {
    fn key(&self) -> WorkloadKey {
        WorkloadKey {
            kind: &KINDS[0],
            namespace: NAMESPACE.to_owned(),
            name: self.name.to_owned(),
        }
    }

    fn read(&self) -> Workload {
        let mut annotations = serde_json::Map::new();
        let mut put = |key: &str, value: Option<&str>| {
            annotations.extend(value.map(|value| (key.to_owned(), value.into())));
        };
        put(RESTART_ON, self.restart_on);
        put(OBSERVED, self.observed.as_deref());
        put(LAST_RESTART, self.last_restart.then_some("then"));
        let volumes: Vec<_> = self
            .secrets
            .iter()
            .map(|name| serde_json::json!({"name": name, "secret": {"secretName": name}}))
            .collect();
        let mounts: Vec<_> = self
            .secrets
            .iter()
            .map(|name| serde_json::json!({"name": name, "mountPath": format!("/{name}")}))
            .collect();
        let spec =
            serde_json::json!({"containers": [{"volumeMounts": mounts}], "volumes": volumes});
        let mut template = serde_json::json!({"metadata": {}, "spec": spec});
        if !self.restarted_for.is_empty() {
            template["metadata"]["annotations"] =
                serde_json::json!({"reroll.dev/restarted-for": self.restarted_for});
        }
        let object = serde_json::json!({
            "apiVersion": "apps/v1", "kind": "Deployment",
            "metadata": {
                "name": self.name, "namespace": NAMESPACE, "uid": self.uid,
                "resourceVersion": self.rv.to_string(), "generation": 1,
                "creationTimestamp": "2023-11-14T22:13:20Z", "annotations": annotations,
            },
            "spec": {"template": template},
        });
        Workload::read(&KINDS[0], &serde_json::from_value(object).unwrap())
    }

    fn apply(&self, index: &mut Index) {
        index.apply_workload(&self.key(), self.read());
    }

    /// As it is after the annotation that the index wants was written.
    fn written(&self, index: &Index, rv: u64) -> Self {
        let text = index.unwritten(&self.key());
        Self {
            rv,
            observed: text.unwrap_or_else(|| self.observed.clone()),
            ..self.clone()
        }
    }
}

#[test]
fn workloads_come_in_one_order() {
    let mut index = synced();
    let mut keys = Vec::new();
    for number in 0..60 {
        let key = WorkloadKey {
            namespace: format!("n-{}", number % 7),
            name: format!("w-{number:02}"),
            ..shown(1).key()
        };
        index.apply_workload(&key, shown(1).read());
        keys.push(key);
    }
    keys.sort();
    assert_eq!(index.workloads(None, None), keys);
    keys.retain(|key| key.namespace == "n-3");
    assert_eq!(index.workloads(Some(&KINDS[0]), Some("n-3")), keys);
}

fn at(name: &str) -> SourceKey {
    SourceKey {
        namespace: NAMESPACE.to_owned(),
        source: SourceName::secret(name),
    }
}

fn v(name: &str, uid: &str, rv: u64, value: &str) -> Version {
    version(&SourceName::secret(name), uid, rv, &[("k", value)])
}

fn synced() -> Index {
    let mut index = Index::new(key());
    for kind in SourceKind::ALL {
        index.set_synced(kind);
    }
    index
}

/// Decides, and takes over what may be taken over, as the controller does.
fn judge(index: &mut Index, shown: &Shown) -> Decision {
    index.judge(&shown.key(), &Overlay::new()).decision.unwrap()
}

fn kinds(decision: &Decision) -> Vec<CauseKind> {
    decision.causes().iter().map(|cause| cause.kind).collect()
}
