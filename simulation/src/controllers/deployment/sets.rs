//! The `ReplicaSet`s of a Deployment, and their revisions.

use std::sync::Arc;

use serde_json::{Map, Value, json};

use super::{
    super::objects::{
        Kind, annotation, annotations, condition, controller_of, hash_of, key, name, namespace,
        number, oldest_first, replicas, uid,
    },
    Rollout,
    numbers::{asked, grown},
    rolling, status,
};
use crate::api_server::answer::Refusal;

/// The annotation of a `ReplicaSet`, and of its Deployment, with the number of the revision.
pub(crate) const REVISION: &str = "deployment.kubernetes.io/revision";
/// The numbers that it had before.
const HISTORY: &str = "deployment.kubernetes.io/revision-history";
pub(super) const DESIRED: &str = "deployment.kubernetes.io/desired-replicas";
pub(super) const MAX: &str = "deployment.kubernetes.io/max-replicas";
/// The annotations that are not copied from a Deployment to its `ReplicaSet`.
const OWN: [&str; 6] = [
    "kubectl.kubernetes.io/last-applied-configuration",
    REVISION,
    HISTORY,
    DESIRED,
    MAX,
    "deprecated.deployment.rollback.to",
];
const HASH: &str = "pod-template-hash";

/// All of a Deployment.
pub(super) struct Sets {
    /// That of the template.
    pub(super) new: Option<Arc<Value>>,
    pub(super) old: Vec<Arc<Value>>,
}

impl Sets {
    pub(super) fn all(&self) -> impl Iterator<Item = &Arc<Value>> {
        self.old.iter().chain(&self.new)
    }

    pub(super) fn all_mut(&mut self) -> impl Iterator<Item = &mut Arc<Value>> {
        self.old.iter_mut().chain(&mut self.new)
    }

    /// Those that are asked for replicas.
    pub(super) fn active(&self) -> Vec<Arc<Value>> {
        let active = self.all().filter(|set| replicas(set) > 0);
        active.cloned().collect()
    }
}

/// Returns the number of the revision; 0 where there is none.
pub(crate) fn revision(object: &Value) -> i64 {
    let text = annotation(object, REVISION);
    text.and_then(|text| text.parse().ok()).unwrap_or(0)
}

/// Whether two templates are the same but for the label that tells `ReplicaSet`s apart.
pub(crate) fn same_template(one: &Value, other: &Value) -> bool {
    fn metadata(template: &Value) -> impl Iterator<Item = (&String, &Value)> {
        let fields = template["metadata"].as_object().into_iter().flatten();
        fields.filter(|(field, _)| *field != "labels")
    }
    fn labels(template: &Value) -> impl Iterator<Item = (&String, &Value)> {
        let labels = template["metadata"]["labels"].as_object();
        let labels = labels.into_iter().flatten();
        labels.filter(|(label, _)| *label != HASH)
    }
    // What differs most often comes first.
    metadata(one).eq(metadata(other))
        && labels(one).eq(labels(other))
        && one["spec"] == other["spec"]
}

/// Returns a set's template without the label that tells `ReplicaSet`s apart.
pub(crate) fn template_of(set: &Value) -> Value {
    let mut template = set["spec"]["template"].clone();
    if let Some(labels) = template["metadata"]["labels"].as_object_mut() {
        labels.remove(HASH);
    }
    template
}

/// Whether an annotation is copied.
pub(crate) fn is_copied(annotation: &str) -> bool {
    !OWN.contains(&annotation)
}

/// Returns the annotations that the set of the template is to have; `None` where it has them.
fn annotated(rollout: &Rollout<'_>, set: &Value, number: i64) -> Option<Map<String, Value>> {
    let mut all = annotations(set);
    let mut changes = false;
    let copied = rollout.deployment["metadata"]["annotations"].as_object();
    for (name, value) in copied.into_iter().flatten() {
        if is_copied(name) && all.get(name) != Some(value) {
            all.insert(name.clone(), value.clone());
            changes = true;
        }
    }
    let before = all.get(REVISION).and_then(Value::as_str).map(str::to_owned);
    let own = before.as_deref().map_or(Ok(0), str::parse::<i64>);
    match own {
        Ok(own) if own < number => {
            if let Some(before) = before {
                remember(&mut all, &before);
            }
            all.insert(REVISION.to_owned(), json!(number.to_string()));
            changes = true;
        }
        Ok(_) => {}
        Err(_) => changes = false,
    }
    changes.then_some(all)
}

fn remember(annotations: &mut Map<String, Value>, revision: &str) {
    let before = annotations.get(HISTORY).and_then(Value::as_str);
    let history = match before {
        None | Some("") => revision.to_owned(),
        Some(before) => format!("{before},{revision}"),
    };
    annotations.insert(HISTORY.to_owned(), json!(history));
}

impl Rollout<'_> {
    /// Tells the sets apart, and brings the revision up to date. `make`: makes the one of the template where it is
    /// missing.
    pub(super) async fn sets(
        &mut self,
        mut all: Vec<Arc<Value>>,
        make: bool,
    ) -> Result<Sets, Refusal> {
        oldest_first(&mut all);
        let template = &self.deployment["spec"]["template"];
        let new = all
            .iter()
            .position(|set| same_template(&set["spec"]["template"], template));
        let new = new.map(|at| all.remove(at));
        let newest = all.iter().map(|set| revision(set)).max().unwrap_or(0);
        let new = match new {
            Some(set) => Some(self.keep(set, newest + 1).await?),
            None if make => Some(self.make(&all, newest + 1).await?),
            None => None,
        };
        Ok(Sets { new, old: all })
    }

    /// Brings the set of the template, and what the Deployment says of it, up to date.
    async fn keep(&mut self, set: Arc<Value>, number: i64) -> Result<Arc<Value>, Refusal> {
        let annotated = annotated(self, &set, number);
        let seconds = |object: &Value| self::number(object, "/spec/minReadySeconds");
        let wanted = seconds(&self.deployment);
        if annotated.is_some() || seconds(&set) != wanted {
            let mut changed = Value::clone(&set);
            if let Some(annotated) = annotated {
                changed["metadata"]["annotations"] = Value::Object(annotated);
            }
            if seconds(&set) != wanted {
                changed["spec"]["minReadySeconds"] = json!(wanted);
            }
            return self.access.update(Kind::ReplicaSet, changed).await;
        }
        let mut writes = self.note_revision(annotation(&set, REVISION).unwrap_or_default());
        if self.has_deadline() && condition(&self.deployment, status::PROGRESSING).is_none() {
            let message = format!("Found new replica set \"{}\"", name(&set));
            self.progressing("True", "FoundNewReplicaSet", &message);
            writes = true;
        }
        if writes {
            self.write_status().await?;
        }
        Ok(set)
    }

    fn progressing(&mut self, status: &str, reason: &str, message: &str) {
        let now = self.access.now();
        let condition = status::new(status::PROGRESSING, status, reason, message, &now);
        status::set(&mut self.changed()["status"], condition);
    }

    /// Returns whether the Deployment said another revision.
    fn note_revision(&mut self, revision: &str) -> bool {
        if annotation(&self.deployment, REVISION) == Some(revision) {
            return false;
        }
        self.changed()["metadata"]["annotations"][REVISION] = json!(revision);
        true
    }

    async fn make(&mut self, old: &[Arc<Value>], number: i64) -> Result<Arc<Value>, Refusal> {
        let set = self.new_set(old, number);
        let namespace = namespace(&self.deployment).to_owned();
        let created = self
            .access
            .create(Kind::ReplicaSet, &namespace, set.clone());
        let (set, is_new) = match created.await {
            Ok(created) => (created, true),
            Err(refusal) if refusal.reason == "AlreadyExists" => {
                (self.existing(&set, refusal).await?, false)
            }
            Err(refusal) if refusal.code == 403 => return Err(refusal),
            Err(refusal) => {
                if self.has_deadline() {
                    let message = format!(
                        "Failed to create new replica set \"{}\": {}",
                        name(&set),
                        refusal.message
                    );
                    self.progressing("False", "ReplicaSetCreateError", &message);
                    drop(self.write_status().await);
                }
                return Err(refusal);
            }
        };
        let mut writes = self.note_revision(&number.to_string());
        if is_new && self.has_deadline() {
            let message = format!("Created new replica set \"{}\"", name(&set));
            self.progressing("True", "NewReplicaSetCreated", &message);
            writes = true;
        }
        if writes {
            self.write_status().await?;
        }
        Ok(set)
    }

    /// Returns the set that has the name already, if it is ours; else the next one gets another name.
    async fn existing(&mut self, set: &Value, refusal: Refusal) -> Result<Arc<Value>, Refusal> {
        let Some(found) = self.access.get(Kind::ReplicaSet, &key(set)) else {
            return Err(refusal);
        };
        let ours = controller_of(&found).is_some_and(|owner| owner["uid"] == uid(&self.deployment))
            && same_template(
                &found["spec"]["template"],
                &self.deployment["spec"]["template"],
            );
        if ours {
            return Ok(found);
        }
        let collisions = number(&self.deployment, "/status/collisionCount");
        self.changed()["status"]["collisionCount"] = json!(collisions + 1);
        drop(self.write_status().await);
        Err(refusal)
    }

    fn new_set(&self, old: &[Arc<Value>], number: i64) -> Value {
        let deployment = &self.deployment;
        let collisions = deployment["status"]["collisionCount"].as_i64();
        let mut template = deployment["spec"]["template"].clone();
        let hash = hash_of(&template, collisions);
        template["metadata"]["labels"][HASH] = json!(hash);
        let mut selector = deployment["spec"]["selector"].clone();
        selector["matchLabels"][HASH] = json!(hash);
        let mut set = json!({
            "metadata": {
                "name": format!("{}-{hash}", name(deployment)), "namespace": namespace(deployment),
                "labels": template["metadata"]["labels"], "ownerReferences": [Kind::Deployment.controls(deployment)],
            },
            "spec": { "replicas": grown(deployment, asked(old), 0), "selector": selector, "template": template },
        });
        if let Some(seconds) = deployment["spec"].get("minReadySeconds") {
            set["spec"]["minReadySeconds"] = seconds.clone();
        }
        if let Some(annotated) = annotated(self, &set, number) {
            set["metadata"]["annotations"] = Value::Object(annotated);
        }
        self.note_size(&mut set);
        set
    }

    /// Deletes the oldest sets beyond the history limit.
    pub(super) async fn clean_up(&self, sets: &Sets) -> Result<(), Refusal> {
        let limit = self.deployment["spec"]["revisionHistoryLimit"].as_i64();
        let limit = limit.filter(|limit| *limit != i64::from(i32::MAX));
        let Some(limit) = limit else { return Ok(()) };
        for set in rolling::superfluous(sets, limit) {
            self.access.delete(Kind::ReplicaSet, set).await?;
        }
        Ok(())
    }
}
