//! What a pod needs of Secrets and ConfigMaps.

use std::collections::BTreeSet;

use serde_json::Value;

/// A kind of source.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
#[allow(missing_docs, reason = "they are named after the kinds")]
pub enum SourceKind {
    Secret,
    ConfigMap,
}

/// A Secret or a ConfigMap in the pod's namespace.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Source {
    /// Its kind.
    pub kind: SourceKind,
    /// Its name.
    pub name: String,
}

/// How a container has a source.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Way {
    /// In environment variables: as it was when the container started.
    Environment,
    /// In files of a volume.
    Files,
}

/// One reference of a pod to a source.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Need {
    /// To what.
    pub source: Source,
    /// The only key that is needed; `None` for all.
    pub keys: Option<BTreeSet<String>>,
    /// Whether the pod starts without it, too.
    pub optional: bool,
    /// In the environment or in files.
    pub way: Way,
}

fn list<'a>(value: &'a Value, field: &str) -> &'a [Value] {
    value[field].as_array().map_or(&[], Vec::as_slice)
}

/// Reads a reference: `name` is the field that names the source.
fn need(
    reference: &Value,
    kind: SourceKind,
    name: &str,
    keys: Option<BTreeSet<String>>,
    way: Way,
) -> Option<Need> {
    Some(Need {
        source: Source {
            kind,
            name: reference.get(name)?.as_str()?.to_owned(),
        },
        keys,
        optional: reference["optional"] == true,
        way,
    })
}

fn items(reference: &Value) -> Option<BTreeSet<String>> {
    let items = reference.get("items")?.as_array()?;
    let keys = items.iter().filter_map(|item| item["key"].as_str());
    Some(keys.map(ToOwned::to_owned).collect())
}

/// Returns the references of a pod's spec: those of its containers, then those of its volumes.
pub fn needs(spec: &Value) -> Vec<Need> {
    let mut all = Vec::new();
    let containers = ["initContainers", "containers"];
    for container in containers.iter().flat_map(|field| list(spec, field)) {
        for (field, kind) in [
            ("secretRef", SourceKind::Secret),
            ("configMapRef", SourceKind::ConfigMap),
        ] {
            let from = list(container, "envFrom").iter();
            all.extend(
                from.filter_map(|from| need(&from[field], kind, "name", None, Way::Environment)),
            );
        }
        for (field, kind) in [
            ("secretKeyRef", SourceKind::Secret),
            ("configMapKeyRef", SourceKind::ConfigMap),
        ] {
            for one in list(container, "env") {
                let reference = &one["valueFrom"][field];
                let key = reference["key"].as_str().map(ToOwned::to_owned);
                let keys = key.map(|key| BTreeSet::from([key]));
                all.extend(need(reference, kind, "name", keys, Way::Environment));
            }
        }
    }
    for volume in list(spec, "volumes") {
        let secret = (&volume["secret"], SourceKind::Secret, "secretName");
        let map = (&volume["configMap"], SourceKind::ConfigMap, "name");
        let projected = list(&volume["projected"], "sources").iter();
        let projected = projected.flat_map(|source| {
            [
                (&source["secret"], SourceKind::Secret, "name"),
                (&source["configMap"], SourceKind::ConfigMap, "name"),
            ]
        });
        for (reference, kind, name) in [secret, map].into_iter().chain(projected) {
            all.extend(need(reference, kind, name, items(reference), Way::Files));
        }
    }
    all
}

/// Returns all sources that a pod's spec names, for whatever.
pub(super) fn named(spec: &Value) -> BTreeSet<Source> {
    let mut all: BTreeSet<_> = needs(spec).into_iter().map(|need| need.source).collect();
    for reference in list(spec, "imagePullSecrets") {
        let name = reference["name"].as_str().unwrap_or_default().to_owned();
        let kind = SourceKind::Secret;
        all.insert(Source { kind, name });
    }
    all
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn all_ways_to_refer_to_a_source() {
        let spec = json!({
            "initContainers": [{ "envFrom": [{ "secretRef": { "name": "a" } }] }],
            "containers": [{
                "envFrom": [{ "configMapRef": { "name": "b", "optional": true } }],
                "env": [
                    { "name": "X", "value": "x" },
                    { "name": "Y", "valueFrom": { "secretKeyRef": { "name": "c", "key": "k" } } },
                    { "name": "Z", "valueFrom": { "configMapKeyRef": { "name": "d", "key": "l" } } },
                ],
            }],
            "volumes": [
                { "secret": { "secretName": "e", "items": [{ "key": "m", "path": "p" }] } },
                { "configMap": { "name": "f", "optional": true } },
                { "projected": { "sources": [{ "secret": { "name": "g" } }, { "configMap": { "name": "h" } }] } },
                { "emptyDir": {} },
            ],
            "imagePullSecrets": [{ "name": "i" }],
        });
        let told = |need: &Need| {
            let keys = need.keys.clone().map_or_else(String::new, |keys| {
                keys.into_iter().collect::<Vec<_>>().join(",")
            });
            let name = &need.source.name;
            format!(
                "{name} {:?} {:?} {keys} {}",
                need.source.kind, need.way, need.optional
            )
        };
        let told: Vec<_> = needs(&spec).iter().map(told).collect();
        assert_eq!(
            told,
            [
                "a Secret Environment  false",
                "b ConfigMap Environment  true",
                "c Secret Environment k false",
                "d ConfigMap Environment l false",
                "e Secret Files m false",
                "f ConfigMap Files  true",
                "g Secret Files  false",
                "h ConfigMap Files  false",
            ]
        );
        assert_eq!(named(&spec).len(), 9);
    }
}
