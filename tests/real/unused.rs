//! Sources that nobody uses: what is kept of them, and what happens when somebody begins to use one.

use std::path::Path;

use reroll_harness::{
    Arena, Recorder, Reroll, deployment, env_from, eventually,
    proxy::{FaultProxy, RequestLine},
    workload,
};
use serde_json::{Map, Value, json};

const KIND: &str = "Deployment";
/// So many keys: six times as many fit into a ConfigMap, and an API server takes ten seconds for each then.
const KEYS: usize = 10_000;
/// So many ConfigMaps.
const MAPS: usize = 24;
/// The most that reroll may need for them. It needed 17 MiB when it kept each key.
const MEMORY: u64 = 10 << 20;

/// Two replicas of reroll, of which each is asked through a proxy of its own.
struct Two {
    replicas: Vec<(FaultProxy, Reroll)>,
}

impl Two {
    async fn start(arena: &Arena) -> Self {
        let mut replicas = Vec::new();
        for name in ["a", "b"] {
            let proxy = FaultProxy::start(arena.cluster.kubeconfig()).await.unwrap();
            let builder = arena.reroll().without_webhook();
            let builder = builder.kubeconfig(proxy.kubeconfig());
            let replica = arena.replica(builder, name).await;
            replicas.push((proxy, replica));
        }
        Self { replicas }
    }

    /// Each knows that nobody uses what nobody uses: the lists of kinds that not every cluster has are in, too. reroll is
    /// ready before.
    async fn know_all_users(&self) {
        for (_, replica) in &self.replicas {
            eventually("all workloads are listed", async || {
                let listed = "the first lists of all kinds of workloads are in";
                replica.log().contains(listed).then_some(())
            })
            .await;
        }
    }

    /// How often each of them has read each of these Secrets by itself.
    fn reads(&self, names: &[&str]) -> Vec<Vec<usize>> {
        let of = |proxy: &FaultProxy, name: &str| {
            proxy.count(|request: &RequestLine| {
                let path = Path::new(request.path.split('?').next().unwrap_or_default());
                request.method == "GET"
                    && request.path.contains("/secrets/")
                    && path.file_name().is_some_and(|last| last == name)
            })
        };
        let all = |name: &&str| {
            self.replicas
                .iter()
                .map(|(proxy, _)| of(proxy, name))
                .collect()
        };
        names.iter().map(all).collect()
    }

    /// Each has read what it has to, and nothing waits on any of them.
    async fn rest(&self, reads: usize) {
        for (proxy, replica) in &self.replicas {
            eventually("what is used was read", async || {
                let read = proxy.count(|request| {
                    request.method == "GET" && request.path.contains("/secrets/by-key")
                });
                (read >= reads).then_some(())
            })
            .await;
            eventually("no intent waits", async || {
                (replica.count("reroll_intents_pending").await == 0).then_some(())
            })
            .await;
        }
    }
}

#[tokio::test]
async fn a_source_is_read_once_when_somebody_begins_to_use_a_key_of_it() {
    let arena = Arena::new("unused").await;
    let both = [("k", "1"), ("other", "1")];
    for name in ["used", "by-key", "as-a-whole", "never"] {
        arena.secret(name, &both).await;
    }
    arena.create(&deployment("used", "used", "k")).await;
    let two = Two::start(&arena).await;
    arena.adopted(KIND, "used").await;
    two.know_all_users().await;
    let names = ["used", "by-key", "as-a-whole", "never"];
    assert_eq!(
        two.reads(&names),
        [[0, 0]; 4],
        "lists are enough at a start"
    );

    let recorder = Recorder::start(&arena).await;
    arena.create(&deployment("by-key", "by-key", "k")).await;
    let opted_in = [(reroll_harness::RESTART_ON, "auto")];
    let whole = workload(KIND, "as-a-whole", &opted_in, env_from("as-a-whole"));
    arena.create(&whole).await;
    arena.adopted(KIND, "by-key").await;
    arena.adopted(KIND, "as-a-whole").await;
    two.rest(1).await;
    assert_eq!(two.reads(&names), [[0, 0], [1, 1], [0, 0], [0, 0]]);

    for name in ["by-key", "as-a-whole"] {
        arena
            .update_secret(name, &[("k", "1"), ("other", "2")])
            .await;
    }
    recorder.settle(&arena).await;
    recorder.expect(KIND, "by-key", 0);
    recorder.expect(KIND, "as-a-whole", 1);
    arena
        .update_secret("by-key", &[("k", "2"), ("other", "2")])
        .await;
    recorder.settle(&arena).await;
    recorder.expect(KIND, "by-key", 1);
    recorder.expect(KIND, "as-a-whole", 1);
    two.rest(1).await;
}

#[tokio::test]
async fn the_keys_of_what_nobody_uses_take_no_memory() {
    let arena = Arena::new("unused-keys").await;
    let reroll = arena.reroll().start().await;
    let data: Map<String, Value> = (0..KEYS)
        .map(|key| (format!("k{key:05}"), json!("")))
        .collect();
    let before = reroll.memory();
    for number in 0..MAPS {
        let map = json!({
            "apiVersion": "v1", "kind": "ConfigMap",
            "metadata": { "name": format!("map-{number}") }, "data": data,
        });
        arena.create(&map).await;
    }
    eventually("all are known", async || {
        let known = reroll.count("reroll_sources_indexed").await;
        (known >= MAPS as u64).then_some(())
    })
    .await;
    let more = reroll.memory().saturating_sub(before);
    assert!(more < MEMORY, "{} KiB more", more >> 10);
}
