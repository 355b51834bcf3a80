//! Slow start: a bad value breaks one workload, not all, and a good one reaches all.

use std::time::Duration;

use k8s_openapi::api::core::v1::Pod;
use reroll_harness::{
    Arena, Behaves, Kubelet, Recorder, Reroll, RerollBuilder, deployment, eventually,
};

const KIND: &str = "Deployment";
/// So many workloads use the Secret.
const USERS: usize = 40;
/// When a restart that is not good has failed.
const DEADLINE: &str = "30s";

/// reroll with slow start, which looks at pods for less long than by default.
fn slowly(arena: &Arena) -> RerollBuilder {
    let builder = arena
        .reroll()
        .flag("--slow-start", "on")
        .flag("--soak", "1s");
    builder
        .flag("--bake", "4s")
        .flag("--rollout-deadline", DEADLINE)
}

fn behaviour(value: &str) -> Behaves {
    match value {
        "config error" => Behaves::ConfigError,
        "ends at once" => Behaves::EndsAtOnce,
        "ends after a while" => Behaves::EndsAfter(Duration::from_secs(2)),
        "never ready" => Behaves::NeverReady,
        _ => Behaves::Well,
    }
}

struct Fleet {
    arena: Arena,
    names: Vec<String>,
    recorder: Recorder,
    _kubelet: Kubelet,
}

impl Fleet {
    /// So many users of one Secret, each with one pod that runs.
    async fn of(name: &str, users: usize) -> Self {
        let arena = Arena::new(name).await;
        let kubelet = Kubelet::join(&arena, behaviour).await;
        arena.secret("db", &[("k", "good")]).await;
        let names: Vec<_> = (0..users)
            .map(|number| format!("web-{number:02}"))
            .collect();
        for name in &names {
            let manifest = kubelet.runs(deployment(name, "db", "k"), 1);
            arena.create(&manifest).await;
        }
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

    async fn adopted(&self) {
        for name in &self.names {
            self.arena.adopted(KIND, name).await;
        }
    }

    /// Returns those of which a pod does not run, by name.
    async fn broken(&self) -> Vec<String> {
        let mut broken = Vec::new();
        for name in &self.names {
            let pods = self.arena.pods(name).await;
            let runs = |pod: &Pod| {
                let status = pod.status.as_ref();
                status.and_then(|status| status.phase.as_deref()) == Some("Running")
            };
            if !pods.iter().all(runs) {
                broken.push(name.clone());
            }
        }
        broken
    }

    /// Returns who was restarted, by name.
    fn restarted(&self) -> Vec<&str> {
        let names = self.names.iter().map(String::as_str);
        names
            .filter(|name| self.recorder.rollouts(KIND, name) > 0)
            .collect()
    }

    async fn one_is_broken_and_the_rest_wait(&self, reroll: &Reroll) -> String {
        eventually("the others wait", async || {
            let held = reroll
                .count("reroll_workloads_pending{reason=\"slow_start\"}")
                .await;
            (held == self.names.len() as u64 - 1).then_some(())
        })
        .await;
        eventually("it is told", async || {
            let restarted = self.restarted();
            let events = self
                .arena
                .event_count(restarted.first()?, "RestartStuck")
                .await;
            (events > 0).then_some(())
        })
        .await;
        let restarted = self.restarted();
        assert_eq!(restarted.len(), 1, "{restarted:?}");
        restarted[0].to_owned()
    }
}

#[tokio::test]
async fn a_good_value_reaches_all_each_once() {
    let fleet = Fleet::of("slow-good", USERS).await;
    let _reroll = slowly(&fleet.arena).start().await;
    fleet.adopted().await;
    fleet.arena.update_secret("db", &[("k", "also good")]).await;
    eventually("all are restarted", async || {
        (fleet.restarted().len() == USERS).then_some(())
    })
    .await;
    fleet.recorder.settle(&fleet.arena).await;
    fleet
        .recorder
        .expect_each(KIND, fleet.names.iter().map(|name| (name, 1)));
}

async fn a_bad_value_breaks_one(name: &str, value: &str) {
    let fleet = Fleet::of(name, USERS).await;
    let reroll = slowly(&fleet.arena).start().await;
    fleet.adopted().await;
    fleet.arena.update_secret("db", &[("k", value)]).await;
    let broken = fleet.one_is_broken_and_the_rest_wait(&reroll).await;
    fleet
        .arena
        .update_secret("db", &[("k", "good again")])
        .await;
    eventually("all are restarted", async || {
        (fleet.restarted().len() == USERS).then_some(())
    })
    .await;
    fleet.recorder.settle(&fleet.arena).await;
    let others: Vec<_> = fleet.names.iter().filter(|name| **name != broken).collect();
    fleet
        .recorder
        .expect_each(KIND, others.iter().map(|name| (name, 1)));
    fleet.recorder.expect(KIND, &broken, 2);
    let at = |name: &str| fleet.recorder.changed_at(KIND, name);
    assert!(
        others.iter().all(|name| at(name) > at(&broken)),
        "a fix reaches the broken one first"
    );
}

#[tokio::test]
async fn a_missing_key_breaks_one() {
    a_bad_value_breaks_one("slow-config", "config error").await;
}

#[tokio::test]
async fn a_crash_at_once_breaks_one() {
    a_bad_value_breaks_one("slow-crash", "ends at once").await;
}

#[tokio::test]
async fn a_crash_after_a_while_breaks_one() {
    a_bad_value_breaks_one("slow-crash-later", "ends after a while").await;
}

#[tokio::test]
async fn what_is_never_ready_breaks_one() {
    a_bad_value_breaks_one("slow-unready", "never ready").await;
}

#[tokio::test]
async fn what_failed_is_known_after_a_kill() {
    let fleet = Fleet::of("slow-killed", 6).await;
    let mut reroll = slowly(&fleet.arena).start().await;
    fleet.adopted().await;
    fleet
        .arena
        .update_secret("db", &[("k", "config error")])
        .await;
    let broken = fleet.one_is_broken_and_the_rest_wait(&reroll).await;
    for _ in 0..2 {
        reroll.kill();
        // It leads, knows nothing but what the API server shows, and lets nobody go.
        reroll = slowly(&fleet.arena).start().await;
        reroll.leads().await;
        fleet.one_is_broken_and_the_rest_wait(&reroll).await;
    }
    fleet.recorder.settle(&fleet.arena).await;
    assert_eq!(fleet.restarted(), [&broken]);
}

#[tokio::test]
async fn another_bad_value_in_the_middle_of_a_good_one_breaks_one() {
    let fleet = Fleet::of("slow-middle", 12).await;
    // The first one of the good value has no verdict yet, however busy the machine is.
    let reroll = slowly(&fleet.arena).flag("--bake", "10m").start().await;
    fleet.adopted().await;
    fleet.arena.update_secret("db", &[("k", "good too")]).await;
    let first = eventually("one is restarted", async || {
        fleet.restarted().first().map(ToString::to_string)
    })
    .await;
    let before = fleet.arena.pod_uids(&first).await;
    eventually("its new pod runs", async || {
        let now = fleet.arena.pod_uids(&first).await;
        let is_new = now.is_disjoint(&before) || now.len() == 1;
        (is_new && fleet.broken().await.is_empty()).then_some(())
    })
    .await;
    fleet
        .arena
        .update_secret("db", &[("k", "config error")])
        .await;
    let bad = eventually("one is told to be stuck", async || {
        for name in &fleet.names {
            if fleet.arena.event_count(name, "RestartStuck").await > 0 {
                return Some(name.clone());
            }
        }
        None
    })
    .await;
    eventually("all others wait", async || {
        let held = "reroll_workloads_pending{reason=\"slow_start\"}";
        (reroll.count(held).await == 11).then_some(())
    })
    .await;
    assert_eq!(fleet.broken().await, [bad]);
    let restarted: usize = fleet
        .names
        .iter()
        .map(|name| fleet.recorder.rollouts(KIND, name))
        .sum();
    assert_eq!(restarted, 2);
}

#[tokio::test]
async fn where_slow_start_is_off_all_go_at_once() {
    for (name, kind) in [
        ("slow-off-source", "Secret"),
        ("slow-off-space", "Namespace"),
    ] {
        let fleet = Fleet::of(name, 6).await;
        let reroll = slowly(&fleet.arena).start().await;
        fleet.adopted().await;
        let key = "reroll.dev/slow-start";
        if kind == "Secret" {
            fleet.arena.annotate(kind, "db", key, Some("off")).await;
        } else {
            let asks = format!("{key}=off");
            let asks = ["annotate", "namespace", &fleet.arena.namespace, &asks];
            fleet.arena.kubectl(&asks).await.ok();
        }
        fleet
            .arena
            .update_secret("db", &[("k", "config error")])
            .await;
        eventually("all are restarted", async || {
            (fleet.restarted().len() == 6).then_some(())
        })
        .await;
        let held = reroll
            .count("reroll_workloads_pending{reason=\"slow_start\"}")
            .await;
        assert_eq!(held, 0);
        fleet.recorder.settle(&fleet.arena).await;
        fleet
            .recorder
            .expect_each(KIND, fleet.names.iter().map(|name| (name, 1)));
    }
}

#[tokio::test]
async fn what_waits_because_one_failed_is_shown_on_it_and_only_as_long() {
    let fleet = Fleet::of("slow-shown", 4).await;
    let reroll = slowly(&fleet.arena).start().await;
    fleet.adopted().await;
    fleet
        .arena
        .update_secret("db", &[("k", "config error")])
        .await;
    let broken = fleet.one_is_broken_and_the_rest_wait(&reroll).await;
    let shown = async || {
        let mut shown = Vec::new();
        for name in &fleet.names {
            let text = fleet
                .arena
                .annotation(KIND, name, "reroll.dev/pending")
                .await;
            if let Some(text) = text {
                assert!(text.contains("\"reason\":\"slow_start\""), "{text}");
                shown.push(name.clone());
            }
        }
        shown
    };
    eventually("it is shown on the others", async || {
        (shown().await.len() == 3).then_some(())
    })
    .await;
    assert!(!shown().await.contains(&broken));
    assert_eq!(fleet.restarted(), [&broken]);
    fleet
        .arena
        .update_secret("db", &[("k", "good again")])
        .await;
    eventually("all are restarted", async || {
        (fleet.restarted().len() == 4).then_some(())
    })
    .await;
    fleet.recorder.settle(&fleet.arena).await;
    assert_eq!(shown().await, [""; 0]);
    let others = fleet.names.iter().filter(|name| **name != broken);
    fleet
        .recorder
        .expect_each(KIND, others.map(|name| (name, 1)));
    fleet.recorder.expect(KIND, &broken, 2);
}
