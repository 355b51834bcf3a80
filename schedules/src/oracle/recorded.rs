//! What must hold of whatever is written on workloads, whoever writes it.

use std::{
    collections::{BTreeMap, BTreeSet},
    sync::Arc,
};

use reroll_simulation::nodes::{Source, SourceKind};
use serde_json::Value;

use super::template::{of_kind, same_but_for_the_mark};

const OBSERVED: &str = "reroll.dev/observed";
/// How long `observed` may be.
const LIMIT: usize = 16 * 1024;
/// How many bytes of annotations an object may have.
const ANNOTATIONS: usize = 256 * 1024;
/// How much of that is left to others.
const RESERVE: usize = 8 * 1024;
/// What the controllers write beside the specification.
const CONTROLLERS: [&str; 2] = ["deployment.kubernetes.io/", "deprecated.daemonset."];

/// Whether who wrote could know that there is room.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Room {
    Is,
    /// A person took it a moment before, or brought it back; or it gets no longer.
    MayBeGone,
}

/// Returns what is recorded.
pub(super) fn recorded(object: &Value) -> &Value {
    &object["metadata"]["annotations"][OBSERVED]
}

/// Returns the id of the digest key that `observed` was written with.
pub(crate) fn key_id(object: &Value) -> Option<String> {
    key_id_of_text(recorded(object).as_str()?)
}

/// Returns the id of the digest key of an `observed`.
pub(crate) fn key_id_of_text(text: &str) -> Option<String> {
    let observed: Value = serde_json::from_str(text).ok()?;
    observed["k"].as_str().map(ToOwned::to_owned)
}

/// Returns what is wrong with what is recorded, where these sources are there.
pub(super) fn wrong(
    object: &Value,
    sources: &BTreeMap<Source, Arc<Value>>,
    room: Room,
) -> Option<String> {
    let name = &object["metadata"]["name"];
    let annotations = object["metadata"]["annotations"].as_object()?;
    let bytes = |(key, value): (&String, &Value)| key.len() + value.as_str().map_or(0, str::len);
    let bytes = annotations.iter().map(bytes).sum::<usize>();
    let observed = recorded(object).as_str()?;
    if bytes > ANNOTATIONS - RESERVE && room == Room::Is {
        return Some(format!("observed of {name} leaves no room for others"));
    }
    if observed.len() > LIMIT {
        return Some(format!("observed of {name} has {} bytes", observed.len()));
    }
    let observed: Value = serde_json::from_str(observed).ok()?;
    let drops = observed["p"].as_array().is_some_and(|all| !all.is_empty());
    if drops && observed["v"] == 1 {
        // An older release would take it for its own, and not see what the template dropped.
        return Some(format!(
            "observed of {name} has former entries in the first format"
        ));
    }
    for (source, object) in sources {
        let entry = &observed["s"][spoken(source)];
        let revision = entry["r"].as_u64().map(|number| number.to_string());
        let is_of = revision.as_deref() == object["metadata"]["resourceVersion"].as_str();
        if is_of && object["immutable"] == true && entry["i"] != 1 {
            let source = &source.name;
            return Some(format!(
                "observed of {name} does not say that {source} was immutable"
            ));
        }
    }
    let mut known = BTreeMap::new();
    for (source, entry) in observed["s"].as_object().into_iter().flatten() {
        for digest in entry["d"].as_object().into_iter().flatten() {
            let digest = digest.1.as_str().filter(|text| is_digest(text));
            let Some(digest) = digest else { continue };
            if let Some(other) = known.insert(digest.to_owned(), source)
                && other != source
            {
                return Some(format!(
                    "{name} shows that {other} and {source} are the same"
                ));
            }
        }
    }
    None
}

/// Returns what is wrong with an `observed` that takes the place of this one of the same workload: a version advances, and
/// the mark stays. `excused` tells of sources that may be adopted as they are.
pub(super) fn advances(old: &str, object: &Value, excused: &BTreeSet<String>) -> Option<String> {
    let old: Value = serde_json::from_str(old).ok()?;
    let new: Value = serde_json::from_str(recorded(object).as_str()?).ok()?;
    if ["k", "for", "rf"].iter().any(|key| old[key] != new[key]) {
        return None;
    }
    for (source, entry) in new["s"].as_object().into_iter().flatten() {
        for (key, digest) in entry["d"].as_object().into_iter().flatten() {
            let before = &old["s"][source]["d"][key];
            let both = [before, digest].map(|it| it.as_str().filter(|text| is_digest(text)));
            if let [Some(before), Some(after)] = both
                && before != after
                && !excused.contains(source)
            {
                let name = &object["metadata"]["name"];
                return Some(format!(
                    "observed of {name} advances {source} without a mark"
                ));
            }
        }
    }
    None
}

/// Returns the name of a source, as `observed` has it.
pub(super) fn spoken(source: &Source) -> String {
    let kind = match source.kind {
        SourceKind::Secret => "secret",
        SourceKind::ConfigMap => "configmap",
    };
    format!("{kind}/{}", source.name)
}

/// What is as short is a word, and no digest.
const MARKERS: usize = 8;

/// Whether this tells of data. Zeros say that pods have something else than there is, whatever that was.
fn is_digest(text: &str) -> bool {
    text.len() > MARKERS && text.bytes().any(|byte| byte != b'A')
}

/// Returns what is wrong with a write that no person made: nothing of others may change.
pub(super) fn changes_of_others(before: &Value, after: &Value) -> Option<String> {
    let name = &after["metadata"]["name"];
    if !same_but_for_the_mark(before, after) {
        return Some(format!("the template of {name} is changed by reroll"));
    }
    if others(before) != others(after) {
        return Some(format!("annotations of {name} are changed by reroll"));
    }
    None
}

/// Returns what neither reroll nor a controller writes.
fn others(object: &Value) -> Vec<(&str, &Value)> {
    let own = |key: &str| {
        let theirs = CONTROLLERS.iter().any(|prefix| key.starts_with(prefix));
        key.starts_with("reroll.dev/") || theirs
    };
    of_kind(&object["metadata"]["annotations"], |key| !own(key))
}
