//! The workloads that people hold by `reroll.dev/suspend` although a restart is due, and when that is shown on them.
//!
//! Pure: time is an argument.

use jiff::{SignedDuration, Timestamp};

use super::by_namespace::ByNamespace;
use crate::model::{
    Index, WorkloadKey,
    brake::later,
    decide::{Restart, restart_id},
    gate::suspend::Stop,
    held::Held,
    pending::Pending,
};

/// What is held for so long is shown on the workload, and what is shown is looked at so often.
const SHOWN_AFTER: SignedDuration = SignedDuration::from_secs(30);

/// The workloads that people hold; at most one entry for each.
#[derive(Debug, Default)]
pub struct Stopped {
    held: ByNamespace<Entry>,
}

/// A workload that people hold.
#[derive(Debug)]
struct Entry {
    stop: Stop,
    /// Which restart it is, as of [`restart_id`].
    id: String,
    /// When it is looked at whether what is shown is so.
    look_at: Timestamp,
}

impl Stopped {
    /// Notes who holds a restart of a workload. Returns whether somebody else did before, or for another reason.
    pub fn hold(
        &mut self,
        index: &Index,
        key: &WorkloadKey,
        (stop, restart): (&Stop, &Restart),
        now: Timestamp,
    ) -> bool {
        let Some(tracked) = index.workload(key) else {
            return false;
        };
        let id = restart_id(&tracked.workload, restart, tracked.uses(), index.key());
        if let Some(known) = self.held.get_mut(key) {
            let other = known.stop != *stop;
            known.stop = stop.clone();
            known.id = id;
            return other;
        }
        // Since when one of what belongs together has changed, nothing else tells after a crash.
        let is_timed = tracked.policy.together().is_some();
        let look_at = if is_timed {
            now
        } else {
            later(now, SHOWN_AFTER)
        };
        let entry = Entry {
            stop: stop.clone(),
            id,
            look_at,
        };
        self.held.insert(key, entry);
        false
    }

    /// Notes that nobody holds it any more, or nothing is due.
    pub fn let_go(&mut self, key: &WorkloadKey) {
        self.held.remove(key);
    }

    /// Returns those on which something else is to be shown than is; at most so many. Each is looked at now and then, so that
    /// none is written more often.
    pub fn to_show(&mut self, index: &Index, most: usize, now: Timestamp) -> Vec<WorkloadKey> {
        let mut due = Vec::new();
        for (key, entry) in self.held.iter_mut() {
            if due.len() == most {
                break;
            }
            if now < entry.look_at {
                continue;
            }
            entry.look_at = later(now, SHOWN_AFTER);
            if !entry.is_shown(index, key) {
                due.push(key.clone());
            }
        }
        due
    }
}

impl Entry {
    /// Whether that is shown; or, what is more, that a policy refuses the restart, which every replica's webhook has to know.
    fn is_shown(&self, index: &Index, key: &WorkloadKey) -> bool {
        let tracked = index.workload(key);
        let shown = tracked.and_then(|tracked| Pending::of(&tracked.workload));
        shown.is_some_and(|shown| match shown.reason {
            Held::Refused => true,
            Held::Suspended => shown.id == self.id && shown.by == self.stop.words(&key.namespace),
            _ => false,
        })
    }
}
