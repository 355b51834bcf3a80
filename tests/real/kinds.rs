//! Kinds that not every cluster has: Argo Rollouts, `DeploymentConfig`s, and one of this test's own.

use std::{
    collections::BTreeMap,
    sync::{Arc, Mutex},
};

use futures::StreamExt;
use kube::{
    Api, ResourceExt,
    api::{DeleteParams, DynamicObject, Patch, PatchParams, PostParams},
    core::{ApiResource, GroupVersionKind},
    runtime::{WatchStreamExt, watcher},
};
use reroll_harness::{
    Arena, OBSERVED, RESTART_ON, RESTARTED_FOR, Reroll, RerollBuilder, env, eventually, workload,
};
use serde_json::{Value, json};
use tokio::task::JoinHandle;

pub const RESTARTED_AT: &str = "reroll.dev/restarted-at";
const STRATEGY: &str = "reloader.stakater.com/rollout-strategy";

/// A kind, and where it has its pod template.
#[derive(Clone)]
pub struct Custom {
    group: String,
    version: &'static str,
    kind: &'static str,
    template: &'static str,
}

impl Custom {
    pub fn rollout() -> Self {
        Self {
            group: "argoproj.io".to_owned(),
            version: "v1alpha1",
            kind: "Rollout",
            template: "/spec/template",
        }
    }

    fn deployment_config() -> Self {
        Self {
            group: "apps.openshift.io".to_owned(),
            version: "v1",
            kind: "DeploymentConfig",
            template: "/spec/template",
        }
    }

    /// A kind that no other test in this cluster has.
    pub fn own(arena: &Arena) -> Self {
        Self {
            group: format!("{}.example.com", arena.namespace),
            version: "v1",
            kind: "App",
            template: "/spec/app/podTemplate",
        }
    }

    fn plural(&self) -> String {
        format!("{}s", self.kind.to_lowercase())
    }

    pub fn api(&self, arena: &Arena) -> Api<DynamicObject> {
        let gvk = GroupVersionKind::gvk(&self.group, self.version, self.kind);
        let row = ApiResource::from_gvk_with_plural(&gvk, &self.plural());
        Api::namespaced_with(arena.client.clone(), &arena.namespace, &row)
    }

    /// Has the cluster serve it, with this schema; it may do so already. Waits until it does.
    pub async fn install(&self, arena: &Arena, schema: Value) {
        let name = format!("{}.{}", self.plural(), self.group);
        let definition = json!({
            "apiVersion": "apiextensions.k8s.io/v1", "kind": "CustomResourceDefinition",
            "metadata": { "name": name },
            "spec": {
                "group": self.group, "scope": "Namespaced",
                "names": {
                    "kind": self.kind, "listKind": format!("{}List", self.kind),
                    "plural": self.plural(), "singular": self.kind.to_lowercase(),
                },
                "versions": [{
                    "name": self.version, "served": true, "storage": true, "subresources": { "status": {} },
                    "schema": { "openAPIV3Schema": schema },
                }],
            },
        });
        eventually(&format!("{name} can be installed"), async || {
            let definition = serde_json::from_value(definition.clone()).unwrap();
            match definitions(arena)
                .create(&PostParams::default(), &definition)
                .await
            {
                Ok(_) => Some(()),
                Err(kube::Error::Api(status)) if status.is_already_exists() => {
                    let present = definitions(arena).get(&name).await.ok()?;
                    // One that is being deleted.
                    present.metadata.deletion_timestamp.is_none().then_some(())
                }
                Err(error) => panic!("{error}"),
            }
        })
        .await;
        eventually(&format!("{name} is served"), async || {
            self.api(arena)
                .list(&kube::api::ListParams::default())
                .await
                .ok()
        })
        .await;
    }

    async fn uninstall(&self, arena: &Arena) {
        let name = format!("{}.{}", self.plural(), self.group);
        definitions(arena)
            .delete(&name, &DeleteParams::default())
            .await
            .unwrap();
        eventually(&format!("{name} is gone"), async || {
            definitions(arena)
                .get_opt(&name)
                .await
                .unwrap()
                .is_none()
                .then_some(())
        })
        .await;
    }

    /// One that reads `k` of Secret `db`, with these annotations.
    pub async fn create(
        &self,
        arena: &Arena,
        name: &str,
        annotations: &[(&str, &str)],
    ) -> DynamicObject {
        let mut pod = env("db", "k");
        pod["containers"][0]["name"] = json!("c");
        pod["containers"][0]["image"] = json!("registry.example/app:1");
        let template = json!({ "metadata": { "labels": { "app": name } }, "spec": pod });
        let nested = self.template.rsplit('/').filter(|part| !part.is_empty());
        let inside = nested.fold(template, |inside, part| json!({ part: inside }));
        let annotations: BTreeMap<_, _> = [(RESTART_ON, "auto")]
            .iter()
            .chain(annotations)
            .copied()
            .collect();
        let mut manifest = json!({
            "apiVersion": format!("{}/{}", self.group, self.version), "kind": self.kind,
            "metadata": { "name": name, "annotations": annotations },
        });
        manifest["spec"] = inside["spec"].clone();
        let object = serde_json::from_value(manifest).unwrap();
        self.api(arena)
            .create(&PostParams::default(), &object)
            .await
            .unwrap()
    }

    pub async fn patch(&self, arena: &Arena, name: &str, patch: Value) -> DynamicObject {
        let params = PatchParams {
            field_manager: Some("test".to_owned()),
            ..PatchParams::default()
        };
        self.api(arena)
            .patch(name, &params, &Patch::Merge(patch))
            .await
            .unwrap()
    }

    /// Sets something of the template's.
    pub async fn edit_template(&self, arena: &Arena, name: &str, edit: Value) -> DynamicObject {
        let nested = self.template.rsplit('/').filter(|part| !part.is_empty());
        let patch = nested.fold(edit, |inside, part| json!({ part: inside }));
        self.patch(arena, name, patch).await
    }

    pub fn template_of<'a>(&self, object: &'a DynamicObject) -> &'a Value {
        object.data.pointer(self.template).unwrap()
    }

    /// Waits until `observed` is there, and names its uid.
    pub async fn adopted(&self, arena: &Arena, name: &str) {
        eventually(&format!("{} {name} is adopted", self.kind), async || {
            let object = self.api(arena).get(name).await.ok()?;
            let observed = object.annotations().get(OBSERVED)?;
            observed.contains(&object.uid()?).then_some(())
        })
        .await;
    }
}

fn definitions(arena: &Arena) -> Api<DynamicObject> {
    let gvk = GroupVersionKind::gvk("apiextensions.k8s.io", "v1", "CustomResourceDefinition");
    Api::all_with(arena.client.clone(), &ApiResource::from_gvk(&gvk))
}

/// Takes everything.
pub fn anything() -> Value {
    json!({ "type": "object", "x-kubernetes-preserve-unknown-fields": true })
}

/// Counts how often something of one object changes.
pub struct Changes {
    seen: Arc<Mutex<(u64, Vec<Value>)>>,
    watch: JoinHandle<()>,
    api: Api<DynamicObject>,
    name: String,
}

impl Changes {
    /// From its present state on.
    pub async fn of(
        api: Api<DynamicObject>,
        name: &str,
        what: impl Fn(&DynamicObject) -> Value + Send + 'static,
    ) -> Self {
        let seen: Arc<Mutex<(u64, Vec<Value>)>> = Arc::default();
        let (notes, watched) = (Arc::clone(&seen), api.clone());
        let config = watcher::Config::default().fields(&format!("metadata.name={name}"));
        let watch = tokio::spawn(async move {
            let mut events = watcher(watched, config).default_backoff().boxed();
            while let Some(event) = events.next().await {
                if let Ok(watcher::Event::Apply(object) | watcher::Event::InitApply(object)) = event
                {
                    let (at, values) = &mut *notes.lock().unwrap();
                    *at = version(&object);
                    let value = what(&object);
                    if values.last() != Some(&value) {
                        values.push(value);
                    }
                }
            }
        });
        let changes = Self {
            seen,
            watch,
            api,
            name: name.to_owned(),
        };
        changes.catch_up().await;
        changes
    }

    pub fn count(&self) -> usize {
        self.seen.lock().unwrap().1.len().saturating_sub(1)
    }

    pub async fn catch_up(&self) {
        let now = version(&self.api.get(&self.name).await.unwrap());
        eventually("the count is up to date", async || {
            (self.seen.lock().unwrap().0 >= now).then_some(())
        })
        .await;
    }

    /// Waits for so many, lets everything take effect, and there must be no more.
    pub async fn are(&self, arena: &Arena, recorder: &reroll_harness::Recorder, count: usize) {
        eventually(
            &format!("{} has changed {count} times", self.name),
            async || (self.count() >= count).then_some(()),
        )
        .await;
        recorder.settle(arena).await;
        self.catch_up().await;
        let seen = self.seen.lock().unwrap().1.clone();
        assert_eq!(self.count(), count, "changes of {}: {seen:#?}", self.name);
    }
}

impl Drop for Changes {
    fn drop(&mut self) {
        self.watch.abort();
    }
}

fn version(object: &DynamicObject) -> u64 {
    object
        .resource_version()
        .and_then(|text| text.parse().ok())
        .unwrap_or(0)
}

/// With a kind of the test's own, and a short interval.
pub fn with(reroll: RerollBuilder, own: &Custom) -> RerollBuilder {
    let spec = format!(
        "{}/{}/{}:{}",
        own.group, own.version, own.kind, own.template
    );
    reroll
        .flag("--workload-kind", &spec)
        .flag("--discovery-interval", "200ms")
}

pub async fn follows(reroll: &Reroll, own: &Custom, times: usize) {
    let kind = format!("{}/{}/{}", own.group, own.version, own.kind);
    eventually(
        &format!("{kind} is watched for the {times}. time"),
        async || (said(reroll, &kind, "the API server serves this kind: ") >= times).then_some(()),
    )
    .await;
}

fn said(reroll: &Reroll, kind: &str, message: &str) -> usize {
    let log = reroll.log();
    let lines = log
        .lines()
        .filter_map(|line| serde_json::from_str::<Value>(line).ok());
    lines
        .filter(|line| {
            line["kind"] == kind
                && line["message"]
                    .as_str()
                    .is_some_and(|said| said.starts_with(message))
        })
        .count()
}

#[tokio::test]
async fn each_change_changes_the_template_once() {
    let arena = Arena::new("kinds-once").await;
    let kinds = [
        Custom::rollout(),
        Custom::deployment_config(),
        Custom::own(&arena),
    ];
    for kind in &kinds {
        kind.install(&arena, anything()).await;
    }
    for (way, reroll) in arena.both_ways() {
        let reroll = with(reroll, &kinds[2]).start().await;
        for kind in &kinds {
            follows(&reroll, kind, 1).await;
        }
        arena.secret("db", &[("k", "one")]).await;
        let recorder = arena.record().await;
        let mut all = Vec::new();
        for kind in &kinds {
            let made = kind.create(&arena, way, &[]).await;
            assert_eq!(
                made.annotations().contains_key(OBSERVED),
                way == "webhook",
                "stamped where there is a webhook: {}",
                kind.kind
            );
            kind.adopted(&arena, way).await;
            let template = kind.clone();
            let changes = Changes::of(kind.api(&arena), way, move |object| {
                template.template_of(object).clone()
            })
            .await;
            all.push((kind, changes));
        }
        arena.update_secret("db", &[("k", "two")]).await;
        for (_, changes) in &all {
            changes.are(&arena, &recorder, 1).await;
        }
        arena.recreate_secret("db", &[("k", "two")]).await;
        for (_, changes) in &all {
            changes.are(&arena, &recorder, 2).await;
        }
        for (kind, changes) in &all {
            let object = kind.api(&arena).get(way).await.unwrap();
            let mark = kind.template_of(&object)["metadata"]["annotations"][RESTARTED_FOR].as_str();
            let observed: Value = serde_json::from_str(&object.annotations()[OBSERVED]).unwrap();
            assert_eq!(mark, observed["rf"].as_str(), "{}", kind.kind);
            // Another writer's write changes nothing of reroll's; without a webhook reroll says nothing of it here.
            if way == "webhook" {
                let edit =
                    json!({ "metadata": { "annotations": { RESTARTED_FOR: "pinned", "x": "y" } } });
                let edited = kind.edit_template(&arena, way, edit).await;
                assert_eq!(
                    kind.template_of(&edited)["metadata"]["annotations"],
                    json!({ RESTARTED_FOR: mark.unwrap(), "x": "y" })
                );
                changes.are(&arena, &recorder, 3).await;
            }
        }
        arena.delete("Secret", "db").await;
        assert!(reroll.stop().await);
    }
    kinds[2].uninstall(&arena).await;
}

#[tokio::test]
async fn a_secret_and_a_template_that_change_together_roll_once() {
    let arena = Arena::new("kinds-together").await;
    let own = Custom::own(&arena);
    own.install(&arena, anything()).await;
    let reroll = with(arena.reroll(), &own).start().await;
    follows(&reroll, &own, 1).await;
    arena.secret("db", &[("k", "one")]).await;
    own.create(&arena, "web", &[("reroll.dev/settle", "8s")])
        .await;
    own.adopted(&arena, "web").await;
    let recorder = arena.record().await;
    let template = own.clone();
    let changes = Changes::of(own.api(&arena), "web", move |object| {
        template.template_of(object).clone()
    })
    .await;
    arena.update_secret("db", &[("k", "two")]).await;
    let edited = own
        .edit_template(&arena, "web", json!({ "spec": { "hostNetwork": true } }))
        .await;
    assert!(
        own.template_of(&edited)["metadata"]["annotations"][RESTARTED_FOR].is_string(),
        "an advance sets a mark: {edited:?}"
    );
    // Longer than the quiet period.
    eventually("the intent is void", async || {
        (reroll
            .metric("reroll_intents_total{outcome=\"void\"}")
            .await
            > 0.0)
            .then_some(())
    })
    .await;
    changes.are(&arena, &recorder, 1).await;
    own.uninstall(&arena).await;
}

#[tokio::test]
async fn a_kind_may_come_and_go() {
    let arena = Arena::new("kinds-come").await;
    let own = Custom::own(&arena);
    let name = format!("{}/{}/{}", own.group, own.version, own.kind);
    // It is ready without the kind.
    let reroll = with(arena.reroll(), &own).start().await;
    assert_eq!(said(&reroll, &name, "the API server serves this kind"), 0);
    arena.secret("db", &[("k", "0")]).await;
    let recorder = arena.record().await;
    for round in 1..=2 {
        own.install(&arena, anything()).await;
        follows(&reroll, &own, round).await;
        own.create(&arena, "web", &[]).await;
        own.adopted(&arena, "web").await;
        let template = own.clone();
        let changes = Changes::of(own.api(&arena), "web", move |object| {
            template.template_of(object).clone()
        })
        .await;
        arena
            .update_secret("db", &[("k", &round.to_string())])
            .await;
        changes.are(&arena, &recorder, 1).await;
        drop(changes);
        assert!(reroll.metric("reroll_workloads_indexed").await >= 2.0);
        own.uninstall(&arena).await;
        eventually("reroll notices that the kind is gone", async || {
            (said(&reroll, &name, "the API server serves this kind no more") == round).then_some(())
        })
        .await;
        // The sentinel is left.
        assert!((reroll.metric("reroll_workloads_indexed").await - 1.0).abs() < 0.5);
    }
    let (code, missing) = reroll.http("/readyz").await.unwrap();
    assert_eq!(code, 200, "{missing}");
    assert_eq!(reroll.failed_watches(), Vec::<String>::new());
}

#[tokio::test]
async fn what_changed_before_the_kind_was_seen_is_judged_as_at_start() {
    let arena = Arena::new("kinds-missed").await;
    let own = Custom::own(&arena);
    own.install(&arena, anything()).await;
    arena.secret("db", &[("k", "one")]).await;
    let reroll = with(arena.reroll(), &own).start().await;
    own.create(&arena, "web", &[]).await;
    own.adopted(&arena, "web").await;
    let builder = reroll.builder();
    assert!(reroll.stop().await);
    let template = own.clone();
    let changes = Changes::of(own.api(&arena), "web", move |object| {
        template.template_of(object).clone()
    })
    .await;
    arena.update_secret("db", &[("k", "two")]).await;
    let _reroll = builder.start().await;
    let recorder = arena.record().await;
    changes.are(&arena, &recorder, 1).await;
    own.uninstall(&arena).await;
}

#[tokio::test]
async fn a_schema_that_drops_the_mark_is_said_and_not_tried_again_and_again() {
    let arena = Arena::new("kinds-dropped").await;
    let own = Custom::own(&arena);
    // As a controller-gen with `generateEmbeddedObjectMeta=false` writes it.
    let object = |properties: Value| json!({ "type": "object", "properties": properties });
    let template = object(json!({ "metadata": { "type": "object" }, "spec": anything() }));
    let schema = object(
        json!({ "spec": object(json!({ "app": object(json!({ "podTemplate": template })) })) }),
    );
    own.install(&arena, schema).await;
    let reroll = with(arena.reroll(), &own).start().await;
    follows(&reroll, &own, 1).await;
    arena.secret("db", &[("k", "one")]).await;
    own.create(&arena, "web", &[]).await;
    own.adopted(&arena, "web").await;
    let recorder = arena.record().await;
    let written = Changes::of(own.api(&arena), "web", |object| {
        json!(object.metadata.resource_version)
    })
    .await;
    for value in ["two", "three"] {
        arena.update_secret("db", &[("k", value)]).await;
        arena
            .event(
                "web",
                "NotRestarted: not restarted: the schema of App drops annotations",
            )
            .await;
        written.are(&arena, &recorder, 0).await;
    }
    assert_eq!(arena.event_count("web", "NotRestarted").await, 1);
    own.uninstall(&arena).await;
}

/// Rollouts, in a cluster that serves them, and a reroll that follows them.
pub async fn followed_rollouts(arena: &Arena) -> (Custom, Reroll) {
    let rollout = Custom::rollout();
    rollout.install(arena, anything()).await;
    let reroll = arena.reroll().flag("--discovery-interval", "200ms");
    let reroll = reroll.start().await;
    follows(&reroll, &rollout, 1).await;
    (rollout, reroll)
}

/// Rollout `web`, which uses Secret `db`, asks to be restarted by its time and is adopted.
async fn restarted_by_time(arena: &Arena) -> (Custom, Reroll) {
    let (rollout, reroll) = followed_rollouts(arena).await;
    arena.secret("db", &[("k", "one")]).await;
    rollout.create(arena, "web", &[(STRATEGY, "restart")]).await;
    rollout.adopted(arena, "web").await;
    (rollout, reroll)
}

fn restarts(object: &DynamicObject) -> Value {
    json!(object.annotations().get(RESTARTED_AT))
}

#[tokio::test]
async fn a_rollout_that_asks_for_it_is_restarted_by_its_time() {
    let arena = Arena::new("kinds-restart-at").await;
    let (rollout, _reroll) = restarted_by_time(&arena).await;
    let recorder = arena.record().await;
    let own = rollout.clone();
    let templates = Changes::of(rollout.api(&arena), "web", move |object| {
        own.template_of(object).clone()
    })
    .await;
    let marks = Changes::of(rollout.api(&arena), "web", restarts).await;

    arena.update_secret("db", &[("k", "two")]).await;
    marks.are(&arena, &recorder, 1).await;
    let object = rollout.api(&arena).get("web").await.unwrap();
    let (mark, at) = object.annotations()[RESTARTED_AT].split_once('@').unwrap();
    let observed: Value = serde_json::from_str(&object.annotations()[OBSERVED]).unwrap();
    assert_eq!(observed["rf"], mark);
    assert_eq!(object.data["spec"]["restartAt"], at);

    arena.recreate_secret("db", &[("k", "two")]).await;
    marks.are(&arena, &recorder, 2).await;

    // People restart it themselves: that is no reason to do it again.
    rollout
        .patch(
            &arena,
            "web",
            json!({ "spec": { "restartAt": "2100-01-01T00:00:00Z" } }),
        )
        .await;
    marks.are(&arena, &recorder, 2).await;
    let object = rollout.api(&arena).get("web").await.unwrap();
    assert_eq!(object.data["spec"]["restartAt"], "2100-01-01T00:00:00Z");

    // Who takes the restart back before it was carried out has it made again.
    rollout
        .patch(&arena, "web", json!({ "spec": { "restartAt": null } }))
        .await;
    marks.are(&arena, &recorder, 3).await;
    templates.are(&arena, &recorder, 0).await;

    // The webhook keeps the mark, and who changes over to the other way restarts nothing.
    let edit = json!({ "metadata": { "annotations": { RESTARTED_AT: null, STRATEGY: null } } });
    rollout.patch(&arena, "web", edit).await;
    marks.are(&arena, &recorder, 3).await;
    templates.are(&arena, &recorder, 0).await;
    arena.update_secret("db", &[("k", "three")]).await;
    templates.are(&arena, &recorder, 1).await;
    // Gone with the restart by the template.
    marks.are(&arena, &recorder, 4).await;
    let object = rollout.api(&arena).get("web").await.unwrap();
    assert_eq!(object.annotations().get(RESTARTED_AT), None);
}

#[tokio::test]
async fn a_template_that_changes_with_its_secret_bears_the_mark_itself() {
    let arena = Arena::new("kinds-restart-stamp").await;
    let (rollout, _reroll) = restarted_by_time(&arena).await;
    let recorder = arena.record().await;
    let marks = Changes::of(rollout.api(&arena), "web", restarts).await;
    arena.update_secret("db", &[("k", "two")]).await;
    marks.are(&arena, &recorder, 1).await;

    let slow = json!({ "metadata": { "annotations": { "reroll.dev/settle": "8s" } } });
    rollout.patch(&arena, "web", slow).await;
    recorder.settle(&arena).await;
    arena.update_secret("db", &[("k", "three")]).await;
    let edited = rollout
        .edit_template(&arena, "web", json!({ "spec": { "hostNetwork": true } }))
        .await;
    let mark = &rollout.template_of(&edited)["metadata"]["annotations"][RESTARTED_FOR];
    let observed: Value = serde_json::from_str(&edited.annotations()[OBSERVED]).unwrap();
    assert!(mark.is_string() && *mark == observed["rf"], "{edited:?}");
    assert_eq!(edited.annotations().get(RESTARTED_AT), None);
    // Back to the template before: pods of it did not restart, so it bears the mark as well.
    let undone = rollout
        .edit_template(
            &arena,
            "web",
            json!({ "metadata": { "annotations": null }, "spec": { "hostNetwork": null } }),
        )
        .await;
    assert_eq!(
        rollout.template_of(&undone)["metadata"]["annotations"][RESTARTED_FOR],
        *mark
    );
    marks.are(&arena, &recorder, 2).await;
}

#[tokio::test]
async fn a_rollout_that_borrows_a_template_is_restarted_by_its_time() {
    let arena = Arena::new("kinds-borrows").await;
    let (rollout, _reroll) = followed_rollouts(&arena).await;
    arena.secret("db", &[("k", "one")]).await;
    let manifest = json!({
        "apiVersion": "argoproj.io/v1alpha1", "kind": "Rollout",
        "metadata": { "name": "web", "annotations": { RESTART_ON: "auto" } },
        "spec": { "workloadRef": { "apiVersion": "apps/v1", "kind": "Deployment", "name": "lender" } },
    });
    let object = serde_json::from_value(manifest).unwrap();
    rollout
        .api(&arena)
        .create(&PostParams::default(), &object)
        .await
        .unwrap();
    // Not opted in itself: only the Rollout is.
    arena
        .create(&workload("Deployment", "lender", &[], env("db", "k")))
        .await;
    rollout.adopted(&arena, "web").await;
    let observed = rollout.api(&arena).get("web").await.unwrap().annotations()[OBSERVED].clone();
    assert!(observed.contains("secret/db"), "{observed}");
    let recorder = arena.record().await;
    let marks = Changes::of(rollout.api(&arena), "web", restarts).await;
    arena.update_secret("db", &[("k", "two")]).await;
    marks.are(&arena, &recorder, 1).await;
    arena.recreate_secret("db", &[("k", "two")]).await;
    marks.are(&arena, &recorder, 2).await;
    recorder.expect("Deployment", "lender", 0);
    let object = rollout.api(&arena).get("web").await.unwrap();
    assert_eq!(object.data.pointer("/spec/template"), None);

    // The webhook keeps what is reroll's here as well.
    let before = rollout.api(&arena).get("web").await.unwrap();
    let edit = json!({ "metadata": { "annotations": { OBSERVED: null, RESTARTED_AT: "pinned", "x": "y" } } });
    let edited = rollout.patch(&arena, "web", edit).await;
    for key in [OBSERVED, RESTARTED_AT] {
        assert_eq!(edited.annotations()[key], before.annotations()[key]);
    }
    assert_eq!(edited.annotations()["x"], "y");

    // Without the lender reroll does not know what it uses. When the lender is back, reroll makes up for what was
    // missed.
    arena.delete("Deployment", "lender").await;
    recorder.settle(&arena).await;
    arena.update_secret("db", &[("k", "three")]).await;
    marks.are(&arena, &recorder, 2).await;
    arena
        .create(&workload("Deployment", "lender", &[], env("db", "k")))
        .await;
    marks.are(&arena, &recorder, 3).await;
}

#[tokio::test]
async fn a_rollout_may_change_over_to_a_borrowed_template_and_back() {
    let arena = Arena::new("kinds-migrates").await;
    let (rollout, _reroll) = followed_rollouts(&arena).await;
    arena.secret("db", &[("k", "one")]).await;
    arena
        .create(&workload("Deployment", "lender", &[], env("db", "k")))
        .await;
    rollout.create(&arena, "web", &[]).await;
    rollout.adopted(&arena, "web").await;
    let recorder = arena.record().await;
    let own = rollout.clone();
    let marked = Changes::of(rollout.api(&arena), "web", move |object| {
        let template = object.data.pointer(own.template).unwrap_or(&Value::Null);
        json!([
            template["metadata"]["annotations"][RESTARTED_FOR],
            restarts(object)
        ])
    })
    .await;
    arena.update_secret("db", &[("k", "two")]).await;
    marked.are(&arena, &recorder, 1).await;

    // Nothing of reroll's stands in the way: the mark has no place in a template that is not there.
    let before = rollout.api(&arena).get("web").await.unwrap();
    let lender = json!({ "apiVersion": "apps/v1", "kind": "Deployment", "name": "lender" });
    let borrows = json!({ "spec": { "template": null, "workloadRef": lender } });
    rollout.patch(&arena, "web", borrows).await;
    // Its mark went with the template: one restart, by its time, and the mark is on the Rollout from then on.
    eventually("it is restarted by its time", async || {
        let object = rollout.api(&arena).get("web").await.unwrap();
        object
            .annotations()
            .contains_key(RESTARTED_AT)
            .then_some(())
    })
    .await;
    marked.catch_up().await;
    let now = marked.count();
    marked.are(&arena, &recorder, now).await;
    let template = before.data["spec"]["template"].clone();
    let back = json!({ "spec": { "template": template, "workloadRef": null } });
    rollout.patch(&arena, "web", back).await;
    recorder.settle(&arena).await;
    marked.catch_up().await;
    let now = marked.count();
    arena.update_secret("db", &[("k", "three")]).await;
    marked.are(&arena, &recorder, now + 1).await;
}
