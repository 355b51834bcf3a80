//! Opting in: what a workload, or its namespace, asks for.
//!
//! Parsing is total: what cannot be read becomes a [`Complaint`] that names the annotation and the value, for the
//! warning at the prompt and the Event, and the rest is honoured. An opt-in of which nothing can be read neither
//! restarts nor forgets anything ([`Selection::Unreadable`]): a typo must not erase what was observed.

mod reloader;
mod rules;

use std::{fmt, sync::LazyLock, time::Duration};

pub use self::rules::{Pattern, Rules};
use super::{
    annotation::{ON_ADOPT, ON_CHANGE, ON_DELETE, ON_RECREATE, RESTART_ON, SETTLE, SUSPEND},
    source::{KindSet, SourceKind},
    workload::{Asks, RestartBy, Standing, Workload},
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
    /// How long changes gather after the first of them, of a Deployment (Reloader's pause period).
    pub gather: Option<Duration>,
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

static EXPECTED_RESTART_ON: LazyLock<String> = LazyLock::new(|| {
    let kinds = SourceKind::ALL.map(SourceKind::plural).join(", ");
    format!("auto, {kinds}, [!]secret/NAME (or another kind), env, volume or off")
});

/// What holds for a workload that says nothing else.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Defaults<'a> {
    /// The `restart-on` label of its namespace.
    pub namespace: Option<&'a str>,
    /// Workloads that say nothing, nor does their namespace, are opted in for all that they refer to.
    pub all: bool,
    /// For recreated sources.
    pub on_recreate: OnRecreate,
    /// For deleted sources.
    pub on_delete: OnDelete,
    /// Kinds of sources that count for nobody.
    pub ignored: KindSet,
}

impl Policy {
    /// Reads a workload's annotations. `reroll.dev/restart-on` decides where there is one, then Reloader's words, then the
    /// defaults.
    pub fn read(annotations: &Asks, defaults: Defaults<'_>) -> (Self, Vec<Complaint>) {
        let mut complaints = Vec::new();
        let selection = match annotations.get(RESTART_ON) {
            Some(text) => Selection::read(text, &mut complaints),
            None => {
                reloader::read(annotations, defaults.all, &mut complaints).unwrap_or_else(|| {
                    let all = defaults.all.then_some("auto");
                    let mut selection = defaults.namespace.or(all).map_or(Selection::Off, |text| {
                        Selection::read(text, &mut complaints)
                    });
                    if let Selection::Some(rules) = &mut selection {
                        rules.excluded.extend(reloader::excluded(annotations));
                    }
                    selection
                })
            }
        };
        let mut selection = selection;
        if let Selection::Some(rules) = &mut selection {
            let ignored = defaults.ignored.iter();
            rules.excluded.extend(ignored.map(Pattern::all));
        }
        let mut choice = |key, options: &'static str, first: &str, second: &str| {
            let value = annotations.get(key)?.trim();
            if value != first && value != second {
                complaints.push(complaint(key, value, options));
                return None;
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
        let gather = reloader::gather(annotations, &mut complaints);
        let policy = Self {
            selection,
            on_recreate: match content {
                Some(true) => OnRecreate::Content,
                Some(false) => OnRecreate::Restart,
                None => defaults.on_recreate,
            },
            on_delete: match delete {
                Some(true) => OnDelete::Restart,
                Some(false) => OnDelete::Wait,
                None => defaults.on_delete,
            },
            on_adopt: if adopt == Some(true) {
                OnAdopt::Restart
            } else {
                OnAdopt::Report
            },
            settle,
            gather,
            suspend: suspend == Some(true),
        };
        (policy, complaints)
    }

    /// What a workload asks for. A CronJob or Job that does not say by `reroll.dev/on-change` what is to be done about a
    /// change did not opt in, whatever else it says. Nor does one that is suspended, as long as it is: what it starts
    /// afterwards reads the values of then, so it is adopted afresh.
    pub fn of(workload: &Workload, defaults: Defaults<'_>) -> (Self, Vec<Complaint>) {
        let (mut policy, mut complaints) = Self::read(&workload.asks, defaults);
        let asked = workload.asks.get(ON_CHANGE).map(|asked| asked.trim());
        let (word, expected) = match workload.restart_by {
            RestartBy::Run => (Some("run-now"), "run-now, the only value for CronJobs"),
            RestartBy::Recreate => (Some("recreate"), "recreate, the only value for Jobs"),
            RestartBy::Template | RestartBy::RestartAt { .. } => (
                None,
                "known for this kind (CronJobs: run-now; Jobs: recreate)",
            ),
        };
        let readable = asked.is_none() || asked == word;
        if let Some(asked) = asked.filter(|_| !readable) {
            complaints.push(complaint(ON_CHANGE, asked, expected));
        }
        if word.is_some() && policy.opted_in() {
            let idle = workload.standing == Standing::Suspended;
            policy.selection = match asked {
                None => Selection::Off,
                Some(_) if idle => Selection::Off,
                Some(_) if !readable => Selection::Unreadable,
                Some(_) => policy.selection,
            };
        }
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
        let kind = |word: &str| {
            SourceKind::ALL
                .into_iter()
                .find(|kind| kind.plural() == word)
        };
        for token in tokens.by_ref().take(MAX_ENTRIES) {
            match token {
                "off" => return Self::Off,
                "auto" => rules.kinds = KindSet::all(),
                "env" => rules.env = true,
                "volume" => rules.volume = true,
                word if let Some(kind) = kind(word) => rules.kinds.insert(kind),
                _ => {
                    let (list, name) = match token.strip_prefix('!') {
                        Some(name) => (&mut rules.excluded, name),
                        None => (&mut rules.named, token),
                    };
                    let Some(pattern) = Pattern::read(name) else {
                        complaints.push(complaint(RESTART_ON, token, &EXPECTED_RESTART_ON));
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
                "among the first 1024 entries, which are all that reroll reads",
            ));
        }
        if read == 0 {
            if complaints.is_empty() {
                complaints.push(complaint(RESTART_ON, text, &EXPECTED_RESTART_ON));
            }
            return Self::Unreadable;
        }
        // `env` alone, or an exclusion alone, can only mean: of all that is referenced.
        if rules.named.is_empty() && rules.kinds.is_empty() {
            rules.kinds = KindSet::all();
        }
        Self::Some(rules)
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
mod tests;
