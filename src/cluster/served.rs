//! Kinds that not every cluster has, and what the API server calls those that it serves.

use std::{collections::BTreeMap, fmt, sync::Arc};

use kube::core::{ApiResource, GroupVersionKind};
use parking_lot::Mutex;

use crate::model::{
    Kind,
    csi::{GROUP, Part, VERSION},
};

/// A kind that not every cluster has.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum DiscoveredKind {
    /// Of workloads. One that every cluster has is never looked for.
    Workload(Kind),
    /// Of the Secrets Store CSI driver.
    Csi(Part),
}

/// What the API server calls the kinds that it serves, as far as it was asked. Clones share it.
#[derive(Clone, Debug, Default)]
pub struct Served(Arc<Mutex<BTreeMap<DiscoveredKind, ApiResource>>>);

impl DiscoveredKind {
    /// Returns its name, and the version that is looked for first.
    pub fn gvk(self) -> GroupVersionKind {
        match self {
            Self::Workload(kind) => GroupVersionKind::gvk(kind.group, kind.version, kind.kind),
            Self::Csi(part) => GroupVersionKind::gvk(GROUP, VERSION, part.kind()),
        }
    }

    /// Returns what paths are expected to call it.
    pub fn plural(self) -> &'static str {
        match self {
            Self::Workload(kind) => kind.plural,
            Self::Csi(part) => part.plural(),
        }
    }
}

impl fmt::Display for DiscoveredKind {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let gvk = self.gvk();
        write!(f, "{}/{}", gvk.api_version(), gvk.kind)
    }
}

impl Served {
    /// Notes that the API server serves a kind by this name. Returns whether that is news.
    pub fn appeared(&self, kind: DiscoveredKind, resource: &ApiResource) -> bool {
        let before = self.0.lock().insert(kind, resource.clone());
        before.as_ref() != Some(resource)
    }

    /// Notes that the API server serves a kind no more. Returns whether that is news.
    pub fn vanished(&self, kind: DiscoveredKind) -> bool {
        self.0.lock().remove(&kind).is_some()
    }

    /// Returns the kinds that are served.
    pub fn kinds(&self) -> Vec<DiscoveredKind> {
        self.0.lock().keys().copied().collect()
    }

    /// Returns what the API server calls a kind, or most likely does.
    pub fn named(&self, kind: DiscoveredKind) -> ApiResource {
        let served = self.0.lock().get(&kind).cloned();
        served.unwrap_or_else(|| ApiResource::from_gvk_with_plural(&kind.gvk(), kind.plural()))
    }
}
