//! Deletions: at once, or when the last finalizer is gone.
//!
//! Dependents are not touched: the garbage collector does that, and reads off the finalizers what was asked for.

use std::{sync::Arc, time::Duration};

use jiff::Timestamp;
use serde_json::{Value, json};

use super::{
    ApiServer,
    admission::{self, Attempt},
    answer::{Answer, Refusal},
    call::Call,
    events, list, prepare,
    resources::{Row, storage},
};

const ORPHAN: &str = "orphan";
const FOREGROUND: &str = "foregroundDeletion";

/// What a deletion asks for.
#[derive(Default)]
struct Options {
    given: Value,
    dry: bool,
}

impl Options {
    fn read(call: &Call) -> Result<Self, Refusal> {
        let mut given = json!({});
        // A body makes the API server overlook what the query says.
        if call.body.is_empty() {
            for field in ["propagationPolicy", "gracePeriodSeconds"] {
                if let Some(text) = call.query.get(field) {
                    given[field] = text
                        .parse::<i64>()
                        .map_or_else(|_| json!(text), |number| json!(number));
                }
            }
            if call.query.dry_run()? {
                given["dryRun"] = json!(["All"]);
            }
        } else {
            given = serde_json::from_slice(&call.body)
                .map_err(|error| Refusal::bad_request(error.to_string()))?;
        }
        if !matches!(
            given["propagationPolicy"].as_str(),
            None | Some("Orphan" | "Background" | "Foreground")
        ) {
            let why =
                "DeleteOptions.meta.k8s.io \"\" is invalid: propagationPolicy: Unsupported value";
            return Err(Refusal::new(422, "Invalid", why).about(
                "meta.k8s.io",
                "DeleteOptions",
                "",
            ));
        }
        let dry = given["dryRun"]
            .as_array()
            .is_some_and(|all| !all.is_empty());
        Ok(Self { given, dry })
    }

    /// Returns the options as a review has them.
    fn for_review(&self) -> Value {
        let mut options = self.given.clone();
        options["kind"] = json!("DeleteOptions");
        options["apiVersion"] = json!("meta.k8s.io/v1");
        options
    }

    /// Tells the user of a Job what becomes of its pods.
    fn warn(&self, call: &Call) {
        let asked =
            ["propagationPolicy", "orphanDependents"].map(|field| self.given[field].is_null());
        if call.target.row().kind == "Job" && asked == [true, true] {
            let text = "child pods are preserved by default when jobs are deleted; set propagationPolicy=Background to remove them or set propagationPolicy=Orphan to suppress this warning";
            call.warnings.lock().push(text.to_owned());
        }
    }

    /// Whether the object is the one that is meant.
    fn check(&self, row: &Row, object: &Value) -> Result<(), Refusal> {
        let meta = &object["metadata"];
        let name = meta["name"].as_str().unwrap_or_default();
        for (field, word) in [("uid", "UID"), ("resourceVersion", "ResourceVersion")] {
            let wanted = &self.given["preconditions"][field];
            if wanted.is_string() && *wanted != meta[field] {
                let text = |value: &Value| value.as_str().unwrap_or_default().to_owned();
                let why = format!(
                    "Precondition failed: {word} in precondition: {}, {word} in object meta: {}",
                    text(wanted),
                    text(&meta[field])
                );
                return Err(Refusal::conflict(row, name, &why).about(row.group, row.kind, name));
            }
        }
        Ok(())
    }

    /// Returns the finalizers that an object has after it was asked to go.
    fn finalizers(&self, row: &Row, object: &Value) -> Vec<Value> {
        let mut finalizers = object["metadata"]["finalizers"]
            .as_array()
            .cloned()
            .unwrap_or_default();
        let policy = match self.given["propagationPolicy"].as_str() {
            Some("Orphan") => Some(ORPHAN),
            Some("Foreground") => Some(FOREGROUND),
            Some(_) => None,
            None => match &self.given["orphanDependents"] {
                Value::Bool(true) => Some(ORPHAN),
                Value::Bool(false) => None,
                _ if finalizers
                    .iter()
                    .any(|one| one == ORPHAN || one == FOREGROUND) =>
                {
                    return finalizers;
                }
                // As it was before there was a garbage collector.
                _ if row.kind == "Job" => Some(ORPHAN),
                _ => return finalizers,
            },
        };
        finalizers.retain(|one| {
            one != ORPHAN && one != FOREGROUND || Some(one) == policy.map(Value::from).as_ref()
        });
        if let Some(policy) = policy
            && !finalizers.iter().any(|one| one == policy)
        {
            finalizers.push(json!(policy));
        }
        finalizers
    }

    /// Returns the seconds that a pod is given to end; `None` where it goes at once.
    fn grace(&self, row: &Row, object: &Value) -> Option<i64> {
        if row.kind != "Pod" {
            return None;
        }
        let given = self.given["gracePeriodSeconds"].as_i64();
        let usual = object["spec"]["terminationGracePeriodSeconds"].as_i64();
        let ended = matches!(
            object["status"]["phase"].as_str(),
            Some("Succeeded" | "Failed")
        );
        let runs = object["spec"]["nodeName"].is_string() && !ended;
        let seconds = if runs {
            given.or(usual).unwrap_or(30).max(0)
        } else {
            0
        };
        (seconds > 0).then_some(seconds)
    }
}

/// Deletes one object.
pub(crate) async fn one(server: &ApiServer, call: &Call) -> Result<Answer, Refusal> {
    if call.target.subresource.is_some() {
        return Err(Refusal::method_not_allowed());
    }
    let options = Options::read(call)?;
    options.warn(call);
    let name = call.target.name.as_deref().unwrap_or_default();
    let object = delete(server, call, &options, name, name).await?;
    Ok(Answer::ok(object))
}

/// Deletes all objects that are selected.
pub(crate) async fn collection(server: &ApiServer, call: &Call) -> Result<Answer, Refusal> {
    let row = call.target.row();
    if row.kind == "Namespace" || row.is_namespaced() && call.target.namespace.is_none() {
        return Err(Refusal::method_not_allowed());
    }
    let options = Options::read(call)?;
    options.warn(call);
    let selection = list::selection(call)?;
    let prefix = list::prefix(call);
    let (revision, found) = server.with_store(|store| {
        let all = store.objects(storage(call.target.index)).iter();
        let ours =
            all.filter(|(key, object)| key.starts_with(&prefix) && selection.selects(object));
        (
            store.revision,
            ours.map(|(_, object)| Arc::clone(object))
                .collect::<Vec<_>>(),
        )
    });
    for object in &found {
        let name = object["metadata"]["name"].as_str().unwrap_or_default();
        match delete(server, call, &options, name, "").await {
            Err(refusal) if refusal.code == 404 => {}
            other => drop(other?),
        }
    }
    Ok(Answer::ok(list::of(call, &found, revision)))
}

/// Deletes an object, or marks it where something has to be done before. Returns what the user is told. `asked` is the
/// name in the request's path.
async fn delete(
    server: &ApiServer,
    call: &Call,
    options: &Options,
    name: &str,
    asked: &str,
) -> Result<Value, Refusal> {
    let row = call.target.row();
    let (at, key) = (storage(call.target.index), call.target.key(name));
    loop {
        let found = server.with_store(|store| store.get(at, &key).cloned());
        let Some(live) = found else {
            return Err(Refusal::not_found(row, name));
        };
        options.check(row, &live)?;
        let mut attempt = Attempt {
            row,
            namespace: call.namespace_of(name),
            name: asked,
            subresource: None,
            operation: "DELETE",
            user: &call.user,
            dry: options.dry,
            options: options.for_review(),
            object: Value::Null,
            old: Arc::clone(&live),
            warnings: &call.warnings,
        };
        admission::mutate(server, &mut attempt).await?;
        admission::validate(server, &attempt).await?;
        let fate = fate(server, row, options, &live);
        if let Fate::Goes(Before::Held) = fate {
            // The API server sees only while it would update the finalizers that it may delete, and asks again.
            admission::validate(server, &attempt).await?;
        }
        let done = server.write(|store| {
            let still = store.get(at, &key);
            if still.is_none_or(|still| {
                still["metadata"]["resourceVersion"] != live["metadata"]["resourceVersion"]
            }) {
                return None;
            }
            Some(match fate {
                Fate::Stays(object) if options.dry || object == *live => (object, false),
                Fate::Stays(object) => (Value::clone(&store.put(at, &key, object)), false),
                Fate::Goes(_) if options.dry => (Value::clone(&live), true),
                Fate::Goes(Before::Marked(object)) => {
                    let mut object = Value::clone(&store.put(at, &key, object));
                    store.remove(at, &key);
                    object["metadata"]["resourceVersion"] = json!(store.revision.to_string());
                    (object, true)
                }
                Fate::Goes(_) => {
                    store.remove(at, &key);
                    (Value::clone(&live), true)
                }
            })
        });
        let Some((object, gone)) = done else { continue };
        let told = if gone && !matches!(row.kind, "Pod" | "ServiceAccount") {
            success(row, &object)
        } else {
            Value::clone(&events::shown(row, &Arc::new(object)))
        };
        return Ok(told);
    }
}

/// What becomes of an object that is to go.
enum Fate {
    /// It waits like this.
    Stays(Value),
    /// It goes at once.
    Goes(Before),
}

/// What is before the end of an object that goes at once.
enum Before {
    /// Nothing.
    Free,
    /// Finalizers that the deletion takes away.
    Held,
    /// A pod is marked first, as one that would be given time.
    Marked(Value),
}

fn fate(server: &ApiServer, row: &Row, options: &Options, live: &Value) -> Fate {
    let finalizers = options.finalizers(row, live);
    let grace = options.grace(row, live);
    let mut object = live.clone();
    let meta = &mut object["metadata"];
    if finalizers.is_empty() {
        if let Some(meta) = meta.as_object_mut() {
            meta.remove("finalizers");
        }
        if grace.is_none() && !matches!(row.kind, "Namespace" | "Pod") {
            return Fate::Goes(if object == *live {
                Before::Free
            } else {
                Before::Held
            });
        }
    } else {
        meta["finalizers"] = json!(finalizers);
    }
    let seconds = grace.unwrap_or(0);
    let again = meta.get("deletionTimestamp").is_some();
    if !again
        || meta["deletionGracePeriodSeconds"]
            .as_i64()
            .is_some_and(|before| seconds < before)
    {
        if !again {
            let at = server.time() + Duration::from_secs(seconds.unsigned_abs());
            meta["deletionTimestamp"] = json!(rfc3339(at));
        }
        if row.kind != "Namespace" {
            meta["deletionGracePeriodSeconds"] = json!(seconds);
        }
        if !again {
            prepare::next_generation(&mut object);
        }
    }
    if row.kind == "Namespace" {
        object["status"]["phase"] = json!("Terminating");
    }
    if row.kind == "Pod" && finalizers.is_empty() && grace.is_none() {
        return Fate::Goes(Before::Marked(object));
    }
    Fate::Stays(object)
}

fn rfc3339(at: Timestamp) -> String {
    Timestamp::from_second(at.as_second())
        .unwrap_or(at)
        .to_string()
}

fn success(row: &Row, object: &Value) -> Value {
    let mut details = json!({ "name": object["metadata"]["name"], "kind": row.plural, "uid": object["metadata"]["uid"] });
    if !row.group.is_empty() {
        details["group"] = json!(row.group);
    }
    json!({ "kind": "Status", "apiVersion": "v1", "metadata": {}, "status": "Success", "details": details })
}

#[cfg(test)]
mod tests {
    use super::{super::resources::ROWS, *};

    #[test]
    fn finalizers_say_what_becomes_of_dependents() {
        let other = "example.com/x";
        for (policy, before, after) in [
            (json!({}), vec![], vec![]),
            (json!({}), vec![ORPHAN], vec![ORPHAN]),
            (
                json!({ "propagationPolicy": "Orphan" }),
                vec![other],
                vec![other, ORPHAN],
            ),
            (
                json!({ "propagationPolicy": "Foreground" }),
                vec![ORPHAN],
                vec![FOREGROUND],
            ),
            (
                json!({ "propagationPolicy": "Background" }),
                vec![FOREGROUND, other],
                vec![other],
            ),
            (json!({ "orphanDependents": true }), vec![], vec![ORPHAN]),
        ] {
            let options = Options {
                given: policy.clone(),
                dry: false,
            };
            let object = json!({ "metadata": { "finalizers": before } });
            let row = |kind: &str| ROWS.iter().find(|row| row.kind == kind).unwrap();
            assert_eq!(
                options.finalizers(row("Deployment"), &object),
                after,
                "{policy}"
            );
            let of_job = options.finalizers(row("Job"), &json!({ "metadata": {} }));
            assert_eq!(
                of_job == [ORPHAN],
                policy == json!({}) || after.contains(&ORPHAN),
                "{policy}"
            );
        }
    }
}
