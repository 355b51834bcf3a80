//! Finds out which pods a workload adopted when it was created, before `observed` may count as its own.
//!
//! The webhook finds that out in the request that creates the workload. This is for where the webhook could not, or was
//! not called. By now the workload's controller may have taken the pods over. If its template is not the one that they
//! were made of, the controller has replaced them or has begun to. Nothing is written until the answer is known, so
//! after a crash the question is asked again.

use k8s_openapi::api::apps::v1::ControllerRevision;
use kube::{Api, ResourceExt, api::ListParams, core::DynamicObject};
use serde_json::Value;

use crate::{
    cluster::{
        Cluster, Failure,
        adoptable::{self, ALL_PAGES, NotFound},
    },
    judge::live::Live,
    model::{
        Decision, Index, Observed, SourceName, WorkloadKey,
        adopted::{self, Adopted, Adopter, Assessment, Current, REVISION_HASH, REVISIONS},
        decide::{Doubt, Lookup, Restart, Subject, Undecided},
        index::{Overlay, gates, just_read, without_ignored},
        workload::{Revisions, Workload, selector},
    },
    restart::pods::have_started,
    state::State,
};

/// The answer to which pods a workload adopted.
pub(in crate::restart) enum Examined {
    /// It adopted none, or the answer was known before.
    Nothing,
    /// It adopted some, and they have what is remembered now.
    Stands,
    /// It adopted some that are behind, and needs this restart.
    Behind(Box<Restart>),
    /// The answer is not known yet.
    Later,
}

/// Finds out which pods a workload adopted, unless that is known.
pub(in crate::restart) async fn examine(live: &Live, key: &WorkloadKey) -> Examined {
    let state = &live.judge.state;
    if !state.index().is_unexamined(key) {
        return Examined::Nothing;
    }
    match adopted_by(&live.cluster, key).await {
        Ok(Found::None) => {
            // Nothing is filed: what follows is being written right now, and would take another turn of the pace.
            let mut index = state.index_mut();
            index.set_examined(key);
            index.judge(key, &Overlay::new());
            Examined::Nothing
        }
        Ok(Found::Pods(workload, found, current)) => {
            let template = workload.marks.of_pods();
            let left = state.index().left_behind(key, &workload.uid);
            let before = left.as_ref().and_then(|left| left.restarted_at.as_deref());
            let texts = before.into_iter().chain(workload.marks.at.as_deref());
            let adopted = found.under(texts).that_stay(template, Some(&current));
            if adopted.pods.is_empty() {
                // Kubernetes is replacing all of them. Until it has, a user who restores the template brings these pods
                // back.
                return Examined::Later;
            }
            judge_adopted(live, key, &adopted, template).await
        }
        Ok(Found::Unseen) | Err(_) => Examined::Later,
    }
}

/// Which pods a workload adopted.
enum Found {
    None,
    /// The workload as it is, the pods, and the template that it has now.
    Pods(Box<Workload>, Adopted, Current),
    /// The workload's controller has yet to see the workload as it is now.
    Unseen,
}

async fn adopted_by(cluster: &Cluster, key: &WorkloadKey) -> Result<Found, NotFound> {
    let Some(object) = cluster.workload(key).await? else {
        return Ok(Found::None);
    };
    let workload = Workload::read(key.kind, &object);
    let Some(adopter) = Adopter::read(key.kind, &key.namespace, &object) else {
        return Ok(Found::None);
    };
    let found = match adoptable::find(cluster, &adopter, ALL_PAGES).await {
        Err(NotFound::Failed(Failure::Forbidden | Failure::Unauthorized)) => {
            tracing::warn!(workload = %key, "reroll may not list pods and ReplicaSets: it cannot tell whether the workload adopted pods that are behind");
            return Ok(Found::None);
        }
        found => found?,
    };
    if found.pods.is_empty() {
        return Ok(Found::None);
    }
    if !is_seen(&object) {
        return Ok(Found::Unseen);
    }
    Ok(match current_of(cluster, key, &object).await? {
        Some(revision) => {
            let current = Current {
                revision,
                number: adopter.number(),
            };
            Found::Pods(Box::new(workload), found, current)
        }
        None => Found::Unseen,
    })
}

/// Returns the name or number of the revision whose pods the workload makes now; `None` if it is not known yet.
async fn current_of(
    cluster: &Cluster,
    key: &WorkloadKey,
    object: &DynamicObject,
) -> Result<Option<String>, Failure> {
    if key.kind.revisions == Some(Revisions::ReplicaSets) {
        let all = object.annotations();
        let number = REVISIONS.iter().find_map(|name| all.get(*name));
        return Ok(Some(number.cloned().unwrap_or_default()));
    }
    if let Some(Value::String(name)) = object.data.pointer("/status/updateRevision") {
        return Ok(Some(name.clone()));
    }
    // The status of a DaemonSet does not say; the newest of its revisions does.
    let Some(selector) = selector(key.kind, object) else {
        return Ok(None);
    };
    let api = Api::<ControllerRevision>::namespaced(cluster.client(), &key.namespace);
    let params = ListParams::default().labels_from(&selector);
    let list = cluster.list(&api, &params).await?;
    let uid = object.uid().unwrap_or_default();
    let own = |one: &&ControllerRevision| one.owner_references().iter().any(|o| o.uid == uid);
    let newest = list.items.iter().filter(own).max_by_key(|one| one.revision);
    let label = newest.and_then(|one| one.labels().get(REVISION_HASH));
    Ok(Some(label.cloned().unwrap_or_default()))
}

async fn judge_adopted(
    live: &Live,
    key: &WorkloadKey,
    adopted: &Adopted,
    template: &str,
) -> Examined {
    let state = &live.judge.state;
    let names: Vec<_> = {
        let index = state.index();
        let uses = index
            .workload(key)
            .into_iter()
            .flat_map(|known| known.uses().keys());
        uses.filter(|name| name.kind.is_readable())
            .cloned()
            .collect()
    };
    let asked = live.judge.tick();
    let Ok(reads) = live.sources(key, &names, asked).await else {
        return Examined::Later;
    };
    let overlay = just_read(&reads);
    for _ in 0..2 {
        let judged = judge(&state.index(), key, adopted, template, &overlay);
        let Some((judged, held_back)) = judged else {
            return Examined::Nothing;
        };
        match judged.decision {
            Decision::Undecided(Undecided::Doubt(Doubt::AskPods, sources)) => {
                let Ok(started) = have_started(live, key, &sources).await else {
                    return Examined::Later;
                };
                state.index_mut().set_started(key, started);
                continue;
            }
            Decision::Undecided(_) => return Examined::Later,
            Decision::Restart(_) if held_back => stands(state, key, judged.before),
            Decision::Restart(restart) => return Examined::Behind(Box::new(restart)),
            Decision::Keep(next) | Decision::Record(next) | Decision::Wait { next, .. } => {
                stands(state, key, next);
            }
        }
        return Examined::Stands;
    }
    Examined::Later
}

fn stands(state: &State, key: &WorkloadKey, observed: Observed) {
    let mut index = state.index_mut();
    index.remember(key, observed);
    index.set_examined(key);
}

/// Decides for the pods. Also returns whether restarts are held back. `None` where the workload is gone, or `adopted`
/// has no pods.
fn judge(
    index: &Index,
    key: &WorkloadKey,
    adopted: &Adopted,
    template: &str,
    overlay: &Overlay,
) -> Option<(Assessment, bool)> {
    let tracked = index.workload(key)?;
    let left = index.left_behind(key, &tracked.workload.uid);
    let remembered = left.as_ref().map(|left| &left.observed);
    let (mark, oldest) = (adopted.mark(remembered)?, adopted.oldest()?);
    let live = |source: &SourceName| -> Lookup<'_> {
        let read = overlay.get(source).copied();
        read.unwrap_or_else(|| index.source(&key.namespace, source))
            .telling(|| tracked.uses().get(source))
    };
    let uses = without_ignored(tracked.uses(), &live);
    let subject = Subject {
        restarted_for: Some(mark),
        examined: true,
        after_machines: &index.after_machines(&key.namespace, overlay),
        ..tracked.subject(key.kind, &uses)
    };
    let read = |text: &String| Observed::read(text, index.key());
    let copies: Vec<_> = adopted.copies.iter().map(read).collect();
    let own = tracked.workload.observed.as_ref().map(read);
    let said = adopted.said(mark, remembered.into_iter().chain(&copies).chain(&own));
    let mut judged = adopted::judge(&subject, oldest, said, &live, index.key());
    let Assessment { decision, before } = &mut judged;
    let next = match decision {
        Decision::Undecided(_) => None,
        Decision::Restart(Restart { next, .. }) => Some(next),
        Decision::Keep(next) | Decision::Record(next) | Decision::Wait { next, .. } => {
            // A DaemonSet may keep pods of another template. Then their mark is not the template's.
            template.clone_into(&mut next.restarted_for);
            Some(next)
        }
    };
    template.clone_into(&mut before.restarted_for);
    // The sequence goes on from what was written on this workload, whatever number the workload before it had reached.
    for observed in next.into_iter().chain([before]) {
        observed.sequence = tracked.next_sequence();
    }
    Some((judged, gates::is_held_back(index, key)))
}

/// Whether the workload's controller has seen it as it is now. Argo writes the generation as text.
fn is_seen(object: &DynamicObject) -> bool {
    let seen = match object.data.pointer("/status/observedGeneration") {
        Some(Value::Number(number)) => number.as_i64(),
        Some(Value::String(text)) => text.parse().ok(),
        _ => None,
    };
    seen >= object.metadata.generation
}
