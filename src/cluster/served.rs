//! Which of the kinds that not every cluster has the API server serves, and by which names.

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
    /// A kind of workload. Discovery never looks for one that every cluster has.
    Workload(Kind),
    /// A kind of the Secrets Store CSI driver.
    Csi(Part),
}

/// The kinds that discovery found, and the API server's names for them. Clones share them.
#[derive(Clone, Debug, Default)]
pub struct Served(Arc<Mutex<BTreeMap<DiscoveredKind, ApiResource>>>);

impl DiscoveredKind {
    /// Returns the kind's name, with the version that discovery looks for first.
    pub fn gvk(self) -> GroupVersionKind {
        match self {
            Self::Workload(kind) => GroupVersionKind::gvk(kind.group, kind.version, kind.kind),
            Self::Csi(part) => GroupVersionKind::gvk(GROUP, VERSION, part.kind()),
        }
    }

    /// Returns the plural that is expected in the API server's paths.
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

    /// Returns the API server's name for a kind, or the expected name if discovery has not found the kind.
    pub fn named(&self, kind: DiscoveredKind) -> ApiResource {
        let served = self.0.lock().get(&kind).cloned();
        served.unwrap_or_else(|| ApiResource::from_gvk_with_plural(&kind.gvk(), kind.plural()))
    }
}
