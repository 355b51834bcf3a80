//! What is other than before when the index took something in.

use super::tracked::Tracked;
use crate::model::{peer::Hands, workload::WorkloadKey};

/// What a source's event did.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct SourceChange {
    /// Whether something that counts as data, or the uid, is other than before.
    pub changed: bool,
    /// Whether the uid is other than that of the version known before, deleted or not.
    pub recreated: bool,
    /// The workloads that use the source.
    pub users: Vec<WorkloadKey>,
    /// A read showed it older than it was known to be when that was asked for; the first thing that this read shows so.
    pub older: bool,
}

/// What taking in a workload showed.
#[expect(
    clippy::struct_excessive_bools,
    reason = "each is a fact of its own about the write"
)]
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct WorkloadChange {
    /// It has become adopted by a write that is seen only now: by the webhook, or by another replica.
    pub adopted: bool,
    /// It was opted in, and what did that is gone from it. An `off` in its place is the user's will and does not count.
    pub lost_opt_in: bool,
    /// It is opted in by words that can all be read, and was not so when it was seen before.
    pub opts_in: bool,
    /// It is opted in and without `observed`, and was not so when it was seen before.
    pub bared: Option<Bared>,
    /// Its `observed` is another installation's and was ours, or the other way round.
    pub hands: Option<Hands>,
    /// Others of the same template, for which it changed something.
    pub related: Vec<WorkloadKey>,
    /// As of [`SourceChange::older`].
    pub older: bool,
}

/// How a workload that was known came to be without `observed`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Bared {
    /// It opted in, or nothing is remembered that counts: it is adopted as it is.
    Afresh,
    /// A user took it away: what is remembered is written again.
    Restored,
}

impl Bared {
    /// Returns how a workload that is known came to be without `observed`; `was_bare` and `opted_in` say how it was
    /// seen before, under the same uid.
    pub(super) fn of(was_bare: Option<bool>, opted_in: bool, now: &Tracked) -> Option<Self> {
        let bared = was_bare == Some(false) && now.is_bare();
        bared.then(|| {
            if opted_in && now.observed().is_some() {
                Self::Restored
            } else {
                Self::Afresh
            }
        })
    }
}
