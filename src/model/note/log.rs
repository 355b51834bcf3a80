//! The words of a note's line in the log.

use super::{Loudness, Note};

impl Note<'_> {
    /// Returns the words of its line in the log. None for what is logged where it is done.
    pub const fn log(&self) -> Option<(Loudness, &'static str)> {
        let (info, warn) = (Loudness::Info, Loudness::Warn);
        Some(match self {
            Self::RestartFailed { .. } => (warn, "could not restart a workload, trying again"),
            Self::NotRecreated { .. } => (
                warn,
                "could not create a Job again yet: it is kept, trying again",
            ),
            Self::SourceMissing { .. } => (info, "a workload needs what is absent"),
            Self::RunWaits => (info, "a CronJob runs when its active run is over"),
            Self::RestartWaits { .. }
            | Self::RestartGated { .. }
            | Self::RestartSuspended { .. }
            | Self::RestartAborted { .. }
            | Self::Owned { .. }
            | Self::TakenBack { .. }
            | Self::OptInUnreadable
            | Self::NewerFormat
            | Self::NotRolling(_) => (info, "a workload is held"),
            Self::Refused { .. } => (
                warn,
                "a restart is refused by a policy or an admission webhook: it is tried again",
            ),
            Self::NoRoom => (
                warn,
                "a workload's annotations leave no room for reroll.dev/observed: it is not restarted",
            ),
            Self::Dropped { .. } => (
                warn,
                "the API server drops what a restart sets: is the pointer right, and the schema?",
            ),
            Self::SettingUnreadable(_) => (info, "part of what a workload asks for cannot be read"),
            Self::RestartLimited { .. } => (
                warn,
                "a workload is restarted so often that its next restart waits",
            ),
            Self::Rewritten { .. } => (
                warn,
                "a source changes again and again, and restarts a workload each time",
            ),
            Self::RolloutWaits { .. } => (info, "no new pod of a restart is good yet"),
            Self::RestartStuck { .. } => (warn, "a restart failed"),
            Self::RestartedApart { .. } => (
                warn,
                "a workload was restarted, and not all has changed that belongs together",
            ),
            Self::RestartHangs { .. } => (warn, "the rollout of a restart goes no further"),
            Self::RestartsSlowed { .. } => (warn, "restarts wait because one failed"),
            Self::Converged { .. } => (info, "all users of a source have its version"),
            Self::NotConverged { .. } => (
                info,
                "all users of a source have its version, and other pods may not have it",
            ),
            Self::OptedIn { .. } => (info, "a workload is opted in"),
            Self::OptedOut { .. } => (info, "a workload is no longer opted in"),
            Self::Stale { .. } => (
                warn,
                "pods may have the old data of an immutable object that was recreated",
            ),
            Self::WorksElsewhere { .. } => (
                warn,
                "another installation of reroll works in this namespace: this one leaves it alone",
            ),
            Self::HistoryWentBack { .. } => (
                warn,
                "etcd went back to an earlier state, as after a restore: listing everything again",
            ),
            Self::Restarted { .. } | Self::RestartedLate { .. } | Self::AdoptedOutdated { .. } => {
                return None;
            }
        })
    }
}
