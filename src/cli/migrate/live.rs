//! Reads a cluster: workloads, Namespaces, and the metadata of sources. Only what bears an annotation is kept.

use k8s_openapi::api::core::v1::Namespace;
use kube::{
    Api, ResourceExt as _,
    api::ListParams,
    core::{DynamicObject, ObjectMeta},
};

use super::{
    seen::{Seen, bears},
    theirs::Theirs,
};
use crate::{
    cli::{
        args::Asking,
        error::Error,
        installation::{Installation, ReadFlags},
        lint::{self, inventory::Inventory, manifests::Manifest},
        object::of_metadata,
        session::Session,
    },
    cluster::{Failure, metadata},
    model::{Kind, SourceKind, workload::KINDS},
};

/// Reads everything, of one namespace or of all.
pub(super) async fn read(
    session: &Session,
    asking: &Asking,
    within: Option<&str>,
    read_flags: ReadFlags,
) -> Result<Seen, Error> {
    let installation = Installation::find(session, asking, within, read_flags).await?;
    let known = lint::kinds(&[], read_flags)?;
    let mut seen = Seen {
        bearers: Vec::new(),
        inventory: Inventory::default(),
        theirs: Vec::new(),
        conventions: installation.flags.conventions,
        kinds: installation.flags.kinds,
        known,
        files: None,
        notes: installation.notes,
        unreadable: Vec::new(),
        complete: true,
    };
    seen.theirs = theirs(session, within, &mut seen.notes).await?;
    namespaces(session, within, &mut seen).await?;
    let served = session.served().await?;
    let has = |group: &str| group.is_empty() || served.contains(group);
    let kinds: Vec<Kind> = seen.known.iter().collect();
    let (mut unread, mut any) = (Vec::new(), false);
    for kind in kinds.into_iter().filter(|kind| has(kind.group)) {
        if workloads(session, kind, within, &mut seen).await? {
            any = true;
        } else {
            unread.push(kind.plural);
        }
    }
    if !any {
        let place = within.map_or("in all namespaces".to_owned(), |name| format!("in {name}"));
        return Err(session.may_not_read(&unread.join(", "), &place));
    }
    seen.complete = unread.is_empty();
    for kind in SourceKind::ALL {
        let group = kind.api_version().split_once('/');
        if has(group.map_or("", |(group, _)| group)) {
            sources(session, kind, within, &mut seen).await?;
        }
    }
    Ok(seen)
}

/// Takes note of what may not be read, and goes on.
fn passed(
    session: &Session,
    listed: Result<(), Failure>,
    plural: &str,
    within: Option<&str>,
    not_seen: &mut Vec<String>,
) -> Result<(), Error> {
    let place = within.map_or_else(|| "all namespaces".to_owned(), ToOwned::to_owned);
    match listed {
        // The cluster has no such kind.
        Ok(()) | Err(Failure::Gone) => Ok(()),
        Err(Failure::Forbidden) => {
            not_seen.push(format!("no right to list {plural} in {place}"));
            Ok(())
        }
        Err(why) => Err(session.failed(format!("list {plural}"), why)),
    }
}

/// Finds Reloader, wherever it is; or in this namespace, for who may not look elsewhere.
async fn theirs(
    session: &Session,
    within: Option<&str>,
    not_seen: &mut Vec<String>,
) -> Result<Vec<Theirs>, Error> {
    let mut found = Vec::new();
    let kind = &KINDS[0];
    let mut see = |object: DynamicObject| {
        let manifest = Manifest::live((kind.group, kind.kind), &object);
        found.extend(Theirs::of(&manifest));
    };
    let mut listed = session.cluster.each_workload(kind, None, &mut see).await;
    if let (Err(Failure::Forbidden), Some(namespace)) = (&listed, within) {
        not_seen.push(
            "no right to list deployments in all namespaces: a Reloader elsewhere is not seen, nor its flags"
                .to_owned(),
        );
        listed = session
            .cluster
            .each_workload(kind, Some(namespace), &mut see)
            .await;
    }
    if listed.is_ok() && found.is_empty() {
        not_seen.push("found no Reloader: the defaults of its flags are taken".to_owned());
    }
    passed(session, listed, kind.plural, within, not_seen)?;
    Ok(found)
}

async fn namespaces(session: &Session, within: Option<&str>, seen: &mut Seen) -> Result<(), Error> {
    let api = Api::<Namespace>::all(session.cluster.client());
    let see = |found: Namespace| take(seen, ("", "Namespace"), &of_metadata(found.metadata));
    let listed = match within {
        None => session.cluster.each(&api, ListParams::default(), see).await,
        Some(name) => match session.cluster.get(&api, name).await {
            Ok(Some(found)) => {
                let mut see = see;
                see(found);
                Ok(())
            }
            Ok(None) => return Err(Error::Usage(format!("there is no namespace {name}"))),
            Err(why) => Err(why),
        },
    };
    match (listed, within) {
        (Err(Failure::Forbidden), Some(name)) => {
            seen.notes.push(format!("no right to get Namespace {name}"));
            Ok(())
        }
        (listed, _) => passed(session, listed, "namespaces", None, &mut seen.notes),
    }
}

/// Takes in the workloads of a kind. Returns whether they may be read.
async fn workloads(
    session: &Session,
    kind: Kind,
    within: Option<&str>,
    seen: &mut Seen,
) -> Result<bool, Error> {
    let see = |object: DynamicObject| take(seen, (kind.group, kind.kind), &object);
    let listed = session.cluster.each_workload(kind, within, see).await;
    let may = !matches!(listed, Err(Failure::Forbidden));
    passed(session, listed, kind.plural, within, &mut seen.notes)?;
    Ok(may)
}

async fn sources(
    session: &Session,
    kind: SourceKind,
    within: Option<&str>,
    seen: &mut Seen,
) -> Result<(), Error> {
    let group = kind.api_version().split_once('/');
    let group = group.map_or("", |(group, _)| group);
    let see = |meta: ObjectMeta| take(seen, (group, kind.as_str()), &of_metadata(meta));
    let listed = metadata::each(&session.cluster, kind, within, see).await;
    passed(session, listed, kind.plural(), within, &mut seen.notes)
}

fn take(seen: &mut Seen, kind: (&str, &str), object: &DynamicObject) {
    if object.name_any().is_empty() {
        return;
    }
    let manifest = Manifest::live(kind, object);
    seen.inventory.take(&manifest);
    if bears(&manifest, &seen.known, seen.theirs.first()) {
        seen.bearers.push(manifest);
    }
}
