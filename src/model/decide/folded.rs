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
    source::{Need, References, SourceKind, SourceName, Usage},
    version::{Version, used_keys},
};

/// What follows for all that was folded.
pub(super) struct FoldVerdict<'u, 'a> {
    /// With the sources that each ruling is about.
    pub(super) rulings: Vec<(Vec<SourceName>, Ruling)>,
    /// The fold if nothing restarts; `None` where its sources are taken over as they are now.
    pub(super) kept: Option<Fold>,
    /// Its sources.
    pub(super) found: Found<'u, 'a>,
    /// It holds other sources, or other keys of them, than before.
    pub(super) other_names: bool,
}

/// A folded source, and how the workload uses it.
pub(super) type Folded<'u> = (&'u SourceName, &'u Usage);

/// The folded sources as looked up.
#[derive(Default)]
pub(super) struct Found<'u, 'a> {
    sources: Vec<Looked<'u, 'a>>,
    /// Something is absent, and is not now what it last was.
    gone: bool,
    /// Something is absent, and what it was is not remembered.
    forgotten: bool,
    /// Required and absent.
    missing: Vec<SourceName>,
    /// Known from a watch only.
    watched: Vec<&'u SourceName>,
    /// A recreation with the same data is a change, of one of them at least.
    by_uid: bool,
    /// How far the watches are known to have come.
    reached: BTreeMap<SourceKind, u64>,
}

/// A folded source as looked up.
struct Looked<'u, 'a> {
    source: &'u SourceName,
    usage: &'u Usage,
    now: Option<&'a Version>,
    /// The same, but for what is absent: as it last was.
    as_if: Option<&'a Version>,
}

impl Rule<'_> {
    pub(super) fn judge_fold<'u, 'a>(
        &self,
        old: &Fold,
        folded: &[Folded<'u>],
        held: Option<&References>,
        live: &dyn Fn(&SourceName) -> Lookup<'a>,
        key: &DigestKey,
    ) -> FoldVerdict<'u, 'a> {
        let found = match self.look(folded.iter().copied(), live) {
            Ok(found) => found,
            Err((source, doubt)) => {
                let rulings = vec![(vec![source], Ruling::Doubt(doubt))];
                return FoldVerdict {
                    rulings,
                    kept: Some(old.clone()),
                    found: Found::default(),
                    other_names: false,
                };
            }
        };
        let now = found.fold_now(key);
        let as_if = if found.gone {
            found.fold_as_if(key)
        } else {
            now.clone()
        };
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
                self.judge_refolded(folded, live)
            };
            match gain {
                Gain::Adopt => kept = None,
                Gain::Ask => {
                    let asked = folded.iter().map(|(source, _)| (*source).clone()).collect();
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
            found,
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
        self.look(held.iter(), live).is_ok_and(|found| {
            let now = found.fold_as_if(key);
            now.names == old.names && self.same(&now, old)
        })
    }

    /// Whether any of the sources was written after pods were made that use it: which of them is new in the fold cannot
    /// be told.
    fn judge_refolded<'a>(
        &self,
        folded: &[Folded],
        live: &dyn Fn(&SourceName) -> Lookup<'a>,
    ) -> Gain {
        if self.gains.by_opt_in() {
            return Gain::Adopt;
        }
        let gains = folded.iter().map(|(source, usage)| match live(source) {
            Lookup::Present { version, .. } => {
                self.gains
                    .judge(source, used_keys(usage), version.changed_at())
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

    fn look<'u, 'a>(
        &self,
        uses: impl Iterator<Item = Folded<'u>>,
        live: &dyn Fn(&SourceName) -> Lookup<'a>,
    ) -> Result<Found<'u, 'a>, (SourceName, Doubt)> {
        let mut found = Found::default();
        for (source, usage) in uses {
            let one = source.kind.is_readable();
            let (now, as_if, lacking, watched) = match live(source).of_data() {
                Lookup::Unsynced => return Err((source.clone(), Doubt::Unsynced)),
                Lookup::Unseen => return Err((source.clone(), Doubt::Behind)),
                Lookup::Present { version, fresh } => {
                    let until = (!fresh && one).then_some(version.resource_version);
                    (Some(version), Some(version), version.lacks(usage), until)
                }
                Lookup::Absent { last, since } => {
                    found.forgotten |= last.is_none();
                    let until = (since != u64::MAX && one).then_some(since);
                    let lacking = usage.need == Need::Required && one;
                    // A required one is waited for: that it was deleted is no change.
                    let now = last.filter(|_| lacking);
                    found.gone |= now.is_none() && last.is_some();
                    (now, last, lacking, until)
                }
            };
            // A SecretProviderClass has no uid.
            found.by_uid |= one && !self.subject.content_will_decide(source, usage, as_if);
            if lacking {
                found.missing.push(source.clone());
            }
            if let Some(until) = watched {
                found.watched.push(source);
                let reached = found.reached.entry(source.kind).or_insert(0);
                *reached = until.max(*reached);
            }
            found.sources.push(Looked {
                source,
                usage,
                now,
                as_if,
            });
        }
        Ok(found)
    }
}

impl Found<'_, '_> {
    fn fold_now(&self, key: &DigestKey) -> Fold {
        let sources = self.sources.iter();
        Fold::of_versions(key, sources.map(|one| (one.source, one.usage, one.now)))
    }

    fn fold_as_if(&self, key: &DigestKey) -> Fold {
        let sources = self.sources.iter();
        Fold::of_versions(key, sources.map(|one| (one.source, one.usage, one.as_if)))
    }

    /// Returns its sources as they are now: their entries where pods restart.
    pub(super) fn now(&self) -> Entries {
        let sources = self.sources.iter();
        sources
            .map(|one| (one.source.clone(), entry(one.now, one.usage)))
            .collect()
    }

    /// Returns its sources with what is absent as it last was: their entries where there is no fold any more.
    pub(super) fn as_if(&self) -> Entries {
        let sources = self.sources.iter();
        sources
            .map(|one| (one.source.clone(), entry(one.as_if, one.usage)))
            .collect()
    }

    /// Returns the sources to be asked for, because their watch has not come as far as the fold.
    fn behind(&self, old: &Fold) -> Vec<SourceName> {
        let behind = |source: &&SourceName| {
            self.reached.get(&source.kind).copied().unwrap_or(0) < old.newest.of(source.kind)
        };
        let watched = self.watched.iter().copied().filter(behind);
        watched.cloned().collect()
    }
}

fn entry(version: Option<&Version>, usage: &Usage) -> Entry {
    version.map_or(Entry::Unknown, |version| Entry::of(version, usage))
}
