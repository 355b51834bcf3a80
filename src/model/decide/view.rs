//! What a decision looks at: the workload, what was observed of it, and each of its sources as known right now.

use std::collections::{BTreeMap, BTreeSet};

use litemap::LiteMap;

use crate::model::{
    observed::{Formers, Narrowed, Observed, Reading, Templates, Unrecorded},
    policy::{OnRecreate, Policy},
    source::{KeyLists, References, SourceName, Usage},
    version::{Shows, Version},
    workload::{Kind, OlderPods, RestartMeans, Workload},
};

/// A source as known right now.
#[derive(Clone, Copy, Debug)]
pub enum Lookup<'a> {
    /// The first list is not complete: nothing can be said.
    Unsynced,
    /// It is not among those that are watched, and may exist all the same: the API server has to be asked.
    Unseen,
    /// It does not exist.
    Absent {
        /// The version it last had, as far as remembered.
        last: Option<&'a Version>,
        /// Known to be absent at this resourceVersion or later; `u64::MAX` where the API server was asked just now; 0
        /// where no list was complete.
        since: u64,
    },
    /// It exists.
    Present {
        /// Its version.
        version: &'a Version,
        /// Read from the API server after the workload was: not merely what a watch delivered so far.
        fresh: bool,
    },
}

impl<'a> Lookup<'a> {
    /// Returns its version, where it exists.
    pub fn version(self) -> Option<&'a Version> {
        match self {
            Self::Present { version, .. } => Some(version),
            Self::Unsynced | Self::Unseen | Self::Absent { .. } => None,
        }
    }

    /// Returns its version, or the one that it last had, as far as remembered.
    pub fn last(self) -> Option<&'a Version> {
        match self {
            Self::Present { version, .. } => Some(version),
            Self::Absent { last, .. } => last,
            Self::Unsynced | Self::Unseen => None,
        }
    }

    /// Returns the same for what is used so: unseen where only the whole of it is known, and a single key is used. `None`:
    /// it is not known what of it is used.
    #[must_use]
    pub fn telling<'u>(self, usage: impl Fn() -> Option<&'u Usage>) -> Self {
        let tells = |version: &Version| {
            version.tells_all() || usage().is_some_and(|usage| version.tells(usage))
        };
        match self {
            Self::Present { version, .. } if !tells(version) => Self::Unseen,
            Self::Absent {
                last: Some(last),
                since,
            } if !tells(last) => Self::Absent { last: None, since },
            other => other,
        }
    }

    /// Returns the same, where what shows nothing of its data is absent.
    #[must_use]
    pub fn of_data(self) -> Self {
        match self {
            Self::Present { version, .. } if version.shows == Shows::Nothing => Self::Absent {
                last: None,
                since: 1,
            },
            other => other,
        }
    }
}

/// What is known of what was observed.
#[derive(Clone, Copy, Debug)]
pub enum Known<'a> {
    /// Nothing that counts: adopt.
    Nothing,
    /// Written by a newer release: leave it alone.
    Newer,
    /// Written under a digest key that this process does not know: which of both is the right one must be found out.
    UnknownKey,
    /// Written under a digest key that is known to be out of use: uids count, digests do not.
    OtherKey(&'a Observed),
    /// Written under the digest key before: what the pods were last started with.
    Previous(&'a Observed),
    /// What the pods were last started with.
    Observed(&'a Observed),
}

impl<'a> From<Option<&'a Reading>> for Known<'a> {
    fn from(reading: Option<&'a Reading>) -> Self {
        match reading {
            None | Some(Reading::Foreign) => Self::Nothing,
            Some(Reading::Newer(_)) => Self::Newer,
            Some(Reading::OtherKey(_)) => Self::UnknownKey,
            Some(Reading::Previous(observed)) => Self::Previous(observed),
            Some(Reading::Genuine(observed)) => Self::Observed(observed),
        }
    }
}

/// The workload that is decided on.
#[derive(Clone, Copy, Debug)]
pub struct Subject<'a> {
    /// `metadata.uid`
    pub uid: &'a str,
    /// `metadata.creationTimestamp`, unix seconds.
    pub created: i64,
    /// `metadata.generation`: never seen twice, so it makes every `restarted-for` new.
    pub generation: i64,
    /// The mark on it, such as the template's `restarted-for`; empty where it has none. `None` where a restart leaves none
    /// that could be taken back.
    pub restarted_for: Option<&'a str>,
    /// What counts of what it uses.
    pub uses: &'a References,
    /// What it asks for.
    pub policy: &'a Policy,
    /// What its template refers to, now and before, whatever the opt-in selects.
    pub templates: Templates<'a>,
    /// Sources that the opt-in selects newly, where it changed while the template did not. To opt in is to adopt.
    pub widened: Option<&'a BTreeSet<SourceName>>,
    /// What is known of its pods.
    pub pods: Pods<'a>,
    /// What its next `observed` counts on from: no sequence number that was written on this workload was ever higher.
    pub sequence: u64,
    /// Whether it is known which pods it adopted when it was created, and what they have.
    pub examined: bool,
    /// Where its template is written: nothing is to roll it for what changed, which stays pending.
    pub stopped: bool,
    /// Sources that took the place of an object that a machine had made.
    pub after_machines: &'a BTreeSet<SourceName>,
}

/// No sources.
pub static NO_SOURCES: BTreeSet<SourceName> = BTreeSet::new();

/// What is known of a workload's pods.
#[derive(Clone, Copy, Debug)]
#[expect(
    clippy::struct_excessive_bools,
    reason = "each is a fact of its own about them"
)]
pub struct Pods<'a> {
    /// Whether a container that needs what is absent has ever started; `None` where it was not looked up yet.
    pub started: Option<bool>,
    /// How old those are that use what the template gained; `None` where it was not looked up yet.
    pub ages: Option<&'a Ages>,
    /// Whether any of an older template is left.
    pub older: OlderPods,
    /// None of an older template was left at some time since the former entries were written.
    pub formers_gone: bool,
    /// Some of an older template were left when this process first saw the workload, or when it opted in, and are still:
    /// there may have been templates that were not recorded.
    pub unseen: bool,
    /// Those of an older template can come back under a new mark: an Argo Rollout goes on serving with its stable ones.
    pub outlive_marks: bool,
    /// Those that serve are of an older template, and stay: an Argo Rollout is aborted.
    pub aborted: bool,
}

impl Pods<'_> {
    /// Returns what the workload itself tells of them.
    pub fn of(kind: Kind, workload: &Workload) -> Self {
        Self {
            started: None,
            ages: None,
            older: workload.older_pods(),
            formers_gone: false,
            unseen: false,
            outlive_marks: kind.means == RestartMeans::RestartAt || workload.lent.any,
            aborted: workload.abort.is_aborted(),
        }
    }
}

/// By source and key (`*` for the whole), when the oldest pod was made that uses it, in unix seconds. What is missing is
/// used by no pod.
pub type Ages = BTreeMap<SourceName, LiteMap<String, i64>>;

/// Nothing that counts.
static NO_FORMERS: Formers = Formers::none();

impl Subject<'_> {
    /// Returns the same of a workload whose owner may take a mark back: that is no reason to restart it again.
    #[must_use]
    pub fn yielding<'k>(self, known: Known<'k>) -> Subject<'k>
    where
        Self: 'k,
    {
        match known {
            Known::Observed(observed) | Known::Previous(observed) | Known::OtherKey(observed) => {
                Subject {
                    restarted_for: self.restarted_for.map(|_| observed.restarted_for.as_str()),
                    ..self
                }
            }
            Known::Nothing | Known::Newer | Known::UnknownKey => self,
        }
    }

    /// Returns the same with other templates, where there are others.
    #[must_use]
    pub(in crate::model) fn with_templates<'t>(
        &'t self,
        narrowed: Option<&'t Narrowed<'_>>,
    ) -> Subject<'t> {
        Subject {
            templates: narrowed.map_or(self.templates, Narrowed::templates),
            ..*self
        }
    }

    /// Returns which keys of sources its opt-in takes.
    pub(in crate::model) fn lists(&self) -> KeyLists {
        self.policy.lists()
    }

    /// Returns the former entries that still count: those that pods of an older template may have.
    pub(in crate::model) fn formers<'o>(&self, observed: &'o Observed) -> &'o Formers {
        if self.are_formers_gone() {
            &NO_FORMERS
        } else {
            &observed.formers
        }
    }

    /// Returns what stays of them in the annotation: those that count, or what the opt-in leaves out.
    pub(in crate::model) fn formers_left(&self, observed: &Observed) -> Formers {
        if self.are_formers_gone() {
            observed.formers.left_out(self.templates.now, self.uses)
        } else {
            observed.formers.clone()
        }
    }

    fn are_formers_gone(&self) -> bool {
        self.pods.formers_gone || self.pods.older.are_gone()
    }

    /// Returns the former entries after a decision or a write. `marked`: it sets a fresh mark, under which a template
    /// that comes back is another one than it was, so that no pod of then comes back with it.
    pub(in crate::model) fn formers_after(
        &self,
        before: &Observed,
        kept: &Formers,
        marked: bool,
    ) -> Formers {
        let rolls = self.restarted_for.is_some();
        if !rolls || (marked && !self.pods.outlive_marks) || self.pods.older == OlderPods::NoPods {
            return Formers::default();
        }
        Formers::after(
            &before.entries,
            before.fold.is_some(),
            kept,
            self.uses,
            self.templates,
        )
    }

    /// Returns what pods have before a write of the template: what was observed, and what they gained without being
    /// recorded.
    pub(in crate::model) fn before_write(&self, observed: &Observed) -> Observed {
        let held = observed.of_template(self.formers(observed), self.templates.before);
        let unseen = self.pods.unseen && !self.pods.older.are_gone();
        let note = if unseen {
            Unrecorded::Unseen
        } else {
            Unrecorded::Nothing
        };
        Observed {
            formers: held.formers.noting(note),
            ..held
        }
    }

    /// Whether a recreation of this source with the same data is no change.
    pub(in crate::model) fn content_decides(
        &self,
        source: &SourceName,
        usage: &Usage,
        version: &Version,
    ) -> bool {
        let before = self.after_machines.contains(source);
        let word = self.policy.on_recreate;
        version
            .origin
            .content_decides(word, usage.need_of_all(), before)
    }

    /// Whether a recreation with the same data will be no change, of a source that is absent and was this.
    pub fn content_will_decide(
        &self,
        source: &SourceName,
        usage: &Usage,
        last: Option<&Version>,
    ) -> bool {
        last.map_or(self.policy.on_recreate == OnRecreate::Content, |last| {
            self.content_decides(source, usage, last)
        })
    }

    /// Whether a rollback took back what `observed` says of it.
    pub fn is_undone(&self, observed: &Observed) -> bool {
        self.restarted_for
            .is_some_and(|mark| mark != observed.restarted_for)
    }
}
