//! How a pod template uses sources.
//!
//! [`references`] reads a pod template as JSON and is total: a field of an unexpected shape is no reference. Nothing real is
//! lost by that, because the API server has decoded the object into its own types before. Volumes count whether or not a
//! container mounts them: the kubelet needs them to start the pod either way.

use std::collections::BTreeSet;

use litemap::LiteMap;
use serde_json::Value;

use super::{
    kinds::{Fields, SourceKind},
    names::SourceName,
};

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
    /// Returns how a source counts that the opt-in names although the template does not refer to it.
    pub fn named() -> Self {
        Self::of_all(Need::Optional)
    }

    fn of_all(need: Need) -> Self {
        Self {
            whole: true,
            ..Self::of_keys(need, LiteMap::new())
        }
    }

    fn of_keys(need: Need, keys: LiteMap<String, Need>) -> Self {
        Self {
            need,
            whole: false,
            keys,
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

/// Returns every reference of a pod template (`.spec.template` of most kinds) to a source: `env`, `envFrom`,
/// `secret`, `configMap` and `projected` volumes, and those of the Secrets Store CSI driver, in containers and init
/// containers.
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
        volume_references(volume, &mut found);
    }
    found
}

/// Returns the containers of a pod template that cannot start without one of these sources. A volume is needed by
/// all.
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
        for (kind, reference) in named(&variable["valueFrom"], |fields| fields.variable) {
            if let Some(key) = reference["key"].as_str() {
                let need = Need::of(reference.get("optional"));
                let keys = LiteMap::from_iter([(key.to_owned(), need)]);
                let usage = Usage {
                    env: true,
                    ..Usage::of_keys(need, keys)
                };
                add(found, kind, &reference["name"], usage);
            }
        }
    }
    for from in items(&container["envFrom"]) {
        for (kind, reference) in named(from, |fields| fields.env_from) {
            let usage = Usage {
                env: true,
                ..Usage::of_all(Need::of(reference.get("optional")))
            };
            add(found, kind, &reference["name"], usage);
        }
    }
}

fn volume_references(volume: &Value, found: &mut References) {
    for kind in SourceKind::ALL {
        let fields = kind.fields();
        let Some((pointer, name)) = fields.volume else {
            continue;
        };
        let of_driver = |driver: &str| volume["csi"]["driver"] == *driver;
        if let Some(reference) = volume.pointer(pointer)
            && fields.driver.is_none_or(of_driver)
        {
            add(found, kind, &reference[name], in_files(reference));
        }
    }
    for projected in items(&volume["projected"]["sources"]) {
        for (kind, reference) in named(projected, |fields| fields.projected) {
            add(found, kind, &reference["name"], in_files(reference));
        }
    }
}

/// Returns what a place of a template names by the fields of that place.
fn named(
    place: &Value,
    field: fn(&Fields) -> Option<&'static str>,
) -> impl Iterator<Item = (SourceKind, &Value)> {
    SourceKind::ALL
        .into_iter()
        .filter_map(move |kind| Some((kind, place.get(field(kind.fields())?)?)))
}

fn in_files(reference: &Value) -> Usage {
    let need = Need::of(reference.get("optional"));
    let keys: LiteMap<_, _> = items(&reference["items"])
        .filter_map(|item| item["key"].as_str())
        .map(|key| (key.to_owned(), need))
        .collect();
    let usage = if keys.is_empty() {
        Usage::of_all(need)
    } else {
        Usage::of_keys(need, keys)
    };
    Usage {
        volume: true,
        ..usage
    }
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

    const DRIVER: &str = "secrets-store.csi.k8s.io";

    fn of(spec: &Value) -> References {
        references(&json!({ "spec": spec }))
    }

    fn keyed(need: Need, keys: &[(&str, Need)], env: bool) -> Usage {
        let keys = keys
            .iter()
            .map(|(key, need)| ((*key).to_owned(), *need))
            .collect();
        Usage {
            env,
            volume: !env,
            ..Usage::of_keys(need, keys)
        }
    }

    fn whole(need: Need, env: bool) -> Usage {
        Usage {
            env,
            volume: !env,
            ..Usage::of_all(need)
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
}
