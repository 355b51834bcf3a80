//! What Reloader does today with a workload, and what reroll does with it, in a sentence each.

use std::{collections::BTreeSet, fmt::Write as _};

use super::theirs::Theirs;
use crate::model::{
    Kind, Policy, SourceKind,
    annotation::{
        ON_CHANGE,
        reloader::{IGNORE, ROLLOUT_STRATEGY},
    },
    policy::{Complaint, Defaults, Rules, Selection},
    source::References,
    workload::{Asks, CRON_JOB, JOB, KINDS, Kinds, ROLLOUT, RestartBy, RestartMeans, Workload},
};

/// What Reloader does.
pub(super) struct There {
    pub(super) sentence: String,
    /// What it takes of what the workload uses.
    pub(super) takes: References,
}

/// What reroll does, as it stands.
pub(super) struct Here {
    pub(super) sentence: String,
    pub(super) takes: References,
    pub(super) complaints: Vec<Complaint>,
}

/// Returns what Reloader does. `workload` was read by its names of annotations.
pub(super) fn there(kind: Kind, workload: &Workload, theirs: Option<&Theirs>) -> There {
    let nothing = |why: &str| There {
        sentence: format!("does nothing: {why}"),
        takes: References::new(),
    };
    if !KINDS
        .iter()
        .chain([&CRON_JOB, &JOB, &ROLLOUT])
        .any(|known| known == kind)
    {
        return nothing(&format!("it does not know {}s", kind.kind));
    }
    if theirs.is_some_and(|theirs| theirs.lists("ignored-workload-types", kind.plural)) {
        return nothing("--ignored-workload-types says so");
    }
    if kind == &ROLLOUT && theirs.is_some_and(|theirs| !theirs.is_on("is-Argo-Rollouts")) {
        return nothing("--is-Argo-Rollouts is off");
    }
    if workload.borrows.is_some() {
        return nothing("it does not see the template that workloadRef names");
    }
    // It reads that on sources only, and reroll's words not at all.
    let read = |key: &str| key != IGNORE && key.contains("reloader.stakater.com/");
    let asks: Asks = workload
        .asks
        .iter()
        .filter(|(key, _)| read(key))
        .map(|(key, text)| (key.clone(), text.clone()))
        .collect();
    let defaults = Defaults {
        all: theirs.is_some_and(Theirs::all),
        ..Defaults::default()
    };
    let (policy, complaints) = Policy::read(&asks, defaults);
    if let Some(bad) = complaints.iter().find(|one| is_expression(one.key)) {
        return nothing(&format!("v1.4.21 ends when it reads this: {bad}"));
    }
    let Selection::Some(rules) = &policy.selection else {
        return nothing("nothing asks it to");
    };
    let mut sentence = format!("{} when {} changes", does(kind, &asks), what(rules));
    if let Some(period) = policy.gather.filter(|_| kind.gathers) {
        let _ = write!(sentence, ", and pauses it for {} s then", period.as_secs());
    }
    There {
        sentence,
        takes: rules.select(&workload.references, std::iter::empty()),
    }
}

fn does(kind: Kind, asks: &Asks) -> &'static str {
    let restart = asks
        .get(ROLLOUT_STRATEGY)
        .is_some_and(|text| text == "restart");
    match kind.means {
        RestartMeans::Run => "makes a Job of it, also while it is suspended,",
        RestartMeans::Recreate => "deletes it and makes it again, also when it has ended,",
        RestartMeans::RestartAt if restart => "sets spec.restartAt",
        RestartMeans::RestartAt | RestartMeans::Template => "restarts it",
    }
}

fn once(kind: Kind, workload: &Workload) -> &'static str {
    match (kind.means, &workload.restart_by) {
        (RestartMeans::Run, _) => "runs it once",
        (RestartMeans::Recreate, _) => "makes it again once, while it has not ended,",
        (_, RestartBy::RestartAt { .. }) => "sets spec.restartAt once",
        _ => "restarts it once",
    }
}

fn is_expression(key: &str) -> bool {
    SourceKind::ALL
        .into_iter()
        .any(|kind| kind.reloader().reload == key)
}

/// Returns what reroll does. `installed`: the kinds that it restarts.
pub(super) fn here(
    kind: Kind,
    workload: &Workload,
    defaults: Defaults<'_>,
    installed: &Kinds,
) -> Here {
    let (policy, complaints) = Policy::of(workload, defaults);
    let known = installed.iter().any(|known| known == kind);
    let mut takes = References::new();
    let sentence = match &policy.selection {
        _ if !known => format!(
            "does nothing: as it is installed it restarts no {}s (add {} to kinds.optional)",
            kind.kind, kind.plural
        ),
        Selection::Off => match kind.means {
            RestartMeans::Run | RestartMeans::Recreate
                if !workload.asks.contains_key(ON_CHANGE) =>
            {
                format!("does nothing: it waits for {ON_CHANGE}")
            }
            _ => "does nothing: nothing asks it to".to_owned(),
        },
        Selection::Unreadable => "does nothing until what is written can be read".to_owned(),
        Selection::Some(rules) => {
            takes = rules.select(&workload.references, std::iter::empty());
            let gathers = policy.gather.filter(|_| kind.gathers);
            let later = gathers.map_or_else(String::new, |period| {
                format!(", at the end of {} s", period.as_secs())
            });
            format!(
                "{} when {} changes or is recreated{later}",
                once(kind, workload),
                what(rules)
            )
        }
    };
    Here {
        sentence,
        takes,
        complaints,
    }
}

/// Returns what an opt-in takes, in words.
fn what(rules: &Rules) -> String {
    let all = SourceKind::ALL
        .into_iter()
        .all(|kind| rules.kinds.contains(kind));
    let mut parts = Vec::new();
    if all {
        parts.push("anything that it uses".to_owned());
    } else if !rules.kinds.is_empty() {
        let kinds: Vec<_> = rules
            .kinds
            .iter()
            .map(|kind| format!("a {}", kind.as_str()))
            .collect();
        parts.push(format!("{} that it uses", kinds.join(" or ")));
    }
    if !rules.search.is_empty() {
        parts.push("what it uses that has match".to_owned());
    }
    // The words of the opt-in: those of kinds have no slash.
    let words = rules.to_string();
    let words: BTreeSet<_> = words.split(',').filter(|word| word.contains('/')).collect();
    let (not, named): (Vec<&str>, Vec<&str>) =
        words.into_iter().partition(|word| word.starts_with('!'));
    parts.extend(named.into_iter().map(ToOwned::to_owned));
    let mut text = parts.join(" or ");
    if !not.is_empty() {
        let others: Vec<_> = not
            .iter()
            .map(|word| word.trim_start_matches('!'))
            .collect();
        let _ = write!(text, " (not {})", others.join(", "));
    }
    text
}
