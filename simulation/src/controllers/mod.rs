//! The controllers of a cluster: what kube-controller-manager does, as far as anything outside of it can see.
//!
//! Each is a loop of its own, which wakes when something was written, works on what is dirty, and comes back when it
//! must. Between what is written and what they do, and while a request is on its way, some time passes that is drawn
//! from a seed: so there are states in between, as in a real cluster, and conflicts. Each has its own view of the API
//! server, which may be late, and each can be away.
//!
//! They write as the users that they are in a real cluster, with all admission. `tests/same_controllers` compares what
//! they do with a real kube-controller-manager.

pub(crate) mod access;
pub(crate) mod claim;
mod cron_job;
mod daemon_set;
mod deployment;
mod garbage;
mod history;
mod job;
mod namespace;
pub(crate) mod objects;
pub(crate) mod pods;
mod replica_set;
mod root_ca;
mod stateful_set;
pub mod undo;
pub(crate) mod worker;

use std::{collections::BTreeMap, ops::RangeInclusive, sync::Arc};

use fastrand::Rng;
use futures::{FutureExt as _, StreamExt as _, future::LocalBoxFuture, stream::FuturesUnordered};
use tokio::sync::watch;

pub(crate) use self::daemon_set::node_of;
use self::{access::Access, worker::Pace};
use crate::api_server::{ApiServer, User};

/// The name of a controller.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
#[allow(missing_docs, reason = "they are named after what they control")]
pub enum Controller {
    Deployment,
    ReplicaSet,
    StatefulSet,
    DaemonSet,
    Job,
    TtlAfterFinished,
    CronJob,
    GarbageCollector,
    Namespace,
    RootCaCertPublisher,
}

impl Controller {
    /// All of them.
    pub const ALL: [Self; 10] = [
        Self::Deployment,
        Self::ReplicaSet,
        Self::StatefulSet,
        Self::DaemonSet,
        Self::Job,
        Self::TtlAfterFinished,
        Self::CronJob,
        Self::GarbageCollector,
        Self::Namespace,
        Self::RootCaCertPublisher,
    ];

    /// Returns the name of its `ServiceAccount`.
    pub fn account(self) -> &'static str {
        match self {
            Self::Deployment => "deployment-controller",
            Self::ReplicaSet => "replicaset-controller",
            Self::StatefulSet => "statefulset-controller",
            Self::DaemonSet => "daemon-set-controller",
            Self::Job => "job-controller",
            Self::TtlAfterFinished => "ttl-after-finished-controller",
            Self::CronJob => "cronjob-controller",
            Self::GarbageCollector => "generic-garbage-collector",
            Self::Namespace => "namespace-controller",
            Self::RootCaCertPublisher => "root-ca-cert-publisher",
        }
    }
}

/// How long things take, in milliseconds: each time is drawn.
#[derive(Clone, Debug)]
pub struct Delays {
    /// From a write to the moment when a controller looks at it.
    pub notice: RangeInclusive<u64>,
    /// The same, once in ten times.
    pub slow: RangeInclusive<u64>,
    /// From the moment when a controller has decided to write until the API server has the request.
    pub request: RangeInclusive<u64>,
}

impl Default for Delays {
    fn default() -> Self {
        Self {
            notice: 1..=20,
            slow: 20..=400,
            request: 0..=10,
        }
    }
}

impl Delays {
    fn pace(&self) -> Pace {
        Pace {
            usual: self.notice.clone(),
            slow: self.slow.clone(),
        }
    }
}

/// One loop, as those who own it see it.
pub(crate) struct Loop {
    pub(crate) access: Arc<Access>,
    away: watch::Sender<bool>,
    rng: Rng,
    pace: Pace,
}

impl Loop {
    pub(crate) fn new(
        server: &ApiServer,
        user: User,
        manager: &'static str,
        rng: &mut Rng,
        delays: &Delays,
    ) -> Self {
        let view = server.lagging();
        view.keep_up();
        let access = Access::new(view, user, manager, rng.fork(), delays.request.clone());
        Self {
            access: Arc::new(access),
            away: watch::channel(false).0,
            rng: rng.fork(),
            pace: delays.pace(),
        }
    }

    pub(crate) fn set_away(&self, away: bool) {
        self.away.send_if_modified(|is| {
            let changes = *is != away;
            *is = away;
            changes
        });
    }

    pub(crate) fn run<'a, C: worker::Controller + 'a>(
        &self,
        controller: C,
    ) -> LocalBoxFuture<'a, ()> {
        worker::run(
            controller,
            Arc::clone(&self.access),
            self.away.subscribe(),
            self.rng.clone(),
            self.pace.clone(),
        )
        .boxed_local()
    }
}

/// All controllers of a cluster.
pub struct Controllers {
    loops: BTreeMap<Controller, Loop>,
}

impl Controllers {
    /// Makes those of the cluster of an API server.
    pub fn new(server: &ApiServer, rng: &mut Rng, delays: &Delays) -> Self {
        let one = |controller: Controller| {
            let name = format!("system:serviceaccount:kube-system:{}", controller.account());
            let user = User {
                name,
                groups: [
                    "system:serviceaccounts",
                    "system:serviceaccounts:kube-system",
                    "system:authenticated",
                ]
                .map(str::to_owned)
                .to_vec(),
            };
            let manager = "kube-controller-manager";
            let own = Loop::new(server, user, manager, rng, delays);
            (controller, own)
        };
        Self {
            loops: Controller::ALL.into_iter().map(one).collect(),
        }
    }

    /// Lets them work until this is dropped.
    pub async fn run(&self) {
        let loops = self.loops.iter().map(|(controller, own)| match controller {
            Controller::Deployment => own.run(deployment::Deployments),
            Controller::ReplicaSet => own.run(replica_set::ReplicaSets),
            Controller::StatefulSet => own.run(stateful_set::StatefulSets),
            Controller::DaemonSet => own.run(daemon_set::DaemonSets),
            Controller::Job => own.run(job::Jobs::default()),
            Controller::TtlAfterFinished => own.run(job::TtlAfterFinished),
            Controller::CronJob => own.run(cron_job::CronJobs),
            Controller::GarbageCollector => own.run(garbage::Garbage::default()),
            Controller::Namespace => own.run(namespace::Namespaces),
            Controller::RootCaCertPublisher => own.run(root_ca::RootCa),
        });
        // Only those that are woken are polled.
        loops.collect::<FuturesUnordered<_>>().collect::<()>().await;
    }

    /// Lets a controller be away, or come back: then it begins anew, as one that was started.
    pub fn set_away(&self, controller: Controller, away: bool) {
        if let Some(own) = self.loops.get(&controller) {
            own.set_away(away);
        }
    }

    /// Returns the API server as a controller sees it: it may fall behind. Most wait for what they wrote themselves, as
    /// the real ones do; the deployment controller does not.
    pub fn view(&self, controller: Controller) -> Option<&ApiServer> {
        self.loops.get(&controller).map(|own| &own.access.view)
    }
}

#[cfg(test)]
mod tests;
