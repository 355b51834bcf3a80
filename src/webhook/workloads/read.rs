//! Reads a review of a workload: both objects of the write, and what it changes.

use kube::core::DynamicObject;
use serde_json::{Value, value::RawValue};

use super::{
    Write,
    sides::{Side, Sides},
};
use crate::{
    model::{
        Index, Kind, Policy, WorkloadKey,
        adopted::Adopter,
        annotation::{FIELD_MANAGER, KUBECTL_RESTARTED_AT},
        object::FromObject as _,
        policy::Selection,
        source::References,
        workload::{Workload, bare_template},
    },
    webhook::review::{Operation, Request},
};

impl Write {
    /// Reads a review. `None` where it does not concern reroll: another kind, a subresource, a namespace that is left alone,
    /// reroll's own write.
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
        let default = index.defaults_of(&request.namespace);
        let name = meta.name.clone().unwrap_or_else(|| request.name.clone());
        let key = WorkloadKey {
            kind,
            namespace: request.namespace.clone(),
            name,
        };
        let side = |object: &DynamicObject| Side::read(&key, object, index);
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
        let before = old.as_ref().map(side);
        let template_changed = match (&old, &before) {
            (Some(old), Some(before)) => changes_template(kind, (old, before), (&object, &new)),
            _ => true,
        };
        let (policy, complaints) = Policy::of(&new.workload, default);
        let select = |policy: &Policy, workload: &Workload| match &policy.selection {
            Selection::Some(rules) => index.select(&key, rules, &workload.references),
            Selection::Off | Selection::Unreadable => References::new(),
        };
        let uses = select(&policy, &new.workload);
        let old = before;
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
            by_another: by_reroll.then(|| who.clone()),
        })
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
