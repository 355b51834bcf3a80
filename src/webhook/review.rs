//! `AdmissionReview`: what the API server asks, and what reroll answers.
//!
//! Objects stay undecoded until a handler knows what they are. A Secret's data is then read straight into what is digested.
//! Answers carry the patch as base64, as Go's `encoding/json` writes it.

use std::fmt;

use k8s_openapi::ByteString;
use serde::{
    Deserialize, Deserializer, Serialize,
    de::{DeserializeSeed, Error as _, IgnoredAny, MapAccess, Visitor},
};
use serde_json::value::RawValue;

#[cfg(doc)]
use super::warnings::Told;

const API_VERSION: &str = "admission.k8s.io/v1";
const KIND: &str = "AdmissionReview";

/// The review cannot be answered at all. The API server follows the `failurePolicy`.
#[derive(Debug, thiserror::Error)]
pub enum NotAReview {
    /// The body is not JSON, or not of this shape.
    #[error("the body is no {API_VERSION} AdmissionReview")]
    Shape,
    /// The review has no uid, by which the API server would recognise the answer.
    #[error("the AdmissionReview has no request.uid")]
    NoUid,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct Review<'a> {
    #[serde(default)]
    api_version: String,
    #[serde(default)]
    kind: String,
    #[serde(borrow)]
    request: Option<Request<'a>>,
}

/// What is read of `request`.
#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Request<'a> {
    /// What the answer repeats.
    #[serde(default)]
    pub uid: String,
    /// The object's kind, as the webhook's rules name it.
    pub kind: GroupKind,
    /// Empty for the object itself.
    #[serde(default)]
    pub sub_resource: String,
    /// Empty for a deletecollection and for generateName.
    #[serde(default)]
    pub name: String,
    /// Empty for objects without one.
    #[serde(default)]
    pub namespace: String,
    /// `CREATE`, `UPDATE`, `DELETE` or `CONNECT`.
    #[serde(default)]
    pub operation: Operation,
    /// The user who asks.
    #[serde(default)]
    pub user_info: UserInfo,
    /// Absent on DELETE.
    #[serde(borrow)]
    pub object: Option<&'a RawValue>,
    /// Absent on CREATE.
    #[serde(borrow)]
    pub old_object: Option<&'a RawValue>,
    /// Whether nothing is to be persisted.
    #[serde(default)]
    pub dry_run: Option<bool>,
    /// `CreateOptions`, `UpdateOptions`, `PatchOptions` or `DeleteOptions`.
    #[serde(default)]
    pub options: Option<Options>,
}

/// Group and kind of an object.
#[derive(Debug, Default, Deserialize)]
pub struct GroupKind {
    /// Empty for the core group.
    #[serde(default)]
    pub group: String,
    /// As in manifests.
    #[serde(default)]
    pub kind: String,
}

/// The user who asks.
#[derive(Debug, Default, Deserialize)]
pub struct UserInfo {
    /// `system:serviceaccount:NAMESPACE:NAME` for pods.
    #[serde(default)]
    pub username: String,
}

/// What is read of the options.
#[derive(Debug, Default, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Options {
    /// The manager of the fields that are written.
    #[serde(default)]
    pub field_manager: Option<String>,
}

/// What the request does to the object.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "UPPERCASE")]
pub enum Operation {
    /// A new object.
    Create,
    /// A changed object.
    Update,
    /// A removed object.
    Delete,
    /// Anything else.
    #[default]
    #[serde(other)]
    Other,
}

impl Operation {
    /// Returns the word for metrics.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Create => "CREATE",
            Self::Update => "UPDATE",
            Self::Delete => "DELETE",
            Self::Other => "unknown",
        }
    }
}

impl<'a> Request<'a> {
    /// Reads a body. `Err(Ok(uid))`: the rest of it cannot be read, or is of another version, but the review can be answered.
    pub fn parse(body: &'a [u8]) -> Result<Self, Result<String, NotAReview>> {
        let unread = match serde_json::from_slice(body) {
            Ok(Review {
                api_version,
                kind,
                request: Some(request),
            }) if !request.uid.is_empty() => {
                if api_version == API_VERSION && kind == KIND {
                    return Ok(request);
                }
                return Err(Ok(request.uid));
            }
            Ok(Review {
                request: Some(_), ..
            }) => NotAReview::NoUid,
            Ok(Review { request: None, .. }) | Err(_) => NotAReview::Shape,
        };
        Err(uid_in(body).ok_or(unread))
    }
}

/// Reads the uid of a review from as much of its body as there is. API servers write it in the first hundred bytes. So a
/// review that is too large to be read, or breaks off, can still be answered.
pub fn uid_in(start: &[u8]) -> Option<String> {
    let mut found = None;
    let at = Path {
        rest: &["request", "uid"],
        found: &mut found,
    };
    // The error is the end of the body, or of the search.
    let _ = at.deserialize(&mut serde_json::Deserializer::from_slice(start));
    found.filter(|uid| !uid.is_empty())
}

/// Goes down an object's fields, and ends with an error as soon as it has the string at their end.
struct Path<'a> {
    rest: &'a [&'static str],
    found: &'a mut Option<String>,
}

impl<'de> DeserializeSeed<'de> for Path<'_> {
    type Value = ();

    fn deserialize<D: Deserializer<'de>>(self, deserializer: D) -> Result<(), D::Error> {
        if self.rest.is_empty() {
            *self.found = Some(String::deserialize(deserializer)?);
            return Err(D::Error::custom("found"));
        }
        deserializer.deserialize_map(self)
    }
}

impl<'de> Visitor<'de> for Path<'_> {
    type Value = ();

    fn expecting(&self, formatter: &mut fmt::Formatter) -> fmt::Result {
        formatter.write_str("an object")
    }

    fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<(), A::Error> {
        while let Some(key) = map.next_key::<String>()? {
            match self.rest {
                [wanted, rest @ ..] if key == *wanted => map.next_value_seed(Path {
                    rest,
                    found: self.found,
                })?,
                _ => map.next_value::<IgnoredAny>().map(drop)?,
            }
        }
        Ok(())
    }
}

/// The whole answer.
#[derive(Debug, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct Answer {
    api_version: &'static str,
    kind: &'static str,
    response: Response,
}

#[derive(Debug, Serialize)]
#[serde(rename_all = "camelCase")]
struct Response {
    uid: String,
    allowed: bool,
    #[serde(skip_serializing_if = "Vec::is_empty")]
    warnings: Vec<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    patch: Option<ByteString>,
    #[serde(skip_serializing_if = "Option::is_none")]
    patch_type: Option<&'static str>,
}

impl Answer {
    /// Allows the request, which is all that reroll ever does, and says these lines, see [`Told::lines`].
    pub fn allow(uid: String, warnings: Vec<String>) -> Self {
        let response = Response {
            uid,
            allowed: true,
            warnings,
            patch: None,
            patch_type: None,
        };
        Self {
            api_version: API_VERSION,
            kind: KIND,
            response,
        }
    }

    /// Allows the request and changes its object.
    #[must_use]
    pub fn with_patch(mut self, patch: &json_patch::Patch) -> Self {
        if let (false, Ok(text)) = (patch.0.is_empty(), serde_json::to_vec(patch)) {
            self.response.patch = Some(ByteString(text));
            self.response.patch_type = Some("JSONPatch");
        }
        self
    }

    /// Returns whether it changes the object.
    pub fn patches(&self) -> bool {
        self.response.patch.is_some()
    }
}
