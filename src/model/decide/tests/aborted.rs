//! An aborted Argo Rollout: the stable pods serve, and what their template alone names counts.

use super::{document::said, formers::dropped, *};
use crate::model::{
    annotation::RESTART_ON,
    policy::{Defaults, Policy},
};
use Need::{Optional, Required};

const X: &[(&str, &str)] = &[("k", "x"), ("l", "x")];
const Y: &[(&str, &str)] = &[("k", "y"), ("l", "x")];

/// A row: its name, how the template that was aborted used the former source, what exists of it, what else is so, and what
/// follows.
struct Row {
    name: &'static str,
    /// Keys by name, or the whole.
    usage: Usage,
    had: Live,
    live: Live,
    given: fn(World) -> World,
    outcome: Outcome,
    cause: Option<CauseKind>,
}

fn row(name: &'static str, live: Live, outcome: Outcome, cause: Option<CauseKind>) -> Row {
    Row {
        name,
        usage: keyed(&[("k", Required)]),
        had: Live::Present(v("A", 10, X)),
        live,
        given: |world| world,
        outcome,
        cause,
    }
}

fn excluding(mut world: World) -> World {
    let asks = [(RESTART_ON.to_owned(), "auto,!secret/s".to_owned())];
    world.policy = Policy::read(&asks.into_iter().collect(), Defaults::default()).0;
    world
}

fn rows() -> Vec<Row> {
    let present = |uid, rv, data| Live::Present(v(uid, rv, data));
    let (updated, recreated) = (Some(CauseKind::Updated), Some(CauseKind::Recreated));
    let (keep, record, restart) = (Outcome::Keep, Outcome::Record, Outcome::Restart);
    let wait = Outcome::Wait;
    vec![
        row("aborted-former-same", present("A", 10, X), keep, None),
        row(
            "aborted-former-changed",
            present("A", 11, Y),
            restart,
            updated,
        ),
        row(
            "aborted-former-recreated",
            present("B", 11, X),
            restart,
            recreated,
        ),
        Row {
            given: |world| world.on_recreate(OnRecreate::Content),
            ..row(
                "aborted-former-recreated-content-decides",
                present("B", 11, X),
                record,
                None,
            )
        },
        row("aborted-former-absent", GONE, wait, None),
        Row {
            given: |world| world.on_delete(OnDelete::Restart),
            ..row("aborted-former-absent-on-delete-restart", GONE, wait, None)
        },
        row(
            "aborted-former-lacks-key",
            present("A", 11, &[("l", "x")]),
            wait,
            None,
        ),
        Row {
            usage: keyed(&[("l", Required)]),
            ..row(
                "aborted-former-other-key-changed",
                present("A", 11, Y),
                keep,
                None,
            )
        },
        Row {
            usage: whole(Optional),
            had: GONE,
            ..row(
                "aborted-former-unknown-appears",
                present("A", 11, X),
                restart,
                Some(CauseKind::Created),
            )
        },
        Row {
            given: excluding,
            ..row(
                "aborted-former-not-selected",
                present("A", 11, Y),
                keep,
                None,
            )
        },
        Row {
            given: |mut world| {
                world.aborted = false;
                world
            },
            ..row("former-changed", present("A", 11, Y), keep, None)
        },
    ]
}

/// Names and decisions of all rows.
pub(super) fn outcomes() -> Vec<(&'static str, String)> {
    let rows = rows().into_iter();
    rows.map(|row| (row.name, said(row.outcome, row.cause)))
        .collect()
}

#[test]
fn what_serves_counts_like_what_is_used() {
    for row in rows() {
        let (mut world, before) = dropped(&row.usage, row.had);
        world.aborted = true;
        world.set(&s(), row.live);
        let world = (row.given)(world);
        let decision = world.decide(Known::Observed(&before));
        let causes: Vec<_> = decision.causes().iter().map(|cause| cause.kind).collect();
        assert_eq!(
            (decision.outcome(), causes),
            (row.outcome, row.cause.into_iter().collect()),
            "{}",
            row.name
        );
        let next = decision.next().unwrap();
        assert_eq!(next.formers.iter().count(), 1, "{}: {next:?}", row.name);
    }
}

/// A restart by time reaches the pods of all templates: what is former is recorded as it is, and is compared as such
/// when the stable template is back.
#[test]
fn a_restart_advances_what_is_former() {
    for (now, outcome) in [
        (v("A", 11, Y), Outcome::Record),
        (v("A", 12, X), Outcome::Restart),
    ] {
        let usage = keyed(&[("k", Required)]);
        let (mut world, before) = dropped(&usage, Live::Present(v("A", 10, X)));
        world.aborted = true;
        world.set(&s(), Live::Present(v("A", 11, Y)));
        let decision = world.decide(Known::Observed(&before));
        let before = world.carry_out(&decision);
        assert_eq!(
            world.decide(Known::Observed(&before)).outcome(),
            Outcome::Keep,
            "once"
        );
        world.aborted = false;
        let world = world.with(&s(), usage, Live::Present(now));
        assert_eq!(world.decide(Known::Observed(&before)).outcome(), outcome);
    }
}

/// What pods of the stable template need and is absent holds up a restart for anything else.
#[test]
fn what_serving_pods_need_holds_a_restart_up() {
    let (mut world, before) = dropped(&whole(Required), Live::Present(v("A", 10, X)));
    world.set(&s(), GONE);
    let t = SourceName::secret("t");
    world.set(&t, Live::Present(version(&t, "T", 20, Y)));
    assert_eq!(
        world.decide(Known::Observed(&before)).outcome(),
        Outcome::Restart
    );
    world.aborted = true;
    let decision = world.decide(Known::Observed(&before));
    assert_eq!(decision.outcome(), Outcome::Wait);
    assert_eq!(decision.causes().len(), 1, "it is pending");
}

/// A source of which one key is used and another is former has one cause.
#[test]
fn a_source_that_is_used_and_former_has_one_cause() {
    let (k, l) = (keyed(&[("k", Required)]), keyed(&[("l", Required)]));
    let mut world = World::new().with(&s(), k, Live::Present(v("A", 10, X)));
    let before = world.decide(Known::Nothing).next().cloned().unwrap();
    world.older = crate::model::workload::OlderPods::Left;
    world.aborted = true;
    let world = world.with(&s(), l.clone(), Live::Present(v("A", 10, X)));
    let decision = world.decide(Known::Observed(&before));
    let before = decision.next().cloned().unwrap();
    assert_eq!(before.formers.iter().count(), 1);
    let world = world.with(&s(), l, Live::Present(v("B", 11, X)));
    let decision = world.decide(Known::Observed(&before));
    assert_eq!(decision.outcome(), Outcome::Restart);
    assert_eq!(decision.causes().len(), 1, "{:?}", decision.causes());
}
