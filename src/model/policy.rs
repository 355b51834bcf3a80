//! Opting in: what a workload, or its namespace, asks for.
//!
//! Parsing is total: what cannot be read becomes a [`Complaint`] that names the annotation and the value, for the
//! warning at the prompt and the Event, and the rest is honoured. An opt-in of which nothing can be read neither
//! restarts nor forgets anything ([`Selection::Unreadable`]): a typo must not erase what was observed.

use std::{collections::BTreeMap, fmt, time::Duration};

use wildmatch::WildMatch;

use super::{
    annotation::{ON_ADOPT, ON_DELETE, ON_RECREATE, RESTART_ON, SETTLE, SUSPEND},
    source::{References, SourceKind, SourceName, Usage},
};

/// The most entries an opt-in list has; the rest is not read.
pub const MAX_ENTRIES: usize = 1024;

/// What a workload asks for.
#[derive(Clone, Debug, PartialEq)]
pub struct Policy {
    /// Which sources count.
    pub selection: Selection,
    /// What a recreated source with the same data does.
    pub on_recreate: OnRecreate,
    /// What a deleted source does.
    pub on_delete: OnDelete,
    /// What a source does that was written after the current revision was made, at adoption.
    pub on_adopt: OnAdopt,
    /// Quiet period of its own.
    pub settle: Option<Duration>,
    /// Report only.
    pub suspend: bool,
}

/// Which sources count for a workload.
#[derive(Clone, Debug, PartialEq)]
pub enum Selection {
    /// The workload did not opt in.
    Off,
    /// It did, in words that cannot be read: nothing is decided until somebody corrects them.
    Unreadable,
    /// It did.
    Some(Rules),
}

/// A readable opt-in.
#[expect(
    clippy::struct_excessive_bools,
    reason = "each is a word that people may write"
)]
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Rules {
    /// Referenced Secrets.
    pub secrets: bool,
    /// Referenced `ConfigMap`s.
    pub config_maps: bool,
    /// Of the referenced ones only those read into environment variables.
    pub env: bool,
    /// Of the referenced ones only those read into files.
    pub volume: bool,
    /// By name or glob, referenced or not.
    pub named: Vec<Pattern>,
    /// Never these.
    pub excluded: Vec<Pattern>,
}

/// A kind with a name or glob (`*` and `?`).
#[derive(Clone, Debug, PartialEq)]
pub struct Pattern {
    kind: SourceKind,
    name: String,
    glob: WildMatch,
}

/// `reroll.dev/on-recreate`
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum OnRecreate {
    /// Another uid is a change.
    #[default]
    Restart,
    /// Only other data is a change.
    Content,
}

/// `reroll.dev/on-delete`
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum OnDelete {
    /// Nothing happens until the source is back.
    #[default]
    Wait,
    /// The deletion restarts once.
    Restart,
}

/// `reroll.dev/on-adopt`
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum OnAdopt {
    /// Say it.
    #[default]
    Report,
    /// Restart for it.
    Restart,
}

/// A value that cannot be read.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Complaint {
    /// The annotation's or label's key.
    pub key: &'static str,
    /// The part that cannot be read, shortened.
    pub value: String,
    /// What can stand there.
    pub expected: &'static str,
}

impl fmt::Display for Complaint {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(
            f,
            "{}: \"{}\" is not {}",
            self.key, self.value, self.expected
        )
    }
}

const EXPECTED_RESTART_ON: &str =
    "auto, secrets, configmaps, [!]secret/NAME, [!]configmap/NAME, env, volume or off";

impl Policy {
    /// Reads a workload's annotations; `default` is the `restart-on` label of its namespace.
    pub fn read(
        annotations: &BTreeMap<String, String>,
        default: Option<&str>,
    ) -> (Self, Vec<Complaint>) {
        let mut complaints = Vec::new();
        let selection = match (annotations.get(RESTART_ON).map(String::as_str), default) {
            (Some(text), _) | (None, Some(text)) => Selection::read(text, &mut complaints),
            (None, None) => Selection::Off,
        };
        let mut choice = |key, options: &'static str, first: &str, second: &str| {
            let value = annotations.get(key)?.trim();
            if value != first && value != second {
                complaints.push(complaint(key, value, options));
            }
            Some(value == second)
        };
        let content = choice(ON_RECREATE, "restart or content", "restart", "content");
        let delete = choice(ON_DELETE, "wait or restart", "wait", "restart");
        let adopt = choice(ON_ADOPT, "report or restart", "report", "restart");
        let suspend = choice(SUSPEND, "true or false", "false", "true");
        let settle = annotations.get(SETTLE).and_then(|text| {
            let settle = parse_duration(text);
            if settle.is_none() {
                complaints.push(complaint(
                    SETTLE,
                    text,
                    "a duration such as 500ms, 5s or 2m, up to 1h",
                ));
            }
            settle
        });
        let policy = Self {
            selection,
            on_recreate: if content == Some(true) {
                OnRecreate::Content
            } else {
                OnRecreate::Restart
            },
            on_delete: if delete == Some(true) {
                OnDelete::Restart
            } else {
                OnDelete::Wait
            },
            on_adopt: if adopt == Some(true) {
                OnAdopt::Restart
            } else {
                OnAdopt::Report
            },
            settle,
            suspend: suspend == Some(true),
        };
        (policy, complaints)
    }

    /// Whether the workload is reroll's business.
    pub fn opted_in(&self) -> bool {
        self.selection != Selection::Off
    }
}

impl Selection {
    fn read(text: &str, complaints: &mut Vec<Complaint>) -> Self {
        let mut rules = Rules::default();
        let mut tokens = text
            .split(',')
            .map(str::trim)
            .filter(|token| !token.is_empty());
        let mut read = 0;
        for token in tokens.by_ref().take(MAX_ENTRIES) {
            match token {
                "off" => return Self::Off,
                "auto" => (rules.secrets, rules.config_maps) = (true, true),
                "secrets" => rules.secrets = true,
                "configmaps" => rules.config_maps = true,
                "env" => rules.env = true,
                "volume" => rules.volume = true,
                _ => {
                    let (list, name) = match token.strip_prefix('!') {
                        Some(name) => (&mut rules.excluded, name),
                        None => (&mut rules.named, token),
                    };
                    let Some(pattern) = Pattern::read(name) else {
                        complaints.push(complaint(RESTART_ON, token, EXPECTED_RESTART_ON));
                        continue;
                    };
                    list.push(pattern);
                }
            }
            read += 1;
        }
        if tokens.next().is_some() {
            complaints.push(complaint(
                RESTART_ON,
                "…",
                "a list of at most 1024 entries: the rest is not read",
            ));
        }
        if read == 0 {
            if complaints.is_empty() {
                complaints.push(complaint(RESTART_ON, text, EXPECTED_RESTART_ON));
            }
            return Self::Unreadable;
        }
        // `env` alone, or an exclusion alone, can only mean: of all that is referenced.
        if rules.named.is_empty() && !rules.secrets && !rules.config_maps {
            (rules.secrets, rules.config_maps) = (true, true);
        }
        Self::Some(rules)
    }
}

impl Rules {
    /// The references that count, and how they are used. `others` are the names of the namespace's sources that a glob
    /// may match.
    pub fn select<'a>(
        &self,
        references: &References,
        others: impl Iterator<Item = &'a SourceName>,
    ) -> References {
        let mut selected: References = references
            .iter()
            .filter(|(source, usage)| self.takes(source, usage))
            .map(|(s, u)| (s.clone(), u.clone()))
            .collect();
        let mut add = |source: &SourceName| {
            if !self.excludes(source) && !references.contains_key(source) {
                selected.entry(source.clone()).or_insert_with(Usage::named);
            }
        };
        self.named
            .iter()
            .filter_map(Pattern::source)
            .for_each(|source| add(&source));
        if self.has_globs() {
            others.filter(|source| self.names(source)).for_each(add);
        }
        selected
    }

    /// Whether what it selects depends on which sources exist.
    pub fn has_globs(&self) -> bool {
        self.named.iter().any(Pattern::is_glob)
    }

    /// Whether a name or glob takes this source.
    pub fn names(&self, source: &SourceName) -> bool {
        self.named.iter().any(|pattern| pattern.matches(source))
    }

    fn takes(&self, source: &SourceName, usage: &Usage) -> bool {
        let kind = match source.kind {
            SourceKind::Secret => self.secrets,
            SourceKind::ConfigMap => self.config_maps,
        };
        let narrowed = self.env || self.volume;
        let way = !narrowed || (self.env && usage.env) || (self.volume && usage.volume);
        !self.excludes(source) && (self.names(source) || (kind && way))
    }

    fn excludes(&self, source: &SourceName) -> bool {
        self.excluded.iter().any(|pattern| pattern.matches(source))
    }
}

impl Pattern {
    fn read(text: &str) -> Option<Self> {
        let source: SourceName = text.parse().ok()?;
        let legal = |byte: u8| {
            byte.is_ascii_lowercase() || byte.is_ascii_digit() || b".-*?".contains(&byte)
        };
        if source.name.len() > 253 || !source.name.bytes().all(legal) {
            return None;
        }
        Some(Self {
            kind: source.kind,
            glob: WildMatch::new(&source.name),
            name: source.name,
        })
    }

    fn is_glob(&self) -> bool {
        self.name.contains(['*', '?'])
    }

    fn matches(&self, source: &SourceName) -> bool {
        self.kind == source.kind && self.glob.matches(&source.name)
    }

    fn source(&self) -> Option<SourceName> {
        (!self.is_glob()).then(|| SourceName {
            kind: self.kind,
            name: self.name.clone(),
        })
    }
}

impl fmt::Display for Pattern {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}/{}", self.kind.prefix(), self.name)
    }
}

/// As somebody would write it who knows it all: read again, it is the same.
impl fmt::Display for Rules {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let all = self.secrets && self.config_maps;
        let words = [
            (all, "auto"),
            (self.secrets && !all, "secrets"),
            (self.config_maps && !all, "configmaps"),
            (self.env, "env"),
            (self.volume, "volume"),
        ];
        let words = words
            .into_iter()
            .filter(|(said, _)| *said)
            .map(|(_, word)| word.to_owned());
        let named = self.named.iter().map(ToString::to_string);
        let excluded = self.excluded.iter().map(|pattern| format!("!{pattern}"));
        let all: Vec<_> = words.chain(named).chain(excluded).collect();
        f.write_str(&all.join(","))
    }
}

/// The longest quiet period an annotation can ask for.
const MAX_SETTLE: Duration = Duration::from_hours(1);

fn parse_duration(text: &str) -> Option<Duration> {
    let parsed: jiff::SignedDuration = text.trim().parse().ok()?;
    Duration::try_from(parsed)
        .ok()
        .filter(|settle| *settle <= MAX_SETTLE)
}

fn complaint(key: &'static str, value: &str, expected: &'static str) -> Complaint {
    let mut value: String = value
        .chars()
        .filter(|letter| !letter.is_control())
        .take(33)
        .collect();
    if value.chars().count() > 32 {
        value = value.chars().take(31).chain(['…']).collect();
    }
    Complaint {
        key,
        value,
        expected,
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;
    use crate::model::source::references;

    fn read(text: &str) -> (Policy, Vec<String>) {
        let annotations = BTreeMap::from([(RESTART_ON.to_owned(), text.to_owned())]);
        let (policy, complaints) = Policy::read(&annotations, None);
        (policy, complaints.iter().map(ToString::to_string).collect())
    }

    fn selected(text: &str) -> Vec<String> {
        let template = json!({"spec": {
            "containers": [{
                "env": [{"valueFrom": {"secretKeyRef": {"name": "db", "key": "k"}}}],
                "envFrom": [{"configMapRef": {"name": "app"}}],
            }],
            "volumes": [{"secret": {"secretName": "tls"}}],
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
            ("secret/other", vec!["secret/other"]),
            ("secret/extra-*", vec!["secret/extra-1"]),
            ("configmaps,secret/d?", vec!["configmap/app", "secret/db"]),
            ("configmaps, nonsense", vec!["configmap/app"]),
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
    fn bad_values_are_named() {
        let (policy, complaints) = read("nonsense");
        assert_eq!(policy.selection, Selection::Unreadable);
        assert_eq!(
            complaints,
            [format!(
                "reroll.dev/restart-on: \"nonsense\" is not {EXPECTED_RESTART_ON}"
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
        let (policy, complaints) = Policy::read(&annotations, None);
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
        let own = |text: &str| BTreeMap::from([(RESTART_ON.to_owned(), text.to_owned())]);
        assert!(Policy::read(&BTreeMap::new(), Some("auto")).0.opted_in());
        assert!(!Policy::read(&BTreeMap::new(), Some("off")).0.opted_in());
        assert!(!Policy::read(&own("off"), Some("auto")).0.opted_in());
        assert!(Policy::read(&own("secrets"), Some("off")).0.opted_in());
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
        let (policy, complaints) = Policy::read(&all, Some("auto"));
        assert!(complaints.is_empty());
        assert_eq!(policy.on_recreate, OnRecreate::Content);
        assert_eq!(policy.on_delete, OnDelete::Restart);
        assert_eq!(policy.on_adopt, OnAdopt::Restart);
        assert_eq!(policy.settle, Some(Duration::from_secs(90)));
        assert!(policy.suspend);
    }

    #[test]
    fn long_lists_are_bounded() {
        let text = vec!["secret/x"; MAX_ENTRIES + 1].join(",");
        let (policy, complaints) = read(&text);
        assert!(policy.opted_in());
        assert_eq!(complaints.len(), 1);
    }
}
