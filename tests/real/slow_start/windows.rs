//! Days and hours at which workloads are restarted, and the release of one that waits.

use jiff::{SignedDuration, Timestamp, ToSpan, tz::TimeZone};
use k8s_openapi::api::core::v1::Namespace;
use kube::{
    Api,
    api::{Patch, PatchParams},
};
use reroll_harness::{
    Arena, Offset, RELEASE, ROLLOUT, WINDOW, WINDOW_LATEST, eventually, every_second,
};
use serde_json::{Value, json};

use super::{PENDING, Stage, slowly};

/// Every time of the week.
pub(super) const OPEN: &str = "Mon-Sun";

#[expect(clippy::disallowed_methods, reason = "a person has a clock")]
pub(super) fn now() -> Timestamp {
    Timestamp::now()
}

/// Returns a window that is closed for the next two days.
pub(super) fn closed() -> String {
    let day = opens().to_zoned(TimeZone::UTC).date();
    day.strftime("%a 10:00-11:00").to_string()
}

/// Returns when it opens.
fn opens() -> Timestamp {
    let day = now().to_zoned(TimeZone::UTC).date() + 3.days();
    let at = day.at(10, 0, 0, 0).to_zoned(TimeZone::UTC);
    at.unwrap().timestamp()
}

pub(super) async fn annotate_namespace(arena: &Arena, key: &str, value: Option<&str>) {
    let patch = Patch::Merge(json!({ "metadata": { "annotations": { key: value } } }));
    let api = Api::<Namespace>::all(arena.client.clone());
    let params = PatchParams::default();
    api.patch(&arena.namespace, &params, &patch).await.unwrap();
}

impl Stage {
    async fn says(&self, name: &str, key: &str, value: Option<&str>) {
        self.arena.annotate("Deployment", name, key, value).await;
    }

    /// Waits until it is shown why a workload waits. Returns that.
    async fn pending(&self, name: &str, reason: &str) -> Value {
        eventually(&format!("{name} waits for its {reason}"), async || {
            let text = self.arena.annotation("Deployment", name, PENDING).await?;
            let pending: Value = serde_json::from_str(&text).unwrap();
            (pending["reason"] == reason).then_some(pending)
        })
        .await
    }

    async fn expect(&self, name: &str, restarts: usize) {
        self.recorder.settle(&self.arena).await;
        self.recorder.expect("Deployment", name, restarts);
    }
}

#[tokio::test]
async fn what_waits_for_its_window_is_released_once() {
    let stage = Stage::of("window-release", 2).await;
    stage.says("web-00", WINDOW, Some(&closed())).await;
    stage.says("web-01", WINDOW, Some(OPEN)).await;
    let _reroll = stage.start().await;
    stage.change("other").await;
    stage.recorder.reaches("Deployment", "web-01", 1).await;
    stage.arena.event("web-00", "RestartWaits: ").await;
    let pending = stage.pending("web-00", "window").await;
    // It is another restart only if something else changes.
    let label = json!({ "metadata": { "labels": { "team": "shop" } } });
    stage.arena.patch("Secret", "db", label).await;
    let id = pending["id"].as_str().unwrap();
    stage.says("web-00", RELEASE, Some("another")).await;
    stage.expect("web-00", 0).await;
    stage.says("web-00", RELEASE, Some(id)).await;
    stage.recorder.reaches("Deployment", "web-00", 1).await;
    // The release is of that one: the next waits.
    stage.change("another").await;
    stage.recorder.reaches("Deployment", "web-01", 2).await;
    let next = stage.pending("web-00", "window").await;
    assert_ne!(next["id"], pending["id"]);
    stage.expect("web-00", 1).await;
    // `now` is that one, and no later one.
    stage.says("web-00", RELEASE, Some("now")).await;
    stage.recorder.reaches("Deployment", "web-00", 2).await;
    let release = stage
        .arena
        .annotation("Deployment", "web-00", RELEASE)
        .await;
    assert_eq!(release.as_deref(), next["id"].as_str());
    stage.change("a third").await;
    stage.recorder.reaches("Deployment", "web-01", 3).await;
    stage.pending("web-00", "window").await;
    // What a controller for GitOps brings back lets nothing go, and what it takes away holds nothing for ever.
    stage.says("web-00", RELEASE, Some(id)).await;
    stage.says("web-00", PENDING, None).await;
    stage.expect("web-00", 2).await;
    stage.says("web-00", WINDOW, None).await;
    stage.recorder.reaches("Deployment", "web-00", 3).await;
    stage.expect("web-00", 3).await;
    stage.expect("web-01", 3).await;
    let pending = stage
        .arena
        .annotation("Deployment", "web-00", PENDING)
        .await;
    assert_eq!(pending, None);
}

#[tokio::test]
async fn now_is_left_out_where_nothing_is_due() {
    let stage = Stage::of("window-nothing", 1).await;
    let _reroll = stage.start().await;
    let name = "deployment/web-00";
    let release = format!("{RELEASE}=now");
    let said = stage
        .arena
        .kubectl(&["annotate", name, &release])
        .await
        .ok();
    assert!(
        said.err.contains("no restart of Deployment web-00 is due"),
        "{}",
        said.err
    );
    let release = stage
        .arena
        .annotation("Deployment", "web-00", RELEASE)
        .await;
    assert_eq!(release, None);
}

#[tokio::test]
async fn the_window_of_a_namespace_holds_and_one_that_cannot_be_read_as_well() {
    let stage = Stage::of("window-namespace", 2).await;
    stage.says("web-01", WINDOW, Some(OPEN)).await;
    annotate_namespace(&stage.arena, WINDOW, Some(&closed())).await;
    let _reroll = stage.start().await;
    stage.change("other").await;
    stage.recorder.reaches("Deployment", "web-01", 1).await;
    stage.arena.event("web-00", "RestartWaits: ").await;
    annotate_namespace(&stage.arena, WINDOW, Some("at night")).await;
    let unreadable = stage
        .arena
        .event(&stage.arena.namespace, "SettingUnreadable: ")
        .await;
    assert!(unreadable.contains(WINDOW), "{unreadable}");
    // What else is in the namespace waits as well.
    stage.change("another").await;
    stage.recorder.reaches("Deployment", "web-01", 2).await;
    stage.recorder.expect("Deployment", "web-00", 0);
    annotate_namespace(&stage.arena, WINDOW, Some(OPEN)).await;
    stage.recorder.reaches("Deployment", "web-00", 1).await;
    stage.expect("web-00", 1).await;
    stage.expect("web-01", 2).await;
}

#[tokio::test]
async fn the_clock_jumps_into_a_window_and_out_of_it() {
    let stage = Stage::of("window-clock", 1).await;
    let offset = Offset::new(&stage.arena);
    stage.says("web-00", WINDOW, Some(&closed())).await;
    // Only the clock may take the Lease away, not a busy machine.
    let builder = slowly(&stage.arena).flag("--lease-duration", "1m");
    let _reroll = stage.start_as(offset.of(builder)).await;
    stage.change("first").await;
    stage.arena.event("web-00", "RestartWaits: ").await;
    stage.expect("web-00", 0).await;
    offset.seconds(opens().duration_since(now()).as_secs() + 60);
    stage.recorder.reaches("Deployment", "web-00", 1).await;
    stage.arena.complete("Deployment", "web-00").await;
    // It is over before what changes next.
    offset.hours(-1);
    stage.change("second").await;
    stage.expect("web-00", 1).await;
    offset.hours(0);
    stage.expect("web-00", 1).await;
    stage.says("web-00", WINDOW, None).await;
    stage.recorder.reaches("Deployment", "web-00", 2).await;
    stage.expect("web-00", 2).await;
}

/// A label's edit of the Secret is no other restart, and each approval is of one.
#[tokio::test]
async fn what_needs_approval_is_approved_once() {
    let stage = Stage::of("window-approval", 2).await;
    stage
        .says("web-00", "reroll.dev/suspend", Some("needs approval"))
        .await;
    let _reroll = stage.start().await;
    stage.change("other").await;
    stage.recorder.reaches("Deployment", "web-01", 1).await;
    let pending = stage.pending("web-00", "suspended").await;
    let by = pending["by"].as_str().unwrap();
    assert!(by.contains("needs approval"), "{by}");
    let label = json!({ "metadata": { "labels": { "team": "shop" } } });
    stage.arena.patch("Secret", "db", label).await;
    stage.says("web-00", RELEASE, pending["id"].as_str()).await;
    stage.recorder.reaches("Deployment", "web-00", 1).await;
    stage.change("another").await;
    stage.recorder.reaches("Deployment", "web-01", 2).await;
    let next = stage.pending("web-00", "suspended").await;
    assert_ne!(next["id"], pending["id"]);
    stage.expect("web-00", 1).await;
    // Nobody lets go what the whole namespace holds.
    annotate_namespace(&stage.arena, "reroll.dev/suspend", Some("INC-42")).await;
    stage.change("a third").await;
    stage.arena.event("web-01", "INC-42").await;
    stage.says("web-00", RELEASE, Some("now")).await;
    stage.arena.event("web-00", "INC-42").await;
    stage.recorder.expect("Deployment", "web-00", 1);
    stage.says("web-00", "reroll.dev/suspend", None).await;
    annotate_namespace(&stage.arena, "reroll.dev/suspend", None).await;
    stage.recorder.reaches("Deployment", "web-00", 2).await;
    stage.recorder.reaches("Deployment", "web-01", 3).await;
    stage.expect("web-00", 2).await;
    stage.expect("web-01", 3).await;
}

/// The Secret changes every second, and reroll is killed meanwhile.
#[tokio::test]
async fn the_latest_time_comes_whatever_changes() {
    let stage = Stage::of("window-latest", 1).await;
    let latest = SignedDuration::from_secs(25);
    stage.says("web-00", WINDOW, Some(&closed())).await;
    stage.says("web-00", WINDOW_LATEST, Some("25s")).await;
    let reroll = stage.start().await;
    let first = now();
    stage.change("first").await;
    let pending = stage.pending("web-00", "window").await;
    let since: Timestamp = pending["since"].as_str().unwrap().parse().unwrap();
    reroll.kill();
    let _reroll = stage.start().await;
    let writes = every_second(async |value| stage.change(&format!("value {value}")).await);
    tokio::select! {
        () = writes => {}
        () = stage.recorder.reaches("Deployment", "web-00", 1) => {}
    }
    let opened = stage
        .arena
        .annotation("Deployment", "web-00", ROLLOUT)
        .await;
    let opened: Value = serde_json::from_str(&opened.unwrap()).unwrap();
    let at: Timestamp = opened["at"].as_str().unwrap().parse().unwrap();
    // Times of writes have no fractions of a second.
    let waited = at.duration_since(first) + SignedDuration::from_secs(1);
    assert!(waited >= latest, "{waited}, {pending}");
    assert!(at.duration_since(since) < latest * 2, "{at}, {pending}");
}
