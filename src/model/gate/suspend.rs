//! `reroll.dev/suspend`: nothing restarts until a person lets it go.
//!
//! It stands on a workload, on a Namespace or on reroll's own Lease, and any of them holds. One word for false lets go. Any
//! other text holds, and is shown as the reason: `INC-42`, `needs approval`, also no text at all.

use crate::model::{
    annotation::SUSPEND,
    nearest::is_slip,
    text::{is_false, or_quotes, printable, shortened},
};

/// The most characters of a reason that are kept.
const LENGTH: usize = 128;

/// Who says that a workload does not restart. What comes first is named first.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Place {
    /// The workload itself.
    Workload,
    /// An Argo Rollout that has its pod template.
    Rollout,
    /// Its Namespace, for all in it.
    Namespace,
    /// reroll's own Lease, for everything.
    Lease,
}

/// Somebody says that a workload does not restart.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Stop {
    /// Where it stands.
    pub place: Place,
    /// What was said, made printable and shortened.
    pub said: String,
}

/// Reads the annotation's text. Returns the reason; `None` where nothing is held.
pub fn read(text: Option<&str>) -> Option<String> {
    let said = text?.trim();
    (!is_false(said)).then(|| shortened(&printable(said), LENGTH).into_owned())
}

/// What it should be, where it is nearly the word that lets go. Any other text is meant.
pub const MEANT: &str = "false: did you mean that? Nothing restarts until then";

/// Whether the annotation's text is nearly the word that lets go.
pub fn is_meant_to_let_go(text: &str) -> bool {
    is_slip(text.trim(), "false")
}

impl Stop {
    /// Returns what is said by whom, of a workload in this namespace.
    pub fn words(&self, namespace: &str) -> String {
        let who = match self.place {
            Place::Workload => "the workload".to_owned(),
            Place::Rollout => "the Rollout that has its template".to_owned(),
            Place::Namespace => format!("Namespace {namespace}"),
            Place::Lease => "reroll's Lease".to_owned(),
        };
        format!("{who} says {SUSPEND}: {}", or_quotes(&self.said))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn one_word_lets_go_and_any_other_text_holds() {
        assert_eq!(read(None), None);
        for text in ["false", "False", " FALSE\n", "no", "No", "off", "0", "\t0 "] {
            assert_eq!(read(Some(text)), None, "{text:?}");
        }
        for (text, said) in [
            ("true", "true"),
            (" true ", "true"),
            ("", ""),
            ("  ", ""),
            ("INC-42", "INC-42"),
            ("needs approval", "needs approval"),
            ("falsch", "falsch"),
            ("flase", "flase"),
            ("false alarm", "false alarm"),
            ("00", "00"),
            ("null", "null"),
            ("two\nlines\u{1b}[31m", "twolines[31m"),
        ] {
            assert_eq!(read(Some(text)).as_deref(), Some(said), "{text:?}");
        }
        for (text, meant) in [
            (" Flase ", true),
            ("falsee", true),
            ("false", false),
            ("flake", false),
            ("INC-42", false),
        ] {
            assert_eq!(is_meant_to_let_go(text), meant, "{text}");
        }
        let long = read(Some(&"ä".repeat(LENGTH + 1))).unwrap();
        assert_eq!(long.chars().count(), LENGTH);
        assert!(long.ends_with('…'));
    }

    #[test]
    fn people_read_who_says_what() {
        let words = |place, said: &str| {
            let said = said.to_owned();
            Stop { place, said }.words("shop")
        };
        for (place, expected) in [
            (
                Place::Workload,
                "the workload says reroll.dev/suspend: INC-42",
            ),
            (
                Place::Rollout,
                "the Rollout that has its template says reroll.dev/suspend: INC-42",
            ),
            (
                Place::Namespace,
                "Namespace shop says reroll.dev/suspend: INC-42",
            ),
            (
                Place::Lease,
                "reroll's Lease says reroll.dev/suspend: INC-42",
            ),
        ] {
            assert_eq!(words(place, "INC-42"), expected);
        }
        assert_eq!(
            words(Place::Namespace, ""),
            "Namespace shop says reroll.dev/suspend: \"\""
        );
    }
}
