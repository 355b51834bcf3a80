//! The API server goes down, comes back, and forgets.

use std::time::Duration;

use axum::http::Request;
use futures::future::join_all;
use kube::{Client, Config};
use reroll_harness::{
    Arena, LEADER, Recorder, Reroll,
    cluster::Cluster,
    eventually,
    proxy::{Fault, FaultProxy, Matcher, Rule},
};
use serde_json::{Value, json};
use tokio::time::{Instant, sleep_until};

use crate::{MACHINE, fleet::Fleet, watches};

const LEASE: Duration = Duration::from_secs(3);
/// How long the API server stays down in all.
const AWAY: Duration = Duration::from_secs(4);

/// Workloads of each fate.
const EACH: usize = 6;
const LEAVING: usize = 3;

/// One of the ways to run reroll, in namespaces of its own, with a fleet for each thing that can happen.
struct Subject {
    arena: Arena,
    /// Between it and the API server.
    proxy: FaultProxy,
    replicas: Vec<Reroll>,
    recorder: Recorder,
    updated: Fleet,
    /// Their Secrets are deleted at one time and created again at another.
    recreated: Fleet,
    later: Fleet,
    untouched: Fleet,
    /// That are deleted.
    leaving: Fleet,
}

impl Subject {
    async fn new(arena: Arena, replicas: usize, webhook: bool) -> Self {
        let proxy = FaultProxy::start(arena.cluster.kubeconfig()).await.unwrap();
        let builder = arena
            .reroll()
            .kubeconfig(proxy.kubeconfig())
            .flag("--lease-duration", &format!("{}s", LEASE.as_secs()));
        let mut running = Vec::new();
        for number in 0..replicas {
            let mut builder = builder.clone();
            if number > 0 || !webhook {
                builder = builder.without_webhook();
            }
            let name = format!("replica-{number}");
            running.push(arena.replica(builder, &name).await);
        }
        Self {
            updated: Fleet::with_own_secrets(&arena, "updated", EACH).await,
            recreated: Fleet::with_own_secrets(&arena, "recreated", EACH).await,
            later: Fleet::with_own_secrets(&arena, "later", EACH).await,
            untouched: Fleet::with_own_secrets(&arena, "untouched", EACH).await,
            leaving: Fleet::with_own_secrets(&arena, "leaving", LEAVING).await,
            recorder: arena.record().await,
            proxy,
            replicas: running,
            arena,
        }
    }

    async fn watches(&self) {
        watches::are_back(&self.proxy, self.replicas.len()).await;
    }

    async fn leaders(&self) -> u64 {
        let leads = join_all(self.replicas.iter().map(|replica| replica.count(LEADER)));
        leads.await.iter().sum()
    }
}

/// With the webhook, without, and two replicas.
async fn subjects(cluster: &'static Cluster) -> Vec<Subject> {
    let arena = |name: &'static str| Arena::on(cluster, name);
    let subjects = [
        (arena("webhook").await, 1, true),
        (arena("alone").await, 1, false),
        (arena("replicas").await, 2, true),
    ];
    let new = |(arena, replicas, webhook)| Subject::new(arena, replicas, webhook);
    join_all(subjects.map(new)).await
}

async fn all<'a, F: Future<Output = ()>>(subjects: &'a [Subject], act: impl Fn(&'a Subject) -> F) {
    join_all(subjects.iter().map(act)).await;
}

async fn start_again(cluster: &'static Cluster) {
    tokio::task::spawn_blocking(|| cluster.start_components().unwrap())
        .await
        .unwrap();
}

#[tokio::test]
async fn an_api_server_that_dies_or_forgets_costs_nothing() {
    let _machine = MACHINE.read().await;
    let first = Arena::on_own_cluster("outage").await;
    let cluster = first.cluster;
    let subjects = subjects(cluster).await;
    forgets(cluster, &subjects).await;
    dies(cluster, &subjects).await;
}

/// What was changed just before it died, just after it came back, or half before and half after, rolls once.
async fn dies(cluster: &'static Cluster, subjects: &[Subject]) {
    all(subjects, async |subject| {
        subject.updated.update(&subject.arena, "three").await;
        subject.recreated.delete_secrets(&subject.arena).await;
    })
    .await;
    cluster.kill_component("kube-apiserver").unwrap();
    let killed = Instant::now();
    all(subjects, async |subject| {
        eventually("nobody leads", async || {
            (subject.leaders().await == 0).then_some(())
        })
        .await;
    })
    .await;
    sleep_until(killed + AWAY).await;
    start_again(cluster).await;
    all(subjects, async |subject| {
        let (arena, recorder) = (&subject.arena, &subject.recorder);
        subject.recreated.create_secrets(arena).await;
        subject.later.update(arena, "three").await;
        subject.watches().await;
        recorder.settle(arena).await;
        for fleet in [&subject.updated, &subject.recreated, &subject.later] {
            fleet.expect(arena, recorder, 2).await;
        }
        subject.untouched.expect(arena, recorder, 0).await;
        eventually("one leads", async || {
            (subject.leaders().await == 1).then_some(())
        })
        .await;
    })
    .await;
}

/// Watches are cut for so long that what they missed is nowhere: not in etcd, which was compacted, and not in the API
/// server's memory, because it was started again. The API server answers 410, and a new list tells the rest.
async fn forgets(cluster: &'static Cluster, subjects: &[Subject]) {
    all(subjects, async |subject| {
        let watches = Matcher::any().watch(true);
        subject.proxy.add(Rule::new(watches, Fault::Cut));
        let (arena, recreated) = (&subject.arena, &subject.recreated);
        subject.updated.update(arena, "two").await;
        recreated.delete_secrets(arena).await;
        recreated.create_secrets(arena).await;
        // Gone for good; and of the last the workload is there again.
        for number in 0..LEAVING {
            let (kind, name) = subject.leaving.workload(number);
            arena.delete(kind, &name).await;
            eventually("it is gone", async || {
                let found = arena.api(kind).get_opt(&name).await.unwrap();
                found.is_none().then_some(())
            })
            .await;
        }
        for number in 0..LEAVING - 1 {
            let secret = subject.leaving.secret(number);
            arena.delete("Secret", &secret).await;
        }
        subject.leaving.create_workload(arena, LEAVING - 1).await;
    })
    .await;
    compact(cluster).await;
    cluster.kill_component("kube-apiserver").unwrap();
    start_again(cluster).await;
    all(subjects, async |subject| {
        let (arena, recorder) = (&subject.arena, &subject.recorder);
        subject.proxy.clear();
        subject.watches().await;
        recorder.settle(arena).await;
        for fleet in [&subject.updated, &subject.recreated] {
            fleet.expect(arena, recorder, 1).await;
        }
        for fleet in [&subject.later, &subject.untouched] {
            fleet.expect(arena, recorder, 0).await;
        }
        let there_again = subject.leaving.workload(LEAVING - 1);
        recorder.expect(there_again.0, &there_again.1, 0);
        for replica in &subject.replicas {
            let log = replica.log();
            assert!(log.contains("\"code\":410"), "no watch was answered 410");
            eventually("what is gone is forgotten", async || {
                let workloads = replica.count("reroll_workloads_indexed").await;
                // The sentinel has rolled before whoever patched it has the answer, and before a standby sees it.
                let pending = replica.count("reroll_intents_pending").await;
                // And one of those that left, and the sentinel.
                (workloads == 4 * EACH as u64 + 2 && pending == 0).then_some(())
            })
            .await;
        }
        let secret = subject.leaving.secret(LEAVING - 1);
        arena.update_secret(&secret, &[("k", "two")]).await;
        subject.later.update(arena, "two").await;
        recorder.settle(arena).await;
        recorder.expect(there_again.0, &there_again.1, 1);
        subject.later.expect(arena, recorder, 1).await;
    })
    .await;
}

/// Forgets all revisions of etcd but the last.
async fn compact(cluster: &Cluster) {
    let url = cluster.etcd_url().unwrap().parse().unwrap();
    let etcd = Client::try_from(Config::new(url)).unwrap();
    let call = async |path: &str, body: Value| {
        let request = Request::post(path).body(body.to_string().into_bytes());
        etcd.request::<Value>(request.unwrap()).await.unwrap()
    };
    let status = call("/v3/maintenance/status", json!({})).await;
    let revision = &status["header"]["revision"];
    let all_but_last = json!({ "revision": revision, "physical": true });
    call("/v3/kv/compaction", all_but_last).await;
}
