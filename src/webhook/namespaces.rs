//! The validating webhook for Namespaces: it says what of a Namespace's label and annotations does nothing, and always allows the
//! write. Only those that have a key of reroll's are asked about. Nothing is remembered: a watch brings what is persisted.

use std::collections::BTreeMap;

use k8s_openapi::api::core::v1::Namespace;
use kube::core::PartialObjectMeta;

use super::{
    keys::Home,
    review::{Answer, Operation, Request},
    warnings::{Told, problems},
};
use crate::{
    model::{index::windows::Paced, object::FromObject as _, places::Place},
    state::State,
};

const HOME: Home<'_> = Home {
    kind: "Namespace",
    annotations: Place::Namespace,
    labels: Place::NamespaceLabel,
};

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
    let warnings = problems(complaints.chain(HOME.wrong(&HOME.spots(&meta))));
    (answer(told.lines(warnings)), "allowed")
}

#[cfg(test)]
mod tests;
