//! What `kubectl rollout undo` sends, as JSON patches.

use serde_json::{Map, Value, json};

use super::{
    deployment::sets::{is_copied, revision, same_template, template_of},
    history::{self, number_of},
    objects::{annotations, is_controlled_by, name},
};

/// Returns the patch that brings a Deployment back to a revision, or to the one before the last: its template, and all
/// annotations that its `ReplicaSet` has. `None` where there is no such revision, or where it is the current one.
pub fn deployment<'a>(
    deployment: &Value,
    sets: impl IntoIterator<Item = &'a Value>,
    to: Option<i64>,
) -> Option<Value> {
    let mut own: Vec<&Value> = sets
        .into_iter()
        .filter(|set| is_controlled_by(set, deployment))
        .collect();
    own.sort_by_key(|set| revision(set));
    let set = chosen(&own, to, revision)?;
    let current = &deployment["spec"]["template"];
    if same_template(&set["spec"]["template"], current) {
        return None;
    }
    let kept = annotations(deployment).into_iter();
    let kept = kept.filter(|(name, _)| !is_copied(name));
    let brought = annotations(set).into_iter();
    let brought = brought.filter(|(name, _)| is_copied(name));
    let all: Map<String, Value> = kept.chain(brought).collect();
    Some(json!([
        { "op": "replace", "path": "/spec/template", "value": template_of(set) },
        { "op": "replace", "path": "/metadata/annotations", "value": all },
    ]))
}

/// Returns the patch that brings a StatefulSet or a DaemonSet back to a revision, or to the one before the last: its
/// template. `None` where there is no such revision, or where it is the current one.
pub fn by_history<'a>(
    owner: &Value,
    revisions: impl IntoIterator<Item = &'a Value>,
    to: Option<i64>,
) -> Option<Value> {
    let mut own: Vec<&Value> = revisions
        .into_iter()
        .filter(|revision| is_controlled_by(revision, owner))
        .collect();
    own.sort_by_key(|one| (number_of(one), name(one).to_owned()));
    let template = history::template_of(chosen(&own, to, number_of)?);
    (owner["spec"]["template"] != template)
        .then(|| json!([{ "op": "replace", "path": "/spec/template", "value": template }]))
}

/// Returns the revision of this number, or the one before the last.
fn chosen<'a>(
    sorted: &[&'a Value],
    to: Option<i64>,
    number: impl Fn(&Value) -> i64,
) -> Option<&'a Value> {
    match to {
        None | Some(0) => sorted.len().checked_sub(2).map(|at| sorted[at]),
        Some(to) => sorted.iter().copied().find(|one| number(one) == to),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_undo_brings_all_annotations_of_the_set_back() {
        let owner = json!([{ "uid": "u", "controller": true }]);
        let set = |revision: &str, note: &str, image: &str| {
            json!({
                "metadata": {
                    "ownerReferences": owner,
                    "annotations": { "deployment.kubernetes.io/revision": revision, "note": note },
                },
                "spec": { "template": {
                    "metadata": { "labels": { "app": "d", "pod-template-hash": revision } }, "spec": { "image": image },
                } },
            })
        };
        let sets = [
            set("3", "three", "c"),
            set("1", "one", "a"),
            set("2", "two", "b"),
        ];
        let template =
            json!({ "metadata": { "labels": { "app": "d" } }, "spec": { "image": "c" } });
        let own = json!({ "deployment.kubernetes.io/revision": "3", "other": "x" });
        let live = json!({ "metadata": { "uid": "u", "annotations": own }, "spec": { "template": template } });
        let undone = deployment(&live, &sets, None).unwrap();
        assert_eq!(undone[0]["value"]["spec"]["image"], "b");
        assert_eq!(
            undone[0]["value"]["metadata"]["labels"],
            json!({ "app": "d" })
        );
        let expected = json!({ "deployment.kubernetes.io/revision": "3", "note": "two" });
        assert_eq!(undone[1]["value"], expected);
        assert_eq!(
            deployment(&live, &sets, Some(1)).unwrap()[0]["value"]["spec"]["image"],
            "a"
        );
        assert_eq!(
            deployment(&live, &sets, Some(3)),
            None,
            "it is there already"
        );
        assert_eq!(deployment(&live, &sets, Some(9)), None);
        assert_eq!(deployment(&live, &sets[..1], None), None);
    }
}
