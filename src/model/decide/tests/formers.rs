//! What a template drops and gains again, and what it gains while the webhook is away.

use super::{document::said, *};
use crate::model::{
    format::{FORMAT, FORMER_FORMAT},
    observed::{FORMER_LIMIT, Formers, LIMIT, Reading, Unrecorded},
    workload::OlderPods,
};
use Need::Required;

const X: &[(&str, &str)] = &[("k", "x"), ("l", "x")];
const Y: &[(&str, &str)] = &[("k", "y"), ("l", "x")];

fn t() -> SourceName {
    SourceName::secret("t")
}

/// A workload that used `s` so, and whose rollout to a template that uses `t` hangs.
pub(super) fn dropped(usage: &Usage, live: Live) -> (World, Observed) {
    let mut world = World::new().with(&s(), usage.clone(), live);
    let before = world.decide(Known::Nothing).next().cloned().unwrap();
    world.template_before = Some(world.uses.clone());
    world.uses.clear();
    world = world.with(
        &t(),
        whole(Required),
        Live::Present(version(&t(), "T", 9, X)),
    );
    world.older = OlderPods::Left;
    let decision = world.decide(Known::Observed(&before));
    assert_eq!(decision.outcome(), Outcome::Record);
    world.template_before = None;
    (world, decision.next().cloned().unwrap())
}

/// What a row of a table changes in its world.
type Given = fn(World) -> World;

/// Rows for a template that regains what it dropped: what exists then, and what follows.
fn regained() -> [(&'static str, Live, Given, Outcome, Option<CauseKind>); 6] {
    let content = |world: World| world.on_recreate(OnRecreate::Content);
    let as_it_is = |world: World| world;
    let present = |uid, rv, data| Live::Present(v(uid, rv, data));
    let behind = Outcome::Undecided(Doubt::Behind);
    let (updated, recreated) = (Some(CauseKind::Updated), Some(CauseKind::Recreated));
    let (record, restart) = (Outcome::Record, Outcome::Restart);
    [
        ("regained-same", present("A", 10, X), as_it_is, record, None),
        (
            "regained-data-changed",
            present("A", 11, Y),
            as_it_is,
            restart,
            updated,
        ),
        (
            "regained-recreated",
            present("B", 11, X),
            as_it_is,
            restart,
            recreated,
        ),
        (
            "regained-recreated-content-decides",
            present("B", 11, X),
            content,
            record,
            None,
        ),
        ("regained-absent", GONE, as_it_is, Outcome::Wait, None),
        (
            "regained-older-version",
            present("A", 9, X),
            as_it_is,
            behind,
            None,
        ),
    ]
}

/// Names and decisions of all rows.
pub(super) fn outcomes() -> Vec<(&'static str, String)> {
    let regained = regained().map(|(name, _, _, outcome, cause)| (name, said(outcome, cause)));
    let gained = GAINED.map(|(name, _, outcome)| (name, gained_said(outcome)));
    regained.into_iter().chain(gained).collect()
}

#[test]
fn what_is_regained_is_compared_like_any_other() {
    let usage = keyed(&[("k", Required)]);
    for (name, live, given, outcome, cause) in regained() {
        let (world, before) = dropped(&usage, Live::Present(v("A", 10, X)));
        assert_eq!(before.format, FORMER_FORMAT, "{name}");
        let world = given(world.with(&s(), usage.clone(), live));
        let decision = world.decide(Known::Observed(&before));
        let causes: Vec<_> = decision.causes().iter().map(|cause| cause.kind).collect();
        assert_eq!(
            (decision.outcome(), causes),
            (outcome, cause.into_iter().collect()),
            "{name}"
        );
        if let Some(next) = decision.next() {
            assert!(next.formers.is_empty(), "{name}: {next:?}");
            assert_eq!(next.format, FORMAT, "{name}");
            assert!(next.entries.contains_key(&s()), "{name}");
        }
    }
}

#[test]
fn a_key_is_former_by_itself() {
    let (k, l) = (keyed(&[("k", Required)]), keyed(&[("l", Required)]));
    let mut world = World::new().with(&s(), k.clone(), Live::Present(v("A", 10, X)));
    let before = world.decide(Known::Nothing).next().cloned().unwrap();
    world.older = OlderPods::Left;
    world = world.with(&s(), l.clone(), Live::Present(v("A", 10, X)));
    let before = world
        .decide(Known::Observed(&before))
        .next()
        .cloned()
        .unwrap();
    assert_eq!(before.formers.iter().count(), 1);
    // What is dropped does not count while it is dropped.
    world = world.with(&s(), l, Live::Present(v("A", 11, Y)));
    assert_eq!(
        world.decide(Known::Observed(&before)).outcome(),
        Outcome::Keep
    );
    world = world.with(&s(), k.clone(), Live::Present(v("A", 11, Y)));
    let decision = world.decide(Known::Observed(&before));
    assert_eq!(decision.causes()[0].keys, ["k"]);
    // Under another uid than the entry it is of an object that is gone.
    let both = keyed(&[("k", Required), ("l", Required)]);
    let now = Entry::of(&v("B", 12, X), &keyed(&[("l", Required)]));
    let mixed = Observed {
        entries: Entries::from_iter([(s(), now)]),
        ..before
    };
    let world = world.with(&s(), both, Live::Present(v("B", 12, X)));
    let decision = world.decide(Known::Observed(&mixed));
    assert_eq!(decision.causes()[0].keys, ["k"]);
}

#[test]
fn absent_ones_are_former_too() {
    for (started, entry, outcome) in [
        (true, Entry::Unknown, Outcome::Restart),
        (false, Entry::Waiting, Outcome::Record),
    ] {
        let mut world = World::new().with(&s(), whole(Required), GONE);
        world.started = Some(started);
        let before = world.decide(Known::Nothing).next().cloned().unwrap();
        assert_eq!(before.entries.get(&s()), Some(&entry));
        world.uses.clear();
        world.older = OlderPods::Left;
        let before = world
            .decide(Known::Observed(&before))
            .next()
            .cloned()
            .unwrap();
        let world = world.with(&s(), whole(Required), Live::Present(v("A", 10, X)));
        let decision = world.decide(Known::Observed(&before));
        assert_eq!(decision.outcome(), outcome, "{entry:?}");
    }
}

#[test]
fn what_makes_no_former() {
    let usage = whole(Required);
    let live = || Live::Present(v("A", 10, X));
    let observed = || {
        let world = World::new().with(&s(), usage.clone(), live());
        world.decide(Known::Nothing).next().cloned().unwrap()
    };
    let after = |change: &dyn Fn(&mut World)| {
        let mut world = World::new();
        world.older = OlderPods::Left;
        world.live.insert(s(), live());
        change(&mut world);
        let decision = world.decide(Known::Observed(&observed()));
        decision.next().cloned().unwrap().formers
    };
    let refers = References::from_iter([(s(), usage.clone())]);
    assert!(!after(&|_| {}).is_empty(), "the template dropped it");
    let opt_in = after(&|world| world.template = Some(refers.clone()));
    assert!(opt_in.is_empty(), "the opt-in dropped it: {opt_in:?}");
    let named = after(&|world| {
        world.template_before = Some(References::new());
        world.used_before = Some(refers.clone());
    });
    assert!(named.is_empty(), "only the opt-in named it: {named:?}");
    for older in [OlderPods::Gone, OlderPods::NoPods] {
        let gone = after(&|world| world.older = older);
        assert!(gone.is_empty(), "no pod has it: {gone:?}");
    }
    let untold = after(&|world| world.older = OlderPods::Untold);
    assert!(!untold.is_empty());
}

#[test]
fn a_former_goes_with_the_next_write_and_by_none_of_its_own() {
    let (mut world, before) = dropped(&whole(Required), Live::Present(v("A", 10, X)));
    world.older = OlderPods::Gone;
    let decision = world.decide(Known::Observed(&before));
    assert_eq!(decision.outcome(), Outcome::Keep);
    assert_eq!(decision.next(), Some(&before), "nothing is written");
    // It does not count any more.
    let regained = world
        .clone()
        .with(&s(), whole(Required), Live::Present(v("A", 11, Y)));
    let decision = regained.decide(Known::Observed(&before));
    assert_eq!(decision.outcome(), Outcome::Record);
    assert!(decision.next().cloned().unwrap().formers.is_empty());
    world.set(&t(), Live::Present(version(&t(), "T", 20, Y)));
    let decision = world.decide(Known::Observed(&before));
    assert_eq!(decision.outcome(), Outcome::Restart);
    let next = decision.next().unwrap();
    assert!(next.formers.is_empty());
    assert_eq!(next.format, FORMAT);
}

#[test]
fn a_fresh_mark_ends_what_is_former() {
    let (mut world, before) = dropped(&whole(Required), Live::Present(v("A", 10, X)));
    world.set(&t(), Live::Present(version(&t(), "T", 20, Y)));
    let decision = world.decide(Known::Observed(&before));
    assert_eq!(decision.outcome(), Outcome::Restart);
    assert!(decision.next().cloned().unwrap().formers.is_empty());
}

/// When the oldest pod was made that uses these keys of `s`.
fn ages(made: &[(&str, i64)]) -> Ages {
    let made = made.iter().map(|(key, made)| ((*key).to_owned(), *made));
    Ages::from([(s(), made.collect())])
}

/// A row: its name, what it changes in its world, and what follows.
type Gained = (&'static str, fn(&mut World), Outcome);

/// Rows for a template that gained key `k` of `s`, which was written at 100, while the webhook was away.
const GAINED: [Gained; 7] = [
    (
        "gained-pods-not-known",
        |_| {},
        Outcome::Undecided(Doubt::AskAges),
    ),
    (
        "gained-written-after-oldest-pod",
        |w| w.ages = Some(ages(&[("k", 99)])),
        Outcome::Restart,
    ),
    (
        "gained-written-in-same-second",
        |w| w.ages = Some(ages(&[("k", 100)])),
        Outcome::Record,
    ),
    (
        "gained-pods-use-another-key",
        |w| w.ages = Some(ages(&[("l", 1)])),
        Outcome::Record,
    ),
    (
        "gained-used-by-no-pod",
        |w| w.ages = Some(Ages::new()),
        Outcome::Record,
    ),
    (
        "gained-named-by-opt-in",
        |w| w.template = Some(References::new()),
        Outcome::Record,
    ),
    (
        "gained-by-wider-opt-in",
        |w| w.widened = Some([s()].into()),
        Outcome::Record,
    ),
];

fn gained_said(outcome: Outcome) -> String {
    said(
        outcome,
        (outcome == Outcome::Restart).then_some(CauseKind::Updated),
    )
}

#[test]
fn what_is_gained_while_the_webhook_is_away_is_adopted_where_it_is_older_than_its_pods() {
    let usage = keyed(&[("k", Required)]);
    let mut live = v("A", 10, X);
    live.written = 100;
    let one = || {
        let mut world = World::new().with(&s(), usage.clone(), Live::Present(live.clone()));
        world.ages = None;
        world
    };
    for (name, given, outcome) in GAINED {
        let mut world = one();
        given(&mut world);
        let before = world.observed([]);
        let decision = world.decide(Known::Observed(&before));
        let cause = decision.causes().first().map(|cause| cause.kind);
        assert_eq!(
            said(decision.outcome(), cause),
            gained_said(outcome),
            "{name}"
        );
    }
    let nothing = one().decide(Known::Nothing);
    assert_eq!(nothing.outcome(), Outcome::Record, "everything is adopted");
    // A key of what is used already.
    let both = keyed(&[("k", Required), ("l", Required)]);
    for (made, outcome) in [(99, Outcome::Restart), (100, Outcome::Record)] {
        let mut world = World::new().with(&s(), both.clone(), Live::Present(live.clone()));
        let before = world.observed([(s(), Entry::of(&live, &usage))]);
        world.ages = None;
        let ask = Outcome::Undecided(Doubt::AskAges);
        assert_eq!(world.decide(Known::Observed(&before)).outcome(), ask);
        world.ages = Some(ages(&[("k", 1), ("l", made)]));
        let decision = world.decide(Known::Observed(&before));
        assert_eq!(decision.outcome(), outcome);
        if outcome == Outcome::Restart {
            assert_eq!(decision.causes()[0].keys, ["l"]);
        }
    }
}

#[test]
fn under_a_note_whatever_is_gained_counts_as_changed() {
    let mut world = World::new();
    world.older = OlderPods::Left;
    let mut before = world.observed([]);
    before.formers = Formers::none().noting(Unrecorded::More);
    let mut world = world.with(&s(), whole(Required), Live::Present(v("A", 10, X)));
    let decision = world.decide(Known::Observed(&before));
    assert_eq!(decision.outcome(), Outcome::Restart);
    let next = world.carry_out(&decision);
    assert!(next.formers.is_empty());
    let decision = world.decide(Known::Observed(&next));
    assert_eq!(decision.outcome(), Outcome::Keep);
}

/// A source as long names make it, of which one template after the other uses another.
fn numbered_source(number: usize) -> SourceName {
    SourceName::config_map(format!("settings-of-the-shop-{number:08}"))
}

#[test]
fn two_hundred_deploys_keep_within_the_bounds_and_fold_nothing() {
    let of = |number: usize| {
        let source = numbered_source(number);
        let uid = format!("0f4a1d0e-6f39-4c43-a1f5-{number:012}");
        Live::Present(version(&source, &uid, 1000, X))
    };
    let mut world = World::new();
    world.older = OlderPods::Left;
    // As much that stays as fits without any former one.
    for number in 0..85 {
        let stays = SourceName::secret(format!("stays-{number:08}"));
        let live = version(&stays, "0f4a1d0e-6f39-4c43-a1f5-123456789012", 1000, X);
        world = world.with(&stays, whole(Required), Live::Present(live));
    }
    let mut observed = world.decide(Known::Nothing).next().cloned().unwrap();
    let stays = observed.entries.clone();
    assert_eq!((stays.len(), observed.fold.is_none()), (85, true));
    for number in 0..200 {
        if number > 0 {
            world.uses.remove(&numbered_source(number - 1));
        }
        world = world.with(&numbered_source(number), whole(Required), of(number));
        let decision = world.decide(Known::Observed(&observed));
        // Under the note what is gained counts as changed, which ends what is former.
        let noted = observed.formers.unrecorded() == Unrecorded::More;
        let expected = if noted {
            Outcome::Restart
        } else {
            Outcome::Record
        };
        assert_eq!(decision.outcome(), expected, "{number}");
        observed = world.carry_out(&decision);
        let text = observed.print(&key());
        let mut without = observed.clone();
        without.formers = Formers::none();
        let formers = text.len() - without.print(&key()).len();
        assert!(text.len() <= LIMIT, "{number}: {}", text.len());
        assert!(formers <= FORMER_LIMIT, "{number}: {formers}");
        assert!(observed.fold.is_none(), "{number}");
        for (source, entry) in &stays {
            assert_eq!(observed.entries.get(source), Some(entry), "{number}");
        }
        assert_eq!(
            Observed::read(&text, &key()),
            Reading::Genuine(observed.clone())
        );
    }
}

#[test]
fn what_the_opt_in_leaves_out_stays_former_and_is_judged_by_the_age_of_pods() {
    let (mut world, before) = dropped(&whole(Required), Live::Present(v("A", 10, X)));
    // The old template is back, and the opt-in that went with the new one is not.
    let uses = world.uses.clone();
    let mut both = uses.clone();
    both.insert(s(), whole(Required));
    world.template = Some(both.clone());
    world.older = OlderPods::Gone;
    let decision = world.decide(Known::Observed(&before));
    assert_eq!(decision.outcome(), Outcome::Keep);
    assert_eq!(decision.next(), Some(&before));
    // A pod of the template between is made after all, and goes again.
    world.older = OlderPods::Left;
    world.formers_gone = true;
    let decision = world.decide(Known::Observed(&before));
    assert_eq!(decision.outcome(), Outcome::Keep);
    assert_eq!(decision.next(), Some(&before));
    (world.older, world.formers_gone) = (OlderPods::Gone, false);
    // It comes back, too.
    let mut now = v("A", 11, Y);
    now.written = 100;
    let mut world = world.with(&s(), whole(Required), Live::Present(now));
    world.widened = Some([s()].into());
    for (made, outcome) in [
        (None, Outcome::Undecided(Doubt::AskAges)),
        (Some(99), Outcome::Restart),
        (Some(100), Outcome::Record),
    ] {
        let ages = |made| Ages::from([(s(), [("*".to_owned(), made)].into_iter().collect())]);
        world.ages = made.map(ages);
        let decision = world.decide(Known::Observed(&before));
        assert_eq!(decision.outcome(), outcome, "{made:?}");
        assert!(decision.next().is_none_or(|next| next.formers.is_empty()));
    }
    // What it has missed stays missed, whatever is recorded before the restart.
    world.ages = Some(Ages::from([(
        s(),
        [("*".to_owned(), 99)].into_iter().collect(),
    )]));
    let held = world.meanwhile(before.clone());
    assert_ne!(held, before);
    assert_eq!(updated(&world, &held, Outcome::Restart), [s()]);
    let lacks = SourceName::secret("r");
    let mut world = world.with(&lacks, whole(Required), GONE);
    let waits = world.decide(Known::Observed(&before));
    let next = world.carry_out(&waits);
    assert_eq!(updated(&world, &next, Outcome::Wait), [s()]);
}

/// Returns the sources that changed, as is found out from what was observed.
fn updated(world: &World, observed: &Observed, outcome: Outcome) -> Vec<SourceName> {
    let decision = world.decide(Known::Observed(observed));
    assert_eq!(decision.outcome(), outcome, "{decision:?}");
    let causes = decision.causes().iter();
    let updated = causes.filter(|cause| cause.kind == CauseKind::Updated);
    updated.filter_map(|cause| cause.source.clone()).collect()
}
