//! Gates that stand on a Namespace or on reroll's own Lease, beside what each workload says itself.

use super::Index;
use crate::model::{
    gate::suspend::{Place, Stop},
    policy::Policy,
    workload::{Lent, WorkloadKey},
};

/// Takes in the reason for which a namespace holds all of its workloads; `None`: it does not. Returns whether that is news.
pub fn set_namespace_stop(index: &mut Index, name: &str, said: Option<String>) -> bool {
    let known = index.namespaces.get(name);
    let same = known.and_then(|space| space.stop.as_ref()) == said.as_ref();
    let news = !same && index.works_in(name);
    if news {
        index.namespaces.entry(name).stop = said;
    }
    news
}

/// Takes in the reason for which everything is held; `None`: it is not. Returns whether that is news.
pub fn set_stop(index: &mut Index, said: Option<String>) -> bool {
    let news = index.stop != said;
    index.stop = said;
    news
}

/// Returns who says that a workload does not restart, and what.
pub fn stop(index: &Index, key: &WorkloadKey) -> Option<Stop> {
    let tracked = index.workload(key)?;
    stop_of(
        index,
        &key.namespace,
        &tracked.policy,
        &tracked.workload.lent,
    )
}

/// Returns the same of a workload in this namespace that asks for this, and whose template others have that say this.
pub fn stop_of(index: &Index, namespace: &str, policy: &Policy, lent: &Lent) -> Option<Stop> {
    let space = index.namespaces.get(namespace);
    let places = [
        (Place::Workload, policy.suspend.as_ref()),
        (Place::Rollout, lent.suspended.as_ref()),
        (
            Place::Namespace,
            space.and_then(|space| space.stop.as_ref()),
        ),
        (Place::Lease, index.stop.as_ref()),
    ];
    places.into_iter().find_map(|(place, said)| {
        let said = said?.clone();
        Some(Stop { place, said })
    })
}

/// Whether the restarts of a workload wait until its user, or that of a Rollout with its template, lets them go.
pub fn is_held_back(index: &Index, key: &WorkloadKey) -> bool {
    let aborted = |key| {
        let tracked = index.workload(key);
        tracked.is_some_and(|tracked| tracked.workload.lent.aborted)
    };
    aborted(key) || stop(index, key).is_some()
}

#[cfg(test)]
mod tests {
    use serde_json::{Value, json};

    use super::*;
    use crate::model::{
        Kind,
        annotation::{RESTART_ON, SUSPEND},
        testing::{NAMESPACE, key},
        workload::{KINDS, Kinds, ROLLOUT, Workload},
    };

    fn named(kind: Kind) -> WorkloadKey {
        WorkloadKey {
            kind,
            namespace: NAMESPACE.to_owned(),
            name: "web".to_owned(),
        }
    }

    fn apply(index: &mut Index, kind: Kind, suspend: Option<&str>, spec: &Value) {
        let mut asks = json!({ RESTART_ON: "auto" });
        if let Some(text) = suspend {
            asks[SUSPEND] = json!(text);
        }
        let object = json!({ "metadata": { "uid": kind.kind, "annotations": asks }, "spec": spec });
        let workload = Workload::read(kind, &serde_json::from_value(object).unwrap());
        index.apply_workload(&named(kind), workload);
    }

    fn said(text: &str) -> Option<String> {
        Some(text.to_owned())
    }

    #[test]
    fn any_of_them_holds_and_the_nearest_is_named() {
        let kinds = Kinds::default().with(&ROLLOUT).unwrap();
        let borrows = json!({
            "workloadRef": { "apiVersion": "apps/v1", "kind": "Deployment", "name": "web" }
        });
        let template = json!({ "template": { "spec": { "containers": [] } } });
        let says = [None, Some("x")];
        for own in says {
            for rollout in says {
                for namespace in says {
                    for lease in says {
                        let mut index = Index::new(key()).with_kinds(kinds.clone());
                        set_namespace_stop(&mut index, NAMESPACE, namespace.and_then(said));
                        set_namespace_stop(&mut index, "another", said("y"));
                        set_stop(&mut index, lease.and_then(said));
                        apply(&mut index, &KINDS[0], own, &template);
                        apply(&mut index, &ROLLOUT, rollout, &borrows);
                        let all = [
                            (Place::Workload, own),
                            (Place::Rollout, rollout),
                            (Place::Namespace, namespace),
                            (Place::Lease, lease),
                        ];
                        let first = all.into_iter().find(|(_, says)| says.is_some());
                        let web = named(&KINDS[0]);
                        let found = stop(&index, &web).map(|stop| stop.place);
                        assert_eq!(found, first.map(|(place, _)| place), "{all:?}");
                        assert_eq!(is_held_back(&index, &web), first.is_some());
                    }
                }
            }
        }
    }

    #[test]
    fn only_another_text_is_news() {
        let mut index = Index::new(key());
        let texts = [None, said("a"), said("a"), said(""), None, None];
        let news = [false, true, false, true, true, false];
        for (text, news) in texts.into_iter().zip(news) {
            assert_eq!(set_stop(&mut index, text.clone()), news, "{text:?}");
            assert_eq!(set_namespace_stop(&mut index, NAMESPACE, text), news);
        }
    }

    #[test]
    fn a_namespace_is_remembered_for_it_alone() {
        let mut index = Index::new(key());
        set_namespace_stop(&mut index, NAMESPACE, said("a"));
        index.expire(i64::MAX);
        apply(&mut index, &KINDS[0], None, &json!({ "template": {} }));
        assert!(stop(&index, &named(&KINDS[0])).is_some());
        assert!(index.known_namespaces().contains(NAMESPACE));
    }
}
