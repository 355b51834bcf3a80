//! Reads sources into a [`Sight`].

use std::collections::{BTreeMap, BTreeSet, HashSet};

use jiff::Timestamp;
use kube::core::ObjectMeta;

use super::{Sight, Written};
use crate::{
    cli::{error::Error, session::Session},
    cluster::{Failure, metadata, sources},
    model::{
        SourceKey, SourceKind, SourceName,
        index::{By, unshown},
        places::looks_ours,
        version::key_of,
    },
};

/// So many sources that no list shows are read one by one, though they may not exist.
const ONE_BY_ONE: usize = 20;

/// Reads what no list shows, and may exist all the same. Where that is much, names tell what exists: who refers to what is absent
/// costs no request each.
pub(super) async fn hidden(
    sight: &mut Sight,
    session: &Session,
    within: Option<&str>,
) -> Result<(), Error> {
    let keys = unshown::all(&sight.index);
    let names = match keys.as_slice() {
        many if many.len() > ONE_BY_ONE => existing(session, within, many).await?,
        _ => None,
    };
    for key in keys {
        if names.as_ref().is_some_and(|names| !names.contains(&key)) {
            missed(sight, &key);
        } else {
            source_of(sight, session, &key).await?;
        }
    }
    Ok(())
}

/// Returns which of these sources exist, by lists of names; `None` where they may not be listed.
async fn existing(
    session: &Session,
    within: Option<&str>,
    keys: &[SourceKey],
) -> Result<Option<HashSet<SourceKey>>, Error> {
    let wanted: HashSet<_> = keys.iter().collect();
    let kinds: BTreeSet<_> = keys.iter().map(|key| key.source.kind).collect();
    let mut found = HashSet::new();
    for kind in kinds.into_iter().filter(|kind| kind.is_readable()) {
        let see = |meta: ObjectMeta| {
            let source = SourceName {
                kind,
                name: meta.name.unwrap_or_default(),
            };
            let key = key_of(&meta.namespace.unwrap_or_default(), &source);
            if wanted.contains(&key) {
                found.insert(key);
            }
        };
        match metadata::each(&session.cluster, kind, within, see).await {
            Ok(()) => {}
            Err(Failure::Forbidden) => return Ok(None),
            Err(why) => return Err(session.failed(format!("list {}", kind.plural()), why)),
        }
    }
    Ok(Some(found))
}

/// Reads a source.
pub(super) async fn source_of(
    sight: &mut Sight,
    session: &Session,
    key: &SourceKey,
) -> Result<(), Error> {
    let kind = key.source.kind;
    if !kind.is_readable() || !sight.has_read(kind, &key.namespace) {
        return Ok(());
    }
    let (digest_key, conventions) = (sight.index.key().clone(), sight.index.conventions().clone());
    let found = sources::read_written(&session.cluster, &digest_key, &conventions, key).await;
    match found {
        Ok(Some(found)) => take_source(sight, key, found),
        Ok(None) => missed(sight, key),
        Err(Failure::Forbidden) => sight.miss(kind.plural(), &key.namespace),
        Err(why) => {
            let what = format!("read {} in {}", key.source.spoken(), key.namespace);
            return Err(session.failed(what, why));
        }
    }
    Ok(())
}

fn missed(sight: &mut Sight, key: &SourceKey) {
    let (by, now) = (By::Answer(sight.index.tick()), sight.now.as_second());
    sight.index.miss_source(key, by, now);
}

/// Reads all sources, of one namespace or of all.
pub(super) async fn all_sources(
    sight: &mut Sight,
    session: &Session,
    within: Option<&str>,
) -> Result<(), Error> {
    let (digest_key, conventions) = (sight.index.key().clone(), sight.index.conventions().clone());
    for kind in SourceKind::ALL
        .into_iter()
        .filter(|kind| kind.is_readable())
    {
        let mut see = |key: SourceKey, found| take_source(sight, &key, found);
        let with = (&digest_key, &*conventions);
        match sources::each(&session.cluster, with, kind, within, &mut see).await {
            Ok(()) => {
                match within {
                    Some(namespace) => sight.index.set_synced_in(kind, namespace),
                    None => sight.index.set_synced(kind),
                };
            }
            Err(Failure::Forbidden) => sight.miss(kind.plural(), within.unwrap_or_default()),
            Err(why) => return Err(session.failed(format!("list {}", kind.plural()), why)),
        }
    }
    Ok(())
}

fn take_source(sight: &mut Sight, key: &SourceKey, written: sources::Written) {
    let sources::Written { version, by, meta } = written;
    let at = Timestamp::from_second(version.written).ok();
    let says = [&meta.annotations, &meta.labels];
    if says
        .into_iter()
        .flatten()
        .flat_map(BTreeMap::keys)
        .any(|said| looks_ours(said))
    {
        sight.saying.insert(key.clone(), meta);
    }
    sight.written.insert(key.clone(), Written { at, by });
    sight.index.apply_source(key, version);
}
