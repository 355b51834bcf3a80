//! What the commands ask the API server, recorded by a proxy: as docs/cli.md lists it, and by pages.

use std::collections::BTreeMap;

use reroll_harness::{
    Arena, each, eventually,
    proxy::{Fault, FaultProxy, Matcher, Rule},
    workload,
};
use serde_json::json;

use super::{Answer, arena, ask_as, ask_until, opted_in, sources, web, web_runs, write_password};

/// Groups that other tests install and remove.
const OF_OTHERS: [&str; 2] = ["/argoproj.io/", "/secrets-store.csi.x-k8s.io/"];

/// Asks through the proxy. Returns the answer, and how often each thing was asked for.
async fn recorded(
    arena: &Arena,
    proxy: &FaultProxy,
    words: &[&str],
) -> (Answer, BTreeMap<String, usize>) {
    let before = proxy.requests().len();
    let answer = ask_as(arena, &proxy.kubeconfig(), words).await;
    let mut asked = BTreeMap::new();
    for line in proxy.requests().into_iter().skip(before) {
        let named = line
            .path
            .replace(&arena.own_namespace, "reroll")
            .replace(&arena.namespace, "shop");
        let tried = if line.query.contains("dryRun=All") {
            " (dry run)"
        } else {
            ""
        };
        if !OF_OTHERS.iter().any(|group| line.path.contains(group)) {
            let words = format!("{} {named}{tried}", line.method);
            *asked.entry(words).or_default() += 1;
        }
    }
    (answer, asked)
}

#[tokio::test]
async fn cli_asks_no_more_than_it_needs() {
    let arena = arena("cli-requests").await;
    let proxy = FaultProxy::start(arena.cluster.kubeconfig()).await.unwrap();
    let reroll = web_runs(&arena).await;
    let folder = tempfile::tempdir().unwrap();
    let manifest = json!({
        "apiVersion": "v1", "kind": "Secret", "metadata": { "name": "db" }, "stringData": { "password": "canary-9" },
    });
    let file = folder.path().join("db.json");
    std::fs::write(&file, manifest.to_string()).unwrap();
    let file = file.to_str().unwrap();
    let commands: [&[&str]; 15] = [
        &["explain", "deploy/web"],
        &["status"],
        &["status", "secret/db"],
        &["wait", "secret/db"],
        &["pods"],
        &["history"],
        &["history", "deploy/web"],
        &["plan", "secret/db"],
        &["plan", "-f", file],
        &["migrate"],
        &["doctor"],
        &["doctor", "--pre"],
        &["suspend", "deploy/web"],
        &["resume", "deploy/web"],
        &["version"],
    ];
    let mut all = Vec::new();
    for words in commands {
        let (answer, asked) = recorded(&arena, &proxy, words).await;
        assert_ne!(answer.code, 1, "{words:?}: {}", answer.err);
        let words = words.join(" ").replace(file, "FILE");
        all.push(words);
        for (request, count) in asked {
            all.push(format!("  {count:>2} {request}"));
        }
    }
    insta::assert_snapshot!("requests", all.join("\n"));
    drop(reroll);
}

/// Five hundred more Deployments are one page more, and what is absent of what they refer to costs one list.
#[tokio::test]
async fn cli_asks_by_pages() {
    let arena = arena("cli-pages").await;
    let proxy = FaultProxy::start(arena.cluster.kubeconfig()).await.unwrap();
    arena.secret("db", &[("k", "1")]).await;
    let user = |number: usize| {
        let says = [("reroll.dev/restart-on", "auto")];
        let name = format!("web-{number:03}");
        let env = reroll_harness::env("db", "k");
        let mut manifest = workload("Deployment", &name, &says, env);
        manifest["spec"]["replicas"] = json!(0);
        let absent = json!({ "name": format!("absent-{number}"), "optional": true });
        manifest["spec"]["template"]["spec"]["containers"][0]["envFrom"] =
            json!([{ "secretRef": absent }]);
        manifest
    };
    arena.create(&user(0)).await;
    let commands: [&[&str]; 3] = [&["status"], &["status", "secret/db"], &["history"]];
    let mut few = Vec::new();
    for words in commands {
        let (answer, asked) = recorded(&arena, &proxy, words).await;
        assert_ne!(answer.code, 1, "{words:?}: {}", answer.err);
        few.push(asked);
    }
    let arena = &arena;
    each(500, 16, async |number| {
        arena.create(&user(number + 1)).await;
    })
    .await;
    eventually("each Deployment has its ReplicaSet", async || {
        let sets = arena
            .kubectl(&["get", "replicasets", "--output", "name"])
            .await
            .ok()
            .out;
        (sets.lines().count() > 500).then_some(())
    })
    .await;
    for (words, mut before) in commands.into_iter().zip(few) {
        let (answer, asked) = recorded(arena, &proxy, words).await;
        assert_ne!(answer.code, 1, "{words:?}: {}", answer.err);
        assert!(
            answer.out.contains("501") || words[0] == "history",
            "{}",
            answer.out
        );
        let secrets = "/api/v1/namespaces/shop/secrets";
        for list in [
            "/apis/apps/v1/namespaces/shop/deployments",
            "/apis/apps/v1/namespaces/shop/replicasets",
            secrets,
        ] {
            if let Some(count) = before.get_mut(&format!("GET {list}")) {
                *count += 1;
            }
        }
        before.remove(&format!("GET {secrets}/absent-0"));
        assert_eq!(asked, before, "{words:?}");
    }
}

/// Whatever `wait` asks, its answer is lost now and then.
#[tokio::test]
async fn cli_waits_though_connections_are_cut() {
    let arena = arena("cli-cut").await;
    let proxy = FaultProxy::start(arena.cluster.kubeconfig()).await.unwrap();
    sources(&arena).await;
    let reroll = arena.reroll().start().await;
    arena.create(&web(&opted_in())).await;
    ask_until(&arena, &["status"], ": 1 up to date.").await;
    let kept = arena.pods("web").await.pop().unwrap();
    let kept = kept.metadata.name.unwrap();
    let finalizer = json!({ "metadata": { "finalizers": ["example.com/kept"] } });
    arena.patch("Pod", &kept, finalizer).await;
    write_password(&arena, "canary-3").await;
    let config = proxy.kubeconfig();
    let words = ["wait", "secret/db", "--timeout", "10m"];
    let waits = ask_as(&arena, &config, &words);
    let cuts = async {
        for part in ["/secrets", "/pods", "/deployments"] {
            let rule = Rule::new(Matcher::any().path_contains(part), Fault::Cut);
            let cut = proxy.add(rule);
            let before = proxy.count(|line| line.path.contains(part));
            let again = |proxy: &FaultProxy| proxy.count(|line| line.path.contains(part)) > before;
            proxy
                .wait_until(reroll_harness::PATIENCE, again)
                .await
                .unwrap();
            proxy.remove(cut);
        }
        let before = proxy.count(|line| line.path.ends_with("/pods"));
        let looks = |proxy: &FaultProxy| proxy.count(|line| line.path.ends_with("/pods")) > before;
        proxy
            .wait_until(reroll_harness::PATIENCE, looks)
            .await
            .unwrap();
        let free = json!({ "metadata": { "finalizers": null } });
        arena.patch("Pod", &kept, free).await;
    };
    let (answer, ()) = tokio::join!(waits, cuts);
    assert_eq!(answer.code, 0, "{}{}", answer.out, answer.err);
    let left = arena.pods("web").await;
    let names: Vec<_> = left
        .iter()
        .filter_map(|pod| pod.metadata.name.clone())
        .collect();
    assert!(names.len() == 2 && !names.contains(&kept), "{names:?}");
    drop(reroll);
}
