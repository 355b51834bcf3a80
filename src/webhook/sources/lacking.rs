//! Who waits for keys that a write of a source leaves out. Keys are named, and never what is in them.

use std::collections::BTreeSet;

use crate::{
    model::{Index, SourceKey, Version, WorkloadKey, index::Preview, source::Need, text::some_of},
    webhook::warnings::{Warning, problem},
};

/// The most keys that are named.
const KEYS: usize = 2;
/// The most workloads that are named.
const WORKLOADS: usize = 4;
/// The most characters of their names, but for the first.
const NAMES: usize = 110;

/// Says who of those that wait does so for a key which this version lacks. `before`: the version that is replaced.
pub(super) fn lacking(
    index: &Index,
    key: &SourceKey,
    (before, version): (Option<&Version>, &Version),
    preview: &Preview,
) -> Option<Warning> {
    let mut keys = BTreeSet::new();
    let mut users = Vec::new();
    for user in &preview.waits {
        let Some(usage) = index
            .workload(user)
            .and_then(|tracked| tracked.uses().get(&key.source))
        else {
            continue;
        };
        let had = |key: &str| before.is_some_and(|before| before.key(key).is_some());
        // New pods are no worse off without a file that none had.
        let needs = |key: &&str| usage.need_of(key) == Need::Required || had(key);
        let lacks: Vec<_> = usage
            .demanded()
            .filter(|key| version.key(key).is_none())
            .filter(needs)
            .collect();
        if !lacks.is_empty() {
            keys.extend(lacks.into_iter().map(ToOwned::to_owned));
            users.push(user);
        }
    }
    if users.is_empty() {
        return None;
    }
    let word = if keys.len() == 1 { "key" } else { "keys" };
    let named = some_of(keys.iter().take(KEYS).map(String::as_str), keys.len());
    let waits = match (users.len(), preview.incomplete) {
        (1, false) => "waits for that, and does not restart",
        _ => "wait for that, and do not restart",
    };
    let source = key.source.spoken();
    let users = names(&users, preview.incomplete);
    Some(problem(format!(
        "reroll: put {word} {named} into {source}: {users} {waits} until then"
    )))
}

/// Names as many as there is room for, and says how many more there are.
fn names(users: &[&WorkloadKey], incomplete: bool) -> String {
    let mut room = NAMES;
    let mut named = Vec::new();
    for user in users.iter().take(WORKLOADS) {
        let spoken = user.spoken();
        if !named.is_empty() && spoken.len() > room {
            break;
        }
        room = room.saturating_sub(spoken.len());
        named.push(spoken);
    }
    let all = some_of(named.iter().map(String::as_str), users.len());
    if incomplete {
        format!("{all} and perhaps others")
    } else {
        all
    }
}
