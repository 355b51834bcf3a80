//! Users, as reviews name them.

use serde_json::{Value, json};

/// Who makes requests.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct User {
    /// Such as `system:serviceaccount:NAMESPACE:NAME`.
    pub name: String,
    /// Such as `system:authenticated`.
    pub groups: Vec<String>,
}

impl User {
    /// Makes a user that is in no group but that of all users.
    pub fn new(name: impl Into<String>) -> Self {
        Self {
            name: name.into(),
            groups: vec!["system:authenticated".to_owned()],
        }
    }

    /// Returns the user as a review names it.
    pub(super) fn info(&self) -> Value {
        json!({ "username": self.name, "groups": self.groups })
    }
}
