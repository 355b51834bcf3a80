//! The rows for what many objects show together.

use super::super::*;
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

/// What was observed, what is there, what follows, and what is observed then.
type Row = (Option<Entry>, Live, Outcome, Option<Entry>);

#[test]
fn what_follows() {
    use Outcome::{Keep, Record, Restart};
    let rotated = |rv, object| Live::Present(shown(rv, object));
    let nobody = || Live::Present(Version::unclear());
    let rows: Vec<Row> = vec![
        // Not asked for yet whether the cluster has any.
        (
            None,
            Live::Unsynced,
            Outcome::Undecided(Doubt::Unsynced),
            None,
        ),
        // No list, as where the kind is not served.
        (None, NEVER, Keep, None),
        (Some(seen(5, "x")), NEVER, Keep, Some(seen(5, "x"))),
        (Some(Entry::Waiting), NEVER, Keep, Some(Entry::Waiting)),
        (None, nobody(), Record, Some(Entry::Waiting)),
        (Some(Entry::Waiting), nobody(), Keep, Some(Entry::Waiting)),
        (Some(seen(5, "x")), nobody(), Keep, Some(seen(5, "x"))),
        // Adoption.
        (None, rotated(5, "x"), Record, Some(seen(5, "x"))),
        (None, started(5, "x"), Record, Some(seen(5, "x"))),
        (
            Some(Entry::Unknown),
            rotated(5, "x"),
            Record,
            Some(seen(5, "x")),
        ),
        // The first pod; and one that came and was rotated before anybody looked.
        (
            Some(Entry::Waiting),
            started(5, "x"),
            Record,
            Some(seen(5, "x")),
        ),
        (
            Some(Entry::Waiting),
            rotated(5, "x"),
            Restart,
            Some(seen(5, "x")),
        ),
        (
            Some(seen(5, "x")),
            rotated(9, "x"),
            Keep,
            Some(seen(5, "x")),
        ),
        (
            Some(seen(5, "x")),
            rotated(9, "y"),
            Restart,
            Some(seen(9, "y")),
        ),
        (
            Some(seen(5, "x")),
            started(9, "y"),
            Record,
            Some(seen(9, "y")),
        ),
        // The newest status is gone.
        (
            Some(seen(5, "x")),
            rotated(4, "w"),
            Keep,
            Some(seen(5, "x")),
        ),
        (
            Some(seen(5, "x")),
            started(4, "w"),
            Keep,
            Some(seen(5, "x")),
        ),
    ];
    for on_delete in [OnDelete::Wait, OnDelete::Restart] {
        for (entry, live, outcome, next) in &rows {
            let world = World::new().with(&class(), whole(Need::Required), live.clone());
            let world = world.on_delete(on_delete);
            let observed = world.observed(entry.clone().map(|entry| (class(), entry)));
            let decision = world.decide(Known::Observed(&observed));
            let what = format!("{entry:?} {live:?}");
            assert_eq!(decision.outcome(), *outcome, "{what}");
            let found = decision
                .next()
                .map(|next| next.entries.get(&class()).cloned());
            assert_eq!(found.flatten(), *next, "{what}");
            assert!(
                decision.missing().len()
                    <= usize::from(*outcome == Outcome::Undecided(Doubt::Unsynced))
            );
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
