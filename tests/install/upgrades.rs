//! `helm upgrade` and `helm rollback` while users work: no request fails, none skips the webhook, nothing rolls for it.

use std::{
    collections::BTreeMap,
    sync::{
        Arc, Mutex,
        atomic::{AtomicBool, Ordering},
    },
};

use reroll_harness::{Arena, Said, eventually};
use serde_json::json;
use tokio::task::JoinSet;

use crate::{modes::in_namespace, release::Release};

/// People who write again and again by kubectl, one after the other.
pub struct Traffic {
    stop: Arc<AtomicBool>,
    written: Arc<Mutex<usize>>,
    failed: Arc<Mutex<Vec<Said>>>,
    people: JoinSet<()>,
}

impl Traffic {
    /// Starts users who write a Secret and a ConfigMap that no workload uses, and an opted-in Deployment.
    pub fn start(arena: &'static Arena) -> Self {
        let (stop, written, failed): (Arc<AtomicBool>, Arc<Mutex<usize>>, Arc<Mutex<Vec<_>>>) =
            Default::default();
        let mut people = JoinSet::new();
        for object in ["secret/nobodys", "configmap/nobodys", "deployment/app"] {
            let (stop, written, failed) =
                (Arc::clone(&stop), Arc::clone(&written), Arc::clone(&failed));
            people.spawn(async move {
                for turn in 0.. {
                    let patch = match object {
                        "secret/nobodys" => json!({ "stringData": { "key": format!("{turn}") } }),
                        "configmap/nobodys" => json!({ "data": { "key": format!("{turn}") } }),
                        _ => {
                            json!({ "metadata": { "annotations": { "note": format!("{turn}") } } })
                        }
                    };
                    let said = arena
                        .kubectl(&["patch", object, "--patch", &patch.to_string()])
                        .await;
                    *written.lock().unwrap() += 1;
                    if !said.ok {
                        failed.lock().unwrap().push(said);
                    }
                    if stop.load(Ordering::Relaxed) {
                        return;
                    }
                }
            });
        }
        Self {
            stop,
            written,
            failed,
            people,
        }
    }

    /// Waits until people have written a while.
    pub async fn goes_on(&self) {
        let enough = *self.written.lock().unwrap() + 12;
        eventually("people write", async || {
            (*self.written.lock().unwrap() >= enough).then_some(())
        })
        .await;
    }

    pub async fn end(mut self) {
        self.stop.store(true, Ordering::Relaxed);
        while let Some(ended) = self.people.join_next().await {
            ended.unwrap();
        }
        let failed = self.failed.lock().unwrap();
        assert!(failed.is_empty(), "{failed:#?}");
    }
}

/// How many calls of webhooks the API server has made, by the status of the answer.
async fn calls(arena: &Arena) -> BTreeMap<String, u64> {
    let said = arena.kubectl(&["get", "--raw", "/metrics"]).await.ok();
    let mut codes = BTreeMap::new();
    let name = "apiserver_admission_webhook_request_total{";
    for line in said.out.lines().filter(|line| line.starts_with(name)) {
        let code = line
            .split("code=\"")
            .nth(1)
            .unwrap()
            .split('"')
            .next()
            .unwrap();
        let value: u64 = line.rsplit_once(' ').unwrap().1.parse().unwrap();
        *codes.entry(code.to_owned()).or_insert(0) += value;
    }
    codes
}

/// What the API server says about calls of webhooks that failed.
pub fn failed_calls(arena: &Arena) -> Vec<String> {
    let cluster = arena.cluster;
    let folder = cluster.kubeconfig().parent().unwrap();
    let log = folder.join(format!(
        "clusters/{}/logs/kube-apiserver.log",
        cluster.name()
    ));
    let log = std::fs::read_to_string(log).unwrap();
    log.lines()
        .filter(|line| line.contains("ailed calling webhook"))
        .map(ToOwned::to_owned)
        .collect()
}

/// A cluster of its own: the API server counts the calls that failed, but not whose they were. Threads of their own pass
/// connections on: reroll gives a handshake five seconds.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn upgrade_and_rollback_under_traffic() {
    let arena = Arena::on_own_cluster("upgrades").await;
    let mut values = in_namespace(&arena);
    // A connection that reroll closes is told so.
    values["log"]["filter"] = json!("info,reroll=debug");
    let release: &'static Release = Box::leak(Box::new(Release::new(arena, None, &values).await));
    let arena = &release.arena;
    release.install().await;
    release.app("app").await;
    arena.secret("nobodys", &[("key", "0")]).await;
    arena.config_map("nobodys", &[("key", "0")]).await;
    let recorder = arena.record().await;
    release.annotate("app").await;
    release.asked("app").await;
    // Those before it was ready.
    let before = failed_calls(arena).len();
    let traffic = Traffic::start(arena);
    traffic.goes_on().await;
    let other = json!({
        "restarts": { "settle": "2s", "rate": 5 }, "webhook": { "timeoutSeconds": 4, "getBudget": "3s" }, "log": { "filter": "debug" },
        "podAnnotations": { "note": "another" },
    });
    release.upgrade(&other).await;
    traffic.goes_on().await;
    release.only_new_pods(2).await;
    release.rollback("1").await;
    traffic.goes_on().await;
    release.only_new_pods(2).await;
    traffic.goes_on().await;
    traffic.end().await;
    let failed = &failed_calls(arena)[before..];
    let log = release.node.logs().display();
    assert!(
        failed.is_empty(),
        "requests that passed without an answer: {failed:#?}, see {log}"
    );
    let codes = calls(arena).await;
    assert!(codes["200"] > 30, "{codes:?}");
    release.expect(&recorder, "app", 0).await;
    release.recreate("app").await;
    recorder.reaches("Deployment", "app", 1).await;
    release.expect(&recorder, "app", 1).await;
}
