//! Which versions containers started with, and how a kubelet reads them.

use std::{
    collections::{BTreeMap, BTreeSet},
    sync::Arc,
};

use serde_json::Value;

use super::needs::{Need, Source, SourceKind, Way, named, needs};
use crate::{
    api_server::ApiServer,
    controllers::objects::{Kind, namespace, uid},
};

/// A version of a source, as far as a pod uses it.
#[derive(Clone, Debug)]
pub struct Version {
    object: Arc<Value>,
    keys: Option<BTreeSet<String>>,
}

impl Version {
    /// Returns the uid of the object.
    pub fn uid(&self) -> &str {
        uid(&self.object)
    }

    /// Whether the object is immutable.
    pub fn is_immutable(&self) -> bool {
        self.object["immutable"] == true
    }

    /// Whether an object has the same data, as far as it is used.
    pub fn is_as(&self, object: &Arc<Value>) -> bool {
        let other = Self {
            object: Arc::clone(object),
            keys: self.keys.clone(),
        };
        self.data() == other.data()
    }

    /// Returns what is used of the data: of a Secret as it is stored, in base64.
    pub fn data(&self) -> BTreeMap<&str, &str> {
        let all = ["data", "binaryData"].into_iter();
        let all = all.flat_map(|field| self.object[field].as_object().into_iter().flatten());
        let used = all.filter(|(key, _)| self.keys.as_ref().is_none_or(|keys| keys.contains(*key)));
        used.filter_map(|(key, value)| Some((key.as_str(), value.as_str()?)))
            .collect()
    }
}

impl PartialEq for Version {
    fn eq(&self, other: &Self) -> bool {
        self.uid() == other.uid() && self.data() == other.data()
    }
}

impl Eq for Version {}

/// What the containers of a pod started with.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Started {
    /// By the source, and by how the containers have it. `None` where the source was not there, and need not be.
    pub versions: BTreeMap<(Source, Way), Option<Version>>,
}

/// Why a pod cannot start.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Missing {
    /// How the containers would have what is missing.
    pub way: Way,
    /// What is missing.
    pub message: String,
}

fn kind_of(source: &Source) -> Kind {
    match source.kind {
        SourceKind::Secret => Kind::Secret,
        SourceKind::ConfigMap => Kind::ConfigMap,
    }
}

/// What a kubelet has read, and for which pods.
#[derive(Default)]
pub(super) struct Sources {
    /// What was immutable when it was read, by the namespace.
    kept: BTreeMap<(String, Source), Arc<Value>>,
    /// The sources that the pods name that are registered, by their uid.
    registered: BTreeMap<String, (String, BTreeSet<Source>)>,
}

impl Sources {
    /// Takes note of a pod on the node.
    pub(super) fn register(&mut self, pod: &Value) {
        let own = uid(pod);
        if !self.registered.contains_key(own) {
            let names = (namespace(pod).to_owned(), named(&pod["spec"]));
            self.registered.insert(own.to_owned(), names);
        }
    }

    /// A pod is not on the node any more. What no other pod names is read anew the next time.
    pub(super) fn unregister(&mut self, uid: &str) {
        if self.registered.remove(uid).is_none() || self.kept.is_empty() {
            return;
        }
        let registered = &self.registered;
        self.kept.retain(|(namespace, source), _| {
            let mut pods = registered.values();
            pods.any(|(own, names)| own == namespace && names.contains(source))
        });
    }

    fn read(&mut self, view: &ApiServer, namespace: &str, source: &Source) -> Option<Arc<Value>> {
        let place = (namespace.to_owned(), source.clone());
        if let Some(kept) = self.kept.get(&place) {
            return Some(Arc::clone(kept));
        }
        let key = format!("{namespace}/{}", source.name);
        let row = kind_of(source).row();
        let found = view.with_seen(row, |objects| objects.get(&key).cloned())?;
        if found["immutable"] == true {
            self.kept.insert(place, Arc::clone(&found));
        }
        Some(found)
    }

    /// Reads what a pod's containers start with.
    pub(super) fn start(&mut self, view: &ApiServer, pod: &Value) -> Result<Started, Missing> {
        let mut started = Started::default();
        let mut all = needs(&pod["spec"]);
        // Volumes are mounted before a container is made.
        all.sort_by_key(|need| std::cmp::Reverse(need.way));
        for need in all {
            let found = self.read(view, namespace(pod), &need.source);
            let version = version(found, &need)?;
            let place = started.versions.entry((need.source, need.way));
            let place = place.or_insert(None);
            *place = together(place.take(), version);
        }
        Ok(started)
    }
}

/// Returns what several references of a pod use of the same object.
fn together(one: Option<Version>, other: Option<Version>) -> Option<Version> {
    match (one, other) {
        (Some(mut one), Some(other)) => {
            one.keys = match (one.keys, other.keys) {
                (Some(one), Some(other)) => Some(one.union(&other).cloned().collect()),
                _ => None,
            };
            Some(one)
        }
        (one, other) => one.or(other),
    }
}

fn version(found: Option<Arc<Value>>, need: &Need) -> Result<Option<Version>, Missing> {
    let (kind, name) = (need.source.kind, &need.source.name);
    let missing = |message: String| Missing {
        way: need.way,
        message,
    };
    let Some(object) = found else {
        let kind = format!("{kind:?}").to_lowercase();
        return if need.optional {
            Ok(None)
        } else {
            Err(missing(format!("{kind} \"{name}\" not found")))
        };
    };
    let version = Version {
        object,
        keys: need.keys.clone(),
    };
    let data = version.data();
    let mut keys = need.keys.iter().flatten();
    let absent = keys.find(|key| !data.contains_key(key.as_str())).cloned();
    match absent {
        Some(key) if !need.optional => {
            let namespace = namespace(&version.object);
            let message = format!("couldn't find key {key} in {kind:?} {namespace}/{name}");
            Err(missing(message))
        }
        _ => {
            drop(data);
            Ok(Some(version))
        }
    }
}
