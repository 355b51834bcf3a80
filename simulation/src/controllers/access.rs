//! How a controller reaches the API server: it reads its own view, which may be late, and writes as its own user.

use std::{ops::RangeInclusive, sync::Arc, time::Duration};

use fastrand::Rng;
use jiff::Timestamp;
use parking_lot::Mutex;
use serde_json::{Value, json};
use tokio::time::sleep;

use super::objects::{Kind, is_deleted, key, name, parts, uid};
use crate::api_server::{
    ApiServer, User,
    answer::Refusal,
    direct::{Component, Named},
    patch::Change,
    resources::ROWS,
};

/// One controller's way to the API server.
pub(crate) struct Access {
    /// What it reads.
    pub(crate) view: ApiServer,
    by: Component,
    rng: Mutex<Rng>,
    /// How many milliseconds a write takes.
    latency: RangeInclusive<u64>,
    /// The revision after its last write.
    wrote: Mutex<u64>,
}

impl Access {
    pub(crate) fn new(
        view: ApiServer,
        user: User,
        manager: &'static str,
        rng: Rng,
        latency: RangeInclusive<u64>,
    ) -> Self {
        Self {
            view,
            by: Component { user, manager },
            rng: Mutex::new(rng),
            latency,
            wrote: Mutex::default(),
        }
    }

    /// Returns the time of day.
    pub(crate) fn time(&self) -> Timestamp {
        self.view.time()
    }

    /// Returns the time of day as objects have it.
    pub(crate) fn now(&self) -> String {
        self.view.now()
    }

    pub(crate) fn draw(&self, milliseconds: RangeInclusive<u64>) -> Duration {
        Duration::from_millis(self.rng.lock().u64(milliseconds))
    }

    /// Draws a number up to this one.
    pub(crate) fn draw_number(&self, most: usize) -> usize {
        self.rng.lock().usize(0..=most)
    }

    /// Returns the revision after the last write.
    pub(crate) fn wrote(&self) -> u64 {
        *self.wrote.lock()
    }

    pub(crate) fn get(&self, kind: Kind, key: &str) -> Option<Arc<Value>> {
        self.view
            .with_seen(kind.row(), |objects| objects.get(key).cloned())
    }

    /// Returns an object as it is stored.
    pub(crate) fn live(&self, kind: Kind, key: &str) -> Option<Arc<Value>> {
        self.view.live(kind.row(), key)
    }

    /// Returns those of a namespace that are wanted.
    pub(crate) fn in_namespace(
        &self,
        kind: Kind,
        namespace: &str,
        wanted: impl Fn(&Value) -> bool,
    ) -> Vec<Arc<Value>> {
        let prefix = format!("{namespace}/");
        self.view.with_seen(kind.row(), |objects| {
            let all = objects.range(prefix.clone()..);
            let ours = all.take_while(|(key, _)| key.starts_with(&prefix));
            let wanted = ours.filter(|(_, object)| wanted(object));
            wanted.map(|(_, object)| Arc::clone(object)).collect()
        })
    }

    /// Returns all of a row in a namespace, as they are stored.
    pub(crate) fn live_in(&self, row: usize, namespace: &str) -> Vec<Arc<Value>> {
        self.view.live_in(row, namespace)
    }

    /// Returns all of a kind.
    pub(crate) fn all(&self, kind: Kind) -> Vec<Arc<Value>> {
        self.view
            .with_seen(kind.row(), |objects| objects.values().cloned().collect())
    }

    /// A request is on its way.
    async fn travel(&self) {
        let time = self.draw(self.latency.clone());
        if !time.is_zero() {
            sleep(time).await;
        }
    }

    fn note(&self) {
        *self.wrote.lock() = self.view.revision();
    }

    pub(crate) async fn create(
        &self,
        kind: Kind,
        namespace: &str,
        object: Value,
    ) -> Result<Arc<Value>, Refusal> {
        self.travel().await;
        let at = Named {
            row: kind.row(),
            namespace: Some(namespace),
            name: "",
            subresource: None,
        };
        let created = self.view.create_as(&self.by, at, object).await;
        self.note();
        created
    }

    async fn write(
        &self,
        row: usize,
        key: &str,
        subresource: Option<&str>,
        change: Change,
    ) -> Result<Arc<Value>, Refusal> {
        let (namespace, name) = parts(key);
        let at = Named {
            row,
            namespace,
            name,
            subresource,
        };
        let written = self.view.change_as(&self.by, at, change).await;
        self.note();
        written
    }

    /// Replaces an object, by its resourceVersion.
    pub(crate) async fn update(&self, kind: Kind, object: Value) -> Result<Arc<Value>, Refusal> {
        self.travel().await;
        let key = key(&object);
        self.write(kind.row(), &key, None, Change::Put(object))
            .await
    }

    /// Replaces the status of an object, by its resourceVersion.
    pub(crate) async fn update_status(
        &self,
        kind: Kind,
        object: Value,
    ) -> Result<Arc<Value>, Refusal> {
        self.travel().await;
        let key = key(&object);
        self.write(kind.row(), &key, Some("status"), Change::Put(object))
            .await
    }

    /// Replaces the status, and once more on what is there now where another write came in between. Returns the object.
    pub(crate) async fn put_status(
        &self,
        kind: Kind,
        object: &Value,
        status: &Value,
    ) -> Result<Arc<Value>, Refusal> {
        let with = |object: &Value| {
            let mut object = object.clone();
            object["status"] = status.clone();
            object
        };
        match self.update_status(kind, with(object)).await {
            Err(refusal) if refusal.code == 409 => {
                let Some(live) = self.live(kind, &key(object)) else {
                    return Err(refusal);
                };
                self.update_status(kind, with(&live)).await
            }
            other => other,
        }
    }

    /// Patches what an object of this uid is when the request comes in. `patch` returns `None` for nothing to do.
    pub(crate) async fn patch(
        &self,
        row: usize,
        object: &Value,
        subresource: Option<&str>,
        patch: impl FnOnce(&Value) -> Option<Value>,
    ) -> Result<(), Refusal> {
        self.travel().await;
        let key = key(object);
        let live = self.view.live(row, &key);
        let Some(live) = live.filter(|live| uid(live) == uid(object)) else {
            return Err(Refusal::not_found(&ROWS[row], name(object)));
        };
        let Some(mut patch) = patch(&live) else {
            return Ok(());
        };
        patch["metadata"]["uid"] = json!(uid(object));
        self.write(row, &key, subresource, Change::Merge(patch))
            .await?;
        Ok(())
    }

    /// Deletes an object, unless it is gone.
    pub(crate) async fn delete(&self, kind: Kind, object: &Value) -> Result<(), Refusal> {
        let options = json!({ "preconditions": { "uid": uid(object) } });
        self.delete_with(kind.row(), object, &options).await
    }

    /// Deletes an object as the options say, unless it is gone.
    pub(crate) async fn delete_with(
        &self,
        row: usize,
        object: &Value,
        options: &Value,
    ) -> Result<(), Refusal> {
        self.travel().await;
        let key = key(object);
        let (namespace, name) = parts(&key);
        let at = Named {
            row,
            namespace,
            name,
            subresource: None,
        };
        let deleted = self.view.delete_as(&self.by, at, options).await;
        self.note();
        match deleted {
            Err(refusal) if refusal.code == 404 => Ok(()),
            other => other,
        }
    }

    /// Puts the last touch to a Namespace that is empty.
    pub(crate) async fn finalize(&self, namespace: Value) -> Result<(), Refusal> {
        self.travel().await;
        let (row, key) = (Kind::Namespace.row(), key(&namespace));
        self.write(row, &key, Some("finalize"), Change::Put(namespace))
            .await?;
        Ok(())
    }

    /// Assigns a pod to a node.
    pub(crate) async fn bind(&self, pod: &Value, node: &str) -> Result<(), Refusal> {
        self.travel().await;
        let key = key(pod);
        let (namespace, name) = parts(&key);
        let at = Named {
            row: Kind::Pod.row(),
            namespace,
            name,
            subresource: None,
        };
        let bound = self.view.bind(at, &pod["metadata"]["uid"], node);
        self.note();
        bound
    }

    /// Whether an owner is there still, and may get dependents: read from the storage.
    pub(crate) fn may_adopt(&self, kind: Kind, owner: &Value) -> bool {
        let live = self.live(kind, &key(owner));
        live.is_some_and(|live| uid(&live) == uid(owner) && !is_deleted(&live))
    }
}
