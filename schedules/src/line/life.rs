//! The life of one process.

use std::{sync::Arc, time::Duration};

use tokio::sync::watch;

/// One process. It is over when it was killed: nothing it asks for is sent then.
pub(crate) struct Life(watch::Sender<Option<Duration>>);

impl Life {
    pub(crate) fn new() -> Arc<Self> {
        Arc::new(Self(watch::channel(None).0))
    }

    /// Kills the process, as by SIGKILL. It is started again after a while.
    pub(crate) fn end(&self, away: Duration) {
        self.0.send_if_modified(|over| {
            let first = over.is_none();
            over.get_or_insert(away);
            first
        });
    }

    pub(crate) fn is_over(&self) -> bool {
        self.0.borrow().is_some()
    }

    /// Waits until it is killed. Returns after how long it is started again.
    pub(crate) async fn ended(&self) -> Duration {
        let mut told = self.0.subscribe();
        let over = told.wait_for(Option::is_some).await;
        over.ok().and_then(|over| *over).unwrap_or_default()
    }
}
