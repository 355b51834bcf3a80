//! The rows for a workload as a whole: whose `observed` it is, whether its template still has the mark, and what holds when
//! several sources are judged together. `docs/design.md` has the same rows; [`super::together`] looks at each more closely.

use super::{document::said, *};
use Need::{Optional, Required};

const X: &[(&str, &str)] = &[("k", "x")];
const Y: &[(&str, &str)] = &[("k", "y")];

/// One row: what it changes in a workload that uses `s` as observed, and what follows.
struct Row {
    name: &'static str,
    given: fn(&mut World, &mut Observed),
    known: fn(&Observed) -> Known<'_>,
    outcome: Outcome,
    cause: Option<CauseKind>,
}

const fn row(
    name: &'static str,
    given: fn(&mut World, &mut Observed),
    known: fn(&Observed) -> Known<'_>,
    outcome: Outcome,
    cause: Option<CauseKind>,
) -> Row {
    Row {
        name,
        given,
        known,
        outcome,
        cause,
    }
}

fn t() -> SourceName {
    SourceName::config_map("t")
}

fn genuine(observed: &Observed) -> Known<'_> {
    Known::Observed(observed)
}

fn out_of_use(observed: &Observed) -> Known<'_> {
    Known::OtherKey(observed)
}

fn as_it_is(_: &mut World, _: &mut Observed) {}

fn updated(world: &mut World, _: &mut Observed) {
    world.set(&s(), Live::Present(v("A", 11, Y)));
}

fn made_at_create(observed: &mut Observed, at: i64) {
    observed.workload_uid = String::new();
    observed.created_at = Some(at);
}

/// The digests were made under another key.
fn under_other_key(observed: &mut Observed) {
    let version = version_under(&other_key(), &s(), "A", 10, X);
    observed.key_id = other_key().id().to_owned();
    observed
        .entries
        .insert(s(), Entry::of(&version, &whole(Required)));
}

/// Another source, which was seen and is absent now.
fn beside_absent(world: &mut World, observed: &mut Observed, need: Need) {
    updated(world, observed);
    world.uses.insert(t(), whole(need));
    world.set(&t(), GONE);
    let seen = Entry::of(&version(&t(), "T", 9, X), &whole(need));
    observed.entries.insert(t(), seen);
}

const ROWS: [Row; 16] = [
    row(
        "nothing-observed",
        as_it_is,
        |_| Known::Nothing,
        Outcome::Record,
        None,
    ),
    row(
        "observed-of-another-workload",
        |world, observed| {
            updated(world, observed);
            observed.workload_uid = "another".to_owned();
        },
        genuine,
        Outcome::Record,
        None,
    ),
    row(
        "newer-format",
        updated,
        |_| Known::Newer,
        Outcome::NewerFormat,
        None,
    ),
    row(
        "digest-key-not-known",
        updated,
        |_| Known::UnknownKey,
        Outcome::UnknownKey,
        None,
    ),
    row(
        "digest-key-out-of-use",
        |world, observed| {
            updated(world, observed);
            under_other_key(observed);
        },
        out_of_use,
        Outcome::Record,
        None,
    ),
    row(
        "digest-key-out-of-use-recreated",
        |world, observed| {
            world.set(&s(), Live::Present(v("B", 12, X)));
            under_other_key(observed);
        },
        out_of_use,
        Outcome::Restart,
        Some(CauseKind::Recreated),
    ),
    row(
        "made-at-create-same",
        |_, observed| made_at_create(observed, CREATED + 30),
        genuine,
        Outcome::Record,
        None,
    ),
    row(
        "made-at-create-changed",
        |world, observed| {
            updated(world, observed);
            made_at_create(observed, CREATED + 30);
        },
        genuine,
        Outcome::Restart,
        Some(CauseKind::Updated),
    ),
    row(
        "made-at-another-create",
        |world, observed| {
            updated(world, observed);
            made_at_create(observed, CREATED + 31);
        },
        genuine,
        Outcome::Record,
        None,
    ),
    row(
        "mark-missing",
        |world, _| world.restarted_for = String::new(),
        genuine,
        Outcome::Restart,
        Some(CauseKind::RolledBack),
    ),
    row(
        "mark-older",
        |world, _| world.restarted_for = "older".to_owned(),
        genuine,
        Outcome::Restart,
        Some(CauseKind::RolledBack),
    ),
    row(
        "reference-dropped",
        |_, observed| {
            observed.entries.insert(t(), Entry::Unknown);
        },
        genuine,
        Outcome::Record,
        None,
    ),
    row(
        "changed-beside-absent-required",
        |world, observed| beside_absent(world, observed, Required),
        genuine,
        Outcome::Wait,
        Some(CauseKind::Updated),
    ),
    row(
        "changed-beside-absent-optional",
        |world, observed| beside_absent(world, observed, Optional),
        genuine,
        Outcome::Restart,
        Some(CauseKind::Updated),
    ),
    row(
        "changed-beside-older-version",
        |world, observed| {
            beside_absent(world, observed, Optional);
            world.set(&t(), Live::Present(version(&t(), "T", 8, X)));
        },
        genuine,
        Outcome::Undecided(Doubt::Behind),
        None,
    ),
    row(
        "rolled-back-beside-absent-required",
        |world, observed| {
            beside_absent(world, observed, Required);
            world.set(&s(), Live::Present(v("A", 10, X)));
            world.restarted_for = "older".to_owned();
        },
        genuine,
        Outcome::Wait,
        Some(CauseKind::RolledBack),
    ),
];

#[test]
fn every_row_decides_as_it_says() {
    for row in ROWS {
        let live = Live::Present(v("A", 10, X));
        let mut world = World::new().with(&s(), whole(Required), live);
        let entry = Entry::of(&v("A", 10, X), &whole(Required));
        let mut observed = world.observed([(s(), entry)]);
        (row.given)(&mut world, &mut observed);
        let decision = world.decide((row.known)(&observed));
        let causes: Vec<_> = decision.causes().iter().map(|cause| cause.kind).collect();
        let name = row.name;
        assert_eq!(decision.outcome(), row.outcome, "{name}");
        assert_eq!(causes, Vec::from_iter(row.cause), "{name}");
    }
}

/// Names and decisions of all rows. What waits is said with the cause that is pending.
pub(super) fn outcomes() -> Vec<(&'static str, String)> {
    let rows = ROWS.iter();
    rows.map(|row| (row.name, said(row.outcome, row.cause)))
        .collect()
}
