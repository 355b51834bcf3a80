//! `reroll run`: wires everything together, and takes it apart again on SIGTERM.
//!
//! Order matters. The digest key comes first, for nothing can be digested without it; then watches and the webhook
//! start side by side; when all first lists are in, what was missed is reconciled. At the end reroll stops being ready,
//! serves on for a while, takes its local registration away, and lets calls in flight end. Every task is awaited here:
//! the first that ends unasked ends the process, with an error.

use std::{
    sync::{Arc, atomic::Ordering},
    time::Duration,
};

use anyhow::{Context, bail};
use futures::{
    FutureExt,
    future::{BoxFuture, join_all},
};
use k8s_openapi::api::authentication::v1::SelfSubjectReview;
use kube::{Api, Client, api::PostParams};
use tokio::{
    net::TcpListener,
    signal::unix::{SignalKind, signal},
    sync::oneshot,
    task::JoinSet,
    time::{Instant, timeout},
};
use tokio_util::sync::CancellationToken;

use crate::{
    config::{ClusterSettings, LocalRegistration, Settings, WebhookSettings},
    controller::{
        Controller, digest_key,
        lease::{Election, LeaseSettings, Work},
        watch::{Watch, Watched},
    },
    model::{Index, SourceKind, workload::KINDS},
    ops::{
        events,
        health::{self, Health, Liveness, Readiness},
        metrics::{
            Metrics,
            views::{Indexed, Pending},
        },
    },
    state::{State, system_clock},
    webhook::{
        registration::Registration,
        routes::{Admission, router},
        server::{self, BodyLimits, BodyReader, ConnectionStats, Limits},
        tls::{self, CertificateFiles, CertificateResolver, SelfMade},
    },
};

/// How often is looked whether the first lists are complete, or an API server has taken up the registration.
const LOOK_EVERY: Duration = Duration::from_millis(20);

/// Ends when every first list is complete.
type Listed = BoxFuture<'static, ()>;

/// After this long without a sign of life a loop counts as hanging.
const STALLED: Duration = Duration::from_secs(10);

/// All tasks of the process, by name.
type Tasks = JoinSet<(&'static str, anyhow::Result<()>)>;

/// Runs until SIGTERM or SIGINT.
///
/// # Errors
/// When it cannot start, or a task ends unasked.
pub async fn run(settings: Settings) -> anyhow::Result<()> {
    let stop = CancellationToken::new();
    let signals = [SignalKind::terminate(), SignalKind::interrupt()].map(signal);
    let [Ok(mut terminate), Ok(mut interrupt)] = signals else {
        bail!("cannot listen for signals")
    };
    let began = Instant::now();

    let mut tasks = Tasks::new();
    let parts = Parts::start(&settings, &mut tasks, &stop);
    let parts = tokio::select! {
        parts = parts => parts?,
        _ = terminate.recv() => return Ok(()),
        _ = interrupt.recv() => return Ok(()),
    };
    let (parts, listed) = parts;
    let parts = Arc::new(parts);
    let reconciled = Arc::clone(&parts).reconcile(began, listed, stop.clone());
    tasks.spawn(async move {
        reconciled.await;
        ("start-up", Ok(()))
    });

    let failed = tokio::select! {
        _ = terminate.recv() => None,
        _ = interrupt.recv() => None,
        failed = first_failure(&mut tasks) => Some(failed),
    };
    tracing::info!("stopping");
    parts.readiness.drain();
    if failed.is_none() {
        tokio::time::sleep(settings.ops.drain_delay).await;
    }
    parts.unregister(settings.cluster.request_timeout).await;
    stop.cancel();
    let end = async { while tasks.join_next().await.is_some() {} };
    if timeout(
        settings.cluster.request_timeout + Limits::default().drain,
        end,
    )
    .await
    .is_err()
    {
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
    client: Client,
    readiness: Readiness,
    reconciled: health::ReadyPart,
    registration: Option<(Registration, health::ReadyPart)>,
    timeout: Duration,
}

impl Parts {
    async fn start(
        settings: &Settings,
        tasks: &mut Tasks,
        stop: &CancellationToken,
    ) -> anyhow::Result<(Self, Listed)> {
        let (cluster, wait) = (&settings.cluster, settings.cluster.request_timeout);
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
        let listener = bind(settings.ops.http_listen, "--http-listen").await?;
        tracing::info!(address = %listener.local_addr()?, "serving health and metrics");
        let serve = health::serve(listener, health.clone(), stop.clone());
        tasks.spawn(async move { ("health server", serve.await.map_err(Into::into)) });

        let config = cluster.client_config().await?;
        let api_server = config.cluster_url.clone();
        let client = Client::try_from(config)?;
        let own_user = own_user(&client, wait).await?;
        let liveness = health.liveness.clone();
        let lease = LeaseSettings {
            name: cluster.lease_name.clone(),
            duration: cluster.lease_duration,
        };
        let work: Work = Arc::new(move || liveness.failures().is_empty());
        let (election, leadership) = Election::new(
            client.clone(),
            &cluster.own_namespace,
            lease,
            cluster.instance.clone(),
            system_clock(),
            work,
        );
        let election = election.run(stop.clone());
        tasks.spawn(async move {
            election.await;
            ("leader election", Ok(()))
        });
        let key = digest_key::load_or_create(
            &client,
            &cluster.own_namespace,
            &cluster.digest_key_secret,
            wait,
            leadership.clone(),
        )
        .await?;
        tracing::info!(%api_server, user = own_user, digest_key = key.id(), "connected");
        let state = Arc::new(State::new(
            Index::new(key),
            system_clock(),
            Arc::clone(&metrics),
            own_user,
        ));
        let (sink, publisher) = events::channel(&cluster.instance, Arc::clone(&metrics));
        let events = publisher.run(client.clone(), wait, stop.clone());
        tasks.spawn(async move {
            events.await;
            ("event publisher", Ok(()))
        });
        let controller = Arc::new(Controller::new(
            Arc::clone(&state),
            client.clone(),
            settings.restarts.clone(),
            wait,
            sink,
            leadership.clone(),
            health.liveness.heartbeat("restarts", STALLED),
        ));
        let listed = spawn_controller(
            &controller,
            cluster,
            &client,
            &health.readiness,
            tasks,
            stop,
        );
        view(&metrics, &state, &controller);
        let mut parts = Self {
            state,
            controller,
            client,
            readiness: health.readiness.clone(),
            reconciled,
            registration: None,
            timeout: wait,
        };
        if let Some(webhook) = &settings.webhook {
            parts.registration = parts
                .start_webhook(webhook, cluster, &api_server.to_string(), tasks, stop)
                .await?;
        }
        starting.ready();
        Ok((parts, listed))
    }

    async fn start_webhook(
        &self,
        webhook: &WebhookSettings,
        cluster: &ClusterSettings,
        api_server: &str,
        tasks: &mut Tasks,
        stop: &CancellationToken,
    ) -> anyhow::Result<Option<(Registration, health::ReadyPart)>> {
        let now = (self.state.clock)();
        let listener = bind(webhook.listen, "--webhook-listen").await?;
        let address = listener.local_addr()?;
        let (resolver, authority) = match (&webhook.certificate, &webhook.local) {
            (Some(files), _) => {
                let files = CertificateFiles::load(&files.cert, &files.key, now).await?;
                let (resolver, stats, clock) = (
                    files.resolver(),
                    files.stats(),
                    Arc::clone(&self.state.clock),
                );
                self.state
                    .metrics
                    .view_certificate_reload_failures(move || stats.rejected());
                let follow = files.follow(webhook.tls_poll_interval, move || clock(), stop.clone());
                tasks.spawn(async move {
                    follow.await;
                    ("certificate watch", Ok(()))
                });
                (resolver, None)
            }
            (None, Some(local)) => {
                let made = SelfMade::for_host(local.url.host().unwrap_or("127.0.0.1"), now)?;
                (
                    Arc::new(CertificateResolver::new(made.certificate)),
                    Some(made.ca_pem),
                )
            }
            (None, None) => bail!("the webhook has no certificate: give --tls-cert and --tls-key"),
        };
        let expiry = Arc::clone(&resolver);
        self.state
            .metrics
            .view_certificate(move || Some(expiry.not_after()));
        let tls = tls::server_config(resolver, webhook.tls_min_version, None)?;
        let stats = Arc::new(ConnectionStats::default());
        let failures = Arc::clone(&stats);
        self.state
            .metrics
            .view_handshake_failures(move || failures.counts().handshake_failed);
        let bodies = BodyReader::new(BodyLimits {
            largest: webhook.max_body,
            ..BodyLimits::default()
        });
        let admission = Admission {
            state: Arc::clone(&self.state),
            client: self.client.clone(),
            get_budget: webhook.get_budget,
            bodies,
        };
        let limits = Limits {
            shutdown_delay: Duration::ZERO,
            ..Limits::default()
        };
        tracing::info!(%address, "serving admission reviews");
        let serve = server::serve(
            listener,
            tls,
            router(admission),
            limits,
            stats,
            stop.clone(),
        );
        tasks.spawn(async move { ("webhook server", serve.await.map_err(Into::into)) });
        let Some(local) = &webhook.local else {
            return Ok(None);
        };
        let part = self.readiness.part("webhook registration");
        let registration = self
            .register(local, cluster, api_server, authority, address.port())
            .await?;
        Ok(Some((registration, part)))
    }

    async fn register(
        &self,
        local: &LocalRegistration,
        cluster: &ClusterSettings,
        api_server: &str,
        authority: Option<String>,
        port: u16,
    ) -> anyhow::Result<Registration> {
        let loopback = [
            "https://127.",
            "https://localhost",
            "https://[::1]",
            "http://127.",
            "http://localhost",
            "http://[::1]",
        ];
        if !local.allow_remote_api_server
            && !loopback.iter().any(|start| api_server.starts_with(start))
        {
            bail!(
                "--webhook-url would register a webhook on this machine with the API server {api_server}, which is not \
                 on it: install the chart there, or say --allow-remote-api-server"
            );
        }
        let host = local.url.host().unwrap_or("127.0.0.1");
        let port = local
            .url
            .port_u16()
            .filter(|port| *port != 0)
            .unwrap_or(port);
        let registration = Registration {
            name: local.name.clone(),
            url: format!("https://{host}:{port}"),
            authority: authority.context(
                "--webhook-url makes its own certificate: leave --tls-cert and --tls-key out",
            )?,
            namespaces: cluster.namespaces.clone(),
            own_namespace: cluster.own_namespace.clone(),
            own_user: self.state.own_user.clone(),
        };
        registration.apply(&self.client, self.timeout).await?;
        tracing::info!(
            name = registration.name,
            url = registration.url,
            "registered the webhooks"
        );
        Ok(registration)
    }

    async fn reconcile(self: Arc<Self>, began: Instant, listed: Listed, stop: CancellationToken) {
        if stop.run_until_cancelled(listed).await.is_none() {
            return;
        }
        self.controller.reconcile_start(began);
        self.reconciled.ready();
        if let Some((registration, part)) = &self.registration {
            if stop
                .run_until_cancelled(self.probe(registration))
                .await
                .is_some()
            {
                part.ready();
            }
        }
        if self.readiness.is_ready() {
            tracing::info!("ready");
        }
    }

    /// Waits until the API server calls the webhook.
    async fn probe(&self, registration: &Registration) {
        let namespace = registration
            .namespaces
            .first()
            .map_or("default", String::as_str);
        let seen = || self.state.reviews.load(Ordering::Relaxed);
        let before = seen();
        while seen() == before {
            if let Err(error) = registration
                .probe(&self.client, namespace, self.timeout)
                .await
            {
                tracing::debug!(%error, "could not probe the webhook");
            }
            tokio::time::sleep(LOOK_EVERY).await;
        }
    }

    async fn unregister(&self, wait: Duration) {
        if let Some((registration, _)) = &self.registration {
            match registration.remove(&self.client, wait).await {
                Ok(()) => tracing::info!(
                    name = registration.name,
                    "took the webhook registration away"
                ),
                Err(error) => {
                    tracing::warn!(%error, "the webhook registration is left behind; the next start takes it over")
                }
            }
        }
    }
}

fn spawn_controller(
    controller: &Arc<Controller>,
    cluster: &ClusterSettings,
    client: &Client,
    readiness: &Readiness,
    tasks: &mut Tasks,
    stop: &CancellationToken,
) -> Listed {
    let sources = SourceKind::ALL.map(Watched::Sources);
    let what = sources
        .into_iter()
        .chain(KINDS.iter().map(Watched::Workloads))
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
            let stop = stop.clone();
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
    let restarts = Arc::clone(controller).restart_due(stop.clone());
    let house = Arc::clone(controller).keep_house(stop.clone());
    let sweep = Arc::clone(controller).sweep(stop.clone());
    let provisional = Arc::clone(controller).confirm_provisional(stop.clone());
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

fn view(metrics: &Metrics, state: &Arc<State>, controller: &Arc<Controller>) {
    let index = Arc::clone(state);
    metrics.view_indexed(move || {
        let (sources, workloads) = index.index().size();
        Indexed {
            sources: sources as u64,
            workloads: workloads as u64,
        }
    });
    let controller = Arc::clone(controller);
    metrics.view_pending(move || {
        let (intents, oldest, held_back) = controller.intents().pending();
        Pending {
            intents: intents as u64,
            oldest: oldest.map(|at| at.elapsed()),
            held_back,
        }
    });
}

async fn bind(address: std::net::SocketAddr, flag: &str) -> anyhow::Result<TcpListener> {
    TcpListener::bind(address)
        .await
        .with_context(|| format!("cannot listen on {address} ({flag})"))
}

/// Who the API server takes us for.
async fn own_user(client: &Client, wait: Duration) -> anyhow::Result<String> {
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
