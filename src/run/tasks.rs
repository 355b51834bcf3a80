//! The tasks of the controller: watches and loops; and who answers for them.

use std::{net::SocketAddr, sync::Arc};

use futures::{FutureExt, future::join_all};
use kube::{Api, Client};
use tokio::sync::oneshot;
use tokio_util::sync::CancellationToken;

use super::{Listed, Stop, Tasks, admission::bind, thread::on_own_thread};
use crate::{
    config::{ClusterSettings, Settings},
    controller::{
        Controller,
        digest_key::Store,
        kept,
        kinds::Sought,
        lease::Election,
        restored::Pulse,
        watch::{Then, Watch, Watched},
    },
    model::{SourceKind, provided::Part, workload::JOB},
    ops::{
        alerts,
        health::{self, Health, Readiness},
    },
};

/// Answers probes, and who asks for metrics.
pub(super) async fn serve_health(
    address: SocketAddr,
    health: &Health,
    tasks: &mut Tasks,
    stop: &CancellationToken,
) -> anyhow::Result<()> {
    let listener = bind(address, "--http-listen").await?;
    tracing::info!(address = %listener.local_addr()?, "serving health and metrics");
    let (health, stop) = (health.clone(), stop.clone());
    let serve = async |listener| Ok(health::serve(listener, health, stop).await?);
    let served = on_own_thread("health", listener, serve);
    tasks.spawn(async { ("health server", served.await) });
    Ok(())
}

/// Starts the controller's tasks.
pub(super) struct Start<'a> {
    pub(super) controller: &'a Arc<Controller>,
    pub(super) cluster: &'a ClusterSettings,
    pub(super) client: &'a Client,
    pub(super) tasks: &'a mut Tasks,
    pub(super) stop: &'a Stop,
}

impl Start<'_> {
    /// Starts them all. What it gives ends when every first list is complete.
    pub(super) fn all(mut self, readiness: &Readiness) -> Listed {
        let everywhere = self.everywhere();
        let what = everywhere.iter().copied().chain([Watched::Namespaces]);
        let lists: Vec<_> = what.map(|what| self.watch(what, readiness)).collect();
        for kind in self.sought() {
            self.follow(kind);
        }
        let controller = || Arc::clone(self.controller);
        let (leading, all) = (self.stop.leading.clone(), self.stop.all.clone());
        let restarts = controller().restart_due(leading.clone());
        let house = controller().keep_house(leading.clone());
        let recreations = controller().finish_recreations(leading);
        let sweep = controller().sweep(all.clone());
        let provisional = controller().confirm_provisional(all);
        let history = controller().mind_history(self.pulse(), self.stop.all.clone());
        let selected = controller().list_selected(self.client.clone(), everywhere);
        if controller().conventions.namespaces.is_some() {
            self.until_stopped("selected namespaces", selected);
        }
        if self.cluster.kinds.find(JOB.group, JOB.kind).is_some() {
            self.spawn("re-creation of Jobs", recreations);
        }
        self.spawn("restarts", restarts);
        self.spawn("housekeeping", house);
        self.spawn("sweep", sweep);
        self.spawn("provisional intents", provisional);
        self.spawn("history", history);
        join_all(lists).map(drop).boxed()
    }

    fn pulse(&self) -> Pulse {
        Pulse {
            api: Api::namespaced(self.client.clone(), &self.cluster.own_namespace),
            name: self.cluster.lease_name.clone(),
            timeout: self.cluster.connection.request_timeout,
        }
    }

    /// What every cluster has, but for namespaces.
    fn everywhere(&self) -> Vec<Watched> {
        let ignored = self.controller.conventions.ignored;
        let sources = [
            (SourceKind::ConfigMap, Watched::ConfigMaps),
            (SourceKind::Secret, Watched::Secrets),
        ];
        let sources = sources
            .into_iter()
            .filter(|(kind, _)| !ignored.contains(*kind));
        let kinds = self.cluster.kinds.iter().filter(|kind| !kind.optional);
        sources
            .map(|(_, what)| what)
            .chain(kinds.map(Watched::Workloads))
            .collect()
    }

    /// What not every cluster has.
    fn sought(&self) -> Vec<Sought> {
        let ignored = self.controller.conventions.ignored;
        let provided = !ignored.contains(SourceKind::SecretProviderClass);
        let provided = Part::ALL.into_iter().filter(|_| provided);
        let kinds = self.cluster.kinds.iter().filter(|kind| kind.optional);
        kinds
            .map(Sought::Workloads)
            .chain(provided.map(Sought::Provided))
            .collect()
    }

    /// The namespaces to watch, each by itself; `None` for all.
    fn within(&self) -> Vec<Option<String>> {
        match self.cluster.namespaces.as_slice() {
            [] => vec![None],
            names => names.iter().cloned().map(Some).collect(),
        }
    }

    /// Watches one thing. What it gives ends when its first list is complete.
    fn watch(&mut self, what: Watched, readiness: &Readiness) -> Listed {
        let mut lists = Vec::new();
        for within in self.within() {
            let (listed, complete) = oneshot::channel();
            lists.push(complete);
            let watch = Watch {
                what,
                within,
                then: Then::Tell(listed),
            };
            let (controller, client) = (Arc::clone(self.controller), self.client.clone());
            self.until_stopped("a watch", async move {
                if what != Watched::Namespaces {
                    controller.selection_known().await;
                }
                watch.run(controller, client).await;
            });
        }
        let part = readiness.part(what.list_name());
        let listed = async move {
            join_all(lists).await;
            part.ready();
        };
        listed.boxed()
    }

    fn follow(&mut self, kind: Sought) {
        for within in self.within() {
            let controller = Arc::clone(self.controller);
            let follow = controller.follow_kind(kind, within, self.cluster.discovery_interval);
            self.until_stopped("a kind that may be absent", follow);
        }
    }

    fn until_stopped(
        &mut self,
        name: &'static str,
        task: impl Future<Output = ()> + Send + 'static,
    ) {
        let stop = self.stop.all.clone();
        self.spawn(name, async move {
            stop.run_until_cancelled(task).await;
        });
    }

    fn spawn(&mut self, name: &'static str, task: impl Future<Output = ()> + Send + 'static) {
        self.tasks.spawn(async move {
            task.await;
            (name, Ok(()))
        });
    }
}

/// The controller with what not everybody wants: re-creation of Jobs, and alerts.
pub(super) fn equipped(
    mut controller: Controller,
    settings: &Settings,
    client: &Client,
    tasks: &mut Tasks,
    stop: &CancellationToken,
) -> anyhow::Result<Controller> {
    if settings.cluster.kinds.find(JOB.group, JOB.kind).is_some() {
        let (namespace, wait) = (
            &settings.cluster.own_namespace,
            settings.cluster.connection.request_timeout,
        );
        controller = controller.with_kept(kept::Store::new(client.clone(), namespace, wait));
    }
    let Some(settings) = settings.alerts.clone() else {
        return Ok(controller);
    };
    let (sink, sender) = alerts::channel(settings, Arc::clone(&controller.state.metrics))?;
    let send = sender.run(stop.clone());
    tasks.spawn(async move {
        send.await;
        ("alerts", Ok(()))
    });
    Ok(controller.with_alerts(sink))
}

/// Starts to take part in the election of the leader.
pub(super) fn spawn_election(election: Election, tasks: &mut Tasks, stop: &CancellationToken) {
    let election = election.run(stop.clone());
    tasks.spawn(async move {
        election.await;
        ("leader election", Ok(()))
    });
}

/// Looks after the digest key; ends the process, to be started again, when somebody replaced it.
pub(super) fn spawn_key_watch(
    controller: &Arc<Controller>,
    store: Store,
    tasks: &mut Tasks,
    stop: &CancellationToken,
) {
    let (controller, stop) = (Arc::clone(controller), stop.clone());
    tasks.spawn(async move {
        let watch = stop.run_until_cancelled(controller.watch_key(store)).await;
        let ended = watch.map_or(Ok(()), |replaced| Err(replaced.into()));
        ("digest key", ended)
    });
}
