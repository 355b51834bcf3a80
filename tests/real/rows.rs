//! The rows of the decision table about absent sources, and about what users ask for besides the opt-in.

use reroll_harness::{
    Arena, KINDS, RESTART_ON, Recorder, deployment, env, env_from, eventually, secret, workload,
};
use serde_json::{Value, json};

const AUTO: [(&str, &str); 1] = [(RESTART_ON, "auto")];
const SUSPEND: &str = "reroll.dev/suspend";

/// The same number of rollouts of workloads of one name, of each kind.
#[track_caller]
fn expect(recorder: &Recorder, expected: &[(&str, usize)]) {
    for kind in KINDS {
        recorder.expect_each(kind, expected.iter().copied());
    }
}

fn optional(secret: &str, key: &str) -> Value {
    let mut pod = env(secret, key);
    pod["containers"][0]["env"][0]["valueFrom"]["secretKeyRef"]["optional"] = json!(true);
    pod
}

/// Gives a workload one pod that can run (three of a DaemonSet), or one that no node takes.
fn with_pod(mut manifest: Value, runs: bool) -> Value {
    let spec = &mut manifest["spec"];
    if spec.get("replicas").is_some() {
        spec["replicas"] = json!(1);
    }
    let node = if runs {
        json!(null)
    } else {
        json!({ "no": "node" })
    };
    spec["template"]["spec"]["nodeSelector"] = node;
    manifest
}

#[tokio::test]
async fn what_new_pods_wait_for_rolls_nothing_when_it_appears() {
    let arena = Arena::new("rows-waiting").await;
    let _reroll = arena.reroll().start().await;
    arena.secret("half", &[("other", "one")]).await;
    let volume = json!({
        "containers": [{ "volumeMounts": [{ "name": "v", "mountPath": "/v" }] }],
        "volumes": [{ "name": "v", "configMap": { "name": "absent" } }],
    });
    for (name, pod, missing) in [
        ("env", env("absent", "k"), "Secret absent"),
        ("volume", volume, "ConfigMap absent"),
        ("key", env("half", "k"), "Secret half"),
    ] {
        for kind in KINDS {
            let manifest = workload(kind, name, &AUTO, pod.clone()).to_string();
            let said = arena
                .kubectl_with(&["create", "-f", "-"], &manifest)
                .await
                .ok();
            let warning =
                format!("reroll: {kind} {name} needs {missing}, which is absent or lacks a key");
            assert!(said.err.contains(&warning), "{}", said.err);
        }
    }
    let recorder = arena.record().await;
    arena.secret("absent", &[("k", "one")]).await;
    arena.config_map("absent", &[("k", "one")]).await;
    arena.update_secret("half", &[("k", "one")]).await;
    recorder.settle(&arena).await;
    expect(&recorder, &[("env", 0), ("volume", 0), ("key", 0)]);
    // From then on it is observed.
    arena.update_secret("absent", &[("k", "two")]).await;
    arena.recreate("ConfigMap", "absent", &[("k", "one")]).await;
    arena.update_secret("half", &[("k", "two")]).await;
    recorder.settle(&arena).await;
    expect(&recorder, &[("env", 1), ("volume", 1), ("key", 1)]);
}

#[tokio::test]
async fn what_was_recreated_before_its_pods_could_start_rolls_nothing() {
    let arena = Arena::new("rows-waiting-again").await;
    let _reroll = arena.reroll().start().await;
    // The key is still missing after the recreation, and comes at last.
    arena.secret("half", &[("other", "one")]).await;
    for kind in KINDS {
        arena
            .create(&workload(kind, "web", &AUTO, env("half", "k")))
            .await;
    }
    let recorder = arena.record().await;
    arena.recreate_secret("half", &[("other", "two")]).await;
    recorder.settle(&arena).await;
    expect(&recorder, &[("web", 0)]);
    arena.update_secret("half", &[("k", "one")]).await;
    recorder.settle(&arena).await;
    expect(&recorder, &[("web", 0)]);
    arena.recreate_secret("half", &[("k", "one")]).await;
    recorder.settle(&arena).await;
    expect(&recorder, &[("web", 1)]);
}

#[tokio::test]
async fn adopted_while_something_is_absent_it_matters_whether_pods_ever_started() {
    let arena = Arena::new("rows-adopted").await;
    for kind in KINDS {
        for (name, runs) in [("waits", false), ("runs", true)] {
            // Pods of several workloads with one `app` would be mistaken for each other.
            let name = format!("{name}-{}", kind.to_lowercase());
            let manifest = workload(kind, &name, &AUTO, env("absent", "k"));
            arena.create(&with_pod(manifest, runs)).await;
            let count = if kind == "DaemonSet" { 3 } else { 1 };
            match (runs, kind) {
                (true, _) => arena.pods_are(&name, count, "Running").await,
                // No node matches, so there are none.
                (false, "DaemonSet") => {}
                (false, _) => arena.pods_are(&name, count, "Pending").await,
            }
        }
    }
    let _reroll = arena.reroll().without_webhook().start().await;
    for kind in KINDS {
        for (name, entry) in [("waits", "waiting"), ("runs", "unknown")] {
            let name = format!("{name}-{}", kind.to_lowercase());
            arena
                .observes(kind, &name, "secret/absent", |found| found == entry)
                .await;
        }
    }
    let recorder = arena.record().await;
    let expect = |waits, runs| {
        for kind in KINDS {
            recorder.expect(kind, &format!("waits-{}", kind.to_lowercase()), waits);
            recorder.expect(kind, &format!("runs-{}", kind.to_lowercase()), runs);
        }
    };
    recorder.settle(&arena).await;
    expect(0, 0);
    arena.secret("absent", &[("k", "one")]).await;
    recorder.settle(&arena).await;
    expect(0, 1);
    arena
        .event("runs-deployment", "Secret absent was created")
        .await;
    arena.update_secret("absent", &[("k", "two")]).await;
    recorder.settle(&arena).await;
    expect(1, 2);
}

#[tokio::test]
async fn what_pods_started_without_rolls_once_when_it_appears() {
    let arena = Arena::new("rows-unknown").await;
    let _reroll = arena.reroll().start().await;
    arena.secret("half", &[("other", "one")]).await;
    let mut whole = env_from("absent");
    whole["containers"][0]["envFrom"][0]["secretRef"]["optional"] = json!(true);
    for kind in KINDS {
        arena
            .create(&workload(kind, "whole", &AUTO, whole.clone()))
            .await;
        arena
            .create(&workload(kind, "key", &AUTO, optional("half", "k")))
            .await;
        // One reference that needs it is enough for pods to wait.
        let mut both = whole.clone();
        let needs = env("absent", "k")["containers"][0].take();
        both["containers"].as_array_mut().unwrap().push(needs);
        arena.create(&workload(kind, "both", &AUTO, both)).await;
    }
    let recorder = arena.record().await;
    arena.secret("absent", &[("k", "one")]).await;
    arena.update_secret("half", &[("k", "one")]).await;
    recorder.settle(&arena).await;
    expect(&recorder, &[("whole", 1), ("key", 1), ("both", 0)]);
    arena.event("whole", "Secret absent was created").await;
    arena.update_secret("absent", &[("k", "two")]).await;
    recorder.settle(&arena).await;
    expect(&recorder, &[("whole", 2), ("key", 1), ("both", 1)]);
}

#[tokio::test]
async fn an_optional_source_that_goes_away_holds_nothing_up() {
    let arena = Arena::new("rows-optional").await;
    let _reroll = arena.reroll().start().await;
    arena.secret("db", &[("k", "one")]).await;
    arena.secret("likes", &[("k", "one")]).await;
    let both = json!({ "containers": [{ "envFrom": [
        { "secretRef": { "name": "db" } },
        { "secretRef": { "name": "likes", "optional": true } },
    ] }] });
    for kind in KINDS {
        arena
            .create(&workload(kind, "web", &AUTO, both.clone()))
            .await;
        arena
            .create(&workload(kind, "one", &AUTO, optional("likes", "k")))
            .await;
    }
    let recorder = arena.record().await;
    arena.delete("Secret", "likes").await;
    recorder.settle(&arena).await;
    expect(&recorder, &[("web", 0), ("one", 0)]);
    arena.update_secret("db", &[("k", "two")]).await;
    recorder.settle(&arena).await;
    expect(&recorder, &[("web", 1), ("one", 0)]);
    arena.secret("likes", &[("k", "one")]).await;
    recorder.settle(&arena).await;
    expect(&recorder, &[("web", 2), ("one", 1)]);
}

#[tokio::test]
async fn a_reference_gained_before_its_source_exists_is_only_the_users_rollout() {
    let arena = Arena::new("rows-gained").await;
    for (way, reroll) in arena.both_ways() {
        let reroll = reroll.start().await;
        let (known, later) = (format!("{way}-known"), format!("{way}-later"));
        arena.secret(&known, &[("k", "one")]).await;
        let name = |kind: &str| format!("{way}-{}", kind.to_lowercase());
        for kind in KINDS {
            let manifest = workload(kind, &name(kind), &AUTO, env(&known, "k"));
            arena.create(&with_pod(manifest, true)).await;
        }
        for kind in KINDS {
            arena.adopted(kind, &name(kind)).await;
            let count = if kind == "DaemonSet" { 3 } else { 1 };
            arena.pods_are(&name(kind), count, "Running").await;
        }
        let recorder = arena.record().await;
        let expect = |rollouts| KINDS.map(|kind| recorder.expect(kind, &name(kind), rollouts));
        for kind in KINDS {
            // The simulated kubelet starts anything: what it must not start has no node.
            let mut pod = env(&later, "k")["containers"][0].take();
            pod["name"] = json!("containers-0");
            let pod = json!({ "nodeSelector": { "no": "node" }, "containers": [pod] });
            let patch = json!({ "spec": { "template": { "spec": pod } } });
            let params = kube::api::PatchParams::default();
            arena
                .api(kind)
                .patch(&name(kind), &params, &kube::api::Patch::Strategic(patch))
                .await
                .unwrap();
            let source = format!("secret/{later}");
            arena
                .observes(kind, &name(kind), &source, |found| found == "waiting")
                .await;
        }
        recorder.settle(&arena).await;
        expect(1);
        arena.secret(&later, &[("k", "one")]).await;
        recorder.settle(&arena).await;
        expect(1);
        arena.recreate_secret(&later, &[("k", "one")]).await;
        recorder.settle(&arena).await;
        expect(2);
        assert!(reroll.stop().await);
    }
}

#[tokio::test]
async fn a_suspended_workload_is_told_and_restarts_once_afterwards() {
    let arena = Arena::new("rows-suspend").await;
    let reroll = arena.reroll().start().await;
    for name in ["db", "back"] {
        arena.secret(name, &[("k", "A")]).await;
        for kind in KINDS {
            let asks = [(RESTART_ON, "auto"), (SUSPEND, "true")];
            arena
                .create(&workload(kind, name, &asks, env(name, "k")))
                .await;
        }
    }
    let recorder = arena.record().await;
    arena.recreate_secret("db", &[("k", "B")]).await;
    arena.update_secret("back", &[("k", "B")]).await;
    recorder.settle(&arena).await;
    expect(&recorder, &[("db", 0), ("back", 0)]);
    let told = arena.event("db", "RestartSuspended").await;
    assert!(told.contains("Secret db was recreated"), "{told}");
    let suspended = r#"reroll_workloads_pending{reason="suspended"}"#;
    assert_eq!(reroll.count(suspended).await, 6);
    // It is pending in what is persisted, not in a process.
    let again = reroll.builder();
    assert!(reroll.stop().await);
    let reroll = again.start().await;
    recorder.settle(&arena).await;
    expect(&recorder, &[("db", 0), ("back", 0)]);
    eventually("each process has told it of each kind", async || {
        let events = arena.events("db").await;
        let told = events
            .iter()
            .filter(|event| event.starts_with("RestartSuspended"));
        (told.count() == 2 * KINDS.len()).then_some(())
    })
    .await;
    arena.update_secret("db", &[("k", "C")]).await;
    arena.update_secret("back", &[("k", "A")]).await;
    recorder.settle(&arena).await;
    for (number, kind) in KINDS.into_iter().enumerate() {
        // Removed, or set to false.
        let value = (number == 1).then_some("false");
        arena.annotate(kind, "db", SUSPEND, value).await;
        arena.annotate(kind, "back", SUSPEND, value).await;
    }
    recorder.settle(&arena).await;
    expect(&recorder, &[("db", 1), ("back", 0)]);
    assert_eq!(reroll.count(suspended).await, 0);
}

#[tokio::test]
async fn an_opt_in_that_cannot_be_read_is_told_at_the_prompt_and_afterwards() {
    let arena = Arena::new("rows-unreadable").await;
    let _reroll = arena.reroll().start().await;
    arena.secret("db", &[("k", "one")]).await;
    let asks = [(RESTART_ON, "secret/DB"), ("reroll.dev/settle", "soon")];
    for kind in KINDS {
        let name = format!("new-{}", kind.to_lowercase());
        let manifest = workload(kind, &name, &asks, env("db", "k")).to_string();
        let said = arena
            .kubectl_with(&["create", "-f", "-"], &manifest)
            .await
            .ok();
        for warning in [
            r#"Warning: reroll: reroll.dev/restart-on: "secret/DB" is not an opt-in: did you mean secret/db? Nothing restarts until then"#,
            r#"Warning: reroll: reroll.dev/settle: "soon" is not a duration"#,
        ] {
            assert!(said.err.contains(warning), "{}", said.err);
        }
        arena.event(&name, "OptInUnreadable").await;
        arena
            .create(&workload(kind, "web", &AUTO, env("db", "k")))
            .await;
    }
    let recorder = arena.record().await;
    // A typo erases nothing: what changes meanwhile is made up for as soon as it is corrected.
    let annotate = async |value: &str| {
        for kind in KINDS {
            let set = format!("{RESTART_ON}={value}");
            let arguments = ["annotate", "--overwrite", kind, "web", &set];
            let said = arena.kubectl(&arguments).await.ok();
            assert_eq!(
                said.err.contains("Warning: reroll: reroll.dev/restart-on"),
                value == "atuo"
            );
        }
    };
    annotate("atuo").await;
    arena.event("web", "OptInUnreadable").await;
    recorder.settle(&arena).await;
    arena.update_secret("db", &[("k", "two")]).await;
    recorder.settle(&arena).await;
    expect(&recorder, &[("web", 0)]);
    annotate("auto").await;
    recorder.settle(&arena).await;
    expect(&recorder, &[("web", 1)]);
    for kind in KINDS {
        recorder.expect(kind, &format!("new-{}", kind.to_lowercase()), 0);
    }
}

#[tokio::test]
async fn part_of_an_opt_in_that_cannot_be_read_is_told_and_the_rest_counts() {
    let arena = Arena::new("rows-half-readable").await;
    let _reroll = arena.reroll().start().await;
    arena.secret("db", &[("k", "one")]).await;
    let asks = [
        (RESTART_ON, "secrets, configmap"),
        ("reroll.dev/settle", "soon"),
    ];
    let manifest = workload("Deployment", "web", &asks, env("db", "k")).to_string();
    let said = arena
        .kubectl_with(&["create", "-f", "-"], &manifest)
        .await
        .ok();
    for warning in [
        r#"reroll.dev/restart-on: "configmap" is not an entry: did you mean configmaps?"#,
        r#"reroll.dev/settle: "soon" is not a duration"#,
    ] {
        assert!(said.err.contains(warning), "{}", said.err);
    }
    for told in [
        r#"SettingUnreadable: reroll.dev/restart-on: "configmap" is not an entry: did you mean configmaps?"#,
        r#"SettingUnreadable: reroll.dev/settle: "soon" is not a duration"#,
    ] {
        arena.event("web", told).await;
    }
    let recorder = arena.record().await;
    arena.update_secret("db", &[("k", "two")]).await;
    recorder.settle(&arena).await;
    recorder.expect("Deployment", "web", 1);
    // Told once, however often the workload is looked at.
    let events = arena.events("web").await;
    let told = events
        .iter()
        .filter(|event| event.starts_with("SettingUnreadable"));
    assert_eq!(told.count(), 2, "{events:?}");
}

#[tokio::test]
async fn adopted_behind_a_source_it_is_told_and_restarts_if_asked_to() {
    let arena = Arena::new("rows-adopt").await;
    // Through the webhook, by the controller alone, and by one that starts later.
    for way in ["webhook", "alone", "later"] {
        let [old, new] = ["old", "new"].map(|source| format!("{way}-{source}"));
        arena.secret(&old, &[("k", "one")]).await;
        arena.secret(&new, &[("k", "one")]).await;
        let mut all = Vec::new();
        for kind in KINDS {
            for (asks, rollouts) in [("report", 0), ("restart", 1)] {
                for (source, rollouts) in [(&old, 0), (&new, rollouts)] {
                    let name = format!("{source}-{asks}-{}", kind.to_lowercase());
                    let asks = [("reroll.dev/on-adopt", asks)];
                    arena
                        .create(&workload(kind, &name, &asks, env(source, "k")))
                        .await;
                    all.push((kind, name, rollouts));
                }
            }
        }
        write_after_revisions(&arena, &new, &all).await;
        let recorder = arena.record().await;
        let opt_in = async || {
            for (kind, name, _) in &all {
                arena.annotate(kind, name, RESTART_ON, Some("auto")).await;
            }
        };
        let reroll = match way {
            "webhook" => arena.reroll(),
            _ => arena.reroll().without_webhook(),
        };
        let reroll = if way == "later" {
            opt_in().await;
            reroll.start().await
        } else {
            let reroll = reroll.start().await;
            opt_in().await;
            reroll
        };
        for (kind, name, _) in &all {
            arena.adopted(kind, name).await;
            if name.starts_with(&new) {
                let told = format!("AdoptedOutdated: Secret {new} was written after");
                arena.event(name, &told).await;
            }
        }
        let expect = |more| {
            for (kind, name, rollouts) in &all {
                recorder.expect(kind, name, rollouts + more);
            }
        };
        recorder.settle(&arena).await;
        expect(0);
        for (_, name, _) in all.iter().filter(|(_, name, _)| name.starts_with(&old)) {
            let events = arena.events(name).await;
            assert!(
                !events.iter().any(|event| event.contains("AdoptedOutdated")),
                "{events:?}"
            );
        }
        // Another start adopts nothing, and they are like any other.
        let again = reroll.builder();
        assert!(reroll.stop().await);
        let reroll = again.start().await;
        recorder.settle(&arena).await;
        expect(0);
        for source in [&old, &new] {
            arena.recreate_secret(source, &[("k", "one")]).await;
        }
        recorder.settle(&arena).await;
        expect(1);
        assert!(reroll.stop().await);
    }
}

/// Writes a Secret until its time, in seconds, is later than that of every revision.
async fn write_after_revisions(arena: &Arena, secret: &str, all: &[(&str, String, usize)]) {
    let mut newest = 0;
    for (kind, name, _) in all {
        newest = newest.max(revision(arena, kind, name).await);
    }
    eventually("a later second", async || {
        let value = fastrand::u64(..).to_string();
        arena.update_secret(secret, &[("k", &value)]).await;
        (written(arena, secret).await > newest).then_some(())
    })
    .await;
}

/// When a workload's only revision was made, in unix seconds.
async fn revision(arena: &Arena, kind: &str, name: &str) -> i64 {
    let owned = if kind == "Deployment" {
        "ReplicaSet"
    } else {
        "ControllerRevision"
    };
    let params = kube::api::ListParams::default().labels(&format!("app={name}"));
    eventually(&format!("{kind} {name} has a revision"), async || {
        let list = arena.api(owned).list(&params).await.unwrap();
        let time = list.items.first()?.metadata.creation_timestamp.clone()?;
        Some(time.0.as_second())
    })
    .await
}

/// When a Secret's data was written, in unix seconds.
async fn written(arena: &Arena, name: &str) -> i64 {
    let managed = arena.get("Secret", name).await.metadata.managed_fields;
    let times = managed.into_iter().flatten().filter_map(|entry| entry.time);
    times.map(|time| time.0.as_second()).max().unwrap()
}

#[tokio::test]
async fn another_quiet_period_is_kept() {
    let arena = Arena::new("rows-settle").await;
    let _reroll = arena.reroll().start().await;
    arena.create(&secret("db", &[("k", "one")])).await;
    let asks = [(RESTART_ON, "auto"), ("reroll.dev/settle", "40s")];
    arena
        .create(&workload("Deployment", "slow", &asks, env("db", "k")))
        .await;
    arena.create(&deployment("quick", "db", "k")).await;
    let recorder = arena.record().await;
    let began = std::time::Instant::now();
    arena.recreate_secret("db", &[("k", "two")]).await;
    recorder.reaches("Deployment", "quick", 1).await;
    recorder.expect("Deployment", "slow", 0);
    arena.update_secret("db", &[("k", "three")]).await;
    recorder.reaches("Deployment", "quick", 2).await;
    recorder.reaches("Deployment", "slow", 1).await;
    assert!(began.elapsed() >= std::time::Duration::from_secs(40));
    recorder.settle(&arena).await;
    recorder.expect("Deployment", "slow", 1);
}
