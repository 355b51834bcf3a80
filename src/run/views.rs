//! What metrics read from their owners at each scrape.

use std::sync::Arc;

use crate::{
    cluster::lease::Leadership,
    config::Settings,
    judge::Judge,
    model::held::UnderWay,
    ops::metrics::{
        Metrics,
        views::{Indexed, Pending},
    },
    restart::job::Jobs,
    state::State,
};

/// Returns metrics at zero, as these settings want them.
pub(super) fn metrics(settings: &Settings) -> Arc<Metrics> {
    let metrics = Metrics::new();
    metrics.begin_for(&settings.cluster.kinds);
    let most = settings.ops.metrics_namespaces;
    metrics.name_namespaces(most);
    if settings.ops.reloader_metrics {
        metrics.view_as_reloader();
    }
    Arc::new(metrics)
}

/// Shows what is indexed, and what waits.
pub(super) fn show(
    metrics: &Metrics,
    state: &Arc<State>,
    judge: &Arc<Judge>,
    jobs: Option<Arc<Jobs>>,
    leadership: Leadership,
) {
    let index = Arc::clone(state);
    metrics.view_indexed(move || {
        let index = index.index();
        let (sources, workloads) = index.size();
        Indexed {
            sources: sources as u64,
            workloads: workloads as u64,
            under_previous_key: index.under_previous_key() as u64,
        }
    });
    let others = Arc::clone(state);
    metrics.view_others(move || others.peers(|peers, _| peers.holders()));
    let judge = Arc::clone(judge);
    metrics.view_pending(move || {
        let pending = judge.docket().pending();
        let recreating = jobs.as_ref().map_or_else(Vec::new, |jobs| jobs.under_way());
        let mut held_back = pending.held_back;
        for (reason, namespaces) in [
            (UnderWay::Recreating, recreating),
            (UnderWay::Turn, judge.waiting()),
        ] {
            for namespace in namespaces {
                held_back.add(reason.as_str(), &namespace);
            }
        }
        Pending {
            intents: pending.intents as u64,
            // No other replica can do anything about it, or asks etcd whether it is void.
            oldest: pending
                .oldest
                .filter(|_| leadership.leads())
                .map(|at| at.elapsed()),
            held_back,
            unread: judge.unshown.waiting() as u64,
        }
    });
}
