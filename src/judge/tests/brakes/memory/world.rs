//! Deployments, their controller and their pods: what pods show follows from when they started, and with what.

use k8s_openapi::api::core::v1::Pod;
use serde_json::{Value, json};

use super::super::*;
use crate::{cluster::testing::Script, model::annotation::PENDING};

/// How many workloads there may be.
pub(super) const WORKLOADS: usize = 6;
/// How many sources there are.
pub(super) const SOURCES: usize = 2;

const NAMES: [&str; WORKLOADS] = ["a", "b", "c", "d", "e", "f"];
const SECRETS: [&str; SOURCES] = ["s", "t"];
/// Which sources they use.
const USES: [&[usize]; WORKLOADS] = [&[0], &[0], &[0, 1], &[0], &[1], &[0, 1]];
/// How long a container is started again after it ended.
const BACK_OFF: i64 = 10;

/// What happens.
#[derive(Clone, Copy, Debug)]
pub(super) enum Happens {
    /// A source gets a value with which pods that start run so.
    Changes(usize, Runs),
    /// Time.
    Passes(i64),
    /// Somebody wants so many pods.
    Scales(usize, i64),
    /// Somebody deploys.
    Deploys(usize),
    /// All its pods go, and others take their place.
    Drains(usize),
    /// It is deleted.
    Goes(usize),
    /// It is made.
    Comes(usize),
}

/// How a pod runs, by the values that it started with.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum Runs {
    /// It is ready at once.
    Well,
    /// It is ready after so many seconds.
    Slowly(i64),
    /// It is ready, and ends after so many seconds, again and again.
    Ends(i64),
    /// It runs, and is never ready.
    NeverReady,
    /// A key is missing.
    NoConfig,
}

#[derive(Clone, Debug)]
struct One {
    /// Its mark and its edition.
    template: (String, u64),
    made: i64,
    runs: Runs,
    number: u64,
}

#[derive(Clone, Debug)]
struct Deployment {
    replicas: usize,
    template: (String, u64),
    /// When its rollout was complete.
    completed: Option<i64>,
    /// Whether somebody deployed it, after its last restart.
    deployed: bool,
    pods: Vec<One>,
}

/// What there is.
#[derive(Debug, Default)]
pub(super) struct World {
    passed: i64,
    count: u64,
    sources: [Option<Runs>; SOURCES],
    workloads: [Option<Deployment>; WORKLOADS],
}

impl One {
    fn is_ready(&self, now: i64) -> bool {
        let age = now - self.made;
        match self.runs {
            Runs::Well => age >= 2,
            Runs::Slowly(after) => age >= after,
            Runs::Ends(after) => age >= 2 && (age - 2) % (after + BACK_OFF) < after,
            Runs::NeverReady | Runs::NoConfig => false,
        }
    }

    fn container(&self, now: i64) -> Value {
        let age = now - self.made;
        let began = self.made + 2;
        let running = |began: i64| json!({ "running": { "startedAt": at(began) } });
        let waiting = |reason: &str| json!({ "waiting": { "reason": reason, "message": "no" } });
        let mut container = json!({ "name": "c", "image": "i", "imageID": "i", "restartCount": 0 });
        container["ready"] = json!(self.is_ready(now));
        container["state"] = match self.runs {
            _ if age < 2 => waiting("ContainerCreating"),
            Runs::NoConfig => waiting("CreateContainerConfigError"),
            Runs::Well | Runs::Slowly(_) | Runs::NeverReady => running(began),
            Runs::Ends(after) => {
                let whole = after + BACK_OFF;
                let turn = (age - 2) / whole;
                let runs = (age - 2) % whole < after;
                container["restartCount"] = json!(turn);
                let last = if runs { turn - 1 } else { turn };
                if last >= 0 {
                    let began = began + last * whole;
                    container["lastState"] = json!({ "terminated": {
                        "exitCode": 1, "startedAt": at(began), "finishedAt": at(began + after),
                    } });
                }
                if runs {
                    running(began + turn * whole)
                } else {
                    waiting("CrashLoopBackOff")
                }
            }
        };
        container
    }

    fn pod(&self, name: &str, now: i64) -> Pod {
        let ready = if self.is_ready(now) { "True" } else { "False" };
        let since = match self.runs {
            Runs::Slowly(after) => after,
            Runs::Ends(after) => {
                2 + (now - self.made - 2).max(0) / (after + BACK_OFF) * (after + BACK_OFF)
            }
            Runs::Well | Runs::NeverReady | Runs::NoConfig => 2,
        };
        let since = at(self.made + since);
        let pod = json!({
            "metadata": {
                "name": format!("{name}-{}", self.number), "creationTimestamp": at(self.made),
                "annotations": { RESTARTED_FOR: self.template.0 },
            },
            "spec": { "containers": [{ "name": "c" }] },
            "status": {
                "conditions": [{ "type": "Ready", "status": ready, "lastTransitionTime": since }],
                "containerStatuses": [self.container(now)],
            },
        });
        serde_json::from_value(pod).unwrap()
    }
}

fn at(seconds: i64) -> String {
    jiff::Timestamp::from_second(seconds).unwrap().to_string()
}

impl World {
    pub(super) fn now(&self) -> i64 {
        NOW + self.passed
    }

    pub(super) fn passes(&mut self, seconds: i64) {
        self.passed += seconds;
    }

    pub(super) fn source(source: usize) -> &'static str {
        SECRETS[source]
    }

    pub(super) fn key(workload: usize) -> WorkloadKey {
        WorkloadKey {
            kind: &crate::model::workload::KINDS[0],
            namespace: NAMESPACE.to_owned(),
            name: NAMES[workload].to_owned(),
        }
    }

    fn at(key: &WorkloadKey) -> usize {
        NAMES.iter().position(|name| *name == key.name).unwrap()
    }

    /// Returns the workloads that are there.
    pub(super) fn keys(&self) -> Vec<WorkloadKey> {
        let all = self.workloads.iter().enumerate();
        all.filter(|(_, one)| one.is_some())
            .map(|(at, _)| Self::key(at))
            .collect()
    }

    /// Returns the pods of a workload.
    pub(super) fn pods(&self, key: &WorkloadKey) -> Vec<Pod> {
        let own = self.workloads[Self::at(key)].iter();
        own.flat_map(|own| &own.pods)
            .map(|one| one.pod(&key.name, self.now()))
            .collect()
    }

    fn next(&mut self) -> u64 {
        self.count += 1;
        self.count
    }

    /// Writes a source.
    pub(super) fn changes(&mut self, source: usize, runs: Runs, script: &Script) {
        self.sources[source] = Some(runs);
        let value = format!("value {}", self.next());
        let object = json!({
            "apiVersion": "v1", "kind": "Secret",
            "metadata": { "name": SECRETS[source], "namespace": NAMESPACE, "uid": SECRETS[source], "creationTimestamp": at(self.now()) },
            "data": { "k": k8s_openapi::ByteString(value.into_bytes()) },
        });
        script.put(&secret_path(SECRETS[source]), object);
    }

    /// Returns a pod that starts now.
    fn starts(&mut self, workload: usize) -> Option<One> {
        let number = self.next();
        let runs = USES[workload]
            .iter()
            .filter_map(|source| self.sources[*source]);
        Some(One {
            template: self.workloads[workload].as_ref()?.template.clone(),
            made: self.now(),
            runs: runs.max().unwrap_or(Runs::Well),
            number,
        })
    }

    /// Makes a workload, unless it is there.
    pub(super) fn comes(&mut self, workload: usize) -> Option<Value> {
        if self.workloads[workload].is_some() {
            return None;
        }
        self.workloads[workload] = Some(Deployment {
            replicas: 2,
            template: (String::new(), 0),
            completed: Some(self.now()),
            deployed: false,
            pods: Vec::new(),
        });
        for _ in 0..2 {
            let pod = self.starts(workload)?;
            self.workloads[workload].as_mut()?.pods.push(pod);
        }
        let secrets: Vec<_> = USES[workload]
            .iter()
            .map(|source| SECRETS[*source])
            .collect();
        let mut object = deployment(NAMES[workload], &secrets);
        object["spec"]["replicas"] = json!(2);
        object["status"] = json!({
            "observedGeneration": 1, "replicas": 2, "updatedReplicas": 2, "readyReplicas": 2, "availableReplicas": 2,
        });
        Some(object)
    }

    /// Deletes a workload.
    pub(super) fn goes(&mut self, workload: usize, script: &Script) -> Option<WorkloadKey> {
        self.workloads[workload].take()?;
        let key = Self::key(workload);
        script.remove(&path(&key));
        Some(key)
    }

    pub(super) fn scales(&mut self, workload: usize, replicas: i64, script: &Script) {
        if let Some(own) = &mut self.workloads[workload] {
            own.replicas = usize::try_from(replicas).unwrap();
            script.edit(&path(&Self::key(workload)), |object| {
                object["spec"]["replicas"] = json!(replicas);
                is_written(object);
            });
        }
    }

    pub(super) fn deploys(&mut self, workload: usize, script: &Script) {
        let edition = self.next();
        if let Some(own) = &mut self.workloads[workload] {
            own.template.1 = edition;
            own.deployed = true;
            own.completed = None;
            script.edit(&path(&Self::key(workload)), |object| {
                object["spec"]["template"]["metadata"]["labels"]["edition"] =
                    json!(edition.to_string());
                is_written(object);
            });
        }
    }

    /// Other pods take the place of all that are there.
    pub(super) fn drains(&mut self, workload: usize) {
        let count = self.workloads[workload]
            .as_ref()
            .map_or(0, |own| own.pods.len());
        let pods: Vec<_> = (0..count).filter_map(|_| self.starts(workload)).collect();
        if let Some(own) = &mut self.workloads[workload] {
            own.pods = pods;
        }
    }

    /// Writes what a restart writes.
    pub(super) fn restarts(
        &mut self,
        key: &WorkloadKey,
        observed: &str,
        opened: &str,
        script: &Script,
    ) {
        let Some(own) = &mut self.workloads[Self::at(key)] else {
            return;
        };
        own.deployed = false;
        let wire: Value = serde_json::from_str(opened).unwrap();
        own.template.0 = wire["mark"].as_str().unwrap().to_owned();
        own.completed = None;
        let mark = own.template.0.clone();
        script.edit(&path(key), |object| {
            object["metadata"]["annotations"]["reroll.dev/observed"] = json!(observed);
            object["metadata"]["annotations"][ROLLOUT_OPENED] = json!(opened);
            let all = object["metadata"]["annotations"].as_object_mut();
            all.unwrap().remove(PENDING);
            object["spec"]["template"]["metadata"]["annotations"] = json!({ RESTARTED_FOR: mark });
            is_written(object);
        });
    }

    /// Writes why a workload waits.
    pub(super) fn holds(key: &WorkloadKey, pending: &str, script: &Script) {
        script.edit(&path(key), |object| {
            object["metadata"]["annotations"][PENDING] = json!(pending);
        });
    }

    /// Whether its last rollout is somebody's own.
    pub(super) fn is_deployed(&self, key: &WorkloadKey) -> bool {
        let own = self.workloads[Self::at(key)].as_ref();
        own.is_some_and(|own| own.deployed)
    }

    /// Lets the controller of a workload do one thing. Returns whether its status changed.
    pub(super) fn rolls(&mut self, key: &WorkloadKey, script: &Script) -> bool {
        let (at, now) = (Self::at(key), self.now());
        let starts = self.starts(at);
        let Some(own) = &mut self.workloads[at] else {
            return false;
        };
        own.rolls(starts, now);
        let before = script.object(&path(key)).unwrap();
        let status = own.status(now, &before["metadata"]["generation"]);
        if before["status"] == status {
            return false;
        }
        script.edit(&path(key), |object| object["status"] = status);
        true
    }
}

fn is_written(object: &mut Value) {
    let generation = object["metadata"]["generation"].as_i64().unwrap_or(1);
    object["metadata"]["generation"] = json!(generation + 1);
}

impl Deployment {
    fn is_new(&self, one: &One) -> bool {
        one.template == self.template
    }

    /// One more than wanted at most, and none less.
    fn rolls(&mut self, starts: Option<One>, now: i64) {
        let new = self.pods.iter().filter(|one| self.is_new(one)).count();
        if new < self.replicas && self.pods.len() <= self.replicas {
            self.pods.extend(starts);
        }
        let ready = self.pods.iter().filter(|one| one.is_ready(now)).count();
        let template = self.template.clone();
        let old = |one: &One| one.template != template;
        let unready = self
            .pods
            .iter()
            .position(|one| old(one) && !one.is_ready(now));
        let spare = || {
            self.pods
                .iter()
                .position(old)
                .filter(|_| ready > self.replicas)
        };
        let more = || (self.pods.len() > self.replicas + 1 || new > self.replicas).then_some(0);
        if let Some(goes) = unready.or_else(spare).or_else(more) {
            self.pods.remove(goes);
        }
        let is_complete = self.pods.len() == self.replicas
            && self
                .pods
                .iter()
                .all(|one| self.is_new(one) && one.is_ready(now));
        if is_complete && self.completed.is_none() {
            self.completed = Some(now);
        }
    }

    fn status(&self, now: i64, generation: &Value) -> Value {
        let new = self.pods.iter().filter(|one| self.is_new(one)).count();
        let ready = self.pods.iter().filter(|one| one.is_ready(now)).count();
        let (reason, since) = match self.completed {
            Some(since) => ("NewReplicaSetAvailable", since),
            None => ("ReplicaSetUpdated", 0),
        };
        json!({
            "observedGeneration": generation, "replicas": self.pods.len(), "updatedReplicas": new,
            "readyReplicas": ready, "availableReplicas": ready,
            "conditions": [{ "type": "Progressing", "status": "True", "reason": reason, "lastUpdateTime": at(since) }],
        })
    }
}
