//! Writes on workloads why their restarts wait, where a person may have to act on it: `reroll.dev/pending`.
//!
//! It goes with the restart's own patch, or by housekeeping when nothing is pending any more.

use super::order::Order;
use crate::{
    judge::{brakes::ToShow, intents::Intent, live::Live},
    model::{Decision, patch, pending::Pending},
};

/// The most writes of a second.
const WRITES: usize = 5;

/// Writes it for some of those that have waited for long.
pub(super) async fn show(live: &Live) {
    let judge = &live.judge;
    let due = {
        let mut docket = judge.docket();
        let index = judge.state.index();
        docket.brakes.to_show(&index, WRITES, judge.state.time())
    };
    for one in due {
        write(live, one).await;
    }
}

async fn write(live: &Live, ToShow { key, held, failed }: ToShow) {
    let key = &key;
    let judge = &live.judge;
    let judged = judge.judge_taken(key);
    let Some(Decision::Restart(restart)) = &judged.decision else {
        return;
    };
    let intent = Intent::now(key, tokio::time::Instant::now());
    let Ok(order) = Order::prepare(live, &intent, restart) else {
        return;
    };
    let stands = Pending::of(&order.known);
    let text = Pending::now(
        stands.as_ref(),
        held,
        order.causes,
        order.id,
        String::new(),
        judge.state.time(),
    );
    let text = text.because(&failed).print();
    let observed = order.known.observed.as_ref().map_or(0, String::len);
    if !order.known.has_room(observed + text.len(), 0) {
        return;
    }
    let patch = patch::hold(key.kind, &order.known, &text);
    if let Err(failure) = live.write(key, &patch).await {
        tracing::debug!(workload = %key, failure = failure.as_str(), "could not write why a restart waits");
    }
}
