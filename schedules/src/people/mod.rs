//! What people do, as they do it: by requests to the API server.

mod sources;
mod undo;
mod workloads;

use std::{collections::BTreeMap, iter, sync::Arc, time::Duration};

use k8s_openapi::{
    ByteString,
    api::core::v1::{Namespace, Secret},
};
use kube::{
    Api,
    api::{DeleteParams, DynamicObject, Patch, PatchParams, PostParams, PropagationPolicy},
};
use serde_json::{Value, json};
use tokio::time::{Instant, sleep};

use crate::{
    cluster::{Cluster, api},
    operation::{Hang, OnWorkload, Operation, Step, Window},
    world::{NAMESPACE, WORKLOADS, kind_of, plan},
};

/// How long nothing is written when everything is done: longer than reroll waits with what it tries again.
const QUIET: Duration = Duration::from_secs(90);
/// How long a person waits until an object is gone.
const PATIENCE: Duration = Duration::from_mins(5);
/// How often a person tries again what met somebody else's write.
const TRIES: usize = 10;

/// The Secret of the digest key.
const DIGEST_KEY: &str = "reroll-digest-key";

/// What people remember.
#[derive(Default)]
pub(crate) struct Memory {
    /// Counts what is written, so that no value comes twice.
    count: u64,
    /// The copies of workloads that somebody keeps.
    exports: BTreeMap<String, Value>,
    /// The first `observed` that each workload had.
    observed: BTreeMap<String, Value>,
    /// The workloads whose `observed` people took away or overwrote, when, and what is there now: reroll has not written it again.
    pub(crate) vanished: BTreeMap<&'static str, (Instant, Value)>,
    backup: Option<reroll_simulation::api_server::Snapshot>,
    /// When etcd was restored without another revision, so that watches may go on.
    pub(crate) unbumped: Vec<Instant>,
}

impl Cluster {
    /// Does one thing, and waits.
    pub(crate) async fn operate(&mut self, step: &Step) {
        self.say(|| step.operation.to_string());
        match &step.operation {
            Operation::Source(name, what) => self.on_source(name, what).await,
            Operation::Workload(name, what) => self.on_workload(name, what).await,
            Operation::HangAndUndo(hang) => self.hang_and_undo(hang).await,
            Operation::Hang(true) => self.hang(true),
            Operation::Hang(false) => self.unhang().await,
            Operation::Fault(fault) => {
                self.note();
                self.observer.is_disturbed();
                self.fail(fault).await;
            }
            Operation::Rest => {
                self.heal().await;
                self.open_windows().await;
                self.mend();
                self.unhang().await;
                self.rest(QUIET).await;
                self.reroll.expect_new_key();
                self.note();
                let calm = !self.spares();
                self.observer.rested(calm);
                self.look_at_pods();
            }
            Operation::RemakeNamespace(gap) => self.remake_namespace(*gap).await,
            Operation::RotateKey => self.rotate_key().await,
            Operation::BackUp => self.back_up(),
            Operation::Restore { bump } => self.restore(*bump),
            Operation::BackUpAndRestore {
                source,
                until,
                bump,
            } => {
                self.back_up();
                self.update(source).await;
                sleep(*until).await;
                self.restore(*bump);
            }
        }
        sleep(step.wait).await;
        self.note();
    }

    /// Creates the sources and workloads that there are in the beginning.
    pub(crate) async fn create_all(&mut self) {
        for name in crate::world::SOURCES {
            self.make_source(name, &json!({}), None).await;
        }
        for placed in self.workloads.clone() {
            let annotations = workloads::annotations(&placed);
            let manifest = plan(placed.name).manifest(placed.edition, &annotations);
            self.create(plan(placed.name).kind, manifest).await;
        }
    }

    /// Creates a namespace.
    pub(crate) async fn create_namespace(&mut self, name: &str) {
        let labels = json!({ "kubernetes.io/metadata.name": name });
        let object = json!({ "metadata": { "name": name, "labels": labels } });
        let object = serde_json::from_value(object).unwrap();
        let namespaces = Api::<Namespace>::all(self.client.clone());
        if let Err(error) = namespaces.create(&PostParams::default(), &object).await {
            self.wrong(format!("a person cannot create Namespace {name}: {error}"));
        }
    }

    /// Deletes the namespace with all that is in it, and makes it again from Git.
    async fn remake_namespace(&mut self, gap: Duration) {
        let namespaces = Api::<Namespace>::all(self.client.clone());
        let deleted = namespaces.delete(NAMESPACE, &DeleteParams::default()).await;
        if let Err(error) = deleted {
            return self.wrong(format!("a person cannot delete the Namespace: {error}"));
        }
        let is_own = |object: &Arc<Value>| object["metadata"]["name"] == NAMESPACE;
        let is_there = |people: &Self| people.server.objects("namespaces").iter().any(is_own);
        if !self.waits_until_gone(is_there).await {
            return self.wrong("the Namespace does not go".to_owned());
        }
        sleep(gap).await;
        self.note();
        for placed in &self.workloads {
            self.observer.is_made_anew(placed.name);
        }
        self.create_namespace(NAMESPACE).await;
        self.create_all().await;
    }

    /// Rotates the digest key as the docs say: the new one and the one before, in one write. Processes end for that, and are
    /// started again.
    async fn rotate_key(&mut self) {
        self.note();
        self.observer.is_disturbed();
        let secrets = Api::<Secret>::namespaced(self.client.clone(), "reroll");
        let Ok(mut secret) = secrets.get(DIGEST_KEY).await else {
            return self.wrong("there is no digest key".to_owned());
        };
        let new: Vec<u8> = iter::repeat_with(|| self.rng.u8(..)).take(32).collect();
        let data = secret.data.get_or_insert_default();
        if let Some(old) = data.insert("key".to_owned(), ByteString(new)) {
            data.insert("old".to_owned(), old);
        }
        self.reroll.rotated.set(Some(Instant::now()));
        let replaced = secrets
            .replace(DIGEST_KEY, &PostParams::default(), &secret)
            .await;
        if let Err(error) = replaced {
            self.wrong(format!("a person cannot rotate the digest key: {error}"));
        }
        // A process that began meanwhile may have read the key before.
        self.reroll.rotated.set(Some(Instant::now()));
    }

    /// A deploy that comes with a change hangs, and is taken back.
    async fn hang_and_undo(&mut self, hang: &Hang) {
        let Some(before) = self.workload(hang.workload) else {
            return;
        };
        let before = before["spec"]["template"].clone();
        let hung = self.fate.hangs;
        self.hang(true);
        if hang.first {
            self.update(hang.source).await;
            sleep(hang.between).await;
            self.edit(hang.workload, hang.edition).await;
        } else {
            self.edit(hang.workload, hang.edition).await;
            sleep(hang.between).await;
            self.update(hang.source).await;
        }
        sleep(hang.until).await;
        if hang.by_manifest {
            self.write_template(hang.workload, before).await;
        } else {
            self.on_workload(hang.workload, &OnWorkload::Undo).await;
        }
        self.hang(hung);
    }

    fn back_up(&mut self) {
        self.note();
        self.observer.backed_up();
        self.memory.backup = Some(self.server.snapshot());
    }

    fn restore(&mut self, bump: bool) {
        let Some(backup) = self.memory.backup.clone().filter(|_| !self.is_rotating()) else {
            return;
        };
        self.note();
        let later = bump.then(|| self.server.revision() + 1_000);
        if self.is_outlived() && !bump {
            self.server.restore_beneath(&backup);
        } else {
            self.server.restore(&backup, later);
        }
        if !bump {
            self.memory.unbumped.push(Instant::now());
        }
        self.observer.begin_anew(&self.server, bump);
    }

    /// Returns how many values there were by now.
    pub(crate) fn numbers(&self) -> u64 {
        self.memory.count
    }

    /// Returns a workload as it is stored.
    pub(crate) fn workload(&self, name: &str) -> Option<Arc<Value>> {
        self.object(plan(name).kind, name)
    }

    /// Returns an object as it is stored.
    pub(crate) fn object(&self, kind: &str, name: &str) -> Option<Arc<Value>> {
        let all = self.server.objects(crate::cluster::resource(kind));
        let mut own = all.into_iter().filter(|one| {
            one["metadata"]["name"] == name && one["metadata"]["namespace"] == NAMESPACE
        });
        own.next()
    }

    pub(crate) async fn create(&mut self, kind: &str, object: Value) {
        let object: DynamicObject = serde_json::from_value(object).unwrap();
        let (api, unanswered) = (api(&self.client, kind), self.server.unanswered_reviews());
        let created = api.create(&PostParams::default(), &object).await;
        self.expect(&format!("create a {kind}"), unanswered, created);
    }

    /// Sends a merge patch.
    pub(crate) async fn merge(&mut self, kind: &str, name: &str, patch: Value) {
        let unanswered = self.server.unanswered_reviews();
        let patched = api(&self.client, kind)
            .patch(name, &PatchParams::default(), &Patch::Merge(patch))
            .await;
        self.expect(&format!("patch {kind} {name}"), unanswered, patched);
    }

    /// Sends a JSON patch.
    pub(crate) async fn patch(&mut self, kind: &str, name: &str, patch: Value) {
        let patch: json_patch::Patch = serde_json::from_value(patch).unwrap();
        let unanswered = self.server.unanswered_reviews();
        let patched = api(&self.client, kind)
            .patch(name, &PatchParams::default(), &Patch::<()>::Json(patch))
            .await;
        self.expect(&format!("patch {kind} {name}"), unanswered, patched);
    }

    /// Changes an object by reading and writing it, as `kubectl replace` does; by its status where `status` is true.
    pub(crate) async fn replace(
        &mut self,
        kind: &str,
        name: &str,
        status: bool,
        change: impl Fn(&Value) -> Value,
    ) {
        for _ in 0..TRIES {
            let Some(live) = self.object(kind, name) else {
                return;
            };
            let mut object = change(&live);
            object["metadata"]["resourceVersion"] = live["metadata"]["resourceVersion"].clone();
            let object: DynamicObject = serde_json::from_value(object).unwrap();
            let (api, params) = (api(&self.client, kind), PostParams::default());
            let unanswered = self.server.unanswered_reviews();
            let written = if status {
                api.replace_status(name, &params, &object).await
            } else {
                api.replace(name, &params, &object).await
            };
            match written {
                Err(kube::Error::Api(refusal)) if refusal.code == 409 => {}
                written => {
                    let what = format!("replace {kind} {name}");
                    return self.expect(&what, unanswered, written);
                }
            }
        }
    }

    pub(crate) async fn delete(&mut self, kind: &str, name: &str, how: PropagationPolicy) {
        let params = DeleteParams {
            propagation_policy: Some(how),
            ..DeleteParams::default()
        };
        let api: Api<DynamicObject> = api(&self.client, kind);
        if let Err(error) = api.delete(name, &params).await
            && kind != "Pod"
        {
            self.wrong(format!("a person cannot delete {kind} {name}: {error}"));
        }
    }

    /// Waits until an object is gone.
    pub(crate) async fn gone(&mut self, kind: &str, name: &str) {
        let is_there = |people: &Self| people.object(kind, name).is_some();
        if !self.waits_until_gone(is_there).await {
            self.wrong(format!("{kind} {name} does not go"));
        }
    }

    /// Returns whether something is gone in time.
    async fn waits_until_gone(&self, is_there: impl Fn(&Self) -> bool) -> bool {
        let end = Instant::now() + PATIENCE;
        while is_there(self) {
            if Instant::now() > end {
                return false;
            }
            sleep(Duration::from_millis(50)).await;
        }
        true
    }

    /// Notes the answer to a write of a person: none fails, for nothing else than reroll could fail it here.
    /// `unanswered` is how many reviews were not answered before.
    fn expect(&mut self, what: &str, unanswered: u64, answer: kube::Result<DynamicObject>) {
        match answer {
            Ok(object) => {
                let revision = object.metadata.resource_version.unwrap_or_default();
                let seen = self.server.unanswered_reviews() == unanswered;
                if let Ok(revision) = revision.parse() {
                    self.observer.person_wrote(revision, seen);
                }
            }
            Err(error) => self.wrong(format!("a person cannot {what}: {error}")),
        }
    }

    /// Says what a person's operation on a source rests on.
    pub(crate) fn source_object(&self, name: &str) -> Option<Arc<Value>> {
        self.object(kind_of(name), name)
    }

    /// Lets pods that start become ready again. Those that hang a person deletes: nobody else does it for a StatefulSet.
    pub(crate) async fn unhang(&mut self) {
        self.hang(false);
        for pod in self.server.objects("pods") {
            let conditions = pod["status"]["conditions"].as_array();
            let mut conditions = conditions.into_iter().flatten();
            let ready = conditions.any(|one| one["type"] == "Ready" && one["status"] == "True");
            let name = pod["metadata"]["name"].as_str().unwrap_or_default();
            if !ready && self.object("Pod", name).is_some() {
                self.delete("Pod", name, PropagationPolicy::Background)
                    .await;
            }
        }
    }

    /// All windows open.
    pub(crate) async fn open_windows(&mut self) {
        for plan in &WORKLOADS {
            if self.is_gated() && self.workload(plan.name).is_some() {
                let open = OnWorkload::Window(Window::None);
                self.on_workload(plan.name, &open).await;
            }
        }
    }

    /// Ends all that people hold up: what is away comes back, and restarts are not suspended.
    pub(crate) async fn let_go(&mut self) {
        self.open_windows().await;
        for name in crate::world::SOURCES {
            self.on_source(name, &crate::operation::OnSource::Create)
                .await;
        }
        for plan in &WORKLOADS {
            if self.workload(plan.name).is_some() {
                for what in [
                    OnWorkload::Fill(false),
                    OnWorkload::Pause(false),
                    OnWorkload::Suspend(false),
                ] {
                    self.on_workload(plan.name, &what).await;
                }
            }
        }
    }
}
