//! RBAC is minimal: every right that the chart grants is needed, and reroll asks for nothing else.
//!
//! All requests of reroll go through a proxy that records them, while it does all that it is for. A right is one verb
//! on one resource, by one rule. For every right there must be a request that only this right allows: without it the
//! API server would have refused that request. And the API server refused no request, so no right is missing. Together
//! these say that the rules are exactly what is used: a rule too many has no request and fails here, and a missing rule
//! has its request refused and fails here. `refusals` takes some rights away and shows what users see then.

use std::collections::BTreeSet;

use k8s_openapi::api::core::v1::Secret;
use kube::{
    Api,
    api::{DynamicObject, ListParams, Patch, PatchParams, PostParams},
    core::{ApiResource, GroupVersionKind},
};
use reroll_harness::{
    Arena, RESTART_ON, env, eventually,
    proxy::{Answer, Fault, FaultProxy, Matcher, Rule},
    workload,
};
use serde_json::json;

use crate::{
    modes::{in_namespace, patient},
    release::{Release, merge},
    rules::{Right, granted},
};

/// The kinds that are defined by others: group, version, kind, plural.
const FOREIGN: [[&str; 4]; 5] = [
    ["argoproj.io", "v1alpha1", "Rollout", "rollouts"],
    [
        "apps.openshift.io",
        "v1",
        "DeploymentConfig",
        "deploymentconfigs",
    ],
    ["example.com", "v1", "App", "apps"],
    [
        "secrets-store.csi.x-k8s.io",
        "v1",
        "SecretProviderClass",
        "secretproviderclasses",
    ],
    [
        "secrets-store.csi.x-k8s.io",
        "v1",
        "SecretProviderClassPodStatus",
        "secretproviderclasspodstatuses",
    ],
];
/// Those of them that are rolled, and the others that are.
const FOREIGN_WORKLOADS: usize = 3;
const WORKLOADS: [[&str; 4]; 5] = [
    ["apps", "v1", "Deployment", "deployments"],
    ["apps", "v1", "StatefulSet", "statefulsets"],
    ["apps", "v1", "DaemonSet", "daemonsets"],
    ["batch", "v1", "CronJob", "cronjobs"],
    ["batch", "v1", "Job", "jobs"],
];
/// How often everything is repeated for what did not happen yet: an Event that repeats, a standby that takes over.
const ROUNDS: u32 = 6;

fn all_workloads() -> impl Iterator<Item = [&'static str; 4]> {
    WORKLOADS
        .into_iter()
        .chain(FOREIGN.into_iter().take(FOREIGN_WORKLOADS))
}

fn api(arena: &Arena, [group, version, kind, plural]: [&str; 4]) -> Api<DynamicObject> {
    let gvk = GroupVersionKind::gvk(group, version, kind);
    let row = ApiResource::from_gvk_with_plural(&gvk, plural);
    Api::namespaced_with(arena.client.clone(), &arena.namespace, &row)
}

/// Makes the cluster serve the kinds of other projects, unless it does already.
async fn serve_foreign(arena: &Arena) {
    let gvk = GroupVersionKind::gvk("apiextensions.k8s.io", "v1", "CustomResourceDefinition");
    let definitions =
        Api::<DynamicObject>::all_with(arena.client.clone(), &ApiResource::from_gvk(&gvk));
    for row in FOREIGN {
        let [group, version, kind, plural] = row;
        let definition = json!({
            "apiVersion": "apiextensions.k8s.io/v1", "kind": "CustomResourceDefinition",
            "metadata": { "name": format!("{plural}.{group}") },
            "spec": {
                "group": group, "scope": "Namespaced",
                "names": { "kind": kind, "listKind": format!("{kind}List"), "plural": plural, "singular": kind.to_lowercase() },
                "versions": [{
                    "name": version, "served": true, "storage": true,
                    "schema": { "openAPIV3Schema": { "type": "object", "x-kubernetes-preserve-unknown-fields": true } },
                }],
            },
        });
        let definition: DynamicObject = serde_json::from_value(definition).unwrap();
        match definitions
            .create(&PostParams::default(), &definition)
            .await
        {
            Err(kube::Error::Api(status)) if status.is_already_exists() => {}
            made => drop(made.unwrap()),
        }
        let api = api(arena, row);
        eventually(&format!("{plural} are served"), async || {
            api.list(&ListParams::default()).await.ok()
        })
        .await;
    }
}

/// One of each kind, which reads a Secret and a ConfigMap, and asks for whatever can be asked for. Another Deployment
/// needs what is absent: only its pods tell whether it has started.
async fn create_workloads(arena: &Arena) {
    let mut pod = env("db", "k");
    pod["containers"][0]["envFrom"] = json!([{ "configMapRef": { "name": "conf" } }]);
    for row in all_workloads() {
        let [group, version, kind, _] = row;
        let opt_in = [
            (RESTART_ON, "auto"),
            (
                "reroll.dev/on-change",
                if kind == "Job" { "recreate" } else { "run-now" },
            ),
        ];
        let opt_in = if group == "batch" {
            &opt_in[..]
        } else {
            &opt_in[..1]
        };
        let built = if group == "apps" || group == "batch" {
            kind
        } else {
            "Deployment"
        };
        let mut object = workload(built, "app", opt_in, pod.clone());
        object["apiVersion"] = json!(format!("{group}/{version}"));
        object["kind"] = json!(kind);
        if group == "batch" {
            let mut pod = object["spec"]["template"]["spec"].take();
            pod["restartPolicy"] = json!("Never");
            pod["nodeSelector"] = json!({ "no": "node" });
            let job = json!({ "template": { "spec": pod } });
            object["spec"] = match kind {
                "Job" => job,
                _ => {
                    json!({ "schedule": "0 0 29 2 *", "concurrencyPolicy": "Allow", "jobTemplate": { "spec": job } })
                }
            };
        }
        let object = serde_json::from_value(object).unwrap();
        api(arena, row)
            .create(&PostParams::default(), &object)
            .await
            .unwrap();
    }
    arena
        .create(&reroll_harness::deployment("waits", "absent", "k"))
        .await;
}

async fn observes_all(arena: &Arena) {
    for row in all_workloads() {
        let api = api(arena, row);
        eventually(&format!("{} is adopted", row[2]), async || {
            let object = api.get("app").await.ok()?;
            object
                .metadata
                .annotations?
                .contains_key("reroll.dev/observed")
                .then_some(())
        })
        .await;
    }
}

/// The rights of which no request says that they are needed.
fn unused(granted: &BTreeSet<Right>, asked: &BTreeSet<Right>) -> Vec<String> {
    let alone = |right: &Right, asked: &Right| {
        right.allows(asked) && granted.iter().filter(|other| other.allows(asked)).count() == 1
    };
    let unused = granted
        .iter()
        .filter(|right| !asked.iter().any(|asked| alone(right, asked)));
    unused.map(ToString::to_string).collect()
}

fn asked(proxy: &FaultProxy) -> BTreeSet<Right> {
    proxy.requests().iter().filter_map(Right::of).collect()
}

/// Does everything that reroll is for, behind the proxy, until every right was used.
async fn exercise(release: &Release, proxy: &FaultProxy, foreign: bool) {
    let arena = &release.arena;
    arena.secret("db", &[("k", "0")]).await;
    arena.config_map("conf", &[("k", "0")]).await;
    if foreign {
        serve_foreign(arena).await;
        create_workloads(arena).await;
    } else {
        for kind in ["Deployment", "StatefulSet", "DaemonSet"] {
            let mut pod = env("db", "k");
            pod["containers"][0]["envFrom"] = json!([{ "configMapRef": { "name": "conf" } }]);
            arena
                .create(&workload(kind, "app", &[(RESTART_ON, "auto")], pod))
                .await;
        }
        arena
            .create(&reroll_harness::deployment("waits", "absent", "k"))
            .await;
    }
    // Lists are asked for where the API server does not stream them.
    let streamed = Matcher::any().when(|request| request.query.contains("sendInitialEvents=true"));
    let refusal = Answer::status(422, "Invalid", "sendInitialEvents is forbidden");
    proxy.add(Rule::new(streamed, Fault::Answer(refusal)));
    release.install().await;
    if foreign {
        observes_all(arena).await;
    }
    let granted = granted(arena, &release.name).await;
    let recorder = arena.record().await;
    let mut left = Vec::new();
    for round in 1..=ROUNDS {
        // Another writer patches each workload just then, once, so that reroll reads it again.
        for [_, _, _, plural] in all_workloads() {
            let patches = Matcher::any()
                .method("PATCH")
                .path_contains(&format!("/{plural}/app"))
                // A kind that may drop what is written is tried out first.
                .when(|request| !request.query.contains("dryRun"));
            let conflict = Answer::status(
                422,
                "Invalid",
                "the server rejected our request due to an error in our request",
            );
            proxy.add(Rule::new(patches, Fault::Answer(conflict)).times(1));
        }
        arena
            .update_secret("db", &[("k", &round.to_string())])
            .await;
        recorder.settle(arena).await;
        // A change of the template: the webhook reads what it uses.
        arena
            .edit_container("Deployment", "app", "image", json!(format!("i:{round}")))
            .await;
        recorder.settle(arena).await;
        spoil_certificates(release).await;
        proxy.clear();
        history_goes_back(proxy);
        left = unused(&granted, &asked(proxy));
        if left.is_empty() {
            break;
        }
    }
    let refused: Vec<_> = proxy
        .requests()
        .into_iter()
        .filter(|line| matches!(line.status, Some(401 | 403)))
        .collect();
    assert!(refused.is_empty(), "{refused:#?}");
    let none: Vec<_> = asked(proxy)
        .into_iter()
        .filter(|asked| !granted.iter().any(|right| right.allows(asked)))
        .map(|right| right.to_string())
        .collect();
    assert_eq!(
        none,
        Vec::<String>::new(),
        "asked for, and granted by no rule of the chart"
    );
    assert_eq!(left, Vec::<String>::new(), "granted, and needed by nothing");
    no_rule_writes_what_is_anothers(release, &granted);
}

/// The Lease seems to be older than it was, twice, as after a restore of etcd.
fn history_goes_back(proxy: &FaultProxy) {
    let renewals = Matcher::any().method("PUT").path_contains("/leases/");
    let older = json!({
        "apiVersion": "coordination.k8s.io/v1", "kind": "Lease",
        "metadata": { "name": "older", "resourceVersion": "1" },
    });
    proxy.add(Rule::new(renewals, Fault::Answer(Answer::new(200, older))).times(2));
}

/// Certificates that reroll keeps itself are put right.
async fn spoil_certificates(release: &Release) {
    let api = Api::<Secret>::namespaced(release.arena.client.clone(), &release.arena.own_namespace);
    let name = format!("{}-webhook-tls", release.name);
    let kept = api.get(&name).await.unwrap().data.unwrap();
    if kept.contains_key("ca.key") {
        let spoilt = Patch::Merge(json!({ "stringData": { "tls.crt": "spoilt" } }));
        api.patch(&name, &PatchParams::default(), &spoilt)
            .await
            .unwrap();
        eventually("the certificate is put right", async || {
            let now = api.get(&name).await.unwrap().data.unwrap();
            (now["tls.crt"].0 != b"spoilt").then_some(())
        })
        .await;
    }
}

/// Checks that no rule lets reroll write what others made: of Secrets and ConfigMaps, only Secrets of its own
/// namespace.
fn no_rule_writes_what_is_anothers(release: &Release, granted: &BTreeSet<Right>) {
    let own = &release.arena.own_namespace;
    for right in granted {
        let of_sources =
            right.group.is_empty() && ["secrets", "configmaps"].contains(&right.resource.as_str());
        let reads = ["get", "list", "watch"].contains(&right.verb.as_str());
        if of_sources && !reads {
            assert_eq!(
                (&right.namespace, right.resource.as_str()),
                (&Some(own.clone()), "secrets"),
                "{right}"
            );
            let certificates = format!("{}-webhook-tls", release.name);
            if !["create", "delete"].contains(&right.verb.as_str()) {
                assert_eq!(
                    (right.verb.as_str(), &right.name),
                    ("update", &Some(certificates)),
                    "{right}"
                );
            }
        }
        assert_ne!(right.verb, "deletecollection", "{right}");
        assert!(
            ![&right.group, &right.resource, &right.verb]
                .iter()
                .any(|part| *part == "*"),
            "{right}"
        );
    }
}

async fn through_a_proxy(name: &str) -> (Arena, FaultProxy) {
    let arena = Arena::new(name).await;
    let proxy = FaultProxy::start(arena.cluster.kubeconfig()).await.unwrap();
    (arena, proxy)
}

#[tokio::test]
async fn every_right_in_the_cluster_is_needed() {
    let (arena, proxy) = through_a_proxy("rights-cluster").await;
    arena.label_namespace("team", &arena.namespace).await;
    let mut values = patient();
    let own = json!({
        "certificates": { "mode": "selfManaged" }, "webhook": { "tlsPollInterval": "500ms" },
        "watch": { "namespaceSelector": { "matchLabels": { "team": arena.namespace } } },
        "kinds": {
            "optional": ["rollouts", "deploymentconfigs", "cronjobs", "jobs"],
            "custom": [{ "group": "example.com", "version": "v1", "kind": "App", "resource": "apps" }],
            "discoveryInterval": "2s",
        },
        // Each restart after the second waits for as long, so that its Event repeats.
        "restarts": { "settle": "100ms", "slowStart": false, "maxDistance": "2s" },
    });
    merge(&mut values, &own);
    let release = Release::new(arena, Some(proxy.url()), &values).await;
    exercise(&release, &proxy, true).await;
}

#[tokio::test]
async fn every_right_in_one_namespace_is_needed() {
    let (arena, proxy) = through_a_proxy("rights-namespace").await;
    let mut values = in_namespace(&arena);
    let own = json!({
        "watch": { "ignoreResources": ["secretproviderclasses"] },
        // Nothing shows that rights on kinds are needed that may be absent.
        "kinds": { "optional": [] },
        // Each restart after the second waits for as long, so that its Event repeats.
        "restarts": { "settle": "100ms", "slowStart": false, "maxDistance": "2s" },
    });
    merge(&mut values, &own);
    let release = Release::new(arena, Some(proxy.url()), &values).await;
    exercise(&release, &proxy, false).await;
}
