//! What the manifests would make, as the API server says it when it is asked to try (`dryRun=All`): a server-side apply with the
//! rights of whoever asks, in the name that kubectl uses. Nothing is persisted.
//!
//! Where others own fields, that is said, and they are taken over as `kubectl apply` does. Where the API server does not try, the
//! manifest is laid over what is live, and that is said.

use k8s_openapi::api::core::v1::{ConfigMap, Namespace, Secret};
use kube::{
    Api,
    core::{ApiResource, DynamicObject},
};
use serde_json::{Value, json};

use super::merged::{last_applied, merged, prune};
use crate::{
    cli::{error::Error, lint::manifests::Manifest, session::Session},
    cluster::{
        Failure,
        applying::{Owned, Tried},
    },
    model::{
        SourceKey, SourceKind, SourceName, WorkloadKey, naming::is_object_name, text::some_of,
        workload::Kinds,
    },
};

/// The field manager of `kubectl apply --server-side`.
const MANAGER: &str = "kubectl";
/// That of `kubectl apply`. The same person may go from one to the other.
const CLIENT_SIDE: &str = "kubectl-client-side-apply";
/// The most fields that are named.
const NAMED: usize = 3;
/// The uid of what is to be made, where nothing says it.
const NEW: &str = "new";

/// What a manifest is of.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum What {
    /// A Namespace.
    Namespace(String),
    /// A Secret or ConfigMap.
    Source(SourceKey),
    /// A workload of a kind that reroll restarts.
    Workload(WorkloadKey),
}

/// A manifest that matters.
pub(super) struct Asked {
    pub(super) what: What,
    /// The file and line that it stands on.
    at: String,
    object: Value,
}

/// What a manifest would make.
pub(super) struct Applied {
    pub(super) what: What,
    pub(super) would: Would,
}

/// What would be.
pub(super) enum Would {
    /// This object.
    Be(Value),
    /// What is there: the API server refuses the manifest.
    Stay,
    /// It cannot be known.
    Unseen,
}

/// What is to be said beside the answer.
#[derive(Default)]
pub(super) struct Notes {
    /// What could not be seen.
    pub(super) unseen: Vec<String>,
    /// What is seen, and matters to whoever applies the manifests.
    pub(super) said: Vec<String>,
    /// How many manifests cannot be applied.
    pub(super) refused: usize,
}

impl Notes {
    fn refuse(&mut self, at: &str, words: &str) {
        self.refused += 1;
        self.said.push(format!("{at}: {words}"));
    }
}

impl What {
    /// Returns the namespace that it is in, or is.
    pub(super) fn namespace(&self) -> &str {
        match self {
            Self::Namespace(name) => name,
            Self::Source(key) => &key.namespace,
            Self::Workload(key) => &key.namespace,
        }
    }

    fn name(&self) -> &str {
        match self {
            Self::Namespace(name) => name,
            Self::Source(key) => &key.source.name,
            Self::Workload(key) => &key.name,
        }
    }

    fn spoken(&self) -> String {
        match self {
            Self::Namespace(name) => format!("Namespace {name}"),
            Self::Source(key) => format!("{} in {}", key.source.spoken(), key.namespace),
            Self::Workload(key) => format!("{} in {}", key.spoken(), key.namespace),
        }
    }

    pub(super) fn api(&self, session: &Session) -> Api<DynamicObject> {
        let client = session.cluster.client();
        match self {
            Self::Namespace(_) => Api::all_with(client, &ApiResource::erase::<Namespace>(&())),
            Self::Source(key) => {
                let row = match key.source.kind {
                    SourceKind::ConfigMap => ApiResource::erase::<ConfigMap>(&()),
                    _ => ApiResource::erase::<Secret>(&()),
                };
                Api::namespaced_with(client, &key.namespace, &row)
            }
            Self::Workload(key) => session.cluster.workloads(key),
        }
    }
}

/// Returns the manifests that matter, in their order; of several of one object the last. All of them must say where they belong.
pub(super) fn asked(manifests: &[Manifest], kinds: &Kinds, notes: &mut Notes) -> Vec<Asked> {
    let mut asked = Vec::new();
    for manifest in manifests {
        let Some(what) = what(manifest, kinds) else {
            continue;
        };
        let at = format!("{}:{}", manifest.file, manifest.line);
        if what.name().ends_with('*') {
            notes.said.push(format!(
                "{at}: {} has no name of its own: it is new each time",
                manifest.kind
            ));
            continue;
        }
        if what.name().is_empty() {
            notes.refuse(&at, &format!("{} has no name", manifest.kind));
            continue;
        }
        // Of others the API server is not even asked: they would be a part of the address.
        let names = [what.name(), what.namespace()];
        if let Some(name) = names.into_iter().find(|name| !is_object_name(name)) {
            let words = format!(
                "{} cannot be called so: \"{name}\" is no name that Kubernetes takes",
                manifest.kind
            );
            notes.refuse(&at, &words);
            continue;
        }
        let mut object = manifest.json();
        if let Some(meta) = object.get_mut("metadata").and_then(Value::as_object_mut) {
            // Of an object that was read from a cluster. No apply takes it.
            meta.remove("managedFields");
        }
        asked.retain(|one: &Asked| one.what != what);
        asked.push(Asked { what, at, object });
    }
    asked
}

fn what(manifest: &Manifest, kinds: &Kinds) -> Option<What> {
    let name = manifest.name.clone();
    if manifest.is_namespace() {
        return Some(What::Namespace(name));
    }
    let namespace = manifest.namespace.clone()?;
    let mut sources = [SourceKind::Secret, SourceKind::ConfigMap].into_iter();
    let source = sources.find(|kind| manifest.group.is_empty() && manifest.kind == kind.as_str());
    if let Some(kind) = source {
        let source = SourceName { kind, name };
        return Some(What::Source(SourceKey { namespace, source }));
    }
    let kind = kinds.find(&manifest.group, &manifest.kind)?;
    Some(What::Workload(WorkloadKey {
        kind,
        namespace,
        name,
    }))
}

/// Tries to apply a manifest. `is_there`: whether its namespace exists.
pub(super) async fn applied(
    session: &Session,
    asked: Asked,
    is_there: bool,
    notes: &mut Notes,
) -> Result<Applied, Error> {
    let would = if is_there {
        tried(session, &asked, notes).await?
    } else {
        Would::Be(with_uid(merged(None, &asked.object)))
    };
    Ok(Applied {
        what: asked.what,
        would,
    })
}

/// What is live of an object; `None` within where it is not there.
type Live = Result<Option<Value>, Failure>;

async fn tried(session: &Session, asked: &Asked, notes: &mut Notes) -> Result<Would, Error> {
    let Asked { what, at, object } = asked;
    let (api, name) = (what.api(session), what.name());
    let cluster = &session.cluster;
    let live = live(session, what).await?;
    let mut tried = cluster
        .try_to_apply(&api, name, (MANAGER, false), object)
        .await;
    if let Ok(Tried::Conflicts(owned)) = &tried {
        notes.said.extend(conflict(what, owned));
        tried = cluster
            .try_to_apply(&api, name, (MANAGER, true), object)
            .await;
    }
    let why = match tried {
        Ok(Tried::Would(would)) => {
            let would = serde_json::to_value(would).map_err(std::io::Error::other)?;
            return Ok(Would::Be(pruned(would, &live, object)));
        }
        Ok(Tried::Unfit(fields)) => {
            let named = fields.iter().take(NAMED).map(String::as_str);
            let fields = some_of(named, fields.len());
            notes.refuse(
                at,
                &format!(
                    "{} cannot be applied: the API server does not take {fields}",
                    what.spoken()
                ),
            );
            return Ok(Would::Stay);
        }
        Ok(Tried::Conflicts(_)) => Failure::Conflict,
        Err(why) => why,
    };
    let spoken = what.spoken();
    match why {
        why if why.passes() => Err(session.failed(format!("try to apply {spoken}"), why)),
        Failure::Forbidden => {
            if live.is_ok() {
                notes.unseen.push(format!(
                    "no right to apply {spoken}: the manifest is compared with what is live, and what admission makes of it is not seen"
                ));
            }
            Ok(laid_over(&live, what, object, notes))
        }
        Failure::Conflict | Failure::Exists => {
            notes.refuse(at, &format!("{spoken} cannot be applied: {why}"));
            Ok(Would::Stay)
        }
        why => {
            notes.unseen.push(format!(
                "the API server does not try to apply {spoken} ({why}): the manifest is compared with what is live"
            ));
            Ok(laid_over(&live, what, object, notes))
        }
    }
}

/// Reads what is live.
async fn live(session: &Session, what: &What) -> Result<Live, Error> {
    match session.cluster.get(&what.api(session), what.name()).await {
        Ok(live) => {
            let live = live.map(serde_json::to_value).transpose();
            Ok(Ok(live.map_err(std::io::Error::other)?))
        }
        Err(why) if why.passes() => Err(session.failed(format!("read {}", what.spoken()), why)),
        Err(why) => Ok(Err(why)),
    }
}

/// Returns what is live with the manifest laid over it.
fn laid_over(live: &Live, what: &What, object: &Value, notes: &mut Notes) -> Would {
    match live {
        Ok(there) => {
            let would = merged(there.as_ref(), object);
            Would::Be(with_uid(pruned(would, live, object)))
        }
        Err(why) => {
            let words = match why {
                Failure::Forbidden => format!("no right to get or to apply {}", what.spoken()),
                why => format!("cannot read {}: {why}", what.spoken()),
            };
            let words = format!("{words}; what changes of it is not seen");
            notes.unseen.push(words);
            Would::Unseen
        }
    }
}

/// Takes out what kubectl applied last, and the manifest has no more. What is applied in its name tells that no more: the API
/// server writes there what is applied now.
fn pruned(mut would: Value, live: &Live, object: &Value) -> Value {
    let live = live.as_ref().ok().and_then(Option::as_ref);
    if let Some(last) = live.and_then(last_applied) {
        prune(&mut would, &last, object);
    }
    would
}

fn with_uid(mut object: Value) -> Value {
    if object.pointer("/metadata/uid").is_none() {
        object["metadata"]["uid"] = json!(NEW);
    }
    object
}

/// Returns who owns what of an object; `None` where that is kubectl by its other name.
fn conflict(what: &What, owned: &[Owned]) -> Option<String> {
    let others = owned.iter().filter(|one| one.manager != CLIENT_SIDE);
    let others: Vec<_> = others
        .map(|one| format!("{} belongs to {}", one.field, one.manager))
        .collect();
    if others.is_empty() {
        return None;
    }
    let named = others.iter().take(NAMED).map(String::as_str);
    Some(format!(
        "{}: {}; whoever applies it takes that over (kubectl apply --server-side asks for --force-conflicts)",
        what.spoken(),
        some_of(named, others.len())
    ))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn who_owns_what_is_said_but_for_kubectl() {
        let what = What::Source(SourceKey {
            namespace: "shop".to_owned(),
            source: SourceName::secret("db"),
        });
        let owned = |manager: &str, field: &str| Owned {
            manager: manager.to_owned(),
            field: field.to_owned(),
        };
        assert_eq!(conflict(&what, &[owned(CLIENT_SIDE, ".data.a")]), None);
        let both = [owned("helm", ".data.a"), owned(CLIENT_SIDE, ".data.b")];
        let words = "Secret db in shop: .data.a belongs to helm; whoever applies it takes that over (kubectl apply --server-side asks for --force-conflicts)";
        assert_eq!(conflict(&what, &both).as_deref(), Some(words));
    }
}
