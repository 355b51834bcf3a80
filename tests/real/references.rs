//! Which sources a workload's opt-in takes: every way that a pod template can refer to one, and every way to choose.

use std::collections::BTreeMap;

use reroll_harness::{
    Arena, KINDS, RESTART_ON, SOURCES, at_once, deployment, env, eventually, workload,
};
use serde_json::{Value, json};

/// One way that a pod refers to a source of the same name.
struct Way {
    name: String,
    source: &'static str,
    /// It names the key `k`; else it takes all keys.
    keyed: bool,
    pod: Value,
}

/// Every way: for each kind of source, optional or not, in containers and init containers.
fn ways() -> Vec<Way> {
    let mut ways = Vec::new();
    for source in SOURCES {
        for (need, optional) in [("needed", false), ("optional", true)] {
            for list in ["containers", "initContainers"] {
                let name = |how: &str| format!("{source}-{how}-{need}-{list}").to_lowercase();
                let mut add = |how: &str, keyed, pod: &dyn Fn(&str) -> Value| {
                    let name = name(how);
                    let mut pod = pod(&name);
                    if list == "initContainers" {
                        pod[list] = pod["containers"].take();
                        pod["containers"] = json!([{}]);
                    }
                    ways.push(Way {
                        name,
                        source,
                        keyed,
                        pod,
                    });
                };
                let (key_ref, whole_ref, volume, name_field) = if source == "Secret" {
                    ("secretKeyRef", "secretRef", "secret", "secretName")
                } else {
                    ("configMapKeyRef", "configMapRef", "configMap", "name")
                };
                add("env", true, &|name| {
                    let key = json!({ "name": name, "key": "k", "optional": optional });
                    json!({ "containers": [{ "env": [{ "name": "V", "valueFrom": { key_ref: key } }] }] })
                });
                for prefix in [None, Some("P_")] {
                    let how = if prefix.is_some() {
                        "prefix"
                    } else {
                        "envfrom"
                    };
                    add(how, false, &|name| {
                        let whole = json!({ "name": name, "optional": optional });
                        json!({ "containers": [{ "envFrom": [{ "prefix": prefix, whole_ref: whole }] }] })
                    });
                }
                for items in [None, Some(json!([{ "key": "k", "path": "p" }]))] {
                    let keyed = items.is_some();
                    let how = |how: &str| format!("{how}{}", if keyed { "-items" } else { "" });
                    add(&how("volume"), keyed, &|name| {
                        let taken =
                            json!({ name_field: name, "optional": optional, "items": items });
                        mounted(&json!({ volume: taken }))
                    });
                    add(&how("projected"), keyed, &|name| {
                        let taken = json!({ "name": name, "optional": optional, "items": items });
                        mounted(&json!({ "projected": { "sources": [{ volume: taken }] } }))
                    });
                }
            }
        }
    }
    ways
}

fn mounted(volume: &Value) -> Value {
    let mut named = json!({ "name": "v" });
    named
        .as_object_mut()
        .unwrap()
        .extend(volume.as_object().unwrap().clone());
    json!({
        "containers": [{ "volumeMounts": [{ "name": "v", "mountPath": "/v" }] }],
        "volumes": [named],
    })
}

fn other(source: &str) -> &'static str {
    if source == "Secret" {
        "ConfigMap"
    } else {
        "Secret"
    }
}

#[tokio::test]
async fn every_way_to_refer_counts_for_each_kind() {
    const ONE: [(&str, &str); 2] = [("k", "one"), ("other", "one")];
    let arena = Arena::new("references-ways").await;
    let _reroll = arena.reroll().start().await;
    let ways = ways();
    assert_eq!(ways.len(), 56);
    // Kinds of workload have names of their own: their selectors must not meet.
    let name = |kind: &str, way: &Way| format!("{}-{}", kind.to_lowercase(), way.name);
    at_once(&ways, async |way| {
        arena.source(way.source, &way.name, &ONE).await;
        // Another source of that name is no business of theirs.
        arena.source(other(way.source), &way.name, &ONE).await;
        for kind in KINDS {
            let (name, asks) = (name(kind, way), [(RESTART_ON, "auto")]);
            arena
                .create(&workload(kind, &name, &asks, way.pod.clone()))
                .await;
        }
    })
    .await;
    arena.create(&deployment("unrelated", "none", "k")).await;
    let recorder = arena.record().await;
    let expect = |rollouts: &dyn Fn(&Way) -> usize| {
        for kind in KINDS {
            let each = ways.iter().map(|way| (name(kind, way), rollouts(way)));
            recorder.expect_each(kind, each);
        }
        recorder.expect("Deployment", "unrelated", 0);
    };

    at_once(&ways, async |way| {
        arena.set(way.source, &way.name, "other", "two").await;
        arena
            .recreate(other(way.source), &way.name, &[("k", "two")])
            .await;
    })
    .await;
    recorder.settle(&arena).await;
    expect(&|way| usize::from(!way.keyed));

    at_once(&ways, async |way| {
        arena.set(way.source, &way.name, "k", "two").await;
    })
    .await;
    recorder.settle(&arena).await;
    expect(&|way| 1 + usize::from(!way.keyed));

    at_once(&ways, async |way| {
        let same = [("k", "two"), ("other", "two")];
        arena.recreate(way.source, &way.name, &same).await;
    })
    .await;
    recorder.settle(&arena).await;
    expect(&|way| 2 + usize::from(!way.keyed));
}

#[tokio::test]
async fn every_way_to_choose() {
    let arena = Arena::new("references-choose").await;
    let _reroll = arena.reroll().start().await;
    let sources = [
        ("Secret", "env"),
        ("ConfigMap", "env"),
        ("Secret", "volume"),
        ("ConfigMap", "volume"),
        ("Secret", "app-1"),
        ("ConfigMap", "app-1"),
        ("Secret", "extra"),
    ];
    for (source, name) in sources {
        arena.source(source, name, &[("k", "one")]).await;
    }
    let pod = json!({
        "containers": [{
            "env": [{ "name": "V", "valueFrom": { "secretKeyRef": { "name": "env", "key": "k" } } }],
            "envFrom": [{ "configMapRef": { "name": "env" } }],
            "volumeMounts": [{ "name": "v", "mountPath": "/v" }, { "name": "w", "mountPath": "/w" }],
        }],
        "volumes": [
            { "name": "v", "secret": { "secretName": "volume" } },
            { "name": "w", "configMap": { "name": "volume" } },
        ],
    });
    // By the workload's name: its opt-in, and whether each of the sources rolls it.
    let choices = [
        ("auto", Some("auto"), [1, 1, 1, 1, 0, 0, 0]),
        ("secrets", Some("secrets"), [1, 0, 1, 0, 0, 0, 0]),
        ("configmaps", Some("configmaps"), [0, 1, 0, 1, 0, 0, 0]),
        ("kinds", Some("configmaps, secrets"), [1, 1, 1, 1, 0, 0, 0]),
        ("auto-env", Some("auto,env"), [1, 1, 0, 0, 0, 0, 0]),
        ("volume", Some("volume"), [0, 0, 1, 1, 0, 0, 0]),
        (
            "secrets-volume",
            Some("secrets,volume"),
            [0, 0, 1, 0, 0, 0, 0],
        ),
        ("named", Some("configmap/volume"), [0, 0, 0, 1, 0, 0, 0]),
        ("unreferenced", Some("secret/extra"), [0, 0, 0, 0, 0, 0, 1]),
        ("auto-and", Some("auto,secret/extra"), [1, 1, 1, 1, 0, 0, 1]),
        ("glob", Some("secret/app-*"), [0, 0, 0, 0, 1, 0, 0]),
        ("letter", Some("configmap/app-?"), [0, 0, 0, 0, 0, 1, 0]),
        (
            "globs",
            Some("secret/*,configmap/*,!secret/sentinel"),
            [1; 7],
        ),
        ("without", Some("auto,!secret/env"), [0, 1, 1, 1, 0, 0, 0]),
        (
            "without-alone",
            Some("!configmap/env"),
            [1, 0, 1, 1, 0, 0, 0],
        ),
        (
            "without-glob",
            Some("auto,!secret/*"),
            [0, 1, 0, 1, 0, 0, 0],
        ),
        (
            "glob-without",
            Some("secret/*,!secret/e*,!secret/s*"),
            [0, 0, 1, 0, 1, 0, 0],
        ),
        ("off", Some("off"), [0; 7]),
        ("nothing", None, [0; 7]),
    ];
    for (name, restart_on, _) in choices {
        let asks: Vec<_> = restart_on
            .map(|asks| (RESTART_ON, asks))
            .into_iter()
            .collect();
        arena
            .create(&workload("Deployment", name, &asks, pod.clone()))
            .await;
    }
    let recorder = arena.record().await;
    let mut expected: BTreeMap<_, _> = choices.map(|(name, ..)| (name, 0)).into();
    for (number, (source, name)) in sources.into_iter().enumerate() {
        arena.set(source, name, "k", "two").await;
        recorder.settle(&arena).await;
        for (name, _, rolls) in choices {
            *expected.get_mut(name).unwrap() += rolls[number];
        }
        recorder.expect_each("Deployment", expected.clone());
    }
}

#[tokio::test]
async fn what_an_opt_in_names_may_appear_later() {
    let arena = Arena::new("references-later").await;
    let _reroll = arena.reroll().start().await;
    let pod = json!({ "containers": [{}] });
    for kind in KINDS {
        for (name, asks) in [("glob", "secret/app-*"), ("named", "secret/app-1")] {
            let asks = [(RESTART_ON, asks)];
            arena
                .create(&workload(kind, name, &asks, pod.clone()))
                .await;
        }
    }
    let recorder = arena.record().await;
    let expect = |glob, named| {
        for kind in KINDS {
            recorder.expect(kind, "glob", glob);
            recorder.expect(kind, "named", named);
        }
    };
    // A new match of a glob is taken up as it is; what was asked for by name was missing until now.
    arena.secret("app-1", &[("k", "one")]).await;
    recorder.settle(&arena).await;
    expect(0, 1);
    arena.update_secret("app-1", &[("k", "two")]).await;
    recorder.settle(&arena).await;
    expect(1, 2);
    arena.recreate_secret("app-1", &[("k", "two")]).await;
    recorder.settle(&arena).await;
    expect(2, 3);
}

#[tokio::test]
async fn a_namespace_opts_its_workloads_in() {
    let arena = Arena::new("references-namespace").await;
    arena.label_namespace(RESTART_ON, "auto").await;
    let choices = [
        ("default", None),
        ("off", Some("off")),
        ("configmaps", Some("configmaps")),
        ("auto", Some("auto")),
    ];
    let rolls = |name: &str| usize::from(name == "default" || name == "auto");
    for (way, reroll) in arena.both_ways() {
        let reroll = reroll.start().await;
        arena.secret(way, &[("k", "one")]).await;
        for (name, asks) in choices {
            let name = format!("{way}-{name}");
            let asks: Vec<_> = asks.map(|asks| (RESTART_ON, asks)).into_iter().collect();
            for kind in KINDS {
                let made = arena
                    .create(&workload(kind, &name, &asks, env(way, "k")))
                    .await;
                if way == "alone" && !name.ends_with("-off") {
                    arena.adopted(kind, &name).await;
                } else {
                    let observed = made.metadata.annotations.unwrap_or_default();
                    let stamped = observed.contains_key("reroll.dev/observed");
                    assert_eq!(stamped, !name.ends_with("-off"), "{name}");
                }
            }
        }
        let recorder = arena.record().await;
        for rounds in 1..=2 {
            if rounds == 1 {
                arena.recreate_secret(way, &[("k", "one")]).await;
            } else {
                arena.update_secret(way, &[("k", "two")]).await;
            }
            recorder.settle(&arena).await;
            for kind in KINDS {
                let each = choices.map(|(name, _)| (format!("{way}-{name}"), rounds * rolls(name)));
                recorder.expect_each(kind, each);
            }
        }
        assert!(reroll.stop().await);
    }
}

#[tokio::test]
async fn a_workload_that_a_controller_owns_is_left_to_it_and_told() {
    let arena = Arena::new("references-owned").await;
    let reroll = arena.reroll().start().await;
    arena.secret("db", &[("k", "one")]).await;
    let boss = arena.config_map("boss", &[]).await.metadata.uid;
    let manifest = |kind: &str, name: &str, controller: bool| {
        let mut owned = workload(kind, name, &[(RESTART_ON, "auto")], env("db", "k"));
        owned["metadata"]["ownerReferences"] = json!([{
            "apiVersion": "v1", "kind": "ConfigMap", "name": "boss", "uid": boss, "controller": controller,
        }]);
        owned.to_string()
    };
    for kind in KINDS {
        let name = format!("owned-{}", kind.to_lowercase());
        let said = arena
            .kubectl_with(&["create", "-f", "-"], &manifest(kind, &name, true))
            .await
            .ok();
        assert!(
            said.err
                .contains("belongs to ConfigMap boss: reroll does not restart it"),
            "{}",
            said.err
        );
        let name = format!("related-{}", kind.to_lowercase());
        let said = arena
            .kubectl_with(&["create", "-f", "-"], &manifest(kind, &name, false))
            .await
            .ok();
        assert_eq!(said.err, "");
    }
    let recorder = arena.record().await;
    arena.recreate_secret("db", &[("k", "two")]).await;
    recorder.settle(&arena).await;
    for kind in KINDS {
        let name = format!("owned-{}", kind.to_lowercase());
        recorder.expect(kind, &name, 0);
        let told = arena.event(&name, "NotRestarted").await;
        assert!(told.contains("ConfigMap boss"), "{told}");
        // Nothing of it was touched.
        let annotations = arena.get(kind, &name).await.metadata.annotations;
        let own = |key: &&String| key.starts_with("reroll.dev/");
        let own: Vec<_> = annotations
            .iter()
            .flatten()
            .map(|(key, _)| key)
            .filter(own)
            .collect();
        assert_eq!(own, [RESTART_ON]);
        recorder.expect(kind, &format!("related-{}", kind.to_lowercase()), 1);
    }
    // Let go by its owner, it is adopted as it is, and is like any other from then on.
    let free = json!({ "metadata": { "ownerReferences": null } });
    arena.patch("Deployment", "owned-deployment", free).await;
    arena.adopted("Deployment", "owned-deployment").await;
    recorder.settle(&arena).await;
    recorder.expect("Deployment", "owned-deployment", 0);
    arena.update_secret("db", &[("k", "three")]).await;
    recorder.settle(&arena).await;
    recorder.expect("Deployment", "owned-deployment", 1);
    eventually("reroll counts the two that are still owned", async || {
        let held = r#"reroll_workloads_pending{reason="owned"}"#;
        (reroll.count(held).await == 2).then_some(())
    })
    .await;
}
