//! How many workloads wait, by reason and by namespace: what a metric shows.
//!
//! A namespace is a label, so the number of series is bounded: of each reason those namespaces are named in which most
//! workloads wait, and all others are one number without a name. The sum over a reason is the same in any case.

use std::{cmp::Reverse, collections::BTreeMap};

/// How many namespaces are named for one reason at most.
pub const NAMED: usize = 20;

/// How many workloads wait, by reason and namespace.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct HeldBack(BTreeMap<&'static str, BTreeMap<String, u64>>);

/// How many workloads wait for one reason.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Shown<'a> {
    /// The namespaces with the most of them, as many as were asked for.
    pub named: Vec<(&'a str, u64)>,
    /// How many wait in all other namespaces together.
    pub others: u64,
}

impl HeldBack {
    /// Nobody waits, for any of these reasons.
    pub fn none(reasons: impl IntoIterator<Item = &'static str>) -> Self {
        let all = reasons.into_iter();
        Self(all.map(|reason| (reason, BTreeMap::new())).collect())
    }

    /// Counts a workload of this namespace.
    pub fn add(&mut self, reason: &'static str, namespace: &str) {
        let counts = self.0.entry(reason).or_default();
        match counts.get_mut(namespace) {
            Some(count) => *count += 1,
            None => _ = counts.insert(namespace.to_owned(), 1),
        }
    }

    /// Returns how many workloads wait for this reason.
    pub fn of(&self, reason: &str) -> u64 {
        self.0
            .get(reason)
            .map_or(0, |counts| counts.values().sum::<u64>())
    }

    /// Returns what to show of each reason, with so many namespaces by name, also where nobody waits: a series that vanishes looks like
    /// a scrape that failed.
    pub fn shown(&self, most: usize) -> impl Iterator<Item = (&'static str, Shown<'_>)> {
        self.0.iter().map(move |(reason, counts)| {
            let mut named: Vec<_> = counts
                .iter()
                .map(|(name, count)| (&**name, *count))
                .collect();
            named.sort_unstable_by_key(|(name, count)| (Reverse(*count), *name));
            let others = named.iter().skip(most).map(|(_, count)| count).sum();
            named.truncate(most);
            (*reason, Shown { named, others })
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_namespaces_where_most_wait_are_named() {
        let mut all = HeldBack::none(["missing", "suspended"]);
        for namespace in 0..30 {
            for _ in 0..=namespace {
                all.add("missing", &format!("n{namespace:02}"));
            }
        }
        assert_eq!((all.of("missing"), all.of("suspended")), (465, 0));
        let shown: Vec<_> = all.shown(NAMED).collect();
        let (reason, missing) = &shown[0];
        assert_eq!(*reason, "missing");
        assert_eq!(missing.named.len(), NAMED);
        assert_eq!(missing.named[0], ("n29", 30));
        assert_eq!(missing.named[19], ("n10", 11));
        assert_eq!(missing.others, 55);
        let nobody = Shown {
            named: vec![],
            others: 0,
        };
        assert_eq!(shown[1], ("suspended", nobody));
        let (_, missing) = all.shown(0).next().unwrap();
        assert_eq!((missing.named.len(), missing.others), (0, 465));
    }
}
