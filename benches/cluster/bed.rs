//! What is measured on: a namespace with Secrets and workloads, and a watch that knows when each template changed.

use std::{
    collections::HashMap,
    sync::{Arc, Mutex},
    time::Instant,
};

use futures::{StreamExt, stream};
use k8s_openapi::api::core::v1::Secret;
use kube::{
    Api, ResourceExt,
    api::{DeleteParams, ListParams, Patch, PatchParams, PostParams},
    core::DynamicObject,
    runtime::watcher,
};
use serde_json::{Value, json};
use tokio::{
    sync::{oneshot, watch},
    task::JoinHandle,
};

use crate::{
    contender::Contender,
    support::{Arena, eventually, secret, workload},
};

/// Requests of the benchmark in flight at once; as many as reroll's restarts by default.
pub const AT_ONCE: usize = 16;

/// When each Deployment's template changed last, and how often.
type Changes = HashMap<String, (Instant, usize)>;

/// A namespace under observation.
pub struct Bed {
    pub arena: Arena,
    changes: Arc<Mutex<Changes>>,
    total: watch::Receiver<usize>,
    observer: JoinHandle<()>,
}

impl Drop for Bed {
    fn drop(&mut self) {
        self.observer.abort();
    }
}

impl Bed {
    /// So many Secrets of this size, and Deployments that use them: each of `users` is a Deployment's name and its Secret's.
    pub async fn new(
        name: &str,
        contender: &Contender,
        secrets: impl IntoIterator<Item = String>,
        users: impl IntoIterator<Item = (String, String)>,
        bytes: usize,
    ) -> Self {
        let arena = Arena::new(&format!("bench-{name}")).await;
        let value = "x".repeat(bytes);
        each(secrets, async |name: String| {
            arena.create(&secret(&name, &[("k", &value)])).await;
        })
        .await;
        each(users, async |(name, secret): (String, String)| {
            let pod =
                json!({ "containers": [{ "envFrom": [{ "secretRef": { "name": secret } }] }] });
            let object = workload("Deployment", &name, &[contender.annotation()], pod);
            arena.create(&object).await;
        })
        .await;
        let (count, total) = watch::channel(0);
        let (listed, known) = oneshot::channel();
        let changes = Arc::<Mutex<Changes>>::default();
        let observe = observe(arena.api("Deployment"), Arc::clone(&changes), count, listed);
        let observer = tokio::spawn(observe);
        known.await.expect("it observes");
        Self {
            arena,
            changes,
            total,
            observer,
        }
    }

    /// Waits until reroll has taken up all workloads; of others one cannot tell.
    pub async fn adopted(&self, contender: &Contender) {
        if matches!(contender, Contender::Reroll) {
            self.arena.all_adopted("Deployment").await;
        }
    }

    /// How many templates have changed so far, in all.
    pub fn count(&self) -> usize {
        *self.total.borrow()
    }

    /// Waits until so many have; gives when the last of them did.
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

    /// Restarts a Deployment as a plain client does.
    pub async fn restart(&self, name: &str) {
        let at = format!("{}", fastrand::u64(..));
        let patch = json!({ "spec": { "template": { "metadata": { "annotations": { "restarted": at } } } } });
        self.arena.patch("Deployment", name, patch).await;
    }
}

/// Does something for each, [`AT_ONCE`].
pub async fn each<T, F: Future<Output = ()>>(
    all: impl IntoIterator<Item = T>,
    act: impl Fn(T) -> F,
) {
    stream::iter(all).for_each_concurrent(AT_ONCE, act).await;
}

async fn observe(
    api: Api<DynamicObject>,
    changes: Arc<Mutex<Changes>>,
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
