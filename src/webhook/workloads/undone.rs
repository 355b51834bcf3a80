//! `kubectl rollout undo` that takes back a restart of reroll's, and nothing else: its mark stays, so nothing rolls. Whoever wants
//! the deploy before is told its revision.
//!
//! A restart makes a revision of its own, and undo goes back by one. It patches the template, and it names no field manager, which
//! every other command of kubectl does.

use kube::core::{DynamicObject, Selector};
use serde_json::Value;

use super::sides::Sides;
use crate::{
    model::{
        WorkloadKey,
        annotation::KUBECTL_RESTARTED_AT,
        workload::{Revisions, deployed, selector},
    },
    webhook::warnings::{Warning, problem},
};

/// A restart that is taken back.
pub struct Undone {
    /// The workload.
    pub key: WorkloadKey,
    /// Its `metadata.uid`.
    pub uid: String,
    /// What selects its revisions.
    pub selector: Selector,
    /// Its template, as of [`deployed`].
    pub template: Value,
}

/// What is known of the revision that somebody deployed before.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum DeployBefore {
    /// It has this number.
    Revision(i64),
    /// None is kept.
    Gone,
    /// Nobody answered in time.
    Unknown,
}

impl Undone {
    /// Returns what a write takes back; `None` where it changes more than that, or no restart.
    pub(super) fn of(
        key: &WorkloadKey,
        sides: Sides<'_>,
        (old_object, object): (&DynamicObject, &DynamicObject),
    ) -> Option<Self> {
        let kind = key.kind;
        let by_kubectl = kind.revisions == Some(Revisions::ReplicaSets) && !kind.optional;
        let old = sides.old.filter(|_| by_kubectl)?;
        let mark = |own: &Option<String>| own.clone().unwrap_or_default();
        let by_mark = mark(&old.own.restarted_for) != mark(&sides.new.own.restarted_for)
            && old.own.restarted_for.is_some();
        if !by_mark && !sides.keeps_time() {
            return None;
        }
        let [before, template] = [old_object, object].map(|object| {
            let template = object.data.pointer(kind.template).cloned();
            deployed(template.unwrap_or_default())
        });
        let restarted = |object: &DynamicObject| {
            let template = object.data.pointer(kind.template);
            let text =
                template.and_then(|it| it["metadata"]["annotations"].get(KUBECTL_RESTARTED_AT));
            text.cloned()
        };
        // Taken back by its time, a restart of reroll's stays; that of a person goes, and the pods roll.
        let rolls = !sides.keeps_time() && restarted(old_object) != restarted(object);
        if before != template || rolls {
            return None;
        }
        Some(Self {
            key: key.clone(),
            uid: old.workload.uid.clone(),
            selector: selector(kind, object)?,
            template,
        })
    }

    /// Says how to go back to the deploy before.
    pub fn words(&self, before: DeployBefore) -> Warning {
        let (namespace, name) = (&self.key.namespace, &self.key.name);
        let plural = self.key.kind.plural.trim_end_matches('s');
        let rollout = format!("kubectl -n {namespace} rollout");
        problem(match before {
            DeployBefore::Revision(number) => format!(
                "reroll: {rollout} undo {plural}/{name} --to-revision={number} goes back to the deploy before: the revision asked for differs by a restart of reroll's only, and rolls nothing"
            ),
            DeployBefore::Gone => format!(
                "reroll: no deploy before this one is kept ({rollout} history {plural}/{name}): the revisions differ by restarts of reroll's only, and nothing rolls"
            ),
            DeployBefore::Unknown => format!(
                "reroll: {rollout} history {plural}/{name}, then undo --to-revision: the revision asked for differs by a restart of reroll's only, and rolls nothing"
            ),
        })
    }
}
