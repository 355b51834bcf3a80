//! What somebody typed that does nothing, or not where it stands: told at once, with the remedy first.
//!
//! Only what the written object itself shows, and the index knows. Nothing here refuses a write.

use kube::core::DynamicObject;
use serde_json::Map;

use crate::model::{
    Index, Kind, SourceName, WorkloadKey,
    annotation::{IGNORE, KUBECTL_RESTARTED_AT, MARK, ON_CHANGE, RESTART_ON},
    decide::Lookup,
    gate::together::{Idle, idles},
    index::{Overlay, together},
    places::{Author, KEYS, Place},
    policy::{Complaint, Defaults, OptedBy, Policy, Rules, Selection, Spared, is_left_alone},
    source::References,
    text::some_of,
    workload::{JobPhase, MARK_WORD, Workload},
};
use crate::webhook::{
    keys::{Home, Spot},
    warnings::{Warning, problem, problems},
};

/// The most sources that one line names.
const NAMED: usize = 4;

/// Returns what is wrong with the keys of reroll's that an object has, and where they stand.
pub(super) fn keys(kind: Kind, object: &DynamicObject) -> Vec<String> {
    let home = Home::of_workload(kind);
    let template = object.data.pointer(kind.template);
    let of_template = |which: &str| {
        let all = template.and_then(|template| template["metadata"][which].as_object());
        let all = all.into_iter().flat_map(Map::iter);
        all.map(|(key, text)| (key.as_str(), text.as_str().unwrap_or_default()))
    };
    let mut spots = home.spots(&object.metadata);
    spots.push(Spot::of(
        Place::Template,
        "as an annotation of the pod template",
        of_template("annotations"),
    ));
    spots.push(Spot::of(
        Place::Elsewhere,
        "as a label of the pod template",
        of_template("labels"),
    ));
    home.wrong(&spots)
}

/// Returns what is wrong with what a write says: what cannot be read or does nothing, and what it cannot come to. `overlay` has the
/// sources as they were read just now.
pub(super) fn all<'a>(
    (index, overlay): (&Index, &Overlay<'_>),
    (key, workload): (&WorkloadKey, &Workload),
    asked: (&Policy, &References),
    (complaints, typed): (&[Complaint], &[String]),
    live: &dyn Fn(&SourceName) -> Lookup<'a>,
) -> Vec<Warning> {
    let mut warnings = said(complaints, typed);
    warnings.extend(without_on_change(key.kind, workload));
    warnings.extend(opt_in((index, live), &key.namespace, workload, asked));
    if asked.0.opted_in() {
        let idle = together::idles(index, &key.namespace, asked, overlay).into_iter();
        let idle = idle.filter(|(it, why)| *why != Idle::Absent || !together::had(index, key, it));
        warnings.extend(problems(idle.map(|(member, why)| idles(member, why))));
    }
    if let (Selection::Some(rules), false) = (&asked.0.selection, is_left_alone(&workload.asks)) {
        let in_vain = rules.named_in_vain(&workload.references, &|source| live(source).version());
        warnings.extend(problems(in_vain));
        if workload.borrows.is_none() {
            let absent = |source: &SourceName| matches!(live(source), Lookup::Absent { .. });
            let spared = Spared::all(rules, &workload.asks, &workload.references, &absent);
            warnings.extend(problems(spared.iter().map(Spared::words)));
        }
    }
    let owner = workload.reverting_owner();
    if let (Some(owner), true) = (owner, asked.0.opted_in()) {
        warnings.push(problem(format!(
            "reroll: {} belongs to {owner}: reroll does not restart it; where that keeps {KUBECTL_RESTARTED_AT}, say {MARK}: {MARK_WORD}",
            key.spoken()
        )));
    }
    warnings
}

/// Returns what cannot be read, and what is wrong with keys, as warnings.
fn said(complaints: &[Complaint], keys: &[String]) -> Vec<Warning> {
    let complaints = complaints.iter().map(ToString::to_string);
    problems(complaints.chain(keys.iter().cloned()))
}

/// Returns the value of `reroll.dev/on-change` that an opt-in lacks, where a change does nothing to its kind without it.
pub(super) fn lacks_on_change(kind: Kind, workload: &Workload) -> Option<&'static str> {
    let word = kind.means.asked_by()?;
    let asks = &workload.asks;
    let (policy, _) = Policy::read(asks, Defaults::default());
    // What Reloader's words lack is a complaint about them.
    let own = asks.contains_key(RESTART_ON) && !asks.contains_key(ON_CHANGE);
    let lacks = own && policy.opted_in() && !is_left_alone(asks);
    (lacks && !workload.is_past_asking()).then_some(word)
}

/// Whether a Job that is over is told now to do about a change what no Job does. What it says rightly comes to nothing, too, and is for
/// the next one.
pub(super) fn misfits(kind: Kind, workload: &Workload, before: Option<&String>) -> bool {
    let says = workload.asks.get(ON_CHANGE);
    let fits = says.is_none_or(|says| kind.means.asked_by() == Some(says.trim()));
    workload.phase == JobPhase::Over && !fits && says != before
}

/// Says what an opt-in lacks.
fn without_on_change(kind: Kind, workload: &Workload) -> Option<Warning> {
    let word = lacks_on_change(kind, workload)?;
    Some(problem(format!(
        "reroll: say {ON_CHANGE}: {word}: a change does nothing to a {} that does not say it",
        kind.kind
    )))
}

/// Returns what an opt-in comes to, where that is less than it looks. `uses`: the sources of the template that count.
fn opt_in<'a>(
    (index, live): (&Index, &dyn Fn(&SourceName) -> Lookup<'a>),
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
    // What pods need is told with what they wait for.
    let is_absent = |name: &SourceName| matches!(live(name), Lookup::Absent { .. });
    let absent = rules
        .names()
        .filter(|name| is_absent(name) && !workload.references.contains_key(*name));
    let absent = absent.map(|name| {
        let (words, reload) = (name.spoken(), name.kind.reloader().reload);
        let key = if key == RESTART_ON { key } else { reload };
        problem(format!(
            "reroll: create {words}, or name another: {key} names it, it is absent, and no pod refers to it"
        ))
    });
    absent
        .chain(takes_nothing(workload, uses, (rules, key)))
        .collect()
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
