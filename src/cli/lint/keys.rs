//! Whether each key of reroll's is one, stands where it counts, and has a text for a value.

use std::collections::BTreeMap;

use super::{
    found::Found,
    manifests::{Manifest, Said},
    spots::{OWN, Role, Spot},
    tree::Node,
    values::shown,
};
use crate::{
    cli::findings::Finding,
    model::{
        annotation::{NOW, PREFIX, RELEASE, RESTART_ON},
        places::{Author, Known, Place, known, likely, meant_elsewhere},
        workload::{off_by_default, turned_on},
    },
};

/// Checks the keys of an object.
pub(super) fn check(manifest: &Manifest, role: Role, found: &mut Vec<Found>) {
    for spot in role.spots(manifest) {
        for said in spot.said() {
            found.extend(of_key(manifest, role, spot, said));
        }
    }
    found.extend(not_restarted(manifest, role));
}

/// Checks that no key stands twice in one map: kubectl and Helm refuse that, and others take one of the two. In a cluster none can.
pub(super) fn twice(manifest: &Manifest, node: &Node, found: &mut Vec<Found>) {
    let mut first: BTreeMap<&str, usize> = BTreeMap::new();
    for (key, value) in node.entries() {
        if let Some(line) = first.insert(&key.text, key.line) {
            let wrong = format!(
                "{} stands here again: it is on line {line}, too",
                shown(&key.text)
            );
            let one = Found::new(Finding::Twice, manifest, key.line, wrong);
            found.push(one.instead("put both under one key, or take one away"));
        }
        twice(manifest, value, found);
    }
    for item in node.items() {
        twice(manifest, item, found);
    }
}

fn of_key(manifest: &Manifest, role: Role, spot: Spot<'_>, said: Said<'_>) -> Option<Found> {
    if !said.key.starts_with(PREFIX) {
        return of_other_prefix(manifest, spot, said);
    }
    let Some(known) = known(said.key) else {
        let wrong = unknown(said, spot);
        let found = Found::new(Finding::UnknownKey, manifest, said.line, wrong);
        return Some(match likely(said.key) {
            Some(key) => found.instead(key),
            None => found,
        });
    };
    match known.by {
        // Another writer copies it from elsewhere, and what a cluster shows is not what somebody wrote.
        Author::Reroll if role == Role::Other || manifest.is_live() => None,
        Author::Reroll => {
            let wrong = format!("{} is written by reroll only", said.key);
            let found = Found::new(Finding::WrittenByReroll, manifest, said.line, wrong);
            Some(found.instead("remove it: reroll puts back what it wrote"))
        }
        Author::People if role == Role::Other => None,
        Author::People if known.counts(spot.place) => {
            not_text(manifest, said).or_else(|| release(manifest, said))
        }
        Author::People => misplaced(manifest, role, spot, (known, said)),
    }
}

/// Checks that a value is text.
pub(super) fn not_text(manifest: &Manifest, said: Said<'_>) -> Option<Found> {
    if said.text.is_some() {
        return None;
    }
    let wrong = format!(
        "{} has a value that is no text: the API server refuses it",
        said.key
    );
    let found = Found::new(Finding::NotText, manifest, said.line, wrong);
    Some(found.instead("put the value between quotes"))
}

/// Checks that no release stands in a file: whoever applies it again releases what is due then. An object of a cluster has it
/// from the prompt.
fn release(manifest: &Manifest, said: Said<'_>) -> Option<Found> {
    let is_now = said.text.is_some_and(|text| text.eq_ignore_ascii_case(NOW));
    (said.key == RELEASE && is_now && !manifest.is_live()).then(|| {
        let wrong =
            format!("{RELEASE}: {NOW} releases again, whatever is due, each time it is applied");
        let found = Found::new(Finding::ReleaseInFile, manifest, said.line, wrong);
        found.instead("remove it; at the prompt: kubectl reroll release")
    })
}

fn misplaced(
    manifest: &Manifest,
    role: Role,
    spot: Spot<'_>,
    (known, said): (&Known, Said<'_>),
) -> Option<Found> {
    let [annotations, labels] = role.own();
    let mut counted = manifest.annotations().filter(|_| known.counts(annotations));
    let counted = counted.find(|own| own.key == said.key);
    let same = |own: &Said<'_>| own.text == said.text;
    // Who sets one annotation everywhere has it where it counts, too.
    if spot.place == Place::Template && counted.as_ref().is_some_and(same) {
        return None;
    }
    let wrong = format!("{} means nothing {}", said.key, spot.words);
    let found = Found::new(Finding::Misplaced, manifest, said.line, wrong);
    let kind = &manifest.kind;
    Some(if counted.is_some() {
        found.instead(format!("remove it: what the {kind} itself says counts"))
    } else if known.counts(annotations) {
        found.instead(format!("under metadata.annotations of the {kind} itself"))
    } else if known.counts(labels) {
        found.instead(format!("under metadata.labels of the {kind}"))
    } else {
        let places: Vec<_> = known.places.iter().map(|place| place.words()).collect();
        found.instead(format!("it counts as {}", places.join(", or as ")))
    })
}

/// Checks a key that looks like one of reroll's but for what is before its name.
fn of_other_prefix(manifest: &Manifest, spot: Spot<'_>, said: Said<'_>) -> Option<Found> {
    let meant = meant_elsewhere(said.key)?;
    let wrong = unknown(said, spot);
    Some(Found::new(Finding::UnknownKey, manifest, said.line, wrong).instead(meant))
}

/// Says that a key is none, and as what it stands there, where that is no annotation of the object's own.
fn unknown(said: Said<'_>, spot: Spot<'_>) -> String {
    let words = Some(spot.words).filter(|words| *words != OWN);
    let words = words.map_or_else(String::new, |words| format!(", {words}"));
    format!("{} is no key of reroll's{words}", said.key)
}

/// Checks that what opts in is of a kind that reroll restarts.
fn not_restarted(manifest: &Manifest, role: Role) -> Option<Found> {
    if role != Role::Other {
        return None;
    }
    let mut all = manifest.annotations();
    let said = all.find(|said| said.key == RESTART_ON)?;
    let kind = &manifest.kind;
    let has_pods = ["Pod", "ReplicaSet", "ReplicationController"].contains(&kind.as_str());
    let own = manifest.group.is_empty() || manifest.group == "apps";
    let (wrong, instead) = if has_pods && own {
        let wrong = format!("reroll restarts no {kind}");
        (wrong, "make it of a Deployment, and opt that in".to_owned())
    } else if let Some(off) =
        off_by_default().find(|off| off.group == manifest.group && off.kind == kind)
    {
        (
            format!("reroll restarts no {kind} by default"),
            turned_on(off),
        )
    } else if manifest
        .root
        .pointer("/spec/template/spec/containers")
        .is_some()
    {
        let wrong = format!("reroll restarts no {kind} by default");
        let version = manifest.root.text_at(&["apiVersion"]).unwrap_or_default();
        let flag = format!("--workload-kind {version}/{kind}");
        (wrong, format!("run reroll, and this command, with {flag}"))
    } else {
        return None;
    };
    let found = Found::new(Finding::NotRestarted, manifest, said.line, wrong);
    Some(found.instead(instead))
}
