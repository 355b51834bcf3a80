//! Keys of reroll's that do nothing where they stand, in words for the prompt: what is no key, and what belongs elsewhere.

use std::collections::BTreeMap;

use kube::core::ObjectMeta;

use crate::model::{
    Kind,
    places::{Author, Known, Place, known, likely, looks_ours, meant_elsewhere},
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
    said: Vec<(&'a str, &'a str)>,
}

impl<'a> Spot<'a> {
    /// Takes those of these. `words`: as what they stand there.
    pub(super) fn of(
        place: Place,
        words: &'static str,
        said: impl Iterator<Item = (&'a str, &'a str)>,
    ) -> Self {
        Self {
            place,
            words,
            said: said.filter(|(key, _)| looks_ours(key)).collect(),
        }
    }

    fn says(&self, key: &str) -> Option<&'a str> {
        let mut said = self.said.iter();
        said.find(|(one, _)| *one == key).map(|(_, text)| *text)
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
        let said = |all: &'a Option<BTreeMap<String, String>>| {
            let all = all.iter().flatten();
            all.map(|(key, text)| (key.as_str(), text.as_str()))
        };
        vec![
            Spot::of(
                self.annotations,
                "as an annotation",
                said(&meta.annotations),
            ),
            Spot::of(self.labels, "as a label", said(&meta.labels)),
        ]
    }

    /// Returns what is wrong with keys there: of each key all places where it does nothing, in one line.
    pub(super) fn wrong(&self, spots: &[Spot<'_>]) -> Vec<String> {
        let mut keys: Vec<&str> = Vec::new();
        for (key, _) in spots.iter().flat_map(|spot| &spot.said) {
            if !keys.contains(key) {
                keys.push(key);
            }
        }
        keys.iter()
            .filter_map(|key| self.of_key(key, spots))
            .collect()
    }

    fn of_key(&self, key: &str, spots: &[Spot<'_>]) -> Option<String> {
        let there = |spot: &&Spot<'_>| spot.says(key).is_some();
        let Some(known) = known(key) else {
            let all: Vec<_> = spots.iter().filter(there).map(|spot| spot.words).collect();
            return Some(unknown(key, &all));
        };
        if known.by == Author::Reroll {
            return None;
        }
        let counted = spots
            .iter()
            .find(|spot| known.counts(spot.place) && there(spot));
        let counted = counted.and_then(|spot| spot.says(key));
        // Who sets one everywhere has it where it counts, too. Another value there is not what counts.
        let wrong = spots.iter().filter(there);
        let wrong = wrong.filter(|spot| !known.counts(spot.place) && spot.says(key) != counted);
        let words: Vec<_> = wrong.map(|spot| spot.words).collect();
        (!words.is_empty()).then(|| self.misplaced(known, &words.join(", and "), counted.is_some()))
    }

    fn misplaced(&self, known: &Known, words: &str, also_counts: bool) -> String {
        let (key, kind) = (known.key, self.kind);
        if also_counts {
            return format!(
                "remove {key} {words}: it means nothing there, and what the {kind} itself says counts"
            );
        }
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

/// Says of a key that is none what it does not do. `places`: as what it stands where.
fn unknown(key: &str, places: &[&str]) -> String {
    let everywhere = match places {
        [] | [_] => String::new(),
        places => format!(", {}", places.join(", and ")),
    };
    match likely(key).or_else(|| meant_elsewhere(key)) {
        Some(meant) => {
            format!(
                "did you mean {meant}? {key} is no key of reroll's, and does nothing{everywhere}"
            )
        }
        None => {
            format!("remove {key}: it is no key of reroll's, and does nothing{everywhere}")
        }
    }
}
