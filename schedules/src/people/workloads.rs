//! What people do to workloads.

use std::sync::Arc;

use kube::api::PropagationPolicy;
use serde_json::{Value, json};
use tokio::time::{Instant, sleep};

use super::undo;
use crate::{
    cluster::Cluster,
    drawn::Placed,
    operation::{OnSource, OnWorkload, Remake, Window},
    world::{FOREIGN, NOTES, ON_DELETE, ON_RECREATE, OPT_IN, Plan, kind_of, plan},
};

const OBSERVED: &str = "reroll.dev/observed";
const SUSPEND: &str = "reroll.dev/suspend";
const WAVE: &str = "reroll.dev/wave";
const WINDOW: &str = "reroll.dev/window";
const RELEASE: &str = "reroll.dev/release";
/// How many bytes of annotations an object may have.
const LIMIT: usize = 256 * 1024;
/// What people leave of it: enough for what the controllers copy to a `ReplicaSet` and note there (its revision and its former
/// ones, how many pods are desired), or it could never be written again; and less than reroll leaves to others.
const ROOM: usize = 300;

impl Cluster {
    fn annotations_of(&self, name: &str) -> Value {
        let placed = self.workloads.iter().find(|placed| placed.name == name);
        placed.map_or(json!({}), annotations)
    }

    pub(crate) async fn on_workload(&mut self, name: &str, what: &OnWorkload) {
        let Some(live) = self.workload(name) else {
            return;
        };
        let plan = plan(name);
        self.remember(name, &live);
        match what {
            OnWorkload::Edit(edition) => self.edit(name, *edition).await,
            OnWorkload::Undo => self.undo(plan, &live).await,
            OnWorkload::Export => {
                self.memory.exports.insert(name.to_owned(), exported(&live));
            }
            OnWorkload::ReplaceByExport => {
                if let Some(export) = self.memory.exports.get(name).cloned() {
                    let whole = move |_: &Value| export.clone();
                    self.replace(plan.kind, name, false, whole).await;
                }
            }
            OnWorkload::ReplaceByManifest(edition) => {
                let manifest = plan.manifest(*edition, &self.annotations_of(name));
                let whole = move |_: &Value| manifest.clone();
                self.replace(plan.kind, name, false, whole).await;
            }
            OnWorkload::Pause(paused) if plan.kind == "Deployment" => {
                let paused = json!({ "spec": { "paused": paused } });
                self.merge(plan.kind, name, paused).await;
            }
            OnWorkload::Scale(replicas) if plan.kind != "DaemonSet" => {
                let replicas = json!({ "spec": { "replicas": replicas } });
                self.merge(plan.kind, name, replicas).await;
            }
            OnWorkload::Pause(_) | OnWorkload::Scale(_) => {}
            OnWorkload::Suspend(suspend) => {
                self.annotate(plan, SUSPEND, suspend.then(|| "true".to_owned()))
                    .await;
            }
            OnWorkload::Wave(_) | OnWorkload::Window(_) | OnWorkload::Release => {
                self.gate(plan, what).await;
            }
            OnWorkload::OptIn(opts_in) => {
                self.annotate(plan, OPT_IN, opts_in.then(|| "auto".to_owned()))
                    .await;
            }
            OnWorkload::OptInFor(at) => {
                let uses = plan.uses(crate::world::EDITIONS);
                let source = uses[usize::from(*at) % uses.len()];
                let word = format!("{}/{source}", kind_of(source).to_lowercase());
                self.annotate(plan, OPT_IN, Some(word)).await;
            }
            OnWorkload::OnDelete(restarts) => {
                let word = restarts.then(|| "restart".to_owned());
                self.annotate(plan, ON_DELETE, word).await;
            }
            OnWorkload::OrphanAndRemake(remake) => {
                self.observer.leaves_pods(name);
                self.remake(plan, &live, remake, PropagationPolicy::Orphan)
                    .await;
            }
            OnWorkload::Remake(remake) => {
                self.remake(plan, &live, remake, PropagationPolicy::Background)
                    .await;
            }
            OnWorkload::PutBackObserved => {
                let first = self.memory.observed.get(name).cloned();
                self.forge(plan, first).await;
            }
            OnWorkload::ForgeObserved => self.forge(plan, Some(json!(r#"{"v":99}"#))).await,
            OnWorkload::DropObserved => {
                self.vanishes(plan.name, Value::Null);
                let without = |live: &Value| {
                    let mut object = live.clone();
                    if let Some(all) = object["metadata"]["annotations"].as_object_mut() {
                        all.remove(OBSERVED);
                    }
                    object
                };
                self.replace(plan.kind, name, true, without).await;
            }
            OnWorkload::Fill(fills) => {
                let room = LIMIT.saturating_sub(size_of_annotations(&live) + NOTES.len() + ROOM);
                let notes = fills.then(|| "n".repeat(room));
                let is_full = live["metadata"]["annotations"][NOTES].is_string();
                if *fills != is_full {
                    self.annotate(plan, NOTES, notes).await;
                }
            }
            OnWorkload::RolloutRestart => {
                let at = (self.clock)().to_string();
                let annotations = json!({ "kubectl.kubernetes.io/restartedAt": at });
                let template = json!({ "metadata": { "annotations": annotations } });
                self.merge(plan.kind, name, json!({ "spec": { "template": template } }))
                    .await;
            }
        }
    }

    /// Does what people do about the order and the time of restarts.
    async fn gate(&mut self, plan: &Plan, what: &OnWorkload) {
        let (annotation, text) = match what {
            OnWorkload::Wave(wave) => (WAVE, (*wave != 0).then(|| wave.to_string())),
            OnWorkload::Window(window) => (WINDOW, self.window(*window)),
            OnWorkload::Release => (RELEASE, Some("now".to_owned())),
            _ => return,
        };
        self.annotate(plan, annotation, text).await;
    }

    fn window(&self, window: Window) -> Option<String> {
        match window {
            Window::None => None,
            Window::Open => Some("Mon-Sun".to_owned()),
            Window::Closed => Some(self.closed()),
            Window::Unreadable => Some("at night".to_owned()),
        }
    }

    /// Returns a window that opens in three days.
    fn closed(&self) -> String {
        let today = (self.clock)().to_zoned(jiff::tz::TimeZone::UTC).date();
        let day = today.saturating_add(jiff::Span::new().days(3));
        day.strftime("%a 10:00-11:00").to_string()
    }

    fn remember(&mut self, name: &str, live: &Arc<Value>) {
        let observed = &live["metadata"]["annotations"][OBSERVED];
        if observed.is_string() {
            let first = self.memory.observed.entry(name.to_owned());
            first.or_insert_with(|| observed.clone());
        }
    }

    pub(crate) async fn edit(&mut self, name: &str, edition: u8) {
        self.write_template(name, plan(name).template(edition))
            .await;
    }

    /// Writes a template over what is there, without reroll's mark.
    pub(crate) async fn write_template(&mut self, name: &str, template: Value) {
        let kind = plan(name).kind;
        let patch = json!([{ "op": "replace", "path": "/spec/template", "value": template }]);
        if self.workload(name).is_some() {
            self.patch(kind, name, patch).await;
        }
    }

    async fn annotate(&mut self, plan: &Plan, key: &str, value: Option<String>) {
        let patch = json!({ "metadata": { "annotations": { key: value } } });
        self.merge(plan.kind, plan.name, patch).await;
    }

    async fn undo(&mut self, plan: &Plan, live: &Value) {
        if let Some(patch) = undo::patch(&self.server, live) {
            self.patch(plan.kind, plan.name, patch).await;
        }
    }

    /// What is recorded of a workload goes, or something takes its place that may not be its own.
    fn vanishes(&mut self, name: &'static str, left: Value) {
        self.note();
        if !self.reroll.has_read_all() || self.observer.is_restored(name) {
            self.observer.adopts_again(name);
        }
        self.memory.vanished.insert(name, (Instant::now(), left));
    }

    /// Writes an `observed` through the status.
    async fn forge(&mut self, plan: &Plan, observed: Option<Value>) {
        let Some(observed) = observed else { return };
        let is_full = |live: Arc<Value>| live["metadata"]["annotations"][NOTES].is_string();
        if self.workload(plan.name).is_none_or(is_full) {
            return;
        }
        self.note();
        self.observer.forged(plan.name);
        self.reroll.leader.is_overwritten(plan.name);
        if let Some(second) = &*self.second.borrow() {
            second.leader.is_overwritten(plan.name);
        }
        let with = |live: &Value| {
            let mut object = live.clone();
            object["metadata"]["annotations"][OBSERVED] = observed.clone();
            object
        };
        self.replace(plan.kind, plan.name, true, with).await;
        self.vanishes(plan.name, observed);
    }

    /// Deletes a workload, and makes it again.
    async fn remake(
        &mut self,
        plan: &'static Plan,
        live: &Value,
        remake: &Remake,
        how: PropagationPolicy,
    ) {
        let object = if remake.export {
            exported(live)
        } else {
            plan.manifest(remake.edition, &self.annotations_of(plan.name))
        };
        self.delete(plan.kind, plan.name, how).await;
        self.gone(plan.kind, plan.name).await;
        if let Some(source) = remake.changes {
            self.on_source(source, &OnSource::Update).await;
        }
        sleep(remake.gap).await;
        self.note();
        if !remake.export {
            self.observer.is_made_anew(plan.name);
        }
        self.create(plan.kind, object).await;
    }
}

/// Returns how many bytes of annotations an object has.
fn size_of_annotations(object: &Value) -> usize {
    let all = object["metadata"]["annotations"].as_object().into_iter();
    all.flatten()
        .map(|(key, value)| key.len() + value.as_str().map_or(0, str::len))
        .sum()
}

/// Returns the annotations that a person has for a workload in Git.
pub(crate) fn annotations(placed: &Placed) -> Value {
    let mut all = json!({ OPT_IN: "auto", FOREIGN: placed.name });
    let (on_delete, on_recreate) = placed.words;
    for (key, word) in [(ON_DELETE, on_delete), (ON_RECREATE, on_recreate)] {
        if let Some(word) = word {
            all[key] = json!(word);
        }
    }
    all
}

/// Returns what `kubectl get -o yaml` says, without what only the API server writes.
fn exported(live: &Value) -> Value {
    let mut object = live.clone();
    if let Some(metadata) = object["metadata"].as_object_mut() {
        metadata.retain(|key, _| {
            ["name", "namespace", "labels", "annotations"].contains(&key.as_str())
        });
        if let Some(all) = metadata
            .get_mut("annotations")
            .and_then(Value::as_object_mut)
        {
            all.remove(NOTES);
        }
    }
    if let Some(whole) = object.as_object_mut() {
        whole.remove("status");
    }
    object
}
