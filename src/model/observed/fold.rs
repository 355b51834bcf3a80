//! Many entries combined into one, for workloads whose `observed` would not fit into an annotation.
//!
//! A fold has three digests: of which sources it covers, of their uids, and of their data. It is coarser than
//! entries. It tells *that* something changed, not which. A reference gained or lost adopts all that it covers again.
//! A source that was deleted while reroll was down counts as a change.

use std::collections::BTreeMap;

use serde::{Deserialize, Deserializer, Serialize, Serializer};

use super::entry::{Entries, Entry};
use crate::model::{
    digest::{Digest, DigestKey, KeyedParts, PlainParts},
    source::{References, SourceKind, SourceName, Usage},
    version::{Version, used_keys, uses_key},
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
    /// The newest resourceVersion of each kind.
    #[serde(flatten)]
    pub newest: Newest,
}

/// The newest resourceVersion of each kind of source whose numbers can be compared.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Newest(BTreeMap<SourceKind, u64>);

impl Newest {
    /// Returns the newest of a kind; 0 where there is none.
    pub fn of(&self, kind: SourceKind) -> u64 {
        self.0.get(&kind).copied().unwrap_or(0)
    }

    /// Takes in a resourceVersion of a kind.
    pub fn see(&mut self, kind: SourceKind, resource_version: u64) {
        if kind.newest().is_some() && resource_version > 0 {
            let newest = self.0.entry(kind).or_insert(0);
            *newest = resource_version.max(*newest);
        }
    }

    /// Returns the newer of both for each kind.
    #[must_use]
    pub fn max(&self, other: &Self) -> Self {
        let mut newest = self.clone();
        for (kind, resource_version) in &other.0 {
            newest.see(*kind, *resource_version);
        }
        newest
    }

    /// Returns all of them, in an order that does not change.
    pub fn numbers(&self) -> impl Iterator<Item = u64> {
        self.members().map(|(_, number)| number)
    }

    fn is_behind(&self, other: &Self) -> bool {
        SourceKind::ALL
            .into_iter()
            .any(|kind| self.of(kind) < other.of(kind))
    }

    fn members(&self) -> impl Iterator<Item = (&'static str, u64)> {
        let mut kinds = SourceKind::ALL;
        kinds.sort_unstable();
        kinds
            .into_iter()
            .filter_map(|kind| Some((kind.newest()?, self.of(kind))))
    }
}

impl Serialize for Newest {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_map(self.members())
    }
}

impl<'de> Deserialize<'de> for Newest {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let members = BTreeMap::<String, u64>::deserialize(deserializer)?;
        let number = |kind: SourceKind| Some((kind, *members.get(kind.newest()?)?));
        let newest = SourceKind::ALL.into_iter().filter_map(number);
        let mut all = Self::default();
        for (kind, number) in newest {
            all.see(kind, number);
        }
        Ok(all)
    }
}

impl Fold {
    /// Combines entries; `uses` tells which keys belong to a source that is absent.
    pub fn of(key: &DigestKey, entries: &Entries, uses: &References) -> Self {
        let mut folding = Folding::under(key);
        for (source, entry) in entries {
            let usage = uses.get(source);
            folding.begin(source, usage, entry.resource_version());
            if let Entry::Seen { uid, states, .. } = entry {
                folding.uid(source, uid);
                // What else volumes hold stands there for older releases only.
                let held = usage.filter(|usage| usage.held.is_some());
                for (used, state) in states {
                    if held.is_none_or(|usage| uses_key(usage, used)) {
                        folding.state(source, used, state.digest());
                    }
                }
            }
        }
        folding.finish()
    }

    /// Combines what is known of sources, those first that are before others in [`References`]: the same as
    /// [`Self::of`] of the entries that [`Entry::of`] makes, and [`Entry::Unknown`] where there is no version.
    pub fn of_versions<'a>(
        key: &DigestKey,
        versions: impl Iterator<Item = (&'a SourceName, &'a Usage, Option<&'a Version>)>,
    ) -> Self {
        let mut folding = Folding::under(key);
        for (source, usage, version) in versions {
            let number = version.map_or(0, |version| version.resource_version);
            folding.begin(source, Some(usage), number);
            if let Some(version) = version {
                folding.uid(source, &version.uid);
                for used in used_keys(usage) {
                    folding.state(source, used, version.used(used));
                }
            }
        }
        folding.finish()
    }

    /// Whether it stands for the same versions, newer labels aside.
    pub fn same(&self, other: &Self) -> bool {
        self.names == other.names && self.uids == other.uids && self.data == other.data
    }

    /// Whether it was made of an older view of the same sources.
    pub fn behind(&self, other: &Self) -> bool {
        self.names == other.names && self.newest.is_behind(&other.newest)
    }
}

/// A fold in the making.
struct Folding {
    n: usize,
    names: PlainParts,
    uids: PlainParts,
    data: KeyedParts,
    newest: Newest,
}

impl Folding {
    fn under(key: &DigestKey) -> Self {
        Self {
            n: 0,
            names: PlainParts::default(),
            uids: PlainParts::default(),
            data: key.parts(),
            newest: Newest::default(),
        }
    }

    fn begin(&mut self, source: &SourceName, usage: Option<&Usage>, resource_version: u64) {
        self.n += 1;
        self.newest.see(source.kind, resource_version);
        self.names.part(&name(source));
        for used in usage.into_iter().flat_map(used_keys) {
            self.names.part(&[b"/", used.as_bytes()]);
        }
    }

    fn uid(&mut self, source: &SourceName, uid: &str) {
        self.uids.part(&name(source));
        self.uids.part(&[uid.as_bytes()]);
    }

    fn state(&mut self, source: &SourceName, used: &str, digest: Option<Digest>) {
        self.data.part(&name(source));
        self.data.part(&[used.as_bytes()]);
        let printed = digest.map(|digest| digest.printed());
        self.data
            .part(&[printed.as_ref().map_or(&[][..], |printed| printed)]);
    }

    fn finish(self) -> Fold {
        Fold {
            n: self.n,
            names: self.names.finish().to_string(),
            uids: self.uids.finish().to_string(),
            data: self.data.finish().to_string(),
            newest: self.newest,
        }
    }
}

/// Returns how a source is written, in pieces.
fn name(source: &SourceName) -> [&[u8]; 3] {
    [
        source.kind.prefix().as_bytes(),
        b"/",
        source.name.as_bytes(),
    ]
}

#[cfg(test)]
mod tests;
