//! etcd is restored from a backup while reroll runs: what came after the backup is lost.

use std::{collections::BTreeMap, path::PathBuf, time::Duration};

use axum::http::Request;
use futures::future::join_all;
use k8s_openapi::{ByteString, api::core::v1::Event};
use kube::{Api, Client, Config, ResourceExt, api::ListParams};
use reroll_harness::{Arena, LEADER, Reroll, cluster::Cluster, eventually};
use serde_json::Value;
use tokio::time::Instant;

use crate::{MACHINE, fleet::Fleet};

const LEASE: Duration = Duration::from_secs(3);
pub const WENT_BACK: &str = "reroll_history_went_back_total";

/// Workloads of each fate: of each kind two.
const EACH: usize = 6;

/// All components but etcd that have some of its data in memory.
pub const COMPONENTS: [&str; 4] = [
    "kube-apiserver",
    "kube-controller-manager",
    "kube-scheduler",
    "kwok-controller",
];

/// One of the ways to run reroll, in namespaces of its own, with a fleet for each thing that can happen.
struct Subject {
    arena: Arena,
    replicas: Vec<Reroll>,
    /// Changed before the backup, again in the lost state, and again as soon as the API server is back.
    early: Fleet,
    /// Changed in the lost state, and to the same again when reroll knows that it is lost.
    late: Fleet,
    /// Their Secrets are recreated in the lost state, and once more after it.
    recreated: Fleet,
    /// Changed in the lost state, and never again.
    lost: Fleet,
    untouched: Fleet,
    /// How often each had rolled at the time of the backup, by its controller or the API server.
    rolled: BTreeMap<String, i64>,
}

impl Subject {
    async fn new(arena: Arena, replicas: usize, webhook: bool) -> Self {
        let builder = arena
            .reroll()
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
            early: Fleet::with_own_secrets(&arena, "early", EACH).await,
            late: Fleet::with_own_secrets(&arena, "late", EACH).await,
            recreated: Fleet::with_own_secrets(&arena, "recreated", EACH).await,
            lost: Fleet::with_own_secrets(&arena, "lost", EACH).await,
            untouched: Fleet::with_own_secrets(&arena, "untouched", EACH).await,
            replicas: running,
            arena,
            rolled: BTreeMap::new(),
        }
    }

    fn fleets(&self) -> [&Fleet; 5] {
        let Self { early, late, .. } = self;
        let Self {
            recreated, lost, ..
        } = self;
        [early, late, recreated, lost, &self.untouched]
    }

    async fn before_the_backup(&mut self) {
        let recorder = self.arena.record().await;
        self.early.update(&self.arena, "two").await;
        recorder.settle(&self.arena).await;
        self.early.expect(&self.arena, &recorder, 1).await;
        self.rolled = self.rolled_by_now().await;
    }

    /// Makes the changes that will be lost, also of the sources of new workloads.
    async fn in_what_is_lost(&self) {
        let arena = &self.arena;
        let recorder = arena.record().await;
        for fleet in [&self.early, &self.late, &self.lost] {
            fleet.update(arena, "three").await;
        }
        self.recreated.delete_secrets(arena).await;
        self.recreated.create_secrets(arena).await;
        Fleet::with_own_secrets(arena, "born", EACH).await;
        recorder.settle(arena).await;
        for fleet in [&self.early, &self.late, &self.lost, &self.recreated] {
            assert_eq!(fleet.rolled(&recorder, 1), EACH);
        }
    }

    /// Returns how often each has rolled, by counts that a restore takes back together with the workload. The
    /// deployment controller counts templates; the API server counts any change of a `StatefulSet` or `DaemonSet`.
    async fn rolled_by_now(&self) -> BTreeMap<String, i64> {
        let mut rolled = BTreeMap::new();
        for fleet in self.fleets() {
            for number in 0..EACH {
                let (kind, name) = fleet.workload(number);
                let count = eventually("its controller has seen it", async || {
                    let object = self.arena.get(kind, &name).await;
                    let generation = object.metadata.generation.unwrap();
                    let seen = object.data["status"]["observedGeneration"].as_i64();
                    if kind != "Deployment" {
                        return Some(generation);
                    }
                    let revision = object
                        .annotations()
                        .get("deployment.kubernetes.io/revision")?;
                    (seen == Some(generation)).then(|| revision.parse().unwrap())
                })
                .await;
                rolled.insert(format!("{kind} {name}"), count);
            }
        }
        rolled
    }

    /// The workloads that have not rolled exactly as often since the backup as they should.
    async fn differing(&self) -> Vec<String> {
        let by_now = self.rolled_by_now().await;
        let expected = [
            (&self.early, 1),
            (&self.late, 1),
            (&self.recreated, 1),
            (&self.lost, 0),
            (&self.untouched, 0),
        ];
        let mut differ = Vec::new();
        for (fleet, rollouts) in expected {
            for number in 0..EACH {
                let (kind, name) = fleet.workload(number);
                let key = format!("{kind} {name}");
                let counted = by_now[&key] - self.rolled[&key];
                if counted != rollouts {
                    differ.push(format!("{key}: {counted} instead of {rollouts}"));
                }
            }
        }
        differ
    }

    async fn expect(&self) {
        let (differ, who) = (self.differing().await, &self.arena.namespace);
        assert!(differ.is_empty(), "rollouts in {who}: {differ:#?}");
    }

    async fn leaders(&self) -> u64 {
        let leads = join_all(self.replicas.iter().map(|replica| replica.count(LEADER)));
        leads.await.iter().sum()
    }

    /// Waits until every replica knows that history went back.
    async fn all_know(&self) {
        for replica in &self.replicas {
            eventually("a replica knows that etcd went back", async || {
                (replica.count(WENT_BACK).await > 0).then_some(())
            })
            .await;
        }
    }

    /// Waits until it is said on the Lease.
    async fn is_said(&self) {
        let arena = &self.arena;
        let events = Api::<Event>::namespaced(arena.client.clone(), &arena.own_namespace);
        let params = ListParams::default().fields("involvedObject.kind=Lease");
        eventually("an Event says it", async || {
            let list = events.list(&params).await.ok()?;
            let said = |event: &Event| event.reason.as_deref() == Some("HistoryWentBack");
            list.items.iter().any(said).then_some(())
        })
        .await;
    }
}

/// With the webhook, without, and two replicas.
async fn subjects(first: Arena) -> Vec<Subject> {
    let cluster = first.cluster;
    let arena = |name: &'static str| Arena::on(cluster, name);
    let subjects = [
        (first, 1, true),
        (arena("alone").await, 1, false),
        (arena("replicas").await, 2, true),
    ];
    let new = |(arena, replicas, webhook)| Subject::new(arena, replicas, webhook);
    join_all(subjects.map(new)).await
}

async fn all<'a, F: Future<Output = ()>>(subjects: &'a [Subject], act: impl Fn(&'a Subject) -> F) {
    join_all(subjects.iter().map(act)).await;
}

/// A backup of etcd, as `etcdctl snapshot save` makes it.
pub async fn backup(cluster: &'static Cluster) -> PathBuf {
    let url = cluster.etcd_url().unwrap().parse().unwrap();
    let etcd = Client::try_from(Config::new(url)).unwrap();
    let request = Request::post("/v3/maintenance/snapshot").body(b"{}".to_vec());
    let answer = etcd.request_text(request.unwrap()).await.unwrap();
    let mut bytes = Vec::new();
    for part in serde_json::Deserializer::from_str(&answer).into_iter::<Value>() {
        let blob = part.unwrap()["result"]["blob"].take();
        if !blob.is_null() {
            let blob: ByteString = serde_json::from_value(blob).unwrap();
            bytes.extend(blob.0);
        }
    }
    let path = cluster.folder().join("backup");
    std::fs::write(&path, bytes).unwrap();
    path
}

/// Restores a backup; what else is named is restarted, too.
pub async fn restore(cluster: &'static Cluster, backup: PathBuf, bumped: bool, others: &[&str]) {
    for component in others.iter().copied().chain(["etcd"]) {
        cluster.kill_component(component).unwrap();
    }
    let work = move || {
        cluster.restore(&backup, bumped).unwrap();
        cluster.start_components().unwrap();
    };
    tokio::task::spawn_blocking(work).await.unwrap();
}

async fn restored_it_rolls_what_changed_since(name: &str, bumped: bool) {
    let _machine = MACHINE.read().await;
    let first = Arena::on_own_cluster(name).await;
    let cluster = first.cluster;
    let mut subjects = subjects(first).await;
    join_all(subjects.iter_mut().map(Subject::before_the_backup)).await;
    let backup = backup(cluster).await;
    all(&subjects, Subject::in_what_is_lost).await;
    restore(cluster, backup, bumped, &COMPONENTS).await;
    all(&subjects, async |subject| {
        let arena = &subject.arena;
        let recorder = arena.record().await;
        subject.early.update(arena, "four").await;
        subject.all_know().await;
        // What it was in the history that is no more.
        subject.late.update(arena, "three").await;
        subject.recreated.delete_secrets(arena).await;
        subject.recreated.create_secrets(arena).await;
        recorder.settle(arena).await;
        for fleet in [&subject.early, &subject.late, &subject.recreated] {
            assert_eq!(fleet.rolled(&recorder, 1), EACH);
            assert_eq!(fleet.rolled(&recorder, 2), 0);
        }
        for fleet in [&subject.lost, &subject.untouched] {
            assert_eq!(fleet.rolled(&recorder, 1), 0);
        }
        subject.expect().await;
        subject.is_said().await;
        eventually("one leads", async || {
            (subject.leaders().await == 1).then_some(())
        })
        .await;
        for replica in &subject.replicas {
            assert_eq!(replica.count(WENT_BACK).await, 1);
            // And the sentinel; those that were born in what is lost never were.
            eventually("it knows the workloads of now", async || {
                let workloads = replica.count("reroll_workloads_indexed").await;
                (workloads == 5 * EACH as u64 + 1).then_some(())
            })
            .await;
        }
    })
    .await;
}

#[tokio::test]
async fn etcd_restored_as_it_was() {
    restored_it_rolls_what_changed_since("restored", false).await;
}

#[tokio::test]
async fn etcd_restored_with_a_bumped_revision() {
    restored_it_rolls_what_changed_since("bumped", true).await;
}

/// The API server serves lists and watches of the lost state, and single objects as they are.
#[tokio::test]
async fn an_api_server_that_was_not_restarted_with_etcd_is_waited_for() {
    let _machine = MACHINE.read().await;
    let first = Arena::on_own_cluster("outlived").await;
    let cluster = first.cluster;
    let mut subjects = subjects(first).await;
    join_all(subjects.iter_mut().map(Subject::before_the_backup)).await;
    let backup = backup(cluster).await;
    all(&subjects, Subject::in_what_is_lost).await;
    restore(cluster, backup, false, &[]).await;
    let began = Instant::now();
    all(&subjects, async |subject| {
        let arena = &subject.arena;
        subject.all_know().await;
        subject.early.update(arena, "four").await;
        subject.late.update(arena, "three").await;
        // By then it has listed again, and was told once more what is lost.
        for replica in &subject.replicas {
            eventually("it says why it waits", async || {
                let waits = "the API server lists what etcd does not have any more";
                replica.log().contains(waits).then_some(())
            })
            .await;
        }
    })
    .await;
    for component in COMPONENTS {
        cluster.kill_component(component).unwrap();
    }
    tokio::task::spawn_blocking(|| cluster.start_components().unwrap())
        .await
        .unwrap();
    all(&subjects, async |subject| {
        let arena = &subject.arena;
        let recorder = arena.record().await;
        subject.recreated.delete_secrets(arena).await;
        subject.recreated.create_secrets(arena).await;
        // When everything is listed once more.
        eventually("all is found", async || {
            subject.differing().await.is_empty().then_some(())
        })
        .await;
        recorder.settle(arena).await;
        subject.expect().await;
        let minutes = began.elapsed().as_secs() / 60;
        for replica in &subject.replicas {
            assert!(replica.count(WENT_BACK).await <= minutes + 1, "lists again");
        }
        eventually("one leads", async || {
            (subject.leaders().await == 1).then_some(())
        })
        .await;
    })
    .await;
}
