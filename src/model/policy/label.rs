//! The opt-in of a whole namespace: one word, in a label of the Namespace.
//!
//! Labels have neither commas nor slashes, so it is one of a few words. One that cannot be read is the Namespace's: it is told of
//! that, and once, and not as an annotation of each workload in it.

use std::sync::LazyLock;

use super::{
    complaint::{Complaint, Stands},
    selection::{EXPECTED_RESTART_ON, Selection},
};
use crate::model::source::SourceKind;

/// What a label can say.
static WORDS: LazyLock<String> = LazyLock::new(|| {
    let kinds = SourceKind::ALL.map(SourceKind::plural).join(", ");
    format!("auto, {kinds}, env, volume or off")
});

/// Reads the label.
pub(super) fn read(text: &str, complaints: &mut Vec<Complaint>) -> Selection {
    let mut own = Vec::new();
    let selection = Selection::read(text, &mut own);
    complaints.extend(own.into_iter().map(|complaint| Complaint {
        expected: if complaint.expected == *EXPECTED_RESTART_ON {
            &WORDS
        } else {
            complaint.expected
        },
        on: Stands::Label,
        ..complaint
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
            |word: &str| format!("an opt-in: did you mean {word}? Nothing restarts until then");
        for (text, expected) in [
            ("auto", None),
            ("off", None),
            ("secrets", None),
            ("atuo", Some(meant("auto"))),
            ("true", Some(meant("auto"))),
            ("configmap", Some(meant("configmaps"))),
            ("nightly", Some(words.to_owned())),
            ("", Some(words.to_owned())),
        ] {
            let told: Vec<_> = of_label(text).iter().map(ToString::to_string).collect();
            let expected = expected.map(|words| format!("{label}: \"{text}\" is not {words}"));
            assert_eq!(told, Vec::from_iter(expected), "{text}");
        }
    }
}
