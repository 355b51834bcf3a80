//! What the watch of the Lease shows: that the leader gives it up, that it is gone, and what people write on it.

use futures::{StreamExt, stream::BoxStream};
use k8s_openapi::api::coordination::v1::Lease;
use kube::{
    Api,
    runtime::{WatchStreamExt, watcher},
};

use super::{Election, Seen, spec};
use crate::{
    cluster::{history::Versions, liveness::WATCH_SECONDS},
    model::object::resource_version,
};

/// What the watch shows of the Lease.
pub(super) enum Sighting {
    /// It is this, as a new list shows it.
    Listed(Box<Lease>),
    /// Somebody made it this.
    Written(Box<Lease>),
    /// Somebody deleted it.
    Gone,
}

/// Brings what becomes of the Lease, so that replicas need not wait for their next try. Where the watch fails, they find
/// out by that.
pub(super) fn sightings(api: Api<Lease>, name: &str) -> BoxStream<'static, Sighting> {
    let config = watcher::Config::default()
        .fields(&format!("metadata.name={name}"))
        .timeout(WATCH_SECONDS);
    watcher(api, config)
        .default_backoff()
        .filter_map(async |event| match event {
            Ok(watcher::Event::InitApply(lease)) => Some(Sighting::Listed(Box::new(lease))),
            Ok(watcher::Event::Apply(lease)) => Some(Sighting::Written(Box::new(lease))),
            Ok(watcher::Event::Delete(_)) => Some(Sighting::Gone),
            Ok(watcher::Event::Init | watcher::Event::InitDone) | Err(_) => None,
        })
        .boxed()
}

impl Election {
    /// Takes in what the watch shows. Returns whether to try now: the leader gave the Lease up, or it was ours and is gone.
    pub(super) fn saw(&mut self, sighting: Sighting) -> bool {
        match sighting {
            Sighting::Gone => {
                let ours = |seen: &Seen| {
                    spec(&seen.lease).holder_identity.as_deref() == Some(&self.identity)
                };
                self.seen.take_if(|seen| ours(seen)).is_some()
            }
            Sighting::Listed(lease) => {
                self.shown(*lease);
                false
            }
            Sighting::Written(lease) => {
                let holder = spec(&lease).holder_identity.as_deref();
                let released = holder.is_none_or(str::is_empty);
                self.shown(*lease);
                released
            }
        }
    }

    /// Takes in a Lease as the watch shows it, which may be behind.
    fn shown(&mut self, lease: Lease) {
        let version = resource_version(lease.metadata.resource_version.as_deref());
        if version <= self.noted {
            return;
        }
        self.note(&lease);
        // What a user wrote on it is no other replica's claim, and stays when this one renews.
        let ours = self.is_ours(&lease);
        if let Some(seen) = self.seen.as_mut().filter(|_| ours)
            && spec(&seen.lease).holder_identity == spec(&lease).holder_identity
        {
            seen.lease = lease;
        }
    }

    /// Takes in what people wrote on the Lease, and that another replica proved that etcd went back.
    pub(super) fn note(&mut self, lease: &Lease) {
        self.noted = resource_version(lease.metadata.resource_version.as_deref());
        self.notice.show(lease);
        self.loss.proved(self.history.own_proofs(), (self.clock)());
        if self.loss.heed(lease.metadata.annotations.as_ref()) {
            self.history.proved_elsewhere();
            // What this replica sees of the same loss from now on is no second one.
            self.versions = Versions::default();
        }
    }
}
