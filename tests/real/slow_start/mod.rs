//! Slow start, and the brakes beside it: a bad value breaks one workload, not all, a good one reaches all, what shows nothing opens
//! no room, and what others do is no verdict about reroll.
//!
//! The tests play the kubelet of the node on which their pods run ([`Kubelet`]): how a pod behaves follows from the value that it
//! started with.

mod converged;
mod gitops;
mod hidden;
mod kills;
mod kinds;
mod limits;
mod nodes;
mod others;
mod pairs;
mod refused;
mod rollouts;
mod said;
mod spread;
mod upgrade;
mod values;
mod waves;
mod windows;

use std::{collections::BTreeMap, time::Duration};

use jiff::{SignedDuration, Timestamp};
use k8s_openapi::api::core::v1::Pod;
use kube::api::{ListParams, Patch, PatchParams};
use reroll_harness::{
    Arena, Behaves, HELD, Kubelet, RESTART_ON, ROLLOUT, Recorder, Reroll, RerollBuilder,
    deployment, env, eventually, held, workload,
};
use serde_json::{Value, json};

/// Why a workload waits, for people.
const PENDING: &str = "reroll.dev/pending";
/// A value that a container cannot be configured with.
const BAD: &str = "bad";

/// A workload by kind and name.
type User = (&'static str, String);

/// reroll with slow start, which looks at pods for less long than by default.
fn slowly(arena: &Arena) -> RerollBuilder {
    let builder = arena
        .reroll()
        .flag("--slow-start", "on")
        .flag("--soak", "1s");
    builder
        .flag("--bake", "4s")
        .flag("--rollout-deadline", "30s")
}

fn behaviour(value: &str) -> Behaves {
    match value {
        bad if bad.starts_with(BAD) => Behaves::ConfigError,
        "ends at once" => Behaves::EndsAtOnce,
        "ends after a while" => Behaves::EndsAfter(Duration::from_secs(2)),
        "never ready" => Behaves::NeverReady,
        slow if slow.starts_with("slow") => Behaves::ReadyAfter(Duration::from_secs(12)),
        _ => Behaves::Well,
    }
}

/// A workload that reads `k` of Secret `db`.
fn of(kind: &str, name: &str) -> Value {
    workload(kind, name, &[(RESTART_ON, "auto")], env("db", "k"))
}

/// Secret `db`, workloads that use it, and the node on which their pods run.
struct Stage {
    arena: Arena,
    kubelet: Kubelet,
    recorder: Recorder,
    /// Those that are counted.
    users: Vec<User>,
}

impl Stage {
    /// Nobody uses the Secret yet.
    async fn set(name: &str) -> Self {
        Self::on(Arena::new(name).await).await
    }

    async fn on(arena: Arena) -> Self {
        let kubelet = Kubelet::join(&arena, behaviour).await;
        arena.secret("db", &[("k", "good")]).await;
        let recorder = Recorder::start(&arena).await;
        Self {
            arena,
            kubelet,
            recorder,
            users: Vec::new(),
        }
    }

    /// So many Deployments use it, each with one pod that runs.
    async fn of(name: &str, users: usize) -> Self {
        let mut stage = Self::set(name).await;
        for number in 0..users {
            let name = format!("web-{number:02}");
            stage.create(&deployment(&name, "db", "k"), 1).await;
            stage.users.push(("Deployment", name));
        }
        for (_, name) in &stage.users {
            stage.arena.pods_are(name, 1, "Running").await;
        }
        stage
    }

    async fn create(&self, manifest: &Value, pods: usize) {
        let manifest = self.kubelet.runs(manifest.clone(), pods);
        self.arena.create(&manifest).await;
    }

    /// Adds a workload with so many pods, and waits until they run. It is not counted.
    async fn beside(&self, manifest: &Value, pods: usize) {
        self.create(manifest, pods).await;
        let name = manifest["metadata"]["name"].as_str().unwrap();
        self.arena.pods_are(name, pods, "Running").await;
    }

    /// Adds a workload that is counted, with so many pods, and waits until they run.
    async fn add(&mut self, kind: &'static str, name: &str, pods: usize) {
        self.beside(&of(kind, name), pods).await;
        self.users.push((kind, name.to_owned()));
    }

    async fn start(&self) -> Reroll {
        self.start_as(slowly(&self.arena)).await
    }

    /// Starts it, and waits until all are adopted.
    async fn start_as(&self, builder: RerollBuilder) -> Reroll {
        let reroll = builder.start().await;
        self.adopted().await;
        reroll
    }

    /// Waits until all are adopted.
    async fn adopted(&self) {
        for (kind, name) in &self.users {
            self.arena.adopted(kind, name).await;
        }
    }

    async fn change(&self, value: &str) {
        self.arena.update_secret("db", &[("k", value)]).await;
    }

    /// Returns who was restarted, by name.
    fn restarted(&self) -> Vec<&str> {
        self.restarted_often(1)
    }

    /// Returns who was restarted at least so often, by name.
    fn restarted_often(&self, times: usize) -> Vec<&str> {
        let users = self.users.iter();
        let often = users.filter(|(kind, name)| self.recorder.rollouts(kind, name) >= times);
        often.map(|(_, name)| name.as_str()).collect()
    }

    /// Waits until so many were restarted.
    async fn are_restarted(&self, number: usize) {
        self.are_restarted_often(number, 1).await;
    }

    /// Waits until so many were restarted at least so often.
    async fn are_restarted_often(&self, number: usize, times: usize) {
        let what = format!("{number} are restarted {times} times");
        eventually(&what, async || {
            (self.restarted_often(times).len() >= number).then_some(())
        })
        .await;
    }

    /// Waits until one was restarted. Returns its name.
    async fn first(&self) -> String {
        self.are_restarted(1).await;
        self.restarted()[0].to_owned()
    }

    /// Waits until one was restarted and is told to be stuck and all others wait. Returns its name, and what is told.
    async fn one_is_broken_and_the_rest_wait(&self, reroll: &Reroll) -> (String, String) {
        held(reroll, self.users.len() - 1).await;
        let broken = self.first().await;
        let said = self.stuck(&broken).await;
        assert_eq!(self.restarted(), [&broken]);
        (broken, said)
    }

    /// Waits until everything has taken effect: each was restarted so often, and no more.
    async fn each_was_restarted(&self, times: impl Fn(&str) -> usize) {
        self.are_restarted(self.users.len()).await;
        self.recorder.settle(&self.arena).await;
        for (kind, name) in &self.users {
            self.recorder.expect(kind, name, times(name));
        }
    }

    async fn stuck(&self, name: &str) -> String {
        self.arena.event(name, "RestartStuck: ").await
    }

    /// Waits until a restart is told to be stuck. Returns of whom that is told, by name.
    async fn all_stuck(&self) -> Vec<&str> {
        eventually("a restart is told to be stuck", async || {
            let mut stuck = Vec::new();
            for (_, name) in &self.users {
                if self.arena.event_count(name, "RestartStuck").await > 0 {
                    stuck.push(name.as_str());
                }
            }
            (!stuck.is_empty()).then_some(stuck)
        })
        .await
    }

    /// Returns what is shown of those that wait, by name.
    async fn shown(&self) -> BTreeMap<&str, String> {
        let mut shown = BTreeMap::new();
        for (kind, name) in &self.users {
            let text = self.arena.annotation(kind, name, PENDING).await;
            shown.extend(text.map(|text| (name.as_str(), text)));
        }
        shown
    }

    /// Waits until so many are shown to wait. Returns what is shown, by name.
    async fn shows(&self, number: usize) -> BTreeMap<&str, String> {
        eventually(&format!("{number} are shown to wait"), async || {
            let shown = self.shown().await;
            (shown.len() == number).then_some(shown)
        })
        .await
    }

    /// Returns those of which a pod does not run, by name.
    async fn broken(&self) -> Vec<&str> {
        let mut broken = Vec::new();
        for (_, name) in &self.users {
            let pods = self.arena.pods(name).await;
            if !pods.iter().all(|pod| phase(pod) == Some("Running")) {
                broken.push(name.as_str());
            }
        }
        broken
    }

    /// Makes all restarts half a day older than they are, while no reroll runs.
    async fn age(&self) {
        for (kind, name) in &self.users {
            let text = self.arena.annotation(kind, name, ROLLOUT).await.unwrap();
            let mut opened: Value = serde_json::from_str(&text).unwrap();
            let at: Timestamp = opened["at"].as_str().unwrap().parse().unwrap();
            let earlier = at - SignedDuration::from_hours(12);
            opened["at"] = json!(earlier.to_string());
            let text = opened.to_string();
            self.arena.annotate(kind, name, ROLLOUT, Some(&text)).await;
            self.complete_earlier(kind, name).await;
        }
    }

    /// Says that a Deployment was complete as much earlier. Its controller leaves that time as it is.
    async fn complete_earlier(&self, kind: &str, name: &str) {
        let object = self.arena.get(kind, name).await;
        let mut status = object.data["status"].clone();
        let conditions = status["conditions"].as_array_mut().into_iter().flatten();
        let mut complete = conditions.filter(|one| one["reason"] == "NewReplicaSetAvailable");
        let Some(complete) = complete.next() else {
            return;
        };
        let at: Timestamp = complete["lastUpdateTime"]
            .as_str()
            .unwrap()
            .parse()
            .unwrap();
        complete["lastUpdateTime"] = json!((at - SignedDuration::from_hours(12)).to_string());
        let patch = json!({ "status": { "conditions": status["conditions"] } });
        let (params, patch) = (PatchParams::default(), Patch::Merge(&patch));
        let api = self.arena.api(kind);
        api.patch_status(name, &params, &patch).await.unwrap();
    }

    /// No restart is told to be stuck, and none to be slowed by others, on whatever object.
    async fn nothing_is_told(&self) {
        let all = self.arena.api("Event").list(&ListParams::default()).await;
        let told = all.unwrap().items.into_iter().filter(|event| {
            let reason = event.data["reason"].as_str().unwrap_or_default();
            ["RestartStuck", "RestartsSlowed"].contains(&reason)
        });
        let told: Vec<_> = told.map(|event| event.data["message"].clone()).collect();
        assert!(told.is_empty(), "{told:#?}");
    }
}

fn phase(pod: &Pod) -> Option<&str> {
    pod.status.as_ref()?.phase.as_deref()
}
