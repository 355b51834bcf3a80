//! What must hold when everybody has come to rest. It knows nothing of reroll but its promise.

use std::{
    cell::RefCell,
    collections::{BTreeMap, BTreeSet},
    pin::pin,
    rc::Rc,
};

use futures::StreamExt as _;
use kube::{
    Api, ResourceExt as _,
    api::DynamicObject,
    runtime::{WatchStreamExt as _, watcher},
};
use serde_json::Value;

use crate::{
    cluster::Cluster,
    kubelet::{live, needs},
    operations::DEPLOYMENTS,
};

/// The marks that each Deployment has had.
pub(crate) type Marks = BTreeMap<String, BTreeSet<String>>;

/// What people did.
#[derive(Default)]
pub(crate) struct Ledger {
    changes: BTreeMap<String, usize>,
    /// How often a Deployment was undone behind the webhook.
    undone: BTreeMap<String, usize>,
}

impl Ledger {
    pub(crate) fn changed(&mut self, secret: &str) {
        *self.changes.entry(secret.to_owned()).or_default() += 1;
    }

    pub(crate) fn undone(&mut self, deployment: &str) {
        *self.undone.entry(deployment.to_owned()).or_default() += 1;
    }
}

impl Cluster {
    /// Returns what is wrong.
    pub(crate) fn judge(&self) -> Result<(), String> {
        let mut wrong = Vec::new();
        if !self.runs() {
            wrong.push("reroll has ended".to_owned());
        }
        let kubelet = self.kubelet.borrow();
        let pods = self.server.objects("pods");
        for (name, uses) in DEPLOYMENTS {
            let own: Vec<_> = pods.iter().filter(|pod| belongs(pod, name)).collect();
            if own.len() != 2 {
                wrong.push(format!("Deployment {name} has {} pods", own.len()));
            }
            for pod in own {
                let uid = pod["metadata"]["uid"].as_str().unwrap_or_default();
                let started = kubelet.started.get(uid);
                for secret in needs(&pod["spec"]) {
                    let has = started.and_then(|started| started.get(&secret));
                    let now = live(&self.server, &secret);
                    if has != now.as_ref() {
                        wrong.push(format!(
                            "pod {} of {name} has {has:?} of {secret}, which is {now:?}",
                            pod["metadata"]["name"]
                        ));
                    }
                }
            }
            let marks = self.marks.borrow().get(name).map_or(0, BTreeSet::len);
            let changes: usize = uses
                .iter()
                .filter_map(|secret| self.ledger.changes.get(*secret))
                .sum();
            let undone = self.ledger.undone.get(name).copied().unwrap_or(0);
            if marks > changes + undone {
                wrong.push(format!(
                    "Deployment {name} was restarted {marks} times for {changes} changes"
                ));
            }
        }
        if wrong.is_empty() {
            Ok(())
        } else {
            Err(wrong.join("; "))
        }
    }
}

/// Notes each mark that a Deployment's template has, as long as it is not aborted. `ReplicaSet`s would not do: old ones go.
pub(crate) async fn note_marks(deployments: Api<DynamicObject>, marks: Rc<RefCell<Marks>>) {
    let events = watcher(deployments, watcher::Config::default());
    let mut objects = pin!(events.default_backoff().applied_objects());
    while let Some(object) = objects.next().await {
        let Ok(object) = object else { continue };
        let annotations = &object.data["spec"]["template"]["metadata"]["annotations"];
        if let Some(mark) = annotations["reroll.dev/restarted-for"].as_str() {
            let mut marks = marks.borrow_mut();
            let own = marks.entry(object.name_any()).or_default();
            own.insert(mark.to_owned());
        }
    }
}

fn belongs(object: &Value, deployment: &str) -> bool {
    let name = object["metadata"]["name"].as_str().unwrap_or_default();
    name.rsplit_once('-').is_some_and(|(set, _)| {
        set == deployment
            || set
                .rsplit_once('-')
                .is_some_and(|(name, _)| name == deployment)
    })
}
