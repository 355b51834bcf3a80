//! Who leads, as the Lease says it, and that no other replica restarts anything.

use std::{collections::BTreeSet, sync::Arc, time::Duration};

use parking_lot::Mutex;
use reroll_simulation::api_server::ApiServer;
use tokio::time::Instant;

use crate::oracle::Wrongs;

/// How long a replica may still write that led before: it reads once more what a restart needs, and each read may take as
/// long as a request may.
const LAST: Duration = Duration::from_secs(45);

/// Who leads in an installation.
pub(crate) struct Leader {
    server: ApiServer,
    namespace: &'static str,
    /// The holder of the Lease, and since when.
    seen: Mutex<(String, Instant)>,
    /// All that have led.
    led: Mutex<BTreeSet<String>>,
    wrongs: Wrongs,
}

impl Leader {
    pub(crate) fn new(server: &ApiServer, namespace: &'static str, wrongs: &Wrongs) -> Arc<Self> {
        Arc::new(Self {
            server: server.clone(),
            namespace,
            seen: Mutex::new((String::new(), Instant::now())),
            led: Mutex::default(),
            wrongs: Arc::clone(wrongs),
        })
    }

    /// Returns who holds the Lease now.
    pub(crate) fn holder(&self) -> Option<String> {
        let leases = self.server.objects("leases.coordination.k8s.io");
        let own = leases
            .iter()
            .find(|lease| lease["metadata"]["namespace"] == self.namespace)?;
        Some(own["spec"]["holderIdentity"].as_str()?.to_owned())
    }

    /// Notes who holds the Lease. It is called often enough to know since when.
    pub(super) fn look(&self) {
        let holder = self.holder().unwrap_or_default();
        let mut seen = self.seen.lock();
        if seen.0 != holder {
            self.led.lock().insert(holder.clone());
            *seen = (holder, Instant::now());
        }
    }

    /// Notes that it is wrong if a replica makes the digest key that never led.
    pub(super) fn makes_key(&self, replica: &str) {
        self.look();
        if !self.led.lock().contains(replica) {
            let wrong = format!("{replica} makes the digest key, and does not lead");
            self.wrongs.lock().push(wrong);
        }
    }

    /// Notes that it is wrong if a replica writes a workload though another one has long been the leader.
    pub(super) fn is_asked_by(&self, replica: &str) {
        self.look();
        let seen = self.seen.lock();
        let other = seen.0.starts_with(self.namespace) && seen.0 != replica;
        if other && seen.1.elapsed() > LAST {
            let (leader, since) = (&seen.0, seen.1.elapsed());
            let wrong = format!("{replica} writes a workload, and {leader} has led for {since:?}");
            self.wrongs.lock().push(wrong);
        }
    }
}
