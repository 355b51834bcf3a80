//! What of a workload's annotations cannot be read, in words.

use std::{borrow::Cow, fmt};

use crate::model::{
    annotation::{IGNORE, ON_RECREATE, SLOW_START, SUSPEND},
    gate::suspend::{MEANT, is_meant_to_let_go},
    object::SlowStart,
    recreation::OnRecreate,
    source::SourceName,
    text::{printable, shortened},
};

/// The most characters of a value that a complaint shows.
const LENGTH: usize = 32;
/// What can stand for yes or no.
pub(super) const TRUTH: &str = "true or false";

/// What an opt-in in Reloader's words is not, of a CronJob and of a Job.
const ENOUGH: [&str; 2] = [
    "enough: Reloader runs a CronJob for a change, reroll only with reroll.dev/on-change: run-now",
    "enough: Reloader creates a Job again for a change, reroll only with reroll.dev/on-change: recreate",
];

/// On what a value stands.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Stands {
    /// On the object itself of which it is told: its annotation.
    Here,
    /// On a source.
    Source(SourceName),
    /// On the Namespace, whose label it is.
    Label,
}

/// A value that cannot be read.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Complaint {
    /// The annotation's or label's key.
    pub key: &'static str,
    /// The part that cannot be read, shortened.
    pub value: String,
    /// What can stand there.
    pub expected: Cow<'static, str>,
    /// What to write in its place, where one thing only can be meant.
    pub meant: Option<String>,
    /// Who says it.
    pub on: Stands,
}

impl Complaint {
    /// Complains of `reroll.dev/on-recreate` on a source. What stands there is not remembered.
    pub fn of_recreation(source: &SourceName) -> Self {
        Self {
            on: Stands::Source(source.clone()),
            ..complaint(ON_RECREATE, "", OnRecreate::WORDS)
        }
    }

    /// Complains of `reroll.dev/slow-start` on a source. What stands there is not remembered.
    pub fn of_slow_start(source: &SourceName) -> Self {
        Self {
            on: Stands::Source(source.clone()),
            ..complaint(SLOW_START, "", SlowStart::WORDS)
        }
    }

    /// Complains of `reroll.dev/ignore` on a source.
    pub fn of_ignoring(text: &str) -> Self {
        complaint(IGNORE, text.trim(), TRUTH)
    }

    /// Complains of `reroll.dev/suspend` that is nearly the word which lets go: it holds.
    pub fn of_suspension(text: Option<&String>) -> Option<Self> {
        let text = text.filter(|text| is_meant_to_let_go(text))?;
        Some(complaint(SUSPEND, text.trim(), MEANT))
    }

    /// Complains of an opt-in in Reloader's words alone of a CronJob, or of a Job: Reloader runs it, or creates it again.
    pub(super) fn not_enough(key: &'static str, text: &str, by_run: bool) -> Self {
        let [cron_job, job] = ENOUGH;
        complaint(key, text, if by_run { cron_job } else { job })
    }

    /// Whether it is one of those.
    pub fn is_not_enough(&self) -> bool {
        ENOUGH.contains(&&*self.expected)
    }

    /// Complains of `reroll.dev/slow-start` on a Namespace.
    pub fn of_namespace(text: &str) -> Self {
        complaint(SLOW_START, text, SlowStart::WORDS)
    }
}

impl fmt::Display for Complaint {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let of = match &self.on {
            Stands::Source(source) => {
                let source = source.spoken();
                return write!(f, "{} of {source} is not {}", self.key, self.expected);
            }
            Stands::Label => "the Namespace's label ",
            Stands::Here => "",
        };
        write!(
            f,
            "{of}{}: \"{}\" is not {}",
            self.key, self.value, self.expected
        )
    }
}

pub(super) fn complaint(
    key: &'static str,
    value: &str,
    expected: impl Into<Cow<'static, str>>,
) -> Complaint {
    Complaint {
        key,
        value: shortened(&printable(value), LENGTH).into_owned(),
        expected: expected.into(),
        meant: None,
        on: Stands::Here,
    }
}
