//! A request, taken apart, and which part of the server answers it.

use std::sync::Arc;

use bytes::Bytes;
use http::{
    HeaderMap, Method, Request, Response,
    header::{ACCEPT, CONTENT_TYPE, USER_AGENT},
};
use http_body_util::BodyExt as _;
use kube::client::Body;
use parking_lot::Mutex;
use serde_json::{Value, json};

use super::{
    ApiServer, User,
    answer::{Answer, AnswerBody, Refusal},
    delete,
    direct::Component,
    discovery, list,
    patch::Change,
    path::{Path, Query, Target, path},
    watch, write,
};

/// Warnings for a user, in the order in which they came.
pub(crate) type Warnings = Arc<Mutex<Vec<String>>>;

/// A request for objects.
pub(crate) struct Call {
    pub(crate) user: User,
    pub(crate) target: Target,
    pub(crate) query: Query,
    /// Whether only the metadata of the objects is wanted.
    pub(crate) only_metadata: bool,
    pub(crate) manager: String,
    pub(crate) body: Bytes,
    /// What webhooks want the user to know.
    pub(crate) warnings: Warnings,
    /// It comes from a component in this process, whose objects are such as they were read.
    pub(crate) direct: bool,
    content_type: String,
}

impl Call {
    /// Makes one of a component that lives in this process.
    pub(crate) fn direct(by: &Component, target: Target, body: Bytes) -> Self {
        Self {
            user: by.user.clone(),
            target,
            query: Query::default(),
            only_metadata: false,
            manager: by.manager.to_owned(),
            body,
            warnings: Warnings::default(),
            direct: true,
            content_type: String::new(),
        }
    }

    /// Returns the namespace that a review names: a Namespace is in itself.
    pub(crate) fn namespace_of<'a>(&'a self, name: &'a str) -> Option<&'a str> {
        match self.target.row().kind {
            "Namespace" => Some(name),
            _ => self.target.namespace.as_deref(),
        }
    }

    /// Returns the options of a write, as a review has them.
    pub(crate) fn options(&self, kind: &str) -> Value {
        let mut options = json!({ "kind": kind, "apiVersion": "meta.k8s.io/v1" });
        for field in ["fieldManager", "fieldValidation"] {
            if let Some(value) = self.query.get(field) {
                options[field] = json!(value);
            }
        }
        if self.query.get("dryRun").is_some() {
            options["dryRun"] = json!(["All"]);
        }
        options
    }

    fn object(&self) -> Result<Value, Refusal> {
        let object: Value = serde_json::from_slice(&self.body)
            .map_err(|error| Refusal::bad_request(error.to_string()))?;
        if object.is_object() {
            Ok(object)
        } else {
            Err(Refusal::bad_request(
                "the body of the request is not an object",
            ))
        }
    }
}

/// Answers a request.
pub(crate) async fn answer(
    server: &ApiServer,
    user: &User,
    request: Request<Body>,
) -> Response<AnswerBody> {
    let warnings = Warnings::default();
    let (method, uri) = (request.method().clone(), request.uri().clone());
    let answered = dispatch(server, user, request, &warnings).await;
    let warnings = std::mem::take(&mut *warnings.lock());
    let response = answered
        .unwrap_or_else(Answer::from)
        .into_response(warnings);
    let (user, code) = (&user.name, response.status().as_u16());
    tracing::trace!(user, %method, %uri, code, "answered");
    response
}

async fn dispatch(
    server: &ApiServer,
    user: &User,
    request: Request<Body>,
    warnings: &Warnings,
) -> Result<Answer, Refusal> {
    let (parts, body) = request.into_parts();
    let body = body.collect().await;
    let body = body.map_err(|error| Refusal::bad_request(error.to_string()))?;
    let body = body.to_bytes();
    tracing::trace!(
        user = user.name,
        method = %parts.method,
        uri = %parts.uri,
        body = %String::from_utf8_lossy(&body),
        "asked"
    );
    let target = match path(parts.uri.path()) {
        Path::Objects(target) => target,
        Path::Root(name) if name == "selfsubjectreviews" => {
            let mut review: Value = json!({ "metadata": {} });
            review["kind"] = json!("SelfSubjectReview");
            review["apiVersion"] = json!("authentication.k8s.io/v1");
            review["status"] = json!({ "userInfo": user.info() });
            return Ok(Answer::Object(201, Arc::new(review)));
        }
        other => return Ok(discovery::answer(server, &other)),
    };
    if target.row().custom && !server.with_store(|store| store.served.contains(&target.index)) {
        return Ok(Answer::Text(404, "404 page not found\n"));
    }
    let header = |name| text(&parts.headers, name);
    let query = Query::of(&parts.uri);
    let call = Call {
        user: user.clone(),
        manager: manager(&query, header(USER_AGENT)),
        only_metadata: header(ACCEPT).contains("as=PartialObjectMetadata"),
        content_type: header(CONTENT_TYPE).to_owned(),
        body,
        warnings: Arc::clone(warnings),
        direct: false,
        target,
        query,
    };
    match (&parts.method, call.target.name.is_some()) {
        (&Method::GET, true) => list::get(server, &call).await,
        (&Method::GET, false) if call.query.is_true("watch") => watch::watch(server, call).await,
        (&Method::GET, false)
            if call.only_metadata && !header(ACCEPT).contains("PartialObjectMetadataList") =>
        {
            let why = "you requested PartialObjectMetadata, but the requested object is a list";
            Err(Refusal::new(406, "NotAcceptable", why))
        }
        (&Method::GET, false) => list::list(server, &call).await,
        (&Method::POST, false)
            if call.target.namespace.is_some() || !call.target.row().is_namespaced() =>
        {
            write::create(server, &call, call.object()?).await
        }
        (&Method::PUT, true) => write::change(server, &call, Change::Put(call.object()?)).await,
        (&Method::PATCH, true) => {
            let change = Change::patch(&call.content_type, &call.body)?;
            write::change(server, &call, change).await
        }
        (&Method::DELETE, true) => delete::one(server, &call).await,
        (&Method::DELETE, false) => delete::collection(server, &call).await,
        _ => Err(Refusal::method_not_allowed()),
    }
}

fn text(headers: &HeaderMap, name: http::HeaderName) -> &str {
    let value = headers.get(name);
    value
        .and_then(|value| value.to_str().ok())
        .unwrap_or_default()
}

/// Returns who is said to write: what the request says, else the program.
fn manager(query: &Query, agent: &str) -> String {
    let program = agent.split('/').next().unwrap_or_default();
    match query.get("fieldManager") {
        Some(manager) => manager.to_owned(),
        None if program.is_empty() => "unknown".to_owned(),
        None => program.to_owned(),
    }
}
