//! Takes what would be into the controller's own index, in the place of what is live.

use kube::core::{DynamicObject, ObjectMeta};
use serde_json::Value;

use super::{
    apply::{Applied, What, Would},
    facts::Facts,
    sources::{Becomes, Change, becomes, version},
};
use crate::{
    cli::{
        error::Error,
        sight::{Sight, read},
    },
    model::{SourceKey, WorkloadKey},
};

/// Takes in what would be: first who uses sources, while these are as they are, then the sources.
pub(super) fn take_all(
    sight: &mut Sight,
    facts: &mut Facts,
    applied: Vec<Applied>,
) -> Result<(), Error> {
    let mut would_be = Vec::new();
    for Applied { what, would } in applied {
        match (what, would) {
            (What::Namespace(name), Would::Be(object)) => {
                let meta: ObjectMeta = read_as(object["metadata"].clone())?;
                sight.take_namespace(&name, &meta);
            }
            (What::Workload(key), Would::Be(object)) => take_workload(sight, facts, &key, object)?,
            (What::Source(key), would) => would_be.push((key, would)),
            (What::Namespace(_) | What::Workload(_), Would::Stay | Would::Unseen) => {}
        }
    }
    sight.is_read();
    let changed: Vec<_> = facts.places.keys().cloned().collect();
    for what in changed {
        if let What::Workload(key) = what {
            sight.judge(&key);
        }
    }
    for (key, would) in would_be {
        let becomes = match would {
            Would::Be(object) => take_source(sight, &key, &object, u64::MAX),
            Would::Stay => Becomes::only(&key, Change::Refused),
            Would::Unseen => Becomes::only(&key, Change::Unknown),
        };
        facts.sources.retain(|one| one.key != key);
        facts.sources.push(becomes);
    }
    Ok(())
}

fn take_workload(
    sight: &mut Sight,
    facts: &mut Facts,
    key: &WorkloadKey,
    object: Value,
) -> Result<(), Error> {
    let before = sight.index.workload(key);
    let before = before.map(|known| (known.workload.print, known.policy.opted_in()));
    let newer = sight
        .index
        .workload(key)
        .map_or(0, |known| known.workload.resource_version);
    let mut object: DynamicObject = read_as(object)?;
    object.metadata.namespace = Some(key.namespace.clone());
    // A write that is only tried has no number of its own.
    object.metadata.resource_version = Some(newer.saturating_add(1).to_string());
    read::take_workload(sight, key.kind, object);
    let after = sight.index.workload(key);
    match (before, after) {
        (None, _) => {
            facts.new.insert(key.clone());
        }
        (Some((print, opted_in)), Some(after)) => {
            if print != after.workload.print {
                facts.rolls.insert(key.clone());
            }
            if !opted_in && after.policy.opted_in() {
                facts.opts_in.insert(key.clone());
            }
        }
        (Some(_), None) => {}
    }
    Ok(())
}

/// Takes in a source as it would be. Returns what becomes of it.
pub(super) fn take_source(
    sight: &mut Sight,
    key: &SourceKey,
    object: &Value,
    number: u64,
) -> Becomes {
    let is_seen = sight.has_read(key.source.kind, &key.namespace);
    let would = version(sight, key, object).filter(|_| is_seen);
    let Some(mut would) = would else {
        return Becomes::only(key, Change::Unknown);
    };
    would.resource_version = number;
    let live = sight.index.source(&key.namespace, &key.source).version();
    let becomes = becomes(key, live, &would);
    if becomes.matters() {
        would.written = would.written.max(sight.now.as_second());
    } else {
        would.written = live.map_or(would.written, |live| live.written);
    }
    sight.index.apply_source(key, would);
    becomes
}

fn read_as<T: serde::de::DeserializeOwned>(object: Value) -> Result<T, Error> {
    // What serde says would quote the object.
    let unreadable = |_| Error::Manifests("an object cannot be read as its kind".to_owned());
    serde_json::from_value(object).map_err(unreadable)
}
