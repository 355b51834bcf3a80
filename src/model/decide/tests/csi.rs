//! The rows for what many objects show together.

use super::{super::*, document::said};
use crate::model::{
    observed::Entry,
    observed::LIMIT,
    policy::OnDelete,
    source::Need,
    testing::*,
    version::{Shows, Version},
};

fn class() -> SourceName {
    SourceName::secret_provider_class("vault")
}

fn shown(rv: u64, object: &str) -> Version {
    version(&class(), "", rv, &[("a", object)])
}

fn started(rv: u64, object: &str) -> Live {
    let mut version = shown(rv, object);
    version.shows = Shows::Started;
    Live::Present(version)
}

fn seen(rv: u64, object: &str) -> Entry {
    Entry::of(&shown(rv, object), &whole(Need::Required))
}

/// A name, what was observed, what is there, what follows, and what is observed then.
type Row = (&'static str, Option<Entry>, Live, Outcome, Option<Entry>);

fn rows() -> [Row; 17] {
    use Outcome::{Keep, Record, Restart};
    let x = || Some(seen(5, "x"));
    let waiting = || Some(Entry::Waiting);
    let rotated = |rv, object| Live::Present(shown(rv, object));
    let unshown = || Live::Present(Version::unclear());
    let unsynced = Outcome::Undecided(Doubt::Unsynced);
    [
        // Whether the cluster has any is not known yet.
        ("class-unsynced", None, Live::Unsynced, unsynced, None),
        // There is no list, as where the kind is not served.
        ("class-new-kind-not-served", None, NEVER, Keep, None),
        ("class-seen-kind-not-served", x(), NEVER, Keep, x()),
        (
            "class-waiting-kind-not-served",
            waiting(),
            NEVER,
            Keep,
            waiting(),
        ),
        ("class-new-not-mounted", None, unshown(), Record, waiting()),
        (
            "class-waiting-not-mounted",
            waiting(),
            unshown(),
            Keep,
            waiting(),
        ),
        ("class-seen-not-mounted", x(), unshown(), Keep, x()),
        // Adoption.
        ("class-new-rotated", None, rotated(5, "x"), Record, x()),
        ("class-new-mounted", None, started(5, "x"), Record, x()),
        (
            "class-unknown-rotated",
            Some(Entry::Unknown),
            rotated(5, "x"),
            Record,
            x(),
        ),
        // The first pod; and one that came and was rotated before reroll looked.
        (
            "class-waiting-mounted",
            waiting(),
            started(5, "x"),
            Record,
            x(),
        ),
        (
            "class-waiting-rotated",
            waiting(),
            rotated(5, "x"),
            Restart,
            x(),
        ),
        ("class-rotated-same", x(), rotated(9, "x"), Keep, x()),
        (
            "class-rotated-changed",
            x(),
            rotated(9, "y"),
            Restart,
            Some(seen(9, "y")),
        ),
        (
            "class-new-pod-changed",
            x(),
            started(9, "y"),
            Record,
            Some(seen(9, "y")),
        ),
        // The newest status is gone.
        ("class-older-rotated", x(), rotated(4, "w"), Keep, x()),
        ("class-older-mounted", x(), started(4, "w"), Keep, x()),
    ]
}

fn cause(outcome: Outcome) -> Option<CauseKind> {
    (outcome == Outcome::Restart).then_some(CauseKind::Updated)
}

/// Names and decisions of all rows.
pub(super) fn outcomes() -> Vec<(&'static str, String)> {
    let rows = rows().into_iter();
    rows.map(|(name, _, _, outcome, _)| (name, said(outcome, cause(outcome))))
        .collect()
}

#[test]
fn what_follows() {
    for on_delete in [OnDelete::Wait, OnDelete::Restart] {
        for (name, entry, live, outcome, next) in rows() {
            let world = World::new().with(&class(), whole(Need::Required), live);
            let world = world.on_delete(on_delete);
            let observed = world.observed(entry.map(|entry| (class(), entry)));
            let decision = world.decide(Known::Observed(&observed));
            assert_eq!(decision.outcome(), outcome, "{name}");
            let causes: Vec<_> = decision.causes().iter().map(|cause| cause.kind).collect();
            assert_eq!(causes, Vec::from_iter(cause(outcome)), "{name}");
            let found = decision
                .next()
                .map(|next| next.entries.get(&class()).cloned());
            assert_eq!(found.flatten(), next, "{name}");
            let unsynced = outcome == Outcome::Undecided(Doubt::Unsynced);
            assert!(decision.missing().len() <= usize::from(unsynced), "{name}");
        }
    }
}

#[test]
fn it_holds_nobody_else_up() {
    let secret = SourceName::secret("db");
    for live in [NEVER, Live::Present(Version::unclear())] {
        let world = World::new()
            .with(&class(), whole(Need::Required), live)
            .with(
                &secret,
                whole(Need::Required),
                Live::Present(version(&secret, "A", 7, &[("k", "new")])),
            );
        let old = Entry::of(
            &version(&secret, "A", 6, &[("k", "old")]),
            &whole(Need::Required),
        );
        let observed = world.observed([(secret.clone(), old), (class(), seen(5, "x"))]);
        let decision = world.decide(Known::Observed(&observed));
        assert_eq!(decision.outcome(), Outcome::Restart);
        assert_eq!(
            decision.next().cloned().unwrap().entries[&class()],
            seen(5, "x")
        );
    }
}

#[test]
fn it_stays_apart_from_many() {
    let mut world = World::new().with(&class(), whole(Need::Required), started(5, "x"));
    for number in 0..300 {
        let secret = SourceName::secret(format!("secret-with-a-name-that-takes-room-{number}"));
        let live = version(&secret, "A", 7, &[("k", "v")]);
        world = world.with(&secret, whole(Need::Required), Live::Present(live));
    }
    let adopted = world.decide(Known::Nothing).next().cloned().unwrap();
    assert!(adopted.fold.is_some() && adopted.print(&key()).len() <= LIMIT);
    assert_eq!(adopted.entries.keys().collect::<Vec<_>>(), [&class()]);
    world.set(&class(), Live::Present(Version::unclear()));
    assert_eq!(
        world.decide(Known::Observed(&adopted)).outcome(),
        Outcome::Keep
    );
    world.set(&class(), Live::Present(shown(9, "y")));
    let decision = world.decide(Known::Observed(&adopted));
    assert_eq!(decision.outcome(), Outcome::Restart);
    assert_eq!(
        decision.causes()[0].to_string(),
        "SecretProviderClass vault was updated"
    );
}

#[test]
fn another_digest_key_restarts_nothing() {
    let world = World::new().with(
        &class(),
        whole(Need::Required),
        Live::Present(shown(9, "x")),
    );
    let observed = world.observed([(class(), seen(5, "other"))]);
    let decision = world.decide(Known::OtherKey(&observed));
    assert_eq!(decision.outcome(), Outcome::Record);
    assert_eq!(
        decision.next().cloned().unwrap().entries[&class()],
        seen(9, "x")
    );
}
