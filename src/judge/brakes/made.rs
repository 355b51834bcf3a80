//! The restarts that were made, and what was seen of them.

use jiff::{SignedDuration, Timestamp};

use crate::{
    judge::by_namespace::ByNamespace,
    model::{
        Index, WorkloadKey,
        brake::{
            Verdict,
            failed::Failed,
            later,
            look::Look,
            slow_start::{Restarted, Stands},
            verdict::{Facts, Patience, counted, verdict},
        },
        index::Tracked,
        workload::{Changed, Progress, Rollout},
    },
};

/// What is older is forgotten.
const FORGOTTEN: SignedDuration = SignedDuration::from_hours(72);
/// How long a restart has no look at its pods.
const FIRST_LOOK: SignedDuration = SignedDuration::from_secs(20);
/// So long a process knows of a restart before it is sure that no look tells more than its deadline.
const LOOKED_BY: SignedDuration = SignedDuration::from_secs(30);
/// The shortest time between two looks.
const LOOK_AGAIN: SignedDuration = SignedDuration::from_secs(5);

/// What was told of a restart.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum Told {
    /// Nothing.
    #[default]
    Nothing,
    /// What it waits for.
    Waits,
    /// Why it failed.
    Stuck,
    /// That it is good, and goes no further.
    Hangs,
}

/// The restarts that were made, by workload, and what was seen of them: at most one each.
#[derive(Debug)]
pub struct Made {
    patience: Patience,
    by_key: ByNamespace<Seen>,
}

/// What was seen of a restart.
#[expect(
    clippy::struct_excessive_bools,
    reason = "each is a fact of its own about the restart"
)]
#[derive(Clone, Debug, Default)]
struct Seen {
    mark: String,
    at: Timestamp,
    /// Since when this process knows of it.
    known: Timestamp,
    complete_since: Option<Timestamp>,
    was_good: bool,
    look: Option<Look>,
    /// When its pods were last listed, or could not be.
    looked: Option<Timestamp>,
    told: Told,
    /// Whether it was void, as of what was shown last, and when it was so no longer.
    is_void: bool,
    began: Option<Timestamp>,
    /// Whether pods are missing, as of what was shown last.
    lacks: bool,
    /// Whether some were since the last look: what ends and starts again may be there when it is looked at.
    lacked: bool,
    /// The most pods that were new and available, and when they first were.
    best: Option<(i64, Timestamp)>,
}

impl Made {
    /// Makes one that knows of no restart.
    pub(super) fn new(patience: Patience) -> Self {
        Self {
            patience,
            by_key: ByNamespace::default(),
        }
    }

    /// Takes in how a workload is now. Returns whether somebody may go sooner for it.
    pub(super) fn shown(&mut self, key: &WorkloadKey, tracked: &Tracked, now: Timestamp) -> bool {
        let Some(last) = tracked.workload.last.as_ref() else {
            return self.by_key.remove(key).is_some();
        };
        let opened = &last.opened;
        if now.duration_since(opened.at) > FORGOTTEN {
            self.by_key.remove(key);
            return false;
        }
        let is_known = |seen: &Seen| seen.mark == opened.mark && seen.at == opened.at;
        if !self.by_key.get(key).is_some_and(is_known) {
            let seen = Seen {
                mark: opened.mark.clone(),
                at: opened.at,
                known: now,
                ..Seen::default()
            };
            self.by_key.insert(key, seen);
        }
        let Some(seen) = self.by_key.get_mut(key) else {
            return false;
        };
        let workload = &tracked.workload;
        let is_void = workload.progress.void.is_some();
        if seen.is_void && !is_void {
            seen.began = Some(now);
        }
        seen.is_void = is_void;
        let new = if opened.is_unseen(workload.observed_generation) {
            0
        } else {
            workload.progress.new_and_available()
        };
        if seen.best.is_none_or(|(best, _)| new > best) {
            seen.best = Some((new, now));
        }
        seen.lacks = lacks(&workload.progress);
        seen.lacked |= seen.lacks;
        let is_complete = last.is_ours
            && workload
                .progress
                .is_complete(opened, workload.observed_generation);
        if !is_complete {
            seen.complete_since = None;
        } else if seen.complete_since.is_none() {
            seen.complete_since = Some(now);
        }
        true
    }

    /// Takes in what the pods of a workload's restart with this mark showed. Returns whether it is still the last one.
    pub(super) fn looked(
        &mut self,
        key: &WorkloadKey,
        mark: &str,
        look: Look,
        now: Timestamp,
    ) -> bool {
        let seen = self.by_key.get_mut(key).filter(|seen| seen.mark == mark);
        let known = seen.is_some();
        if let Some(seen) = seen {
            (seen.look, seen.looked) = (Some(look), Some(now));
            seen.lacked = seen.lacks;
        }
        known
    }

    /// Takes in that the pods of a workload's restart could not be listed.
    pub(super) fn could_not_look(&mut self, key: &WorkloadKey, now: Timestamp) {
        if let Some(seen) = self.by_key.get_mut(key) {
            seen.looked = Some(now);
        }
    }

    /// Returns when the rollout of a restart hangs, as far as nothing changes: a deadline after there were more new pods than
    /// ever. What flaps makes no progress.
    pub(super) fn hangs_at(&self, key: &WorkloadKey, tracked: &Tracked) -> Timestamp {
        let opened = tracked.workload.last.as_ref().map(|last| last.opened.at);
        let best = self.by_key.get(key).and_then(|seen| {
            // What flaps becomes ready again and again. To a process that has just started, all is new.
            let (_, first) = seen.best?;
            let progressed = seen.look.as_ref().and_then(|look| look.progressed);
            Some(progressed.map_or(first, |progressed| progressed.min(first)))
        });
        let since = opened.max(best).unwrap_or(Timestamp::MIN);
        later(since, self.patience(tracked).deadline)
    }

    /// Forgets a workload that is gone.
    pub(super) fn forget(&mut self, key: &WorkloadKey) {
        self.by_key.remove(key);
    }

    /// Returns the workloads of a namespace that were restarted.
    pub(super) fn within(&self, namespace: &str) -> impl Iterator<Item = &WorkloadKey> {
        self.by_key.within(namespace).map(|(key, _)| key)
    }

    /// Returns all workloads that were restarted.
    pub(super) fn keys(&self) -> impl Iterator<Item = &WorkloadKey> {
        self.by_key.iter().map(|(key, _)| key)
    }

    /// Returns what was told of a restart.
    pub(super) fn told(&self, key: &WorkloadKey) -> Told {
        self.by_key.get(key).map_or(Told::Nothing, |seen| seen.told)
    }

    /// Takes in what was told of a restart.
    pub(super) fn tell(&mut self, key: &WorkloadKey, told: Told) {
        if let Some(seen) = self.by_key.get_mut(key) {
            seen.told = told;
        }
    }

    /// Returns what a look at the pods of a restart showed.
    pub fn look(&self, key: &WorkloadKey) -> Option<&Look> {
        self.by_key.get(key)?.look.as_ref()
    }

    /// Remembers which restarts of a namespace are good: what becomes of their pods later has other reasons. Returns when
    /// time alone may make more of them good.
    pub(super) fn remember_good(
        &mut self,
        index: &Index,
        namespace: &str,
        now: Timestamp,
    ) -> Option<Timestamp> {
        let verdicts: Vec<_> = self
            .within(namespace)
            .filter_map(|key| {
                let verdict = self.verdict(key, index.workload(key)?, now);
                Some((key.clone(), verdict))
            })
            .collect();
        let mut soonest: Option<Timestamp> = None;
        for (key, verdict) in verdicts {
            if let Some(seen) = self.by_key.get_mut(&key) {
                seen.was_good = verdict == Some(Verdict::Good);
            }
            if let Some(Verdict::Rolling { next }) = verdict {
                soonest = soonest.into_iter().chain([next]).min();
            }
        }
        soonest
    }

    /// Returns the workloads whose pods are worth a look, those that were not looked at for longest first.
    pub fn to_look_at(&self, index: &Index, now: Timestamp) -> Vec<WorkloadKey> {
        let mut all: Vec<_> = self
            .by_key
            .iter()
            .filter(|(key, seen)| {
                let pause = LOOK_AGAIN.max(now.duration_since(seen.at) / 10);
                seen.looked.is_none_or(|at| now.duration_since(at) >= pause)
                    && index
                        .workload(key)
                        .is_some_and(|tracked| self.is_worth_a_look(key, tracked, now))
            })
            .map(|(key, seen)| (seen.looked, key.clone()))
            .collect();
        all.sort();
        all.into_iter().map(|(_, key)| key).collect()
    }

    /// Whether a look at the pods may change the verdict: there is none after a while, or it is good and pods were missing
    /// since the last look.
    pub(in crate::judge) fn is_worth_a_look(
        &self,
        key: &WorkloadKey,
        tracked: &Tracked,
        now: Timestamp,
    ) -> bool {
        let Some(last) = &tracked.workload.last else {
            return false;
        };
        if now.duration_since(last.opened.at) < FIRST_LOOK {
            return false;
        }
        let in_time = self.ends(key, tracked).is_some_and(|ends| now < ends);
        match self.verdict(key, tracked, now) {
            // What failed may be good after all.
            Some(Verdict::Rolling { .. } | Verdict::Failed(_)) => true,
            Some(Verdict::Good) => {
                let seen = self.by_key.get(key);
                let goes_on = tracked.workload.progress.is_under_way();
                seen.is_some_and(|it| in_time && it.lacked || goes_on && it.look.is_none())
            }
            Some(Verdict::Void(_)) | None => false,
        }
    }

    /// Returns what became of a workload's last restart; `None` where there was none, or the rollout is somebody else's.
    pub fn verdict(&self, key: &WorkloadKey, tracked: &Tracked, now: Timestamp) -> Option<Verdict> {
        let workload = &tracked.workload;
        let last = workload.last.as_ref()?;
        let seen = self
            .by_key
            .get(key)
            .filter(|seen| seen.mark == last.opened.mark);
        let facts = Facts {
            began: seen.and_then(|seen| seen.began),
            complete_since: seen.and_then(|seen| seen.complete_since),
            was_good: seen.is_some_and(|seen| seen.was_good),
            look: seen.and_then(|seen| seen.look.as_ref()),
            ..Facts::of(workload)?
        };
        let verdict = verdict(&facts, self.patience(tracked), now);
        let Some(next) = self.unsure_until(key, tracked, now) else {
            return verdict;
        };
        match verdict {
            // Its pods may show that it was good.
            Some(Verdict::Failed(Failed::Deadline)) => Some(Verdict::Rolling { next }),
            // That it is complete, or was, is no proof: what ends again and again is so now and then.
            Some(Verdict::Good) if !facts.was_good => Some(Verdict::Rolling { next }),
            verdict => verdict,
        }
    }

    /// Returns until when a restart that has no verdict yet may have had one already: this process began after it, and has not
    /// looked at its pods.
    pub(super) fn unsure_until(
        &self,
        key: &WorkloadKey,
        tracked: &Tracked,
        now: Timestamp,
    ) -> Option<Timestamp> {
        let opened = &tracked.workload.last.as_ref()?.opened;
        let seen = self.by_key.get(key).filter(|seen| seen.look.is_none())?;
        let until = later(seen.known, LOOKED_BY);
        let began_after = seen.known >= later(opened.at, FIRST_LOOK);
        (began_after && now < until).then_some(until)
    }

    /// Whether a restart of a workload counts as rolling: it is neither complete, nor failed, nor void.
    pub fn rolls(&self, key: &WorkloadKey, tracked: &Tracked, now: Timestamp) -> bool {
        let workload = &tracked.workload;
        let Some(last) = workload.last.as_ref().filter(|last| last.is_ours) else {
            // A release that wrote no `reroll.dev/rollout` restarted it, or somebody else.
            return workload.rollout == Rollout::Rolling && !workload.restarted_for.is_empty();
        };
        let is_complete = workload
            .progress
            .is_complete(&last.opened, workload.observed_generation);
        let verdict = self.verdict(key, tracked, now);
        let hangs = now >= self.hangs_at(key, tracked);
        !is_complete && !hangs && matches!(verdict, Some(Verdict::Good | Verdict::Rolling { .. }))
    }

    /// Returns a workload's last restart where it was for the same sources, and is not good: it was well before that one. How it is now
    /// tells nothing, and whether another version mends it tells something about that version. A `StatefulSet` that goes pod by pod
    /// tells nothing: its controller does not replace a pod that is not ready, so that what follows may come late, or never.
    pub(super) fn goes_on<'a>(
        &self,
        key: &WorkloadKey,
        tracked: &Tracked,
        sources: impl IntoIterator<Item = &'a Changed>,
        now: Timestamp,
    ) -> Option<Restarted> {
        let last = tracked.workload.last.as_ref();
        let last = last.filter(|last| last.is_ours && last.opened.well)?;
        let same = |changed: &Changed| last.opened.versions.contains_key(changed);
        if tracked.workload.progress.in_order || !sources.into_iter().any(same) {
            return None;
        }
        let verdict = self.verdict(key, tracked, now);
        counted(&last.opened, verdict.as_ref()).filter(|it| it.stands != Stands::Good)
    }

    /// Returns by when what the new pods of a workload's last restart show is the restart's.
    pub fn ends(&self, key: &WorkloadKey, tracked: &Tracked) -> Option<Timestamp> {
        let workload = &tracked.workload;
        let opened = &workload.last.as_ref()?.opened;
        let began = self.by_key.get(key).and_then(|seen| seen.began);
        let is_unseen = opened.is_unseen(workload.observed_generation);
        let patience = self.patience(tracked);
        Some(patience.ends(opened, began, &workload.progress, is_unseen))
    }

    /// Returns for how long the pods of a workload are looked at.
    pub fn patience(&self, tracked: &Tracked) -> Patience {
        self.patience
            .as_asked(&tracked.policy.brakes, &tracked.workload.progress)
    }
}

/// Whether pods are missing: some, or all new ones with older ones in their place.
fn lacks(progress: &Progress) -> bool {
    let has_no_new = progress.counts.is_some() && progress.new_and_available() == 0;
    has_no_new || progress.unavailable() > 0
}
