//! What a decision means for whoever asks what would restart: the outcome for one workload, and why.

use super::{
    facts::Facts,
    shape::{Line, Outcome},
    unchanged::{rolls_or, unchanged, undecided},
};
use crate::{
    cli::sight::{Sight, gated},
    model::{
        Decision, SourceName, WorkloadKey,
        decide::{Restart, Undecided, joined},
        held::Held,
        index::{Judged, Tracked},
        workload::Void,
    },
};

/// Returns the outcome for a workload, and its restart where nothing but time and others holds that: a gate does where the outcome is
/// that it is held.
pub(super) fn of(
    sight: &Sight,
    facts: &Facts,
    key: &WorkloadKey,
    (judged, held): (&Judged, Option<Held>),
) -> (Line, Option<Restart>) {
    let mut line = Line::new(key);
    let Some(tracked) = sight.index.workload(key) else {
        return (line.with(Outcome::Unknown, None, "it is not seen"), None);
    };
    line.pods = tracked.workload.progress.counts.map(|counts| counts.wanted);
    if !sight.installation.flags.work_in(&key.namespace) {
        let words = "reroll does not work in its namespace";
        return (
            line.with(Outcome::NotRestarted, Some("notHere"), words),
            None,
        );
    }
    let Some(decision) = &judged.decision else {
        let defaults = sight.index.defaults_of(&key.namespace);
        let (reason, words) = undecided(facts, key, tracked, (judged, defaults));
        return (
            line.with(
                rolls_or(facts, key, Outcome::NotRestarted),
                Some(reason),
                words,
            ),
            None,
        );
    };
    match decision {
        Decision::Restart(restart) => {
            let mut restart = restart.clone();
            if facts.begins_anew(key) {
                restart.causes.retain(|cause| facts.comes_later(key, cause));
            }
            if restart.causes.is_empty() {
                return (unchanged(sight, facts, key, tracked, line), None);
            }
            for cause in &mut restart.causes {
                // Nobody knows yet which uid it will be.
                cause.uids = None;
            }
            line.causes = joined(&restart.causes);
            due(sight, facts, key, tracked, (judged, held), line, restart)
        }
        Decision::Wait {
            causes, missing, ..
        } => {
            let words = format!("needs {}, which is absent or lacks a key", listed(missing));
            line.causes = joined(causes);
            let (outcome, reason) = if causes.is_empty() {
                (rolls_or(facts, key, Outcome::NotRestarted), "absent")
            } else {
                (Outcome::Held, Held::Missing.as_str())
            };
            (line.with(outcome, Some(reason), words), None)
        }
        Decision::Undecided(Undecided::Doubt(_, sources)) => {
            let outcome = rolls_or(facts, key, Outcome::Unknown);
            let words = format!("cannot be told without {}", listed(sources));
            (line.with(outcome, None, words), None)
        }
        Decision::Undecided(_) => {
            let words = held.map_or("it cannot be told", Held::words);
            let reason = held.map(Held::as_str);
            (line.with(Outcome::NotRestarted, reason, words), None)
        }
        Decision::Keep(_) | Decision::Record(_) => {
            (unchanged(sight, facts, key, tracked, line), None)
        }
    }
}

/// Returns what becomes of a restart that is due.
fn due(
    sight: &Sight,
    facts: &Facts,
    key: &WorkloadKey,
    tracked: &Tracked,
    (judged, held): (&Judged, Option<Held>),
    line: Line,
    restart: Restart,
) -> (Line, Option<Restart>) {
    if let Some(held) = held {
        let stop = judged.stop.as_ref().filter(|_| held == Held::Suspended);
        let words = stop.map_or(held.words().to_owned(), |stop| stop.words(&key.namespace));
        return (line.with(Outcome::Held, Some(held.as_str()), words), None);
    }
    // What is only supposed changes now.
    let together = || gated::together(sight, key, &restart, |_| sight.now);
    if let Some(gated) = gated::window(sight, key, tracked, sight.now).or_else(together) {
        let reason = Some(gated.held.as_str());
        // Those of higher waves wait for it.
        return (line.with(Outcome::Held, reason, gated.words), Some(restart));
    }
    let mut words = Vec::new();
    if facts.rolls.contains(key) || facts.new.contains(key) {
        let sources: Vec<_> = restart
            .causes
            .iter()
            .filter_map(|it| it.source.clone())
            .collect();
        let own = if facts.new.contains(key) {
            "is new"
        } else {
            "rolls by its own change"
        };
        words.push(format!(
            "{own}, and once more: {} stands behind it in the manifests",
            listed(&sources)
        ));
    }
    if facts.due.contains(key) {
        words.push("it is due already".to_owned());
    }
    words.extend(
        tracked
            .workload
            .progress
            .void
            .and_then(void)
            .map(ToOwned::to_owned),
    );
    (
        line.with(Outcome::Restarts, None, words.join("; ")),
        Some(restart),
    )
}

/// Returns why no pod of it is replaced by itself.
fn void(void: Void) -> Option<&'static str> {
    match void {
        Void::NoReplicas => Some("it wants no pods"),
        Void::Paused => Some("it is paused: its pods are replaced when it goes on"),
        Void::OnDelete => Some("its pods are replaced when somebody deletes them"),
        Void::Partitioned => Some("its partition keeps its pods"),
        Void::Runs => Some("a run of it is made"),
        Void::Unmarked => None,
    }
}

fn listed(sources: &[SourceName]) -> String {
    let names: Vec<_> = sources.iter().map(SourceName::spoken).collect();
    names.join(", ")
}
