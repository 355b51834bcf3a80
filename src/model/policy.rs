//! Opting in: what a workload, or its namespace, asks for.
//!
//! Parsing is total. What cannot be read becomes a [`Complaint`], which names the annotation and the value for the
//! warning at the prompt and the Event. The rest counts. An opt-in of which nothing can be read neither restarts nor
//! forgets anything ([`Selection::Unreadable`]): a typo must not erase what was observed.

mod brakes;
mod complaint;
mod gates;
mod in_vain;
mod label;
mod meant;
mod opted;
mod own_words;
mod patterns;
mod reloader;
mod rules;
mod selection;
mod spared;

use std::time::Duration;

use self::complaint::{TRUTH, complaint};
pub use self::{
    brakes::{Brakes, LONGEST_DEADLINE},
    complaint::{Complaint, Stands},
    gates::{Gates, Together, window},
    label::of_label,
    opted::OptedBy,
    own_words::{Lack, OwnWords},
    patterns::{Beyond, MAX_BYTES, MAX_PROGRAM, Pattern, Patterns},
    rules::Rules,
    selection::{MAX_ENTRIES, Selection},
    spared::Spared,
};
pub use super::recreation::OnRecreate;
use super::{
    annotation::{
        ASKS_CHANGE_CAUSE, IGNORE, MARK, ON_ADOPT, ON_CHANGE, ON_DELETE, ON_RECREATE, RESTART_ON,
        SETTLE, SUSPEND, reloader::selecting,
    },
    gate::suspend,
    source::{KeyLists, KindSet, References},
    text::{is_false, read_duration},
    workload::{Asks, JobPhase, RestartBy, Workload, said_of_any},
};

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
    /// Whether a restart says in `kubernetes.io/change-cause` what it was for.
    pub change_cause: bool,
    /// Quiet period of its own.
    pub settle: Option<Duration>,
    /// How long changes gather after the first of them, of a Deployment (Reloader's pause period).
    pub gather: Option<Duration>,
    /// Why it does not restart, as far as it says so itself.
    pub suspend: Option<String>,
    /// How its restarts are braked.
    pub brakes: Brakes,
    /// What else holds them, or lets them go; `None` where nothing does.
    pub gates: Option<Box<Gates>>,
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
    /// For `kubernetes.io/change-cause`.
    pub change_cause: bool,
    /// Kinds of sources that count for no workload.
    pub ignored: KindSet,
}

impl OnDelete {
    /// Returns the word for it, in the annotation and in the flag.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Wait => "wait",
            Self::Restart => "restart",
        }
    }
}

impl Policy {
    /// Reads a workload's annotations. `reroll.dev/restart-on` decides where there is one, then Reloader's words, then the
    /// defaults.
    pub fn read(annotations: &Asks, defaults: Defaults<'_>) -> (Self, Vec<Complaint>) {
        Self::read_beside(annotations, &References::new(), defaults)
    }

    /// Reads the annotations of a workload that uses these.
    fn read_beside(
        annotations: &Asks,
        references: &References,
        defaults: Defaults<'_>,
    ) -> (Self, Vec<Complaint>) {
        let mut complaints = Vec::new();
        let selection = if let Some(text) = annotations.get(RESTART_ON) {
            Selection::read_beside(text, references, &mut complaints)
        } else {
            reloader::complain(annotations, &mut complaints);
            reloader::read(annotations, defaults.all, &mut complaints).unwrap_or_else(|| {
                let mut selection = match defaults.namespace {
                    Some(text) => label::read(text, &mut complaints),
                    None if defaults.all => Selection::read("auto", &mut complaints),
                    None => Selection::Off,
                };
                selection.exclude(reloader::excluded(annotations));
                selection
            })
        };
        let mut selection = selection;
        if is_left_alone(annotations) {
            selection = Selection::Off;
        } else if let Some(text) = annotations.get(IGNORE).filter(|text| !is_false(text)) {
            complaints.push(complaint(IGNORE, text.trim(), TRUTH));
        }
        selection.exclude(defaults.ignored.iter().map(Pattern::all));
        let mut choices = Choices {
            annotations,
            complaints: &mut complaints,
        };
        let on_recreate = choices.word(
            ON_RECREATE,
            OnRecreate::WORDS,
            &OnRecreate::ALL.map(|word| (word.as_str(), word)),
        );
        let on_delete = choices.word(
            ON_DELETE,
            "wait or restart",
            &[OnDelete::Wait, OnDelete::Restart].map(|word| (word.as_str(), word)),
        );
        let on_adopt = choices.word(
            ON_ADOPT,
            "report or restart",
            &[("report", OnAdopt::Report), ("restart", OnAdopt::Restart)],
        );
        let change_cause = choices.truth(ASKS_CHANGE_CAUSE);
        let settle = annotations.get(SETTLE).and_then(|text| {
            let settle = read_duration(text).ok();
            let settle = settle.filter(|settle| *settle <= MAX_SETTLE);
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
        complaints.extend(Complaint::of_suspension(annotations.get(SUSPEND)));
        let policy = Self {
            selection,
            on_recreate: on_recreate.unwrap_or(defaults.on_recreate),
            on_delete: on_delete.unwrap_or(defaults.on_delete),
            on_adopt: on_adopt.unwrap_or_default(),
            change_cause: change_cause.unwrap_or(defaults.change_cause),
            settle,
            gather,
            suspend: suspend::read(annotations.get(SUSPEND).map(String::as_str)),
            brakes: Brakes::read(annotations, &mut complaints),
            gates: Gates::read(annotations, &mut complaints),
        };
        (policy, complaints)
    }

    /// Returns what a workload asks for. A CronJob or Job that does not say by `reroll.dev/on-change` what is to be
    /// done about a change did not opt in, whatever else it says. Nor does one that is suspended, as long as it is:
    /// what it starts afterwards reads the values of then, so it is adopted afresh. Nor does a Rollout that another
    /// workload leads ([`Workload::is_led`]).
    pub fn of(workload: &Workload, defaults: Defaults<'_>) -> (Self, Vec<Complaint>) {
        let (mut policy, mut complaints) =
            Self::read_beside(&workload.asks, &workload.references, defaults);
        let asked = workload.asks.get(ON_CHANGE).map(|asked| asked.trim());
        let (word, expected) = match workload.restart_by {
            RestartBy::Run => (Some("run-now"), "run-now, the only value for CronJobs"),
            RestartBy::Recreate => (Some("recreate"), "recreate, the only value for Jobs"),
            RestartBy::Template | RestartBy::RestartAt { .. } | RestartBy::LikeKubectl { .. } => (
                None,
                "known for this kind (CronJobs: run-now; Jobs: recreate)",
            ),
        };
        if let Some(asked) = workload.asks.get(MARK).map(|asked| asked.trim()) {
            match &workload.restart_by {
                RestartBy::LikeKubectl { .. } => {}
                RestartBy::Template => {
                    complaints.push(complaint(MARK, asked, "restartedAt, the only value"));
                }
                RestartBy::RestartAt { .. } | RestartBy::Run | RestartBy::Recreate => {
                    let expected = "for what restarts in another way than by its pod template";
                    complaints.push(complaint(MARK, asked, expected));
                }
            }
        }
        let readable = asked.is_none() || asked == word;
        if let Some(asked) = asked.filter(|_| !readable) {
            complaints.push(complaint(ON_CHANGE, asked, expected));
        }
        if word.is_some() && policy.opted_in() {
            let own = asked.is_some() || workload.asks.contains_key(RESTART_ON);
            let theirs = selecting().find_map(|key| Some((key, said_of_any(&workload.asks, key)?)));
            if let (false, Some((key, text))) = (own, theirs) {
                let by_run = workload.restart_by == RestartBy::Run;
                complaints.push(Complaint::not_enough(key, text, by_run));
            }
            let idle = workload.phase == JobPhase::Suspended;
            policy.selection = match asked {
                None => Selection::Off,
                Some(_) if idle => Selection::Off,
                Some(_) if !readable => Selection::Unreadable,
                Some(_) => policy.selection,
            };
        }
        let template = workload.borrows.as_ref();
        if let Some(template) = template.filter(|template| !template.followed)
            && policy.opted_in()
        {
            complaints.push(complaint(WORKLOAD_REF, &template.kind, FOLLOWED));
        }
        if let Some(excess) = workload.excess
            && policy.opted_in()
        {
            complaints.push(complaint(TEMPLATE, &excess.to_string(), FEWER));
            policy.selection = Selection::Unreadable;
        }
        if workload.is_led() {
            policy.selection = Selection::Off;
        }
        (policy, complaints)
    }

    /// Whether a CronJob or Job did not opt in only because it is suspended.
    pub fn is_idle(workload: &Workload, defaults: Defaults<'_>) -> bool {
        let mut resumed = workload.clone();
        resumed.phase = JobPhase::Active;
        workload.phase == JobPhase::Suspended && Self::of(&resumed, defaults).0.opted_in()
    }

    /// Whether what these annotations say may take long to read: there are patterns in it, or there is much of it.
    pub fn is_much(annotations: &Asks) -> bool {
        let plain = |byte: u8| byte.is_ascii_alphanumeric() || b"-/!, ".contains(&byte);
        let much = |text: &String| text.len() > MUCH || !text.bytes().all(plain);
        let mut selecting = selecting().chain([RESTART_ON]);
        selecting.any(|key| annotations.get(key).is_some_and(much))
    }

    /// Returns which keys of sources count, where those are not all that pods read.
    pub fn lists(&self) -> KeyLists {
        match &self.selection {
            Selection::Some(rules) => rules.lists.clone(),
            Selection::Off | Selection::Unreadable => KeyLists::default(),
        }
    }

    /// Returns its place in the order of restarts.
    pub fn wave(&self) -> i64 {
        self.gates.as_ref().map_or(0, |gates| gates.wave)
    }

    /// Returns which of its values belong together, where it says so.
    pub fn together(&self) -> Option<&Together> {
        self.gates.as_ref()?.together.as_ref()
    }

    /// Counts the keys by themselves that it says belong together with others.
    pub fn count_keys(&self, uses: &mut References) {
        if let Some(together) = self.together() {
            together.count_keys(uses);
        }
    }

    /// Whether its user lets the restart with this id past what holds it.
    pub fn is_released(&self, id: &str) -> bool {
        let release = self
            .gates
            .as_ref()
            .and_then(|gates| gates.release.as_deref());
        release == Some(id)
    }

    /// Whether the workload is reroll's business.
    pub fn opted_in(&self) -> bool {
        self.selection != Selection::Off
    }
}

/// Whether a workload asks to be left alone, whatever opts it in.
pub fn is_left_alone(annotations: &Asks) -> bool {
    annotations
        .get(IGNORE)
        .is_some_and(|text| text.trim() == "true")
}

/// As many bytes of a list are read in no time.
const MUCH: usize = 1024;

/// Annotations that take one of a few words.
struct Choices<'a> {
    annotations: &'a Asks,
    complaints: &'a mut Vec<Complaint>,
}

impl Choices<'_> {
    /// Returns what a word means that is true or false.
    fn truth(&mut self, key: &'static str) -> Option<bool> {
        match self.annotations.get(key) {
            Some(text) if is_false(text) => Some(false),
            _ => self.word(key, TRUTH, &[("true", true)]),
        }
    }

    /// Returns what the word means that stands there; `None` where none does, or it cannot be read, which is complained
    /// of.
    fn word<T: Copy>(
        &mut self,
        key: &'static str,
        expected: &'static str,
        words: &[(&str, T)],
    ) -> Option<T> {
        let value = self.annotations.get(key)?.trim();
        let meant = words.iter().find(|(word, _)| *word == value);
        if meant.is_none() {
            self.complaints.push(complaint(key, value, expected));
        }
        meant.map(|(_, meant)| *meant)
    }
}

/// What a Rollout says in place of a template.
const WORKLOAD_REF: &str = "spec.workloadRef";

/// What it can name.
const FOLLOWED: &str =
    "a kind whose template reroll reads, such as Deployment: it does not restart this";

/// Where references stand.
const TEMPLATE: &str = "spec.template";

/// How many there can be.
const FEWER: &str = "within 1024 sources and 4096 keys: reroll does not follow this workload";

/// The longest quiet period an annotation can ask for.
const MAX_SETTLE: Duration = Duration::from_hours(1);

#[cfg(test)]
mod tests;
