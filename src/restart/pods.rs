//! Asks the API server what a decision needs to know of a workload's pods.

use k8s_openapi::api::core::v1::Pod;
use kube::ResourceExt;

use crate::{
    cluster::{Failure, pods},
    judge::live::Live,
    model::{
        SourceName, WorkloadKey,
        annotation::RESTARTED_FOR,
        decide::Ages,
        source::{KeyLists, References},
        workload::{OlderPods, RestartMeans},
    },
    state::State,
};

/// Whether a container that needs one of these sources has ever started in any pod.
///
/// # Errors
/// When the API server refuses, or does not answer in time.
pub(super) async fn have_started(
    live: &Live,
    key: &WorkloadKey,
    missing: &[SourceName],
) -> Result<bool, Failure> {
    if key.kind.means == RestartMeans::Run {
        // Runs that wait for the source go on when it exists, and later runs start with it.
        return Ok(false);
    }
    let pods = pods::of(&live.cluster, key).await?;
    Ok(pods.is_none_or(|pods| pods::have_started(&pods, missing)))
}

/// Returns when the oldest pods were made that use these sources, by key, in unix seconds.
///
/// # Errors
/// When the API server refuses, or does not answer in time.
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
        // Nothing tells which pods are its own, so they may be as old as the workload.
        let used = used_of(state, key, sources);
        return Ok(pods::ages_of([(created, used)], sources));
    };
    // Kubernetes replaces the pods of an older template by itself.
    let of_template = |pod: &&Pod| pod.annotations().get(RESTARTED_FOR) == mark.as_ref();
    let pods = pods.iter().filter(of_template);
    let lists = lists_of(state, key);
    let seen = pods.filter_map(pods::seen);
    let read = seen.map(|(made, refers)| (made, lists.of_all(&refers).into_owned()));
    Ok(pods::ages_of(read, sources))
}

/// Forgets the sources that only older templates used (`formers`) if no pod's own spec names any of them. Asks only for
/// kinds whose status does not tell whether pods of older templates are left. If the API server does not answer,
/// nothing changes.
pub(super) async fn look_for_formers(live: &Live, key: &WorkloadKey) {
    let state = &live.judge.state;
    let formers: Vec<SourceName> = {
        let index = state.index();
        let known = index.workload(key);
        let untold = known.filter(|known| known.workload.older_pods() == OlderPods::Untold);
        let observed = untold.and_then(|known| known.observed());
        let formers = observed.into_iter().flat_map(|known| known.formers.iter());
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

/// Returns which keys of sources the opt-in of a workload takes.
fn lists_of(state: &State, key: &WorkloadKey) -> KeyLists {
    let index = state.index();
    let known = index.workload(key);
    known.map(|known| known.policy.lists()).unwrap_or_default()
}

fn used_of(state: &State, key: &WorkloadKey, sources: &[SourceName]) -> References {
    let index = state.index();
    let uses = index.workload(key).into_iter();
    let uses = uses.flat_map(|known| known.uses().iter());
    uses.filter(|(source, _)| sources.contains(source))
        .map(|(source, usage)| (source.clone(), usage.clone()))
        .collect()
}
