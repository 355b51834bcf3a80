//! Brakes remember nothing: at any moment a leader is killed, and the next one, which knows only what the API server shows, lets
//! the same ones go and holds the same ones, for the same reason and until the same time.
//!
//! The next one needs a moment to look at pods, as it takes a moment to win the Lease: nobody goes meanwhile.

mod world;

use std::collections::BTreeMap;

use jiff::SignedDuration;
use proptest::prelude::*;

use self::world::{Happens, Runs, SOURCES, WORKLOADS, World};
use super::*;
use crate::{
    judge::brakes::ToShow,
    model::{
        annotation::{TOGETHER, TOGETHER_LATEST, WAVE, WINDOW},
        pending::Pending,
    },
};

/// How long nobody leads. A restart has no look at its pods for so long.
const GAP: i64 = 21;

/// A restart that waits for so long for somebody's own rollout is soon not held by that any more.
const LONG: i64 = 500;

/// How long nothing is shown, at most: less than a container that ended is away.
const SHOWN: i64 = 5;

/// What a leader does about a workload at one moment.
#[derive(Clone, Debug, PartialEq)]
enum Does {
    /// It restarts it, and writes this.
    Restarts { alone: bool, writes: String },
    /// It holds it.
    Holds(Reason),
}

/// Returns what a leader does at this moment, and makes those restarts.
fn acts(stage: &Stage, keys: &[WorkloadKey]) -> BTreeMap<String, Does> {
    let mut due = BTreeMap::new();
    for key in keys {
        if let Some(Decision::Restart(restart)) = stage.judge.judge(key, Occasion::Look) {
            braking::ask(&stage.judge, key, &restart);
            due.insert(key.clone(), restart);
        }
    }
    let now = stage.state.time();
    let soon = later(now, SignedDuration::from_secs(1));
    let mut docket = stage.judge.docket();
    let index = stage.state.index();
    docket.release(&index, soon);
    let does = due.iter().map(|(key, restart)| {
        let does = if let Some((reason, _)) = docket.brakes.waits(key) {
            Does::Holds(reason)
        } else {
            // A window may open in that second.
            let Answer::Go { alone } = docket.ask(&index, key, restart, soon) else {
                panic!("{key} neither waits nor goes");
            };
            let mark = &restart.next.restarted_for;
            let opened = docket.brakes.opened(&index, key, restart, mark, now);
            let writes = opened.map_or(String::new(), |opened| opened.print());
            Does::Restarts { alone, writes }
        };
        (key.name.clone(), does)
    });
    does.collect()
}

/// Looks at the pods that a leader looks at.
fn looks(stage: &Stage, world: &World) {
    let now = stage.state.time();
    let mut docket = stage.judge.docket();
    let index = stage.state.index();
    for key in world.keys() {
        let Some(tracked) = index.workload(&key) else {
            continue;
        };
        let made = docket.brakes.made();
        if !made.is_worth_a_look(&key, tracked, now) {
            continue;
        }
        let Some(last) = &tracked.workload.last else {
            continue;
        };
        let patience = made.patience(tracked);
        let asked = Asked {
            new: &tracked.workload.marks.new_pods(),
            soak: patience.needed(&last.opened),
            deadline: made.ends(&key, tracked).unwrap(),
            now,
        };
        let look = Look::at(&world.pods(&key), &asked);
        docket.brakes.looked(&key, &last.opened.mark, look, now);
    }
}

/// Returns what a leader makes of the restarts of before, in words.
fn sees(stage: &Stage, keys: &[WorkloadKey]) -> String {
    let docket = stage.judge.docket();
    let index = stage.state.index();
    let made = docket.brakes.made();
    let sees = keys.iter().filter_map(|key| {
        let tracked = index.workload(key)?;
        let verdict = made.verdict(key, tracked, stage.state.time());
        let look = made.look(key);
        Some(format!("  {}: {verdict:?} by {look:?}\n", key.name))
    });
    sees.collect()
}

/// The wave of a workload, its window, and for how long what it uses waits for the others.
type Gate = (i64, Option<&'static str>, Option<&'static str>);

/// A story in which a leader is killed at some moment.
struct Told {
    /// What people ask for, by workload.
    gates: Vec<Gate>,
    world: World,
    leader: Stage,
    next: Option<Stage>,
    /// When the next one acts, at the earliest.
    leads_from: i64,
}

impl Told {
    fn begin(distance: bool, gates: Vec<Gate>) -> Self {
        let mut told = Self {
            gates,
            leader: Stage::with(settings(distance)),
            world: World::default(),
            next: None,
            leads_from: 0,
        };
        for source in 0..SOURCES {
            told.world.changes(source, Runs::Well, &told.leader.script);
            let name = World::source(source);
            told.leader.show_secret_now(name);
        }
        for workload in 0..WORKLOADS {
            told.comes(workload);
        }
        told
    }

    fn comes(&mut self, workload: usize) {
        if let Some(mut object) = self.world.comes(workload) {
            let (wave, window, latest) = self.gates[workload];
            let annotations = &mut object["metadata"]["annotations"];
            annotations[WAVE] = json!(wave.to_string());
            if let Some(window) = window {
                annotations[WINDOW] = json!(window);
            }
            if let Some(latest) = latest {
                annotations[TOGETHER] = json!("secret/s, secret/t");
                annotations[TOGETHER_LATEST] = json!(latest);
            }
            self.leader.adopted(object);
            self.show(&World::key(workload));
        }
    }

    fn stages(&self) -> impl Iterator<Item = &Stage> {
        [&self.leader].into_iter().chain(&self.next)
    }

    /// Shows a workload to everybody.
    fn show(&self, key: &WorkloadKey) {
        for stage in self.stages() {
            stage.show_now(key);
        }
    }

    /// The leader loses all that it remembers: another one begins.
    fn is_killed(&mut self, distance: bool) {
        let next = Stage::again_with(settings(distance), &self.leader.script, |next| {
            next.set_time(self.world.now());
            for source in 0..SOURCES {
                next.show_secret_now(World::source(source));
            }
            for key in self.world.keys() {
                next.show_now(&key);
            }
        });
        self.next = Some(next);
        self.leads_from = self.world.now() + GAP;
    }

    fn happens(&mut self, what: &Happens) -> Result<(), TestCaseError> {
        let script = self.leader.script.clone();
        match *what {
            Happens::Changes(source, runs) => {
                self.world.changes(source, runs, &script);
                for stage in self.stages() {
                    stage.show_secret_now(World::source(source));
                }
            }
            Happens::Passes(seconds) => {
                let mut passed = 0;
                while passed < seconds {
                    let step = if passed < 60 { 5 } else { 60 };
                    self.second(step)?;
                    passed += step;
                }
            }
            Happens::Scales(workload, replicas) => self.world.scales(workload, replicas, &script),
            Happens::Deploys(workload) => self.world.deploys(workload, &script),
            Happens::Drains(workload) => self.world.drains(workload),
            Happens::Goes(workload) => {
                if let Some(key) = self.world.goes(workload, &script) {
                    for stage in self.stages() {
                        stage.judge.workload_deleted(&key);
                    }
                }
            }
            Happens::Comes(workload) => self.comes(workload),
        }
        self.second(1)
    }

    /// So many seconds go by, and everybody sees what becomes of pods.
    fn is_shown(&mut self, seconds: i64) {
        self.world.passes(seconds);
        for stage in self.stages() {
            stage.set_time(self.world.now());
        }
        for key in self.world.keys() {
            if self.world.rolls(&key, &self.leader.script) {
                self.show(&key);
            }
        }
        for stage in self.stages() {
            looks(stage, &self.world);
        }
    }

    /// So many seconds go by, and everybody does what there is to do.
    fn second(&mut self, seconds: i64) -> Result<(), TestCaseError> {
        for _ in 0..seconds / SHOWN {
            self.is_shown(SHOWN);
        }
        self.is_shown(seconds % SHOWN);
        if self.world.now() < self.leads_from {
            return Ok(());
        }
        let keys = self.world.keys();
        if keys.iter().any(|key| self.waits_for_others_for_long(key)) {
            // Somebody's own rollout is waited for a deadline at most. Whoever remembers since when a restart has waited counts from
            // there, though its source has changed again; the next one counts from that change.
            self.next = None;
        }
        let does = acts(&self.leader, &keys);
        if let Some(next) = &self.next {
            let same = acts(next, &keys);
            prop_assert_eq!(
                &does,
                &same,
                "who remembers, and who does not, at {} s: {:?}\nBefore:\n{}After:\n{}",
                self.world.now() - NOW,
                self.world,
                sees(&self.leader, &keys),
                sees(next, &keys),
            );
        }
        self.is_held();
        for key in keys {
            let Some(Does::Restarts { writes, .. }) = does.get(&key.name) else {
                continue;
            };
            let observed = self.observed(&key);
            self.world
                .restarts(&key, &observed, writes, &self.leader.script);
            self.show(&key);
            let now = self.leader.state.time();
            for stage in self.stages() {
                stage.judge.docket().brakes.ended(&key, now);
            }
        }
        Ok(())
    }

    /// Those that wait because others failed say so.
    fn is_held(&self) {
        let now = self.leader.state.time();
        let to_show = {
            let mut docket = self.leader.judge.docket();
            docket
                .brakes
                .to_show(&self.leader.state.index(), usize::MAX, now)
        };
        for one in to_show {
            let ToShow {
                key,
                held,
                since,
                failed,
                by,
                moved,
            } = one;
            let Some(Decision::Restart(restart)) = self.leader.judge.judge(&key, Occasion::Look)
            else {
                continue;
            };
            let id = {
                let index = self.leader.state.index();
                let tracked = index.workload(&key).unwrap();
                restart_id(&tracked.workload, &restart, tracked.uses(), index.key())
            };
            let pending = Pending::now(None, held, &restart.causes, id, String::new(), since);
            let pending = pending.because(&failed).held_by(by).since_moved(moved);
            World::holds(&key, &pending.print(), &self.leader.script);
            self.show(&key);
        }
    }

    /// Whether a restart has waited for somebody's own rollout for so long that it is soon not waited for any more.
    fn waits_for_others_for_long(&self, key: &WorkloadKey) -> bool {
        let docket = self.leader.judge.docket();
        let waits = docket.brakes.waits(key);
        self.world.is_deployed(key)
            && waits.is_some_and(|(_, since)| self.world.now() - since.as_second() > LONG)
    }

    /// Returns what a restart records.
    fn observed(&self, key: &WorkloadKey) -> String {
        let Some(Decision::Restart(restart)) = self.leader.judge.judge(key, Occasion::Look) else {
            panic!("{key} is not due");
        };
        let index = self.leader.state.index();
        let mark = &restart.next.restarted_for;
        restart
            .next
            .clone()
            .under(mark, index.key())
            .print(index.key())
    }
}

fn settings(distance: bool) -> Settings {
    let mut settings = slowly();
    if distance {
        settings.brakes.longest_distance = SignedDuration::from_hours(1);
    }
    settings
}

fn happens() -> impl Strategy<Value = Happens> {
    let runs = prop_oneof![
        3 => Just(Runs::Well),
        1 => (5..90_i64).prop_map(Runs::Slowly),
        1 => Just(Runs::NoConfig),
        2 => (1..90_i64).prop_map(Runs::Ends),
        1 => Just(Runs::NeverReady),
    ];
    let passes = prop_oneof![3 => 1..30_i64, 3 => 30..300_i64, 2 => 300..1_500_i64];
    let workload = 0..WORKLOADS;
    prop_oneof![
        6 => (0..SOURCES, runs).prop_map(|(source, runs)| Happens::Changes(source, runs)),
        8 => passes.prop_map(Happens::Passes),
        1 => (workload.clone(), prop_oneof![Just(0), Just(2)]).prop_map(|(one, replicas)| Happens::Scales(one, replicas)),
        1 => workload.clone().prop_map(Happens::Deploys),
        1 => workload.clone().prop_map(Happens::Drains),
        1 => workload.clone().prop_map(Happens::Goes),
        2 => workload.prop_map(Happens::Comes),
    ]
}

/// A stage is set on a Friday, at 08:00.
fn gates() -> impl Strategy<Value = Vec<Gate>> {
    let window = prop_oneof![
        4 => Just(None),
        1 => Just(Some("Fri 08:00-08:20, Fri 08:40-09:00")),
        1 => Just(Some("08:10-08:30")),
    ];
    let wave = prop_oneof![2 => Just(0), 1 => -1..2_i64];
    let latest = prop_oneof![1 => Just(None), 1 => Just(Some("90s")), 1 => Just(Some("20m"))];
    proptest::collection::vec((wave, window, latest), WORKLOADS)
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 16, ..ProptestConfig::default() })]

    #[test]
    fn who_remembers_nothing_decides_the_same(
        before in proptest::collection::vec(happens(), 1..16),
        after in proptest::collection::vec(happens(), 1..8),
        distance in any::<bool>(),
        gates in gates(),
    ) {
        let runtime = tokio::runtime::Builder::new_current_thread();
        let runtime = { runtime }.enable_time().start_paused(true).build().unwrap();
        let _inside = runtime.enter();
        let mut told = Told::begin(distance, gates);
        for what in &before {
            told.happens(what)?;
        }
        told.is_killed(distance);
        told.happens(&Happens::Passes(GAP))?;
        for what in &after {
            told.happens(what)?;
        }
    }
}
