//! What people and faults do.

use std::time::Duration;

use k8s_openapi::ByteString;
use kube::api::{DeleteParams, Patch, PatchParams};
use serde_json::{Value, json};
use tokio::time::sleep;

use crate::{
    cluster::{Cluster, api},
    controllers::{REVISION, is_owned, name as named, revision, template_of},
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

    /// Does one thing, and waits a random time.
    pub(crate) async fn operate(&mut self) {
        let secret = *self.rng.choice(&SECRETS).unwrap();
        let (workload, uses) = *self.rng.choice(&DEPLOYMENTS).unwrap();
        match self.rng.u8(0..100) {
            0..35 => self.update(secret).await,
            35..50 => self.recreate(secret).await,
            50..58 => self.label(secret).await,
            58..68 => self.edit(workload, uses).await,
            68..71 => self.undo(workload).await,
            71..75 => self.hang_and_undo(workload, uses).await,
            75..82 => self.hang(),
            82..88 => self.crash().await,
            88..92 => self.lag(),
            92..96 => self.reach(),
            _ => self.compact(),
        }
        let wait = match self.rng.u8(0..10) {
            0..4 => self.rng.u64(0..400),
            4..8 => self.rng.u64(400..4_000),
            _ => self.rng.u64(4_000..40_000),
        };
        sleep(Duration::from_millis(wait)).await;
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
        self.say(|| format!("Secret {name} is updated: {data}"));
        self.ledger.changed(name);
        self.patch("Secret", name, json!({ "data": data })).await;
    }

    async fn recreate(&mut self, name: &str) {
        let secret = self.secret(name);
        self.say(|| format!("Secret {name} is recreated"));
        self.ledger.changed(name);
        api(&self.client, "Secret")
            .delete(name, &DeleteParams::default())
            .await
            .unwrap();
        let wait = self.rng.u64(0..1500);
        sleep(Duration::from_millis(wait)).await;
        self.create("Secret", secret).await;
    }

    async fn label(&mut self, name: &str) {
        self.say(|| format!("Secret {name} is labelled"));
        self.count += 1;
        let label = self.count.to_string();
        self.patch(
            "Secret",
            name,
            json!({ "metadata": { "labels": { "l": label } } }),
        )
        .await;
    }

    async fn edit(&mut self, name: &str, uses: &[&str]) {
        let edition = self.rng.u8(0..6).to_string();
        self.say(|| format!("Deployment {name} becomes edition {edition}"));
        let template = template(name, uses, &edition);
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
        self.say(|| {
            format!(
                "Deployment {name} is undone to revision {}",
                revision(before)
            )
        });
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
    async fn hang_and_undo(&mut self, name: &str, uses: &[&str]) {
        let hung = self.kubelet.borrow().hangs;
        if !hung {
            self.hang();
        }
        let secret = *self.rng.choice(uses).unwrap();
        let waits = [self.rng.u64(0..1500), self.rng.u64(0..6000)];
        if self.rng.bool() {
            self.update(secret).await;
            sleep(Duration::from_millis(waits[0])).await;
            self.edit(name, uses).await;
        } else {
            self.edit(name, uses).await;
            sleep(Duration::from_millis(waits[0])).await;
            self.update(secret).await;
        }
        sleep(Duration::from_millis(waits[1])).await;
        self.undo(name).await;
        if !hung {
            self.hang();
        }
    }

    /// Pods that start become ready no more, or become ready again.
    fn hang(&mut self) {
        let hangs = {
            let mut kubelet = self.kubelet.borrow_mut();
            kubelet.hangs = !kubelet.hangs;
            kubelet.hangs
        };
        self.say(|| format!("pods hang: {hangs}"));
    }

    async fn crash(&mut self) {
        let away = self.rng.u64(0..20_000);
        self.say(|| format!("reroll is killed, and back after {away} ms"));
        self.kill_reroll();
        for _ in 0..self.rng.u8(0..3) {
            let secret = *self.rng.choice(&SECRETS).unwrap();
            self.update(secret).await;
        }
        sleep(Duration::from_millis(away)).await;
        self.reached = true;
        self.start_reroll();
    }

    /// Watches of reroll's bring nothing new from now on, or bring all.
    fn lag(&mut self) {
        self.lags = !self.lags;
        self.say(|| format!("watches are late: {}", self.lags));
        if self.lags {
            self.view.fall_behind();
        } else {
            self.view.keep_up();
        }
    }

    /// The API server reaches the webhook no more, or again.
    fn reach(&mut self) {
        self.reached = !self.reached;
        self.say(|| format!("the webhook is reached: {}", self.reached));
        if self.reached {
            self.bring_webhook_back();
        } else {
            self.take_webhook_away();
        }
    }

    fn compact(&mut self) {
        self.say(|| "etcd is compacted".to_owned());
        self.server.compact();
    }

    pub(crate) async fn come_to_rest(&mut self) {
        self.kubelet.borrow_mut().hangs = false;
        if self.lags {
            self.lag();
        }
        if !self.reached {
            self.reach();
        }
        self.say(|| "nobody does anything any more".to_owned());
        self.rest(Duration::from_mins(5)).await;
    }
}
