//! What a decision looks at: the workload, what was observed of it, and each of its sources as known right now.

use crate::model::{
    observed::{Observed, Reading},
    policy::Policy,
    source::References,
    version::{Shows, Version},
};

/// A source as known right now.
#[derive(Clone, Copy, Debug)]
pub enum Lookup<'a> {
    /// The first list is not complete: nothing can be said.
    Unsynced,
    /// It is not among those that are watched, and may exist all the same: the API server has to be asked.
    Unseen,
    /// It does not exist.
    Absent {
        /// The version it last had, as far as remembered.
        last: Option<&'a Version>,
        /// Known to be absent at this resourceVersion or later; `u64::MAX` where the API server was asked just now; 0
        /// where no list was complete.
        since: u64,
    },
    /// It exists.
    Present {
        /// Its version.
        version: &'a Version,
        /// Read from the API server after the workload was: not merely what a watch delivered so far.
        fresh: bool,
    },
}

impl Lookup<'_> {
    /// The same, where what shows nothing of its data is absent: nobody knows of any.
    #[must_use]
    pub fn of_data(self) -> Self {
        match self {
            Self::Present { version, .. } if version.shows == Shows::Nothing => Self::Absent {
                last: None,
                since: 1,
            },
            other => other,
        }
    }
}

/// What is known of what was observed.
#[derive(Clone, Copy, Debug)]
pub enum Known<'a> {
    /// Nothing that counts: adopt.
    Nothing,
    /// Written by a newer release: leave it alone.
    Newer,
    /// Written under a digest key that this process does not know: which of both is the right one must be found out.
    UnknownKey,
    /// Written under a digest key that is known to be out of use: uids count, digests do not.
    OtherKey(&'a Observed),
    /// Written under the digest key before: what the pods were last started with.
    Previous(&'a Observed),
    /// What the pods were last started with.
    Observed(&'a Observed),
}

impl<'a> From<Option<&'a Reading>> for Known<'a> {
    fn from(reading: Option<&'a Reading>) -> Self {
        match reading {
            None | Some(Reading::Foreign) => Self::Nothing,
            Some(Reading::Newer(_)) => Self::Newer,
            Some(Reading::OtherKey(_)) => Self::UnknownKey,
            Some(Reading::Previous(observed)) => Self::Previous(observed),
            Some(Reading::Genuine(observed)) => Self::Observed(observed),
        }
    }
}

/// The workload that is decided on.
#[derive(Clone, Copy, Debug)]
pub struct Subject<'a> {
    /// `metadata.uid`
    pub uid: &'a str,
    /// `metadata.creationTimestamp`, unix seconds.
    pub created: i64,
    /// `metadata.generation`: never seen twice, so it makes every `restarted-for` new.
    pub generation: i64,
    /// The mark on it, such as the template's `restarted-for`; empty where it has none. `None` where a restart leaves none
    /// that anybody could take back.
    pub restarted_for: Option<&'a str>,
    /// What counts of what it uses.
    pub uses: &'a References,
    /// What it asks for.
    pub policy: &'a Policy,
    /// Whether a container that needs what is absent has ever started; `None` where nobody looked yet.
    pub started: Option<bool>,
    /// Whether it is known which pods it adopted when it was created, and what they have.
    pub examined: bool,
}

impl Subject<'_> {
    /// Whether somebody took back what `observed` says of it.
    pub fn is_undone(&self, observed: &Observed) -> bool {
        self.restarted_for
            .is_some_and(|mark| mark != observed.restarted_for)
    }
}
