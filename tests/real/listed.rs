//! Opt-ins that name keys: only those restart, however pods use the source; and another list restarts nothing.

use reroll_harness::{
    Arena, KINDS, RESTART_ON, SOURCES, at_once, env, env_from, eventually, workload,
};
use serde_json::{Value, json};

/// Keys, of which `env` and `items` read the first, and `subPath` too.
const DATA: [(&str, &str); 3] = [("k", "one"), ("f-1", "one"), ("other", "one")];

/// A use of a source by a list.
struct Case {
    name: String,
    source: &'static str,
    list: &'static str,
    /// Pods read all keys, or `k` alone.
    whole: bool,
    pod: Value,
}

fn mounted(volume: &Value, sub_path: bool) -> Value {
    let mut named = volume.clone();
    named["name"] = json!("v");
    let mut mount = json!({ "name": "v", "mountPath": "/v" });
    if sub_path {
        mount["subPath"] = json!("k");
    }
    json!({ "containers": [{ "volumeMounts": [mount] }], "volumes": [named] })
}

/// Every way to use a source beside every list.
fn cases() -> Vec<Case> {
    let mut cases = Vec::new();
    for source in SOURCES {
        let (key_ref, whole_ref, volume, name_field) = if source == "Secret" {
            ("secretKeyRef", "secretRef", "secret", "secretName")
        } else {
            ("configMapKeyRef", "configMapRef", "configMap", "name")
        };
        let items = json!([{ "key": "k", "path": "p" }]);
        for list in ["exact", "glob", "but"] {
            let mut add = |how: &str, whole, pod: &dyn Fn(&str) -> Value| {
                let name = format!("{source}-{how}-{list}").to_lowercase();
                let pod = pod(&name);
                cases.push(Case {
                    name,
                    source,
                    list,
                    whole,
                    pod,
                });
            };
            add("env", false, &|name| {
                let key = json!({ "name": name, "key": "k" });
                json!({ "containers": [{ "env": [{ "name": "V", "valueFrom": { key_ref: key } }] }] })
            });
            add(
                "envfrom",
                true,
                &|name| json!({ "containers": [{ "envFrom": [{ whole_ref: { "name": name } }] }] }),
            );
            add("volume", true, &|name| {
                mounted(&json!({ volume: { name_field: name } }), false)
            });
            add("items", false, &|name| {
                mounted(
                    &json!({ volume: { name_field: name, "items": items } }),
                    false,
                )
            });
            add("subpath", false, &|name| {
                mounted(&json!({ volume: { name_field: name } }), true)
            });
            add("projected", true, &|name| {
                let taken = json!({ volume: { "name": name } });
                mounted(&json!({ "projected": { "sources": [taken] } }), false)
            });
            add("projected-items", false, &|name| {
                let taken = json!({ volume: { "name": name, "items": items } });
                mounted(&json!({ "projected": { "sources": [taken] } }), false)
            });
        }
    }
    cases
}

impl Case {
    fn asks(&self) -> String {
        let source = format!("{}/{}", self.source.to_lowercase(), self.name);
        match self.list {
            "exact" => format!("{source}#k"),
            "glob" => format!("auto, {source}#f-*"),
            _ => format!("!{source}#other"),
        }
    }

    /// Whether the list takes what is meant by this key, and pods read it.
    fn counts(&self, key: &str) -> bool {
        let taken = match self.list {
            "exact" => key == "k",
            "glob" => key.starts_with("f-"),
            _ => key != "other",
        };
        taken && (self.whole || key == "k")
    }
}

#[tokio::test]
async fn only_the_keys_of_a_list_restart_however_a_source_is_used() {
    let arena = Arena::new("listed-ways").await;
    let _reroll = arena.reroll().start().await;
    let cases = cases();
    assert_eq!(cases.len(), 42);
    let name = |kind: &str, case: &Case| format!("{}-{}", kind.to_lowercase(), case.name);
    at_once(&cases, async |case| {
        arena.source(case.source, &case.name, &DATA).await;
        for kind in KINDS {
            let asks = case.asks();
            let manifest = workload(
                kind,
                &name(kind, case),
                &[(RESTART_ON, &asks)],
                case.pod.clone(),
            );
            arena.create(&manifest).await;
        }
    })
    .await;
    let recorder = arena.record().await;
    let expect = |rollouts: &dyn Fn(&Case) -> usize| {
        for kind in KINDS {
            let each = cases.iter().map(|case| (name(kind, case), rollouts(case)));
            recorder.expect_each(kind, each);
        }
    };
    let counts = |case: &Case, key| usize::from(case.counts(key));

    at_once(&cases, async |case| {
        arena.set(case.source, &case.name, "other", "two").await;
    })
    .await;
    recorder.settle(&arena).await;
    expect(&|_| 0);

    at_once(&cases, async |case| {
        arena.set(case.source, &case.name, "f-1", "two").await;
    })
    .await;
    recorder.settle(&arena).await;
    expect(&|case| counts(case, "f-1"));

    at_once(&cases, async |case| {
        arena.set(case.source, &case.name, "k", "two").await;
    })
    .await;
    recorder.settle(&arena).await;
    expect(&|case| counts(case, "f-1") + counts(case, "k"));

    // A key that comes, and one that goes.
    at_once(&cases, async |case| {
        arena.set(case.source, &case.name, "f-2", "one").await;
    })
    .await;
    recorder.settle(&arena).await;
    expect(&|case| counts(case, "f-1") + counts(case, "k") + counts(case, "f-2"));
    at_once(&cases, async |case| {
        arena.unset(case.source, &case.name, "f-1").await;
        arena.unset(case.source, &case.name, "other").await;
    })
    .await;
    recorder.settle(&arena).await;
    let so_far = |case: &Case| 2 * counts(case, "f-1") + counts(case, "k") + counts(case, "f-2");
    expect(&so_far);

    // Another uid counts wherever anything does.
    at_once(&cases, async |case| {
        let same = [("k", "two"), ("f-2", "one")];
        arena.recreate(case.source, &case.name, &same).await;
    })
    .await;
    recorder.settle(&arena).await;
    let any = |case: &Case| usize::from(case.counts("k") || case.counts("f-2"));
    expect(&|case| so_far(case) + any(case));
}

/// Waits until `observed` was written under this list.
async fn listed(arena: &Arena, kind: &str, name: &str, list: &str) {
    eventually(
        &format!("{kind} {name} is observed under {list:?}"),
        async || {
            let observed = arena.observed(kind, name).await?;
            (observed["o"].as_str().unwrap_or_default() == list).then_some(())
        },
    )
    .await;
}

#[tokio::test]
async fn another_list_restarts_nothing() {
    let arena = Arena::new("listed-other").await;
    for (way, builder) in arena.both_ways() {
        let reroll = builder.start().await;
        for (use_of, pod) in [
            ("whole", env_from as fn(&str) -> Value),
            ("env", env_of_all),
        ] {
            let name = &format!("{way}-{use_of}");
            arena.secret(name, &DATA).await;
            let entry = |keys: &[&str]| {
                let entries = keys.iter().map(|key| format!("secret/{name}#{key}"));
                entries.collect::<Vec<_>>().join(",")
            };
            for kind in KINDS {
                let asks = entry(&["k"]);
                arena
                    .create(&workload(kind, name, &[(RESTART_ON, &asks)], pod(name)))
                    .await;
            }
            for kind in KINDS {
                arena.adopted(kind, name).await;
            }
            arena.later_second().await;
            let recorder = arena.record().await;
            let expect = |rollouts| {
                for kind in KINDS {
                    recorder.expect(kind, name, rollouts);
                }
            };
            let relist = async |list: &str, written: &str| {
                for kind in KINDS {
                    arena.annotate(kind, name, RESTART_ON, Some(list)).await;
                    listed(&arena, kind, name, written).await;
                }
                recorder.settle(&arena).await;
            };
            arena.set("Secret", name, "f-1", "two").await;
            recorder.settle(&arena).await;
            expect(0);
            // Wider: what changed before restarts nothing, and what changes from now on does.
            let wide = entry(&["f-1", "k"]);
            relist(&wide, &wide).await;
            expect(0);
            arena.set("Secret", name, "f-1", "three").await;
            recorder.settle(&arena).await;
            expect(1);
            arena.set("Secret", name, "other", "two").await;
            recorder.settle(&arena).await;
            expect(1);
            // All, by a glob, by all but one, and by no list.
            let glob = entry(&["?*"]);
            relist(&glob, &glob).await;
            expect(1);
            let but = format!("!secret/{name}#k");
            relist(&format!("auto,{but}"), &but).await;
            expect(1);
            relist("auto", "").await;
            expect(1);
            arena.set("Secret", name, "other", "three").await;
            recorder.settle(&arena).await;
            expect(2);
            // Narrower again: what is left out changes in vain.
            let narrow = entry(&["k"]);
            relist(&narrow, &narrow).await;
            arena.set("Secret", name, "f-1", "four").await;
            recorder.settle(&arena).await;
            expect(2);
            arena.set("Secret", name, "k", "two").await;
            recorder.settle(&arena).await;
            expect(3);
        }
        assert!(reroll.stop().await);
    }
}

/// Reads each key by name.
fn env_of_all(secret: &str) -> Value {
    let variables = DATA.iter().map(|(key, _)| {
        let key = json!({ "name": secret, "key": key });
        json!({ "name": "V", "valueFrom": { "secretKeyRef": key } })
    });
    let mut variables: Vec<_> = variables.collect();
    for (number, variable) in variables.iter_mut().enumerate() {
        variable["name"] = json!(format!("V{number}"));
    }
    json!({ "containers": [{ "env": variables }] })
}

#[tokio::test]
async fn a_list_that_is_widened_while_reroll_is_away_restarts_nothing() {
    let arena = Arena::new("listed-away").await;
    let uses = [("whole", env_from("whole")), ("env", env_of_all("env"))];
    let reroll = arena.reroll().start().await;
    for (name, pod) in &uses {
        arena.secret(name, &DATA).await;
        for kind in KINDS {
            let asks = format!("secret/{name}#k");
            arena
                .create(&workload(kind, name, &[(RESTART_ON, &asks)], pod.clone()))
                .await;
        }
        for kind in KINDS {
            arena.adopted(kind, name).await;
        }
    }
    assert!(reroll.stop().await);
    let recorder = arena.record().await;
    arena.later_second().await;
    for (name, _) in &uses {
        let list = format!("secret/{name}#k,secret/{name}#f-1");
        for kind in KINDS {
            arena.annotate(kind, name, RESTART_ON, Some(&list)).await;
        }
        // After the pods were made, and in a key that nobody watched when they were.
        arena.set("Secret", name, "f-1", "two").await;
    }
    let _reroll = arena.reroll().start().await;
    recorder.settle(&arena).await;
    let expect = |rollouts| {
        for (name, _) in &uses {
            for kind in KINDS {
                recorder.expect(kind, name, rollouts);
            }
        }
    };
    expect(0);
    for (name, _) in &uses {
        arena.set("Secret", name, "f-1", "three").await;
    }
    recorder.settle(&arena).await;
    expect(1);
}

#[tokio::test]
async fn the_prompt_and_events_name_the_keys() {
    let arena = Arena::new("listed-told").await;
    let _reroll = arena.reroll().start().await;
    arena
        .secret("uber", &[("db_32", "one"), ("legacy", "one")])
        .await;
    let told = async |arguments: &[&str], input: &str| {
        let said = arena.kubectl_with(arguments, input).await.ok();
        let lines = said.err.lines();
        let own = lines.filter_map(|line| line.strip_prefix("Warning: "));
        let own = own.filter(|line| line.starts_with("reroll:"));
        own.map(ToOwned::to_owned).collect::<Vec<_>>()
    };
    let web = |list: &str| {
        workload("Deployment", "web", &[(RESTART_ON, list)], env_from("uber")).to_string()
    };
    let dry = ["create", "--dry-run=server", "-f", "-"];
    let absent = "reroll: add a key db_23 to Secret uber, or name another: reroll.dev/restart-on names it, and Secret uber has none";
    assert_eq!(told(&dry, &web("secret/uber#db_23")).await, [absent]);
    assert_eq!(
        told(&dry, &web("!secret/uber#lgacy")).await,
        ["reroll: leave out !secret/uber#lgacy, or name another key: Secret uber has no key lgacy"]
    );
    let unreadable = told(&dry, &web("auto,secret/uber#")).await;
    assert!(
        matches!(unreadable.as_slice(), [line] if line.starts_with(r#"reroll: reroll.dev/restart-on: "secret/uber#" is not auto"#)),
        "{unreadable:?}"
    );
    let unread = workload(
        "Deployment",
        "env",
        &[(RESTART_ON, "secret/uber#legacy")],
        env("uber", "db_32"),
    );
    assert_eq!(
        told(&dry, &unread.to_string()).await,
        [
            "reroll: name a key that pods read: no container reads a key legacy of Secret uber, which reroll.dev/restart-on names"
        ]
    );
    assert_eq!(
        told(&["create", "-f", "-"], &web("secret/uber#db_32")).await,
        [""; 0]
    );
    arena
        .event("web", "OptedIn: restarts on Secret uber (key db_32)")
        .await;
    arena.adopted("Deployment", "web").await;
    let recorder = arena.record().await;
    let set = |key: &str| json!({ "stringData": { key: "two" } }).to_string();
    let patch = async |key: &str| told(&["patch", "secret", "uber", "-p", &set(key)], "").await;
    assert_eq!(patch("legacy").await, [""; 0]);
    recorder.settle(&arena).await;
    recorder.expect("Deployment", "web", 0);
    assert_eq!(
        patch("db_32").await,
        ["reroll: Secret uber (key db_32) restarts Deployment web"]
    );
    recorder.settle(&arena).await;
    recorder.expect("Deployment", "web", 1);
    arena
        .event("web", "Restarted: Secret uber was updated (key db_32)")
        .await;
    // A list that is changed on what is there is told at once, too.
    let annotate = |list: &str| format!("{RESTART_ON}={list}");
    let list = annotate("auto,secret/uber#db_23");
    let write = ["annotate", "--overwrite", "deployment", "web", &list];
    assert_eq!(told(&write, "").await, [absent]);
}
