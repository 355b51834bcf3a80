//! A workload as a request or a read shows it, beside what is known of it.

use super::{
    keys::RetiredKeys,
    memory::{examined, is_news, supersedes},
    tracked::Tracked,
};
use crate::model::{
    decide::Pods,
    digest::DigestKey,
    observed::{Observed, Reading},
    workload::{Kind, Workload},
};

/// A workload as a request or a read shows it, beside what is known of it.
#[derive(Clone, Copy)]
pub(super) struct Shown<'a> {
    shown: &'a Workload,
    /// What is known of it, under the same uid.
    known: Option<&'a Tracked>,
}

impl<'a> Shown<'a> {
    pub(super) fn new(shown: &'a Workload, known: Option<&'a Tracked>) -> Self {
        Self {
            shown,
            known: known.filter(|known| known.workload.uid == shown.uid),
        }
    }

    /// Returns what was observed of it: the annotation's content, or what is remembered and newer.
    pub(super) fn effective(self, key: &DigestKey, retired: &RetiredKeys) -> Option<Reading> {
        let shown = self.shown;
        // Where it is shown older than it is known, either history went back, and what is remembered is of none; or the API
        // server looks at an old state, and will ask again.
        let known = self.known.filter(|known| {
            let version = shown.resource_version;
            version == 0 || known.workload.resource_version <= version
        });
        let void = known.and_then(|known| known.void.as_ref());
        let written = shown.observed.as_ref().filter(|text| void != Some(*text));
        let own = |reading: &Reading| match reading {
            Reading::Genuine(observed)
            | Reading::Previous(observed)
            | Reading::OtherKey(observed) => observed.is_of(&shown.uid),
            Reading::Newer(_) | Reading::Foreign => true,
        };
        let reading = written.map(|text| Observed::read(text, key)).filter(own);
        if let Some(Reading::OtherKey(observed)) = &reading
            && !retired.contains(&observed.key_id)
        {
            return reading;
        }
        let written = known.and_then(|known| known.written);
        match known.and_then(|known| known.memory.as_ref()) {
            Some(remembered) if !supersedes(reading.as_ref(), remembered, written, shown) => {
                Some(remembered.clone())
            }
            Some(_) => reading,
            None => reading.filter(|reading| is_news(reading, written)),
        }
    }

    /// Returns what is known of its pods.
    pub(super) fn pods(self, kind: Kind) -> Pods<'static> {
        let same_text = |known: &&Tracked| known.workload.observed == self.shown.observed;
        let same_text = self.known.filter(same_text);
        Pods {
            formers_gone: same_text.is_some_and(Tracked::are_formers_gone),
            unseen: self.known.is_some_and(Tracked::is_unseen),
            ..Pods::of(kind, self.shown)
        }
    }

    /// Returns what its next `observed` counts on from.
    pub(super) fn sequence(self) -> u64 {
        self.known
            .map_or(0, Tracked::sequence)
            .max(self.shown.resource_version)
    }

    /// Whether it is known which pods it adopted when it was created.
    pub(super) fn is_examined(self, kind: Kind, key: &DigestKey) -> bool {
        // The watch may not have shown yet what was written meanwhile.
        let says = |text: &String| examined(&Observed::read(text, key), self.shown);
        self.known.is_some_and(|known| known.is_examined(kind))
            || self.shown.observed.as_ref().is_some_and(says)
    }
}
