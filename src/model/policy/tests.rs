use std::collections::BTreeMap;

use serde_json::json;

use super::*;
use crate::model::source::{SourceKind, SourceName, references};

fn labelled(text: &str) -> Defaults<'_> {
    Defaults {
        namespace: Some(text),
        ..Defaults::default()
    }
}

fn read(text: &str) -> (Policy, Vec<String>) {
    let annotations = Asks::from_iter([(RESTART_ON.to_owned(), text.to_owned())]);
    let (policy, complaints) = Policy::read(&annotations, Defaults::default());
    (policy, complaints.iter().map(ToString::to_string).collect())
}

fn selected(text: &str) -> Vec<String> {
    let template = json!({"spec": {
        "containers": [{
            "env": [{"valueFrom": {"secretKeyRef": {"name": "db", "key": "k"}}}],
            "envFrom": [{"configMapRef": {"name": "app"}}],
            "volumeMounts": [{"name": "tls", "mountPath": "/tls"}],
        }],
        "volumes": [
            {"name": "tls", "secret": {"secretName": "tls"}},
            {"name": "idle", "secret": {"secretName": "idle"}},
        ],
    }});
    let Selection::Some(rules) = read(text).0.selection else {
        return Vec::new();
    };
    let others = [
        SourceName::secret("extra-1"),
        SourceName::config_map("extra-1"),
    ];
    rules
        .select(&references(&template), others.iter())
        .keys()
        .map(ToString::to_string)
        .collect()
}

#[test]
fn what_an_opt_in_selects() {
    for (text, expected) in [
        ("auto", vec!["configmap/app", "secret/db", "secret/tls"]),
        ("secrets", vec!["secret/db", "secret/tls"]),
        ("configmaps", vec!["configmap/app"]),
        ("auto, env", vec!["configmap/app", "secret/db"]),
        ("volume", vec!["secret/tls"]),
        (
            "auto,env,volume",
            vec!["configmap/app", "secret/db", "secret/tls"],
        ),
        ("auto,!secret/t*", vec!["configmap/app", "secret/db"]),
        ("!configmap/app", vec!["secret/db", "secret/tls"]),
        ("secret/tls", vec!["secret/tls"]),
        ("secret/idle", vec!["secret/idle"]),
        ("secret/other", vec!["secret/other"]),
        ("secret/extra-*", vec!["secret/extra-1"]),
        ("configmaps,secret/d?", vec!["configmap/app", "secret/db"]),
        ("configmaps, nonsense", vec!["configmap/app"]),
        ("secret/db#k", vec!["secret/db"]),
        ("secret/db#other", vec!["secret/db"]),
        ("secret/other#k", vec!["secret/other"]),
        ("secret/extra-*#k", vec!["secret/extra-1"]),
        (
            "!secret/db#k",
            vec!["configmap/app", "secret/db", "secret/tls"],
        ),
        ("secrets,!secret/tls#*", vec!["secret/db", "secret/tls"]),
        ("secret/idle#k,!secret/idle#*", vec![]),
        ("secret/db#k,!secret/db", vec![]),
        ("off", vec![]),
        ("auto,off", vec![]),
    ] {
        assert_eq!(selected(text), expected, "{text}");
    }
}

#[test]
fn a_named_reference_keeps_its_keys() {
    let template = json!({"spec": {"containers": [{"env": [{"valueFrom": {"secretKeyRef": {"name": "db", "key": "k"}}}]}]}});
    let Selection::Some(rules) = read("secret/db").0.selection else {
        unreachable!()
    };
    let selected = rules.select(&references(&template), std::iter::empty());
    assert!(!selected[&SourceName::secret("db")].whole);
}

#[test]
fn entries_with_keys_are_read_and_bounded() {
    for (text, said) in [
        ("secret/db#k , configmap/c*#a-?,!secret/*#x", None),
        ("auto,secret/db#", Some("secret/db#")),
        ("auto,!secret/db#a b", Some("!secret/db#a b")),
        (
            "auto,secretproviderclass/v#k",
            Some("secretproviderclass/v#k"),
        ),
    ] {
        let (policy, complaints) = read(text);
        let expected = said.map(|said| {
            let words = &*super::selection::EXPECTED_RESTART_ON;
            format!("reroll.dev/restart-on: \"{said}\" is not {words}")
        });
        assert_eq!(complaints, Vec::from_iter(expected), "{text}");
        assert!(matches!(policy.selection, Selection::Some(_)), "{text}");
    }
    let many = |entries: &dyn Fn(usize) -> String, count: usize| {
        let all: Vec<_> = (0..count).map(entries).collect();
        read(&all.join(",")).0.selection
    };
    let globs = |number: usize| format!("secret/db#a{number}*");
    assert!(matches!(many(&globs, 16), Selection::Some(_)));
    assert_eq!(many(&globs, 17), Selection::Unreadable);
    let long = |number: usize| format!("secret/db#{number:0>190}");
    assert!(matches!(many(&long, 20), Selection::Some(_)));
    assert_eq!(many(&long, 21), Selection::Unreadable);
    assert_eq!(read("secret/db#").0.selection, Selection::Unreadable);
}

#[test]
fn an_opt_in_says_the_same_when_it_is_read_again() {
    for text in [
        "auto,secret/db#k,!secret/u*#x-*",
        "secret/db,configmap/c#a,configmap/c#b,!secret/z",
        "!secret/db#k",
    ] {
        let Selection::Some(rules) = read(text).0.selection else {
            unreachable!()
        };
        let again = read(&rules.to_string()).0.selection;
        assert_eq!(again, Selection::Some(rules), "{text}");
    }
}

#[test]
fn bad_values_are_named() {
    let (policy, complaints) = read("pod/web");
    assert_eq!(policy.selection, Selection::Unreadable);
    assert_eq!(
        complaints,
        [format!(
            "reroll.dev/restart-on: \"pod/web\" is not {}",
            *super::selection::EXPECTED_RESTART_ON
        )]
    );
    for text in ["", " , ", "secret/", "secret/UPPER", "pod/x"] {
        let (policy, complaints) = read(text);
        assert_eq!(policy.selection, Selection::Unreadable, "{text}");
        assert_eq!(complaints.len(), 1, "{text}");
    }
    let annotations = [
        (RESTART_ON, "auto"),
        (ON_RECREATE, "x"),
        (ON_DELETE, "y"),
        (ON_ADOPT, "q"),
        (SETTLE, "-1s"),
        (SUSPEND, "yes"),
    ];
    let annotations = annotations
        .into_iter()
        .map(|(k, v)| (k.to_owned(), v.to_owned()))
        .collect();
    let (policy, complaints) = Policy::read(&annotations, Defaults::default());
    assert!(policy.opted_in());
    insta::assert_snapshot!(
        complaints
            .iter()
            .map(ToString::to_string)
            .collect::<Vec<_>>()
            .join("\n")
    );
    assert!(
        complaints
            .iter()
            .all(|complaint| complaint.to_string().chars().count() <= 120)
    );
}

#[test]
fn the_namespace_is_the_default_and_the_workload_decides() {
    let own = |text: &str| Asks::from_iter([(RESTART_ON.to_owned(), text.to_owned())]);
    assert!(Policy::read(&Asks::new(), labelled("auto")).0.opted_in());
    assert!(!Policy::read(&Asks::new(), labelled("off")).0.opted_in());
    assert!(!Policy::read(&own("off"), labelled("auto")).0.opted_in());
    assert!(Policy::read(&own("secrets"), labelled("off")).0.opted_in());
}

#[test]
fn what_holds_for_everybody_can_be_said_once() {
    let own = |pairs: &[(&str, &str)]| {
        pairs
            .iter()
            .map(|(k, v)| ((*k).to_owned(), (*v).to_owned()))
            .collect::<Asks>()
    };
    let defaults = Defaults {
        on_recreate: OnRecreate::Content,
        on_delete: OnDelete::Restart,
        ..labelled("auto")
    };
    for (asks, recreate, delete) in [
        (own(&[]), OnRecreate::Content, OnDelete::Restart),
        (
            own(&[(ON_RECREATE, "restart"), (ON_DELETE, "wait")]),
            OnRecreate::Restart,
            OnDelete::Wait,
        ),
        (
            own(&[(ON_RECREATE, "x"), (ON_DELETE, "y")]),
            OnRecreate::Content,
            OnDelete::Restart,
        ),
    ] {
        let (policy, _) = Policy::read(&asks, defaults);
        assert_eq!((policy.on_recreate, policy.on_delete), (recreate, delete));
    }
}

#[test]
fn a_kind_that_is_ignored_counts_for_nobody() {
    let ignored = KindSet::from_iter([SourceKind::Secret]);
    let template = json!({"spec": {"containers": [{
        "envFrom": [{"configMapRef": {"name": "app"}}, {"secretRef": {"name": "db"}}],
    }]}});
    for text in ["auto", "secret/db,configmap/app", "secret/*,configmap/*"] {
        let asks = Asks::from_iter([(RESTART_ON.to_owned(), text.to_owned())]);
        let defaults = Defaults {
            ignored,
            ..Defaults::default()
        };
        let Selection::Some(rules) = Policy::read(&asks, defaults).0.selection else {
            unreachable!()
        };
        let others = [SourceName::secret("db")];
        let selected = rules.select(&references(&template), others.iter());
        let names: Vec<_> = selected.keys().map(ToString::to_string).collect();
        assert_eq!(names, ["configmap/app"], "{text}");
    }
}

#[test]
fn the_rest_of_the_vocabulary() {
    let all = [
        (ON_RECREATE, "content"),
        (ON_DELETE, "restart"),
        (ON_ADOPT, "restart"),
        (SETTLE, "1m30s"),
        (SUSPEND, "true"),
    ];
    let all = all
        .into_iter()
        .map(|(k, v)| (k.to_owned(), v.to_owned()))
        .collect();
    let (policy, complaints) = Policy::read(&all, labelled("auto"));
    assert!(complaints.is_empty());
    assert_eq!(policy.on_recreate, OnRecreate::Content);
    assert_eq!(policy.on_delete, OnDelete::Restart);
    assert_eq!(policy.on_adopt, OnAdopt::Restart);
    assert_eq!(policy.settle, Some(Duration::from_secs(90)));
    assert_eq!(policy.suspend.as_deref(), Some("true"));
}

#[test]
fn long_lists_are_bounded() {
    let text = vec!["secret/x"; MAX_ENTRIES + 1].join(",");
    let (policy, complaints) = read(&text);
    assert!(policy.opted_in());
    assert_eq!(complaints.len(), 1);
}

#[test]
fn a_suspended_cron_job_is_told_from_one_that_did_not_opt_in() {
    use crate::model::workload::CRON_JOB;
    let idle = |annotations: serde_json::Value, suspend: bool| {
        let object =
            json!({ "metadata": { "annotations": annotations }, "spec": { "suspend": suspend } });
        let workload = Workload::read(&CRON_JOB, &serde_json::from_value(object).unwrap());
        Policy::is_idle(&workload, Defaults::default())
    };
    let asks = json!({ RESTART_ON: "auto", ON_CHANGE: "run-now" });
    assert!(idle(asks.clone(), true));
    assert!(!idle(asks, false));
    assert!(!idle(json!({}), true));
    assert!(!idle(
        json!({ RESTART_ON: "off", ON_CHANGE: "run-now" }),
        true
    ));
}

#[test]
fn cron_jobs_and_jobs_opt_in_by_what_a_change_does() {
    use crate::model::workload::{CRON_JOB, JOB, KINDS};
    let of = |kind, annotations: &[(&str, &str)], suspend: bool| {
        let annotations: BTreeMap<_, _> = annotations.iter().copied().collect();
        let object =
            json!({ "metadata": { "annotations": annotations }, "spec": { "suspend": suspend } });
        let workload = Workload::read(kind, &serde_json::from_value(object).unwrap());
        let (policy, complaints) = Policy::of(&workload, labelled("auto"));
        let selection = match policy.selection {
            Selection::Off => "off",
            Selection::Unreadable => "unreadable",
            Selection::Some(_) => "in",
        };
        let complaints: Vec<_> = complaints.iter().map(ToString::to_string).collect();
        (selection, complaints.join("; "))
    };
    let wrong = |value: &str, expected: &str| format!("{ON_CHANGE}: \"{value}\" is not {expected}");
    let (run, again) = (
        "run-now, the only value for CronJobs",
        "recreate, the only value for Jobs",
    );
    let other = "known for this kind (CronJobs: run-now; Jobs: recreate)";
    let asks = |value| vec![(ON_CHANGE, value)];
    let theirs = |value| vec![("reloader.stakater.com/auto", value)];
    let not_enough = "reloader.stakater.com/auto: \"true\" is not enough: Reloader runs a CronJob for a change, reroll only with \
                      reroll.dev/on-change: run-now"
        .to_owned();
    let rows = [
        (&CRON_JOB, vec![], "off", String::new()),
        (&CRON_JOB, asks(" run-now "), "in", String::new()),
        (
            &CRON_JOB,
            asks("recreate"),
            "unreadable",
            wrong("recreate", run),
        ),
        (
            &CRON_JOB,
            vec![(ON_CHANGE, "run-now"), (RESTART_ON, "off")],
            "off",
            String::new(),
        ),
        (
            &CRON_JOB,
            vec![(ON_CHANGE, "now"), (RESTART_ON, "off")],
            "off",
            wrong("now", run),
        ),
        (&CRON_JOB, theirs("true"), "off", not_enough.clone()),
        (&CRON_JOB, theirs("false"), "off", String::new()),
        (
            &CRON_JOB,
            [theirs("true"), asks("run-now")].concat(),
            "in",
            String::new(),
        ),
        (&KINDS[0], theirs("true"), "in", String::new()),
        (&JOB, vec![], "off", String::new()),
        (&JOB, asks("recreate"), "in", String::new()),
        (&JOB, asks("run-now"), "unreadable", wrong("run-now", again)),
        (&KINDS[0], vec![], "in", String::new()),
        (&KINDS[0], asks("recreate"), "in", wrong("recreate", other)),
    ];
    for (kind, annotations, selection, complaints) in rows {
        let read = of(kind, &annotations, false);
        assert_eq!(
            read,
            (selection, complaints),
            "{} {annotations:?}",
            kind.kind
        );
        let suspended = of(kind, &annotations, true).0;
        let expected = if kind == &KINDS[0] { selection } else { "off" };
        assert_eq!(
            suspended, expected,
            "{} {annotations:?}, suspended",
            kind.kind
        );
    }
}

#[test]
fn what_a_mark_can_be() {
    use crate::model::workload::{CRON_JOB, JOB, KINDS, ROLLOUT};
    let of = |kind, value: &str, spec: serde_json::Value| {
        let object = json!({"metadata": {"annotations": {MARK: value}}, "spec": spec});
        let workload = Workload::read(kind, &serde_json::from_value(object).unwrap());
        let (_, complaints) = Policy::of(&workload, labelled("auto"));
        complaints
            .iter()
            .map(ToString::to_string)
            .collect::<Vec<_>>()
    };
    let word = |value: &str| {
        vec![format!(
            "reroll.dev/mark: \"{value}\" is not restartedAt, the only value"
        )]
    };
    let nothing = Vec::<String>::new();
    for kind in [&KINDS[0], &KINDS[1], &KINDS[2], &ROLLOUT] {
        assert_eq!(of(kind, "restartedAt", json!({})), nothing);
        assert_eq!(of(kind, "restarted-at", json!({})), word("restarted-at"));
        assert_eq!(of(kind, "", json!({})), word(""));
    }
    let means_nothing = [
        "reroll.dev/mark: \"restartedAt\" is not for what restarts in another way than by its pod template",
    ];
    assert_eq!(of(&CRON_JOB, "restartedAt", json!({})), means_nothing);
    assert_eq!(of(&JOB, "restartedAt", json!({})), means_nothing);
    let borrows = json!({"workloadRef": {"name": "web"}});
    assert_eq!(of(&ROLLOUT, "restartedAt", borrows), means_nothing);
}

/// Each reference takes memory for as long as the workload is there.
#[test]
fn references_are_bounded() {
    use crate::model::{
        source::{MAX_KEYS, MAX_SOURCES},
        workload::KINDS,
    };
    let of = |sources: usize, keys: usize| {
        let source = |number: usize| json!({"secret": {"name": format!("s{number}")}});
        let item =
            |number: usize| json!({"key": format!("k{number}"), "path": format!("k{number}")});
        let items: Vec<_> = (0..keys).map(item).collect();
        let mut projected: Vec<_> = (0..sources).map(source).collect();
        projected[0]["secret"]["items"] = json!(items);
        let object = json!({"metadata": {"annotations": {RESTART_ON: "auto"}}, "spec": {"template": {"spec": {
            "containers": [{"name": "c", "volumeMounts": [{"name": "v", "mountPath": "/v"}]}],
            "volumes": [{"name": "v", "projected": {"sources": projected}}],
        }}}});
        let workload = Workload::read(&KINDS[0], &serde_json::from_value(object).unwrap());
        let (policy, complaints) = Policy::of(&workload, Defaults::default());
        let complaints: Vec<_> = complaints.iter().map(ToString::to_string).collect();
        (
            workload.references.len(),
            policy.selection == Selection::Unreadable,
            complaints.join("; "),
        )
    };
    assert_eq!(
        of(MAX_SOURCES, MAX_KEYS),
        (MAX_SOURCES, false, String::new())
    );
    let told = |what: &str| {
        format!(
            "spec.template: \"{what}\" is not within {MAX_SOURCES} sources and {MAX_KEYS} keys: reroll does not follow this workload"
        )
    };
    assert_eq!(of(12_000, 0), (0, true, told("4096 or more sources")));
    assert_eq!(of(1, 4097), (0, true, told("4097 keys of sources")));
}
