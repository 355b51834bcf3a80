//! Named moments of a restart. Tests end the process at one of them.

use std::sync::Arc;

/// A moment of a restart at which tests end the process.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Moment {
    /// Everything is decided and nothing is sent yet, except that the run of a CronJob is created.
    BeforePatch,
    /// The API server has answered the patch, and reroll has not looked at the answer.
    AnswerUnread,
    /// The judge was told the answer, and nothing more was done.
    AfterPatch,
    /// The manifest of a Job that is to be re-created is stored.
    Kept,
    /// The API server has answered the deletion of the old Job, and reroll has not looked at the answer.
    Deleted,
    /// The API server has answered the creation of the new Job, and reroll has not looked at the answer.
    Created,
}

/// Called at each [`Moment`].
pub type Probe = Arc<dyn Fn(Moment) + Send + Sync>;
