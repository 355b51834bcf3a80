//! From what a person typed to settings.

use std::time::Duration;

use jiff::SignedDuration;
use kube::core::Selector;

use super::{
    args::{
        ClusterArgs, OpsArgs, RestartArgs, RunArgs, conventions::ConventionArgs,
        webhook::WebhookArgs,
    },
    error::ConfigError,
    kinds::KindSpec,
    settings::{ClusterSettings, RestartSettings, Settings},
};
use crate::{
    cluster::connection::ConnectionSettings,
    judge::{
        self, brakes,
        bucket::{Bounds, Pacing},
    },
    model::{
        Conventions,
        annotation::reloader,
        brake::verdict::Patience,
        conventions::Vocabulary,
        source::{ReloaderKeys, SourceKind},
        workload::{KINDS, Kinds, NAMED},
    },
    ops::{OpsSettings, logging::LogSettings},
    webhook::{
        certificates::{KeptSettings, Lifetimes},
        settings::{CertificateSource, LocalRegistration, WebhookSettings},
    },
};

/// # Errors
/// When flags make no sense together.
impl TryFrom<RunArgs> for Settings {
    type Error = ConfigError;

    fn try_from(args: RunArgs) -> Result<Self, ConfigError> {
        let webhook = args.webhook.settings()?;
        let some_namespaces = !args.cluster.namespaces.is_empty();
        if some_namespaces && !args.conventions.ignore_namespaces.is_empty() {
            return Err(ConfigError::NamespacesAndIgnored);
        }
        if some_namespaces && selective(args.conventions.namespace_selector.clone()).is_some() {
            return Err(ConfigError::NamespacesAndSelector);
        }
        Ok(Self {
            webhook,
            conventions: args.conventions.try_into()?,
            restarts: args.restarts.try_into()?,
            cluster: args.cluster.try_into()?,
            doubts: args.alerts.doubt().into_iter().collect(),
            alerts: args.alerts.settings()?,
            ops: args.ops.into(),
        })
    }
}

impl ClusterArgs {
    /// Returns the table of kinds.
    fn kinds(&self) -> Result<Kinds, ConfigError> {
        let wanted = NAMED.iter().map(|(kind, _)| *kind);
        let wanted = wanted.filter(|kind| self.optional_kinds.contains(&Some(*kind)));
        let configured = self.workload_kind.iter().flatten().cloned();
        let rows = KINDS.iter().chain(wanted);
        rows.chain(configured.map(KindSpec::row))
            .try_fold(Kinds::none(), |kinds, row| {
                let twice = || ConfigError::KindTwice(format!("{}/{}", row.group, row.kind));
                kinds.with(row).map_err(|_| twice())
            })
    }
}

impl TryFrom<ClusterArgs> for ClusterSettings {
    type Error = ConfigError;

    fn try_from(args: ClusterArgs) -> Result<Self, ConfigError> {
        let kinds = args.kinds()?;
        let mut namespaces = args.namespaces;
        namespaces.retain(|name| !name.is_empty());
        namespaces.sort_unstable();
        namespaces.dedup();
        let instance = args
            .instance
            .filter(|name| !name.is_empty())
            .unwrap_or_else(|| format!("{}-{}", args.hostname, std::process::id()));
        Ok(Self {
            connection: ConnectionSettings {
                kubeconfig: args.kubeconfig,
                context: args.context,
                request_timeout: args.request_timeout,
            },
            namespaces,
            kinds,
            discovery_interval: args.discovery_interval,
            own_namespace: args.own_namespace,
            lease_name: args.lease_name,
            lease_duration: args.lease_duration,
            digest_key_secret: args.digest_key_secret,
            instance,
        })
    }
}

/// Returns the selector where it leaves anything out.
fn selective(selector: Option<Selector>) -> Option<Selector> {
    selector.filter(|selector| !selector.selects_all())
}

const SECRET: &ReloaderKeys = SourceKind::Secret.reloader();
const CONFIG_MAP: &ReloaderKeys = SourceKind::ConfigMap.reloader();

impl TryFrom<ConventionArgs> for Conventions {
    type Error = ConfigError;

    fn try_from(args: ConventionArgs) -> Result<Self, ConfigError> {
        let ignores = |kind| args.ignore_resources.contains(&kind);
        if SourceKind::ALL.into_iter().all(ignores) {
            return Err(ConfigError::EverythingIgnored);
        }
        let names = [
            (reloader::AUTO, args.auto_annotation),
            (CONFIG_MAP.auto, args.configmap_auto_annotation),
            (SECRET.auto, args.secret_auto_annotation),
            (CONFIG_MAP.reload, args.configmap_annotation),
            (SECRET.reload, args.secret_annotation),
            (reloader::SEARCH, args.auto_search_annotation),
            (reloader::MATCH, args.search_match_annotation),
            (reloader::IGNORE, args.ignore_annotation),
            (reloader::PAUSE_PERIOD, args.pause_deployment_annotation),
        ];
        let given = names
            .into_iter()
            .filter_map(|(meant, name)| Some((meant, name?)));
        let vocabulary = given.fold(Vocabulary::default(), |all, (meant, name)| {
            all.with(meant, name)
        });
        let not_empty =
            |values: Vec<String>| values.into_iter().filter(|it| !it.is_empty()).collect();
        Ok(Self {
            vocabulary,
            all: args.auto_all,
            ignored: args.ignore_resources.into_iter().collect(),
            namespaces: selective(args.namespace_selector),
            sources: selective(args.source_selector),
            skipped_types: not_empty(args.skip_secret_types),
            on_recreate: args.on_recreate,
            on_delete: args.on_delete,
            change_cause: args.change_cause,
            name_writers: args.name_writers,
            ignored_namespaces: not_empty(args.ignore_namespaces),
        })
    }
}

impl RestartArgs {
    /// Returns for how long the pods of a restart are looked at.
    pub(super) fn patience(&self) -> Patience {
        Patience {
            soak: signed(self.soak),
            bake: signed(self.bake.max(self.soak)),
            deadline: signed(self.rollout_deadline),
        }
    }
}

impl TryFrom<RestartArgs> for RestartSettings {
    type Error = ConfigError;

    fn try_from(args: RestartArgs) -> Result<Self, ConfigError> {
        let (settle, max) = (args.settle, args.settle_max);
        if max < settle {
            return Err(ConfigError::SettleMax { settle, max });
        }
        let replaced = [
            args.workload_burst
                .map(|_| ("--workload-burst", "--max-distance")),
            args.workload_interval
                .map(|_| ("--workload-interval", "--max-distance")),
        ];
        let limit = |rate: f64| (rate > 0.0).then_some(rate);
        let bounds = Bounds {
            all: Pacing {
                rate: limit(args.restart_rate),
                burst: args.restart_burst,
            },
            rolling: (args.rolling_limit > 0).then_some(args.rolling_limit as usize),
        };
        Ok(Self {
            judge: judge::Settings {
                settle,
                settle_max: max,
                bounds,
                brakes: brakes::Settings {
                    slow_start: args.slow_start,
                    patience: args.patience(),
                    longest_distance: signed(args.max_distance),
                },
                adopt_rate: limit(args.adopt_rate),
                sweep_interval: args.sweep_interval,
            },
            concurrency: args.restart_concurrency.into(),
            replaced: replaced.into_iter().flatten().collect(),
        })
    }
}

/// Returns the same, signed: a duration that a flag can name fits.
fn signed(duration: Duration) -> SignedDuration {
    SignedDuration::try_from(duration).unwrap_or(SignedDuration::MAX)
}

impl WebhookArgs {
    /// Returns the settings; `None` where the user wants no webhook.
    fn settings(&self) -> Result<Option<WebhookSettings>, ConfigError> {
        let certificate = self.certificate()?;
        if self.no_webhook {
            return Ok(None);
        }
        Ok(Some(WebhookSettings {
            listen: self.webhook_listen,
            certificate: certificate.ok_or(ConfigError::NoCertificate)?,
            configurations: self.webhook_configurations.clone(),
            client_ca: self.client_ca.clone(),
            tls_min_version: self.tls_min_version,
            tls_poll_interval: self.tls_poll_interval,
            max_body: self.max_body,
            get_budget: self.get_budget,
            told: self.webhook_warnings,
        }))
    }

    /// Returns the one certificate that the flags name; `None` where they name none.
    fn certificate(&self) -> Result<Option<CertificateSource>, ConfigError> {
        let half = |given, missing| Err(ConfigError::HalfKeyPair { given, missing });
        let files = match (&self.tls_cert, &self.tls_key) {
            (Some(_), None) => return half("--tls-cert", "--tls-key"),
            (None, Some(_)) => return half("--tls-key", "--tls-cert"),
            (Some(cert), Some(key)) => Some(CertificateSource::Files {
                cert: cert.clone(),
                key: key.clone(),
            }),
            (None, None) => None,
        };
        let local = self.webhook_url.clone().map(|url| LocalRegistration {
            url,
            name: self.webhook_name.clone(),
            allow_remote_api_server: self.allow_remote_api_server,
        });
        match (self.kept()?, files, local) {
            (Some(_), Some(_), _) => Err(ConfigError::TwoCertificates("--tls-cert")),
            (Some(_), _, Some(_)) => Err(ConfigError::TwoCertificates("--webhook-url")),
            (Some(kept), None, None) => Ok(Some(CertificateSource::Kept(kept))),
            (None, _, Some(_)) if self.no_webhook => Err(ConfigError::NoWebhookWithUrl),
            (None, Some(_), Some(_)) => Err(ConfigError::MadeAndGiven),
            (None, files, None) => Ok(files),
            (None, None, Some(local)) => Ok(Some(CertificateSource::MadeFor(local))),
        }
    }

    /// Returns what `--certificates-secret` asks for.
    fn kept(&self) -> Result<Option<KeptSettings>, ConfigError> {
        let Some(secret) = self.certificates_secret.clone() else {
            return Ok(None);
        };
        if self.webhook_hosts.is_empty() {
            return Err(ConfigError::KeptFor("--webhook-hosts"));
        }
        let configurations = self.webhook_configurations.clone();
        Ok(Some(KeptSettings {
            secret,
            hosts: self.webhook_hosts.clone(),
            configurations: configurations
                .ok_or(ConfigError::KeptFor("--webhook-configurations"))?,
            lifetimes: Lifetimes {
                authority: self.authority_lifetime,
                leaf: self.certificate_lifetime,
            },
        }))
    }
}

impl From<OpsArgs> for OpsSettings {
    fn from(args: OpsArgs) -> Self {
        Self {
            http_listen: args.http_listen,
            metrics_namespaces: args.metrics_namespaces as usize,
            reloader_metrics: args.reloader_metrics,
            log: LogSettings {
                format: args.log_format,
                filter: args.log,
            },
            drain_delay: args.drain_delay,
        }
    }
}
