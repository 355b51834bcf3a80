//! What others see of reroll: how long their writes and restarts take, whether it answers probes, and who has the Lease.

use std::{
    sync::{Arc, Mutex},
    time::{Duration, Instant},
};

use jiff::Timestamp;
use k8s_openapi::api::coordination::v1::Lease;
use kube::{
    Api,
    api::{DynamicObject, Patch, PatchParams},
};
use reroll_harness::{Reroll, numbered};
use serde_json::{Value, json};
use tokio::{
    task::JoinSet,
    time::{MissedTickBehavior, interval, sleep, timeout},
};

use super::{cost, ms, times_a_second};
use crate::bed::Bed;

/// Deployments that are restarted, each by a Secret of its own. Each is restarted a few times: more would be paced.
pub(super) const RESTARTED: usize = 40;
/// Deployments that are written, and not restarted.
const WRITTEN: usize = 20;
/// Secrets and `ConfigMap`s that are written, and that nobody uses.
const UNUSED: usize = 40;

const WRITES: Duration = times_a_second(20);
const RESTARTS: Duration = times_a_second(2);
const PROBES: Duration = times_a_second(4);
const LASTS: Duration = Duration::from_secs(6);
/// Longer than anybody waits. What was not done by then counts as long.
const LATE: Duration = Duration::from_secs(30);
/// How long a kubelet waits for an answer.
const PROBE: Duration = Duration::from_secs(1);

/// What was seen.
#[derive(Default)]
pub(super) struct Seen {
    /// Milliseconds from the request of each write to its answer.
    pub(super) writes: Vec<f64>,
    /// Milliseconds from the request of each write of a source to the changed template.
    pub(super) restarts: Vec<f64>,
    /// Milliseconds until `/livez` answered.
    pub(super) probes: Vec<f64>,
    pub(super) failed: f64,
    pub(super) unanswered: f64,
    /// How often the Lease changed hands meanwhile.
    pub(super) transitions: f64,
    /// The longest time without a renewal of the Lease.
    pub(super) unrenewed: f64,
    /// Percent of a core.
    pub(super) cpu: f64,
    /// Resident at the end, in MiB.
    pub(super) rss: f64,
    turns: f64,
}

impl Seen {
    /// Takes in what was seen in another turn, as if it had been one time.
    pub(super) fn add(&mut self, other: Self) {
        let turns = self.turns + 1.0;
        self.writes.extend(other.writes);
        self.restarts.extend(other.restarts);
        self.probes.extend(other.probes);
        self.failed += other.failed;
        self.unanswered += other.unanswered;
        self.transitions += other.transitions;
        self.unrenewed = self.unrenewed.max(other.unrenewed);
        self.cpu += (other.cpu - self.cpu) / turns;
        self.rss = self.rss.max(other.rss);
        self.turns = turns;
    }
}

pub(super) fn written() -> impl Iterator<Item = String> {
    numbered(WRITTEN).map(|name| format!("written-{name}"))
}

pub(super) fn unused() -> impl Iterator<Item = String> {
    numbered(UNUSED).map(|name| format!("unused-{name}"))
}

/// Does all of it for a while.
pub(super) async fn observe(bed: &Bed, reroll: &Reroll) -> Seen {
    let lease = Api::<Lease>::namespaced(bed.arena.client.clone(), &bed.arena.own_namespace);
    let changed_hands = async || {
        let lease = lease.get_opt("reroll").await.ok().flatten();
        let transitions = lease.and_then(|lease| lease.spec?.lease_transitions);
        f64::from(transitions.unwrap_or_default())
    };
    let (before, cpu, began) = (
        changed_hands().await,
        cost(reroll).cpu_seconds,
        Instant::now(),
    );
    let ((writes, failed), restarts, (probes, unanswered), unrenewed) =
        tokio::join!(writes(bed), restarts(bed), probes(reroll), renewals(&lease));
    let after = cost(reroll);
    let cpu = (after.cpu_seconds - cpu) / began.elapsed().as_secs_f64();
    Seen {
        writes,
        restarts,
        probes,
        failed,
        unanswered,
        transitions: changed_hands().await - before,
        unrenewed,
        cpu: 100.0 * cpu,
        rss: after.rss_mib,
        turns: 1.0,
    }
}

/// Until [`LASTS`] is over, whether or not the last one was answered.
async fn at_rate(every: Duration, mut act: impl FnMut(usize)) {
    let mut ticks = interval(every);
    ticks.set_missed_tick_behavior(MissedTickBehavior::Burst);
    let began = Instant::now();
    for number in 0.. {
        ticks.tick().await;
        if began.elapsed() >= LASTS {
            return;
        }
        act(number);
    }
}

async fn writes(bed: &Bed) -> (Vec<f64>, f64) {
    let took = Arc::new(Mutex::new((Vec::new(), 0.0)));
    let mut writes = JoinSet::new();
    let (unused, written): (Vec<_>, Vec<_>) = (unused().collect(), written().collect());
    let apis = ["Secret", "ConfigMap", "Deployment"].map(|kind| bed.arena.api(kind));
    at_rate(WRITES, |number| {
        let api = apis[number % apis.len()].clone();
        let value = fastrand::u64(..).to_string();
        let (names, patch) = match number % apis.len() {
            0 => (&unused, json!({ "stringData": { "k": value } })),
            1 => (&unused, json!({ "data": { "k": value } })),
            _ => (
                &written,
                json!({ "metadata": { "labels": { "written": value } } }),
            ),
        };
        let name = names[number / apis.len() % names.len()].clone();
        let took = Arc::clone(&took);
        writes.spawn(async move {
            let began = Instant::now();
            let done = timeout(LATE, merge(&api, &name, &patch)).await;
            let mut took = took.lock().unwrap();
            took.0.push(ms(began.elapsed()));
            if !matches!(done, Ok(true)) {
                took.1 += 1.0;
            }
        });
    })
    .await;
    writes.join_all().await;
    std::mem::take(&mut took.lock().unwrap())
}

/// Whether it was answered well.
pub(super) async fn merge(api: &Api<DynamicObject>, name: &str, patch: &Value) -> bool {
    let params = PatchParams::default();
    api.patch(name, &params, &Patch::Merge(patch)).await.is_ok()
}

async fn restarts(bed: &Bed) -> Vec<f64> {
    let names: Vec<_> = numbered(RESTARTED).collect();
    let api = bed.arena.api("Secret");
    let mut written = Vec::new();
    let mut writes = JoinSet::new();
    // Others than in the last turn, as a rule: one that is restarted too often is paced.
    let first = fastrand::usize(..RESTARTED);
    at_rate(RESTARTS, |number| {
        let name = names[(first + number) % names.len()].clone();
        written.push((name.clone(), bed.changed(&name).1, Instant::now()));
        let api = api.clone();
        writes.spawn(async move {
            let patch = json!({ "stringData": { "k": fastrand::u64(..).to_string() } });
            let _done = timeout(LATE, merge(&api, &name, &patch)).await;
        });
    })
    .await;
    writes.join_all().await;
    let mut took = Vec::new();
    for (name, before, began) in written {
        loop {
            let (at, times) = bed.changed(&name);
            if let Some(at) = at.filter(|_| times > before) {
                took.push(ms(at - began));
                break;
            }
            if began.elapsed() > LATE {
                took.push(ms(LATE));
                break;
            }
            sleep(Duration::from_millis(20)).await;
        }
    }
    took
}

async fn probes(reroll: &Reroll) -> (Vec<f64>, f64) {
    let (mut took, mut unanswered) = (Vec::new(), 0.0);
    let (mut ticks, began) = (interval(PROBES), Instant::now());
    ticks.set_missed_tick_behavior(MissedTickBehavior::Delay);
    while began.elapsed() < LASTS {
        ticks.tick().await;
        let began = Instant::now();
        let answer = timeout(PROBE, reroll.http("/livez")).await;
        took.push(ms(began.elapsed()));
        if !matches!(answer, Ok(Some((200, _)))) {
            unanswered += 1.0;
        }
    }
    (took, unanswered)
}

/// The longest time that the Lease was not renewed, as it says itself.
async fn renewals(lease: &Api<Lease>) -> f64 {
    let (began, mut longest) = (Instant::now(), 0.0_f64);
    while began.elapsed() < LASTS {
        sleep(times_a_second(4)).await;
        let Ok(lease) = lease.get("reroll").await else {
            continue;
        };
        let renewed = lease.spec.and_then(|spec| spec.renew_time);
        #[expect(clippy::disallowed_methods, reason = "as the Lease says when")]
        let now = Timestamp::now();
        let since = renewed.map(|at| now.duration_since(at.0).as_secs_f64());
        longest = longest.max(since.unwrap_or_default());
    }
    longest
}
