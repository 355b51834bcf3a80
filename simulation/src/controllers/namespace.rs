//! The namespace controller: a namespace that is deleted is emptied, pods first, and goes.

use std::time::Duration;

use serde_json::json;

use super::{
    access::Access,
    objects::{Kind, is_deleted},
    worker::{Controller, Dirty, Next},
};
use crate::api_server::{
    answer::Refusal,
    resources::{ROWS, storage},
    store::Change,
};

/// How long it waits for what goes slowly, in milliseconds.
const AGAIN: std::ops::RangeInclusive<u64> = 500..=4000;

/// The controller. It notes nothing.
pub(crate) struct Namespaces;

impl Controller for Namespaces {
    type Key = String;

    fn watches(&self) -> Vec<usize> {
        vec![Kind::Namespace.row()]
    }

    fn concerned(&mut self, _: &Access, change: &Change, dirty: &mut Dirty<String>) {
        if change.after.as_ref().is_some_and(|after| is_deleted(after)) {
            dirty.push((change.key.clone(), Duration::ZERO));
        }
    }

    async fn sync(&mut self, access: &Access, key: &String) -> Result<Next, Refusal> {
        let live = access.live(Kind::Namespace, key);
        let Some(namespace) = live.filter(|live| is_deleted(live)) else {
            return Ok(None);
        };
        let pods = Kind::Pod.row();
        if empty(access, key, pods).await? > 0 {
            return Ok(Some(access.draw(AGAIN)));
        }
        let mut left = 0;
        for (row, kind) in ROWS.iter().enumerate() {
            if kind.is_namespaced() && row != pods && storage(row) == row {
                left += empty(access, key, row).await?;
            }
        }
        if left > 0 {
            return Ok(Some(access.draw(AGAIN)));
        }
        let mut done = serde_json::Value::clone(&namespace);
        done["spec"]["finalizers"] = json!([]);
        access.finalize(done).await?;
        Ok(None)
    }
}

/// Deletes all of a resource in a namespace. Returns how many are left.
async fn empty(access: &Access, namespace: &str, row: usize) -> Result<usize, Refusal> {
    let options = json!({ "propagationPolicy": "Background" });
    let all = || access.live_in(row, namespace);
    for object in all() {
        if !is_deleted(&object) {
            access.delete_with(row, &object, &options).await?;
        }
    }
    Ok(all().len())
}
