//! Which revision the template is, and which one pods have that are not to be updated.

use std::sync::Arc;

use serde_json::Value;

use super::super::{
    access::Access,
    history::{brings_back, create, number_of, renumber},
    objects::{Kind, name},
};
use crate::api_server::answer::Refusal;

pub(super) struct Revisions {
    pub(super) current: Arc<Value>,
    pub(super) update: Arc<Value>,
}

impl Revisions {
    /// Finds them among the revisions of a StatefulSet, of which the oldest is first, or makes that of the template.
    pub(super) async fn of(
        access: &Access,
        set: &Value,
        all: &[Arc<Value>],
    ) -> Result<Self, Refusal> {
        let next = all.last().map_or(1, |last| number_of(last) + 1);
        let same = all.iter().rfind(|one| brings_back(one, set));
        let is_last =
            same.is_some_and(|same| all.last().is_some_and(|last| Arc::ptr_eq(same, last)));
        let update = match same {
            Some(same) if is_last => Arc::clone(same),
            Some(same) => renumber(access, same, next).await?,
            None => create(access, Kind::StatefulSet, set, next).await?,
        };
        let named = |one: &&Arc<Value>| set["status"]["currentRevision"] == name(one);
        let current = all.iter().find(named).unwrap_or(&update);
        Ok(Self {
            current: Arc::clone(current),
            update,
        })
    }
}
