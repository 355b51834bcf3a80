//! What volumes hold and no container reads.
//!
//! Where the mounts of a volume, by `subPath`, name none of a source's files, the kubelet still makes the volume only while
//! the source exists, with each key of its `items`. What it contains, and which object it is, changes nothing for pods. So
//! there is no entry for it.

use super::{Doubt, Lookup, rules::Ruling, view::Subject};
use crate::model::{
    observed::Observed,
    policy::Selection,
    source::{Need, References, Usage},
};

/// Returns what follows for a source of which nothing is read.
pub(super) fn judge_unread(usage: &Usage, live: Lookup) -> Ruling {
    match live {
        Lookup::Unsynced => Ruling::Doubt(Doubt::Unsynced),
        Lookup::Unseen => Ruling::Doubt(Doubt::Behind),
        Lookup::Absent { .. } if usage.need == Need::Required => HOLDS,
        Lookup::Present { version, .. } if version.lacks(usage) => HOLDS,
        Lookup::Absent { .. } | Lookup::Present { .. } => Ruling::Keep,
    }
}

/// New pods could not start.
const HOLDS: Ruling = Ruling::Wait {
    holds: true,
    unsure: false,
    pending: None,
};

impl Subject<'_> {
    /// Returns the sources of the fold as older releases counted them; `None` where that is no other than now.
    pub(super) fn folded_as_held(&self, before: &Observed) -> Option<References> {
        let template = self.templates.now;
        let Selection::Some(rules) = &self.policy.selection else {
            return None;
        };
        if template.values().all(|usage| usage.held.is_none()) {
            return None;
        }
        let held = template.iter();
        let held: References = held
            .map(|(source, usage)| (source.clone(), usage.as_held()))
            .collect();
        let counted = rules.select(&held, self.uses.keys()).into_iter();
        let folded = counted.filter(|(source, _)| {
            let ignored =
                !self.uses.contains_key(source) && template.get(source).is_some_and(Usage::counts);
            !ignored && !before.entries.contains_key(source)
        });
        Some(folded.collect())
    }
}
