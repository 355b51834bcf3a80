//! The kubelet of one node.

mod status;

use std::{collections::BTreeMap, sync::Arc, time::Duration};

use serde_json::{Value, json};
use tokio::time::Instant;

use self::status::Containers;
use super::{
    Outcome, Shared,
    needs::{SourceKind, Way, named},
    started::{Missing, Sources},
};
use crate::{
    api_server::{answer::Refusal, store::Change},
    controllers::{
        access::Access,
        objects::{Kind, is_deleted, namespace, number, uid},
        pods::is_over,
        worker::{Controller, Dirty, Next},
    },
};

/// From an assigned pod to containers that run, in milliseconds.
const START: std::ops::RangeInclusive<u64> = 150..=2500;
/// From a deletion to the end of the containers.
const END: std::ops::RangeInclusive<u64> = 50..=2500;
/// How long the containers of a Job run.
const RUN: std::ops::RangeInclusive<u64> = 500..=20_000;
/// How long until a kubelet looks again for what was missing.
const RETRY_ENVIRONMENT: std::ops::RangeInclusive<u64> = 500..=10_000;
const RETRY_FILES: std::ops::RangeInclusive<u64> = 2000..=30_000;
/// The pause before the second restart; each one after that is twice as long.
const BACK_OFF: Duration = Duration::from_secs(10);
const LONGEST_BACK_OFF: Duration = Duration::from_mins(5);

/// How far a pod is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Stage {
    /// Its containers are made at this moment.
    Starts(Instant),
    /// What it needs is missing. It is looked for again.
    Lacks(Way, Instant),
    /// The containers run; at this moment they end, if they do.
    Runs(Option<Instant>),
    /// The containers have crashed. They are started again.
    BacksOff(Instant),
    /// The containers have ended, for good.
    Over,
    /// The pod was deleted. Its containers end.
    Ends(Instant),
}

/// A pod on the node.
struct Pod {
    key: String,
    stage: Stage,
    restarts: u32,
    outcome: Outcome,
}

/// The kubelet.
pub(super) struct Kubelet {
    node: String,
    shared: Arc<Shared>,
    sources: Sources,
    /// By their uid.
    pods: BTreeMap<String, Pod>,
}

impl Kubelet {
    pub(super) fn new(node: &str, shared: Arc<Shared>) -> Self {
        Self {
            node: node.to_owned(),
            shared,
            sources: Sources::default(),
            pods: BTreeMap::new(),
        }
    }
}

impl Controller for Kubelet {
    type Key = String;

    fn watches(&self) -> Vec<usize> {
        [Kind::Pod, Kind::Secret, Kind::ConfigMap]
            .map(Kind::row)
            .to_vec()
    }

    fn forget(&mut self) {
        self.sources = Sources::default();
    }

    fn concerned(&mut self, access: &Access, change: &Change, dirty: &mut Dirty<String>) {
        if change.row != Kind::Pod.row() {
            self.source_changed(access, change, dirty);
            return;
        }
        let ours = |pod: &&Arc<Value>| pod["spec"]["nodeName"] == self.node.as_str();
        let after = change.after.as_ref().filter(ours);
        if let Some(before) = change.before.as_ref().filter(ours)
            && after.is_none_or(|after| uid(after) != uid(before))
        {
            self.sources.unregister(uid(before));
            self.pods.remove(uid(before));
        }
        if let Some(pod) = after {
            self.sources.register(pod);
            dirty.push((change.key.clone(), Duration::ZERO));
        }
    }

    async fn sync(&mut self, access: &Access, key: &String) -> Result<Next, Refusal> {
        let Some(pod) = access.get(Kind::Pod, key) else {
            return Ok(None);
        };
        if pod["spec"]["nodeName"] != self.node.as_str() {
            return Ok(None);
        }
        let now = Instant::now();
        let own = self
            .pods
            .entry(uid(&pod).to_owned())
            .or_insert_with(|| Pod {
                key: key.clone(),
                stage: if is_over(&pod) {
                    Stage::Over
                } else {
                    Stage::Starts(now + access.draw(START))
                },
                restarts: 0,
                outcome: Outcome::Ready,
            });
        if is_deleted(&pod) && !matches!(own.stage, Stage::Ends(_)) {
            own.stage = Stage::Ends(now + grace(access, &pod, own.stage));
        }
        match own.stage {
            Stage::Starts(due) | Stage::Lacks(_, due) | Stage::BacksOff(due) if due <= now => {
                self.start(access, &pod, now).await
            }
            Stage::Runs(Some(due)) if due <= now => self.containers_end(access, &pod, now).await,
            Stage::Ends(due) if due <= now => {
                let options =
                    json!({ "gracePeriodSeconds": 0, "preconditions": { "uid": uid(&pod) } });
                let row = Kind::Pod.row();
                access.delete_with(row, &pod, &options).await.map(|()| None)
            }
            stage => {
                if matches!(stage, Stage::Runs(_)) && pod["status"]["phase"] != "Running" {
                    // A backup was restored, or the write failed.
                    let ready = own.outcome != Outcome::NeverReady;
                    let run = Containers::Run { ready };
                    status::write(access, &pod, &run, own.restarts).await?;
                }
                Ok(stage.due().map(|due| due.duration_since(now)))
            }
        }
    }
}

impl Stage {
    fn due(self) -> Option<Instant> {
        match self {
            Self::Starts(due) | Self::Lacks(_, due) | Self::BacksOff(due) | Self::Ends(due) => {
                Some(due)
            }
            Self::Runs(due) => due,
            Self::Over => None,
        }
    }
}

/// Returns how long the containers of a deleted pod go on.
fn grace(access: &Access, pod: &Value, stage: Stage) -> Duration {
    let most = number(pod, "/metadata/deletionGracePeriodSeconds");
    let most = Duration::from_secs(u64::try_from(most).unwrap_or(0));
    match stage {
        Stage::Runs(_) => access.draw(END).min(most),
        _ => access.draw(1..=50),
    }
}

/// Whether the containers of a pod are for something that ends.
fn is_of_job(pod: &Value) -> bool {
    pod["spec"]["restartPolicy"] != "Always"
}

impl Kubelet {
    /// What pods wait for may be there now: they see it after a moment, as their sources are looked for again and again.
    fn source_changed(&mut self, access: &Access, change: &Change, dirty: &mut Dirty<String>) {
        let Some(object) = &change.after else { return };
        let kind = if change.row == Kind::Secret.row() {
            SourceKind::Secret
        } else {
            SourceKind::ConfigMap
        };
        for pod in self.pods.values_mut() {
            let Stage::Lacks(way, _) = pod.stage else {
                continue;
            };
            let Some(found) = access.get(Kind::Pod, &pod.key) else {
                continue;
            };
            let is = |source: &super::Source| {
                source.kind == kind && source.name == crate::controllers::objects::name(object)
            };
            if namespace(&found) == namespace(object) && named(&found["spec"]).iter().any(is) {
                let after = access.draw(retry(way));
                pod.stage = Stage::Lacks(way, Instant::now() + after);
                dirty.push((pod.key.clone(), after));
            }
        }
    }

    /// Starts the containers, if what they need is there.
    async fn start(&mut self, access: &Access, pod: &Value, now: Instant) -> Result<Next, Refusal> {
        let read = self.sources.start(&access.view, pod);
        let Some(own) = self.pods.get_mut(uid(pod)) else {
            return Ok(None);
        };
        let started = match read {
            Ok(started) => started,
            Err(missing) => {
                own.stage = Stage::Lacks(missing.way, now + Duration::from_mins(5));
                return lacks(access, pod, &missing, own.restarts)
                    .await
                    .map(|()| None);
            }
        };
        let behaviour = Arc::clone(&self.shared.behaviour.lock());
        own.outcome = behaviour(pod, &started);
        let end = match own.outcome {
            Outcome::CrashesAfter(time) => Some(time),
            Outcome::Ready if is_of_job(pod) => Some(access.draw(RUN)),
            Outcome::Ready | Outcome::NeverReady => None,
            Outcome::NoConfig => {
                let again = access.draw(retry(Way::Environment));
                own.stage = Stage::Lacks(Way::Environment, now + again);
                let missing = Missing {
                    way: Way::Environment,
                    message: "the configuration is wrong".to_owned(),
                };
                return lacks(access, pod, &missing, own.restarts)
                    .await
                    .map(|()| Some(again));
            }
        };
        own.stage = Stage::Runs(end.map(|after| now + after));
        let restarts = own.restarts;
        // Without a probe, containers that run are ready.
        let ready = own.outcome != Outcome::NeverReady;
        self.shared.note(pod, started);
        status::write(access, pod, &Containers::Run { ready }, restarts).await?;
        Ok(end)
    }

    /// The containers have ended: well, or by a crash.
    async fn containers_end(
        &mut self,
        access: &Access,
        pod: &Value,
        now: Instant,
    ) -> Result<Next, Refusal> {
        let Some(own) = self.pods.get_mut(uid(pod)) else {
            return Ok(None);
        };
        let crashed = matches!(own.outcome, Outcome::CrashesAfter(_));
        if !crashed || pod["spec"]["restartPolicy"] == "Never" {
            own.stage = Stage::Over;
            let end = Containers::Over { well: !crashed };
            return status::write(access, pod, &end, own.restarts)
                .await
                .map(|()| None);
        }
        let pause = match own.restarts {
            0 => Duration::from_secs(1),
            more => (BACK_OFF * 2_u32.pow((more - 1).min(10))).min(LONGEST_BACK_OFF),
        };
        own.restarts += 1;
        own.stage = Stage::BacksOff(now + pause);
        let restarts = own.restarts;
        status::write(access, pod, &Containers::Crashed, restarts - 1).await?;
        Ok(Some(pause))
    }
}

fn retry(way: Way) -> std::ops::RangeInclusive<u64> {
    match way {
        Way::Environment => RETRY_ENVIRONMENT,
        Way::Files => RETRY_FILES,
    }
}

async fn lacks(
    access: &Access,
    pod: &Value,
    missing: &Missing,
    restarts: u32,
) -> Result<(), Refusal> {
    let waits = match missing.way {
        Way::Environment => Containers::Wait {
            reason: "CreateContainerConfigError",
            message: &missing.message,
        },
        Way::Files => Containers::Wait {
            reason: "ContainerCreating",
            message: "",
        },
    };
    status::write(access, pod, &waits, restarts).await
}
