//! The opt-in in the words of Stakater Reloader, as its code reads them (`ShouldReload` in `pkg/common/common.go`).
//!
//! In order of precedence:
//! - an excluded source never counts;
//! - a named one always does, whatever `auto` says;
//! - `search` takes what is referenced and has `match`;
//! - `auto`, of all kinds or of one, takes what is referenced. So does a default for all workloads where neither says
//!   anything.

mod names;

use std::{sync::Arc, time::Duration};

pub(super) use self::names::complain;

use super::{
    complaint::{Complaint, complaint},
    patterns::{Beyond, Pattern, Patterns},
    rules::Rules,
    selection::{EXPECTED_EARLIER, MAX_ENTRIES, Selection, expected_within},
};
use crate::model::{
    annotation::reloader::{AUTO, IGNORE, PAUSE_PERIOD, SEARCH, selecting},
    source::SourceKind,
    text::{is_false, read_duration},
    workload::{Asks, said_of, said_of_any},
};

/// The longest that changes can be made to gather.
const LONGEST: Duration = Duration::from_hours(24 * 7);

/// Returns what a workload asks for in these words; `None` where it says nothing. `all`: workloads that say nothing
/// are opted in.
pub(super) fn read(asks: &Asks, all: bool, complaints: &mut Vec<Complaint>) -> Option<Selection> {
    let ignored = asks.get(IGNORE);
    if ignored.is_some_and(|text| flag(IGNORE, text, complaints)) {
        return Some(Selection::Off);
    }
    if !selecting().any(|key| asks.contains_key(key)) {
        return None;
    }
    let mut takes = |kind: &SourceKind| {
        let said = [AUTO, kind.reloader().auto].map(|key| {
            // An empty one says nothing there.
            let text = said_of(asks, *kind, key).filter(|text| !(all && text.is_empty()))?;
            Some(flag(key, text, complaints))
        });
        said.contains(&Some(true)) || (all && said == [None, None])
    };
    let mut rules = Rules {
        kinds: SourceKind::ALL
            .into_iter()
            .filter(|kind| takes(kind))
            .collect(),
        search: SourceKind::ALL
            .into_iter()
            .filter(|kind| said_of(asks, *kind, SEARCH).is_some_and(|text| text == "true"))
            .collect(),
        whole: true,
        ..Rules::default()
    };
    let before = complaints.len();
    let named = named(asks, complaints);
    let unreadable = complaints.len() > before;
    for kind in SourceKind::ALL {
        let (reload, exclude) = (kind.reloader().reload, kind.reloader().exclude);
        for (key, text) in [
            (reload, said_of(asks, kind, reload)),
            (exclude, asks.get(exclude)),
        ] {
            if entries(text).nth(MAX_ENTRIES).is_some() {
                complaints.push(complaint(key, "…", EXPECTED_EARLIER));
            }
        }
    }
    match Patterns::new(named) {
        Ok(named) => rules.named = named,
        Err(beyond) => {
            let key = key_of(beyond);
            let text = said_of_any(asks, key).map_or("", String::as_str);
            complaints.push(complaint(key, text, expected_within(beyond)));
            return Some(Selection::Unreadable);
        }
    }
    for pattern in excluded(asks) {
        rules.excluded.also(pattern);
    }
    let nothing = rules.kinds.is_empty() && rules.search.is_empty() && rules.named.is_empty();
    Some(match (nothing, unreadable) {
        (true, true) => Selection::Unreadable,
        (true, false) => Selection::Off,
        (false, _) => Selection::Some(Arc::new(rules)),
    })
}

/// Returns what is named, of each list as much as is read.
fn named(asks: &Asks, complaints: &mut Vec<Complaint>) -> Vec<Pattern> {
    let mut named = Vec::new();
    for kind in SourceKind::ALL {
        let key = kind.reloader().reload;
        for text in entries(said_of(asks, kind, key)).take(MAX_ENTRIES) {
            match Pattern::expression(kind, text) {
                Some(pattern) => named.push(pattern),
                None => complaints.push(complaint(key, text, "a regular expression")),
            }
        }
    }
    named
}

/// Returns the annotation that is beyond a bound. There are no globs, and no keys, in these words.
fn key_of(beyond: Beyond) -> &'static str {
    match beyond {
        Beyond::Globs | Beyond::Keys => SourceKind::Secret.reloader().reload,
        Beyond::Bytes(kind) | Beyond::Program(kind) => kind.reloader().reload,
    }
}

/// Returns sources that are excluded in these words, which hold for every opt-in.
pub(super) fn excluded(asks: &Asks) -> Vec<Pattern> {
    let of = |kind: SourceKind| {
        let names = entries(asks.get(kind.reloader().exclude)).take(MAX_ENTRIES);
        names.map(move |name| Pattern::exact(kind, name))
    };
    SourceKind::ALL.into_iter().flat_map(of).collect()
}

/// Returns how long changes gather. Reloader pauses the Deployment for so long, and so its pods roll at the end of
/// it.
pub(super) fn gather(asks: &Asks, complaints: &mut Vec<Complaint>) -> Option<Duration> {
    let text = asks.get(PAUSE_PERIOD)?;
    let period = read_duration(text).ok();
    let period = period.filter(|period| *period <= LONGEST);
    if period.is_none() {
        complaints.push(complaint(
            PAUSE_PERIOD,
            text,
            "a duration such as 30s, 5m or 1h30m, up to 168h",
        ));
    }
    period
}

/// Returns the entries of a list.
fn entries(text: Option<&String>) -> impl Iterator<Item = &str> {
    let text = text.map_or("", String::as_str);
    text.split(',')
        .map(str::trim)
        .filter(|item| !item.is_empty())
}

/// Returns a switch as Go's `strconv.ParseBool` reads it, or as people write false. What cannot be read is false there, and told
/// here.
fn flag(key: &'static str, text: &str, complaints: &mut Vec<Complaint>) -> bool {
    match text {
        "1" | "t" | "T" | "TRUE" | "true" | "True" => true,
        "f" | "F" => false,
        text if is_false(text) => false,
        other => {
            let unreadable = complaint(key, other, "true or false");
            // Of one that counts for all kinds it is told once.
            if !complaints.contains(&unreadable) {
                complaints.push(unreadable);
            }
            false
        }
    }
}

#[cfg(test)]
mod split;
#[cfg(test)]
mod tests {
    use super::*;
    use crate::model::{
        policy::{Defaults, Policy},
        source::{References, SourceName, references},
    };

    const SECRET_AUTO: &str = SourceKind::Secret.reloader().auto;
    const CONFIG_MAP_AUTO: &str = SourceKind::ConfigMap.reloader().auto;
    const CLASS_AUTO: &str = SourceKind::SecretProviderClass.reloader().auto;
    const SECRET_RELOAD: &str = SourceKind::Secret.reloader().reload;
    const CONFIG_MAP_RELOAD: &str = SourceKind::ConfigMap.reloader().reload;
    const CLASS_RELOAD: &str = SourceKind::SecretProviderClass.reloader().reload;
    const SECRET_EXCLUDE: &str = SourceKind::Secret.reloader().exclude;
    const CONFIG_MAP_EXCLUDE: &str = SourceKind::ConfigMap.reloader().exclude;
    const CLASS_EXCLUDE: &str = SourceKind::SecretProviderClass.reloader().exclude;

    /// Annotations, and what they take.
    type Row = (&'static [(&'static str, &'static str)], Vec<&'static str>);

    fn asks(pairs: &[(&str, &str)]) -> Asks {
        pairs
            .iter()
            .map(|(key, value)| ((*key).to_owned(), (*value).to_owned()))
            .collect()
    }

    fn policy(pairs: &[(&str, &str)], defaults: Defaults) -> (Policy, Vec<String>) {
        let (policy, complaints) = Policy::read(&asks(pairs), defaults);
        let told = complaints.iter().map(ToString::to_string).collect();
        (policy, told)
    }

    fn uses() -> References {
        references(&serde_json::json!({"spec": {"containers": [{
            "env": [{"valueFrom": {"secretKeyRef": {"name": "db", "key": "k"}}}],
            "envFrom": [{"configMapRef": {"name": "app"}}, {"secretRef": {"name": "tls"}}],
            "volumeMounts": [{"name": "store", "mountPath": "/store"}],
        }], "volumes": [{"name": "store", "csi": {
            "driver": "secrets-store.csi.k8s.io", "volumeAttributes": {"secretProviderClass": "vault"},
        }}]}}))
    }

    fn selected(policy: &Policy) -> Vec<String> {
        let Selection::Some(rules) = &policy.selection else {
            return Vec::new();
        };
        let others = [
            SourceName::secret("extra-1"),
            SourceName::config_map("extra-1"),
        ];
        let selected = rules.select(&uses(), others.iter());
        let say = |(source, usage): (&SourceName, &crate::model::source::Usage)| {
            let found = if usage.if_matched { "?" } else { "" };
            format!("{source}{found}")
        };
        selected.iter().map(say).collect()
    }

    #[test]
    fn what_each_annotation_takes() {
        let class = "secretproviderclass/vault";
        let all = vec!["configmap/app", "secret/db", "secret/tls", class];
        let rows: Vec<Row> = vec![
            (&[(AUTO, "true")], all.clone()),
            (&[(AUTO, "T")], all.clone()),
            (&[(AUTO, "false")], vec![]),
            (&[(AUTO, "yes")], vec![]),
            (&[(SECRET_AUTO, "true")], vec!["secret/db", "secret/tls"]),
            (&[(CONFIG_MAP_AUTO, "1")], vec!["configmap/app"]),
            (
                &[(AUTO, "false"), (SECRET_AUTO, "true")],
                vec!["secret/db", "secret/tls"],
            ),
            (&[(AUTO, "true"), (SECRET_AUTO, "false")], all.clone()),
            (&[(SECRET_RELOAD, "db")], vec!["secret/db"]),
            (&[(CLASS_AUTO, "true")], vec![class]),
            (&[(CLASS_RELOAD, "v.*")], vec![class]),
            (
                &[(AUTO, "true"), (CLASS_EXCLUDE, "vault")],
                vec!["configmap/app", "secret/db", "secret/tls"],
            ),
            (&[(AUTO, "false"), (SECRET_RELOAD, "db")], vec!["secret/db"]),
            (
                &[(SECRET_RELOAD, " t.s ,extra-[0-9]+")],
                vec!["secret/extra-1", "secret/tls"],
            ),
            (&[(CONFIG_MAP_RELOAD, "extra")], vec!["configmap/extra"]),
            // Between ^ and $ as it stands, so an alternative is open at one end.
            (&[(SECRET_RELOAD, "d|s")], vec!["secret/db", "secret/tls"]),
            (
                &[(AUTO, "true"), (SECRET_EXCLUDE, "db, tls")],
                vec!["configmap/app", class],
            ),
            (&[(SECRET_RELOAD, "db"), (SECRET_EXCLUDE, "db")], vec![]),
            (&[(CONFIG_MAP_EXCLUDE, "a.*"), (AUTO, "true")], all.clone()),
            (
                &[(SEARCH, "true")],
                vec![
                    "configmap/app?",
                    "secret/db?",
                    "secret/tls?",
                    "secretproviderclass/vault?",
                ],
            ),
            (&[(SEARCH, "True")], vec![]),
            (
                &[(SEARCH, "true"), (SECRET_AUTO, "true")],
                vec![
                    "configmap/app?",
                    "secret/db",
                    "secret/tls",
                    "secretproviderclass/vault?",
                ],
            ),
            (&[(AUTO, "true"), (IGNORE, "true")], vec![]),
            (&[(SECRET_EXCLUDE, "db")], vec![]),
        ];
        for (annotations, expected) in rows {
            let (policy, _) = policy(annotations, Defaults::default());
            assert_eq!(selected(&policy), expected, "{annotations:?}");
        }
    }

    #[test]
    fn what_is_named_counts_as_a_whole() {
        for (annotations, whole) in [([(SECRET_RELOAD, "db")], true), ([(AUTO, "true")], false)] {
            let Selection::Some(rules) = policy(&annotations, Defaults::default()).0.selection
            else {
                unreachable!()
            };
            let selected = rules.select(&uses(), std::iter::empty());
            assert_eq!(selected[&SourceName::secret("db")].whole, whole);
        }
    }

    #[test]
    fn everybody_may_be_opted_in() {
        let everybody = Defaults {
            all: true,
            ..Defaults::default()
        };
        let class = "secretproviderclass/vault";
        let all = vec!["configmap/app", "secret/db", "secret/tls", class];
        let rows: Vec<Row> = vec![
            (&[], all.clone()),
            (&[(AUTO, "false")], vec![]),
            (&[(SECRET_AUTO, "false")], vec!["configmap/app", class]),
            (&[(CONFIG_MAP_AUTO, "true")], all.clone()),
            // An empty one says nothing.
            (&[(AUTO, "")], all.clone()),
            (&[(SECRET_AUTO, "")], all.clone()),
            (
                &[(AUTO, ""), (SECRET_AUTO, "false")],
                vec!["configmap/app", class],
            ),
            (&[(AUTO, "no")], vec![]),
            (&[(AUTO, "yes")], vec![]),
            (&[(SECRET_AUTO, " false")], vec!["configmap/app", class]),
            (&[(IGNORE, "true")], vec![]),
            (
                &[(SECRET_EXCLUDE, "db")],
                vec!["configmap/app", "secret/tls", class],
            ),
            (&[("reroll.dev/restart-on", "off")], vec![]),
            (
                &[("reroll.dev/restart-on", "secrets")],
                vec!["secret/db", "secret/tls"],
            ),
        ];
        for (annotations, expected) in rows {
            let (policy, _) = policy(annotations, everybody);
            assert_eq!(selected(&policy), expected, "{annotations:?}");
        }
    }

    #[test]
    fn own_words_come_first_and_the_namespace_last() {
        let labelled = Defaults {
            namespace: Some("auto"),
            ..Defaults::default()
        };
        for (annotations, expected) in [
            (
                vec![(AUTO, "true"), ("reroll.dev/restart-on", "configmaps")],
                vec!["configmap/app"],
            ),
            (vec![(AUTO, "false")], vec![]),
            (vec![(SECRET_RELOAD, "tls")], vec!["secret/tls"]),
            (
                vec![],
                vec![
                    "configmap/app",
                    "secret/db",
                    "secret/tls",
                    "secretproviderclass/vault",
                ],
            ),
        ] {
            let (policy, _) = policy(&annotations, labelled);
            assert_eq!(selected(&policy), expected, "{annotations:?}");
        }
    }

    #[test]
    fn changes_gather_for_as_long_as_a_pause() {
        for (text, expected) in [
            ("5m", Some(300)),
            ("1h30m", Some(5400)),
            ("200h", None),
            ("-5m", None),
            ("soon", None),
        ] {
            let (policy, told) = policy(&[(PAUSE_PERIOD, text)], Defaults::default());
            assert_eq!(
                policy.gather.map(|period| period.as_secs()),
                expected,
                "{text}"
            );
            assert_eq!(told.len(), usize::from(expected.is_none()), "{text}");
        }
    }

    #[test]
    fn a_bad_expression_is_named_and_the_rest_counts() {
        let (some, told) = policy(&[(SECRET_RELOAD, "app[,db")], Defaults::default());
        assert_eq!(selected(&some), ["secret/db"]);
        assert_eq!(
            told,
            ["secret.reloader.stakater.com/reload: \"app[\" is not a regular expression"]
        );
        let (none, told) = policy(
            &[(SECRET_RELOAD, "(((a{99}){99}){99})")],
            Defaults::default(),
        );
        assert_eq!((none.selection, told.len()), (Selection::Unreadable, 1));
    }
}
