//! Sources (Secrets, ConfigMaps and SecretProviderClasses) and how a pod template uses them.
//!
//! [`references`] reads a pod template as JSON and is total: a field of an unexpected shape is no reference. The API
//! server has decoded the object into its own types before anybody sees it, so nothing real is lost by that.
//! Volumes count whether or not a container mounts them: the kubelet needs them to start the pod either way.

use std::{collections::BTreeSet, fmt, str::FromStr};

use litemap::LiteMap;
use serde_json::Value;

/// The kinds of object that pods read at start.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum SourceKind {
    /// `v1/ConfigMap`
    ConfigMap,
    /// `v1/Secret`
    Secret,
    /// `secrets-store.csi.x-k8s.io/v1/SecretProviderClass`, see [`super::provided`]
    SecretProviderClass,
}

impl SourceKind {
    /// Every kind, for loops over watches and metrics.
    pub const ALL: [Self; 3] = [Self::ConfigMap, Self::Secret, Self::SecretProviderClass];

    /// Kubernetes' name of the kind.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::ConfigMap => "ConfigMap",
            Self::Secret => "Secret",
            Self::SecretProviderClass => "SecretProviderClass",
        }
    }

    /// Kubernetes' `apiVersion` of the kind.
    pub const fn api_version(self) -> &'static str {
        match self {
            Self::ConfigMap | Self::Secret => "v1",
            Self::SecretProviderClass => "secrets-store.csi.x-k8s.io/v1",
        }
    }

    /// Whether its data stands in one object, which can be read, and whose absence means something. What a
    /// SecretProviderClass provides stands in the statuses of the pods that mount it.
    pub const fn is_one_object(self) -> bool {
        match self {
            Self::ConfigMap | Self::Secret => true,
            Self::SecretProviderClass => false,
        }
    }

    /// How opt-ins and `observed` write the kind: `secret/NAME`.
    pub const fn prefix(self) -> &'static str {
        match self {
            Self::ConfigMap => "configmap",
            Self::Secret => "secret",
            Self::SecretProviderClass => "secretproviderclass",
        }
    }
}

/// A source within a namespace that the context gives.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct SourceName {
    /// What it is.
    pub kind: SourceKind,
    /// `metadata.name`
    pub name: String,
}

impl SourceName {
    /// A Secret of this name.
    pub fn secret(name: impl Into<String>) -> Self {
        Self {
            kind: SourceKind::Secret,
            name: name.into(),
        }
    }

    /// A ConfigMap of this name.
    pub fn config_map(name: impl Into<String>) -> Self {
        Self {
            kind: SourceKind::ConfigMap,
            name: name.into(),
        }
    }

    /// A SecretProviderClass of this name.
    pub fn secret_provider_class(name: impl Into<String>) -> Self {
        Self {
            kind: SourceKind::SecretProviderClass,
            name: name.into(),
        }
    }

    /// As people write it: `Secret db`.
    pub fn spoken(&self) -> String {
        format!("{} {}", self.kind.as_str(), self.name)
    }
}

impl fmt::Display for SourceName {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}/{}", self.kind.prefix(), self.name)
    }
}

/// `secret/NAME`, or the same of another kind, was expected.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("\"{0}\" is not secret/NAME, configmap/NAME or secretproviderclass/NAME")]
pub struct NotASource(pub String);

impl FromStr for SourceName {
    type Err = NotASource;

    fn from_str(text: &str) -> Result<Self, NotASource> {
        let (prefix, name) = text
            .split_once('/')
            .ok_or_else(|| NotASource(text.to_owned()))?;
        let kind = SourceKind::ALL
            .into_iter()
            .find(|kind| kind.prefix() == prefix);
        match kind {
            Some(kind) if !name.is_empty() => Ok(Self {
                kind,
                name: name.to_owned(),
            }),
            _ => Err(NotASource(text.to_owned())),
        }
    }
}

/// A source anywhere in the cluster.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct SourceKey {
    /// `metadata.namespace`
    pub namespace: String,
    /// Kind and name.
    pub source: SourceName,
}

impl fmt::Display for SourceKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(
            f,
            "{}/{}/{}",
            self.source.kind.prefix(),
            self.namespace,
            self.source.name
        )
    }
}

/// Whether pods start without it. Where two references differ, required wins.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Need {
    /// Pods start without it.
    Optional,
    /// The kubelet does not start a container without it.
    Required,
}

impl Need {
    fn of(optional: Option<&Value>) -> Self {
        if optional.and_then(Value::as_bool) == Some(true) {
            Self::Optional
        } else {
            Self::Required
        }
    }
}

/// The name of the Secrets Store CSI driver in volumes.
const DRIVER: &str = "secrets-store.csi.k8s.io";

/// How one pod template uses one source: all references to it, merged.
#[expect(
    clippy::struct_excessive_bools,
    reason = "each is a fact of its own about the references"
)]
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Usage {
    /// Whether pods start while the source is absent.
    pub need: Need,
    /// All keys are read (`envFrom`, or a volume without `items`).
    pub whole: bool,
    /// Keys that are read by name.
    pub keys: LiteMap<String, Need>,
    /// Read into environment variables somewhere.
    pub env: bool,
    /// Read into files somewhere.
    pub volume: bool,
    /// It counts only while the source asks to be found (`reloader.stakater.com/match`).
    pub if_matched: bool,
}

impl Usage {
    /// A source that the opt-in names although the template does not refer to it.
    pub fn named() -> Self {
        Self {
            need: Need::Optional,
            whole: true,
            keys: LiteMap::new(),
            env: false,
            volume: false,
            if_matched: false,
        }
    }

    fn merge(&mut self, other: Self) {
        self.need = self.need.max(other.need);
        self.whole |= other.whole;
        self.env |= other.env;
        self.volume |= other.volume;
        for (key, need) in other.keys {
            let known = self.keys.entry(key).or_insert(need);
            *known = (*known).max(need);
        }
    }
}

/// What a pod template uses, by source.
pub type References = LiteMap<SourceName, Usage>;

/// Every reference of a pod template (`.spec.template` of most kinds) to a source: `env`, `envFrom`, `secret`,
/// `configMap` and `projected` volumes, and those of the Secrets Store CSI driver, in containers and init containers.
///
/// Image pull secrets and the secrets of volume plugins are read by the kubelet, not by the pod: a workload that wants
/// them names them in its opt-in.
pub fn references(template: &Value) -> References {
    let mut found = References::new();
    let spec = &template["spec"];
    for list in ["initContainers", "containers"] {
        for container in items(&spec[list]) {
            container_references(container, &mut found);
        }
    }
    for volume in items(&spec["volumes"]) {
        volume_reference(
            &volume["secret"],
            SourceKind::Secret,
            "secretName",
            &mut found,
        );
        volume_reference(
            &volume["configMap"],
            SourceKind::ConfigMap,
            "name",
            &mut found,
        );
        for projected in items(&volume["projected"]["sources"]) {
            volume_reference(&projected["secret"], SourceKind::Secret, "name", &mut found);
            volume_reference(
                &projected["configMap"],
                SourceKind::ConfigMap,
                "name",
                &mut found,
            );
        }
        if volume["csi"]["driver"] == DRIVER {
            volume_reference(
                &volume["csi"]["volumeAttributes"],
                SourceKind::SecretProviderClass,
                "secretProviderClass",
                &mut found,
            );
        }
    }
    found
}

/// The containers of a pod template that cannot start without one of these sources. A volume is needed by all.
pub fn containers_using(template: &Value, sources: &[SourceName]) -> BTreeSet<String> {
    let spec = &template["spec"];
    let containers = ["initContainers", "containers"]
        .into_iter()
        .flat_map(|list| items(&spec[list]));
    let volumes = references(&serde_json::json!({ "spec": { "volumes": spec["volumes"] } }));
    let all = sources.iter().any(|source| volumes.contains_key(source));
    let uses = |container: &&Value| {
        let mut found = References::new();
        container_references(container, &mut found);
        all || sources.iter().any(|source| found.contains_key(source))
    };
    containers
        .filter(uses)
        .filter_map(|container| container["name"].as_str())
        .map(ToOwned::to_owned)
        .collect()
}

fn container_references(container: &Value, found: &mut References) {
    for variable in items(&container["env"]) {
        let from = &variable["valueFrom"];
        for (field, kind) in [
            ("secretKeyRef", SourceKind::Secret),
            ("configMapKeyRef", SourceKind::ConfigMap),
        ] {
            let reference = &from[field];
            if let Some(key) = reference["key"].as_str() {
                let need = Need::of(reference.get("optional"));
                let keys = LiteMap::from_iter([(key.to_owned(), need)]);
                add(
                    found,
                    kind,
                    &reference["name"],
                    Usage {
                        need,
                        whole: false,
                        keys,
                        env: true,
                        volume: false,
                        if_matched: false,
                    },
                );
            }
        }
    }
    for from in items(&container["envFrom"]) {
        for (field, kind) in [
            ("secretRef", SourceKind::Secret),
            ("configMapRef", SourceKind::ConfigMap),
        ] {
            let reference = &from[field];
            let need = Need::of(reference.get("optional"));
            let usage = Usage {
                need,
                whole: true,
                keys: LiteMap::new(),
                env: true,
                volume: false,
                if_matched: false,
            };
            add(found, kind, &reference["name"], usage);
        }
    }
}

fn volume_reference(volume: &Value, kind: SourceKind, name_field: &str, found: &mut References) {
    let need = Need::of(volume.get("optional"));
    let keys: LiteMap<_, _> = items(&volume["items"])
        .filter_map(|item| item["key"].as_str())
        .map(|key| (key.to_owned(), need))
        .collect();
    let usage = Usage {
        need,
        whole: keys.is_empty(),
        keys,
        env: false,
        volume: true,
        if_matched: false,
    };
    add(found, kind, &volume[name_field], usage);
}

fn add(found: &mut References, kind: SourceKind, name: &Value, usage: Usage) {
    let Some(name) = name.as_str().filter(|name| !name.is_empty()) else {
        return;
    };
    let source = SourceName {
        kind,
        name: name.to_owned(),
    };
    match found.get_mut(&source) {
        Some(known) => known.merge(usage),
        None => {
            found.insert(source, usage);
        }
    }
}

fn items(list: &Value) -> impl Iterator<Item = &Value> {
    list.as_array().into_iter().flatten()
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn of(spec: &Value) -> References {
        references(&json!({ "spec": spec }))
    }

    fn keyed(need: Need, keys: &[(&str, Need)], env: bool) -> Usage {
        let keys = keys
            .iter()
            .map(|(key, need)| ((*key).to_owned(), *need))
            .collect();
        Usage {
            need,
            whole: false,
            keys,
            env,
            volume: !env,
            if_matched: false,
        }
    }

    fn whole(need: Need, env: bool) -> Usage {
        Usage {
            need,
            whole: true,
            keys: LiteMap::new(),
            env,
            volume: !env,
            if_matched: false,
        }
    }

    #[test]
    fn every_way_of_referencing() {
        use Need::{Optional, Required};
        let secret = SourceName::secret("s");
        let config_map = SourceName::config_map("s");
        let container = |body: Value| json!({ "containers": [body] });
        let volume = |body: Value| json!({ "volumes": [body] });
        let rows = [
            (
                volume(
                    json!({"csi": {"driver": DRIVER, "volumeAttributes": {"secretProviderClass": "s"}}}),
                ),
                &SourceName::secret_provider_class("s"),
                whole(Required, false),
            ),
            (
                container(
                    json!({"env": [{"valueFrom": {"secretKeyRef": {"name": "s", "key": "k"}}}]}),
                ),
                &secret,
                keyed(Required, &[("k", Required)], true),
            ),
            (
                container(
                    json!({"env": [{"valueFrom": {"configMapKeyRef": {"name": "s", "key": "k", "optional": true}}}]}),
                ),
                &config_map,
                keyed(Optional, &[("k", Optional)], true),
            ),
            (
                container(json!({"envFrom": [{"prefix": "P_", "secretRef": {"name": "s"}}]})),
                &secret,
                whole(Required, true),
            ),
            (
                container(json!({"envFrom": [{"configMapRef": {"name": "s", "optional": true}}]})),
                &config_map,
                whole(Optional, true),
            ),
            (
                json!({"initContainers": [{"envFrom": [{"secretRef": {"name": "s"}}]}]}),
                &secret,
                whole(Required, true),
            ),
            (
                volume(json!({"secret": {"secretName": "s"}})),
                &secret,
                whole(Required, false),
            ),
            (
                volume(
                    json!({"secret": {"secretName": "s", "items": [{"key": "k", "path": "p"}]}}),
                ),
                &secret,
                keyed(Required, &[("k", Required)], false),
            ),
            (
                volume(
                    json!({"configMap": {"name": "s", "optional": true, "items": [{"key": "k", "path": "p"}]}}),
                ),
                &config_map,
                keyed(Optional, &[("k", Optional)], false),
            ),
            (
                volume(json!({"projected": {"sources": [{"secret": {"name": "s"}}]}})),
                &secret,
                whole(Required, false),
            ),
            (
                volume(
                    json!({"projected": {"sources": [{"downwardAPI": {}}, {"configMap": {"name": "s", "items": [{"key": "k", "path": "p"}]}}]}}),
                ),
                &config_map,
                keyed(Required, &[("k", Required)], false),
            ),
        ];
        for (spec, source, usage) in rows {
            assert_eq!(
                of(&spec),
                References::from_iter([(source.clone(), usage)]),
                "{spec}"
            );
        }
    }

    #[test]
    fn references_to_one_source_merge_and_required_wins() {
        let found = of(&json!({
            "containers": [{"env": [
                {"valueFrom": {"secretKeyRef": {"name": "s", "key": "a", "optional": true}}},
                {"valueFrom": {"secretKeyRef": {"name": "s", "key": "a"}}},
                {"valueFrom": {"secretKeyRef": {"name": "s", "key": "b", "optional": true}}},
            ]}],
            "volumes": [{"secret": {"secretName": "s", "optional": true}}],
        }));
        let usage = &found[&SourceName::secret("s")];
        assert_eq!(usage.need, Need::Required);
        assert!(usage.whole && usage.env && usage.volume);
        assert_eq!(usage.keys.get("a"), Some(&Need::Required));
        assert_eq!(usage.keys.get("b"), Some(&Need::Optional));
    }

    #[test]
    fn odd_shapes_are_no_references() {
        for spec in [
            json!(null),
            json!({"containers": null, "volumes": {}}),
            json!({"containers": [{"env": [{"value": "x"}], "envFrom": [{}]}, 3]}),
            json!({"volumes": [{"secret": {}}, {"configMap": {"name": ""}}, {"emptyDir": {}}]}),
            json!({"volumes": [{"csi": {"driver": DRIVER}}]}),
            json!({"volumes": [{"csi": {"driver": "other", "volumeAttributes": {"secretProviderClass": "s"}}}]}),
        ] {
            assert!(of(&spec).is_empty(), "{spec}");
        }
    }

    #[test]
    fn names_read_back() {
        for name in ["secret/db", "configmap/a.b-c", "secretproviderclass/vault"] {
            assert_eq!(name.parse::<SourceName>().unwrap().to_string(), name);
        }
        for bad in ["", "db", "secret/", "pod/x", "/x"] {
            assert_eq!(bad.parse::<SourceName>(), Err(NotASource(bad.to_owned())));
        }
    }
}
