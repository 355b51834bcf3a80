//! Several alerts as one message that people read.

use super::{alert::Alert, settings::AlertKind};
use crate::model::text::shortened_to_bytes;

/// How many workloads a message for people names.
pub(super) const NAMED: usize = 20;
/// The most bytes of them: well below what any chat takes (Slack cuts text at 4,000 characters, Google Chat at 4,096).
const MOST_TEXT: usize = 3000;
/// The most bytes of one line.
const MOST_LINE: usize = 600;

/// What was gathered.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(super) struct Message {
    /// Oldest first. A workload that keeps failing is there once.
    pub(super) alerts: Vec<Alert>,
    /// How many earlier alerts were lost.
    pub(super) lost: u64,
}

/// Lines about alerts of one kind: no more than a chat shows.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Section {
    pub(super) kind: AlertKind,
    pub(super) lines: Vec<String>,
}

impl Message {
    pub(super) fn new(alerts: Vec<Alert>, lost: u64) -> Self {
        let mut kept: Vec<Alert> = Vec::with_capacity(alerts.len());
        for alert in alerts {
            if alert.kind == AlertKind::Failing {
                kept.retain(|other| {
                    other.kind != AlertKind::Failing || other.workload != alert.workload
                });
            }
            kept.push(alert);
        }
        Self { alerts: kept, lost }
    }

    /// Returns one sentence about all of it.
    pub(super) fn title(&self) -> String {
        let count = |kind| self.of(kind).count();
        let restarted = match count(AlertKind::Restarted) {
            0 => None,
            1 => Some("restarted a workload".to_owned()),
            many => Some(format!("restarted workloads {many} times")),
        };
        let failing = match count(AlertKind::Failing) {
            0 => None,
            1 => Some("cannot restart a workload".to_owned()),
            many => Some(format!("cannot restart {many} workloads")),
        };
        let both: Vec<_> = restarted.into_iter().chain(failing).collect();
        format!("reroll {}", both.join(", and "))
    }

    /// Returns what happened, bounded. What keeps failing comes first.
    pub(super) fn sections(&self) -> Vec<Section> {
        let (mut named, mut length) = (0, 0);
        let mut sections = Vec::new();
        for kind in [AlertKind::Failing, AlertKind::Restarted] {
            let mut lines = Vec::new();
            let mut left_out = 0;
            for alert in self.of(kind) {
                let line = alert.line();
                let line = shortened_to_bytes(&line, MOST_LINE);
                if left_out > 0 || named == NAMED || length + line.len() > MOST_TEXT {
                    left_out += 1;
                } else {
                    named += 1;
                    length += line.len();
                    lines.push(line.into_owned());
                }
            }
            if left_out > 0 {
                lines.push(format!("and {left_out} more"));
            }
            if !lines.is_empty() {
                sections.push(Section { kind, lines });
            }
        }
        sections
    }

    /// Returns the sentence about what was lost, if anything was.
    pub(super) fn lost_line(&self) -> Option<String> {
        match self.lost {
            0 => None,
            1 => Some("An earlier alert could not be sent.".to_owned()),
            many => Some(format!("{many} earlier alerts could not be sent.")),
        }
    }

    fn of(&self, kind: AlertKind) -> impl Iterator<Item = &Alert> {
        self.alerts.iter().filter(move |alert| alert.kind == kind)
    }
}
