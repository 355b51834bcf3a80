//! What people are told: one [`Note`] for each thing, with the words of its Event and of its line in the log.
//!
//! Events, the log, the command line and the documentation say the same because all of them take it from here. A note names
//! sources, their old and new uids, and keys; never a value.

mod display;
mod log;

use std::time::Duration;

use jiff::Timestamp;

use super::{
    absent::Absent,
    decide::{Cause, Decision},
    gate::suspend::Stop,
    held::Held,
    index::Judged,
    policy::Complaint,
    source::SourceName,
    workload::{Kind, Stays, WorkloadKey},
};

/// What people are told about a workload, or about the cluster.
#[derive(Clone, Copy, Debug)]
pub enum Note<'a> {
    /// The workload was restarted for this.
    Restarted {
        /// Why; a restart for several causes makes a note of each.
        cause: &'a Cause,
        /// How, where something else than the workload itself was started.
        how: Option<&'a str>,
    },
    /// A Job was created again that an earlier process deleted; this is what that process wrote down.
    RestartedLate {
        /// The text of `reroll.dev/last-restart`.
        last_restart: &'a str,
    },
    /// A restart did not go through, and is tried again.
    RestartFailed {
        /// Why, in words.
        why: &'a str,
    },
    /// A Job that was deleted cannot be created again yet.
    NotRecreated {
        /// Why, in words.
        why: &'a str,
    },
    /// Something required is absent, and what changed is restarted for when it is back.
    RestartWaits {
        /// What changed.
        causes: &'a [Cause],
        /// What is absent.
        missing: &'a [SourceName],
    },
    /// The workload's pods do not start without something that has been absent for a while.
    SourceMissing {
        /// What.
        absent: &'a Absent,
    },
    /// A CronJob lets only one run at a time, and there is one.
    RunWaits,
    /// Somebody holds it by `reroll.dev/suspend`.
    RestartSuspended {
        /// What changed.
        causes: &'a [Cause],
        /// Who holds it, and why.
        stop: &'a Stop,
        /// The workload's namespace.
        namespace: &'a str,
    },
    /// An Argo Rollout that has the workload's template is aborted, and a restart would end that.
    RestartAborted {
        /// What changed.
        causes: &'a [Cause],
    },
    /// A controller owns the workload, and would revert a restart.
    Owned {
        /// The owner, as `Kind name`.
        owner: Option<&'a str>,
    },
    /// The schema of the workload's kind drops what a restart sets.
    Dropped {
        /// The kind.
        kind: Kind,
    },
    /// What a restart changes is refused.
    Refused {
        /// What changed.
        causes: &'a [Cause],
    },
    /// The owner of the workload took the mark of a restart back.
    TakenBack {
        /// The owner, as `Kind name`.
        owner: Option<&'a str>,
    },
    /// Nothing of the opt-in can be read.
    OptInUnreadable,
    /// A newer release wrote `observed`.
    NewerFormat,
    /// The workload was restarted, and its pods do not roll by themselves.
    NotRolling(Stays),
    /// The workload's annotations leave no room for `observed`.
    NoRoom,
    /// Part of what the workload asks for cannot be read.
    SettingUnreadable(&'a Complaint),
    /// The workload was restarted so often that its next restart waits.
    RestartLimited {
        /// For so long.
        wait: Duration,
    },
    /// A source has made its users restart again and again.
    Rewritten {
        /// The source.
        source: &'a SourceName,
        /// How often within an hour.
        times: usize,
        /// Which keys changed last.
        keys: &'a [String],
        /// Who wrote it last, where that is known.
        writer: Option<&'a str>,
        /// Whether the workload's own pods did.
        itself: bool,
    },
    /// No new pod of its restart is good yet.
    RolloutWaits {
        /// What it waits for.
        words: &'a str,
    },
    /// Its restart failed.
    RestartStuck {
        /// Why.
        words: &'a str,
        /// What only a person can do.
        remedy: Option<&'a str>,
    },
    /// Its restart waits for its window, for what belongs together, or for a lower wave that goes no further.
    RestartGated {
        /// What for.
        words: &'a str,
    },
    /// It was restarted, and not all has changed that belongs together.
    RestartedApart {
        /// What has not.
        words: &'a str,
    },
    /// Its restart is good, and its rollout goes no further.
    RestartHangs {
        /// How far it is.
        words: &'a str,
    },
    /// Others wait because a restart failed.
    RestartsSlowed {
        /// For which source.
        source: Option<&'a SourceName>,
        /// What is so.
        words: &'a str,
    },
    /// All users of a source have its version, and no pod has an older one.
    Converged {
        /// Who has it, and since when.
        words: &'a str,
    },
    /// All users of a source have its version, and pods that reroll does not restart may have an older one.
    NotConverged {
        /// Which pods.
        words: &'a str,
    },
    /// The workload opted in, or what could not be read of its opt-in was mended.
    OptedIn {
        /// For what it restarts.
        words: &'a str,
    },
    /// The workload lost its opt-in, perhaps by a rollback.
    OptedOut {
        /// It was that of its Namespace's label.
        by_label: bool,
    },
    /// The workload was adopted, and this source was written after its current revision was made.
    AdoptedOutdated {
        /// The source.
        source: &'a SourceName,
    },
    /// The workload rolled for a source whose old object was immutable, and some of its pods run where that is still known.
    Stale {
        /// The source.
        source: &'a SourceName,
        /// The names of these pods.
        pods: &'a [String],
    },
    /// Another installation of reroll works in the workload's namespace.
    WorksElsewhere {
        /// The id of its digest key.
        key_id: &'a str,
        /// The user who writes under that key, where admission saw it.
        user: Option<&'a str>,
    },
    /// etcd went back to an earlier state.
    HistoryWentBack {
        /// When that was found.
        at: Timestamp,
    },
}

/// The type of an Event.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Severity {
    /// What reroll is for.
    Normal,
    /// Something needs a person.
    Warning,
}

/// How loud a line in the log is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Loudness {
    /// For those who look.
    Info,
    /// For operators of the cluster.
    Warn,
}

impl<'a> Note<'a> {
    /// Returns what is told of a workload that is held for this reason. None for what is told elsewhere: the watch of the
    /// digest key says once for all what is wrong with it, and a run that is active is told of when it is found.
    pub fn held(held: Held, judged: &'a Judged, key: &'a WorkloadKey) -> Option<Self> {
        let decision = judged.decision.as_ref();
        let causes = decision.map(Decision::causes).unwrap_or_default();
        let missing = match decision {
            Some(Decision::Wait { missing, .. }) => missing.as_slice(),
            _ => &[],
        };
        Some(match held {
            Held::Missing => Self::RestartWaits { causes, missing },
            Held::Suspended => Self::RestartSuspended {
                causes,
                stop: judged.stop.as_ref()?,
                namespace: &key.namespace,
            },
            Held::Aborted => Self::RestartAborted { causes },
            Held::Owned => Self::Owned {
                owner: judged.owner.as_deref(),
            },
            Held::Unreadable => Self::OptInUnreadable,
            Held::NewerFormat => Self::NewerFormat,
            Held::TakenBack => Self::TakenBack {
                owner: judged.taken_back.as_deref(),
            },
            Held::Refused => Self::Refused { causes },
            Held::NoRoom | Held::Dropped => return Self::met(held, key.kind),
            Held::Paused => Self::NotRolling(Stays::Paused),
            Held::OnDelete => Self::NotRolling(Stays::OnDelete),
            Held::Partitioned => Self::NotRolling(Stays::Partitioned),
            Held::UnknownKey
            | Held::Elsewhere
            | Held::Running
            | Held::Window
            | Held::Together
            | Held::Wave
            | Held::SlowStart
            | Held::Spread
            | Held::Distance => return None,
        })
    }

    /// Returns what is told where a write met this reason. None for a reason that no write shows.
    pub const fn met(held: Held, kind: Kind) -> Option<Self> {
        match held {
            Held::NoRoom => Some(Self::NoRoom),
            Held::Dropped => Some(Self::Dropped { kind }),
            Held::Running => Some(Self::RunWaits),
            _ => None,
        }
    }

    /// Returns the type of its Event.
    pub const fn severity(&self) -> Severity {
        match self {
            Self::Restarted { .. }
            | Self::RestartedLate { .. }
            | Self::RunWaits
            | Self::OptedIn { .. }
            | Self::RestartGated { .. }
            | Self::RolloutWaits { .. }
            | Self::Converged { .. }
            | Self::NotConverged { .. } => Severity::Normal,
            _ => Severity::Warning,
        }
    }

    /// Returns the reason of its Event.
    pub const fn reason(&self) -> &'static str {
        match self {
            Self::Restarted { .. } | Self::RestartedLate { .. } => "Restarted",
            Self::RestartFailed { .. } | Self::NotRecreated { .. } => "RestartFailed",
            Self::RestartWaits { .. } | Self::RestartGated { .. } | Self::RunWaits => {
                "RestartWaits"
            }
            Self::SourceMissing { .. } => "SourceMissing",
            Self::RestartSuspended { .. } => "RestartSuspended",
            Self::RestartAborted { .. } => "RestartAborted",
            Self::Refused { .. } => "RestartRefused",
            Self::Owned { .. } | Self::Dropped { .. } | Self::TakenBack { .. } => "NotRestarted",
            Self::OptInUnreadable => "OptInUnreadable",
            Self::NewerFormat => "NewerFormat",
            Self::NotRolling(_) => "NotRolling",
            Self::NoRoom => "NoRoom",
            Self::SettingUnreadable(_) => "SettingUnreadable",
            Self::RestartLimited { .. } => "RestartLimited",
            Self::Rewritten { .. } => "SourceRewritten",
            Self::RolloutWaits { .. } => "RolloutWaits",
            Self::RestartStuck { .. } | Self::RestartHangs { .. } => "RestartStuck",
            Self::RestartedApart { .. } => "RestartedApart",
            Self::RestartsSlowed { .. } => "RestartsSlowed",
            Self::Converged { .. } => "Converged",
            Self::NotConverged { .. } => "NotConverged",
            Self::OptedIn { .. } => "OptedIn",
            Self::OptedOut { .. } => "OptedOut",
            Self::AdoptedOutdated { .. } => "AdoptedOutdated",
            Self::Stale { .. } => "Stale",
            Self::WorksElsewhere { .. } => "OtherInstallation",
            Self::HistoryWentBack { .. } => "HistoryWentBack",
        }
    }

    /// Returns the source that it is about, which its Event names beside the workload.
    pub fn source(&self) -> Option<&'a SourceName> {
        match self {
            Self::Restarted { cause, .. } => cause.source.as_ref(),
            Self::SourceMissing { absent } => Some(&absent.source),
            Self::AdoptedOutdated { source }
            | Self::Stale { source, .. }
            | Self::Rewritten { source, .. } => Some(source),
            _ => None,
        }
    }
}

#[cfg(test)]
mod tests {
    use std::fmt::Write as _;

    use super::*;
    use crate::model::{
        decide::{CauseKind, Restart},
        gate::suspend::Place,
        policy::Stands,
        testing::World,
        workload::KINDS,
    };

    fn stop() -> Stop {
        Stop {
            place: Place::Namespace,
            said: "INC-42".to_owned(),
        }
    }

    fn causes() -> Vec<Cause> {
        let source = SourceName::secret("db");
        let rolled_back = Cause::plain(CauseKind::RolledBack, None);
        vec![Cause::plain(CauseKind::Updated, Some(&source)), rolled_back]
    }

    #[test]
    #[expect(clippy::too_many_lines, reason = "it is a list")]
    fn all_words() {
        let (causes, stop) = (causes(), stop());
        let source = SourceName::secret("db");
        let missing = [source.clone(), SourceName::config_map("app")];
        let absent = |lacks_a_key| Absent {
            source: source.clone(),
            lacks_a_key,
        };
        let (gone, lacks) = (absent(false), absent(true));
        let complaint = Complaint {
            key: "reroll.dev/settle",
            value: "soon".to_owned(),
            expected: "a duration".into(),
            meant: None,
            on: Stands::Here,
        };
        let keys = ["password".to_owned()];
        let how = Some("Job web-1 runs now");
        let pods: Vec<_> = (0..12).map(|number| format!("web-{number}")).collect();
        let notes = [
            Note::Restarted {
                cause: &causes[0],
                how: None,
            },
            Note::Restarted {
                cause: &causes[0],
                how,
            },
            Note::RestartedLate {
                last_restart: "what was written down",
            },
            Note::RestartFailed { why: "WHY" },
            Note::NotRecreated { why: "WHY" },
            Note::RestartWaits {
                causes: &causes,
                missing: &missing,
            },
            Note::SourceMissing { absent: &gone },
            Note::SourceMissing { absent: &lacks },
            Note::RunWaits,
            Note::RestartSuspended {
                causes: &causes,
                stop: &stop,
                namespace: "shop",
            },
            Note::RestartAborted { causes: &causes },
            Note::Owned {
                owner: Some("App web"),
            },
            Note::Owned { owner: None },
            Note::Dropped { kind: &KINDS[0] },
            Note::Refused { causes: &causes },
            Note::Rewritten {
                source: &source,
                times: 5,
                keys: &keys,
                writer: Some("kubectl-patch"),
                itself: false,
            },
            Note::Rewritten {
                source: &source,
                times: 10,
                keys: &[],
                writer: None,
                itself: false,
            },
            Note::Rewritten {
                source: &source,
                times: 20,
                keys: &keys,
                writer: Some("web"),
                itself: true,
            },
            Note::RolloutWaits { words: "WHY" },
            Note::RestartGated { words: "WHY" },
            Note::RestartStuck {
                words: "WHY",
                remedy: None,
            },
            Note::RestartStuck {
                words: "WHY",
                remedy: Some("once the value is right: COMMAND"),
            },
            Note::RestartedApart {
                words: "WHAT DID NOT CHANGE",
            },
            Note::RestartHangs {
                words: "HOW FAR IT IS",
            },
            Note::RestartsSlowed {
                source: Some(&source),
                words: "WHO WAITS",
            },
            Note::Converged { words: "WHO" },
            Note::NotConverged {
                words: "WHICH PODS",
            },
            Note::TakenBack {
                owner: Some("App web"),
            },
            Note::OptInUnreadable,
            Note::NewerFormat,
            Note::NotRolling(Stays::Paused),
            Note::NotRolling(Stays::OnDelete),
            Note::NotRolling(Stays::Partitioned),
            Note::NoRoom,
            Note::SettingUnreadable(&complaint),
            Note::RestartLimited {
                wait: Duration::from_secs(90),
            },
            Note::RestartLimited {
                wait: Duration::from_millis(1),
            },
            Note::OptedIn {
                words: "Secret db (key password), ConfigMap cfg",
            },
            Note::OptedOut { by_label: false },
            Note::OptedOut { by_label: true },
            Note::AdoptedOutdated { source: &source },
            Note::Stale {
                source: &source,
                pods: &pods[..1],
            },
            Note::Stale {
                source: &source,
                pods: &pods,
            },
            Note::WorksElsewhere {
                key_id: "abc",
                user: Some("system:serviceaccount:old:reroll"),
            },
            Note::WorksElsewhere {
                key_id: "abc",
                user: None,
            },
            Note::HistoryWentBack {
                at: "2026-01-01T00:00:00.5Z".parse().unwrap(),
            },
        ];
        let mut words = String::new();
        for note in notes {
            let (severity, reason) = (note.severity(), note.reason());
            writeln!(words, "{severity:?} {reason}: {note}").unwrap();
            if let Some(source) = note.source() {
                writeln!(words, "  of: {source}").unwrap();
            }
            if let Some((loudness, line)) = note.log() {
                writeln!(words, "  log: {loudness:?} {line}").unwrap();
            }
        }
        insta::assert_snapshot!(words);
    }

    #[test]
    fn what_is_told_of_what_is_held() {
        let world = World::new();
        let restart = Decision::Restart(Restart {
            next: world.observed([]),
            causes: causes(),
            missing: Vec::new(),
        });
        let waits = Decision::Wait {
            next: world.observed([]),
            causes: causes(),
            missing: vec![SourceName::secret("db")],
        };
        let stop = stop();
        let web = WorkloadKey {
            kind: &KINDS[0],
            namespace: "shop".to_owned(),
            name: "web".to_owned(),
        };
        let mut words = String::new();
        for held in Held::ALL {
            let decision = match held {
                Held::Missing => Some(waits.clone()),
                Held::Suspended | Held::Aborted | Held::Refused => Some(restart.clone()),
                _ => None,
            };
            let judged = Judged {
                decision,
                unwritten: false,
                released: false,
                stop: Some(stop.clone()),
                aborted: false,
                settle: None,
                gather: None,
                stays: None,
                taken_back: Some("App web".to_owned()),
                owner: Some("App web".to_owned()),
                absent: Vec::new(),
                complaints: Vec::new(),
            };
            let note = Note::held(held, &judged, &web);
            let told = note.map_or_else(|| "(told elsewhere)".to_owned(), |note| note.to_string());
            writeln!(words, "{}: {told}", held.as_str()).unwrap();
        }
        insta::assert_snapshot!(words);
    }
}
