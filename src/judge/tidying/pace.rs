//! How fast workloads of one kind may be written, by what their own controller makes of it.
//!
//! An annotation written on a Deployment costs the deployment controller three calls more, and a controller-manager makes
//! 20 a second by default: what is written faster fills its queue, and everybody's rollouts wait in it. The API server
//! does not show that. The object does: such a write raises `metadata.generation`, and `status.observedGeneration` comes
//! after it once the controller is done. So of those just written [`FEW`] may be behind, and between two writes lies an
//! interval, because a controller that merely keeps up has nothing left for others. It gets shorter while each write is
//! seen in time, and twice as long when the next one would be due and [`FEW`] are still behind.
//!
//! Invariants: where `generation` does not move (`StatefulSet`s, `DaemonSet`s) nothing is ever behind, and nothing waits;
//! while anything is seen, at least four a second may be written; while nothing is, [`FEW`] per [`GIVE_UP`].
//!
//! Pure: time is an argument.

use std::{collections::BTreeMap, time::Duration};

use tokio::time::Instant;

use crate::model::WorkloadKey;

/// So many of those just written may be behind.
const FEW: usize = 2;
/// Who is behind for longer is not waited for any more: its controller is down, or cannot do it.
const GIVE_UP: Duration = Duration::from_secs(10);

/// The interval at the beginning, when nothing is known: less than 20 calls a second, at three for each.
const FIRST: Duration = Duration::from_millis(160);
/// A controller-manager with default limits has a third of its calls left for others then.
const LONGEST: Duration = Duration::from_millis(220);
/// So short that it does not matter, and long enough to get longer soon.
const SHORTEST: Duration = Duration::from_millis(10);

/// Until it was too fast once, what each write that is seen in time leaves of the interval.
const AT_FIRST: f64 = 15.0 / 16.0;
/// From then on the interval halves in this time. What a controller may do at once hides for a while that it is too much:
/// that is used up, and is short for others, the more often the shorter this is.
const HALVES: Duration = Duration::from_mins(1);

/// The pace of one kind.
#[derive(Debug)]
pub(super) struct Pace {
    behind: BTreeMap<WorkloadKey, Behind>,
    interval: Duration,
    /// When the last was written of those that were behind then.
    last: Option<Instant>,
    /// [`FEW`] were still behind when the next one was due.
    late: bool,
    /// It was too fast at least once.
    learned: bool,
}

/// A workload that was written, and whose controller has not shown that it has seen that.
#[derive(Debug)]
struct Behind {
    generation: i64,
    since: Instant,
}

impl Pace {
    /// Nothing was written yet.
    pub(super) fn new() -> Self {
        Self {
            behind: BTreeMap::new(),
            interval: FIRST,
            last: None,
            late: false,
            learned: false,
        }
    }

    /// When the next one may be written, as far as is known `now`: sooner, where one that is behind is seen.
    pub(super) fn opens(&self, now: Instant) -> Instant {
        let due = self.last.map_or(now, |last| last + self.interval);
        let mut given_up: Vec<_> = self
            .behind
            .values()
            .map(|behind| behind.since + GIVE_UP)
            .filter(|until| *until > now)
            .collect();
        given_up.sort_unstable();
        // With the last FEW of them still behind there is no room; with one less there is.
        let room = given_up.len().checked_sub(FEW).map(|first| given_up[first]);
        room.map_or(due, |room| room.max(due))
    }

    /// A write, decided on at `began`, has raised the workload's generation to this one, which is not observed yet.
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
        self.adapt(began);
        self.last = Some(began);
        let since = now;
        self.behind
            .insert(workload.clone(), Behind { generation, since });
    }

    /// The workload's controller has observed this generation. Gives whether that is news.
    pub(super) fn seen(&mut self, workload: &WorkloadKey, observed: i64, now: Instant) -> bool {
        let waited_for = self.behind.get(workload);
        if waited_for.is_none_or(|behind| behind.generation > observed) {
            return false;
        }
        let due = self.last.is_some_and(|last| last + self.interval < now);
        self.late |= due && self.behind.len() >= FEW;
        self.behind.remove(workload).is_some()
    }

    /// The workload is gone. Gives whether it was behind.
    pub(super) fn forget(&mut self, workload: &WorkloadKey) -> bool {
        self.behind.remove(workload).is_some()
    }

    fn adapt(&mut self, now: Instant) {
        let since = self
            .last
            .map_or(Duration::ZERO, |last| now.saturating_duration_since(last));
        self.interval = if std::mem::take(&mut self.late) {
            self.learned = true;
            self.interval * 2
        } else if self.learned {
            // Not shorter than half at once, however long nothing was written.
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
