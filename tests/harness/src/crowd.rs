//! Many users of one Secret, whose pods run on a node of the test, and do what the Secret's value says.

use std::collections::BTreeMap;

use k8s_openapi::api::core::v1::Pod;

use crate::{Arena, Behaves, Kubelet, Recorder, RerollBuilder, deployment, each, eventually};

const KIND: &str = "Deployment";
/// Why a workload waits, for people.
const PENDING: &str = "reroll.dev/pending";
/// So many are created at the same time.
const AT_ONCE: usize = 8;

/// Deployments that use the Secret `db`, each with one pod that runs.
pub struct Crowd {
    /// Where they are.
    pub arena: Arena,
    /// Their names.
    pub names: Vec<String>,
    /// Counts their rollouts.
    pub recorder: Recorder,
    _kubelet: Kubelet,
}

/// A new value that a container cannot be configured with.
pub const BAD: &str = "bad";

fn behaviour(value: &str) -> Behaves {
    match value {
        BAD => Behaves::ConfigError,
        _ => Behaves::Well,
    }
}

impl Crowd {
    /// Returns so many, in namespaces of their own.
    pub async fn of(name: &str, users: usize) -> Self {
        let arena = Arena::new(name).await;
        let kubelet = Kubelet::join(&arena, behaviour).await;
        arena.secret("db", &[("k", "good")]).await;
        let names: Vec<_> = (0..users)
            .map(|number| format!("web-{number:02}"))
            .collect();
        each(users, AT_ONCE, async |number| {
            let manifest = deployment(&names[number], "db", "k");
            arena.create(&kubelet.runs(manifest, 1)).await;
        })
        .await;
        for name in &names {
            arena.pods_are(name, 1, "Running").await;
        }
        let recorder = Recorder::start(&arena).await;
        Self {
            arena,
            names,
            recorder,
            _kubelet: kubelet,
        }
    }

    /// Returns a reroll with slow start, which looks at pods for less long than by default.
    pub fn slowly(&self) -> RerollBuilder {
        let builder = self.arena.reroll().flag("--slow-start", "on");
        let builder = builder.flag("--soak", "1s").flag("--bake", "4s");
        builder.flag("--rollout-deadline", "30s")
    }

    /// Waits until reroll has recorded all of them.
    pub async fn adopted(&self) {
        for name in &self.names {
            self.arena.adopted(KIND, name).await;
        }
    }

    /// Gives the Secret another value.
    pub async fn change(&self, value: &str) {
        self.arena.update_secret("db", &[("k", value)]).await;
    }

    /// Returns who was restarted at least so often.
    pub fn restarted(&self, rollouts: usize) -> Vec<String> {
        let names = self.names.iter().cloned();
        names
            .filter(|name| self.recorder.rollouts(KIND, name) >= rollouts)
            .collect()
    }

    /// Waits until so many are restarted at least so often.
    pub async fn reaches(&self, users: usize, rollouts: usize) {
        let what = format!("{users} are restarted {rollouts} times");
        eventually(&what, async || {
            (self.restarted(rollouts).len() >= users).then_some(())
        })
        .await;
    }

    /// Waits until a workload's restart is told to have failed. Returns of whom that is told.
    pub async fn stuck(&self) -> Vec<String> {
        eventually("a restart is told to have failed", async || {
            let mut stuck = Vec::new();
            for name in &self.names {
                if self.arena.event_count(name, "RestartStuck").await > 0 {
                    stuck.push(name.clone());
                }
            }
            (!stuck.is_empty()).then_some(stuck)
        })
        .await
    }

    /// Returns what is shown of those that wait, by name.
    pub async fn shown(&self) -> BTreeMap<String, String> {
        let mut shown = BTreeMap::new();
        for name in &self.names {
            let text = self.arena.annotation(KIND, name, PENDING).await;
            shown.extend(text.map(|text| (name.clone(), text)));
        }
        shown
    }

    /// Waits until so many are shown to wait. Returns what is shown, by name.
    pub async fn shows(&self, users: usize) -> BTreeMap<String, String> {
        eventually(&format!("{users} are shown to wait"), async || {
            let shown = self.shown().await;
            (shown.len() == users).then_some(shown)
        })
        .await
    }

    /// Returns those of which a pod does not run, by name.
    pub async fn broken(&self) -> Vec<String> {
        let runs = |pod: &Pod| {
            let status = pod.status.as_ref();
            status.and_then(|status| status.phase.as_deref()) == Some("Running")
        };
        let mut broken = Vec::new();
        for name in &self.names {
            if !self.arena.pods(name).await.iter().all(runs) {
                broken.push(name.clone());
            }
        }
        broken
    }

    /// Checks, when all has settled, that these were restarted so often, and all others once.
    pub async fn expect(&self, times: usize, of: &[String]) {
        self.recorder.settle(&self.arena).await;
        let expected = self.names.iter().map(|name| {
            let is_of = of.contains(name);
            (name, if is_of { times } else { 1 })
        });
        self.recorder.expect_each(KIND, expected);
    }
}
