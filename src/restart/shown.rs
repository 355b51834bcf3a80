//! Writes on workloads why their restarts wait, where a person may have to act on it: `reroll.dev/pending`.
//!
//! It goes with the restart's own patch, or by housekeeping when nothing is pending any more.

use jiff::Timestamp;
use tokio::time::Instant;

use super::order::Order;
use crate::{
    judge::{
        brakes::{ToShow, moved_of},
        intents::Intent,
        live::Live,
    },
    model::{
        Decision, WorkloadKey, annotation::PENDING, decide::Restart, held::Held, patch, peer::May,
        pending::Pending,
    },
};

/// The most writes of a second, and one more where brakes take all of them.
const WRITES: usize = 5;

/// Writes it for some of those that have waited for long.
pub(super) async fn show(live: &Live) {
    let judge = &live.judge;
    let (braked, stopped) = {
        let mut docket = judge.docket();
        let index = judge.state.index();
        let now = judge.state.time();
        let braked = docket.brakes.to_show(&index, WRITES, now);
        let left = WRITES.saturating_sub(braked.len()).max(1);
        (braked, docket.stopped.to_show(&index, left, now))
    };
    for one in braked {
        write_braked(live, one).await;
    }
    for key in stopped {
        write_stopped(live, &key).await;
    }
}

async fn write_braked(live: &Live, one: ToShow) {
    let ToShow {
        key,
        held,
        since,
        failed,
        by,
        moved,
    } = one;
    let judged = live.judge.judge_taken(&key);
    if let Some(Decision::Restart(restart)) = &judged.decision {
        let because = |pending: Pending, _: Option<&Pending>| {
            let pending = pending.because(&failed).held_by(by);
            pending.since_moved(moved)
        };
        write(live, &key, restart, (held, since), because).await;
    }
}

async fn write_stopped(live: &Live, key: &WorkloadKey) {
    let judge = &live.judge;
    let judged = judge.judge_taken(key);
    let (Some(Decision::Restart(restart)), Some(stop)) = (&judged.decision, &judged.stop) else {
        return;
    };
    if judge.may(key) != May::Work {
        return;
    }
    let since = judge.state.time();
    let moved = moved_of(&judge.state.index(), key, restart, since);
    // Whose failures held the same restart before still holds others.
    let by = |pending: Pending, stands: Option<&Pending>| {
        let same = stands.filter(|stands| stands.id == pending.id);
        let failed = same.map(|stands| stands.failed.clone());
        let pending = pending.held_by(stop.words(&key.namespace));
        let pending = pending.since_moved(moved);
        pending.because(&failed.unwrap_or_default())
    };
    write(live, key, restart, (Held::Suspended, since), by).await;
}

/// Writes why a restart waits, and since when; `with` adds what else there is to say to what stands.
async fn write(
    live: &Live,
    key: &WorkloadKey,
    restart: &Restart,
    (held, since): (Held, Timestamp),
    with: impl FnOnce(Pending, Option<&Pending>) -> Pending,
) {
    let intent = Intent::now(key, Instant::now());
    let Ok(order) = Order::prepare(live, &intent, restart) else {
        return;
    };
    let stands = Pending::of(&order.known);
    let pending = Pending::now(
        stands.as_ref(),
        held,
        order.causes,
        order.id,
        String::new(),
        since,
    );
    let text = with(pending, stands.as_ref()).print();
    let observed = order.known.observed.as_ref().map_or(0, String::len);
    if !order
        .known
        .has_room(observed + PENDING.len() + text.len(), None)
    {
        return;
    }
    let patch = patch::hold(key.kind, &order.known, &text);
    if let Err(failure) = live.write(key, &patch).await {
        tracing::debug!(workload = %key, failure = failure.as_str(), "could not write why a restart waits");
    }
}
