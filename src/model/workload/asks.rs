//! What people ask for by annotations, and whether anybody wrote a workload.

use std::{
    collections::BTreeMap,
    hash::{DefaultHasher, Hash as _, Hasher as _},
};

use kube::core::ObjectMeta;
use litemap::LiteMap;
use serde_json::{Map, Value};

use crate::model::annotation::{
    LAST_RESTART, OBSERVED, PENDING, PREFIX, RESTARTED_AT, ROLLOUT_OPENED,
    reloader::{DOMAIN, selecting},
};

/// The annotations that the deployment controller writes begin so.
const DEPLOYMENT_CONTROLLER: &str = "deployment.kubernetes.io/";

/// Annotations by which people ask for something.
pub type Asks = LiteMap<String, String>;

/// Returns what people ask for, in reroll's words and in Reloader's. Those of Reloader that select count on the
/// template where the workload itself has none of them, as there.
pub(super) fn asks(
    annotations: &BTreeMap<String, String>,
    template: Option<&Map<String, Value>>,
) -> Asks {
    let counts =
        |key: &str| (key.starts_with(PREFIX) && !is_written_by_us(key)) || reloader_key(key);
    let mut asks: Asks = annotations
        .iter()
        .filter(|(key, _)| counts(key))
        .map(|(key, value)| (key.clone(), value.clone()))
        .collect();
    if !selecting().any(|key| asks.contains_key(key)) {
        let selecting = |key: &str| selecting().any(|known| known == key);
        let of_template = template
            .into_iter()
            .flatten()
            .filter(|(key, _)| selecting(key))
            .filter_map(|(key, value)| Some((key.clone(), value.as_str()?.to_owned())));
        for (key, value) in of_template {
            asks.insert(key, value);
        }
    }
    asks
}

/// Returns a digest of what others write of an object, other than its status. (Each write of a spec has its own generation.)
pub(super) fn stated(meta: &ObjectMeta) -> u64 {
    let mut hasher = DefaultHasher::new();
    meta.generation.hash(&mut hasher);
    meta.labels.hash(&mut hasher);
    let others = |key: &str| !is_written_by_us(key) && !key.starts_with(DEPLOYMENT_CONTROLLER);
    for annotation in meta.annotations.iter().flatten() {
        if others(annotation.0) {
            annotation.hash(&mut hasher);
        }
    }
    hasher.finish()
}

fn is_written_by_us(key: &str) -> bool {
    [
        OBSERVED,
        LAST_RESTART,
        RESTARTED_AT,
        PENDING,
        ROLLOUT_OPENED,
    ]
    .contains(&key)
}

fn reloader_key(key: &str) -> bool {
    key.split_once(DOMAIN)
        .is_some_and(|(before, _)| before.is_empty() || before.ends_with('.'))
}
