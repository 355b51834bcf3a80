//! Series that are known beforehand are there from the start, with 0: `rate()` misses the first increment of others.

use super::labels::{Counters, Labels, SourceEvent, Webhook};
use crate::model::{SourceKind, workload::Kinds};

/// What the API server asks about: the operation, and how it is answered.
const REVIEWS: [(Webhook, &[&str], &[&str]); 2] = [
    (
        Webhook::Sources,
        &["CREATE", "UPDATE", "DELETE"],
        &["allowed", "ignored"],
    ),
    (
        Webhook::Workloads,
        &["CREATE", "UPDATE"],
        &["allowed", "ignored", "patched"],
    ),
];

/// Makes these series.
pub(super) fn make<const N: usize>(family: &Counters<N>, all: impl IntoIterator<Item = Labels<N>>) {
    for labels in all {
        drop(family.get_or_create(&labels));
    }
}

/// Returns a label with each of these words.
pub(super) fn words<T: Copy>(
    label: &'static str,
    all: &'static [T],
    word: fn(T) -> &'static str,
) -> impl Iterator<Item = Labels<1>> {
    all.iter().map(move |one| [(label, word(*one))])
}

/// Returns the labels of answers to reviews.
pub(super) fn reviews() -> Vec<Labels<3>> {
    let mut all = Vec::new();
    for (webhook, operations, outcomes) in REVIEWS {
        for operation in operations {
            let webhook = ("webhook", webhook.as_str());
            let answers = outcomes.iter().map(|outcome| ("outcome", *outcome));
            all.extend(answers.map(|answer| [webhook, ("operation", *operation), answer]));
        }
    }
    all
}

/// Returns the labels of what watches say about sources.
pub(super) fn sources() -> impl Iterator<Item = Labels<2>> {
    SourceKind::ALL.into_iter().flat_map(|kind| {
        let events = SourceEvent::ALL.iter();
        events.map(move |event| [("kind", kind.as_str()), ("event", event.as_str())])
    })
}

/// Returns the labels of each kind of workload with each of these words.
pub(super) fn kinds<'k>(
    kinds: &'k Kinds,
    label: &'static str,
    words: &'k [&'static str],
) -> impl Iterator<Item = Labels<2>> + 'k {
    kinds.iter().flat_map(move |kind| {
        let all = words.iter();
        all.map(move |word| [("kind", kind.kind), (label, *word)])
    })
}
