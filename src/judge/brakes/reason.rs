//! Why a restart waits that is due.

use jiff::Timestamp;

use crate::model::{
    annotation::{TOGETHER, WAVE, WINDOW},
    gate::window::Closed,
    held::Held,
    text::minutes,
};

/// Why a restart waits that is due.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Reason {
    /// It is not restarted at this time of day.
    Window(Closed),
    /// Not all has changed that belongs together.
    Together {
        /// When it is restarted all the same.
        until: Timestamp,
    },
    /// Users of lower waves are not complete.
    Wave {
        /// Whether one of them failed, or goes no further.
        stopped: bool,
    },
    /// Others of the same version have no verdict yet, or failed.
    SlowStart {
        /// When the next may go, where failures hold it.
        next: Option<Timestamp>,
    },
    /// Restarts are under way in many namespaces, or failed in some.
    Spread {
        /// Whether so many failed that one goes at a time.
        slowed: bool,
    },
    /// It was restarted a short while ago.
    Distance {
        /// Until when; `None`: until its rollout is through.
        next: Option<Timestamp>,
    },
}

/// What holds a restart.
#[derive(Debug)]
pub(super) struct Gate {
    /// Why.
    pub(super) reason: Reason,
    /// What it waits for of what belongs together, or who of a lower wave stops it, in words; none where nobody does.
    pub(super) by: String,
}

impl Reason {
    /// Returns the same as it is counted.
    pub(super) const fn held(self) -> Held {
        match self {
            Self::Window(_) => Held::Window,
            Self::Together { .. } => Held::Together,
            Self::Wave { .. } => Held::Wave,
            Self::SlowStart { .. } => Held::SlowStart,
            Self::Spread { .. } => Held::Spread,
            Self::Distance { .. } => Held::Distance,
        }
    }

    /// Returns the same as it stands on the workload; `None` for what passes by itself as long as nothing fails.
    pub(super) fn shown(self) -> Option<Held> {
        let stays = match self {
            Self::Window(_) | Self::Together { .. } | Self::Wave { .. } => true,
            Self::SlowStart { next } | Self::Distance { next } => next.is_some(),
            Self::Spread { slowed } => slowed,
        };
        stays.then_some(self.held())
    }

    /// Returns what people are told of a gate that time alone, or nothing, opens; `None` for other reasons.
    /// `by`: what it waits for, or who stops it, by name.
    pub(super) fn gated(self, by: &str) -> Option<String> {
        match self {
            Self::Window(Closed::Until(Some(next))) => Some(format!(
                "for its window ({WINDOW}), until {}",
                minutes(next)
            )),
            Self::Window(Closed::Until(None)) => {
                Some(format!("for its window ({WINDOW}), which never opens"))
            }
            Self::Window(Closed::Unreadable { until }) => {
                let until =
                    until.map_or(String::new(), |until| format!(" until {}", minutes(until)));
                Some(format!(
                    "because its window, or that of its Namespace ({WINDOW}), cannot be read, which holds it{until}: correct it"
                ))
            }
            Self::Together { until } => Some(format!(
                "for {by} to change as well, which belongs together with what has ({TOGETHER}), until {} at the latest",
                minutes(until)
            )),
            Self::Wave { stopped: true } => Some(format!(
                "for {by} of a lower wave ({WAVE}), whose restart failed or goes no further"
            )),
            Self::Wave { stopped: false }
            | Self::SlowStart { .. }
            | Self::Spread { .. }
            | Self::Distance { .. } => None,
        }
    }
}
