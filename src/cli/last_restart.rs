//! What `reroll.dev/last-restart` says.

use jiff::Timestamp;
use serde::Serialize;

/// A restart, as the workload tells it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
#[serde(rename_all = "camelCase")]
pub(super) struct LastRestart {
    pub(super) at: Option<Timestamp>,
    pub(super) causes: String,
}

impl LastRestart {
    /// Reads the annotation: a time, a colon and what it was for.
    pub(super) fn read(text: &str) -> Self {
        let parts = text.split_once(": ");
        let read = parts.and_then(|(at, causes)| Some((at.parse().ok()?, causes)));
        let (at, causes) = match read {
            Some((at, causes)) => (Some(at), causes),
            None => (None, text),
        };
        Self {
            at,
            causes: causes.to_owned(),
        }
    }
}
