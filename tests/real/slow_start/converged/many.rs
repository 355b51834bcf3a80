//! Eighty users of one Secret: it is told in the moment in which no older pod names it any more and each user has a new one that
//! is ready. That moment is taken from the API server's own pods, each with the resourceVersions at which it came, was ready and
//! went.

use std::{
    collections::{BTreeMap, BTreeSet},
    sync::{Arc, Mutex},
    time::Duration,
};

use futures::StreamExt;
use k8s_openapi::api::core::v1::{Event, Pod};
use kube::{
    Api, ResourceExt,
    runtime::{WatchStreamExt, watcher},
};
use reroll_harness::{Reroll, deployment, eventually};
use serde_json::{Value, json};
use tokio::{task::JoinSet, time::Instant};

use super::{LAST, Stage, slowly};

const USERS: usize = 80;
/// The pods are listed again after five seconds; a busy machine may take as long once more.
const SOON: Duration = Duration::from_secs(15);
/// Where one pod has held it up for long, they are listed every minute.
const LATER: Duration = Duration::from_secs(80);

/// When something happened: as the API server numbers it, and when it was seen.
type Moment = (u64, Instant);

/// A pod that names the Secret.
#[derive(Clone)]
struct Seen {
    app: String,
    came: Moment,
    ready: Option<Moment>,
    went: Option<Moment>,
}

#[derive(Default)]
struct Log {
    /// By uid.
    pods: BTreeMap<String, Seen>,
    /// When it was told that everybody has a version.
    told: Vec<Moment>,
}

/// All that happens to pods that name the Secret, and all that is told of it.
struct Witness {
    log: Arc<Mutex<Log>>,
    _watches: JoinSet<()>,
}

impl Witness {
    /// Starts, and waits until all pods were seen that there are.
    async fn start(stage: &Stage) -> Self {
        let log: Arc<Mutex<Log>> = Arc::default();
        let mut watches = JoinSet::new();
        let (pods, events) = (stage.pod_api(), Arc::clone(&log));
        watches.spawn(async move {
            let mut stream = watcher(pods, watcher::Config::default())
                .default_backoff()
                .boxed();
            while let Some(event) = stream.next().await {
                match event {
                    Ok(watcher::Event::Apply(pod) | watcher::Event::InitApply(pod)) => {
                        events.lock().unwrap().shows(&pod);
                    }
                    Ok(watcher::Event::Delete(pod)) => events.lock().unwrap().loses(&pod),
                    _ => {}
                }
            }
        });
        let arena = &stage.arena;
        let api = Api::<Event>::namespaced(arena.client.clone(), &arena.namespace);
        let told = Arc::clone(&log);
        watches.spawn(async move {
            let config = watcher::Config::default().fields("reason=Converged");
            let mut stream = watcher(api, config).default_backoff().boxed();
            while let Some(event) = stream.next().await {
                let Ok(watcher::Event::Apply(event) | watcher::Event::InitApply(event)) = event
                else {
                    continue;
                };
                if event.involved_object.name.as_deref() == Some("db") {
                    let at = moment(event.metadata.resource_version.as_deref());
                    told.lock().unwrap().told.push(at);
                }
            }
        });
        eventually("all pods are seen", async || {
            (log.lock().unwrap().pods.len() >= stage.users.len()).then_some(())
        })
        .await;
        Self {
            log,
            _watches: watches,
        }
    }

    /// Waits until it saw that this was told so often, and that so many pods are left, each of them ready: watches come later
    /// than answers.
    async fn has_seen(&self, told: usize, pods: usize) {
        eventually("the witness has seen everything", async || {
            let log = self.log.lock().unwrap();
            let left = log.pods.values().filter(|pod| pod.went.is_none());
            let ready: Vec<_> = left.map(|pod| pod.ready.is_some()).collect();
            let all = ready.len() == pods && ready.iter().all(|ready| *ready);
            (log.told.len() == told && all).then_some(())
        })
        .await;
    }

    /// Checks that it was told for the last time just after the moment in which everybody had this version: each user has a pod
    /// that came after it and was ready, and no pod that came before it is left.
    fn was_told_in_time(&self, version: u64, soon: Duration) {
        let log = self.log.lock().unwrap();
        let told = *log.told.last().unwrap();
        let (older, newer): (Vec<_>, Vec<_>) =
            log.pods.values().partition(|pod| pod.came.0 < version);
        assert!(older.len() >= USERS, "{}", older.len());
        let mut since = (0, told.1 - soon);
        for pod in older {
            let went = pod
                .went
                .unwrap_or_else(|| panic!("{} has an older pod", pod.app));
            assert!(
                went.0 < told.0,
                "{}: a pod went at {went:?}, told at {told:?}",
                pod.app
            );
            since = since.max(went);
        }
        let mut has = BTreeSet::new();
        for pod in newer {
            let Some(ready) = pod.ready.filter(|ready| ready.0 < told.0) else {
                continue;
            };
            has.insert(pod.app.clone());
            since = since.max(ready);
        }
        assert_eq!(has.len(), USERS, "told before some were ready: {has:?}");
        let after = told.1.duration_since(since.1);
        assert!(after < soon, "told {after:?} after everybody had it");
    }
}

impl Log {
    fn shows(&mut self, pod: &Pod) {
        let containers = pod.spec.iter().flat_map(|spec| &spec.containers);
        let variables = containers.flat_map(|it| it.env.iter().flatten());
        let mut secrets =
            variables.filter_map(|it| it.value_from.as_ref()?.secret_key_ref.as_ref());
        if !secrets.any(|secret| secret.name == "db") {
            return;
        }
        let at = moment(pod.metadata.resource_version.as_deref());
        let seen = self.pods.entry(pod.uid().unwrap()).or_insert(Seen {
            app: pod.labels()["app"].clone(),
            came: at,
            ready: None,
            went: None,
        });
        let conditions = pod.status.as_ref().and_then(|it| it.conditions.as_ref());
        let mut conditions = conditions.into_iter().flatten();
        if conditions.any(|it| it.type_ == "Ready" && it.status == "True") {
            seen.ready.get_or_insert(at);
        }
    }

    fn loses(&mut self, pod: &Pod) {
        let at = moment(pod.metadata.resource_version.as_deref());
        if let Some(seen) = self.pods.get_mut(&pod.uid().unwrap()) {
            seen.went.get_or_insert(at);
        }
    }
}

fn moment(version: Option<&str>) -> Moment {
    (version.unwrap().parse().unwrap(), Instant::now())
}

impl Stage {
    /// Returns how often that was told of any Secret of the namespace.
    async fn told_of_all(&self) -> u64 {
        let mut all = 0;
        for source in ["db", LAST, "sentinel"] {
            all += self.arena.event_count(source, "Converged").await;
        }
        all.try_into().unwrap()
    }

    async fn again(&self, reroll: Reroll) -> Reroll {
        reroll.kill();
        slowly(&self.arena).start().await
    }

    /// Changes the Secret. Returns the number that the API server gave that version.
    async fn next_version(&self, value: &str) -> u64 {
        self.arena.later_second().await;
        self.change(value).await;
        self.arena.version("Secret", "db").await
    }
}

#[tokio::test]
async fn eighty_users_are_told_of_once_for_each_version() {
    let stage = Stage::of("converged-eighty", USERS).await;
    let witness = Witness::start(&stage).await;
    let reroll = stage.start().await;
    let first = stage.next_version("first").await;
    stage.all_are_complete().await;
    let said = stage.arena.event("db", "Converged: ").await;
    assert!(said.contains("80 workloads run this version"), "{said}");
    witness.has_seen(1, USERS).await;
    witness.was_told_in_time(first, SOON);
    stage.all_is_told().await;
    assert_eq!(stage.told().await, (1, 0));
    let measured = reroll.count("reroll_convergence_seconds_count").await;
    assert_eq!(measured, stage.told_of_all().await);

    // reroll is killed in the middle, before the last, and while the last pod is left.
    let pod = stage.hold_pod("web-41").await;
    let second = stage.next_version("second").await;
    let mut reroll = reroll;
    for number in [1, 30, USERS - 1] {
        stage.are_restarted_often(number, 2).await;
        reroll = stage.again(reroll).await;
    }
    stage.are_restarted_often(USERS, 2).await;
    for (kind, name) in stage.users.iter().filter(|(_, name)| name != "web-41") {
        stage.arena.complete(kind, name).await;
    }
    let reroll = stage.again(reroll).await;
    stage.all_is_told().await;
    assert_eq!(stage.told().await.0, 1);
    let free = json!({ "metadata": { "finalizers": Value::Null } });
    stage.arena.patch("Pod", &pod, free).await;
    eventually("the second version is told", async || {
        (stage.told().await.0 == 2).then_some(())
    })
    .await;
    witness.has_seen(2, USERS).await;
    witness.was_told_in_time(second, LATER);
    // Another process finds everything complete.
    let _reroll = stage.again(reroll).await;
    stage.all_is_told().await;
    assert_eq!(stage.told().await.0, 2);
    assert_eq!(witness.log.lock().unwrap().told.len(), 2);
    stage.each_was_restarted(|_| 2).await;
}

/// Where all old pods go before new ones come, no list of pods says that something is missing.
#[tokio::test]
async fn new_pods_are_ready_before_it_is_told() {
    let mut stage = Stage::set("converged-ready").await;
    for name in ["web-00", "web-01"] {
        let mut manifest = deployment(name, "db", "k");
        manifest["spec"]["strategy"] = json!({ "type": "Recreate" });
        stage.beside(&manifest, 2).await;
        stage.users.push(("Deployment", name.to_owned()));
    }
    let witness = Witness::start(&stage).await;
    let _reroll = stage.start().await;
    let version = stage.next_version("slow").await;
    stage.arena.event("db", "Converged: ").await;
    witness.has_seen(1, 2 * stage.users.len()).await;
    let (told, _) = witness.log.lock().unwrap().told[0];
    for (_, name) in &stage.users {
        let log = witness.log.lock().unwrap();
        let pods = log
            .pods
            .values()
            .filter(|pod| pod.app == *name && pod.came.0 > version);
        let ready: Vec<_> = pods.map(|pod| pod.ready.map(|(at, _)| at)).collect();
        let all = ready.iter().all(|at| at.is_some_and(|at| at < told));
        assert!(all && ready.len() == 2, "{name}: {ready:?}, told at {told}");
    }
    stage.all_is_told().await;
    assert_eq!(stage.told().await, (1, 0));
}
