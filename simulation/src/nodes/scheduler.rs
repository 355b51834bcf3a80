//! The scheduler: a pod goes to the node that has the fewest.

use std::{collections::BTreeMap, time::Duration};

use serde_json::Value;

use crate::{
    api_server::{answer::Refusal, store::Change},
    controllers::{
        access::Access,
        node_of,
        objects::{Kind, is_deleted, key, name},
        pods::is_active,
        worker::{Controller, Dirty, Next},
    },
};

/// The scheduler. It notes nothing.
pub(super) struct Scheduler;

fn waits(pod: &Value) -> bool {
    let gated = pod["spec"]["schedulingGates"].is_array();
    pod["spec"]["nodeName"].is_null() && !is_deleted(pod) && !gated
}

impl Controller for Scheduler {
    type Key = String;

    fn watches(&self) -> Vec<usize> {
        [Kind::Pod, Kind::Node].map(Kind::row).to_vec()
    }

    fn concerned(&mut self, access: &Access, change: &Change, dirty: &mut Dirty<String>) {
        if change.row == Kind::Node.row() {
            if change.before.is_none() {
                let pods = access.all(Kind::Pod);
                let waiting = pods.iter().filter(|pod| waits(pod));
                dirty.extend(waiting.map(|pod| (key(pod), Duration::ZERO)));
            }
        } else if change.after.as_ref().is_some_and(|pod| waits(pod)) {
            dirty.push((change.key.clone(), Duration::ZERO));
        }
    }

    async fn sync(&mut self, access: &Access, key: &String) -> Result<Next, Refusal> {
        let Some(pod) = access.get(Kind::Pod, key).filter(|pod| waits(pod)) else {
            return Ok(None);
        };
        let mut on: BTreeMap<String, usize> = access
            .all(Kind::Node)
            .iter()
            .map(|node| (name(node).to_owned(), 0))
            .collect();
        if let Some(node) = node_of(&pod) {
            on.retain(|name, _| name == node);
        }
        for pod in access.all(Kind::Pod).iter().filter(|pod| is_active(pod)) {
            let node = pod["spec"]["nodeName"].as_str();
            if let Some(count) = node.and_then(|node| on.get_mut(node)) {
                *count += 1;
            }
        }
        let fewest = on.values().min().copied();
        let best: Vec<_> = on
            .into_iter()
            .filter(|(_, count)| Some(*count) == fewest)
            .collect();
        let Some(last) = best.len().checked_sub(1) else {
            return Ok(None);
        };
        let drawn = access.draw_number(last);
        match access.bind(&pod, &best[drawn].0).await {
            Err(refusal) if matches!(refusal.code, 404 | 409) => Ok(None),
            other => other.map(|()| None),
        }
    }
}
