//! How fast workloads of one kind may be written, by how well their own controller keeps up.
//!
//! One annotation that reroll writes on a Deployment costs the deployment controller three more calls, and by default a
//! controller-manager makes 20 calls a second. Writes that come faster fill its queue, and every user's rollouts wait
//! in that queue. The API server does not show the queue, but the object does. The write raises `metadata.generation`,
//! and `status.observedGeneration` follows when the controller is done.
//!
//! So there are two limits. First, no turn begins while [`FEW`] of the workloads just written are behind. Second, there is
//! an interval between two turns, because a controller that only just keeps up has no calls left for others. The
//! interval becomes a little shorter with each write that the controller sees in time. It doubles when a write is not
//! seen within it and [`FEW`] are behind.
//!
//! Most of a turn is waiting: before the API server lists what is quiet, it asks etcd up to [`LISTS`] whether that is all
//! (Kubernetes' `ConsistentListFromCache`). So as many turns are under way as begin in that time, up to
//! [`SIDE_BY_SIDE`]; one, where the pace is slow.
//!
//! Invariants:
//! - Where an annotation does not raise `generation` (`StatefulSet`s, `DaemonSet`s) nothing is ever behind, and nothing
//!   waits but for [`SIDE_BY_SIDE`].
//! - Fewer than [`FEW`] and [`SIDE_BY_SIDE`] together are behind.
//! - While the controller sees any writes, at least four a second may be made; while it sees none, [`FEW`] per
//!   [`GIVE_UP`], once no more than that are behind.
//!
//! Pure: time is an argument.

use std::{collections::BTreeMap, time::Duration};

use tokio::time::Instant;

use crate::model::WorkloadKey;

/// The most workloads that may be behind.
const FEW: usize = 2;
/// A workload that is behind for longer is no longer waited for: its controller is down, or cannot handle it.
const GIVE_UP: Duration = Duration::from_secs(10);

/// The most turns that are under way.
pub const SIDE_BY_SIDE: usize = 8;
/// How long a list may take that costs nothing.
const LISTS: Duration = Duration::from_millis(100);

/// The first interval, when nothing is known: less than 20 calls a second, at three for each write.
const FIRST: Duration = Duration::from_millis(160);
/// The longest interval: a controller-manager with default limits then has a third of its calls left for others.
const LONGEST: Duration = Duration::from_millis(220);
/// The shortest interval: too short to matter, and long enough to grow soon.
const SHORTEST: Duration = Duration::from_millis(10);

/// The factor by which each write seen in time shortens the interval, until the pace was too fast once.
const AT_FIRST: f64 = 15.0 / 16.0;
/// After that, the interval halves in this time. Before a pace that is too fast shows, it uses up the controller's
/// burst, which others then lack. The shorter this time, the more often that happens.
const HALVES: Duration = Duration::from_mins(1);

/// The pace of one kind.
#[derive(Debug)]
pub(super) struct Pace {
    behind: BTreeMap<WorkloadKey, Behind>,
    interval: Duration,
    /// When the last turn began.
    began: Option<Instant>,
    /// When the last write was decided on after which the workload was behind.
    last: Option<Instant>,
    /// Whether [`FEW`] were still behind when the next write was due.
    late: bool,
    /// When the pace last turned out to be too fast. What began before that does not tell it again.
    too_fast: Option<Instant>,
}

/// A workload that was written, and whose controller has not shown yet that it has seen the write.
#[derive(Debug)]
struct Behind {
    generation: i64,
    since: Instant,
}

impl Pace {
    /// Makes the pace of a kind of which nothing was written yet.
    pub(super) fn new() -> Self {
        Self {
            behind: BTreeMap::new(),
            interval: FIRST,
            began: None,
            last: None,
            late: false,
            too_fast: None,
        }
    }

    /// Returns how many turns may be under way.
    pub(super) fn side_by_side(&self) -> usize {
        if self.is_free() {
            return SIDE_BY_SIDE;
        }
        let meanwhile = LISTS.as_millis().div_ceil(self.interval.as_millis());
        usize::try_from(meanwhile).map_or(SIDE_BY_SIDE, |most| most.clamp(1, SIDE_BY_SIDE))
    }

    /// Notes that a turn begins.
    pub(super) fn begins(&mut self, now: Instant) {
        self.began = Some(now);
    }

    /// Returns when the next turn may begin, by what is known `now`. It may be sooner, when the controller sees one that
    /// is behind.
    pub(super) fn opens(&self, now: Instant) -> Instant {
        if self.is_free() {
            return now;
        }
        let last = self.last.max(self.began);
        let due = last.map_or(now, |last| last + self.interval);
        let mut given_up: Vec<_> = self
            .behind
            .values()
            .map(|behind| behind.since + GIVE_UP)
            .filter(|until| *until > now)
            .collect();
        given_up.sort_unstable();
        // While FEW are behind there is no room. There is room when one less is.
        let room = given_up.len().checked_sub(FEW).map(|first| given_up[first]);
        room.map_or(due, |room| room.max(due))
    }

    /// Notes a write that was decided on at `began` and raised the workload's generation to this one. The controller
    /// has not observed that yet.
    pub(super) fn wrote(
        &mut self,
        workload: &WorkloadKey,
        generation: i64,
        began: Instant,
        now: Instant,
    ) {
        let before = self.behind.len();
        self.behind.retain(|_, behind| behind.since + GIVE_UP > now);
        self.late |= self.behind.len() < before;
        self.adapt(began, now);
        self.last = self.last.max(Some(began));
        let since = now;
        self.behind
            .insert(workload.clone(), Behind { generation, since });
    }

    /// Notes that the workload's controller has observed this generation. Returns whether that is news.
    pub(super) fn seen(&mut self, workload: &WorkloadKey, observed: i64, now: Instant) -> bool {
        let waited_for = self.behind.get(workload);
        let Some(behind) = waited_for.filter(|behind| behind.generation <= observed) else {
            return false;
        };
        // Several may have been written at once, after the API server answered the lists of all.
        let took_long = behind.since + self.interval < now;
        self.late |= took_long && self.behind.len() >= FEW;
        self.behind.remove(workload).is_some()
    }

    /// Forgets a workload that is gone. Returns whether it was behind.
    pub(super) fn forget(&mut self, workload: &WorkloadKey) -> bool {
        self.behind.remove(workload).is_some()
    }

    /// Whether no write was ever work for the controller.
    fn is_free(&self) -> bool {
        self.last.is_none()
    }

    fn adapt(&mut self, began: Instant, now: Instant) {
        let since = self
            .last
            .map_or(Duration::ZERO, |last| began.saturating_duration_since(last));
        let is_news = self.too_fast.is_none_or(|before| began >= before);
        self.interval = if std::mem::take(&mut self.late) && is_news {
            self.too_fast = Some(now);
            self.interval * 2
        } else if self.too_fast.is_some() {
            // It never shrinks to less than half at once, however long nothing was written.
            let halves = since.min(HALVES).div_duration_f64(HALVES);
            self.interval.mul_f64(0.5_f64.powf(halves))
        } else {
            self.interval.mul_f64(AT_FIRST)
        }
        .clamp(SHORTEST, LONGEST);
    }
}

#[cfg(test)]
mod tests;
