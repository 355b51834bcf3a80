//! Why a workload is restarted, in words that people read.

use std::fmt;

use crate::model::{
    change::Change,
    source::{SourceName, key_word, spoken_key},
    text::{printable, shortened},
    workload::ChangeCause,
};

/// How many characters people are shown of a uid.
const UID: usize = 9;

/// The most characters of what `kubernetes.io/change-cause` tells.
const CHANGE_CAUSE: usize = 256;

/// What kind of change asks for a restart. Events, metrics, logs and `last-restart` all use these words.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum CauseKind {
    /// Other data under the same uid.
    Updated,
    /// Deleted and created again: another uid.
    Recreated,
    /// It appeared after pods had started without it.
    Created,
    /// It was deleted, and `on-delete: restart` asks to restart for that.
    Deleted,
    /// The pod template was taken back behind the webhook.
    RolledBack,
    /// Written after the current revision was made, found at adoption with `on-adopt: restart`; or after pods were made
    /// that the workload adopted.
    Outdated,
}

impl CauseKind {
    /// Every kind.
    pub const ALL: [Self; 6] = [
        Self::Updated,
        Self::Recreated,
        Self::Created,
        Self::Deleted,
        Self::RolledBack,
        Self::Outdated,
    ];

    /// Returns the word for metrics and logs.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Updated => "updated",
            Self::Recreated => "recreated",
            Self::Created => "created",
            Self::Deleted => "deleted",
            Self::RolledBack => "rolled_back",
            Self::Outdated => "outdated",
        }
    }
}

/// Why a workload is restarted. `Display` writes the sentence that people read; the alternate form, as of `{:#}`, also says who
/// made the change.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Cause {
    /// What kind of change.
    pub kind: CauseKind,
    /// Of which source; `None` for the template itself, and where entries were folded.
    pub source: Option<SourceName>,
    /// The uid before and after, where it changed.
    pub uids: Option<(String, String)>,
    /// Keys that changed, where they are known by name.
    pub keys: Vec<String>,
    /// Who made the change; no decision knows that, a restart looks it up.
    pub change: Option<Change>,
}

impl Cause {
    pub(crate) fn plain(kind: CauseKind, source: Option<&SourceName>) -> Self {
        Self {
            kind,
            source: source.cloned(),
            uids: None,
            keys: Vec::new(),
            change: None,
        }
    }
}

/// Returns the causes in words, with who made each change where that is known, as one text.
pub fn joined_with_who(causes: &[Cause]) -> String {
    let causes: Vec<_> = causes.iter().map(|cause| format!("{cause:#}")).collect();
    causes.join("; ")
}

/// Returns what `kubernetes.io/change-cause` tells of a restart. Who made the changes is not for revisions, which are copied far
/// and wide.
pub fn change_cause(causes: &[Cause]) -> String {
    let text = format!("{}{}", ChangeCause::OURS, joined(causes));
    shortened(&printable(&text), CHANGE_CAUSE).into_owned()
}

/// Returns the causes in words, as one text.
pub fn joined(causes: &[Cause]) -> String {
    let causes: Vec<_> = causes.iter().map(ToString::to_string).collect();
    causes.join("; ")
}

impl fmt::Display for Cause {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if self.kind == CauseKind::RolledBack {
            return f.write_str("the pod template was rolled back behind reroll");
        }
        match &self.source {
            Some(source) => write!(f, "{}", source.spoken())?,
            None => f.write_str("one of its many sources")?,
        }
        f.write_str(match self.kind {
            CauseKind::Updated => " was updated",
            CauseKind::Recreated => " was recreated",
            CauseKind::Created => " was created",
            CauseKind::Deleted => " was deleted",
            CauseKind::RolledBack | CauseKind::Outdated => {
                " was written after the current revision was made"
            }
        })?;
        if let Some((before, after)) = &self.uids {
            write!(
                f,
                " (uid {} → {})",
                shortened(before, UID),
                shortened(after, UID)
            )?;
        }
        let word = key_word(self.keys.iter().map(String::as_str));
        let keys: Vec<_> = self.keys.iter().map(|key| spoken_key(key)).collect();
        match keys.as_slice() {
            [] => Ok(()),
            [one] => write!(f, " ({word} {one})"),
            [first @ .., last] if first.len() < 3 => {
                write!(f, " ({word} {} and {last})", first.join(", "))
            }
            many => write!(
                f,
                " ({word} {}, {} and {} more)",
                many[0],
                many[1],
                many.len() - 2
            ),
        }?;
        match &self.change {
            Some(change) if f.alternate() => write!(f, ", {change}"),
            _ => Ok(()),
        }
    }
}
