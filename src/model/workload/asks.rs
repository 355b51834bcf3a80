//! What people ask for by annotations, and whether anybody wrote a workload.

use std::{
    collections::BTreeMap,
    hash::{DefaultHasher, Hash as _, Hasher as _},
};

use kube::core::ObjectMeta;
use litemap::LiteMap;
use serde_json::{Map, Value};

use crate::model::{
    annotation::{
        LAST_RESTART, OBSERVED, PENDING, PREFIX, RESTARTED_AT, ROLLOUT_OPENED,
        reloader::{DOMAIN, selecting, selecting_of},
    },
    source::SourceKind,
};

/// The annotations that the deployment controller writes begin so.
const DEPLOYMENT_CONTROLLER: &str = "deployment.kubernetes.io/";

/// Annotations by which people ask for something.
pub type Asks = LiteMap<String, String>;

/// Returns what people ask for, in reroll's words and in Reloader's.
///
/// Of Reloader's, those of the template that select sources of a kind count where the workload has none that do, as there
/// (`ShouldReload` in `pkg/common/common.go`); so does its list of what is excluded, which the peer only documents.
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
    let Some(template) = template else {
        return asks;
    };
    let is_split = selecting().any(|key| asks.contains_key(key));
    let selects = |kind: &SourceKind| {
        selecting_of(*kind)
            .iter()
            .any(|key| asks.contains_key(*key))
    };
    let silent: Vec<_> = SourceKind::ALL
        .into_iter()
        .filter(|kind| !selects(kind))
        .collect();
    let of_template = |key: &str| template.get(key)?.as_str().map(ToOwned::to_owned);
    for kind in silent {
        for key in selecting_of(kind) {
            let Some(text) = of_template(key) else {
                continue;
            };
            let name = if is_split {
                of_template_for(kind, key)
            } else {
                key.to_owned()
            };
            asks.insert(name, text);
        }
    }
    for exclude in SourceKind::ALL.map(|kind| kind.reloader().exclude) {
        if let Some(text) = of_template(exclude).filter(|_| !asks.contains_key(exclude)) {
            asks.insert(exclude.to_owned(), text);
        }
    }
    asks
}

/// Returns what one of Reloader's annotations says of sources of a kind: on the workload, or on its template.
pub fn said_of<'a>(asks: &'a Asks, kind: SourceKind, key: &str) -> Option<&'a String> {
    asks.get(key)
        .or_else(|| asks.get(&of_template_for(kind, key)))
}

/// Returns what it says of sources of any kind.
pub fn said_of_any<'a>(asks: &'a Asks, key: &str) -> Option<&'a String> {
    let mut kinds = SourceKind::ALL.into_iter();
    kinds.find_map(|kind| said_of(asks, kind, key))
}

/// The name of an annotation of the template's that counts for one kind only. No annotation has a blank in its key.
fn of_template_for(kind: SourceKind, key: &str) -> String {
    format!("{} {key}", kind.as_str())
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
