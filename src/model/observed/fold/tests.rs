use proptest::prelude::*;

use super::*;
use crate::model::{
    observed::KeyState,
    source::Need,
    testing::{key, version},
};

/// A fold as releases have written it since there are folds: three digests, each of one list of parts.
fn by_lists(entries: &Entries, uses: &References) -> [String; 3] {
    let (mut names, mut uids, mut data) = (Vec::new(), Vec::new(), Vec::new());
    for (source, entry) in entries {
        let name = source.to_string();
        let keys = uses.get(source).into_iter().flat_map(used_keys);
        names.push(name.clone());
        names.extend(keys.map(|key| format!("/{key}")));
        if let Entry::Seen { uid, states, .. } = entry {
            uids.extend([name.clone(), uid.clone()]);
            for (used, state) in states {
                let state = match state {
                    KeyState::Seen(digest) => digest.to_string(),
                    KeyState::Waiting | KeyState::Unknown => String::new(),
                };
                data.extend([name.clone(), used.clone(), state]);
            }
        }
    }
    [
        Digest::plain(bytes(&names)).to_string(),
        Digest::plain(bytes(&uids)).to_string(),
        key().digest(bytes(&data)).to_string(),
    ]
}

fn bytes(parts: &[String]) -> impl Iterator<Item = &[u8]> {
    parts.iter().map(String::as_bytes)
}

fn usage() -> impl Strategy<Value = Usage> {
    let keys = proptest::collection::btree_map("[a-c]", Just(Need::Optional), 0..3);
    (any::<bool>(), keys).prop_map(|(whole, keys)| Usage {
        whole,
        keys: keys.into_iter().collect(),
        ..Usage::named()
    })
}

/// By name, how it is used, and what it has, if it exists.
fn sources() -> impl Strategy<Value = Vec<(SourceName, Usage, Option<Version>)>> {
    let name = (any::<bool>(), "[a-z]{1,3}").prop_map(|(secret, name)| SourceName {
        kind: if secret {
            SourceKind::Secret
        } else {
            SourceKind::ConfigMap
        },
        name,
    });
    let data = proptest::collection::btree_map("[a-c]", "[xy]{0,2}", 0..3);
    let there = proptest::option::of(("[u-w]", 1..9_u64, data));
    let sources = proptest::collection::btree_map(name, (usage(), there), 0..6);
    sources.prop_map(|sources| {
        let one = |(name, (usage, of)): (SourceName, (Usage, Option<_>))| {
            let of = of.map(|(uid, number, data): (String, u64, BTreeMap<_, _>)| {
                let data: Vec<(&str, &str)> = data
                    .iter()
                    .map(|(key, value): (&String, &String)| (key.as_str(), value.as_str()))
                    .collect();
                version(&name, &uid, number, &data)
            });
            (name, usage, of)
        };
        sources.into_iter().map(one).collect()
    })
}

proptest! {
    #[test]
    fn versions_fold_as_their_entries_do(sources in sources()) {
        let entry = |(source, usage, version): &(SourceName, Usage, Option<Version>)| {
            let entry = version.as_ref().map_or(Entry::Unknown, |version| Entry::of(version, usage));
            (source.clone(), entry)
        };
        let entries: Entries = sources.iter().map(entry).collect();
        let uses: References = sources.iter().map(|(source, usage, _)| (source.clone(), usage.clone())).collect();
        let versions = sources.iter().map(|(source, usage, version)| (source, usage, version.as_ref()));
        let fold = Fold::of_versions(&key(), versions);
        prop_assert_eq!(&fold, &Fold::of(&key(), &entries, &uses));
        prop_assert_eq!([fold.names, fold.uids, fold.data], by_lists(&entries, &uses));
        prop_assert_eq!(fold.n, sources.len());
    }
}
