//! The mutating webhook for workloads. It keeps reroll's annotations as reroll wrote them. It records the versions that new
//! pods start with, so that a workload that is created or changed anyway is not restarted a second time.
//!
//! [`Write::begin`], its end and [`Write::answer`] are pure; between the last two the caller reads the sources that
//! [`Write::to_read`] names. Only a write that changes the template of an opted-in workload, or opts one in or in for more, reads
//! any.

mod created;
mod let_go;
mod marks;
mod read;
mod sides;
mod typed;
mod undone;

use std::collections::BTreeSet;

use jiff::Timestamp;

pub(super) use self::undone::{DeployBefore, Undone};
use self::{
    let_go::let_go,
    marks::asks_for_mark,
    sides::{Side, Sides},
};
use super::warnings::{Warning, news, problem};
use crate::model::{
    Index, Observed, Policy, SourceName, WorkloadKey,
    adopted::{Adopter, Adoption},
    annotation::{IGNORE, RELEASE, RESTART_ON},
    decide::{Decision, Known, Lookup, NO_SOURCES, Subject, decide, meanwhile},
    held::Held,
    index::{Overlay, due, without_ignored},
    observed::{Before, Templates},
    patch, pending,
    policy::{Complaint, OnAdopt, Selection, is_left_alone},
    source::References,
    stamp::{OwnAnnotations, Stamp, stamp_update},
    workload::{JobPhase, is_time_mark},
};

/// A user's write of a workload.
pub struct Write {
    key: WorkloadKey,
    old: Option<Side>,
    new: Side,
    policy: Policy,
    complaints: Vec<Complaint>,
    /// What is wrong with keys of reroll's, and where they stand.
    typed: Vec<String>,
    /// The sources of the new template that count.
    uses: References,
    /// The sources of the old template that counted.
    old_uses: References,
    /// The sources that the opt-in selects newly, where it changed and the template did not.
    widened: Option<BTreeSet<SourceName>>,
    template_changed: bool,
    /// An owner takes back the mark by `kubectl.kubernetes.io/restartedAt`, and changes nothing else of the template.
    only_takes_back: bool,
    /// How to find the pods that it adopts, where it is new and may adopt some.
    adopter: Option<Adopter>,
    /// The user, where that is another installation of reroll.
    by_another: Option<String>,
    /// What `kubectl rollout undo` takes back, where that is only a restart of reroll's.
    undone: Option<Box<Undone>>,
}

/// How reroll changes a write, and what it says of it.
#[derive(Debug, Default)]
pub struct Mutation {
    /// Empty where nothing changes.
    pub patch: patch::Patch,
    /// For the person at the prompt.
    pub warnings: Vec<Warning>,
}

impl Write {
    /// Returns the sources whose versions of right now the answer needs.
    pub fn to_read(&self) -> impl Iterator<Item = &SourceName> {
        let (all, ours) = (self.template_changed || self.opts_in(), self.is_ours());
        let newly = self.widened.as_ref();
        let recorded =
            move |source: &&SourceName| all || newly.is_some_and(|newly| newly.contains(*source));
        let one = move |source: &&SourceName| ours && source.kind.is_readable();
        self.uses.keys().filter(one).filter(recorded)
    }

    /// Returns the workload's namespace.
    pub fn namespace(&self) -> &str {
        &self.key.namespace
    }

    /// Returns the workload that is written.
    pub fn workload(&self) -> &WorkloadKey {
        &self.key
    }

    /// Returns `metadata.uid`; empty for a new one.
    pub fn uid(&self) -> &str {
        &self.new.workload.uid
    }

    /// Returns the user, where what is written says that another installation of reroll writes it.
    pub fn by_another(&self) -> Option<&str> {
        self.by_another.as_deref()
    }

    /// Returns the `observed` that is there.
    pub fn observed_before(&self) -> Option<&str> {
        self.old.as_ref()?.own.observed.as_deref()
    }

    /// Returns the `observed` that is asked for.
    pub fn observed_after(&self) -> Option<&str> {
        self.new.own.observed.as_deref()
    }

    /// Returns the patch and the warnings. `overlay` has the sources as they were read just now, `adoption` what
    /// [`Self::adopter`] found, `now` is in unix seconds.
    pub fn answer(
        &self,
        index: &Index,
        overlay: &Overlay,
        adoption: &Adoption,
        now: i64,
    ) -> Mutation {
        let (written, asked) = ((&self.key, &self.new.workload), (&self.policy, &self.uses));
        let wrong = (self.complaints.as_slice(), self.typed.as_slice());
        let live = |source: &SourceName| self.live(index, overlay, source);
        let mut warnings = typed::all((index, overlay), written, asked, wrong, &live);
        let is_over = self.new.workload.phase == JobPhase::Over;
        let to = if is_over || self.new.workload.reverting_owner().is_some() {
            self.new.own.clone()
        } else if self.policy.opted_in() {
            self.sides()
                .with_time(self.kept(index, overlay, adoption, now, &mut warnings))
        } else {
            self.sides().with_time(self.opted_out(&mut warnings))
        };
        let shape = self.new.workload.shape;
        let patch = patch::admit(self.key.kind, shape, &self.new.own, &to);
        let patch = match self.first_number(adoption) {
            Some(number) => patch::begin_at(patch, shape, number),
            None => patch,
        };
        let old = self.old.as_ref();
        let due = || old.and_then(|_| due::id(index, &self.key));
        let before = old.and_then(|old| old.workload.asks.get(RELEASE));
        let asked = (before.map(|text| text.trim()), &self.policy);
        let patch = let_go(asked, &self.key, due, patch, &mut warnings);
        let patch = self.sides().tells_of_itself(self.template_changed, patch);
        Mutation { patch, warnings }
    }

    /// Returns a source as it was read just now, or as it is known.
    fn live<'a>(&self, index: &'a Index, overlay: &Overlay<'a>, source: &SourceName) -> Lookup<'a> {
        let read = overlay.get(source).copied();
        read.unwrap_or_else(|| index.source(&self.key.namespace, source))
    }

    /// Returns whether the write opts in. What changed before an opt-in is adopted with it; otherwise a watch that shows the
    /// change later would restart for it.
    fn opts_in(&self) -> bool {
        self.old.as_ref().is_some_and(|old| !old.opted_in)
    }

    fn sides(&self) -> Sides<'_> {
        Sides {
            old: self.old.as_ref(),
            new: &self.new,
        }
    }

    fn is_ours(&self) -> bool {
        self.new.workload.reverting_owner().is_none()
            && matches!(self.policy.selection, Selection::Some(_))
    }

    /// Returns the annotations of a workload that is not opted in, or no more. reroll's annotations on the metadata go. That of
    /// the template stays: removing it would roll the pods.
    fn opted_out(&self, warnings: &mut Vec<Warning>) -> OwnAnnotations {
        let base = match &self.old {
            Some(old) if old.opted_in && self.new.workload.phase == JobPhase::Suspended => &old.own,
            Some(old) if old.opted_in && self.new.workload.is_led() => &old.own,
            Some(old) if old.opted_in => {
                let ignored = is_left_alone(&self.new.workload.asks);
                let by = if ignored { IGNORE } else { RESTART_ON };
                warnings.push(news(format!(
                    "reroll: {} is no longer opted in ({by}): changes do not restart it",
                    self.key.spoken()
                )));
                &old.own
            }
            _ => &self.new.own,
        };
        OwnAnnotations {
            observed: None,
            last_restart: None,
            restarted_for: base.restarted_for.clone(),
            ..OwnAnnotations::default()
        }
    }

    fn kept(
        &self,
        index: &Index,
        overlay: &Overlay,
        adoption: &Adoption,
        now: i64,
        warnings: &mut Vec<Warning>,
    ) -> OwnAnnotations {
        let live = |source: &SourceName| {
            let live = self.live(index, overlay, source);
            live.telling(|| self.uses.get(source))
        };
        let uses = without_ignored(&self.uses, &live);
        let old_uses = without_ignored(&self.old_uses, &live);
        let Some(old) = &self.old else {
            return self.created(index, &uses, &live, adoption, now, warnings);
        };
        let base = &old.own;
        if !self.is_ours() {
            return base.clone();
        }
        // An opt-in begins anew, whatever an earlier one left behind.
        let known = if self.opts_in() {
            None
        } else {
            index.effective(&self.key, &old.workload)
        };
        let known: Known = known.as_ref().into();
        let examined = self.opts_in() || index.is_examined(&self.key, &old.workload);
        let after_machines = index.after_machines(&self.key.namespace, overlay);
        let mut subject = Subject {
            after_machines: &after_machines,
            ..self.subject(old, &uses, &old_uses, index, examined)
        };
        if self.new.workload.yields_marks() {
            subject = subject.yielding(known);
        }
        if self.template_changed && pending::is_refused(&old.workload) {
            // A mark of reroll's would be refused, and this write with it. What it rolls, the controller finds out.
            warnings.push(problem(format!(
                "reroll: a policy refuses the restart of {} that is due: this rollout makes up for it when all pods are new",
                self.key.spoken()
            )));
            return base.clone();
        }
        if self.only_takes_back && !self.opts_in() && !asks_for_mark(&subject, known, &live, index)
        {
            // A mark in it would be taken back as well, by one more rollout, and for no change of a source.
            return base.clone();
        }
        if let (true, Some(slowed)) = (self.template_changed, pending::slowed(&old.workload)) {
            let causes = slowed.causes;
            let everywhere = slowed.reason == Held::Spread;
            let all = if everywhere { "-A " } else { "" };
            warnings.push(problem(format!(
                "reroll: these pods take what failed elsewhere: kubectl get events {all}--field-selector reason=RestartsSlowed ({causes})"
            )));
        }
        if self.template_changed {
            let stamp = stamp_update(&subject, known, &live, index.key());
            let mark = subject.restarted_for;
            let stamp = stamp.map(|stamp| self.sides().in_its_way(stamp, mark, index.key()));
            let stands = old.workload.marks.last_time();
            let at = self.sides().time_of_mark(stands, &uses, &live, now);
            return self.stamped(base, mark, stamp, at, index, warnings);
        }
        if self.opts_in() && self.policy.on_adopt == OnAdopt::Restart {
            // The controller looks first whether to restart for it, and then one write does both.
            return OwnAnnotations {
                observed: None,
                ..base.clone()
            };
        }
        match (decide(&subject, known, &live, index.key()), known) {
            (_, Known::Newer | Known::UnknownKey | Known::OtherKey(_)) => base.clone(),
            (Decision::Keep(next) | Decision::Record(next) | Decision::Wait { next, .. }, _) => {
                self.with_observed(base, &examined_or_not(&subject, &next), index)
            }
            // What a restart is for stays as it was, for the controller.
            (_, Known::Observed(observed) | Known::Previous(observed)) => {
                let next = meanwhile(&subject, known, &live, index.key());
                let next = next.as_ref().unwrap_or(observed);
                self.with_observed(base, &examined_or_not(&subject, next), index)
            }
            (_, Known::Nothing) => base.clone(),
        }
    }

    fn subject<'a>(
        &'a self,
        side: &'a Side,
        uses: &'a References,
        old_uses: &'a References,
        index: &Index,
        examined: bool,
    ) -> Subject<'a> {
        let old = self.old.as_ref().map(|old| &old.workload);
        let mark = if self.template_changed {
            side.workload.mark_before_write()
        } else {
            side.workload.mark()
        };
        Subject {
            uid: &side.workload.uid,
            created: side.workload.created,
            generation: side.workload.generation,
            restarted_for: mark,
            uses,
            policy: &self.policy,
            templates: Templates {
                now: &self.new.workload.references,
                before: old.map(|old| Before {
                    refers: &old.references,
                    uses: old_uses,
                }),
            },
            widened: self.widened.as_ref(),
            // What the old object's status says. There are no pods of the new template yet.
            pods: index.pods_of(&self.key, &side.workload),
            sequence: old.map_or(0, |old| index.sequence_of(&self.key, old)),
            examined,
            stopped: self.is_stopped(index),
            after_machines: &NO_SOURCES,
        }
    }

    fn stamped(
        &self,
        base: &OwnAnnotations,
        mark: Option<&str>,
        stamp: Option<Stamp>,
        at: Timestamp,
        index: &Index,
        warnings: &mut Vec<Warning>,
    ) -> OwnAnnotations {
        let Some(stamp) = stamp else {
            return base.clone();
        };
        for source in &stamp.waiting {
            warnings.push(problem(format!(
                "reroll: {} needs {}, which is absent or lacks a key",
                self.key.spoken(),
                source.spoken()
            )));
        }
        let own = self.with_observed(base, &stamp.observed, index);
        if own.observed.as_deref() != Some(&stamp.observed.print(index.key())) {
            // There is no room. An advance that cannot be recorded must not look like one.
            return own;
        }
        if mark.is_none_or(|mark| stamp.restarted_for == mark) {
            return own;
        }
        if is_time_mark(&stamp.restarted_for) {
            return OwnAnnotations {
                restarted_at: Some(format!("{}@{at}", stamp.restarted_for)),
                ..own
            };
        }
        // Only pods of this template see what changed, so the template bears the mark, see `model::workload::RestartMarks`.
        OwnAnnotations {
            restarted_for: Some(stamp.restarted_for).filter(|mark| !mark.is_empty()),
            restarted_at: None,
            ..own
        }
    }

    /// Returns `base` with another `observed`, where that fits beside the annotations of others.
    fn with_observed(
        &self,
        base: &OwnAnnotations,
        observed: &Observed,
        index: &Index,
    ) -> OwnAnnotations {
        let text = observed.print(index.key());
        let last_restart = base.last_restart.as_ref().map_or(0, String::len);
        if self.new.workload.has_room(text.len(), Some(last_restart)) {
            OwnAnnotations {
                observed: Some(text),
                ..base.clone()
            }
        } else {
            base.clone()
        }
    }
}

/// Returns the same, marked where it is not known which pods the workload adopted.
fn examined_or_not(subject: &Subject, observed: &Observed) -> Observed {
    if subject.examined || observed.is_unexamined() {
        return observed.clone();
    }
    observed.clone().unexamined(subject.created)
}

#[cfg(test)]
mod tests;
