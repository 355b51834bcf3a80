//! Tells of what workloads need and is absent, while this replica leads.

use std::{sync::Arc, time::Duration};

use tokio::time::{Instant, sleep_until};
use tokio_util::sync::CancellationToken;

use crate::{
    cluster::lease::Leadership,
    judge::{Judge, missing},
};

/// The longest time between two looks.
const BEAT: Duration = Duration::from_secs(30);

/// Tells of it until `stop`.
pub async fn tell(judge: Arc<Judge>, mut leadership: Leadership, stop: CancellationToken) {
    while !stop.is_cancelled() {
        let next = leadership.leads().then(|| missing::tell(&judge)).flatten();
        let last = Instant::now() + BEAT;
        tokio::select! {
            () = stop.cancelled() => return,
            () = judge.absences_changed.notified() => {}
            () = leadership.changed() => {}
            () = sleep_until(next.map_or(last, |next| next.min(last))) => {}
        }
    }
}
