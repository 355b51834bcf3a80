//! A restart that the API server refuses: by a policy, an admission webhook or a schema.
//!
//! It is tried again for ever, for policies change. Meanwhile it stands on the workload (`reroll.dev/pending`), where every
//! replica's webhook reads it and adds no mark to writes of others: those would be refused, too. So `observed` stays
//! behind, whoever rolls the pods. When a rollout by another client is complete, and its pods were made after the change,
//! that is recorded without a restart.
//!
//! An answer does not tell a policy from a failed `test`. So it is a refusal where a try before failed too, and the workload
//! is now as the patch had tested it.

use jiff::Timestamp;
use kube::core::DynamicObject;

use super::{
    Restarter,
    order::{Order, changed},
    recorded::{made_since, record},
};
use crate::{
    cluster::{Failure, pods},
    judge::{
        intents::{Finish, Intent},
        live::Live,
    },
    model::{
        WorkloadKey,
        annotation::PENDING,
        decide::{Restart, restart_id},
        held::Held,
        note::Note,
        patch,
        pending::{self, Pending},
        workload::{OlderPods, RestartBy, Rollout, Stays, Workload},
    },
};

/// So often it is tried whether a rollout of others can be recorded, before the restart is made.
const RECORDED_FIRST: u32 = 5;

/// What another client's rollout makes of a restart.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum ByOthers {
    /// There is none: the restart is tried again.
    None,
    /// It is under way. A restart in the middle of it could be one too many.
    Rolls,
    /// It is complete, and recorded.
    Recorded,
    /// It is complete, and could not be recorded yet.
    NotYet,
}

impl Restarter {
    /// Notes and tells that the patch of a restart failed. Returns when it is tried again.
    pub(super) async fn not_restarted(&self, order: &Order<'_>, failure: &Failure) -> Finish {
        self.note_refusal(order, failure).await;
        self.failed(order, failure)
    }

    /// Notes that a restart failed, where that was a refusal: tells it if it is news, and writes it on the workload.
    async fn note_refusal(&self, order: &Order<'_>, failure: &Failure) {
        let Order { intent, known, .. } = order;
        let key = &intent.workload;
        let pends = Pending::of(known).filter(|pending| pending.reason == Held::Refused);
        let again = intent.attempts > 0 || pends.is_some();
        if !again || !is_refusal(failure) || !changes_template(known) {
            return;
        }
        let Ok(object) = self.live.as_known(key, known).await else {
            return;
        };
        if Workload::read(key.kind, &object).marks != known.marks {
            return;
        }
        let judge = &self.live.judge;
        let news = judge.docket().held.hold(key, Some(Held::Refused));
        if news {
            let causes = order.causes;
            judge.teller.say(key, &Note::Refused { causes });
        }
        let text = self.pending(order, &object, pends.as_ref());
        let same = known.pending.as_ref() == Some(&text);
        // If a policy refuses that write as well, it is not tried again and again.
        if same || !(news || pends.is_some()) {
            return;
        }
        let observed = known.observed.as_ref().map_or(0, String::len);
        if known.has_room(observed + PENDING.len() + text.len(), None) {
            let patch = patch::hold(key.kind, known, &text);
            if let Err(failure) = self.live.write(key, &patch).await {
                tracing::debug!(workload = %key, failure = failure.as_str(), "could not write that a restart is refused");
            }
        }
    }

    /// Returns the text of `reroll.dev/pending`; `stands`: what it says now.
    fn pending(
        &self,
        order: &Order<'_>,
        object: &DynamicObject,
        stands: Option<&Pending>,
    ) -> String {
        let state = &self.live.judge.state;
        let index = state.index();
        let kind = order.intent.workload.kind;
        let template = pending::template_id(kind, object, index.key());
        let (id, now) = (order.id.clone(), state.time());
        if let Some(stands) = stands.filter(|stands| stands.id == id) {
            // The template that was there when it was refused first: what others make of it since counts.
            return stands.print();
        }
        Pending::now(stands, Held::Refused, order.causes, id, template, now).print()
    }
}

/// Whether the API server, or who it asks, may refuse a write so.
fn is_refusal(failure: &Failure) -> bool {
    match failure {
        Failure::Conflict | Failure::Forbidden | Failure::Unauthorized => true,
        Failure::Refused(code) => (400..500).contains(code),
        _ => false,
    }
}

/// Whether a restart is a change that a policy about templates may refuse.
fn changes_template(workload: &Workload) -> bool {
    !matches!(workload.restart_by, RestartBy::Run | RestartBy::Recreate)
}

/// Finds out whether another client's rollout took the place of a restart that is refused, or is for a mark that is away, and records that.
pub(super) async fn rolled_by_others(live: &Live, intent: &Intent, restart: &Restart) -> ByOthers {
    let key = &intent.workload;
    match made_since(live, key, restart).await {
        Ok(true) => return ByOthers::Recorded,
        Err(failure) if intent.attempts < RECORDED_FIRST => {
            tracing::debug!(workload = %key, failure = failure.as_str(), "could not record a rollout, trying again");
            return ByOthers::NotYet;
        }
        // What cannot be found out is in doubt.
        Ok(false) | Err(_) => {}
    }
    let Some((known, pending)) = refused(live, key, restart) else {
        return ByOthers::None;
    };
    let Ok(object) = live.as_known(key, &known).await else {
        return ByOthers::NotYet;
    };
    let template = {
        let index = live.judge.state.index();
        pending::template_id(key.kind, &object, index.key())
    };
    if template == pending.template {
        return ByOthers::None;
    }
    let now = Workload::read(key.kind, &object);
    match (now.older_pods(), now.rollout) {
        (OlderPods::Gone | OlderPods::NoPods | OlderPods::Untold, _) => {}
        (OlderPods::Left, Rollout::Stays(Stays::Paused | Stays::OnDelete | Stays::Partitioned)) => {
            return ByOthers::None;
        }
        (OlderPods::Left, Rollout::Rolling | Rollout::Complete) => return ByOthers::Rolls,
    }
    match made_after(live, key, restart, &pending, now.older_pods()).await {
        Ok(true) => match record(live, key, &known, restart).await {
            Ok(false) => ByOthers::None,
            Ok(true) => {
                tracing::info!(workload = %key, "another client rolled a workload whose restart was refused: recorded");
                ByOthers::Recorded
            }
            Err(failure) => {
                tracing::debug!(workload = %key, failure = failure.as_str(), "could not record a rollout, trying again");
                ByOthers::NotYet
            }
        },
        Ok(false) => ByOthers::None,
        Err(_) => ByOthers::NotYet,
    }
}

/// Returns the workload and what is pending of it, where that is this very restart, and refused.
fn refused(live: &Live, key: &WorkloadKey, restart: &Restart) -> Option<(Workload, Pending)> {
    let index = live.judge.state.index();
    let tracked = index.workload(key)?;
    let workload = &tracked.workload;
    let pending = Pending::of(workload)?;
    let id = restart_id(workload, restart, tracked.uses(), index.key());
    let is_it = pending.reason == Held::Refused && pending.id == id;
    (is_it && changes_template(workload)).then(|| (workload.clone(), pending))
}

/// Whether all pods were made after what the restart is for. The template is another one since then, so equal seconds are
/// no doubt; unless the status does not tell which template pods are of.
async fn made_after(
    live: &Live,
    key: &WorkloadKey,
    restart: &Restart,
    pending: &Pending,
    older: OlderPods,
) -> Result<bool, Failure> {
    let since = changed(live, key, restart).map_or(i64::MIN, Timestamp::as_second);
    let since = match older {
        OlderPods::Untold => since.max(pending.since.as_second()).saturating_add(1),
        _ => since,
    };
    let pods = pods::of(&live.cluster, key).await?;
    let made = |pods: Vec<_>| {
        let mut made = pods.iter().filter_map(pods::seen).map(|(made, _)| made);
        made.all(|made| made >= since)
    };
    Ok(pods.is_some_and(made))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_may_be_a_refusal() {
        for (failure, expected) in [
            (Failure::Conflict, true),
            (Failure::Forbidden, true),
            // As some admission webhooks do that give no code.
            (Failure::Refused(400), true),
            (Failure::Refused(500), false),
            (Failure::Gone, false),
            (Failure::Overloaded, false),
            (Failure::Timeout, false),
            (Failure::Unreachable(String::new()), false),
        ] {
            assert_eq!(is_refusal(&failure), expected, "{failure}");
        }
    }
}
