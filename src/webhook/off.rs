//! The validating webhook for CronJobs and Jobs where reroll is told to leave their kind alone: whoever opts one in is told which
//! value turns the kind on. Nothing of them is read or watched otherwise, and every write is allowed.
//!
//! Only those with a key of reroll's or of Stakater Reloader's are asked about, and none that a controller makes: nobody would read what is said.

use kube::core::DynamicObject;

use super::{
    keys::Home,
    review::{Answer, Operation, Request},
    warnings::{Told, Warning, problem, problems},
};
use crate::{
    model::{
        Kind,
        annotation::{IGNORE, RESTART_ON, reloader::selecting},
        object::FromObject as _,
        places::{Author, KEYS, Place},
        policy::{Defaults, Policy},
        text::{is_false, some_of},
        workload::{Workload, off_by_default, said_of_any, turned_on},
    },
    state::State,
};

/// The most keys that are named.
const NAMED: usize = 3;

/// Answers one review. The word says how, for metrics. `told`: what the user is told.
pub fn answer(state: &State, request: &Request, told: Told) -> (Answer, &'static str) {
    let answer = |lines| Answer::allow(request.uid.clone(), lines);
    let asked = matches!(request.operation, Operation::Create | Operation::Update)
        && request.sub_resource.is_empty();
    let (group, named) = (&request.kind.group, &request.kind.kind);
    let mut kinds = off_by_default();
    let kind = kinds.find(|kind| kind.group == group && kind.kind == named);
    let off = {
        let index = state.index();
        kind.filter(|kind| index.kinds().find(kind.group, kind.kind).is_none())
            .filter(|_| asked && index.works_in(&request.namespace))
    };
    let (Some(kind), Some(raw)) = (off, request.object) else {
        return (answer(Vec::new()), "ignored");
    };
    let Ok(object) = DynamicObject::from_object(raw.get()) else {
        return (answer(Vec::new()), "undecodable");
    };
    let warnings = said(kind, &object);
    (answer(told.lines(warnings)), "allowed")
}

fn said(kind: Kind, object: &DynamicObject) -> Vec<Warning> {
    let home = Home::of_workload(kind);
    let meta = &object.metadata;
    let mut owners = meta.owner_references.iter().flatten();
    if owners.any(|owner| owner.controller == Some(true)) {
        return Vec::new();
    }
    let mut told: Vec<_> = asks_in_vain(kind, object).into_iter().collect();
    told.extend(problems(home.wrong(&home.spots(meta))));
    told
}

/// Says which value turns the kind on, of one that asks for anything.
fn asks_in_vain(kind: Kind, object: &DynamicObject) -> Option<Warning> {
    let annotations = object.metadata.annotations.clone().unwrap_or_default();
    let says = |key: &str| annotations.get(key).map(|text| text.trim());
    let left_alone = says(RESTART_ON).is_some_and(is_false) || says(IGNORE) == Some("true");
    let asks = KEYS.iter().filter(|known| {
        let by_people = known.by == Author::People && known.counts(Place::Workload);
        by_people && known.key != IGNORE && annotations.contains_key(known.key)
    });
    // Reloader runs what opts in so.
    let said = Workload::read(kind, object).asks;
    let (policy, _) = Policy::read(&said, Defaults::default());
    let of_reloader = selecting().filter(|key| said_of_any(&said, key).is_some());
    let of_reloader = of_reloader.filter(|_| policy.opted_in());
    let asks: Vec<_> = asks.map(|known| known.key).chain(of_reloader).collect();
    if left_alone || asks.is_empty() {
        return None;
    }
    let (kind, turned_on) = (kind.kind, turned_on(kind));
    let does = if asks.len() == 1 { "does" } else { "do" };
    let named = some_of(asks.iter().take(NAMED).copied(), asks.len());
    Some(problem(format!(
        "reroll: {turned_on}: reroll leaves every {kind} alone, and {named} {does} nothing"
    )))
}

#[cfg(test)]
mod tests;
