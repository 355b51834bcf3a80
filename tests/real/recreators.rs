//! Who recreates a source, and how. What a machine recreates with the same data restarts nothing that cannot start
//! without it. What a person recreates does, and so does other data. docs/how-it-works.md has the table.

use futures::future::join_all;
use kube::{
    ResourceExt,
    api::{DynamicObject, ListParams},
};
use reroll_harness::{
    Arena, KINDS, RESTART_ON, Recorder, config_map, each, env, env_optional, eventually, numbered,
    secret, workload,
};
use serde_json::{Value, json};

const ON_RECREATE: &str = "reroll.dev/on-recreate";
const OWNER: &str = "owner";
const OPT_IN: [(&str, &str); 1] = [(RESTART_ON, "auto")];

/// One that recreates.
struct Recreator {
    name: &'static str,
    /// What it writes on the object that goes.
    before: Value,
    /// What it writes on the object that comes.
    after: Value,
    /// It owns what comes, and says so some time later.
    owns_later: bool,
    /// The data is another each time.
    other_data: bool,
    /// Restarts of what needs the source, and of what starts without it.
    restarts: (usize, usize),
    /// The same of what needs it, where reroll is away meanwhile.
    restarts_after_downtime: usize,
}

impl Recreator {
    fn new(name: &'static str, writes: Value, restarts: (usize, usize)) -> Self {
        Self {
            name,
            before: writes.clone(),
            after: writes,
            owns_later: false,
            other_data: false,
            restarts,
            restarts_after_downtime: restarts.0,
        }
    }

    fn secret(&self, life: usize) -> Value {
        let value = if self.other_data {
            format!("value-{life}")
        } else {
            "value".to_owned()
        };
        let mut made = secret(self.name, &[("k", &value)]);
        let writes = if life == 0 { &self.before } else { &self.after };
        json_patch::merge(&mut made, writes);
        made
    }
}

async fn owner(arena: &Arena) -> Value {
    let owner = arena.create(&config_map(OWNER, &[])).await;
    json!({ "metadata": { "ownerReferences": [reference(&owner)] } })
}

fn reference(owner: &DynamicObject) -> Value {
    json!({ "apiVersion": "v1", "kind": "ConfigMap", "name": OWNER, "uid": owner.uid() })
}

fn recreators(owned: &Value) -> Vec<Recreator> {
    let annotated =
        |key: &str, value: &str| json!({ "metadata": { "annotations": { key: value } } });
    let labelled = |key: &str, value: &str| json!({ "metadata": { "labels": { key: value } } });
    let with = |mut one: Value, other: &Value| {
        json_patch::merge(&mut one, other);
        one
    };
    let csi = labelled("secrets-store.csi.k8s.io/managed", "true");
    vec![
        Recreator::new("operator", owned.clone(), (0, 1)),
        Recreator::new(
            "operator-immutable",
            with(json!({ "immutable": true }), owned),
            (0, 1),
        ),
        Recreator {
            before: with(json!({ "type": "example.com/a" }), owned),
            after: with(json!({ "type": "example.com/b" }), owned),
            ..Recreator::new("operator-other-type", json!({}), (0, 1))
        },
        Recreator {
            before: with(csi.clone(), owned),
            owns_later: true,
            ..Recreator::new("csi-driver", csi, (0, 1))
        },
        Recreator {
            before: owned.clone(),
            owns_later: true,
            // Nobody has seen the one that went, and the one that came is not owned yet.
            restarts_after_downtime: 1,
            ..Recreator::new("owner-later", json!({}), (0, 1))
        },
        Recreator {
            before: json!({}),
            ..Recreator::new("owned-newly", owned.clone(), (0, 1))
        },
        Recreator::new(
            "helm-hook",
            annotated("helm.sh/hook", "pre-install,pre-upgrade"),
            (0, 1),
        ),
        Recreator::new(
            "argo-hook",
            annotated("argocd.argoproj.io/hook", "PreSync"),
            (0, 1),
        ),
        Recreator {
            other_data: true,
            ..Recreator::new("operator-rotates", owned.clone(), (1, 1))
        },
        Recreator {
            other_data: true,
            ..Recreator::new(
                "cert-manager",
                annotated("cert-manager.io/certificate-name", "web"),
                (1, 1),
            )
        },
        Recreator::new(
            "eso-orphan",
            labelled("reconcile.external-secrets.io/managed", "true"),
            (1, 1),
        ),
        Recreator::new("person", json!({}), (1, 1)),
        Recreator {
            other_data: true,
            ..Recreator::new(
                "flux-force",
                labelled("kustomize.toolkit.fluxcd.io/name", "app"),
                (1, 1),
            )
        },
        Recreator::new("content-on-it", annotated(ON_RECREATE, "content"), (0, 0)),
        Recreator::new(
            "restart-on-it",
            with(annotated(ON_RECREATE, "restart"), owned),
            (1, 1),
        ),
        Recreator::new(
            "unreadable-on-it",
            annotated(ON_RECREATE, "contents"),
            (1, 1),
        ),
    ]
}

async fn create_users(arena: &Arena, all: &[Recreator]) {
    join_all(all.iter().map(async |one| {
        arena.create(&one.secret(0)).await;
        let (needs, likes) = (format!("{}-needs", one.name), format!("{}-likes", one.name));
        let needs = workload("Deployment", &needs, &OPT_IN, env(one.name, "k"));
        let likes = workload("Deployment", &likes, &OPT_IN, env_optional(one.name, "k"));
        arena.create(&needs).await;
        arena.create(&likes).await;
    }))
    .await;
    arena.all_adopted("Deployment").await;
}

async fn recreate(arena: &Arena, all: &[Recreator], life: usize) {
    join_all(all.iter().map(async |one| {
        arena.delete("Secret", one.name).await;
        arena.create(&one.secret(life)).await;
    }))
    .await;
}

async fn own_later(arena: &Arena, all: &[Recreator], owned: &Value) {
    let later = all.iter().filter(|one| one.owns_later);
    join_all(later.map(async |one| {
        arena.patch("Secret", one.name, owned.clone()).await;
    }))
    .await;
}

fn expect(recorder: &Recorder, all: &[Recreator], lives: usize) {
    let expected = all.iter().flat_map(|one| {
        let (needed, optional) = one.restarts;
        [
            (format!("{}-needs", one.name), needed * lives),
            (format!("{}-likes", one.name), optional * lives),
        ]
    });
    recorder.expect_each("Deployment", expected);
}

#[tokio::test]
async fn a_restart_follows_only_where_pods_need_one() {
    let arena = Arena::new("recreators").await;
    let _reroll = arena.reroll().start().await;
    let owned = owner(&arena).await;
    let all = recreators(&owned);
    create_users(&arena, &all).await;
    let recorder = arena.record().await;
    for life in 1..=2 {
        recreate(&arena, &all, life).await;
        recorder.settle(&arena).await;
        expect(&recorder, &all, life);
        own_later(&arena, &all, &owned).await;
        recorder.settle(&arena).await;
        expect(&recorder, &all, life);
    }
    let complaint =
        "reroll.dev/on-recreate of Secret unreadable-on-it is not auto, restart or content";
    arena.event("unreadable-on-it-needs", complaint).await;
    let manifest = recreators(&owned).pop().unwrap().secret(3);
    let said = arena
        .kubectl_with(&["replace", "--force", "-f", "-"], &manifest.to_string())
        .await
        .ok();
    assert!(said.err.contains(complaint), "{}", said.err);
}

/// They stay away until everything has come to rest: pods that need them wait, and others may have started without.
#[tokio::test]
async fn the_same_follows_when_they_stay_away_for_a_while() {
    let arena = Arena::new("recreators-gone").await;
    let _reroll = arena.reroll().start().await;
    let owned = owner(&arena).await;
    let all = recreators(&owned);
    create_users(&arena, &all).await;
    let recorder = arena.record().await;
    join_all(all.iter().map(|one| arena.delete("Secret", one.name))).await;
    recorder.settle(&arena).await;
    expect(&recorder, &all, 0);
    join_all(all.iter().map(async |one| {
        arena.create(&one.secret(1)).await;
    }))
    .await;
    recorder.settle(&arena).await;
    expect(&recorder, &all, 1);
}

/// The token of a service account is another one each time. Its controller adds it a moment after the Secret is there.
#[tokio::test]
async fn the_token_of_a_service_account_restarts_once() {
    let arena = Arena::new("recreators-token").await;
    // Its key comes within the settle time, also on a busy machine.
    let reroll = arena.reroll().flag("--settle", "8s").start().await;
    let token = json!({
        "apiVersion": "v1", "kind": "Secret", "type": "kubernetes.io/service-account-token",
        "metadata": { "name": "token", "annotations": { "kubernetes.io/service-account.name": "default" } },
    });
    let made = async || {
        arena.create(&token).await;
        eventually("the token is there", async || {
            let token = arena.get("Secret", "token").await;
            token.data["data"]["token"].as_str().map(drop)
        })
        .await;
    };
    made().await;
    let needs = workload("Deployment", "needs", &OPT_IN, env("token", "token"));
    let likes = workload(
        "Deployment",
        "likes",
        &OPT_IN,
        env_optional("token", "token"),
    );
    arena.create(&needs).await;
    arena.create(&likes).await;
    arena.all_adopted("Deployment").await;
    let recorder = arena.record().await;
    arena.delete("Secret", "token").await;
    made().await;
    recorder.settle_slowly(&arena, &reroll).await;
    recorder.expect_each("Deployment", [("needs", 1), ("likes", 1)]);
}

#[tokio::test]
async fn the_same_follows_after_downtime() {
    let arena = Arena::new("recreators-away").await;
    let reroll = arena.reroll().start().await;
    let owned = owner(&arena).await;
    let all = recreators(&owned);
    create_users(&arena, &all).await;
    let recorder = arena.record().await;
    let builder = reroll.builder();
    reroll.stop().await;
    recreate(&arena, &all, 1).await;
    let _reroll = builder.start().await;
    recorder.settle(&arena).await;
    let expected = all.iter().flat_map(|one| {
        [
            (format!("{}-needs", one.name), one.restarts_after_downtime),
            (format!("{}-likes", one.name), one.restarts.1),
        ]
    });
    recorder.expect_each("Deployment", expected);
}

#[tokio::test]
async fn the_workload_may_say_otherwise_whatever_its_kind() {
    let arena = Arena::new("recreators-kinds").await;
    let _reroll = arena.reroll().start().await;
    let owned = owner(&arena).await;
    let made = Recreator::new("db", owned, (0, 1)).secret(0);
    arena.create(&made).await;
    let says = ["auto", "restart", "content", "odd"];
    let expected = [0, 1, 0, 0];
    for kind in KINDS {
        for word in says {
            let asks = [(RESTART_ON, "auto"), (ON_RECREATE, word)];
            arena
                .create(&workload(kind, word, &asks, env("db", "k")))
                .await;
            arena.adopted(kind, word).await;
        }
    }
    let recorder = arena.record().await;
    for life in 1..=2 {
        arena.delete("Secret", "db").await;
        arena.create(&made).await;
        recorder.settle(&arena).await;
        for kind in KINDS {
            let expected = says.iter().zip(expected.map(|once| once * life));
            recorder.expect_each(kind, expected);
        }
    }
}

/// Sixty Secrets go with their owner, and come back with the next one.
#[tokio::test]
async fn what_the_garbage_collector_takes_and_comes_back_restarts_nothing() {
    const COUNT: usize = 60;
    let arena = Arena::new("recreators-collected").await;
    let _reroll = arena.reroll().start().await;
    let names: Vec<_> = numbered(COUNT).collect();
    let make = async |owned: &Value| {
        each(COUNT, 16, async |number| {
            let mut made = secret(&names[number], &[("k", "one")]);
            json_patch::merge(&mut made, owned);
            arena.create(&made).await;
        })
        .await;
    };
    make(&owner(&arena).await).await;
    each(COUNT, 16, async |number| {
        let name = &names[number];
        arena
            .create(&workload("Deployment", name, &OPT_IN, env(name, "k")))
            .await;
    })
    .await;
    arena.all_adopted("Deployment").await;
    let recorder = arena.record().await;
    for _ in 0..2 {
        arena.delete("ConfigMap", OWNER).await;
        eventually("all Secrets are collected", async || {
            let left = arena
                .api("Secret")
                .list(&ListParams::default())
                .await
                .unwrap();
            let mut left = left.items.iter().map(ResourceExt::name_any);
            (!left.any(|name| names.contains(&name))).then_some(())
        })
        .await;
        make(&owner(&arena).await).await;
        recorder.settle(&arena).await;
        recorder.expect_each("Deployment", names.iter().map(|name| (name, 0)));
    }
}

/// `observed` takes the new uid over in one write, once it is calm; and then the uid is known, whatever becomes of the
/// owner.
#[tokio::test]
async fn many_recreations_are_one_write() {
    let arena = Arena::new("recreators-calm").await;
    let reroll = arena.reroll().start().await;
    let owned = owner(&arena).await;
    let content = [(RESTART_ON, "auto"), (ON_RECREATE, "content")];
    for (name, asks) in [("owned", OPT_IN.as_slice()), ("plain", &content)] {
        let mut made = secret(name, &[("k", "one")]);
        if name == "owned" {
            json_patch::merge(&mut made, &owned);
        }
        arena.create(&made).await;
        arena
            .create(&workload("Deployment", name, asks, env(name, "k")))
            .await;
        arena.adopted("Deployment", name).await;
    }
    let recorder = arena.record().await;
    let written = |name: &str| recorder.observed("Deployment", name).len();
    let before = [written("owned"), written("plain")];
    for _ in 0..100 {
        let mut made = secret("owned", &[("k", "one")]);
        json_patch::merge(&mut made, &owned);
        for made in [made, secret("plain", &[("k", "one")])] {
            let name = made["metadata"]["name"].as_str().unwrap().to_owned();
            arena.delete("Secret", &name).await;
            arena.create(&made).await;
        }
    }
    for name in ["owned", "plain"] {
        let uid = arena.get("Secret", name).await.uid().unwrap();
        let source = format!("secret/{name}");
        arena
            .observes("Deployment", name, &source, |entry| {
                entry["u"] == uid.as_str()
            })
            .await;
    }
    recorder.settle(&arena).await;
    recorder.expect_each("Deployment", [("owned", 0), ("plain", 0)]);
    let after = [written("owned"), written("plain")];
    assert_eq!(after, before.map(|count| count + 1), "writes of observed");

    // The uid is recorded: that the owner is lost later, and reroll starts again, is no change.
    let builder = reroll.builder();
    reroll.stop().await;
    let orphan = json!({ "metadata": { "ownerReferences": null } });
    arena.patch("Secret", "owned", orphan).await;
    arena
        .annotate("Deployment", "plain", ON_RECREATE, Some("restart"))
        .await;
    let _reroll = builder.start().await;
    recorder.settle(&arena).await;
    recorder.expect_each("Deployment", [("owned", 0), ("plain", 0)]);
    let after = [written("owned"), written("plain")];
    assert_eq!(after, before.map(|count| count + 1), "writes of observed");
}

/// A source that lost its owner before its new uid was recorded restarts once, for then it looks like a person's; and
/// other data restarts at once, calm or not.
#[tokio::test]
async fn other_data_does_not_wait_for_calm() {
    let arena = Arena::new("recreators-data").await;
    let _reroll = arena.reroll().start().await;
    let owned = owner(&arena).await;
    let made = |value: &str| {
        let mut made = secret("db", &[("k", value)]);
        json_patch::merge(&mut made, &owned);
        made
    };
    arena.create(&made("one")).await;
    arena
        .create(&workload("Deployment", "web", &OPT_IN, env("db", "k")))
        .await;
    arena.adopted("Deployment", "web").await;
    let recorder = arena.record().await;
    for (value, restarts) in [("one", 0), ("two", 1), ("two", 1), ("one", 2)] {
        arena.delete("Secret", "db").await;
        arena.create(&made(value)).await;
        recorder.settle(&arena).await;
        recorder.expect("Deployment", "web", restarts);
    }
    arena.update_secret("db", &[("k", "three")]).await;
    recorder.settle(&arena).await;
    recorder.expect("Deployment", "web", 3);
}

/// Helm itself, with a hook that is deleted before it is created again.
#[tokio::test]
async fn a_hook_of_helm_that_changes_nothing_restarts_nothing() {
    let arena = Arena::new("recreators-helm").await;
    let _reroll = arena.reroll().start().await;
    let chart = tempfile::tempdir().unwrap();
    let write = |name: &str, text: &str| std::fs::write(chart.path().join(name), text).unwrap();
    std::fs::create_dir(chart.path().join("templates")).unwrap();
    write("Chart.yaml", "apiVersion: v2\nname: app\nversion: 1.0.0\n");
    write(
        "templates/hook.yaml",
        "
apiVersion: v1
kind: ConfigMap
metadata:
  name: hook
  annotations:
    helm.sh/hook: pre-install,pre-upgrade
    helm.sh/hook-delete-policy: before-hook-creation
data: { k: {{ .Values.data | quote }} }
",
    );
    let from = json!({ "configMapKeyRef": { "name": "hook", "key": "k" } });
    let pod = json!({ "containers": [{ "env": [{ "name": "V", "valueFrom": from }] }] });
    let path = chart.path().to_str().unwrap();
    let upgrade = async |data: &str| {
        let set = format!("data={data}");
        let said = arena
            .helm(&["upgrade", "--install", "app", path, "--set", &set])
            .await;
        said.ok();
        arena.get("ConfigMap", "hook").await.uid().unwrap()
    };
    let mut uids = vec![upgrade("one").await];
    arena
        .create(&workload("Deployment", "web", &OPT_IN, pod))
        .await;
    arena.adopted("Deployment", "web").await;
    let recorder = arena.record().await;
    for _ in 0..3 {
        uids.push(upgrade("one").await);
        recorder.settle(&arena).await;
        recorder.expect("Deployment", "web", 0);
    }
    uids.dedup();
    assert_eq!(uids.len(), 4, "Helm recreates it each time");
    upgrade("two").await;
    recorder.settle(&arena).await;
    recorder.expect("Deployment", "web", 1);
}
