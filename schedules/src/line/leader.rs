//! Who leads, as the Lease says it, and that no other replica restarts anything.

use std::{
    collections::{BTreeMap, BTreeSet},
    sync::Arc,
    time::Duration,
};

use parking_lot::Mutex;
use reroll_simulation::api_server::ApiServer;
use serde_json::Value;
use tokio::time::Instant;

use crate::oracle::{Wrongs, key_id, key_id_of_text};

/// How long a replica may still write that led before: it reads once more what a restart needs, and each read may take as
/// long as a request may.
const LAST: Duration = Duration::from_secs(45);

/// How long another installation has the time to restore what is its own.
const UNDONE_WITHIN: Duration = Duration::from_secs(10);
/// After how long without a try nobody knows any more who works there.
const FORGOTTEN: Duration = Duration::from_mins(5);

/// How often a replica tries the same workload at most in that time, also where its writes fail.
const TRIES: u32 = 8;

/// How many writes of workloads a replica needs in a second, and many more.
const MOST: u32 = 1_000;

/// Who leads in an installation.
pub(crate) struct Leader {
    server: ApiServer,
    namespace: &'static str,
    /// The holder of the Lease, and since when.
    seen: Mutex<(String, Instant)>,
    /// All that have led.
    led: Mutex<BTreeSet<String>>,
    /// The first workload that each replica took over from another installation last, and when.
    tries: Mutex<BTreeMap<String, Try>>,
    /// The workload whose `observed` a person overwrote last, and when.
    overwritten: Mutex<Option<(String, Instant)>>,
    /// When a second began, and how many writes of workloads there were in it.
    busy: Mutex<(Instant, u32)>,
    /// The digest key is rotated at some time, and there is no other installation.
    is_alone: bool,
    wrongs: Wrongs,
}

struct Try {
    workload: String,
    at: Instant,
    count: u32,
    /// The other installation left it to this one.
    won: bool,
}

impl Leader {
    pub(crate) fn new(
        server: &ApiServer,
        namespace: &'static str,
        wrongs: &Wrongs,
        is_alone: bool,
    ) -> Arc<Self> {
        Arc::new(Self {
            server: server.clone(),
            namespace,
            seen: Mutex::new((String::new(), Instant::now())),
            led: Mutex::default(),
            tries: Mutex::default(),
            overwritten: Mutex::default(),
            busy: Mutex::new((Instant::now(), 0)),
            is_alone,
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

    /// Whether workloads are written without end. Time would stand still then: whoever does it waits for ever from then on.
    pub(super) fn writes_without_end(&self) -> bool {
        let mut busy = self.busy.lock();
        if busy.1 < MOST && busy.0.elapsed() > Duration::from_secs(1) {
            *busy = (Instant::now(), 0);
        }
        busy.1 += 1;
        if busy.1 == MOST {
            let wrong = format!("{} writes workloads without end", self.namespace);
            self.wrongs.lock().push(wrong);
        }
        busy.1 >= MOST
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

    /// Notes that a person writes another `observed` on a workload, which another installation may have.
    pub(crate) fn is_overwritten(&self, workload: &str) {
        *self.overwritten.lock() = Some((workload.to_owned(), Instant::now()));
    }

    /// Notes that it is wrong if a replica takes over two workloads of another installation before it can know that that
    /// one leaves it the first.
    pub(super) fn takes_over(&self, replica: &str, path: &str, patch: &[u8]) {
        let Some(own) = written_key(patch).filter(|_| !self.is_alone) else {
            return;
        };
        let workload = path.rsplit('/').next().unwrap_or_default();
        let key_of = |workload: &str| {
            let all = ["deployments.apps", "statefulsets.apps", "daemonsets.apps"];
            let all = all
                .iter()
                .flat_map(|resource| self.server.objects(resource));
            let mut named = all.filter(|object| object["metadata"]["name"] == workload);
            named.next().and_then(|object| key_id(&object))
        };
        if key_of(workload).is_none_or(|key| key == own) {
            return;
        }
        let (mut tries, at) = (self.tries.lock(), Instant::now());
        let first = || Try {
            workload: workload.to_owned(),
            at,
            count: 0,
            won: false,
        };
        let last = tries.entry(replica.to_owned()).or_insert_with(first);
        let since = last.at.elapsed();
        if last.workload == workload && since < FORGOTTEN {
            last.count += 1;
            if last.count == TRIES {
                let wrong = format!("{replica} does not leave {workload} to another installation");
                self.wrongs.lock().push(wrong);
            }
            return;
        }
        // What a person wrote shows as well as a try that nobody undoes it.
        let overwritten = self.overwritten.lock();
        let stands = overwritten.as_ref().is_some_and(|(written, at)| {
            let in_time = (UNDONE_WITHIN..FORGOTTEN).contains(&at.elapsed());
            in_time && key_of(written).is_none_or(|key| key == own)
        });
        last.won |= stands;
        if since < UNDONE_WITHIN && !last.won {
            let other = &last.workload;
            let wrong = format!("{replica} takes over {workload} {since:?} after {other}");
            self.wrongs.lock().push(wrong);
        } else if since < FORGOTTEN {
            last.won |= key_of(&last.workload).is_none_or(|key| key == own);
        }
        if since >= FORGOTTEN || !last.won {
            *last = first();
        }
    }
}

/// Returns the id of the digest key under which a JSON patch records something.
fn written_key(patch: &[u8]) -> Option<String> {
    let operations: Vec<Value> = serde_json::from_slice(patch).ok()?;
    let mut writes = operations.iter().filter(|one| {
        let path = one["path"].as_str().unwrap_or_default();
        one["op"] != "test" && path.ends_with("/reroll.dev~1observed")
    });
    key_id_of_text(writes.next()?["value"].as_str()?)
}
