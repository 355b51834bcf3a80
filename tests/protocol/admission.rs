//! The webhook for workloads: the product's [`Write`], asked by the API server.

use std::sync::LazyLock;

use reroll::{
    model::{SourceName, Version, adopted::Adoption, index::just_read},
    webhook::{review::Request, workloads::Write},
};
use serde_json::{Value, json};

use crate::{
    intern::{Json, Memo},
    learn::{name_of, version},
    view::View,
    world::{Live, SOURCES, Time, seconds},
};

#[derive(Clone, PartialEq, Eq, Hash)]
struct Asked {
    by: View,
    object: Json,
    old: Option<Json>,
    /// As a GET shows them; `None`: it did not answer in time.
    live: Option<[Live; 2]>,
    at: Time,
}

static ANSWERS: LazyLock<Memo<Asked, Json>> = LazyLock::new(Memo::default);

/// Returns the object that is to be stored, where a replica with this view answers.
pub(crate) fn admit(
    by: View,
    object: &Value,
    old: Option<Json>,
    live: Option<[Live; 2]>,
    at: Time,
) -> Value {
    let asked = Asked {
        by,
        object: Json::of(object),
        old,
        live,
        at,
    };
    (*ANSWERS.get(asked, answer).value()).clone()
}

fn answer(asked: &Asked) -> Json {
    let object = asked.object.value();
    let old = asked.old.map(Json::value);
    let body = serde_json::to_vec(&review(&object, old.as_deref())).unwrap();
    let Ok(request) = Request::parse(&body) else {
        panic!("a review");
    };
    let index = asked.by.index();
    let Some(write) = Write::read(&request, &index, "system:reroll") else {
        return asked.object;
    };
    let read = |name: &SourceName| {
        let live = asked.live?;
        let source = SOURCES.into_iter().find(|one| name_of(*one) == *name)?;
        Some((name.clone(), version(source, live[source as usize])))
    };
    let reads: Vec<(SourceName, Option<Version>)> = write.to_read().filter_map(read).collect();
    let answer = write.answer(
        &index,
        &just_read(&reads),
        &Adoption::None,
        seconds(asked.at),
    );
    let mut admitted = (*object).clone();
    json_patch::patch(&mut admitted, &answer.patch).expect("the webhook's patch applies");
    Json::of(&admitted)
}

fn review(object: &Value, old: Option<&Value>) -> Value {
    json!({
        "kind": "AdmissionReview", "apiVersion": "admission.k8s.io/v1",
        "request": {
            "uid": "6f0a4f0e-0000-4000-8000-000000000001",
            "kind": { "group": "apps", "version": "v1", "kind": "Deployment" },
            "name": object["metadata"]["name"], "namespace": object["metadata"]["namespace"],
            "operation": if old.is_some() { "UPDATE" } else { "CREATE" },
            "userInfo": { "username": "someone" },
            "object": object, "oldObject": old,
            "options": { "fieldManager": "kubectl" },
        },
    })
}
