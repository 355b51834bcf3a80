//! What was observed under a digest key that is not ours, as it is written under ours before anything restarts.
//!
//! Most often nothing is to be restarted, and what [`decide`](super::decide()) records is that. This is for the rest: a write that
//! takes a workload over from another installation must not restart it, for that one may be alive.

use super::view::{Lookup, Subject};
use crate::model::{
    decide::numbered,
    digest::{Digest, DigestKey},
    observed::{Entry, Observed},
    source::SourceName,
};

/// Returns the same under our key. The data counts as it is, where it is of the same object; of another object it was other
/// ([`Digest::CHANGED`]). A fold tells only that something is other.
pub(in crate::model) fn rewritten<'a>(
    subject: &Subject,
    observed: &Observed,
    live: &dyn Fn(&SourceName) -> Lookup<'a>,
    key: &DigestKey,
) -> Observed {
    let taken = |source: &SourceName, entry: &Entry| {
        let live = live(source).version();
        let same = live.filter(|version| entry.uid() == Some(version.uid.as_str()));
        entry.clone().map_digests(|used, _| {
            let now = same.and_then(|version| version.used(used));
            now.unwrap_or(Digest::CHANGED)
        })
    };
    let entries = observed.entries.iter();
    let mut fold = observed.fold.clone();
    if let Some(fold) = &mut fold {
        fold.data = Digest::CHANGED.to_string();
    }
    let taken = Observed {
        key_id: key.id().to_owned(),
        sequence: subject.sequence,
        entries: entries
            .map(|(source, entry)| (source.clone(), taken(source, entry)))
            .collect(),
        fold,
        formers: observed.formers.map(&taken),
        ..observed.clone()
    };
    numbered(taken, subject, key)
}
