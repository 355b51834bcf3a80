//! The validating webhook for Namespaces: it says what of a Namespace's label and annotations does nothing, and always allows the
//! write. Only those that have a key of reroll's are asked about. Nothing is remembered: a watch brings what is persisted.

use std::collections::BTreeMap;

use k8s_openapi::api::core::v1::Namespace;
use kube::core::{ObjectMeta, PartialObjectMeta};

use super::{
    keys::Home,
    review::{Answer, Operation, Request},
    warnings::{Told, Warning, news, problems},
};
use crate::{
    model::{
        annotation::RESTART_ON,
        index::{opting, windows::Paced},
        object::FromObject as _,
        places::Place,
    },
    state::State,
};

const HOME: Home<'_> = Home {
    kind: "Namespace",
    annotations: Place::Namespace,
    labels: Place::NamespaceLabel,
};

/// Says how many workloads a write of the label opts in no longer.
fn lost(state: &State, request: &Request, meta: &ObjectMeta) -> Option<Warning> {
    let old = PartialObjectMeta::<Namespace>::from_object(request.old_object?.get()).ok()?;
    let label = |meta: &ObjectMeta| meta.labels.as_ref()?.get(RESTART_ON).cloned();
    let (before, after) = (label(&old.metadata)?, label(meta));
    if Some(before) == after {
        return None;
    }
    let name = meta.name.as_deref()?;
    let (word, they) = match opting::loses(&state.index(), name, after.as_deref()) {
        0 => return None,
        1 => ("1 workload is".to_owned(), "it"),
        count => (format!("{count} workloads are"), "them"),
    };
    Some(news(format!(
        "reroll: {word} no longer opted in by the label {RESTART_ON} of Namespace {name}: changes do not restart {they}"
    )))
}

/// Answers one review. The word says how, for metrics. `told`: what the user is told.
pub fn answer(state: &State, request: &Request, told: Told) -> (Answer, &'static str) {
    let answer = |lines| Answer::allow(request.uid.clone(), lines);
    let kind = &request.kind;
    let asked = matches!(request.operation, Operation::Create | Operation::Update)
        && kind.group.is_empty()
        && kind.kind == HOME.kind
        && request.sub_resource.is_empty();
    let Some(raw) = request.object.filter(|_| asked) else {
        return (answer(Vec::new()), "ignored");
    };
    let Ok(object) = PartialObjectMeta::<Namespace>::from_object(raw.get()) else {
        return (answer(Vec::new()), "undecodable");
    };
    let meta = object.metadata;
    let conventions = &state.setup.conventions;
    let left_alone = meta
        .name
        .as_ref()
        .is_some_and(|name| conventions.ignored_namespaces.contains(name))
        || !conventions.selects_namespace(meta.labels.as_ref().unwrap_or(&BTreeMap::new()));
    if left_alone {
        return (answer(Vec::new()), "ignored");
    }
    let (_, complaints) = Paced::read(&meta);
    let complaints = complaints.iter().map(ToString::to_string);
    let mut warnings = problems(complaints.chain(HOME.wrong(&HOME.spots(&meta))));
    warnings.extend(lost(state, request, &meta));
    (answer(told.lines(warnings)), "allowed")
}

#[cfg(test)]
mod tests;
