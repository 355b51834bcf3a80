//! A source that begins to count: one write that both makes it count and changes its data is a change, as two writes
//! are.

use reroll_harness::{Arena, RESTART_ON, SOURCES, env_from, workload};
use serde_json::{Value, json};

const SEARCH: &str = "reloader.stakater.com/search";
const MATCH: &str = "reloader.stakater.com/match";
const IGNORE: &str = "reroll.dev/ignore";
const RELOADER_IGNORE: &str = "reloader.stakater.com/ignore";

/// What keeps a source from counting, and the annotation that is written for it to count.
struct Way {
    name: &'static str,
    asks: (&'static str, &'static str),
    before: &'static [(&'static str, &'static str)],
    key: &'static str,
    after: Option<&'static str>,
}

const WAYS: [Way; 4] = [
    Way {
        name: "matched",
        asks: (SEARCH, "true"),
        before: &[],
        key: MATCH,
        after: Some("true"),
    },
    Way {
        name: "unignored",
        asks: (RESTART_ON, "auto"),
        before: &[(IGNORE, "true")],
        key: IGNORE,
        after: None,
    },
    Way {
        name: "no-longer",
        asks: (RESTART_ON, "auto"),
        before: &[(IGNORE, "true")],
        key: IGNORE,
        after: Some("false"),
    },
    Way {
        name: "reloader",
        asks: ("reloader.stakater.com/auto", "true"),
        before: &[(RELOADER_IGNORE, "true")],
        key: RELOADER_IGNORE,
        after: None,
    },
];

/// How the write that makes it count is made.
const WRITES: [(&str, usize); 3] = [
    // It makes it count, and changes the data.
    ("both", 1),
    // Two writes.
    ("each", 1),
    // It makes it count, and nothing else.
    ("alone", 0),
];

fn pod(source: &str, name: &str) -> Value {
    let mut pod = env_from(name);
    if source == "ConfigMap" {
        let map = json!({ "configMapRef": { "name": name } });
        pod["containers"][0]["envFrom"][0] = map;
    }
    pod
}

#[tokio::test]
async fn what_begins_to_count_and_changes_in_one_write_restarts_once() {
    for webhook in [true, false] {
        let arena = Arena::new("counting").await;
        let _reroll = if webhook {
            arena.reroll().start().await
        } else {
            arena.reroll().without_webhook().start().await
        };
        let names = |way: &Way, source: &str, write: &str| {
            format!("{}-{}-{write}", way.name, source.to_lowercase())
        };
        let mut all = Vec::new();
        for way in &WAYS {
            for source in SOURCES {
                for (write, rollouts) in WRITES {
                    all.push((way, source, write, names(way, source, write), rollouts));
                }
            }
        }
        for (way, source, _, name, _) in &all {
            arena.source(source, name, &[("k", "one")]).await;
            for (key, value) in way.before {
                arena.annotate(source, name, key, Some(value)).await;
            }
            // Another source, so that it has something to observe.
            let mut pod = pod(source, name);
            let other = json!({ "secretRef": { "name": "other", "optional": true } });
            pod["containers"][0]["envFrom"]
                .as_array_mut()
                .unwrap()
                .push(other);
            arena
                .create(&workload("Deployment", name, &[way.asks], pod))
                .await;
        }
        for (.., name, _) in &all {
            arena.adopted("Deployment", name).await;
        }
        let recorder = arena.record().await;
        for (way, source, write, name, _) in &all {
            let data = if *source == "Secret" {
                json!({ "stringData": { "k": "two" } })
            } else {
                json!({ "data": { "k": "two" } })
            };
            let mut patch = json!({ "metadata": { "annotations": { way.key: way.after } } });
            match *write {
                "both" => patch
                    .as_object_mut()
                    .unwrap()
                    .extend(data.as_object().unwrap().clone()),
                "each" => {
                    arena.patch(source, name, patch).await;
                    patch = data;
                }
                _ => {}
            }
            let text = patch.to_string();
            let said = arena
                .kubectl(&["patch", source, name, "--type=merge", "-p", &text])
                .await
                .ok();
            let warns = said.err.contains(&format!("restarts Deployment {name}"));
            assert_eq!(warns, webhook && *write != "alone", "{name}: {}", said.err);
        }
        recorder.settle(&arena).await;
        recorder.expect_each(
            "Deployment",
            all.iter().map(|(.., name, rollouts)| (name, *rollouts)),
        );
    }
}
