//! Other ways in which sources and namespaces end than a user's `kubectl delete`, and that reroll does not delay them.

use std::time::{Duration, Instant};

use k8s_openapi::api::core::v1::Namespace;
use kube::{Api, api::DeleteParams};
use reroll_harness::{Arena, at_once, deployment, eventually, secret};
use serde_json::{Value, json};

/// So many Secrets, and Deployments that use them, in a namespace that ends.
const SECRETS: u32 = 60;
/// How much longer a namespace may take to go than one without reroll: half of what it takes where each of its Secrets
/// waits for a second, one after the other.
const SLACK: Duration = Duration::from_secs(30);
/// How often reroll was asked about a deletion.
const ASKED: &str =
    r#"reroll_admission_requests_total{webhook="sources",operation="DELETE",outcome="allowed"}"#;

async fn filled(arena: &Arena) {
    at_once(0..SECRETS, async |number| {
        let name = format!("w{number}");
        arena.secret(&name, &[("k", "one")]).await;
        arena.create(&deployment(&name, &name, "k")).await;
    })
    .await;
}

/// Deletes the arena's namespace. Returns how long it took to go.
async fn end(arena: &Arena) -> Duration {
    let namespaces = Api::<Namespace>::all(arena.client.clone());
    let began = Instant::now();
    let params = DeleteParams::default();
    namespaces.delete(&arena.namespace, &params).await.unwrap();
    eventually("the namespace is gone", async || {
        let found = namespaces.get_opt(&arena.namespace).await.unwrap();
        found.is_none().then_some(())
    })
    .await;
    began.elapsed()
}

/// Both at the same time, so that both meet the same machine.
async fn end_beside_one_without(arena: &Arena) {
    let free = Arena::new("ends-free").await;
    filled(&free).await;
    let (took, free) = tokio::join!(end(arena), end(&free));
    assert!(took < free + SLACK, "{took:?}, and {free:?} without reroll");
}

#[tokio::test]
async fn a_namespace_goes_while_reroll_is_up() {
    let arena = Arena::new("ends-up").await;
    let reroll = arena.reroll().start().await;
    filled(&arena).await;
    arena.all_adopted("Deployment").await;
    end_beside_one_without(&arena).await;
    assert_eq!(reroll.count(ASKED).await, 0);
    eventually("what is gone is forgotten", async || {
        let left = reroll.count("reroll_workloads_indexed").await
            + reroll.count("reroll_sources_indexed").await
            + reroll.count("reroll_intents_pending").await;
        (left == 0).then_some(())
    })
    .await;
    assert_eq!(reroll.count("reroll_restarts_total").await, 0);
}

#[tokio::test]
async fn a_namespace_goes_while_reroll_is_down_and_still_registered() {
    let arena = Arena::new("ends-down").await;
    let reroll = arena.reroll().start().await;
    filled(&arena).await;
    arena.all_adopted("Deployment").await;
    reroll.kill();
    let left = arena
        .kubectl(&["get", "validatingwebhookconfigurations", &arena.namespace])
        .await;
    left.ok();
    end_beside_one_without(&arena).await;
}

/// A finalizer keeps a deleted Secret until it is taken off: by an update, which is no deletion to the webhook.
#[tokio::test]
async fn a_secret_that_a_finalizer_kept_rolls_once_when_it_is_there_again() {
    let arena = Arena::new("ends-finalizer").await;
    for (way, reroll) in arena.both_ways() {
        let _reroll = reroll.start().await;
        let mut kept = secret(way, &[("k", "one")]);
        kept["metadata"]["finalizers"] = json!(["example.com/keep"]);
        arena.create(&kept).await;
        arena.create(&deployment(way, way, "k")).await;
        arena.adopted("Deployment", way).await;
        let recorder = arena.record().await;
        arena.delete("Secret", way).await;
        let leaving = arena.get("Secret", way).await;
        assert!(leaving.metadata.deletion_timestamp.is_some());
        recorder.settle(&arena).await;
        recorder.expect("Deployment", way, 0);
        let free = json!({ "metadata": { "finalizers": Value::Null } });
        arena.patch("Secret", way, free).await;
        gone(&arena, way).await;
        recorder.settle(&arena).await;
        recorder.expect("Deployment", way, 0);
        arena.secret(way, &[("k", "one")]).await;
        recorder.settle(&arena).await;
        recorder.expect("Deployment", way, 1);
    }
}

async fn gone(arena: &Arena, name: &str) {
    eventually(&format!("Secret {name} is gone"), async || {
        let found = arena.api("Secret").get_opt(name).await.unwrap();
        found.is_none().then_some(())
    })
    .await;
}

/// As cert-manager's Secrets go with their Certificate, where it is told to own them.
#[tokio::test]
async fn a_secret_that_went_with_its_owner_rolls_once_when_it_is_back_with_other_data() {
    let arena = Arena::new("ends-owner").await;
    let _reroll = arena.reroll().start().await;
    arena.config_map("owner", &[]).await;
    let owner = arena.get("ConfigMap", "owner").await;
    let mut made = secret("creds", &[("k", "one")]);
    made["metadata"]["ownerReferences"] = json!([{
        "apiVersion": "v1", "kind": "ConfigMap", "name": "owner", "uid": owner.metadata.uid,
    }]);
    arena.create(&made).await;
    arena.create(&deployment("web", "creds", "k")).await;
    arena.adopted("Deployment", "web").await;
    let recorder = arena.record().await;
    arena.delete("ConfigMap", "owner").await;
    gone(&arena, "creds").await;
    recorder.settle(&arena).await;
    recorder.expect("Deployment", "web", 0);
    arena.secret("creds", &[("k", "two")]).await;
    recorder.settle(&arena).await;
    recorder.expect("Deployment", "web", 1);
}
