//! What counts as a change of a source that stays, and what does not.

use k8s_openapi::ByteString;
use reroll_harness::{Arena, KINDS, RESTART_ON, deployment, env, eventually, workload};
use serde_json::{Value, json};

const IGNORE: &str = "reroll.dev/ignore";

#[tokio::test]
async fn only_a_change_of_data_that_is_used_rolls() {
    let arena = Arena::new("updates-data").await;
    let _reroll = arena.reroll().start().await;
    let names = ["used", "unused", "labels", "identical", "immutable"];
    for name in names {
        arena.secret(name, &[("k", "one"), ("other", "one")]).await;
        for kind in KINDS {
            let asks = [(RESTART_ON, "auto")];
            arena
                .create(&workload(kind, name, &asks, env(name, "k")))
                .await;
        }
    }
    let recorder = arena.record().await;
    arena.update_secret("used", &[("k", "two")]).await;
    arena.update_secret("unused", &[("other", "two")]).await;
    arena.update_secret("unused", &[("new", "one")]).await;
    arena.unset("Secret", "unused", "other").await;
    let labels = json!({ "metadata": { "labels": { "a": "b" }, "annotations": { "c": "d" } } });
    arena.patch("Secret", "labels", labels).await;
    let before = arena.get("Secret", "identical").await.metadata;
    let again = json!({ "metadata": { "labels": { "a": "b" } }, "stringData": { "k": "one" } });
    let after = arena.patch("Secret", "identical", again).await.metadata;
    assert_ne!(before.resource_version, after.resource_version);
    arena.update_secret("identical", &[("k", "one")]).await;
    let immutable = json!({ "immutable": true });
    arena.patch("Secret", "immutable", immutable).await;
    recorder.settle(&arena).await;
    for kind in KINDS {
        recorder.expect_each(kind, names.map(|name| (name, usize::from(name == "used"))));
    }
    // All of them roll for data that they use.
    for name in names {
        if name == "immutable" {
            arena.recreate_secret(name, &[("k", "three")]).await;
        } else {
            arena.update_secret(name, &[("k", "three")]).await;
        }
    }
    recorder.settle(&arena).await;
    for kind in KINDS {
        let expected = names.map(|name| (name, 1 + usize::from(name == "used")));
        recorder.expect_each(kind, expected);
    }
}

#[tokio::test]
async fn a_required_key_that_is_gone_is_waited_for() {
    let arena = Arena::new("updates-key-gone").await;
    let _reroll = arena.reroll().start().await;
    let names = ["same", "other", "more"];
    for name in names {
        arena.secret(name, &[("k", "one"), ("l", "one")]).await;
        arena.create(&deployment(name, name, "k")).await;
    }
    let variables = ["k", "l"].map(|key| {
        let from = json!({ "secretKeyRef": { "name": "more", "key": key } });
        json!({ "name": key, "valueFrom": from })
    });
    let both = json!({ "containers": [{ "env": variables }] });
    let asks = [(RESTART_ON, "auto")];
    arena
        .create(&workload("Deployment", "both", &asks, both))
        .await;
    // Pods start without a key that is optional, so that it is gone is a change like any other.
    let mut optional = env("other", "k");
    optional["containers"][0]["env"][0]["valueFrom"]["secretKeyRef"]["optional"] = json!(true);
    arena
        .create(&workload("Deployment", "optional", &asks, optional))
        .await;
    let recorder = arena.record().await;
    let expect = |expected: [(&str, usize); 5]| recorder.expect_each("Deployment", expected);
    for name in names {
        arena.unset("Secret", name, "k").await;
    }
    recorder.settle(&arena).await;
    expect([
        ("same", 0),
        ("other", 0),
        ("more", 0),
        ("both", 0),
        ("optional", 1),
    ]);
    // Another key changes meanwhile: new pods could not start, so that waits too, and says so.
    arena.update_secret("more", &[("l", "two")]).await;
    let waits = arena.event("both", "RestartWaits").await;
    assert!(waits.contains("Secret more was updated (key l)"), "{waits}");
    recorder.settle(&arena).await;
    expect([
        ("same", 0),
        ("other", 0),
        ("more", 0),
        ("both", 0),
        ("optional", 1),
    ]);
    arena.update_secret("same", &[("k", "one")]).await;
    arena.update_secret("other", &[("k", "two")]).await;
    arena.update_secret("more", &[("k", "one")]).await;
    recorder.settle(&arena).await;
    expect([
        ("same", 0),
        ("other", 1),
        ("more", 0),
        ("both", 1),
        ("optional", 2),
    ]);
}

#[tokio::test]
async fn changes_within_the_quiet_period_share_one() {
    let arena = Arena::new("updates-settle").await;
    let reroll = arena.reroll().flag("--settle", "8s");
    let reroll = reroll.flag("--settle-max", "1m").start().await;
    let names = ["five", "back", "recreated", "gone-and-back"];
    for name in names {
        arena.secret(name, &[("k", "A")]).await;
        arena.create(&deployment(name, name, "k")).await;
    }
    let two = json!({ "containers": [{ "envFrom": [
        { "secretRef": { "name": "five" } }, { "secretRef": { "name": "recreated" } },
    ] }] });
    let asks = [(RESTART_ON, "auto")];
    arena
        .create(&workload("Deployment", "two", &asks, two))
        .await;
    let recorder = arena.record().await;
    for number in 0..5 {
        arena
            .update_secret("five", &[("k", &format!("{number}"))])
            .await;
    }
    for value in ["B", "A"] {
        arena.update_secret("back", &[("k", value)]).await;
    }
    arena.recreate_secret("recreated", &[("k", "B")]).await;
    arena.recreate_secret("recreated", &[("k", "A")]).await;
    arena.unset("Secret", "gone-and-back", "k").await;
    arena.update_secret("gone-and-back", &[("k", "A")]).await;
    recorder.settle_slowly(&arena, &reroll).await;
    recorder.expect_each(
        "Deployment",
        [
            ("five", 1),
            ("back", 0),
            ("recreated", 1),
            ("gone-and-back", 0),
            ("two", 1),
        ],
    );
    // Each of them is up to date with the last of it.
    arena.update_secret("five", &[("k", "4")]).await;
    arena.update_secret("back", &[("k", "C")]).await;
    recorder.settle_slowly(&arena, &reroll).await;
    recorder.expect_each(
        "Deployment",
        [
            ("five", 1),
            ("back", 1),
            ("recreated", 1),
            ("gone-and-back", 0),
            ("two", 1),
        ],
    );
}

#[tokio::test]
async fn a_narrowed_opt_in_rolls_nothing() {
    let arena = Arena::new("updates-narrowed").await;
    for (name, reroll) in arena.both_ways() {
        let reroll = reroll.start().await;
        let sources = ["kept", "left"].map(|source| format!("{name}-{source}"));
        for source in &sources {
            arena.secret(source, &[("k", "one")]).await;
        }
        let [kept, left] = &sources;
        let pod = json!({ "containers": [{ "envFrom": [
            { "secretRef": { "name": kept } }, { "secretRef": { "name": left } },
        ] }] });
        let left_out = format!("secret/{left}");
        for kind in KINDS {
            let asks = [(RESTART_ON, "auto")];
            arena
                .create(&workload(kind, name, &asks, pod.clone()))
                .await;
        }
        for kind in KINDS {
            arena.adopted(kind, name).await;
        }
        let recorder = arena.record().await;
        let expect = |rollouts| KINDS.map(|kind| recorder.expect(kind, name, rollouts));
        let narrowed = format!("secret/{kept}");
        for kind in KINDS {
            arena
                .annotate(kind, name, RESTART_ON, Some(&narrowed))
                .await;
            arena.observes(kind, name, &left_out, Value::is_null).await;
        }
        arena.update_secret(left, &[("k", "two")]).await;
        recorder.settle(&arena).await;
        expect(0);
        for kind in KINDS {
            arena.annotate(kind, name, RESTART_ON, Some("auto")).await;
            arena
                .observes(kind, name, &left_out, Value::is_object)
                .await;
        }
        recorder.settle(&arena).await;
        expect(0);
        arena.update_secret(left, &[("k", "three")]).await;
        recorder.settle(&arena).await;
        expect(1);
        arena.recreate_secret(kept, &[("k", "one")]).await;
        recorder.settle(&arena).await;
        expect(2);
        assert!(reroll.stop().await);
    }
}

#[tokio::test]
async fn another_reference_to_the_same_source_is_only_the_users_rollout() {
    let arena = Arena::new("updates-reference").await;
    for (name, reroll) in arena.both_ways() {
        let reroll = reroll.start().await;
        arena.secret(name, &[("k", "one"), ("other", "one")]).await;
        for kind in KINDS {
            let asks = [(RESTART_ON, "auto")];
            arena
                .create(&workload(kind, name, &asks, env(name, "k")))
                .await;
        }
        for kind in KINDS {
            arena.adopted(kind, name).await;
        }
        let recorder = arena.record().await;
        let expect = |rollouts| KINDS.map(|kind| recorder.expect(kind, name, rollouts));
        let source = format!("secret/{name}");
        for kind in KINDS {
            let whole = json!([{ "secretRef": { "name": name } }]);
            arena.edit_container(kind, name, "envFrom", whole).await;
            let both = |entry: &Value| entry["d"]["*"].is_string() && entry["d"]["k"].is_string();
            arena.observes(kind, name, &source, both).await;
        }
        recorder.settle(&arena).await;
        expect(1);
        // It counts from then on.
        arena.update_secret(name, &[("other", "two")]).await;
        recorder.settle(&arena).await;
        expect(2);
        for kind in KINDS {
            arena
                .edit_container(kind, name, "envFrom", json!(null))
                .await;
            let one = |entry: &Value| entry["d"]["*"].is_null() && entry["d"]["k"].is_string();
            arena.observes(kind, name, &source, one).await;
        }
        arena.update_secret(name, &[("other", "three")]).await;
        recorder.settle(&arena).await;
        expect(3);
        assert!(reroll.stop().await);
    }
}

#[tokio::test]
async fn text_and_binary_data_of_a_config_map_are_one() {
    let arena = Arena::new("updates-binary").await;
    let _reroll = arena.reroll().start().await;
    let base64 = |bytes: &[u8]| json!(ByteString(bytes.to_vec()));
    arena
        .create(&json!({
            "apiVersion": "v1", "kind": "ConfigMap", "metadata": { "name": "app" },
            "data": { "text": "one" },
            "binaryData": { "binary": base64(&[0, 159]), "spare": base64(&[0, 200]) },
        }))
        .await;
    let volume = |items: Value| {
        json!({
            "containers": [{ "volumeMounts": [{ "name": "v", "mountPath": "/v" }] }],
            "volumes": [{ "name": "v", "configMap": { "name": "app", "items": items } }],
        })
    };
    for (name, items) in [
        ("text", json!([{ "key": "text", "path": "t" }])),
        ("binary", json!([{ "key": "binary", "path": "b" }])),
        ("whole", json!(null)),
    ] {
        let asks = [(RESTART_ON, "auto")];
        arena
            .create(&workload("Deployment", name, &asks, volume(items)))
            .await;
    }
    let recorder = arena.record().await;
    for (patch, text, binary, whole) in [
        (
            json!({ "binaryData": { "spare": base64(&[0, 201]) } }),
            0,
            0,
            1,
        ),
        (
            json!({ "binaryData": { "binary": base64(&[0, 160]) } }),
            0,
            1,
            2,
        ),
        // The same bytes, in the other map.
        (
            json!({ "data": { "text": null }, "binaryData": { "text": base64(b"one") } }),
            0,
            1,
            2,
        ),
        (json!({ "binaryData": { "text": base64(b"two") } }), 1, 1, 3),
    ] {
        arena.patch("ConfigMap", "app", patch).await;
        recorder.settle(&arena).await;
        let expected = [("text", text), ("binary", binary), ("whole", whole)];
        recorder.expect_each("Deployment", expected);
    }
}

#[tokio::test]
async fn an_ignored_source_rolls_nothing() {
    let arena = Arena::new("updates-ignored").await;
    let _reroll = arena.reroll().start().await;
    for source in ["Secret", "ConfigMap"] {
        arena.source(source, "always", &[("k", "one")]).await;
        arena.annotate(source, "always", IGNORE, Some("true")).await;
        arena.source(source, "later", &[("k", "one")]).await;
    }
    for name in ["always", "later"] {
        let pod = json!({ "containers": [{ "envFrom": [
            { "secretRef": { "name": name } }, { "configMapRef": { "name": name } },
        ] }] });
        for kind in KINDS {
            let asks = [(RESTART_ON, "auto")];
            arena
                .create(&workload(kind, name, &asks, pod.clone()))
                .await;
        }
    }
    let recorder = arena.record().await;
    let expect = |always, later| {
        for kind in KINDS {
            recorder.expect_each(kind, [("always", always), ("later", later)]);
        }
    };
    for source in ["Secret", "ConfigMap"] {
        arena.set(source, "always", "k", "two").await;
        arena.annotate(source, "later", IGNORE, Some("true")).await;
        arena.set(source, "later", "k", "two").await;
        arena.delete(source, "always").await;
    }
    recorder.settle(&arena).await;
    expect(0, 0);
    // What changed while it was ignored is not made up for.
    for source in ["Secret", "ConfigMap"] {
        arena.annotate(source, "later", IGNORE, None).await;
    }
    recorder.settle(&arena).await;
    expect(0, 0);
    arena.set("ConfigMap", "later", "k", "three").await;
    recorder.settle(&arena).await;
    expect(0, 1);
}

#[tokio::test]
async fn one_rollout_is_for_everything_that_changed() {
    let arena = Arena::new("updates-together").await;
    let reroll = arena.reroll().flag("--settle", "8s").start().await;
    arena.secret("db", &[("k", "one")]).await;
    arena.config_map("app", &[("k", "one")]).await;
    let pod = json!({ "containers": [{ "envFrom": [
        { "secretRef": { "name": "db" } }, { "configMapRef": { "name": "app" } },
    ] }] });
    for kind in KINDS {
        let asks = [(RESTART_ON, "auto")];
        arena
            .create(&workload(kind, "web", &asks, pod.clone()))
            .await;
    }
    let recorder = arena.record().await;
    arena.recreate_secret("db", &[("k", "two")]).await;
    arena.set("ConfigMap", "app", "k", "two").await;
    recorder.settle_slowly(&arena, &reroll).await;
    for kind in KINDS {
        recorder.expect(kind, "web", 1);
        let why = eventually("the reason is there", async || {
            arena
                .annotation(kind, "web", "reroll.dev/last-restart")
                .await
        })
        .await;
        assert!(why.contains("Secret db was recreated"), "{why}");
        assert!(why.contains("ConfigMap app was updated"), "{why}");
    }
}
