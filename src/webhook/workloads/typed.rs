//! What somebody typed that does nothing, or not where it stands: told at once, with the remedy first.
//!
//! Only what the written object itself shows, and the index knows. Nothing here refuses a write.

use std::collections::BTreeMap;

use kube::core::DynamicObject;
use serde_json::Map;

use crate::model::{
    Index, Kind, SourceName,
    annotation::{IGNORE, PREFIX, RESTART_ON},
    decide::Lookup,
    places::{Author, KEYS, Known, Place, known, likely},
    policy::{Complaint, Defaults, OptedBy, Policy, Rules, Selection, is_left_alone},
    source::References,
    text::some_of,
    workload::Workload,
};
use crate::webhook::warnings::{Warning, problem};

/// The most sources that one line names.
const NAMED: usize = 4;

/// Returns what is wrong with the keys of reroll's that an object has, and where they stand.
pub(super) fn keys(kind: Kind, object: &DynamicObject) -> Vec<String> {
    let meta = &object.metadata;
    let own = ours(meta.annotations.iter().flat_map(BTreeMap::keys));
    let labels = ours(meta.labels.iter().flat_map(BTreeMap::keys));
    let template = object.data.pointer(kind.template);
    let of_template = |which: &str| {
        let all = template.and_then(|template| template["metadata"][which].as_object());
        ours(all.into_iter().flat_map(Map::keys))
    };
    let [annotations_below, labels_below] = ["annotations", "labels"].map(of_template);
    let spots = [
        (Place::Workload, "as an annotation", &own),
        (Place::Elsewhere, "as a label", &labels),
        (
            Place::Template,
            "as an annotation of the pod template",
            &annotations_below,
        ),
        (
            Place::Elsewhere,
            "as a label of the pod template",
            &labels_below,
        ),
    ];
    let mut told = Vec::new();
    for (place, words, keys) in spots {
        for key in keys {
            told.extend(match known(key) {
                None => Some(unknown(key)),
                Some(known) if known.by == Author::Reroll || known.counts(place) => None,
                // Who sets one annotation everywhere has it where it counts, too.
                Some(known)
                    if place == Place::Template
                        && own.contains(key)
                        && known.counts(Place::Workload) =>
                {
                    None
                }
                Some(known) => Some(misplaced(kind, known, words)),
            });
        }
    }
    told
}

/// Returns the keys that are reroll's, or look so.
fn ours<'a>(keys: impl Iterator<Item = &'a String>) -> Vec<&'a str> {
    keys.map(String::as_str)
        .filter(|key| key.starts_with(PREFIX))
        .collect()
}

fn unknown(key: &str) -> String {
    match likely(key) {
        Some(meant) => {
            format!("did you mean {meant}? {key} is no key of reroll's, and does nothing")
        }
        None => format!("remove {key}: it is no key of reroll's, and does nothing"),
    }
}

fn misplaced(kind: Kind, known: &Known, words: &str) -> String {
    let key = known.key;
    if known.counts(Place::Workload) {
        let kind = kind.kind;
        return format!(
            "put {key} under metadata.annotations of the {kind} itself: {words} it means nothing"
        );
    }
    let places: Vec<_> = known.places.iter().map(|place| place.words()).collect();
    format!(
        "{key} counts as {}: {words} here it means nothing",
        places.join(", or as ")
    )
}

/// Returns what cannot be read, and what is wrong with keys, as warnings.
pub(super) fn said(complaints: &[Complaint], keys: &[String]) -> Vec<Warning> {
    let complaints = complaints.iter().map(ToString::to_string);
    let all = complaints.chain(keys.iter().cloned());
    all.map(|what| problem(format!("reroll: {what}"))).collect()
}

/// Returns what an opt-in comes to, where that is less than it looks. `uses`: the sources of the template that count.
pub(super) fn opt_in(
    index: &Index,
    namespace: &str,
    workload: &Workload,
    (policy, uses): (&Policy, &References),
) -> Vec<Warning> {
    let asks = &workload.asks;
    if is_left_alone(asks) {
        return Vec::new();
    }
    let defaults = index.defaults_of(namespace);
    let Some(by) = OptedBy::of(asks, defaults) else {
        return settings_alone(workload).into_iter().collect();
    };
    // What counts for everybody need not count for each.
    if OptedBy::of(asks, Defaults::default()).is_none() || workload.borrows.is_some() {
        return Vec::new();
    }
    let Selection::Some(rules) = &policy.selection else {
        return Vec::new();
    };
    let key = match by {
        OptedBy::Reloader(key, _) => key,
        _ => RESTART_ON,
    };
    let absent = rules.names().filter(|name| {
        is_absent(index, namespace, name) && !workload.references.contains_key(*name)
    });
    let absent = absent.map(|name| {
        let words = name.spoken();
        problem(format!(
            "reroll: create {words}, or name another: {key} names it, it is absent, and no pod refers to it"
        ))
    });
    absent
        .chain(takes_nothing(workload, uses, (rules, key)))
        .collect()
}

/// Whether a source that the opt-in names is not there. (What pods need is told with what they wait for.)
fn is_absent(index: &Index, namespace: &str, name: &SourceName) -> bool {
    matches!(index.source(namespace, name), Lookup::Absent { .. })
}

fn takes_nothing(
    workload: &Workload,
    selected: &References,
    (rules, key): (&Rules, &str),
) -> Option<Warning> {
    if rules.has_globs() || !selected.is_empty() {
        return None;
    }
    let references = &workload.references;
    let used: Vec<_> = references
        .iter()
        .filter(|(_, usage)| usage.counts())
        .collect();
    let names: Vec<_> = used
        .iter()
        .take(NAMED)
        .map(|(name, _)| name.to_string())
        .collect();
    Some(problem(if names.is_empty() {
        format!(
            "reroll: name what counts, such as secret/NAME: {key} takes nothing, for the pod template uses no Secret and no ConfigMap"
        )
    } else {
        let names = some_of(names.iter().map(String::as_str), used.len());
        format!(
            "reroll: say auto, or name what counts: {key} takes nothing of what the pod template uses ({names})"
        )
    }))
}

/// Settings of a workload that nothing opts in.
fn settings_alone(workload: &Workload) -> Option<Warning> {
    let asks = &workload.asks;
    let settings = KEYS.iter().filter(|known| {
        known.by == Author::People
            && known.counts(Place::Workload)
            && known.key != IGNORE
            && asks.contains_key(known.key)
    });
    let settings: Vec<_> = settings.map(|known| known.key).collect();
    let does = if settings.len() == 1 { "does" } else { "do" };
    (!settings.is_empty()).then(|| {
        problem(format!(
            "reroll: opt in by {RESTART_ON}: auto: without that {} {does} nothing",
            settings.join(", ")
        ))
    })
}
