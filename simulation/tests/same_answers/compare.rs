//! Compares what the two said, with uids and resourceVersions mapped one to one.

use std::collections::BTreeMap;

use serde_json::{Value, json};

use crate::{
    brief,
    side::{Answered, Step},
};

#[derive(Default)]
pub(crate) struct Comparison {
    pub(crate) differences: Vec<String>,
    pub(crate) answers: usize,
    pub(crate) events: usize,
    pub(crate) reviews: usize,
    pub(crate) copy_took: std::time::Duration,
    /// From the real one's to the copy's, and back.
    there: BTreeMap<String, String>,
    here: BTreeMap<String, String>,
}

impl Comparison {
    pub(crate) fn answers(&mut self, step: &Step, real: &Answered, copy: &Answered) {
        self.answers += 1;
        let what = format!("{} {} {}", step.method, step.path, brief(&step.body));
        if real.code != copy.code {
            self.differs(
                &what,
                "",
                &json!([real.code, real.body]),
                &json!([copy.code, copy.body]),
            );
            return;
        }
        // The copy drops unknown fields without a word.
        let warned = real
            .warnings
            .iter()
            .filter(|text| !text.contains("unknown field"));
        let warned: Vec<_> = warned.collect();
        self.same(&what, "warnings", &json!(warned), &json!(copy.warnings));
        if real.code >= 400 {
            let short = |body: &Value| {
                json!([
                    body["reason"],
                    body["details"]["name"],
                    body["details"]["kind"],
                    body["details"]["group"]
                ])
            };
            self.same(&what, "", &short(&real.body), &short(&copy.body));
        } else {
            let (real, copy) = (normal(&real.body), normal(&copy.body));
            self.same(&what, "", &real, &copy);
        }
    }

    pub(crate) fn watches(&mut self, path: &str, real: &[Value], copy: &[Value]) {
        self.events += real.len();
        let all = |events: &[Value]| events.iter().map(normal).collect::<Vec<_>>();
        self.same(
            &format!("WATCH {path}"),
            "",
            &json!(all(real)),
            &json!(all(copy)),
        );
    }

    pub(crate) fn reviews(&mut self, step: &Step, real: &[Value], copy: &[Value]) {
        self.reviews += copy.len();
        // A real one tries a write on what it remembers first, and then on what is stored.
        let newest = |review: &Value| {
            let version = review["request"]["oldObject"]["metadata"]["resourceVersion"].as_str();
            version
                .and_then(|version| version.parse::<u64>().ok())
                .unwrap_or(0)
        };
        let one = !step.path.contains("labelSelector");
        let last = real.iter().map(newest).max().unwrap_or(0);
        let kept = |review: &&Value| !one || newest(review) == last;
        let short = |reviews: &mut dyn Iterator<Item = &Value>| {
            let mut all: Vec<_> = reviews
                .map(|review| {
                    let mut review = normal(review);
                    let request = review["request"].as_object_mut().unwrap();
                    request.remove("uid");
                    if let Some(user) = request["userInfo"].as_object_mut() {
                        user.remove("extra");
                    }
                    review
                })
                .collect();
            // Validating webhooks are called all at once.
            all.sort_by_key(|review| {
                let hook = review["hook"].as_str().unwrap_or_default().to_owned();
                let name = review["request"]["oldObject"]["metadata"]["name"].to_string();
                if hook.starts_with("validate") {
                    (hook, name)
                } else {
                    (String::new(), String::new())
                }
            });
            json!(all)
        };
        let what = format!(
            "REVIEWS {} {} {}",
            step.method,
            step.path,
            brief(&step.body)
        );
        let (real, copy) = (
            short(&mut real.iter().filter(kept)),
            short(&mut copy.iter()),
        );
        self.same(&what, "", &real, &copy);
    }

    fn same(&mut self, what: &str, at: &str, real: &Value, copy: &Value) {
        match (real, copy) {
            (Value::Object(one), Value::Object(other)) => {
                for (key, value) in one {
                    let at = format!("{at}/{key}");
                    match other.get(key) {
                        None => self.differs(what, &at, value, &json!("nothing")),
                        Some(_) if key == "continue" => {}
                        Some(other) if is_mapped(key) => self.mapped(what, &at, value, other),
                        Some(other) => self.same(what, &at, value, other),
                    }
                }
                for (key, value) in other.iter().filter(|(key, _)| !one.contains_key(*key)) {
                    self.differs(what, &format!("{at}/{key}"), &json!("nothing"), value);
                }
            }
            (Value::Array(one), Value::Array(other)) if one.len() == other.len() => {
                for (number, (one, other)) in one.iter().zip(other).enumerate() {
                    self.same(what, &format!("{at}/{number}"), one, other);
                }
            }
            (Value::Array(one), Value::Array(other)) => {
                let short = |events: &[Value]| {
                    let one = |event: &Value| {
                        json!([
                            event["hook"],
                            event["type"],
                            event["object"]["metadata"]["name"],
                            event["metadata"]["name"]
                        ])
                    };
                    events.iter().map(one).collect::<Vec<_>>()
                };
                let common = short(one)
                    .iter()
                    .zip(short(other))
                    .take_while(|(one, other)| **one == *other)
                    .count();
                let rest = |events: &[Value]| {
                    Value::from(
                        events
                            .iter()
                            .skip(common)
                            .take(3)
                            .cloned()
                            .collect::<Vec<_>>(),
                    )
                };
                let at = format!(
                    "{at}: {} and {} items, the same up to {common}",
                    one.len(),
                    other.len()
                );
                self.differs(what, &at, &rest(one), &rest(other));
            }
            _ if real == copy => {}
            _ => self.differs(what, at, real, copy),
        }
    }

    fn mapped(&mut self, what: &str, at: &str, real: &Value, copy: &Value) {
        let (Some(real), Some(copy)) = (real.as_str(), copy.as_str()) else {
            self.differs(what, at, real, copy);
            return;
        };
        let kind = if at.ends_with("uid") || at.ends_with("controller-uid") {
            "uid"
        } else {
            "version"
        };
        let (one, other) = (format!("{kind} {real}"), format!("{kind} {copy}"));
        let known = self
            .there
            .entry(one.clone())
            .or_insert_with(|| other.clone())
            .clone();
        let back = self
            .here
            .entry(other.clone())
            .or_insert_with(|| one.clone())
            .clone();
        if known != other || back != one {
            self.differs(what, at, &json!([one, back]), &json!([other, known]));
        }
    }

    fn differs(&mut self, what: &str, at: &str, real: &Value, copy: &Value) {
        self.differences.push(format!(
            "{what}\n    {at}\n    {}\n    {}",
            brief(real),
            brief(copy)
        ));
    }
}

/// Whether the value is another on each side, and always the same one.
fn is_mapped(key: &str) -> bool {
    matches!(
        key,
        "uid" | "resourceVersion" | "controller-uid" | "batch.kubernetes.io/controller-uid"
    )
}

/// Leaves out what is another each time.
fn normal(value: &Value) -> Value {
    match value {
        Value::Object(map) => {
            let mut fields = serde_json::Map::new();
            for (key, child) in map {
                if child.is_null() {
                    continue;
                }
                let child = match key.as_str() {
                    "creationTimestamp" | "deletionTimestamp" | "time" => json!("TIME"),
                    "job-name" | "batch.kubernetes.io/job-name"
                        if child
                            .as_str()
                            .is_some_and(|name| name.starts_with("generated-")) =>
                    {
                        json!("generated")
                    }
                    "managedFields" => managed(child),
                    _ => normal(child),
                };
                fields.insert(key.clone(), child);
            }
            if let (Some(prefix), Some(name)) = (map.get("generateName"), map.get("name")) {
                let (prefix, name) = (prefix.as_str().unwrap(), name.as_str().unwrap());
                fields.insert(
                    "name".to_owned(),
                    json!([prefix, name.strip_prefix(prefix).unwrap().len()]),
                );
            }
            if (map.contains_key("items") || map.get("type") == Some(&json!("BOOKMARK")))
                && let Some(meta) = fields.get_mut("metadata").and_then(Value::as_object_mut)
            {
                meta.insert("resourceVersion".to_owned(), json!("of now"));
            }
            if map.get("type") == Some(&json!("BOOKMARK")) {
                let annotations =
                    map["object"]["metadata"]["annotations"]["k8s.io/initial-events-end"].clone();
                fields.insert(
                    "object".to_owned(),
                    json!([map["object"]["kind"], annotations]),
                );
            }
            Value::Object(fields)
        }
        Value::Array(list) => list.iter().map(normal).collect(),
        other => other.clone(),
    }
}

/// What is compared of who wrote which field: all but what is below the spec, where the copy takes lists as one field.
fn managed(entries: &Value) -> Value {
    let mut all: Vec<Value> = entries.as_array().unwrap().iter().map(normal).collect();
    for entry in &mut all {
        let fields = entry["fieldsV1"].as_object_mut().unwrap();
        fields.remove("f:spec");
        for field in ["f:status", "f:webhooks"] {
            if let Some(value) = fields.get_mut(field) {
                *value = json!("some");
            }
        }
    }
    all.retain(|entry| entry["fieldsV1"] != json!({}));
    // Those of the same second stand in the order of their names.
    all.sort_by_key(|entry| entry["manager"].to_string() + &entry["subresource"].to_string());
    json!(all)
}
