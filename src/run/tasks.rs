//! The tasks of the controller: watches and loops.

use std::sync::Arc;

use futures::{FutureExt, future::join_all};
use kube::Client;
use tokio::sync::oneshot;
use tokio_util::sync::CancellationToken;

use super::{Listed, Stop, Tasks};
use crate::{
    config::{ClusterSettings, Settings},
    controller::{
        Controller,
        digest_key::Store,
        kept,
        watch::{Watch, Watched},
    },
    model::{SourceKind, workload::JOB},
    ops::{alerts, health::Readiness},
};

/// Starts them all. What it gives ends when every first list is complete.
pub(super) fn spawn_controller(
    controller: &Arc<Controller>,
    cluster: &ClusterSettings,
    client: &Client,
    readiness: &Readiness,
    tasks: &mut Tasks,
    stop: &Stop,
) -> Listed {
    let ignored = controller.conventions.ignored;
    let (optional, kinds): (Vec<_>, Vec<_>) = cluster.kinds.iter().partition(|kind| kind.optional);
    let what = SourceKind::ALL
        .into_iter()
        .filter(|kind| !ignored.contains(*kind))
        .map(Watched::Sources)
        .chain(kinds.into_iter().map(Watched::Workloads))
        .chain([Watched::Namespaces]);
    let within: Vec<Option<String>> = match cluster.namespaces.as_slice() {
        [] => vec![None],
        names => names.iter().cloned().map(Some).collect(),
    };
    let mut lists = Vec::new();
    for what in what {
        let mut of_one = Vec::new();
        for within in &within {
            let (listed, complete) = oneshot::channel();
            of_one.push(complete);
            let watch = Watch {
                what,
                within: within.clone(),
                listed,
            };
            let run = watch.run(Arc::clone(controller), client.clone());
            let stop = stop.all.clone();
            tasks.spawn(async move {
                stop.run_until_cancelled(run).await;
                ("a watch", Ok(()))
            });
        }
        let part = readiness.part(what.list_name());
        lists.push(async move {
            join_all(of_one).await;
            part.ready();
        });
    }
    let listed = join_all(lists).map(drop).boxed();
    for kind in optional {
        for within in &within {
            let follow = Arc::clone(controller).follow_kind(
                kind,
                within.clone(),
                cluster.discovery_interval,
            );
            let stop = stop.all.clone();
            tasks.spawn(async move {
                stop.run_until_cancelled(follow).await;
                ("a kind that may be absent", Ok(()))
            });
        }
    }
    let restarts = Arc::clone(controller).restart_due(stop.leading.clone());
    let house = Arc::clone(controller).keep_house(stop.leading.clone());
    if cluster.kinds.find(JOB.group, JOB.kind).is_some() {
        let recreations = Arc::clone(controller).finish_recreations(stop.leading.clone());
        tasks.spawn(async move {
            recreations.await;
            ("re-creation of Jobs", Ok(()))
        });
    }
    let sweep = Arc::clone(controller).sweep(stop.all.clone());
    let provisional = Arc::clone(controller).confirm_provisional(stop.all.clone());
    tasks.spawn(async move {
        restarts.await;
        ("restarts", Ok(()))
    });
    tasks.spawn(async move {
        house.await;
        ("housekeeping", Ok(()))
    });
    tasks.spawn(async move {
        sweep.await;
        ("sweep", Ok(()))
    });
    tasks.spawn(async move {
        provisional.await;
        ("provisional intents", Ok(()))
    });
    listed
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
            settings.cluster.request_timeout,
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
