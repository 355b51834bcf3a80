//! What a decision needs to know of a workload's pods, asked of the API server.

use k8s_openapi::api::core::v1::Pod;
use kube::ResourceExt;

use crate::{
    cluster::{Failure, pods},
    judge::live::Live,
    model::{
        SourceName, WorkloadKey, annotation::RESTARTED_FOR, decide::Ages, source::References,
        workload::RestartMeans,
    },
    state::State,
};

/// Whether a container that needs one of these sources has ever started in any pod.
///
/// # Errors
/// When the API server does not say.
pub(super) async fn have_started(
    live: &Live,
    key: &WorkloadKey,
    missing: &[SourceName],
) -> Result<bool, Failure> {
    if key.kind.means == RestartMeans::Run {
        // Runs that wait go on when it is there, and others begin with it.
        return Ok(false);
    }
    let pods = pods::of(&live.cluster, key).await?;
    Ok(pods.is_none_or(|pods| pods::have_started(&pods, missing)))
}

/// When the oldest pods were made that use these sources.
///
/// # Errors
/// When the API server does not say.
pub(super) async fn ages(
    live: &Live,
    key: &WorkloadKey,
    sources: &[SourceName],
) -> Result<Ages, Failure> {
    let state = &live.judge.state;
    let Some((created, mark)) = made(state, key) else {
        return Ok(Ages::new());
    };
    let Some(pods) = pods::of(&live.cluster, key).await? else {
        // Nothing tells which pods are its own: they may be as old as it is.
        let used = used_of(state, key, sources);
        return Ok(pods::ages_of([(created, used)], sources));
    };
    // Those of an older template go by themselves.
    let of_template = |pod: &&Pod| pod.annotations().get(RESTARTED_FOR) == mark.as_ref();
    let pods = pods.iter().filter(of_template);
    Ok(pods::ages_of(pods.filter_map(pods::seen), sources))
}

/// Where the status of a kind does not tell whether pods of older templates are left: forgets what is former when no
/// pod's own spec names any of it. A failed look changes nothing: what is former stays.
pub(super) async fn look_for_formers(live: &Live, key: &WorkloadKey) {
    let state = &live.judge.state;
    let formers: Vec<SourceName> = {
        let index = state.index();
        let observed = index.workload(key).and_then(|known| known.observed());
        let formers = observed.filter(|_| key.kind.counts.is_none());
        let formers = formers.into_iter().flat_map(|known| known.formers.iter());
        formers.map(|(source, _)| source.clone()).collect()
    };
    if formers.is_empty() {
        return;
    }
    let Ok(Some(pods)) = pods::of(&live.cluster, key).await else {
        return;
    };
    if pods::ages_of(pods.iter().filter_map(pods::seen), &formers).is_empty() {
        state.index_mut().forget_formers(key);
    }
}

fn made(state: &State, key: &WorkloadKey) -> Option<(i64, Option<String>)> {
    let index = state.index();
    let workload = &index.workload(key)?.workload;
    Some((workload.created, workload.marks.template.clone()))
}

fn used_of(state: &State, key: &WorkloadKey, sources: &[SourceName]) -> References {
    let index = state.index();
    let uses = index.workload(key).into_iter();
    let uses = uses.flat_map(|known| known.uses().iter());
    uses.filter(|(source, _)| sources.contains(source))
        .map(|(source, usage)| (source.clone(), usage.clone()))
        .collect()
}
