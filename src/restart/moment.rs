//! Named moments of a restart, for tests that end the process at one.

use std::sync::Arc;

/// A moment of a restart that tests end the process at.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Moment {
    /// Everything is decided, and nothing is sent yet; but for the run of a CronJob, which is made by then.
    BeforePatch,
    /// The API server has answered, and nobody has looked at the answer.
    AnswerUnread,
    /// The answer was taken over, and nothing more was done.
    AfterPatch,
    /// The manifest of a Job that is to be re-created is kept.
    Kept,
    /// The API server has answered that the Job is being deleted, and nobody has looked at the answer.
    Deleted,
    /// The new Job is created, as far as the API server is concerned.
    Created,
}

/// Is told of each [`Moment`].
pub type Probe = Arc<dyn Fn(Moment) + Send + Sync>;
