//! Secrets that no watch shows, because their type is neither listed nor watched.
//!
//! No name and no label tells which those are. So a Secret of which nothing is known may exist all the same: only the
//! answer to a GET says that it does not, or what a workload observed. What such a GET shows is known until the next one.

use super::{scope::Scope, tracked::Tracked};
use crate::model::{observed::Entry, source::SourceName};

/// Whether a source of which nothing is known may exist, for a workload or for anybody.
pub(super) fn may_exist(scope: &Scope, source: &SourceName, asker: Option<&Tracked>) -> bool {
    if !source.kind.is_readable() {
        return false;
    }
    let hides = scope.conventions().hides(source.kind);
    !scope.watches_all_sources() || (hides && !asker.is_some_and(|it| found_absent(it, source)))
}

/// Whether a workload observed that a source was absent. That was no guess: where it is not known, nothing is observed.
fn found_absent(workload: &Tracked, source: &SourceName) -> bool {
    let entry = workload.observed().and_then(|it| it.entries.get(source));
    entry.is_some_and(|entry| match entry {
        Entry::Unknown | Entry::Waiting | Entry::Deleted { .. } => true,
        Entry::Seen { .. } => false,
    })
}
