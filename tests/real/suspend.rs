//! `reroll.dev/suspend` on a workload, its Namespace or reroll's Lease: any of them holds, whatever else happens, and what was
//! held restarts once when it is let go.

use kube::api::ListParams;
use reroll_harness::{
    Arena, RESTART_ON, Recorder, Reroll, deployment, env, eventually, numbered, workload,
};
use serde_json::{Value, json};

use crate::batch::{RUNS, cron_job, job_spec};

const SUSPEND: &str = "reroll.dev/suspend";
const PENDING: &str = "reroll.dev/pending";
/// How many workloads people hold.
const HELD: &str = "reroll_workloads_pending{reason=\"suspended\"}";

/// What says that something is held.
#[derive(Clone, Copy, Debug)]
enum Place {
    Workload(&'static str),
    Namespace,
    Lease,
}

impl Place {
    /// How Events and warnings name it.
    fn spoken(self, arena: &Arena) -> String {
        match self {
            Self::Workload(_) => "the workload".to_owned(),
            Self::Namespace => format!("Namespace {}", arena.namespace),
            Self::Lease => "reroll's Lease".to_owned(),
        }
    }

    /// Says it as the documentation does; `None`: takes it back.
    async fn says(self, arena: &Arena, text: Option<&str>) {
        let value = text.map_or_else(|| format!("{SUSPEND}-"), |text| format!("{SUSPEND}={text}"));
        let (what, name, namespace) = match self {
            Self::Workload(name) => ("deployment", name, &arena.namespace),
            Self::Namespace => ("namespace", arena.namespace.as_str(), &arena.namespace),
            Self::Lease => ("lease", "reroll", &arena.own_namespace),
        };
        let arguments = [
            "annotate",
            "--overwrite",
            "-n",
            namespace,
            what,
            name,
            &value,
        ];
        arena.kubectl(&arguments).await.ok();
    }
}

/// Tries a change of a Secret at the prompt, without effect, until reroll warns of this, or, where it is not `so`, no more.
async fn warned(arena: &Arena, secret: &str, text: &str, so: bool) {
    let change = [
        "patch",
        "secret",
        secret,
        "--dry-run=server",
        "-p",
        r#"{"stringData":{"k":"tried"}}"#,
    ];
    eventually(&format!("the prompt says {text}: {so}"), async || {
        let said = arena.kubectl(&change).await.ok();
        (said.err.contains(text) == so).then_some(())
    })
    .await;
}

/// Waits until so many are held.
async fn held(reroll: &Reroll, number: u64) {
    eventually(&format!("{number} are held"), async || {
        (reroll.count(HELD).await == number).then_some(())
    })
    .await;
}

/// Waits until what is pending on a workload is so.
async fn pending(arena: &Arena, kind: &str, name: &str, so: impl Fn(&Value) -> bool) -> Value {
    eventually(
        &format!("what is pending stands on {kind} {name}"),
        async || {
            let text = arena.annotation(kind, name, PENDING).await?;
            let pending: Value = serde_json::from_str(&text).unwrap();
            so(&pending).then_some(pending)
        },
    )
    .await
}

/// Waits until nothing is pending on a Deployment.
async fn nothing_pending(arena: &Arena, name: &str) {
    eventually(&format!("nothing is pending on {name}"), async || {
        let text = arena.annotation("Deployment", name, PENDING).await;
        text.is_none().then_some(())
    })
    .await;
}

/// The Lease lets restarts go: each workload is restarted once.
async fn the_lease_lets_go(arena: &Arena, recorder: &Recorder, names: &[String]) {
    Place::Lease.says(arena, None).await;
    for name in names {
        recorder.reaches("Deployment", name, 1).await;
    }
    recorder.settle(arena).await;
    recorder.expect_each("Deployment", names.iter().map(|name| (name, 1)));
}

#[tokio::test]
async fn each_place_holds_and_lets_go() {
    let arena = Arena::new("suspend-places").await;
    let reroll = arena.reroll().start().await;
    let names = arena.pairs(["web", "api"]).await;
    let recorder = arena.record().await;
    arena.adopted("Deployment", "sentinel").await;
    let places = [Place::Workload("web"), Place::Namespace, Place::Lease];
    for (round, place) in places.into_iter().enumerate() {
        let said = format!("{} says {SUSPEND}: INC-{round}", place.spoken(&arena));
        place.says(&arena, Some(&format!("INC-{round}"))).await;
        warned(&arena, "web", &said, true).await;
        for name in &names {
            arena.update_secret(name, &[("k", &said)]).await;
        }
        arena.event("web", &said).await;
        let others = if let Place::Workload(_) = place {
            held(&reroll, 1).await;
            // The other one goes on.
            recorder.settle(&arena).await;
            1
        } else {
            held(&reroll, 2).await;
            0
        };
        recorder.expect("Deployment", "web", round);
        recorder.expect("Deployment", "api", round + others);
        let word = ["False", "no", "0"][round];
        place.says(&arena, Some(word)).await;
        recorder.reaches("Deployment", "web", round + 1).await;
        recorder.settle(&arena).await;
        recorder.expect_each("Deployment", names.iter().map(|name| (name, round + 1)));
        held(&reroll, 0).await;
        warned(&arena, "web", SUSPEND, false).await;
    }
}

#[tokio::test]
async fn all_of_them_together_hold_until_the_last_lets_go() {
    let arena = Arena::new("suspend-all").await;
    let reroll = arena.reroll().start().await;
    arena.pairs(["web"]).await;
    let recorder = arena.record().await;
    arena.adopted("Deployment", "sentinel").await;
    let places = [Place::Workload("web"), Place::Namespace, Place::Lease];
    // Each is nearer than the one before, so that the prompt names it.
    for place in places.into_iter().rev() {
        place.says(&arena, Some("true")).await;
        warned(&arena, "web", &place.spoken(&arena), true).await;
    }
    arena.update_secret("web", &[("k", "two")]).await;
    held(&reroll, 1).await;
    for place in places {
        recorder.expect("Deployment", "web", 0);
        let said = format!("{} says {SUSPEND}: true", place.spoken(&arena));
        arena.event("web", &said).await;
        warned(&arena, "web", &said, true).await;
        place.says(&arena, None).await;
    }
    recorder.reaches("Deployment", "web", 1).await;
    recorder.settle(&arena).await;
    recorder.expect("Deployment", "web", 1);
}

/// What an opt-in gains counts from then on, also while a restart is held. It changes, and what that restart was for is put back:
/// what is let go is one restart, for what changed.
async fn gained_while_held(arena: &Arena, reroll: &Reroll) {
    for name in ["db", "mail"] {
        arena.secret(name, &[("k", "one")]).await;
    }
    let mut pod = env("db", "k");
    pod["containers"][0]["envFrom"] = json!([{ "secretRef": { "name": "mail" } }]);
    let asks = [(RESTART_ON, "secret/db"), (SUSPEND, "INC-1")];
    arena
        .create(&workload("Deployment", "web", &asks, pod))
        .await;
    arena.adopted("Deployment", "web").await;
    let recorder = arena.record().await;
    arena.update_secret("db", &[("k", "two")]).await;
    held(reroll, 1).await;
    arena
        .annotate("Deployment", "web", RESTART_ON, Some("auto"))
        .await;
    eventually("what it gained is recorded", async || {
        let observed = arena.observed("Deployment", "web").await?;
        observed["s"].get("secret/mail").map(|_| ())
    })
    .await;
    arena.update_secret("mail", &[("k", "two")]).await;
    arena.update_secret("db", &[("k", "one")]).await;
    let only_mail = |pending: &Value| {
        let causes = pending["causes"].as_str().unwrap();
        causes.contains("mail") && !causes.contains("db")
    };
    pending(arena, "Deployment", "web", only_mail).await;
    Place::Workload("web").says(arena, None).await;
    recorder.reaches("Deployment", "web", 1).await;
    recorder.settle(arena).await;
    recorder.expect("Deployment", "web", 1);
}

#[tokio::test]
async fn what_is_gained_while_a_restart_is_held_counts() {
    let arena = Arena::new("suspend-gained").await;
    let reroll = arena.reroll().start().await;
    gained_while_held(&arena, &reroll).await;
}

#[tokio::test]
async fn what_is_gained_without_the_webhook_while_a_restart_is_held_counts() {
    let arena = Arena::new("suspend-gained-alone").await;
    let reroll = arena.reroll().without_webhook().start().await;
    gained_while_held(&arena, &reroll).await;
}

#[tokio::test]
async fn any_word_holds_and_stands_in_what_is_pending() {
    let arena = Arena::new("suspend-word").await;
    let reroll = arena
        .reroll()
        .flag("--optional-kinds", "cronjobs")
        .start()
        .await;
    arena.secret("db", &[("k", "one")]).await;
    let asks = [(RESTART_ON, "auto"), (SUSPEND, "needs approval")];
    let web = workload("Deployment", "web", &asks, env("db", "k"));
    arena.create(&web).await;
    let asks = [(RESTART_ON, "auto"), (SUSPEND, "")];
    let empty = workload("StatefulSet", "empty", &asks, env("db", "k"));
    arena.create(&empty).await;
    let runs = [RUNS.as_slice(), &[(SUSPEND, "soon")]].concat();
    arena.create(&cron_job("report", &runs, &job_spec())).await;
    let users = [
        ("Deployment", "web", "needs approval"),
        ("StatefulSet", "empty", "\"\""),
        ("CronJob", "report", "soon"),
    ];
    for (kind, name, _) in users {
        arena.adopted(kind, name).await;
    }
    let recorder = arena.record().await;
    let mut ids = Vec::new();
    for value in ["two", "three"] {
        arena.update_secret("db", &[("k", value)]).await;
        held(&reroll, 3).await;
        for (kind, name, said) in users {
            let before = ids.last();
            let shown = pending(&arena, kind, name, |shown| {
                kind != "Deployment" || before != Some(&shown["id"])
            })
            .await;
            let by = format!("the workload says {SUSPEND}: {said}");
            assert_eq!(shown["reason"], "suspended", "{shown}");
            assert_eq!(shown["by"], by, "{shown}");
            assert!(shown["causes"].as_str().unwrap().contains("db"), "{shown}");
            if kind == "Deployment" {
                ids.push(shown["id"].clone());
            }
        }
    }
    assert_eq!(ids.len(), 2);
    let events = arena.events("web").await;
    assert!(
        !events
            .iter()
            .any(|event| event.contains("SettingUnreadable")),
        "{events:?}"
    );
    recorder.expect("Deployment", "web", 0);
    recorder.expect("StatefulSet", "empty", 0);
    let jobs = arena.api("Job").list(&ListParams::default()).await;
    assert_eq!(jobs.unwrap().items.len(), 0);
    // What was before comes back: nothing is due, and nothing is written of it any more.
    arena.update_secret("db", &[("k", "one")]).await;
    nothing_pending(&arena, "web").await;
    held(&reroll, 0).await;
    arena.update_secret("db", &[("k", "four")]).await;
    let shown = pending(&arena, "Deployment", "web", |_| true).await;
    assert!(!ids.contains(&shown["id"]), "{shown}");
    arena.annotate("Deployment", "web", SUSPEND, None).await;
    recorder.reaches("Deployment", "web", 1).await;
    recorder.settle(&arena).await;
    recorder.expect("Deployment", "web", 1);
    recorder.expect("StatefulSet", "empty", 0);
    nothing_pending(&arena, "web").await;
}

/// What the Lease says, and its uid.
async fn lease(arena: &Arena) -> Option<(String, String)> {
    let get = [
        "get",
        "lease",
        "reroll",
        "-n",
        &arena.own_namespace,
        "-o",
        "json",
    ];
    let said = arena.kubectl(&get).await;
    let lease: Value = serde_json::from_str(&said.out).ok()?;
    let meta = &lease["metadata"];
    let text = meta["annotations"][SUSPEND].as_str()?;
    Some((text.to_owned(), meta["uid"].as_str()?.to_owned()))
}

#[tokio::test]
async fn a_lease_that_is_made_again_still_holds_also_after_a_crash() {
    let arena = Arena::new("suspend-lease").await;
    let reroll = arena.reroll().start().await;
    let names = arena.pairs(numbered(5)).await;
    let recorder = arena.record().await;
    arena.adopted("Deployment", "sentinel").await;
    Place::Lease.says(&arena, Some("INC-42")).await;
    warned(&arena, "w00", "reroll's Lease says", true).await;
    let (_, before) = lease(&arena).await.unwrap();
    arena
        .kubectl(&["delete", "lease", "reroll", "-n", &arena.own_namespace])
        .await
        .ok();
    let (text, after) = eventually("the Lease is made again", async || lease(&arena).await).await;
    assert_eq!(text, "INC-42");
    assert_ne!(before, after);
    for name in &names {
        arena.update_secret(name, &[("k", "two")]).await;
    }
    held(&reroll, 5).await;
    let mut builder = reroll.builder();
    let mut reroll = reroll;
    for _ in 0..3 {
        reroll.kill();
        reroll = builder.start().await;
        held(&reroll, 5).await;
        recorder.expect_each("Deployment", names.iter().map(|name| (name, 0)));
        builder = reroll.builder();
    }
    pending(&arena, "Deployment", "w00", |shown| {
        shown["reason"] == "suspended"
    })
    .await;
    recorder.expect_each("Deployment", names.iter().map(|name| (name, 0)));
    the_lease_lets_go(&arena, &recorder, &names).await;
}

#[tokio::test]
async fn the_next_leader_knows_what_the_lease_says() {
    let arena = Arena::new("suspend-leader").await;
    let builder = arena.reroll().flag("--lease-duration", "5s");
    let first = arena.replica(builder.clone(), "first").await;
    first.leads().await;
    let second = arena.replica(builder.without_webhook(), "second").await;
    let names = arena.pairs(numbered(5)).await;
    let recorder = arena.record().await;
    arena.adopted("Deployment", "sentinel").await;
    // Edits of the Lease take no leadership away.
    for number in 0..30 {
        Place::Lease
            .says(&arena, Some(&format!("INC-{number}")))
            .await;
    }
    warned(&arena, "w00", "INC-29", true).await;
    assert!(!first.log().contains("another replica holds it"));
    first.kill();
    for name in &names {
        arena.update_secret(name, &[("k", "two")]).await;
    }
    second.leads().await;
    held(&second, 5).await;
    pending(&arena, "Deployment", "w00", |shown| {
        shown["reason"] == "suspended"
    })
    .await;
    recorder.expect_each("Deployment", names.iter().map(|name| (name, 0)));
    the_lease_lets_go(&arena, &recorder, &names).await;
}

#[tokio::test]
async fn two_hundred_changes_are_one_restart_each() {
    let arena = Arena::new("suspend-many").await;
    let reroll = arena.reroll().flag("--slow-start", "on").start().await;
    arena.secret("db", &[("k", "0")]).await;
    let names: Vec<_> = numbered(20).collect();
    for name in &names {
        arena.create(&deployment(name, "db", "k")).await;
    }
    arena.all_adopted("Deployment").await;
    let recorder = arena.record().await;
    arena.adopted("Deployment", "sentinel").await;
    Place::Namespace.says(&arena, Some("freeze")).await;
    warned(&arena, "db", "says reroll.dev/suspend: freeze", true).await;
    for number in 1..=200 {
        arena
            .update_secret("db", &[("k", &number.to_string())])
            .await;
        if number == 100 {
            held(&reroll, 20).await;
        }
    }
    held(&reroll, 20).await;
    let builder = reroll.builder();
    reroll.kill();
    let reroll = builder.start().await;
    held(&reroll, 20).await;
    recorder.expect_each("Deployment", names.iter().map(|name| (name, 0)));
    Place::Namespace.says(&arena, None).await;
    for name in &names {
        recorder.reaches("Deployment", name, 1).await;
    }
    recorder.settle(&arena).await;
    recorder.expect_each("Deployment", names.iter().map(|name| (name, 1)));
    held(&reroll, 0).await;
}
