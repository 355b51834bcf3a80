//! Why nothing restarts a workload.

use super::{
    facts::Facts,
    shape::{Line, Outcome},
    sources::{Becomes, Change},
};
use crate::{
    cli::sight::Sight,
    model::{
        Policy, WorkloadKey,
        held::Held,
        index::{Judged, Tracked},
        policy::Defaults,
        source::{key_word, spoken_key},
        version::used_keys,
        workload::RestartMeans,
    },
};

/// Returns the outcome of one that is not restarted, where it may roll, or is new, all the same.
pub(super) fn rolls_or(facts: &Facts, key: &WorkloadKey, outcome: Outcome) -> Outcome {
    if facts.new.contains(key) {
        Outcome::New
    } else if facts.rolls.contains(key) {
        Outcome::Rolls
    } else {
        outcome
    }
}

/// Returns why nothing is decided for a workload.
pub(super) fn undecided(
    facts: &Facts,
    key: &WorkloadKey,
    tracked: &Tracked,
    (judged, defaults): (&Judged, Defaults<'_>),
) -> (&'static str, String) {
    let runs = key.kind.means == RestartMeans::Run;
    if let Some(owner) = &judged.owner {
        let words = format!("{owner} owns it, and would revert a restart");
        return (Held::Owned.as_str(), words);
    }
    match tracked.policy.opted_in() {
        _ if facts.new.contains(key) => ("new", "its pods start with what is there".to_owned()),
        false if Policy::is_idle(&tracked.workload, defaults) => (
            "suspended",
            "suspended (spec.suspend): what starts when it is resumed takes what is there"
                .to_owned(),
        ),
        false if runs => (
            "notOptedIn",
            "not opted in: its next run takes what is there".to_owned(),
        ),
        false => ("notOptedIn", "not opted in".to_owned()),
        true => (
            "gone",
            "it is being deleted, or has no pod template".to_owned(),
        ),
    }
}

/// Returns why nothing restarts a workload.
pub(super) fn unchanged(
    sight: &Sight,
    facts: &Facts,
    key: &WorkloadKey,
    tracked: &Tracked,
    line: Line,
) -> Line {
    let outcome = rolls_or(facts, key, Outcome::NotRestarted);
    let (reason, words) = match outcome {
        Outcome::New => ("new", "its pods start with what is there".to_owned()),
        Outcome::Rolls => ("ownChange", "its own template changes".to_owned()),
        _ if facts.opts_in.contains(key) => (
            "optsIn",
            "these manifests opt it in: what its pods have counts from then on".to_owned(),
        ),
        _ if uses_unseen(facts, key, tracked) => {
            let words = "what becomes of all that it uses is not seen";
            return line.with(Outcome::Unknown, None, words);
        }
        _ => {
            let matters = facts.sources.iter().filter(|it| it.matters());
            let all: Vec<_> = matters
                .filter_map(|it| not_for(sight, key, tracked, it))
                .collect();
            let words: Vec<_> = all.iter().map(|(_, words)| words.as_str()).collect();
            let nothing = || "nothing that counts for it changes".to_owned();
            let words = if words.is_empty() {
                nothing()
            } else {
                words.join("; ")
            };
            (
                all.first().map_or("unchanged", |(reason, _)| *reason),
                words,
            )
        }
    };
    line.with(outcome, Some(reason), words)
}

/// Whether it uses a source of which it is not known what becomes of it.
fn uses_unseen(facts: &Facts, key: &WorkloadKey, tracked: &Tracked) -> bool {
    let mut unseen = facts
        .sources
        .iter()
        .filter(|it| it.change == Change::Unknown && it.key.namespace == key.namespace);
    unseen.any(|it| tracked.uses().contains_key(&it.key.source))
}

/// Returns why a workload is not restarted for a source; `None` where it does not use it.
fn not_for(
    sight: &Sight,
    key: &WorkloadKey,
    tracked: &Tracked,
    becomes: &Becomes,
) -> Option<(&'static str, String)> {
    let source = &becomes.key.source;
    if becomes.key.namespace != key.namespace {
        return None;
    }
    let spoken = source.spoken();
    let referred = tracked.workload.references.get(source);
    if referred.is_some_and(|usage| !usage.is_read()) {
        return Some(("notRead", format!("no container reads {spoken}")));
    }
    let Some(usage) = tracked.uses().get(source) else {
        return referred.map(|_| ("notSelected", format!("its opt-in leaves out {spoken}")));
    };
    let version = sight.index.source(&key.namespace, source).version();
    if version.is_some_and(|version| !version.counts_for(usage)) {
        return Some(("ignored", format!("{spoken} says that it does not count")));
    }
    if !usage.is_read() {
        let words = format!("its opt-in takes no key of {spoken} that a container reads");
        return Some(("notSelected", words));
    }
    Some(match becomes.change {
        Change::Created if referred.is_none() => (
            "recorded",
            format!(
                "its opt-in takes {spoken}, which no pod of it refers to: it is recorded as it comes"
            ),
        ),
        Change::Created => (
            "waits",
            format!("its pods wait for {spoken}, and start with it"),
        ),
        Change::Recreated => (
            "sameData",
            format!("{spoken} comes back with the same data"),
        ),
        Change::Changed if usage.whole => (
            "unchanged",
            format!("its pods have not started with {spoken} yet"),
        ),
        _ => {
            let word = key_word(used_keys(usage));
            let keys: Vec<_> = used_keys(usage).map(spoken_key).collect();
            let stay = if word == "key" { "stays" } else { "stay" };
            let words = format!(
                "of {spoken} it uses {word} {}, which {stay} the same",
                keys.join(", ")
            );
            ("otherKeys", words)
        }
    })
}
