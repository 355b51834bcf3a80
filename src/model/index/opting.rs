//! Who opts in, and for what: the sign that what was typed works.

use std::collections::{BTreeMap, BTreeSet};

use super::{Index, Tracked, overlay::without_ignored};
use crate::model::{
    Policy,
    decide::Lookup,
    policy::{Defaults, OptedBy},
    source::{SourceName, Usage, key_word, spoken_key},
    text::some_of,
    workload::WorkloadKey,
};

/// The most sources that are named.
const MOST_SOURCES: usize = 8;
/// The most keys of a source that are named.
const MOST_KEYS: usize = 3;

/// Returns for what a workload restarts, in words; `None` where it restarts for nothing, or may not be restarted.
pub fn words(index: &Index, key: &WorkloadKey) -> Option<String> {
    let tracked = index.workload(key)?;
    let workload = &tracked.workload;
    if !tracked.policy.opted_in() || workload.reverting_owner().is_some() || workload.deleting {
        return None;
    }
    let live = |source: &SourceName| -> Lookup<'_> { index.source(&key.namespace, source) };
    let uses = without_ignored(tracked.uses(), &live);
    // By name, so that it is always the same text.
    let read: BTreeMap<_, _> = uses.iter().filter(|(_, usage)| usage.is_read()).collect();
    if read.is_empty() {
        return None;
    }
    let named = read.iter().take(MOST_SOURCES);
    let named: Vec<_> = named.map(|(source, usage)| spoken(source, usage)).collect();
    Some(some_of(named.iter().map(String::as_str), read.len()))
}

/// Returns the workloads of a namespace that are opted in by words that can all be read.
pub fn who(index: &Index, namespace: &str) -> BTreeSet<WorkloadKey> {
    let all = index.workloads(None, Some(namespace)).into_iter();
    all.filter(|key| index.workload(key).is_some_and(Tracked::opts_in_well))
        .collect()
}

/// Returns how many workloads of a namespace another label of it would opt in no longer; `None`: no label.
pub fn loses(index: &Index, namespace: &str, label: Option<&str>) -> usize {
    let before = index.defaults_of(namespace);
    let after = Defaults {
        namespace: label,
        ..before
    };
    let all = index.workloads(None, Some(namespace)).into_iter();
    let by_label = all.filter_map(|key| {
        let known = index.workload(&key).filter(|it| it.policy.opted_in())?;
        // What others ask for may take long to read, and does not depend on the label.
        let by = OptedBy::of(&known.workload.asks, before);
        matches!(by, Some(OptedBy::Namespace(_))).then_some(known)
    });
    let loses = by_label.filter(|known| !Policy::of(&known.workload, after).0.opted_in());
    loses.count()
}

/// Returns how many workloads have opted in and are still to be adopted.
pub fn to_adopt(index: &Index) -> usize {
    let all = index.workloads(None, None).into_iter();
    let tracked = all.filter_map(|key| index.workload(&key));
    tracked.filter(|tracked| tracked.is_bare()).count()
}

/// Names a source, and the keys of it that are read where those are not all.
fn spoken(source: &SourceName, usage: &Usage) -> String {
    let keys = || usage.keys.keys().map(String::as_str);
    if usage.whole || usage.keys.is_empty() {
        return source.spoken();
    }
    let word = key_word(keys());
    let named: Vec<_> = keys().take(MOST_KEYS).map(spoken_key).collect();
    let keys = some_of(named.iter().map(AsRef::as_ref), usage.keys.len());
    format!("{} ({word} {keys})", source.spoken())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::model::source::Need;

    #[test]
    fn keys_are_named_where_not_all_are_read() {
        let rows: [(&[&str], bool, &str); 4] = [
            (&["password"], false, "Secret db (key password)"),
            (&["a", "b"], false, "Secret db (keys a, b)"),
            (
                &["a", "b", "c", "d"],
                false,
                "Secret db (keys a, b, c and 1 more)",
            ),
            (&["a"], true, "Secret db"),
        ];
        for (keys, whole, expected) in rows {
            let keys = keys.iter().map(|key| ((*key).to_owned(), Need::Required));
            let usage = Usage {
                whole,
                keys: keys.collect(),
                ..Usage::named()
            };
            assert_eq!(spoken(&SourceName::secret("db"), &usage), expected);
        }
    }
}
