//! Watches: takes what the API server shows into the index, so that the judge files intents for what changed.
//!
//! Objects are read, digested and dropped at once. reroll lists anew after a watch broke, or after history went back.
//! Such a list shows no deletions: what was known when the list was asked for and is not in it, was deleted meanwhile.
//! Decode errors are not quoted, because they could hold a Secret's data.

mod csi;
pub mod digest_key;
pub mod discovery;
mod failing;
mod feed;
pub mod namespaces;
pub mod restored;
pub mod selected;
pub mod stream;

pub use self::failing::GRANT;

use std::{collections::BTreeSet, sync::Arc};

use futures::{FutureExt, future::BoxFuture};
use kube::{
    Api, Resource,
    core::{ApiResource, DynamicResourceScope, ObjectMeta},
    runtime::watcher::{self, Event},
};
use tokio::sync::oneshot;

use self::{
    csi::{ClassFeed, StatusFeed},
    failing::{FORBIDDEN, Failing, class, is_cut, is_refused},
    feed::{Feed, NamespaceFeed, SourceFeed, WorkloadFeed},
    namespaces::Namespaces,
    stream::{Stream, without},
};
use crate::{
    cluster::{Cluster, DiscoveredKind},
    judge::Judge,
    model::{
        Kind, SourceKind,
        csi::Part,
        index::By,
        object::Guarded,
        version::{OfKind, SourceObject},
    },
};

/// HTTP status: the API server does not serve the kind.
const NOT_FOUND: u16 = 404;

/// What all watches share.
pub struct Watches {
    /// The judge, which is told.
    pub judge: Arc<Judge>,
    /// The API server that is watched.
    pub cluster: Cluster,
    /// The namespaces, and which of them are selected.
    pub namespaces: Namespaces,
}

impl Watches {
    /// Makes what watches share. No watch is running yet.
    pub fn new(judge: Arc<Judge>, cluster: Cluster) -> Self {
        let namespaces = Namespaces::new(Arc::clone(&judge));
        Self {
            judge,
            cluster,
            namespaces,
        }
    }
}

/// One kind that is watched, in one namespace or in all.
pub struct Watch {
    /// The kind.
    pub what: Watched,
    /// The namespace; `None` for all.
    pub within: Option<String>,
    /// What the watch does when its first list is complete or refused.
    pub then: Then,
}

/// What a watch does after its first list.
pub enum Then {
    /// It goes on.
    GoOn,
    /// It goes on, and tells the task that waits for the list.
    Tell(oneshot::Sender<()>),
    /// It ends: only the list is wanted.
    End,
}

impl Then {
    /// Does what is to be done after the first list. Returns whether the watch ends.
    fn listed(&mut self) -> bool {
        match std::mem::replace(self, Self::GoOn) {
            Self::GoOn => false,
            Self::Tell(waiting) => {
                // No task waits any more while reroll is stopping.
                let _ = waiting.send(());
                false
            }
            Self::End => true,
        }
    }
}

/// A kind that is watched.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Watched {
    /// A kind of which each object is a source.
    Sources(SourceKind),
    /// One of the kinds of the Secrets Store CSI driver.
    Csi(Part),
    /// One kind of workload.
    Workloads(Kind),
    /// Namespaces, for their labels only.
    Namespaces,
}

impl Watched {
    /// Returns what to watch of a kind that not every cluster has.
    pub fn of(kind: DiscoveredKind) -> Self {
        match kind {
            DiscoveredKind::Workload(kind) => Self::Workloads(kind),
            DiscoveredKind::Csi(part) => Self::Csi(part),
        }
    }

    /// Returns the plural, for logs.
    pub fn plural(self) -> &'static str {
        match self {
            Self::Sources(kind) => kind.plural(),
            Self::Csi(part) => part.plural(),
            Self::Workloads(kind) => kind.plural,
            Self::Namespaces => "namespaces",
        }
    }

    /// Returns the name that readiness gives its first list.
    pub fn list_name(self) -> &'static str {
        match self {
            Self::Sources(kind) => kind.list_name(),
            // Readiness does not wait for it.
            Self::Csi(part) => part.plural(),
            Self::Workloads(kind) => kind.list_name,
            Self::Namespaces => "list of namespaces",
        }
    }
}

impl Watch {
    /// Watches for ever. Ends only after the first list with [`Then::End`], or when the API server no longer serves a
    /// kind that not every cluster has.
    pub async fn run(self, watches: Arc<Watches>) {
        let watches = &*watches;
        let judge = &*watches.judge;
        let conventions = &judge.state.setup.conventions;
        let ignored = ("metadata.namespace", &conventions.ignored_namespaces);
        let config = without([ignored]);
        let within = self.within.as_deref();
        match self.what {
            Watched::Sources(kind) => {
                let config = match kind {
                    SourceKind::Secret => without([ignored, ("type", &conventions.skipped_types)]),
                    SourceKind::ConfigMap | SourceKind::SecretProviderClass => config,
                };
                let follow = FollowSources {
                    watch: self,
                    watches,
                    config,
                    kind,
                };
                // A source that consists of many objects is watched as kinds of its own.
                if let Some(followed) = kind.typed(follow) {
                    followed.await;
                }
            }
            Watched::Csi(part @ Part::Statuses) => {
                let api = api(&watches.cluster, DiscoveredKind::Csi(part), within);
                self.follow(watches, api, config, StatusFeed { judge })
                    .await;
            }
            Watched::Csi(part @ Part::Classes) => {
                let api = api(&watches.cluster, DiscoveredKind::Csi(part), within);
                self.follow(watches, api, config, ClassFeed { judge }).await;
            }
            Watched::Workloads(kind) => {
                let api = api(&watches.cluster, DiscoveredKind::Workload(kind), within);
                self.follow(watches, api, config, WorkloadFeed { judge, kind })
                    .await;
            }
            Watched::Namespaces => {
                let config = match within {
                    None => without([("metadata.name", ignored.1)]),
                    Some(name) => config.fields(&format!("metadata.name={name}")),
                };
                let namespaces = &watches.namespaces;
                let api = Api::all(watches.cluster.client());
                self.follow(watches, api, config, NamespaceFeed { namespaces })
                    .await;
            }
        }
    }

    async fn follow_sources<K: SourceObject>(
        self,
        watches: &Watches,
        config: watcher::Config,
        kind: SourceKind,
    ) {
        let (judge, client) = (&*watches.judge, watches.cluster.client());
        let api = match &self.within {
            None => Api::all(client),
            Some(namespace) => Api::namespaced(client, namespace),
        };
        let config = match &judge.state.setup.conventions.sources {
            Some(selector) => config.labels_from(selector),
            None => config,
        };
        let feed = SourceFeed::<K>::new(judge, kind);
        self.follow(watches, api, config, feed).await;
    }

    async fn follow<F: Feed>(
        mut self,
        watches: &Watches,
        api: Api<Guarded<F::Object>>,
        config: watcher::Config,
        feed: F,
    ) {
        let (judge, reach) = (&*watches.judge, watches.cluster.reach());
        let within = self.within.as_deref();
        let mut before: BTreeSet<F::Key> = BTreeSet::new();
        let mut asked = judge.tick();
        let mut history = judge.history.lists();
        let mut stream = match self.then {
            Then::End => Stream::of_list(api, config),
            Then::GoOn | Then::Tell(_) => Stream::new(api, config),
        };
        let mut failing = Failing::default();
        // A list that is wanted once is no watch that is to be kept.
        let kept = !matches!(self.then, Then::End);
        let (watching, resource) = (&judge.teller.metrics.watching, self.what.plural());
        if kept {
            watching.begins(resource, within);
        }
        loop {
            // If a list comes next, it is asked for after this tick.
            let now = judge.tick();
            let next = tokio::select! {
                biased;
                Ok(()) = history.changed() => {
                    stream.begin_again();
                    continue;
                }
                next = stream.next() => next,
            };
            match next {
                Ok(Some(Event::Init)) => (before, asked) = (feed.known(within), now),
                Ok(Some(Event::InitApply(Guarded(object)))) => {
                    before.remove(&feed.key(meta(&object)));
                    self.what.apply(&feed, object, By::List(asked));
                }
                Ok(Some(Event::InitDone)) => {
                    while let Some(key) = before.pop_first() {
                        feed.vanished(&key, asked);
                    }
                    feed.listed(within);
                    failing.works();
                    if kept {
                        watching.works(resource, within);
                    }
                    if self.then.listed() {
                        return;
                    }
                }
                Ok(Some(Event::Apply(Guarded(object)))) => {
                    self.what.apply(&feed, object, By::Event);
                }
                Ok(Some(Event::Delete(Guarded(object)))) => feed.delete(meta(&object)),
                Ok(None) => return,
                Err(error) if is_cut(&error) => {
                    let (reason, code) = class(&error);
                    if failing.is_cut_off(!reach.is_doubted()) {
                        watching.fails(resource, within);
                        self.what.warn(within, reason, code);
                    } else {
                        tracing::debug!(
                            what = self.what.plural(),
                            namespace = within,
                            reason,
                            "a watch failed, trying again"
                        );
                    }
                }
                Err(error) => {
                    let (reason, code) = class(&error);
                    if code == NOT_FOUND && self.what.may_go() {
                        watching.ends(resource, within);
                        return;
                    }
                    if kept && is_refused(reason) {
                        watching.fails(resource, within);
                    }
                    if failing.is_news((reason, code)) {
                        self.what.warn(within, reason, code);
                    }
                    if code == FORBIDDEN {
                        // The rest goes on without it. What depends on it is not decided.
                        feed.refused(within);
                        if self.then.listed() {
                            return;
                        }
                    }
                }
            }
        }
    }
}

/// The watch of a kind of source, before its objects' type is known.
struct FollowSources<'a> {
    watch: Watch,
    watches: &'a Watches,
    config: watcher::Config,
    kind: SourceKind,
}

impl<'a> OfKind for FollowSources<'a> {
    type Output = BoxFuture<'a, ()>;

    fn of<K: SourceObject>(self) -> Self::Output {
        self.watch
            .follow_sources::<K>(self.watches, self.config, self.kind)
            .boxed()
    }
}

impl Watched {
    fn may_go(self) -> bool {
        match self {
            Self::Workloads(kind) => kind.optional,
            Self::Csi(_) => true,
            Self::Sources(_) | Self::Namespaces => false,
        }
    }

    fn warn(self, namespace: Option<&str>, reason: &str, code: u16) {
        let what = self.plural();
        let remedy = match (self, code) {
            (Self::Namespaces, FORBIDDEN) => Some(
                "labels of namespaces count for nothing until reroll's ServiceAccount may list and watch them",
            ),
            (_, FORBIDDEN) => Some(GRANT),
            _ => None,
        };
        tracing::warn!(
            what,
            namespace,
            reason,
            code,
            remedy,
            "a watch failed, trying again"
        );
    }

    /// Takes in one object. Leaves out an object that cannot be read, so that it does not stop the others.
    fn apply<F: Feed>(self, feed: &F, object: Result<F::Object, ObjectMeta>, by: By) {
        match object {
            Ok(object) => feed.apply(object, by),
            Err(metadata) => tracing::warn!(
                what = self.plural(),
                namespace = metadata.namespace,
                name = metadata.name,
                "an object cannot be read: its changes restart nothing"
            ),
        }
    }
}

/// Returns the API of a kind that not every cluster serves.
fn api<K>(cluster: &Cluster, what: DiscoveredKind, within: Option<&str>) -> Api<Guarded<K>>
where
    K: Resource<DynamicType = ApiResource, Scope = DynamicResourceScope>,
{
    let (row, client) = (cluster.served().named(what), cluster.client());
    match within {
        None => Api::all_with(client, &row),
        Some(name) => Api::namespaced_with(client, name, &row),
    }
}

fn meta<K: Resource>(object: &Result<K, ObjectMeta>) -> &ObjectMeta {
    match object {
        Ok(object) => object.meta(),
        Err(metadata) => metadata,
    }
}
