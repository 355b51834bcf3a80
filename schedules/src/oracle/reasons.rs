//! Which changes of sources are reasons to restart a workload.

use std::{
    collections::{BTreeMap, BTreeSet},
    sync::Arc,
};

use reroll_simulation::nodes::Need;
use serde_json::Value;

use super::{observer::is_ignored, template::needs_of};
use crate::world::{ON_DELETE, ON_RECREATE};

/// With more sources some may be folded.
pub(super) const FOLDS: usize = 50;

/// A source before and after a write. Before it is made again, it is what went.
#[derive(Clone, Copy)]
pub(super) struct Change<'a> {
    pub(super) old: Option<&'a Arc<Value>>,
    pub(super) new: Option<&'a Arc<Value>>,
    /// Nothing was wrong since everybody was at rest, so reroll has seen all of it.
    pub(super) calm: bool,
}

impl Change<'_> {
    /// Whether it is a reason to restart a workload whose pods and template have these needs of the source.
    pub(super) fn is_reason(&self, needs: &[Need], workload: &Value) -> bool {
        let word = |key: &str| workload["metadata"]["annotations"][key].as_str();
        let optional = needs.iter().any(|need| need.optional);
        let differs = |need: &Need| {
            let (old, new) = (self.old.map(|it| &**it), self.new.map(|it| &**it));
            is_other(old, new, need.keys.as_ref())
        };
        if !needs.iter().any(differs) {
            return false;
        }
        let restarts_for_absence = optional && word(ON_DELETE) == Some("restart");
        let folds = needs_of(workload).len() > FOLDS;
        let (Some(old), Some(new)) = (self.old, self.new) else {
            // No restart rolls into the absence of what pods need.
            let comes = self.new.is_some();
            // What a fold was with it, a process that never saw it cannot tell.
            return comes || restarts_for_absence || folds && optional;
        };
        let same = |need: &Need| used(old, need.keys.as_ref()) == used(new, need.keys.as_ref());
        if !needs.iter().all(same) {
            return true;
        }
        if is_ignored(old) || folds {
            // What takes the place of an ignored one is news.
            // What is folded counts by content only together.
            return true;
        }
        // Only its uid is another one.
        let owned = |object: &Value| object["metadata"]["ownerReferences"].is_array();
        let by_machine = owned(new) || self.calm && owned(old);
        let content_decides = match word(ON_RECREATE) {
            // Pods of after the deletion lack it.
            Some("content") => !optional,
            Some("restart") => false,
            _ => by_machine && !optional,
        };
        !content_decides
    }
}

/// Whether a source is another thing, as far as these keys tell.
pub(super) fn is_other(
    old: Option<&Value>,
    new: Option<&Value>,
    keys: Option<&BTreeSet<String>>,
) -> bool {
    let (Some(old), Some(new)) = (old, new) else {
        return old.is_some() != new.is_some();
    };
    old["metadata"]["uid"] != new["metadata"]["uid"] || used(old, keys) != used(new, keys)
}

fn used<'a>(object: &'a Value, keys: Option<&BTreeSet<String>>) -> BTreeMap<&'a str, &'a Value> {
    let data = object["data"].as_object().into_iter().flatten();
    let used = data.filter(|(key, _)| keys.is_none_or(|keys| keys.contains(*key)));
    used.map(|(key, value)| (key.as_str(), value)).collect()
}

#[cfg(test)]
mod tests {
    use reroll_simulation::nodes::{Source, SourceKind, Way};
    use serde_json::json;

    use super::*;

    fn source(uid: &str, value: &str, owned: bool) -> Arc<Value> {
        let owners = owned.then(|| json!([{ "kind": "Certificate" }]));
        let metadata = json!({ "uid": uid, "ownerReferences": owners });
        Arc::new(json!({ "metadata": metadata, "data": { "k": value, "other": value } }))
    }

    fn need(optional: bool) -> Need {
        Need {
            source: Source {
                kind: SourceKind::Secret,
                name: "a".to_owned(),
            },
            keys: Some(BTreeSet::from(["k".to_owned()])),
            optional,
            way: Way::Environment,
        }
    }

    #[test]
    fn what_is_a_reason() {
        let [plain, other, again, owned] = [
            source("1", "x", false),
            source("1", "y", false),
            source("2", "x", false),
            source("2", "x", true),
        ];
        let by_machine = source("1", "x", true);
        let word = |key: &str, value: &str| json!({ "metadata": { "annotations": { format!("reroll.dev/{key}"): value } } });
        let (none, restart) = (json!({}), word("on-delete", "restart"));
        let (content, uid) = (
            word("on-recreate", "content"),
            word("on-recreate", "restart"),
        );
        for (what, old, new, optional, workload, right) in [
            ("data", Some(&plain), Some(&other), false, &none, true),
            ("a new uid", Some(&plain), Some(&again), false, &none, true),
            (
                "by a machine",
                Some(&plain),
                Some(&owned),
                false,
                &none,
                false,
            ),
            (
                "from a machine",
                Some(&by_machine),
                Some(&again),
                false,
                &none,
                false,
            ),
            (
                "an optional one",
                Some(&plain),
                Some(&owned),
                true,
                &none,
                true,
            ),
            ("uids count", Some(&plain), Some(&owned), false, &uid, true),
            (
                "content counts",
                Some(&plain),
                Some(&again),
                false,
                &content,
                false,
            ),
            ("deletion", Some(&plain), None, true, &none, false),
            ("deletion counts", Some(&plain), None, true, &restart, true),
            (
                "of a required one",
                Some(&plain),
                None,
                false,
                &restart,
                false,
            ),
            ("creation", None, Some(&plain), false, &none, true),
        ] {
            let change = Change {
                old,
                new,
                calm: true,
            };
            assert_eq!(
                change.is_reason(&[need(optional)], workload),
                right,
                "{what}"
            );
        }
    }
}
