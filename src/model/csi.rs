//! What the Secrets Store CSI driver provides: the content of a `SecretProviderClass`, as the statuses of pods show
//! it.
//!
//! The content itself is in a store outside of the cluster. The driver fetches it when a pod starts. It writes which
//! versions of which objects it mounted into a `SecretProviderClassPodStatus` of that pod. With rotation, the driver
//! fetches again every few minutes, pod by pod, and writes what changed into the same status. So statuses differ for
//! minutes. A status belongs to a pod: it comes and goes with the pod, and its uid says nothing.
//!
//! A workload must roll when a status was *rewritten*: its pod runs, and started with something else. A status that
//! is merely *new* tells what its pod started with, and asks for no restart. Otherwise each roll would cause another
//! one where a store gives each pod something of its own. So the content of a class is
//! - what the driver rewrote last (the highest resourceVersion), or
//! - what all pods have started with, where the driver rewrote no status and all agree. A workload that observed
//!   something else takes that over, and does not restart ([`Shows::Started`]). While the statuses do not agree, the
//!   content stays what it was, which may be unknown ([`Shows::Nothing`]): a rotation will rewrite those that are
//!   behind.
//!
//! Invariants:
//! - the content never goes back to an older resourceVersion;
//! - a status that goes restores nothing, and the content stays when the last status goes;
//! - a status that shows the same objects again is no news (its labels changed);
//! - after a restart of the process, `metadata.generation` tells what the driver rewrote: it counts the writes of
//!   more than metadata;
//! - content that is older than the observed one is no news ([`super::decide()`]).

use std::collections::BTreeMap;

use kube::core::{DynamicObject, ObjectMeta};
use serde_json::Value;

use super::{
    digest::DigestKey,
    version::{Shows, Version},
};

/// The API group of [`Part`].
pub const GROUP: &str = "secrets-store.csi.x-k8s.io";
/// The version of it that is looked for first.
pub const VERSION: &str = "v1";

/// The kinds of the driver that are looked at.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Part {
    /// `SecretProviderClass`, for its annotations.
    Classes,
    /// `SecretProviderClassPodStatus`, for the content.
    Statuses,
}

impl Part {
    /// Both.
    pub const ALL: [Self; 2] = [Self::Classes, Self::Statuses];

    /// Returns Kubernetes' name of the kind.
    pub const fn kind(self) -> &'static str {
        match self {
            Self::Classes => "SecretProviderClass",
            Self::Statuses => "SecretProviderClassPodStatus",
        }
    }

    /// Returns its resource in paths.
    pub const fn plural(self) -> &'static str {
        match self {
            Self::Classes => "secretproviderclasses",
            Self::Statuses => "secretproviderclasspodstatuses",
        }
    }
}

/// What one pod mounted of one class.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct PodStatus {
    /// The class's name.
    pub class: String,
    /// The pod's uid. A pod of a `StatefulSet` may find the status of the one before it, of the same name.
    pub pod: String,
    /// It was written more than once.
    pub rewritten: bool,
    /// What it mounted.
    pub version: Version,
}

impl PodStatus {
    /// Reads a `SecretProviderClassPodStatus`; `None` where nothing is mounted.
    pub fn read(key: &DigestKey, object: &DynamicObject) -> Option<Self> {
        let (meta, status) = (&object.metadata, &object.data["status"]);
        let class = status["secretProviderClassName"].as_str()?;
        if status["mounted"] != Value::Bool(true) {
            return None;
        }
        let text =
            |object: &'static str| move |pair: &Value| pair[object].as_str().map(str::to_owned);
        let (id, version) = (text("id"), text("version"));
        let objects = status["objects"].as_array();
        let pairs: Vec<_> = objects
            .into_iter()
            .flatten()
            .map(|pair| {
                (
                    id(pair).unwrap_or_default(),
                    version(pair).unwrap_or_default(),
                )
            })
            .collect();
        let pairs = pairs
            .iter()
            .map(|(id, version)| (id.as_str(), version.as_str()));
        let namespace = meta.namespace.as_deref().unwrap_or_default();
        let mut owners = meta.owner_references.iter().flatten();
        Some(Self {
            class: class.to_owned(),
            pod: owners.next().map(|pod| pod.uid.clone()).unwrap_or_default(),
            rewritten: meta.generation.is_some_and(|generation| generation > 1),
            version: Version::of_objects(key, namespace, class, meta, pairs),
        })
    }
}

/// One class, as far as known.
#[derive(Debug, Default)]
pub struct Class {
    /// What its annotations say, where it exists: [`super::version::counts`].
    object: Option<(bool, bool)>,
    pods: BTreeMap<String, Pod>,
    content: Option<Version>,
}

#[derive(Debug)]
struct Pod {
    uid: String,
    rewritten: bool,
    /// With the resourceVersion at which it became what it is.
    version: Version,
    /// The newest that was seen of the status.
    seen: u64,
}

impl Class {
    /// Takes in the class itself; `None`: it is gone.
    pub fn set_object(&mut self, meta: Option<&ObjectMeta>) {
        self.object = meta.map(super::version::counts);
    }

    /// Takes in a status by its name.
    pub fn show(&mut self, name: &str, status: PodStatus) {
        let PodStatus {
            pod: uid,
            mut rewritten,
            version,
            ..
        } = status;
        let seen = version.resource_version;
        if let Some(known) = self.pods.get_mut(name) {
            if seen <= known.seen {
                return;
            }
            known.seen = seen;
            // Another pod's: what its pod started with.
            rewritten = known.uid == uid;
            if rewritten && known.version.whole == version.whole {
                return;
            }
        }
        let pod = Pod {
            uid,
            rewritten,
            version,
            seen,
        };
        self.pods.insert(name.to_owned(), pod);
    }

    /// Takes in that a list shows a status: where it is older than it was known to be, history went back, and with it
    /// what was drawn from what is lost.
    pub fn list(&mut self, name: &str, status: &PodStatus) {
        let number = status.version.resource_version;
        if self.pods.get(name).is_some_and(|known| number < known.seen) {
            self.pods.remove(name);
            self.content = None;
        }
    }

    /// Takes in that a status is gone.
    pub fn hide(&mut self, name: &str) {
        self.pods.remove(name);
    }

    /// Draws the content from the statuses, which are all there. Returns whether it is another.
    pub fn settle(&mut self) -> bool {
        let at = |pod: &&Pod| pod.version.resource_version;
        let known = self.content.as_ref();
        let known_at = known.map_or(0, |content| content.resource_version);
        let rewritten = self.pods.values().filter(|pod| pod.rewritten);
        let next = if let Some(newest) = rewritten.max_by_key(at) {
            Some(newest.version.clone()).filter(|newest| newest.resource_version > known_at)
        } else {
            let newest = self.pods.values().max_by_key(at);
            let whole = newest.map(|newest| newest.version.whole);
            let agree = self
                .pods
                .values()
                .all(|pod| Some(pod.version.whole) == whole);
            let news = |newest: &&Pod| match known {
                None => true,
                Some(content) => newest.version.whole != content.whole && at(newest) > known_at,
            };
            let chosen = newest.filter(|_| agree).filter(news);
            chosen.map(|pod| {
                let mut version = pod.version.clone();
                (version.shows, version.written) = (Shows::Started, 0);
                version
            })
        };
        let changed = next.is_some();
        self.content = next.or_else(|| self.content.take());
        changed
    }

    /// Returns the content, as far as known, with what the class's annotations say.
    pub fn version(&self) -> Version {
        let mut version = self.content.clone().unwrap_or_else(Version::unclear);
        (version.ignored, version.matched) = self.object.unwrap_or_default();
        version
    }

    /// Whether the class itself is there.
    pub fn exists(&self) -> bool {
        self.object.is_some()
    }

    /// Whether neither the class nor any status of it is there.
    pub fn is_gone(&self) -> bool {
        self.object.is_none() && self.pods.is_empty()
    }
}

#[cfg(test)]
mod tests;
