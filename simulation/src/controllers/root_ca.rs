//! The publisher of the cluster's CA: each namespace has the ConfigMap `kube-root-ca.crt`.

use std::time::Duration;

use serde_json::json;

use super::{
    access::Access,
    objects::{Kind, is_deleted},
    worker::{Controller, Dirty, Next},
};
use crate::api_server::{answer::Refusal, store::Change};

const NAME: &str = "kube-root-ca.crt";

/// The controller. It notes nothing.
pub(crate) struct RootCa;

impl Controller for RootCa {
    type Key = String;

    fn watches(&self) -> Vec<usize> {
        [Kind::Namespace, Kind::ConfigMap].map(Kind::row).to_vec()
    }

    fn concerned(&mut self, _: &Access, change: &Change, dirty: &mut Dirty<String>) {
        let namespace = match change.key.split_once('/') {
            None => &change.key,
            Some((namespace, NAME)) => namespace,
            Some(_) => return,
        };
        dirty.push((namespace.to_owned(), Duration::ZERO));
    }

    async fn sync(&mut self, access: &Access, namespace: &String) -> Result<Next, Refusal> {
        let found = access.get(Kind::Namespace, namespace);
        if found.is_none_or(|found| is_deleted(&found)) {
            return Ok(None);
        }
        let data = json!({ "ca.crt": "the certificate of the cluster" });
        match access.get(Kind::ConfigMap, &format!("{namespace}/{NAME}")) {
            None => {
                let map = json!({ "metadata": { "name": NAME }, "data": data });
                let created = access.create(Kind::ConfigMap, namespace, map).await;
                match created {
                    Err(refusal) if refusal.reason == "AlreadyExists" => {}
                    other => drop(other?),
                }
            }
            Some(map) if map["data"] != data => {
                let mut map = serde_json::Value::clone(&map);
                map["data"] = data;
                access.update(Kind::ConfigMap, map).await?;
            }
            Some(_) => {}
        }
        Ok(None)
    }
}
