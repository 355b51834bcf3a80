//! What people and machines do to Secrets and `ConfigMap`s.

use base64::{Engine as _, prelude::BASE64_STANDARD};
use kube::api::PropagationPolicy;
use serde_json::{Value, json};
use tokio::time::sleep;

use crate::{
    cluster::Cluster,
    operation::{OnSource, Recreation},
    world::{IGNORE, KEY, OTHER_KEY, SOURCES, is_secret, kind_of},
};

impl Cluster {
    pub(crate) async fn on_source(&mut self, name: &str, what: &OnSource) {
        let found = self.source_object(name);
        let frozen = found.as_ref().is_some_and(|it| it["immutable"] == true);
        match what {
            OnSource::Create if found.is_none() => {
                self.make_source(name, &json!({}), None).await;
            }
            OnSource::Create => {}
            _ if found.is_none() => {}
            OnSource::Delete => {
                self.delete(kind_of(name), name, PropagationPolicy::Background)
                    .await;
            }
            OnSource::Recreate(recreation) => self.recreate(name, *recreation).await,
            OnSource::Label => {
                let label = self.next().to_string();
                let patch = json!({ "metadata": { "labels": { "l": label } } });
                self.merge(kind_of(name), name, patch).await;
            }
            OnSource::Ignore { ignored, changes } => {
                let word = ignored.then_some("true");
                let mut patch = json!({ "metadata": { "annotations": { IGNORE: word } } });
                if *changes && !frozen {
                    patch["data"] = json!({ KEY: self.value(name) });
                }
                self.merge(kind_of(name), name, patch).await;
            }
            _ if frozen => {}
            OnSource::Freeze => {
                self.merge(kind_of(name), name, json!({ "immutable": true }))
                    .await;
            }
            OnSource::Update => self.update(name).await,
            OnSource::UpdateOther => {
                let value = self.value(name);
                let patch = json!({ "data": { OTHER_KEY: value } });
                self.merge(kind_of(name), name, patch).await;
            }
            OnSource::Copy => {
                let alike = SOURCES
                    .iter()
                    .filter(|one| is_secret(one) == is_secret(name));
                let next = alike.cycle().skip_while(|one| **one != name).nth(1);
                if let Some(other) = next.and_then(|next| self.source_object(next)) {
                    let data = json!({ "data": other["data"] });
                    self.merge(kind_of(name), name, data).await;
                }
            }
            OnSource::UpdateAndBack(after) => {
                let before = found.map(|found| found["data"].clone());
                self.update(name).await;
                let between = self.source_object(name);
                if let Some(value) =
                    between.and_then(|it| it["data"][KEY].as_str().map(ToOwned::to_owned))
                {
                    self.observer.is_brief(value);
                }
                sleep(*after).await;
                self.merge(kind_of(name), name, json!({ "data": before }))
                    .await;
            }
        }
    }

    /// Gives a source other data, as whoever can: what is immutable is made again.
    pub(crate) async fn update(&mut self, name: &str) {
        let Some(found) = self.source_object(name) else {
            return;
        };
        if found["immutable"] == true {
            let recreation = Recreation {
                gap: std::time::Duration::ZERO,
                same: false,
                owned: false,
                immutable: true,
                meanwhile: None,
            };
            return Box::pin(self.recreate(name, recreation)).await;
        }
        let value = self.value(name);
        let patch = json!({ "data": { KEY: value } });
        self.merge(kind_of(name), name, patch).await;
    }

    async fn recreate(&mut self, name: &str, recreation: Recreation) {
        let Some(found) = self.source_object(name) else {
            return;
        };
        self.delete(kind_of(name), name, PropagationPolicy::Background)
            .await;
        let half = recreation.gap / 2;
        sleep(half).await;
        if let Some(other) = recreation.meanwhile {
            self.update(other).await;
        }
        sleep(recreation.gap.saturating_sub(half)).await;
        let mut metadata = json!({});
        if recreation.owned {
            metadata["ownerReferences"] = json!([{
                "apiVersion": "cert-manager.io/v1", "kind": "Certificate", "name": name, "uid": "certificate", "controller": true,
            }]);
        }
        let data = recreation.same.then(|| found["data"].clone());
        self.make_source(name, &metadata, data).await;
        if recreation.immutable {
            self.merge(kind_of(name), name, json!({ "immutable": true }))
                .await;
        }
    }

    /// Makes a source, with this data or with data that it never had.
    pub(crate) async fn make_source(&mut self, name: &str, metadata: &Value, data: Option<Value>) {
        let mut metadata = metadata.clone();
        metadata["name"] = json!(name);
        let data =
            data.unwrap_or_else(|| json!({ KEY: self.value(name), OTHER_KEY: self.value(name) }));
        let kind = kind_of(name);
        let object =
            json!({ "apiVersion": "v1", "kind": kind, "metadata": metadata, "data": data });
        self.create(kind, object).await;
    }

    /// Returns a value that no key ever had.
    fn value(&mut self, name: &str) -> String {
        let value = format!("{name} {}", self.next());
        if is_secret(name) {
            BASE64_STANDARD.encode(value)
        } else {
            value
        }
    }

    pub(crate) fn next(&mut self) -> u64 {
        self.memory.count += 1;
        self.memory.count
    }
}
