use kube::core::DynamicObject;
use serde_json::json;

use super::*;
use crate::model::{
    annotation::reloader::{AUTO, MATCH},
    workload::{KINDS, ROLLOUT},
};

type Row = (
    &'static str,
    &'static [(&'static str, &'static str)],
    Option<&'static str>,
);

const SECRET: &str = SourceKind::Secret.reloader().reload;
const CONFIG_MAP: &str = SourceKind::ConfigMap.reloader().reload;
const SECRET_AUTO: &str = SourceKind::Secret.reloader().auto;
const CONFIG_MAP_AUTO: &str = SourceKind::ConfigMap.reloader().auto;
const CLASS_AUTO: &str = SourceKind::SecretProviderClass.reloader().auto;
const NO_SECRET: &str = SourceKind::Secret.reloader().exclude;
const NO_CONFIG_MAP: &str = SourceKind::ConfigMap.reloader().exclude;

/// What people write, and the opt-in that means the same; `None` where Reloader's words stay, or nothing is to be written.
const ROWS: &[Row] = &[
    ("everything", &[(AUTO, "true")], Some("auto")),
    ("everything, as Go writes it", &[(AUTO, "T")], Some("auto")),
    ("nothing", &[(AUTO, "false")], Some("off")),
    ("no switch", &[(AUTO, "yes")], Some("off")),
    ("one kind", &[(SECRET_AUTO, "true")], Some("secrets")),
    (
        "two kinds",
        &[(SECRET_AUTO, "true"), (CONFIG_MAP_AUTO, "1")],
        Some("secrets,configmaps"),
    ),
    (
        "one kind in spite of all",
        &[(AUTO, "false"), (CLASS_AUTO, "true")],
        Some("secretproviderclasses"),
    ),
    (
        "all but one",
        &[(AUTO, "true"), (NO_SECRET, "tls")],
        Some("auto,!secret/tls"),
    ),
    (
        "a kind but two",
        &[(CONFIG_MAP_AUTO, "true"), (NO_CONFIG_MAP, "app, extra-1")],
        Some("configmaps,!configmap/app,!configmap/extra-1"),
    ),
    (
        "a name that is read whole",
        &[(SECRET, "tls")],
        Some("secret/tls"),
    ),
    (
        "a name that nothing refers to",
        &[(SECRET, "extra-1")],
        Some("secret/extra-1"),
    ),
    (
        "a name with a dot",
        &[(CONFIG_MAP, "ca.crt")],
        Some("configmap/ca.crt"),
    ),
    (
        "names beside a kind",
        &[(CONFIG_MAP_AUTO, "true"), (SECRET, "tls,extra-1")],
        Some("configmaps,secret/tls,secret/extra-1"),
    ),
    ("a glob", &[(SECRET, "extra-.*")], Some("secret/extra-*")),
    (
        "alternatives",
        &[(SECRET, "(tls|extra-[12])")],
        Some("secret/tls,secret/extra-1,secret/extra-2"),
    ),
    (
        "a name that is excluded, too",
        &[(SECRET, "tls,extra-1"), (NO_SECRET, "extra-1")],
        Some("secret/tls,secret/extra-1,!secret/extra-1"),
    ),
    (
        "excluded by a name that no object has",
        &[(AUTO, "true"), (NO_SECRET, "A.*")],
        Some("auto"),
    ),
    ("left alone", &[(IGNORE, "true")], Some("off")),
    (
        "left alone in spite of all",
        &[(IGNORE, "true"), (AUTO, "true")],
        Some("off"),
    ),
    (
        "not left alone",
        &[(IGNORE, "false"), (AUTO, "true")],
        Some("auto"),
    ),
    (
        "not left alone, and nothing else",
        &[(IGNORE, "false")],
        None,
    ),
    ("excluded from nothing", &[(NO_SECRET, "db")], None),
    ("what has match", &[(SEARCH, "true")], None),
    (
        "what has match, and a kind",
        &[(SEARCH, "true"), (SECRET_AUTO, "true")],
        None,
    ),
    (
        "an expression that is no glob",
        &[(SECRET, "extra-[0-9]+")],
        None,
    ),
    ("a name of which one key is read", &[(SECRET, "db")], None),
    (
        "a name of which one key is read, beside all",
        &[(AUTO, "true"), (SECRET, "db")],
        None,
    ),
    ("a name that no object has", &[(SECRET, "DB")], None),
    ("what cannot be read", &[(SECRET, "app[")], None),
    (
        "reroll's own word",
        &[(RESTART_ON, "secrets"), (AUTO, "true")],
        None,
    ),
    (
        "reroll's other words",
        &[("reroll.dev/settle", "5s"), (AUTO, "true")],
        Some("auto"),
    ),
    (
        "a pause",
        &[(AUTO, "true"), (PAUSE_PERIOD, "5m")],
        Some("auto"),
    ),
    (
        "a pause that cannot be read",
        &[(AUTO, "true"), (PAUSE_PERIOD, "soon")],
        Some("auto"),
    ),
    (
        "what means nothing",
        &[(AUTO, "true"), (MATCH, "true")],
        Some("auto"),
    ),
    (
        "a strategy",
        &[(AUTO, "true"), (ROLLOUT_STRATEGY, "restart")],
        Some("auto"),
    ),
];

fn workload(kind: Kind, annotations: impl IntoIterator<Item = (String, String)>) -> Workload {
    let annotations: std::collections::BTreeMap<_, _> = annotations.into_iter().collect();
    let object = json!({
        "apiVersion": kind.api_version(), "kind": kind.kind,
        "metadata": { "name": "web", "namespace": "shop", "annotations": annotations },
        "spec": { "template": { "spec": { "containers": [{
            "name": "app",
            "env": [{ "name": "P", "valueFrom": { "secretKeyRef": { "name": "db", "key": "k" } } }],
            "envFrom": [{ "configMapRef": { "name": "app" } }, { "secretRef": { "name": "tls" } }],
        }] } } },
    });
    let object: DynamicObject = serde_json::from_value(object).unwrap();
    Workload::read(kind, &object)
}

fn owned(pairs: &[(&str, &str)]) -> Vec<(String, String)> {
    let owned = |(key, text): &(&str, &str)| ((*key).to_owned(), (*text).to_owned());
    pairs.iter().map(owned).collect()
}

/// Returns the annotations of a workload that follows the advice.
fn followed(before: &[(String, String)], own: &OwnWords) -> Vec<(String, String)> {
    let stays = |(key, _): &&(String, String)| !own.go.contains(key);
    let words = own.restart_on.iter();
    let words = words.map(|words| (RESTART_ON.to_owned(), words.clone()));
    before.iter().filter(stays).cloned().chain(words).collect()
}

/// Returns everything that a policy takes of what is used, and of many sources beside it, and the rest of it.
fn meant(kind: Kind, workload: &Workload, defaults: Defaults) -> impl PartialEq + std::fmt::Debug {
    let (policy, _) = Policy::read(&workload.asks, defaults);
    let rest = Policy {
        selection: Selection::Off,
        gather: policy.gather.filter(|_| kind.gathers),
        ..policy.clone()
    };
    let names = beside();
    let takes = match &policy.selection {
        Selection::Some(rules) => Some(rules.select(&workload.references, names.iter())),
        Selection::Off | Selection::Unreadable => None,
    };
    (rest, takes, policy.selection == Selection::Unreadable)
}

fn beside() -> Vec<SourceName> {
    let names = [
        "db", "tls", "app", "extra-1", "extra-2", "extra-10", "extra", "ca.crt", "t-ls",
    ];
    let both = names.map(|name| [SourceName::secret(name), SourceName::config_map(name)]);
    both.into_iter().flatten().collect()
}

#[test]
fn what_is_advised_means_the_same_for_every_row() {
    let everybody = Defaults {
        all: true,
        ..Defaults::default()
    };
    let labelled = Defaults {
        namespace: Some("secrets"),
        ..Defaults::default()
    };
    for (what, annotations, _) in ROWS {
        for kind in [&KINDS[0], &KINDS[1], &ROLLOUT] {
            for defaults in [Defaults::default(), everybody, labelled] {
                let before = owned(annotations);
                let names = beside();
                let names: Vec<_> = names.iter().collect();
                let now = workload(kind, before.clone());
                let own = OwnWords::of((kind, &now), defaults, &names);
                let after = workload(kind, followed(&before, &own));
                assert_eq!(
                    meant(kind, &after, defaults),
                    meant(kind, &now, defaults),
                    "{what} ({}, {defaults:?}): {own:?}",
                    kind.kind
                );
            }
        }
    }
}

#[test]
fn what_each_row_becomes() {
    for (what, annotations, expected) in ROWS {
        let kind = &KINDS[0];
        let names = beside();
        let names: Vec<_> = names.iter().collect();
        let now = workload(kind, owned(annotations));
        let own = OwnWords::of((kind, &now), Defaults::default(), &names);
        assert_eq!(own.restart_on.as_deref(), *expected, "{what}: {own:?}");
        let said = annotations
            .iter()
            .filter(|(key, _)| key.contains(DOMAIN))
            .count();
        assert_eq!(own.go.len() + own.stay.len(), said, "{what}: {own:?}");
        let stays = own.stay.iter().any(|key| is_of_selection(key));
        assert_eq!(stays, !own.lacks.is_empty(), "{what}: {own:?}");
    }
}

#[test]
fn what_is_missing_is_said() {
    let kind = &KINDS[0];
    let lacks = |pairs: &[(&str, &str)]| {
        let now = workload(kind, owned(pairs));
        let own = OwnWords::of((kind, &now), Defaults::default(), &[]);
        let lacks: Vec<_> = own.lacks.iter().map(ToString::to_string).collect();
        (own.nearest, lacks.join("; "))
    };
    assert_eq!(
        lacks(&[(SECRET, "db")]),
        (
            Some("secret/db".to_owned()),
            "of Secret db only key k would count, which the pod template reads, and now all of it does".to_owned()
        )
    );
    let (nearest, words) = lacks(&[(SEARCH, "true"), (SECRET, "tls,a-[0-9]+")]);
    assert_eq!(nearest.as_deref(), Some("secret/tls"));
    assert_eq!(
        words,
        "no glob says the same as secret/a-[0-9]+; there is no word for reloader.stakater.com/search, which takes what has match"
    );
}
