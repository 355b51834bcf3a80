//! Reads: of one object, and lists, whole or in pages, of now or of an earlier revision.

use std::{ops::Bound, sync::Arc, time::Duration};

use base64::{Engine as _, engine::general_purpose::URL_SAFE_NO_PAD};
use serde::{Deserialize, Serialize};
use serde_json::{Value, json};

use super::{
    ApiServer,
    answer::{Answer, Refusal},
    call::Call,
    defaults::TEMPLATE_GENERATION,
    events,
    resources::storage,
    selectors::{Selection, of_fields, of_labels},
    store::Objects,
};

/// How long a read waits for a revision that the server has not seen yet.
const WAIT: Duration = Duration::from_secs(3);

/// Where the next page begins.
#[derive(Serialize, Deserialize)]
struct Token {
    v: String,
    rv: i64,
    start: String,
}

/// Reads one object.
pub(crate) async fn get(server: &ApiServer, call: &Call) -> Result<Answer, Refusal> {
    let row = call.target.row();
    if let Some(subresource) = call.target.subresource.as_deref()
        && !(subresource == "status" && row.status)
    {
        return Err(Refusal::nothing_here());
    }
    let name = call.target.name.as_deref().unwrap_or_default();
    let (at, key) = (storage(call.target.index), call.target.key(name));
    let asked = revision(call.query.get("resourceVersion"))?;
    let found = match asked {
        None => server.with_store(|store| store.get(at, &key).cloned()),
        Some(least) => {
            server.reaches(least, WAIT).await?;
            server.seen(at).1.get(&key).cloned()
        }
    };
    let object = found.ok_or_else(|| Refusal::not_found(row, name))?;
    Ok(Answer::ok(shown(call, &object)))
}

/// Lists objects.
pub(crate) async fn list(server: &ApiServer, call: &Call) -> Result<Answer, Refusal> {
    let selection = selection(call)?;
    let at = storage(call.target.index);
    let version = call.query.get("resourceVersion");
    let matching = call.query.get("resourceVersionMatch");
    let asked = revision(version)?;
    if call.query.get("sendInitialEvents").is_some() {
        let why = "sendInitialEvents: Forbidden: sendInitialEvents is forbidden for list";
        return Err(bad_options(why));
    }
    if let Some(matching) = matching {
        let why = match (matching, asked) {
            _ if call.query.get("continue").is_some() => {
                Some("resourceVersionMatch is forbidden with continue")
            }
            (_, None) => {
                Some("resourceVersionMatch is forbidden unless resourceVersion is provided")
            }
            ("Exact", Some(0)) => {
                Some("resourceVersionMatch \"Exact\" is forbidden for resourceVersion \"0\"")
            }
            ("Exact" | "NotOlderThan", _) => None,
            _ => Some("supported values: \"Exact\", \"NotOlderThan\""),
        };
        if let Some(why) = why {
            return Err(bad_options(&format!(
                "resourceVersionMatch: Forbidden: {why}"
            )));
        }
    }
    if let Some(token) = call.query.get("continue") {
        return page(server, call, &selection, token, at);
    }
    let limit = call.query.limit();
    let (revision, objects) = match asked {
        None => match server.remembered(at) {
            Some(remembered) => remembered,
            None => server.with_store(|store| (store.revision, store.objects(at).clone())),
        },
        Some(exact) if matching == Some("Exact") => {
            server.with_store(|store| exactly(store.at(at, exact), exact, store.revision))?
        }
        Some(least) => {
            server.reaches(least, WAIT).await?;
            server.seen(at)
        }
    };
    // A list of what the server has in its memory comes whole.
    let limit = limit.filter(|_| asked != Some(0) && !server.outlives());
    Ok(Answer::ok(first(
        call, &selection, &objects, revision, limit, "",
    )))
}

fn exactly(objects: Option<Objects>, wanted: u64, now: u64) -> Result<(u64, Objects), Refusal> {
    if wanted > now {
        return Err(too_large(wanted, now));
    }
    let gone = || Refusal::expired("The resourceVersion for the provided list is too old.");
    Ok((wanted, objects.ok_or_else(gone)?))
}

/// Goes on with a list.
fn page(
    server: &ApiServer,
    call: &Call,
    selection: &Selection,
    token: &str,
    at: usize,
) -> Result<Answer, Refusal> {
    let bad = || Refusal::bad_request("continue key is not valid");
    let bytes = URL_SAFE_NO_PAD.decode(token).map_err(|_| bad())?;
    let token: Token = serde_json::from_slice(&bytes).map_err(|_| bad())?;
    if call
        .query
        .get("resourceVersion")
        .is_some_and(|version| version != "0")
    {
        return Err(Refusal::bad_request(
            "specifying resource version is not allowed when using continue",
        ));
    }
    server.with_store(|store| {
        let revision = u64::try_from(token.rv).unwrap_or(store.revision);
        let Some(objects) = store.at(at, revision) else {
            let why = "The provided continue parameter is too old to display a consistent list result. You can start a new list without the continue parameter, or use the continue token in this response to retrieve the remainder of the results. Continuing with the provided token results in an inconsistent list - objects that were created, modified, or deleted between the time the first chunk was returned and now may show up in the list.";
            let mut refusal = Refusal::expired(why);
            refusal.continues = Some(encoded(-1, &token.start));
            return Err(refusal);
        };
        Ok(Answer::ok(first(call, selection, &objects, revision, call.query.limit(), &token.start)))
    })
}

fn encoded(rv: i64, start: &str) -> String {
    let token = Token {
        v: "meta.k8s.io/v1".to_owned(),
        rv,
        start: start.to_owned(),
    };
    URL_SAFE_NO_PAD.encode(json!(token).to_string())
}

/// Returns a page that begins after a key.
fn first(
    call: &Call,
    selection: &Selection,
    objects: &Objects,
    revision: u64,
    limit: Option<usize>,
    after: &str,
) -> Value {
    let prefix = prefix(call);
    let begin = if after.is_empty() {
        Bound::Unbounded
    } else {
        Bound::Excluded(after.to_owned())
    };
    let range = objects.range((begin, Bound::Unbounded));
    let mut rest =
        range.filter(|(key, object)| key.starts_with(&prefix) && selection.selects(object));
    let wanted = limit.unwrap_or(usize::MAX);
    let (mut items, mut end) = (Vec::new(), "");
    for (key, object) in rest.by_ref().take(wanted) {
        items.push(Arc::clone(object));
        end = key;
    }
    let mut list = of(call, &items, revision);
    let left = rest.count();
    if left > 0 {
        let rv = i64::try_from(revision).unwrap_or(i64::MAX);
        list["metadata"]["continue"] = json!(encoded(rv, end));
        if selection.is_empty() {
            list["metadata"]["remainingItemCount"] = json!(left);
        }
    }
    list
}

/// Returns a list of these objects.
pub(crate) fn of(call: &Call, objects: &[Arc<Value>], revision: u64) -> Value {
    let row = call.target.row();
    let item = |object: &Arc<Value>| {
        let mut item = Arc::unwrap_or_clone(shown(call, object));
        // The items of a typed list do not say what they are.
        if !call.only_metadata
            && !row.custom
            && let Some(item) = item.as_object_mut()
        {
            item.remove("kind");
            item.remove("apiVersion");
        }
        item
    };
    let items: Vec<_> = objects.iter().map(item).collect();
    let items = if items.is_empty() && call.only_metadata {
        Value::Null
    } else {
        Value::from(items)
    };
    let (kind, api_version) = if call.only_metadata {
        (
            "PartialObjectMetadataList".to_owned(),
            "meta.k8s.io/v1".to_owned(),
        )
    } else {
        (format!("{}List", row.kind), row.api_version())
    };
    json!({
        "kind": kind, "apiVersion": api_version, "metadata": { "resourceVersion": revision.to_string() }, "items": items,
    })
}

/// Returns an object in the form that is asked for.
pub(crate) fn shown(call: &Call, object: &Arc<Value>) -> Arc<Value> {
    let object = events::shown(call.target.row(), object);
    if call.only_metadata {
        let mut metadata = object["metadata"].clone();
        if let Some(annotations) = metadata
            .get_mut("annotations")
            .and_then(Value::as_object_mut)
        {
            annotations.remove(TEMPLATE_GENERATION);
            if annotations.is_empty()
                && let Some(metadata) = metadata.as_object_mut()
            {
                metadata.remove("annotations");
            }
        }
        Arc::new(
            json!({ "kind": "PartialObjectMetadata", "apiVersion": "meta.k8s.io/v1", "metadata": metadata }),
        )
    } else {
        object
    }
}

/// Returns how the keys of the objects begin.
pub(crate) fn prefix(call: &Call) -> String {
    let namespace = call.target.namespace.as_ref();
    namespace.map_or_else(String::new, |namespace| format!("{namespace}/"))
}

pub(crate) fn selection(call: &Call) -> Result<Selection, Refusal> {
    let bad = |why: String| Refusal::bad_request(why);
    let labels = of_labels(call.query.get("labelSelector").unwrap_or_default()).map_err(bad)?;
    let fields = call.query.get("fieldSelector").unwrap_or_default();
    let fields = of_fields(call.target.row(), fields).map_err(bad)?;
    Ok(Selection { labels, fields })
}

/// Reads a resourceVersion; `None` where it is left out.
pub(crate) fn revision(text: Option<&str>) -> Result<Option<u64>, Refusal> {
    let Some(text) = text else { return Ok(None) };
    let number = text.parse();
    number.map(Some).map_err(|_| {
        let why = format!(
            "resourceVersion: Invalid value: \"{text}\": strconv.ParseUint: invalid syntax"
        );
        Refusal::bad_request(why)
    })
}

/// What a list or a watch asks for does not fit together.
pub(crate) fn bad_options(why: &str) -> Refusal {
    let message = format!("ListOptions.meta.k8s.io \"\" is invalid: {why}");
    Refusal::new(422, "Invalid", message).about("meta.k8s.io", "ListOptions", "")
}

/// The server has not seen this revision, and did not within the time that it waits.
pub(crate) fn too_large(wanted: u64, now: u64) -> Refusal {
    let message = format!("Too large resource version: {wanted}, current: {now}");
    let mut refusal = Refusal::new(504, "Timeout", message);
    refusal.details = json!({
        "causes": [{ "reason": "ResourceVersionTooLarge", "message": "Too large resource version" }],
        "retryAfterSeconds": 1,
    });
    refusal
}
