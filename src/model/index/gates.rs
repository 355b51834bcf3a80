//! Gates that stand on a Namespace or on reroll's own Lease, beside what each workload says itself.

use super::{Index, says::Says};
use crate::model::{
    gate::suspend::{Place, Stop},
    policy::Policy,
    workload::{Lent, WorkloadKey},
};

/// Takes in the reason for which a namespace holds all of its workloads; `None`: it does not. Returns whether that is news.
pub fn set_namespace_stop(index: &mut Index, name: &str, said: Option<String>) -> bool {
    set_says(index, name, |says| says.stop = said)
}

/// Takes in a change of what a namespace says about when restarts in it are made. Returns whether that is news.
pub(super) fn set_says(index: &mut Index, name: &str, change: impl FnOnce(&mut Says)) -> bool {
    let known = index.namespaces.get(name).map(|space| &space.says);
    let mut says = known.cloned().unwrap_or_default();
    change(&mut says);
    let same = known.map_or(says == Says::default(), |known| *known == says);
    let news = !same && index.works_in(name);
    if news {
        index.namespaces.entry(name).says = says;
    }
    news
}

/// Takes in the reason for which everything is held; `None`: it is not. Returns whether that is news.
pub fn set_stop(index: &mut Index, said: Option<String>) -> bool {
    let news = index.namespaces.stop != said;
    index.namespaces.stop = said;
    news
}

/// Returns who says that a workload does not restart, and what.
pub fn stop(index: &Index, key: &WorkloadKey) -> Option<Stop> {
    let tracked = index.workload(key)?;
    let (policy, lent) = (&tracked.policy, &tracked.workload.lent);
    stop_of(index, &key.namespace, policy, lent)
}

/// Returns the same where its user may have let the restart go that is due: that passes what the workload itself says, and nobody
/// else.
pub(super) fn stop_now(index: &Index, key: &WorkloadKey, released: bool) -> Option<Stop> {
    let tracked = index.workload(key)?;
    let own = tracked.policy.suspend.as_ref().filter(|_| !released);
    first(index, &key.namespace, own, &tracked.workload.lent)
}

/// Returns who holds a workload besides itself: a release does not pass that.
pub fn stop_of_others(index: &Index, key: &WorkloadKey) -> Option<Stop> {
    stop_now(index, key, true)
}

/// Returns the same of a workload in this namespace that asks for this, and whose template others have that say this.
pub fn stop_of(index: &Index, namespace: &str, policy: &Policy, lent: &Lent) -> Option<Stop> {
    first(index, namespace, policy.suspend.as_ref(), lent)
}

/// Returns who says that nothing in a namespace restarts.
pub fn stop_in(index: &Index, namespace: &str) -> Option<Stop> {
    first(index, namespace, None, &Lent::default())
}

/// Returns the first that holds, of the workload's own and all others.
fn first(index: &Index, namespace: &str, own: Option<&String>, lent: &Lent) -> Option<Stop> {
    let space = index.namespaces.get(namespace);
    let places = [
        (Place::Workload, own),
        (Place::Rollout, lent.suspended.as_ref()),
        (
            Place::Namespace,
            space.and_then(|space| space.says.stop.as_ref()),
        ),
        (Place::Lease, index.namespaces.stop.as_ref()),
    ];
    places.into_iter().find_map(|(place, said)| {
        let said = said?.clone();
        Some(Stop { place, said })
    })
}

/// Returns the same, and whether an Argo Rollout that has its template is aborted.
pub(super) fn held_back(index: &Index, key: &WorkloadKey) -> (Option<Stop>, bool) {
    let tracked = index.workload(key);
    let aborted = tracked.is_some_and(|tracked| tracked.workload.lent.aborted);
    (stop(index, key), aborted)
}

/// Whether the restarts of a workload wait until a person lets them go, or an abort is over.
pub fn is_held_back(index: &Index, key: &WorkloadKey) -> bool {
    let (stop, aborted) = held_back(index, key);
    stop.is_some() || aborted
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
                        set_namespace_stop(&mut index, NAMESPACE, namespace.map(ToOwned::to_owned));
                        set_namespace_stop(&mut index, "another", Some("y".to_owned()));
                        set_stop(&mut index, lease.map(ToOwned::to_owned));
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
        let texts = [None, Some("a"), Some("a"), Some(""), None, None];
        let news = [false, true, false, true, true, false];
        for (text, news) in texts.into_iter().zip(news) {
            let text = text.map(ToOwned::to_owned);
            assert_eq!(set_stop(&mut index, text.clone()), news, "{text:?}");
            assert_eq!(set_namespace_stop(&mut index, NAMESPACE, text), news);
        }
    }

    #[test]
    fn a_namespace_is_remembered_for_it_alone() {
        let mut index = Index::new(key());
        set_namespace_stop(&mut index, NAMESPACE, Some("a".to_owned()));
        index.expire(i64::MAX);
        apply(&mut index, &KINDS[0], None, &json!({ "template": {} }));
        assert!(stop(&index, &named(&KINDS[0])).is_some());
        assert!(index.known_namespaces().contains(NAMESPACE));
    }
}
