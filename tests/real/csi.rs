//! The Secrets Store CSI driver's sources, with its kinds and a driver of this test. That driver writes what the real
//! one does: a status for each pod that mounts, and the result of a rotation into it.

use std::{
    collections::BTreeMap,
    sync::{Arc, Mutex},
    time::Duration,
};

use k8s_openapi::api::core::v1::Pod;
use kube::{
    Api, Client, ResourceExt,
    api::{DeleteParams, DynamicObject, ListParams, Patch, PatchParams, PostParams},
    core::{ApiResource, GroupVersionKind},
};
use reroll_harness::{
    Arena, RESTART_ON, Recorder, Reroll, RerollBuilder, eventually,
    proxy::{Answer, Fault, FaultProxy, Matcher, Rule},
    running, workload,
};
use serde_json::{Value, json};
use tokio::task::JoinHandle;

const GROUP: &str = "secrets-store.csi.x-k8s.io";
const DRIVER: &str = "secrets-store.csi.k8s.io";
const CLASS: (&str, &str) = ("SecretProviderClass", "secretproviderclasses");
const STATUS: (&str, &str) = (
    "SecretProviderClassPodStatus",
    "secretproviderclasspodstatuses",
);

fn row((kind, plural): (&str, &str)) -> ApiResource {
    ApiResource::from_gvk_with_plural(&GroupVersionKind::gvk(GROUP, "v1", kind), plural)
}

fn definitions(arena: &Arena) -> Api<DynamicObject> {
    let gvk = GroupVersionKind::gvk("apiextensions.k8s.io", "v1", "CustomResourceDefinition");
    Api::all_with(arena.client.clone(), &ApiResource::from_gvk(&gvk))
}

/// Has the cluster serve both kinds; it may do so already.
async fn install(arena: &Arena) {
    let text = json!({ "type": "string" });
    let object = |fields: Value| json!({ "type": "object", "properties": fields });
    let texts = json!({ "type": "object", "additionalProperties": text });
    let pair = object(json!({ "id": text, "version": text }));
    for (names, fields) in [
        (
            CLASS,
            json!({ "spec": object(json!({ "provider": text, "parameters": texts })) }),
        ),
        (
            STATUS,
            json!({ "status": object(json!({
                "mounted": { "type": "boolean" },
                "objects": { "type": "array", "items": pair },
                "podName": text, "secretProviderClassName": text, "targetPath": text,
            })) }),
        ),
    ] {
        let (kind, plural) = names;
        let definition = json!({
            "apiVersion": "apiextensions.k8s.io/v1", "kind": "CustomResourceDefinition",
            "metadata": { "name": format!("{plural}.{GROUP}") },
            "spec": {
                "group": GROUP, "scope": "Namespaced",
                "names": {
                    "kind": kind, "listKind": format!("{kind}List"), "plural": plural,
                    "singular": kind.to_lowercase(),
                },
                // No subresource for the status, as the driver's has none.
                "versions": [{
                    "name": "v1", "served": true, "storage": true, "schema": { "openAPIV3Schema": object(fields) },
                }],
            },
        });
        let definition = serde_json::from_value(definition).unwrap();
        match definitions(arena)
            .create(&PostParams::default(), &definition)
            .await
        {
            Err(kube::Error::Api(status)) if status.is_already_exists() => {}
            made => drop(made.unwrap()),
        }
        let api = Api::<DynamicObject>::all_with(arena.client.clone(), &row(names));
        eventually(&format!("{plural} are served"), async || {
            api.list(&ListParams::default()).await.ok()
        })
        .await;
    }
}

/// A driver: it mounts what pods want, by itself, and rotates when it is told to.
struct Driver {
    store: Store,
    mounts: JoinHandle<()>,
}

/// What is in the store outside of the cluster, and where statuses are.
#[derive(Clone)]
struct Store {
    client: Client,
    namespace: String,
    /// The version of the one object, by class.
    versions: Arc<Mutex<BTreeMap<String, u64>>>,
    /// Each pod gets a version of its own.
    each: bool,
}

impl Driver {
    fn start(arena: &Arena) -> Self {
        Self::run(arena, false)
    }

    fn run(arena: &Arena, each: bool) -> Self {
        let store = Store {
            client: arena.client.clone(),
            namespace: arena.namespace.clone(),
            versions: Arc::default(),
            each,
        };
        let mounting = store.clone();
        let mounts = tokio::spawn(async move {
            loop {
                mounting.mount().await;
                tokio::time::sleep(Duration::from_millis(50)).await;
            }
        });
        Self { store, mounts }
    }
}

impl Drop for Driver {
    fn drop(&mut self) {
        self.mounts.abort();
    }
}

impl Store {
    fn statuses(&self) -> Api<DynamicObject> {
        Api::namespaced_with(self.client.clone(), &self.namespace, &row(STATUS))
    }

    /// The store has something newer.
    fn update(&self, class: &str) {
        *self
            .versions
            .lock()
            .unwrap()
            .entry(class.to_owned())
            .or_default() += 1;
    }

    fn objects(&self, class: &str, pod: &str) -> Value {
        let version = self.versions.lock().unwrap().get(class).copied();
        let own = if self.each { pod } else { "" };
        json!([{ "id": "secret/canary-id", "version": format!("canary-{}{own}", version.unwrap_or(0)) }])
    }

    /// Writes the status of every pod that has none, or finds that of a pod before it, of the same name.
    async fn mount(&self) {
        let pods = Api::<Pod>::namespaced(self.client.clone(), &self.namespace);
        // It may not be served at the moment.
        let Ok(known) = self.statuses().list(&ListParams::default()).await else {
            return;
        };
        let known: BTreeMap<_, _> = known
            .items
            .iter()
            .map(|status| (status.name_any(), status.clone()))
            .collect();
        for pod in pods.list(&ListParams::default()).await.unwrap() {
            let node = pod.spec.as_ref().and_then(|spec| spec.node_name.clone());
            let Some(node) = node.filter(|_| pod.metadata.deletion_timestamp.is_none()) else {
                continue;
            };
            for class in classes(&pod) {
                let name = format!("{}-{}-{class}", pod.name_any(), self.namespace);
                let uid = pod.uid().unwrap();
                let owner = json!([{ "apiVersion": "v1", "kind": "Pod", "name": pod.name_any(), "uid": uid }]);
                let status = json!({
                    "mounted": true, "podName": pod.name_any(), "secretProviderClassName": class,
                    "targetPath": format!("/var/lib/kubelet/pods/{uid}/volumes/kubernetes.io~csi/store/mount"),
                    "objects": self.objects(&class, &pod.name_any()),
                });
                let labels = json!({ "internal.secrets-store.csi.k8s.io/node-name": node });
                let metadata = json!({ "name": name, "labels": labels, "ownerReferences": owner });
                match known.get(&name) {
                    None => {
                        let object = json!({
                            "apiVersion": format!("{GROUP}/v1"), "kind": STATUS.0, "metadata": metadata, "status": status,
                        });
                        let object = serde_json::from_value(object).unwrap();
                        // Its pod may be gone by now.
                        drop(
                            self.statuses()
                                .create(&PostParams::default(), &object)
                                .await,
                        );
                    }
                    Some(known) if known.owner_references()[0].uid != uid => {
                        let patch = json!({ "metadata": metadata, "status": status });
                        self.patch(&name, patch).await;
                    }
                    Some(_) => {}
                }
            }
        }
    }

    async fn patch(&self, name: &str, patch: Value) {
        let (params, patch) = (PatchParams::default(), Patch::Merge(&patch));
        // It may be gone by now.
        drop(self.statuses().patch(name, &params, &patch).await);
    }

    /// The names of a class's statuses.
    async fn shown(&self, class: &str) -> Vec<String> {
        let all = self
            .statuses()
            .list(&ListParams::default())
            .await
            .unwrap()
            .items;
        let of_class =
            |status: &&DynamicObject| status.data["status"]["secretProviderClassName"] == class;
        all.iter()
            .filter(of_class)
            .map(ResourceExt::name_any)
            .collect()
    }

    /// Fetches anew for one pod.
    async fn poll(&self, class: &str, name: &str) {
        let pod = name.strip_suffix(&format!("-{}-{class}", self.namespace));
        let objects = self.objects(class, pod.unwrap());
        self.patch(name, json!({ "status": { "objects": objects } }))
            .await;
    }

    /// A rotation, pod by pod.
    async fn rotate(&self, class: &str) {
        self.update(class);
        for name in self.shown(class).await {
            self.poll(class, &name).await;
        }
    }

    /// Waits until exactly these many pods have mounted a class.
    async fn mounted(&self, class: &str, count: usize) {
        eventually(&format!("{count} pods have mounted {class}"), async || {
            (self.shown(class).await.len() == count).then_some(())
        })
        .await;
    }
}

fn classes(pod: &Pod) -> Vec<String> {
    let spec = json!(pod.spec);
    let volumes = spec["volumes"].as_array().cloned().unwrap_or_default();
    let csi = volumes
        .iter()
        .filter(|volume| volume["csi"]["driver"] == DRIVER);
    csi.filter_map(|volume| volume["csi"]["volumeAttributes"]["secretProviderClass"].as_str())
        .map(str::to_owned)
        .collect()
}

/// A pod that mounts a class, and reads `k` of Secret `db`, if there is one.
fn mounting(class: &str) -> Value {
    let from = json!({ "secretKeyRef": { "name": "db", "key": "k", "optional": true } });
    json!({
        "containers": [{
            "env": [{ "name": "V", "valueFrom": from }],
            "volumeMounts": [{ "name": "store", "mountPath": "/store", "readOnly": true }],
        }],
        "volumes": [{ "name": "store", "csi": {
            "driver": DRIVER, "readOnly": true, "volumeAttributes": { "secretProviderClass": class },
        } }],
    })
}

/// A workload with two pods.
async fn run(arena: &Arena, kind: &str, name: &str, annotations: &[(&str, &str)]) {
    arena
        .create(&running(kind, name, annotations, mounting(name)))
        .await;
}

const AUTO: [(&str, &str); 1] = [(RESTART_ON, "auto")];

fn quickly(reroll: RerollBuilder) -> RerollBuilder {
    reroll.flag("--discovery-interval", "200ms")
}

/// Starts it, and waits until it watches the driver's kinds.
async fn start(reroll: RerollBuilder) -> Reroll {
    let reroll = quickly(reroll).start().await;
    eventually("both kinds are watched", async || {
        let log = reroll.log();
        // Of this process, and not of one before it.
        let (_, own) = log.rsplit_once("serving health and metrics")?;
        let of_driver = own.lines().filter(|line| line.contains(GROUP));
        let watched = of_driver.filter(|line| line.contains("the API server serves this kind: "));
        (watched.count() == 2).then_some(())
    })
    .await;
    reroll
}

/// Waits until a workload has observed what the class shows.
async fn observed(arena: &Arena, kind: &str, name: &str, class: &str) {
    arena
        .observes(
            kind,
            name,
            &format!("secretproviderclass/{class}"),
            |entry| entry["d"]["*"].is_string(),
        )
        .await;
}

async fn expect(arena: &Arena, recorder: &Recorder, kind: &str, name: &str, rollouts: usize) {
    recorder.reaches(kind, name, rollouts).await;
    recorder.settle(arena).await;
    recorder.expect(kind, name, rollouts);
}

#[tokio::test]
async fn each_rotation_restarts_once_and_a_roll_never() {
    let arena = Arena::new("csi-once").await;
    install(&arena).await;
    for (way, reroll) in arena.both_ways() {
        let driver = Driver::start(&arena);
        let reroll = start(reroll).await;
        let recorder = arena.record().await;
        for kind in ["Deployment", "StatefulSet"] {
            let name = format!("{way}-{}", kind.to_lowercase());
            run(&arena, kind, &name, &AUTO).await;
            driver.store.mounted(&name, 2).await;
            observed(&arena, kind, &name, &name).await;
            expect(&arena, &recorder, kind, &name, 0).await;
            for round in 1..=2 {
                driver.store.rotate(&name).await;
                recorder.reaches(kind, &name, round).await;
                arena.pods_are(&name, 2, "Running").await;
                driver.store.mounted(&name, 2).await;
                expect(&arena, &recorder, kind, &name, round).await;
            }
            let shown = driver.store.shown(&name).await;
            let touch = json!({ "metadata": { "labels": { "touched": "true" } } });
            driver.store.patch(&shown[0], touch).await;
            // No pod runs, and the next pod starts with what is there.
            let scale = |count| json!({ "spec": { "replicas": count } });
            arena.patch(kind, &name, scale(0)).await;
            driver.store.mounted(&name, 0).await;
            driver.store.update(&name);
            arena.patch(kind, &name, scale(2)).await;
            driver.store.mounted(&name, 2).await;
            expect(&arena, &recorder, kind, &name, 2).await;
            driver.store.rotate(&name).await;
            expect(&arena, &recorder, kind, &name, 3).await;
            arena
                .event(&name, &format!("SecretProviderClass {name} was updated"))
                .await;
            arena.patch(kind, &name, scale(0)).await;
        }
        assert!(!reroll.log().contains("canary"), "{}", reroll.log());
        assert!(reroll.stop().await);
    }
}

#[tokio::test]
async fn what_is_another_for_each_pod_restarts_nothing() {
    let arena = Arena::new("csi-each").await;
    install(&arena).await;
    let driver = Driver::run(&arena, true);
    let reroll = start(arena.reroll()).await;
    arena.secret("db", &[("k", "one")]).await;
    run(&arena, "Deployment", "web", &AUTO).await;
    driver.store.mounted("web", 2).await;
    arena.adopted("Deployment", "web").await;
    let recorder = arena.record().await;
    arena.update_secret("db", &[("k", "two")]).await;
    recorder.reaches("Deployment", "web", 1).await;
    arena.pods_are("web", 2, "Running").await;
    driver.store.mounted("web", 2).await;
    expect(&arena, &recorder, "Deployment", "web", 1).await;
    let builder = reroll.builder();
    assert!(reroll.stop().await);
    let _reroll = start(builder).await;
    expect(&arena, &recorder, "Deployment", "web", 1).await;
}

#[tokio::test]
async fn what_was_rotated_while_it_was_down_restarts_once() {
    let arena = Arena::new("csi-down").await;
    install(&arena).await;
    let driver = Driver::start(&arena);
    let reroll = start(arena.reroll()).await;
    for name in ["web", "other"] {
        run(&arena, "Deployment", name, &AUTO).await;
        driver.store.mounted(name, 2).await;
        observed(&arena, "Deployment", name, name).await;
    }
    let builder = reroll.builder();
    assert!(reroll.stop().await);
    let recorder = arena.record().await;
    driver.store.rotate("web").await;
    let reroll = start(builder.clone()).await;
    expect(&arena, &recorder, "Deployment", "web", 1).await;
    recorder.expect("Deployment", "other", 0);

    // A start at which nothing has changed.
    assert!(reroll.stop().await);
    let reroll = start(builder.clone()).await;
    expect(&arena, &recorder, "Deployment", "web", 1).await;

    // Only one pod is rotated so far, and it is gone at the start: what is left is older.
    driver.store.mounted("other", 2).await;
    driver.store.update("other");
    let shown = driver.store.shown("other").await;
    let pause = json!({ "spec": { "paused": true } });
    arena.patch("Deployment", "other", pause).await;
    driver.store.poll("other", &shown[1]).await;
    expect(&arena, &recorder, "Deployment", "other", 1).await;
    assert!(reroll.stop().await);
    let params = DeleteParams::default();
    driver.mounts.abort();
    driver
        .store
        .statuses()
        .delete(&shown[1], &params)
        .await
        .unwrap();
    let _reroll = start(builder).await;
    expect(&arena, &recorder, "Deployment", "other", 1).await;
    // And when that one is rotated too, it is the same rotation.
    driver.store.poll("other", &shown[0]).await;
    expect(&arena, &recorder, "Deployment", "other", 1).await;
    recorder.expect("Deployment", "web", 1);
}

const EXCLUDE: &str = "secretproviderclasses.exclude.reloader.stakater.com/reload";

/// A name, annotations, and how often it is restarted.
type Row = (&'static str, &'static [(&'static str, &'static str)], usize);

#[tokio::test]
async fn who_asks_for_it_and_who_does_not() {
    let arena = Arena::new("csi-asks").await;
    install(&arena).await;
    let driver = Driver::start(&arena);
    let class = json!({
        "apiVersion": format!("{GROUP}/v1"), "kind": CLASS.0,
        "metadata": { "name": "vault", "annotations": { "reloader.stakater.com/match": "true" } },
        "spec": { "provider": "vault" },
    });
    let classes: Api<DynamicObject> =
        Api::namespaced_with(arena.client.clone(), &arena.namespace, &row(CLASS));
    let class = serde_json::from_value(class).unwrap();
    classes
        .create(&PostParams::default(), &class)
        .await
        .unwrap();
    let reroll = start(arena.reroll()).await;
    // Whose pods show what is provided.
    run(&arena, "Deployment", "vault", &[]).await;
    driver.store.mounted("vault", 2).await;
    let rows: [Row; 11] = [
        ("auto", &[(RESTART_ON, "auto")], 1),
        ("kind", &[(RESTART_ON, "secretproviderclasses")], 1),
        ("named", &[(RESTART_ON, "secretproviderclass/vault")], 1),
        ("glob", &[(RESTART_ON, "secretproviderclass/v*")], 1),
        ("secrets", &[(RESTART_ON, "secrets")], 0),
        ("not", &[(RESTART_ON, "auto,!secretproviderclass/vault")], 0),
        ("all", &[("reloader.stakater.com/auto", "true")], 1),
        (
            "reload",
            &[("secretproviderclass.reloader.stakater.com/reload", "v.+t")],
            1,
        ),
        ("search", &[("reloader.stakater.com/search", "true")], 1),
        (
            "exclude",
            &[("reloader.stakater.com/auto", "true"), (EXCLUDE, "vault")],
            0,
        ),
        (
            "delete",
            &[(RESTART_ON, "auto"), ("reroll.dev/on-delete", "restart")],
            1,
        ),
    ];
    for (name, annotations, _) in rows {
        arena
            .create(&workload(
                "Deployment",
                name,
                annotations,
                mounting("vault"),
            ))
            .await;
        arena.adopted("Deployment", name).await;
    }
    let recorder = arena.record().await;
    driver.store.rotate("vault").await;
    let expected = || rows.iter().map(|(name, _, count)| (*name, *count));
    for (name, count) in expected() {
        recorder.reaches("Deployment", name, count).await;
    }
    recorder.settle(&arena).await;
    recorder.expect_each("Deployment", expected());
    recorder.expect("Deployment", "vault", 0);

    // Created when there is something already: it starts with that.
    arena
        .create(&workload("Deployment", "late", &AUTO, mounting("vault")))
        .await;
    observed(&arena, "Deployment", "late", "vault").await;
    // The pods of `late` start with something newer. The others are all behind: until they are rotated, it is not known
    // that anything changed for pods that run.
    arena.delete("Deployment", "vault").await;
    driver.store.mounted("vault", 0).await;
    recorder.settle(&arena).await;
    recorder.expect_each("Deployment", expected());
    recorder.expect("Deployment", "late", 0);

    // Ignored from now on.
    let ignore =
        json!({ "metadata": { "annotations": { "reloader.stakater.com/ignore": "true" } } });
    classes
        .patch("vault", &PatchParams::default(), &Patch::Merge(&ignore))
        .await
        .unwrap();
    recorder.settle(&arena).await;
    run(&arena, "Deployment", "vault", &[]).await;
    driver.store.mounted("vault", 2).await;
    driver.store.rotate("vault").await;
    recorder.settle(&arena).await;
    recorder.expect_each("Deployment", expected());
    recorder.expect("Deployment", "late", 0);
    drop(reroll);
}

#[tokio::test]
async fn what_may_not_be_read_holds_nothing_up() {
    let arena = Arena::new("csi-forbidden").await;
    install(&arena).await;
    let driver = Driver::start(&arena);
    let proxy = FaultProxy::start(arena.cluster.kubeconfig()).await.unwrap();
    let forbidden = Answer::status(403, "Forbidden", "no");
    let lists = Matcher::any().path_contains(&format!("{GROUP}/v1/namespaces"));
    let rule = proxy.add(Rule::new(lists, Fault::Answer(forbidden)));
    arena.secret("db", &[("k", "one")]).await;
    let reroll = quickly(arena.reroll())
        .kubeconfig(proxy.kubeconfig())
        .start()
        .await;
    run(&arena, "Deployment", "web", &AUTO).await;
    driver.store.mounted("web", 2).await;
    arena.adopted("Deployment", "web").await;
    let recorder = arena.record().await;
    arena.update_secret("db", &[("k", "two")]).await;
    expect(&arena, &recorder, "Deployment", "web", 1).await;
    driver.store.mounted("web", 2).await;
    driver.store.rotate("web").await;
    expect(&arena, &recorder, "Deployment", "web", 1).await;
    assert_eq!(reroll.http("/readyz").await.unwrap().0, 200);
    // What it finds when it may is adopted.
    proxy.remove(rule);
    observed(&arena, "Deployment", "web", "web").await;
    expect(&arena, &recorder, "Deployment", "web", 1).await;
    driver.store.rotate("web").await;
    expect(&arena, &recorder, "Deployment", "web", 2).await;
}

#[tokio::test]
async fn it_can_be_left_alone() {
    let arena = Arena::new("csi-off").await;
    install(&arena).await;
    let driver = Driver::start(&arena);
    let proxy = FaultProxy::start(arena.cluster.kubeconfig()).await.unwrap();
    let _reroll = quickly(arena.reroll())
        .kubeconfig(proxy.kubeconfig())
        .flag("--ignore-resources", "secretproviderclasses")
        .start()
        .await;
    arena.secret("db", &[("k", "one")]).await;
    run(&arena, "Deployment", "web", &AUTO).await;
    driver.store.mounted("web", 2).await;
    arena.adopted("Deployment", "web").await;
    let recorder = arena.record().await;
    driver.store.rotate("web").await;
    arena.update_secret("db", &[("k", "two")]).await;
    expect(&arena, &recorder, "Deployment", "web", 1).await;
    assert_eq!(proxy.count(|request| request.path.contains(GROUP)), 0);
}

/// In a cluster of its own: the others need the kinds.
#[tokio::test]
async fn the_kinds_may_come_and_go() {
    let arena = Arena::on_own_cluster("csi-come").await;
    let driver = Driver::start(&arena);
    arena.secret("db", &[("k", "0")]).await;
    let reroll = quickly(arena.reroll()).start().await;
    run(&arena, "Deployment", "web", &AUTO).await;
    arena.adopted("Deployment", "web").await;
    let recorder = arena.record().await;
    let mut rollouts = 0;
    for round in 1..=2 {
        // No decision waits for what is not there.
        arena
            .update_secret("db", &[("k", &round.to_string())])
            .await;
        rollouts += 1;
        expect(&arena, &recorder, "Deployment", "web", rollouts).await;
        install(&arena).await;
        arena.pods_are("web", 2, "Running").await;
        driver.store.mounted("web", 2).await;
        observed(&arena, "Deployment", "web", "web").await;
        expect(&arena, &recorder, "Deployment", "web", rollouts).await;
        driver.store.rotate("web").await;
        rollouts += 1;
        expect(&arena, &recorder, "Deployment", "web", rollouts).await;
        arena.pods_are("web", 2, "Running").await;
        driver.store.mounted("web", 2).await;
        for (_, plural) in [CLASS, STATUS] {
            let name = format!("{plural}.{GROUP}");
            let api = definitions(&arena);
            api.delete(&name, &DeleteParams::default()).await.unwrap();
            eventually(&format!("{name} is gone"), async || {
                api.get_opt(&name).await.unwrap().is_none().then_some(())
            })
            .await;
        }
        let gone = "the API server serves this kind no more";
        eventually("reroll notices that they are gone", async || {
            (reroll.log().matches(gone).count() == 2 * round).then_some(())
        })
        .await;
        expect(&arena, &recorder, "Deployment", "web", rollouts).await;
    }
    assert_eq!(reroll.failed_watches(), Vec::<String>::new());
}
