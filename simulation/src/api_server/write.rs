//! Creations, updates and patches, from the request to the store.

use std::sync::Arc;

use serde_json::{Value, json};

use super::{
    ApiServer,
    admission::{self, Attempt},
    answer::{Answer, Refusal},
    call::Call,
    defaults, events,
    managed::{self, Writer},
    patch::Change,
    prepare::{self, Part},
    resources::{Row, storage},
};

/// The letters of generated names.
const LETTERS: &[u8] = b"bcdfghjklmnpqrstvwxz2456789";

/// Creates an object.
pub(crate) async fn create(
    server: &ApiServer,
    call: &Call,
    object: Value,
) -> Result<Answer, Refusal> {
    let (row, dry) = (call.target.row(), call.query.dry_run()?);
    let mut object = defaults::read(row, object, None)?;
    in_its_namespace(call, &mut object)?;
    prepare::without_system_fields(&mut object);
    let name = object["metadata"]["name"]
        .as_str()
        .unwrap_or_default()
        .to_owned();
    namespace_is_there(server, call, &name)?;
    let now = server.now();
    let writer = Writer {
        manager: &call.manager,
        subresource: None,
        now: &now,
    };
    managed::update(row, None, &mut object, writer);
    let mut attempt = Attempt {
        row,
        namespace: call.namespace_of(&name),
        name: &name,
        subresource: None,
        operation: "CREATE",
        user: &call.user,
        dry,
        options: call.options("CreateOptions"),
        object,
        old: Arc::new(Value::Null),
        warnings: &call.warnings,
    };
    admission::mutate(server, &mut attempt).await?;
    let mut object = attempt.object.take();
    if object["metadata"]["resourceVersion"].is_string() {
        let why = "resourceVersion should not be set on objects to be created";
        return Err(match call.target.name {
            Some(_) => Refusal::outdated(row, &name),
            None => Refusal::internal(why),
        });
    }
    let uid = server.new_uid();
    let name = named(server, &mut object);
    prepare::create(row, &mut object, &uid, &now);
    prepare::valid_new(row, &object)?;
    attempt.name = &name;
    attempt.object = object;
    admission::validate(server, &attempt).await?;
    let object = attempt.object;
    let key = call.target.key(&name);
    let stored = server.write(|store| {
        let at = storage(call.target.index);
        if store.get(at, &key).is_some() {
            return Err(Refusal::exists(row, &name));
        }
        if dry {
            return Ok(Arc::new(events::stored(row, object)));
        }
        Ok(store.put(at, &key, events::stored(row, object)))
    })?;
    Ok(Answer::Object(201, events::shown(row, &stored)))
}

fn in_its_namespace(call: &Call, object: &mut Value) -> Result<(), Refusal> {
    let Some(namespace) = &call.target.namespace else {
        return Ok(());
    };
    match object["metadata"]["namespace"].as_str() {
        None | Some("") => object["metadata"]["namespace"] = json!(namespace),
        Some(given) if given == namespace => {}
        Some(_) => {
            let why = "the namespace of the provided object does not match the namespace sent on the request";
            return Err(Refusal::bad_request(why));
        }
    }
    Ok(())
}

/// Nothing is created in a namespace that does not exist, or is being deleted.
fn namespace_is_there(server: &ApiServer, call: &Call, name: &str) -> Result<(), Refusal> {
    let Some(namespace) = &call.target.namespace else {
        return Ok(());
    };
    let found = server.namespace(namespace)?;
    if found["metadata"].get("deletionTimestamp").is_some() {
        let why = format!(
            "unable to create new content in namespace {namespace} because it is being terminated"
        );
        return Err(Refusal::forbidden(call.target.row(), name, &why));
    }
    Ok(())
}

/// Generates a name where one is wanted, and returns the name.
fn named(server: &ApiServer, object: &mut Value) -> String {
    let meta = &mut object["metadata"];
    if let (None, Some(prefix)) = (meta["name"].as_str(), meta["generateName"].as_str()) {
        let uid = server.new_uid();
        let letter = |byte: &u8| char::from(LETTERS[usize::from(*byte) % LETTERS.len()]);
        let suffix: String = uid.as_bytes().iter().rev().take(5).map(letter).collect();
        meta["name"] = json!(format!("{prefix}{suffix}"));
    }
    meta["name"].as_str().unwrap_or_default().to_owned()
}

/// Updates or patches an object, or its status.
pub(crate) async fn change(
    server: &ApiServer,
    call: &Call,
    mut change: Change,
) -> Result<Answer, Refusal> {
    let (row, dry) = (call.target.row(), call.query.dry_run()?);
    let name = call.target.name.as_deref().unwrap_or_default();
    let part = part_of(call)?;
    let (at, key) = (storage(call.target.index), call.target.key(name));
    if let Change::Put(object) = &change {
        has_its_name(object, name)?;
    }
    loop {
        let Some(live) = server.with_store(|store| store.get(at, &key).cloned()) else {
            return match change {
                Change::Put(object) if row.put_creates() && !object.is_null() => {
                    same_uid(row, &object, &json!({ "metadata": { "name": name } }))?;
                    create(server, call, object).await
                }
                _ => Err(Refusal::not_found(row, name)),
            };
        };
        if change.is_spent() {
            return Err(Refusal::outdated(row, name));
        }
        let shown = events::shown(row, &live);
        let object = admitted(server, call, &mut change, &shown, part).await?;
        if dry {
            return Ok(Answer::ok(object));
        }
        let written = server.write(|store| {
            let still = store.get(at, &key);
            if still.is_none_or(|still| {
                still["metadata"]["resourceVersion"] != live["metadata"]["resourceVersion"]
            }) {
                return None;
            }
            if managed::same_but_for_times(&object, &shown) {
                return Some(Arc::clone(&live));
            }
            let finalizers = object["metadata"].get("finalizers").is_some()
                || row.kind == "Namespace" && object["spec"].get("finalizers").is_some();
            let ready =
                object["metadata"]["deletionGracePeriodSeconds"] == 0 || row.kind == "Namespace";
            if object["metadata"].get("deletionTimestamp").is_some() && !finalizers && ready {
                store.remove(at, &key);
                return Some(Arc::new(events::stored(row, object)));
            }
            Some(store.put(at, &key, events::stored(row, object)))
        });
        // Else another write came in between: what was asked for is tried on what is there now.
        if let Some(written) = written {
            return Ok(Answer::ok(events::shown(row, &written)));
        }
    }
}

fn has_its_name(object: &Value, name: &str) -> Result<(), Refusal> {
    match object["metadata"]["name"].as_str() {
        Some(given) if given == name => Ok(()),
        None | Some("") => {
            let why = format!(
                "the name of the object ({name} based on URL) was undeterminable: name must be provided"
            );
            Err(Refusal::bad_request(why))
        }
        Some(given) => {
            let why = format!(
                "the name of the object ({given}) does not match the name on the URL ({name})"
            );
            Err(Refusal::bad_request(why))
        }
    }
}

/// A PUT of an object with a uid is of the object of that uid.
fn same_uid(row: &Row, object: &Value, live: &Value) -> Result<(), Refusal> {
    let text = |object: &Value| {
        object["metadata"]["uid"]
            .as_str()
            .unwrap_or_default()
            .to_owned()
    };
    let (wanted, found) = (text(object), text(live));
    if wanted.is_empty() || wanted == found {
        return Ok(());
    }
    let name = live["metadata"]["name"].as_str().unwrap_or_default();
    let why =
        format!("Precondition failed: UID in precondition: {wanted}, UID in object meta: {found}");
    Err(Refusal::conflict(row, name, &why))
}

fn part_of(call: &Call) -> Result<Part, Refusal> {
    let row = call.target.row();
    match call.target.subresource.as_deref() {
        None => Ok(Part::Main),
        Some("status") if row.status => Ok(Part::Status),
        Some("finalize") if row.kind == "Namespace" => Ok(Part::Finalize),
        Some(_) => Err(Refusal::nothing_here()),
    }
}

/// Returns the object as it is to be stored, after admission.
async fn admitted(
    server: &ApiServer,
    call: &Call,
    change: &mut Change,
    live: &Arc<Value>,
    part: Part,
) -> Result<Value, Refusal> {
    let row = call.target.row();
    let name = call.target.name.as_deref().unwrap_or_default();
    let mut object = if call.direct {
        let known = change.take().map_or_else(|| change.on(live), Ok);
        let mut object = known?;
        defaults::read_known(row, &mut object, part);
        object
    } else {
        let read = defaults::read(row, change.on(live)?, Some(live));
        read.map_err(|refusal| change.unreadable(refusal))?
    };
    in_its_namespace(call, &mut object)?;
    has_its_name(&object, name)?;
    if matches!(change, Change::Put(_)) {
        same_uid(row, &object, live)?;
    }
    let subresource = call.target.subresource.as_deref();
    let now = server.now();
    let writer = Writer {
        manager: &call.manager,
        subresource,
        now: &now,
    };
    managed::update(row, Some(live), &mut object, writer);
    let mut attempt = Attempt {
        row,
        namespace: call.namespace_of(name),
        name,
        subresource,
        operation: "UPDATE",
        user: &call.user,
        dry: call.query.dry_run()?,
        options: call.options("UpdateOptions"),
        object,
        old: Arc::clone(live),
        warnings: &call.warnings,
    };
    admission::mutate(server, &mut attempt).await?;
    let mut object = attempt.object.take();
    match object["metadata"]["resourceVersion"].as_str() {
        Some(given) if live["metadata"]["resourceVersion"] != given => {
            return Err(Refusal::outdated(row, name));
        }
        None if !row.is_unconditional() => {
            let why = "metadata.resourceVersion: Invalid value: 0: must be specified for an update";
            return Err(Refusal::invalid(row, name, why).about(row.group, row.plural, name));
        }
        _ => {}
    }
    object["metadata"]["resourceVersion"] = live["metadata"]["resourceVersion"].clone();
    // Components leave all else of a version as it is when they write its status.
    if !(call.direct && part == Part::Status) {
        prepare::merge(row, live, &mut object, part);
    }
    prepare::update(row, live, &mut object, part);
    prepare::valid_update(row, live, &object)?;
    attempt.object = object;
    admission::validate(server, &attempt).await?;
    Ok(attempt.object)
}
