//! Decides which replica restarts: the holder of a Lease in reroll's own namespace, by client-go's election algorithm.
//!
//! Every replica watches and serves admission; only the leader restarts. Correctness does not rest on the Lease: two
//! replicas that both believe to lead still give one restart, because a restart is a compare-and-swap. The Lease only
//! saves work.
//!
//! Invariants:
//! - A replica judges another's claim by how long it has itself seen it unchanged, never by comparing two machines'
//!   clocks.
//! - Leadership ends at a deadline of the monotonic clock, whether or not a call returns.
//! - The leader renews only while its work goes on ([`Work`]), so that a replica that hangs is replaced.
//! - A replica that could lead but sees less than it should offers the Lease to the others, once. If no other replica
//!   takes it within the Lease's duration, it leads again.
//! - A user's edit of the Lease ends no leadership. What it says to all replicas ([`Notice`]) is known before a replica leads.
//! - A Lease that is older than before is read several times before a replica writes it ([`super::history`], `loss`).
//!
//! No crate is used: those for this version of kube renew without a resourceVersion, or have no timeouts of their own.

mod claim;
mod leadership;
mod loss;
mod notice;
mod settings;
mod sightings;
mod work;

use std::sync::Arc;

use futures::StreamExt;
use k8s_openapi::api::coordination::v1::{Lease, LeaseSpec};
use kube::{Api, Client, api::ObjectMeta};
use tokio::{
    sync::watch,
    time::{Instant, sleep_until, timeout},
};
use tokio_util::sync::CancellationToken;

use self::{claim::Claim, loss::Loss, sightings::sightings};
pub use self::{
    leadership::Leadership,
    notice::Notice,
    settings::LeaseSettings,
    work::{Progress, Work},
};
use super::{
    Cluster, Failure, Write,
    history::{History, LOOKS, PROOF, Versions},
};
use crate::{
    build::VERSION,
    clock::Clock,
    model::{
        annotation::{HOLDER_VERSION, SUSPEND},
        object::resource_version,
    },
};

/// Tries to get the Lease, renews it, and releases it at the end.
pub struct Election {
    cluster: Cluster,
    api: Api<Lease>,
    namespace: String,
    settings: LeaseSettings,
    identity: String,
    clock: Clock,
    work: Work,
    leading: watch::Sender<Option<Instant>>,
    seen: Option<Seen>,
    /// Whether the log says already that the Lease cannot be claimed.
    told: bool,
    /// When this replica began to leave the Lease to the others; `None` while its work is good.
    offered: Option<Instant>,
    versions: Versions,
    history: Arc<History>,
    loss: Loss,
    notice: Notice,
    /// The resourceVersion of the Lease that [`Self::notice`] was told of.
    noted: Option<u64>,
}

/// A claim of some replica, and since when this replica has seen it unchanged.
struct Seen {
    lease: Lease,
    at: Instant,
}

impl Election {
    /// Makes an election that has not begun, and the [`Leadership`] that it will tell.
    pub fn new(
        cluster: &Cluster,
        namespace: &str,
        settings: LeaseSettings,
        identity: String,
        clock: Clock,
        work: Work,
    ) -> (Self, Leadership) {
        let (leading, told) = watch::channel(None);
        let api = Api::namespaced(cluster.client(), namespace);
        (
            Self {
                cluster: cluster.within(settings.deadline()),
                api,
                namespace: namespace.to_owned(),
                settings,
                identity,
                clock,
                work,
                leading,
                seen: None,
                told: false,
                offered: None,
                versions: Versions::default(),
                history: Arc::default(),
                loss: Loss::default(),
                notice: Notice::default(),
                noted: None,
            },
            Leadership::told_by(told),
        )
    }

    /// Returns the same election by this client, which belongs to the thread that it runs on.
    #[must_use]
    pub fn by(self, client: &Client) -> Self {
        Self {
            cluster: self.cluster.by(client),
            api: Api::namespaced(client.clone(), &self.namespace),
            ..self
        }
    }

    /// Returns the same election, which reports to `history` when the Lease's versions go back.
    #[must_use]
    pub fn with_history(self, history: Arc<History>) -> Self {
        Self { history, ..self }
    }

    /// Returns what tells what people write on the Lease.
    pub fn notice(&self) -> Notice {
        self.notice.clone()
    }

    /// Takes part until `stop`, then releases the Lease if this replica leads.
    pub async fn run(mut self, stop: CancellationToken) {
        let mut shown = sightings(self.api.clone(), &self.settings.name);
        let mut lists = self.history.lists();
        while !stop.is_cancelled() {
            let began = Instant::now();
            let held = self.take_part().await;
            self.tell(held, began);
            let next = Instant::now() + self.settings.retry();
            loop {
                tokio::select! {
                    () = stop.cancelled() => break,
                    () = sleep_until(next) => break,
                    Some(sighting) = shown.next() => if self.saw(sighting) {
                        break;
                    },
                    Ok(()) = lists.changed() => {
                        shown = sightings(self.api.clone(), &self.settings.name);
                        break;
                    }
                }
            }
        }
        let held = self.leading.send_replace(None).is_some();
        if held {
            self.release().await;
        }
    }

    async fn take_part(&mut self) -> Claim {
        match (self.work)() {
            Progress::Good => self.offered = None,
            Progress::Impaired(why) => {
                let leads = self.leading.borrow().is_some();
                let offered = *self.offered.get_or_insert_with(Instant::now);
                if offered.elapsed() < self.settings.duration {
                    if leads {
                        tracing::error!(?why, "offering the Lease: another replica may see more");
                        self.release().await;
                    }
                    return Claim::Others;
                }
            }
            Progress::None(why) => {
                tracing::error!(?why, "reroll's work does not go on: not renewing the Lease");
                return Claim::Unknown;
            }
        }
        timeout(self.settings.deadline() / 2, self.claim())
            .await
            .unwrap_or(Claim::Unknown)
    }

    fn tell(&self, claim: Claim, began: Instant) {
        let before = *self.leading.borrow();
        let now = match claim {
            Claim::Ours => Some(began + self.settings.deadline()),
            Claim::Others => None,
            Claim::Unknown => before.filter(|until| Instant::now() < *until),
        };
        match (before.is_some(), now.is_some()) {
            (false, true) => tracing::info!(
                identity = self.identity,
                "leads: this replica restarts workloads"
            ),
            (true, false) => tracing::warn!(
                identity = self.identity,
                why = claim.why_lost(),
                "lost the Lease: this replica restarts nothing until it holds it again"
            ),
            _ => {}
        }
        self.leading.send_replace(now);
    }

    async fn claim(&mut self) -> Claim {
        self.loss.proved(self.history.own_proofs(), (self.clock)());
        // The leader knows the Lease from its last write. Every other replica has to read whether it was renewed.
        let known = self
            .seen
            .as_ref()
            .filter(|seen| self.is_ours(&seen.lease))
            .map(|seen| seen.lease.clone());
        if let Some(lease) = known {
            match self.write(lease).await {
                Ok(lease) => return self.took(lease),
                // Another replica wrote it, or a user did who wants to tell all replicas something.
                Err(Failure::Conflict) => self.seen = None,
                Err(failure) => return self.failed(&failure),
            }
        }
        let lease = match self.cluster.get(&self.api, &self.settings.name).await {
            Ok(Some(lease)) => lease,
            Ok(None) => return self.create().await,
            Err(failure) => return self.failed(&failure),
        };
        self.note(&lease);
        let ours = self.is_ours(&lease);
        let news = self.loss.take_news() && !ours;
        if self.goes_back(&lease) || news {
            return Claim::Others;
        }
        if !self.may_take(&lease) {
            self.tell_loss(lease).await;
            return Claim::Others;
        }
        match self.write(lease).await {
            Ok(lease) => self.took(lease),
            // It was ours a moment ago: a user wrote it once more, or a renewal of ours arrived late. The next try tells.
            Err(Failure::Conflict) if ours => Claim::Unknown,
            Err(failure) => self.failed(&failure),
        }
    }

    /// Claims a Lease that is still as it was read.
    async fn write(&self, lease: Lease) -> Result<Lease, Failure> {
        // Whoever may write the Lease may write any number.
        let transitions = spec(&lease).lease_transitions.unwrap_or(0);
        let transitions = transitions.checked_add(i32::from(!self.is_ours(&lease)));
        let transitions = transitions.unwrap_or(0);
        let acquired = if self.is_ours(&lease) {
            spec(&lease).acquire_time.clone()
        } else {
            None
        };
        let mut next = Lease {
            spec: Some(
                self.settings
                    .claim(&self.identity, (self.clock)(), transitions, acquired),
            ),
            ..lease
        };
        let annotations = next.metadata.annotations.get_or_insert_default();
        annotations.insert(HOLDER_VERSION.to_owned(), VERSION.to_owned());
        annotations.extend(self.loss.annotation());
        let replaced = self.cluster.replace(&self.api, &self.settings.name, &next);
        replaced.await
    }

    async fn create(&mut self) -> Claim {
        let said = self.notice.text().map(|text| (SUSPEND.to_owned(), text));
        let version = (HOLDER_VERSION.to_owned(), VERSION.to_owned());
        let said = said.into_iter().chain(self.loss.annotation());
        let lease = Lease {
            metadata: ObjectMeta {
                name: Some(self.settings.name.clone()),
                annotations: Some(said.chain([version]).collect()),
                ..ObjectMeta::default()
            },
            spec: Some(self.settings.claim(&self.identity, (self.clock)(), 0, None)),
        };
        match self.cluster.create(&self.api, &lease, Write::Real).await {
            Ok(lease) => self.took(lease),
            Err(failure) => self.failed(&failure),
        }
    }

    /// Whether the Lease is older than before, so that this replica must not write it yet. With a bumped revision a
    /// write would make it newer than it ever was, and the other replicas would not see that it went back.
    fn goes_back(&mut self, lease: &Lease) -> bool {
        let version = resource_version(lease.metadata.resource_version.as_deref());
        let times = version.map_or(0, |version| self.versions.show(version));
        if (1..=PROOF).contains(&times) {
            self.history.shown_older();
        }
        (1..LOOKS).contains(&times)
    }

    fn took(&mut self, lease: Lease) -> Claim {
        self.told = false;
        self.note(&lease);
        self.loss.take_news();
        self.goes_back(&lease);
        self.seen = Some(Seen {
            lease,
            at: Instant::now(),
        });
        Claim::Ours
    }

    /// Ends a failed try. A conflict says that another replica wrote the Lease; other failures do not tell who holds
    /// it.
    fn failed(&mut self, failure: &Failure) -> Claim {
        self.seen = self.seen.take().filter(|seen| !self.is_ours(&seen.lease));
        if matches!(failure, Failure::Conflict | Failure::Exists) {
            return Claim::Others;
        }
        if std::mem::replace(&mut self.told, true) {
            return Claim::Unknown;
        }
        let lease = self.settings.name.as_str();
        if matches!(failure, Failure::Forbidden | Failure::Unauthorized) {
            tracing::warn!(
                lease,
                failure = failure.as_str(),
                remedy = "give reroll's ServiceAccount get, list, watch, create and update on it",
                "may not claim the Lease: this replica restarts nothing"
            );
        } else {
            tracing::warn!(lease, %failure, "cannot claim the Lease, trying again: no replica restarts anything without it");
        }
        Claim::Unknown
    }

    fn is_ours(&self, lease: &Lease) -> bool {
        spec(lease).holder_identity.as_deref() == Some(&self.identity)
    }

    /// Whether the Lease is free, ours, or unchanged for as long as a claim counts.
    fn may_take(&mut self, lease: &Lease) -> bool {
        let holder = spec(lease).holder_identity.as_deref().unwrap_or_default();
        if holder.is_empty() || holder == self.identity {
            return true;
        }
        let moved = self
            .seen
            .as_ref()
            .is_none_or(|seen| seen.lease.spec != lease.spec);
        if moved {
            self.seen = Some(Seen {
                lease: lease.clone(),
                at: Instant::now(),
            });
        }
        self.seen
            .as_ref()
            .is_some_and(|seen| seen.at.elapsed() >= self.settings.duration)
    }

    async fn release(&mut self) {
        let Some(seen) = self.seen.take().filter(|seen| self.is_ours(&seen.lease)) else {
            return;
        };
        let transitions = spec(&seen.lease).lease_transitions.unwrap_or(0);
        let mut free = Lease {
            spec: Some(self.settings.claim("", (self.clock)(), transitions, None)),
            ..seen.lease
        };
        self.loss.proved(self.history.own_proofs(), (self.clock)());
        let annotations = free.metadata.annotations.get_or_insert_default();
        annotations.extend(self.loss.annotation());
        let released = self.cluster.replace(&self.api, &self.settings.name, &free);
        match released.await {
            Ok(_) => tracing::info!("released the Lease"),
            Err(_) => {
                tracing::warn!("could not release the Lease: it runs out by itself");
            }
        }
    }
}

fn spec(lease: &Lease) -> &LeaseSpec {
    static NONE: std::sync::LazyLock<LeaseSpec> = std::sync::LazyLock::new(LeaseSpec::default);
    lease.spec.as_ref().unwrap_or(&NONE)
}

#[cfg(test)]
mod tests;
