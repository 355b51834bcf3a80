//! What people and faults do, as values.

use std::{fmt, time::Duration};

/// One operation, and how long nothing else is done after it.
#[derive(Clone, Debug)]
pub struct Step {
    /// What is done.
    pub operation: Operation,
    /// The time until the next one.
    pub wait: Duration,
}

/// The name of a source or workload.
pub(crate) type Name = &'static str;

/// What is done. An operation that makes no sense where it comes does nothing: a part of a schedule is one, too.
#[derive(Clone, Debug)]
pub enum Operation {
    /// A source gets other data.
    Update(Name),
    /// A source is deleted, and made again with other data.
    Recreate {
        /// Which.
        source: Name,
        /// How long it is away.
        gap: Duration,
    },
    /// A source gets another label.
    Label(Name),
    /// A workload's template becomes one of a few.
    Edit {
        /// Which workload.
        workload: Name,
        /// Which template.
        edition: u8,
    },
    /// `kubectl rollout undo`.
    Undo(Name),
    /// A deploy that comes with a change hangs, and is taken back.
    HangAndUndo {
        /// Which workload.
        workload: Name,
        /// Which template.
        edition: u8,
        /// The source that changes, of those that the workload uses.
        source: usize,
        /// Whether it changes before the deploy.
        first: bool,
        /// The time between both.
        between: Duration,
        /// The time until it is taken back.
        until: Duration,
    },
    /// Pods that start from now on become ready, or never do.
    Hang(bool),
    /// The process of reroll is killed, and started again. Sources change meanwhile.
    Crash {
        /// How long it is away.
        away: Duration,
        /// What changes meanwhile.
        updates: Vec<Name>,
    },
    /// Watches of reroll's bring nothing new from now on, or all.
    Lag(bool),
    /// The API server reaches the webhook from now on, or does not.
    Reach(bool),
    /// etcd is compacted.
    Compact,
}

impl fmt::Display for Step {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let wait = self.wait.as_millis();
        write!(f, "{}; then {wait} ms", self.operation)
    }
}

impl fmt::Display for Operation {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Update(source) => write!(f, "{source} gets other data"),
            Self::Recreate { source, gap } => {
                let gap = gap.as_millis();
                write!(f, "{source} is deleted, and made again after {gap} ms")
            }
            Self::Label(source) => write!(f, "{source} gets another label"),
            Self::Edit { workload, edition } => {
                write!(f, "the template of {workload} becomes edition {edition}")
            }
            Self::Undo(workload) => write!(f, "{workload} is undone"),
            Self::HangAndUndo {
                workload,
                edition,
                source,
                first,
                between,
                until,
            } => {
                let (between, until) = (between.as_millis(), until.as_millis());
                let order = if *first { "before" } else { "after" };
                write!(
                    f,
                    "edition {edition} of {workload} hangs, its source {source} changes {between} ms {order} it, and it is undone after {until} ms"
                )
            }
            Self::Hang(true) => write!(f, "pods that start hang from now on"),
            Self::Hang(false) => write!(f, "pods become ready"),
            Self::Crash { away, updates } => {
                let away = away.as_millis();
                write!(
                    f,
                    "reroll is killed, {updates:?} change, and it is back after {away} ms"
                )
            }
            Self::Lag(true) => write!(f, "watches of reroll's bring nothing new"),
            Self::Lag(false) => write!(f, "watches of reroll's bring all"),
            Self::Reach(true) => write!(f, "the webhook is reached"),
            Self::Reach(false) => write!(f, "the webhook is not reached"),
            Self::Compact => write!(f, "etcd is compacted"),
        }
    }
}
