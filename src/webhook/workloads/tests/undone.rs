//! What is told of `kubectl rollout undo` that takes back a restart of reroll's, and what is not.

use serde_json::{Value, json};

use super::{Known, NOW};
use crate::{
    model::{
        annotation::{KUBECTL_RESTARTED_AT, OBSERVED, RESTARTED_FOR},
        testing::NAMESPACE,
    },
    webhook::{
        review::Request,
        warnings::Told,
        workloads::{DeployBefore, Write},
    },
};

/// Returns what an UPDATE takes back, in words.
fn told(known: &Known, edit: &dyn Fn(&mut Value), manager: Option<&str>) -> Option<Vec<String>> {
    let mut object = known.web.clone();
    edit(&mut object);
    let review = json!({ "apiVersion": "admission.k8s.io/v1", "kind": "AdmissionReview", "request": {
        "uid": "r", "operation": "UPDATE", "namespace": NAMESPACE, "name": "web",
        "kind": { "group": "apps", "version": "v1", "kind": "Deployment" },
        "userInfo": { "username": "someone" }, "object": object, "oldObject": known.web,
        "options": { "fieldManager": manager },
    } });
    let body = serde_json::to_vec(&review).unwrap();
    let request = Request::parse(&body).ok().unwrap();
    let write = Write::read(&request, &known.index, "system:reroll").unwrap();
    let answer = write.answer(
        &known.index,
        &super::BTreeMap::new(),
        &super::Adoption::None,
        NOW,
    );
    let mut patched = object.clone();
    json_patch::patch(&mut patched, &answer.patch).unwrap();
    let undone = write.undone()?;
    assert_eq!(
        patched["spec"], known.web["spec"],
        "it rolls nothing, for the mark stays"
    );
    let all = [
        DeployBefore::Revision(3),
        DeployBefore::Gone,
        DeployBefore::Unknown,
    ];
    let lines = all.into_iter().map(|before| undone.words(before));
    Some(Told::All.lines(lines.collect()))
}

/// A restarted Deployment, and what its `ReplicaSet` before brings back.
fn restarted(annotation: &str) -> Known {
    let mut known = Known::adopted(&json!({}), &json!({ annotation: "m" }), false);
    known.web["spec"]["selector"] = json!({ "matchLabels": { "app": "web" } });
    known
}

fn undo(object: &mut Value) {
    object["metadata"]["annotations"][OBSERVED] = json!("that of then");
    object["spec"]["template"]["metadata"] = json!({});
}

#[test]
fn the_way_back_to_the_deploy_before_is_told() {
    let known = restarted(RESTARTED_FOR);
    let all = told(&known, &undo, None).unwrap();
    let only = "the revision asked for differs by a restart of reroll's only, and rolls nothing";
    assert_eq!(
        all,
        [
            format!(
                "reroll: kubectl -n {NAMESPACE} rollout undo deployment/web --to-revision=3 goes back to the deploy before: {only}"
            ),
            format!(
                "reroll: no deploy before this one is kept (kubectl -n {NAMESPACE} rollout history deployment/web): the revisions differ by restarts of reroll's only, and nothing rolls"
            ),
            format!(
                "reroll: kubectl -n {NAMESPACE} rollout history deployment/web, then undo --to-revision: {only}"
            ),
        ]
    );
    assert!(all.iter().all(|line| line.chars().count() <= 256));
}

#[test]
fn other_writes_take_nothing_back() {
    let known = restarted(RESTARTED_FOR);
    let deploys = |object: &mut Value| {
        undo(object);
        object["spec"]["template"]["spec"]["containers"][0]["image"] = json!("new");
    };
    let labels = |object: &mut Value| object["metadata"]["labels"] = json!({ "a": "b" });
    assert_eq!(told(&known, &deploys, None), None, "it rolls");
    assert_eq!(told(&known, &labels, None), None);
    // A manifest of another day, such as GitOps applies.
    assert_eq!(told(&known, &undo, Some("kubectl-client-side-apply")), None);
    // The restart of a person has no mark of reroll's: it is taken back, and rolls.
    let by_person = restarted(KUBECTL_RESTARTED_AT);
    assert_eq!(told(&by_person, &undo, None), None);
}
