//! A namespace that has had much decided lets others go first.

use std::{sync::Arc, time::Duration};

use futures::FutureExt as _;
use tokio::time::Instant;

use super::*;

const LONG: Duration = Duration::from_secs(1);

#[tokio::test(start_paused = true)]
async fn decisions_wait_where_much_was_decided_and_none_is_lost() {
    let stage = Stage::set();
    stage.secret("s", "A", "x");
    let web = stage.adopted(deployment("web", &["s"]));
    stage.adopted(deployment("api", &["s"]));
    let judge = &stage.judge;
    let busy = || {
        let mut turns = judge.turns.lock();
        turns.took(&web.namespace, LONG, Instant::now());
    };
    // As long as nobody makes those that wait, none does.
    busy();
    stage.secret("s", "A", "y");
    assert_eq!((judge.waiting().len(), stage.pending().intents), (0, 2));

    let mut turns = Box::pin(Arc::clone(judge).take_turns());
    assert!(turns.as_mut().now_or_never().is_none());
    busy();
    stage.secret("s", "A", "z");
    stage.secret("s", "A", "x");
    assert_eq!(judge.waiting().len(), 2, "each workload once");
    assert_eq!(stage.pending().intents, 2, "of what was decided before");
    // One at a time: what else there is to do goes on in between.
    for left in [1, 0] {
        assert!(turns.as_mut().now_or_never().is_none());
        assert_eq!(judge.waiting().len(), left);
    }
    // The data is what it was at first: nothing is to be done any more.
    assert_eq!(stage.pending().intents, 0);
}
