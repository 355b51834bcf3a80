//! Who changed a source, and when, as people are told.
//!
//! Only what is known is said: a user where admission saw the very write that was persisted, a field manager where
//! `managedFields` tell. Names come from others, so they are shortened and printed in one line.

use std::{collections::BTreeMap, fmt};

use jiff::Timestamp;
use serde::{Deserialize, Serialize, Serializer};

use super::text::{printable, shortened};

/// The most characters of a name.
const NAME: usize = 128;

/// A change of a source. `reroll.dev/rollout` has it so.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Change {
    /// When it was made.
    #[serde(serialize_with = "in_seconds")]
    pub at: Timestamp,
    /// The user, as the API server knows them.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub user: Option<String>,
    /// The field manager: mostly the name of the program that the user worked with.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub manager: Option<String>,
}

impl Change {
    /// Returns a change that these made; `None` where it is not known of either.
    pub fn by(at: Timestamp, user: Option<&str>, manager: Option<&str>) -> Option<Self> {
        let named = |name: Option<&str>| {
            let name = printable(name?);
            (!name.is_empty()).then(|| shortened(&name, NAME).into_owned())
        };
        let (user, manager) = (named(user), named(manager));
        let known = user.is_some() || manager.is_some();
        known.then_some(Self { at, user, manager })
    }

    /// Whether it may be a change of what was there at that time. Of a user's write that is known. A field manager may have
    /// made another one: its time says so, which is in whole seconds.
    pub fn is_after(&self, time: Timestamp) -> bool {
        self.user.is_some() || self.at.as_second() >= time.as_second()
    }

    /// Returns who it was, as people are told it; `None` where that is not known.
    pub fn who(&self) -> Option<String> {
        match (&self.user, &self.manager) {
            (Some(user), Some(manager)) => Some(format!("{user} ({manager})")),
            (Some(one), None) | (None, Some(one)) => Some(one.clone()),
            (None, None) => None,
        }
    }
}

/// Writes a time in whole seconds.
fn in_seconds<S: Serializer>(at: &Timestamp, serializer: S) -> Result<S::Ok, S::Error> {
    serializer.collect_str(&format_args!("{at:.0}"))
}

/// Returns the changes that `reroll.dev/rollout` tells of, by their sources; none where it cannot be read.
pub fn told(rollout: &str) -> BTreeMap<String, Change> {
    #[derive(Deserialize)]
    struct Wire {
        #[serde(default)]
        changed: BTreeMap<String, Change>,
    }
    serde_json::from_str(rollout).map_or_else(|_| BTreeMap::new(), |wire: Wire| wire.changed)
}

impl fmt::Display for Change {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "changed {:.0}", self.at)?;
        match self.who() {
            Some(by) => write!(f, " by {by}"),
            None => Ok(()),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_known_is_said_and_in_one_line() {
        let at: Timestamp = "2026-11-28T21:19:25.250Z".parse().unwrap();
        let said = |user, manager| Change::by(at, user, manager).map(|one| one.to_string());
        let rows = [
            (
                Some("alice"),
                Some("kubectl-patch"),
                Some("changed 2026-11-28T21:19:25Z by alice (kubectl-patch)"),
            ),
            (
                Some("alice"),
                None,
                Some("changed 2026-11-28T21:19:25Z by alice"),
            ),
            (
                None,
                Some("helm"),
                Some("changed 2026-11-28T21:19:25Z by helm"),
            ),
            (
                Some("a\nb"),
                Some(""),
                Some("changed 2026-11-28T21:19:25Z by ab"),
            ),
            (Some("\n"), Some(""), None),
            (None, None, None),
        ];
        for (user, manager, expected) in rows {
            assert_eq!(said(user, manager).as_deref(), expected);
        }
        let long = Change::by(at, Some(&"x".repeat(1000)), None).unwrap();
        assert_eq!(long.user.map(|user| user.chars().count()), Some(NAME));
    }

    #[test]
    fn facts_leave_out_what_is_not_known() {
        let at: Timestamp = "2026-11-28T21:19:25Z".parse().unwrap();
        let facts = |user, manager| {
            let change = Change::by(at, user, manager).unwrap();
            serde_json::to_string(&change).unwrap()
        };
        assert_eq!(
            facts(Some("alice"), Some("kubectl-patch")),
            r#"{"at":"2026-11-28T21:19:25Z","user":"alice","manager":"kubectl-patch"}"#
        );
        assert_eq!(
            facts(None, Some("helm")),
            r#"{"at":"2026-11-28T21:19:25Z","manager":"helm"}"#
        );
    }

    #[test]
    fn what_is_told_is_read() {
        let text =
            r#"{"mark":"m","changed":{"secret/db":{"at":"2026-11-28T21:19:25Z","user":"alice"}}}"#;
        let read = told(text);
        let change = &read["secret/db"];
        assert_eq!(change.who().as_deref(), Some("alice"));
        assert_eq!(change.manager, None);
        assert!(told(r#"{"mark":"m"}"#).is_empty() && told("no JSON").is_empty());
    }
}
