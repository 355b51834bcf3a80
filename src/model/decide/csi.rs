//! The rules for what the Secrets Store CSI driver provides, where they differ from those for one object.

use super::{
    Cause, CauseKind, Lookup,
    rules::{Rule, Verdict},
};
use crate::model::{
    observed::Entry,
    source::{SourceName, Usage},
    version::Shows,
};

impl Rule<'_> {
    /// Returns what follows from what pods show of a class, where that is not judged like any other source. That no
    /// pod shows anything says nothing: they are to come, or gone. It is no deletion, and holds nothing up. A status
    /// that is gone may have been the newest, so an older one is no news.
    pub(super) fn judge_provided(
        &self,
        source: &SourceName,
        usage: &Usage,
        entry: Option<&Entry>,
        live: Lookup,
    ) -> Option<Verdict> {
        let seen = entry.filter(|entry| matches!(entry, Entry::Seen { .. }) && self.comparable);
        let standing = match (seen, live) {
            (_, Lookup::Unsynced | Lookup::Unseen) => return None,
            (Some(seen), Lookup::Absent { .. }) => seen.clone(),
            (None, Lookup::Absent { since: 0, .. }) if entry != Some(&Entry::Waiting) => {
                return Some(Verdict::nothing());
            }
            (None, Lookup::Absent { .. }) => Entry::Waiting,
            (Some(seen), Lookup::Present { version, .. }) => {
                let now = Entry::of(version, usage);
                let older = version.resource_version < seen.resource_version();
                match (
                    same_states(seen, &now) || older,
                    version.shows == Shows::Started,
                ) {
                    (true, _) => seen.clone(),
                    (false, true) => now,
                    (false, false) => return None,
                }
            }
            (None, Lookup::Present { version, .. }) => {
                let now = Entry::of(version, usage);
                if entry == Some(&Entry::Waiting) && version.shows == Shows::Data {
                    // A pod came, and what it mounted was rewritten, before reroll saw it.
                    let cause = Cause::plain(CauseKind::Updated, Some(source));
                    return Some(Verdict::restart(Entry::Waiting, now, cause));
                }
                now
            }
        };
        Some(Verdict::keep(standing))
    }
}

fn same_states(a: &Entry, b: &Entry) -> bool {
    matches!((a, b), (Entry::Seen { states: a, .. }, Entry::Seen { states: b, .. }) if a == b)
}
