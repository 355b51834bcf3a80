//! What becomes of pods and revisions when their workload is deleted, and of a namespace.

use serde_json::{Value, json};

use super::Story;
use crate::step::{
    Kind::{self, DaemonSet, Deployment, StatefulSet},
    Step,
};

/// Returns the spec of a workload of this kind.
fn spec(kind: Kind) -> Value {
    match kind {
        DaemonSet => json!({}),
        _ => json!({ "replicas": 2 }),
    }
}

pub(super) fn all() -> Vec<Story> {
    let mut all = Vec::new();
    for kind in [Deployment, StatefulSet, DaemonSet] {
        let story = |name: &str| {
            let name = format!("{kind:?}-{name}").to_lowercase();
            Story::of(kind, &name).make(&spec(kind)).roll("2")
        };
        for policy in ["Background", "Foreground"] {
            all.push(story(policy).delete(policy).make(&spec(kind)));
        }
        let mut same = spec(kind);
        same["template"] = json!({ "metadata": { "annotations": { "v": "2" } } });
        all.push(
            story("orphan")
                .delete("Orphan")
                .make(&same)
                .roll("3")
                .roll("4"),
        );
        let other = story("orphan-other").delete("Orphan");
        all.push(other.make(&spec(kind)));
    }
    let made = [StatefulSet, DaemonSet].map(|kind| {
        let name = if kind == DaemonSet { "a" } else { "s" };
        let object = super::workload(name, &spec(kind));
        Step::Ask("POST", kind.path().to_owned(), object)
    });
    let [stateful, daemons] = made;
    let namespace = Story::of(Deployment, "namespace")
        .make(&spec(Deployment))
        .then(stateful)
        .then(daemons)
        .then(Step::NewNamespace);
    all.push(namespace.make(&spec(Deployment)));
    all
}
