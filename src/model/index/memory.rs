//! Which of two counts: what is remembered of a workload, or what its annotation says.

use crate::model::{
    decide::is_own,
    observed::{Observed, Reading},
    source::SourceName,
    workload::Workload,
};

/// What is remembered after an event.
pub(super) struct Followed {
    pub(super) reading: Option<Reading>,
    /// It is what was remembered before.
    pub(super) is_remembered: bool,
}

pub(super) fn follow_memory(
    remembered: Option<Reading>,
    reading: Option<Reading>,
    written: Option<u64>,
    workload: &Workload,
) -> Followed {
    let counts = match &remembered {
        Some(remembered) => supersedes(reading.as_ref(), remembered, written, workload),
        None => reading.as_ref().is_some_and(|read| is_news(read, written)),
    };
    Followed {
        is_remembered: !counts,
        reading: if counts { reading } else { remembered },
    }
}

/// Whether a text is newer than all that were read: one that a rollback restored is not. Of two with one number the first
/// stays.
pub(super) fn is_news(reading: &Reading, written: Option<u64>) -> bool {
    match reading {
        Reading::Genuine(read) | Reading::Previous(read) => Some(read.sequence) > written,
        Reading::OtherKey(_) | Reading::Newer(_) | Reading::Foreign => true,
    }
}

/// Whether an annotation's content counts against what is remembered of the same workload; `written`: the highest
/// sequence that was read before. What is remembered and not written yet yields to whatever was written since.
#[expect(clippy::match_same_arms, reason = "the rows of a table, in its order")]
pub(super) fn supersedes(
    reading: Option<&Reading>,
    remembered: &Reading,
    written: Option<u64>,
    workload: &Workload,
) -> bool {
    match (reading, remembered) {
        (Some(Reading::Newer(_)), _) => true,
        (
            Some(read @ (Reading::Genuine(of) | Reading::Previous(of))),
            Reading::Genuine(_) | Reading::Previous(_),
        ) => is_news(read, written) && of.is_of(&workload.uid),
        (Some(Reading::OtherKey(of)), Reading::Genuine(known) | Reading::Previous(known)) => {
            was_restarted(of, known, workload)
        }
        (
            Some(Reading::Genuine(_) | Reading::Previous(_) | Reading::OtherKey(_)),
            Reading::OtherKey(_) | Reading::Foreign | Reading::Newer(_),
        ) => true,
        // Nothing is remembered of what a newer release wrote, so when that is gone the workload is adopted afresh.
        (_, Reading::Foreign) | (None, Reading::Newer(_)) => true,
        _ => false,
    }
}

/// Whether another installation restarted the workload since what is remembered: then its pods have what that one
/// observed. What is under a key that a rollback brought back says nothing newer of any source.
fn was_restarted(by_another: &Observed, known: &Observed, workload: &Workload) -> bool {
    let mark = &by_another.restarted_for;
    by_another.is_of(&workload.uid)
        && *mark != known.restarted_for
        && workload.mark().is_none_or(|stands| stands == mark)
        && by_another.is_ahead_of(known)
}

/// Whether it was known which pods the workload adopted when this was written.
pub(super) fn examined(reading: &Reading, workload: &Workload) -> bool {
    match reading {
        Reading::Genuine(read) | Reading::Previous(read) | Reading::OtherKey(read) => {
            is_own(read, &workload.uid, workload.created) && !read.is_unexamined()
        }
        Reading::Newer(_) => true,
        Reading::Foreign => false,
    }
}

/// Whether entries were folded: a fold does not know by name what it holds.
pub(super) fn folds(memory: Option<&Reading>) -> bool {
    observed_in(memory).is_some_and(|observed| observed.fold.is_some())
}

/// Returns the sources that were observed: a glob takes them although they are gone.
pub(super) fn remembered(memory: Option<&Reading>) -> impl Iterator<Item = &SourceName> {
    let observed = observed_in(memory).into_iter();
    observed.flat_map(|observed| observed.entries.keys())
}

fn observed_in(memory: Option<&Reading>) -> Option<&Observed> {
    match memory? {
        Reading::Genuine(observed) | Reading::Previous(observed) | Reading::OtherKey(observed) => {
            Some(observed)
        }
        Reading::Newer(_) | Reading::Foreign => None,
    }
}
