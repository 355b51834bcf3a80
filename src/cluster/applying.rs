//! Tries to apply an object: the API server says what it would be, or who owns what of it, and persists nothing.

use kube::{
    Api,
    api::{Patch, PatchParams},
    core::{DynamicObject, Status},
};
use serde_json::Value;

use super::{Cluster, Failure};
use crate::model::text::{printable, shortened};

/// The reason of a conflict, as API servers write it.
const CONFLICT: &str = "FieldManagerConflict";
/// What API servers say of an object with fields of other types than its kind has.
const UNTYPED: &str = "failed to create typed patch object";
/// The longest path of a field, in characters.
const FIELD: usize = 128;

/// What comes of trying to apply an object.
#[derive(Debug)]
pub enum Tried {
    /// It would be this.
    Would(Box<DynamicObject>),
    /// Others own fields of it.
    Conflicts(Vec<Owned>),
    /// These fields do not fit: they are of another type, or have values that the kind does not take.
    Unfit(Vec<String>),
}

/// A field, and who owns it.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Owned {
    /// The field manager.
    pub manager: String,
    /// The path of the field, such as `.data.password`.
    pub field: String,
}

impl Cluster {
    /// Tries to apply an object in the name of a field manager. `force`: whoever owns its fields.
    ///
    /// # Errors
    /// When the API server refuses, or does not answer in time.
    pub async fn try_to_apply(
        &self,
        api: &Api<DynamicObject>,
        name: &str,
        (manager, force): (&str, bool),
        object: &Value,
    ) -> Result<Tried, Failure> {
        let params = PatchParams {
            dry_run: true,
            force,
            field_manager: Some(manager.to_owned()),
            ..PatchParams::default()
        };
        let patch = Patch::Apply(object);
        self.call(async {
            match api.patch(name, &params, &patch).await {
                Ok(would) => Ok(Tried::Would(Box::new(would))),
                Err(kube::Error::Api(status)) => match (owned(&status), unfit(&status)) {
                    (owned, _) if !owned.is_empty() => Ok(Tried::Conflicts(owned)),
                    (_, fields) if !fields.is_empty() => Ok(Tried::Unfit(fields)),
                    _ => Err(kube::Error::Api(status)),
                },
                Err(error) => Err(error),
            }
        })
        .await
    }
}

/// Returns who owns what, as the answer to a write that conflicts tells it. Neither has any data in it.
fn owned(status: &Status) -> Vec<Owned> {
    let causes = status.details.iter().flat_map(|details| &details.causes);
    let conflicts = causes.filter(|cause| cause.reason == CONFLICT);
    let mut owned: Vec<_> = conflicts
        .map(|cause| Owned {
            manager: manager(&cause.message).to_owned(),
            field: cause.field.clone(),
        })
        .collect();
    owned.sort();
    owned
}

/// Returns the fields that do not fit, as the answer tells them: by the causes of a validation, and by the text of what cannot be
/// read as the kind at all, which is an error 500 (structured-merge-diff, `ValidationError`). Paths have names and keys, and no
/// values.
fn unfit(status: &Status) -> Vec<String> {
    let causes = status.details.iter().flat_map(|details| &details.causes);
    let invalid = causes.filter(|cause| status.code == 422 && !cause.field.is_empty());
    let mut fields: Vec<_> = invalid.map(|cause| cause.field.clone()).collect();
    if status.code == 500 && status.message.contains(UNTYPED) {
        let parts = status.message.split([' ', '\n']);
        let paths = parts.filter_map(|part| part.strip_prefix('.')?.strip_suffix(':'));
        fields.extend(paths.map(ToOwned::to_owned));
    }
    let mut fields: Vec<_> = fields
        .iter()
        .map(|field| shortened(&printable(field), FIELD).into_owned())
        .collect();
    fields.sort();
    fields.dedup();
    fields
}

/// Returns the manager of a message such as `conflict with "helm" using v1`, or with `with subresource "status"` behind the name.
fn manager(message: &str) -> &str {
    message.split('"').nth(1).unwrap_or("somebody else")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn who_owns_what_is_read_of_the_answer() {
        let status = serde_json::json!({
            "status": "Failure", "code": 409, "reason": "Conflict", "message": "Apply failed with 2 conflicts",
            "details": { "causes": [
                { "reason": CONFLICT, "message": "conflict with \"helm\" using v1", "field": ".data.password" },
                { "reason": CONFLICT, "message": "conflict with \"a b\" using v1 at 2026-11-28T19:00:00Z", "field": ".data.a" },
                { "reason": "FieldValueInvalid", "message": "conflict with \"x\"", "field": ".data" },
            ] },
        });
        let status: Status = serde_json::from_value(status).unwrap();
        let owned: Vec<_> = owned(&status)
            .into_iter()
            .map(|one| (one.manager, one.field))
            .collect();
        let expected = [("a b", ".data.a"), ("helm", ".data.password")];
        assert_eq!(
            owned,
            expected.map(|(manager, field)| (manager.to_owned(), field.to_owned()))
        );
        assert_eq!(manager("nothing that is known"), "somebody else");
    }

    #[test]
    fn which_fields_do_not_fit_is_read_of_the_answer_and_no_value_is() {
        let fields = |answer: serde_json::Value| {
            let status: Status = serde_json::from_value(answer).unwrap();
            unfit(&status)
        };
        let cause = |field: &str| serde_json::json!({ "reason": "FieldValueInvalid", "message": "canary", "field": field });
        let causes = [
            cause("spec.replicas"),
            cause("data[a b]"),
            cause("spec.replicas"),
        ];
        let invalid = serde_json::json!({ "status": "Failure", "code": 422, "message": "canary", "details": { "causes": causes } });
        assert_eq!(fields(invalid), ["data[a b]", "spec.replicas"]);
        let untyped = "failed to create typed patch object (aa/db; /v1, Kind=Secret): errors:\n  .stringData.password: expected string, got &value.valueUnstructured{Value:canary}\n  .data: expected map";
        let answer = |message: &str, code| serde_json::json!({ "status": "Failure", "code": code, "message": message });
        assert_eq!(
            fields(answer(untyped, 500)),
            ["data", "stringData.password"]
        );
        assert!(fields(answer("etcd: .a: canary", 500)).is_empty());
        assert!(fields(answer(untyped, 503)).is_empty());
    }
}
