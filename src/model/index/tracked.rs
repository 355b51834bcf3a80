//! A workload as followed through its events.

use std::collections::BTreeSet;

use super::{
    asked::{Tick, Told},
    memory::{examined, follow_memory},
    under::Under,
};
use crate::model::{
    decide::{Ages, NO_SOURCES, Pods, Subject},
    digest::DigestKey,
    observed::{Observed, Reading, Templates},
    policy::{Complaint, Policy},
    source::{References, SourceName},
    version::newly_used,
    workload::{Kind, Workload},
};

/// A workload and what follows from its annotations.
#[expect(
    clippy::struct_excessive_bools,
    reason = "each is known or not, by itself"
)]
#[derive(Debug)]
pub struct Tracked {
    /// As last read.
    pub workload: Workload,
    /// What it asks for, its namespace's default included.
    pub policy: Policy,
    /// What of that cannot be read.
    pub complaints: Vec<Complaint>,
    /// What counts of what it uses, where that is not just what its template refers to: most often it is, and there are
    /// thousands of them.
    uses: Option<References>,
    /// What was observed: the annotation's content, or what is newer than it.
    pub(super) memory: Option<Reading>,
    /// The digest key that the annotation is under.
    pub(super) under: Under,
    /// The highest sequence that was read from the annotation, over opt-outs too: what has none above it is an old text
    /// that a rollback restored.
    pub(super) written: Option<u64>,
    /// An annotation text that must not count any more, because the workload opted out after it was written.
    pub(super) void: Option<String>,
    /// Whether a container that needs what is absent has ever started, once it was looked up.
    pub(super) started: Option<bool>,
    /// How old the pods are that use what the template gained, once it was looked up.
    pub(super) ages: Option<Box<Ages>>,
    /// Sources that the opt-in selects newly, where it changed while the template did not.
    pub(super) widened: Option<BTreeSet<SourceName>>,
    /// What counted before the opt-in changed, until that is compared.
    uses_before: Option<Box<References>>,
    /// No pod of an older template was left at some time since the former entries were written.
    formers_gone: bool,
    /// As of [`Pods::unseen`].
    unseen: bool,
    /// When it was learned.
    pub(super) told: Told,
    /// When its annotation became known as it is.
    pub(super) read_at: Tick,
    /// Whether nothing is pending, whatever `reroll.dev/pending` says.
    pub(super) pending_over: bool,
    /// Whether it is known which pods it adopted when it was created: it was looked up, or `observed` says so.
    pub(super) examined: bool,
}

impl Tracked {
    /// Follows a workload from what was known of it to what was read now.
    pub(super) fn follow(
        workload: Workload,
        before: Option<Self>,
        (policy, complaints): (Policy, Vec<Complaint>),
        key: &DigestKey,
    ) -> Self {
        let before = before.filter(|known| known.workload.uid == workload.uid);
        let told = before.as_ref().map(|known| known.told).unwrap_or_default();
        let unseen = may_be_unseen(&workload, before.as_ref());
        let mut void = before.as_ref().and_then(|known| known.void.clone());
        if !policy.opted_in() {
            void = workload.observed.clone().or(void);
            let under = Under::of_opted_out(&workload, key);
            return Self {
                workload,
                policy,
                complaints,
                uses: Some(References::new()),
                memory: None,
                under,
                written: before.as_ref().and_then(|known| known.written),
                void,
                started: None,
                ages: None,
                widened: None,
                uses_before: None,
                formers_gone: false,
                unseen,
                told,
                read_at: Tick::default(),
                pending_over: false,
                examined: before.is_some_and(|known| known.examined),
            };
        }
        let text = workload
            .observed
            .as_ref()
            .filter(|text| void.as_ref() != Some(*text));
        // Of most events it is not news, and to read it takes most of their time.
        let known = before.as_ref().filter(|known| known.has_read(&workload));
        let reading = match known {
            Some(_) => None,
            None => text.map(|text| Observed::read(text, key)),
        };
        let before_that = before.as_ref().and_then(|known| known.written);
        let written = before_that.max(own_sequence(reading.as_ref(), &workload.uid));
        let was = before.as_ref().map(Self::was_under);
        let under = match known {
            Some(known) => known.under.clone(),
            None => Under::read(reading.as_ref(), &workload, was),
        };
        let same_text = |known: &&Self| known.workload.observed == workload.observed;
        let read_at = before
            .as_ref()
            .filter(same_text)
            .map_or_else(Tick::default, |known| known.read_at);
        let same_template = before
            .as_ref()
            .filter(|known| known.workload.references == workload.references);
        let same_uses = same_template.filter(|known| known.policy.selection == policy.selection);
        let started = same_uses.and_then(|known| known.started);
        let ages = same_uses
            .filter(|known| known.workload.generation == workload.generation)
            .and_then(|known| known.ages.clone());
        let widened = same_uses.and_then(|known| known.widened.clone());
        let uses_before = same_template
            .filter(|known| same_uses.is_none() && known.policy.opted_in())
            .map(|known| Box::new(known.uses().clone()));
        // What opts in later is adopted afresh, whatever its pods are.
        let opts_in = |known: &Self| {
            !known.policy.opted_in() && known.workload.resource_version < workload.resource_version
        };
        let examined = before
            .as_ref()
            .is_some_and(|known| known.examined || opts_in(known))
            || reading
                .as_ref()
                .is_some_and(|read| examined(read, &workload));
        let was_gone = before.as_ref().is_some_and(|known| known.formers_gone);
        let remembered = before.and_then(|known| known.memory);
        let memory = follow_memory(remembered, reading, before_that, &workload);
        let formers_gone = workload.older_pods().are_gone() || (was_gone && memory.is_remembered);
        let memory = memory.reading;
        Self {
            workload,
            policy,
            complaints,
            uses: Some(References::new()),
            memory,
            under,
            written,
            void,
            started,
            ages,
            widened,
            uses_before,
            formers_gone,
            unseen,
            told,
            read_at,
            pending_over: false,
            examined,
        }
    }

    /// Takes in how it became known.
    pub(super) fn told(mut self, told: Told) -> Self {
        self.told = told;
        if self.read_at == Tick::default() {
            self.read_at = told.learned();
        }
        self
    }

    /// Forgets what was remembered of it besides what it shows: that was of a history that is no more.
    pub(super) fn forget(&mut self) {
        (self.memory, self.written, self.void) = (None, None, None);
        (self.started, self.ages, self.formers_gone) = (None, None, false);
    }

    /// Whether it is known which pods it adopted when it was created, as far as its kind adopts any.
    pub(super) fn is_examined(&self, kind: Kind) -> bool {
        self.examined || !kind.adopts_pods() || !self.workload.shape.template
    }

    /// Whether `reroll.dev/pending` says that something is pending, and nothing is.
    pub fn is_pending_over(&self) -> bool {
        self.pending_over && self.workload.pending.is_some()
    }

    /// Whether the owner of the workload took back the mark that `observed` belongs to.
    pub(super) fn is_mark_taken_back(&self) -> bool {
        self.workload.yields_marks()
            && self.observed().is_some_and(|observed| {
                observed.is_of(&self.workload.uid)
                    && observed.restarted_for != self.workload.restarted_for
            })
    }

    /// Returns what its `observed` is under, and whether it is there and is remembered.
    pub(super) fn annotated(&self) -> (Under, bool) {
        let there = self.workload.observed.is_some() && self.observed().is_some();
        (self.under.clone(), there)
    }

    /// Returns what its `observed` is under, and whether a text of ours was read and is remembered.
    fn was_under(&self) -> (&Under, bool) {
        (
            &self.under,
            self.written.is_some() && self.observed().is_some(),
        )
    }

    /// Returns the digest key that its `observed` is under, where another installation may have written that.
    pub fn other_installation(&self) -> Option<&str> {
        self.under.installation()
    }

    /// Whether this text is on it and is no installation's.
    pub fn is_tampered_with(&self, text: &str) -> bool {
        matches!(self.under, Under::Forged(_)) && self.workload.observed.as_deref() == Some(text)
    }

    /// Whether it is opted in and has no `observed` written on it.
    pub fn is_bare(&self) -> bool {
        self.policy.opted_in() && self.workload.observed.is_none()
    }

    /// Whether this text was read before, and what it says, or something newer, is remembered.
    fn has_read(&self, now: &Workload) -> bool {
        let remembers = matches!(
            self.memory,
            Some(Reading::Genuine(_) | Reading::Previous(_))
        );
        remembers && self.workload.observed == now.observed
    }

    /// Returns what counts of what it uses.
    pub fn uses(&self) -> &References {
        self.uses.as_ref().unwrap_or(&self.workload.references)
    }

    /// Returns the sources that only pods of an older template use, where those serve: an Argo Rollout is aborted.
    pub(super) fn serving(&self) -> impl Iterator<Item = &SourceName> {
        let aborted = self.workload.abort.is_aborted();
        let observed = self.observed().filter(|_| aborted).into_iter();
        let formers = observed.flat_map(|observed| observed.formers.iter());
        formers.map(|(source, _)| source)
    }

    /// Takes in what counts from now on.
    pub(super) fn set_uses(&mut self, mut uses: References) {
        self.policy.count_keys(&mut uses);
        if let Some(before) = self.uses_before.take() {
            self.widened = Some(newly_used(&before, &uses));
        }
        self.uses = (uses != self.workload.references).then_some(uses);
    }

    /// Takes in that nothing counts from now on. Returns what did.
    pub(super) fn take_uses(&mut self) -> References {
        let uses = self.uses.replace(References::new());
        uses.unwrap_or_else(|| self.workload.references.clone())
    }

    /// Returns what [`decide`](crate::model::decide::decide) looks at, but for what is known of sources; `uses` are
    /// [`Self::uses`] without ignored ones.
    pub fn subject<'a>(&'a self, kind: Kind, uses: &'a References) -> Subject<'a> {
        Subject {
            uid: &self.workload.uid,
            created: self.workload.created,
            generation: self.workload.generation,
            restarted_for: self.workload.mark(),
            uses,
            policy: &self.policy,
            templates: Templates {
                now: &self.workload.references,
                before: None,
            },
            widened: self.widened.as_ref(),
            pods: Pods {
                started: self.started,
                ages: self.ages.as_deref(),
                formers_gone: self.formers_gone,
                unseen: self.unseen,
                ..Pods::of(kind, &self.workload)
            },
            sequence: self.sequence(),
            examined: self.examined,
            stopped: false,
            after_machines: &NO_SOURCES,
        }
    }

    /// Whether there may have been templates that reroll did not see.
    pub(super) fn is_unseen(&self) -> bool {
        self.unseen
    }

    /// Whether no pod of an older template was left at some time since the former entries were written.
    pub(super) fn are_formers_gone(&self) -> bool {
        self.formers_gone
    }

    /// Takes in that no pod has what is former.
    pub(super) fn forget_formers(&mut self) {
        self.formers_gone = true;
    }

    /// Remembers what was observed, ahead of the annotation.
    pub(super) fn set_memory(&mut self, observed: Observed) {
        let formers = self.observed().map(|before| &before.formers);
        self.formers_gone &= formers == Some(&observed.formers);
        self.memory = Some(Reading::Genuine(observed));
    }

    /// Returns the sequence of what is remembered and not written yet.
    fn unwritten_sequence(&self) -> Option<u64> {
        let sequence = self.observed()?.sequence;
        (Some(sequence) > self.written).then_some(sequence)
    }

    /// Returns a number that no sequence number of this workload was ever above: each write of its `observed` was a
    /// write of the cluster.
    pub fn sequence(&self) -> u64 {
        self.written
            .unwrap_or(0)
            .max(self.workload.resource_version)
    }

    /// Returns the sequence of what is written next.
    pub fn next_sequence(&self) -> u64 {
        let next = self.sequence().saturating_add(1);
        self.unwritten_sequence().unwrap_or(0).max(next)
    }

    /// Returns what was observed, where it is readable.
    pub fn observed(&self) -> Option<&Observed> {
        match &self.memory {
            Some(Reading::Genuine(observed) | Reading::Previous(observed)) => Some(observed),
            _ => None,
        }
    }

    /// Returns the annotation as it should be, where it is not: the text to write, or `Some(None)` to remove it.
    #[expect(
        clippy::option_option,
        reason = "to write nothing, a text, or its absence"
    )]
    pub(super) fn unwritten(&self, key: &DigestKey) -> Option<Option<String>> {
        if !self.policy.opted_in() {
            // What is another's may be opted in by his rules.
            let ours = self.under == Under::Ours;
            return (ours && self.workload.has_own()).then_some(None);
        }
        match &self.memory {
            Some(Reading::Genuine(observed) | Reading::Previous(observed)) => {
                let text = observed.print(key);
                let differs = self.workload.observed.as_ref() != Some(&text);
                // Once it was looked up, another text is to be written.
                let unexamined = observed.is_unexamined() && !self.examined;
                (differs || unexamined || self.is_pending_over()).then_some(Some(text))
            }
            _ => None,
        }
    }
}

/// Returns the sequence of a text that was read, where it is ours and of a workload with this uid.
fn own_sequence(reading: Option<&Reading>, uid: &str) -> Option<u64> {
    match reading? {
        Reading::Genuine(read) | Reading::Previous(read) if read.is_of(uid) => Some(read.sequence),
        _ => None,
    }
}

/// Whether older pods are left of templates that may have come and gone unrecorded: reroll did not follow the workload before it
/// was first seen, or opted in.
fn may_be_unseen(workload: &Workload, before: Option<&Tracked>) -> bool {
    let followed = before.is_some_and(|known| !known.unseen && known.policy.opted_in());
    !followed && !workload.older_pods().are_gone()
}
