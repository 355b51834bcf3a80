//! What the replicas say of themselves when everybody has come to rest: they are well, and hold in memory what is there,
//! and nothing more.

use axum::{Router, body::Body};
use futures::FutureExt as _;
use http::Request;
use serde_json::Value;
use tokio::time::Instant;
use tower::ServiceExt as _;

use super::template::OptIn;
use crate::{cluster::Cluster, replicas::Replica};

impl Cluster {
    /// Looks at each replica: it is well, and knows what is there. Nothing waits, for nothing holds it up any more.
    pub(super) fn look_at_health(&mut self) {
        let count = |resources: &[&str], counts: &dyn Fn(&Value) -> bool| {
            let all = resources.iter().flat_map(|one| self.server.objects(one));
            all.filter(|object| counts(object)).count()
        };
        let sources = count(&["secrets", "configmaps"], &|_| true);
        let kinds = ["deployments.apps", "statefulsets.apps", "daemonsets.apps"];
        let workloads = count(&kinds, &|object| OptIn::of(object) != OptIn::No);
        for replica in self.reroll.replicas() {
            let Some(router) = replica.health.lock().clone() else {
                continue;
            };
            let name = &replica.name;
            for path in ["/livez", "/readyz"] {
                let (well, body) = ask(&router, path);
                if !well {
                    self.wrong(format!("{name} answers {path} with {body:?}"));
                }
            }
            let (_, metrics) = ask(&router, "/metrics");
            let told = |metric: &str| metrics.lines().find_map(|line| line.strip_prefix(metric));
            let noticed =
                told("reroll_history_went_back_total ").and_then(|text| text.parse().ok());
            let leads = told("reroll_leader ") == Some("1");
            let since = |at: &&Instant| **at >= replica.started.get();
            let restored = self.memory.unbumped.iter().filter(since).count();
            if noticed < Some(restored) {
                // It may know what is lost.
                continue;
            }
            for line in metrics.lines() {
                let Some((metric, value)) = line.rsplit_once(' ') else {
                    continue;
                };
                let right = match metric {
                    "reroll_sources_indexed" => sources,
                    "reroll_workloads_indexed" => workloads,
                    // After a restore only the leader asks etcd whether they are void.
                    "reroll_intents_pending" if leads || noticed == Some(0) => 0,
                    _ if metric.starts_with("reroll_workloads_pending{") => 0,
                    _ => continue,
                };
                if value != right.to_string() {
                    self.wrong(format!("{name} says {line}, and there are {right}"));
                }
            }
        }
    }
}

/// Whether a replica leads, and a brake of it holds a restart.
pub(crate) fn holds(replica: &Replica) -> bool {
    let Some(router) = replica.health.lock().clone() else {
        return false;
    };
    let (_, metrics) = ask(&router, "/metrics");
    let held = |line: &str| {
        let pending = line.strip_prefix("reroll_workloads_pending{");
        let pending = pending.and_then(|rest| rest.rsplit_once(' '));
        pending.is_some_and(|(labels, value)| {
            let by_brake = ["slow_start", "distance", "wave"]
                .iter()
                .any(|reason| labels.contains(&format!("\"{reason}\"")));
            by_brake && value != "0"
        })
    };
    metrics.lines().any(|line| line == "reroll_leader 1") && metrics.lines().any(held)
}

/// Returns whether what is asked is well, and what it answers. The answer does not wait for anything.
fn ask(router: &Router, path: &str) -> (bool, String) {
    let request = Request::get(path).body(Body::empty());
    let answer = router.clone().oneshot(request.unwrap());
    let answer = answer.now_or_never().unwrap().unwrap();
    let status = answer.status();
    let body = axum::body::to_bytes(answer.into_body(), usize::MAX);
    let body = body.now_or_never().unwrap().unwrap();
    (
        status.is_success(),
        String::from_utf8_lossy(&body).into_owned(),
    )
}
