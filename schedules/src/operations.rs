//! What people and faults do.

use std::time::Duration;

use k8s_openapi::ByteString;
use kube::api::{DeleteParams, Patch, PatchParams};
use serde_json::{Value, json};
use tokio::time::sleep;

use crate::{
    cluster::{Cluster, api},
    controllers::{REVISION, is_owned, name as named, revision, template_of},
    operation::{Name, Operation, Step},
};

pub(crate) const SECRETS: [&str; 3] = ["a", "b", "c"];
pub(crate) const DEPLOYMENTS: [(&str, &[&str]); 3] = [
    ("one", &["a"]),
    ("two", &["a", "b"]),
    ("three", &["b", "c"]),
];

fn template(name: &str, secrets: &[&str], label: &str) -> Value {
    let from: Vec<_> = secrets
        .iter()
        .map(|name| json!({ "secretRef": { "name": name } }))
        .collect();
    json!({
        "metadata": { "labels": { "app": name, "edition": label } },
        "spec": { "containers": [{ "name": "app", "image": "app", "envFrom": from }] },
    })
}

fn deployment(name: &str, secrets: &[&str]) -> Value {
    json!({
        "apiVersion": "apps/v1", "kind": "Deployment",
        "metadata": { "name": name, "annotations": { "reroll.dev/restart-on": "auto" } },
        "spec": {
            "replicas": 2, "selector": { "matchLabels": { "app": name } }, "template": template(name, secrets, "0"),
        },
    })
}

impl Cluster {
    fn secret(&mut self, name: &str) -> Value {
        self.count += 1;
        let value = ByteString(self.count.to_string().into_bytes());
        json!({ "apiVersion": "v1", "kind": "Secret", "metadata": { "name": name }, "data": { "k": value } })
    }

    pub(crate) async fn create_all(&mut self) {
        for name in SECRETS {
            let secret = self.secret(name);
            self.create("Secret", secret).await;
        }
        for (name, secrets) in DEPLOYMENTS {
            self.create("Deployment", deployment(name, secrets)).await;
        }
    }

    /// Does one thing, and waits.
    pub(crate) async fn operate(&mut self, step: &Step) {
        self.say(|| step.operation.to_string());
        match &step.operation {
            Operation::Update(source) => self.update(source).await,
            Operation::Recreate { source, gap } => self.recreate(source, *gap).await,
            Operation::Label(source) => self.label(source).await,
            Operation::Edit { workload, edition } => self.edit(workload, *edition).await,
            Operation::Undo(workload) => self.undo(workload).await,
            Operation::HangAndUndo { .. } => self.hang_and_undo(&step.operation).await,
            Operation::Hang(hangs) => self.hang(*hangs),
            Operation::Crash { away, updates } => self.crash(*away, updates).await,
            Operation::Lag(lags) => self.lag(*lags),
            Operation::Reach(reached) => self.reach(*reached),
            Operation::Compact => self.server.compact(),
        }
        sleep(step.wait).await;
    }

    async fn patch(&self, kind: &str, name: &str, patch: Value) {
        let (params, patch) = (PatchParams::default(), Patch::Merge(patch));
        api(&self.client, kind)
            .patch(name, &params, &patch)
            .await
            .unwrap();
    }

    async fn update(&mut self, name: &str) {
        let data = self.secret(name)["data"].clone();
        self.say(|| format!("Secret {name}: {data}"));
        self.ledger.changed(name);
        self.patch("Secret", name, json!({ "data": data })).await;
    }

    async fn recreate(&mut self, name: &str, gap: Duration) {
        let secret = self.secret(name);
        self.ledger.changed(name);
        api(&self.client, "Secret")
            .delete(name, &DeleteParams::default())
            .await
            .unwrap();
        sleep(gap).await;
        self.create("Secret", secret).await;
    }

    async fn label(&mut self, name: &str) {
        self.count += 1;
        let label = self.count.to_string();
        self.patch(
            "Secret",
            name,
            json!({ "metadata": { "labels": { "l": label } } }),
        )
        .await;
    }

    async fn edit(&mut self, name: &str, edition: u8) {
        let template = template(name, uses(name), &edition.to_string());
        self.patch(
            "Deployment",
            name,
            json!({ "spec": { "template": template } }),
        )
        .await;
    }

    /// As `kubectl rollout undo` does it.
    async fn undo(&mut self, name: &str) {
        let all = self.server.objects("deployments.apps");
        let deployment = all.iter().find(|one| named(one) == name).unwrap();
        let mut sets = self.server.objects("replicasets.apps");
        sets.retain(|set| is_owned(set, deployment));
        sets.sort_by_key(|set| revision(set));
        let Some(before) = sets.iter().rev().nth(1) else {
            return;
        };
        self.say(|| format!("back to revision {}", revision(before)));
        if !self.reached {
            // reroll cannot tell then which pods are new, and restarts once more.
            self.ledger.undone(name);
        }
        let mut annotations = before["metadata"]["annotations"].clone();
        annotations[REVISION] = deployment["metadata"]["annotations"][REVISION].clone();
        let patch: json_patch::Patch = serde_json::from_value(json!([
            { "op": "replace", "path": "/spec/template", "value": template_of(before) },
            { "op": "replace", "path": "/metadata/annotations", "value": annotations },
        ]))
        .unwrap();
        let params = PatchParams::default();
        api(&self.client, "Deployment")
            .patch(name, &params, &Patch::<()>::Json(patch))
            .await
            .unwrap();
    }

    /// A deploy that comes with a change hangs, and is taken back.
    async fn hang_and_undo(&mut self, operation: &Operation) {
        let Operation::HangAndUndo {
            workload,
            edition,
            source,
            first,
            between,
            until,
        } = operation
        else {
            return;
        };
        let hung = self.kubelet.borrow().hangs;
        self.hang(true);
        let uses = uses(workload);
        let source = uses[source % uses.len()];
        if *first {
            self.update(source).await;
            sleep(*between).await;
            self.edit(workload, *edition).await;
        } else {
            self.edit(workload, *edition).await;
            sleep(*between).await;
            self.update(source).await;
        }
        sleep(*until).await;
        self.undo(workload).await;
        self.hang(hung);
    }

    fn hang(&mut self, hangs: bool) {
        self.kubelet.borrow_mut().hangs = hangs;
    }

    async fn crash(&mut self, away: Duration, updates: &[Name]) {
        self.kill_reroll();
        for source in updates {
            self.update(source).await;
        }
        sleep(away).await;
        self.reached = true;
        self.start_reroll();
    }

    fn lag(&mut self, lags: bool) {
        if lags {
            self.view.fall_behind();
        } else {
            self.view.keep_up();
        }
    }

    fn reach(&mut self, reached: bool) {
        self.reached = reached;
        if reached {
            self.bring_webhook_back();
        } else {
            self.take_webhook_away();
        }
    }

    pub(crate) async fn come_to_rest(&mut self) {
        self.say(|| "people and faults stop".to_owned());
        self.hang(false);
        self.lag(false);
        self.reach(true);
        self.rest(Duration::from_mins(5)).await;
    }
}

fn uses(workload: &str) -> &'static [&'static str] {
    let found = DEPLOYMENTS.iter().find(|(name, _)| *name == workload);
    found.map_or(&[], |(_, uses)| uses)
}
