//! Whether an owner's write that takes a mark back is to set a new one.

use crate::model::{
    Index, SourceName,
    decide::{Decision, Known, Lookup, Subject, decide},
    source::{Need, Usage},
};

/// Whether an owner's write that takes a mark back is to set a new one: for what asks for a restart, and for what new pods start
/// without and would not be restarted for when it is back.
pub(super) fn asks_for_mark<'a>(
    subject: &Subject,
    known: Known,
    live: &dyn Fn(&SourceName) -> Lookup<'a>,
    index: &Index,
) -> bool {
    let forgotten = |(source, usage): (&SourceName, &Usage)| match live(source) {
        Lookup::Absent { last, .. } => {
            usage.need == Need::Optional && subject.content_will_decide(source, usage, last)
        }
        _ => false,
    };
    let decision = decide(subject, known, live, index.key());
    matches!(decision, Decision::Restart(_)) || subject.uses.iter().any(forgotten)
}
