//! Each reason for which one of a lower wave does not come, and what happens to it meanwhile: one of a higher wave waits for
//! nobody who does not come.

use reroll_harness::{
    PENDING, Policy, RELEASE, RESTART_ON, Reroll, TOGETHER, WAVE, WINDOW, eventually, workload,
};
use serde_json::{Value, json};

use super::super::{BAD, Stage, windows::closed};

const SUSPEND: &str = "reroll.dev/suspend";
/// The most bytes that all annotations of an object may have.
const MOST: usize = 256 * 1024;

/// One of a lower wave.
struct Row {
    name: &'static str,
    kind: &'static str,
    /// How it is made.
    made: fn(&mut Value),
    /// Whether reroll adopts it.
    adopted: bool,
    /// How often it is restarted, whatever happens to it later.
    restarts: usize,
}

const fn row(name: &'static str, made: fn(&mut Value), restarts: usize) -> Row {
    Row {
        name,
        kind: "Deployment",
        made,
        adopted: true,
        restarts,
    }
}

const fn says_nothing(_: &mut Value) {}

/// Those that do not come, from the beginning or from before the change on.
const HELD: [Row; 11] = [
    row(
        "suspended",
        |it| it["metadata"]["annotations"][SUSPEND] = json!("true"),
        0,
    ),
    Row {
        adopted: false,
        ..row(
            "owned",
            |it| {
                it["metadata"]["ownerReferences"] = json!([{
                    "apiVersion": "example.com/v1", "kind": "App", "name": "app", "uid": "no-such", "controller": true,
                }]);
            },
            0,
        )
    },
    row("zero", |it| it["spec"]["replicas"] = json!(0), 1),
    row("paused", |it| it["spec"]["paused"] = json!(true), 1),
    row("missing", says_nothing, 0),
    row("unreadable", says_nothing, 0),
    row("no-room", says_nothing, 0),
    row("refused", says_nothing, 0),
    row("not-well", says_nothing, 1),
    Row {
        kind: "StatefulSet",
        ..row(
            "on-delete",
            |it| it["spec"]["updateStrategy"] = json!({ "type": "OnDelete" }),
            1,
        )
    },
    Row {
        kind: "StatefulSet",
        ..row(
            "partitioned",
            |it| {
                it["spec"]["updateStrategy"] =
                    json!({ "type": "RollingUpdate", "rollingUpdate": { "partition": 9 } });
            },
            1,
        )
    },
];

/// Those that are waited for until something happens to them: they wait for their window or for what belongs together, or failed.
const MEANWHILE: [Row; 6] = [
    row(
        "grouped",
        |it| it["metadata"]["annotations"][TOGETHER] = json!("secret/grouped, secret/grouped-own"),
        1,
    ),
    row("opened", waits_for_its_window, 1),
    row("opted-out", waits_for_its_window, 0),
    row("deleted", waits_for_its_window, 0),
    row("scaled-down", waits_for_its_window, 0),
    row("failed", says_nothing, 1),
];

fn waits_for_its_window(it: &mut Value) {
    it["metadata"]["annotations"][WINDOW] = json!(closed());
}

impl Row {
    fn low(&self) -> String {
        format!("low-{}", self.name)
    }

    fn high(&self) -> String {
        format!("high-{}", self.name)
    }

    fn own(&self) -> String {
        format!("{}-own", self.name)
    }
}

/// What a pod does follows from the first of these.
fn reads(secrets: &[&str]) -> Value {
    let from = |name: &str| json!({ "secretKeyRef": { "name": name, "key": "k" } });
    let env = secrets.iter().enumerate();
    let env: Vec<_> = env
        .map(|(number, name)| json!({ "name": format!("V{number}"), "valueFrom": from(name) }))
        .collect();
    json!({ "containers": [{ "env": env }] })
}

impl Stage {
    /// One of a lower wave and one of a higher, with a Secret of their own, and another of the lower alone.
    async fn set_row(&self, row: &Row) {
        let (secret, own) = (row.name, row.own());
        self.arena.secret(secret, &[("k", "good")]).await;
        let value = if secret == "not-well" {
            "never ready"
        } else {
            "good"
        };
        self.arena.secret(&own, &[("k", value)]).await;
        let says = [(RESTART_ON, "auto")];
        let order: &[&str] = match secret {
            "failed" => &["failed"],
            _ => &[&own, secret],
        };
        let mut low = workload(row.kind, &row.low(), &says, reads(order));
        low = self.kubelet.runs(low, 1);
        (row.made)(&mut low);
        self.arena.create(&low).await;
        let says = [(RESTART_ON, "auto"), (WAVE, "1")];
        let high = workload("Deployment", &row.high(), &says, reads(&[secret]));
        self.create(&high, 1).await;
    }

    /// What happens to one after it is adopted, and before the change.
    async fn happens(&self, row: &Row) {
        let arena = &self.arena;
        let (kind, low) = (row.kind, row.low());
        match row.name {
            "missing" => arena.delete("Secret", &row.own()).await,
            "unreadable" => {
                let unreadable = Some("secret/");
                arena.annotate(kind, &low, RESTART_ON, unreadable).await;
            }
            "no-room" => {
                let object = arena.get(kind, &low).await;
                let all = object.metadata.annotations.unwrap();
                let taken: usize = all.iter().map(|(key, value)| key.len() + value.len()).sum();
                let filler = "x".repeat(MOST - taken - "filler".len() - 20);
                arena.annotate(kind, &low, "filler", Some(&filler)).await;
            }
            _ => {}
        }
    }

    /// What happens to one for which another waits.
    async fn happens_meanwhile(&self, row: &Row) {
        let arena = &self.arena;
        let (kind, low) = (row.kind, row.low());
        match row.name {
            "grouped" => arena.update_secret(&row.own(), &[("k", "other")]).await,
            "opened" => arena.annotate(kind, &low, WINDOW, None).await,
            "opted-out" => arena.annotate(kind, &low, RESTART_ON, Some("off")).await,
            "deleted" => arena.delete(kind, &low).await,
            "scaled-down" | "failed" => {
                let none = json!({ "spec": { "replicas": 0 } });
                arena.patch(kind, &low, none).await;
            }
            other => panic!("{other}"),
        }
    }
}

async fn waves(reroll: &Reroll, number: usize) {
    eventually(&format!("{number} wait for a lower wave"), async || {
        let wave = "reroll_workloads_pending{reason=\"wave\"}";
        (reroll.count(wave).await == number as u64).then_some(())
    })
    .await;
}

#[tokio::test]
async fn nobody_waits_for_one_that_something_holds() {
    let stage = Stage::set("waves-held").await;
    let refuses = "object.metadata.name == 'low-refused'";
    let _policy = Policy::only_restarted_at(&stage.arena, refuses).await;
    let rows = || HELD.iter().chain(&MEANWHILE);
    for row in rows() {
        stage.set_row(row).await;
    }
    for row in rows() {
        stage.arena.pods_are(&row.high(), 1, "Running").await;
        // What its pods are before the change decides whether it is waited for. A paused one has none.
        let pods = usize::from(!["zero", "paused"].contains(&row.name));
        stage.arena.pods_are(&row.low(), pods, "Running").await;
    }
    let reroll = stage.start().await;
    for row in rows() {
        stage.arena.adopted("Deployment", &row.high()).await;
        if row.adopted {
            stage.arena.adopted(row.kind, &row.low()).await;
        }
    }
    for row in &HELD {
        stage.happens(row).await;
    }
    for row in rows() {
        let value = if row.name == "failed" { BAD } else { "other" };
        stage.arena.update_secret(row.name, &[("k", value)]).await;
    }
    for row in &HELD {
        stage.recorder.reaches("Deployment", &row.high(), 1).await;
        // One that is down may be starting, which is waited for.
        let (kind, low) = (row.kind, row.low());
        stage.recorder.reaches(kind, &low, row.restarts).await;
    }
    stage.stuck("low-failed").await;
    waves(&reroll, MEANWHILE.len()).await;
    eventually("who waits behind one that failed names it", async || {
        let high = stage.arena.get("Deployment", "high-failed").await;
        let shown = high.metadata.annotations?.remove(PENDING)?;
        shown.contains(r#""deployments/low-failed""#).then_some(())
    })
    .await;
    stage.recorder.settle(&stage.arena).await;
    for row in &MEANWHILE {
        stage.recorder.expect("Deployment", &row.high(), 0);
        stage.happens_meanwhile(row).await;
    }
    // Its failure counts on when it shows no more.
    let slowed = "reroll_workloads_pending{reason=\"slow_start\"}";
    eventually("one waits because another failed", async || {
        (reroll.count(slowed).await == 1).then_some(())
    })
    .await;
    stage
        .arena
        .annotate("Deployment", "high-failed", RELEASE, Some("now"))
        .await;
    for row in &MEANWHILE {
        stage.recorder.reaches("Deployment", &row.high(), 1).await;
    }
    waves(&reroll, 0).await;
    stage.recorder.settle(&stage.arena).await;
    for row in rows() {
        stage.recorder.expect("Deployment", &row.high(), 1);
        stage.recorder.expect(row.kind, &row.low(), row.restarts);
    }
}
