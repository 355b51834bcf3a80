//! What somebody types that does nothing is told at once, in whole lines, and the right thing beside it is told nothing. And the sign
//! that an opt-in works.

use reroll_harness::{
    Arena, RELOADER_AUTO, RESTART_ON, deployment, env, eventually, running, workload,
};
use serde_json::{Value, json};

/// Runs kubectl, and returns what reroll says at the prompt.
async fn told(arena: &Arena, arguments: &[&str], input: &str) -> Vec<String> {
    let said = arena.kubectl_with(arguments, input).await.ok();
    let lines = said.err.lines();
    let own = lines.filter_map(|line| line.strip_prefix("Warning: "));
    own.filter(|line| line.starts_with("reroll:"))
        .map(ToOwned::to_owned)
        .collect()
}

/// Writes each on the object, and takes it away again.
async fn expect_each(arena: &Arena, object: &[&str], rows: &[(&str, &str, &[&str])]) {
    for (verb, set, expected) in rows {
        let write = [&[*verb, "--overwrite"], object, &[*set]].concat();
        assert_eq!(told(arena, &write, "").await, *expected, "{verb} {set}");
        let key = set.split_once('=').unwrap().0;
        let remove = format!("{key}-");
        let write = [&[*verb], object, &[remove.as_str()]].concat();
        assert_eq!(told(arena, &write, "").await, [""; 0], "{verb} {remove}");
    }
}

#[tokio::test]
async fn what_a_namespace_says_in_vain_is_told() {
    let arena = Arena::new("prompt-namespace").await;
    let _reroll = arena.reroll().start().await;
    let object = ["namespace", &arena.namespace];
    let meant = r#"reroll: the Namespace's label reroll.dev/restart-on: "atuo" is not an opt-in: did you mean auto? Until then it opts nobody in"#;
    let rows: &[(&str, &str, &[&str])] = &[
        (
            "annotate",
            "reroll.dev/restart-on=auto",
            &[
                "reroll: make reroll.dev/restart-on a label of the Namespace: as an annotation it means nothing",
            ],
        ),
        ("label", "reroll.dev/restart-on=auto", &[]),
        ("label", "reroll.dev/restart-on=atuo", &[meant]),
        (
            "label",
            "reroll.dev/restarton=auto",
            &[
                "reroll: did you mean reroll.dev/restart-on? reroll.dev/restarton is no key of reroll's, and does nothing",
            ],
        ),
        ("label", "example.com/restarton=auto", &[]),
        (
            "annotate",
            "reroll.dev/slow-start=never",
            &[r#"reroll: reroll.dev/slow-start: "never" is not on or off"#],
        ),
        ("annotate", "reroll.dev/slow-start=off", &[]),
        (
            "annotate",
            "reroll.dev/window=late",
            &[
                r#"reroll: reroll.dev/window: "late" is not days and hours such as "Mon-Fri 22:00-04:00, Sun Europe/Berlin", and holds restarts until it is"#,
            ],
        ),
        ("annotate", "reroll.dev/window=Mon-Fri 22:00-04:00", &[]),
        (
            "annotate",
            "reroll.dev/ignore=true",
            &[
                "reroll: reroll.dev/ignore counts as an annotation of a workload itself, or as an annotation of a Secret or ConfigMap, or as an annotation of a SecretProviderClass: as an annotation here it means nothing",
            ],
        ),
        (
            "annotate",
            "reroll.dev/suspend=flase",
            &[
                r#"reroll: reroll.dev/suspend: "flase" is not false: did you mean that? Nothing restarts until then"#,
            ],
        ),
        ("annotate", "reroll.dev/suspend=INC-42", &[]),
        (
            "label",
            "reroll.dev/window=Mon",
            &[
                "reroll: put reroll.dev/window under metadata.annotations of the Namespace itself: as a label it means nothing",
            ],
        ),
        (
            "annotate",
            "reroll.dev/settle=5s",
            &[
                "reroll: reroll.dev/settle counts as an annotation of a workload itself: as an annotation here it means nothing",
            ],
        ),
    ];
    expect_each(&arena, &object, rows).await;
    // At a workload in it, it is told as what it is: the label of the Namespace.
    told(
        &arena,
        &[
            "label",
            "namespace",
            &arena.namespace,
            "reroll.dev/restart-on=atuo",
        ],
        "",
    )
    .await;
    arena.secret("db", &[("k", "one")]).await;
    let web = workload("Deployment", "web", &[], env("db", "k"));
    eventually("reroll has seen the label", async || {
        let said = told(
            &arena,
            &["create", "--dry-run=server", "-f", "-"],
            &web.to_string(),
        )
        .await;
        (said == [meant]).then_some(())
    })
    .await;
}

#[tokio::test]
async fn whom_the_label_of_a_namespace_opts_out_is_told() {
    let arena = Arena::new("prompt-label-gone").await;
    let _reroll = arena.reroll().start().await;
    let label = async |text: &str| {
        let set = format!("{RESTART_ON}{text}");
        let write = ["label", "--overwrite", "namespace", &arena.namespace, &set];
        told(&arena, &write, "").await
    };
    arena.secret("db", &[("k", "one")]).await;
    assert_eq!(label("=auto").await, [""; 0]);
    let asks = [(RESTART_ON, "auto")];
    for (name, asks) in [("web", &[][..]), ("api", &[]), ("own", &asks)] {
        arena
            .create(&workload("Deployment", name, asks, env("db", "k")))
            .await;
        arena.adopted("Deployment", name).await;
    }
    assert_eq!(
        label("-").await,
        [format!(
            "reroll: 2 workloads are no longer opted in by the label reroll.dev/restart-on of Namespace {}: changes do not restart them",
            arena.namespace
        )]
    );
    let out = "OptedOut: the label reroll.dev/restart-on of its Namespace opts it in no longer: changes of its sources do not restart it";
    for name in ["web", "api"] {
        assert_eq!(arena.event(name, "OptedOut").await, out);
    }
    assert_eq!(arena.event_count("own", "OptedOut").await, 0);
}

#[tokio::test]
async fn without_a_webhook_an_event_in_the_namespace_tells_its_label() {
    let arena = Arena::new("prompt-event").await;
    let _reroll = arena.reroll().without_webhook().start().await;
    arena.secret("db", &[("k", "one")]).await;
    arena
        .create(&workload("Deployment", "web", &[], env("db", "k")))
        .await;
    let label = |text: &str| format!("{RESTART_ON}={text}");
    let write = async |text: &str| {
        let set = label(text);
        let write = ["label", "--overwrite", "namespace", &arena.namespace, &set];
        assert_eq!(told(&arena, &write, "").await, [""; 0]);
    };
    write("atuo").await;
    let expected = r#"SettingUnreadable: the Namespace's label reroll.dev/restart-on: "atuo" is not an opt-in: did you mean auto? Until then it opts nobody in"#;
    let found = arena.event(&arena.namespace, "SettingUnreadable").await;
    assert_eq!(found, expected);
    write("auto").await;
    // The workloads of the namespace say for what they restart, and nothing of its label.
    let found = arena.event("web", "OptedIn").await;
    assert_eq!(found, "OptedIn: restarts on Secret db (key k)");
    let events = arena.events("web").await;
    let of_label = events
        .iter()
        .filter(|event| event.contains("SettingUnreadable"));
    assert_eq!(of_label.count(), 0, "{events:?}");
    assert_eq!(
        arena
            .event_count(&arena.namespace, "SettingUnreadable")
            .await,
        1
    );
}

#[tokio::test]
async fn what_a_source_says_in_vain_and_who_waits_for_its_key_is_told() {
    let arena = Arena::new("prompt-source").await;
    let _reroll = arena.reroll().start().await;
    arena.secret("db", &[("k", "one"), ("other", "one")]).await;
    for name in ["api", "web"] {
        arena.create(&deployment(name, "db", "k")).await;
        arena.adopted("Deployment", name).await;
    }
    let rows: &[(&str, &str, &[&str])] = &[
        (
            "annotate",
            "reroll.dev/ignore=yes",
            &[r#"reroll: reroll.dev/ignore: "yes" is not true or false"#],
        ),
        ("annotate", "reroll.dev/ignore=false", &[]),
        (
            "label",
            "reroll.dev/ignore=true",
            &[
                "reroll: put reroll.dev/ignore under metadata.annotations of the Secret itself: as a label it means nothing",
            ],
        ),
    ];
    expect_each(&arena, &["secret", "db"], rows).await;
    arena.secret("unused", &[("k", "one")]).await;
    expect_each(&arena, &["secret", "unused"], &rows[..1]).await;
    let remove =
        |key: &str| json!([{ "op": "remove", "path": format!("/data/{key}") }]).to_string();
    let patch = async |patch: &str| {
        told(
            &arena,
            &["patch", "secret", "db", "--type=json", "-p", patch],
            "",
        )
        .await
    };
    assert_eq!(patch(&remove("other")).await, [""; 0], "nobody reads it");
    assert_eq!(
        patch(&remove("k")).await,
        [
            "reroll: put key k into Secret db: Deployment api, Deployment web wait for that, and do not restart until then"
        ]
    );
    // Of many four are named.
    arena.secret("many", &[("k", "one")]).await;
    for at in 0..6 {
        let name = format!("many-{at}");
        arena.create(&deployment(&name, "many", "k")).await;
        arena.adopted("Deployment", &name).await;
    }
    let remove = ["patch", "secret", "many", "--type=json", "-p", &remove("k")];
    assert_eq!(
        told(&arena, &remove, "").await,
        [
            "reroll: put key k into Secret many: Deployment many-0, Deployment many-1, Deployment many-2, Deployment many-3 and 2 more wait for that, and do not restart until then"
        ]
    );
}

fn cron_job(kind: &str, annotations: &Value) -> Value {
    let job = json!({ "template": { "spec": {
        "restartPolicy": "Never", "containers": [{ "name": "c", "image": "example.com/c" }],
    } } });
    let spec = match kind {
        "CronJob" => json!({ "schedule": "0 0 1 1 *", "jobTemplate": { "spec": job } }),
        _ => json!({ "template": job["template"], "suspend": true }),
    };
    json!({
        "apiVersion": "batch/v1", "kind": kind,
        "metadata": { "name": "nightly", "annotations": annotations }, "spec": spec,
    })
}

#[tokio::test]
async fn what_a_workload_says_in_vain_is_told() {
    let arena = Arena::new("prompt-workload").await;
    let _reroll = arena.reroll().start().await;
    arena.secret("db", &[("k", "one")]).await;
    arena
        .create(&workload("Deployment", "web", &[], env("db", "k")))
        .await;
    let rows: &[(&str, &str, &[&str])] = &[
        (
            "annotate",
            "reroll.dev/ignore=yes",
            &[r#"reroll: reroll.dev/ignore: "yes" is not true or false"#],
        ),
        ("annotate", "reroll.dev/ignore=no", &[]),
        (
            "label",
            "reroll.dev/ignore=true",
            &[
                "reroll: put reroll.dev/ignore under metadata.annotations of the Deployment itself: as a label it means nothing",
            ],
        ),
        (
            "annotate",
            "reroll.dev/soak=5s",
            &[
                "reroll: opt in by reroll.dev/restart-on: auto: without that reroll.dev/soak does nothing",
            ],
        ),
    ];
    expect_each(&arena, &["deployment", "web"], rows).await;
    for (word, meant) in [
        ("atuo", "auto"),
        ("Auto ", "auto"),
        ("secret", "secrets"),
        ("secrets/db", "secret/db"),
        ("secret:db", "secret/db"),
        ("db", "secret/db"),
        ("auto secret/db", "auto,secret/db"),
    ] {
        let set = format!("{RESTART_ON}={word}");
        let write = ["annotate", "--overwrite", "deployment", "web", &set];
        let shown = word.trim();
        assert_eq!(
            told(&arena, &write, "").await,
            [format!(
                r#"reroll: reroll.dev/restart-on: "{shown}" is not an opt-in: did you mean {meant}? Nothing restarts until then"#
            )]
        );
        let set = format!("{RESTART_ON}={meant}");
        let write = ["annotate", "--overwrite", "deployment", "web", &set];
        assert_eq!(told(&arena, &write, "").await, [""; 0]);
    }
    let set = format!("{RESTART_ON}=auto,!secret/dbb");
    let write = ["annotate", "--overwrite", "deployment", "web", &set];
    assert_eq!(
        told(&arena, &write, "").await,
        [
            "reroll: did you mean !secret/db? !secret/dbb in reroll.dev/restart-on leaves nothing out: the pod template does not name Secret dbb"
        ]
    );
}

/// Reloader reads its annotations of the pod template, too.
fn reloaded_by_template(mut batch: Value) -> Value {
    let path = match batch["kind"].as_str() {
        Some("CronJob") => "/spec/jobTemplate/spec/template",
        _ => "/spec/template",
    };
    let template = batch.pointer_mut(path).unwrap();
    template["metadata"]["annotations"] = json!({ RELOADER_AUTO: "true" });
    batch
}

#[tokio::test]
async fn which_value_turns_a_kind_on_is_told() {
    let arena = Arena::new("prompt-off").await;
    let reroll = arena.reroll().start().await;
    let dry = ["create", "--dry-run=server", "-f", "-"];
    for (kind, plural, change) in [
        ("CronJob", "cronjobs", "run-now"),
        ("Job", "jobs", "recreate"),
    ] {
        let asks = json!({ RESTART_ON: "auto", "reroll.dev/on-change": change });
        let manifest = cron_job(kind, &asks).to_string();
        let expected = format!(
            "reroll: add {plural} to kinds.optional of reroll's chart (--optional-kinds): reroll leaves every {kind} alone, and reroll.dev/restart-on, reroll.dev/on-change do nothing"
        );
        assert_eq!(told(&arena, &dry, &manifest).await, [expected]);
        let plain = cron_job(kind, &json!({}));
        assert_eq!(told(&arena, &dry, &plain.to_string()).await, [""; 0]);
        let expected = format!(
            "reroll: add {plural} to kinds.optional of reroll's chart (--optional-kinds): reroll leaves every {kind} alone, and {RELOADER_AUTO} does nothing"
        );
        let templated = reloaded_by_template(plain).to_string();
        assert_eq!(told(&arena, &dry, &templated).await, [expected]);
    }
    // Where it is on, the other webhook is asked.
    assert!(reroll.stop().await);
    let other = Arena::new("prompt-on").await;
    let _reroll = other
        .reroll()
        .flag("--optional-kinds", "cronjobs")
        .start()
        .await;
    let asks = json!({ RESTART_ON: "auto", "reroll.dev/on-change": "never" });
    let manifest = cron_job("CronJob", &asks).to_string();
    assert_eq!(
        told(&other, &dry, &manifest).await,
        [r#"reroll: reroll.dev/on-change: "never" is not run-now, the only value for CronJobs"#]
    );
    let silent = cron_job("CronJob", &json!({ RESTART_ON: "auto" })).to_string();
    assert_eq!(
        told(&other, &dry, &silent).await,
        [
            "reroll: say reroll.dev/on-change: run-now: a change does nothing to a CronJob that does not say it"
        ]
    );
    let theirs = reloaded_by_template(cron_job("CronJob", &json!({}))).to_string();
    assert_eq!(
        told(&other, &dry, &theirs).await,
        [
            r#"reroll: reloader.stakater.com/auto: "true" is not enough: Reloader runs a CronJob for a change, reroll only with reroll.dev/on-change: run-now"#
        ]
    );
    for asks in [json!({ RESTART_ON: "off" }), json!({})] {
        let manifest = cron_job("CronJob", &asks).to_string();
        assert_eq!(told(&other, &dry, &manifest).await, [""; 0], "{asks}");
    }
}

#[tokio::test]
async fn undo_of_a_restart_names_the_revision_of_the_deploy_before() {
    let arena = Arena::new("prompt-undo").await;
    let _reroll = arena.reroll().start().await;
    arena.secret("db", &[("k", "one")]).await;
    let asks = [(RESTART_ON, "auto")];
    arena
        .create(&running("Deployment", "web", &asks, env("db", "k")))
        .await;
    arena.adopted("Deployment", "web").await;
    let revision = async |number: &str| {
        eventually(&format!("revision {number} is there"), async || {
            let web = arena.get("Deployment", "web").await;
            let annotations = web.metadata.annotations.unwrap_or_default();
            let now = annotations.get("deployment.kubernetes.io/revision")?;
            (now == number).then_some(())
        })
        .await;
    };
    revision("1").await;
    let recorder = arena.record().await;
    let deploy =
        json!({ "spec": { "template": { "metadata": { "labels": { "deploy": "two" } } } } });
    arena.patch("Deployment", "web", deploy).await;
    revision("2").await;
    arena.update_secret("db", &[("k", "two")]).await;
    revision("3").await;
    recorder.settle(&arena).await;
    recorder.expect("Deployment", "web", 2);
    let undo = ["rollout", "undo", "deployment/web"];
    let (namespace, restart) = (
        &arena.namespace,
        "the revision asked for differs by a restart of reroll's only, and rolls nothing",
    );
    assert_eq!(
        told(&arena, &undo, "").await,
        [format!(
            "reroll: kubectl -n {namespace} rollout undo deployment/web --to-revision=1 goes back to the deploy before: {restart}"
        )]
    );
    recorder.settle(&arena).await;
    recorder.expect("Deployment", "web", 2);
    // What it names does go back, and nothing is said of it.
    let back = [&undo[..], &["--to-revision=1"]].concat();
    assert_eq!(told(&arena, &back, "").await, [""; 0]);
    recorder.settle(&arena).await;
    recorder.expect("Deployment", "web", 3);
    let web = arena.get("Deployment", "web").await;
    let labels = &web.data["spec"]["template"]["metadata"]["labels"];
    assert!(labels.get("deploy").is_none(), "{labels}");
}

#[tokio::test]
async fn who_is_created_with_its_opt_in_says_for_what_it_restarts_once() {
    let arena = Arena::new("prompt-created").await;
    let reroll = arena.reroll().start().await;
    arena.secret("db", &[("k", "one")]).await;
    arena.create(&deployment("web", "db", "k")).await;
    let found = arena.event("web", "OptedIn").await;
    assert_eq!(found, "OptedIn: restarts on Secret db (key k)");
    let told = ["annotate", "deployment", "web", "example.com/note=seen"];
    arena.kubectl(&told).await.ok();
    // Another process, which finds it there, says nothing.
    let builder = reroll.builder();
    assert!(reroll.stop().await);
    let _reroll = builder.start().await;
    let recorder = arena.record().await;
    arena.update_secret("db", &[("k", "two")]).await;
    recorder.settle(&arena).await;
    recorder.expect("Deployment", "web", 1);
    arena.event("web", "Restarted").await;
    assert_eq!(arena.event_count("web", "OptedIn").await, 1);
}
