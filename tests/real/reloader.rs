//! Stakater Reloader's annotations, as its users have them on their workloads, with nothing of reroll's beside them.

use std::time::Duration;

use reroll_harness::{Arena, deployment, workload};
use serde_json::json;
use tokio::time::Instant;

const AUTO: &str = "reloader.stakater.com/auto";
const SECRET_AUTO: &str = "secret.reloader.stakater.com/auto";
const CONFIG_MAP_AUTO: &str = "configmap.reloader.stakater.com/auto";
const SECRET_RELOAD: &str = "secret.reloader.stakater.com/reload";
const CONFIG_MAP_RELOAD: &str = "configmap.reloader.stakater.com/reload";
const SEARCH: &str = "reloader.stakater.com/search";
const MATCH: &str = "reloader.stakater.com/match";
const IGNORE: &str = "reloader.stakater.com/ignore";
const SECRET_EXCLUDE: &str = "secrets.exclude.reloader.stakater.com/reload";

/// What pods take from Secret `creds` and ConfigMap `app`.
fn both() -> serde_json::Value {
    json!({ "containers": [{
        "name": "main", "image": "example.com/none",
        "envFrom": [{ "secretRef": { "name": "creds" } }, { "configMapRef": { "name": "app" } }],
    }] })
}

/// A Deployment's name, its annotations, and how often it rolls at each step.
type Row = (
    &'static str,
    &'static [(&'static str, &'static str)],
    [usize; 3],
);

/// What rolls, by the annotations, when Secret `creds`, ConfigMap `app` and Secret `other` change, one after another.
const TABLE: [Row; 12] = [
    ("auto", &[(AUTO, "true")], [1, 1, 0]),
    ("not", &[(AUTO, "false")], [0, 0, 0]),
    ("secrets", &[(SECRET_AUTO, "true")], [1, 0, 0]),
    ("configmaps", &[(CONFIG_MAP_AUTO, "true")], [0, 1, 0]),
    ("named", &[(SECRET_RELOAD, "creds")], [1, 0, 0]),
    ("unreferenced", &[(SECRET_RELOAD, "other")], [0, 0, 1]),
    ("regex", &[(SECRET_RELOAD, "c.*s, oth[a-z]+")], [1, 0, 1]),
    (
        "named-although",
        &[(AUTO, "false"), (CONFIG_MAP_RELOAD, "app")],
        [0, 1, 0],
    ),
    (
        "excluded",
        &[(AUTO, "true"), (SECRET_EXCLUDE, "creds")],
        [0, 1, 0],
    ),
    ("searching", &[(SEARCH, "true")], [0, 1, 0]),
    ("ignored", &[(AUTO, "true"), (IGNORE, "true")], [0, 0, 0]),
    ("half-bad", &[(SECRET_RELOAD, "app[,creds")], [1, 0, 0]),
];

#[tokio::test]
async fn each_annotation_does_what_it_does_there() {
    let arena = Arena::new("reloader").await;
    let _reroll = arena.reroll().start().await;
    for name in ["creds", "other"] {
        arena.secret(name, &[("k", "one")]).await;
    }
    arena.config_map("app", &[("k", "one")]).await;
    let found = json!({ "metadata": { "annotations": { (MATCH): "true" } } });
    arena.patch("ConfigMap", "app", found).await;
    for (name, annotations, _) in TABLE {
        let object = workload("Deployment", name, annotations, both());
        arena.create(&object).await;
    }
    for (name, _, rolls) in TABLE {
        if rolls.iter().sum::<usize>() > 0 {
            arena.adopted("Deployment", name).await;
        }
    }
    let recorder = arena.record().await;
    let mut expected = [0; TABLE.len()];
    for step in 0..3 {
        match step {
            0 => arena.recreate_secret("creds", &[("k", "one")]).await,
            1 => {
                let change = json!({ "data": { "k": "two" } });
                arena.patch("ConfigMap", "app", change).await;
            }
            _ => arena.update_secret("other", &[("k", "two")]).await,
        }
        recorder.settle(&arena).await;
        for ((name, _, rolls), expected) in TABLE.iter().zip(&mut expected) {
            *expected += rolls[step];
            recorder.expect("Deployment", name, *expected);
        }
    }
    arena.event("half-bad", "app[").await;
}

#[tokio::test]
async fn a_bad_expression_is_told_at_the_prompt() {
    let arena = Arena::new("reloader-regex").await;
    let _reroll = arena.reroll().start().await;
    let object = workload("Deployment", "web", &[(SECRET_RELOAD, "app[")], both());
    let said = arena
        .kubectl_with(&["apply", "-f", "-"], &object.to_string())
        .await
        .ok();
    assert!(
        said.err.contains("is not a regular expression"),
        "{}",
        said.err
    );
}

#[tokio::test]
async fn on_the_pod_template_they_count_where_the_workload_has_none_of_that_kind() {
    let arena = Arena::new("reloader-template").await;
    let _reroll = arena.reroll().start().await;
    arena.creds_and_app().await;
    for (name, annotations) in [
        ("template", vec![]),
        ("both", vec![(CONFIG_MAP_AUTO, "true")]),
        (
            "own",
            vec![(SECRET_AUTO, "false"), (CONFIG_MAP_AUTO, "true")],
        ),
    ] {
        let mut object = workload("Deployment", name, &annotations, both());
        object["spec"]["template"]["metadata"]["annotations"] = json!({ (SECRET_AUTO): "true" });
        arena.create(&object).await;
        arena.adopted("Deployment", name).await;
    }
    let recorder = arena.record().await;
    arena.recreate_secret("creds", &[("k", "one")]).await;
    recorder.settle(&arena).await;
    recorder.expect("Deployment", "template", 1);
    recorder.expect("Deployment", "both", 1);
    recorder.expect("Deployment", "own", 0);
}

#[tokio::test]
async fn a_source_that_is_to_be_ignored_is() {
    let arena = Arena::new("reloader-ignore").await;
    let _reroll = arena.reroll().start().await;
    arena.creds_and_app().await;
    let ignored = json!({ "metadata": { "annotations": { (IGNORE): "true" } } });
    arena.patch("Secret", "creds", ignored).await;
    for (name, annotation) in [
        ("auto", (AUTO, "true")),
        ("named", (SECRET_RELOAD, "creds")),
    ] {
        let object = workload("Deployment", name, &[annotation], both());
        arena.create(&object).await;
        arena.adopted("Deployment", name).await;
    }
    let recorder = arena.record().await;
    arena.update_secret("creds", &[("k", "two")]).await;
    recorder.settle(&arena).await;
    recorder.expect("Deployment", "auto", 0);
    recorder.expect("Deployment", "named", 0);
}

/// What Reloader leaves behind on a workload: nothing rolls for it, and it stays.
#[tokio::test]
async fn moving_over_rolls_nothing_and_touches_nothing_of_reloaders() {
    let arena = Arena::new("reloader-moving").await;
    arena.creds_and_app().await;
    let mut marked = workload("Deployment", "env", &[(AUTO, "true")], both());
    marked["spec"]["template"]["spec"]["containers"][0]["env"] = json!([{ "name": "STAKATER_CREDS_SECRET", "value": "0123456789abcdef0123456789abcdef01234567" }]);
    arena.create(&marked).await;
    let mut noted = workload("Deployment", "noted", &[(AUTO, "true")], both());
    let left = json!({ "reloader.stakater.com/last-reloaded-from": "{\"type\":\"SECRET\",\"name\":\"creds\"}" });
    noted["spec"]["template"]["metadata"]["annotations"] = left;
    arena.create(&noted).await;
    let recorder = arena.record().await;

    let reroll = arena.reroll().start().await;
    for name in ["env", "noted"] {
        arena.adopted("Deployment", name).await;
    }
    recorder.settle(&arena).await;
    for name in ["env", "noted"] {
        recorder.expect("Deployment", name, 0);
    }
    arena.recreate_secret("creds", &[("k", "one")]).await;
    recorder.settle(&arena).await;
    for name in ["env", "noted"] {
        recorder.expect("Deployment", name, 1);
    }
    let env = arena.get("Deployment", "env").await;
    let kept = &env.data["spec"]["template"]["spec"]["containers"][0]["env"];
    assert_eq!(kept[0]["name"], "STAKATER_CREDS_SECRET");
    let noted = arena.get("Deployment", "noted").await;
    let kept = &noted.data["spec"]["template"]["metadata"]["annotations"];
    assert!(kept["reloader.stakater.com/last-reloaded-from"].is_string());
    assert!(reroll.stop().await);
}

/// Two that a hash of joined pairs takes for one.
#[tokio::test]
async fn data_that_looks_the_same_when_joined_is_a_change() {
    let arena = Arena::new("reloader-hash").await;
    let _reroll = arena.reroll().start().await;
    arena.config_map("app", &[("a", "1;b=2")]).await;
    let spec = json!({ "containers": [{
        "name": "main", "image": "example.com/none", "envFrom": [{ "configMapRef": { "name": "app" } }],
    }] });
    arena
        .create(&workload("Deployment", "web", &[(AUTO, "true")], spec))
        .await;
    arena.adopted("Deployment", "web").await;
    let recorder = arena.record().await;
    arena
        .patch(
            "ConfigMap",
            "app",
            json!({ "data": { "a": "1", "b": "2" } }),
        )
        .await;
    recorder.settle(&arena).await;
    recorder.expect("Deployment", "web", 1);
}

/// The sentinel and reroll's own words go on beside Reloader's.
#[tokio::test]
async fn reloaders_words_and_ours_live_side_by_side() {
    let arena = Arena::new("reloader-both").await;
    let _reroll = arena.reroll().start().await;
    arena.creds_and_app().await;
    arena.create(&deployment("ours", "creds", "k")).await;
    let annotations = [(AUTO, "true"), ("reroll.dev/restart-on", "configmaps")];
    arena
        .create(&workload("Deployment", "both", &annotations, both()))
        .await;
    let annotations = [(AUTO, "true"), ("reroll.dev/suspend", "true")];
    arena
        .create(&workload("Deployment", "suspended", &annotations, both()))
        .await;
    for name in ["ours", "both", "suspended"] {
        arena.adopted("Deployment", name).await;
    }
    let recorder = arena.record().await;
    arena.update_secret("creds", &[("k", "two")]).await;
    recorder.settle(&arena).await;
    recorder.expect("Deployment", "ours", 1);
    recorder.expect("Deployment", "both", 0);
    recorder.expect("Deployment", "suspended", 0);
}

/// Reloader pauses the Deployment, and leaves it paused when it dies meanwhile.
#[tokio::test]
async fn a_pause_gathers_changes_and_survives_a_crash() {
    let arena = Arena::new("reloader-pause").await;
    let reroll = arena.reroll().start().await;
    arena.creds_and_app().await;
    let pause = ("deployment.reloader.stakater.com/pause-period", "30s");
    let object = workload("Deployment", "web", &[(AUTO, "true"), pause], both());
    arena.create(&object).await;
    arena
        .create(&workload(
            "Deployment",
            "at-once",
            &[(AUTO, "true")],
            both(),
        ))
        .await;
    for name in ["web", "at-once"] {
        arena.adopted("Deployment", name).await;
    }
    let recorder = arena.record().await;
    let began = Instant::now();
    arena.recreate_secret("creds", &[("k", "one")]).await;
    arena
        .patch("ConfigMap", "app", json!({ "data": { "k": "two" } }))
        .await;
    recorder.reaches("Deployment", "at-once", 1).await;
    recorder.expect("Deployment", "web", 0);
    let again = reroll.builder();
    reroll.kill();
    let _again = again.start().await;
    recorder.reaches("Deployment", "web", 1).await;
    let waited = began.elapsed();
    assert!(waited > Duration::from_secs(28), "only {waited:?}");
    recorder.settle(&arena).await;
    recorder.expect("Deployment", "web", 1);
    let web = arena.get("Deployment", "web").await;
    assert!(web.data["spec"]["paused"].is_null());
}
