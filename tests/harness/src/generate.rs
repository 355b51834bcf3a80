//! Generates workloads, and what users do to them: the same for the same seed.
//!
//! Annotations are there, empty, `null` or missing. reroll's own are genuine, stale, forged or dropped. References,
//! policies and opt-ins come in every form; with [`Shapes::Odd`] also in forms that no API server would send.

use serde_json::{Map, Value, json};

use crate::{KUBECTL_RESTARTED_AT, LAST_RESTART, OBSERVED, RESTARTED_FOR};

/// The Secrets that generated workloads refer to. What is called `gone` never exists.
pub const SECRETS: [&str; 4] = ["db", "tls", "late", "gone"];
/// The `ConfigMap`s that they refer to.
pub const CONFIG_MAPS: [&str; 3] = ["app", "more.conf", "gone"];
/// The `SecretProviderClass`es that they refer to.
pub const CLASSES: [&str; 2] = ["vault", "gone"];

const OPT_INS: [&str; 18] = [
    "auto",
    "auto",
    "auto",
    "auto",
    "auto",
    "secrets",
    "configmaps",
    "auto,env",
    "volume",
    "secret/db",
    "secret/*",
    "configmap/m?re.conf,!secret/tls",
    "secretproviderclasses",
    "secrets,secretproviderclass/v*",
    "auto, !secret/t*",
    "off",
    "nonsense ✓",
    " , ",
];
const POLICIES: [(&str, &[&str]); 5] = [
    (
        "reroll.dev/on-recreate",
        &["auto", "restart", "content", "?"],
    ),
    ("reroll.dev/on-delete", &["wait", "restart", ""]),
    ("reroll.dev/on-adopt", &["report", "reporting"]),
    ("reroll.dev/settle", &["500ms", "-1s", "ünï"]),
    ("reroll.dev/suspend", &["true", "false", "yes"]),
];
/// What a template is restarted by in another way, and what stands in the way of a restart.
const ODD_POLICIES: [(&str, &[&str]); 3] = [
    (MARK, &["restartedAt", "restartedAt", "x"]),
    (
        RESTARTED_AT,
        &["~x@2027-01-15T08:00:00Z", "x@2027-01-15T08:00:00Z", "~"],
    ),
    (
        PENDING,
        &[
            r#"{"since":"2027-01-15T08:00:00Z","reason":"refused","causes":"","id":""}"#,
            "{}",
        ],
    ),
];
const MARK: &str = "reroll.dev/mark";
/// Where a mark stands that is not the template's.
pub const RESTARTED_AT: &str = "reroll.dev/restarted-at";
const PENDING: &str = "reroll.dev/pending";
const TIMES: [&str; 4] = [
    "2027-01-15T07:00:00Z",
    "2027-01-15T08:00:03Z",
    "2027-01-15T10:00:00+01:00",
    "soon",
];
const KEYS: [&str; 4] = ["example.com/owner", "a", "UPPER_case.x", "x.y/z-1"];
const ODD_KEYS: [&str; 9] = [
    "a/b/c",
    "~",
    "~1",
    "~0~1/",
    "/",
    "",
    "with space",
    "ключ/✓",
    "reroll.dev/observed~1",
];
const VALUES: [&str; 6] = [
    "",
    "true",
    "ünï ✓ 🦀",
    "\" \\ \n \t",
    "~1/~0",
    "{\"a\":[1]}",
];
const FORGED: [&str; 8] = [
    "",
    "{}",
    "null",
    "{\"v\":2,\"whatever\":true}",
    "{\"v\":0}",
    "{\"v\":1}",
    "{\"v\":1,\"k\":\"AAAAAAAA\",\"for\":\"u\",\"n\":18446744073709551615,\"rf\":\"\",\"s\":{\"secret/db\":\"waiting\"}}",
    "ünï",
];

/// What a generated object may look like.
#[derive(Clone, Copy, PartialEq, Eq)]
pub enum Shapes {
    /// As an API server takes it.
    Valid,
    /// As any client may send it.
    Odd,
}

/// Makes workloads.
pub struct Generator {
    /// What everything is drawn from.
    pub random: fastrand::Rng,
    shapes: Shapes,
    /// Values of `observed` and `restarted-for` that were genuine at some time, to be restored or copied.
    pub genuine: (Vec<String>, Vec<String>),
}

impl Generator {
    /// The same for the same seed.
    pub fn new(seed: u64, shapes: Shapes) -> Self {
        Self {
            random: fastrand::Rng::with_seed(seed),
            shapes,
            genuine: (Vec::new(), Vec::new()),
        }
    }

    /// True so often, in percent.
    pub fn often(&mut self, percent: u8) -> bool {
        self.random.u8(0..100) < percent
    }

    /// Draws one of these.
    pub fn pick<'a, T>(&mut self, from: &'a [T]) -> &'a T {
        &from[self.random.usize(0..from.len())]
    }

    fn odd(&mut self, percent: u8) -> bool {
        self.shapes == Shapes::Odd && self.often(percent)
    }

    /// Returns a workload as a user would create it.
    pub fn workload(&mut self, kind: &str, name: &str) -> Value {
        let mut object = json!({
            "apiVersion": "apps/v1", "kind": kind,
            "metadata": { "name": name, "labels": { "app": name } },
            "spec": {
                "selector": { "matchLabels": { "app": name } },
                "template": { "metadata": { "labels": { "app": name } }, "spec": self.pod() },
            },
        });
        match kind {
            "DaemonSet" => {
                object["spec"]["template"]["spec"]["nodeSelector"] = json!({ "no": "node" });
            }
            "StatefulSet" => {
                object["spec"]["serviceName"] = json!(name);
                object["spec"]["replicas"] = json!(0);
            }
            _ => object["spec"]["replicas"] = json!(0),
        }
        let annotations = self.annotations();
        set(&mut object["metadata"], "annotations", annotations);
        let annotations = self.template_annotations();
        set(
            &mut object["spec"]["template"]["metadata"],
            "annotations",
            annotations,
        );
        if self.shapes == Shapes::Odd {
            self.distort(&mut object);
        }
        object
    }

    /// Returns what a writer makes of a workload that exists.
    pub fn change(&mut self, old: &Value) -> Value {
        let mut new = old.clone();
        for _ in 0..self.random.u8(1..=3) {
            self.edit(&mut new);
        }
        new
    }

    fn edit(&mut self, object: &mut Value) {
        let has_template = object
            .pointer("/spec/template")
            .is_some_and(Value::is_object);
        match self.random.u8(0..12) {
            0 => {}
            1..=3 | 11 if has_template => {
                let (pod, selector) = (self.pod(), &object["spec"]["template"]["spec"]);
                let selector = selector.get("nodeSelector").cloned();
                object["spec"]["template"]["spec"] = pod;
                set(
                    &mut object["spec"]["template"]["spec"],
                    "nodeSelector",
                    selector,
                );
            }
            4 => {
                for key in [OBSERVED, LAST_RESTART] {
                    remove(object, "/metadata/annotations", key);
                }
            }
            5 => {
                let text = self.observed();
                put(object, "/metadata/annotations", OBSERVED, json!(text));
            }
            6 => {
                let text = self.restarted_for();
                let path = "/spec/template/metadata/annotations";
                if self.often(50) {
                    remove(object, path, RESTARTED_FOR);
                } else {
                    put(object, path, RESTARTED_FOR, json!(text));
                }
            }
            7 => {
                let annotations = self.annotations();
                set(&mut object["metadata"], "annotations", annotations);
            }
            8 => {
                let text = *self.pick(&OPT_INS);
                put(
                    object,
                    "/metadata/annotations",
                    "reroll.dev/restart-on",
                    json!(text),
                );
            }
            9 if has_template && object["spec"]["template"]["metadata"].is_object() => {
                let annotations = self.template_annotations();
                set(
                    &mut object["spec"]["template"]["metadata"],
                    "annotations",
                    annotations,
                );
            }
            10 if has_template && self.shapes == Shapes::Odd => {
                let metadata = self
                    .pick(&[None, Some(Value::Null), Some(json!({}))])
                    .clone();
                set(&mut object["spec"]["template"], "metadata", metadata);
            }
            _ => {
                let value = *self.pick(&VALUES);
                put(
                    object,
                    "/metadata/annotations",
                    "example.com/owner",
                    json!(value),
                );
            }
        }
    }

    /// `None`: no such field.
    fn annotations(&mut self) -> Option<Value> {
        let mut map = match self.random.u8(0..24) {
            0 => return None,
            1 => return Some(Value::Null),
            2 => return Some(json!({})),
            _ => self.foreign(),
        };
        if self.often(90) {
            let text = *self.pick(&OPT_INS);
            map.insert("reroll.dev/restart-on".to_owned(), json!(text));
        }
        for (key, values) in POLICIES {
            if self.often(15) {
                let value = *self.pick(values);
                map.insert(key.to_owned(), json!(value));
            }
        }
        if self.often(25) {
            map.insert(OBSERVED.to_owned(), json!(self.observed()));
        }
        if self.often(15) {
            let value = *self.pick(&VALUES);
            map.insert(LAST_RESTART.to_owned(), json!(value));
        }
        for (key, values) in ODD_POLICIES {
            if self.odd(20) {
                let value = *self.pick(values);
                map.insert(key.to_owned(), json!(value));
            }
        }
        Some(map.into())
    }

    fn template_annotations(&mut self) -> Option<Value> {
        let mut map = match self.random.u8(0..8) {
            0..3 => return None,
            3 => return Some(Value::Null),
            4 => return Some(json!({})),
            _ => self.foreign(),
        };
        if self.often(40) {
            map.insert(RESTARTED_FOR.to_owned(), json!(self.restarted_for()));
        }
        if self.odd(20) {
            map.insert(RESTARTED_FOR.to_owned(), json!([5]));
        }
        if self.odd(40) {
            let value = *self.pick(&TIMES);
            map.insert(KUBECTL_RESTARTED_AT.to_owned(), json!(value));
        }
        Some(map.into())
    }

    fn foreign(&mut self) -> Map<String, Value> {
        let mut map = Map::new();
        for _ in 0..self.random.u8(0..3) {
            let odd = self.odd(50);
            let keys: &[&str] = if odd { &ODD_KEYS } else { &KEYS };
            let (key, value) = (*self.pick(keys), *self.pick(&VALUES));
            map.insert(key.to_owned(), json!(value));
        }
        map
    }

    fn observed(&mut self) -> String {
        if self.genuine.0.is_empty() || self.often(40) {
            (*self.pick(&FORGED)).to_owned()
        } else {
            self.genuine.0[self.random.usize(0..self.genuine.0.len())].clone()
        }
    }

    fn restarted_for(&mut self) -> String {
        if self.genuine.1.is_empty() || self.often(40) {
            (*self.pick(&VALUES)).to_owned()
        } else {
            self.genuine.1[self.random.usize(0..self.genuine.1.len())].clone()
        }
    }

    fn pod(&mut self) -> Value {
        let mut containers = Vec::new();
        let mut volumes = Vec::new();
        for number in 0..self.random.u8(1..=2) {
            let mut container = json!({
                "name": format!("c{number}"),
                "image": format!("registry.example/app:{}", self.random.u8(0..3)),
            });
            let (mut env, mut env_from) = (Vec::new(), Vec::new());
            for variable in 0..self.random.u8(0..4) {
                let (secret, map) = (*self.pick(&SECRETS), *self.pick(&CONFIG_MAPS));
                let (key, optional) = (*self.pick(&["a", "b", "missing"]), self.optional());
                let name = format!("V{variable}");
                match self.random.u8(0..5) {
                    0 => env.push(json!({ "name": name, "valueFrom": { "secretKeyRef": with(json!({ "name": secret, "key": key }), optional) } })),
                    1 => env.push(json!({ "name": name, "valueFrom": { "configMapKeyRef": with(json!({ "name": map, "key": key }), optional) } })),
                    2 => env_from.push(json!({ "secretRef": with(json!({ "name": secret }), optional) })),
                    3 => env_from.push(json!({ "prefix": "P_", "configMapRef": with(json!({ "name": map }), optional) })),
                    _ => env.push(json!({ "name": name, "value": "plain" })),
                }
            }
            container["env"] = json!(env);
            container["envFrom"] = json!(env_from);
            containers.push(container);
        }
        let mut mounts = Vec::new();
        for number in 0..self.random.u8(0..3) {
            let (secret, map) = (*self.pick(&SECRETS), *self.pick(&CONFIG_MAPS));
            let optional = self.optional();
            let name = format!("v{number}");
            if self.often(80) {
                let path = *self.pick(&["", "", "a", "p", "missing"]);
                mounts.push(
                    json!({ "name": name, "mountPath": format!("/{name}"), "subPath": path }),
                );
            }
            let items = json!([{ "key": "a", "path": "p" }]);
            let class = *self.pick(&CLASSES);
            volumes.push(match self.random.u8(0..5) {
                0 => json!({ "name": name, "secret": with(json!({ "secretName": secret }), optional) }),
                1 => json!({ "name": name, "configMap": with(json!({ "name": map, "items": items }), optional) }),
                2 => json!({ "name": name, "projected": { "sources": [
                    { "secret": with(json!({ "name": secret, "items": items }), optional) },
                    { "configMap": { "name": map } },
                ] } }),
                3 => json!({ "name": name, "csi": {
                    "driver": "secrets-store.csi.k8s.io", "readOnly": true,
                    "volumeAttributes": { "secretProviderClass": class },
                } }),
                _ => json!({ "name": name, "emptyDir": {} }),
            });
        }
        containers[0]["volumeMounts"] = json!(mounts);
        json!({ "containers": containers, "volumes": volumes })
    }

    fn optional(&mut self) -> Option<bool> {
        *self.pick(&[None, None, Some(true), Some(false)])
    }

    fn distort(&mut self, object: &mut Value) {
        match self.random.u8(0..24) {
            0 => drop(
                object["spec"]["template"]
                    .as_object_mut()
                    .unwrap()
                    .remove("metadata"),
            ),
            1 => object["spec"]["template"]["metadata"] = Value::Null,
            2 => object["spec"]["template"]["metadata"] = json!({}),
            3 => object["spec"]["template"] = json!([]),
            4 => drop(object["spec"].as_object_mut().unwrap().remove("template")),
            5 => object["spec"] = Value::Null,
            6 => object["spec"]["template"]["spec"] = json!("?"),
            7 => object["spec"]["template"]["spec"]["containers"] = json!({ "env": 5 }),
            8 => {
                object["spec"]["template"]["metadata"]["annotations"] =
                    json!({ "a": null, "b": {} });
            }
            9 => object["metadata"]["annotations"] = json!({ "reroll.dev/restart-on": null }),
            10 => {
                object["metadata"]["generateName"] = json!("some-");
                drop(object["metadata"].as_object_mut().unwrap().remove("name"));
            }
            11 => {
                object["metadata"]["ownerReferences"] = json!([
                    { "apiVersion": "v1", "kind": "App", "name": "boss", "uid": "o", "controller": true },
                ]);
            }
            12 => object["metadata"] = json!({}),
            13 => drop(object.as_object_mut().unwrap().remove("metadata")),
            _ => {}
        }
    }
}

/// Returns the object without reroll's annotations and without maps that hold nothing: all that belongs to other
/// writers. `old`: what it was before the write. A mark by `kubectl.kubernetes.io/restartedAt` stays reroll's until the next
/// restart, whatever the workload says by then.
pub fn bare(object: &Value, old: &Value) -> Value {
    let mut bare = object.clone();
    let marked = own(old, RESTARTED_AT).is_some_and(|text| text.starts_with('~'));
    if marked || own(object, MARK) == Some("restartedAt") {
        remove(
            &mut bare,
            "/spec/template/metadata/annotations",
            KUBECTL_RESTARTED_AT,
        );
    }
    for key in [OBSERVED, LAST_RESTART, RESTARTED_AT, PENDING] {
        remove(&mut bare, "/metadata/annotations", key);
    }
    remove(
        &mut bare,
        "/spec/template/metadata/annotations",
        RESTARTED_FOR,
    );
    for (parent, field) in [
        ("/metadata", "annotations"),
        ("/spec/template/metadata", "annotations"),
        ("/spec/template", "metadata"),
    ] {
        let Some(parent) = bare.pointer_mut(parent).and_then(Value::as_object_mut) else {
            continue;
        };
        let empty = |value: &Value| value.is_null() || value.as_object().is_some_and(Map::is_empty);
        if parent.get(field).is_some_and(empty) {
            parent.remove(field);
        }
    }
    bare
}

/// One of reroll's annotations: `observed` and `last-restart` of the object, `restarted-for` of its template.
pub fn own<'a>(object: &'a Value, key: &str) -> Option<&'a str> {
    let map = if key == RESTARTED_FOR {
        "/spec/template/metadata/annotations"
    } else {
        "/metadata/annotations"
    };
    object.pointer(map)?.get(key)?.as_str()
}

/// A whole review, as an API server writes it.
pub fn review(operation: &str, object: &Value, old: &Value) -> Value {
    let any = if object.is_null() { old } else { object };
    let kind = any["kind"].as_str().unwrap_or_default();
    let (group, version) = match any["apiVersion"]
        .as_str()
        .unwrap_or_default()
        .split_once('/')
    {
        Some((group, version)) => (group, version),
        None => ("", "v1"),
    };
    let resource = format!("{}s", kind.to_lowercase());
    json!({
        "kind": "AdmissionReview", "apiVersion": "admission.k8s.io/v1",
        "request": {
            "uid": "6f0a4f0e-0000-4000-8000-000000000001",
            "kind": { "group": group, "version": version, "kind": kind },
            "resource": { "group": group, "version": version, "resource": resource },
            "requestKind": { "group": group, "version": version, "kind": kind },
            "requestResource": { "group": group, "version": version, "resource": resource },
            "name": any["metadata"]["name"].as_str().unwrap_or_default(),
            "namespace": "shop",
            "operation": operation,
            "userInfo": { "username": "someone", "groups": ["system:authenticated"] },
            "object": object,
            "oldObject": old,
            "dryRun": false,
            "options": { "kind": "UpdateOptions", "apiVersion": "meta.k8s.io/v1", "fieldManager": "test" },
        },
    })
}

fn with(mut reference: Value, optional: Option<bool>) -> Value {
    if let Some(optional) = optional {
        reference["optional"] = json!(optional);
    }
    reference
}

fn set(parent: &mut Value, field: &str, value: Option<Value>) {
    if let Some(parent) = parent.as_object_mut() {
        match value {
            Some(value) => drop(parent.insert(field.to_owned(), value)),
            None => drop(parent.remove(field)),
        }
    }
}

fn put(object: &mut Value, map: &str, key: &str, value: Value) {
    if let Some(map) = object.pointer_mut(map).and_then(Value::as_object_mut) {
        map.insert(key.to_owned(), value);
    }
}

fn remove(object: &mut Value, map: &str, key: &str) {
    if let Some(map) = object.pointer_mut(map).and_then(Value::as_object_mut) {
        map.remove(key);
    }
}
