//! Slow start among kinds and states of workloads: what shows nothing opens no room, what never heals holds nobody, and what
//! others do is no verdict about reroll.

use reroll_harness::{
    Arena, Behaves, Kubelet, RESTART_ON, Recorder, Reroll, RerollBuilder, deployment, env,
    eventually, workload,
};
use serde_json::{Value, json};

const HELD: &str = "reroll_workloads_pending{reason=\"slow_start\"}";

fn slowly(arena: &Arena) -> RerollBuilder {
    let builder = arena
        .reroll()
        .flag("--slow-start", "on")
        .flag("--soak", "1s");
    builder
        .flag("--bake", "4s")
        .flag("--rollout-deadline", "60s")
}

fn behaviour(value: &str) -> Behaves {
    match value {
        "bad" => Behaves::ConfigError,
        _ => Behaves::Well,
    }
}

fn of(kind: &str, name: &str) -> Value {
    workload(kind, name, &[(RESTART_ON, "auto")], env("db", "k"))
}

struct Stage {
    arena: Arena,
    kubelet: Kubelet,
    recorder: Recorder,
}

impl Stage {
    async fn set(name: &str) -> Self {
        let arena = Arena::new(name).await;
        let kubelet = Kubelet::join(&arena, behaviour).await;
        arena.secret("db", &[("k", "good")]).await;
        let recorder = Recorder::start(&arena).await;
        Self {
            arena,
            kubelet,
            recorder,
        }
    }

    /// Adds a workload with so many pods, and waits until they run.
    async fn add(&self, manifest: &Value, pods: usize) {
        let manifest = self.kubelet.runs(manifest.clone(), pods);
        self.arena.create(&manifest).await;
        let name = manifest["metadata"]["name"].as_str().unwrap();
        self.arena.pods_are(name, pods, "Running").await;
    }

    async fn start(&self, all: &[(&str, &str)]) -> Reroll {
        let reroll = slowly(&self.arena).start().await;
        for (kind, name) in all {
            self.arena.adopted(kind, name).await;
        }
        reroll
    }

    async fn change(&self, value: &str) {
        self.arena.update_secret("db", &[("k", value)]).await;
    }

    fn restarted<'a>(&self, all: &[(&'a str, &'a str)]) -> Vec<&'a str> {
        let restarted = all
            .iter()
            .filter(|(kind, name)| self.recorder.rollouts(kind, name) > 0);
        restarted.map(|(_, name)| *name).collect()
    }

    async fn stuck(&self, name: &str) -> String {
        self.arena.event(name, "RestartStuck: ").await
    }
}

async fn held(reroll: &Reroll, number: u64) {
    eventually("so many wait", async || {
        (reroll.count(HELD).await == number).then_some(())
    })
    .await;
}

#[tokio::test]
async fn what_shows_nothing_goes_at_once_and_opens_no_room() {
    let stage = Stage::set("slow-void").await;
    // First in order, so that each would be chosen before the others.
    let mut paused = deployment("a-paused", "db", "k");
    paused["spec"]["paused"] = json!(true);
    let mut on_delete = of("StatefulSet", "a-on-delete");
    on_delete["spec"]["updateStrategy"] = json!({ "type": "OnDelete" });
    let mut behind = of("StatefulSet", "a-behind");
    behind["spec"]["updateStrategy"] =
        json!({ "type": "RollingUpdate", "rollingUpdate": { "partition": 1 } });
    stage.add(&on_delete, 1).await;
    stage.add(&behind, 1).await;
    stage.add(&deployment("a-none", "db", "k"), 0).await;
    stage.add(&paused, 0).await;
    for name in ["w-1", "w-2", "w-3"] {
        stage.add(&deployment(name, "db", "k"), 1).await;
    }
    let void = [
        ("Deployment", "a-none"),
        ("Deployment", "a-paused"),
        ("StatefulSet", "a-behind"),
        ("StatefulSet", "a-on-delete"),
    ];
    let users = [
        ("Deployment", "w-1"),
        ("Deployment", "w-2"),
        ("Deployment", "w-3"),
    ];
    let reroll = stage.start(&[void.as_slice(), &users].concat()).await;
    stage.change("bad").await;
    held(&reroll, 2).await;
    eventually("what shows nothing is restarted", async || {
        (stage.restarted(&void).len() == 4).then_some(())
    })
    .await;
    let broken = eventually("one goes first", async || {
        let restarted = stage.restarted(&users);
        (!restarted.is_empty()).then_some(restarted)
    })
    .await;
    assert_eq!(broken.len(), 1, "{broken:?}");
    stage.stuck(broken[0]).await;
    held(&reroll, 2).await;
    stage.recorder.settle(&stage.arena).await;
    assert_eq!(stage.restarted(&users), broken);
}

#[tokio::test]
async fn a_stateful_set_that_never_heals_by_itself_is_named_and_holds_nobody() {
    let stage = Stage::set("slow-ordered").await;
    stage.add(&of("StatefulSet", "a-ordered"), 2).await;
    for name in ["w-1", "w-2", "w-3", "w-4"] {
        stage.add(&deployment(name, "db", "k"), 1).await;
    }
    let users = [
        ("Deployment", "w-1"),
        ("Deployment", "w-2"),
        ("Deployment", "w-3"),
        ("Deployment", "w-4"),
    ];
    let ordered = ("StatefulSet", "a-ordered");
    let reroll = stage.start(&[&[ordered], users.as_slice()].concat()).await;
    stage.change("bad").await;
    // It has more pods, so it shows most, and goes first.
    held(&reroll, 4).await;
    let said = stage.stuck("a-ordered").await;
    let remedy = format!(
        "kubectl delete pod a-ordered-1 -n {}",
        stage.arena.namespace
    );
    assert!(said.contains(&remedy), "{said}");
    stage.change("good again").await;
    eventually("all others are restarted", async || {
        (stage.restarted(&users).len() == 4).then_some(())
    })
    .await;
    stage.recorder.settle(&stage.arena).await;
    stage.recorder.expect("StatefulSet", "a-ordered", 2);
    stage
        .recorder
        .expect_each("Deployment", users.map(|(_, name)| (name, 1)));
}

#[tokio::test]
async fn one_daemon_set_of_several_is_broken() {
    let stage = Stage::set("slow-daemons").await;
    let all = [
        ("DaemonSet", "d-1"),
        ("DaemonSet", "d-2"),
        ("DaemonSet", "d-3"),
    ];
    for (kind, name) in all {
        stage.add(&of(kind, name), 1).await;
    }
    let reroll = stage.start(&all).await;
    stage.change("bad").await;
    held(&reroll, 2).await;
    let broken = eventually("one is restarted", async || {
        stage.restarted(&all).first().copied()
    })
    .await;
    stage.stuck(broken).await;
    assert_eq!(stage.restarted(&all), [broken]);
    stage.change("good again").await;
    eventually("all are restarted", async || {
        (stage.restarted(&all).len() == 3).then_some(())
    })
    .await;
    stage.recorder.settle(&stage.arena).await;
    stage.recorder.expect_each(
        "DaemonSet",
        all.map(|(_, name)| (name, 1 + usize::from(name == broken))),
    );
}

#[tokio::test]
async fn what_others_roll_is_no_verdict() {
    let stage = Stage::set("slow-others").await;
    let all = [("Deployment", "w-1"), ("Deployment", "w-2")];
    for (_, name) in all {
        stage.add(&deployment(name, "db", "k"), 1).await;
    }
    let reroll = stage.start(&all).await;
    stage.change("good too").await;
    eventually("both are restarted", async || {
        (stage.restarted(&all).len() == 2).then_some(())
    })
    .await;
    stage.recorder.settle(&stage.arena).await;
    // A deploy that lacks a key: reroll records the versions, and did not restart it.
    let from = json!({ "secretKeyRef": { "name": "other", "key": "k" } });
    let variables = json!([{ "name": "V", "valueFrom": from }]);
    stage.arena.secret("other", &[("k", "bad")]).await;
    stage
        .arena
        .edit_container("Deployment", "w-1", "env", variables)
        .await;
    eventually("its pod does not run", async || {
        let pods = stage.arena.pods("w-1").await;
        let phase = |phase: &str| {
            pods.iter().any(|pod| {
                pod.status
                    .as_ref()
                    .and_then(|status| status.phase.as_deref())
                    == Some(phase)
            })
        };
        phase("Pending").then_some(())
    })
    .await;
    // Later than a look at its pods would have shown it.
    stage.change("good again").await;
    eventually("the other one is restarted", async || {
        (stage.recorder.rollouts("Deployment", "w-2") == 2).then_some(())
    })
    .await;
    stage.recorder.settle(&stage.arena).await;
    assert_eq!(stage.arena.event_count("w-1", "RestartStuck").await, 0);
    assert_eq!(reroll.count("reroll_restarts_stuck_total").await, 0);
}

#[tokio::test]
async fn what_cannot_be_read_is_said_and_changes_nothing() {
    let stage = Stage::set("slow-unreadable").await;
    let all = [("Deployment", "w-1"), ("Deployment", "w-2")];
    for (_, name) in all {
        stage.add(&deployment(name, "db", "k"), 1).await;
    }
    let key = "reroll.dev/slow-start";
    let asks = format!("{key}=later");
    let namespace = stage.arena.namespace.clone();
    let asked = ["annotate", "namespace", &namespace, &asks];
    stage.arena.kubectl(&asked).await.ok();
    let reroll = stage.start(&all).await;
    let said = stage.arena.event(&namespace, "SettingUnreadable: ").await;
    assert!(
        said.contains("reroll.dev/slow-start: \"later\" is not on or off"),
        "{said}"
    );
    for object in ["secret/db", "deployment/w-1"] {
        let said = stage.arena.kubectl(&["annotate", object, &asks]).await.ok();
        assert!(
            said.err.contains("is not on or off"),
            "{object}: {}",
            said.err
        );
    }
    stage.change("bad").await;
    held(&reroll, 1).await;
    stage.recorder.settle(&stage.arena).await;
    assert_eq!(stage.restarted(&all).len(), 1);
}

#[tokio::test]
async fn a_source_that_is_rewritten_again_and_again_is_named_with_its_writer() {
    let arena = Arena::new("slow-rewritten").await;
    let _reroll = arena.reroll().start().await;
    arena.secret("db", &[("k", "0")]).await;
    arena.create(&deployment("web", "db", "k")).await;
    arena.adopted("Deployment", "web").await;
    let recorder = Recorder::start(&arena).await;
    for number in 1..=7 {
        arena
            .update_secret("db", &[("k", &number.to_string())])
            .await;
        recorder.reaches("Deployment", "web", number).await;
    }
    let said = arena.event("web", "SourceRewritten: ").await;
    assert!(
        said.contains("Secret db made it restart 5 times within an hour, last for key k; "),
        "{said}"
    );
    assert_eq!(arena.event_count("web", "SourceRewritten").await, 1);
}
