//! Certificates that reroll keeps for itself, where no cert-manager does: an authority and a leaf in a Secret of its own
//! namespace, renewed in time, and the authority in `caBundle` of the webhook configurations.
//!
//! Every replica serves the leaf that the Secret holds, and looks at the Secret every now and then. The leader alone writes.
//! It writes the Secret by its resourceVersion, so that two replicas that believe to lead cannot undo one another; then it
//! writes `caBundle`. `due` says what is due when: a leader that looks in time always has a certificate that API servers
//! trust.
//!
//! Certificates that somebody else made, such as a cert-manager before an upgrade, are served on and trusted on until those of
//! reroll take their place. Where an upgrade hands the webhook over to cert-manager, the leader of before writes no more.
//!
//! What was not planned is repaired at once, and counted for an alert: the Secret was deleted, or holds something else, or a
//! certificate expired. Until API servers have taken up the repair they skip the webhook, because `failurePolicy` is
//! `Ignore`.

mod bundle;
mod due;
mod kept;

use std::{collections::BTreeMap, sync::Arc, time::Duration};

use k8s_openapi::{ByteString, api::core::v1::Secret};
use kube::{Api, api::ObjectMeta};
use tokio::time::sleep;

pub use self::due::Lifetimes;
use self::{
    bundle::Configurations,
    due::{Facts, Step, due},
    kept::Kept,
};
use super::tls::{CertificateResolver, SelfMadeError, ServingCertificate};
use crate::{
    cluster::{Cluster, Failure, Write},
    ops::metrics::labels::CertificateRepair,
    state::Clock,
};

/// What to keep, and where.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct KeptSettings {
    /// The name of the Secret, in reroll's own namespace.
    pub secret: String,
    /// The DNS names that API servers call the webhook by.
    pub hosts: Vec<String>,
    /// The name of both webhook configurations.
    pub configurations: String,
    /// How long certificates are valid.
    pub lifetimes: Lifetimes,
}

/// What looking after certificates needs of the rest of the program.
#[derive(Clone)]
pub struct Hooks {
    /// Returns whether this replica leads.
    pub leads: Arc<dyn Fn() -> bool + Send + Sync>,
    /// Tells the time of day.
    pub clock: Clock,
    /// Hears why a repair was needed.
    pub repaired: Arc<dyn Fn(CertificateRepair) + Send + Sync>,
}

/// Why certificates could not be looked after.
#[derive(Debug, thiserror::Error)]
enum KeepError {
    /// The API server refused, or did not answer. The error never has the answer itself, which may hold the key.
    #[error(
        "{0}; reroll needs get, create and update on its Secret, and get and patch on the webhook configurations"
    )]
    Failed(#[from] Failure),
    /// Certificates cannot be made.
    #[error(transparent)]
    Make(#[from] SelfMadeError),
    /// The certificates that were just made cannot be read.
    #[error("the certificates that were made cannot be read: {0}")]
    Unusable(#[from] kept::Unusable),
}

/// Looks after the certificates.
pub struct KeptCertificates {
    settings: KeptSettings,
    secrets: Api<Secret>,
    configurations: Configurations,
    hooks: Hooks,
    cluster: Cluster,
    /// What the Secret last held, to be written again when it is deleted.
    last: Option<BTreeMap<String, ByteString>>,
    /// What every entry of the webhook configurations trusted at the last look.
    published: Option<String>,
}

impl KeptCertificates {
    /// Makes one that has looked at nothing yet.
    pub fn new(
        cluster: Cluster,
        own_namespace: &str,
        settings: KeptSettings,
        hooks: Hooks,
    ) -> Self {
        Self {
            secrets: Api::namespaced(cluster.client(), own_namespace),
            configurations: Configurations::new(cluster.clone(), &settings.configurations),
            settings,
            hooks,
            cluster,
            last: None,
            published: None,
        }
    }

    /// Waits for a certificate to serve, which the leader makes and the others see. Returns what serves it.
    pub async fn first(&mut self, look_every: Duration) -> Arc<CertificateResolver> {
        loop {
            match self.look().await {
                Ok(Some(serving)) => return Arc::new(CertificateResolver::new(serving)),
                Ok(None) => {}
                Err(error) => {
                    tracing::warn!(secret = self.settings.secret, %error, "cannot make or read the webhook's certificates, trying again");
                }
            }
            sleep(look_every).await;
        }
    }

    /// Serves what the Secret holds, and keeps it up to date while this replica leads. Never ends.
    pub async fn follow(mut self, resolver: Arc<CertificateResolver>, look_every: Duration) {
        let mut told = false;
        loop {
            sleep(look_every).await;
            match self.look().await {
                Ok(serving) => {
                    told = false;
                    if let Some(serving) = serving.filter(|new| !new.same_as(&resolver.served())) {
                        tracing::info!(
                            not_after = serving.not_after(),
                            "serving a new certificate"
                        );
                        resolver.replace(serving);
                    }
                }
                Err(error) => {
                    if !told {
                        tracing::warn!(secret = self.settings.secret, %error, "cannot check the webhook's certificates, trying again");
                    }
                    told = true;
                }
            }
        }
    }

    /// Does what is due if this replica leads. Returns what is to be served then.
    async fn look(&mut self) -> Result<Option<ServingCertificate>, KeepError> {
        let (api, name) = (&self.secrets, &self.settings.secret);
        let found = self.cluster.get(api, name).await?;
        let data = found
            .as_ref()
            .map(|secret| secret.data.clone().unwrap_or_default());
        let kept = data.as_ref().map(Kept::read);
        let is_spoiled = matches!(kept, Some(Err(_)));
        if !(self.hooks.leads)() || (is_spoiled && self.configurations.are_handed_over().await?) {
            let foreign = || data.as_ref().and_then(Kept::foreign);
            let own = kept.and_then(Result::ok);
            return Ok(own.map_or_else(foreign, |kept| kept.serving().cloned()));
        }
        let now = (self.hooks.clock)();
        let settings = self.settings.clone();
        let hosts: Vec<_> = settings.hosts.iter().map(String::as_str).collect();
        let (mut kept, mut why) = match (kept, &self.last) {
            (Some(Ok(kept)), _) => (kept, None),
            (Some(Err(error)), _) => {
                let lifetimes = self.settings.lifetimes;
                let adopted = data
                    .as_ref()
                    .and_then(|data| Kept::adopt(data, &hosts, now, lifetimes));
                if let Some(kept) = adopted {
                    (kept, Some(Why::Planned("beside those of somebody else")))
                } else {
                    tracing::warn!(secret = self.settings.secret, %error, "the webhook's certificates cannot be used: making new ones");
                    let made = Kept::begin(&hosts, now, self.settings.lifetimes)?;
                    (made, Some(Why::Repair(CertificateRepair::Unusable)))
                }
            }
            (None, Some(last)) => (
                Kept::read(last)?,
                Some(Why::Repair(CertificateRepair::Deleted)),
            ),
            (None, None) => {
                let made = Kept::begin(&hosts, now, self.settings.lifetimes)?;
                (made, Some(Why::Planned("first")))
            }
        };
        let published = self.publish(&kept).await?;
        let facts = kept.facts(&hosts, published)?;
        if let Some(step) = due(&facts, now.as_second(), self.settings.lifetimes) {
            kept.act(step, &hosts, now, self.settings.lifetimes)?;
            why = why.or(Some(Why::of(step, &facts)));
        }
        if let Some(why) = why {
            self.write(found, &kept).await?;
            self.tell(why);
            self.publish(&kept).await?;
        }
        self.last = Some(kept.print());
        Ok(kept.serving().cloned())
    }

    fn tell(&self, why: Why) {
        let secret = &self.settings.secret;
        match why {
            Why::Planned(why) => tracing::info!(secret, why, "wrote the webhook's certificates"),
            Why::Repair(why) => {
                let reason = why.as_str();
                tracing::warn!(secret, reason, "repaired the webhook's certificates");
                (self.hooks.repaired)(why);
            }
        }
    }

    /// Writes `caBundle` where it differs. Returns whether both configurations are there, and trust it.
    async fn publish(&mut self, kept: &Kept) -> Result<bool, KeepError> {
        let bundle = kept.bundle();
        let found = self.configurations.publish(&bundle).await?;
        if found.written > 0 {
            let name = &self.settings.configurations;
            tracing::info!(
                name,
                entries = found.written,
                "wrote caBundle of the webhook configurations"
            );
            if self.published.as_ref() == Some(&bundle) {
                self.tell(Why::Repair(CertificateRepair::CaBundle));
            }
        }
        let published = found.left == 0;
        self.published = Some(bundle).filter(|_| published);
        Ok(published)
    }

    async fn write(&self, found: Option<Secret>, kept: &Kept) -> Result<(), KeepError> {
        let name = &self.settings.secret;
        let data = Some(kept.print());
        if let Some(found) = found {
            let secret = Secret { data, ..found };
            self.cluster.replace(&self.secrets, name, &secret).await?;
        } else {
            let labels = [("app.kubernetes.io/managed-by", "reroll")];
            let secret = Secret {
                metadata: ObjectMeta {
                    name: Some(name.clone()),
                    labels: Some(labels.map(|(k, v)| (k.to_owned(), v.to_owned())).into()),
                    ..ObjectMeta::default()
                },
                data,
                ..Secret::default()
            };
            self.cluster
                .create(&self.secrets, &secret, Write::Real)
                .await?;
        }
        Ok(())
    }
}

/// Why certificates are written.
#[derive(Clone, Copy, Debug)]
enum Why {
    /// It was time to.
    Planned(&'static str),
    /// Something went wrong.
    Repair(CertificateRepair),
}

impl Why {
    fn of(step: Step, facts: &Facts) -> Self {
        match step {
            Step::Begin => Self::Repair(CertificateRepair::AuthorityExpired),
            Step::AddAuthority => Self::Planned("another authority"),
            Step::IssueLeaf { planned: true } => Self::Planned("another leaf"),
            Step::IssueLeaf { planned: false } if facts.leaf.is_none() => {
                Self::Repair(CertificateRepair::LeafUnusable)
            }
            Step::IssueLeaf { planned: false } => Self::Repair(CertificateRepair::LeafExpired),
            Step::Retire => Self::Planned("an authority retires"),
        }
    }
}
