//! One value for each workload, found by its namespace: what is done for one namespace costs nothing for the others.

use std::collections::BTreeMap;

use crate::model::WorkloadKey;

/// At most one value for each workload.
#[derive(Debug)]
pub(super) struct ByNamespace<T> {
    spaces: BTreeMap<String, BTreeMap<WorkloadKey, T>>,
}

impl<T> Default for ByNamespace<T> {
    fn default() -> Self {
        Self {
            spaces: BTreeMap::new(),
        }
    }
}

impl<T> ByNamespace<T> {
    pub(super) fn get(&self, key: &WorkloadKey) -> Option<&T> {
        self.spaces.get(&key.namespace)?.get(key)
    }

    pub(super) fn get_mut(&mut self, key: &WorkloadKey) -> Option<&mut T> {
        self.spaces.get_mut(&key.namespace)?.get_mut(key)
    }

    pub(super) fn insert(&mut self, key: &WorkloadKey, value: T) {
        let space = self.spaces.entry(key.namespace.clone()).or_default();
        space.insert(key.clone(), value);
    }

    pub(super) fn remove(&mut self, key: &WorkloadKey) -> Option<T> {
        let space = self.spaces.get_mut(&key.namespace)?;
        let removed = space.remove(key);
        if space.is_empty() {
            self.spaces.remove(&key.namespace);
        }
        removed
    }

    /// Keeps those for which this holds.
    pub(super) fn retain(&mut self, mut keep: impl FnMut(&WorkloadKey, &T) -> bool) {
        self.spaces.retain(|_, space| {
            space.retain(|key, value| keep(key, value));
            !space.is_empty()
        });
    }

    /// Returns those of one namespace, in their order.
    pub(super) fn within(
        &self,
        namespace: &str,
    ) -> impl Iterator<Item = (&WorkloadKey, &T)> + Clone {
        self.spaces.get(namespace).into_iter().flatten()
    }

    pub(super) fn is_empty(&self) -> bool {
        self.spaces.is_empty()
    }

    /// Returns all of them, to change them.
    pub(super) fn iter_mut(&mut self) -> impl Iterator<Item = (&WorkloadKey, &mut T)> {
        self.spaces.values_mut().flatten()
    }

    /// Returns all of them.
    pub(super) fn iter(&self) -> impl Iterator<Item = (&WorkloadKey, &T)> {
        self.spaces.values().flatten()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::model::workload::KINDS;

    #[test]
    fn what_is_of_one_namespace_is_found_by_it() {
        let key = |namespace: &str, name: &str| WorkloadKey {
            kind: &KINDS[0],
            namespace: namespace.to_owned(),
            name: name.to_owned(),
        };
        let mut all = ByNamespace::default();
        for (namespace, name, value) in [("a", "x", 1), ("b", "x", 2), ("a", "y", 3), ("a", "x", 4)]
        {
            all.insert(&key(namespace, name), value);
        }
        let values = |all: &ByNamespace<i32>, namespace| {
            all.within(namespace)
                .map(|(_, value)| *value)
                .collect::<Vec<_>>()
        };
        assert_eq!(values(&all, "a"), [4, 3]);
        assert_eq!(values(&all, "none"), [0; 0]);
        assert_eq!(all.remove(&key("b", "x")), Some(2));
        assert_eq!(all.remove(&key("b", "x")), None);
        assert_eq!(all.iter().count(), 2);
        all.retain(|_, value| *value > 3);
        assert_eq!(values(&all, "a"), [4]);
        assert_eq!(all.get(&key("a", "x")), Some(&4));
        assert_eq!(all.get(&key("b", "x")), None);
    }
}
