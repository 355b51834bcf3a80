//! `reroll run`: wires everything together, and takes it apart again on SIGTERM.
//!
//! The order of the start matters. The digest key comes first, because nothing can be digested without it. Then watches
//! and the webhook start side by side. When all first lists are complete, what was missed is reconciled.
//!
//! The order of the end matters too:
//! 1. reroll stops to be ready and to restart, and releases the Lease.
//! 2. It serves admission for a while longer, until API servers send no more reviews here.
//! 3. It removes its local registration, and calls in flight end.
//!
//! Every task is awaited here. The first task that ends unasked ends the process with an error.

mod absent;
mod admission;
mod doors;
mod files;
mod first;
mod lists;
mod patience;
mod presence;
mod signals;
mod surroundings;
mod tasks;
mod thread;
mod views;

use std::{pin::pin, sync::Arc, time::Duration};

use tokio::{
    sync::Mutex,
    time::{Instant, timeout},
};
use tokio_util::sync::CancellationToken;

use self::{
    admission::check_api_server,
    first::load_key,
    tasks::{
        Listed, Start, Stop, Tasks, serve_health, spawn_election, spawn_events, spawn_key_watch,
    },
};
pub use self::{
    doors::{ApiService, Doors, InProcess},
    first::own_user,
    surroundings::Surroundings,
};
use crate::{
    build::{COMMIT, VERSION},
    cluster::{
        Cluster,
        history::History,
        lease::{Election, Leadership, LeaseSettings, Progress, Work},
        liveness::Liveness,
        own::digest_key::{self, Replaced},
        reach::Reach,
    },
    config::Settings,
    judge::{Judge, live::Live},
    model::{DigestKey, Index},
    ops::{
        health::{self, Health, Liveness as Beats, Readiness},
        metrics::Metrics,
        teller::Teller,
    },
    state::State,
    watch::digest_key::KeyWatch,
    webhook::{presence::Presence, registration::Registration, server::Limits},
};

/// How often reroll checks whether first lists are complete, or API servers have taken up the registration.
const LOOK_EVERY: Duration = Duration::from_millis(20);

/// The time without a sign of life after which a loop counts as hanging.
const STALLED: Duration = Duration::from_secs(10);

/// Runs until SIGTERM or SIGINT.
///
/// # Errors
/// When it cannot start, or a task ends unasked.
pub async fn run(settings: Settings, surroundings: Surroundings) -> anyhow::Result<()> {
    let asked = signals::asked()?;
    files::allow_open_files();
    run_until(settings, surroundings, asked).await
}

/// Runs until it is asked to end.
///
/// # Errors
/// When it cannot start, or a task ends unasked.
pub async fn run_until(
    settings: Settings,
    surroundings: Surroundings,
    asked: impl Future<Output = ()>,
) -> anyhow::Result<()> {
    let stop = Stop::default();
    let mut asked = pin!(asked);
    let began = Instant::now();

    tracing::info!(version = VERSION, commit = COMMIT, "starting");
    for (flag, by) in &settings.restarts.replaced {
        tracing::warn!(
            flag,
            by,
            "a flag does nothing any more: another took its place"
        );
    }
    let mut tasks = Tasks::new();
    let parts = Parts::start(&settings, surroundings, &mut tasks, &stop);
    let parts = tokio::select! {
        parts = parts => parts?,
        () = &mut asked => return Ok(()),
    };
    let (parts, listed) = parts;
    let parts = Arc::new(parts);
    let configurations = Arc::clone(&parts).follow_configurations(stop.leading.clone());
    tasks.spawn(async move {
        configurations.await;
        ("webhook configurations", Ok(()))
    });
    let started = Arc::clone(&parts).start_up(began, listed, stop.clone());
    let (namespaces, kinds) = (&settings.cluster.namespaces, &settings.cluster.kinds);
    let told = absent::tell(parts.cluster.clone(), namespaces.clone(), kinds.clone());
    let told = stop.all.clone().run_until_cancelled_owned(told);
    tasks.spawn(async move { ("start-up", tokio::join!(started, told).0) });

    let failed = tokio::select! {
        () = asked => None,
        failed = first_failure(&mut tasks) => Some(failed),
    };
    tracing::info!("stopping");
    parts.readiness.drain();
    stop.leading.cancel();
    stop.leaving.cancel();
    if failed.is_none() {
        tokio::time::sleep(settings.ops.drain_delay).await;
    }
    let wait = settings.cluster.connection.request_timeout;
    parts.unregister().await;
    stop.all.cancel();
    let end = async { while tasks.join_next().await.is_some() {} };
    if timeout(wait + Limits::default().drain, end).await.is_err() {
        tracing::warn!("tasks did not end in time");
    }
    match failed {
        Some(error) if is_rotation(&error) => {
            tracing::info!(
                "the digest key is rotated: this process ends well, and its next start takes the new key (the kubelet starts it again; \
                 outside of a cluster, you do)"
            );
            Ok(())
        }
        Some(error) => Err(error),
        None => Ok(()),
    }
}

/// Whether a process ends because somebody rotates the digest key as the runbook says. That is no failure.
fn is_rotation(error: &anyhow::Error) -> bool {
    let replaced = error.downcast_ref::<Replaced>();
    replaced.is_some_and(|replaced| replaced.planned)
}

/// Waits for a task that ends unasked. Returns its error.
async fn first_failure(tasks: &mut Tasks) -> anyhow::Error {
    while let Some(ended) = tasks.join_next().await {
        match ended {
            Ok(("start-up", Ok(()))) => {}
            Ok((name, Ok(()))) => return anyhow::anyhow!("{name} ended"),
            Ok((name, Err(error))) => return error.context(format!("{name} failed")),
            Err(error) if error.is_panic() => return anyhow::anyhow!("a task broke down"),
            Err(_) => {}
        }
    }
    anyhow::anyhow!("all tasks ended")
}

/// The parts that are needed after the start.
struct Parts {
    state: Arc<State>,
    metrics: Arc<Metrics>,
    judge: Arc<Judge>,
    leadership: Leadership,
    key_watch: KeyWatch,
    cluster: Cluster,
    readiness: Readiness,
    reconciled: health::ReadyPart,
    registration: Option<(Registration, health::ReadyPart)>,
    presence: Option<Presence>,
    /// Locked while the registration is written or removed.
    registering: Mutex<()>,
}

impl Parts {
    async fn start(
        settings: &Settings,
        surroundings: Surroundings,
        tasks: &mut Tasks,
        stop: &Stop,
    ) -> anyhow::Result<(Self, Listed)> {
        let own = &settings.cluster;
        let metrics = views::metrics(settings);
        let health = Health {
            readiness: Readiness::new(),
            liveness: Beats::new(),
            metrics: Arc::clone(&metrics),
        };
        let starting = health
            .readiness
            .part("connection to the API server and digest key");
        let reconciled = health.readiness.part("start-up reconciliation");
        let (doors, http) = (&surroundings.doors, settings.ops.http_listen);
        serve_health(doors, http, &health, tasks, &stop.all).await?;
        let connection = surroundings.doors.connect(&own.connection).await?;
        let api_server = connection.api_server();
        check_api_server(settings.webhook.as_ref(), &api_server)?;
        let liveness = Liveness::default();
        let cluster = Cluster::new(
            connection.watching(&liveness)?,
            own.connection.request_timeout,
        )
        .with_watches(liveness.clone())
        .with_reach(Reach::new(&api_server));
        let own_user = first::own_user(&cluster).await?;
        let history = Arc::<History>::default();
        let (election, leadership) = Election::new(
            &cluster,
            &own.own_namespace,
            LeaseSettings {
                name: own.lease_name.clone(),
                duration: own.lease_duration,
            },
            own.instance.clone(),
            Arc::clone(&surroundings.clock),
            work(health.clone(), liveness),
        );
        let election = election.with_history(Arc::clone(&history));
        let notice = spawn_election(election, &connection, tasks, &stop.leading);
        let store =
            digest_key::Store::new(cluster.clone(), &own.own_namespace, &own.digest_key_secret);
        let key = load_key(&store, &leadership, &surroundings.chance).await?;
        let key = key.with_format(surroundings.format);
        tracing::info!(%api_server, user = own_user, digest_key = key.id(), "connected");
        let index = index(settings, key);
        let state = State::new(index, surroundings.clock, own_user);
        let state = Arc::new(state.trying_again(surroundings.try_again));
        let clock = Arc::clone(&state.setup.clock);
        let (events, alerts) = spawn_events(settings, clock, &metrics, &cluster, tasks, &stop.all)?;
        let teller = Teller::new(
            Arc::clone(&metrics),
            events,
            alerts,
            leadership.clone(),
            Arc::clone(&state),
        );
        let restarts = settings.restarts.judge.clone();
        let judge = Judge::new(Arc::clone(&state), teller, history, restarts);
        let judge = Arc::new(judge);
        judge.hear(&notice);
        let key_watch = KeyWatch {
            judge: Arc::clone(&judge),
            store,
        };
        spawn_key_watch(key_watch.clone(), tasks, &stop.all);
        let live = Live {
            judge: Arc::clone(&judge),
            cluster: cluster.clone(),
        };
        let start = Start {
            live,
            leadership: leadership.clone(),
            settings,
            tasks,
            stop,
        };
        let heartbeat = health.liveness.heartbeat("restarts", STALLED);
        let (jobs, listed) = start.all(&health.readiness, heartbeat, surroundings.probe);
        views::show(&metrics, &state, &judge, jobs, leadership.clone());
        let mut parts = Self {
            state,
            metrics,
            judge,
            leadership,
            key_watch,
            cluster,
            readiness: health.readiness.clone(),
            reconciled,
            registration: None,
            presence: None,
            registering: Mutex::default(),
        };
        if let Some(webhook) = &settings.webhook {
            parts.presence = presence::of(webhook, &parts, &connection);
            let webhook = parts.start_webhook(webhook, own, connection, tasks, stop);
            parts.registration = webhook.await?;
        }
        starting.ready();
        Ok((parts, listed))
    }

    /// Does what is left when all tasks run: registers the webhook with the API server, and reconciles what was missed.
    async fn start_up(
        self: Arc<Self>,
        began: Instant,
        listed: Listed,
        stop: Stop,
    ) -> anyhow::Result<()> {
        self.register(&stop.leading).await?;
        self.reconcile(began, listed, stop.all).await;
        Ok(())
    }

    async fn reconcile(&self, began: Instant, listed: Listed, stop: CancellationToken) {
        if stop.run_until_cancelled(listed).await.is_none() {
            return;
        }
        self.key_watch.settle().await;
        self.judge.reconcile_start(began);
        self.reconciled.ready();
        if let Some((registration, part)) = &self.registration
            && stop
                .run_until_cancelled(self.probe(registration))
                .await
                .is_some()
        {
            part.ready();
        }
        if self.readiness.is_ready() {
            tracing::info!("ready");
        }
    }
}

/// Returns an index that knows only the setup.
fn index(settings: &Settings, key: DigestKey) -> Index {
    Index::new(key)
        .with_conventions(Arc::new(settings.conventions.clone()))
        .with_kinds(settings.cluster.kinds.clone())
}

/// Returns what tells the election how well this replica works. Watches that have stalled make it offer the Lease, but
/// do not fail its liveness: a process that starts again would meet the same API server.
fn work(health: Health, watches: Liveness) -> Work {
    let began = Instant::now();
    Arc::new(move || {
        let hanging = health.liveness.failures();
        if !hanging.is_empty() {
            return Progress::None(hanging);
        }
        let mut why = watches.stalled();
        if began.elapsed() > Liveness::STALLED {
            why.extend(health.readiness.unseen());
        }
        if why.is_empty() {
            Progress::Good
        } else {
            Progress::Impaired(why)
        }
    })
}
