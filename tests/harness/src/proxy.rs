//! A reverse proxy that stands between reroll and an API server and injects faults.
//!
//! It listens on plain HTTP/1.1 at 127.0.0.1 and forwards to the API server of a kubeconfig. It passes answers on chunk
//! by chunk, so watches work. A client that goes away takes its request upstream with it. [`Rule`]s, which can change
//! at any time, say which requests meet which [`Fault`]. Every request is recorded, so that a test can count them.
//!
//! Invariants:
//! - it runs on a thread and a runtime of its own, so a test that blocks or pauses its clock does not delay it;
//! - a rule decides once for a request, under the same lock as the requests in flight: none slips between
//!   [`FaultProxy::add`] and the list;
//! - a request with an `Authorization` header goes upstream without the kubeconfig's client certificate. The API server
//!   asks the certificate first, so the administrator would otherwise answer for every token.

mod flow;
mod rule;
mod serve;
mod traffic;
mod upstream;

use std::{
    net::SocketAddr,
    path::{Path, PathBuf},
    sync::{
        Arc,
        atomic::{AtomicU64, Ordering},
    },
    thread::JoinHandle,
    time::Duration,
};

use anyhow::Context as _;
use kube::config::AuthInfo;
use serde_json::json;
use tokio_util::sync::CancellationToken;

pub use rule::{Answer, Fault, Matcher, Rule, RuleId};
pub use traffic::RequestLine;
use traffic::Traffic;
use upstream::Upstream;

/// The proxy: it serves until it is dropped.
pub struct FaultProxy {
    address: SocketAddr,
    namespace: String,
    kubeconfigs: tempfile::TempDir,
    written: AtomicU64,
    traffic: Arc<Traffic>,
    stop: CancellationToken,
    thread: Option<JoinHandle<()>>,
}

impl FaultProxy {
    /// Starts a proxy in front of the API server of `kubeconfig`'s current context. It does not connect yet.
    pub async fn start(kubeconfig: &Path) -> anyhow::Result<Self> {
        let upstream = Upstream::of(kubeconfig).await?;
        let listener =
            std::net::TcpListener::bind(("127.0.0.1", 0)).context("the fault proxy got no port")?;
        listener.set_nonblocking(true)?;
        let address = listener.local_addr()?;
        let namespace = upstream.namespace.clone();
        let traffic = Arc::new(Traffic::default());
        let stop = CancellationToken::new();
        let serving = serve::serve(listener, Arc::clone(&traffic), upstream, stop.clone());
        let runtime = tokio::runtime::Builder::new_current_thread()
            .enable_all()
            .build()?;
        let thread = std::thread::Builder::new()
            .name("fault-proxy".to_owned())
            .spawn(move || {
                runtime.block_on(serving);
                // A name look-up may still be blocking a thread of the pool: it is not waited for.
                runtime.shutdown_background();
            })?;
        let proxy = Self {
            address,
            namespace,
            kubeconfigs: tempfile::tempdir()?,
            written: AtomicU64::new(1),
            traffic,
            stop,
            thread: Some(thread),
        };
        proxy.write_kubeconfig(&proxy.kubeconfig(), &AuthInfo::default())?;
        Ok(proxy)
    }

    /// Where it listens: `http://127.0.0.1:PORT`.
    pub fn url(&self) -> String {
        format!("http://{}", self.address)
    }

    /// A kubeconfig that points at the proxy and names no user: the API server sees the user of the kubeconfig that the
    /// proxy was started with. The file lives as long as the proxy.
    pub fn kubeconfig(&self) -> PathBuf {
        self.kubeconfigs.path().join("kubeconfig-0")
    }

    /// A kubeconfig that points at the proxy, with this user: a token for a user of its own, or impersonation by the
    /// user of [`Self::kubeconfig`]. The file lives as long as the proxy.
    ///
    /// kube sends the token to a server without TLS. kubectl and client-go do not, and would be the administrator.
    pub fn kubeconfig_as(&self, user: &AuthInfo) -> anyhow::Result<PathBuf> {
        let number = self.written.fetch_add(1, Ordering::Relaxed);
        let path = self.kubeconfigs.path().join(format!("kubeconfig-{number}"));
        self.write_kubeconfig(&path, user)?;
        Ok(path)
    }

    fn write_kubeconfig(&self, path: &Path, user: &AuthInfo) -> anyhow::Result<()> {
        let kubeconfig = json!({
            "apiVersion": "v1",
            "kind": "Config",
            "current-context": "fault-proxy",
            "clusters": [{"name": "fault-proxy", "cluster": {"server": self.url()}}],
            "users": [{"name": "fault-proxy", "user": user}],
            "contexts": [{"name": "fault-proxy", "context": {
                "cluster": "fault-proxy", "user": "fault-proxy", "namespace": self.namespace,
            }}],
        });
        std::fs::write(path, kubeconfig.to_string())
            .with_context(|| format!("writing {}", path.display()))
    }

    /// Adds a rule. [`Fault`] says what it does to the requests that are in flight.
    pub fn add(&self, rule: Rule) -> RuleId {
        self.traffic.add(rule)
    }

    /// Removes a rule: what it stalled flows on. Nothing happens if it is gone already.
    pub fn remove(&self, rule: RuleId) {
        self.traffic.remove(rule);
    }

    /// Removes all rules.
    pub fn clear(&self) {
        self.traffic.clear();
    }

    /// The last 100 000 requests, in the order of their arrival.
    pub fn requests(&self) -> Vec<RequestLine> {
        self.traffic.requests()
    }

    /// How many of [`Self::requests`] are so. `condition` must not call the proxy.
    pub fn count(&self, condition: impl Fn(&RequestLine) -> bool) -> usize {
        self.traffic.count(condition)
    }

    /// The requests whose answer the client has not taken in full, in the order of their arrival: open watches above
    /// all.
    pub fn in_flight(&self) -> Vec<RequestLine> {
        self.traffic.in_flight()
    }

    /// Waits until `condition` is true, asking again whenever a request arrives, is answered or ends.
    pub async fn wait_until(
        &self,
        within: Duration,
        condition: impl Fn(&Self) -> bool,
    ) -> anyhow::Result<()> {
        let mut changes = self.traffic.changes();
        let waiting = async {
            while !condition(self) {
                // Err would mean that the sender is gone, which `self` holds.
                let _ = changes.changed().await;
            }
        };
        tokio::time::timeout(within, waiting)
            .await
            .with_context(|| {
                format!(
                    "the awaited traffic did not happen within {within:?}; in flight: {:#?}",
                    self.in_flight()
                )
            })
    }
}

impl Drop for FaultProxy {
    fn drop(&mut self) {
        self.stop.cancel();
        if let Some(thread) = self.thread.take() {
            // Err means that the thread panicked, and it has said so.
            let _ = thread.join();
        }
    }
}
