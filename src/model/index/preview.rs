//! What a change of a source would do, for the person at the prompt.

use super::{Index, Overlay, Tracked};
use crate::model::{
    decide::{Decision, Doubt, Lookup},
    source::SourceKey,
    workload::WorkloadKey,
};

/// Of so many users of a source is looked what would become of them.
pub const PREVIEWED: usize = 100;

/// What a change of a source would do.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Preview {
    /// The workloads that it would restart.
    pub restarts: Vec<WorkloadKey>,
    /// Those that would wait for it to be back.
    pub waits: Vec<WorkloadKey>,
    /// There are more users, which nobody looked at.
    pub incomplete: bool,
}

impl Index {
    /// What a source's change to this state would do to the workloads that use it: those that it would restart, and
    /// those that would wait for it. Somebody waits for the answer, so of many users only the first are looked at.
    pub fn preview(&self, key: &SourceKey, becomes: Lookup) -> Preview {
        let overlay = Overlay::from([(&key.source, becomes)]);
        let mut users = self.users(key);
        let mut preview = Preview {
            incomplete: users.len() > PREVIEWED,
            ..Preview::default()
        };
        users.truncate(PREVIEWED);
        let before = match self.source(&key.namespace, &key.source) {
            Lookup::Present { version, .. } => Some(version),
            Lookup::Unsynced | Lookup::Unseen | Lookup::Absent { .. } => None,
        };
        for user in users {
            let suspended = |tracked: &Tracked| tracked.policy.suspend;
            let adopting = match (self.workload(&user), before, becomes) {
                (Some(tracked), Some(before), Lookup::Present { version, .. }) => {
                    let watched = self.conventions.sources.is_none();
                    tracked.adopting(&key.source, before, version, watched)
                }
                _ => None,
            };
            let decided = self.assess_from(&user, &overlay, adopting.as_ref());
            match &decided {
                Some(Decision::Restart(_)) if !self.workload(&user).is_some_and(suspended) => {
                    preview.restarts.push(user);
                }
                Some(Decision::Wait { .. }) => preview.waits.push(user),
                Some(decided) if matches!(decided.doubt(), Some((Doubt::AskPods, _))) => {
                    preview.waits.push(user);
                }
                _ => {}
            }
        }
        preview
    }
}
