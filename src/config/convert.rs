//! From what was typed to settings.

use std::collections::BTreeSet;

use kube::core::Selector;

use super::args::{
    ClusterArgs, ConventionArgs, DeleteChoice, OpsArgs, OptionalKind, RecreateChoice, RestartArgs,
    RunArgs, WebhookArgs,
};
use super::kinds::KindSpec;
use super::{
    CertificateFiles, ClusterSettings, ConfigError, KeptSettings, Lifetimes, LocalRegistration,
    OpsSettings, RestartSettings, Settings, WebhookSettings,
};
use crate::judge::{
    self,
    bucket::{Bounds, Pacing},
};
use crate::model::{
    Conventions, Kind,
    annotation::reloader,
    conventions::Vocabulary,
    policy::{OnDelete, OnRecreate},
    source::{ReloaderKeys, SourceKind},
    workload::{CRON_JOB, DEPLOYMENT_CONFIG, JOB, KINDS, Kinds, ROLLOUT},
};

impl RunArgs {
    /// Refuses flags that make no sense together.
    pub(super) fn check(&self) -> Result<(), ConfigError> {
        let half = |given, missing| Err(ConfigError::HalfKeyPair { given, missing });
        let webhook = &self.webhook;
        match (&webhook.tls_cert, &webhook.tls_key) {
            (Some(_), None) => return half("--tls-cert", "--tls-key"),
            (None, Some(_)) => return half("--tls-key", "--tls-cert"),
            (None, None)
                if webhook.webhook_url.is_none()
                    && webhook.certificates_secret.is_none()
                    && !webhook.no_webhook =>
            {
                return Err(ConfigError::NoCertificate);
            }
            _ => {}
        }
        webhook.check_kept()?;
        if webhook.no_webhook && webhook.webhook_url.is_some() {
            return Err(ConfigError::NoWebhookWithUrl);
        }
        let conventions = &self.conventions;
        if !self.cluster.namespaces.is_empty() {
            if !conventions.ignore_namespaces.is_empty() {
                return Err(ConfigError::NamespacesAndIgnored);
            }
            if selects(conventions.namespace_selector.as_ref()) {
                return Err(ConfigError::NamespacesAndSelector);
            }
        }
        let ignores = |resource| conventions.ignore_resources.contains(&resource);
        if SourceKind::ALL.into_iter().all(ignores) {
            return Err(ConfigError::EverythingIgnored);
        }
        let (settle, max) = (self.restarts.settle, self.restarts.settle_max);
        if max < settle {
            return Err(ConfigError::SettleMax { settle, max });
        }
        self.cluster.check_kinds()?;
        self.alerts.settings().map(drop)
    }
}

impl From<RunArgs> for Settings {
    fn from(args: RunArgs) -> Self {
        Self {
            cluster: args.cluster.into(),
            conventions: args.conventions.into(),
            restarts: args.restarts.into(),
            webhook: args.webhook.into(),
            // What cannot be used was refused by `check`.
            alerts: args.alerts.settings().ok().flatten(),
            ops: args.ops.into(),
        }
    }
}

impl ClusterArgs {
    /// The built-in kinds that are wanted.
    fn built_in(&self) -> impl Iterator<Item = Kind> {
        let known: [(_, Kind); 4] = [
            (OptionalKind::Rollouts, &ROLLOUT),
            (OptionalKind::DeploymentConfigs, &DEPLOYMENT_CONFIG),
            (OptionalKind::CronJobs, &CRON_JOB),
            (OptionalKind::Jobs, &JOB),
        ];
        let wanted = known
            .into_iter()
            .filter(|(kind, _)| self.optional_kinds.contains(&Some(*kind)));
        KINDS.iter().chain(wanted.map(|(_, row)| row))
    }

    fn check_kinds(&self) -> Result<(), ConfigError> {
        let built_in = self.built_in().map(|row| (row.group, row.kind));
        let mut known: BTreeSet<_> = built_in.collect();
        for spec in self.workload_kind.iter().flatten() {
            if !known.insert(spec.name()) {
                let (group, kind) = spec.name();
                return Err(ConfigError::KindTwice(format!("{group}/{kind}")));
            }
        }
        Ok(())
    }

    /// The table of kinds, each once.
    fn kinds(&self) -> Kinds {
        let configured = self.workload_kind.iter().flatten().cloned();
        let rows = self.built_in().chain(configured.map(KindSpec::row));
        rows.fold(Kinds::none(), |kinds, row| {
            kinds.clone().with(row).unwrap_or(kinds)
        })
    }
}

impl From<ClusterArgs> for ClusterSettings {
    fn from(args: ClusterArgs) -> Self {
        let kinds = args.kinds();
        let mut namespaces = args.namespaces;
        namespaces.retain(|name| !name.is_empty());
        namespaces.sort_unstable();
        namespaces.dedup();
        let instance = args
            .instance
            .filter(|name| !name.is_empty())
            .unwrap_or_else(|| format!("{}-{}", args.hostname, std::process::id()));
        Self {
            kubeconfig: args.kubeconfig,
            context: args.context,
            namespaces,
            kinds,
            discovery_interval: args.discovery_interval,
            own_namespace: args.own_namespace,
            lease_name: args.lease_name,
            lease_duration: args.lease_duration,
            digest_key_secret: args.digest_key_secret,
            request_timeout: args.request_timeout,
            instance,
        }
    }
}

/// Whether it leaves anything out.
fn selects(selector: Option<&Selector>) -> bool {
    selector.is_some_and(|selector| !selector.selects_all())
}

const SECRET: &ReloaderKeys = SourceKind::Secret.reloader();
const CONFIG_MAP: &ReloaderKeys = SourceKind::ConfigMap.reloader();

impl From<ConventionArgs> for Conventions {
    fn from(args: ConventionArgs) -> Self {
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
        Self {
            vocabulary: given.fold(Vocabulary::default(), |all, (meant, name)| {
                all.with(meant, name)
            }),
            all: args.auto_all,
            namespaces: args.namespace_selector.filter(|s| selects(Some(s))),
            sources: args.source_selector.filter(|s| selects(Some(s))),
            on_recreate: args.on_recreate.into(),
            on_delete: args.on_delete.into(),
            ignored: args.ignore_resources.into_iter().collect(),
            ignored_namespaces: args
                .ignore_namespaces
                .into_iter()
                .filter(|name| !name.is_empty())
                .collect(),
        }
    }
}

impl From<RecreateChoice> for OnRecreate {
    fn from(choice: RecreateChoice) -> Self {
        match choice {
            RecreateChoice::Restart => Self::Restart,
            RecreateChoice::Content => Self::Content,
        }
    }
}

impl From<DeleteChoice> for OnDelete {
    fn from(choice: DeleteChoice) -> Self {
        match choice {
            DeleteChoice::Wait => Self::Wait,
            DeleteChoice::Restart => Self::Restart,
        }
    }
}

impl From<RestartArgs> for RestartSettings {
    fn from(args: RestartArgs) -> Self {
        let limit = |rate: f64| (rate > 0.0).then_some(rate);
        let interval = args.workload_interval;
        let bounds = Bounds {
            all: Pacing {
                rate: limit(args.restart_rate),
                burst: args.restart_burst,
            },
            each: Pacing {
                rate: (!interval.is_zero()).then(|| interval.as_secs_f64().recip()),
                burst: args.workload_burst,
            },
            rolling: (args.rolling_limit > 0).then_some(args.rolling_limit as usize),
        };
        Self {
            judge: judge::Settings {
                settle: args.settle,
                settle_max: args.settle_max,
                bounds,
                adopt_rate: limit(args.adopt_rate),
                sweep_interval: args.sweep_interval,
            },
            concurrency: args.restart_concurrency.into(),
        }
    }
}

impl WebhookArgs {
    fn check_kept(&self) -> Result<(), ConfigError> {
        if self.certificates_secret.is_none() {
            return Ok(());
        }
        if self.tls_cert.is_some() {
            return Err(ConfigError::TwoCertificates("--tls-cert"));
        }
        if self.webhook_url.is_some() {
            return Err(ConfigError::TwoCertificates("--webhook-url"));
        }
        if self.webhook_hosts.is_empty() {
            return Err(ConfigError::KeptFor("--webhook-hosts"));
        }
        if self.webhook_configurations.is_none() {
            return Err(ConfigError::KeptFor("--webhook-configurations"));
        }
        Ok(())
    }
}

impl From<WebhookArgs> for Option<WebhookSettings> {
    fn from(args: WebhookArgs) -> Self {
        if args.no_webhook {
            return None;
        }
        let (name, allow_remote_api_server) = (args.webhook_name, args.allow_remote_api_server);
        let kept = args.certificates_secret.zip(args.webhook_configurations);
        let (hosts, lifetimes) = (
            args.webhook_hosts,
            Lifetimes {
                authority: args.authority_lifetime,
                leaf: args.certificate_lifetime,
            },
        );
        Some(WebhookSettings {
            listen: args.webhook_listen,
            certificate: args
                .tls_cert
                .zip(args.tls_key)
                .map(|(cert, key)| CertificateFiles { cert, key }),
            kept: kept.map(|(secret, configurations)| KeptSettings {
                secret,
                hosts,
                configurations,
                lifetimes,
            }),
            client_ca: args.client_ca,
            tls_min_version: args.tls_min_version,
            tls_poll_interval: args.tls_poll_interval,
            local: args.webhook_url.map(|url| LocalRegistration {
                url,
                name,
                allow_remote_api_server,
            }),
            max_body: args.max_body,
            get_budget: args.get_budget,
        })
    }
}

impl From<OpsArgs> for OpsSettings {
    fn from(args: OpsArgs) -> Self {
        Self {
            http_listen: args.http_listen,
            log_format: args.log_format,
            log: args.log,
            drain_delay: args.drain_delay,
        }
    }
}
