//! The annotation `reroll.dev/rollout`: what a restart was, for its verdict.
//!
//! The restart's own patch writes it. If it is lost, the restart counts for nothing. Where the template's mark is another, or
//! the template without our marks is not the one that was patched, the rollout is somebody else's.
//!
//! It does not belong into `observed`: a release that does not know it would take such an `observed` for a forgery.

use std::collections::BTreeMap;

use jiff::{SignedDuration, Timestamp};
use serde::{Deserialize, Serialize};

use crate::model::{change::Change, digest::Digest, source::SourceName};

/// The most sources that are named. A restart for more counts as one of its namespace ([`Changed::Namespace`]).
pub const SOURCES: usize = 16;

/// A version of a source: of its uid and its data, so a label's edit is none.
pub type VersionId = Digest;

/// For what a restart was made, and by what slow start counts it.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Changed {
    /// This source.
    Source(SourceName),
    /// No source that can be named: the template was rolled back, or it is one of very many.
    Namespace,
}

/// What a restart was, as it was made.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Opened {
    /// When it was made.
    pub at: Timestamp,
    /// The mark that its pods carry.
    pub mark: String,
    /// For which versions.
    pub versions: BTreeMap<Changed, VersionId>,
    /// The least time until the next restart, see [`crate::model::brake::distance`].
    pub distance: SignedDuration,
    /// How many pods were missing before.
    pub unavailable: i64,
    /// Whether its pods were available before, and none was of an older template. If not, only its success counts.
    pub well: bool,
    /// Whether it went alone, and is looked at for longer.
    pub alone: bool,
    /// `metadata.generation` of the restart, at least: a status that was made for less says nothing about it.
    pub generation: i64,
    /// Which template it was, as of [`super::template_print`].
    pub template: Digest,
}

/// The last restart of a workload, as its object shows it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct LastRestart {
    /// What it was.
    pub opened: Opened,
    /// Whether its mark and its template are there. If not, the rollout is somebody else's.
    pub is_ours: bool,
}

impl LastRestart {
    /// Reads the annotation of a workload with this mark and this template; `None` where it cannot be read.
    pub fn read(text: &str, mark: &str, template: Digest) -> Option<Self> {
        let opened = Opened::read(text)?;
        let is_ours = opened.mark == mark && opened.template == template;
        Some(Self { opened, is_ours })
    }
}

#[derive(Serialize, Deserialize)]
struct Wire {
    at: String,
    mark: String,
    #[serde(rename = "for")]
    versions: BTreeMap<String, String>,
    #[serde(default, skip_serializing_if = "is_zero")]
    distance: i64,
    #[serde(default, skip_serializing_if = "is_zero")]
    unavailable: i64,
    well: bool,
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    alone: bool,
    generation: i64,
    template: String,
}

/// The same with who made the changes, which no verdict needs and nothing reads back.
#[derive(Serialize)]
struct WireWithWho<'a> {
    #[serde(flatten)]
    wire: Wire,
    #[serde(skip_serializing_if = "BTreeMap::is_empty")]
    changed: BTreeMap<String, &'a Change>,
}

#[expect(clippy::trivially_copy_pass_by_ref, reason = "as serde wants it")]
fn is_zero(number: &i64) -> bool {
    *number == 0
}

impl Changed {
    fn print(&self) -> String {
        match self {
            Self::Source(source) => source.to_string(),
            Self::Namespace => NAMESPACE.to_owned(),
        }
    }

    fn read(text: &str) -> Option<Self> {
        if text == NAMESPACE {
            return Some(Self::Namespace);
        }
        text.parse().ok().map(Self::Source)
    }
}

/// What is written for [`Changed::Namespace`]; no source is called so.
const NAMESPACE: &str = "*";

impl Opened {
    /// Whether a status that was made for this generation says nothing of the restart yet: it counts pods of the template before.
    pub fn is_unseen(&self, seen: Option<i64>) -> bool {
        seen.is_some_and(|seen| seen < self.generation)
    }

    /// Reads the annotation's text; `None` where it cannot be read.
    pub fn read(text: &str) -> Option<Self> {
        let wire: Wire = serde_json::from_str(text).ok()?;
        let versions = wire.versions.iter().take(SOURCES + 1);
        let versions =
            versions.map(|(changed, id)| Some((Changed::read(changed)?, Digest::parse(id)?)));
        Some(Self {
            at: wire.at.parse().ok()?,
            mark: wire.mark,
            versions: versions.collect::<Option<_>>()?,
            distance: SignedDuration::from_secs(wire.distance.clamp(0, 86_400)),
            unavailable: wire.unavailable.max(0),
            well: wire.well,
            alone: wire.alone,
            generation: wire.generation,
            template: Digest::parse(&wire.template)?,
        })
    }

    /// Returns the annotation's text.
    pub fn print(&self) -> String {
        self.print_with(&BTreeMap::new())
    }

    /// Returns the annotation's text, with who made the changes.
    pub fn print_with(&self, changed: &BTreeMap<SourceName, Change>) -> String {
        let changed = changed.iter().take(SOURCES);
        let whole = WireWithWho {
            wire: self.wire(),
            changed: changed
                .map(|(source, change)| (source.to_string(), change))
                .collect(),
        };
        // Only maps with keys that are no strings cannot be printed, and there are none.
        serde_json::to_string(&whole).unwrap_or_default()
    }

    fn wire(&self) -> Wire {
        let versions = self.versions.iter();
        Wire {
            at: format!("{:.3}", self.at),
            mark: self.mark.clone(),
            versions: versions
                .map(|(changed, id)| (changed.print(), id.to_string()))
                .collect(),
            distance: self.distance.as_secs(),
            unavailable: self.unavailable,
            well: self.well,
            alone: self.alone,
            generation: self.generation,
            template: self.template.to_string(),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const TEXT: &str = r#"{"at":"2026-01-01T00:00:00.250Z","mark":"m","for":{"configmap/c":"AAAAAAAAAAAAAAAB","secret/db":"AAAAAAAAAAAAAAAA"},"distance":5,"unavailable":1,"well":true,"alone":true,"generation":3,"template":"AAAAAAAAAAAAAAAC"}"#;

    #[test]
    fn what_is_printed_reads_back() {
        let read = Opened::read(TEXT).unwrap();
        assert_eq!(read.print(), TEXT);
        assert_eq!(read.versions.len(), 2);
        let plain = Opened {
            distance: SignedDuration::ZERO,
            unavailable: 0,
            alone: false,
            versions: BTreeMap::from([(Changed::Namespace, Digest::CHANGED)]),
            ..read
        };
        assert_eq!(Opened::read(&plain.print()), Some(plain));
    }

    #[test]
    fn who_made_the_changes_stands_beside_and_is_not_read_back() {
        let read = Opened::read(TEXT).unwrap();
        let at = read.at;
        let alice = Change::by(at, Some("alice"), Some("kubectl-patch")).unwrap();
        let changed = BTreeMap::from([(SourceName::secret("db"), alice)]);
        let text = read.print_with(&changed);
        let facts = r#","changed":{"secret/db":{"at":"2026-01-01T00:00:00Z","user":"alice","manager":"kubectl-patch"}}}"#;
        assert_eq!(text, TEXT.trim_end_matches('}').to_owned() + facts);
        assert_eq!(Opened::read(&text), Some(read));
    }

    #[test]
    fn what_is_not_understood_is_nothing() {
        let far = TEXT.replace(r#""distance":5"#, r#""distance":99999999999"#);
        assert_eq!(Opened::read(&far).unwrap().distance.as_hours(), 24);
        let rows = [
            "",
            "{}",
            &TEXT.replace("2026-01-01T00:00:00.250Z", "yesterday"),
            &TEXT.replace("secret/db", "db"),
            &TEXT.replace("AAAAAAAAAAAAAAAC", "short"),
        ];
        for text in rows {
            assert_eq!(Opened::read(text), None, "{text}");
        }
    }
}
