//! The text of a note's Event.

use std::fmt;

use super::Note;
use crate::model::{
    annotation::{KUBECTL_RESTARTED_AT, MARK, ON_ADOPT, RELEASE, TOGETHER},
    brake::failed::FAILED,
    decide::{Cause, CauseKind, joined},
    source::SourceName,
    text::some_of,
    workload::{MARK_WORD, Stays},
};

impl Note<'_> {
    /// Writes what is said of when restarts are made, and of what became of them.
    fn of_brakes(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::RestartLimited { wait } => write!(
                f,
                "too many restarts in a short time: the next one waits {} s. Find out what keeps changing its sources",
                wait.as_secs().max(1)
            ),
            Self::Rewritten {
                source,
                times,
                keys,
                writer,
                itself,
            } => {
                let spoken = source.spoken();
                write!(
                    f,
                    "{spoken} made its users restart {times} times within an hour"
                )?;
                if let Some(key) = keys.first() {
                    write!(f, ", last for key {key}")?;
                }
                let writer = writer.unwrap_or("somebody who is not known");
                let pods = if *itself {
                    " with the ServiceAccount of its own pods: it restarts itself"
                } else {
                    ""
                };
                write!(
                    f,
                    "; {writer} wrote it last{pods}. Restarts come ever more rarely: find out why it is rewritten"
                )
            }
            Self::RestartSuspended {
                causes,
                stop,
                namespace,
            } => write!(
                f,
                "{}; not restarted: {}",
                joined(causes),
                stop.words(namespace)
            ),
            Self::RestartAborted { causes } => write!(
                f,
                "{}; not restarted: the Argo Rollout that has its template is aborted, and a restart would end the abort",
                joined(causes)
            ),
            Self::RestartGated { words } => write!(
                f,
                "its restart is due, and waits {words}. To restart it now: annotate it with {RELEASE}=now"
            ),
            Self::RestartedApart { words } => write!(
                f,
                "it was restarted for some of what belongs together ({TOGETHER}), and not for {words}: a later change of that \
                 restarts it once more"
            ),
            Self::RolloutWaits { words } => {
                write!(f, "no new pod of its restart is good yet: {words}")
            }
            Self::RestartStuck {
                words,
                remedy: None,
            } => write!(f, "{FAILED}{words}"),
            Self::RestartStuck {
                words,
                remedy: Some(remedy),
            } => {
                write!(f, "{FAILED}{words}. It may not heal by itself: {remedy}")
            }
            Self::RestartHangs { words } => write!(f, "its rollout goes no further: {words}"),
            Self::RestartsSlowed { words, .. }
            | Self::Converged { words }
            | Self::NotConverged { words } => f.write_str(words),
            _ => Ok(()),
        }
    }
}

/// The text of its Event.
impl fmt::Display for Note<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Restarted { cause, how: None } => write!(f, "{cause:#}"),
            Self::Restarted {
                cause,
                how: Some(how),
            } => write!(f, "{how}: {cause:#}"),
            Self::RestartedLate { last_restart } => f.write_str(last_restart),
            Self::RestartFailed { why } => {
                write!(f, "could not restart it, trying again: {why}")
            }
            Self::NotRecreated { why } => write!(
                f,
                "reroll deleted this Job and cannot create it again yet; a Secret of reroll's namespace has its manifest; trying \
                 again: {why}"
            ),
            Self::RestartWaits { causes, missing } => {
                let missing: Vec<_> = missing.iter().map(SourceName::spoken).collect();
                write!(
                    f,
                    "{}; reroll restarts it when {} exists with all required keys",
                    joined(causes),
                    missing.join(", ")
                )
            }
            Self::SourceMissing { absent } => write!(f, "{absent}"),
            Self::RunWaits => f.write_str(
                "a run is active, and concurrencyPolicy allows only one at a time: the CronJob runs again when that run ends",
            ),
            Self::Owned { owner } => write!(
                f,
                "it belongs to {}, which may revert a restart: opt in there, or, where that keeps {KUBECTL_RESTARTED_AT}, say {MARK}: \
                 {MARK_WORD} here",
                owner.unwrap_or("a controller")
            ),
            Self::Dropped { kind } => write!(
                f,
                "not restarted: the schema of {} drops annotations of the pod template at {}; it must list them, or say \
                 x-kubernetes-preserve-unknown-fields for metadata there",
                kind.kind, kind.template
            ),
            Self::Refused { causes } => write!(
                f,
                "{}; a policy or an admission webhook refused the restart; reroll tries again once a minute. To restart it now: \
                 kubectl rollout restart. To let reroll restart it in that way: {MARK}: {MARK_WORD}",
                joined(causes)
            ),
            Self::TakenBack { owner } => write!(
                f,
                "{} removed {KUBECTL_RESTARTED_AT}, which reroll had set to restart it: reroll waits until a source changes again",
                owner.unwrap_or("a controller")
            ),
            Self::OptInUnreadable => {
                f.write_str("reroll cannot read its opt-in, and restarts nothing")
            }
            Self::NewerFormat => f.write_str(
                "a newer reroll wrote reroll.dev/observed: this one restarts nothing",
            ),
            Self::NotRolling(stays) => f.write_str(not_rolling(*stays)),
            Self::NoRoom => f.write_str(
                "its annotations leave no room for reroll.dev/observed: remove some to have it restarted",
            ),
            Self::SettingUnreadable(complaint) => write!(f, "{complaint}"),
            Self::RestartSuspended { .. }
            | Self::RestartAborted { .. }
            | Self::RestartLimited { .. }
            | Self::Rewritten { .. }
            | Self::RolloutWaits { .. }
            | Self::RestartGated { .. }
            | Self::RestartedApart { .. }
            | Self::RestartStuck { .. }
            | Self::RestartHangs { .. }
            | Self::RestartsSlowed { .. }
            | Self::Converged { .. }
            | Self::NotConverged { .. } => self.of_brakes(f),
            Self::OptedIn { words } => write!(f, "restarts on {words}"),
            Self::OptedOut { by_label } => f.write_str(opted_out(*by_label)),
            Self::AdoptedOutdated { source } => {
                write!(
                    f,
                    "{}: its pods may have the old data. To restart it now: kubectl rollout restart. To let reroll do that at an \
                     opt-in: {ON_ADOPT}: restart",
                    Cause::plain(CauseKind::Outdated, Some(source))
                )
            }
            Self::Stale { source, pods } => f.write_str(&stale(source, pods)),
            Self::WorksElsewhere { key_id, user } => write!(
                f,
                "another installation of reroll works in this namespace (digest key {key_id}, user {}): this one leaves it \
                 alone, and tries again every 5 to 15 minutes",
                user.unwrap_or("not known: no webhook of this one saw it write")
            ),
            // With the time in it no Event repeats another: that would take a right to patch Events.
            Self::HistoryWentBack { at } => write!(
                f,
                "{at:.0}: etcd went back to an earlier state, as after a restore: reroll lists everything again. If this is said \
                 every minute, an API server was not restarted together with etcd: restart it"
            ),
        }
    }
}

/// Says that an opt-in is gone. `by_label`: it was that of the Namespace's label.
const fn opted_out(by_label: bool) -> &'static str {
    if by_label {
        "the label reroll.dev/restart-on of its Namespace opts it in no longer: changes of its sources do not restart it"
    } else {
        "reroll.dev/restart-on is gone: changes of its sources no longer restart it"
    }
}

fn stale(source: &SourceName, pods: &[String]) -> String {
    format!(
        "{} may have the old data of {}: the old one was immutable, and kubelets keep it while a pod names it. Give the new \
         one another name, or scale all that uses it to 0, wait until no pod names it, and scale up",
        listed(pods),
        source.spoken()
    )
}

/// The most pods that are named.
const MOST_PODS: usize = 10;

/// Names pods, not more than a few.
fn listed(pods: &[String]) -> String {
    let named = pods.iter().take(MOST_PODS).map(String::as_str);
    some_of(named, pods.len())
}

const fn not_rolling(stays: Stays) -> &'static str {
    match stays {
        Stays::Paused => {
            "it was restarted, but it is paused: its pods roll when it is resumed (an Argo Rollout: promoted)"
        }
        Stays::OnDelete => {
            "it was restarted, but its update strategy is OnDelete: delete its pods to have them replaced"
        }
        Stays::Partitioned => {
            "it was restarted, but the partition of its update strategy keeps the pods below it"
        }
    }
}
