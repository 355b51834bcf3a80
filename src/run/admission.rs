//! Starts the webhook server, and registers the webhook where no chart does.

use std::{
    error::Error as _,
    pin::pin,
    sync::{Arc, atomic::Ordering},
    time::Duration,
};

use anyhow::{Context, bail};
use axum::http::Uri;
use tokio::time::timeout;
use tokio_util::sync::CancellationToken;

use super::{
    LOOK_EVERY, Parts,
    doors::Connection,
    patience::patiently,
    tasks::{Stop, Tasks},
    thread::{bind, on_own_thread},
};
use crate::{
    cluster::{Cluster, Failure},
    config::ClusterSettings,
    ops::health,
    webhook::{
        certificates::{Hooks, KeptCertificates, KeptSettings},
        registration::{Registration, RegistrationError, is_loopback},
        routes::{Admission, router},
        server::{self, BodyLimits, BodyReader, Ending, Limits, Served},
        settings::{CertificateSource, LocalRegistration, WebhookSettings},
        tls::{self, CertificateFiles, CertificateResolver, SelfMade},
    },
};

/// The number of probes in a row that must cause no call until the webhook configurations count as gone. There are two
/// configurations, and a probe meets one of them.
const QUIET_PROBES: u32 = 5;
/// So many probes of a namespace without a call, and the next is probed: the API server may not ask about this one.
const PROBES_EACH: u32 = 50;
/// After how long a person is told that the API server does not call the webhook.
const CALLED_WITHIN: Duration = Duration::from_secs(5);
/// The longest wait for them.
const OUTLAST_AT_MOST: Duration = Duration::from_secs(5);

impl Parts {
    pub(super) async fn start_webhook(
        &self,
        webhook: &WebhookSettings,
        cluster: &ClusterSettings,
        connection: Connection,
        tasks: &mut Tasks,
        stop: &Stop,
    ) -> anyhow::Result<Option<(Registration, health::ReadyPart)>> {
        let bodies = BodyReader::new(BodyLimits {
            largest: webhook.max_body,
            ..BodyLimits::default()
        });
        let (get_budget, told) = (webhook.get_budget, webhook.told);
        let (shared, metrics) = (Arc::clone(&self.state), Arc::clone(&self.metrics));
        let reach = self.cluster.reach().clone();
        // The webhook needs a client of its own: the connections of the controller's client belong to the controller's
        // thread.
        let admission = move |connection: &Connection| {
            anyhow::Ok(Admission {
                state: shared,
                metrics,
                cluster: Cluster::new(connection.client()?, get_budget).with_reach(reach),
                get_budget,
                told,
                bodies,
            })
        };
        if let Connection::InProcess(doors) = &connection {
            (doors.webhook)(router(admission(&connection)?));
            return Ok(None);
        }
        let listener = bind(webhook.listen, "--webhook-listen").await?;
        let address = listener.local_addr()?;
        let (resolver, authority) = self.certificate(webhook, cluster, tasks, &stop.all).await?;
        let expiry = Arc::clone(&resolver);
        self.metrics
            .view_certificate(move || Some(expiry.not_after()));
        let clients = match &webhook.client_ca {
            Some(file) => Some(tls::clients_of(file).await.context("--client-ca")?),
            None => None,
        };
        let tls = tls::server_config(resolver, webhook.tls_min_version, clients)?;
        let metrics = Arc::clone(&self.metrics);
        let ending = Ending {
            leaving: stop.leaving.clone(),
            shutdown: stop.all.clone(),
        };
        tracing::info!(%address, "serving admission reviews");
        let serve = async move |listener| {
            let (router, limits) = (router(admission(&connection)?), Limits::default());
            let served = Served::Webhook(tls);
            Ok(server::serve(listener, served, router, limits, metrics, ending).await?)
        };
        tasks.spawn(async {
            (
                "webhook server",
                on_own_thread("webhook", listener, serve).await,
            )
        });
        let Some((local, authority)) = webhook.local().zip(authority) else {
            return Ok(None);
        };
        let part = self.readiness.part(health::REGISTRATION);
        let registration = self.registration(local, cluster, authority, address.port());
        Ok(Some((registration, part)))
    }

    /// Returns the certificate to serve and, if reroll made it just now, the authority that signed it in PEM.
    async fn certificate(
        &self,
        webhook: &WebhookSettings,
        cluster: &ClusterSettings,
        tasks: &mut Tasks,
        stop: &CancellationToken,
    ) -> anyhow::Result<(Arc<CertificateResolver>, Option<String>)> {
        let now = self.state.time();
        match &webhook.certificate {
            CertificateSource::Kept(kept) => {
                let resolver = self.kept(kept, cluster, webhook, tasks, stop).await;
                Ok((resolver, None))
            }
            CertificateSource::Files { cert, key } => {
                let metrics = Arc::clone(&self.metrics);
                let files = CertificateFiles::load(cert, key, metrics, now).await?;
                let (resolver, clock) = (files.resolver(), Arc::clone(&self.state.setup.clock));
                let follow = files.follow(webhook.tls_poll_interval, move || clock(), stop.clone());
                tasks.spawn(async move {
                    follow.await;
                    ("certificate watch", Ok(()))
                });
                Ok((resolver, None))
            }
            CertificateSource::MadeFor(local) => {
                let made = SelfMade::for_host(local.url.host().unwrap_or("127.0.0.1"), now)?;
                let resolver = CertificateResolver::new(made.certificate);
                Ok((Arc::new(resolver), Some(made.ca_pem)))
            }
        }
    }

    async fn kept(
        &self,
        settings: &KeptSettings,
        cluster: &ClusterSettings,
        webhook: &WebhookSettings,
        tasks: &mut Tasks,
        stop: &CancellationToken,
    ) -> Arc<CertificateResolver> {
        let (leadership, metrics) = (self.leadership.clone(), Arc::clone(&self.metrics));
        let mut kept = KeptCertificates::new(
            self.cluster.clone(),
            &cluster.own_namespace,
            settings.clone(),
            Hooks {
                leads: Arc::new(move || leadership.leads()),
                clock: Arc::clone(&self.state.setup.clock),
                repaired: Arc::new(move |why| metrics.certificate_repaired(why)),
            },
        );
        let resolver = kept.first(LOOK_EVERY).await;
        let follow = Box::pin(kept.follow(Arc::clone(&resolver), webhook.tls_poll_interval));
        let stop = stop.clone();
        tasks.spawn(async move {
            stop.run_until_cancelled(follow).await;
            ("certificates", Ok(()))
        });
        resolver
    }

    fn registration(
        &self,
        local: &LocalRegistration,
        cluster: &ClusterSettings,
        authority: String,
        port: u16,
    ) -> Registration {
        let host = local.url.host().unwrap_or("127.0.0.1");
        let port = local
            .url
            .port_u16()
            .filter(|port| *port != 0)
            .unwrap_or(port);
        Registration {
            name: local.name.clone(),
            url: format!("https://{host}:{port}"),
            authority,
            namespaces: cluster.namespaces.clone(),
            own_namespace: cluster.own_namespace.clone(),
            own_user: self.state.setup.own_user.clone(),
            kinds: self.state.setup.kinds.clone(),
            conventions: Arc::clone(&self.state.setup.conventions),
        }
    }

    /// Registers the webhook with the API server, unless reroll is stopping.
    pub(super) async fn register(&self, stop: &CancellationToken) -> anyhow::Result<()> {
        let Some((registration, _)) = &self.registration else {
            return Ok(());
        };
        let _written = self.registering.lock().await;
        if stop.is_cancelled() {
            return Ok(());
        }
        let write = || registration.apply(&self.cluster);
        let passes = |error: &RegistrationError| {
            let failure = error.source().and_then(|source| source.downcast_ref());
            !stop.is_cancelled() && failure.is_some_and(Failure::passes)
        };
        patiently("register the webhooks", passes, write).await?;
        tracing::info!(
            name = registration.name,
            url = registration.url,
            "registered the webhooks"
        );
        Ok(())
    }

    /// Waits until the API server calls the webhook. Says so when that takes long.
    pub(super) async fn probe(&self, registration: &Registration) {
        let mut called = pin!(self.called(registration));
        if timeout(CALLED_WITHIN, &mut called).await.is_err() {
            tracing::warn!("{}", not_called(&registration.url));
            called.await;
        }
    }

    /// Probes until the API server calls the webhook, in another namespace after each failure, and where nothing comes of many.
    async fn called(&self, registration: &Registration) {
        let seen = || self.state.reviews.load(Ordering::Relaxed);
        let before = seen();
        let (mut turn, mut quiet) = (0, 0);
        while seen() == before {
            let namespace = registration.probed_namespace(&self.state.index(), turn);
            let Some(namespace) = namespace else {
                tracing::info!("no namespace is selected yet, so the webhook cannot be tested");
                return;
            };
            if let Err(error) = registration.probe(&self.cluster, &namespace).await {
                tracing::debug!(namespace, %error, "could not probe the webhook");
                turn += 1;
            } else {
                quiet += 1;
                turn += usize::from(quiet % PROBES_EACH == 0);
            }
            tokio::time::sleep(LOOK_EVERY).await;
        }
    }

    pub(super) async fn unregister(&self) {
        if let Some((registration, _)) = &self.registration {
            // A registration that is being written is complete before it is removed.
            let _written = self.registering.lock().await;
            match registration.remove(&self.cluster).await {
                Ok(()) => {
                    tracing::info!(name = registration.name, "removed the webhook registration");
                    self.outlast(registration).await;
                }
                Err(error) => {
                    tracing::warn!(%error, "could not remove the webhook registration; the next start takes it over");
                }
            }
        }
    }
}

impl Parts {
    /// Waits until the API server calls no more. It takes up some time after their end that the configurations are
    /// gone. A call that then finds no webhook would be an error for the user if a user has set `failurePolicy: Fail`.
    async fn outlast(&self, registration: &Registration) {
        let seen = || self.state.reviews.load(Ordering::Relaxed);
        let Some(namespace) = registration.probed_namespace(&self.state.index(), 0) else {
            return;
        };
        let still = async {
            let mut quiet = 0;
            while quiet < QUIET_PROBES {
                let before = seen();
                let probe = registration.probe(&self.cluster, &namespace);
                if probe.await.is_err() {
                    return;
                }
                tokio::time::sleep(LOOK_EVERY).await;
                quiet = if seen() == before { quiet + 1 } else { 0 };
            }
        };
        if timeout(OUTLAST_AT_MOST, still).await.is_err() {
            tracing::warn!("the API server still calls the webhook, although it ends now");
        }
    }
}

/// Refuses to register a webhook on this machine with an API server on another one, unless a flag allows it.
pub(super) fn check_api_server(
    webhook: Option<&WebhookSettings>,
    api_server: &Uri,
) -> anyhow::Result<()> {
    let local = webhook.and_then(WebhookSettings::local);
    if local.is_some_and(|local| !local.allow_remote_api_server) && !is_loopback(api_server) {
        bail!(
            "--webhook-url would register a webhook on this machine with the API server {api_server}, which is not on \
             it: install the chart there, or say --allow-remote-api-server"
        );
    }
    Ok(())
}

/// Returns what a person is told where the API server does not call the webhook.
fn not_called(url: &str) -> String {
    format!(
        "the API server has not called the webhook at {url} yet: --webhook-url must be an address that it can reach; the API server of kind \
         and minikube runs in a container or a machine of its own, where 127.0.0.1 is not this machine: give this machine's address as they see \
         it (kind: the gateway of `docker network inspect kind`; minikube: host.minikube.internal) and --webhook-listen 0.0.0.0:PORT"
    )
}
