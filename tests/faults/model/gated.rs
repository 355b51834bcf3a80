//! People hold restarts by suspension and windows, give an order by waves, and let single ones go. What is held restarts once when
//! it is let go, for all that changed meanwhile; an order and slow start put restarts off, and no more.
//!
//! Only workloads without pods are held: nobody of a higher wave waits for these. Only those with pods are waited for, and of
//! these nothing but sources changes, so that each becomes complete.

use std::collections::BTreeSet;

use fastrand::Rng;
use jiff::{Timestamp, ToSpan as _, tz::TimeZone};
use reroll_harness::{Arena, Reroll, WAVE, WINDOW, eventually};
use serde_json::{Value, json};

use super::{
    Drawn, SMALL, Size, begin_with, one_round,
    rounds::{self, restore},
    steps::{Draw, During, Step},
    storm::Watches,
    world::World,
};
use crate::MACHINE;

const SUSPEND: &str = "reroll.dev/suspend";
const UNREADABLE: &str = "at night";

/// How many rounds there are; in the third and the sixth reroll is killed.
const ROUNDS: usize = 6;

const GATED: Size = Size {
    sources: 60,
    running: 24,
    in_a_round: 30,
    gates: true,
    ..SMALL
};

/// When a person says that a workload may be restarted.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Gate {
    /// Not before somebody takes that away.
    Suspended,
    /// Not for the next two days.
    Closed,
    /// Nobody knows when.
    Unreadable,
    /// At any time of the week.
    Open,
    /// Nothing is said any more.
    Away,
}

impl Gate {
    const ALL: [Self; 5] = [
        Self::Suspended,
        Self::Closed,
        Self::Unreadable,
        Self::Open,
        Self::Away,
    ];

    /// What a merge patch sets and takes away.
    pub fn annotations(self) -> Value {
        let (suspend, window) = match self {
            Self::Suspended => (Some("INC-42"), None),
            Self::Closed => (None, Some(closed())),
            Self::Unreadable => (None, Some(UNREADABLE.to_owned())),
            Self::Open => (Some("no"), Some("Mon-Sun".to_owned())),
            Self::Away => (None, None),
        };
        json!({ SUSPEND: suspend, WINDOW: window })
    }
}

/// Returns a window that does not open for two days.
#[expect(clippy::disallowed_methods, reason = "a person has a clock")]
fn closed() -> String {
    let day = Timestamp::now().to_zoned(TimeZone::UTC).date() + 3.days();
    day.strftime("%a 10:00-11:00").to_string()
}

/// Whether these annotations hold a workload.
pub fn is_closed(annotations: &Value) -> bool {
    let window = annotations[WINDOW].as_str();
    annotations[SUSPEND] == "INC-42" || window.is_some_and(|text| text != "Mon-Sun")
}

impl Draw<'_> {
    /// Something that a person says about when, or in which order, a workload is restarted.
    pub fn gate(&mut self, world: &World, workload: usize) -> Step {
        match self.rng.u8(0..10) {
            0..6 => Step::Gate(workload, self.rng.choice(Gate::ALL).unwrap()),
            6..8 => Step::Wave(workload, self.rng.i64(-2..3)),
            // The webhook makes of it which restart that is.
            _ if self.during == During::Quiet => {
                let held = self
                    .workloads
                    .iter()
                    .copied()
                    .filter(|it| is_held(world, *it));
                let held: Vec<_> = held.collect();
                Step::Release(self.rng.choice(held).unwrap_or(workload))
            }
            _ => Step::Gate(workload, Gate::Away),
        }
    }
}

/// Whether a restart of it is due, and a person holds it.
fn is_held(world: &World, workload: usize) -> bool {
    world.workloads[workload].closed && world.is_pending(workload) && !world.is_held(workload)
}

/// Returns those of these steps that no workload sees two of.
fn apart(world: &World, steps: Vec<Step>) -> Vec<Step> {
    let mut seen = BTreeSet::new();
    let mut is_apart = |step: &Step| {
        let users = match step.target() {
            Ok(source) => world.sources[source].users.clone(),
            Err(workload) => vec![workload],
        };
        let apart = users.iter().all(|user| !seen.contains(user));
        if apart {
            seen.extend(users);
        }
        apart
    };
    steps.into_iter().filter(|step| is_apart(step)).collect()
}

/// Waits until nobody waits for others any more.
pub async fn waits_for_no_other(arena: &Arena, watches: &Watches, reroll: &Reroll) {
    eventually("nobody waits for others", async || {
        watches.recorder.settle(arena).await;
        for reason in ["wave", "slow_start", "spread", "distance"] {
            let name = format!("reroll_workloads_pending{{reason=\"{reason}\"}}");
            (reroll.count(&name).await == 0).then_some(())?;
        }
        Some(())
    })
    .await;
}

/// Holds half of those without pods, and gives those with pods a place in the order.
async fn begins(arena: &Arena, world: &mut World, rng: &mut Rng) {
    let without = (0..world.workloads.len()).filter(|it| !world.workloads[*it].running);
    let without: Vec<_> = without.filter(|_| rng.bool()).collect();
    let gates = [Gate::Suspended, Gate::Closed, Gate::Unreadable];
    let holds = without
        .into_iter()
        .map(|it| Step::Gate(it, rng.choice(gates).unwrap()));
    let holds = holds.map(|step| vec![step]).collect();
    rounds::act_all(arena, world, holds).await;
    for workload in world.workloads.iter().filter(|it| it.running) {
        let wave = rng.i64(-2..3).to_string();
        let (kind, name) = (workload.kind, &workload.name);
        arena.annotate(kind, name, WAVE, Some(&wave)).await;
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_hundred_workloads_do_what_the_model_says_where_people_hold_restarts() {
    let Drawn {
        seed: _seed,
        mut rng,
        mut world,
        planned,
    } = Drawn::new(GATED);

    let _machine = MACHINE.read().await;
    let arena = Arena::new("model-gated").await;
    let watches = Watches::start(&arena).await;
    let builder = arena.reroll().flag("--slow-start", "on");
    let builder = builder.flag("--soak", "1s").flag("--bake", "2s");
    let mut reroll = begin_with(builder, &arena, &mut world, &watches, &planned).await;
    begins(&arena, &mut world, &mut rng).await;
    for number in 1..=ROUNDS {
        let round = (number, GATED);
        reroll = one_round(&arena, &mut world, &mut rng, &watches, reroll, round).await;
    }
    let closed = world.workloads.iter().filter(|it| it.closed).count();
    let held = (0..world.workloads.len()).filter(|it| is_held(&world, *it));
    let held = held.count();
    eprintln!("{closed} are closed, and {held} of them behind");
    assert!(held > 0, "nobody was held");
    // Everything is there, and is let go.
    loop {
        let steps = apart(&world, restore(&world));
        if steps.is_empty() {
            break;
        }
        let steps = steps.into_iter().map(|step| vec![step]).collect();
        rounds::act_all(&arena, &mut world, steps).await;
        waits_for_no_other(&arena, &watches, &reroll).await;
        rounds::expect(&arena, &mut world, &watches, "sources are there").await;
    }
    let all = 0..world.workloads.len();
    let opens = all.filter(|number| world.workloads[*number].closed);
    let opens: Vec<_> = opens
        .map(|number| vec![Step::Gate(number, Gate::Away)])
        .collect();
    rounds::act_all(&arena, &mut world, opens).await;
    waits_for_no_other(&arena, &watches, &reroll).await;
    rounds::expect(&arena, &mut world, &watches, "everything is let go").await;
    let behind = (0..world.workloads.len()).filter(|number| world.is_pending(*number));
    assert_eq!(behind.count(), 0);
}
