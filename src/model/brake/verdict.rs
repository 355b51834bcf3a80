//! What became of a restart.
//!
//! A restart is open from its patch to its verdict, and only while its mark and its template are there: otherwise the rollout is
//! somebody else's, and there is no verdict. It is *good* with its first good pod, because the question is whether the new value
//! works; the workload's own strategy guards the rest. Later failures are the restart's only within its deadline.

use jiff::{SignedDuration, Timestamp};

use super::{
    failed::Failed,
    later,
    look::Look,
    slow_start::{Restarted, Stands},
};
use crate::model::{
    policy::{Brakes, LONGEST_DEADLINE},
    workload::{Opened, Progress, Void, Workload},
};

/// So long after its deadline a restart that was complete once has no verdict any more: what fails then has another reason.
const CLOSED: SignedDuration = SignedDuration::from_hours(24);

/// So long after its deadline a restart has no verdict any more whose status does not tell whether it was ever complete.
const FORGOTTEN: SignedDuration = SignedDuration::from_hours(72);

/// So far may the clock of the process be ahead that made a restart.
const AHEAD: SignedDuration = SignedDuration::from_mins(1);

/// For how long pods are looked at.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Patience {
    /// How long a new pod has to run.
    pub soak: SignedDuration,
    /// The same for a restart that goes alone.
    pub bake: SignedDuration,
    /// When a restart that is not good has failed.
    pub deadline: SignedDuration,
}

impl Default for Patience {
    fn default() -> Self {
        Self {
            soak: SignedDuration::from_secs(10),
            bake: SignedDuration::from_mins(1),
            deadline: SignedDuration::from_mins(10),
        }
    }
}

impl Patience {
    /// Returns the same as a workload asks for it. A longer deadline for progress of its own counts, up to
    /// [`LONGEST_DEADLINE`]. Who asks for a soak has it before the deadline, which is later by that.
    #[must_use]
    pub fn of(
        self,
        soak: Option<SignedDuration>,
        deadline: Option<SignedDuration>,
        own: Option<SignedDuration>,
    ) -> Self {
        let asked = deadline.unwrap_or(self.deadline);
        Self {
            soak: soak.unwrap_or(self.soak),
            bake: soak.map_or(self.bake, |soak| soak.max(self.bake)),
            deadline: asked
                .max(own.unwrap_or(asked))
                .min(LONGEST_DEADLINE)
                .saturating_add(soak.unwrap_or_default()),
        }
    }

    /// Returns the same as this workload asks for it.
    #[must_use]
    pub fn as_asked(self, asks: &Brakes, progress: &Progress) -> Self {
        self.of(asks.soak, asks.deadline, progress.deadline)
    }

    /// Returns by when what a restart's new pods show is the restart's: its deadline. One that is complete later, or too late to run
    /// for long enough before it, gets as long again from then on, for its pods began so late. So does one that `began` later than
    /// it was made.
    pub fn ends(
        self,
        opened: &Opened,
        began: Option<Timestamp>,
        progress: &Progress,
        is_unseen: bool,
    ) -> Timestamp {
        let began = began.map_or(opened.at, |began| began.max(opened.at));
        let deadline = later(began, self.deadline);
        let completed = progress.completed_at.filter(|_| !is_unseen);
        let completed = completed.and_then(|at| Timestamp::from_second(at).ok());
        // The status has no fractions of a second: it was complete by the end of that one.
        let needs = self
            .needed(opened)
            .saturating_add(SignedDuration::from_secs(1));
        let late = completed.filter(|at| later(*at, needs) > deadline);
        late.map_or(deadline, |at| later(at, self.deadline))
    }

    /// Returns for how long a new pod of a restart has to run.
    pub fn needed(self, opened: &Opened) -> SignedDuration {
        if opened.alone { self.bake } else { self.soak }
    }
}

/// What became of a restart.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Verdict {
    /// A new pod runs.
    Good,
    /// It failed.
    Failed(Failed),
    /// Neither is known yet.
    Rolling {
        /// When time alone may change that.
        next: Timestamp,
    },
    /// There is nothing to see.
    Void(Void),
}

/// What is known of a restart.
#[expect(
    clippy::struct_excessive_bools,
    reason = "each is a fact of its own about the restart"
)]
#[derive(Clone, Copy, Debug)]
pub struct Facts<'a> {
    /// The restart.
    pub opened: &'a Opened,
    /// Whether its mark and its template are there.
    pub is_ours: bool,
    /// What the status shows.
    pub progress: &'a Progress,
    /// Whether that status was made before the restart: its controller is behind.
    pub is_unseen: bool,
    /// When it began later than it was made, as far as that was seen: it was paused, or behind a partition.
    pub began: Option<Timestamp>,
    /// Whether it is aborted.
    pub aborted: bool,
    /// Since when it is complete, as far as that was seen.
    pub complete_since: Option<Timestamp>,
    /// Whether it was good before, as far as that was seen.
    pub was_good: bool,
    /// What its pods showed, once they were looked at.
    pub look: Option<&'a Look>,
}

impl<'a> Facts<'a> {
    /// Returns what a workload shows of its last restart to somebody who has seen nothing else; `None` where there was none.
    pub fn of(workload: &'a Workload) -> Option<Self> {
        let last = workload.last.as_ref()?;
        Some(Self {
            opened: &last.opened,
            is_ours: last.is_ours,
            progress: &workload.progress,
            is_unseen: last.opened.is_unseen(workload.observed_generation),
            began: None,
            // What is restarted by time while it is aborted stays so: the abort is of its template.
            aborted: workload.abort.is_aborted() && !workload.marks.is_by_time(),
            complete_since: None,
            was_good: false,
            look: None,
        })
    }
}

/// Returns what became of a restart at `now`; `None` where the rollout is somebody else's, or it is too late to tell.
pub fn verdict(facts: &Facts<'_>, patience: Patience, now: Timestamp) -> Option<Verdict> {
    let Facts {
        opened,
        progress,
        look,
        ..
    } = facts;
    // One that is not made yet is forged, or its clock is far ahead: it must not hold others.
    if !facts.is_ours || opened.at > later(now, AHEAD) {
        return None;
    }
    if let Some(void) = progress.void {
        return Some(Verdict::Void(void));
    }
    let deadline = patience.ends(opened, facts.began, progress, facts.is_unseen);
    let is_over = now >= deadline;
    let trouble = look.and_then(|look| look.trouble.as_ref());
    let failed = trouble.map(|it| Verdict::Failed(Failed::Pod(it.reason, it.said.clone())));
    match failed {
        Some(failed) if !is_over => Some(failed),
        _ if facts.aborted && !(is_over && facts.was_good) => {
            Some(Verdict::Failed(Failed::Aborted))
        }
        _ if facts.was_good => Some(Verdict::Good),
        failed => {
            let good_at = good_at(facts, patience);
            if good_at.is_some_and(|good| good <= now) {
                return Some(Verdict::Good);
            }
            let was_complete = progress.was_complete && !facts.is_unseen;
            match failed {
                Some(_) if was_complete && now >= later(deadline, CLOSED) => None,
                Some(failed) => Some(failed),
                // Where its kind does not tell when it was: it is, since a short while ago.
                None if is_over && was_complete => {
                    let since_now = good_at.filter(|_| progress.completed_at.is_none());
                    Some(since_now.map_or(Verdict::Good, |next| Verdict::Rolling { next }))
                }
                None if is_unmarked(facts) => Some(Verdict::Void(Void::Unmarked)),
                // Nothing tells any more whether it was complete once.
                None if progress.by_node && now >= later(deadline, FORGOTTEN) => None,
                None if is_over && good_at.is_none() && is_made_again(facts) => None,
                None if is_over && good_at.is_none() => Some(Verdict::Failed(Failed::Deadline)),
                None => {
                    let image = look.and_then(|look| look.next);
                    let times = [good_at, image, Some(deadline)].into_iter().flatten();
                    let next = times.filter(|next| *next > now).min();
                    Some(Verdict::Rolling {
                        next: next.unwrap_or(deadline),
                    })
                }
            }
        }
    }
}

/// Returns from when on a restart is good, as far as nothing changes.
fn good_at(facts: &Facts<'_>, patience: Patience) -> Option<Timestamp> {
    let look = facts.look;
    let running = look.and_then(|look| look.runs_since);
    // What ends and starts again is complete now and then.
    let complete = facts
        .complete_since
        .filter(|_| look.is_none_or(|look| look.trouble.is_none()));
    let since = [running, complete].into_iter().flatten().min();
    since.map(|since| later(since, patience.needed(facts.opened)))
}

/// Whether there is nothing to see: the status tells nothing of its pods, and none carries the mark.
fn is_unmarked(facts: &Facts<'_>) -> bool {
    facts.progress.counts.is_none() && facts.look.is_some_and(|look| look.new == 0)
}

/// Whether pods of its template are available, and none of those that were made in time: nodes come and go, and so do the pods of a
/// `DaemonSet`, whose status does not tell whether it was complete once.
fn is_made_again(facts: &Facts<'_>) -> bool {
    let progress = facts.progress;
    progress.by_node && facts.look.is_some() && progress.new_and_available() > 0
}

/// Returns a restart as it counts for others; `None` where it does not. One that was not well before counts only when good.
pub fn counted(opened: &Opened, verdict: Option<&Verdict>) -> Option<Restarted> {
    let stands = match verdict? {
        Verdict::Good => Stands::Good,
        Verdict::Failed(_) if opened.well => Stands::Failed,
        Verdict::Rolling { .. } if opened.well => Stands::Rolling,
        Verdict::Failed(_) | Verdict::Rolling { .. } | Verdict::Void(_) => return None,
    };
    let at = opened.at;
    Some(Restarted { at, stands })
}

#[cfg(test)]
mod tests;
