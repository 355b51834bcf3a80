//! Values that belong together: `reroll.dev/together`. Both have changed, or the latest time is over, and then it is one restart.

use jiff::{SignedDuration, Timestamp};
use reroll_harness::{
    Arena, LAST_RESTART, LEADER, Offset, PENDING, RELEASE, RESTART_ON, ROLLOUT, Recorder, Reroll,
    RerollBuilder, TOGETHER, TOGETHER_LATEST, WINDOW, env, env_optional, eventually, every_second,
    workload,
};
use serde_json::{Value, json};

const GROUP: &str = "secret/user, secret/pass#k";

/// What pods read of Secrets `user` and `pass`.
fn reads() -> Value {
    let mut pod = env("user", "k");
    let from = env("pass", "k")["containers"][0]["env"][0]["valueFrom"].clone();
    let all = pod["containers"][0]["env"].as_array_mut().unwrap();
    all.push(json!({ "name": "PASS", "valueFrom": from }));
    pod
}

fn web(says: &[(&str, &str)]) -> Value {
    let says = [&[(RESTART_ON, "auto"), (TOGETHER, GROUP)], says].concat();
    workload("Deployment", "web", &says, reads())
}

/// Both Secrets, and whoever uses them.
struct Stage {
    arena: Arena,
    recorder: Recorder,
}

impl Stage {
    async fn set(name: &str, says: &[(&str, &str)]) -> Self {
        let arena = Arena::new(name).await;
        for secret in ["user", "pass", "other"] {
            arena.secret(secret, &[("k", "0"), ("l", "0")]).await;
        }
        arena.create(&web(says)).await;
        let recorder = arena.record().await;
        Self { arena, recorder }
    }

    async fn start(&self) -> Reroll {
        self.start_as(self.arena.reroll()).await
    }

    async fn start_as(&self, builder: RerollBuilder) -> Reroll {
        let reroll = builder.start().await;
        self.arena.adopted("Deployment", "web").await;
        reroll
    }

    async fn change(&self, secret: &str, value: &str) {
        let data = [("k", value), ("l", "0")];
        self.arena.update_secret(secret, &data).await;
    }

    /// Waits until it is shown that `web` waits for what belongs together. Returns that.
    async fn waits(&self) -> Value {
        eventually("it waits for what belongs together", async || {
            let text = self.arena.annotation("Deployment", "web", PENDING).await?;
            let pending: Value = serde_json::from_str(&text).unwrap();
            (pending["reason"] == "together").then_some(pending)
        })
        .await
    }

    async fn reaches(&self, restarts: usize) {
        self.recorder.reaches("Deployment", "web", restarts).await;
    }

    async fn expect(&self, restarts: usize) {
        self.recorder.settle(&self.arena).await;
        self.recorder.expect("Deployment", "web", restarts);
    }

    /// Waits until nothing is pending, and expects so many restarts, the last of which was for these.
    async fn ends(&self, restarts: usize, names: &[&str]) {
        self.reaches(restarts).await;
        self.expect(restarts).await;
        eventually("nothing is pending", async || {
            let pending = self.arena.annotation("Deployment", "web", PENDING).await;
            pending.is_none().then_some(())
        })
        .await;
        let last = self
            .arena
            .annotation("Deployment", "web", LAST_RESTART)
            .await;
        let last = last.unwrap_or_default();
        for secret in ["user", "pass", "other"] {
            let told = last.contains(&format!("Secret {secret} "));
            assert_eq!(told, names.contains(&secret), "{last}");
        }
    }
}

async fn counted(reroll: &Reroll, number: u64) {
    eventually(&format!("{number} wait"), async || {
        let name = "reroll_workloads_pending{reason=\"together\"}";
        (reroll.count(name).await == number).then_some(())
    })
    .await;
}

#[tokio::test]
async fn both_within_a_second_are_one_restart() {
    let stage = Stage::set("groups-second", &[]).await;
    let _reroll = stage.start().await;
    tokio::join!(stage.change("user", "1"), stage.change("pass", "1"));
    stage.ends(1, &["user", "pass"]).await;
    let events = stage.arena.events("web").await;
    let apart = |event: &String| event.contains("RestartedApart");
    assert!(!events.iter().any(apart), "{events:?}");
}

#[tokio::test]
async fn both_within_45_seconds_are_one_restart() {
    let stage = Stage::set("groups-45-seconds", &[]).await;
    let offset = Offset::new(&stage.arena);
    // Only the clock may take the Lease away, not a busy machine.
    let builder = stage.arena.reroll().flag("--lease-duration", "10m");
    let reroll = stage.start_as(offset.of(builder)).await;
    stage.change("user", "1").await;
    let pending = stage.waits().await;
    assert_eq!(pending["by"], "Secret pass (key k)", "{pending}");
    let told = stage.arena.event("web", "RestartWaits: ").await;
    assert!(
        told.contains("Secret pass (key k)") && told.contains(TOGETHER),
        "{told}"
    );
    counted(&reroll, 1).await;
    offset.seconds(45);
    stage.expect(0).await;
    stage.change("pass", "1").await;
    stage.ends(1, &["user", "pass"]).await;
    counted(&reroll, 0).await;
}

#[tokio::test]
async fn one_that_stays_alone_is_restarted_for_at_the_latest_time() {
    let stage = Stage::set("groups-one", &[(TOGETHER_LATEST, "8s")]).await;
    let _reroll = stage.start().await;
    let changed = now();
    stage.change("user", "1").await;
    stage.waits().await;
    stage.ends(1, &["user"]).await;
    assert!(waited(&stage, changed).await >= SignedDuration::from_secs(8));
    let told = stage.arena.event("web", "RestartedApart: ").await;
    assert!(
        told.contains("and not for Secret pass (key k): a later change"),
        "{told}"
    );
    // The other is a restart of its own, and is held as long.
    stage.change("pass", "1").await;
    stage.waits().await;
    stage.ends(2, &["pass"]).await;
    assert_eq!(stage.arena.event_count("web", "RestartedApart").await, 2);
}

#[expect(clippy::disallowed_methods, reason = "a person has a clock")]
fn now() -> Timestamp {
    Timestamp::now()
}

/// How long after that the last restart was made; times of writes have no fractions of a second.
async fn waited(stage: &Stage, changed: Timestamp) -> SignedDuration {
    let opened = stage.arena.annotation("Deployment", "web", ROLLOUT).await;
    let opened: Value = serde_json::from_str(&opened.unwrap()).unwrap();
    let at: Timestamp = opened["at"].as_str().unwrap().parse().unwrap();
    at.duration_since(changed) + SignedDuration::from_secs(1)
}

#[tokio::test]
async fn both_twice_are_two_restarts_and_one_twice_is_none_more() {
    let stage = Stage::set("groups-twice", &[]).await;
    let _reroll = stage.start().await;
    for round in [1, 2] {
        let value = round.to_string();
        stage.change("user", &value).await;
        stage.waits().await;
        stage.change("pass", &value).await;
        stage.ends(round, &["user", "pass"]).await;
    }
    let first = {
        stage.change("pass", "3").await;
        stage.waits().await
    };
    stage.change("pass", "4").await;
    let second = eventually("it is another restart", async || {
        let pending = stage.waits().await;
        (pending["id"] != first["id"]).then_some(pending)
    })
    .await;
    // It counts from the first change all the same.
    assert_eq!(second["since"], first["since"]);
    stage.expect(2).await;
    stage.change("user", "4").await;
    stage.ends(3, &["user", "pass"]).await;
}

/// The leader is killed while it waits, before its restart is sent, and before the answer is read.
#[tokio::test]
async fn across_crashes_it_is_one_restart() {
    let stage = Stage::set("groups-crash", &[]).await;
    let moments = ["", "before-patch:1", "answer-unread:1"];
    let mut restarts = 0;
    for moment in moments {
        let builder = stage.arena.reroll();
        let builder = match moment {
            "" => builder,
            moment => builder.surroundings("UNDER_TEST_CRASH", moment),
        };
        let mut reroll = stage.start_as(builder).await;
        let value = format!("{moment}.");
        stage.change("user", &value).await;
        stage.waits().await;
        if moment.is_empty() {
            reroll.kill();
            stage.change("pass", &value).await;
        } else {
            stage.change("pass", &value).await;
            assert!(!reroll.ended().await, "it aborts at {moment}");
        }
        restarts += 1;
        let reroll = stage.start().await;
        stage.ends(restarts, &["user", "pass"]).await;
        assert!(reroll.stop().await);
    }
}

#[tokio::test]
async fn another_leader_waits_for_the_same() {
    let stage = Stage::set("groups-leaders", &[]).await;
    let first = stage.arena.reroll().without_webhook();
    let first = stage.arena.replica(first, "first").await;
    first.leads().await;
    stage.arena.adopted("Deployment", "web").await;
    let second = stage.arena.reroll().without_webhook();
    let second = stage.arena.replica(second, "second").await;
    assert_eq!(second.count(LEADER).await, 0);
    stage.change("user", "1").await;
    let pending = stage.waits().await;
    first.kill();
    second.leads().await;
    counted(&second, 1).await;
    stage.expect(0).await;
    assert_eq!(stage.waits().await["moved"], pending["moved"]);
    stage.change("pass", "1").await;
    stage.ends(1, &["user", "pass"]).await;
}

/// One of them changes every second, and reroll is killed meanwhile.
#[tokio::test]
async fn the_latest_time_comes_whatever_changes() {
    let stage = Stage::set("groups-latest", &[(TOGETHER_LATEST, "25s")]).await;
    let reroll = stage.start().await;
    let first = now();
    stage.change("user", "first").await;
    let pending = stage.waits().await;
    assert!(pending["moved"]["secret/user"].is_string(), "{pending}");
    reroll.kill();
    let _reroll = stage.start().await;
    let writes = every_second(async |value| stage.change("user", &format!("value {value}")).await);
    tokio::select! {
        () = writes => {}
        () = stage.reaches(1) => {}
    }
    let waited = waited(&stage, first).await;
    assert!(
        waited >= SignedDuration::from_secs(25),
        "{waited}, {pending}"
    );
    assert!(
        waited < SignedDuration::from_secs(50),
        "{waited}, {pending}"
    );
}

#[tokio::test]
async fn a_release_passes_it_and_so_does_a_source_of_no_group() {
    let says = [(RESTART_ON, "auto, secret/other")];
    let stage = Stage::set("groups-release", &says).await;
    let _reroll = stage.start().await;
    stage.change("other", "1").await;
    stage.ends(1, &["other"]).await;
    stage.change("user", "1").await;
    let pending = stage.waits().await;
    stage.change("other", "2").await;
    stage.expect(1).await;
    assert_eq!(stage.waits().await["since"], pending["since"]);
    stage
        .arena
        .annotate("Deployment", "web", RELEASE, Some("now"))
        .await;
    stage.ends(2, &["user", "other"]).await;
    let told = stage.arena.event("web", "RestartedApart: ").await;
    assert!(told.contains("Secret pass (key k)"), "{told}");
    // The next one waits again, and all of it is one restart.
    stage.change("other", "3").await;
    stage.ends(3, &["other"]).await;
    stage.change("pass", "2").await;
    stage.waits().await;
    stage.change("other", "4").await;
    stage.change("user", "2").await;
    stage.reaches(4).await;
    stage.ends(4, &["user", "pass", "other"]).await;
}

#[tokio::test]
async fn of_a_key_no_other_key_counts() {
    let stage = Stage::set("groups-key", &[]).await;
    let mut pod = reads();
    pod["containers"][0]["envFrom"] = json!([{ "secretRef": { "name": "pass" } }]);
    let says = [(RESTART_ON, "auto"), (TOGETHER, GROUP)];
    let whole = workload("Deployment", "whole", &says, pod);
    stage.arena.create(&whole).await;
    let _reroll = stage.start().await;
    stage.arena.adopted("Deployment", "whole").await;
    stage.change("user", "1").await;
    stage.waits().await;
    // Another key of the same Secret: who reads it has a restart due, and still waits for the key.
    let data = [("k", "0"), ("l", "1")];
    stage.arena.update_secret("pass", &data).await;
    stage.expect(0).await;
    stage.recorder.expect("Deployment", "whole", 0);
    let data = [("k", "1"), ("l", "1")];
    stage.arena.update_secret("pass", &data).await;
    stage.reaches(1).await;
    stage.recorder.reaches("Deployment", "whole", 1).await;
    stage.expect(1).await;
    stage.recorder.expect("Deployment", "whole", 1);
    // Where nothing of the group has changed, nothing of it is waited for.
    let data = [("k", "1"), ("l", "2")];
    stage.arena.update_secret("pass", &data).await;
    stage.recorder.reaches("Deployment", "whole", 2).await;
    stage.expect(1).await;
    stage.recorder.expect("Deployment", "whole", 2);
}

#[tokio::test]
async fn what_was_never_there_is_not_waited_for_and_what_went_is() {
    let stage = Stage::set("groups-absent", &[]).await;
    let optional = env_optional("late", "k")["containers"][0]["env"][0].clone();
    let mut pod = env("user", "k");
    pod["containers"][0]["env"]
        .as_array_mut()
        .unwrap()
        .push(json!({
            "name": "LATE", "valueFrom": optional["valueFrom"],
        }));
    let group = "secret/user, secret/late";
    let says = [(RESTART_ON, "auto"), (TOGETHER, group)];
    let late = workload("Deployment", "late", &says, pod);
    let _reroll = stage.start().await;
    let text = serde_json::to_string(&late).unwrap();
    let said = stage.arena.kubectl_with(&["apply", "-f", "-"], &text).await;
    let absent = format!("{TOGETHER} does not wait for Secret late: it does not exist");
    assert!(said.err.contains(&absent), "{}", said.err);
    stage.arena.adopted("Deployment", "late").await;
    let restarts = async |number: usize| {
        stage.recorder.reaches("Deployment", "late", number).await;
        stage.recorder.settle(&stage.arena).await;
        stage.recorder.expect("Deployment", "late", number);
    };
    stage.change("user", "1").await;
    restarts(1).await;
    // It appears, which is a change, and waits for the other.
    stage.arena.secret("late", &[("k", "1")]).await;
    stage.recorder.settle(&stage.arena).await;
    stage.recorder.expect("Deployment", "late", 1);
    stage.change("user", "2").await;
    restarts(2).await;
    // It goes and comes back, as a controller may do that makes it anew.
    stage.change("user", "3").await;
    stage.arena.delete("Secret", "late").await;
    stage.recorder.settle(&stage.arena).await;
    stage.recorder.expect("Deployment", "late", 2);
    stage.arena.secret("late", &[("k", "3")]).await;
    restarts(3).await;
    stage.expect(0).await;
}

#[tokio::test]
async fn a_window_is_told_before_it_and_who_changes_one_hears_of_it() {
    let stage = Stage::set("groups-window", &[(WINDOW, "never")]).await;
    let low = [(RESTART_ON, "auto"), (TOGETHER, GROUP)];
    let low = workload("Deployment", "low", &low, reads());
    stage.arena.create(&low).await;
    let reroll = stage.start().await;
    stage.arena.adopted("Deployment", "low").await;
    let patch = r#"{"data":{"k":"MQ=="}}"#;
    let arguments = ["patch", "secret/user", "-p", patch];
    let said = stage.arena.kubectl(&arguments).await.ok();
    let apart = format!("not before what belongs together has changed ({TOGETHER})");
    assert!(said.err.contains(&apart), "{}", said.err);
    counted(&reroll, 1).await;
    eventually("it waits for its window", async || {
        let name = "reroll_workloads_pending{reason=\"window\"}";
        (reroll.count(name).await == 1).then_some(())
    })
    .await;
    stage
        .arena
        .annotate("Deployment", "web", WINDOW, None)
        .await;
    counted(&reroll, 2).await;
    stage.expect(0).await;
    stage.change("pass", "1").await;
    stage.recorder.reaches("Deployment", "low", 1).await;
    stage.ends(1, &["user", "pass"]).await;
    stage.recorder.expect("Deployment", "low", 1);
}

#[tokio::test]
async fn what_does_nothing_is_told_and_holds_nothing() {
    let stage = Stage::set("groups-wrong", &[]).await;
    let _reroll = stage.start().await;
    let rows = [
        ("secret/user", "is not two values at least"),
        ("secret/user, pass", "\"pass\" is not secret/NAME"),
        (
            "secret/user, secret/pass#l",
            "does not wait for Secret pass (key l): the workload does not restart on that key",
        ),
        (
            "secret/user, secret/other",
            "does not wait for Secret other: the workload does not restart on it",
        ),
        (
            "secret/user, configmap/none",
            "does not wait for ConfigMap none: the workload does not restart on it",
        ),
    ];
    for (number, (group, told)) in rows.into_iter().enumerate() {
        let text = format!("{TOGETHER}={group}");
        let arguments = ["annotate", "deployment/web", "--overwrite", &text];
        let said = stage.arena.kubectl(&arguments).await.ok();
        assert!(said.err.contains(told), "{group}: {}", said.err);
        stage.change("user", &format!("value {number}")).await;
        stage.ends(number + 1, &["user"]).await;
    }
    // The default holds where the latest time cannot be read.
    let texts = [
        format!("{TOGETHER}={GROUP}"),
        format!("{TOGETHER_LATEST}=soon"),
    ];
    let arguments = [
        "annotate",
        "deployment/web",
        "--overwrite",
        &texts[0],
        &texts[1],
    ];
    let said = stage.arena.kubectl(&arguments).await.ok();
    assert!(
        said.err
            .contains("\"soon\" is not a duration such as 10m, up to 24h"),
        "{}",
        said.err
    );
    stage.change("user", "last").await;
    stage.waits().await;
    stage.expect(rows.len()).await;
}
