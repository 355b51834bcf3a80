//! Restarts, and those that failed, by namespace.
//!
//! A namespace is a label, so the number of series is bounded: the first namespaces with restarts are named, and all others are one
//! number without a name. A counter that has a name keeps it, for it must never go back. `workload_namespace` is the label, because a
//! scrape puts reroll's own into `namespace`.

use std::collections::BTreeMap;

use parking_lot::Mutex;

use crate::model::held_back::NAMED;

/// How many there were in which namespace.
#[derive(Debug)]
pub struct ByNamespace(Mutex<Counts>);

#[derive(Debug)]
struct Counts {
    most: usize,
    named: BTreeMap<String, u64>,
    others: u64,
}

/// How many namespaces are named where nobody says.
pub const MOST: usize = 100;

impl Default for ByNamespace {
    fn default() -> Self {
        Self(Mutex::new(Counts {
            most: MOST,
            named: BTreeMap::new(),
            others: 0,
        }))
    }
}

impl ByNamespace {
    /// Names so many namespaces at most, from now on; 0 names none.
    pub fn name_at_most(&self, most: usize) {
        self.0.lock().most = most;
    }

    /// Returns how many namespaces are named among those that wait for one reason.
    pub fn most_pending(&self) -> usize {
        self.0.lock().most.min(NAMED)
    }

    /// Counts one.
    pub fn count(&self, namespace: &str) {
        let mut counts = self.0.lock();
        if let Some(count) = counts.named.get_mut(namespace) {
            *count += 1;
        } else if counts.named.len() < counts.most {
            counts.named.insert(namespace.to_owned(), 1);
        } else {
            counts.others += 1;
        }
    }

    /// Returns the namespaces that are named, and how many all others had.
    pub(super) fn shown(&self) -> (Vec<(String, u64)>, u64) {
        let counts = self.0.lock();
        let named = counts
            .named
            .iter()
            .map(|(name, count)| (name.clone(), *count));
        (named.collect(), counts.others)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_first_are_named_and_all_are_counted() {
        let all = ByNamespace::default();
        all.name_at_most(2);
        for namespace in ["a", "b", "c", "a", "d", "b", "a"] {
            all.count(namespace);
        }
        let named = vec![("a".to_owned(), 3), ("b".to_owned(), 2)];
        assert_eq!(all.shown(), (named, 2));
        assert_eq!(all.most_pending(), 2);
        all.name_at_most(1000);
        assert_eq!(all.most_pending(), NAMED);
        let none = ByNamespace::default();
        none.name_at_most(0);
        none.count("a");
        assert_eq!(none.shown(), (Vec::new(), 1));
    }
}
