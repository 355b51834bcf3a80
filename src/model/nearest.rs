//! What was meant by a word that nobody knows.

use strsim::damerau_levenshtein;

/// Returns the word that is nearest to one that is misspelt; `None` where none is near enough to be meant.
pub fn nearest<'a>(word: &str, known: impl Iterator<Item = &'a str>) -> Option<&'a str> {
    let plain = |text: &str| text.to_lowercase().replace(['_', '.', ' '], "-");
    let word = plain(word);
    // A third of the letters may be wrong, and two of a short word.
    let letters = word.chars().count();
    let most = (letters / 3).max(2);
    // No shorter way leads from one length to another, and to find the way takes as long as both multiplied.
    let known = known.filter(|known| known.chars().count().abs_diff(letters) <= most);
    let distances = known.map(|known| (damerau_levenshtein(&word, &plain(known)), known));
    let near = distances.filter(|(distance, known)| *distance <= most && *distance < known.len());
    near.min().map(|(_, known)| known)
}

/// Whether a word is another but for one slip of the fingers.
pub fn is_slip(word: &str, known: &str) -> bool {
    damerau_levenshtein(&word.to_lowercase(), known) == 1
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_nearest_word_is_meant_if_any() {
        let known = [
            "restart-on",
            "on-recreate",
            "on-delete",
            "settle",
            "soak",
            "wave",
        ];
        for (word, expected) in [
            ("restart-on", Some("restart-on")),
            ("restarton", Some("restart-on")),
            ("restartOn", Some("restart-on")),
            ("restart_on", Some("restart-on")),
            ("retsart-on", Some("restart-on")),
            ("on-recreated", Some("on-recreate")),
            ("setle", Some("settle")),
            ("waves", Some("wave")),
            ("reload", None),
            ("x", None),
            ("", None),
        ] {
            assert_eq!(nearest(word, known.into_iter()), expected, "{word}");
        }
    }
}
