//! Reads a review of a workload: both objects of the write, and what it changes.

use kube::{ResourceExt as _, core::DynamicObject};
use serde_json::{Value, value::RawValue};

use super::{
    Write,
    sides::{Side, Sides},
    typed::{keys, lacks_on_change, misfits},
    undone::Undone,
};
use crate::{
    model::{
        Index, Kind, Policy, WorkloadKey,
        adopted::Adopter,
        annotation::{FIELD_MANAGER, KUBECTL_RESTARTED_AT, ON_CHANGE},
        index::{Ahead, Foreseen},
        object::FromObject as _,
        policy::Complaint,
        source::References,
        version::newly_used,
        workload::bare_template,
    },
    webhook::review::{Operation, Request},
};

/// A review of which it is not worked out yet what the workload asks for.
pub struct Begun {
    key: WorkloadKey,
    creates: bool,
    object: DynamicObject,
    old: Option<Asking>,
    new: Asking,
    template_changed: bool,
    only_takes_back: bool,
    by_another: Option<String>,
    undone: Option<Box<Undone>>,
}

/// One of the two objects of a write, and what is to be known of what it asks for.
struct Asking {
    side: Side,
    ahead: Option<Ahead>,
    foreseen: Option<Foreseen>,
}

impl Asking {
    fn read(key: &WorkloadKey, object: &DynamicObject, index: &Index) -> Self {
        let side = Side::read(key, object, index);
        let ahead = index.ahead(key, &side.workload);
        Self {
            side,
            ahead,
            foreseen: None,
        }
    }

    fn work_out(&mut self) {
        if let Some(ahead) = self.ahead.take() {
            self.foreseen = Some(ahead.work_out(&self.side.workload));
        }
    }

    /// Returns what it asks for, and what that selects.
    fn policy(&self, key: &WorkloadKey, index: &Index) -> (Policy, Vec<Complaint>, References) {
        index.selected(key, &self.side.workload, self.foreseen.as_ref())
    }

    fn into_side(self, policy: &Policy) -> Side {
        Side {
            opted_in: policy.opted_in(),
            ..self.side
        }
    }
}

impl Begun {
    /// Works out what the workload asks for. It may take long, and needs no lock.
    pub fn work_out(&mut self) {
        self.new.work_out();
        if let Some(old) = &mut self.old {
            old.work_out();
        }
    }

    /// Ends to read the review.
    pub fn end(self, index: &Index) -> Write {
        let key = self.key;
        let (policy, complaints, uses) = self.new.policy(&key, index);
        let new = self.new.into_side(&policy);
        let old = self.old.map(|old| {
            let (before, _, selected) = old.policy(&key, index);
            let changed = !self.template_changed && before.selection != policy.selection;
            (old.into_side(&before), selected, changed)
        });
        let (old, old_uses, widened) = match old {
            Some((old, selected, changed)) => {
                let widened = changed.then(|| newly_used(&selected, &uses));
                (Some(old), selected, widened)
            }
            None => (None, References::new(), None),
        };
        let adopts = self.creates && new.workload.shape.template;
        let adopter = adopts.then(|| Adopter::read(key.kind, &key.namespace, &self.object));
        let typed = keys(key.kind, &self.object);
        Write {
            key,
            old,
            new,
            policy,
            complaints,
            typed,
            uses,
            old_uses,
            widened,
            template_changed: self.template_changed,
            only_takes_back: self.only_takes_back,
            adopter: adopter.flatten(),
            by_another: self.by_another,
            undone: self.undone,
        }
    }
}

impl Write {
    /// Reads a review at once, whatever that takes.
    pub fn read(request: &Request, index: &Index, own_user: &str) -> Option<Self> {
        let begun = Self::begin(request, index, own_user)?;
        Some(begun.end(index))
    }

    /// Begins to read a review. `None` where it does not concern reroll: another kind, a subresource, a namespace that is left
    /// alone, reroll's own write.
    pub fn begin(request: &Request, index: &Index, own_user: &str) -> Option<Begun> {
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
        let (by_reroll, who) = (manager == Some(FIELD_MANAGER), &request.user_info.username);
        let own_write = by_reroll && who == own_user;
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
        // API servers always send both. Without them the patch would have nowhere to go, and a patch that does not apply fails
        // the user's request.
        let meta = &object.metadata;
        let has_metadata = meta.name.is_some() || meta.generate_name.is_some();
        let name = meta.name.clone().unwrap_or_else(|| request.name.clone());
        let key = WorkloadKey {
            kind,
            namespace: request.namespace.clone(),
            name,
        };
        let new = Asking::read(&key, &object, index);
        let workload = &new.side.workload;
        let before = old.as_ref().map(|old| old.annotations().get(ON_CHANGE));
        let misfits = misfits(kind, workload, before.flatten());
        if workload.is_left_alone() && lacks_on_change(kind, workload).is_none() && !misfits {
            return None;
        }
        let has_template = match &workload.borrows {
            Some(template) => template.known,
            None => workload.shape.template,
        };
        if !has_metadata || !has_template {
            return None;
        }
        let before = old.as_ref().map(|old| Asking::read(&key, old, index));
        let template_changed = match (&old, &before) {
            (Some(old), Some(before)) => {
                changes_template(kind, (old, &before.side), (&object, &new.side))
            }
            _ => true,
        };
        let only_takes_back = match (&old, &before) {
            (Some(old), Some(before)) => {
                let sides = Sides {
                    old: Some(&before.side),
                    new: &new.side,
                };
                template_changed
                    && sides.takes_mark_back()
                    && template(kind, old, true) == template(kind, &object, true)
            }
            _ => false,
        };
        let by_undo = old
            .as_ref()
            .zip(before.as_ref())
            .filter(|_| manager.is_none());
        let undone = by_undo.and_then(|(old, before)| {
            let sides = Sides {
                old: Some(&before.side),
                new: &new.side,
            };
            Undone::of(&key, sides, (old, &object))
        });
        Some(Begun {
            key,
            creates,
            object,
            old: before,
            new,
            template_changed,
            only_takes_back,
            by_another: by_reroll.then(|| who.clone()),
            undone: undone.map(Box::new),
        })
    }

    /// Returns what is taken back of an opted-in workload, where that is only a restart of reroll's.
    pub fn undone(&self) -> Option<&Undone> {
        self.undone.as_deref().filter(|_| self.is_ours())
    }

    /// Returns how to find the pods that a new workload adopts, where it may adopt some.
    pub fn adopter(&self) -> Option<&Adopter> {
        self.adopter.as_ref().filter(|_| self.is_ours())
    }
}

/// Whether a write changes the template, so that pods start for it.
fn changes_template(
    kind: Kind,
    (old_object, old): (&DynamicObject, &Side),
    (object, new): (&DynamicObject, &Side),
) -> bool {
    let old = Some(old);
    let own_time = Sides { old, new }.keeps_time();
    // A change of the template of runs starts no run, so it records nothing.
    new.workload.mark().is_some()
        && template(kind, old_object, own_time) != template(kind, object, own_time)
}

/// Returns what tells whether a user changed the template. `own_time`: `kubectl.kubernetes.io/restartedAt` in it is reroll's
/// mark, and stays as it was.
fn template(kind: Kind, object: &DynamicObject, own_time: bool) -> Value {
    if !own_time {
        return bare_template(kind, object);
    }
    let mut object = object.clone();
    let annotations = object.data.pointer_mut(kind.template);
    let annotations = annotations.and_then(|all| all.pointer_mut("/metadata/annotations"));
    if let Some(all) = annotations.and_then(Value::as_object_mut) {
        all.remove(KUBECTL_RESTARTED_AT);
    }
    bare_template(kind, &object)
}
