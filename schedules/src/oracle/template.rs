//! What a workload's template says, and what a workload asks reroll for.

use reroll_simulation::nodes::{Need, Source, SourceKind, needs};
use serde_json::Value;

use crate::world::OPT_IN;

const MARK: &str = "reroll.dev/restarted-for";

/// What reroll writes on a workload's own metadata.
const OWN: [&str; 4] = [
    "reroll.dev/observed",
    "reroll.dev/last-restart",
    "reroll.dev/restarted-at",
    "reroll.dev/pending",
];

/// Returns the template's mark.
pub(crate) fn mark(object: &Value) -> Option<&str> {
    mark_of(&object["spec"]["template"])
}

/// Returns the mark of a template, or of a pod.
pub(crate) fn mark_of(object: &Value) -> Option<&str> {
    object["metadata"]["annotations"][MARK].as_str()
}

/// Whether two templates are the same but for the mark.
pub(crate) fn same_but_for_the_mark(one: &Value, other: &Value) -> bool {
    let without = |object: &Value| {
        let mut template = object["spec"]["template"].clone();
        if let Some(all) = template["metadata"]["annotations"].as_object_mut() {
            all.remove(MARK);
            if all.is_empty() {
                template["metadata"]["annotations"] = Value::Null;
            }
        }
        template
    };
    without(one) == without(other)
}

/// Returns the annotations that are of one kind.
pub(crate) fn of_kind(annotations: &Value, stays: impl Fn(&str) -> bool) -> Vec<(&str, &Value)> {
    let all = annotations.as_object().into_iter().flatten();
    all.map(|(key, value)| (key.as_str(), value))
        .filter(|(key, _)| stays(key))
        .collect()
}

/// Returns what a template's pods need.
pub(crate) fn needs_of(object: &Value) -> Vec<Need> {
    needs(&object["spec"]["template"]["spec"])
}

/// What a workload has opted in for.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum OptIn {
    No,
    All,
    One(Source),
}

impl OptIn {
    pub(crate) fn of(object: &Value) -> Self {
        let word = object["metadata"]["annotations"][OPT_IN].as_str();
        match word.map(|word| word.split_once('/').unwrap_or((word, ""))) {
            None => Self::No,
            Some(("secret", name)) => Self::one(SourceKind::Secret, name),
            Some(("configmap", name)) => Self::one(SourceKind::ConfigMap, name),
            Some(_) => Self::All,
        }
    }

    fn one(kind: SourceKind, name: &str) -> Self {
        let name = name.to_owned();
        Self::One(Source { kind, name })
    }

    /// Whether a change of this source counts.
    pub(crate) fn has(&self, source: &Source) -> bool {
        match self {
            Self::No => false,
            Self::All => true,
            Self::One(one) => one == source,
        }
    }
}

/// Whether a workload that has opted out still has what reroll wrote on its metadata.
pub(crate) fn left_after_opting_out(object: &Value) -> bool {
    let annotations = object["metadata"]["annotations"].as_object();
    let mut keys = annotations
        .into_iter()
        .flatten()
        .map(|(key, _)| key.as_str());
    OptIn::of(object) == OptIn::No && keys.any(|key| OWN.contains(&key))
}
