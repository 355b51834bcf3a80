//! One thing to tell.

use jiff::Timestamp;

use super::settings::AlertKind;
use crate::model::{Cause, WorkloadKey, text::shortened_to_bytes};

/// The most bytes of a text in an alert. Templates can name what cannot exist, at any length.
const MOST_TEXT: usize = 600;
/// How many causes an alert lists; the rest is a number.
pub(super) const CAUSES: usize = 5;

/// One thing to tell.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Alert {
    pub(super) kind: AlertKind,
    pub(super) workload: WorkloadKey,
    /// The first few causes.
    pub(super) causes: Vec<AlertCause>,
    /// How many more there are.
    pub(super) more_causes: usize,
    /// How many tries there were.
    pub(super) attempts: u32,
    /// Why it fails.
    pub(super) error: Option<&'static str>,
    pub(super) time: Timestamp,
}

/// Why a workload is restarted.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct AlertCause {
    /// Kind and name of the source, where the cause is about one.
    pub(super) source: Option<(&'static str, String)>,
    pub(super) reason: &'static str,
    /// The sentence that Events have, too.
    pub(super) text: String,
}

fn told(text: &str) -> String {
    shortened_to_bytes(text, MOST_TEXT).into_owned()
}

impl Alert {
    pub(super) fn new(
        kind: AlertKind,
        workload: &WorkloadKey,
        causes: &[Cause],
        attempts: u32,
        error: Option<&'static str>,
        time: Timestamp,
    ) -> Self {
        let cause = |cause: &Cause| AlertCause {
            source: cause
                .source
                .as_ref()
                .map(|source| (source.kind.as_str(), told(&source.name))),
            reason: cause.kind.as_str(),
            text: told(&cause.to_string()),
        };
        Self {
            kind,
            workload: workload.clone(),
            causes: causes.iter().take(CAUSES).map(cause).collect(),
            more_causes: causes.len().saturating_sub(CAUSES),
            attempts,
            error,
            time,
        }
    }

    /// Returns what a message for people says of it.
    pub(super) fn line(&self) -> String {
        let key = &self.workload;
        let mut causes: Vec<_> = self.causes.iter().map(|cause| &*cause.text).collect();
        let more = format!("and {} more", self.more_causes);
        if self.more_causes > 0 {
            causes.push(&more);
        }
        let causes = causes.join("; ");
        let subject = format!("{} {}/{}", key.kind.kind, key.namespace, key.name);
        match self.error {
            None => format!("{subject}: {causes}"),
            Some(error) => format!(
                "{subject}: failed {} times, trying again: {error} ({causes})",
                self.attempts
            ),
        }
    }
}
