//! Volumes of which containers read some files, or none; and what an older release wrote, which counted all of a volume.

use serde_json::json;

use super::{document::said, *};
use crate::model::{
    format::FORMAT,
    observed::{Formers, KeyState, Reading},
    source::{References, references},
    version::WHOLE,
    workload::OlderPods,
};

const X: &[(&str, &str)] = &[("k", "x"), ("l", "x")];
const OTHER: &[(&str, &str)] = &[("k", "x"), ("l", "y")];
const Y: &[(&str, &str)] = &[("k", "y"), ("l", "x")];
const WITHOUT: &[(&str, &str)] = &[("l", "x")];

/// What a pod refers to that mounts a volume so.
fn refers(volume: &serde_json::Value, path: &str) -> References {
    let mut named = json!({ "name": "v" });
    let member = volume.as_object().unwrap().clone();
    named.as_object_mut().unwrap().extend(member);
    let mount = json!({ "name": "v", "mountPath": "/v", "subPath": path });
    references(
        &json!({ "spec": { "containers": [{ "volumeMounts": [mount] }], "volumes": [named] } }),
    )
}

fn of(volume: &serde_json::Value, path: &str) -> Usage {
    refers(volume, path)[&s()].clone()
}

/// The file `k` of a volume.
fn file() -> Usage {
    of(&json!({ "secret": { "secretName": "s" } }), "k")
}

fn optional_file() -> Usage {
    let optional = json!({ "secret": { "secretName": "s", "optional": true } });
    of(&optional, "k")
}

fn all() -> Usage {
    of(&json!({ "secret": { "secretName": "s" } }), "")
}

/// A volume with `k` and more, of which nothing of `s` is read.
fn unread(optional: bool) -> Usage {
    let listed =
        json!({ "name": "s", "optional": optional, "items": [{ "key": "k", "path": "p" }] });
    let sources = json!([{ "secret": listed }, { "configMap": { "name": "m" } }]);
    of(&json!({ "projected": { "sources": sources } }), "of-m")
}

fn present(uid: &str, rv: u64, data: &[(&str, &str)]) -> Live {
    Live::Present(v(uid, rv, data))
}

/// What is observed of a source that was so.
fn entry(data: &[(&str, &str)], usage: &Usage) -> Entry {
    let version = v("A", 10, data);
    Entry::of(&version, usage).with_held(None, &version, usage)
}

/// What is observed of [`X`].
fn seen(usage: &Usage) -> Entry {
    entry(X, usage)
}

fn without_file() -> Entry {
    entry(WITHOUT, &file())
}

struct Row {
    name: &'static str,
    usage: Usage,
    entry: Option<Entry>,
    live: Live,
    outcome: Outcome,
    cause: Option<CauseKind>,
}

fn row(
    name: &'static str,
    usage: Usage,
    entry: impl Into<Option<Entry>>,
    live: Live,
    (outcome, cause): (Outcome, Option<CauseKind>),
) -> Row {
    Row {
        name,
        usage,
        entry: entry.into(),
        live,
        outcome,
        cause,
    }
}

const KEEP: (Outcome, Option<CauseKind>) = (Outcome::Keep, None);
const RECORD: (Outcome, Option<CauseKind>) = (Outcome::Record, None);
const WAIT: (Outcome, Option<CauseKind>) = (Outcome::Wait, None);
const UPDATED: (Outcome, Option<CauseKind>) = (Outcome::Restart, Some(CauseKind::Updated));
const RECREATED: (Outcome, Option<CauseKind>) = (Outcome::Restart, Some(CauseKind::Recreated));
const UNSYNCED: (Outcome, Option<CauseKind>) = (Outcome::Undecided(Doubt::Unsynced), None);
const BEHIND: (Outcome, Option<CauseKind>) = (Outcome::Undecided(Doubt::Behind), None);

#[rustfmt::skip]
fn rows() -> Vec<Row> {
    vec![
        row("file-another-changed", file(), seen(&file()), present("A", 11, OTHER), KEEP),
        row("file-changed", file(), seen(&file()), present("A", 11, Y), UPDATED),
        row("file-recreated", file(), seen(&file()), present("B", 11, X), RECREATED),
        row("file-gone", file(), seen(&file()), present("A", 11, WITHOUT), WAIT),
        row("file-gone-recreated", file(), seen(&file()), present("B", 11, WITHOUT), WAIT),
        row("file-back", file(), seen(&file()), present("A", 12, X), KEEP),
        row("file-back-changed", file(), seen(&file()), present("A", 12, Y), UPDATED),
        row("file-still-absent", file(), without_file(), present("A", 11, WITHOUT), KEEP),
        row("file-appears", file(), without_file(), present("A", 11, X), UPDATED),
        row("file-of-optional-volume-gone", optional_file(), seen(&optional_file()), present("A", 11, WITHOUT), UPDATED),
        row("file-source-absent", file(), seen(&file()), GONE, WAIT),
        row("unread-present", unread(false), None, present("A", 10, X), KEEP),
        row("unread-absent", unread(false), None, GONE, WAIT),
        row("unread-lacks-item", unread(false), None, present("A", 10, WITHOUT), WAIT),
        row("unread-optional-absent", unread(true), None, GONE, KEEP),
        row("unread-unsynced", unread(false), None, Live::Unsynced, UNSYNCED),
        row("unread-unseen", unread(false), None, Live::Unseen, BEHIND),
        row("older-release-file", file(), seen(&all()), present("A", 10, X), RECORD),
        row("older-release-file-changed", file(), seen(&all()), present("A", 11, Y), UPDATED),
        row("older-release-file-recreated", file(), seen(&all()), present("B", 11, X), RECREATED),
        row("older-release-unread", unread(false), seen(&unread(false).as_held()), present("B", 11, Y), RECORD),
    ]
}

/// Names and decisions of all rows.
pub(super) fn outcomes() -> Vec<(&'static str, String)> {
    let rows = rows().into_iter();
    rows.map(|row| (row.name, said(row.outcome, row.cause)))
        .collect()
}

/// A workload that uses `s` so, whose pods are older than what was written last.
fn world(usage: Usage, live: Live) -> World {
    let mut world = World::new().with(&s(), usage, live);
    let oldest = [WHOLE, "k", "l"].map(|key| (key.to_owned(), i64::MIN));
    world.ages = Some([(s(), oldest.into_iter().collect())].into());
    world
}

fn observed(world: &World, entry: Option<Entry>) -> Observed {
    world.observed(entry.map(|entry| (s(), entry)))
}

#[test]
fn every_row() {
    for row in rows() {
        let name = row.name;
        let world = world(row.usage, row.live);
        let decision = world.decide(Known::Observed(&observed(&world, row.entry)));
        assert_eq!(decision.outcome(), row.outcome, "{name}");
        let causes: Vec<_> = decision.causes().iter().map(|cause| cause.kind).collect();
        if row.outcome == Outcome::Restart {
            assert_eq!(causes, Vec::from_iter(row.cause), "{name}");
        }
        let waits = decision.missing() == [s()];
        assert_eq!(
            waits,
            matches!(row.outcome, Outcome::Wait | Outcome::Undecided(_)),
            "{name}"
        );
        let Some(next) = decision.next() else {
            continue;
        };
        let read = world.uses[&s()].is_read();
        assert_eq!(next.entries.contains_key(&s()), read, "{name}");
        // What was decided stays decided, and is written once.
        let mut after = world.clone();
        let next = after.carry_out(&decision);
        let again = after.decide(Known::Observed(&next));
        let calm = match row.outcome {
            Outcome::Wait => Outcome::Wait,
            _ => Outcome::Keep,
        };
        assert_eq!(again.outcome(), calm, "{name}");
        assert_eq!(again.next(), Some(&next), "{name}");
    }
}

/// What an older release observed becomes no former entry, and raises no format, whatever is left of older pods.
#[test]
fn a_release_that_reads_references_better_drops_nothing() {
    for (name, template, counts) in [
        ("file", References::from_iter([(s(), file())]), true),
        (
            "unread",
            References::from_iter([(s(), unread(false))]),
            true,
        ),
        ("unmounted", unmounted(), false),
    ] {
        for with_webhook in [false, true] {
            let held = template[&s()].as_held();
            let mut world = world(held.clone(), present("A", 10, X));
            let before = observed(&world, Some(seen(&held)));
            world.older = OlderPods::Left;
            world.template = Some(template.clone());
            world.template_before = with_webhook.then(|| template.clone());
            if counts {
                world.used_before = Some(template.clone());
                world.uses.clone_from(&template);
            } else {
                world.used_before = Some(References::new());
                world.uses = References::new();
            }
            let decision = world.decide(Known::Observed(&before));
            assert_eq!(decision.outcome(), Outcome::Record, "{name}");
            let next = decision.next().unwrap();
            assert_eq!(next.formers, Formers::none(), "{name}");
            assert_eq!(next.format, FORMAT, "{name}");
        }
    }
}

fn unmounted() -> References {
    let volume = json!({ "name": "v", "secret": { "secretName": "s" } });
    references(&json!({ "spec": { "containers": [{}], "volumes": [volume] } }))
}

/// A template that mounted the whole of a volume, and mounts a file of it now: pods of before have the whole.
#[test]
fn what_a_template_reads_no_more_becomes_former() {
    let mut world = world(file(), present("A", 10, X));
    let before = observed(&world, Some(seen(&all())));
    world.older = OlderPods::Left;
    world.template_before = Some(References::from_iter([(s(), all())]));
    let decision = world.decide(Known::Observed(&before));
    let next = decision.next().unwrap();
    let formers: Vec<_> = next.formers.iter().collect();
    assert_eq!(formers, [(&s(), &seen(&all()))]);
    // Undone, the whole counts again as those pods have it.
    world.uses = References::from_iter([(s(), all())]);
    world.template_before = None;
    for (live, outcome) in [
        (present("A", 10, X), Outcome::Record),
        (present("A", 11, OTHER), Outcome::Restart),
    ] {
        world.set(&s(), live);
        assert_eq!(world.decide(Known::Observed(next)).outcome(), outcome);
    }
}

/// Beside a file stands the whole as it was then, so that an older release finds it unchanged. It is not rewritten when
/// another key changes, and follows when the file changes.
#[test]
fn an_older_release_finds_the_whole() {
    let whole_in = |observed: &Observed| match observed.entries.get(&s()) {
        Some(Entry::Seen { states, .. }) => (states.len(), states.get(WHOLE).copied()),
        _ => panic!("{observed:?}"),
    };
    let whole_of = |data| (2, Some(KeyState::Seen(v("A", 10, data).whole)));
    let mut world = world(file(), present("A", 10, X));
    let adopted = world.decide(Known::Nothing).next().cloned().unwrap();
    assert_eq!(whole_in(&adopted), whole_of(X));
    let text = adopted.print(&key());
    assert_eq!(
        Observed::read(&text, &key()),
        Reading::Genuine(adopted.clone())
    );
    for (live, outcome, data) in [
        (present("A", 11, OTHER), Outcome::Keep, X),
        (present("A", 12, Y), Outcome::Restart, Y),
    ] {
        world.set(&s(), live);
        let decision = world.decide(Known::Observed(&adopted));
        assert_eq!(decision.outcome(), outcome);
        assert_eq!(whole_in(decision.next().unwrap()), whole_of(data));
    }
}

/// Once a template mounts the whole again, it is compared with what was known of it.
#[test]
fn the_whole_of_a_volume_is_regained() {
    let reads_file = world(file(), present("A", 10, X));
    let before = reads_file.decide(Known::Nothing).next().cloned().unwrap();
    for (data, outcome) in [(X, Outcome::Record), (OTHER, Outcome::Restart)] {
        let world = world(all(), present("A", 11, data));
        assert_eq!(world.decide(Known::Observed(&before)).outcome(), outcome);
    }
}

/// All that was folded is adopted as this release counts it, where nothing changed that volumes hold.
#[test]
fn a_fold_of_an_older_release_is_adopted() {
    let (mut world, before) = fold::many(&all());
    let names: Vec<_> = world.uses.keys().cloned().collect();
    let made = |source: &SourceName| {
        let oldest = [WHOLE, "k"].map(|key| (key.to_owned(), i64::MIN));
        (source.clone(), oldest.into_iter().collect())
    };
    world.ages = Some(names.iter().map(made).collect());
    for source in &names {
        world.uses.insert(source.clone(), file());
    }
    let decision = world.decide(Known::Observed(&before));
    assert_eq!(decision.outcome(), Outcome::Record);
    let next = world.carry_out(&decision);
    assert_eq!(
        world.decide(Known::Observed(&next)).outcome(),
        Outcome::Keep
    );
    // What changed meanwhile is not lost.
    world.set(&names[0], Live::Present(version(&names[0], "A0", 101, Y)));
    for observed in [&before, &next] {
        let decision = world.decide(Known::Observed(observed));
        assert_eq!(decision.outcome(), Outcome::Restart);
    }
}
