//! `reroll run`: wires everything together, and takes it apart again on SIGTERM.
//!
//! Order matters. The digest key comes first, for nothing can be digested without it; then watches and the webhook
//! start side by side; when all first lists are in, what was missed is reconciled. At the end reroll stops being ready
//! and to restart, and releases the Lease; admission is served on for a while, until nobody is sent here any more; then
//! its local registration is taken away, and calls in flight end. Every task is awaited here: the first that ends
//! unasked ends the process, with an error.

mod admission;
mod tasks;
mod thread;

use std::{sync::Arc, time::Duration};

use anyhow::{Context, bail};
use futures::future::BoxFuture;
use k8s_openapi::api::authentication::v1::SelfSubjectReview;
use kube::{Api, Client, api::PostParams};
use tokio::{
    signal::unix::{SignalKind, signal},
    sync::Mutex,
    task::JoinSet,
    time::{Instant, timeout},
};
use tokio_util::sync::CancellationToken;

use self::{
    admission::check_api_server,
    tasks::{Start, equipped, serve_health, spawn_election, spawn_key_watch},
};
use crate::{
    config::{ClusterSettings, Settings},
    controller::{
        Controller, digest_key,
        history::History,
        lease::{Election, LeaseSettings, Progress, Work},
        pulse::Pulses,
        restart::Probe,
        watch,
    },
    model::{DigestKey, Index, observed::FORMAT},
    ops::{
        events::{self, EventSink},
        health::{self, Health, Liveness, Readiness},
        metrics::{
            Metrics,
            views::{Indexed, Pending},
        },
    },
    state::{Clock, State, system_clock},
    webhook::{registration::Registration, server::Limits},
};

/// How often is looked whether first lists are complete, or API servers have taken up the registration.
const LOOK_EVERY: Duration = Duration::from_millis(20);

/// Ends when every first list is complete.
type Listed = BoxFuture<'static, ()>;

/// After this long without a sign of life a loop counts as hanging.
const STALLED: Duration = Duration::from_secs(10);

/// All tasks of the process, by name.
type Tasks = JoinSet<(&'static str, anyhow::Result<()>)>;

/// What is given to the program from outside, so that tests can give something else.
#[derive(Clone)]
pub struct Surroundings {
    /// Tells the time of day.
    pub clock: Clock,
    /// Is told of named moments of a write.
    pub probe: Probe,
    /// The format of `observed` that is written.
    pub format: u64,
}

impl Default for Surroundings {
    /// What the product runs with.
    fn default() -> Self {
        Self {
            clock: system_clock(),
            probe: Arc::new(|_| {}),
            format: FORMAT,
        }
    }
}

/// When what is to end.
#[derive(Clone, Default)]
struct Stop {
    /// What the leader does: restarts, writes, and leading itself. First, for another replica can go on at once.
    leading: CancellationToken,
    /// Not yet the webhook, but who calls it is to call another replica: API servers are slow to hear that this one is
    /// leaving, and those that have a connection do not ask.
    leaving: CancellationToken,
    /// Everything.
    all: CancellationToken,
}

/// Runs until SIGTERM or SIGINT.
///
/// # Errors
/// When it cannot start, or a task ends unasked.
pub async fn run(settings: Settings, surroundings: Surroundings) -> anyhow::Result<()> {
    let stop = Stop::default();
    let signals = [SignalKind::terminate(), SignalKind::interrupt()].map(signal);
    let [Ok(mut terminate), Ok(mut interrupt)] = signals else {
        bail!("cannot listen for signals")
    };
    let began = Instant::now();

    let mut tasks = Tasks::new();
    let parts = Parts::start(&settings, surroundings, &mut tasks, &stop);
    let parts = tokio::select! {
        parts = parts => parts?,
        _ = terminate.recv() => return Ok(()),
        _ = interrupt.recv() => return Ok(()),
    };
    let (parts, listed) = parts;
    let parts = Arc::new(parts);
    let started = Arc::clone(&parts).start_up(began, listed, stop.clone());
    tasks.spawn(async move { ("start-up", started.await) });

    let failed = tokio::select! {
        _ = terminate.recv() => None,
        _ = interrupt.recv() => None,
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
    parts.unregister(wait).await;
    stop.all.cancel();
    let end = async { while tasks.join_next().await.is_some() {} };
    if timeout(wait + Limits::default().drain, end).await.is_err() {
        tracing::warn!("tasks did not end in time");
    }
    match failed {
        Some(error) => Err(error),
        None => Ok(()),
    }
}

/// Waits for a task that ended although nobody asked it to.
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

/// What is needed after the start.
struct Parts {
    state: Arc<State>,
    controller: Arc<Controller>,
    digest_key: digest_key::Store,
    client: Client,
    readiness: Readiness,
    reconciled: health::ReadyPart,
    registration: Option<(Registration, health::ReadyPart)>,
    /// Held while the registration is written or taken away.
    registering: Mutex<()>,
    timeout: Duration,
}

impl Parts {
    async fn start(
        settings: &Settings,
        surroundings: Surroundings,
        tasks: &mut Tasks,
        stop: &Stop,
    ) -> anyhow::Result<(Self, Listed)> {
        let cluster = &settings.cluster;
        let wait = cluster.connection.request_timeout;
        let metrics = Arc::new(Metrics::new());
        let health = Health {
            readiness: Readiness::new(),
            liveness: Liveness::new(),
            metrics: Arc::clone(&metrics),
        };
        let starting = health
            .readiness
            .part("connection to the API server and digest key");
        let reconciled = health.readiness.part("start-up reconciliation");
        serve_health(settings.ops.http_listen, &health, tasks, &stop.all).await?;

        let config = cluster.connection.client_config().await?;
        let api_server = config.cluster_url.clone();
        check_api_server(settings.webhook.as_ref(), &api_server)?;
        let pulses = Pulses::default();
        let client = watch::client(config.clone(), &pulses)?;
        let own_user = own_user(&client, wait).await?;
        let lease = LeaseSettings {
            name: cluster.lease_name.clone(),
            duration: cluster.lease_duration,
        };
        let (election, leadership) = Election::new(
            client.clone(),
            &cluster.own_namespace,
            lease,
            cluster.instance.clone(),
            Arc::clone(&surroundings.clock),
            work(health.clone(), pulses),
        );
        let history = Arc::<History>::default();
        let election = election.with_history(Arc::clone(&history));
        spawn_election(election, tasks, &stop.leading);
        let store = digest_key::Store::new(
            client.clone(),
            &cluster.own_namespace,
            &cluster.digest_key_secret,
            wait,
        );
        let key = store.load_or_create(leadership.clone()).await?;
        let key = key.with_format(surroundings.format);
        tracing::info!(%api_server, user = own_user, digest_key = key.id(), "connected");
        let state = Arc::new(State::new(
            index(settings, key),
            surroundings.clock,
            Arc::clone(&metrics),
            own_user,
        ));
        let sink = spawn_events(cluster, &metrics, &client, tasks, &stop.all);
        let controller = Controller::new(
            Arc::clone(&state),
            client.clone(),
            settings.restarts.clone(),
            wait,
            sink,
            leadership.clone(),
            health.liveness.heartbeat("restarts", STALLED),
        );
        let controller = equipped(controller, settings, &client, tasks, &stop.all)?;
        let controller = controller.with_history(history);
        let controller = Arc::new(controller.with_probe(surroundings.probe));
        spawn_key_watch(&controller, store.clone(), tasks, &stop.all);
        let start = Start {
            controller: &controller,
            cluster,
            client: &client,
            tasks,
            stop,
        };
        let listed = start.all(&health.readiness);
        view(&metrics, &state, &controller);
        let mut parts = Self {
            state,
            controller,
            digest_key: store,
            client,
            readiness: health.readiness.clone(),
            reconciled,
            registration: None,
            registering: Mutex::default(),
            timeout: wait,
        };
        if let Some(webhook) = &settings.webhook {
            let webhook = parts.start_webhook(webhook, cluster, config, tasks, stop);
            parts.registration = webhook.await?;
        }
        starting.ready();
        Ok((parts, listed))
    }

    /// What is left to do when all tasks run: tells the API server of the webhook, and reconciles what was missed.
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
        self.controller.settle_key(&self.digest_key).await;
        self.controller.reconcile_start(began);
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

/// An index that knows nothing yet but what was agreed on.
fn index(settings: &Settings, key: DigestKey) -> Index {
    Index::new(key)
        .with_conventions(Arc::new(settings.conventions.clone()))
        .with_kinds(settings.cluster.kinds.clone())
}

/// Starts to publish Events.
fn spawn_events(
    cluster: &ClusterSettings,
    metrics: &Arc<Metrics>,
    client: &Client,
    tasks: &mut Tasks,
    stop: &CancellationToken,
) -> EventSink {
    let (sink, publisher) = events::channel(&cluster.instance, Arc::clone(metrics));
    let wait = cluster.connection.request_timeout;
    let publish = publisher.run(client.clone(), wait, stop.clone());
    tasks.spawn(async move {
        publish.await;
        ("event publisher", Ok(()))
    });
    sink
}

/// Whether this replica can lead. The pulse of watches is no part of liveness: a process that starts again would meet
/// the same API server.
fn work(health: Health, pulses: Pulses) -> Work {
    let began = Instant::now();
    Arc::new(move || {
        let hanging = health.liveness.failures();
        if !hanging.is_empty() {
            return Progress::None(hanging);
        }
        let mut why = pulses.stalled();
        if began.elapsed() > Pulses::STALLED {
            why.extend(health.readiness.missing());
        }
        if why.is_empty() {
            Progress::Good
        } else {
            Progress::Impaired(why)
        }
    })
}

fn view(metrics: &Metrics, state: &Arc<State>, controller: &Arc<Controller>) {
    let index = Arc::clone(state);
    metrics.view_indexed(move || {
        let index = index.index();
        let (sources, workloads) = index.size();
        Indexed {
            sources: sources as u64,
            workloads: workloads as u64,
            under_previous_key: index.under_previous_key() as u64,
        }
    });
    let controller = Arc::clone(controller);
    metrics.view_pending(move || {
        let (intents, oldest, mut held_back) = controller.intents().pending();
        held_back.push(("recreating", controller.recreating() as u64));
        Pending {
            intents: intents as u64,
            oldest: oldest.map(|at| at.elapsed()),
            held_back,
        }
    });
}

/// Who the API server takes us for; an error where it does not say so within `wait`.
pub async fn own_user(client: &Client, wait: Duration) -> anyhow::Result<String> {
    let api = Api::<SelfSubjectReview>::all(client.clone());
    let review = timeout(
        wait,
        api.create(&PostParams::default(), &SelfSubjectReview::default()),
    )
    .await;
    let review = review
        .context("the API server did not answer in time")?
        .context("cannot reach the API server")?;
    let user = review
        .status
        .and_then(|status| status.user_info)
        .and_then(|user| user.username);
    user.context(
        "the API server does not say who we are (SelfSubjectReview, Kubernetes 1.28 or newer)",
    )
}
