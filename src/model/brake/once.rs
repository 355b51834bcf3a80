//! What became of a workload's last restart, to somebody who looks once: the command line.
//!
//! The controller looks again and again, and remembers that a restart was good. Who looks once takes what fails after that for
//! a failure of the restart as long as its deadline is not over, and what is complete for good afterwards.

use jiff::Timestamp;
use k8s_openapi::api::core::v1::Pod;

use super::{
    Verdict,
    failed::{FAILED, Failed},
    look::{Asked, Look},
    verdict::{Facts, Patience, verdict},
};
use crate::model::{policy::Brakes, workload::Workload};

/// A restart that failed.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Failure {
    /// Why.
    pub failed: Failed,
    /// Why, in words.
    pub words: String,
    /// What only a person can do.
    pub remedy: Option<String>,
}

impl Failure {
    /// Returns what is wrong, and what a person can do.
    pub fn spoken(&self) -> String {
        let remedy = self.remedy.iter().map(|remedy| format!("; {remedy}"));
        format!("{FAILED}{}{}", self.words, remedy.collect::<String>())
    }
}

/// Returns why the last restart of a workload failed, by its pods; `None` where it did not, or there was none.
pub fn failure(
    workload: &Workload,
    asks: &Brakes,
    (pods, namespace): (&[Pod], &str),
    patience: Patience,
    now: Timestamp,
) -> Option<Failure> {
    let facts = Facts::of(workload)?;
    let (opened, progress) = (facts.opened, facts.progress);
    let patience = patience.as_asked(asks, progress);
    let asked = Asked {
        new: &workload.marks.new_pods(),
        soak: patience.needed(opened),
        deadline: patience.ends(opened, None, progress, facts.is_unseen),
        now,
    };
    let look = Look::at(pods, &asked);
    let facts = Facts {
        look: Some(&look),
        ..facts
    };
    match verdict(&facts, patience, now)? {
        Verdict::Failed(failed) => Some(Failure {
            words: failed.words(Some(&look), progress),
            remedy: failed.remedy(Some(&look), progress, namespace),
            failed,
        }),
        Verdict::Good | Verdict::Rolling { .. } | Verdict::Void(_) => None,
    }
}

/// Whether pods may tell more of a workload's last restart than its status: it is reroll's, and not through.
pub fn is_open(workload: &Workload) -> bool {
    workload.last.as_ref().is_some_and(|last| {
        let is_complete = workload
            .progress
            .is_complete(&last.opened, workload.observed_generation);
        last.is_ours && !is_complete
    })
}
