//! Many entries combined into one, for workloads whose `observed` would not fit into an annotation.
//!
//! A fold remembers which sources it covers, their uids and their data as three digests. It is coarser than entries:
//! it tells *that* something changed, not which; a reference gained or lost re-adopts all that it covers; and a source
//! that was deleted while reroll was down counts as a change.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

use super::{
    observed::{Entries, Entry, Mark},
    source::{References, SourceKind},
    version::{Digest, DigestKey, used_keys},
};

/// Entries, combined.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Fold {
    /// How many sources.
    pub n: usize,
    /// Digest of their names and used keys; no secret, so under no key, and comparable when the digest key was lost.
    pub names: String,
    /// Digest of their uids; under no key either.
    pub uids: String,
    /// Digest of their data, as far as used.
    pub data: String,
    /// The newest resourceVersion among the `ConfigMap`s.
    pub c: u64,
    /// The newest resourceVersion among the Secrets.
    pub s: u64,
}

impl Fold {
    /// Combines entries; `uses` tells which keys belong to a source that is absent.
    pub fn of(key: &DigestKey, entries: &Entries, uses: &References) -> Self {
        let (mut names, mut uids, mut data) = (Vec::new(), Vec::new(), Vec::new());
        let mut newest = BTreeMap::new();
        for (source, entry) in entries {
            let name = source.to_string();
            let known = newest.entry(source.kind).or_insert(0);
            *known = entry.resource_version().max(*known);
            names.push(name.clone());
            names.extend(
                uses.get(source)
                    .into_iter()
                    .flat_map(used_keys)
                    .map(|used| format!("/{used}")),
            );
            if let Entry::Seen { uid, marks, .. } = entry {
                uids.extend([name.clone(), uid.clone()]);
                for (used, mark) in marks {
                    data.extend([name.clone(), used.clone()]);
                    data.push(match mark {
                        Mark::Seen(digest) => digest.to_string(),
                        Mark::Waiting | Mark::Unknown => String::new(),
                    });
                }
            }
        }
        let plain =
            |parts: &[String]| Digest::plain(parts.iter().map(String::as_bytes)).to_string();
        Self {
            n: entries.len(),
            names: plain(&names),
            uids: plain(&uids),
            data: key.digest(data.iter().map(String::as_bytes)).to_string(),
            c: newest.get(&SourceKind::ConfigMap).copied().unwrap_or(0),
            s: newest.get(&SourceKind::Secret).copied().unwrap_or(0),
        }
    }

    /// Whether it stands for the same versions, newer labels aside.
    pub fn same(&self, other: &Self) -> bool {
        self.names == other.names && self.uids == other.uids && self.data == other.data
    }

    /// Whether it was made of an older view of the same sources.
    pub fn behind(&self, other: &Self) -> bool {
        self.names == other.names && (self.c < other.c || self.s < other.s)
    }
}
