//! What all controllers have in common: a queue of what is dirty, and a loop that wakes when something was written.

use std::{
    collections::{BTreeMap, BTreeSet},
    sync::Arc,
    time::Duration,
};

use fastrand::Rng;
use serde_json::Value;
use tokio::{
    sync::watch,
    time::{Instant, sleep_until},
};

use super::{access::Access, objects::Kind};
use crate::api_server::{answer::Refusal, store::Change};

/// The longest wait after a failure.
const LONGEST: Duration = Duration::from_mins(1);

/// What is to be done for an object.
pub(crate) type Next = Option<Duration>;

/// A control loop.
pub(crate) trait Controller {
    /// What it works on, one at a time.
    type Key: Ord + Clone;

    /// Whether it waits until it sees what it wrote itself. The real ones that do not may meet conflicts of their own.
    const WAITS_FOR_OWN_WRITES: bool = true;

    /// The kinds whose writes concern it.
    fn watches(&self) -> Vec<usize>;

    /// Names what a write concerns.
    fn concerned(&mut self, access: &Access, change: &Change, dirty: &mut Dirty<Self::Key>);

    /// Forgets what it noted of writes: all objects come again, as new ones.
    fn forget(&mut self) {}

    /// Does one step for what is dirty. Returns when to come back unasked.
    async fn sync(&mut self, access: &Access, key: &Self::Key) -> Result<Next, Refusal>;
}

/// What became dirty, and how much later than usual it is to be looked at.
pub(crate) type Dirty<K> = Vec<(K, Duration)>;

/// How long it takes until a write is noticed, in milliseconds.
#[derive(Clone, Debug)]
pub(crate) struct Pace {
    /// Usually.
    pub(crate) usual: std::ops::RangeInclusive<u64>,
    /// Once in ten times.
    pub(crate) slow: std::ops::RangeInclusive<u64>,
}

struct Queue<K> {
    rng: Rng,
    pace: Pace,
    due: BTreeSet<(Instant, u64, K)>,
    at: BTreeMap<K, (Instant, u64)>,
    count: u64,
    failures: BTreeMap<K, u32>,
    /// What waits until a revision is seen: its own writes.
    held: BTreeMap<K, u64>,
}

impl<K: Ord + Clone> Queue<K> {
    fn new(rng: Rng, pace: Pace) -> Self {
        Self {
            rng,
            pace,
            due: BTreeSet::new(),
            at: BTreeMap::new(),
            count: 0,
            failures: BTreeMap::new(),
            held: BTreeMap::new(),
        }
    }

    fn clear(&mut self) {
        self.due.clear();
        self.at.clear();
        self.failures.clear();
        self.held.clear();
    }

    /// Puts something into the queue, unless it is there and due before.
    fn add_after(&mut self, key: K, after: Duration) {
        let due = Instant::now() + after;
        if let Some((before, count)) = self.at.get(&key) {
            if *before <= due {
                return;
            }
            self.due.remove(&(*before, *count, key.clone()));
        }
        self.count += 1;
        self.at.insert(key.clone(), (due, self.count));
        self.due.insert((due, self.count, key));
    }

    fn add(&mut self, key: K, later: Duration) {
        let range = if self.rng.u8(0..10) == 0 {
            &self.pace.slow
        } else {
            &self.pace.usual
        };
        let after = Duration::from_millis(self.rng.u64(range.clone()));
        self.add_after(key, after + later);
    }

    fn next(&self) -> Option<Instant> {
        self.due.first().map(|(due, ..)| *due)
    }

    fn pop(&mut self, now: Instant) -> Option<K> {
        if self.next()? > now {
            return None;
        }
        let (_, _, key) = self.due.pop_first()?;
        self.at.remove(&key);
        Some(key)
    }

    fn failed(&mut self, key: K) {
        let failures = self.failures.entry(key.clone()).or_default();
        *failures += 1;
        let after = Duration::from_millis(5) * 2_u32.saturating_pow((*failures).min(20));
        self.add_after(key, after.min(LONGEST));
    }

    fn release(&mut self, seen: u64) {
        if self.held.is_empty() {
            return;
        }
        let ready = self.held.iter().filter(|(_, wanted)| **wanted <= seen);
        let ready: Vec<K> = ready.map(|(key, _)| key.clone()).collect();
        for key in ready {
            self.held.remove(&key);
            self.add(key, Duration::ZERO);
        }
    }
}

/// How far a controller has read what was written.
#[derive(Clone, Copy, PartialEq, Eq)]
struct Place {
    epoch: u64,
    revision: u64,
}

/// Runs a controller until it is dropped. While `away` is true it does nothing, as one that does not run; then it begins
/// as one that was started.
pub(crate) async fn run<C: Controller>(
    mut controller: C,
    access: Arc<Access>,
    mut away: watch::Receiver<bool>,
    rng: Rng,
    pace: Pace,
) {
    let rows = controller.watches();
    let mut changed = access.view.changed_in_any(&rows);
    let mut queue = Queue::new(rng, pace);
    let mut read_to = None;
    loop {
        if *away.borrow_and_update() {
            read_to = None;
            queue.clear();
            controller.forget();
            if away.changed().await.is_err() {
                return;
            }
            continue;
        }
        changed.borrow_and_update();
        read_to = Some(read(&mut controller, &access, &rows, read_to, &mut queue));
        if let Some(key) = queue.pop(Instant::now()) {
            work(&mut controller, &access, &mut queue, key).await;
            continue;
        }
        let next = queue.next();
        tokio::select! {
            biased;
            changed = changed.changed() => if changed.is_err() { return },
            () = sleep_until(next.unwrap_or_else(Instant::now)), if next.is_some() => {}
            changed = away.changed() => if changed.is_err() { return },
        }
    }
}

async fn work<C: Controller>(
    controller: &mut C,
    access: &Access,
    queue: &mut Queue<C::Key>,
    key: C::Key,
) {
    if queue.held.contains_key(&key) {
        return;
    }
    let before = access.wrote();
    let done = controller.sync(access, &key).await;
    let wrote = access.wrote();
    if C::WAITS_FOR_OWN_WRITES && wrote != before && wrote > access.view.visible() {
        queue.held.insert(key.clone(), wrote);
    }
    match done {
        Ok(next) => {
            queue.failures.remove(&key);
            if let Some(after) = next {
                queue.add_after(key, after);
            }
        }
        Err(_) => queue.failed(key),
    }
}

/// Takes up what was written since, or all objects where that is not known.
fn read<C: Controller>(
    controller: &mut C,
    access: &Access,
    watched: &[usize],
    place: Option<Place>,
    queue: &mut Queue<C::Key>,
) -> Place {
    let mut dirty = Vec::new();
    let epoch = access.view.epoch();
    let since = place.filter(|place| place.epoch == epoch);
    let mut changes = Vec::new();
    let seen = since.and_then(|place| {
        access.view.each_since(place.revision, |change| {
            if watched.contains(&change.row) {
                changes.push(Arc::clone(change));
            }
        })
    });
    let revision = seen.unwrap_or_else(|| {
        controller.forget();
        queue.held.clear();
        changes = all(access, watched);
        access.view.visible()
    });
    for change in &changes {
        controller.concerned(access, change, &mut dirty);
    }
    for (key, later) in dirty {
        queue.add(key, later);
    }
    queue.release(revision);
    Place { epoch, revision }
}

/// Returns all objects, as if they had just been created.
fn all(access: &Access, watched: &[usize]) -> Vec<Arc<Change>> {
    let mut changes = Vec::new();
    for row in watched {
        access.view.with_seen(*row, |objects| {
            let change = |(key, object): (&String, &Arc<Value>)| Change {
                row: *row,
                key: key.clone(),
                before: None,
                after: Some(Arc::clone(object)),
            };
            changes.extend(objects.iter().map(change).map(Arc::new));
        });
    }
    changes
}

/// Returns the object of a write, before and after it.
pub(crate) fn sides(change: &Change) -> impl Iterator<Item = &Arc<Value>> {
    change.before.iter().chain(change.after.iter())
}

/// Returns the key of the object of this kind that controls one, on either side of a write.
pub(crate) fn controllers_by(change: &Change, kind: Kind, dirty: &mut Dirty<String>) {
    for object in sides(change) {
        if let Some(owner) = super::objects::controller_of(object)
            && owner["kind"] == kind.name()
        {
            let namespace = super::objects::namespace(object);
            let name = owner["name"].as_str().unwrap_or_default();
            dirty.push((format!("{namespace}/{name}"), Duration::ZERO));
        }
    }
}

/// Names the objects of a kind that could adopt what was written, which nothing controls.
pub(crate) fn adopters(access: &Access, change: &Change, kind: Kind, dirty: &mut Dirty<String>) {
    let Some(object) = &change.after else { return };
    if super::objects::controller_of(object).is_some() {
        return;
    }
    let namespace = super::objects::namespace(object);
    let found = access.in_namespace(kind, namespace, |owner| {
        super::claim::Claim::new(access, kind, owner).matches(object)
    });
    dirty.extend(
        found
            .iter()
            .map(|owner| (super::objects::key(owner), Duration::ZERO)),
    );
}
