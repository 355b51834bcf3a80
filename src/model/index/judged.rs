//! A decision on a workload, with what else is known of it.

use std::time::Duration;

use super::Tracked;
use crate::model::{
    absent::Absent,
    decide::{Decision, restart_id},
    digest::DigestKey,
    gate::suspend::Stop,
    policy::Complaint,
    workload::{Kind, RestartMeans, Rollout, Stays},
};

/// A decision with what else matters for carrying it out.
#[derive(Clone, Debug)]
pub struct Judged {
    /// `None` where the workload is unknown, did not opt in, has a controller as owner, or is being deleted.
    pub decision: Option<Decision>,
    /// `observed` is to be written or removed.
    pub unwritten: bool,
    /// Its user lets the restart that is due past what holds it.
    pub released: bool,
    /// Who says `reroll.dev/suspend`, and what; not the workload itself where its restart is released.
    pub stop: Option<Stop>,
    /// An Argo Rollout that has its template is aborted, which a restart would end.
    pub aborted: bool,
    /// `reroll.dev/settle`
    pub settle: Option<Duration>,
    /// How long changes are to gather after the first of them, and when that was, in unix seconds, as far as the sources
    /// themselves tell.
    pub gather: Option<(Duration, Option<i64>)>,
    /// Its pods are not those of its template after a restart, and will not be by themselves.
    pub stays: Option<Stays>,
    /// The owner that would revert what reroll writes, of a workload that opted in.
    pub owner: Option<String>,
    /// The owner that took back the mark of the last restart.
    pub taken_back: Option<String>,
    /// What its pods do not start without, and is not there.
    pub absent: Vec<Absent>,
    /// What of its annotations cannot be read.
    pub complaints: Vec<Complaint>,
}

impl Judged {
    /// Whether a restart waits until its user, or its Rollout's, lets it go.
    pub fn is_held_back(&self) -> bool {
        self.stop.is_some() || self.aborted
    }
}

/// Whether the user of a workload lets the restart that this decision is past what holds it.
pub(super) fn released(
    tracked: Option<&Tracked>,
    decision: Option<&Decision>,
    key: &DigestKey,
) -> bool {
    let (Some(tracked), Some(Decision::Restart(restart))) = (tracked, decision) else {
        return false;
    };
    let asked = tracked.policy.gates.as_ref();
    let asked = asked.is_some_and(|gates| gates.release.is_some());
    // To work out the id takes time, and few ask for any.
    asked
        && tracked
            .policy
            .is_released(&restart_id(&tracked.workload, restart, tracked.uses(), key))
}

/// Returns why the pods of a workload that was restarted are not those of its template, and will not be by themselves.
pub(super) fn stays(tracked: &Tracked, kind: Kind) -> Option<Stays> {
    let workload = &tracked.workload;
    let Rollout::Stays(stays) = workload.rollout else {
        return None;
    };
    // With Argo, others' deploys that wait to be promoted are everyday.
    let by_argo = kind.means == RestartMeans::RestartAt;
    let is_ours = || workload.last.as_ref().is_some_and(|last| last.is_ours);
    (!workload.restarted_for.is_empty() && (!by_argo || is_ours())).then_some(stays)
}
