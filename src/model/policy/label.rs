//! The opt-in of a whole namespace: one word, in a label of the Namespace.
//!
//! Labels have neither commas nor slashes, so it is one of a few words. One that cannot be read is the Namespace's: it is told of
//! that, and once, and not as an annotation of each workload in it.

use std::sync::LazyLock;

use super::{
    complaint::{Complaint, Stands},
    selection::{Selection, UNTIL_THEN},
};
use crate::model::source::SourceKind;

/// What a label can say.
static WORDS: LazyLock<String> = LazyLock::new(|| {
    let kinds = SourceKind::ALL.map(SourceKind::plural).join(", ");
    format!("auto, {kinds}, env, volume or off")
});

/// What is so as long as the label cannot be read. Who has an opt-in of his own restarts all the same.
const LABEL_UNTIL_THEN: &str = "Until then it opts nobody in";

/// Reads the label.
pub(super) fn read(text: &str, complaints: &mut Vec<Complaint>) -> Selection {
    let mut own = Vec::new();
    let selection = Selection::read(text, &mut own);
    complaints.extend(own.into_iter().map(|complaint| {
        // A label can be one word only.
        let is_word = |meant: &String| !meant.contains(['/', ',']);
        let meant = complaint.meant.clone().filter(is_word);
        let expected = match &meant {
            Some(_) => complaint
                .expected
                .replace(UNTIL_THEN, LABEL_UNTIL_THEN)
                .into(),
            None => (&**WORDS).into(),
        };
        Complaint {
            expected,
            meant,
            on: Stands::Label,
            ..complaint
        }
    }));
    selection
}

/// Returns what of the label cannot be read.
pub fn of_label(text: &str) -> Vec<Complaint> {
    let mut complaints = Vec::new();
    drop(read(text, &mut complaints));
    complaints
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn it_is_told_as_the_label_of_the_namespace() {
        let label = "the Namespace's label reroll.dev/restart-on";
        let words = "auto, secrets, configmaps, secretproviderclasses, env, volume or off";
        let meant =
            |word: &str| format!("an opt-in: did you mean {word}? Until then it opts nobody in");
        for (text, expected) in [
            ("auto", None),
            ("off", None),
            ("secrets", None),
            ("atuo", Some(meant("auto"))),
            ("true", Some(meant("auto"))),
            ("configmap", Some(meant("configmaps"))),
            ("nightly", Some(words.to_owned())),
            ("shop.db", Some(words.to_owned())),
            ("off.", Some("an opt-in: did you mean off?".to_owned())),
            ("", Some(words.to_owned())),
        ] {
            let told: Vec<_> = of_label(text).iter().map(ToString::to_string).collect();
            let expected = expected.map(|words| format!("{label}: \"{text}\" is not {words}"));
            assert_eq!(told, Vec::from_iter(expected), "{text}");
        }
    }
}
