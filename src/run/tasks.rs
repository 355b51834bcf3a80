//! Starts the tasks of the process: servers, watches and loops.

use std::{future::pending, net::SocketAddr, sync::Arc};

use futures::{
    FutureExt,
    future::{BoxFuture, join_all},
};
use tokio::{sync::oneshot, task::JoinSet};
use tokio_util::sync::CancellationToken;

use super::{
    doors::{Connection, Doors},
    lists::FirstList,
    thread::{bind, on_own_thread, run_on_own_thread},
};
use crate::{
    cluster::{
        Cluster, DiscoveredKind,
        lease::{Election, Leadership, Notice},
        own::stored_jobs,
    },
    config::Settings,
    judge::{claims, contradictions, live::Live, others, reads},
    model::{SourceKind, csi::Part, workload::JOB},
    ops::{
        alerts::{self, AlertSink},
        events::{self, EventSink},
        health::{self, Health, Heartbeat, Readiness},
        metrics::Metrics,
    },
    restart::{
        Restarter, absences, converged, housekeeper::Housekeeper, job::Jobs, moment::Probe, release,
    },
    state::Clock,
    watch::{Then, Watch, Watched, Watches, digest_key::KeyWatch, discovery, restored, selected},
    webhook::server::{self, Ending, Limits, Served},
};

/// A future that ends when every first list is complete.
pub(super) type Listed = BoxFuture<'static, ()>;

/// All tasks of the process, by name.
pub(super) type Tasks = JoinSet<(&'static str, anyhow::Result<()>)>;

/// The tokens that end the tasks, in this order.
#[derive(Clone, Default)]
pub(super) struct Stop {
    /// Ends what the leader does: restarts, writes, and leading itself. It comes first, so that another replica can go
    /// on at once.
    pub(super) leading: CancellationToken,
    /// Makes API servers call another replica, while the webhook still serves. API servers learn slowly that this
    /// replica is leaving, and those with an open connection do not ask.
    pub(super) leaving: CancellationToken,
    /// Ends everything.
    pub(super) all: CancellationToken,
}

/// Starts the server for probes and metrics.
pub(super) async fn serve_health(
    doors: &Doors,
    address: SocketAddr,
    health: &Health,
    tasks: &mut Tasks,
    stop: &CancellationToken,
) -> anyhow::Result<()> {
    if let Doors::InProcess(doors) = doors {
        (doors.health)(health::router(health.clone()));
        return Ok(());
    }
    let listener = bind(address, "--http-listen").await?;
    tracing::info!(address = %listener.local_addr()?, "serving health and metrics");
    let (router, metrics) = (health::router(health.clone()), Arc::clone(&health.metrics));
    let ending = Ending {
        leaving: CancellationToken::new(),
        shutdown: stop.clone(),
    };
    let serve = async move |listener| {
        let (served, limits) = (Served::Probes, Limits::of_probes());
        Ok(server::serve(listener, served, router, limits, metrics, ending).await?)
    };
    let served = on_own_thread("health", listener, serve);
    tasks.spawn(async { ("health server", served.await) });
    Ok(())
}

/// What it takes to start all that watches, decides and restarts.
pub(super) struct Start<'a> {
    pub(super) live: Live,
    pub(super) leadership: Leadership,
    pub(super) settings: &'a Settings,
    pub(super) tasks: &'a mut Tasks,
    pub(super) stop: &'a Stop,
}

impl Start<'_> {
    /// Starts all of it. Returns the [`Jobs`] where Jobs are among the kinds, and a future that ends when every first
    /// list is complete.
    pub(super) fn all(
        mut self,
        readiness: &Readiness,
        heartbeat: Heartbeat,
        probe: Probe,
    ) -> (Option<Arc<Jobs>>, Listed) {
        let jobs = self.restart(heartbeat, probe);
        let judge = Arc::clone(&self.live.judge);
        let (namespace, lease) = (
            &self.settings.cluster.own_namespace,
            &self.settings.cluster.lease_name,
        );
        let history = restored::HistoryWatch::new(self.live.clone(), namespace, lease);
        let stop = || self.stop.all.clone();
        let (sweep, claims, history) = (
            Arc::clone(&judge).sweep(stop()),
            claims::confirm(self.live.clone(), stop()),
            history.run(stop()),
        );
        let others = others::follow(Arc::clone(&judge), stop());
        self.spawn("other installations", others);
        self.spawn(
            "what the webhook read",
            contradictions::take_in(Arc::clone(&judge), stop()),
        );
        self.until_stopped("decisions", Arc::clone(&judge).take_turns());
        self.until_stopped("stops", Arc::clone(&judge).follow_stops());
        self.spawn("sweep", sweep);
        self.spawn(
            "sources that no watch shows",
            reads::read(self.live.clone(), stop()),
        );
        self.spawn("provisional intents", claims);
        self.spawn("history", history);
        let watches = Arc::new(Watches::new(judge, self.live.cluster.clone()));
        (jobs, self.watch_all(&watches, readiness))
    }

    fn restart(&mut self, heartbeat: Heartbeat, probe: Probe) -> Option<Arc<Jobs>> {
        let (live, leadership) = (&self.live, &self.leadership);
        let jobs = self.settings.cluster.kinds.find(JOB.group, JOB.kind);
        let jobs = jobs.map(|_| {
            let namespace = &self.settings.cluster.own_namespace;
            let store = stored_jobs::Store::new(live.cluster.clone(), namespace);
            let probe = Arc::clone(&probe);
            Arc::new(Jobs::new(live.clone(), leadership.clone(), store, probe))
        });
        let restarter = Arc::new(Restarter::new(
            live.clone(),
            leadership.clone(),
            jobs.clone(),
            self.settings.restarts.concurrency,
            heartbeat,
            probe,
        ));
        let housekeeper =
            Housekeeper::new(live.clone(), leadership.clone(), Arc::clone(&restarter));
        let stop = self.stop.leading.clone();
        let judge = Arc::clone(&live.judge);
        let release = release::release(judge, leadership.clone(), stop.clone());
        let look = release::look(live.clone(), leadership.clone(), stop.clone());
        let tell = converged::tell(live.clone(), leadership.clone(), stop.clone());
        let absent = absences::tell(Arc::clone(&live.judge), leadership.clone(), stop.clone());
        if let Some(jobs) = &jobs {
            self.spawn("re-creation of Jobs", Arc::clone(jobs).run(stop.clone()));
        }
        self.spawn("restarts", restarter.run(stop.clone()));
        self.spawn("brakes", release);
        self.spawn("looks at pods", look);
        self.spawn("who has which version", tell);
        self.spawn("what is absent", absent);
        self.spawn("housekeeping", housekeeper.run(stop));
        jobs
    }

    /// Starts all watches. Returns a future that ends when every first list is complete.
    fn watch_all(&mut self, watches: &Arc<Watches>, readiness: &Readiness) -> Listed {
        let everywhere = self.everywhere();
        let what = everywhere.iter().copied().chain([Watched::Namespaces]);
        let (mut lists, mut of_workloads) = (Vec::new(), Vec::new());
        for what in what {
            let list = self.watch(watches, what, readiness).shared();
            if !matches!(what, Watched::Sources(_)) {
                of_workloads.push(list.clone().boxed());
            }
            lists.push(list);
        }
        for kind in self.discovered() {
            of_workloads.push(self.follow(watches, kind));
        }
        let judge = Arc::clone(&watches.judge);
        self.until_stopped("the first lists of workloads", async move {
            join_all(of_workloads).await;
            judge.workloads_listed();
            pending::<()>().await;
        });
        if self.settings.conventions.namespaces.is_some() {
            let selected = selected::list(Arc::clone(watches), everywhere);
            self.until_stopped("selected namespaces", selected);
        }
        join_all(lists).map(drop).boxed()
    }

    /// Returns the kinds that every cluster has, without namespaces.
    fn everywhere(&self) -> Vec<Watched> {
        let ignored = self.settings.conventions.ignored;
        let sources = SourceKind::ALL.into_iter();
        let sources = sources.filter(|kind| kind.is_readable() && !ignored.contains(*kind));
        let kinds = self
            .settings
            .cluster
            .kinds
            .iter()
            .filter(|kind| !kind.optional);
        sources
            .map(Watched::Sources)
            .chain(kinds.map(Watched::Workloads))
            .collect()
    }

    /// Returns the kinds that not every cluster has.
    fn discovered(&self) -> Vec<DiscoveredKind> {
        let ignored = self.settings.conventions.ignored;
        let provided = !ignored.contains(SourceKind::SecretProviderClass);
        let provided = Part::ALL.into_iter().filter(|_| provided);
        let kinds = self
            .settings
            .cluster
            .kinds
            .iter()
            .filter(|kind| kind.optional);
        kinds
            .map(DiscoveredKind::Workload)
            .chain(provided.map(DiscoveredKind::Csi))
            .collect()
    }

    /// Returns the namespaces to watch, each on its own; a single `None` for all.
    fn within(&self) -> Vec<Option<String>> {
        match self.settings.cluster.namespaces.as_slice() {
            [] => vec![None],
            names => names.iter().cloned().map(Some).collect(),
        }
    }

    /// Starts to watch one kind. Returns a future that ends when its first list is complete.
    fn watch(&mut self, watches: &Arc<Watches>, what: Watched, readiness: &Readiness) -> Listed {
        let mut lists = Vec::new();
        for within in self.within() {
            let (listed, complete) = oneshot::channel();
            lists.push(complete);
            let watch = Watch {
                what,
                within,
                then: Then::Tell(listed),
            };
            let watches = Arc::clone(watches);
            self.until_stopped("a watch", async move {
                if what != Watched::Namespaces {
                    watches.namespaces.selection_known().await;
                }
                watch.run(watches).await;
            });
        }
        let listed = FirstList {
            what,
            part: readiness.part(what.list_name()),
            watching: Arc::clone(&watches.judge.teller.metrics.watching),
            // Labels of Namespaces are an addition where only some namespaces are watched: a Role cannot grant them.
            needed: what != Watched::Namespaces || self.settings.cluster.namespaces.is_empty(),
        };
        let (complete, refused) = oneshot::channel();
        let readiness = readiness.clone();
        self.until_stopped("a list that was refused", async move {
            // Nothing comes where the list is complete.
            if let Ok(listed) = refused.await {
                FirstList::recover(listed, &readiness).await;
            }
            pending::<()>().await;
        });
        let listed = async move {
            join_all(lists).await;
            if let Some(listed) = listed.complete() {
                // The task lives as long as reroll does.
                let _ = complete.send(listed);
            }
        };
        listed.boxed()
    }

    /// Follows a kind that may be absent. Returns a future that ends when it is known to be, or its first list is complete.
    fn follow(&mut self, watches: &Arc<Watches>, kind: DiscoveredKind) -> Listed {
        let interval = self.settings.cluster.discovery_interval;
        let mut answers = Vec::new();
        for within in self.within() {
            let (answered, answer) = oneshot::channel();
            answers.push(answer);
            let follow = discovery::follow(Arc::clone(watches), kind, within, interval, answered);
            self.until_stopped("a kind that may be absent", follow);
        }
        join_all(answers).map(drop).boxed()
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

/// Starts to publish Events, and to send alerts where the user configured them.
pub(super) fn spawn_events(
    settings: &Settings,
    clock: Clock,
    metrics: &Arc<Metrics>,
    cluster: &Cluster,
    tasks: &mut Tasks,
    stop: &CancellationToken,
) -> anyhow::Result<(EventSink, AlertSink)> {
    let (events, publisher) =
        events::channel(&settings.cluster.instance, clock, Arc::clone(metrics));
    let publish = publisher.run(cluster.client(), cluster.deadline(), stop.clone());
    tasks.spawn(async move {
        publish.await;
        ("event publisher", Ok(()))
    });
    let Some(settings) = settings.alerts.clone() else {
        return Ok((events, AlertSink::default()));
    };
    let (alerts, sender) = alerts::channel(settings, Arc::clone(metrics))?;
    let send = sender.run(stop.clone());
    tasks.spawn(async move {
        send.await;
        ("alerts", Ok(()))
    });
    Ok((events, alerts))
}

/// Starts to take part in the election of the leader, by a connection of its own. Returns what tells what people write on the
/// Lease.
pub(super) fn spawn_election(
    election: Election,
    connection: &Connection,
    tasks: &mut Tasks,
    stop: &CancellationToken,
) -> Notice {
    let (connection, stop, notice) = (connection.clone(), stop.clone(), election.notice());
    let in_process = connection.is_in_process();
    let elect = async move || {
        election.by(&connection.client()?).run(stop).await;
        Ok(())
    };
    tasks.spawn(async move {
        let elected = if in_process {
            elect().await
        } else {
            run_on_own_thread("lease", elect).await
        };
        ("leader election", elected)
    });
    notice
}

/// Starts to check the digest key. When a user replaced it, the task fails and so ends the process, which is to start
/// again.
pub(super) fn spawn_key_watch(watch: KeyWatch, tasks: &mut Tasks, stop: &CancellationToken) {
    let stop = stop.clone();
    tasks.spawn(async move {
        let watch = stop.run_until_cancelled(watch.run()).await;
        let ended = watch.map_or(Ok(()), |replaced| Err(replaced.into()));
        ("digest key", ended)
    });
}
