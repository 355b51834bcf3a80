//! Keys of reroll's that do nothing where they stand, in words for the prompt: what is no key, and what belongs elsewhere.

use std::collections::BTreeMap;

use kube::core::ObjectMeta;

use crate::model::{
    Kind,
    annotation::PREFIX,
    places::{Author, Known, Place, known, likely},
};

/// What annotations and labels of an object are.
pub(super) struct Home<'a> {
    /// Its kind.
    pub(super) kind: &'a str,
    /// Where its annotations stand.
    pub(super) annotations: Place,
    /// Where its labels stand.
    pub(super) labels: Place,
}

/// The keys that are reroll's, or look so, at one place of an object.
pub(super) struct Spot<'a> {
    place: Place,
    words: &'static str,
    keys: Vec<&'a str>,
}

impl<'a> Spot<'a> {
    /// Takes those of these. `words`: as what they stand there.
    pub(super) fn of(
        place: Place,
        words: &'static str,
        keys: impl Iterator<Item = &'a String>,
    ) -> Self {
        let keys = keys.map(String::as_str);
        Self {
            place,
            words,
            keys: keys.filter(|key| key.starts_with(PREFIX)).collect(),
        }
    }
}

impl Home<'static> {
    /// Returns what those of a workload are.
    pub(super) const fn of_workload(kind: Kind) -> Self {
        Self {
            kind: kind.kind,
            annotations: Place::Workload,
            labels: Place::Elsewhere,
        }
    }
}

impl Home<'_> {
    /// Returns the annotations and the labels of an object.
    pub(super) fn spots<'a>(&self, meta: &'a ObjectMeta) -> Vec<Spot<'a>> {
        let annotations = meta.annotations.iter().flat_map(BTreeMap::keys);
        let labels = meta.labels.iter().flat_map(BTreeMap::keys);
        vec![
            Spot::of(self.annotations, "as an annotation", annotations),
            Spot::of(self.labels, "as a label", labels),
        ]
    }

    /// Returns what is wrong with keys there.
    pub(super) fn wrong(&self, spots: &[Spot<'_>]) -> Vec<String> {
        // Who sets one everywhere has it where it counts, too.
        let counts = |known: &Known| {
            let mut where_it_counts = spots.iter().filter(|spot| known.counts(spot.place));
            where_it_counts.any(|spot| spot.keys.contains(&known.key))
        };
        let mut told = Vec::new();
        for spot in spots {
            for key in &spot.keys {
                told.extend(match known(key) {
                    None => Some(unknown(key)),
                    Some(known) if known.by == Author::Reroll || counts(known) => None,
                    Some(known) => Some(self.misplaced(known, spot.words)),
                });
            }
        }
        told
    }

    fn misplaced(&self, known: &Known, words: &str) -> String {
        let (key, kind) = (known.key, self.kind);
        if known.counts(self.annotations) {
            return format!(
                "put {key} under metadata.annotations of the {kind} itself: {words} it means nothing"
            );
        }
        if known.counts(self.labels) {
            return format!("make {key} a label of the {kind}: {words} it means nothing");
        }
        let places: Vec<_> = known.places.iter().map(|place| place.words()).collect();
        format!(
            "{key} counts as {}: {words} here it means nothing",
            places.join(", or as ")
        )
    }
}

fn unknown(key: &str) -> String {
    match likely(key) {
        Some(meant) => {
            format!("did you mean {meant}? {key} is no key of reroll's, and does nothing")
        }
        None => format!("remove {key}: it is no key of reroll's, and does nothing"),
    }
}
