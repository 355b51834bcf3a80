//! Requests of those who live in the same process: without bytes, but with the same checks and the same admission.

use std::sync::Arc;

use bytes::Bytes;
use serde_json::{Value, json};

use super::{
    ApiServer, User,
    answer::{Answer, Refusal},
    call::Call,
    delete,
    patch::Change,
    path::Target,
    resources::{ROWS, storage},
    store::{self, Objects},
    write,
};

/// Who writes, as the API server sees it.
#[derive(Clone, Debug)]
pub(crate) struct Component {
    pub(crate) user: User,
    /// Whom `managedFields` name.
    pub(crate) manager: &'static str,
}

/// One object.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Named<'a> {
    pub(crate) row: usize,
    pub(crate) namespace: Option<&'a str>,
    pub(crate) name: &'a str,
    pub(crate) subresource: Option<&'a str>,
}

impl Named<'_> {
    fn call(&self, by: &Component, body: Bytes) -> Call {
        let target = Target {
            index: self.row,
            namespace: self.namespace.map(ToOwned::to_owned),
            name: (!self.name.is_empty()).then(|| self.name.to_owned()),
            subresource: self.subresource.map(ToOwned::to_owned),
        };
        Call::direct(by, target, body)
    }

    fn key(&self) -> String {
        match self.namespace {
            Some(namespace) => format!("{namespace}/{}", self.name),
            None => self.name.to_owned(),
        }
    }
}

fn object(answer: Answer) -> Arc<Value> {
    match answer {
        Answer::Object(_, object) => object,
        Answer::Text(..) | Answer::Stream(_) => Arc::default(),
    }
}

impl ApiServer {
    /// Creates an object, in the namespace that is named.
    pub(crate) async fn create_as(
        &self,
        by: &Component,
        at: Named<'_>,
        new: Value,
    ) -> Result<Arc<Value>, Refusal> {
        let call = at.call(by, Bytes::new());
        write::create(self, &call, new).await.map(object)
    }

    /// Updates or patches an object.
    pub(crate) async fn change_as(
        &self,
        by: &Component,
        at: Named<'_>,
        change: Change,
    ) -> Result<Arc<Value>, Refusal> {
        let call = at.call(by, Bytes::new());
        write::change(self, &call, change).await.map(object)
    }

    /// Deletes an object. The options are those of a request's body.
    pub(crate) async fn delete_as(
        &self,
        by: &Component,
        at: Named<'_>,
        options: &Value,
    ) -> Result<(), Refusal> {
        let call = at.call(by, Bytes::from(options.to_string()));
        delete::one(self, &call).await.map(|_| ())
    }

    /// Assigns a pod to a node, as the subresource `binding` does it.
    pub(crate) fn bind(&self, pod: Named<'_>, uid: &Value, node: &str) -> Result<(), Refusal> {
        let now = self.now();
        self.write(|store| {
            let key = pod.key();
            let found = store.get(pod.row, &key);
            let Some(live) = found.filter(|live| live["metadata"]["uid"] == *uid) else {
                return Err(Refusal::not_found(&ROWS[pod.row], pod.name));
            };
            let deleted = live["metadata"].get("deletionTimestamp").is_some();
            if deleted || live["spec"]["nodeName"].is_string() {
                let why = "pod is being deleted, or is already assigned to a node";
                return Err(Refusal::conflict(&ROWS[pod.row], pod.name, why));
            }
            let mut bound = Value::clone(live);
            bound["spec"]["nodeName"] = json!(node);
            let condition =
                json!({ "type": "PodScheduled", "status": "True", "lastTransitionTime": now });
            bound["status"]["conditions"] = json!([condition]);
            store.put(pod.row, &key, bound);
            Ok(())
        })
    }

    /// Returns an object as it is stored, however far this server is behind.
    pub(crate) fn live(&self, row: usize, key: &str) -> Option<Arc<Value>> {
        self.with_store(|store| store.get(storage(row), key).cloned())
    }

    /// Returns all objects of a namespace, as they are stored.
    pub(crate) fn live_in(&self, row: usize, namespace: &str) -> Vec<Arc<Value>> {
        let prefix = format!("{namespace}/");
        self.with_store(|store| {
            let all = store.objects(storage(row)).range(prefix.clone()..);
            let ours = all.take_while(|(key, _)| key.starts_with(&prefix));
            ours.map(|(_, object)| Arc::clone(object)).collect()
        })
    }

    /// Reads the objects of a row as this server has them in its memory.
    pub(crate) fn with_seen<T>(&self, row: usize, read: impl FnOnce(&Objects) -> T) -> T {
        let visible = self.visible();
        self.with_store(|store| {
            if visible < store.revision
                && let Some(before) = store.at(row, visible)
            {
                return read(&before);
            }
            read(store.objects(row))
        })
    }

    /// Calls a function with each write that this server has seen after a revision, in their order. Returns up to where
    /// that is, or `None` where not all of them are known any more.
    pub(crate) fn each_since(
        &self,
        revision: u64,
        mut see: impl FnMut(&Arc<store::Change>),
    ) -> Option<u64> {
        let visible = self.visible();
        if visible <= revision {
            return Some(revision);
        }
        self.with_store(|store| {
            for (_, change) in store.since(revision)?.take_while(|(at, _)| *at <= visible) {
                see(change);
            }
            Some(visible)
        })
    }
}
