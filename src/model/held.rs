//! Reasons for which a workload is behind, or does not roll, and no intent can help it.

use super::{
    decide::{Decision, Undecided},
    index::Judged,
    peer::May,
    workload::Stays,
};

/// Why a workload is behind its sources without an intent that could help it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Held {
    /// Something required is absent.
    Missing,
    /// It is not restarted at this time of day.
    Window,
    /// Some of what belongs together has changed, and some has not.
    Together,
    /// Users of lower waves are restarted first.
    Wave,
    /// Others of the same version have no verdict yet, or failed.
    SlowStart,
    /// Restarts failed in many namespaces, and one goes at a time.
    Spread,
    /// It was restarted a short while ago.
    Distance,
    /// It, its Namespace or reroll's Lease says `reroll.dev/suspend`.
    Suspended,
    /// An Argo Rollout that has its template is aborted.
    Aborted,
    /// A controller owns it.
    Owned,
    /// The opt-in cannot be read.
    Unreadable,
    /// A newer release wrote its `observed`.
    NewerFormat,
    /// Its `observed` is of a digest key that may be right instead of ours.
    UnknownKey,
    /// Another installation works in its namespace.
    Elsewhere,
    /// Its annotations leave no room.
    NoRoom,
    /// The schema of its kind drops what a restart sets.
    Dropped,
    /// Another run of it is active, and must be the only one.
    Running,
    /// The API server, a policy or an admission webhook refuses the change of its template.
    Refused,
    /// Its owner took the mark of its restart back.
    TakenBack,
    /// It was restarted, and its Deployment is paused.
    Paused,
    /// It was restarted, and its pods are replaced when a user deletes them.
    OnDelete,
    /// It was restarted, and the partition of its rolling update keeps pods.
    Partitioned,
}

impl Held {
    /// Returns why a workload that was judged so is held, of which this may be done; `None` where it is not.
    pub fn of(judged: &Judged, may: May) -> Option<Self> {
        let Some(decision) = &judged.decision else {
            return judged.owner.is_some().then_some(Self::Owned);
        };
        match decision {
            Decision::Undecided(Undecided::Unreadable) => Some(Self::Unreadable),
            Decision::Undecided(Undecided::NewerFormat) => Some(Self::NewerFormat),
            Decision::Undecided(Undecided::UnknownKey) => Some(Self::UnknownKey),
            _ if may == May::Hold => Some(Self::Elsewhere),
            Decision::Restart(_) if judged.stop.is_some() => Some(Self::Suspended),
            Decision::Restart(_) if judged.aborted => Some(Self::Aborted),
            Decision::Wait { causes, .. } if !causes.is_empty() => Some(Self::Missing),
            Decision::Keep(_) | Decision::Record(_) if judged.taken_back.is_some() => {
                Some(Self::TakenBack)
            }
            Decision::Keep(_) | Decision::Record(_) => judged.stays.map(|stays| match stays {
                Stays::Paused => Self::Paused,
                Stays::OnDelete => Self::OnDelete,
                Stays::Partitioned => Self::Partitioned,
            }),
            Decision::Undecided(Undecided::Doubt(..))
            | Decision::Restart(_)
            | Decision::Wait { .. } => None,
        }
    }

    /// Every reason, for metrics.
    pub const ALL: [Self; 22] = [
        Self::Missing,
        Self::Window,
        Self::Together,
        Self::Wave,
        Self::SlowStart,
        Self::Spread,
        Self::Distance,
        Self::Suspended,
        Self::Aborted,
        Self::Owned,
        Self::Unreadable,
        Self::NewerFormat,
        Self::UnknownKey,
        Self::Elsewhere,
        Self::NoRoom,
        Self::Dropped,
        Self::Running,
        Self::Refused,
        Self::TakenBack,
        Self::Paused,
        Self::OnDelete,
        Self::Partitioned,
    ];

    /// Reads the word.
    pub fn read(word: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|held| held.as_str() == word)
    }

    /// Returns the word for metrics, and in `reroll.dev/pending`.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Missing => "missing",
            Self::Window => "window",
            Self::Together => "together",
            Self::Wave => "wave",
            Self::SlowStart => "slow_start",
            Self::Spread => "spread",
            Self::Distance => "distance",
            Self::Suspended => "suspended",
            Self::Aborted => "aborted",
            Self::Owned => "owned",
            Self::Unreadable => "unreadable",
            Self::NewerFormat => "newer_format",
            Self::UnknownKey => "unknown_key",
            Self::Elsewhere => "other_installation",
            Self::NoRoom => "no_room",
            Self::Dropped => "dropped",
            Self::Running => "running",
            Self::Refused => "refused",
            Self::TakenBack => "taken_back",
            Self::Paused => "paused",
            Self::OnDelete => "on_delete",
            Self::Partitioned => "partitioned",
        }
    }

    /// Returns what holds it, in words that follow "because".
    pub const fn words(self) -> &'static str {
        match self {
            Self::Missing => "something that its pods require is absent",
            Self::Window => "its window is closed, or cannot be read",
            Self::Together => "not all has changed yet that belongs together (reroll.dev/together)",
            Self::Wave => "users of lower waves are not complete, or one of them failed",
            Self::SlowStart => "others of the same version have no verdict yet, or failed",
            Self::Spread => "restarts are under way, or failed, in many namespaces",
            Self::Distance => "it was restarted a short while ago",
            Self::Suspended => "somebody holds it by reroll.dev/suspend",
            Self::Aborted => "the Argo Rollout that has its template is aborted",
            Self::Owned => "a controller owns it, and would revert a restart",
            Self::Unreadable => "its opt-in cannot be read",
            Self::NewerFormat => "a newer reroll wrote reroll.dev/observed",
            Self::UnknownKey => "it was observed under another digest key",
            Self::Elsewhere => "another installation of reroll works in its namespace",
            Self::NoRoom => "its annotations leave no room for reroll.dev/observed",
            Self::Dropped => "the schema of its kind drops what a restart sets",
            Self::Running => "another run of it is active, and must be the only one",
            Self::Refused => "a policy or an admission webhook refuses the change of its template",
            Self::TakenBack => "its owner took back the mark of its last restart",
            Self::Paused => "it was restarted, and is paused",
            Self::OnDelete => {
                "it was restarted, and its pods are replaced when somebody deletes them"
            }
            Self::Partitioned => {
                "it was restarted, and a partition keeps pods on the template before"
            }
        }
    }

    /// Whether it was restarted, and its own settings keep its pods.
    pub const fn is_after_restart(self) -> bool {
        matches!(self, Self::Paused | Self::OnDelete | Self::Partitioned)
    }

    /// Whether it holds a restart that is due, and nothing where none is.
    pub const fn holds_what_is_due(self) -> bool {
        self.is_braked() || matches!(self, Self::Missing | Self::Suspended | Self::Aborted)
    }

    /// Whether a restart that is due can be let past it by `reroll.dev/release`.
    pub const fn is_released(self) -> bool {
        self.is_braked() || matches!(self, Self::Suspended)
    }

    /// Whether it stays until a user does something about it: an alert asks for that.
    pub const fn needs_a_user(self) -> bool {
        match self {
            Self::Missing
            | Self::Unreadable
            | Self::NewerFormat
            | Self::Elsewhere
            | Self::NoRoom
            | Self::Dropped
            | Self::Refused
            | Self::TakenBack => true,
            // They pass by themselves, or a user asked for them.
            Self::Window
            | Self::Together
            | Self::Wave
            | Self::SlowStart
            | Self::Spread
            | Self::Distance
            | Self::Suspended
            | Self::Aborted
            | Self::Owned
            | Self::UnknownKey
            | Self::Running
            | Self::Paused
            | Self::OnDelete
            | Self::Partitioned => false,
        }
    }

    /// Whether a brake holds it: an intent waits for time, or for others.
    pub const fn is_braked(self) -> bool {
        matches!(
            self,
            Self::Window
                | Self::Together
                | Self::Wave
                | Self::SlowStart
                | Self::Spread
                | Self::Distance
        )
    }

    /// Whether only the next write shows that the reason holds no more.
    pub const fn shows_at_a_write(self) -> bool {
        matches!(
            self,
            Self::NoRoom | Self::Dropped | Self::Running | Self::Refused
        )
    }
}

/// Why the restart of a workload is not made yet although an intent is under way.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum UnderWay {
    /// Others roll, as many as may at once.
    Rolling,
    /// It is a Job that is being created again.
    Recreating,
    /// Whether it is due is not decided yet: its namespace has had much decided lately, and others go first.
    Turn,
}

impl UnderWay {
    /// Every reason, for metrics.
    pub const ALL: [Self; 3] = [Self::Rolling, Self::Recreating, Self::Turn];

    /// Returns the word for metrics.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Rolling => "rolling",
            Self::Recreating => "recreating",
            Self::Turn => "turn",
        }
    }
}
