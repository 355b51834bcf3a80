//! How far the pods of a workload are.

use serde::Serialize;

use crate::{
    cli::output::{Text, Tone},
    model::workload::Workload,
};

/// What is said of a CronJob or Job that is suspended.
const SUSPENDED: &str = "suspended (spec.suspend): nothing restarts until it is resumed";

/// How far its pods are.
#[derive(Clone, Copy, PartialEq, Eq, Serialize)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
pub(super) enum State {
    #[serde(rename = "complete")]
    Complete,
    #[serde(rename = "rolling")]
    Rolling,
    #[serde(rename = "not all available")]
    Short,
    #[serde(rename = "keeps older pods")]
    Stays,
    #[serde(rename = "being deleted")]
    Deleted,
    #[serde(rename = "not told by its status")]
    Untold,
    #[serde(rename = "suspended")]
    Suspended,
    #[serde(rename = "unknown")]
    Unknown,
}

impl State {
    /// Returns how far the pods of a workload are.
    pub(super) fn of(workload: &Workload) -> Self {
        let progress = &workload.progress;
        match progress.counts {
            _ if workload.deleting => Self::Deleted,
            None => Self::Untold,
            Some(_) if workload.is_behind() || progress.rolls() => Self::Rolling,
            Some(counts) if counts.available < counts.wanted => Self::Short,
            Some(counts) if counts.updated < counts.wanted => Self::Stays,
            Some(_) => Self::Complete,
        }
    }

    pub(super) fn text(self, pods: &str) -> Text {
        let (tone, word) = match self {
            Self::Complete => (Tone::Good, "complete"),
            Self::Rolling => (Tone::Warning, "rolling"),
            Self::Short => (Tone::Warning, "not all available"),
            Self::Stays => (Tone::Warning, "keeps older pods"),
            Self::Deleted => (Tone::Warning, "being deleted"),
            Self::Untold => (Tone::Warning, "not told by its status"),
            Self::Suspended => (Tone::Warning, SUSPENDED),
            Self::Unknown => (Tone::Warning, "unknown"),
        };
        tone.text(format!("{word}{pods}"))
    }
}
