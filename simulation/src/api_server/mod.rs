//! A Kubernetes API server in memory, as far as reroll rests on one.
//!
//! It is a value. A client of it is a [`kube::Client`] whose requests are answered in this process, on the caller's
//! runtime and by its clock. It has no threads, and chance and the time of day come from functions of the caller: the
//! same calls in the same order have the same answers.
//!
//! What it does as a real one (v1.36) is checked against a real one by `tests/same_answers.rs`. Left out are
//! authorization, server-side apply, strategic merge patches, validation but for the rules that reroll can meet, and
//! everything that controllers do: no garbage is collected, no Namespace emptied, no pod started, but by those of
//! [`crate::controllers`] and [`crate::nodes`].

mod admission;
pub(crate) mod answer;
mod call;
mod defaults;
mod delete;
pub(crate) mod direct;
mod discovery;
mod events;
mod list;
mod managed;
mod memory;
pub(crate) mod patch;
mod path;
mod prepare;
pub(crate) mod resources;
pub(crate) mod selectors;
pub(crate) mod store;
mod user;
mod wakes;
mod watch;
mod write;

use std::{
    collections::BTreeMap,
    convert::Infallible,
    sync::{
        Arc,
        atomic::{AtomicU64, Ordering::Relaxed},
    },
    time::Duration,
};

use fastrand::Rng;
use futures::{FutureExt as _, future::BoxFuture};
use http::{Request, Response};
use jiff::{SignedDuration, Timestamp};
use kube::{Client, client::Body};
use parking_lot::Mutex;
use serde_json::Value;
use tokio::{
    sync::watch as changes,
    time::{Instant, timeout_at},
};
use tower::{service_fn, util::BoxCloneService};

pub use self::{answer::AnswerBody, user::User};
use self::{
    answer::Refusal,
    memory::Lost,
    resources::{ROWS, find},
    store::{Change, Objects, Store},
    wakes::Wakes,
};

/// What answers in place of a webhook: from an `AdmissionReview` to an `AdmissionReview`, or to why there is none.
type Webhook = Arc<dyn Fn(Value) -> BoxFuture<'static, Result<Value, String>> + Send + Sync>;
/// What decides in place of CEL, by the expression and the request of the review.
type Condition = Arc<dyn Fn(&str, &Value) -> bool + Send + Sync>;
/// Answers the requests of one user.
pub type Service = BoxCloneService<Request<Body>, Response<AnswerBody>, Infallible>;

/// An API server. Clones are the same one.
#[derive(Clone)]
pub struct ApiServer {
    shared: Arc<Shared>,
    /// Up to which revision this server has seen what is stored; `None` for all.
    lag: Arc<Mutex<Option<u64>>>,
}

struct Shared {
    stored: Mutex<(Store, Epoch)>,
    wakes: Wakes,
    surroundings: Mutex<Surroundings>,
    webhooks: Mutex<BTreeMap<String, Webhook>>,
    conditions: Mutex<BTreeMap<String, Condition>>,
    unanswered: AtomicU64,
    told: Mutex<Option<Told>>,
    lost: Mutex<Lost>,
    /// How many times the API servers were restarted.
    sessions: AtomicU64,
}

/// Is told of each write.
type Told = Box<dyn FnMut(&Written) + Send>;

/// How many times history went back.
type Epoch = u64;

struct Surroundings {
    now: Box<dyn FnMut() -> Timestamp + Send>,
    uid: Box<dyn FnMut() -> String + Send>,
}

/// All that was stored at one moment.
#[derive(Clone, Debug)]
pub struct Snapshot(Store);

/// What was written.
#[derive(Clone, Debug)]
pub struct Written {
    /// The revision of the write.
    pub revision: u64,
    /// Such as `deployments.apps`.
    pub resource: &'static str,
    /// What was there before.
    pub before: Option<Arc<Value>>,
    /// What is there then; `None` for a deletion.
    pub after: Option<Arc<Value>>,
}

impl Written {
    fn of((revision, change): (u64, &Arc<Change>)) -> Self {
        Self {
            revision,
            resource: resources::qualified(change.row),
            before: change.before.clone(),
            after: change.after.clone(),
        }
    }
}

/// Returns a clock that shows this time of day now, and goes on with tokio's.
pub fn clock(first: Timestamp) -> impl Fn() -> Timestamp + Clone + Send + Sync + 'static {
    let began = Instant::now();
    move || first + SignedDuration::try_from(began.elapsed()).unwrap_or_default()
}

// What tests do with it.
impl ApiServer {
    /// Makes one in which nothing is stored. It asks `now` for the time of day and `uid` for uids, one at a time.
    pub fn new(
        now: impl FnMut() -> Timestamp + Send + 'static,
        uid: impl FnMut() -> String + Send + 'static,
    ) -> Self {
        let surroundings = Surroundings {
            now: Box::new(now),
            uid: Box::new(uid),
        };
        Self {
            shared: Arc::new(Shared {
                stored: Mutex::new((Store::new(), 0)),
                wakes: Wakes::new(),
                surroundings: Mutex::new(surroundings),
                webhooks: Mutex::default(),
                conditions: Mutex::default(),
                unanswered: AtomicU64::default(),
                told: Mutex::default(),
                lost: Mutex::default(),
                sessions: AtomicU64::default(),
            }),
            lag: Arc::default(),
        }
    }

    /// Makes one whose uids are drawn from a seed. Its time of day is this one now, and goes on with tokio's.
    pub fn seeded(first: Timestamp, rng: &mut Rng) -> Self {
        let mut uids = rng.fork();
        Self::new(clock(first), move || {
            let hex = format!("{:032x}", uids.u128(..));
            let parts = [0..8, 8..12, 12..16, 16..20, 20..32].map(|part| &hex[part]);
            parts.join("-")
        })
    }

    /// Returns a client of a user.
    pub fn client(&self, user: User) -> Client {
        Client::new(self.service(user), "default")
    }

    /// Returns what answers a user's requests, for a [`Client`] with something in between.
    pub fn service(&self, user: User) -> Service {
        let server = self.clone();
        let answer = move |request| {
            let (server, user) = (server.clone(), user.clone());
            async move { Ok(call::answer(&server, &user, request).await) }
        };
        BoxCloneService::new(service_fn(answer))
    }

    /// Serves a custom resource, such as `rollouts.argoproj.io`, or serves it no more; its objects stay. Returns whether
    /// there is such a resource.
    pub fn serve(&self, resource: &str, served: bool) -> bool {
        let found = ROWS
            .iter()
            .position(|row| row.custom && row.qualified() == resource);
        if let Some(row) = found {
            let mut stored = self.shared.stored.lock();
            if served {
                stored.0.served.insert(row);
            } else {
                stored.0.served.remove(&row);
            }
        }
        found.is_some()
    }

    /// Lets a function answer the reviews of a webhook. It is found by the webhook's name, or, before that, by
    /// `CONFIGURATION/WEBHOOK`.
    pub fn answer_reviews<F>(
        &self,
        webhook: &str,
        answers: impl Fn(Value) -> F + Send + Sync + 'static,
    ) where
        F: Future<Output = Result<Value, String>> + Send + 'static,
    {
        let webhook_of = Arc::new(move |review| answers(review).boxed());
        self.shared
            .webhooks
            .lock()
            .insert(webhook.to_owned(), webhook_of);
    }

    /// Lets no function answer the reviews of a webhook any more: it is away.
    pub fn answer_no_reviews(&self, webhook: &str) {
        self.shared.webhooks.lock().remove(webhook);
    }

    /// Forgets all functions that answer reviews or decide conditions. They often hold clients of this server, which would
    /// live on by them.
    pub fn answer_nothing(&self) {
        let webhooks = std::mem::take(&mut *self.shared.webhooks.lock());
        let conditions = std::mem::take(&mut *self.shared.conditions.lock());
        drop((webhooks, conditions));
    }

    /// Lets a function decide in place of the match conditions of this name. It gets the expression and the request of
    /// the review, without a uid.
    pub fn decide_condition(
        &self,
        name: &str,
        holds: impl Fn(&str, &Value) -> bool + Send + Sync + 'static,
    ) {
        self.shared
            .conditions
            .lock()
            .insert(name.to_owned(), Arc::new(holds));
    }

    /// Returns the revision of the last write.
    pub fn revision(&self) -> u64 {
        self.with_store(|store| store.revision)
    }

    /// Returns all objects of a resource, such as `deployments.apps`, as they are stored; none where there is no such
    /// resource.
    pub fn objects(&self, resource: &str) -> Vec<Arc<Value>> {
        let row = resources::named(resource);
        self.with_store(|store| {
            let objects = row.map(|row| store.objects(resources::storage(row)).values().cloned());
            objects.into_iter().flatten().collect()
        })
    }

    /// Returns what was written after a revision, in the order of the writes; `None` where that is forgotten.
    pub fn written_since(&self, revision: u64) -> Option<Vec<Written>> {
        self.with_store(|store| {
            let written = store.since(revision)?;
            Some(written.map(Written::of).collect())
        })
    }

    /// Tells of each write from now on, when it is done.
    pub fn tell(&self, told: impl FnMut(&Written) + Send + 'static) {
        *self.shared.told.lock() = Some(Box::new(told));
    }

    /// Returns how many reviews were not answered, and counted as allowed, until now.
    pub fn unanswered_reviews(&self) -> u64 {
        self.shared.unanswered.load(Relaxed)
    }

    /// Forgets the history up to now: watches and pages that rest on it are answered with 410.
    pub fn compact(&self) {
        {
            let store = &mut self.shared.stored.lock().0;
            store.compact(store.revision);
        }
        self.shared.wakes.all();
    }

    /// Returns all that is stored.
    pub fn snapshot(&self) -> Snapshot {
        Snapshot(self.with_store(Store::clone))
    }

    /// Goes back to a snapshot, as whoever restores a backup of etcd and restarts the API servers. Watches end.
    /// `revision` is where the count of revisions goes on: `None` for that of the snapshot.
    pub fn restore(&self, snapshot: &Snapshot, revision: Option<u64>) {
        {
            let mut stored = self.shared.stored.lock();
            stored.0.clone_from(&snapshot.0);
            if let Some(revision) = revision {
                stored.0.bump(revision);
            }
            stored.1 += 1;
        }
        self.restart();
    }

    /// Returns another API server of the same storage, which sees no write from now on until it is told to. Writes go
    /// through it to the storage, and so do reads without a resourceVersion.
    #[must_use]
    pub fn lagging(&self) -> Self {
        let revision = self.visible();
        Self {
            shared: Arc::clone(&self.shared),
            lag: Arc::new(Mutex::new(Some(revision))),
        }
    }

    /// Lets a lagging server see what was written until now, and nothing that is written later.
    pub fn catch_up(&self) {
        let now = self.revision();
        if let Some(lag) = self.lag.lock().as_mut() {
            *lag = now;
        }
        self.shared.wakes.all();
    }

    /// Lets a lagging server lag no more.
    pub fn keep_up(&self) {
        *self.lag.lock() = None;
        self.shared.wakes.all();
    }

    /// Lets this server, and its clones, see no write from now on.
    pub fn fall_behind(&self) {
        let revision = self.revision();
        self.lag.lock().get_or_insert(revision);
    }
}

// What its parts ask of it.
impl ApiServer {
    fn with_store<T>(&self, read: impl FnOnce(&Store) -> T) -> T {
        read(&self.shared.stored.lock().0)
    }

    /// Writes, and wakes the watches of what was written.
    fn write<T>(&self, write: impl FnOnce(&mut Store) -> T) -> T {
        let mut stored = self.shared.stored.lock();
        let before = stored.0.revision;
        let written = write(&mut stored.0);
        self.shared.wakes.after(&stored.0, before);
        if let Some(told) = &mut *self.shared.told.lock() {
            let changes = stored.0.since(before).into_iter().flatten();
            changes.map(Written::of).for_each(|one| told(&one));
        }
        written
    }

    pub(crate) fn epoch(&self) -> Epoch {
        self.shared.stored.lock().1
    }

    fn changed(&self) -> changes::Receiver<()> {
        self.shared.wakes.of_all()
    }

    /// Returns what wakes when one of these rows was written, or what this server sees changed otherwise.
    pub(crate) fn changed_in_any(&self, rows: &[usize]) -> changes::Receiver<()> {
        self.shared.wakes.of_some(rows)
    }

    fn changed_in(&self, row: usize) -> changes::Receiver<()> {
        self.shared.wakes.of(row)
    }

    /// Returns the revision up to which this server has seen the writes.
    pub(crate) fn visible(&self) -> u64 {
        let lag = *self.lag.lock();
        self.with_store(|store| {
            lag.map_or(store.revision, |lag| {
                lag.clamp(store.compacted, store.revision)
            })
        })
    }

    /// Returns at which restart of the API servers this is.
    fn session(&self) -> u64 {
        self.shared.sessions.load(Relaxed)
    }

    /// Returns the objects of a row as this server has them in its memory, and their revision.
    fn seen(&self, row: usize) -> (u64, Objects) {
        if let Some(remembered) = self.remembered(row) {
            return remembered;
        }
        let visible = self.visible();
        self.with_store(|store| {
            let objects = if visible == store.revision {
                None
            } else {
                store.at(row, visible)
            };
            (
                visible,
                objects.unwrap_or_else(|| store.objects(row).clone()),
            )
        })
    }

    /// Waits until this server has seen a revision, but not for long.
    async fn reaches(&self, revision: u64, patience: Duration) -> Result<(), Refusal> {
        let mut changed = self.changed();
        let end = Instant::now() + patience;
        while self.shown_until() < revision {
            if timeout_at(end, changed.changed()).await.is_err() {
                return Err(list::too_large(revision, self.shown_until()));
            }
        }
        Ok(())
    }

    pub(crate) fn time(&self) -> Timestamp {
        (self.shared.surroundings.lock().now)()
    }

    /// Returns the time as objects have it: to the second.
    pub(crate) fn now(&self) -> String {
        let time = self.time();
        Timestamp::from_second(time.as_second())
            .unwrap_or(time)
            .to_string()
    }

    fn new_uid(&self) -> String {
        (self.shared.surroundings.lock().uid)()
    }

    fn webhook(&self, configuration: &str, name: &str) -> Option<Webhook> {
        let webhooks = self.shared.webhooks.lock();
        let exact = webhooks.get(&format!("{configuration}/{name}"));
        exact.or_else(|| webhooks.get(name)).cloned()
    }

    fn condition(&self, name: &str) -> Option<Condition> {
        self.shared.conditions.lock().get(name).cloned()
    }

    /// Notes that a review was not answered.
    fn miss_review(&self) {
        self.shared.unanswered.fetch_add(1, Relaxed);
    }

    fn namespace(&self, name: &str) -> Result<Arc<Value>, Refusal> {
        let row = find("", "v1", "namespaces").unwrap_or_default();
        let found = self.with_store(|store| store.get(row, name).cloned());
        found.ok_or_else(|| Refusal::not_found(&ROWS[row], name))
    }
}

#[cfg(test)]
mod tests;
