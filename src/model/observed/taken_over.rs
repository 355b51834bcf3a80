//! Whether two texts of `observed` differ only in the objects that the same data came in.

use super::{Entry, Observed};
use crate::model::source::SourceName;

/// The sources whose objects another text takes over.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum TakenOver {
    /// These.
    Entries(Vec<SourceName>),
    /// Some of a fold, which cannot be told apart, and perhaps others.
    Folded,
}

impl TakenOver {
    /// Returns whose uids `after` takes over; `None` where it takes over none, or something else is other as well.
    pub fn between(before: &Observed, after: &Observed) -> Option<Self> {
        let same_but_uids = Observed {
            format: before.format,
            sequence: before.sequence,
            entries: before.entries.clone(),
            fold: before.fold.clone(),
            ..after.clone()
        };
        if same_but_uids != *before || after.entries.len() != before.entries.len() {
            return None;
        }
        let mut taken = Vec::new();
        for (source, now) in &after.entries {
            let then = before.entries.get(source)?;
            match (then, now) {
                (
                    Entry::Seen {
                        uid: a, states: x, ..
                    },
                    Entry::Seen {
                        uid: b, states: y, ..
                    },
                ) if x == y => {
                    if a != b {
                        taken.push(source.clone());
                    }
                }
                _ if then == now => {}
                _ => return None,
            }
        }
        let folded = match (&before.fold, &after.fold) {
            (None, None) => false,
            (Some(then), Some(now)) if then.names == now.names && then.data == now.data => {
                then.uids != now.uids
            }
            _ => return None,
        };
        if folded {
            Some(Self::Folded)
        } else {
            (!taken.is_empty()).then_some(Self::Entries(taken))
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::model::{
        observed::Formers,
        source::{Need, References},
        testing::{World, key, version, whole},
    };

    fn s(name: &str) -> SourceName {
        SourceName::secret(name)
    }

    fn observed(of: &[(&str, &str, u64, &str)]) -> Observed {
        let usage = whole(Need::Required);
        World::new().observed(of.iter().map(|(name, uid, rv, value)| {
            let version = version(&s(name), uid, *rv, &[("k", value)]);
            (s(name), Entry::of(&version, &usage))
        }))
    }

    #[test]
    fn only_other_uids_are_taken_over() {
        let before = observed(&[("a", "A", 1, "x"), ("b", "B", 2, "y")]);
        let numbered = |observed: Observed| Observed {
            sequence: observed.sequence + 1,
            ..observed
        };
        let taken = TakenOver::Entries(vec![s("a")]);
        for (now, expected) in [
            (before.clone(), None),
            (
                observed(&[("a", "C", 3, "x"), ("b", "B", 2, "y")]),
                Some(taken),
            ),
            (observed(&[("a", "C", 3, "z"), ("b", "B", 2, "y")]), None),
            (observed(&[("a", "C", 3, "x"), ("b", "B", 4, "z")]), None),
            (observed(&[("a", "C", 3, "x")]), None),
            (observed(&[("a", "C", 3, "x"), ("c", "B", 2, "y")]), None),
            (
                Observed {
                    restarted_for: "rf-1".to_owned(),
                    ..observed(&[("a", "C", 3, "x"), ("b", "B", 2, "y")])
                },
                None,
            ),
            (
                Observed {
                    workload_uid: "another".to_owned(),
                    ..observed(&[("a", "C", 3, "x"), ("b", "B", 2, "y")])
                },
                None,
            ),
        ] {
            assert_eq!(
                TakenOver::between(&before, &numbered(now.clone())),
                expected,
                "{now:?}"
            );
        }
    }

    #[test]
    fn a_fold_cannot_tell_which() {
        let many = |uid: &str, value: &str| {
            let usage = whole(Need::Required);
            let mut uses = References::new();
            let entries: Vec<_> = (0..400)
                .map(|n| {
                    let source = s(&format!("a-source-with-a-long-name-{n:04}"));
                    uses.insert(source.clone(), usage.clone());
                    let uid = if n == 7 { uid } else { "A" };
                    let value = if n == 7 { value } else { "x" };
                    let entry = Entry::of(&version(&source, uid, 1, &[("k", value)]), &usage);
                    (source, entry)
                })
                .collect();
            let observed = World::new().observed(entries);
            observed.fitted(&key(), &uses, &[])
        };
        let before = many("A", "x");
        assert!(before.fold.is_some() && before.formers == Formers::none());
        assert_eq!(TakenOver::between(&before, &many("A", "x")), None);
        assert_eq!(
            TakenOver::between(&before, &many("B", "x")),
            Some(TakenOver::Folded)
        );
        assert_eq!(TakenOver::between(&before, &many("B", "y")), None);
    }
}
