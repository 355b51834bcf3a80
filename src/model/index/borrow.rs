//! Workloads that have the pod template of another: what that one uses, they use.
//!
//! As long as the other is not there nothing is decided for them, and nothing that was observed is forgotten. Where the
//! other is opted in itself, it leads: its own restart is theirs ([`crate::model::workload::Borrowed`]). What they say
//! in turn holds for it ([`Lent`]).

use super::{
    basis::Basis,
    edges::Slot,
    namespace::{Namespace, key_of},
    tracked::Tracked,
};
use crate::model::{
    policy::Selection,
    source::References,
    workload::{Kind, Kinds, Lent, Workload, WorkloadKey},
};

impl Namespace {
    /// Sets the references of a workload that was read now to those of the template that it borrows, if it borrows
    /// one. Of a template that is not there they stay what they were `before`. Sets what those say that borrow its own.
    pub(super) fn relate(
        &mut self,
        kinds: &Kinds,
        slot: &Slot,
        workload: &mut Workload,
        before: Option<&Tracked>,
    ) {
        workload.lent = self.lent_by(slot.0, &slot.1);
        if workload.borrows.is_none() {
            self.borrowing.remove(slot);
            return;
        }
        self.borrowing.insert(slot.clone());
        if !self.borrow(kinds, workload) {
            let before = before.map(|known| &known.workload);
            let references = before.map(|known| known.references.clone());
            workload.references = references.unwrap_or_default();
            workload.excess = before.and_then(|known| known.excess);
        }
    }

    /// Sets the references of a workload to those of the template that it borrows. Returns whether that is known.
    pub(super) fn borrow(&self, kinds: &Kinds, workload: &mut Workload) -> bool {
        let Some(template) = &mut workload.borrows else {
            return false;
        };
        let kind = kinds.find(&template.group, &template.kind);
        let lender = kind.and_then(|kind| self.workloads.get(&(kind, template.name.clone())));
        template.followed = kind.is_some();
        template.known = lender.is_some();
        template.leads = lender.is_some_and(|lender| lender.leads());
        workload.references = match lender {
            Some(lender) => lender.workload.references.clone(),
            None => References::new(),
        };
        workload.excess = lender.and_then(|lender| lender.workload.excess);
        template.known
    }

    /// Returns what those say that borrow the template of this workload.
    pub(super) fn lent_by(&self, kind: Kind, name: &str) -> Lent {
        let borrowing = self.borrowing.iter();
        let borrowers = borrowing.filter_map(|slot| self.workloads.get(slot));
        let borrowers = borrowers.filter(|borrower| borrower.borrows_from(kind, name));
        let said = borrowers.map(|borrower| Lent {
            any: true,
            aborted: borrower.workload.abort.is_aborted(),
            suspended: borrower.policy.suspend.clone(),
        });
        said.fold(Lent::default(), Lent::and)
    }

    /// Returns the workload whose template this one borrows, where that is there.
    pub(super) fn lender_of(&self, kinds: &Kinds, borrower: &Slot) -> Option<Slot> {
        let template = self.workloads.get(borrower)?.workload.borrows.as_ref()?;
        let kind = kinds.find(&template.group, &template.kind)?;
        let slot = (kind, template.name.clone());
        self.workloads.contains_key(&slot).then_some(slot)
    }

    /// Takes in that a workload is other than it was, or gone; `lender`: whose template it borrowed before. Returns those
    /// that have to do with its template, where that matters to them.
    pub(super) fn share(
        &mut self,
        changed: &WorkloadKey,
        lender: Option<Slot>,
        basis: &Basis,
    ) -> Vec<WorkloadKey> {
        let slot = (changed.kind, changed.name.clone());
        let borrowing = self.borrowing.iter();
        let borrows = |slot: &&Slot| {
            let tracked = self.workloads.get(*slot);
            tracked.is_some_and(|tracked| tracked.borrows_from(changed.kind, &changed.name))
        };
        let mut others: Vec<_> = borrowing.filter(borrows).cloned().collect();
        others.extend(lender);
        others.extend(self.lender_of(&basis.kinds, &slot));
        others.dedup();
        let mut affected = Vec::new();
        for other in others {
            if other != slot && self.relate_again(&other, basis) {
                affected.push(key_of(&changed.namespace, &other));
            }
        }
        affected
    }

    /// Takes in what others of its template say now. Returns whether that is news.
    pub(super) fn relate_again(&mut self, slot: &Slot, basis: &Basis) -> bool {
        let Some(tracked) = self.workloads.get(slot) else {
            return false;
        };
        let mut workload = tracked.workload.clone();
        self.disconnect(slot);
        let mut known = self.workloads.remove(slot).map(|known| *known);
        self.relate(&basis.kinds, slot, &mut workload, known.as_ref());
        let same = known
            .as_ref()
            .is_some_and(|known| known.workload == workload);
        let read = self.read(&workload, known.as_mut(), None, basis);
        let policy = (read.policy, read.complaints);
        let again = Tracked::follow(workload, known, policy, &basis.key);
        self.put(slot, again, read.selected);
        !same
    }
}

impl Tracked {
    fn borrows_from(&self, kind: Kind, name: &str) -> bool {
        let template = self.workload.borrows.as_ref();
        template.is_some_and(|template| template.is(kind, name))
    }

    /// Whether it is restarted when something changes that its template uses.
    fn leads(&self) -> bool {
        matches!(self.policy.selection, Selection::Some(_))
            && self.workload.controller.is_none()
            && !self.workload.deleting
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
        index.apply_workload(&named(kind), workload).related
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
