//! The mutating webhook for workloads: keeps reroll's annotations as reroll wrote them, and records the versions that
//! new pods start with, so that a workload which is created or changed anyway is not restarted a second time.
//!
//! [`Write::read`] and [`Write::answer`] are pure; between them the caller reads the sources that
//! [`Write::to_read`] names. Only a write that changes the template of an opted-in
//! workload, or opts one in, reads any.

mod created;

use std::collections::BTreeSet;

use kube::core::DynamicObject;
use serde_json::value::RawValue;

use super::review::{Operation, Request};
use crate::model::{
    Index, Kind, Observed, Policy, SourceName, WorkloadKey,
    adopted::{Adopter, Adoption},
    annotation::{FIELD_MANAGER, RESTART_ON},
    decide::{Known, Outcome, Subject, decide},
    index::{Overlay, without_ignored},
    object::FromObject as _,
    observed::{Before, Templates},
    patch,
    policy::{Complaint, Defaults, OnAdopt, Selection},
    source::References,
    stamp::{Own, Stamp, stamp_update},
    workload::{Standing, Workload, bare_template},
};

/// Somebody's write of a workload.
pub struct Write {
    key: WorkloadKey,
    old: Option<Side>,
    new: Side,
    policy: Policy,
    complaints: Vec<Complaint>,
    /// What counts of what the new template uses.
    uses: References,
    /// What counted of what the old one uses.
    old_uses: References,
    /// What the opt-in selects newly, where it changed and the template did not.
    widened: Option<BTreeSet<SourceName>>,
    template_changed: bool,
    /// What its pods are known by, where it is new and may adopt some.
    adopter: Option<Adopter>,
}

/// One of the two objects of a write.
struct Side {
    workload: Workload,
    own: Own,
    opted_in: bool,
}

/// What is answered.
#[derive(Debug, Default)]
pub struct Admission {
    /// Empty where nothing changes.
    pub patch: patch::Patch,
    /// For the person at the prompt.
    pub warnings: Vec<String>,
}

impl Write {
    /// Reads a review; `None` where it is none of reroll's business: another kind, a subresource, a
    /// namespace that is left alone, reroll's own write.
    pub fn read(request: &Request, index: &Index, own_user: &str) -> Option<Self> {
        let kind = index
            .kinds()
            .find(&request.kind.group, &request.kind.kind)?;
        let creates = match request.operation {
            Operation::Create => true,
            Operation::Update => false,
            Operation::Delete | Operation::Other => return None,
        };
        let manager = request
            .options
            .as_ref()
            .and_then(|options| options.field_manager.as_deref());
        let own_write = request.user_info.username == own_user && manager == Some(FIELD_MANAGER);
        let nowhere = request.namespace.is_empty() || !index.works_in(&request.namespace);
        if !request.sub_resource.is_empty() || nowhere || own_write {
            return None;
        }
        let read = |raw: &RawValue| {
            let mut object = DynamicObject::from_object(raw.get()).ok()?;
            let vocabulary = &index.conventions().vocabulary;
            vocabulary.translate_workload(kind, &mut object);
            Some(object)
        };
        let object: DynamicObject = read(request.object?)?;
        let old: Option<DynamicObject> = match request.old_object {
            Some(raw) if !creates => Some(read(raw)?),
            _ => None,
        };
        if !creates && old.is_none() {
            return None;
        }
        // API servers always send both. Without them the patch would have nowhere to go, and one that does not apply
        // fails the user's request.
        let meta = &object.metadata;
        let has_metadata = meta.name.is_some() || meta.generate_name.is_some();
        let default = index.defaults_of(&request.namespace);
        let side = |object: &DynamicObject| {
            let mut side = Side::read(kind, object, default);
            index.borrow(&request.namespace, &mut side.workload);
            side
        };
        let new = side(&object);
        if new.workload.is_left_alone() {
            return None;
        }
        let has_template = match &new.workload.borrows {
            Some(template) => template.known,
            None => new.workload.shape.template,
        };
        if !has_metadata || !has_template {
            return None;
        }
        // A change of what a run is made of starts none, so it records nothing.
        let rolls = new.workload.mark().is_some();
        let template_changed = old
            .as_ref()
            .is_none_or(|old| rolls && bare_template(kind, old) != bare_template(kind, &object));
        let (policy, complaints) = Policy::of(&new.workload, default);
        let name = object
            .metadata
            .name
            .clone()
            .unwrap_or_else(|| request.name.clone());
        let key = WorkloadKey {
            kind,
            namespace: request.namespace.clone(),
            name,
        };
        let select = |policy: &Policy, workload: &Workload| match &policy.selection {
            Selection::Some(rules) => index.select(&key, rules, &workload.references),
            Selection::Off | Selection::Unreadable => References::new(),
        };
        let uses = select(&policy, &new.workload);
        let old = old.as_ref().map(side);
        let (old_uses, widened) = match &old {
            Some(old) => {
                let (before, _) = Policy::of(&old.workload, default);
                let selected = select(&before, &old.workload);
                let new = uses.keys().filter(|source| !selected.contains_key(source));
                let changed = !template_changed && before.selection != policy.selection;
                let widened = changed.then(|| new.cloned().collect());
                (selected, widened)
            }
            None => (References::new(), None),
        };
        let adopts = creates && new.workload.shape.template;
        let adopter = adopts.then(|| Adopter::read(kind, &key.namespace, &object));
        Some(Self {
            key,
            old,
            new,
            policy,
            complaints,
            uses,
            old_uses,
            widened,
            template_changed,
            adopter: adopter.flatten(),
        })
    }

    /// Whose pods are to be looked for: a new workload may adopt some.
    pub fn adopter(&self) -> Option<&Adopter> {
        self.adopter.as_ref().filter(|_| self.is_ours())
    }

    /// The sources whose versions of right now are needed.
    pub fn to_read(&self) -> impl Iterator<Item = &SourceName> {
        let recorded = (self.template_changed || self.opts_in()) && self.is_ours();
        let one = |source: &&SourceName| source.kind.is_one_object();
        self.uses.keys().filter(one).filter(move |_| recorded)
    }

    /// The workload's namespace.
    pub fn namespace(&self) -> &str {
        &self.key.namespace
    }

    /// The patch and the warnings. `overlay`: sources as they were read just now; `adoption`: what was found of
    /// [`Self::adopter`]; `now`: unix seconds.
    pub fn answer(
        &self,
        index: &Index,
        overlay: &Overlay,
        adoption: &Adoption,
        now: i64,
    ) -> Admission {
        let mut warnings: Vec<_> = self.complaints.iter().map(ToString::to_string).collect();
        if let (Some(owner), true) = (&self.new.workload.controller, self.policy.opted_in()) {
            warnings.push(format!(
                "reroll: {} belongs to {owner}: it is not restarted",
                self.key.spoken()
            ));
        }
        let to = if self.new.workload.controller.is_some() {
            self.new.own.clone()
        } else if self.policy.opted_in() {
            self.kept(index, overlay, adoption, now, &mut warnings)
        } else {
            self.opted_out(&mut warnings)
        };
        let patch = patch::admit(self.key.kind, self.new.workload.shape, &self.new.own, &to);
        Admission { patch, warnings }
    }

    /// What changed before an opt-in is adopted with it: a watch that has not shown it yet would restart for it.
    fn opts_in(&self) -> bool {
        self.old.as_ref().is_some_and(|old| !old.opted_in)
    }

    fn is_ours(&self) -> bool {
        self.new.workload.controller.is_none()
            && matches!(self.policy.selection, Selection::Some(_))
    }

    /// Not opted in (any more): reroll's metadata annotations go, the template's stays, for it would roll the pods.
    fn opted_out(&self, warnings: &mut Vec<String>) -> Own {
        let base = match &self.old {
            Some(old) if old.opted_in && self.new.workload.standing == Standing::Suspended => {
                &old.own
            }
            Some(old) if old.opted_in => {
                warnings.push(format!(
                    "reroll: {} is no longer opted in ({RESTART_ON}): changes do not restart it",
                    self.key.spoken()
                ));
                &old.own
            }
            _ => &self.new.own,
        };
        Own {
            observed: None,
            last_restart: None,
            restarted_for: base.restarted_for.clone(),
            restarted_at: None,
        }
    }

    fn kept(
        &self,
        index: &Index,
        overlay: &Overlay,
        adoption: &Adoption,
        now: i64,
        warnings: &mut Vec<String>,
    ) -> Own {
        let live = |source: &SourceName| {
            overlay
                .get(source)
                .copied()
                .unwrap_or_else(|| index.source(&self.key.namespace, source))
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
        // An opt-in starts afresh, whatever an earlier one left behind.
        let known = if self.opts_in() {
            None
        } else {
            index.effective(&self.key, &old.workload)
        };
        let known: Known = known.as_ref().into();
        let examined = self.opts_in() || index.is_examined(&self.key, &old.workload);
        let subject = self.subject(old, &uses, &old_uses, index, examined);
        if self.template_changed {
            let stamp = stamp_update(&subject, known, &live, index.key());
            return self.stamped(base, subject.restarted_for, stamp, index, warnings);
        }
        if self.opts_in() && self.policy.on_adopt == OnAdopt::Restart {
            // Whether it is restarted for that is looked up first, and then one write does both.
            return Own {
                observed: None,
                ..base.clone()
            };
        }
        let decision = decide(&subject, known, &live, index.key());
        match (decision.outcome, decision.next, known) {
            (_, _, Known::Newer | Known::UnknownKey | Known::OtherKey(_)) => base.clone(),
            (Outcome::Keep | Outcome::Record | Outcome::Wait, Some(next), _) => {
                self.with_observed(base, &examined_or_not(&subject, &next), index)
            }
            // What is to be restarted for stays as it was observed; the controller restarts.
            (_, _, Known::Observed(observed) | Known::Previous(observed)) => {
                self.with_observed(base, &examined_or_not(&subject, observed), index)
            }
            (_, _, Known::Nothing) => base.clone(),
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
        Subject {
            uid: &side.workload.uid,
            created: side.workload.created,
            generation: side.workload.generation,
            restarted_for: side.workload.mark(),
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
            // What the old object's status says: pods of the new template there are none yet.
            pods: index.pods_of(&self.key, &side.workload),
            sequence: old.map_or(0, |old| index.sequence_of(&self.key, old)),
            examined,
        }
    }

    fn stamped(
        &self,
        base: &Own,
        mark: Option<&str>,
        stamp: Option<Stamp>,
        index: &Index,
        warnings: &mut Vec<String>,
    ) -> Own {
        let Some(stamp) = stamp else {
            return base.clone();
        };
        for source in &stamp.waiting {
            warnings.push(format!(
                "reroll: {} needs {}, which is not there",
                self.key.spoken(),
                source.spoken()
            ));
        }
        let own = self.with_observed(base, &stamp.observed, index);
        if own.observed.as_deref() != Some(&stamp.observed.print(index.key())) {
            // No room: an advance that cannot be recorded must not look like one.
            return own;
        }
        if mark.is_none_or(|mark| stamp.restarted_for == mark) {
            return own;
        }
        // Pods of this template see what changed, and no others: it bears the mark, see `model::workload::Marks`.
        Own {
            restarted_for: Some(stamp.restarted_for).filter(|mark| !mark.is_empty()),
            restarted_at: None,
            ..own
        }
    }

    /// With another `observed`, where that fits beside everybody else's annotations.
    fn with_observed(&self, base: &Own, observed: &Observed, index: &Index) -> Own {
        let text = observed.print(index.key());
        let last_restart = base.last_restart.as_ref().map_or(0, String::len);
        if self.new.workload.has_room(text.len(), last_restart) {
            Own {
                observed: Some(text),
                ..base.clone()
            }
        } else {
            base.clone()
        }
    }
}

/// The same, saying so where nobody knows which pods the workload adopted.
fn examined_or_not(subject: &Subject, observed: &Observed) -> Observed {
    if subject.examined || observed.is_unexamined() {
        return observed.clone();
    }
    observed.clone().unexamined(subject.created)
}

impl Side {
    fn read(kind: Kind, object: &DynamicObject, default: Defaults<'_>) -> Self {
        let workload = Workload::read(kind, object);
        let opted_in = Policy::of(&workload, default).0.opted_in();
        Self {
            own: Own::read(kind, object),
            opted_in,
            workload,
        }
    }
}
