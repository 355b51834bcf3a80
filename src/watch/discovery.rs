//! Follows kinds that not every cluster has: looks for them, watches them while they are served, and forgets their
//! objects when they are not.
//!
//! Neither readiness nor the reconciliation at start waits for these kinds. When one appears, the objects of its first
//! list are judged as at start: every workload is judged when it is seen, once the lists of sources are complete.
//!
//! While a kind is absent, the only cost is one small GET per interval, of its group's discovery document. A watch of
//! `CustomResourceDefinition`s would tell sooner. But it needs rights in the whole cluster, and it does not know the
//! kinds that an aggregated API server serves. When the API server answers a watch with 404, the watch ends, and the
//! kind is looked for again.

use std::{sync::Arc, time::Duration};

use kube::core::ApiResource;
use tokio::{sync::oneshot, time::sleep};

use super::{Then, Watch, Watched, Watches};
use crate::{
    cluster::{DiscoveredKind, discovery::discover},
    judge::Judge,
    model::Kind,
};

/// Looks for a kind every `interval`, and watches its objects while it is served. `within` is one namespace, or `None`
/// for all. `answered` is told when it is first known whether the kind is served, and its objects are listed if so. Never
/// ends.
pub async fn follow(
    watches: Arc<Watches>,
    kind: DiscoveredKind,
    within: Option<String>,
    interval: Duration,
    answered: oneshot::Sender<()>,
) {
    watches.namespaces.selection_known().await;
    let mut answered = Some(answered);
    loop {
        match discover(&watches.cluster, kind).await {
            Ok(Some(resource)) => {
                appeared(&watches, kind, &resource);
                let watch = Watch {
                    what: Watched::of(kind),
                    within: within.clone(),
                    then: answered.take().map_or(Then::GoOn, Then::Tell),
                };
                watch.run(Arc::clone(&watches)).await;
                vanished(&watches, kind, within.as_deref());
            }
            Ok(None) => absent(&watches.judge, kind, within.as_deref()),
            Err(failure) => {
                tracing::debug!(%kind, %failure, "cannot tell whether the API server serves a kind, asking again");
                absent(&watches.judge, kind, within.as_deref());
            }
        }
        // What cannot be told counts as absent. No task waits any more while reroll is stopping.
        let _ = answered.take().map(|answered| answered.send(()));
        sleep(interval).await;
    }
}

/// Takes in that a kind is absent. Then there are no workloads of it, and no decision waits for its sources.
fn absent(judge: &Judge, kind: DiscoveredKind, within: Option<&str>) {
    if let DiscoveredKind::Csi(part) = kind {
        judge.part_absent(part, within);
    }
}

fn appeared(watches: &Watches, kind: DiscoveredKind, resource: &ApiResource) {
    if !watches.cluster.served().appeared(kind, resource) {
        return;
    }
    let (version, plural) = (&resource.version, &resource.plural);
    tracing::info!(%kind, version, plural, "the API server serves this kind: it is watched");
    if *version != kind.gvk().version {
        tracing::warn!(%kind, version, "the API server does not serve this version of the kind: another is used");
    }
    if let DiscoveredKind::Workload(kind) = kind
        && *plural != kind.plural
    {
        tracing::warn!(
            %kind,
            plural,
            expected = kind.plural,
            "the kind's resource has another name, which a webhook registered by the first one does not see: give it \
             with --workload-kind, as GROUP/VERSION/KIND=PLURAL"
        );
    }
}

fn vanished(watches: &Watches, kind: DiscoveredKind, within: Option<&str>) {
    let objects = match kind {
        DiscoveredKind::Workload(kind) => forget_workloads(&watches.judge, kind, within),
        DiscoveredKind::Csi(part) => watches.judge.part_gone(part, within),
    };
    if watches.cluster.served().vanished(kind) {
        tracing::info!(%kind, objects, "the API server serves this kind no more: it is looked for");
    }
}

fn forget_workloads(judge: &Judge, kind: Kind, within: Option<&str>) -> usize {
    let gone = judge.state.index().workloads(Some(kind), within);
    for key in &gone {
        judge.workload_deleted(key);
    }
    gone.len()
}
