//! Of each source that a workload uses: what its pods have, against what is live.

use std::collections::BTreeSet;

use super::shape::{Has, SourceLine};
use crate::cli::sight::Sight;
use crate::model::{
    Cause, Decision, SourceName, WorkloadKey,
    annotation::IGNORE,
    brake::converged::Asked,
    decide::Lookup,
    index::Judged,
    observed::{Entry, Observed, Reading},
    source::{Need, Usage},
    standing::{asked_of_absent, standing},
    version::{key_of, used_keys},
};

/// Returns a line for each source that counts.
pub(in crate::cli) fn of(sight: &Sight, key: &WorkloadKey, judged: &Judged) -> Vec<SourceLine> {
    let Some(tracked) = sight.index.workload(key) else {
        return Vec::new();
    };
    let observed = observed(sight, key);
    let line = |(source, usage): (&SourceName, &Usage)| {
        let (has, words) = has(sight, key, (judged, observed.as_ref()), source, usage);
        let written = sight.written(&key_of(&key.namespace, source));
        SourceLine {
            kind: source.kind.as_str(),
            name: source.name.clone(),
            keys: used_keys(usage).map(ToOwned::to_owned).collect(),
            used_in: [("env", usage.env), ("volume", usage.volume)]
                .into_iter()
                .filter_map(|(place, is)| is.then_some(place))
                .collect(),
            required: usage.need == Need::Required,
            has,
            words,
            changed_at: written.at,
            changed_by: written.by,
        }
    };
    tracked.uses().iter().map(line).collect()
}

/// Whether it can be told whether the pods of a workload have what is live: of this source, or of all that it uses.
pub(in crate::cli) fn are_known(
    sight: &Sight,
    key: &WorkloadKey,
    judged: &Judged,
    of_one: Option<&SourceName>,
) -> bool {
    let mut lines = of(sight, key, judged);
    lines.retain(|line| {
        of_one.is_none_or(|one| one.kind.as_str() == line.kind && one.name == line.name)
    });
    all_known(&lines)
}

/// Whether it can be told of all of these. Where nothing was recorded it cannot.
pub(super) fn all_known(lines: &[SourceLine]) -> bool {
    let unknown = [Has::Unknown, Has::Unrecorded, Has::Doubted];
    lines.iter().all(|line| !unknown.contains(&line.has))
}

/// Whether one is absent that pods do not start without.
pub(super) fn lack_one(lines: &[SourceLine]) -> bool {
    lines
        .iter()
        .any(|line| line.required && line.has == Has::Absent)
}

/// Returns what is asked of the pods of a workload: of those sources of which nothing shows that no pod was there before they were
/// written.
pub(super) fn doubted(sight: &Sight, key: &WorkloadKey) -> Vec<Asked> {
    let Some(tracked) = sight.index.workload(key) else {
        return Vec::new();
    };
    let owner = (key.kind.kind.to_owned(), key.name.clone());
    let asked = tracked.uses().keys().filter_map(|source| {
        let key = key_of(&key.namespace, source);
        let live = sight.index.source(&key.namespace, source);
        match live.version() {
            Some(_) => standing(&sight.index, &key).map(|standing| standing.asked),
            None if sight.has_read(source.kind, &key.namespace) => {
                asked_of_absent(&sight.index, &key)
            }
            None => None,
        }
    });
    let is_doubted = |asked: &Asked| !asked.current.contains(&owner);
    asked.filter(is_doubted).collect()
}

/// Takes in of which sources a pod may have what was before.
pub(super) fn take_doubts(lines: &mut [SourceLine], sources: &BTreeSet<SourceName>) {
    for line in lines {
        let is_of_it =
            |source: &SourceName| source.kind.as_str() == line.kind && source.name == line.name;
        if line.has == Has::Current && sources.iter().any(is_of_it) {
            line.has = Has::Doubted;
            line.words = Some(
                "a pod is older than the last write, and nothing shows what it started with"
                    .to_owned(),
            );
        }
    }
}

fn has(
    sight: &Sight,
    key: &WorkloadKey,
    (judged, observed): (&Judged, Option<&Observed>),
    source: &SourceName,
    usage: &Usage,
) -> (Has, Option<String>) {
    let of_it = |cause: &&Cause| cause.source.as_ref() == Some(source);
    let decision = judged.decision.as_ref();
    let causes = decision.map(Decision::causes).unwrap_or_default();
    let missing = match decision {
        Some(Decision::Wait { missing, .. }) => missing.as_slice(),
        Some(Decision::Restart(restart)) => restart.missing.as_slice(),
        _ => &[],
    };
    if let Some(cause) = causes.iter().find(of_it) {
        return (Has::Newer, Some(cause.to_string()));
    }
    if missing.contains(source) {
        let words = if causes.is_empty() {
            "new pods do not start: create it with all required keys, or remove the reference"
        } else {
            "holds the restart: create it with all required keys, or remove the reference"
        };
        return (Has::Absent, Some(words.to_owned()));
    }
    if !sight.has_read(source.kind, &key.namespace) {
        let words = format!(
            "no right to get {} in {}",
            source.kind.plural(),
            key.namespace
        );
        return (Has::Unknown, Some(words));
    }
    let live = sight.index.source(&key.namespace, source);
    let version = match live {
        Lookup::Present { version, .. } => version,
        Lookup::Absent { .. } if usage.need == Need::Required => {
            return (
                Has::Absent,
                Some("new pods do not start: create it, or remove the reference".to_owned()),
            );
        }
        Lookup::Absent { .. } => {
            let tracked = sight.index.workload(key);
            let refers = tracked.is_some_and(|it| it.workload.references.contains_key(source));
            let words = if refers {
                "optional"
            } else {
                "only the opt-in names it: create it, or correct the name"
            };
            return (Has::Absent, Some(words.to_owned()));
        }
        Lookup::Unsynced | Lookup::Unseen => return (Has::Unknown, not_read(source)),
    };
    if version.ignored {
        let words = format!("{} says {IGNORE}, or the same to Reloader", source.spoken());
        return (Has::Ignored, Some(words));
    }
    let Some(observed) = observed else {
        return (Has::Unrecorded, None);
    };
    match observed.entries.get(source) {
        Some(Entry::Seen {
            uid,
            resource_version,
            ..
        }) if sight.installation.key.is_none() => {
            // Digests cannot be compared.
            if (uid, *resource_version) == (&version.uid, version.resource_version) {
                (Has::Current, None)
            } else {
                let words = "written since; whether what is used changed cannot be told without the digest key";
                (Has::Unknown, Some(words.to_owned()))
            }
        }
        Some(Entry::Seen {
            uid,
            resource_version,
            ..
        }) if (uid, *resource_version) != (&version.uid, version.resource_version) => {
            let words = "written since; what is recorded of what it uses is the same";
            (Has::Current, Some(words.to_owned()))
        }
        Some(_) => (Has::Current, None),
        None if observed.fold.is_some() => (Has::Current, Some("one of many".to_owned())),
        None => (Has::Unrecorded, None),
    }
}

/// Returns what was recorded of a workload, under whatever key.
fn observed(sight: &Sight, key: &WorkloadKey) -> Option<Observed> {
    let text = sight.index.workload(key)?.workload.observed.as_ref()?;
    match Observed::read(text, sight.index.key()) {
        Reading::Genuine(observed) | Reading::Previous(observed) | Reading::OtherKey(observed) => {
            Some(observed)
        }
        Reading::Newer(_) | Reading::Foreign => None,
    }
}

fn not_read(source: &SourceName) -> Option<String> {
    (!source.kind.is_readable()).then(|| {
        "what the driver provides is told by the statuses of pods, which this command does not read".to_owned()
    })
}
