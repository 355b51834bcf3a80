//! What all manifests together have: sources, volumes, and what Namespaces say.
//!
//! A manifest that does not say where it belongs may belong anywhere: it goes with all namespaces.

use std::collections::{BTreeMap, BTreeSet};

use super::{manifests::Manifest, tree::Node};
use crate::model::{
    SourceKind, SourceName,
    annotation::{IGNORE, RESTART_ON, reloader},
    nearest::nearest,
    source::Listed,
};

/// What all manifests together have.
#[derive(Debug, Default)]
pub(in crate::cli) struct Inventory {
    sources: BTreeMap<SourceName, Vec<Source>>,
    /// In which namespaces there are sources of a kind.
    kinds: BTreeMap<SourceKind, BTreeSet<Option<String>>>,
    /// The modes in which volumes can be mounted, by the claim's name.
    claims: BTreeMap<String, Vec<Claim>>,
    /// The opt-in of all workloads of a namespace.
    labels: BTreeMap<String, String>,
}

/// A Secret, ConfigMap or `SecretProviderClass`.
#[derive(Debug)]
struct Source {
    namespace: Option<String>,
    ignored: bool,
    matched: bool,
    /// Its keys; `None` where something else makes them.
    keys: Option<BTreeSet<String>>,
}

#[derive(Debug)]
struct Claim {
    namespace: Option<String>,
    modes: Vec<String>,
}

/// How a source counts that a pod template refers to, as far as manifests tell.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(in crate::cli) enum Stands {
    /// No manifest has it: something else may make it.
    Absent,
    /// It is there, and says to be left alone.
    Ignored,
    /// It is there. Whether it asks to be found.
    There { matched: bool },
}

impl Inventory {
    /// Takes stock of manifests.
    pub(in crate::cli) fn of(manifests: &[Manifest]) -> Self {
        let mut all = Self::default();
        for manifest in manifests {
            all.take(manifest);
        }
        all
    }

    /// Takes in a manifest.
    pub(in crate::cli) fn take(&mut self, manifest: &Manifest) {
        let namespace = &manifest.namespace;
        if let Some(kind) = source_kind(manifest) {
            let says = |key: &str| {
                let mut all = manifest.annotations();
                all.any(|said| said.key == key && said.text == Some("true"))
            };
            let source = Source {
                namespace: namespace.clone(),
                ignored: says(IGNORE) || says(reloader::IGNORE),
                matched: says(reloader::MATCH),
                keys: Some(keys(manifest)).filter(|keys| !keys.is_empty()),
            };
            let name = manifest.name.clone();
            self.add(SourceName { kind, name }, source);
        }
        for name in made(manifest) {
            let source = Source {
                namespace: namespace.clone(),
                ignored: false,
                matched: false,
                keys: None,
            };
            self.add(SourceName::secret(name), source);
        }
        let root = &manifest.root;
        if manifest.is_namespace() {
            let label = root.text_at(&["metadata", "labels", RESTART_ON]);
            let label = label.map(ToOwned::to_owned);
            self.labels.extend(Some(manifest.name.clone()).zip(label));
        }
        if manifest.group.is_empty() && manifest.kind == "PersistentVolumeClaim" {
            let modes = root.at(&["spec", "accessModes"]);
            let modes = modes.map(Node::items).unwrap_or_default().iter();
            let claim = Claim {
                namespace: namespace.clone(),
                modes: modes
                    .filter_map(Node::text)
                    .map(ToOwned::to_owned)
                    .collect(),
            };
            let known = self.claims.entry(manifest.name.clone());
            known.or_default().push(claim);
        }
    }

    fn add(&mut self, name: SourceName, source: Source) {
        let kinds = self.kinds.entry(name.kind).or_default();
        kinds.insert(source.namespace.clone());
        self.sources.entry(name).or_default().push(source);
    }

    /// Returns the opt-in that a namespace says for all of its workloads.
    pub(in crate::cli) fn label(&self, namespace: Option<&str>) -> Option<&str> {
        self.labels.get(namespace?).map(String::as_str)
    }

    /// Returns how a source stands for what belongs to this namespace.
    pub(in crate::cli) fn stands(&self, namespace: Option<&str>, name: &SourceName) -> Stands {
        let all = self.sources.get(name).into_iter().flatten();
        let mut here = all.filter(|source| goes_with(namespace, source.namespace.as_deref()));
        match here.next() {
            None => Stands::Absent,
            Some(source) if source.ignored => Stands::Ignored,
            Some(source) => Stands::There {
                matched: source.matched,
            },
        }
    }

    /// Returns the names of the sources that what belongs to this namespace may use.
    pub(in crate::cli) fn names(
        &self,
        namespace: Option<&str>,
    ) -> impl Iterator<Item = &SourceName> {
        let goes = move |source: &Source| goes_with(namespace, source.namespace.as_deref());
        let here = self.sources.iter();
        here.filter(move |(_, all)| all.iter().any(&goes))
            .map(|(name, _)| name)
    }

    /// Whether there are sources of a kind for what belongs to this namespace.
    pub(in crate::cli) fn has(&self, namespace: Option<&str>, kind: SourceKind) -> bool {
        let all = self.kinds.get(&kind);
        all.is_some_and(|all| all.iter().any(|one| goes_with(namespace, one.as_deref())))
    }

    /// Whether a source, as far as manifests have it for this namespace, has no key that an entry names.
    pub(in crate::cli) fn lacks(&self, namespace: Option<&str>, listed: &Listed) -> bool {
        let keys = self.keys(namespace, &listed.source);
        keys.is_some_and(|keys| !listed.names_any(keys.into_iter()))
    }

    /// Returns the key that was meant by one that the source has not.
    pub(in crate::cli) fn likely_key(
        &self,
        namespace: Option<&str>,
        listed: &Listed,
    ) -> Option<&str> {
        let keys = self.keys(namespace, &listed.source)?.into_iter();
        nearest(&listed.key, keys).filter(|near| *near != listed.key)
    }

    /// Returns the keys of a source; `None` where no manifest has it, or something else makes its keys.
    fn keys(&self, namespace: Option<&str>, name: &SourceName) -> Option<BTreeSet<&str>> {
        let all = self.sources.get(name)?.iter();
        let here = all.filter(|source| goes_with(namespace, source.namespace.as_deref()));
        let keys: Option<Vec<_>> = here.map(|source| source.keys.as_ref()).collect();
        let keys = keys.filter(|keys| !keys.is_empty())?.into_iter().flatten();
        Some(keys.map(String::as_str).collect())
    }

    /// Returns the source that was meant by a name that none has.
    pub(in crate::cli) fn likely(
        &self,
        namespace: Option<&str>,
        meant: &SourceName,
    ) -> Option<&str> {
        let names = || {
            let same = |name: &&SourceName| name.kind == meant.kind;
            let here = self.names(namespace).filter(same);
            here.map(|name| name.name.as_str())
        };
        // kustomize puts a hash behind the names that it generates.
        let hashed = |name: &&str| {
            let rest = name.strip_prefix(meant.name.as_str());
            rest.is_some_and(|rest| rest.starts_with('-'))
        };
        nearest(&meant.name, names()).or_else(|| names().find(hashed))
    }

    /// Whether a volume can be mounted on one node only; `None` where no manifest has its claim.
    pub(in crate::cli) fn is_on_one_node(
        &self,
        namespace: Option<&str>,
        claim: &str,
    ) -> Option<bool> {
        let all = self.claims.get(claim)?.iter();
        let mut here = all.filter(|claim| goes_with(namespace, claim.namespace.as_deref()));
        let modes = &here.next()?.modes;
        let on_one = |mode: &String| mode == "ReadWriteOnce" || mode == "ReadWriteOncePod";
        Some(!modes.is_empty() && modes.iter().all(on_one))
    }
}

/// Returns the keys of a Secret or ConfigMap.
fn keys(manifest: &Manifest) -> BTreeSet<String> {
    let maps = ["data", "binaryData", "stringData"];
    let maps = maps.iter().filter_map(|map| manifest.root.at(&[map]));
    let keys = maps.flat_map(|map| map.entries().map(|(key, _)| key.text.clone()));
    keys.collect()
}

fn goes_with(one: Option<&str>, other: Option<&str>) -> bool {
    one.zip(other).is_none_or(|(one, other)| one == other)
}

/// Returns which kind of source an object is.
pub(in crate::cli) fn source_kind(manifest: &Manifest) -> Option<SourceKind> {
    SourceKind::ALL.into_iter().find(|kind| {
        let group = kind.api_version().split_once('/');
        let group = group.map_or("", |(group, _)| group);
        manifest.group == group && manifest.kind == kind.as_str()
    })
}

/// Returns the names of the Secrets that a controller makes of an object.
fn made(manifest: &Manifest) -> Vec<String> {
    let text = |keys: &[&str]| manifest.root.text_at(keys).map(ToOwned::to_owned);
    let own = || Some(manifest.name.clone());
    let one = match (manifest.group.as_str(), manifest.kind.as_str()) {
        ("bitnami.com", "SealedSecret") => {
            text(&["spec", "template", "metadata", "name"]).or_else(own)
        }
        ("external-secrets.io", "ExternalSecret") => text(&["spec", "target", "name"]).or_else(own),
        ("cert-manager.io", "Certificate") => text(&["spec", "secretName"]),
        ("secrets-store.csi.x-k8s.io", "SecretProviderClass") => {
            let all = manifest.root.at(&["spec", "secretObjects"]);
            let all = all.map(Node::items).unwrap_or_default().iter();
            let names = all.filter_map(|made| made.text_at(&["secretName"]));
            return names.map(ToOwned::to_owned).collect();
        }
        _ => None,
    };
    one.into_iter().collect()
}
