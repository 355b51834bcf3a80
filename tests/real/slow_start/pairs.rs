//! Two of all that may hold a restart at a time: each holds, the first in the order is told, and when both are open, in whichever
//! order they were opened, there is one restart.
//!
//! In each namespace one gate holds all, and each of two workloads is held by one more: the *first* is let go by the gate that holds
//! all first, the *last* is let go by that last.

mod budget;

use std::collections::BTreeMap;

use futures::future::join_all;
use reroll_harness::{
    Arena, Offset, RESTART_ON, ROLLOUT, Reroll, WAVE, WINDOW, env, eventually, workload,
};
use serde_json::json;

use super::{
    BAD, Stage, slowly,
    windows::{OPEN, annotate_namespace, closed, now},
};

const SUSPEND: &str = "reroll.dev/suspend";
const SLOW_START: &str = "reroll.dev/slow-start";
/// So long the clock jumps for the first of two distances to be over.
const JUMP: i64 = 450;
/// So long it jumps for the second.
const FAR: i64 = 3500;

/// What holds a restart.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Gate {
    Suspend,
    SuspendNamespace,
    SuspendLease,
    Window,
    WindowNamespace,
    Wave,
    SlowStart,
    Distance,
}

/// A workload that its own gate holds, besides the one that holds all.
#[derive(Clone, Debug)]
struct Held {
    name: String,
    own: Gate,
    /// Whether its own gate is opened before the one that holds all.
    own_first: bool,
}

impl Gate {
    /// How it is counted.
    const fn reason(self) -> &'static str {
        match self {
            Self::Suspend | Self::SuspendNamespace | Self::SuspendLease => "suspended",
            Self::Window | Self::WindowNamespace => "window",
            Self::Wave => "wave",
            Self::SlowStart => "slow_start",
            Self::Distance => "distance",
        }
    }

    /// Whether it is not on the workload, so that it holds whatever else is there, too.
    const fn holds_others(self) -> bool {
        matches!(self, Self::SuspendNamespace | Self::SuspendLease)
    }

    /// Which come after it in the order.
    fn later(self) -> Vec<Self> {
        let all = [Self::Window, Self::Wave, Self::SlowStart, Self::Distance];
        let from = match self {
            Self::Suspend | Self::SuspendNamespace | Self::SuspendLease => 0,
            Self::Window | Self::WindowNamespace => 1,
            Self::Wave => 2,
            Self::SlowStart => 3,
            Self::Distance => 4,
        };
        all[from..].to_vec()
    }

    /// What a workload says that it holds from the beginning.
    fn annotations(self, own_first: bool) -> BTreeMap<&'static str, String> {
        let says = match self {
            Self::Suspend => (SUSPEND, "INC-42".to_owned()),
            Self::Window => (WINDOW, closed()),
            Self::Wave => (WAVE, "1".to_owned()),
            Self::Distance => {
                let seconds = if own_first { JUMP - 50 } else { FAR - 50 };
                let opened = json!({
                    "at": now().to_string(), "mark": "m", "for": {}, "distance": seconds, "well": true, "generation": 0,
                    "template": "AAAAAAAAAAAAAAAA",
                });
                (ROLLOUT, opened.to_string())
            }
            Self::SuspendNamespace
            | Self::SuspendLease
            | Self::WindowNamespace
            | Self::SlowStart => {
                return BTreeMap::new();
            }
        };
        [says].into()
    }
}

/// Waits until so many wait for each of these reasons, and none for another.
async fn waits(reroll: &Reroll, expected: &BTreeMap<&str, u64>) {
    eventually(&format!("these wait: {expected:?}"), async || {
        for reason in [
            "suspended",
            "window",
            "wave",
            "slow_start",
            "spread",
            "distance",
        ] {
            let name = format!("reroll_workloads_pending{{reason=\"{reason}\"}}");
            let wanted = expected.get(reason).copied().unwrap_or(0);
            (reroll.count(&name).await == wanted).then_some(())?;
        }
        Some(())
    })
    .await;
}

/// What is held in one namespace.
struct Gated {
    stage: Stage,
    offset: Offset,
    /// What holds all; `None`: there is no place for any.
    all: Option<Gate>,
    held: Vec<Held>,
    /// How often reroll was asked for a sign of life.
    signs: u32,
}

impl Gated {
    /// Two workloads for each gate of their own.
    async fn set(name: &str, all: Option<Gate>, own: &[Gate]) -> Self {
        let stage = Stage::set(name).await;
        let offset = Offset::new(&stage.arena);
        let mut held = Vec::new();
        for own in own {
            for own_first in [false, true] {
                let when = if own_first { "last" } else { "first" };
                let name = format!("{when}-{own:?}").to_lowercase();
                let own = *own;
                held.push(Held {
                    name,
                    own,
                    own_first,
                });
            }
        }
        let gated = Self {
            stage,
            offset,
            all,
            held,
            signs: 0,
        };
        for held in &gated.held {
            gated.create(held).await;
        }
        gated
    }

    /// A workload with a Secret of its own, and those for whom it waits.
    async fn create(&self, held: &Held) {
        let Held {
            name,
            own,
            own_first,
        } = held;
        self.stage.arena.secret(name, &[("k", "good")]).await;
        let mut says = own.annotations(*own_first);
        says.extend(
            self.all
                .into_iter()
                .flat_map(|all| all.annotations(*own_first)),
        );
        self.user(name, name, &says, 1).await;
        if self.has(held, Gate::Wave) {
            let says = Gate::Window.annotations(false);
            self.user(&format!("low-{name}"), name, &says, 1).await;
        }
        if self.has(held, Gate::SlowStart) {
            // More than one pod shows most: it goes first.
            let says = [(WINDOW, OPEN.to_owned())].into();
            self.user(&format!("fails-{name}"), name, &says, 2).await;
        }
    }

    async fn user(&self, name: &str, secret: &str, says: &BTreeMap<&str, String>, pods: usize) {
        let says = says.iter().map(|(key, value)| (*key, value.as_str()));
        let says: Vec<_> = [(RESTART_ON, "auto")].into_iter().chain(says).collect();
        let manifest = workload("Deployment", name, &says, env(secret, "k"));
        self.stage.beside(&manifest, pods).await;
    }

    fn has(&self, held: &Held, gate: Gate) -> bool {
        held.own == gate || self.all == Some(gate)
    }

    fn with(&self, gate: Gate) -> impl Iterator<Item = &Held> {
        self.held.iter().filter(move |held| self.has(held, gate))
    }

    async fn start(&self, most: Option<usize>) -> Reroll {
        let builder = slowly(&self.stage.arena).flag("--max-distance", "1h");
        let builder = builder
            .flag("--rollout-deadline", "1h")
            // Only the clock may take the Lease away, not a busy machine.
            .flag("--lease-duration", "1m");
        let builder = match most {
            Some(most) => builder.flag("--rolling-limit", &most.to_string()),
            None => builder,
        };
        let reroll = self.offset.of(builder).start().await;
        self.stage.arena.all_adopted("Deployment").await;
        reroll
    }

    /// Has somebody else fail where others are to be waited for.
    async fn others_fail(&self) {
        for held in self.with(Gate::SlowStart) {
            self.change(held).await;
        }
        for held in self.with(Gate::SlowStart) {
            self.stage.stuck(&format!("fails-{}", held.name)).await;
        }
    }

    async fn change(&self, held: &Held) {
        let value = if self.has(held, Gate::SlowStart) {
            BAD
        } else {
            "other"
        };
        let arena = &self.stage.arena;
        arena.update_secret(&held.name, &[("k", value)]).await;
    }

    /// Says it of everything, or takes it back.
    async fn says_of_all(&self, all: Gate, says: bool) {
        let arena = &self.stage.arena;
        match all {
            Gate::SuspendNamespace => {
                annotate_namespace(arena, SUSPEND, says.then_some("INC-42")).await;
            }
            Gate::WindowNamespace => {
                let hours = closed();
                annotate_namespace(arena, WINDOW, says.then_some(&hours)).await;
            }
            Gate::SuspendLease => suspend_lease(arena, says).await,
            _ if says => {}
            own => {
                for held in &self.held {
                    self.open(own, held).await;
                }
            }
        }
    }

    async fn open(&self, gate: Gate, held: &Held) {
        let (key, value) = match gate {
            Gate::Suspend => (SUSPEND, None),
            Gate::Window => (WINDOW, None),
            Gate::Wave => (WAVE, None),
            Gate::SlowStart => (SLOW_START, Some("off")),
            Gate::Distance => {
                let seconds = if held.own_first { JUMP } else { FAR };
                return self.offset.seconds(seconds);
            }
            all => panic!("{all:?} is of no workload"),
        };
        let arena = &self.stage.arena;
        arena.annotate("Deployment", &held.name, key, value).await;
    }

    /// Waits until reroll has seen what was done, and had a moment to act on it. Nothing restarts for this.
    async fn is_seen(&mut self) {
        for _ in 0..2 {
            self.signs += 1;
            let name = format!("sign-{}", self.signs);
            let arena = &self.stage.arena;
            arena.later_second().await;
            arena
                .create(&reroll_harness::deployment(&name, "db", "k"))
                .await;
            arena.adopted("Deployment", &name).await;
        }
    }

    /// Returns how many wait for what, where what holds all is closed or not.
    fn expected(&self, all: Gate, closed: bool) -> BTreeMap<&'static str, u64> {
        let mut expected = BTreeMap::new();
        for held in &self.held {
            if closed {
                *expected.entry(all.reason()).or_default() += 1;
            } else if !held.own_first {
                *expected.entry(held.own.reason()).or_default() += 1;
            }
        }
        for _ in self.with(Gate::Wave) {
            let holds = closed && all.holds_others();
            let reason = if holds { all.reason() } else { "window" };
            *expected.entry(reason).or_default() += 1;
        }
        expected
    }

    fn have_restarted(&self, which: impl Fn(&Held) -> bool, times: usize) {
        let names = self.held.iter().filter(|held| which(held));
        let expected = names.map(|held| (&held.name, times));
        self.stage.recorder.expect_each("Deployment", expected);
    }

    async fn restart(&self, which: impl Fn(&Held) -> bool) {
        for held in self.held.iter().filter(|held| which(held)) {
            self.stage
                .recorder
                .reaches("Deployment", &held.name, 1)
                .await;
        }
    }

    /// Opens what still holds these: each of them is restarted then, and not before.
    async fn opens_the_last(&self, which: fn(&Held) -> bool) {
        self.have_restarted(which, 0);
        for held in self.held.iter().filter(|held| which(held)) {
            self.open(held.own, held).await;
        }
        self.restart(which).await;
        self.ends().await;
    }

    /// After all: each was restarted once, and who fails, and who waits for its window, as is to be expected.
    async fn ends(&self) {
        let (recorder, arena) = (&self.stage.recorder, &self.stage.arena);
        recorder.settle(arena).await;
        self.have_restarted(|_| true, 1);
        for (gate, prefix, times) in [(Gate::Wave, "low", 0), (Gate::SlowStart, "fails", 1)] {
            for held in self.with(gate) {
                let name = format!("{prefix}-{}", held.name);
                recorder.expect("Deployment", &name, times);
            }
        }
    }
}

async fn suspend_lease(arena: &Arena, says: bool) {
    let value = if says {
        format!("{SUSPEND}=INC-42")
    } else {
        format!("{SUSPEND}-")
    };
    let namespace = &arena.own_namespace;
    let says = ["annotate", "-n", namespace, "lease", "reroll", &value];
    arena.kubectl(&says).await.ok();
}

async fn one_after_the_other(all: Gate) {
    let name = format!("pairs-{all:?}").to_lowercase();
    let mut gated = Gated::set(&name, Some(all), &all.later()).await;
    let last = |held: &Held| held.own_first;
    let first = |held: &Held| !held.own_first;
    if all == Gate::WindowNamespace {
        gated.says_of_all(all, true).await;
    }
    let reroll = gated.start(None).await;
    gated.others_fail().await;
    if all.holds_others() {
        gated.says_of_all(all, true).await;
        let failing = gated.with(Gate::SlowStart).count() as u64;
        waits(&reroll, &[(all.reason(), failing)].into()).await;
    }
    for held in gated
        .held
        .iter()
        .filter(|held| !gated.has(held, Gate::SlowStart))
    {
        gated.change(held).await;
    }
    waits(&reroll, &gated.expected(all, true)).await;
    // Their own are opened, and what holds all still does.
    for held in gated.held.iter().filter(|held| last(held)) {
        gated.open(held.own, held).await;
    }
    gated.is_seen().await;
    waits(&reroll, &gated.expected(all, true)).await;
    gated.have_restarted(|_| true, 0);
    // That is opened, and the others are still held by their own.
    gated.says_of_all(all, false).await;
    gated.restart(last).await;
    waits(&reroll, &gated.expected(all, false)).await;
    gated.is_seen().await;
    gated.opens_the_last(first).await;
}

#[tokio::test]
async fn suspended_and_one_more() {
    let all = [Gate::Suspend, Gate::SuspendNamespace, Gate::SuspendLease];
    join_all(all.map(one_after_the_other)).await;
}

#[tokio::test]
async fn what_has_a_window_a_wave_or_waits_for_others_and_one_more() {
    let all = [
        Gate::Window,
        Gate::WindowNamespace,
        Gate::Wave,
        Gate::SlowStart,
    ];
    join_all(all.map(one_after_the_other)).await;
}
