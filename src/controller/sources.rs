//! What becomes known of sources, and who is judged for it.

use super::{Controller, Occasion};
use crate::model::{
    SourceKey, SourceKind, Version,
    index::{By, SourceChange},
};

impl Controller {
    /// A source exists in this version.
    pub fn source_applied(&self, key: &SourceKey, version: Version, by: By) {
        let change = self.state.index_mut().take_source(key, version, by);
        self.source_changed(key, change);
    }

    /// A source that was asked for is not there.
    pub fn source_missed(&self, key: &SourceKey, by: By) {
        let now = self.state.now();
        let change = self.state.index_mut().miss_source(key, by, now);
        self.source_changed(key, change);
    }

    /// A source is gone since this resourceVersion.
    pub fn source_deleted(&self, key: &SourceKey, resource_version: u64) {
        let now = self.state.now();
        let change = self
            .state
            .index_mut()
            .delete_source(key, resource_version, now);
        self.source_changed(key, change);
    }

    /// A list of sources is complete: from now on absence means something there.
    pub fn source_listed(&self, kind: SourceKind, within: Option<&str>) {
        let news = match within {
            None => self.state.index_mut().set_synced(kind),
            Some(namespace) => self.state.index_mut().set_synced_in(kind, namespace),
        };
        if news && self.is_listed() {
            self.judge_all();
        }
    }

    pub(super) fn source_changed(&self, key: &SourceKey, change: SourceChange) {
        if change.older {
            self.history.shown_older();
        }
        if change.changed {
            tracing::debug!(source = %key, recreated = change.recreated, users = change.users.len(), "a source changed");
        }
        for user in change.users {
            self.judge(&user, Occasion::Change(&key.source));
        }
    }
}
