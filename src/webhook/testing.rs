//! What tests of webhooks that only warn have in common.

use serde_json::{Map, Value, json};

use super::{
    review::{Answer, Request},
    warnings::Told,
};
use crate::state::State;

/// Keys with their values.
pub(super) type Pairs<'a> = &'a [(&'a str, &'a str)];

/// Returns them as an object of JSON.
pub(super) fn of(pairs: Pairs<'_>) -> Value {
    let pairs = pairs.iter();
    let pairs: Map<_, _> = pairs
        .map(|(key, text)| ((*key).to_owned(), json!(text)))
        .collect();
    Value::Object(pairs)
}

/// Asks about a write, which is allowed. Returns what is told, and how it was answered. `of`: what the review says besides who writes.
pub(super) fn told(
    answer: fn(&State, &Request<'_>, Told) -> (Answer, &'static str),
    state: &State,
    mut of: Value,
) -> (Value, &'static str) {
    of["uid"] = json!("r");
    of["userInfo"] = json!({ "username": "someone" });
    let review =
        json!({ "apiVersion": "admission.k8s.io/v1", "kind": "AdmissionReview", "request": of });
    let body = serde_json::to_vec(&review).unwrap();
    let request = Request::parse(&body).ok().unwrap();
    let (answer, how) = answer(state, &request, Told::All);
    let answer = serde_json::to_value(&answer).unwrap();
    assert_eq!(answer["response"]["allowed"], true);
    let none = json!([]);
    let warnings = answer["response"].get("warnings").unwrap_or(&none);
    (warnings.clone(), how)
}
