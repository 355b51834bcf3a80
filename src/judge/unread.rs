//! The sources that are to be read because somebody begins to use single keys of them, see [`super::reads`].

use std::collections::BTreeSet;

use parking_lot::Mutex;
use tokio::sync::Notify;

use crate::model::SourceKey;

/// The sources to be read: no more than are used.
#[derive(Debug, Default)]
pub(super) struct Unread {
    sources: Mutex<BTreeSet<SourceKey>>,
    more: Notify,
}

impl Unread {
    pub(super) fn add(&self, source: SourceKey) {
        if self.sources.lock().insert(source) {
            self.more.notify_one();
        }
    }

    /// Returns one of them, as soon as there is one.
    pub(super) async fn next(&self) -> SourceKey {
        loop {
            let next = self.sources.lock().pop_first();
            match next {
                Some(next) => return next,
                None => self.more.notified().await,
            }
        }
    }
}
