use std::collections::BTreeMap;

use proptest::prelude::*;
use serde_json::json;

use super::*;
use crate::model::{
    source::{SourceName, containers_using, references},
    version::used_keys,
};

/// What is read of a source, each key with what it needs (`!` required, `~` as a file), and then whether the source
/// itself is required.
fn said(usage: &Usage) -> String {
    let mark = |need: Need| match need {
        Need::Required => "!",
        Need::AsFile => "~",
        Need::Optional => "",
    };
    let key = |key: &str| format!("{key}{}", mark(usage.need_of(key)));
    let read: Vec<_> = used_keys(usage).map(key).collect();
    let rest: Vec<_> = usage
        .demanded()
        .filter(|key| !usage.keys.contains_key(*key))
        .collect();
    let rest = if rest.is_empty() {
        String::new()
    } else {
        format!(" with {}", rest.join(","))
    };
    let counts = if usage.counts() { "" } else { " not" };
    format!("{}{}{rest}{counts}", read.join(","), mark(usage.need))
}

fn pod(volume: &Value, mounts: &Value) -> Value {
    let mut named = json!({ "name": "v" });
    named
        .as_object_mut()
        .unwrap()
        .extend(volume.as_object().unwrap().clone());
    json!({ "spec": { "containers": [{ "name": "c", "volumeMounts": mounts }], "volumes": [named] } })
}

fn secret(body: &Value) -> Value {
    let mut reference = json!({ "secretName": "s" });
    reference
        .as_object_mut()
        .unwrap()
        .extend(body.as_object().unwrap().clone());
    json!({ "secret": reference })
}

fn below(path: &str) -> Value {
    json!([{ "name": "v", "mountPath": "/v", "subPath": path }])
}

#[test]
fn what_is_read_of_a_volume() {
    let all = json!([{ "name": "v", "mountPath": "/v" }]);
    let expr = |path: &str| json!([{ "name": "v", "mountPath": "/v", "subPathExpr": path }]);
    let both = json!([
        { "name": "v", "mountPath": "/v", "subPath": "k" },
        { "name": "v", "mountPath": "/w" },
    ]);
    let two = json!([
        { "name": "v", "mountPath": "/v", "subPath": "k" },
        { "name": "v", "mountPath": "/w", "subPath": "l" },
    ]);
    let other = json!([{ "name": "other", "mountPath": "/v" }]);
    let plain = || secret(&json!({}));
    let optional = || secret(&json!({ "optional": true }));
    let items = json!([
        { "key": "k", "path": "p" },
        { "key": "a", "path": "d/a" },
        { "key": "b", "path": "d/e/b" },
    ]);
    let listed = || secret(&json!({ "items": items }));
    let listed_optional = || secret(&json!({ "items": items, "optional": true }));
    let rows = [
        (plain(), &all, "*!"),
        (plain(), &json!([]), " not"),
        (plain(), &other, " not"),
        (plain(), &json!(null), " not"),
        (plain(), &below(""), "*!"),
        (plain(), &below("."), "*!"),
        (plain(), &below("k"), "k~!"),
        (plain(), &below("./k/"), "k~!"),
        (plain(), &below("k/x"), "k~!"),
        (plain(), &below("..data/k"), "*!"),
        (plain(), &expr("k"), "k~!"),
        (plain(), &expr("$(POD)"), "*!"),
        (plain(), &both, "*!"),
        (plain(), &two, "k~,l~!"),
        (optional(), &below("k"), "k"),
        (optional(), &json!([]), " not"),
        (listed(), &all, "a!,b!,k!!"),
        (listed(), &below("p"), "k!! with a,b"),
        (listed(), &below("d"), "a!,b!! with k"),
        (listed(), &below("d/e"), "b!! with a,k"),
        (listed(), &below("d/e/b"), "b!! with a,k"),
        (listed(), &below("d/e/b/x"), "b!! with a,k"),
        (listed(), &below("k"), "! with a,b,k"),
        (listed(), &json!([]), " not"),
        (listed_optional(), &below("d"), "a,b"),
        (listed_optional(), &below("k"), " not"),
    ];
    for (volume, mounts, expected) in rows {
        let found = references(&pod(&volume, mounts));
        let usage = &found[&SourceName::secret("s")];
        assert_eq!(said(usage), expected, "{volume} {mounts}");
    }
}

#[test]
fn what_is_read_of_the_sources_of_a_projected_volume() {
    let s = || json!({ "secret": { "name": "s" } });
    let s_listed = || json!({ "secret": { "name": "s", "items": [{ "key": "k", "path": "p" }] } });
    let m = || json!({ "configMap": { "name": "m" } });
    let m_listed =
        || json!({ "configMap": { "name": "m", "items": [{ "key": "x", "path": "d/x" }] } });
    let token = || json!({ "serviceAccountToken": { "path": "token" } });
    let pod_info = || json!({ "downwardAPI": { "items": [{ "path": "k", "fieldRef": {} }] } });
    // The sources, the path, and what is read of Secret s and of ConfigMap m.
    let rows = [
        (vec![s(), token()], "k", "k~!", None),
        (vec![s(), token()], "token", "token!", None),
        (vec![s(), pod_info()], "k", "k!", None),
        // Either may have the key.
        (vec![s(), m()], "k", "k!", Some("k!")),
        (vec![s_listed(), m()], "p", "k!!", Some("p!")),
        (vec![s_listed(), m()], "k", "! with k", Some("k~!")),
        (vec![s_listed(), m_listed()], "p", "k!!", Some("! with x")),
        (vec![s_listed(), m_listed()], "d", "! with k", Some("x!!")),
        (vec![s_listed(), m_listed()], "", "k!!", Some("x!!")),
    ];
    for (sources, path, secret, map) in rows {
        let volume = json!({ "projected": { "sources": sources } });
        let found = references(&pod(&volume, &below(path)));
        let of = |source: &SourceName| found.get(source).map(said);
        let both = (
            of(&SourceName::secret("s")),
            of(&SourceName::config_map("m")),
        );
        let expected = (Some(secret.to_owned()), map.map(ToOwned::to_owned));
        assert_eq!(both, expected, "{volume} {path}");
    }
}

#[test]
fn what_the_driver_calls_its_files_is_not_known() {
    let volume = json!({ "csi": {
        "driver": "secrets-store.csi.k8s.io", "volumeAttributes": { "secretProviderClass": "c" },
    } });
    for (mounts, expected) in [(below("k"), "*!"), (json!([]), " not")] {
        let found = references(&pod(&volume, &mounts));
        let class = SourceName::secret_provider_class("c");
        assert_eq!(said(&found[&class]), expected, "{mounts}");
    }
}

#[test]
fn references_of_every_kind_merge() {
    let template = json!({ "spec": {
        "initContainers": [{ "name": "i", "volumeMounts": [{ "name": "v", "subPath": "l" }] }],
        "containers": [{
            "name": "c",
            "env": [{ "valueFrom": { "secretKeyRef": { "name": "s", "key": "k", "optional": true } } }],
            "volumeMounts": [{ "name": "v", "subPath": "k" }],
        }],
        "volumes": [
            { "name": "v", "secret": { "secretName": "s" } },
            { "name": "idle", "secret": { "secretName": "s", "items": [{ "key": "x", "path": "x" }] } },
        ],
    } });
    let usage = &references(&template)[&SourceName::secret("s")];
    assert_eq!(said(usage), "k~,l~!");
    assert!(usage.env && usage.volume);
    let parts = ["k", "l", "x"].map(|key| usage.is_of_whole(key));
    assert_eq!(parts, [false, true, false]);
    let held = usage.as_held();
    assert_eq!(said(&held), "*,k,x!");
}

#[test]
fn a_volume_that_no_container_mounts_is_needed_by_none() {
    let template = |mounts: Value| {
        json!({ "spec": {
            "containers": [{ "name": "a", "volumeMounts": mounts }, { "name": "b" }],
            "volumes": [{ "name": "v", "secret": { "secretName": "s" } }],
        } })
    };
    let using = |mounts: Value| containers_using(&template(mounts), &[SourceName::secret("s")]);
    assert_eq!(using(json!([])).len(), 0);
    assert_eq!(using(below("k")).len(), 2);
}

/// A volume of Secret s and ConfigMap s, and how containers mount it.
/// A pod with so many sources in one volume, of which so many files are mounted.
fn many(sources: usize, mounts: usize) -> Value {
    let sources: Vec<_> = (0..sources)
        .map(|at| json!({ "secret": { "name": format!("s{at}") } }))
        .collect();
    let mounts: Vec<_> = (0..mounts)
        .map(
            |at| json!({ "name": "v", "mountPath": format!("/{at}"), "subPath": format!("k{at}") }),
        )
        .collect();
    pod(
        &json!({ "projected": { "sources": sources } }),
        &json!(mounts),
    )
}

#[test]
fn what_nobody_follows_takes_no_more_than_there_is_room_for() {
    let keys = |found: &References| found.values().map(Usage::size).sum::<usize>();
    // A file of each source for each mount: 4 million.
    let found = references(&many(2000, 2000));
    assert!(keys(&found) < 2 * ROOM, "{}", keys(&found));
    assert!(excess(&found).is_some());
    let found = references(&many(12_000, 0));
    assert!(found.len() <= COUNTED, "{}", found.len());
    assert!(excess(&found).is_some());
    // What is followed is all there.
    let found = references(&many(64, 64));
    assert_eq!((found.len(), keys(&found)), (64, MAX_KEYS));
    assert_eq!(excess(&found), None);
}

fn volume() -> impl Strategy<Value = (Value, Vec<&'static str>)> {
    let items = prop_oneof![
        Just(json!(null)),
        Just(json!([{ "key": "k", "path": "p" }])),
        Just(json!([{ "key": "k", "path": "d/k" }, { "key": "l", "path": "l" }])),
    ];
    let path = prop::sample::select(vec!["", "k", "p", "d", "l"]);
    let mounts = proptest::collection::vec(path, 0..3);
    (0..3, items, any::<bool>(), mounts).prop_map(|(how, items, optional, mounts)| {
        let reference = json!({ "name": "s", "secretName": "s", "items": items, "optional": optional });
        let volume = match how {
            0 => json!({ "secret": reference }),
            1 => json!({ "configMap": reference }),
            _ => json!({ "projected": { "sources": [{ "secret": reference }, { "configMap": reference }] } }),
        };
        (volume, mounts)
    })
}

proptest! {
    /// Whatever the order of volumes and mounts: the same is read, needed and held. Nothing is read that is not held, but
    /// for files; and what older releases counted is what they counted.
    #[test]
    fn the_order_does_not_matter(
        volumes in proptest::collection::vec(volume(), 1..4),
        env in any::<bool>(),
        seed in any::<u64>(),
    ) {
        let template = |order: &[usize]| {
            let named = order.iter().map(|number| {
                let mut volume = volumes[*number].0.clone();
                volume["name"] = json!(number.to_string());
                volume
            });
            let named: Vec<_> = named.collect();
            let mounts = order.iter().flat_map(|number| {
                volumes[*number].1.iter().map(move |path| json!({ "name": number.to_string(), "subPath": path }))
            });
            let mounts: Vec<_> = mounts.collect();
            let from = json!({ "secretKeyRef": { "name": "s", "key": "k", "optional": true } });
            let env = if env { json!([{ "valueFrom": from }]) } else { json!([]) };
            json!({ "spec": { "containers": [{ "env": env, "volumeMounts": mounts }], "volumes": named } })
        };
        let order: Vec<_> = (0..volumes.len()).collect();
        let mut other = order.clone();
        let places = other.len();
        other.rotate_left(usize::try_from(seed).unwrap_or(0) % places);
        if seed % 2 == 0 {
            other.reverse();
        }
        let found = references(&template(&order));
        prop_assert_eq!(&found, &references(&template(&other)));
        for (source, usage) in &found {
            let mut merged = usage.clone();
            merged.merge(usage);
            prop_assert_eq!(&merged, usage, "{} merges with itself", source);
            prop_assert!(usage.counts() || usage.demanded().next().is_none());
            let held: BTreeMap<_, _> = usage.as_held().keys.into_iter().collect();
            let files = usage.as_held().whole;
            prop_assert!(files || usage.keys.keys().all(|key| held.contains_key(key)));
        }
    }
}
