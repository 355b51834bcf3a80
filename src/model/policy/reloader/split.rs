//! Annotations that are split between a workload and its pod template, against a model of the peer's rule that shares no code
//! with ours (`ShouldReload` in `pkg/common/common.go` of v1.4.21, in its order).
//!
//! One thing is ours: the peer documents that what is excluded on the template counts, and does not read it there.

use std::collections::BTreeMap;

use kube::core::DynamicObject;
use proptest::prelude::*;
use serde_json::json;

use crate::model::{
    policy::{Defaults, Policy, selection::Selection},
    source::{SourceKind, SourceName},
    workload::{KINDS, Workload},
};

type Annotations = BTreeMap<String, String>;

const NAMES: [(&str, &str); 2] = [("secret", "db"), ("configmap", "app")];

/// What the peer reads as true; the rest it reads as false, also what it cannot read.
fn is_true(text: &str) -> bool {
    ["1", "t", "T", "TRUE", "true", "True"].contains(&text)
}

/// Whether the peer restarts a workload with these annotations for a referenced source.
fn peer(
    own: &Annotations,
    template: &Annotations,
    all: bool,
    kind: &str,
    name: &str,
    found: bool,
) -> bool {
    let named = format!("{kind}.reloader.stakater.com/reload");
    let typed = format!("{kind}.reloader.stakater.com/auto");
    let (auto, search) = ("reloader.stakater.com/auto", "reloader.stakater.com/search");
    let says = |all: &Annotations| {
        [&*named, &*typed, auto, search]
            .iter()
            .any(|key| all.contains_key(*key))
    };
    let used = if says(own) { own } else { template };
    let exclude = format!("{kind}s.exclude.reloader.stakater.com/reload");
    let excluded = own.get(&exclude).or_else(|| template.get(&exclude));
    if excluded.is_some_and(|list| list.split(',').any(|one| one.trim() == name)) {
        return false;
    }
    if used
        .get(&named)
        .is_some_and(|list| list.split(',').any(|one| one.trim() == name))
    {
        return true;
    }
    if found && used.get(search).is_some_and(|text| text == "true") {
        return true;
    }
    let text = |key: &str| used.get(key).map_or("", String::as_str);
    let (auto, typed) = (text(auto), text(&typed));
    is_true(auto) || is_true(typed) || (auto.is_empty() && typed.is_empty() && all)
}

/// Whether reroll does.
fn ours(
    own: &Annotations,
    template: &Annotations,
    all: bool,
    kind: &str,
    name: &str,
    found: bool,
) -> bool {
    let object: DynamicObject = serde_json::from_value(json!({
        "apiVersion": "apps/v1", "kind": "Deployment",
        "metadata": { "name": "web", "namespace": "n", "annotations": own },
        "spec": { "template": {
            "metadata": { "annotations": template },
            "spec": { "containers": [{ "name": "app", "envFrom": [
                { "secretRef": { "name": "db" } }, { "configMapRef": { "name": "app" } },
            ] }] },
        } },
    }))
    .unwrap();
    let workload = Workload::read(&KINDS[0], &object);
    let defaults = Defaults {
        all,
        ..Defaults::default()
    };
    let (policy, _) = Policy::read(&workload.asks, defaults);
    let Selection::Some(rules) = policy.selection else {
        return false;
    };
    let source = match kind {
        "secret" => SourceName::secret(name),
        _ => SourceName::config_map(name),
    };
    let selected = rules.select(&workload.references, std::iter::empty());
    selected
        .get(&source)
        .is_some_and(|usage| !usage.if_matched || found)
}

/// Annotations as people write them, and as they mistype them.
fn annotations() -> impl Strategy<Value = Annotations> {
    let switch = prop_oneof![
        4 => Just("true"), 2 => Just("false"), 1 => Just("True"), 1 => Just("no"), 1 => Just("yes"), 1 => Just(" false"),
        1 => Just("1"), 1 => Just("f"), 1 => Just(""),
    ];
    let list = prop_oneof![
        Just("db"),
        Just("app"),
        Just("other"),
        Just("db, app"),
        Just("other,app")
    ];
    let keys = SourceKind::ALL.into_iter().flat_map(|kind| {
        let keys = kind.reloader();
        [
            (keys.auto, true),
            (keys.reload, false),
            (keys.exclude, false),
        ]
    });
    let mut keys: Vec<_> = keys.collect();
    keys.extend([
        ("reloader.stakater.com/auto", true),
        ("reloader.stakater.com/search", true),
    ]);
    let one = (proptest::sample::select(keys), switch, list).prop_map(
        |((key, is_switch), switch, list)| {
            (
                key.to_owned(),
                if is_switch { switch } else { list }.to_owned(),
            )
        },
    );
    proptest::collection::btree_map(any::<u8>(), one, 0..4)
        .prop_map(|drawn| drawn.into_values().collect())
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(600))]

    #[test]
    fn what_is_split_counts_as_there(own in annotations(), template in annotations(), all in any::<bool>(), found in any::<bool>()) {
        for (kind, name) in NAMES {
            let right = peer(&own, &template, all, kind, name, found);
            prop_assert_eq!(ours(&own, &template, all, kind, name, found), right, "{} {}", kind, name);
        }
    }
}

#[test]
fn each_kind_looks_for_its_own() {
    let of = |pairs: &[(&str, &str)]| -> Annotations {
        pairs
            .iter()
            .map(|(key, text)| ((*key).to_owned(), (*text).to_owned()))
            .collect()
    };
    let (auto, typed, map) = (
        "reloader.stakater.com/auto",
        "secret.reloader.stakater.com/auto",
        "configmap.reloader.stakater.com/auto",
    );
    for (own, template, right) in [
        (of(&[(map, "true")]), of(&[(typed, "true")]), [true, true]),
        (of(&[(map, "false")]), of(&[(auto, "true")]), [true, false]),
        (
            of(&[(auto, "false")]),
            of(&[(auto, "true")]),
            [false, false],
        ),
        (of(&[]), of(&[(auto, "true")]), [true, true]),
        (of(&[(typed, "no")]), of(&[(auto, "true")]), [false, true]),
    ] {
        let said = NAMES.map(|(kind, name)| ours(&own, &template, false, kind, name, false));
        assert_eq!(said, right, "{own:?} {template:?}");
    }
}
