//! Argo CD and Flux, by their own libraries, beside reroll: no way of diffing finds drift, and no sync rolls anything that
//! reroll has restarted. What does drift, and what a tool's own settings do, docs/compatibility.md says as it is asserted
//! here.

use std::collections::BTreeMap;

use kube::ResourceExt;
use reroll_harness::{
    Arena, KINDS, OBSERVED, RESTART_ON, RESTARTED_FOR, Recorder, RerollBuilder, config_map,
    deployment, env, eventually,
    gitops::{GitOps, Way},
    workload,
};
use serde_json::{Value, json};

const CHANGE_CAUSE: &str = "kubernetes.io/change-cause";
/// How each tool applies: the tool, and what it is set to.
const APPLIED: [(&str, &str, &[&str]); 3] = [
    ("client", "argo", &[]),
    ("server", "argo", &["--server-side"]),
    ("flux", "flux", &[]),
];
/// The field of Git that others write.
const IMAGE: &str = "/spec/template/spec/containers/0/image";
/// What reroll's webhook writes when a template changes anyway.
const MARKS: [&str; 2] = [
    "/metadata/annotations/reroll.dev~1observed",
    "/spec/template/metadata/annotations/reroll.dev~1restarted-for",
];

/// What a team has in Git: workloads that opt in, with a ConfigMap. Their Secret is not there.
fn team(config: &str, image: &str) -> Vec<Value> {
    let mut objects = vec![config_map("app", &[("k", config)])];
    for kind in KINDS {
        let mut pod = env("db", "k");
        pod["containers"][0]["image"] = json!(image);
        pod["containers"][0]["envFrom"] = json!([{ "configMapRef": { "name": "app" } }]);
        objects.push(workload(kind, "web", &[(RESTART_ON, "auto")], pod));
    }
    objects
}

/// The ways of a tool, as far as these can compare what was applied so.
fn ways(engine: &str, flags: &[&str]) -> Vec<Way> {
    let client = engine == "argo" && flags.is_empty();
    let all = Way::ALL.into_iter().filter(|way| way.engine == engine);
    all.filter(|way| client || way.mode != "three-way")
        .collect()
}

/// Whether a way compares what webhooks would write, too.
fn sees_webhooks(way: Way) -> bool {
    way.include_mutation_webhook || way.engine == "flux"
}

async fn no_drift(git: &GitOps<'_>, ways: &[Way]) {
    for way in ways {
        assert_eq!(git.drift(*way).await, [], "{way:?}");
    }
}

/// What drifts in each of these ways, as `Kind/name path`.
async fn drifts(git: &GitOps<'_>, ways: &[Way]) -> Vec<(Way, Vec<String>)> {
    let mut all = Vec::new();
    for way in ways {
        let found = git.drift(*way).await.into_iter();
        let lines = found.flat_map(|one| {
            let object = one.object;
            one.drift
                .into_iter()
                .map(move |path| format!("{object} {path}"))
        });
        all.push((*way, lines.collect()));
    }
    all
}

async fn adopted(arena: &Arena) {
    for kind in KINDS {
        arena.adopted(kind, "web").await;
    }
}

async fn reach(recorder: &Recorder, rollouts: usize) {
    for kind in KINDS {
        recorder.reaches(kind, "web", rollouts).await;
    }
}

/// After everything has taken effect, each has rolled so often.
async fn expect(arena: &Arena, recorder: &Recorder, rollouts: usize) {
    recorder.settle(arena).await;
    for kind in KINDS {
        recorder.expect(kind, "web", rollouts);
    }
}

async fn life(arena: &Arena, reroll: RerollBuilder, engine: &'static str, flags: &[&str]) {
    let _reroll = reroll.start().await;
    arena.secret("db", &[("k", "one")]).await;
    let git = GitOps::new(arena, engine);
    let ways = ways(engine, flags);
    git.commit(&team("one", "registry.example/app:1"));
    git.sync(flags).await;
    adopted(arena).await;
    let recorder = arena.record().await;
    no_drift(&git, &ways).await;

    // A change that is not in Git.
    arena.update_secret("db", &[("k", "two")]).await;
    reach(&recorder, 1).await;
    no_drift(&git, &ways).await;
    for _ in 0..2 {
        git.sync(flags).await;
    }
    no_drift(&git, &ways).await;
    expect(arena, &recorder, 1).await;

    // A change that is.
    git.commit(&team("two", "registry.example/app:1"));
    for way in &ways {
        let found = git.drift(*way).await;
        assert_eq!(found.len(), 1, "{way:?}: {found:?}");
        assert_eq!(found[0].drift, ["/data/k"], "{way:?}");
    }
    git.sync(flags).await;
    reach(&recorder, 2).await;
    git.sync(flags).await;
    no_drift(&git, &ways).await;
    expect(arena, &recorder, 2).await;

    // A deploy, and a restart after it.
    git.commit(&team("two", "registry.example/app:2"));
    git.sync(flags).await;
    reach(&recorder, 3).await;
    no_drift(&git, &ways).await;
    arena.recreate_secret("db", &[("k", "two")]).await;
    reach(&recorder, 4).await;
    no_drift(&git, &ways).await;
    git.sync(flags).await;
    no_drift(&git, &ways).await;
    expect(arena, &recorder, 4).await;
}

async fn with_the_webhook(name: &str, engine: &'static str, flags: &[&str]) {
    let arena = Arena::new(&format!("gitops-{name}")).await;
    life(&arena, arena.reroll(), engine, flags).await;
}

#[tokio::test]
async fn argo_applies_by_the_client() {
    with_the_webhook("client", "argo", &[]).await;
}

#[tokio::test]
async fn argo_applies_by_the_server() {
    with_the_webhook("server", "argo", &["--server-side"]).await;
}

#[tokio::test]
async fn flux_applies() {
    with_the_webhook("flux", "flux", &[]).await;
}

#[tokio::test]
async fn all_apply_without_webhook() {
    for (name, engine, flags) in APPLIED {
        let arena = Arena::new(&format!("gitops-bare-{name}")).await;
        let reroll = arena.reroll().without_webhook();
        life(&arena, reroll, engine, flags).await;
    }
}

/// What others write is found where Git has the field, in each way. What Git has not is not compared, in none.
#[tokio::test]
async fn what_is_planted_is_found() {
    for (name, engine, flags) in APPLIED {
        let arena = Arena::new(&format!("gitops-planted-{name}")).await;
        let _reroll = arena.reroll().start().await;
        arena.secret("db", &[("k", "one")]).await;
        let git = GitOps::new(&arena, engine);
        let ways = ways(engine, flags);
        git.commit(&team("one", "registry.example/app:1"));
        git.sync(flags).await;
        adopted(&arena).await;
        let recorder = arena.record().await;
        arena.update_secret("db", &[("k", "two")]).await;
        reach(&recorder, 1).await;

        let foreign =
            json!({ "metadata": { "annotations": { "example.com/foreign": "planted" } } });
        arena.patch("Deployment", "web", foreign).await;
        no_drift(&git, &ways).await;

        let image = "registry.example/app:planted";
        arena
            .edit_container("Deployment", "web", "image", json!(image))
            .await;
        let off = json!({ "metadata": { "annotations": { RESTART_ON: "off" } } });
        arena.patch("Deployment", "web", off).await;
        let planted = ["/metadata/annotations/reroll.dev~1restart-on", IMAGE];
        for (way, found) in drifts(&git, &ways).await {
            let mut expected: Vec<&str> = planted.into();
            if sees_webhooks(way) {
                expected.extend(MARKS);
            }
            let mut found: Vec<_> = found
                .iter()
                .map(|line| line.strip_prefix("Deployment/web ").unwrap())
                // A template that would change is a new generation.
                .filter(|path| *path != "/metadata/generation")
                .collect();
            found.sort_unstable();
            expected.sort_unstable();
            assert_eq!(found, expected, "{way:?}");
        }

        git.sync(flags).await;
        no_drift(&git, &ways).await;
        recorder.settle(&arena).await;
        recorder.expect("Deployment", "web", 3);
        recorder.expect("StatefulSet", "web", 1);
    }
}

/// `Replace=true` drops what Git has not. The syncs after a restart roll so often.
async fn replace(arena: &Arena, reroll: RerollBuilder, more: usize) {
    let _reroll = reroll.start().await;
    arena.secret("db", &[("k", "one")]).await;
    let git = GitOps::new(arena, "argo");
    let ways = ways("argo", &["--replace"]);
    git.commit(&team("one", "registry.example/app:1"));
    git.sync(&["--replace"]).await;
    adopted(arena).await;
    let recorder = arena.record().await;
    for round in 1..=2 {
        let value = format!("changed {round}");
        arena.update_secret("db", &[("k", &value)]).await;
        let due = (round - 1) * (1 + more) + 1;
        reach(&recorder, due).await;
        no_drift(&git, &ways).await;
        for sync in 1..=2 {
            git.sync(&["--replace"]).await;
            // Without the webhook reroll writes its annotations again, and the next sync drops them again.
            expect(arena, &recorder, due + sync * more / 2).await;
        }
        no_drift(&git, &ways).await;
        expect(arena, &recorder, due + more).await;
        for kind in KINDS {
            assert!(arena.annotation(kind, "web", OBSERVED).await.is_some());
        }
    }
}

/// The webhook puts it back in the same write.
#[tokio::test]
async fn argo_replaces() {
    let arena = Arena::new("gitops-replace").await;
    replace(&arena, arena.reroll(), 0).await;
}

/// Each sync is a rollout, and reroll restarts once more for what it had recorded.
#[tokio::test]
async fn argo_replaces_without_webhook() {
    let arena = Arena::new("gitops-replace-bare").await;
    replace(&arena, arena.reroll().without_webhook(), 4).await;
}

async fn uids(arena: &Arena) -> Vec<String> {
    let mut all = Vec::new();
    for kind in KINDS {
        all.push(arena.get(kind, "web").await.uid().unwrap());
    }
    all
}

/// Applies by force what is restarted once then. Returns the uids, too.
async fn forced<'a>(arena: &'a Arena, tool: &'static str) -> (GitOps<'a>, Recorder, Vec<String>) {
    arena.secret("db", &[("k", "one")]).await;
    let git = GitOps::new(arena, tool);
    git.commit(&team("one", "registry.example/app:1"));
    git.sync(&["--force"]).await;
    adopted(arena).await;
    let recorder = arena.record().await;
    arena.update_secret("db", &[("k", "two")]).await;
    reach(&recorder, 1).await;
    (git, recorder, uids(arena).await)
}

/// `Force=true` alone deletes only what cannot be applied otherwise; together with `Replace=true` it deletes workloads at
/// each sync, whatever reroll does.
#[tokio::test]
async fn argo_forces() {
    let arena = Arena::new("gitops-force").await;
    let _reroll = arena.reroll().start().await;
    let ways = ways("argo", &[]);
    let (git, recorder, before) = forced(&arena, "argo").await;
    for _ in 0..2 {
        git.sync(&["--force"]).await;
    }
    no_drift(&git, &ways).await;
    expect(&arena, &recorder, 1).await;
    assert_eq!(uids(&arena).await, before);

    let replaced: Vec<Way> = ways
        .into_iter()
        .filter(|way| way.mode != "three-way")
        .collect();
    let mut last = before;
    for _ in 0..2 {
        git.sync(&["--replace", "--force"]).await;
        let now = uids(&arena).await;
        assert!(now.iter().zip(&last).all(|(now, last)| now != last));
        last = now;
        adopted(&arena).await;
        no_drift(&git, &replaced).await;
    }
    // They have pods that read what is there: nothing rolls once more.
    expect(&arena, &recorder, 0).await;
}

/// `force` of Flux deletes what cannot be changed, and nothing else.
#[tokio::test]
async fn flux_forces() {
    let arena = Arena::new("gitops-flux-force").await;
    let _reroll = arena.reroll().start().await;
    let ways = ways("flux", &[]);
    let (git, recorder, before) = forced(&arena, "flux").await;
    git.sync(&["--force"]).await;
    no_drift(&git, &ways).await;
    expect(&arena, &recorder, 1).await;
    assert_eq!(uids(&arena).await, before);

    let mut objects = team("one", "registry.example/app:1");
    for object in &mut objects[1..] {
        let labels = json!({ "app": "web", "more": "true" });
        object["spec"]["selector"]["matchLabels"] = labels.clone();
        object["spec"]["template"]["metadata"]["labels"] = labels;
    }
    git.commit(&objects);
    git.sync(&["--force"]).await;
    let after = uids(&arena).await;
    assert!(
        after
            .iter()
            .zip(&before)
            .all(|(after, before)| after != before)
    );
    adopted(&arena).await;
    for _ in 0..2 {
        git.sync(&["--force"]).await;
    }
    no_drift(&git, &ways).await;
    expect(&arena, &recorder, 0).await;
    assert_eq!(uids(&arena).await, after);
}

/// A ConfigMap whose name has a hash of its data, as kustomize makes them, and a Deployment that uses it.
fn hashed(hash: &str) -> Vec<Value> {
    let name = format!("app-{hash}");
    let pod = json!({ "containers": [{ "envFrom": [{ "configMapRef": { "name": name } }] }] });
    vec![
        config_map(&name, &[("k", hash)]),
        workload("Deployment", "web", &[(RESTART_ON, "auto")], pod),
    ]
}

#[tokio::test]
async fn names_with_a_hash_are_pruned() {
    for (name, engine, flags) in APPLIED {
        let arena = Arena::new(&format!("gitops-hash-{name}")).await;
        let _reroll = arena.reroll().start().await;
        let git = GitOps::new(&arena, engine);
        let ways = ways(engine, flags);
        let flags = [flags, &["--prune"]].concat();
        git.commit(&hashed("aaa"));
        git.sync(&flags).await;
        arena.adopted("Deployment", "web").await;
        let recorder = arena.record().await;
        // Each deploy is a rollout of itself, the way back as well.
        for (rollouts, (hash, before)) in
            (1..).zip([("bbb", "aaa"), ("ccc", "bbb"), ("aaa", "ccc")])
        {
            git.commit(&hashed(hash));
            for _ in 0..3 {
                git.sync(&flags).await;
            }
            let gone = format!("app-{before}");
            eventually("what Git has no longer is pruned", async || {
                let left = arena.api("ConfigMap").get_opt(&gone).await.unwrap();
                left.is_none().then_some(())
            })
            .await;
            recorder.settle(&arena).await;
            recorder.expect("Deployment", "web", rollouts);
            no_drift(&git, &ways).await;
        }
    }
}

/// Where Git has a `change-cause`, it stays; where Git has none, reroll's is no drift.
#[tokio::test]
async fn the_change_cause_of_git_stays() {
    for (name, engine, flags) in APPLIED {
        let arena = Arena::new(&format!("gitops-cause-{name}")).await;
        let _reroll = arena.reroll().flag("--change-cause", "on").start().await;
        arena.secret("db", &[("k", "one")]).await;
        let git = GitOps::new(&arena, engine);
        let ways = ways(engine, flags);
        let mut told = deployment("told", "db", "k");
        told["metadata"]["annotations"][CHANGE_CAUSE] = json!("deploy 1");
        git.commit(&[told, deployment("free", "db", "k")]);
        git.sync(flags).await;
        for name in ["told", "free"] {
            arena.adopted("Deployment", name).await;
        }
        let recorder = arena.record().await;
        for (round, value) in (1..).zip(["two", "three"]) {
            arena.update_secret("db", &[("k", value)]).await;
            let mut causes = BTreeMap::new();
            for name in ["told", "free"] {
                recorder.reaches("Deployment", name, round).await;
                let cause = arena.annotation("Deployment", name, CHANGE_CAUSE).await;
                causes.insert(name, cause.unwrap_or_default());
            }
            assert_eq!(causes["told"], "deploy 1");
            assert_eq!(causes["free"], "reroll: Secret db was updated (key k)");
            no_drift(&git, &ways).await;
            git.sync(flags).await;
            no_drift(&git, &ways).await;
            recorder.settle(&arena).await;
            for name in ["told", "free"] {
                recorder.expect("Deployment", name, round);
            }
        }
    }
}

/// Who commits reroll's own annotations has them in Git for ever, and never in the cluster. Whoever asks the API server does
/// not see it, for the webhook answers as it will when Git is applied.
#[tokio::test]
async fn marks_in_git_drift() {
    for (name, engine, flags) in APPLIED {
        let arena = Arena::new(&format!("gitops-marks-{name}")).await;
        let _reroll = arena.reroll().start().await;
        arena.secret("db", &[("k", "one")]).await;
        let git = GitOps::new(&arena, engine);
        let ways = ways(engine, flags);
        git.commit(&[deployment("web", "db", "k")]);
        git.sync(flags).await;
        arena.adopted("Deployment", "web").await;
        let recorder = arena.record().await;
        arena.update_secret("db", &[("k", "two")]).await;
        recorder.reaches("Deployment", "web", 1).await;

        let now = arena.get("Deployment", "web").await;
        let template = &now.data["spec"]["template"]["metadata"]["annotations"];
        assert!(template[RESTARTED_FOR].is_string(), "{template}");
        let mut committed = deployment("web", "db", "k");
        committed["metadata"]["annotations"][OBSERVED] = json!(now.annotations()[OBSERVED]);
        committed["spec"]["template"]["metadata"]["annotations"] =
            json!({ RESTARTED_FOR: template[RESTARTED_FOR] });
        git.commit(&[committed]);
        git.sync(flags).await;
        no_drift(&git, &ways).await;
        arena.update_secret("db", &[("k", "three")]).await;
        recorder.reaches("Deployment", "web", 2).await;
        for _ in 0..2 {
            git.sync(flags).await;
            for (way, found) in drifts(&git, &ways).await {
                let expected = MARKS.map(|path| format!("Deployment/web {path}"));
                let expected = if way.mode == "server-side" {
                    &[]
                } else {
                    &expected[..]
                };
                assert_eq!(found, expected, "{name}, {way:?}");
            }
        }
        recorder.settle(&arena).await;
        recorder.expect("Deployment", "web", 2);
    }
}
