//! Planned rotation of the digest key: what was observed under the key before becomes what it is under the new one.
//!
//! A digest cannot be translated. But as long as the key before is known, every live version is digested under both
//! keys. Where the old digest is that of the live data, the new digest of the same data takes its place. Where it is
//! not, the data has changed since then. A digest that nothing has ([`Digest::CHANGED`]) records that. So the change
//! is not lost, even where reroll does not restart for it before the old key is gone.

use super::view::Lookup;
use crate::model::{
    digest::{Digest, DigestKey},
    observed::{Entry, Fold, Observed},
    source::{References, SourceName, Usage},
    version::Version,
};

/// Returns the same with the new key's digests. `observed` was made under [`DigestKey::previous`], whose id it keeps:
/// what follows from it differs from it, and so is written.
pub(in crate::model) fn rekey<'a>(
    observed: &Observed,
    uses: &References,
    live: &dyn Fn(&SourceName) -> Lookup<'a>,
    key: &DigestKey,
) -> Observed {
    let rekeyed = |source: &SourceName, entry: &Entry| {
        let live = live(source).last();
        let rekeyed = |used: &str, digest| rekeyed(used, digest, live);
        entry.clone().map_digests(rekeyed)
    };
    let entries = observed.entries.iter();
    let entries = entries
        .map(|(source, entry)| (source.clone(), rekeyed(source, entry)))
        .collect();
    let folded = uses
        .iter()
        .filter(|(source, usage)| usage.is_read() && !observed.entries.contains_key(*source));
    let last = folded.map(|(source, usage)| (source, usage, live(source).last()));
    let fold = observed.fold.as_ref();
    Observed {
        fold: fold.map(|fold| fold_of(fold, &last.collect::<Vec<_>>(), key)),
        formers: observed.formers.map(&rekeyed),
        entries,
        ..observed.clone()
    }
}

fn rekeyed(used: &str, digest: Digest, live: Option<&Version>) -> Digest {
    let same = live.and_then(|live| {
        let before = live.previous.as_ref()?.used(used)?;
        (before == digest).then(|| live.used(used)).flatten()
    });
    same.unwrap_or(Digest::CHANGED)
}

fn fold_of(fold: &Fold, last: &[(&SourceName, &Usage, Option<&Version>)], key: &DigestKey) -> Fold {
    let before = last.iter().map(|(source, usage, version)| {
        let version = version.and_then(|version| version.previous.as_deref());
        (*source, *usage, version)
    });
    let data_before = key
        .previous()
        .map(|previous| Fold::of_versions(previous, before).data);
    let data = if data_before.as_ref() == Some(&fold.data) {
        Fold::of_versions(key, last.iter().copied()).data
    } else {
        Digest::CHANGED.to_string()
    };
    Fold {
        data,
        ..fold.clone()
    }
}

#[cfg(test)]
mod tests;
