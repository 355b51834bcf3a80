//! What housekeeping is told: by watches, by decisions, and by its own writes.

use tokio::time::Instant;

use super::pace::Pace;
use crate::{
    controller::Controller,
    model::{
        WorkloadKey,
        decide::Lookup,
        index::{Bared, Tracked, WorkloadChange},
    },
};

impl Controller {
    /// Whether a workload is opted in and nobody has written `observed` on it.
    pub(in crate::controller) fn is_bare(&self, key: &WorkloadKey) -> bool {
        let index = self.state.index();
        index.workload(key).is_some_and(Tracked::is_bare)
    }

    /// What follows for housekeeping from how a workload looks now.
    pub(in crate::controller) fn look_after(&self, key: &WorkloadKey, seen: &WorkloadChange) {
        let written = seen.adopted.then(|| self.last_written(key));
        let mut housekeeping = self.housekeeping();
        let (bare, mut news) = {
            let index = self.state.index();
            let tracked = index.workload(key);
            let now = Instant::now();
            let seen = |tracked: &Tracked| housekeeping.seen(key, &tracked.workload, now);
            let bare = tracked.is_some_and(Tracked::is_bare);
            (bare, tracked.is_some_and(seen))
        };
        if self.is_listed() {
            if let Some(how) = seen.bared {
                housekeeping.bared(key, how);
            }
            if let Some(written) = written {
                housekeeping.bared(key, Bared::Afresh);
                housekeeping.report(key, written);
                news = true;
            } else if !bare && !self.leadership.leads() {
                housekeeping.told(key);
            }
        }
        if news {
            self.housekeeping_changed.notify_one();
        }
    }

    pub(in crate::controller) fn tidy_later(&self, key: &WorkloadKey) {
        let (written, bare) = (self.last_written(key), self.is_bare(key));
        if bare {
            // To be told, also if the webhook is faster.
            self.housekeeping().report(key, written);
        } else {
            self.housekeeping().write(key, written);
        }
        self.housekeeping_changed.notify_one();
    }

    pub(in crate::controller) fn generation(&self, key: &WorkloadKey) -> Option<i64> {
        let index = self.state.index();
        Some(index.workload(key)?.workload.generation)
    }

    /// What was to be written at `began` was: where that raised its generation, its controller has work now.
    pub(in crate::controller) fn wrote(
        &self,
        key: &WorkloadKey,
        before: Option<i64>,
        began: Instant,
    ) {
        // Held until it is noted: what a watch shows meanwhile is taken note of after that.
        let mut housekeeping = self.housekeeping();
        let behind = {
            let index = self.state.index();
            let workload = index.workload(key).map(|tracked| &tracked.workload);
            workload
                .filter(|workload| before.is_some_and(|before| before < workload.generation))
                .filter(|workload| workload.is_behind())
                .map(|workload| workload.generation)
        };
        if let Some(generation) = behind {
            let pace = housekeeping.paces.entry(key.kind);
            pace.or_insert_with(Pace::new)
                .wrote(key, generation, began, Instant::now());
        }
    }

    /// When the last of a workload's sources was written, in unix seconds, as far as is known.
    pub(in crate::controller) fn last_written(&self, key: &WorkloadKey) -> i64 {
        let index = self.state.index();
        let Some(tracked) = index.workload(key) else {
            return i64::MIN;
        };
        let written =
            tracked
                .uses()
                .keys()
                .filter_map(|source| match index.source(&key.namespace, source) {
                    Lookup::Present { version, .. } => Some(version.written),
                    Lookup::Unsynced | Lookup::Unseen | Lookup::Absent { .. } => None,
                });
        written.max().unwrap_or(i64::MIN)
    }
}
