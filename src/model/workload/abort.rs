//! Whether an Argo Rollout is aborted: its users, or its analysis, rejected the template that it has.
//!
//! Its stable pods serve then, and the template waits for a better one. Argo Rollouts (1.9, `resetRolloutStatus`) takes
//! every other template for that better one. It ends the abort, and rolls out what was rejected. So while a Rollout is
//! aborted, reroll does not touch its template. It restarts the Rollout by `spec.restartAt`, which leaves the abort as it
//! is: Argo replaces the pods of every `ReplicaSet`, the stable one first.
//!
//! An abort can begin, or end, between a decision and its write. So the write tests what the decision saw.

use serde_json::{Value, json};

use super::{Kind, RestartMeans};

/// What `status.abort` of a workload says.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Abort {
    /// Its kind knows no aborts.
    #[default]
    Unknown,
    /// Nothing: it has no status yet.
    NoStatus,
    /// Nothing.
    Unsaid,
    /// This.
    Said(bool),
}

const STATUS: &str = "/status";
const ABORT: &str = "/status/abort";

impl Abort {
    /// Reads it off an object.
    pub(super) fn read(kind: Kind, object: &Value) -> Self {
        if kind.means != RestartMeans::RestartAt {
            return Self::Unknown;
        }
        match object.pointer(STATUS) {
            None | Some(Value::Null) => Self::NoStatus,
            Some(status) => status
                .get("abort")
                .and_then(Value::as_bool)
                .map_or(Self::Unsaid, Self::Said),
        }
    }

    /// Whether it is aborted.
    pub fn is_aborted(self) -> bool {
        self == Self::Said(true)
    }

    /// Returns a JSON pointer, and the value that stands there as long as the abort neither begins nor ends; null where
    /// nothing does.
    pub fn seen(self) -> Option<(&'static str, Value)> {
        match self {
            Self::Unknown => None,
            Self::NoStatus => Some((STATUS, Value::Null)),
            Self::Unsaid => Some((ABORT, Value::Null)),
            Self::Said(abort) => Some((ABORT, json!(abort))),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::model::workload::{KINDS, ROLLOUT};

    #[test]
    fn what_the_status_says_of_an_abort() {
        let rows = [
            (&ROLLOUT, json!({}), Abort::NoStatus),
            (&ROLLOUT, json!({ "status": null }), Abort::NoStatus),
            (&ROLLOUT, json!({ "status": {} }), Abort::Unsaid),
            (
                &ROLLOUT,
                json!({ "status": { "abort": null } }),
                Abort::Unsaid,
            ),
            // As `kubectl argo rollouts retry` leaves it.
            (
                &ROLLOUT,
                json!({ "status": { "abort": false } }),
                Abort::Said(false),
            ),
            (
                &ROLLOUT,
                json!({ "status": { "abort": true } }),
                Abort::Said(true),
            ),
            (
                &KINDS[0],
                json!({ "status": { "abort": true } }),
                Abort::Unknown,
            ),
        ];
        for (kind, object, expected) in rows {
            let read = Abort::read(kind, &object);
            assert_eq!(read, expected, "{} {object}", kind.kind);
            assert_eq!(read.is_aborted(), expected == Abort::Said(true));
            // What it is tested for is what is there.
            if let Some((pointer, value)) = read.seen() {
                let there = object.pointer(pointer).cloned().unwrap_or_default();
                assert_eq!(there, value, "{object}");
            }
        }
    }
}
