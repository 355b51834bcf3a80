//! The API server goes away, comes back, and forgets.

use crate::support::{Arena, deployment};

#[tokio::test]
async fn an_api_server_that_was_killed_costs_nothing() {
    let arena = Arena::on_own_cluster("outage").await;
    let _reroll = arena.reroll().start().await;
    arena.secret("creds", &[("k", "one")]).await;
    arena.create(&deployment("web", "creds", "k")).await;
    arena.adopted("Deployment", "web").await;
    let recorder = arena.record().await;
    let cluster = arena.cluster;
    cluster.kill_component("kube-apiserver").unwrap();
    tokio::task::spawn_blocking(|| cluster.start_components().unwrap())
        .await
        .unwrap();
    arena.recreate_secret("creds", &[("k", "one")]).await;
    recorder.settle(&arena).await;
    recorder.expect("Deployment", "web", 1);
}
