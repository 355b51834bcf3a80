//! What becomes of sources: whether their data changes, and of which keys. By the digests of the controller.

use serde::Serialize;
use serde_json::Value;

use crate::{
    cli::sight::Sight,
    model::{SourceKey, Version},
};

/// What becomes of a source.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
#[serde(rename_all = "camelCase")]
pub(super) enum Change {
    /// Its data stays the same, whatever else changes.
    Unchanged,
    /// Its data changes.
    Changed,
    /// It is made, and was not there.
    Created,
    /// Another object takes its place.
    Recreated,
    /// The API server refuses the manifest.
    Refused,
    /// It cannot be told.
    Unknown,
}

/// A source, and what becomes of it.
pub(super) struct Becomes {
    pub(super) key: SourceKey,
    pub(super) change: Change,
    /// The keys whose values change, come or go; none where that cannot be told by key.
    pub(super) keys: Vec<String>,
}

/// Returns the version that an object would be; `None` where it is none that the API server would take.
pub(super) fn version(sight: &Sight, key: &SourceKey, object: &Value) -> Option<Version> {
    let conventions = sight.index.conventions();
    conventions.version_in(&object.to_string(), key, sight.index.key())
}

/// Compares what is live with what would be.
pub(super) fn becomes(key: &SourceKey, live: Option<&Version>, would: &Version) -> Becomes {
    let change = match live {
        None => Change::Created,
        Some(live) if live.uid != would.uid => Change::Recreated,
        Some(live) if live.whole != would.whole => Change::Changed,
        Some(_) => Change::Unchanged,
    };
    let differing = live.filter(|live| change == Change::Changed && live.tells_all());
    let keys = differing.map(|live| differing_keys(live, would));
    Becomes {
        key: key.clone(),
        change,
        keys: keys.unwrap_or_default(),
    }
}

fn differing_keys(live: &Version, would: &Version) -> Vec<String> {
    let mut names: Vec<_> = live.names().chain(would.names()).collect();
    names.sort_unstable();
    names.dedup();
    names.retain(|name| live.key(name) != would.key(name));
    names.into_iter().map(ToOwned::to_owned).collect()
}

impl Becomes {
    /// Returns a source of which that becomes that no digest tells.
    pub(super) fn only(key: &SourceKey, change: Change) -> Self {
        Self {
            key: key.clone(),
            change,
            keys: Vec::new(),
        }
    }

    /// Whether anybody may restart for it.
    pub(super) fn matters(&self) -> bool {
        !matches!(self.change, Change::Unchanged | Change::Refused)
    }

    /// Returns what becomes of it, in words.
    pub(super) fn words(&self) -> String {
        let keys = self.keys.join(", ");
        match (self.change, self.keys.len()) {
            (Change::Unchanged, _) => "its data stays the same: nothing restarts for it".to_owned(),
            (Change::Changed, 0) => "its data changes".to_owned(),
            (Change::Changed, 1) => format!("key {keys} changes"),
            (Change::Changed, _) => format!("keys {keys} change"),
            (Change::Created, _) => "is new".to_owned(),
            (Change::Recreated, _) => "another object takes its place".to_owned(),
            (Change::Refused, _) => "cannot be applied, and stays as it is".to_owned(),
            (Change::Unknown, _) => "what becomes of it is not seen".to_owned(),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::model::{
        SourceName,
        testing::{NAMESPACE, version},
        version::key_of,
    };

    #[test]
    fn only_data_and_the_object_itself_are_a_change() {
        let source = SourceName::secret("db");
        let key = key_of(NAMESPACE, &source);
        let live = version(&source, "A", 1, &[("a", "1"), ("b", "1"), ("c", "1")]);
        let rows = [
            (
                version(&source, "A", 2, &[("a", "1"), ("b", "1"), ("c", "1")]),
                Change::Unchanged,
                vec![],
            ),
            (
                version(&source, "A", 2, &[("a", "2"), ("b", "1"), ("d", "1")]),
                Change::Changed,
                vec!["a", "c", "d"],
            ),
            (
                version(&source, "B", 2, &[("a", "1"), ("b", "1"), ("c", "1")]),
                Change::Recreated,
                vec![],
            ),
        ];
        for (would, change, keys) in rows {
            let becomes = becomes(&key, Some(&live), &would);
            assert_eq!(
                (becomes.change, becomes.keys),
                (change, keys.into_iter().map(ToOwned::to_owned).collect())
            );
        }
        assert_eq!(becomes(&key, None, &live).change, Change::Created);
    }
}
