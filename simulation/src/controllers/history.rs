//! The revisions of `StatefulSet`s and `DaemonSet`s: their templates, each as the patch that brings it back.

use std::sync::Arc;

use serde_json::{Map, Value, json};

use super::{
    access::Access,
    claim::Claim,
    objects::{Kind, annotations, hash_of, key, name, namespace},
};
use crate::api_server::answer::Refusal;

/// The label of pods and of a DaemonSet's revisions.
pub(crate) const HASH: &str = "controller-revision-hash";

/// Whether a revision brings the template of an owner back.
pub(crate) fn brings_back(revision: &Value, owner: &Value) -> bool {
    let own = owner["spec"]["template"].as_object().into_iter().flatten();
    let template = revision["data"]["spec"]["template"].as_object();
    let template = template.into_iter().flatten();
    template.filter(|(field, _)| *field != "$patch").eq(own)
}

/// Returns the patch that brings a template back.
pub(crate) fn patch_of(owner: &Value) -> Value {
    let mut template = owner["spec"]["template"].clone();
    template["$patch"] = json!("replace");
    json!({ "spec": { "template": template } })
}

/// Returns the template that a revision brings back.
pub(crate) fn template_of(revision: &Value) -> Value {
    let mut template = revision["data"]["spec"]["template"].clone();
    if let Some(template) = template.as_object_mut() {
        template.remove("$patch");
    }
    template
}

/// Returns the number of a revision.
pub(crate) fn number_of(revision: &Value) -> i64 {
    revision["revision"].as_i64().unwrap_or(0)
}

/// Sorts the oldest first.
pub(crate) fn sort(revisions: &mut [Arc<Value>]) {
    revisions.sort_by(|a, b| {
        let by = |one: &Value| (number_of(one), super::objects::created(one).to_owned());
        by(a).cmp(&by(b)).then_with(|| name(a).cmp(name(b)))
    });
}

/// Returns the revisions of an owner, the oldest first. It adopts those that match.
pub(crate) async fn of(
    access: &Access,
    kind: Kind,
    owner: &Value,
) -> Result<Vec<Arc<Value>>, Refusal> {
    let claim = Claim::new(access, kind, owner);
    let claimed = claim.claim(Kind::ControllerRevision, namespace(owner), |_| true);
    let mut revisions = claimed.await?;
    sort(&mut revisions);
    Ok(revisions)
}

/// The name of the label in which a revision has its hash.
pub(crate) fn hash_label(kind: Kind) -> &'static str {
    match kind {
        Kind::DaemonSet => HASH,
        _ => "controller.kubernetes.io/hash",
    }
}

/// Creates the revision of an owner's template. `Err` with 409 where another has its name: then the owner's count of
/// collisions was raised.
pub(crate) async fn create(
    access: &Access,
    kind: Kind,
    owner: &Value,
    number: i64,
) -> Result<Arc<Value>, Refusal> {
    let mut collisions = owner["status"]["collisionCount"].as_i64();
    let patch = patch_of(owner);
    loop {
        let hash = hash_of(&patch, collisions.or(Some(0)));
        let mut labels: Map<String, Value> = owner["spec"]["template"]["metadata"]["labels"]
            .as_object()
            .cloned()
            .unwrap_or_default();
        labels.insert(hash_label(kind).to_owned(), json!(hash));
        let revision = json!({
            "metadata": {
                "name": format!("{}-{hash}", name(owner)), "namespace": namespace(owner), "labels": labels,
                "annotations": annotations(owner), "ownerReferences": [kind.controls(owner)],
            },
            "data": patch, "revision": number,
        });
        let created = access.create(Kind::ControllerRevision, namespace(owner), revision.clone());
        let refusal = match created.await {
            Ok(created) => return Ok(created),
            Err(refusal) if refusal.reason != "AlreadyExists" => return Err(refusal),
            Err(refusal) => refusal,
        };
        let existing = access.live(Kind::ControllerRevision, &key(&revision));
        match existing {
            Some(existing) if existing["data"] == patch => return Ok(existing),
            Some(_) => collisions = Some(collisions.unwrap_or(0) + 1),
            None => return Err(refusal),
        }
    }
}

/// Gives a revision another number.
pub(crate) async fn renumber(
    access: &Access,
    revision: &Value,
    number: i64,
) -> Result<Arc<Value>, Refusal> {
    let mut changed = revision.clone();
    changed["revision"] = json!(number);
    access.update(Kind::ControllerRevision, changed).await
}
