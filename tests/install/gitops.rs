//! The chart itself, applied by Argo CD's and Flux's libraries five times: nothing of reroll rolls, no authority is lost,
//! and nobody finds drift.

use std::collections::BTreeMap;

use k8s_openapi::api::{
    admissionregistration::v1::{MutatingWebhookConfiguration, ValidatingWebhookConfiguration},
    apps::v1::Deployment,
};
use kube::{
    Api,
    api::{Patch, PatchParams},
};
use reroll_harness::{
    Arena, eventually,
    gitops::{GitOps, Way},
};
use serde_json::{Value, json};

use crate::{modes::in_namespace, release::Release};

/// What a sync must not change: the template of reroll, and its webhooks.
#[derive(Debug, PartialEq)]
struct Kept {
    template: Value,
    generation: Option<i64>,
    webhooks: BTreeMap<String, Value>,
}

impl Kept {
    async fn now(release: &Release) -> Self {
        let arena = &release.arena;
        let deployments: Api<Deployment> =
            Api::namespaced(arena.client.clone(), &arena.own_namespace);
        let deployment = deployments.get(&release.name).await.unwrap();
        let mutating = Api::<MutatingWebhookConfiguration>::all(arena.client.clone());
        let validating = Api::<ValidatingWebhookConfiguration>::all(arena.client.clone());
        let mutating = mutating.get(&release.name).await.unwrap();
        let validating = validating.get(&release.name).await.unwrap();
        Self {
            generation: deployment.metadata.generation,
            template: json!(deployment.spec.unwrap().template),
            webhooks: [
                ("mutating".to_owned(), json!(mutating.webhooks)),
                ("validating".to_owned(), json!(validating.webhooks)),
            ]
            .into(),
        }
    }

    /// Whether each webhook has an authority.
    fn authorized(&self) -> bool {
        let mut all = self
            .webhooks
            .values()
            .flat_map(|list| list.as_array().unwrap());
        all.all(|webhook| webhook["clientConfig"]["caBundle"].is_string())
    }
}

/// Somebody else changes what the chart has.
async fn plant(release: &Release) {
    let line = json!({ "op": "replace", "path": "/webhooks/0/timeoutSeconds", "value": 9 });
    let patch = Patch::<()>::Json(serde_json::from_value(json!([line])).unwrap());
    let params = PatchParams::default();
    Api::<ValidatingWebhookConfiguration>::all(release.arena.client.clone())
        .patch(&release.name, &params, &patch)
        .await
        .unwrap();
}

async fn five_syncs(name: &str, mode: &str, engine: &'static str, flags: &[&str]) {
    let arena = Arena::new(&format!("gitops-{name}")).await;
    let mut values = in_namespace(&arena);
    values["certificates"] = json!({ "mode": mode });
    let release = Release::new(arena, None, &values).await;
    let mut git = GitOps::new(&release.arena, engine);
    git.namespace.clone_from(&release.arena.own_namespace);
    let rendered = release.rendered(&json!({})).await;
    // Argo CD leaves tests of a chart out by itself; who renders it for Flux says `--skip-tests`.
    let documents = rendered.split("\n---\n");
    let wanted: Vec<_> = documents
        .filter(|document| engine == "argo" || !document.contains("helm.sh/hook: test"))
        .collect();
    git.commit_text(&wanted.join("\n---\n"));
    let flags = [flags, &["--prune"]].concat();
    git.sync(&flags).await;
    release.rolled_out().await;
    release.app("app").await;
    release.annotate("app").await;
    release.asked("app").await;
    let kept = eventually("each webhook has an authority", async || {
        let now = Kept::now(&release).await;
        now.authorized().then_some(now)
    })
    .await;
    let recorder = release.arena.record().await;

    let client = !flags.contains(&"--server-side");
    let ways = Way::ALL.into_iter().filter(|way| way.engine == engine);
    let ways: Vec<Way> = ways
        .filter(|way| client || way.mode != "three-way")
        .collect();
    for round in 0..5 {
        for way in &ways {
            let found = git.drift(*way).await;
            assert_eq!(found, [], "round {round}, {way:?}");
        }
        git.sync(&flags).await;
        assert_eq!(Kept::now(&release).await, kept, "round {round}");
    }
    release.recreate("app").await;
    recorder.reaches("Deployment", "app", 1).await;
    for way in &ways {
        assert_eq!(git.drift(*way).await, [], "{way:?}");
    }
    plant(&release).await;
    for way in &ways {
        let found = git.drift(*way).await;
        assert_eq!(found.len(), 1, "{way:?}: {found:?}");
        let object = format!("ValidatingWebhookConfiguration/{}", release.name);
        assert_eq!(found[0].object, object, "{way:?}");
        let planted = "/webhooks/0/timeoutSeconds".to_owned();
        assert!(found[0].drift.contains(&planted), "{way:?}: {found:?}");
    }
    git.sync(&flags).await;
    let now = Kept::now(&release).await;
    assert_eq!(now, kept);
    release.expect(&recorder, "app", 1).await;
}

#[tokio::test]
async fn argo_by_the_client() {
    five_syncs("chart-client", "certManager", "argo", &[]).await;
}

#[tokio::test]
async fn argo_by_the_client_with_its_own_certificates() {
    five_syncs("chart-client-own", "selfManaged", "argo", &[]).await;
}

#[tokio::test]
async fn argo_by_the_server() {
    five_syncs("chart-server", "selfManaged", "argo", &["--server-side"]).await;
}

#[tokio::test]
async fn flux() {
    five_syncs("chart-flux", "certManager", "flux", &[]).await;
}

#[tokio::test]
async fn flux_with_its_own_certificates() {
    five_syncs("chart-flux-own", "selfManaged", "flux", &[]).await;
}

async fn generation(release: &Release) -> i64 {
    let all = Api::<MutatingWebhookConfiguration>::all(release.arena.client.clone());
    let now = all.get(&release.name).await.unwrap();
    now.metadata.generation.unwrap()
}

/// `Replace=true` takes away what reroll, or cainjector, wrote into the webhooks; it is written again.
#[tokio::test]
async fn argo_replaces_the_authority() {
    let arena = Arena::new("gitops-chart-replace").await;
    let mut values = in_namespace(&arena);
    values["certificates"] = json!({ "mode": "selfManaged" });
    let release = Release::new(arena, None, &values).await;
    let mut git = GitOps::new(&release.arena, "argo");
    git.namespace.clone_from(&release.arena.own_namespace);
    git.commit_text(&release.rendered(&json!({})).await);
    git.sync(&[]).await;
    release.rolled_out().await;
    release.app("app").await;
    release.annotate("app").await;
    release.asked("app").await;
    let kept = Kept::now(&release).await;
    assert!(kept.authorized());
    for _ in 0..2 {
        let before = generation(&release).await;
        git.sync(&["--replace"]).await;
        eventually("each webhook has its authority again", async || {
            let now = Kept::now(&release).await;
            (now.webhooks == kept.webhooks).then_some(())
        })
        .await;
        // One write takes it, another one brings it back.
        assert!(generation(&release).await >= before + 2);
        let now = Kept::now(&release).await;
        assert_eq!(now.template, kept.template);
        release.asked("app").await;
    }
    let recorder = release.arena.record().await;
    release.recreate("app").await;
    recorder.reaches("Deployment", "app", 1).await;
    release.expect(&recorder, "app", 1).await;
}
