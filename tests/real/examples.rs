//! The manifests in `examples`: an API server with the neighbours' own kinds takes each, and reroll does with it what its
//! comment says.

use std::{
    collections::BTreeSet,
    fs,
    path::{Path, PathBuf},
};

use kube::{
    Api, ResourceExt,
    api::DynamicObject,
    core::{ApiResource, GroupVersionKind},
};
use reroll_harness::{Arena, OBSERVED, Offline, cluster::Cluster, eventually};
use serde_json::json;

/// A workload's group, version, kind and plural.
type Kind = (&'static str, &'static str, &'static str, &'static str);

const DEPLOYMENT: Kind = ("apps", "v1", "Deployment", "deployments");
const ROLLOUT: Kind = ("argoproj.io", "v1alpha1", "Rollout", "rollouts");
const CLONE_SET: Kind = ("apps.kruise.io", "v1alpha1", "CloneSet", "clonesets");
const KNATIVE: Kind = ("serving.knative.dev", "v1", "Service", "services");

/// Each example by its name, which is that of its neighbour, and the kind of its workload.
const EXAMPLES: [(&str, Kind); 8] = [
    ("argo-rollouts", ROLLOUT),
    ("cert-manager", DEPLOYMENT),
    ("external-secrets", DEPLOYMENT),
    ("keda", DEPLOYMENT),
    ("knative-serving", KNATIVE),
    ("openkruise", CLONE_SET),
    ("sealed-secrets", DEPLOYMENT),
    ("secrets-store-csi", DEPLOYMENT),
];

fn folder() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("examples")
}

#[tokio::test]
async fn each_is_taken_and_restarts_when_its_secret_changes() {
    let files = fs::read_dir(folder()).unwrap();
    let names = files.filter_map(|file| {
        let name = file.unwrap().file_name().into_string().unwrap();
        Some(name.strip_suffix(".yaml")?.to_owned())
    });
    let listed = EXAMPLES.map(|(name, _)| name.to_owned());
    assert_eq!(names.collect::<BTreeSet<_>>(), BTreeSet::from(listed));

    let start = tokio::task::spawn_blocking(|| Cluster::start().unwrap());
    let cluster: &Cluster = Box::leak(Box::new(start.await.unwrap()));
    for (name, kind) in EXAMPLES {
        let arena = Arena::on(cluster, name).await;
        define(&arena, name).await;
        works(&arena, name, kind).await;
    }
}

/// Has the cluster serve the kinds of a neighbour.
async fn define(arena: &Arena, neighbour: &str) {
    let up = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/cluster/up");
    let mut up = tokio::process::Command::new(up);
    up.args(["path", &format!("{neighbour}-crds")]);
    let kept = up.output().await.unwrap();
    assert!(kept.status.success(), "{kept:?}");
    let kept = String::from_utf8(kept.stdout).unwrap();
    let kept = kept.trim();
    arena
        .kubectl(&["apply", "--server-side", "-f", kept])
        .await
        .ok();
    // kubectl fails, too, as long as a kind has no conditions at all.
    let wait = ["wait", "--for=condition=Established", "-f", kept];
    let served = async || arena.kubectl(&wait).await.ok.then_some(());
    eventually(&format!("the kinds of {neighbour} are served"), served).await;
}

async fn works(arena: &Arena, name: &str, (group, version, kind, plural): Kind) {
    let manifest = fs::read_to_string(folder().join(format!("{name}.yaml"))).unwrap();
    let apply = [
        "apply",
        "--server-side",
        "--validate=strict",
        "--filename=-",
    ];
    arena.kubectl_with(&apply, &manifest).await.ok();
    let from_store = name == "secrets-store-csi";
    let makes_it = manifest.contains("\nkind: Secret\n");
    // The part of the neighbour, which does not run here.
    if !from_store && !makes_it {
        let data = [("password", "first"), ("tls.crt", "first")];
        arena.secret("db", &data).await;
    }

    let mut lint = vec!["lint", "-f", "-", "-o", "json"];
    let mut reroll = arena.reroll();
    let followed = format!("{group}/{version}/{kind}={plural}");
    if kind != "Deployment" && kind != "Rollout" {
        let value = format!(
            "kinds.custom: [{{group: {group}, version: {version}, kind: {kind}, resource: {plural}}}]"
        );
        assert!(manifest.contains(&value), "{name} does not say {value}");
        reroll = reroll.flag("--workload-kind", &followed);
        lint.extend(["--workload-kind", &followed]);
    }
    let linted = Offline::run(&folder(), &lint, &manifest);
    assert_eq!(linted.json()["findings"], json!([]), "{name}");

    let reroll = reroll.start().await;
    let row =
        ApiResource::from_gvk_with_plural(&GroupVersionKind::gvk(group, version, kind), plural);
    let api: Api<DynamicObject> =
        Api::namespaced_with(arena.client.clone(), &arena.namespace, &row);
    let source = if from_store {
        "secretproviderclass/db"
    } else {
        "secret/db"
    };
    eventually(
        &format!("{name}: web is adopted with {source}"),
        async || {
            let web = api.get("web").await.unwrap();
            let observed = web.annotations().get(OBSERVED)?;
            observed.contains(source).then_some(())
        },
    )
    .await;
    // `csi` has the rotation, which takes a driver.
    if !from_store {
        let data = [("password", "second"), ("tls.crt", "second")];
        arena.update_secret("db", &data).await;
        arena.event("web", "Restarted: Secret db was updated").await;
        let web = api.get("web").await.unwrap();
        let mark =
            web.data["spec"]["template"]["metadata"]["annotations"].get("reroll.dev/restarted-for");
        assert!(mark.is_some(), "{name}: {web:?}");
        assert_eq!(arena.event_count("web", "Restarted").await, 1, "{name}");
    }
    drop(reroll);
}
