//! How long the annotation is, and what is folded so that it fits.

use super::{
    LIMIT, Observed,
    entry::{Entries, Entry},
    fold::Fold,
    former::{FORMER_LIMIT, Formers},
    wire_entry::NOTE,
};
use crate::model::{
    digest::{Digest, DigestKey},
    source::{References, SourceName},
};

impl Observed {
    /// Returns no fewer bytes than [`Self::print`] takes, at a fraction of its cost: nearly always that is enough to
    /// know.
    pub(super) fn length_at_most(&self) -> usize {
        // JSON writes a byte as six at most.
        let text = |text: &str| 6 * text.len() + 8;
        let entry = |entry: &Entry| match entry {
            Entry::Seen { uid, states, .. } => {
                let states = states.keys().map(|key| text(key) + Digest::PRINTED + 8);
                text(uid) + states.sum::<usize>()
            }
            Entry::Deleted { uid, .. } => text(uid),
            Entry::Waiting | Entry::Unknown => 0,
        };
        let entries = self.entries.iter();
        let entries = entries.map(|(source, of)| text(&source.name) + entry(of) + 128);
        let lists = text(&self.lists.to_string());
        let own =
            text(&self.key_id) + text(&self.workload_uid) + text(&self.restarted_for) + lists + 256;
        let fold = self.fold.as_ref();
        let formers = self.formers.iter();
        let formers = formers.map(|(source, of)| text(&source.name) + entry(of) + 128);
        own + entries.sum::<usize>()
            + formers.sum::<usize>()
            + NOTE
            + fold.map_or(0, |fold| {
                text(&fold.names) + text(&fold.uids) + text(&fold.data) + 128
            })
    }

    /// Returns no more bytes than [`Self::print`] takes: where that is too much, nothing has to be printed to know.
    fn length_at_least(&self) -> usize {
        let entry = |entry: &Entry| match entry {
            Entry::Seen { uid, states, .. } => uid.len() + states.len(),
            Entry::Deleted { uid, .. } => uid.len(),
            Entry::Waiting | Entry::Unknown => 0,
        };
        let entries = self.entries.iter();
        entries
            .map(|(source, of)| source.name.len() + entry(of))
            .sum()
    }

    /// Returns the same with as many entries folded as it takes to stay within [`LIMIT`]. What pods wait for, and
    /// what is `absent`, stays apart as long as that fits: a fold cannot tell what it was. Former entries get what
    /// room is left.
    #[must_use]
    pub fn fitted(mut self, key: &DigestKey, uses: &References, absent: &[SourceName]) -> Self {
        if self.length_at_most() <= LIMIT && self.formers.is_empty() {
            return self;
        }
        let formers = std::mem::take(&mut self.formers);
        self.folded(key, uses, absent, LIMIT - room_for_note(&formers))
            .with_formers(formers, key)
    }

    fn folded(
        mut self,
        key: &DigestKey,
        uses: &References,
        absent: &[SourceName],
        limit: usize,
    ) -> Self {
        if self.length_at_least() <= limit && self.print(key).len() <= limit {
            return self;
        }
        let all = std::mem::take(&mut self.entries);
        let (apart, folded) = parted(all, |source, entry| {
            entry.is_apart(source) || absent.contains(source)
        });
        self.entries = apart;
        self.fold = Some(Fold::of(key, &folded, uses));
        if self.print(key).len() > limit {
            let apart = std::mem::take(&mut self.entries);
            let all = apart.into_iter().chain(folded).collect();
            self.fold = Some(Fold::of(key, &all, uses));
        }
        self
    }

    /// Returns the same with as many of these as there is room for beside the entries.
    fn with_formers(mut self, formers: Formers, key: &DigestKey) -> Self {
        if !formers.is_empty() {
            let room = LIMIT.saturating_sub(self.print(key).len());
            self.formers = formers.fitted(room.min(FORMER_LIMIT));
        }
        self
    }

    /// Returns the same with a fold that stays as it is beside the entries, as long as that fits. If it does not, the
    /// fold takes them in: `now` returns its own sources as they are. One that stands for other versions than those still
    /// does afterwards.
    #[must_use]
    pub fn beside(
        mut self,
        fold: &Fold,
        now: impl FnOnce() -> Entries,
        key: &DigestKey,
        uses: &References,
    ) -> Self {
        let formers = std::mem::take(&mut self.formers);
        let limit = LIMIT - room_for_note(&formers);
        self.fold = Some(fold.clone());
        if self.print(key).len() > limit {
            self.take_into(fold, now(), limit, key, uses);
        }
        self.with_formers(formers, key)
    }

    /// Makes it fit by taking entries into the fold, whose own sources are these.
    fn take_into(
        &mut self,
        fold: &Fold,
        mut joined: Entries,
        limit: usize,
        key: &DigestKey,
        uses: &References,
    ) {
        let before = Fold::of(key, &joined, uses);
        let pending = before.uids != fold.uids || before.data != fold.data;
        for keep_apart in [true, false] {
            let all = std::mem::take(&mut self.entries);
            let (apart, taken) = parted(all, |source, entry| keep_apart && entry.is_apart(source));
            self.entries = apart;
            for (source, entry) in taken {
                joined.insert(source, entry);
            }
            let mut all = Fold::of(key, &joined, uses);
            if pending {
                // Digests of fewer sources are never equal to those of more: what is pending stays so.
                (all.uids, all.data) = (fold.uids.clone(), fold.data.clone());
                all.newest = all.newest.max(&fold.newest);
            }
            self.fold = Some(all);
            if self.print(key).len() <= limit {
                break;
            }
        }
    }
}

/// Returns how many bytes stay free for a note: where anything is former there is room at least to say that it did
/// not fit.
fn room_for_note(formers: &Formers) -> usize {
    if formers.is_empty() { 0 } else { NOTE }
}

/// Returns those entries of which it is true, and the others.
fn parted(all: Entries, is_apart: impl Fn(&SourceName, &Entry) -> bool) -> (Entries, Entries) {
    let (apart, others): (Vec<_>, Vec<_>) = all
        .into_iter()
        .partition(|(source, entry)| is_apart(source, entry));
    (apart.into_iter().collect(), others.into_iter().collect())
}
