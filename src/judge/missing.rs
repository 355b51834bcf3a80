//! Where the judge tells of what has been absent for a while.

use tokio::time::Instant;

use super::{Judge, absences::ToTell};
use crate::model::{held::Held, index::absent, note::Note};

/// Tells of what has been absent for a while, as who leads. Returns when there may be more.
pub fn tell(judge: &Judge) -> Option<Instant> {
    loop {
        let now = Instant::now();
        let taken = judge.docket().absences.take(now);
        let Some(key) = taken else {
            return judge.docket().absences.next(now);
        };
        // It may be back, and that was not judged yet.
        let judged = judge.judge_taken(&key);
        let ToTell {
            waits,
            absent: gone,
        } = judge.docket().absences.tell(&key, now);
        if waits {
            judge.teller.held(&key, Held::Missing, &judged);
        }
        for absent in &gone {
            let print = absent::print(&judge.state.index(), &key, absent);
            let note = Note::SourceMissing { absent };
            judge.teller.say_once_of(&key, &note, &print);
        }
        if !gone.is_empty() {
            let mut docket = judge.docket();
            let decision = judged.decision.as_ref();
            let is_over = absent::has_lasted(&mut judge.state.index_mut(), &key, decision);
            if is_over {
                judge.tidy_later(&mut docket, &key);
            }
        }
    }
}
