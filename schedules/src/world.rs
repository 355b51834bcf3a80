//! What there is: sources, and workloads that use them.
//!
//! A workload's template has editions. Each refers to some of three sources, each in a way of its own: so a change of the
//! template drops sources, gains others, and brings them back.

use serde_json::{Value, json};

use crate::operation::Name;

/// The namespace of all workloads.
pub(crate) const NAMESPACE: &str = "shop";
/// The annotation that opts in.
pub(crate) const OPT_IN: &str = "reroll.dev/restart-on";
/// The annotation that says whether what is deleted restarts.
pub(crate) const ON_DELETE: &str = "reroll.dev/on-delete";
/// The annotation that says whether what is made again as it was restarts.
pub(crate) const ON_RECREATE: &str = "reroll.dev/on-recreate";
/// The annotation of a source that counts for nobody.
pub(crate) const IGNORE: &str = "reroll.dev/ignore";
/// What people write beside, and what nobody else may touch.
pub(crate) const FOREIGN: &str = "example.com/owner";

/// Where people write so much that nothing else has room.
pub(crate) const NOTES: &str = "example.com/notes";

/// The sources: Secrets have short names, `ConfigMap`s long ones.
pub(crate) const SOURCES: [Name; 5] = ["a", "b", "c", "conf-d", "conf-e"];

/// How long the names of sources are that are never there, as long as they may be but for some letters.
const LONG: usize = 240;

/// A workload that there can be.
pub(crate) struct Plan {
    pub(crate) name: Name,
    pub(crate) kind: &'static str,
    references: [(Name, How); 3],
    /// What of the spec is not as it is by default.
    spec: &'static str,
    /// With its second source comes so much that is never there.
    absent: u8,
    /// Its template has no annotations of people.
    bare: bool,
}

/// How a container has a source.
#[derive(Clone, Copy)]
enum How {
    Env,
    /// One key in a variable.
    Key,
    /// A key that few read, in a variable.
    OtherKey,
    OptionalEnv,
    Volume,
    /// One key in a file.
    Item,
    Projected,
}

/// The key that variables and files name. Sources have others, too.
pub(crate) const KEY: &str = "k";
/// A key that only those read who read all.
pub(crate) const OTHER_KEY: &str = "other";
/// How many editions a template has; they count from 1, and the first refers to one source.
pub(crate) const EDITIONS: u8 = 7;

/// All workloads that there can be.
pub(crate) const WORKLOADS: [Plan; 7] = [
    Plan {
        name: "web",
        kind: "Deployment",
        references: [
            ("a", How::Env),
            ("b", How::Volume),
            ("conf-d", How::OptionalEnv),
        ],
        spec: "{}",
        absent: 0,
        bare: false,
    },
    Plan {
        name: "api",
        kind: "Deployment",
        references: [("a", How::Key), ("c", How::Item), ("conf-e", How::Env)],
        spec: r#"{"strategy":{"rollingUpdate":{"maxSurge":0,"maxUnavailable":1}}}"#,
        absent: 0,
        bare: true,
    },
    Plan {
        name: "batch",
        kind: "Deployment",
        references: [
            ("b", How::Key),
            ("conf-d", How::Projected),
            ("c", How::OptionalEnv),
        ],
        spec: r#"{"strategy":{"type":"Recreate"}}"#,
        absent: 0,
        bare: false,
    },
    Plan {
        name: "db",
        kind: "StatefulSet",
        references: [("b", How::Key), ("c", How::Env), ("conf-d", How::Volume)],
        spec: r#"{"serviceName":"db"}"#,
        absent: 0,
        bare: false,
    },
    Plan {
        name: "queue",
        kind: "StatefulSet",
        references: [
            ("a", How::Projected),
            ("conf-e", How::Key),
            ("c", How::OptionalEnv),
        ],
        spec: r#"{"serviceName":"queue","podManagementPolicy":"Parallel"}"#,
        absent: 0,
        bare: false,
    },
    Plan {
        name: "agent",
        kind: "DaemonSet",
        references: [
            ("a", How::Volume),
            ("conf-e", How::Env),
            ("b", How::OptionalEnv),
        ],
        spec: "{}",
        absent: 0,
        bare: false,
    },
    // It has more sources than there is room for in what reroll records.
    Plan {
        name: "bulk",
        kind: "Deployment",
        references: [
            ("a", How::Key),
            ("conf-d", How::OptionalEnv),
            ("a", How::OtherKey),
        ],
        spec: "{}",
        absent: 70,
        bare: false,
    },
];

/// Returns the plan of a workload.
pub(crate) fn plan(name: &str) -> &'static Plan {
    let found = WORKLOADS.iter().find(|plan| plan.name == name);
    found.unwrap_or_else(|| panic!("there is no workload {name}"))
}

/// Whether a source is a Secret.
pub(crate) fn is_secret(source: &str) -> bool {
    !source.starts_with("conf-")
}

/// Returns the kind of a source.
pub(crate) fn kind_of(source: &str) -> &'static str {
    if is_secret(source) {
        "Secret"
    } else {
        "ConfigMap"
    }
}

impl Plan {
    /// Returns the sources that an edition of the template refers to.
    pub(crate) fn uses(&self, edition: u8) -> Vec<Name> {
        self.references(edition).map(|(name, _)| name).collect()
    }

    fn references(&self, edition: u8) -> impl Iterator<Item = (Name, How)> + '_ {
        let all = self.references.iter().enumerate();
        all.filter(move |(at, _)| edition & (1 << at) != 0)
            .map(|(_, reference)| *reference)
    }

    /// Returns an edition of the template, as a person writes it.
    pub(crate) fn template(&self, edition: u8) -> Value {
        let (mut container, mut volumes) = (json!({ "name": "app", "image": "app" }), Vec::new());
        for (source, how) in self.references(edition) {
            refer(source, how, &mut container, &mut volumes);
        }
        let absent = if edition & 2 == 0 { 0 } else { self.absent };
        for number in 0..absent {
            let name = format!("absent-{number:03}-{}", "x".repeat(LONG));
            let reference = json!({ "secretRef": { "name": name, "optional": true } });
            add(&mut container, "envFrom", reference);
        }
        let mut metadata = json!({ "labels": { "app": self.name } });
        if !self.bare {
            metadata["annotations"] = json!({ "edition": edition.to_string() });
        }
        json!({ "metadata": metadata, "spec": { "containers": [container], "volumes": volumes } })
    }

    /// Returns what a person has in Git.
    pub(crate) fn manifest(&self, edition: u8, annotations: &Value) -> Value {
        let mut spec: Value = serde_json::from_str(self.spec).unwrap();
        spec["selector"] = json!({ "matchLabels": { "app": self.name } });
        spec["template"] = self.template(edition);
        if self.kind != "DaemonSet" {
            spec["replicas"] = json!(2);
        }
        if self.kind == "Deployment" {
            // The default would be a deadline of ten minutes for each restart.
            spec["progressDeadlineSeconds"] = json!(60);
        }
        json!({
            "apiVersion": "apps/v1", "kind": self.kind,
            "metadata": { "name": self.name, "annotations": annotations }, "spec": spec,
        })
    }
}

fn add(container: &mut Value, field: &str, value: Value) {
    match &mut container[field] {
        Value::Array(all) => all.push(value),
        none => *none = json!([value]),
    }
}

fn refer(source: Name, how: How, container: &mut Value, volumes: &mut Vec<Value>) {
    let (from, key, volume) = if is_secret(source) {
        ("secretRef", "secretKeyRef", "secret")
    } else {
        ("configMapRef", "configMapKeyRef", "configMap")
    };
    let mut add = |field: &str, value: Value| add(container, field, value);
    let name_field = if is_secret(source) {
        "secretName"
    } else {
        "name"
    };
    let volume_source = match how {
        How::Env => return add("envFrom", json!({ from: { "name": source } })),
        How::OptionalEnv => {
            return add(
                "envFrom",
                json!({ from: { "name": source, "optional": true } }),
            );
        }
        How::Key | How::OtherKey => {
            let (name, used) = if matches!(how, How::Key) {
                ("K", KEY)
            } else {
                ("O", OTHER_KEY)
            };
            let reference = json!({ "name": source, "key": used });
            return add(
                "env",
                json!({ "name": name, "valueFrom": { key: reference } }),
            );
        }
        How::Volume => json!({ volume: { name_field: source } }),
        How::Item => {
            json!({ volume: { name_field: source, "items": [{ "key": KEY, "path": "p" }] } })
        }
        How::Projected => json!({ "projected": { "sources": [{ volume: { "name": source } }] } }),
    };
    let mut one = volume_source;
    one["name"] = json!(source);
    volumes.push(one);
    add(
        "volumeMounts",
        json!({ "name": source, "mountPath": format!("/{source}") }),
    );
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_edition_refers_to_the_sources_of_its_bits() {
        let web = plan("web");
        assert_eq!(web.uses(1), ["a"]);
        assert_eq!(web.uses(6), ["b", "conf-d"]);
        assert_eq!(web.uses(EDITIONS), ["a", "b", "conf-d"]);
        let template = web.template(6);
        let container = &template["spec"]["containers"][0];
        assert_eq!(
            container["envFrom"],
            json!([{ "configMapRef": { "name": "conf-d", "optional": true } }])
        );
        assert_eq!(
            template["spec"]["volumes"],
            json!([{ "name": "b", "secret": { "secretName": "b" } }])
        );
    }
}
