//! Defects of Stakater Reloader that no other file tests. docs/reloader.md lists all.

use reroll_harness::{
    Arena, RESTART_ON, RESTARTED_FOR, deployment, env_optional, eventually,
    proxy::{Fault, FaultProxy, Matcher, Rule},
    workload,
};
use serde_json::{Value, json};

const AUTO: (&str, &str) = ("reloader.stakater.com/auto", "true");

fn starts_without(secret: &str) -> Value {
    workload(
        "Deployment",
        "web",
        &[(RESTART_ON, "auto")],
        env_optional(secret, "k"),
    )
}

/// With one kind ignored it never notices that one of the other was created or deleted.
#[tokio::test]
async fn with_one_kind_ignored_the_other_still_counts_in_full() {
    let arena = Arena::new("defects-ignored").await;
    let reroll = arena.reroll().flag("--resources-to-ignore", "configmaps");
    let reroll = reroll.flag("--on-delete", "restart");
    let _reroll = reroll.start().await;
    arena.secret("creds", &[("k", "one")]).await;
    arena.create(&starts_without("creds")).await;
    arena.adopted("Deployment", "web").await;
    let recorder = arena.record().await;
    arena.delete("Secret", "creds").await;
    recorder.settle(&arena).await;
    recorder.expect("Deployment", "web", 1);
    arena.secret("creds", &[("k", "two")]).await;
    recorder.settle(&arena).await;
    recorder.expect("Deployment", "web", 2);
    arena.update_secret("creds", &[("k", "three")]).await;
    recorder.settle(&arena).await;
    recorder.expect("Deployment", "web", 3);
}

/// A deletion that no watch showed restarts nothing there, and prints the data of the Secret.
#[tokio::test]
async fn a_deletion_that_no_watch_showed_counts_and_prints_nothing() {
    let arena = Arena::new("defects-unseen").await;
    let proxy = FaultProxy::start(arena.cluster.kubeconfig()).await.unwrap();
    let reroll = arena
        .reroll()
        .kubeconfig(proxy.kubeconfig())
        .without_webhook();
    let reroll = reroll.flag("--on-delete", "restart").flag("--log", "trace");
    let reroll = reroll.start().await;
    arena.secret("creds", &[("k", "neverprinted")]).await;
    arena.create(&starts_without("creds")).await;
    arena.adopted("Deployment", "web").await;
    let recorder = arena.record().await;
    let watches = Matcher::any().path_contains("/secrets");
    let outage = proxy.add(Rule::new(watches, Fault::Cut));
    arena.delete("Secret", "creds").await;
    eventually("a watch has failed", async || {
        reroll.log().contains("a watch failed").then_some(())
    })
    .await;
    proxy.remove(outage);
    recorder.settle(&arena).await;
    recorder.expect("Deployment", "web", 1);
    let log = reroll.log();
    for data in ["neverprinted", "bmV2ZXJwcmludGVk"] {
        assert!(!log.contains(data), "the log shows data");
    }
}

/// Names that are the same once they are variables, a Secret of which the second volume is mounted, and those that only a
/// name asks for. One that no container mounts is no business of its pods.
#[tokio::test]
async fn sources_that_it_mixes_up_or_does_not_see() {
    let arena = Arena::new("defects-names").await;
    let _reroll = arena.reroll().start().await;
    for name in ["a-b", "a.b", "twice", "unmounted", "pull", "plugin"] {
        arena.secret(name, &[("k", "one")]).await;
    }
    let from = |name: &str| json!({ "secretRef": { "name": name } });
    let volume =
        |name: &str, secret: &str| json!({ "name": name, "secret": { "secretName": secret } });
    let plugin = json!({ "name": "p", "csi": { "driver": "example.com", "nodePublishSecretRef": { "name": "plugin" } } });
    let pod = json!({
        "imagePullSecrets": [{ "name": "pull" }],
        "containers": [{
            "envFrom": [from("a-b"), from("a.b")],
            "volumeMounts": [{ "name": "second", "mountPath": "/v" }],
        }],
        "volumes": [volume("first", "twice"), volume("second", "twice"), volume("idle", "unmounted"), plugin],
    });
    let named = ("secret.reloader.stakater.com/reload", "pull,plugin");
    let web = workload("Deployment", "web", &[AUTO, named], pod);
    arena.create(&web).await;
    arena.adopted("Deployment", "web").await;
    let recorder = arena.record().await;
    let mut rollouts = 0;
    for name in ["a-b", "a.b", "twice", "unmounted", "pull", "plugin"] {
        arena.update_secret(name, &[("k", "two")]).await;
        recorder.settle(&arena).await;
        rollouts += usize::from(name != "unmounted");
        recorder.expect("Deployment", "web", rollouts);
    }
}

/// It writes variables into containers, and takes them out by their place in the list.
#[tokio::test]
async fn a_restart_changes_nothing_but_its_mark() {
    let arena = Arena::new("defects-mark").await;
    let _reroll = arena.reroll().start().await;
    arena.secret("creds", &[("k", "one")]).await;
    let on_delete = ("reroll.dev/on-delete", "restart");
    let variable = |name: &str| json!({ "name": name, "value": "v" });
    let pod = json!({ "containers": [{
        "env": [variable("A"), variable("STAKATER_CREDS_SECRET"), variable("B")],
        "envFrom": [{ "secretRef": { "name": "creds", "optional": true } }],
    }] });
    let web = workload("Deployment", "web", &[AUTO, on_delete], pod);
    arena.create(&web).await;
    arena.adopted("Deployment", "web").await;
    let recorder = arena.record().await;
    let template = async || {
        let mut object = arena.get("Deployment", "web").await;
        let annotations = &mut object.data["spec"]["template"]["metadata"]["annotations"];
        if let Some(annotations) = annotations.as_object_mut() {
            annotations.remove(RESTARTED_FOR);
            assert_eq!(Value::Object(annotations.clone()), json!({}));
        }
        object.data["spec"]["template"]["spec"].clone()
    };
    let before = template().await;
    arena.update_secret("creds", &[("k", "two")]).await;
    recorder.settle(&arena).await;
    arena.delete("Secret", "creds").await;
    recorder.settle(&arena).await;
    recorder.expect("Deployment", "web", 2);
    assert_eq!(template().await, before);
}

/// Its profiler is open to whoever reaches the port.
#[tokio::test]
async fn no_profiler_is_served() {
    let arena = Arena::new("defects-pprof").await;
    let reroll = arena.reroll().start().await;
    for path in ["/debug/pprof/", "/debug/pprof/heap", "/debug/pprof/cmdline"] {
        let (status, _) = reroll.http(path).await.unwrap();
        assert_eq!(status, 404, "{path}");
    }
}

/// It asked for rights in the whole cluster to work in some namespaces.
#[tokio::test]
async fn roles_in_its_namespaces_are_enough() {
    let arena = Arena::new("defects-roles").await;
    let rule = |group: &str, resources: &[&str], verbs: &[&str]| json!({ "apiGroups": [group], "resources": resources, "verbs": verbs });
    let read = ["get", "list", "watch"];
    let there = json!([
        rule("", &["secrets", "configmaps"], &read),
        rule(
            "apps",
            &["deployments", "statefulsets", "daemonsets"],
            &["get", "list", "watch", "patch"]
        ),
        rule("apps", &["replicasets", "controllerrevisions"], &["list"]),
        rule("", &["pods"], &["list"]),
        rule("events.k8s.io", &["events"], &["create", "patch"]),
    ]);
    let here = json!([
        rule("", &["secrets"], &["get", "create"]),
        rule(
            "coordination.k8s.io",
            &["leases"],
            &["get", "list", "watch", "create", "update"]
        ),
    ]);
    let roles = [
        (arena.namespace.as_str(), there),
        (arena.own_namespace.as_str(), here),
    ];
    let kubeconfig = arena.service_account("reroll", &roles).await;
    let reroll = arena.reroll().kubeconfig(kubeconfig).without_webhook();
    let reroll = reroll.start().await;
    arena.secret("creds", &[("k", "one")]).await;
    arena.create(&deployment("web", "creds", "k")).await;
    arena.adopted("Deployment", "web").await;
    let recorder = arena.record().await;
    arena.recreate_secret("creds", &[("k", "one")]).await;
    recorder.settle(&arena).await;
    recorder.expect("Deployment", "web", 1);
    arena.event("web", "Restarted").await;
    // What it may not do costs it the labels of namespaces, and is said.
    eventually("it says so", async || {
        reroll
            .log()
            .contains("labels of namespaces count for nothing")
            .then_some(())
    })
    .await;
}
