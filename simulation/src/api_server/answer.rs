//! What the API server answers: objects, streams, and the `Status` of a refusal.

use std::sync::Arc;

use bytes::Bytes;
use futures::stream::BoxStream;
use http::{HeaderValue, Response, header::CONTENT_TYPE};
use http_body_util::{BodyExt as _, Either};
use http_body_util::{Full, StreamBody, combinators::UnsyncBoxBody};
use serde_json::{Value, json};

use super::resources::Row;

/// The body of an answer.
pub type AnswerBody = UnsyncBoxBody<Bytes, std::convert::Infallible>;

/// What a request comes to.
pub(crate) enum Answer {
    /// An object.
    Object(u16, Arc<Value>),
    /// Plain text.
    Text(u16, &'static str),
    /// The events of a watch.
    Stream(BoxStream<'static, Bytes>),
}

/// A request that is refused.
#[derive(Clone, Debug)]
pub(crate) struct Refusal {
    pub(crate) code: u16,
    pub(crate) reason: String,
    pub(crate) message: String,
    pub(crate) details: Value,
    /// The token to go on with where a list's pages are gone.
    pub(crate) continues: Option<String>,
}

impl Refusal {
    pub(crate) fn new(code: u16, reason: &str, message: impl Into<String>) -> Self {
        Self {
            code,
            reason: reason.to_owned(),
            message: message.into(),
            details: Value::Null,
            continues: None,
        }
    }

    pub(crate) fn bad_request(message: impl Into<String>) -> Self {
        Self::new(400, "BadRequest", message)
    }

    pub(crate) fn internal(message: impl std::fmt::Display) -> Self {
        let message = format!("Internal error occurred: {message}");
        Self::new(500, "InternalError", message)
    }

    pub(crate) fn not_found(row: &Row, name: &str) -> Self {
        let message = format!("{} \"{name}\" not found", row.qualified());
        Self::new(404, "NotFound", message).about(row.group, row.plural, name)
    }

    pub(crate) fn exists(row: &Row, name: &str) -> Self {
        let message = format!("{} \"{name}\" already exists", row.qualified());
        Self::new(409, "AlreadyExists", message).about(row.group, row.plural, name)
    }

    pub(crate) fn conflict(row: &Row, name: &str, why: &str) -> Self {
        let message = format!(
            "Operation cannot be fulfilled on {} \"{name}\": {why}",
            row.qualified()
        );
        Self::new(409, "Conflict", message).about(row.group, row.plural, name)
    }

    /// The stored object has another resourceVersion than the write rests on.
    pub(crate) fn outdated(row: &Row, name: &str) -> Self {
        let why = "the object has been modified; please apply your changes to the latest version and try again";
        Self::conflict(row, name, why)
    }

    pub(crate) fn invalid(row: &Row, name: &str, why: &str) -> Self {
        let message = format!("{} \"{name}\" is invalid: {why}", row.kind_and_group());
        Self::new(422, "Invalid", message).about(row.group, row.kind, name)
    }

    pub(crate) fn forbidden(row: &Row, name: &str, why: &str) -> Self {
        let message = format!("{} \"{name}\" is forbidden: {why}", row.qualified());
        Self::new(403, "Forbidden", message).about(row.group, row.plural, name)
    }

    pub(crate) fn expired(message: impl Into<String>) -> Self {
        Self::new(410, "Expired", message)
    }

    pub(crate) fn method_not_allowed() -> Self {
        let message = "the server does not allow this method on the requested resource";
        Self::new(405, "MethodNotAllowed", message)
    }

    pub(crate) fn nothing_here() -> Self {
        Self::new(
            404,
            "NotFound",
            "the server could not find the requested resource",
        )
    }

    /// Names what the refusal is about. Empty names are left out.
    pub(crate) fn about(mut self, group: &str, kind: &str, name: &str) -> Self {
        let named = [("group", group), ("kind", kind), ("name", name)].into_iter();
        let named = named.filter(|(_, name)| !name.is_empty());
        let named = named.map(|(field, name)| (field.to_owned(), json!(name)));
        self.details = Value::Object(named.collect());
        self
    }

    /// Returns it as the `Status` that the answer is.
    pub(crate) fn status(&self) -> Value {
        let mut status = json!({
            "kind": "Status", "apiVersion": "v1", "metadata": {}, "status": "Failure",
            "message": self.message, "code": self.code,
        });
        if !self.reason.is_empty() {
            status["reason"] = json!(self.reason);
        }
        if !self.details.is_null() {
            status["details"] = self.details.clone();
        }
        if let Some(token) = &self.continues {
            status["metadata"]["continue"] = json!(token);
        }
        status
    }
}

impl Answer {
    pub(crate) fn ok(object: impl Into<Arc<Value>>) -> Self {
        Self::Object(200, object.into())
    }

    /// Returns it as a response, with the warnings of webhooks.
    pub(crate) fn into_response(self, mut warnings: Vec<String>) -> Response<AnswerBody> {
        let (code, kind, body) = match self {
            Self::Object(code, object) => {
                let text = Full::new(Bytes::from(text(&object)));
                (code, "application/json", Either::Left(text))
            }
            Self::Text(code, text) => {
                let text = Full::new(Bytes::from_static(text.as_bytes()));
                (code, "text/plain; charset=utf-8", Either::Left(text))
            }
            Self::Stream(frames) => {
                let frames = futures::StreamExt::map(frames, |bytes| {
                    Ok::<_, std::convert::Infallible>(http_body::Frame::data(bytes))
                });
                (
                    200,
                    "application/json",
                    Either::Right(StreamBody::new(frames)),
                )
            }
        };
        let body = match body {
            Either::Left(text) => text.boxed_unsync(),
            Either::Right(frames) => frames.boxed_unsync(),
        };
        let mut response = Response::new(body);
        if let Ok(code) = http::StatusCode::from_u16(code) {
            *response.status_mut() = code;
        }
        let headers = response.headers_mut();
        headers.insert(CONTENT_TYPE, HeaderValue::from_static(kind));
        let mut told = std::collections::BTreeSet::new();
        warnings.retain(|text| told.insert(text.clone()));
        for text in warnings {
            let text = text.replace('\\', "\\\\").replace('"', "\\\"");
            if let Ok(value) = HeaderValue::from_str(&format!("299 - \"{text}\"")) {
                headers.append(http::header::WARNING, value);
            }
        }
        response
    }
}

/// Returns an object as JSON.
pub(crate) fn text(object: &Value) -> Vec<u8> {
    // Maps with keys that are text are always written.
    serde_json::to_vec(object).unwrap_or_default()
}

impl From<Refusal> for Answer {
    fn from(refusal: Refusal) -> Self {
        Self::Object(refusal.code, Arc::new(refusal.status()))
    }
}
