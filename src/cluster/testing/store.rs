//! What the scripted API server keeps, and how it answers without a script.

use std::collections::BTreeMap;

use json_patch::Patch;
use serde_json::{Value, json};

use super::{Asked, CREATED};

/// Objects, by path.
#[derive(Default)]
pub(super) struct Store {
    pub(super) objects: BTreeMap<String, Value>,
    writes: u64,
}

impl Store {
    pub(super) fn put(&mut self, path: &str, mut object: Value) -> Value {
        self.writes += 1;
        let metadata = &mut object["metadata"];
        metadata["resourceVersion"] = json!((100 + self.writes).to_string());
        if metadata["uid"].is_null() {
            metadata["uid"] = json!(format!("uid-{}", self.writes));
        }
        if metadata["creationTimestamp"].is_null() {
            metadata["creationTimestamp"] = json!(CREATED);
        }
        self.objects.insert(path.to_owned(), object.clone());
        object
    }

    pub(super) fn serve(&mut self, asked: &Asked) -> (u16, Value) {
        let known = self.objects.get(&asked.path).cloned();
        match (asked.method.as_str(), known) {
            ("GET", Some(object)) => (200, object),
            ("GET", None) if is_collection(&asked.path) => (200, self.list(&asked.path)),
            ("POST", _) => self.create(asked),
            (_, None) => refused(404, "NotFound"),
            ("PUT", Some(known)) => self.replace(asked, &known),
            ("PATCH", Some(known)) => self.patch(asked, &known),
            ("DELETE", Some(known)) => self.delete(asked, known),
            (_, Some(_)) => refused(405, "MethodNotAllowed"),
        }
    }

    fn list(&self, path: &str) -> Value {
        let within = format!("{path}/");
        let all = self.objects.iter();
        let items = all.filter(|(path, _)| path.starts_with(&within));
        let items: Vec<_> = items.map(|(_, object)| object).collect();
        json!({ "kind": "List", "apiVersion": "v1", "metadata": { "resourceVersion": "100" }, "items": items })
    }

    fn create(&mut self, asked: &Asked) -> (u16, Value) {
        let mut object = asked.body.clone();
        let metadata = &mut object["metadata"];
        let generated = metadata["generateName"]
            .as_str()
            .map(|base| format!("{base}x"));
        let name = metadata["name"].as_str().map(ToOwned::to_owned);
        let Some(name) = name.or(generated) else {
            return refused(422, "Invalid");
        };
        metadata["name"] = json!(name);
        if !object["spec"].is_null() {
            object["metadata"]["generation"] = json!(1);
        }
        let path = format!("{}/{name}", asked.path);
        if self.objects.contains_key(&path) {
            return refused(409, "AlreadyExists");
        }
        (
            201,
            if asked.is_dry() {
                object
            } else {
                self.put(&path, object)
            },
        )
    }

    fn replace(&mut self, asked: &Asked, known: &Value) -> (u16, Value) {
        let version = |object: &Value| object["metadata"]["resourceVersion"].clone();
        let wanted = version(&asked.body);
        if !wanted.is_null() && wanted != version(known) {
            return refused(409, "Conflict");
        }
        (200, self.put(&asked.path, asked.body.clone()))
    }

    fn patch(&mut self, asked: &Asked, known: &Value) -> (u16, Value) {
        let mut object = known.clone();
        if let Err(refused) = apply(&mut object, &asked.body) {
            return refused;
        }
        let counts = |object: &Value| {
            let annotations = object["metadata"]["annotations"].clone();
            (
                object["spec"].clone(),
                (object["kind"] == "Deployment").then_some(annotations),
            )
        };
        if counts(&object) != counts(known) {
            let generation = known["metadata"]["generation"].as_i64().unwrap_or(0);
            object["metadata"]["generation"] = json!(generation + 1);
        }
        if asked.is_dry() {
            return (200, object);
        }
        (200, self.put(&asked.path, object))
    }

    fn delete(&mut self, asked: &Asked, mut known: Value) -> (u16, Value) {
        let wanted = &asked.body["preconditions"];
        for field in ["uid", "resourceVersion"] {
            if !wanted[field].is_null() && wanted[field] != known["metadata"][field] {
                return refused(409, "Conflict");
            }
        }
        if asked.body["propagationPolicy"] == "Foreground" {
            known["metadata"]["deletionTimestamp"] = json!(CREATED);
            return (200, self.put(&asked.path, known));
        }
        self.objects.remove(&asked.path);
        (
            200,
            json!({ "kind": "Status", "apiVersion": "v1", "metadata": {}, "status": "Success" }),
        )
    }
}

/// Applies a merge patch, or a JSON Patch. As the API server has it, what is missing is null for a test.
fn apply(object: &mut Value, patch: &Value) -> Result<(), (u16, Value)> {
    let Value::Array(operations) = patch else {
        json_patch::merge(object, patch);
        return Ok(());
    };
    for operation in operations {
        let at = operation["path"].as_str().unwrap();
        let missing = object.pointer(at).is_none();
        if missing && operation["op"] == "test" && operation["value"].is_null() {
            continue;
        }
        let one: Patch = serde_json::from_value(json!([operation])).unwrap();
        json_patch::patch(object, &one).map_err(|_| refused(422, "Invalid"))?;
    }
    Ok(())
}

/// Whether a path names all objects of a kind, in a namespace or everywhere.
fn is_collection(path: &str) -> bool {
    let parts = path.split('/').skip(1);
    let within = parts.skip_while(|part| *part != "namespaces").count();
    within == 3
}

fn refused(code: u16, reason: &str) -> (u16, Value) {
    (code, status(code, reason))
}

/// Returns a Status that refuses.
pub(super) fn status(code: u16, reason: &str) -> Value {
    json!({
        "kind": "Status", "apiVersion": "v1", "metadata": {}, "status": "Failure",
        "message": format!("scripted: {reason}"), "reason": reason, "code": code,
    })
}
