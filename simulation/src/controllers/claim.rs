//! Whose dependents are whose: by selector and by the reference to the owner that controls.

use std::sync::Arc;

use serde_json::{Value, json};

use super::{
    access::Access,
    objects::{Kind, controller_of, is_deleted, owners},
};
use crate::api_server::{
    answer::Refusal,
    selectors::{Requirement, labels_hold, of_object},
};

/// An owner that claims dependents.
pub(crate) struct Claim<'a> {
    access: &'a Access,
    kind: Kind,
    owner: &'a Value,
    selector: Vec<Requirement>,
}

impl<'a> Claim<'a> {
    pub(crate) fn new(access: &'a Access, kind: Kind, owner: &'a Value) -> Self {
        Self {
            access,
            kind,
            owner,
            selector: of_object(&owner["spec"]["selector"]),
        }
    }

    /// Whether an object belongs to the owner, or could.
    pub(crate) fn concerns(&self, object: &Value) -> bool {
        match controller_of(object) {
            Some(reference) => reference["uid"] == self.owner["metadata"]["uid"],
            None => self.matches(object),
        }
    }

    pub(crate) fn matches(&self, object: &Value) -> bool {
        !self.selector.is_empty() && labels_hold(&self.selector, &object["metadata"]["labels"])
    }

    /// Returns those of a namespace that are the owner's. It adopts those that match and have no owner, and releases
    /// those that match no more.
    pub(crate) async fn claim(
        &self,
        kind: Kind,
        namespace: &str,
        may: impl Fn(&Value) -> bool,
    ) -> Result<Vec<Arc<Value>>, Refusal> {
        let found = self.access.in_namespace(kind, namespace, |object| {
            self.concerns(object) && may(object)
        });
        let mut claimed = Vec::with_capacity(found.len());
        for object in found {
            if self.is_claimed(kind, &object).await? {
                claimed.push(object);
            }
        }
        Ok(claimed)
    }

    async fn is_claimed(&self, kind: Kind, object: &Value) -> Result<bool, Refusal> {
        let matches = self.matches(object);
        if controller_of(object).is_some() {
            if !matches && !is_deleted(self.owner) {
                self.release(kind, object).await?;
            }
            return Ok(matches);
        }
        if !matches || is_deleted(self.owner) || is_deleted(object) {
            return Ok(false);
        }
        if !self.access.may_adopt(self.kind, self.owner) {
            return Ok(false);
        }
        self.adopt(kind, object).await
    }

    /// Returns whether it is the owner's now.
    pub(crate) async fn adopt(&self, kind: Kind, object: &Value) -> Result<bool, Refusal> {
        let own = self.kind.controls(self.owner);
        let adopt = |live: &Value| {
            let all: Vec<Value> = owners(live).iter().cloned().chain([own]).collect();
            Some(json!({ "metadata": { "ownerReferences": all } }))
        };
        match self.access.patch(kind.row(), object, None, adopt).await {
            Ok(()) => Ok(true),
            Err(refusal) if refusal.code == 404 => Ok(false),
            Err(refusal) => Err(refusal),
        }
    }

    async fn release(&self, kind: Kind, object: &Value) -> Result<(), Refusal> {
        let uid = &self.owner["metadata"]["uid"];
        let release = |live: &Value| {
            let others: Vec<_> = owners(live)
                .iter()
                .filter(|one| one["uid"] != *uid)
                .collect();
            Some(json!({ "metadata": { "ownerReferences": others } }))
        };
        match self.access.patch(kind.row(), object, None, release).await {
            Err(refusal) if !matches!(refusal.code, 404 | 422) => Err(refusal),
            _ => Ok(()),
        }
    }
}
