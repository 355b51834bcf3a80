//! Reads into a [`Sight`]: one workload with what it uses, or all of a namespace or of the cluster.

use std::collections::BTreeSet;

use k8s_openapi::api::core::v1::{Namespace, Pod};
use kube::{Api, ResourceExt as _, api::ListParams, core::DynamicObject};

use super::{
    Sight,
    sources::{all_sources, hidden, source_of},
};
use crate::{
    cli::{
        args::Asking,
        error::Error,
        installation::{Installation, ReadFlags},
        object::of_metadata,
        session::Session,
    },
    clock::system_clock,
    cluster::{Failure, pods},
    model::{
        Kind, SourceKind, WorkloadKey,
        annotation::{LAST_RESTART, ROLLOUT_OPENED},
        policy::Selection,
        version::key_of,
        workload::{KINDS, ROLLOUT, Workload},
    },
};

/// Finds the reroll that works in this namespace, or any where none is named. Nothing else is read yet.
pub(in crate::cli) async fn begin(
    session: &Session,
    asking: &Asking,
    within: Option<&str>,
    read_flags: ReadFlags,
) -> Result<Sight, Error> {
    let mut installation = Installation::find(session, asking, within, read_flags).await?;
    installation.read_key(session).await?;
    Sight::new(installation, system_clock()())
}

/// The same for who compares no data.
pub(in crate::cli) async fn begin_without_key(
    session: &Session,
    asking: &Asking,
    within: Option<&str>,
    read_flags: ReadFlags,
) -> Result<Sight, Error> {
    let installation = Installation::find(session, asking, within, read_flags).await?;
    Sight::new(installation, system_clock()())
}

/// Reads one workload with what it uses. Returns whether it exists.
pub(in crate::cli) async fn one(
    sight: &mut Sight,
    session: &Session,
    key: &WorkloadKey,
) -> Result<bool, Error> {
    one_shown(sight, session, key, &mut |_, _| {}).await
}

/// Reads the same, and shows the Namespace and the workload.
pub(in crate::cli) async fn one_shown(
    sight: &mut Sight,
    session: &Session,
    key: &WorkloadKey,
    see: See<'_>,
) -> Result<bool, Error> {
    namespace(sight, session, &key.namespace, see).await?;
    let what = || format!("read {} in {}", key.spoken(), key.namespace);
    let found = session.cluster.workload(key).await;
    let Some(object) = found.map_err(|why| session.failed(what(), why))? else {
        return Ok(false);
    };
    see((key.kind.group, key.kind.kind), &object);
    take_workload(sight, key.kind, object);
    related(sight, session, key).await?;
    let tracked = sight.index.workload(key);
    let by_pattern = tracked.is_some_and(|known| match &known.policy.selection {
        Selection::Some(rules) => rules.has_patterns(),
        Selection::Off | Selection::Unreadable => false,
    });
    if by_pattern {
        all_sources(sight, session, Some(&key.namespace)).await?;
    }
    let tracked = sight.index.workload(key);
    let uses = tracked.map(|known| known.uses().keys().cloned().collect::<Vec<_>>());
    for source in uses.unwrap_or_default() {
        let source = key_of(&key.namespace, &source);
        // What no list shows may be there all the same.
        if !sight.written.contains_key(&source) {
            source_of(sight, session, &source).await?;
        }
    }
    if by_pattern {
        sight.is_read();
        return Ok(true);
    }
    for kind in SourceKind::ALL {
        if kind.is_readable() && sight.has_read(kind, &key.namespace) {
            sight.index.set_synced(kind);
        }
    }
    sight.is_read();
    Ok(true)
}

/// Reads everything, of one namespace or of all.
pub(in crate::cli) async fn all(
    sight: &mut Sight,
    session: &Session,
    within: Option<&str>,
) -> Result<(), Error> {
    all_shown(sight, session, within, &mut |_, _| {}).await
}

/// Sees Namespaces and workloads as the API server has them: their group and kind, and the object.
pub(in crate::cli) type See<'a> = &'a mut dyn FnMut((&'static str, &'static str), &DynamicObject);

/// Reads the same, and shows Namespaces and workloads.
pub(in crate::cli) async fn all_shown(
    sight: &mut Sight,
    session: &Session,
    within: Option<&str>,
    see: See<'_>,
) -> Result<(), Error> {
    shown(sight, session, within, see).await?;
    all_sources(sight, session, within).await?;
    sight.is_read();
    hidden(sight, session, within).await
}

/// Reads all workloads, of one namespace or of all, and what Namespaces say; no source.
pub(in crate::cli) async fn all_workloads(
    sight: &mut Sight,
    session: &Session,
    within: Option<&str>,
) -> Result<(), Error> {
    shown(sight, session, within, &mut |_, _| {}).await
}

/// Reads and shows Namespaces and workloads, and no source.
pub(in crate::cli) async fn shown(
    sight: &mut Sight,
    session: &Session,
    within: Option<&str>,
    see: See<'_>,
) -> Result<(), Error> {
    match within {
        Some(name) => namespace(sight, session, name, see).await?,
        None => namespaces(sight, session, see).await?,
    }
    every_kind(sight, session, within, see).await
}

/// Reads the workloads of a namespace, and nothing else of it.
pub(super) async fn take_workloads_of(
    sight: &mut Sight,
    session: &Session,
    namespace: &str,
) -> Result<(), Error> {
    every_kind(sight, session, Some(namespace), &mut |_, _| {}).await
}

async fn every_kind(
    sight: &mut Sight,
    session: &Session,
    within: Option<&str>,
    see: See<'_>,
) -> Result<(), Error> {
    let served = session.served().await?;
    let kinds: Vec<Kind> = sight.index.kinds().iter().collect();
    for kind in kinds.into_iter().filter(|kind| has(&served, kind)) {
        workloads(sight, session, kind, within, see).await?;
    }
    Ok(())
}

/// Shows the pods of a namespace, or of all. Returns whether they may be listed; if not, that is noted.
pub(in crate::cli) async fn pods_within(
    session: &Session,
    within: Option<&str>,
    notes: &mut Vec<String>,
    see: impl FnMut(&Pod),
) -> Result<bool, Error> {
    let place = within.map_or_else(String::new, |namespace| format!(" in {namespace}"));
    match pods::each_within(&session.cluster, within, see).await {
        Ok(()) => Ok(true),
        Err(Failure::Forbidden) => {
            notes.push(format!(
                "no right to list pods{place}: which have an older value, and which fail, is not seen"
            ));
            Ok(false)
        }
        Err(why) => Err(session.failed(format!("list pods{place}"), why)),
    }
}

async fn namespace(
    sight: &mut Sight,
    session: &Session,
    name: &str,
    see: See<'_>,
) -> Result<(), Error> {
    let api = Api::<Namespace>::all(session.cluster.client());
    match session.cluster.get(&api, name).await {
        Ok(Some(found)) => shown_namespace(sight, found, see),
        Ok(None) => return Err(Error::Usage(format!("there is no namespace {name}"))),
        Err(Failure::Forbidden) => sight.miss("namespaces", ""),
        Err(why) => return Err(session.failed(format!("read namespace {name}"), why)),
    }
    Ok(())
}

/// Whether a namespace exists, as far as that may be seen.
pub(in crate::cli) async fn exists(session: &Session, namespace: &str) -> Result<bool, Error> {
    let api = Api::<Namespace>::all(session.cluster.client());
    match session.cluster.get(&api, namespace).await {
        Ok(found) => Ok(found.is_some()),
        Err(Failure::Forbidden) => Ok(true),
        Err(why) => Err(session.failed(format!("read namespace {namespace}"), why)),
    }
}

fn shown_namespace(sight: &mut Sight, found: Namespace, see: See<'_>) {
    sight.take_namespace(&found.name_any(), &found.metadata);
    see(("", "Namespace"), &of_metadata(found.metadata));
}

async fn namespaces(sight: &mut Sight, session: &Session, see: See<'_>) -> Result<(), Error> {
    let api = Api::<Namespace>::all(session.cluster.client());
    let take = |found: Namespace| shown_namespace(sight, found, see);
    let listed = session.cluster.each(&api, ListParams::default(), take);
    match listed.await {
        Ok(()) => {}
        Err(Failure::Forbidden) => sight.miss("namespaces", ""),
        Err(why) => return Err(session.failed("list namespaces", why)),
    }
    Ok(())
}

/// Whether a cluster that serves these groups has a kind. Who has no right to one is refused, whether it is there or not.
fn has(served: &BTreeSet<String>, kind: Kind) -> bool {
    !kind.optional || served.contains(kind.group)
}

/// Reads the workload whose template it has, and those that have its own.
async fn related(sight: &mut Sight, session: &Session, key: &WorkloadKey) -> Result<(), Error> {
    let tracked = sight.index.workload(key);
    let borrows = tracked.and_then(|known| known.workload.borrows.clone());
    if let Some(template) = borrows {
        let kind = sight.index.kinds().find(&template.group, &template.kind);
        if let Some(kind) = kind {
            let lender = WorkloadKey {
                kind,
                namespace: key.namespace.clone(),
                name: template.name,
            };
            let found = session.cluster.workload(&lender).await;
            if let Ok(Some(object)) = found {
                take_workload(sight, kind, object);
            }
        }
    }
    let lends = key.kind == &KINDS[0] && sight.index.kinds().iter().any(|kind| kind == &ROLLOUT);
    if lends && has(&session.served().await?, &ROLLOUT) {
        let within = Some(key.namespace.as_str());
        workloads(sight, session, &ROLLOUT, within, &mut |_, _| {}).await?;
    }
    Ok(())
}

async fn workloads(
    sight: &mut Sight,
    session: &Session,
    kind: Kind,
    within: Option<&str>,
    see: See<'_>,
) -> Result<(), Error> {
    let take = |object| {
        see((kind.group, kind.kind), &object);
        take_workload(sight, kind, object);
    };
    match session.cluster.each_workload(kind, within, take).await {
        Ok(()) => {}
        // The cluster has no such kind.
        Err(Failure::Gone) if kind.optional => {}
        Err(Failure::Forbidden) => sight.miss(kind.plural, within.unwrap_or_default()),
        Err(why) => return Err(session.failed(format!("list {}", kind.plural), why)),
    }
    Ok(())
}

/// Takes in a workload as it is, or would be.
pub(in crate::cli) fn take_workload(sight: &mut Sight, kind: Kind, mut object: DynamicObject) {
    let conventions = sight.index.conventions().clone();
    conventions.vocabulary.translate_workload(kind, &mut object);
    let key = WorkloadKey {
        kind,
        namespace: object.namespace().unwrap_or_default(),
        name: object.name_any(),
    };
    if let Some(text) = object.annotations().get(ROLLOUT_OPENED) {
        sight.take_told(&key.namespace, text);
    }
    if let Some(text) = object.annotations().get(LAST_RESTART) {
        sight.last_restarts.insert(key.clone(), text.clone());
    }
    let workload = Workload::read(kind, &object);
    if workload.is_past_asking() && workload.is_left_alone() {
        return;
    }
    sight.index.apply_workload(&key, workload);
}
