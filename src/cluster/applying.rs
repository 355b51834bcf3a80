//! Tries to apply an object: the API server says what it would be, or who owns what of it, and persists nothing.

use kube::{
    Api,
    api::{Patch, PatchParams},
    core::{DynamicObject, Status},
};
use serde_json::Value;

use super::{Cluster, Failure};

/// The reason of a conflict, as API servers write it.
const CONFLICT: &str = "FieldManagerConflict";

/// What comes of trying to apply an object.
#[derive(Debug)]
pub enum Tried {
    /// It would be this.
    Would(Box<DynamicObject>),
    /// Others own fields of it.
    Conflicts(Vec<Owned>),
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
                Err(kube::Error::Api(status)) => match owned(&status) {
                    owned if owned.is_empty() => Err(kube::Error::Api(status)),
                    owned => Ok(Tried::Conflicts(owned)),
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
}
