//! What holds a restart that is due, or would hold one: named at once, whatever reroll has written by then.

use jiff::{ToSpan as _, tz::TimeZone};
use k8s_openapi::api::{coordination::v1::Lease, core::v1::Namespace};
use kube::{
    Api,
    api::{Patch, PatchParams, PostParams},
};
use reroll::state::system_clock;
use reroll_harness::{Arena, Behaves, Kubelet, TOGETHER, WAVE, deployment};
use serde_json::{Value, json};

use super::{arena, ask, ask_until, opted_in, run, sources, web, web_runs, write_password};

const WEB: [&str; 2] = ["explain", "deploy/web"];
const WINDOW: &str = "reroll.dev/window";

fn behaviour(value: &str) -> Behaves {
    match value {
        "bad" => Behaves::ConfigError,
        _ => Behaves::Well,
    }
}

#[tokio::test]
async fn cli_names_who_of_a_lower_wave_failed() {
    let arena = arena("cli-wave").await;
    let kubelet = Kubelet::join(&arena, behaviour).await;
    arena.secret("db", &[("k", "good")]).await;
    for (name, wave) in [("web", "5"), ("plain", "-1")] {
        let mut manifest = kubelet.runs(deployment(name, "db", "k"), 1);
        manifest["metadata"]["annotations"][WAVE] = json!(wave);
        arena.create(&manifest).await;
        arena.pods_are(name, 1, "Running").await;
    }
    // What pods have that are made sooner is not known for sure.
    tokio::time::sleep(std::time::Duration::from_secs(4)).await;
    let reroll = arena.reroll().start().await;
    arena.adopted("Deployment", "web").await;
    arena.adopted("Deployment", "plain").await;
    arena.later_second().await;
    arena.update_secret("db", &[("k", "bad")]).await;
    ask_until(&arena, &WEB, "its restart failed").await;
    let status = ask(&arena, &["status"]).await;
    insta::assert_snapshot!("status_of_a_lower_wave", status.said(&arena));
    let explained = ask(&arena, &WEB).await;
    insta::assert_snapshot!("explain_a_lower_wave", explained.said(&arena));
    let pods = ask(&arena, &["pods"]).await;
    insta::assert_snapshot!("pods_of_a_lower_wave", pods.said(&arena));
    drop(reroll);
}

/// Returns a window that opens in two hours, and what is told of it.
fn in_two_hours() -> (String, String) {
    let opens = (system_clock()() + 2.hours()).to_zoned(TimeZone::UTC);
    let closes = &opens + 1.hour();
    let hour = |at: &jiff::Zoned| format!("{:02}:{:02}", at.hour(), at.minute());
    let window = format!("Mon-Sun {}-{}", hour(&opens), hour(&closes));
    (
        window,
        format!("holds it until {}", opens.strftime("%Y-%m-%d %H:%M UTC")),
    )
}

/// Sets the window of the workload, or of its Namespace.
async fn sets_window(arena: &Arena, of_namespace: bool, text: Value) {
    let annotations = json!({ "metadata": { "annotations": { WINDOW: text } } });
    if !of_namespace {
        arena.patch("Deployment", "web", annotations).await;
        return;
    }
    let namespaces = Api::<Namespace>::all(arena.client.clone());
    let (params, patch) = (PatchParams::default(), Patch::Merge(annotations));
    let patched = namespaces.patch(&arena.namespace, &params, &patch).await;
    patched.unwrap();
}

#[tokio::test]
async fn cli_says_whose_window_opens_when() {
    let arena = arena("cli-window").await;
    let reroll = web_runs(&arena).await;
    let (window, opens) = in_two_hours();
    sets_window(&arena, false, json!(window)).await;
    // Nothing of what follows is written by reroll.
    reroll.kill();
    write_password(&arena, "canary-3").await;
    let own = format!("its window ({WINDOW}) {opens}");
    for words in [&WEB[..], &["status"], &["status", "secret/db"], &["pods"]] {
        let answer = ask(&arena, words).await;
        assert!(answer.out.contains(&own), "{words:?}: {}", answer.out);
        assert_eq!(answer.code, 2, "{words:?}: {}", answer.out);
    }
    let json = ask(&arena, &[&WEB[..], &["-o", "json"]].concat()).await;
    let read: Value = serde_json::from_str(&json.out).unwrap();
    assert_eq!(read["pending"]["reason"], "window", "{}", json.out);
    let release = format!("kubectl reroll release deploy/web -n {}", arena.namespace);
    assert_eq!(read["pending"]["remedy"], json!(release));
    // What the Namespace says counts where the workload says nothing.
    sets_window(&arena, false, json!(null)).await;
    let namespace = arena.namespace.clone();
    sets_window(&arena, true, json!(window)).await;
    let of_namespace = format!("the window of Namespace {namespace} ({WINDOW}) {opens}");
    ask_until(&arena, &WEB, &of_namespace).await;
    sets_window(&arena, true, json!("late")).await;
    let unread =
        format!("the window of Namespace {namespace} ({WINDOW}) cannot be read, which holds it");
    ask_until(&arena, &WEB, &unread).await;
    sets_window(&arena, true, json!(null)).await;
    let free = ask(&arena, &WEB).await;
    assert!(!free.out.contains(WINDOW), "{}", free.out);
}

#[tokio::test]
async fn cli_says_what_belongs_together_and_has_not_changed() {
    let arena = arena("cli-together").await;
    let reroll = web_runs(&arena).await;
    let group = "secret/db#password, configmap/cfg, secret/none";
    arena
        .annotate("Deployment", "web", TOGETHER, Some(group))
        .await;
    let waits = "ConfigMap cfg has not changed yet, which belongs together with what has (reroll.dev/together): it waits until 2";
    let plan = ask(&arena, &["plan", "secret/db"]).await;
    assert!(plan.out.contains(waits), "{}", plan.out);
    let none =
        "reroll.dev/together does not wait for Secret none: the workload does not restart on it";
    let before = ask(&arena, &WEB).await;
    assert!(before.out.contains(none), "{}", before.out);
    assert!(!before.out.contains(waits), "{}", before.out);
    // Nothing of what follows is written by reroll.
    reroll.kill();
    write_password(&arena, "canary-3").await;
    for words in [&WEB[..], &["status"], &["status", "secret/db"], &["pods"]] {
        let answer = ask(&arena, words).await;
        assert!(answer.out.contains(waits), "{words:?}: {}", answer.out);
        assert_eq!(answer.code, 2, "{words:?}: {}", answer.out);
    }
    let json = ask(&arena, &[&WEB[..], &["-o", "json"]].concat()).await;
    let read: Value = serde_json::from_str(&json.out).unwrap();
    assert_eq!(read["pending"]["reason"], "together", "{}", json.out);
    let release = format!("kubectl reroll release deploy/web -n {}", arena.namespace);
    assert_eq!(read["pending"]["remedy"], json!(release));
    let data = json!({ "data": { "a": "other" } });
    arena.patch("ConfigMap", "cfg", data).await;
    let whole = ask(&arena, &WEB).await;
    assert!(!whole.out.contains(waits), "{}", whole.out);
}

#[tokio::test]
async fn cli_says_what_is_suspended_before_and_after() {
    let arena = arena("cli-suspended").await;
    sources(&arena).await;
    arena.create(&web(&opted_in())).await;
    let mut other = web(&json!({}));
    other["metadata"]["name"] = json!("plain");
    arena.create(&other).await;
    for object in ["deploy/web", "deploy/plain"] {
        ask_until(&arena, &["explain", object], "complete, 2 of 2 pods").await;
    }
    let rows: [(&str, &[&str]); 8] = [
        (
            "suspend_first",
            &["suspend", "deploy/web", "--reason", "INC-1"],
        ),
        (
            "suspend_again",
            &["suspend", "deploy/web", "--reason", "INC-2"],
        ),
        (
            "suspend_one_that_is_not_opted_in",
            &["suspend", "deploy/plain"],
        ),
        (
            "suspend_the_namespace_too",
            &["suspend", "--all", "--reason", ""],
        ),
        ("status_of_what_is_suspended", &["status"]),
        ("resume_the_namespace_alone", &["resume", "--all"]),
        ("resume_the_workload", &["resume", "deploy/web"]),
        ("release_all_of_nothing", &["release", "--all"]),
    ];
    for (name, words) in rows {
        let answer = ask(&arena, words).await;
        insta::assert_snapshot!(name, answer.said(&arena));
    }
}

#[tokio::test]
async fn cli_says_what_on_a_workload_has_no_effect() {
    let arena = arena("cli-typed").await;
    sources(&arena).await;
    let mut typed = web(&json!({ "reroll.dev/restarton": "auto", "reroll.dev/setle": "5s" }));
    typed["metadata"]["labels"] = json!({ "reroll.dev/restart-on": "auto" });
    arena.create(&typed).await;
    let answer = ask_until(&arena, &WEB, "complete, 2 of 2 pods").await;
    insta::assert_snapshot!("explain_what_has_no_effect", answer.said(&arena));
    let named = json!({ "reroll.dev/restart-on": "secret/db,secret/databse" });
    let mut absent = web(&named);
    absent["metadata"]["name"] = json!("plain");
    arena.create(&absent).await;
    let words = ["explain", "deploy/plain"];
    let answer = ask_until(&arena, &words, "complete, 2 of 2 pods").await;
    insta::assert_snapshot!("explain_a_named_source_that_is_absent", answer.said(&arena));
    let runs = json!({
        "apiVersion": "batch/v1", "kind": "CronJob",
        "metadata": { "name": "tick", "annotations": opted_in() },
        "spec": { "schedule": "0 0 1 1 *", "jobTemplate": { "spec": { "template": { "spec": {
            "restartPolicy": "Never", "containers": [{ "name": "app", "image": "app" }],
        } } } } },
    });
    arena.create(&runs).await;
    let answer = ask(&arena, &["explain", "cj/tick"]).await;
    insta::assert_snapshot!("explain_a_kind_that_is_off", answer.said(&arena));
}

#[tokio::test]
async fn cli_finds_a_reroll_that_runs_outside_of_the_cluster() {
    let arena = Arena::on_own_cluster("cli-outside").await;
    let config = arena.cluster.kubeconfig();
    let none = run(config, &["suspend", "--all"]).await;
    insta::assert_snapshot!("suspend_all_of_no_reroll", none.said(&arena));
    let namespace = json!({ "metadata": { "name": "reroll" } });
    let namespace: Namespace = serde_json::from_value(namespace).unwrap();
    let namespaces = Api::<Namespace>::all(arena.client.clone());
    let post = PostParams::default();
    namespaces.create(&post, &namespace).await.unwrap();
    let lease = json!({
        "metadata": { "name": "reroll" }, "spec": { "holderIdentity": "", "leaseDurationSeconds": 8 },
    });
    let lease: Lease = serde_json::from_value(lease).unwrap();
    let leases = Api::<Lease>::namespaced(arena.client.clone(), "reroll");
    leases.create(&post, &lease).await.unwrap();
    let all = run(config, &["suspend", "--all", "--reason", "INC-42"]).await;
    insta::assert_snapshot!("suspend_all_of_one_outside", all.said(&arena));
    let status = run(config, &["status", "-n", &arena.namespace]).await;
    insta::assert_snapshot!("status_of_one_outside", status.said(&arena));
    let resumed = run(config, &["resume", "--all"]).await;
    insta::assert_snapshot!("resume_all_of_one_outside", resumed.said(&arena));
}
