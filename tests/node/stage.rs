//! A test's namespaces on the real nodes, with a workload of each kind.

use std::{collections::BTreeMap, sync::OnceLock};

use reroll_harness::{Arena, KINDS, Pods, RESTART_ON, Recorder, cluster::Cluster, running};

use crate::reads::{by_pod, everywhere, in_all_ways};

/// How many pods each workload has: a `DaemonSet` has one on each node.
pub const PODS: usize = 2;
/// What opts a workload in.
pub const AUTO: [(&str, &str); 1] = [(RESTART_ON, "auto")];

/// Returns the cluster of all tests, started by the first of them. It ends with this process.
pub fn nodes() -> &'static Cluster {
    static SHARED: OnceLock<Cluster> = OnceLock::new();
    SHARED.get_or_init(|| Cluster::start_with_real_nodes().expect("a cluster with real nodes"))
}

/// Returns namespaces on the real nodes.
pub async fn arena(name: &str) -> Arena {
    Arena::on(nodes(), name).await
}

/// A workload of each kind that reads one source, and who counts.
pub struct Stage {
    pub arena: Arena,
    pub recorder: Recorder,
    pub pods: Pods,
    /// What all of them read: `Secret` or `ConfigMap`.
    pub source: &'static str,
}

impl Stage {
    /// Returns one in which nothing exists yet but the source, with this value.
    pub async fn new(arena: Arena, source: &'static str, value: &str) -> Self {
        arena.source(source, "db", &[("k", value)]).await;
        Self {
            pods: Pods::watch(&arena).await,
            recorder: arena.record().await,
            arena,
            source,
        }
    }

    /// Creates a workload of each kind, and waits until its pods run.
    pub async fn play(&self) {
        for kind in KINDS {
            self.create(kind).await;
        }
        for kind in KINDS {
            self.arena.complete(kind, &named(kind)).await;
            self.arena.adopted(kind, &named(kind)).await;
        }
    }

    /// Creates the workload of this kind.
    pub async fn create(&self, kind: &str) {
        let pod = in_all_ways(self.source, "db");
        self.arena
            .create(&running(kind, &named(kind), &AUTO, pod))
            .await;
    }

    /// Waits until the template of each workload has changed this often and its pods are new. Checks what they read.
    pub async fn reads_after(&self, rollouts: usize, value: &str) {
        for kind in KINDS {
            self.recorder.reaches(kind, &named(kind), rollouts).await;
        }
        self.reads(value).await;
    }

    /// Checks what the pods of all workloads read, when no rollout is under way any more.
    pub async fn reads(&self, value: &str) {
        for kind in KINDS {
            let name = named(kind);
            self.arena.complete(kind, &name).await;
            let read = by_pod(&self.arena, &name).await;
            assert_eq!(read.len(), PODS, "pods of {kind} {name}");
            let expected: BTreeMap<_, _> = read
                .keys()
                .map(|pod| (pod.clone(), everywhere(value)))
                .collect();
            assert_eq!(read, expected, "{kind}");
        }
    }

    /// Checks how often each template has changed in the end, and that as many pods were made as that takes, whatever
    /// became of them.
    pub async fn ends_after(&self, rollouts: usize) {
        self.recorder.settle(&self.arena).await;
        for kind in KINDS {
            self.recorder.expect(kind, &named(kind), rollouts);
            let ever = self.pods.ever(&named(kind)).len();
            assert_eq!(ever, PODS * (rollouts + 1), "pods that {kind} ever had");
        }
    }
}

/// Returns the name of the workload of this kind.
pub fn named(kind: &str) -> String {
    kind.to_lowercase()
}
