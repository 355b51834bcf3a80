//! What a workload uses and `observed` does not have: adopted, or changed already.
//!
//! The template gained it, and pods rolled for that. The webhook records what it was at that write. Where the webhook
//! was away, pods may have started before the last write of the source: then they are behind. Whether they did is
//! told by the time of that write and the age of the oldest pod that uses the source. Equal seconds are not later:
//! Helm writes both within one second, and a container reads some time after its pod was made.

use super::view::{Ages, Subject};
use crate::model::{
    observed::{Formers, Observed, Unrecorded},
    source::SourceName,
};

/// What is to be done about something that was gained.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Gain {
    /// Its pods have it as it is.
    Adopt,
    /// Some pods have it as it was before.
    Changed,
    /// How old its pods are must be looked up first.
    Ask,
}

/// What of a workload's uses is new in `observed`.
#[derive(Clone, Copy)]
pub(super) struct Gains<'a> {
    subject: &'a Subject<'a>,
    /// Whether there was an `observed` before: without one everything is adopted.
    observed: bool,
    /// The template dropped more than is remembered.
    more: bool,
    /// The opt-in takes other keys than when `observed` was written.
    relisted: bool,
    /// What is remembered of what it dropped, whether that counts any more or not.
    formers: Option<&'a Formers>,
}

impl<'a> Gains<'a> {
    pub(super) fn new(
        subject: &'a Subject<'a>,
        before: Option<&'a Observed>,
        formers: &Formers,
    ) -> Self {
        Self {
            subject,
            observed: before.is_some() && subject.restarted_for.is_some(),
            more: formers.unrecorded() == Unrecorded::More,
            relisted: before.is_some_and(|before| before.lists != subject.lists()),
            formers: before.map(|before| &before.formers),
        }
    }

    /// Returns what is to be done about keys of a source that `observed` lacks; `written`: when its data was last
    /// written, in unix seconds.
    pub(super) fn judge<'k>(
        &self,
        source: &SourceName,
        keys: impl IntoIterator<Item = &'k str>,
        written: i64,
    ) -> Gain {
        let mut gain = Gain::Adopt;
        for key in keys {
            if !self.by_template(source, key) {
                continue;
            }
            match self.age(source, key) {
                _ if self.more => return Gain::Changed,
                Age::Unknown => gain = Gain::Ask,
                Age::Oldest(made) if written > made => return Gain::Changed,
                Age::Oldest(_) | Age::NoPod => {}
            }
        }
        gain
    }

    /// Whether a template gained a key of a source that `observed` lacks, and the webhook did not see that. What only the
    /// opt-in names is adopted when it appears, and so is what the opt-in selects newly.
    pub(super) fn by_template(&self, source: &SourceName, key: &str) -> bool {
        let widened = self.subject.widened;
        // What was dropped by the template as well was not only left out by the opt-in: pods may have it as it was.
        let former = self.formers.is_some_and(|formers| formers.names(source));
        self.observed
            && source.kind.is_readable()
            && (former || !widened.is_some_and(|all| all.contains(source)))
            && self.subject.templates.refers(source, key)
    }

    /// Whether a change of the opt-in explains that it uses something else than before.
    pub(super) fn by_opt_in(&self) -> bool {
        self.relisted || self.subject.widened.is_some()
    }

    fn age(&self, source: &SourceName, key: &str) -> Age {
        let Some(ages) = self.subject.pods.ages else {
            return Age::Unknown;
        };
        oldest(ages, source, key).map_or(Age::NoPod, Age::Oldest)
    }
}

enum Age {
    Unknown,
    NoPod,
    Oldest(i64),
}

fn oldest(ages: &Ages, source: &SourceName, key: &str) -> Option<i64> {
    ages.get(source)?.get(key).copied()
}
