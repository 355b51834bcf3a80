//! Watches: what the API server shows becomes the index, and what changed there becomes intents.
//!
//! Objects are read, digested and dropped at once. A new list after a watch broke brings no deletions; what was known
//! before it and is not in it was deleted meanwhile. Decode errors are not quoted: they could hold a Secret's data.

use std::{collections::HashMap, fmt::Debug, hash::Hash, sync::Arc};

use futures::{StreamExt, TryStreamExt};
use k8s_openapi::api::core::v1::Namespace;
use kube::{
    Api, Client, Resource, ResourceExt,
    core::{
        ApiResource, DeserializeGuard, DynamicObject, GroupVersionKind, ObjectMeta,
        PartialObjectMeta, error_boundary::InvalidObject,
    },
    runtime::{
        WatchStreamExt,
        watcher::{self, Event, watcher},
    },
};
use serde::de::DeserializeOwned;

use tokio::sync::oneshot;

use super::Controller;
use crate::{
    model::{
        DigestKey, Kind, SourceKey, SourceKind, SourceName, Version, WorkloadKey,
        annotation::RESTART_ON, workload::Workload,
    },
    ops::metrics::labels::SourceEvent,
};

/// Objects per page of a list. Small pages keep memory flat: a page of 300 Secrets of 1 MB would not.
const PAGE: u32 = 50;
/// How long the API server keeps a watch. One that is silent for longer has stalled, and is started again.
const WATCH_SECONDS: u32 = 60;
/// RBAC does not allow it.
const FORBIDDEN: u16 = 403;

/// One thing that is watched, in one namespace or in all.
pub struct Watch {
    /// What.
    pub what: Watched,
    /// Where; `None` for everywhere.
    pub within: Option<String>,
    /// Told when the first list is complete.
    pub listed: oneshot::Sender<()>,
}

/// What is watched.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Watched {
    /// Secrets or `ConfigMap`s.
    Sources(SourceKind),
    /// One kind of workload.
    Workloads(Kind),
    /// Namespaces, for their labels only.
    Namespaces,
}

impl Watched {
    /// For logs.
    pub fn plural(self) -> &'static str {
        match self {
            Self::Sources(SourceKind::Secret) => "secrets",
            Self::Sources(SourceKind::ConfigMap) => "configmaps",
            Self::Workloads(kind) => kind.plural,
            Self::Namespaces => "namespaces",
        }
    }
}

impl Watched {
    /// What readiness calls its first list.
    pub fn list_name(self) -> &'static str {
        match self {
            Self::Sources(SourceKind::Secret) => "list of secrets",
            Self::Sources(SourceKind::ConfigMap) => "list of configmaps",
            Self::Workloads(kind) => kind.list_name,
            Self::Namespaces => "list of namespaces",
        }
    }
}

impl Watch {
    /// Watches for ever.
    pub async fn run(self, controller: Arc<Controller>, client: Client) {
        let config = watcher::Config::default();
        let within = self.within.clone();
        let within = within.as_deref();
        match self.what {
            Watched::Sources(kind @ SourceKind::Secret) => {
                let api = within.map_or_else(
                    || Api::all(client.clone()),
                    |name| Api::namespaced(client.clone(), name),
                );
                self.follow(
                    api,
                    config,
                    SourceFeed {
                        controller: &controller,
                        kind,
                        read: Version::of_secret,
                    },
                )
                .await;
            }
            Watched::Sources(kind @ SourceKind::ConfigMap) => {
                let api = within.map_or_else(
                    || Api::all(client.clone()),
                    |name| Api::namespaced(client.clone(), name),
                );
                self.follow(
                    api,
                    config,
                    SourceFeed {
                        controller: &controller,
                        kind,
                        read: Version::of_config_map,
                    },
                )
                .await;
            }
            Watched::Workloads(kind) => {
                let row = resource(kind);
                let api = within.map_or_else(
                    || Api::all_with(client.clone(), &row),
                    |name| Api::namespaced_with(client.clone(), name, &row),
                );
                self.follow(
                    api,
                    config,
                    WorkloadFeed {
                        controller: &controller,
                        kind,
                    },
                )
                .await;
            }
            Watched::Namespaces => {
                let fields = within
                    .map(|name| format!("metadata.name={name}"))
                    .unwrap_or_default();
                let config = if fields.is_empty() {
                    config
                } else {
                    config.fields(&fields)
                };
                self.follow(
                    Api::all(client),
                    config,
                    NamespaceFeed {
                        controller: &controller,
                    },
                )
                .await;
            }
        }
    }

    async fn follow<F: Feed>(
        self,
        api: Api<DeserializeGuard<F::Object>>,
        config: watcher::Config,
        feed: F,
    ) {
        let within = self.within.as_deref();
        let mut listed = Some(self.listed);
        let mut before: HashMap<F::Key, F::State> = HashMap::new();
        let config = config.page_size(PAGE).timeout(WATCH_SECONDS);
        let mut events = watcher(api, config).default_backoff().boxed();
        loop {
            match events.try_next().await {
                Ok(Some(Event::Init)) => before = feed.known(within),
                Ok(Some(Event::InitApply(DeserializeGuard(object)))) => {
                    before.remove(&feed.key(meta(&object)));
                    self.what.apply(&feed, object);
                }
                Ok(Some(Event::InitDone)) => {
                    before
                        .drain()
                        .for_each(|(key, state)| feed.vanished(&key, state));
                    feed.listed(within);
                    // Nobody listens any more when reroll is stopping.
                    let _ = listed.take().map(|listed| listed.send(()));
                }
                Ok(Some(Event::Apply(DeserializeGuard(object)))) => self.what.apply(&feed, object),
                Ok(Some(Event::Delete(DeserializeGuard(object)))) => feed.delete(meta(&object)),
                Ok(None) => return,
                Err(error) => {
                    let (reason, code) = class(&error);
                    let what = self.what.plural();
                    let remedy = (code == FORBIDDEN)
                        .then_some("give reroll's ServiceAccount list and watch on them");
                    tracing::warn!(
                        what,
                        namespace = within,
                        reason,
                        code,
                        remedy,
                        "a watch failed, trying again"
                    );
                    if code == FORBIDDEN {
                        // The rest goes on without it; what depends on it is not decided.
                        let _ = listed.take().map(|listed| listed.send(()));
                    }
                }
            }
        }
    }
}

impl Watched {
    /// One object that cannot be read is left out; it does not stop the others.
    fn apply<F: Feed>(self, feed: &F, object: Result<F::Object, InvalidObject>) {
        match object {
            Ok(object) => feed.apply(object),
            Err(InvalidObject { metadata, .. }) => tracing::warn!(
                what = self.plural(),
                namespace = metadata.namespace,
                name = metadata.name,
                "an object cannot be read: its changes restart nothing"
            ),
        }
    }
}

fn meta<K: Resource>(object: &Result<K, InvalidObject>) -> &ObjectMeta {
    match object {
        Ok(object) => object.meta(),
        Err(invalid) => &invalid.metadata,
    }
}

/// The API of a kind of workload in one namespace.
pub fn workloads(client: Client, kind: Kind, namespace: &str) -> Api<DynamicObject> {
    Api::namespaced_with(client, namespace, &resource(kind))
}

fn resource(kind: Kind) -> ApiResource {
    let gvk = GroupVersionKind::gvk(kind.group, kind.version, kind.kind);
    ApiResource::from_gvk_with_plural(&gvk, kind.plural)
}

/// The class of a failure, for the log: the error's own text may quote an object.
fn class(error: &watcher::Error) -> (&'static str, u16) {
    let (step, source) = match error {
        watcher::Error::InitialListFailed(source) => ("list failed", source),
        watcher::Error::WatchStartFailed(source) => ("watch refused", source),
        watcher::Error::WatchFailed(source) => ("watch broke off", source),
        watcher::Error::WatchError(status) => {
            return ("watch ended by the API server", status.code);
        }
        watcher::Error::NoResourceVersion => return ("list without resourceVersion", 0),
    };
    match source {
        kube::Error::Api(status) => (step, status.code),
        _ => (step, 0),
    }
}

/// What becomes of the objects of one watch.
trait Feed {
    type Object: Resource + Clone + Debug + DeserializeOwned + Send + 'static;
    type Key: Eq + Hash;
    type State;

    fn key(&self, meta: &ObjectMeta) -> Self::Key;
    /// What is known before a new list.
    fn known(&self, within: Option<&str>) -> HashMap<Self::Key, Self::State>;
    fn apply(&self, object: Self::Object);
    fn delete(&self, meta: &ObjectMeta);
    /// It was known before a new list and is not in it.
    fn vanished(&self, key: &Self::Key, state: Self::State);
    /// A list is complete.
    fn listed(&self, _within: Option<&str>) {}
}

/// Digests an object of a kind of source.
type ReadVersion<K> = fn(&DigestKey, &str, &K) -> Version;

struct SourceFeed<'a, K> {
    controller: &'a Controller,
    kind: SourceKind,
    read: ReadVersion<K>,
}

impl<K> Feed for SourceFeed<'_, K>
where
    K: Resource<DynamicType = ()> + Clone + Debug + DeserializeOwned + Send + 'static,
{
    type Object = K;
    type Key = SourceKey;
    type State = u64;

    fn key(&self, meta: &ObjectMeta) -> SourceKey {
        let source = SourceName {
            kind: self.kind,
            name: meta.name.clone().unwrap_or_default(),
        };
        SourceKey {
            namespace: meta.namespace.clone().unwrap_or_default(),
            source,
        }
    }

    fn known(&self, within: Option<&str>) -> HashMap<SourceKey, u64> {
        self.controller.state.index().sources(self.kind, within)
    }

    fn apply(&self, object: K) {
        let key = self.key(object.meta());
        let version = (self.read)(&self.controller.digest_key, &key.namespace, &object);
        self.controller
            .state
            .metrics
            .source_seen(self.kind.as_str(), SourceEvent::Apply);
        self.controller.source_applied(&key, version);
    }

    fn delete(&self, meta: &ObjectMeta) {
        let resource_version = meta
            .resource_version
            .as_ref()
            .and_then(|rv| rv.parse().ok())
            .unwrap_or(u64::MAX);
        self.controller
            .state
            .metrics
            .source_seen(self.kind.as_str(), SourceEvent::Delete);
        self.controller
            .source_deleted(&self.key(meta), resource_version);
    }

    fn listed(&self, within: Option<&str>) {
        self.controller.source_listed(self.kind, within);
    }

    fn vanished(&self, key: &SourceKey, resource_version: u64) {
        self.controller
            .state
            .metrics
            .source_seen(self.kind.as_str(), SourceEvent::Delete);
        self.controller.source_deleted(key, resource_version);
    }
}

struct WorkloadFeed<'a> {
    controller: &'a Controller,
    kind: Kind,
}

impl Feed for WorkloadFeed<'_> {
    type Object = DynamicObject;
    type Key = WorkloadKey;
    type State = ();

    fn key(&self, meta: &ObjectMeta) -> WorkloadKey {
        let namespace = meta.namespace.clone().unwrap_or_default();
        WorkloadKey {
            kind: self.kind,
            namespace,
            name: meta.name.clone().unwrap_or_default(),
        }
    }

    fn known(&self, within: Option<&str>) -> HashMap<WorkloadKey, ()> {
        let known = self
            .controller
            .state
            .index()
            .workloads(Some(self.kind), within);
        known.into_iter().map(|key| (key, ())).collect()
    }

    fn apply(&self, object: DynamicObject) {
        self.controller.state.metrics.workload_seen(self.kind.kind);
        self.controller.workload_applied(
            &self.key(&object.metadata),
            Workload::read(self.kind, &object),
        );
    }

    fn delete(&self, meta: &ObjectMeta) {
        self.controller.workload_deleted(&self.key(meta));
    }

    fn vanished(&self, key: &WorkloadKey, (): ()) {
        self.controller.workload_deleted(key);
    }
}

struct NamespaceFeed<'a> {
    controller: &'a Controller,
}

impl Feed for NamespaceFeed<'_> {
    type Object = PartialObjectMeta<Namespace>;
    type Key = String;
    type State = ();

    fn key(&self, meta: &ObjectMeta) -> String {
        meta.name.clone().unwrap_or_default()
    }

    fn known(&self, within: Option<&str>) -> HashMap<String, ()> {
        let known = self.controller.state.index().labelled_namespaces();
        known
            .into_iter()
            .filter(|name| within.is_none_or(|within| within == name))
            .map(|name| (name, ()))
            .collect()
    }

    fn apply(&self, object: Self::Object) {
        let default = object.labels().get(RESTART_ON).cloned();
        self.controller
            .namespace_applied(&object.name_any(), default);
    }

    fn delete(&self, meta: &ObjectMeta) {
        self.controller.namespace_applied(&self.key(meta), None);
    }

    fn vanished(&self, key: &String, (): ()) {
        self.controller.namespace_applied(key, None);
    }
}
