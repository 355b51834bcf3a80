//! Sources as they would be, or as they were read just now.

use std::{borrow::Cow, collections::BTreeMap};

use crate::model::{
    decide::Lookup,
    source::{References, SourceName, Usage},
    version::Version,
};

/// Sources as they would be, or as they were read just now, laid over the index.
pub type Overlay<'a> = BTreeMap<&'a SourceName, Lookup<'a>>;

/// Returns versions that were read from the API server just now, as lookups.
pub fn just_read(reads: &[(SourceName, Option<Version>)]) -> Overlay<'_> {
    let lookup = |(source, version)| {
        let live = match version {
            Some(version) => Lookup::Present {
                version,
                fresh: true,
            },
            None => Lookup::Absent {
                last: None,
                since: u64::MAX,
            },
        };
        (source, live)
    };
    reads
        .iter()
        .map(|(source, version)| lookup((source, version.as_ref())))
        .collect()
}

/// Returns what is used, without sources that ask to be ignored, or do not ask to be found where they have to. Nearly
/// always that is all of it.
pub fn without_ignored<'u, 'a>(
    uses: &'u References,
    live: &dyn Fn(&SourceName) -> Lookup<'a>,
) -> Cow<'u, References> {
    let counts = |source: &SourceName, usage: &Usage| {
        let version = match live(source) {
            Lookup::Unsynced | Lookup::Unseen => return true,
            known @ (Lookup::Present { .. } | Lookup::Absent { .. }) => known.last(),
        };
        version.map_or(!usage.if_matched, |version| version.counts_for(usage))
    };
    if uses.iter().all(|(source, usage)| counts(source, usage)) {
        return Cow::Borrowed(uses);
    }
    let left = uses.iter().filter(|(source, usage)| counts(source, usage));
    Cow::Owned(
        left.map(|(source, usage)| (source.clone(), usage.clone()))
            .collect(),
    )
}
