//! The objects, one revision for all of them, and their history.
//!
//! Each write raises the revision by one and leaves one [`Change`], so a change is found by its revision. What was there
//! at an earlier revision is found by undoing changes.

use std::{
    collections::{BTreeMap, BTreeSet, VecDeque},
    sync::Arc,
};

use serde_json::{Value, json};

use super::resources::ROWS;

/// The objects of one resource by `namespace/name`, as etcd orders them.
pub(crate) type Objects = BTreeMap<String, Arc<Value>>;

/// A write.
#[derive(Clone, Debug)]
pub(crate) struct Change {
    /// The row of the resource.
    pub(crate) row: usize,
    pub(crate) key: String,
    pub(crate) before: Option<Arc<Value>>,
    /// `None` for a deletion.
    pub(crate) after: Option<Arc<Value>>,
}

/// All that is stored. A clone of it is a snapshot.
#[derive(Clone, Debug)]
pub(crate) struct Store {
    pub(crate) revision: u64,
    /// What was there before this revision is not known any more.
    pub(crate) compacted: u64,
    /// Those after [`Self::compacted`].
    changes: VecDeque<Arc<Change>>,
    objects: Vec<Objects>,
    /// The revision of the last write of each resource.
    last_writes: Vec<u64>,
    /// The custom resources that are served.
    pub(crate) served: BTreeSet<usize>,
}

impl Store {
    pub(crate) fn new() -> Self {
        Self {
            revision: 1,
            compacted: 1,
            changes: VecDeque::new(),
            objects: vec![Objects::new(); ROWS.len()],
            last_writes: vec![0; ROWS.len()],
            served: BTreeSet::new(),
        }
    }

    pub(crate) fn objects(&self, row: usize) -> &Objects {
        &self.objects[row]
    }

    /// Returns the revision of the last write of a resource.
    pub(crate) fn last_write(&self, row: usize) -> u64 {
        self.last_writes[row]
    }

    pub(crate) fn get(&self, row: usize, key: &str) -> Option<&Arc<Value>> {
        self.objects[row].get(key)
    }

    /// Stores an object under the next revision, and returns it as it is then.
    pub(crate) fn put(&mut self, row: usize, key: &str, mut object: Value) -> Arc<Value> {
        self.revision += 1;
        object["metadata"]["resourceVersion"] = json!(self.revision.to_string());
        let object = Arc::new(object);
        let before = self.objects[row].insert(key.to_owned(), Arc::clone(&object));
        self.last_writes[row] = self.revision;
        self.changes.push_back(Arc::new(Change {
            row,
            key: key.to_owned(),
            before,
            after: Some(Arc::clone(&object)),
        }));
        object
    }

    /// Removes an object under the next revision. What watches show of it has that revision.
    pub(crate) fn remove(&mut self, row: usize, key: &str) -> Option<Arc<Value>> {
        let before = self.objects[row].remove(key)?;
        self.revision += 1;
        self.last_writes[row] = self.revision;
        self.changes.push_back(Arc::new(Change {
            row,
            key: key.to_owned(),
            before: Some(Arc::clone(&before)),
            after: None,
        }));
        Some(before)
    }

    /// Returns the changes after a revision, with their own; `None` where it is compacted.
    pub(crate) fn since(&self, revision: u64) -> Option<impl Iterator<Item = (u64, &Arc<Change>)>> {
        let first = revision.max(self.compacted);
        let known = revision >= self.compacted;
        let skip = usize::try_from(first - self.compacted).unwrap_or(usize::MAX);
        known.then(|| (first + 1..).zip(self.changes.range(skip.min(self.changes.len())..)))
    }

    /// Returns the objects as they were at a revision; `None` where it is compacted.
    pub(crate) fn at(&self, row: usize, revision: u64) -> Option<Objects> {
        let mut objects = self.objects[row].clone();
        let changes: Vec<_> = self.since(revision)?.collect();
        for (_, change) in changes.into_iter().rev().filter(|(_, it)| it.row == row) {
            match &change.before {
                Some(before) => objects.insert(change.key.clone(), Arc::clone(before)),
                None => objects.remove(&change.key),
            };
        }
        Some(objects)
    }

    /// Forgets what was there before a revision.
    pub(crate) fn compact(&mut self, revision: u64) {
        let revision = revision.min(self.revision);
        while self.compacted < revision {
            self.changes.pop_front();
            self.compacted += 1;
        }
    }

    /// Goes on from a later revision, as etcd does after a restore that bumps it. What was before is compacted.
    pub(crate) fn bump(&mut self, revision: u64) {
        self.changes.clear();
        self.revision = self.revision.max(revision);
        self.compacted = self.revision;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn names(objects: &Objects) -> Vec<&str> {
        objects.keys().map(String::as_str).collect()
    }

    #[test]
    fn what_was_there_is_found_until_it_is_compacted() {
        let mut store = Store::new();
        let object = || json!({ "metadata": {} });
        store.put(1, "n/a", object());
        store.put(2, "n/other", object());
        store.put(1, "n/b", object());
        store.remove(1, "n/a");
        for (revision, expected) in [
            (1, vec![]),
            (2, vec!["n/a"]),
            (3, vec!["n/a"]),
            (4, vec!["n/a", "n/b"]),
            (5, vec!["n/b"]),
        ] {
            assert_eq!(
                names(&store.at(1, revision).unwrap()),
                expected,
                "{revision}"
            );
        }
        let since = |store: &Store, revision| {
            let changes = store.since(revision)?;
            Some(changes.map(|(at, _)| at).collect::<Vec<_>>())
        };
        assert_eq!(since(&store, 3), Some(vec![4, 5]));
        assert_eq!(since(&store, 9), Some(vec![]));
        store.compact(4);
        assert_eq!(since(&store, 3), None);
        assert_eq!(since(&store, 4), Some(vec![5]));
        assert!(store.at(1, 3).is_none());
        assert_eq!(names(&store.at(1, 4).unwrap()), ["n/a", "n/b"]);
        store.bump(1000);
        assert_eq!(since(&store, 999), None);
        assert_eq!(since(&store, 1000), Some(vec![]));
    }

    #[test]
    fn the_order_is_that_of_etcds_keys() {
        let mut store = Store::new();
        for key in ["a/z", "a-b/a", "a/b"] {
            store.put(1, key, json!({ "metadata": {} }));
        }
        assert_eq!(names(store.objects(1)), ["a-b/a", "a/b", "a/z"]);
    }
}
