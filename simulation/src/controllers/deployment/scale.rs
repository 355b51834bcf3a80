//! Scaling: of one set, and of all in proportion.

use std::sync::Arc;

use serde_json::{Value, json};

use super::{
    super::objects::{Kind, created, number, oldest_first, replicas},
    Rollout,
    numbers::{Limits, asked, noted, proportion},
    sets::{DESIRED, MAX, Sets},
};
use crate::api_server::answer::Refusal;

impl Rollout<'_> {
    /// Sets the annotations by which a set knows the size of its Deployment. Returns whether they change.
    pub(super) fn note_size(&self, set: &mut Value) -> bool {
        let wanted = replicas(&self.deployment);
        let most = wanted + Limits::of(&self.deployment).surge;
        let mut changes = false;
        for (annotation, value) in [(DESIRED, wanted), (MAX, most)] {
            let value = json!(value.to_string());
            let is = set["metadata"]["annotations"].get(annotation);
            if is != Some(&value) {
                set["metadata"]["annotations"][annotation] = value;
                changes = true;
            }
        }
        changes
    }

    /// Scales a set. `notes`: also where only its annotations change. Returns whether its size changed.
    pub(super) async fn scale(
        &self,
        set: &mut Arc<Value>,
        size: i64,
        notes: bool,
    ) -> Result<bool, Refusal> {
        let resized = replicas(set) != size;
        if !resized && !notes {
            return Ok(false);
        }
        let mut scaled = Value::clone(set);
        scaled["spec"]["replicas"] = json!(size);
        if !self.note_size(&mut scaled) && !resized {
            return Ok(false);
        }
        *set = self.access.update(Kind::ReplicaSet, scaled).await?;
        Ok(resized)
    }

    /// Gives all sets the size that the Deployment's asks for.
    pub(super) async fn scale_all(&self, sets: &mut Sets) -> Result<(), Refusal> {
        let wanted = replicas(&self.deployment);
        if let Some(one) = only(sets) {
            self.scale(one, wanted, false).await?;
            return Ok(());
        }
        let is_saturated = |set: &Arc<Value>| {
            replicas(set) == wanted
                && noted(set, DESIRED) == Some(wanted)
                && number(set, "/status/availableReplicas") == wanted
        };
        if sets.new.as_ref().is_some_and(is_saturated) {
            for old in &mut sets.old {
                self.scale(old, 0, false).await?;
            }
            return Ok(());
        }
        if self.deployment["spec"]["strategy"]["type"] == "RollingUpdate" {
            self.scale_in_proportion(sets).await?;
        }
        Ok(())
    }

    async fn scale_in_proportion(&self, sets: &mut Sets) -> Result<(), Refusal> {
        let wanted = replicas(&self.deployment);
        let mut all: Vec<&mut Arc<Value>> = sets.all_mut().collect();
        all.retain(|set| replicas(set) > 0);
        let allowed = if wanted > 0 {
            wanted + Limits::of(&self.deployment).surge
        } else {
            0
        };
        let add = allowed - asked(all.iter().map(|set| &**set));
        if add > 0 {
            all.sort_by(|a, b| (replicas(b), created(b)).cmp(&(replicas(a), created(a))));
        } else if add < 0 {
            all.sort_by(|a, b| (replicas(b), created(a)).cmp(&(replicas(a), created(b))));
        }
        let mut added = 0;
        let mut sizes = Vec::new();
        for set in &all {
            let more = proportion(set, &self.deployment, add, added);
            sizes.push(replicas(set) + more);
            added += more;
        }
        if let Some(first) = sizes.first_mut() {
            *first = (*first + add - added).max(0);
        }
        for (set, size) in all.into_iter().zip(sizes) {
            self.scale(set, size, true).await?;
        }
        Ok(())
    }
}

/// Returns the only set that has replicas, or the newest where none has.
fn only(sets: &mut Sets) -> Option<&mut Arc<Value>> {
    let active = sets.active().len();
    match active {
        0 if sets.new.is_some() => sets.new.as_mut(),
        0 => {
            oldest_first(&mut sets.old);
            sets.old.last_mut()
        }
        1 => sets.all_mut().find(|set| replicas(set) > 0),
        _ => None,
    }
}
