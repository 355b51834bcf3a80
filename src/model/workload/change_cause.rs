//! `kubernetes.io/change-cause`: what `kubectl rollout history` shows of a revision.
//!
//! Controllers copy the annotation from the workload to each new revision. So a text that stays would be told of the next
//! deploy, too. It is everybody's: reroll sets it only where it is asked to, and where nobody holds it that would be in its way.

use kube::core::ObjectMeta;

use crate::model::{
    annotation::{CHANGE_CAUSE, FIELD_MANAGER},
    object::owners_of_change_cause,
};

/// What the field managers of kubectl are called, or begin with.
const KUBECTL: &str = "kubectl";

/// What stands there, and whose it is.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ChangeCause {
    /// The annotation's text.
    pub text: String,
    /// Whether no one but reroll and kubectl wrote it, as far as `managedFields` tell. What was applied at the server holds
    /// it, whoever did: another write of it would be a conflict of the next apply.
    is_free: bool,
}

impl ChangeCause {
    /// What a text of reroll's begins with.
    pub const OURS: &str = "reroll: ";

    /// Reads it off an object; `None` where there is none.
    pub(super) fn read(meta: &ObjectMeta) -> Option<Self> {
        let text = meta.annotations.as_ref()?.get(CHANGE_CAUSE)?.clone();
        let mut owners = owners_of_change_cause(meta).peekable();
        let known = owners.peek().is_some();
        let is_free = known
            && owners.all(|(manager, applies)| {
                !applies && (manager == FIELD_MANAGER || manager.starts_with(KUBECTL))
            });
        Some(Self { text, is_free })
    }

    /// Whether reroll may write another text.
    pub fn is_free(&self) -> bool {
        self.is_free
    }

    /// Whether it tells of a restart of reroll's, and reroll may take it away.
    pub fn is_ours(&self) -> bool {
        self.is_free && self.text.starts_with(Self::OURS)
    }
}

#[cfg(test)]
mod tests {
    use serde_json::{Value, json};

    use super::*;

    /// One that these managers own, with their operations.
    fn of(text: &str, owners: &[(&str, &str)]) -> ChangeCause {
        let owner = |(manager, operation): &(&str, &str)| {
            json!({
                "manager": manager, "operation": operation, "fieldsType": "FieldsV1",
                "fieldsV1": { "f:metadata": { "f:annotations": { ".": {}, "f:kubernetes.io/change-cause": {} } } },
            })
        };
        let owners: Vec<Value> = owners.iter().map(owner).collect();
        let meta = json!({ "annotations": { CHANGE_CAUSE: text }, "managedFields": owners });
        ChangeCause::read(&serde_json::from_value(meta).unwrap()).unwrap()
    }

    #[test]
    fn it_is_free_where_only_reroll_and_kubectl_wrote_it() {
        for (owners, free) in [
            (&[("reroll", "Update")][..], true),
            (&[("kubectl-client-side-apply", "Update")], true),
            (
                &[("kubectl-annotate", "Update"), ("reroll", "Update")],
                true,
            ),
            (&[("kubectl", "Apply")], false),
            (&[("argocd", "Apply")], false),
            (&[("helm", "Update")], false),
            (&[("reroll", "Update"), ("argocd", "Apply")], false),
            (&[], false),
        ] {
            let read = of("reroll: Secret db was updated", owners);
            assert_eq!(read.is_free(), free, "{owners:?}");
            assert_eq!(read.is_ours(), free, "{owners:?}");
            let theirs = of("deploy 7", owners);
            assert_eq!(theirs.is_free(), free, "{owners:?}");
            assert!(!theirs.is_ours(), "{owners:?}");
        }
        assert_eq!(ChangeCause::read(&ObjectMeta::default()), None);
    }
}
