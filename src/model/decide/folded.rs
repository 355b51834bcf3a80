//! The rules for all entries that were folded, as one.
//!
//! They are those of single sources, as far as a combined digest can tell. It tells that something changed, not
//! which. What is absent is judged as if it still were what it last was, so that a deletion alone changes nothing.

use std::collections::BTreeMap;

use super::{
    Cause, CauseKind, Doubt, Lookup,
    gains::Gain,
    rules::{Rule, Ruling},
};
use crate::model::{
    digest::DigestKey,
    observed::{Entries, Entry, Fold},
    policy::OnDelete,
    source::{Need, References, SourceKind, SourceName},
    version::used_keys,
};

/// What follows for all that was folded.
pub(super) struct FoldVerdict {
    /// With the sources that each ruling is about.
    pub(super) rulings: Vec<(Vec<SourceName>, Ruling)>,
    /// The fold if nothing restarts; `None` where its sources are taken over as they are now.
    pub(super) kept: Option<Fold>,
    /// Its sources with what is absent as it last was: their entries where there is no fold any more.
    pub(super) as_if: Entries,
    /// Its sources as they are now: their entries where pods restart.
    pub(super) now: Entries,
    /// It holds other sources, or other keys of them, than before.
    pub(super) other_names: bool,
}

/// The folded sources as looked up.
#[derive(Default)]
struct Found {
    now: Entries,
    /// The same, with what is absent as it last was.
    as_if: Entries,
    /// Something is absent, and what it was is not remembered.
    forgotten: bool,
    /// Required and absent.
    missing: Vec<SourceName>,
    /// Known from a watch only.
    watched: Vec<SourceName>,
    /// A recreation with the same data is a change, of one of them at least.
    by_uid: bool,
    /// How far the watches are known to have come.
    reached: BTreeMap<SourceKind, u64>,
}

impl Rule<'_> {
    pub(super) fn judge_fold<'a>(
        &self,
        old: &Fold,
        uses: &References,
        held: Option<&References>,
        live: &dyn Fn(&SourceName) -> Lookup<'a>,
        key: &DigestKey,
    ) -> FoldVerdict {
        let found = match self.look(uses, live) {
            Ok(found) => found,
            Err((source, doubt)) => {
                let rulings = vec![(vec![source], Ruling::Doubt(doubt))];
                return FoldVerdict {
                    rulings,
                    kept: Some(old.clone()),
                    as_if: Entries::new(),
                    now: Entries::new(),
                    other_names: false,
                };
            }
        };
        let now = Fold::of(key, &found.now, uses);
        let as_if = Fold::of(key, &found.as_if, uses);
        let mut rulings = Vec::new();
        if !found.missing.is_empty() {
            let ruling = Ruling::Wait {
                holds: true,
                unsure: false,
                pending: None,
            };
            rulings.push((found.missing.clone(), ruling));
        }
        let behind = found.behind(old);
        let other_names = now.names != old.names;
        // Where a deletion restarts, what is absent is not what it last was.
        let restarts = self.subject.policy.on_delete == OnDelete::Restart;
        let gone = self.same(&as_if, old) && !self.same(&now, old);
        let same = self.same(&now, old) || (self.same(&as_if, old) && !restarts);
        let content = self.comparable && !found.by_uid;
        let mut kept = Some(self.standing(old, &as_if));
        if other_names {
            // Another set of sources or keys: the spec gained or lost some, and pods rolled for that. Or an older release
            // counted all that volumes hold.
            let reading = held.is_some_and(|held| self.is_same_as_held(old, held, live, key));
            let gain = if reading {
                Gain::Adopt
            } else {
                self.judge_refolded(uses, live)
            };
            match gain {
                Gain::Adopt => kept = None,
                Gain::Ask => {
                    let asked = uses.keys().cloned().collect();
                    rulings.push((asked, Ruling::Doubt(Doubt::AskAges)));
                }
                Gain::Changed => {
                    rulings.push((
                        Vec::new(),
                        Ruling::Restart(Cause::plain(CauseKind::Updated, None)),
                    ));
                }
            }
        } else if !same && !behind.is_empty() {
            rulings.push((behind, Ruling::Doubt(Doubt::Behind)));
        } else if !same && content && now.data == old.data {
            kept = None;
        } else if !same && (found.missing.is_empty() || !found.forgotten) {
            let kind = if gone {
                CauseKind::Deleted
            } else if as_if.uids == old.uids {
                CauseKind::Updated
            } else {
                CauseKind::Recreated
            };
            rulings.push((Vec::new(), Ruling::Restart(Cause::plain(kind, None))));
        }
        FoldVerdict {
            rulings,
            kept,
            as_if: found.as_if,
            now: found.now,
            other_names,
        }
    }

    /// Whether a fold is what there is of all that volumes hold.
    fn is_same_as_held<'a>(
        &self,
        old: &Fold,
        held: &References,
        live: &dyn Fn(&SourceName) -> Lookup<'a>,
        key: &DigestKey,
    ) -> bool {
        self.look(held, live).is_ok_and(|found| {
            let now = Fold::of(key, &found.as_if, held);
            now.names == old.names && self.same(&now, old)
        })
    }

    /// Whether any of the sources was written after pods were made that use it: which of them is new in the fold cannot
    /// be told.
    fn judge_refolded<'a>(
        &self,
        uses: &References,
        live: &dyn Fn(&SourceName) -> Lookup<'a>,
    ) -> Gain {
        if self.gains.by_opt_in() {
            return Gain::Adopt;
        }
        let gains = uses.iter().map(|(source, usage)| match live(source) {
            Lookup::Present { version, .. } => {
                self.gains.judge(source, used_keys(usage), version.written)
            }
            Lookup::Unsynced | Lookup::Unseen | Lookup::Absent { .. } => Gain::Adopt,
        });
        let mut worst = Gain::Adopt;
        for gain in gains {
            match gain {
                Gain::Changed => return Gain::Changed,
                Gain::Ask => worst = Gain::Ask,
                Gain::Adopt => {}
            }
        }
        worst
    }

    /// Returns the fold if nothing restarts. Under another digest key the data is adopted again; the uids stay, so
    /// that another one still counts.
    fn standing(&self, old: &Fold, as_if: &Fold) -> Fold {
        if self.comparable {
            return old.clone();
        }
        Fold {
            uids: old.uids.clone(),
            newest: old.newest.max(&as_if.newest),
            ..as_if.clone()
        }
    }

    fn same(&self, fold: &Fold, old: &Fold) -> bool {
        fold.uids == old.uids && (fold.data == old.data || !self.comparable)
    }

    fn look<'a>(
        &self,
        uses: &References,
        live: &dyn Fn(&SourceName) -> Lookup<'a>,
    ) -> Result<Found, (SourceName, Doubt)> {
        let mut found = Found::default();
        for (source, usage) in uses {
            let (entry, as_if, lacking, watched, version) = match live(source).of_data() {
                Lookup::Unsynced => return Err((source.clone(), Doubt::Unsynced)),
                Lookup::Unseen => return Err((source.clone(), Doubt::Behind)),
                Lookup::Present { version, fresh } => {
                    let entry = Entry::of(version, usage);
                    let asks = !fresh && source.kind.is_readable();
                    let until = asks.then_some(version.resource_version);
                    let lacking = version.lacks(usage);
                    (entry.clone(), entry, lacking, until, Some(version))
                }
                Lookup::Absent { last, since } => {
                    found.forgotten |= last.is_none();
                    let as_if = last.map_or(Entry::Unknown, |version| Entry::of(version, usage));
                    let one = source.kind.is_readable();
                    let until = (since != u64::MAX && one).then_some(since);
                    let lacking = usage.need == Need::Required && one;
                    // A required one is waited for: that it was deleted is no change.
                    let now = if lacking {
                        as_if.clone()
                    } else {
                        Entry::Unknown
                    };
                    (now, as_if, lacking, until, last)
                }
            };
            // A SecretProviderClass has no uid.
            found.by_uid |=
                source.kind.is_readable() && !self.content_decides(source, usage, version);
            if lacking {
                found.missing.push(source.clone());
            }
            if let Some(until) = watched {
                found.watched.push(source.clone());
                let reached = found.reached.entry(source.kind).or_insert(0);
                *reached = until.max(*reached);
            }
            found.as_if.insert(source.clone(), as_if);
            found.now.insert(source.clone(), entry);
        }
        Ok(found)
    }
}

impl Found {
    /// Returns the sources to be asked for, because their watch has not come as far as the fold.
    fn behind(&self, old: &Fold) -> Vec<SourceName> {
        let behind = |source: &&SourceName| {
            self.reached.get(&source.kind).copied().unwrap_or(0) < old.newest.of(source.kind)
        };
        self.watched.iter().filter(behind).cloned().collect()
    }
}
