//! Whether this replica leads, for all tasks that restart or write.

use std::time::Duration;

use tokio::{sync::watch, time::Instant};

/// Tells tasks whether this replica leads: until when, or `None`.
#[derive(Clone, Debug)]
pub struct Leadership(watch::Receiver<Option<Instant>>);

impl Leadership {
    /// Makes one that always leads, for tests without a Lease.
    pub fn always() -> Self {
        let far = Instant::now() + Duration::from_hours(24 * 365);
        Self(watch::channel(Some(far)).1)
    }

    /// Leads until the time that the other end says; `None`: it does not.
    pub(super) fn told_by(election: watch::Receiver<Option<Instant>>) -> Self {
        Self(election)
    }

    /// Leads until the time that the other end says.
    #[cfg(test)]
    pub(crate) fn scripted() -> (watch::Sender<Option<Instant>>, Self) {
        let (says, told) = watch::channel(None);
        (says, Self(told))
    }

    /// Whether this replica leads right now. Ask directly before acting: the answer may change at any time.
    pub fn leads(&self) -> bool {
        self.0.borrow().is_some_and(|until| Instant::now() < until)
    }

    /// Waits until this replica wins, loses or renews the leadership.
    pub async fn changed(&mut self) {
        if self.0.changed().await.is_err() {
            std::future::pending::<()>().await;
        }
    }
}
