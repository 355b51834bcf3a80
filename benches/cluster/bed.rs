//! The test bed: a namespace with Secrets and workloads, and a watch that knows when each template changed.

use std::{
    collections::HashMap,
    sync::{Arc, Mutex},
    time::{Duration, Instant},
};

use futures::{StreamExt, stream};
use kube::{
    Api, ResourceExt,
    api::{DeleteParams, ListParams, Patch, PatchParams, PostParams},
    core::{DynamicObject, PartialObjectMeta},
    runtime::watcher,
};
use reroll_harness::{Arena, OBSERVED, secret, workload};
use serde_json::{Value, json};
use tokio::{
    sync::{oneshot, watch},
    task::JoinHandle,
};

use crate::{contender::Contender, direct::Direct};

/// Requests of the benchmark in flight at once; as many as reroll's restarts by default.
pub const AT_ONCE: usize = 16;

/// The time without a change of any Deployment after which nothing is going on any more.
const QUIET: Duration = Duration::from_millis(1500);

/// When each Deployment's template changed last, and how often.
type Changes = HashMap<String, (Instant, usize)>;

/// A namespace under observation.
pub struct Bed {
    pub arena: Arena,
    /// The Deployments' names and their Secrets'.
    pub users: Vec<(String, String)>,
    /// Makes the writes where the contender does not make them.
    pub direct: Arc<Direct>,
    changes: Arc<Mutex<Changes>>,
    total: watch::Receiver<usize>,
    /// When anything was last seen of any Deployment.
    stirred: Arc<Mutex<Instant>>,
    observer: JoinHandle<()>,
}

impl Drop for Bed {
    fn drop(&mut self) {
        self.observer.abort();
    }
}

impl Bed {
    /// Creates this many Secrets of this size, and the Deployments that use them. Each of `users` is a Deployment's
    /// name and its Secret's.
    pub async fn new(
        name: &str,
        contender: &Contender,
        secrets: impl IntoIterator<Item = String>,
        users: impl IntoIterator<Item = (String, String)>,
        bytes: usize,
    ) -> Self {
        let arena = Arena::new(&format!("bench-{name}")).await;
        if let Contender::Reroll(binary) = contender {
            binary.understands(&arena).await;
        }
        fill(&arena, secrets, bytes).await;
        let users: Vec<_> = users.into_iter().collect();
        each(users.clone(), async |(name, secret): (String, String)| {
            let pod =
                json!({ "containers": [{ "envFrom": [{ "secretRef": { "name": secret } }] }] });
            let object = workload("Deployment", &name, &[contender.annotation()], pod);
            arena.create(&object).await;
        })
        .await;
        let (count, total) = watch::channel(0);
        let (listed, known) = oneshot::channel();
        let changes = Arc::<Mutex<Changes>>::default();
        let stirred = Arc::new(Mutex::new(Instant::now()));
        let observe = observe(
            arena.api("Deployment"),
            Arc::clone(&changes),
            Arc::clone(&stirred),
            count,
            listed,
        );
        let observer = tokio::spawn(observe);
        known.await.expect("it observes");
        Self {
            direct: Arc::new(Direct::new(arena.api("Deployment"))),
            arena,
            users,
            changes,
            total,
            stirred,
            observer,
        }
    }

    /// Creates more Secrets.
    pub async fn more(&self, secrets: impl IntoIterator<Item = String>, bytes: usize) {
        fill(&self.arena, secrets, bytes).await;
    }

    /// Waits until all workloads are adopted. The floor adopts them itself and at once; another reloader does not tell
    /// when it has.
    pub async fn adopted(&self, contender: &Contender) {
        match contender {
            Contender::Floor | Contender::Plainest => {
                return each(&self.users, async |(name, secret): &(String, String)| {
                    self.direct.adopt(name, secret).await;
                })
                .await;
            }
            Contender::Reroll(_) => {}
            Contender::Peer(_) => return,
        }
        let api = self.arena.api("Deployment");
        let behind = |object: &PartialObjectMeta<DynamicObject>| {
            let observed = object.annotations().get(OBSERVED);
            !observed.is_some_and(|text| text.contains(&object.uid().unwrap_or_default()))
        };
        loop {
            let all = api.list_metadata(&ListParams::default()).await;
            if !all.expect("they can be listed").items.iter().any(behind) {
                return;
            }
            // To look is work for the API server as well.
            tokio::time::sleep(Duration::from_millis(500)).await;
        }
    }

    /// Waits until nothing happens any more. The Deployments that were created or adopted keep their controller, and so
    /// the API server, busy for a while.
    pub async fn quiet(&self) {
        while self.stirred.lock().unwrap().elapsed() < QUIET {
            tokio::time::sleep(QUIET / 4).await;
        }
    }

    /// When the template of a Deployment changed last, and how often it has changed so far.
    pub fn changed(&self, name: &str) -> (Option<Instant>, usize) {
        let changes = self.changes.lock().unwrap();
        let of = changes.get(name);
        of.map_or((None, 0), |(at, times)| (Some(*at), *times))
    }

    /// How many templates have changed so far, in all.
    pub fn count(&self) -> usize {
        *self.total.borrow()
    }

    /// Waits until this many templates have changed. Returns when the last of them did.
    pub async fn reaches(&self, count: usize) -> Instant {
        let mut total = self.total.clone();
        total
            .wait_for(|now| *now >= count)
            .await
            .expect("it observes");
        let changes = self.changes.lock().unwrap();
        changes
            .values()
            .map(|(at, _)| *at)
            .max()
            .expect("something changed")
    }

    /// Sets a Secret's value.
    pub async fn write(&self, name: &str) {
        let value = format!("{}", fastrand::u64(..));
        self.arena.update_secret(name, &[("k", &value)]).await;
    }

    /// Deletes a Secret and creates it again.
    pub async fn recreate(&self, name: &str) {
        self.arena
            .recreate_secret(name, &[("k", "recreated")])
            .await;
    }

    /// Deletes a Secret, which may be gone, and creates it again.
    pub async fn try_write(&self, name: &str) {
        let patch = json!({ "stringData": { "k": format!("{}", fastrand::u64(..)) } });
        let (api, params) = (self.arena.api("Secret"), PatchParams::default());
        expected(api.patch(name, &params, &Patch::Merge(patch)).await);
    }

    /// Creates an object that may be there.
    pub async fn try_create(&self, manifest: &Value) {
        let object: DynamicObject = serde_json::from_value(manifest.clone()).expect("an object");
        let api = self.arena.api(manifest["kind"].as_str().expect("its kind"));
        expected(api.create(&PostParams::default(), &object).await);
    }

    /// Deletes an object that may be gone.
    pub async fn try_delete(&self, kind: &str, name: &str) {
        let api = self.arena.api(kind);
        expected(api.delete(name, &DeleteParams::default()).await);
    }

    /// Restarts a Deployment that was adopted, by the very write that reroll makes.
    pub async fn restart(&self, name: &str) {
        self.direct.restart(name).await;
    }
}

/// Allows the error that another writer was faster, which is expected where many write at once. Allows no other error.
fn expected<T>(answer: kube::Result<T>) {
    match answer {
        Err(kube::Error::Api(status)) if [404, 409].contains(&status.code) => {}
        answer => drop(answer.expect("the API server answers")),
    }
}

/// Does something for each item, [`AT_ONCE`] of them at the same time.
pub async fn each<T, F: Future<Output = ()>>(
    all: impl IntoIterator<Item = T>,
    act: impl Fn(T) -> F,
) {
    stream::iter(all).for_each_concurrent(AT_ONCE, act).await;
}

async fn fill(arena: &Arena, secrets: impl IntoIterator<Item = String>, bytes: usize) {
    let value = "x".repeat(bytes);
    each(secrets, async |name: String| {
        arena.create(&secret(&name, &[("k", &value)])).await;
    })
    .await;
}

async fn observe(
    api: Api<DynamicObject>,
    changes: Arc<Mutex<Changes>>,
    stirred: Arc<Mutex<Instant>>,
    count: watch::Sender<usize>,
    listed: oneshot::Sender<()>,
) {
    let mut templates: HashMap<String, Value> = HashMap::new();
    let mut listed = Some(listed);
    let mut events = watcher(api, watcher::Config::default()).boxed();
    while let Some(event) = events.next().await {
        let object = match event {
            Ok(watcher::Event::Apply(object) | watcher::Event::InitApply(object)) => object,
            Ok(watcher::Event::InitDone) => {
                let _ = listed.take().map(|listed| listed.send(()));
                continue;
            }
            _ => continue,
        };
        let (now, name) = (Instant::now(), object.name_any());
        *stirred.lock().unwrap() = now;
        let template = object.data["spec"]["template"].clone();
        let before = templates.insert(name.clone(), template.clone());
        if before.is_some_and(|before| before != template) {
            let mut changes = changes.lock().unwrap();
            let entry = changes.entry(name).or_insert((now, 0));
            *entry = (now, entry.1 + 1);
            count.send_modify(|count| *count += 1);
        }
    }
}
