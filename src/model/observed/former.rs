//! What a template no longer uses, while pods of an older template may still have it.
//!
//! A template drops a reference, and its rollout hangs. The old pods run on, with what they read. `kubectl rollout
//! undo` brings their `ReplicaSet` back and starts none of them anew. So reroll must know what they have until the
//! last of them is gone. Each dropped entry stays as a *former* one, with the uid, resourceVersion and digests that
//! it had. When the template gains the reference again, the former entry is compared like any other.
//!
//! Invariants:
//! - no key of a source is used and former at once;
//! - formers take at most [`FORMER_LIMIT`] bytes and never make an entry fold;
//! - what is not remembered leaves a note ([`Unrecorded`]), under which what the template gains counts as changed.

use std::borrow::Cow;

use super::{
    entry::{Entries, Entry, KeyState},
    wire_entry::{self, AROUND, NOTE},
};
use crate::model::{
    digest::Digest,
    source::{KeyLists, References, SourceName, Usage},
    version::{used_keys, uses_key},
};

/// The most bytes that former entries take in an `observed` annotation.
pub const FORMER_LIMIT: usize = 4 * 1024;

/// What pods of older templates may have that the template of now does not use.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Formers {
    /// Oldest first. A source has several where it lost keys under several uids.
    pub(super) entries: Vec<(SourceName, Entry)>,
    pub(super) unrecorded: Unrecorded,
}

/// What pods of older templates may have beside the former entries.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord)]
pub enum Unrecorded {
    /// Nothing.
    #[default]
    Nothing,
    /// What templates used that came and went while the webhook was away. The age of pods tells whether they have it as it
    /// is; admission does not look at pods, so there it counts as changed.
    Unseen,
    /// What did not fit. It counts as changed.
    More,
}

/// Two templates of a workload: what a write, or a rollout, changed.
#[derive(Clone, Copy, Debug)]
pub struct Templates<'a> {
    /// What the template of now refers to, whatever the opt-in selects.
    pub now: &'a References,
    /// The template that a write changes; `None` where the webhook did not see that.
    pub before: Option<Before<'a>>,
}

/// The template that a write changes.
#[derive(Clone, Copy, Debug)]
pub struct Before<'a> {
    /// What it refers to, whatever the opt-in selects.
    pub refers: &'a References,
    /// What counted of that, and what only the opt-in named.
    pub uses: &'a References,
}

/// Two templates as an opt-in reads them that takes only some keys.
pub struct Narrowed<'a> {
    now: Cow<'a, References>,
    before: Option<(Cow<'a, References>, &'a References)>,
}

impl Narrowed<'_> {
    /// Returns them.
    pub fn templates(&self) -> Templates<'_> {
        let before = self.before.as_ref();
        Templates {
            now: &self.now,
            before: before.map(|(refers, uses)| Before { refers, uses }),
        }
    }
}

impl<'a> Templates<'a> {
    /// Returns the same as an opt-in reads them that takes these keys. By the opt-in under which `observed` was written: what
    /// only another opt-in takes, or leaves out, no template gained or dropped.
    pub fn under(self, lists: &KeyLists) -> Narrowed<'a> {
        let before = self.before;
        Narrowed {
            now: lists.of_all(self.now),
            before: before.map(|before| (lists.of_all(before.refers), before.uses)),
        }
    }

    /// Whether a change of the template dropped a key of a source: not one of the opt-in, and not a release of reroll that
    /// knows better what of a volume is read. `key: None` asks for the source as a whole.
    fn dropped(self, source: &SourceName, key: Option<&str>) -> bool {
        let reads = |references: &References| {
            references.get(source).is_some_and(|usage| {
                key.map_or_else(|| usage.is_read(), |key| uses_key(usage, key))
            })
        };
        let holds = |references: &References| {
            references.get(source).is_some_and(|usage| {
                usage.held.is_some() && key.is_none_or(|key| uses_key(&usage.as_held(), key))
            })
        };
        // What was used and not referred to was named by the opt-in; what was neither is of a template that went unseen.
        let of_template =
            |before: Before| reads(before.refers) || (!reads(before.uses) && !holds(before.refers));
        !reads(self.now) && self.before.map_or_else(|| !holds(self.now), of_template)
    }

    /// Whether the template of now refers to a key of a source.
    pub fn refers(self, source: &SourceName, key: &str) -> bool {
        self.now
            .get(source)
            .is_some_and(|usage| uses_key(usage, key))
    }
}

impl Formers {
    /// Returns formers with nothing to remember.
    pub const fn none() -> Self {
        Self {
            entries: Vec::new(),
            unrecorded: Unrecorded::Nothing,
        }
    }

    /// Whether there is nothing to remember.
    pub fn is_empty(&self) -> bool {
        self.entries.is_empty() && self.unrecorded == Unrecorded::Nothing
    }

    /// Returns what else pods may have.
    pub fn unrecorded(&self) -> Unrecorded {
        self.unrecorded
    }

    /// Returns the former entries, oldest first.
    pub fn iter(&self) -> impl Iterator<Item = (&SourceName, &Entry)> {
        self.entries.iter().map(|(source, entry)| (source, entry))
    }

    /// Returns the entry of a source that the template uses, with what it gained again taken from the former ones.
    /// `None` where it gained nothing that is remembered.
    ///
    /// An entry has one uid. A key that is remembered under another uid gets a digest that nothing has: what pods have
    /// of it is of an object that is gone.
    pub fn regained(
        &self,
        source: &SourceName,
        usage: &Usage,
        entry: Option<&Entry>,
    ) -> Option<Entry> {
        let of_source = self.entries.iter().rev();
        let mut of_source = of_source
            .filter(|(former, _)| former == source)
            .map(|(_, entry)| entry);
        let mut whole = match entry {
            Some(entry) => entry.clone(),
            None => of_source.next()?.clone(),
        };
        let mut regains = entry.is_none();
        // What is former was not used: there it stood for older releases only.
        if let (Some(_), Entry::Seen { states, .. }) = (entry, &mut whole) {
            states.retain(|key, _| !(uses_key(usage, key) && self.has(source, key)));
        }
        for former in of_source {
            let (
                Entry::Seen { uid, states, .. },
                Entry::Seen {
                    uid: other,
                    states: gone,
                    ..
                },
            ) = (&mut whole, former)
            else {
                continue;
            };
            for (key, state) in gone {
                if !uses_key(usage, key) || states.contains_key(key) {
                    continue;
                }
                let state = if uid == other {
                    *state
                } else {
                    KeyState::Seen(Digest::CHANGED)
                };
                states.insert(key.clone(), state);
                regains = true;
            }
        }
        regains.then_some(whole)
    }

    /// Returns those that stay former when the template uses this: what it regained is an entry again.
    #[must_use]
    pub(in crate::model) fn without(&self, uses: &References) -> Self {
        let rest = |(source, entry): &(SourceName, Entry)| {
            let Some(usage) = uses.get(source) else {
                return Some((source.clone(), entry.clone()));
            };
            let rest = with_states(entry, |key| !uses_key(usage, key))?;
            Some((source.clone(), rest))
        };
        Self {
            entries: self.entries.iter().filter_map(rest).collect(),
            unrecorded: self.unrecorded,
        }
    }

    fn add(&mut self, source: &SourceName, entry: Entry) {
        // Dropped a second time: which of the two versions a pod has cannot be told any more.
        let is_there =
            |(former, old): &(SourceName, Entry)| former == source && overlap(old, &entry);
        if self.entries.iter().any(is_there) {
            self.unrecorded = Unrecorded::More;
        }
        self.entries.push((source.clone(), entry));
    }

    /// Returns what is former after a change from the entries of `before`, beside a fold or not, to these uses.
    /// `still`: the former ones of before that still count.
    #[must_use]
    pub fn after(
        before: &Entries,
        has_fold: bool,
        still: &Self,
        uses: &References,
        templates: Templates,
    ) -> Self {
        let mut next = still.without(uses);
        for (source, entry) in before {
            let usage = uses.get(source);
            let dropped = match (entry, usage) {
                (Entry::Seen { .. }, _) => with_states(entry, |key| {
                    let still = usage.is_some_and(|usage| uses_key(usage, key));
                    !still && templates.dropped(source, Some(key))
                }),
                (_, None) if templates.dropped(source, None) => Some(entry.clone()),
                (_, _) => None,
            };
            if let Some(entry) = dropped {
                next.add(source, entry);
                // The webhook records what a write drops. Where it did not see one, there may have been others.
                if templates.before.is_none() {
                    next.unrecorded = next.unrecorded.max(Unrecorded::Unseen);
                }
            }
        }
        // What a fold held cannot be told from it by name.
        if has_fold && loses_folded(before, uses, templates) {
            next.unrecorded = Unrecorded::More;
        }
        next
    }

    /// Returns the same with each entry made another.
    #[must_use]
    pub fn map(&self, change: &dyn Fn(&SourceName, &Entry) -> Entry) -> Self {
        let entries = self.entries.iter();
        Self {
            entries: entries
                .map(|(source, entry)| (source.clone(), change(source, entry)))
                .collect(),
            unrecorded: self.unrecorded,
        }
    }

    /// Returns the same with these entries, one for each, in their order.
    #[must_use]
    pub fn with(&self, entries: Vec<Entry>) -> Self {
        let sources = self.entries.iter().map(|(source, _)| source.clone());
        Self {
            entries: sources.zip(entries).collect(),
            unrecorded: self.unrecorded,
        }
    }

    fn has(&self, source: &SourceName, key: &str) -> bool {
        self.entries.iter().any(|(former, entry)| {
            former == source
                && matches!(entry, Entry::Seen { states, .. } if states.contains_key(key))
        })
    }

    /// Whether any former entry is of this source.
    pub fn names(&self, source: &SourceName) -> bool {
        self.entries.iter().any(|(former, _)| former == source)
    }

    /// Returns what stays when no pod of an older template is left: what the template refers to again while the
    /// opt-in leaves it out. Pods of now may have it as it was; how old they are tells, when the opt-in takes it in
    /// again.
    #[must_use]
    pub fn left_out(&self, refers: &References, uses: &References) -> Self {
        let entries = self.entries.iter();
        let left_out = |source: &SourceName| {
            refers.get(source).is_some_and(Usage::is_read) && !uses.contains_key(source)
        };
        Self {
            entries: entries
                .filter(|(source, _)| left_out(source))
                .cloned()
                .collect(),
            unrecorded: Unrecorded::Nothing,
        }
    }

    /// Returns the same with a note, where there is none that says more.
    #[must_use]
    pub fn noting(self, unrecorded: Unrecorded) -> Self {
        Self {
            unrecorded: self.unrecorded.max(unrecorded),
            ..self
        }
    }

    /// Returns the newest of them that take no more than `bytes`, and a note where some do not.
    #[must_use]
    pub(super) fn fitted(mut self, bytes: usize) -> Self {
        let lengths = self
            .iter()
            .map(|(source, entry)| wire_entry::length(source, entry));
        let lengths: Vec<_> = lengths.collect();
        let mut total = AROUND + lengths.iter().sum::<usize>();
        let mut left_out = 0;
        while left_out < lengths.len() && total + NOTE > bytes {
            total -= lengths[left_out];
            left_out += 1;
        }
        self.entries.drain(..left_out);
        self.noting(if left_out > 0 {
            Unrecorded::More
        } else {
            Unrecorded::Nothing
        })
    }
}

/// Whether a write of the template drops what a fold holds.
fn loses_folded(before: &Entries, uses: &References, templates: Templates) -> bool {
    let Some(old) = templates.before else {
        return false;
    };
    old.refers.iter().any(|(source, usage)| {
        let now = uses.get(source);
        let is_lost = |key: &str| {
            !now.is_some_and(|now| uses_key(now, key)) && templates.dropped(source, Some(key))
        };
        !before.contains_key(source) && used_keys(usage).any(is_lost)
    })
}

/// Returns the entry with those states of its that are asked for; `None` where it has none of them.
fn with_states(entry: &Entry, keep: impl Fn(&str) -> bool) -> Option<Entry> {
    let mut entry = entry.clone();
    let Entry::Seen { states, .. } = &mut entry else {
        return None;
    };
    states.retain(|key, _| keep(key));
    let any = !states.is_empty();
    any.then_some(entry)
}

fn overlap(a: &Entry, b: &Entry) -> bool {
    match (a, b) {
        (Entry::Seen { states: a, .. }, Entry::Seen { states: b, .. }) => {
            a.keys().any(|key| b.contains_key(key))
        }
        (_, _) => true,
    }
}
