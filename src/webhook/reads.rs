//! Which sources of a write are read from the API server, within which budget, and which are taken from memory.
//!
//! A template can name thousands of sources, and whoever reaches the webhook's port can send one. So a review makes few reads.
//! They go to those of which memory is least sure. What memory is behind of, it learns by a watch; then the workload
//! restarts once more than needed, and nothing is lost.

use std::{cmp::Reverse, sync::Arc, time::Duration};

use futures::{StreamExt, stream::FuturesUnordered};
use tokio::{
    sync::Semaphore,
    time::{Instant, timeout, timeout_at},
};

use super::workloads::{DeployBefore, Undone, Write};
use crate::{
    cluster::{Cluster, Failure, deploys, sources},
    model::{SourceKey, SourceName, Version, decide::Lookup, version::key_of},
    ops::metrics::{Metrics, labels::SourceRead},
    state::State,
};

/// The most reads that one review makes.
pub(super) const MOST: usize = 64;
/// The most reads that all reviews make at the same time.
const AT_ONCE: usize = 128;

/// How sure memory is of a source, the least first.
#[derive(Debug, PartialEq, Eq, PartialOrd, Ord)]
enum Sure {
    /// A write of it was admitted just now, and no watch has shown it yet.
    Outdated,
    /// Nothing is known of it.
    Unknown,
    /// It was absent.
    Absent,
    /// It was there, written then. What changed last is likely to change again.
    Present(Reverse<i64>),
}

/// Reads sources for reviews. Clones share the bound of all reads.
#[derive(Clone, Debug)]
pub(super) struct Reads(Arc<Semaphore>);

impl Default for Reads {
    fn default() -> Self {
        Self(Arc::new(Semaphore::new(AT_ONCE)))
    }
}

impl Reads {
    /// Reads the sources that a write needs, side by side. Leaves to memory those that are too many, or do not come within
    /// the budget.
    pub(super) async fn of(
        &self,
        write: &Write,
        state: &State,
        cluster: &Cluster,
        metrics: &Metrics,
        budget: Duration,
    ) -> Vec<(SourceName, Option<Version>)> {
        let deadline = Instant::now() + budget;
        let (least_sure, rest) = least_sure(write, state);
        for _ in 0..rest {
            metrics.admission_source_read(SourceRead::Memory);
        }
        let setup = &state.setup;
        let read = |key: SourceKey| async move {
            let read = async {
                let _one = self.0.acquire().await.map_err(|_| Failure::Timeout)?;
                sources::read(cluster, &setup.key, &setup.conventions, &key).await
            };
            (read.await, key.source)
        };
        let mut pending: FuturesUnordered<_> = least_sure.into_iter().map(read).collect();
        let mut reads = Vec::with_capacity(pending.len());
        while let Ok(Some((result, source))) = timeout_at(deadline, pending.next()).await {
            match result {
                Ok(version) => {
                    metrics.admission_source_read(SourceRead::Read);
                    reads.push((source, version));
                }
                Err(error) => {
                    metrics.admission_source_read(SourceRead::Timeout);
                    tracing::debug!(%error, %source, namespace = write.namespace(), "read no source at admission");
                }
            }
        }
        for _ in 0..pending.len() {
            metrics.admission_source_read(SourceRead::Timeout);
        }
        reads
    }

    /// Looks up the deploy before the one to which a restart is taken back, within the budget.
    pub(super) async fn deploy_before(
        &self,
        undone: &Undone,
        cluster: &Cluster,
        budget: Duration,
    ) -> DeployBefore {
        let of = deploys::Of {
            namespace: &undone.key.namespace,
            uid: &undone.uid,
            selector: &undone.selector,
            now: &undone.template,
        };
        let read = async {
            let _one = self.0.acquire().await.map_err(|_| Failure::Timeout)?;
            deploys::before(cluster, of).await
        };
        let why = match timeout(budget, read).await {
            Ok(Ok(Some(number))) => return DeployBefore::Revision(number),
            Ok(Ok(None)) => return DeployBefore::Gone,
            Ok(Err(error)) => error.to_string(),
            Err(_) => Failure::Timeout.to_string(),
        };
        tracing::debug!(why, workload = %undone.key, "looked up no deploy before");
        DeployBefore::Unknown
    }
}

/// Returns the sources to read, of which memory is least sure, and how many more the write needs.
fn least_sure(write: &Write, state: &State) -> (Vec<SourceKey>, usize) {
    let keys = write
        .to_read()
        .map(|source| key_of(write.namespace(), source));
    let mut keys: Vec<_> = keys.collect();
    let rest = keys.len().saturating_sub(MOST);
    if rest > 0 {
        let (index, claims) = (state.index(), state.provisional());
        keys.sort_by_cached_key(|key| {
            if claims.claims(key) {
                return Sure::Outdated;
            }
            match index.source(&key.namespace, &key.source) {
                Lookup::Unsynced | Lookup::Unseen => Sure::Unknown,
                Lookup::Absent { .. } => Sure::Absent,
                Lookup::Present { version, .. } => Sure::Present(Reverse(version.changed_at())),
            }
        });
        keys.truncate(MOST);
    }
    (keys, rest)
}

#[cfg(test)]
mod tests {
    use std::{collections::BTreeSet, time::Duration};

    use axum::{
        body::{Body, to_bytes},
        http::Request,
    };
    use k8s_openapi::api::core::v1::Secret;
    use serde_json::{Value, json};
    use tower::ServiceExt as _;

    use crate::{
        cluster::testing::{Script, Turn},
        model::{
            Index, SourceKind,
            testing::{NAMESPACE, key},
        },
        state::system_clock,
        webhook::{
            routes::{Admission, WORKLOADS_PATH, router},
            server::{BodyLimits, BodyReader},
        },
    };

    use super::*;

    const SOURCES: usize = 1000;

    fn name(number: usize) -> String {
        format!("s{number:04}")
    }

    fn source(number: usize) -> SourceKey {
        key_of(NAMESPACE, &SourceName::secret(name(number)))
    }

    /// A webhook that knows of many Secrets; the later their number, the earlier they were written. The last ten it does not
    /// know.
    fn webhook(script: &Script, known: usize) -> (Admission, Arc<Metrics>) {
        let mut index = Index::new(key());
        for kind in SourceKind::ALL {
            index.set_synced(kind);
        }
        for number in 0..known {
            let hour = 23 - number * 24 / known;
            let secret: Secret = serde_json::from_value(json!({
                "metadata": {
                    "name": name(number), "uid": name(number), "resourceVersion": "10",
                    "creationTimestamp": format!("2026-01-01T{hour:02}:00:00Z"),
                },
                "data": { "k": "eHh4" },
            }))
            .unwrap();
            index.apply_source(
                &source(number),
                Version::of_secret(&key(), NAMESPACE, &secret),
            );
        }
        let metrics = Arc::new(Metrics::new());
        let admission = Admission {
            state: Arc::new(State::new(
                index,
                system_clock(),
                "system:reroll".to_owned(),
            )),
            metrics: Arc::clone(&metrics),
            cluster: script.cluster(),
            get_budget: Duration::from_secs(5),
            told: crate::webhook::warnings::Told::All,
            bodies: BodyReader::new(BodyLimits::default()),
        };
        (admission, metrics)
    }

    /// Creates a Deployment that refers to so many Secrets. Returns what is patched.
    async fn create(admission: Admission, sources: usize) -> Value {
        let refers = |number| json!({ "secretRef": { "name": name(number) } });
        let env: Vec<_> = (0..sources).map(refers).collect();
        let object = json!({
            "apiVersion": "apps/v1", "kind": "Deployment",
            "metadata": { "name": "web", "namespace": NAMESPACE, "annotations": { "reroll.dev/restart-on": "auto" } },
            "spec": {
                "selector": { "matchLabels": { "app": "web" } },
                "template": {
                    "metadata": { "labels": { "app": "web" } },
                    "spec": { "containers": [{ "name": "c", "envFrom": env }] },
                },
            },
        });
        let review = json!({ "apiVersion": "admission.k8s.io/v1", "kind": "AdmissionReview", "request": {
            "uid": "r", "operation": "CREATE", "namespace": NAMESPACE, "name": "web",
            "kind": { "group": "apps", "version": "v1", "kind": "Deployment" },
            "userInfo": { "username": "someone" }, "object": object,
        } });
        let request = Request::post(WORKLOADS_PATH)
            .body(Body::from(review.to_string()))
            .unwrap();
        let answer = router(admission).oneshot(request).await.unwrap();
        assert_eq!(answer.status(), 200);
        let body = to_bytes(answer.into_body(), 1 << 20).await.unwrap();
        let answer: Value = serde_json::from_slice(&body).unwrap();
        assert_eq!(answer["response"]["allowed"], true);
        answer["response"]["patch"].clone()
    }

    fn read(script: &Script) -> BTreeSet<String> {
        let asked = script.asked("GET /secrets/");
        let names = asked
            .iter()
            .map(|asked| asked.path.rsplit_once('/').unwrap().1);
        names.map(ToOwned::to_owned).collect()
    }

    #[tokio::test]
    async fn a_review_makes_few_reads_however_many_sources_its_template_names() {
        let script = Script::default();
        let (admission, metrics) = webhook(&script, SOURCES);
        let patch = create(admission, SOURCES).await;
        assert!(patch.is_string(), "what is known is recorded");
        assert_eq!(script.count("GET /secrets/"), 64);
        let metrics = metrics.encode().unwrap();
        for (result, count) in [("read", MOST), ("memory", SOURCES - MOST), ("timeout", 0)] {
            let line =
                format!("reroll_admission_source_reads_total{{result=\"{result}\"}} {count}\n");
            assert!(metrics.contains(&line), "{line}{metrics}");
        }
    }

    #[tokio::test]
    async fn what_is_older_than_known_is_handed_on() {
        let script = Script::default();
        let (admission, _) = webhook(&script, 3);
        // One is what is known, one is older, and one is not there; the fourth was never known.
        for (number, version) in [(0, "10"), (1, "9")] {
            let object = json!({
                "apiVersion": "v1", "kind": "Secret",
                "metadata": {
                    "name": name(number), "namespace": NAMESPACE, "uid": name(number),
                    "resourceVersion": version, "creationTimestamp": "2026-01-01T00:00:00Z",
                },
                "data": { "k": "eHh4" },
            });
            let path = format!("GET /secrets/{}$", name(number));
            script.turn(&path, Turn::say(200, &object));
        }
        let state = Arc::clone(&admission.state);
        create(admission, 4).await;
        let older = state.contradictions().take();
        let older: Vec<_> = older
            .map(|(key, _, read)| (key, read.map(|version| version.resource_version)))
            .collect();
        assert_eq!(older, [(source(1), Some(9)), (source(2), None)]);
    }

    #[tokio::test]
    async fn few_sources_are_all_read() {
        let script = Script::default();
        let (admission, _) = webhook(&script, SOURCES);
        create(admission, MOST).await;
        assert_eq!(read(&script).len(), MOST);
    }

    #[tokio::test]
    async fn those_are_read_of_which_memory_is_least_sure() {
        let script = Script::default();
        let (admission, _) = webhook(&script, SOURCES - 10);
        let claimed = [SOURCES / 2, SOURCES - 20];
        for number in claimed {
            let whole = crate::model::Digest::parse("AAAAAAAAAAAAAAAA").unwrap();
            let mut claims = admission.state.provisional();
            claims.admit(&source(number), "A", whole, Instant::now());
        }
        create(admission, SOURCES).await;
        let absent = SOURCES - 10..SOURCES;
        // And then those that were written last.
        let written = 0..MOST - 12;
        let expected = claimed.into_iter().chain(absent).chain(written).map(name);
        assert_eq!(read(&script), expected.collect());
    }
}
