//! The `reroll.dev/pending` annotation: why a restart that is due is not made, for people and for every replica.
//!
//! Who leads finds out that a restart is refused. Whoever answers a review needs to know it too, on every replica and after
//! a crash, so it stands on the workload. It goes with the restart's own patch, or with a write of its own when nothing is
//! pending any more. The webhook guards it like `observed`.
//!
//! The text does not change by itself: it says since when, and not for how long. What a workload waits for keeps its
//! [`restart_id`](super::decide::restart_id); a label's edit leaves that, another change does not.
//!
//! Who waits because others failed names them, with the times of their restarts. That is the proof where a failure does not show any
//! more: somebody deployed the one that failed, paused it, scaled it to zero, opted out or deleted it.

use std::{cmp::Reverse, collections::BTreeMap};

use jiff::Timestamp;
use kube::core::DynamicObject;
use serde::{Deserialize, Serialize};

use super::{
    decide::{Cause, Decision, joined},
    digest::DigestKey,
    gate::together::MOST,
    held::Held,
    text::shortened,
    workload::{Kind, Workload, bare_template},
};

/// The most characters of the causes.
const CAUSES_LENGTH: usize = 512;
/// The most failures that are named: the last ones.
const FAILURES: usize = 16;

/// The annotation's content.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Pending {
    /// Since when a restart has been due for this reason.
    pub since: Timestamp,
    /// Why it is not made.
    pub reason: Held,
    /// What it is for, in words.
    pub causes: String,
    /// Which restart it is.
    pub id: String,
    /// Which template was there when it was refused, as of [`template_id`].
    pub template: String,
    /// Whose restarts for the same version failed, and when they were made.
    pub failed: Failures,
    /// Who holds it, and why, in words; empty where nobody asked for it.
    pub by: String,
    /// Which of what belongs together has changed, and since when.
    pub moved: Moved,
}

/// Which members of groups have changed, as people write them, and since when.
pub type Moved = BTreeMap<String, Timestamp>;

/// Whose restarts failed, as of [`super::WorkloadKey::named`], and when they were made.
pub type Failures = BTreeMap<String, Timestamp>;

#[derive(Serialize, Deserialize)]
struct Wire {
    since: String,
    reason: String,
    causes: String,
    id: String,
    #[serde(default, skip_serializing_if = "String::is_empty")]
    template: String,
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    failed: BTreeMap<String, String>,
    #[serde(default, skip_serializing_if = "String::is_empty")]
    by: String,
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    moved: BTreeMap<String, String>,
}

impl Pending {
    /// Returns what is pending for these causes. A text that stands keeps its time.
    pub fn now(
        stands: Option<&Self>,
        reason: Held,
        causes: &[Cause],
        id: String,
        template: String,
        now: Timestamp,
    ) -> Self {
        let since = stands.map_or(now, |stands| stands.since);
        let since = Timestamp::from_second(since.as_second()).unwrap_or(since);
        Self {
            since,
            reason,
            causes: shortened(&joined(causes), CAUSES_LENGTH).into_owned(),
            id,
            template,
            failed: Failures::new(),
            by: String::new(),
            moved: Moved::new(),
        }
    }

    /// Returns the same, because somebody holds it, in these words.
    #[must_use]
    pub fn held_by(self, by: String) -> Self {
        Self { by, ..self }
    }

    /// Returns the same, because these failed.
    #[must_use]
    pub fn because(self, failed: &Failures) -> Self {
        let failed = last(failed).map(|(name, at)| (name.clone(), *at));
        let failed = failed.collect();
        Self { failed, ..self }
    }

    /// Returns the same, with since when these have changed that belong together with others.
    #[must_use]
    pub fn since_moved(self, moved: Moved) -> Self {
        Self { moved, ..self }
    }

    /// Whether it names the last of these.
    pub fn names(&self, failed: &Failures) -> bool {
        last(failed).all(|(name, at)| self.failed.get(name) == Some(at))
    }

    /// Reads the annotation's text; `None` where a newer release wrote it, or another client.
    pub fn read(text: &str) -> Option<Self> {
        let wire: Wire = serde_json::from_str(text).ok()?;
        Some(Self {
            since: wire.since.parse().ok()?,
            reason: Held::read(&wire.reason)?,
            causes: wire.causes,
            id: wire.id,
            template: wire.template,
            failed: times(wire.failed, FAILURES),
            by: wire.by,
            moved: times(wire.moved, MOST),
        })
    }

    /// Returns what is pending of a workload.
    pub fn of(workload: &Workload) -> Option<Self> {
        Self::read(workload.pending.as_ref()?)
    }

    /// Returns the same where a restart is due: what stands may be of one that is over.
    pub fn of_due(workload: &Workload, decision: Option<&Decision>) -> Option<Self> {
        let is_due = matches!(decision, Some(Decision::Restart(_)));
        Self::of(workload).filter(|_| is_due)
    }

    /// Returns the annotation's text.
    pub fn print(&self) -> String {
        let wire = Wire {
            since: self.since.to_string(),
            reason: self.reason.as_str().to_owned(),
            causes: self.causes.clone(),
            id: self.id.clone(),
            template: self.template.clone(),
            failed: texts(&self.failed),
            by: self.by.clone(),
            moved: texts(&self.moved),
        };
        // Only maps with keys that are no strings cannot be printed, and there are none.
        serde_json::to_string(&wire).unwrap_or_default()
    }
}

/// Reads times, of so many at most.
fn times(texts: BTreeMap<String, String>, most: usize) -> BTreeMap<String, Timestamp> {
    let read = texts.into_iter().take(most);
    read.filter_map(|(name, at)| Some((name, at.parse().ok()?)))
        .collect()
}

fn texts(times: &BTreeMap<String, Timestamp>) -> BTreeMap<String, String> {
    let texts = times
        .iter()
        .map(|(name, at)| (name.clone(), at.to_string()));
    texts.collect()
}

/// Returns the last of those that failed, which are named.
fn last(failed: &Failures) -> impl Iterator<Item = (&String, &Timestamp)> {
    let mut last: Vec<_> = failed.iter().collect();
    last.sort_by_key(|(_, at)| Reverse(**at));
    last.into_iter().take(FAILURES)
}

/// Whether a restart of the workload is pending because it is refused: a write of its template that sets a mark, too, would
/// be refused like it.
pub fn is_refused(workload: &Workload) -> bool {
    Pending::of(workload).is_some_and(|pending| pending.reason == Held::Refused)
}

/// Returns what is said of a restart of the workload that waits because others failed.
pub fn slowed(workload: &Workload) -> Option<Pending> {
    let pending = Pending::of(workload)?;
    let slowed = matches!(pending.reason, Held::SlowStart | Held::Spread);
    (slowed || !pending.failed.is_empty()).then_some(pending)
}

/// Returns which template an object has, reroll's mark in it left out.
pub fn template_id(kind: Kind, object: &DynamicObject, key: &DigestKey) -> String {
    let template = bare_template(kind, object).to_string();
    key.digest([b"template".as_slice(), template.as_bytes()])
        .to_string()
}

#[cfg(test)]
mod tests {
    use super::*;

    const TEXT: &str = r#"{"since":"2026-01-01T00:00:00Z","reason":"refused","causes":"Secret db was updated","id":"i","template":"t"}"#;

    #[test]
    fn what_is_printed_reads_back() {
        let read = Pending::read(TEXT).unwrap();
        assert_eq!(read.print(), TEXT);
        assert_eq!(read.reason, Held::Refused);
    }

    #[test]
    fn what_is_not_understood_is_nothing() {
        let rows = [
            "",
            "refused",
            "{}",
            &TEXT.replace("refused", "a reason of a newer release"),
            &TEXT.replace("2026-01-01T00:00:00Z", "yesterday"),
        ];
        for text in rows {
            assert_eq!(Pending::read(text), None, "{text}");
        }
        let newer = TEXT.replace(r#""id""#, r#""said":1,"id""#);
        assert_eq!(Pending::read(&newer).unwrap().print(), TEXT);
    }

    #[test]
    fn the_last_of_those_that_failed_are_named() {
        let at = |second| Timestamp::from_second(second).unwrap();
        let some = |from, to| -> Failures {
            (from..to)
                .map(|second| (format!("deployments/w{second}"), at(second)))
                .collect()
        };
        let pending = Pending::read(TEXT).unwrap().because(&some(0, 20));
        assert_eq!(pending.failed, some(4, 20));
        assert!(pending.names(&some(0, 20)) && pending.names(&some(10, 20)));
        assert!(!pending.names(&some(0, 21)));
        assert_eq!(Pending::read(&pending.print()).unwrap(), pending);
    }

    #[test]
    fn one_that_stands_keeps_its_time_and_many_causes_are_cut() {
        let stands = Pending::read(TEXT).unwrap();
        let later = "2026-01-02T00:00:00.5Z".parse().unwrap();
        let now = |stands, causes: &[Cause]| {
            Pending::now(stands, Held::Refused, causes, "j".into(), "t".into(), later)
        };
        let next = now(Some(&stands), &[]);
        assert_eq!((next.since, next.id.as_str()), (stands.since, "j"));
        let many = vec![Cause::plain(crate::model::CauseKind::RolledBack, None); 100];
        let first = now(None, &many);
        assert_eq!(first.since.to_string(), "2026-01-02T00:00:00Z");
        assert_eq!(first.causes.chars().count(), CAUSES_LENGTH);
    }
}
