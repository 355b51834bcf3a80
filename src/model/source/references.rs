//! How a pod template uses sources.
//!
//! [`references`] reads a pod template as JSON and is total: a field of an unexpected shape is no reference. Nothing real is
//! lost by that, because the API server has decoded the object into its own types before.
//!
//! Of a volume only those files count that a container reads ([`volumes`]).

mod bounds;
mod excess;
mod found;
mod volumes;

use std::collections::BTreeSet;

use litemap::LiteMap;
use serde_json::Value;

pub use self::{
    bounds::{MAX_KEYS, MAX_SOURCES},
    excess::{Excess, excess},
    found::References,
};
use self::{
    found::{add, items, named},
    volumes::volume_references,
};
use super::{
    names::SourceName,
    usage::{Need, Usage},
};

/// Returns every reference of a pod template (`.spec.template` of most kinds) to a source: `env`, `envFrom`,
/// `secret`, `configMap` and `projected` volumes, and those of the Secrets Store CSI driver, in containers and init
/// containers. A source that only a volume holds, of which no container reads anything, is there too, and does not count:
/// [`Usage::counts`].
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
    let mut volumes = References::new();
    volume_references(spec, &mut volumes);
    for source in started_without(spec) {
        // A volume keeps all containers from starting.
        let holds = volumes.get(&source).is_some_and(is_required);
        if let Some(usage) = found.get_mut(&source).filter(|usage| is_required(usage)) {
            usage.mixed = !holds;
        }
    }
    for (source, usage) in volumes {
        match found.get_mut(&source) {
            Some(known) => known.merge(&usage),
            None => drop(found.insert(source, usage)),
        }
    }
    found
}

fn is_required(usage: &Usage) -> bool {
    usage.need == Need::Required
}

/// Returns the sources that a container reads into variables and starts without, whatever others do.
fn started_without(spec: &Value) -> BTreeSet<SourceName> {
    let mut without = BTreeSet::new();
    for list in ["initContainers", "containers"] {
        for container in items(&spec[list]) {
            let mut own = References::new();
            container_references(container, &mut own);
            let optional = own.into_iter().filter(|(_, usage)| !is_required(usage));
            without.extend(optional.map(|(source, _)| source));
        }
    }
    without
}

/// Returns the containers of a pod template that cannot start without one of these sources. A volume that any of them
/// mounts is needed by all.
pub fn containers_using(template: &Value, sources: &[SourceName]) -> BTreeSet<String> {
    let spec = &template["spec"];
    let containers = ["initContainers", "containers"]
        .into_iter()
        .flat_map(|list| items(&spec[list]));
    let mut volumes = References::new();
    volume_references(spec, &mut volumes);
    let in_volume = |source: &SourceName| volumes.get(source).is_some_and(Usage::counts);
    let all = sources.iter().any(in_volume);
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
        let volume = |mut body: Value| {
            body["name"] = json!("v");
            let mount = json!({ "name": "v", "mountPath": "/v" });
            json!({ "containers": [{ "volumeMounts": [mount] }], "volumes": [body] })
        };
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
    fn what_one_container_starts_without_and_another_does_not_is_mixed() {
        let variable = |optional: bool| {
            let key = json!({"name": "s", "key": "k", "optional": optional});
            json!({"name": "V", "valueFrom": {"secretKeyRef": key}})
        };
        let (needs, likes) = (variable(false), variable(true));
        let volume = json!([{"name": "v", "secret": {"secretName": "s"}}]);
        let mount = json!([{"name": "v", "mountPath": "/v"}]);
        for (spec, mixed) in [
            (json!({"containers": [{"env": [needs]}]}), false),
            (json!({"containers": [{"env": [likes]}]}), false),
            (json!({"containers": [{"env": [needs, likes]}]}), false),
            (
                json!({"containers": [{"env": [needs]}, {"env": [likes]}]}),
                true,
            ),
            (
                json!({"initContainers": [{"env": [likes]}], "containers": [{"env": [needs]}]}),
                true,
            ),
            (
                json!({"containers": [{"env": [likes], "volumeMounts": mount}], "volumes": volume}),
                false,
            ),
            (
                json!({"containers": [{"env": [needs]}, {"env": [likes], "volumeMounts": mount}], "volumes": volume}),
                false,
            ),
        ] {
            assert_eq!(of(&spec)[&SourceName::secret("s")].mixed, mixed, "{spec}");
        }
    }

    #[test]
    fn references_to_one_source_merge_and_required_wins() {
        let found = of(&json!({
            "containers": [{"env": [
                {"valueFrom": {"secretKeyRef": {"name": "s", "key": "a", "optional": true}}},
                {"valueFrom": {"secretKeyRef": {"name": "s", "key": "a"}}},
                {"valueFrom": {"secretKeyRef": {"name": "s", "key": "b", "optional": true}}},
            ], "volumeMounts": [{"name": "v", "mountPath": "/v"}]}],
            "volumes": [{"name": "v", "secret": {"secretName": "s", "optional": true}}],
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
