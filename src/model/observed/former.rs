//! What a template no longer uses, while pods of an older template may still have it.
//!
//! A template drops a reference, and its rollout hangs. The old pods run on, with what they read. `kubectl rollout undo`
//! brings their `ReplicaSet` back without starting one of them anew. So what they have must be known until none of them
//! is left: each dropped entry stays as a *former* one, with the uid, resourceVersion and digests that it had. When the
//! template gains the reference again, the former entry is compared like any other.
//!
//! Invariants: no key of a source is used and former at once; formers take at most [`FORMER_LIMIT`] bytes and never
//! make an entry fold. What does not fit leaves a note ([`Formers::is_incomplete`]), under which whatever the template
//! gains counts as changed.

use super::{Entry, KeyMarks, Mark, Observed, wire};
use crate::model::{
    source::{References, SourceName, Usage},
    version::{Digest, used_keys, uses_key},
};

/// The most bytes that former entries take in an `observed` annotation.
pub const FORMER_LIMIT: usize = 4 * 1024;
/// The format of an `observed` that has former entries. One without is written in the format before, so that an older
/// release still reads it.
pub const FORMER_FORMAT: u64 = 2;

/// What pods of older templates may have that the template of now does not use.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Formers {
    /// Oldest first. A source has several where it lost keys under several uids.
    pub(super) entries: Vec<(SourceName, Entry)>,
    pub(super) incomplete: bool,
}

/// Two templates of a workload: what a write, or a rollout, changed.
#[derive(Clone, Copy, Debug)]
pub struct Templates<'a> {
    /// What the template of now refers to, whatever the opt-in selects.
    pub now: &'a References,
    /// The same of the template before it; `None` where nobody saw that.
    pub before: Option<&'a References>,
}

impl Templates<'_> {
    /// Whether a change of the template, and not of the opt-in, dropped a key of a source. `key: None` asks for the
    /// source as a whole.
    fn dropped(self, source: &SourceName, key: Option<&str>) -> bool {
        let refers = |references: &References| {
            references
                .get(source)
                .is_some_and(|usage| key.is_none_or(|key| uses_key(usage, key)))
        };
        !refers(self.now) && self.before.is_none_or(refers)
    }

    /// Whether the template of now refers to a key of a source.
    pub fn refers(self, source: &SourceName, key: &str) -> bool {
        self.now
            .get(source)
            .is_some_and(|usage| uses_key(usage, key))
    }
}

impl Formers {
    /// Nothing to remember.
    pub const fn none() -> Self {
        Self {
            entries: Vec::new(),
            incomplete: false,
        }
    }

    /// Whether there is nothing to remember.
    pub fn is_empty(&self) -> bool {
        self.entries.is_empty() && !self.incomplete
    }

    /// Whether something was dropped that did not fit: whatever the template gains counts as changed then.
    pub fn is_incomplete(&self) -> bool {
        self.incomplete
    }

    /// The former entries, oldest first.
    pub fn iter(&self) -> impl Iterator<Item = (&SourceName, &Entry)> {
        self.entries.iter().map(|(source, entry)| (source, entry))
    }

    /// The entry of a source that the template uses, with what it gained again taken from the former ones. `None` where
    /// it gained nothing that is remembered.
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
        for former in of_source {
            let (
                Entry::Seen { uid, marks, .. },
                Entry::Seen {
                    uid: other,
                    marks: gone,
                    ..
                },
            ) = (&mut whole, former)
            else {
                continue;
            };
            for (key, mark) in gone {
                if !uses_key(usage, key) || marks.contains_key(key) {
                    continue;
                }
                let mark = if uid == other {
                    *mark
                } else {
                    Mark::Seen(Digest::CHANGED)
                };
                marks.insert(key.clone(), mark);
                regains = true;
            }
        }
        regains.then_some(whole)
    }

    /// Those that stay former when the template uses this: what it regained is an entry again.
    #[must_use]
    fn without(&self, uses: &References) -> Self {
        let rest = |(source, entry): &(SourceName, Entry)| {
            let Some(usage) = uses.get(source) else {
                return Some((source.clone(), entry.clone()));
            };
            let rest = with_marks(entry, |key| !uses_key(usage, key))?;
            Some((source.clone(), rest))
        };
        Self {
            entries: self.entries.iter().filter_map(rest).collect(),
            incomplete: self.incomplete,
        }
    }

    fn add(&mut self, source: &SourceName, entry: Entry) {
        // Dropped a second time: nobody can tell any more which of the two versions a pod has.
        let is_there =
            |(former, old): &(SourceName, Entry)| former == source && overlap(old, &entry);
        if self.entries.iter().any(is_there) {
            self.incomplete = true;
        }
        self.entries.push((source.clone(), entry));
    }

    /// What is former after a change from `before` to these uses. `kept`: the former ones of before that still count.
    #[must_use]
    pub fn after(before: &Observed, kept: &Self, uses: &References, templates: Templates) -> Self {
        let mut next = kept.without(uses);
        for (source, entry) in &before.entries {
            let usage = uses.get(source);
            let dropped = match (entry, usage) {
                (Entry::Seen { .. }, _) => with_marks(entry, |key| {
                    let still = usage.is_some_and(|usage| uses_key(usage, key));
                    !still && templates.dropped(source, Some(key))
                }),
                (_, None) if templates.dropped(source, None) => Some(entry.clone()),
                (_, _) => None,
            };
            if let Some(entry) = dropped {
                next.add(source, entry);
            }
        }
        // What a fold held cannot be told from it by name.
        next.incomplete |= before.fold.is_some() && loses_folded(before, uses, templates);
        next
    }

    /// The same with each entry made another.
    #[must_use]
    pub fn map(&self, change: &dyn Fn(&SourceName, &Entry) -> Entry) -> Self {
        let entries = self.entries.iter();
        Self {
            entries: entries
                .map(|(source, entry)| (source.clone(), change(source, entry)))
                .collect(),
            incomplete: self.incomplete,
        }
    }

    /// The same with a note that more was dropped, which nobody knows by name.
    #[must_use]
    pub fn and_more(self) -> Self {
        Self {
            incomplete: true,
            ..self
        }
    }

    /// The newest of them that take no more than so many bytes, and a note where some do not.
    #[must_use]
    pub(super) fn fitted(mut self, bytes: usize) -> Self {
        let lengths = wire::printed(&self);
        let mut total = wire::AROUND + lengths.iter().sum::<usize>();
        let mut left_out = 0;
        while left_out < lengths.len() && total + wire::NOTE > bytes {
            total -= lengths[left_out];
            left_out += 1;
        }
        self.entries.drain(..left_out);
        self.incomplete |= left_out > 0;
        self
    }
}

/// Whether a write of the template drops what a fold holds.
fn loses_folded(before: &Observed, uses: &References, templates: Templates) -> bool {
    let Some(old) = templates.before else {
        return false;
    };
    old.iter().any(|(source, usage)| {
        let now = uses.get(source);
        let is_lost = |key: &str| {
            !now.is_some_and(|now| uses_key(now, key)) && templates.dropped(source, Some(key))
        };
        !before.entries.contains_key(source) && used_keys(usage).any(is_lost)
    })
}

/// The entry with those marks of its that are asked for; `None` where it has none of them.
fn with_marks(entry: &Entry, keep: impl Fn(&str) -> bool) -> Option<Entry> {
    let Entry::Seen {
        uid,
        resource_version,
        marks,
    } = entry
    else {
        return None;
    };
    let marks: KeyMarks = marks
        .iter()
        .filter(|(key, _)| keep(key))
        .map(|(key, mark)| (key.clone(), *mark))
        .collect();
    (!marks.is_empty()).then(|| Entry::Seen {
        uid: uid.clone(),
        resource_version: *resource_version,
        marks,
    })
}

fn overlap(a: &Entry, b: &Entry) -> bool {
    match (a, b) {
        (Entry::Seen { marks: a, .. }, Entry::Seen { marks: b, .. }) => {
            a.keys().any(|key| b.contains_key(key))
        }
        (_, _) => true,
    }
}
