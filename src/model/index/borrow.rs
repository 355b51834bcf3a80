//! Workloads that have the pod template of another: what that one uses, they use.
//!
//! As long as the other is not there nothing is decided for them, and nothing that was observed is forgotten.

use super::{
    basis::Basis,
    edges::Slot,
    namespace::{Namespace, key_of},
    tracked::Tracked,
};
use crate::model::{
    source::References,
    workload::{Borrowed, Kinds, Workload, WorkloadKey},
};

impl Namespace {
    /// Sets the references of a workload that was read now to those of the template that it borrows, if it borrows
    /// one. Of a template that is not there they stay what they were `before`.
    pub(super) fn borrow(
        &mut self,
        kinds: &Kinds,
        slot: &Slot,
        workload: &mut Workload,
        before: Option<&Tracked>,
    ) {
        let Some(template) = &mut workload.borrows else {
            self.borrowing.remove(slot);
            return;
        };
        self.borrowing.insert(slot.clone());
        let lent = self.lent(kinds, template);
        template.known = lent.is_some();
        workload.references = match (lent, before) {
            (Some(lent), _) => lent.clone(),
            (None, Some(before)) => before.workload.references.clone(),
            (None, None) => References::new(),
        };
    }

    /// Returns the references of the template that a workload borrows, where that is known.
    pub(super) fn lent(&self, kinds: &Kinds, template: &Borrowed) -> Option<&References> {
        let kind = kinds.find(&template.group, &template.kind)?;
        let lender = self.workloads.get(&(kind, template.name.clone()))?;
        Some(&lender.workload.references)
    }

    /// Takes in that a workload is other than it was, or gone. Returns those that have its template, where that matters to
    /// them.
    pub(super) fn lend(&mut self, lender: &WorkloadKey, basis: &Basis) -> Vec<WorkloadKey> {
        let slots: Vec<_> = self.borrowing.iter().cloned().collect();
        let mut affected = Vec::new();
        for slot in slots {
            let Some(tracked) = self.workloads.get(&slot) else {
                continue;
            };
            let borrows = tracked.workload.borrows.as_ref().is_some_and(|template| {
                template.group == lender.kind.group
                    && template.kind == lender.kind.kind
                    && template.name == lender.name
            });
            if !borrows {
                continue;
            }
            let mut workload = tracked.workload.clone();
            self.disconnect(&slot);
            let known = self.workloads.remove(&slot).map(|known| *known);
            self.borrow(&basis.kinds, &slot, &mut workload, known.as_ref());
            let same = known
                .as_ref()
                .is_some_and(|known| known.workload == workload);
            let again = Tracked::follow(workload, known, self.defaults(basis), &basis.key);
            self.put(&slot, again);
            if !same {
                affected.push(key_of(&lender.namespace, &slot));
            }
        }
        affected
    }
}

#[cfg(test)]
mod tests {
    use serde_json::{Value, json};

    use crate::model::{
        Index, Kind, SourceKey, SourceName, WorkloadKey,
        testing::{NAMESPACE, key},
        workload::{KINDS, Kinds, ROLLOUT, Workload},
    };

    fn index() -> Index {
        Index::new(key()).with_kinds(Kinds::default().with(&ROLLOUT).unwrap())
    }

    fn named(kind: Kind) -> WorkloadKey {
        WorkloadKey {
            kind,
            namespace: NAMESPACE.to_owned(),
            name: "web".to_owned(),
        }
    }

    fn apply(index: &mut Index, kind: Kind, spec: &Value) -> Vec<WorkloadKey> {
        let asks = match kind.kind {
            "Rollout" => json!({"reroll.dev/restart-on": "auto"}),
            _ => json!({}),
        };
        let object = json!({"metadata": {"uid": kind.kind, "annotations": asks}, "spec": spec});
        let workload = Workload::read(kind, &serde_json::from_value(object).unwrap());
        index.apply_workload(&named(kind), workload).borrowers
    }

    fn users(index: &Index, secret: &str) -> usize {
        let source = SourceName::secret(secret);
        let namespace = NAMESPACE.to_owned();
        index.users(&SourceKey { namespace, source }).len()
    }

    fn decides(index: &Index) -> bool {
        index
            .assess(&named(&ROLLOUT), &std::collections::BTreeMap::new())
            .is_some()
    }

    fn template(secret: &str) -> Value {
        let from = json!({"secretRef": {"name": secret}});
        json!({"template": {"spec": {"containers": [{"name": "c", "envFrom": [from]}]}}})
    }

    #[test]
    fn what_the_lender_uses_the_borrower_uses() {
        let borrows =
            json!({"workloadRef": {"apiVersion": "apps/v1", "kind": "Deployment", "name": "web"}});
        let deployment = &KINDS[0];
        let mut index = index();
        // Whoever comes first.
        assert!(apply(&mut index, &ROLLOUT, &borrows).is_empty());
        assert!(!decides(&index));
        assert_eq!(
            apply(&mut index, deployment, &template("a")),
            [named(&ROLLOUT)]
        );
        assert!(decides(&index));
        assert_eq!(users(&index, "a"), 1, "the Deployment did not opt in");
        assert!(
            apply(&mut index, deployment, &template("a")).is_empty(),
            "no news"
        );
        assert_eq!(
            apply(&mut index, deployment, &template("b")),
            [named(&ROLLOUT)]
        );
        assert_eq!((users(&index, "a"), users(&index, "b")), (0, 1));
        apply(&mut index, &ROLLOUT, &borrows);
        assert_eq!(users(&index, "b"), 1);
        // Others are none of its business.
        assert!(apply(&mut index, &KINDS[1], &template("c")).is_empty());
        index.delete_workload(&named(deployment));
        assert!(!decides(&index));
        apply(&mut index, &ROLLOUT, &borrows);
        assert!(!decides(&index));
        assert_eq!(users(&index, "b"), 1, "what was observed is kept meanwhile");
        assert_eq!(
            apply(&mut index, deployment, &template("b")),
            [named(&ROLLOUT)]
        );
        assert!(decides(&index));
        // A template of its own again.
        apply(&mut index, &ROLLOUT, &template("d"));
        assert_eq!((users(&index, "b"), users(&index, "d")), (0, 1));
        assert!(apply(&mut index, deployment, &template("a")).is_empty());
        index.delete_workload(&named(&ROLLOUT));
        assert_eq!(users(&index, "d"), 0);
    }
}
