//! What reroll may not list: it is not ready, it says so, and the rest goes on.

use reroll_harness::{
    Arena, Reroll, deployment, eventually,
    proxy::{Answer, Fault, FaultProxy, Matcher, Rule},
};

/// A rule by which reroll may not list or watch these.
fn refused(plural: &'static str) -> Rule {
    let lists = Matcher::any()
        .method("GET")
        .when(move |request| request.path.ends_with(&format!("/{plural}")));
    Rule::new(lists, Fault::Answer(Answer::status(403, "Forbidden", "no")))
}

async fn is_ready(reroll: &mut Reroll) {
    reroll.ready().await;
    assert_eq!(reroll.http("/readyz").await, Some((200, "ok\n".to_owned())));
}

#[tokio::test]
async fn a_kind_that_may_not_be_listed_keeps_it_unready_until_it_may() {
    let arena = Arena::new("blind-kind").await;
    let proxy = FaultProxy::start(arena.cluster.kubeconfig()).await.unwrap();
    let rule = proxy.add(refused("statefulsets"));
    let mut reroll = arena.reroll().kubeconfig(proxy.kubeconfig()).spawn().await;
    let told = "list of statefulsets: give reroll's ServiceAccount list and watch on them\n";
    eventually("only that kind is not ready", async || {
        (reroll.http("/readyz").await? == (503, told.to_owned())).then_some(())
    })
    .await;
    let up = |plural| format!("reroll_watch_up{{resource=\"{plural}\"}}");
    assert_eq!(reroll.count(&up("statefulsets")).await, 0);
    for plural in ["secrets", "configmaps", "deployments", "namespaces"] {
        assert_eq!(reroll.count(&up(plural)).await, 1, "{plural}");
    }
    // The rest goes on.
    arena.secret("db", &[("k", "one")]).await;
    arena.create(&deployment("web", "db", "k")).await;
    arena.adopted("Deployment", "web").await;
    let recorder = arena.record().await;
    arena.update_secret("db", &[("k", "two")]).await;
    recorder.reaches("Deployment", "web", 1).await;
    proxy.remove(rule);
    is_ready(&mut reroll).await;
    assert_eq!(reroll.count(&up("statefulsets")).await, 1);
    recorder.settle(&arena).await;
    recorder.expect("Deployment", "web", 1);
}

#[tokio::test]
async fn namespaces_that_a_role_cannot_grant_keep_nobody_unready() {
    let arena = Arena::new("blind-namespaces").await;
    let proxy = FaultProxy::start(arena.cluster.kubeconfig()).await.unwrap();
    proxy.add(refused("namespaces"));
    let mut reroll = arena.reroll().kubeconfig(proxy.kubeconfig()).spawn().await;
    is_ready(&mut reroll).await;
    let up = r#"reroll_watch_up{resource="namespaces"}"#;
    assert_eq!(reroll.count(up).await, 0);
}
