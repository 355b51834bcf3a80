//! Which changes of sources are reasons to restart a workload.

use std::{
    collections::{BTreeMap, BTreeSet},
    sync::Arc,
};

use reroll_simulation::nodes::Need;
use serde_json::Value;

use super::template::needs_of;

/// With more sources some may be folded.
const FOLDS: usize = 50;

/// A source before and after a write. Before it is made again, it is what went.
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
        let restarts_for_absence = optional && word("reroll.dev/on-delete") == Some("restart");
        let (Some(old), Some(new)) = (self.old, self.new) else {
            // No restart rolls into the absence of what pods need.
            let comes = self.new.is_some();
            return comes || restarts_for_absence;
        };
        let same = |need: &Need| used(old, need.keys.as_ref()) == used(new, need.keys.as_ref());
        if !needs.iter().all(same) {
            return true;
        }
        if needs_of(workload).len() > FOLDS {
            // What is folded counts by content only together.
            return true;
        }
        // Only its uid is another one.
        let owned = |object: &Value| object["metadata"]["ownerReferences"].is_array();
        let by_machine = owned(new) || self.calm && owned(old);
        let content_decides = match word("reroll.dev/on-recreate") {
            // Pods of after the deletion lack it.
            Some("content") => !restarts_for_absence,
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
