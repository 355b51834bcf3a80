//! How old the pods are that use what a template gained, looked up once where `observed` lacks it.

use std::collections::BTreeMap;

use k8s_openapi::api::core::v1::Pod;
use kube::{Api, ResourceExt, api::ListParams};
use litemap::LiteMap;
use tokio::time::timeout;

use super::Controller;
use crate::model::{
    SourceName, WorkloadKey,
    annotation::RESTARTED_FOR,
    decide::Ages,
    source::{References, references},
    version::used_keys,
    workload::selector,
};

impl Controller {
    /// When the oldest pods were made that use these sources. `Err`: nobody could say.
    pub(super) async fn ages(&self, key: &WorkloadKey, sources: &[SourceName]) -> Result<Ages, ()> {
        let Some((created, mark)) = self.made(key) else {
            return Ok(Ages::new());
        };
        let Some(pods) = self.pods_of(key).await? else {
            // Nobody can tell which pods are its own: they may be as old as it is.
            return Ok(ages_of([(created, self.used_of(key, sources))], sources));
        };
        // Those of an older template go by themselves.
        let of_template = |pod: &&Pod| pod.annotations().get(RESTARTED_FOR) == mark.as_ref();
        let pods = pods.iter().filter(of_template);
        Ok(ages_of(pods.filter_map(seen), sources))
    }

    /// Where the status of a kind does not tell whether pods of older templates are left: forgets what is former when no
    /// pod's own spec names any of it.
    pub(super) async fn look_for_formers(&self, key: &WorkloadKey) {
        let formers: Vec<SourceName> = {
            let index = self.state.index();
            let observed = index.workload(key).and_then(|known| known.observed());
            let formers = observed.filter(|_| key.kind.counts.is_none());
            let formers = formers.into_iter().flat_map(|known| known.formers.iter());
            formers.map(|(source, _)| source.clone()).collect()
        };
        if formers.is_empty() {
            return;
        }
        // A failed look changes nothing: what is former stays.
        let Ok(Some(pods)) = self.pods_of(key).await else {
            return;
        };
        let ages = ages_of(pods.iter().filter_map(seen), &formers);
        if ages.is_empty() {
            self.state.index_mut().forget_formers(key);
        }
    }

    fn made(&self, key: &WorkloadKey) -> Option<(i64, Option<String>)> {
        let index = self.state.index();
        let workload = &index.workload(key)?.workload;
        Some((workload.created, workload.marks.template.clone()))
    }

    fn used_of(&self, key: &WorkloadKey, sources: &[SourceName]) -> References {
        let index = self.state.index();
        let uses = index.workload(key).into_iter();
        let uses = uses.flat_map(|known| known.uses().iter());
        uses.filter(|(source, _)| sources.contains(source))
            .map(|(source, usage)| (source.clone(), usage.clone()))
            .collect()
    }

    /// The pods that a workload selects; `None` where nothing selects them.
    pub(super) async fn pods_of(&self, key: &WorkloadKey) -> Result<Option<Vec<Pod>>, ()> {
        let Some(object) = self.object(key).await? else {
            return Ok(Some(Vec::new()));
        };
        let Some(selector) = selector(key.kind, &object) else {
            return Ok(None);
        };
        let pods = Api::<Pod>::namespaced(self.client.clone(), &key.namespace);
        let params = ListParams::default().labels_from(&selector);
        let pods = timeout(self.request_timeout, pods.list(&params))
            .await
            .map_err(drop)?
            .map_err(drop)?;
        Ok(Some(pods.items))
    }
}

/// When a pod was made and what it uses; `None` for one that is over, or will be at once.
fn seen(pod: &Pod) -> Option<(i64, References)> {
    let phase = pod
        .status
        .as_ref()
        .and_then(|status| status.phase.as_deref());
    let over = matches!(phase, Some("Succeeded" | "Failed"));
    let made = pod.metadata.creation_timestamp.as_ref()?.0.as_second();
    let goes = over || pod.metadata.deletion_timestamp.is_some();
    (!goes).then(|| (made, references(&serde_json::json!({ "spec": pod.spec }))))
}

fn ages_of(pods: impl IntoIterator<Item = (i64, References)>, sources: &[SourceName]) -> Ages {
    let mut ages: Ages = BTreeMap::new();
    for (made, uses) in pods {
        for source in sources {
            let Some(usage) = uses.get(source) else {
                continue;
            };
            let oldest: &mut LiteMap<String, i64> = ages.entry(source.clone()).or_default();
            for used in used_keys(usage) {
                let known = oldest.get(used).copied().unwrap_or(i64::MAX);
                oldest.insert(used.to_owned(), made.min(known));
            }
        }
    }
    ages
}

#[cfg(test)]
mod tests {
    use serde_json::{Value, json};

    use super::*;

    fn pod(made: &str, spec: &Value, status: &Value, deleted: bool) -> Pod {
        let deleted = deleted.then_some("2026-01-02T00:00:00Z");
        let pod = json!({
            "metadata": { "creationTimestamp": made, "deletionTimestamp": deleted },
            "spec": spec, "status": status,
        });
        serde_json::from_value(pod).unwrap()
    }

    fn env(keys: &[&str]) -> Value {
        let env = keys.iter().map(|key| {
            json!({ "name": "E", "valueFrom": { "secretKeyRef": { "name": "s", "key": key } } })
        });
        json!({ "containers": [{ "name": "c", "env": env.collect::<Vec<_>>() }] })
    }

    #[test]
    fn the_oldest_pod_that_uses_a_key_counts() {
        let running = json!({ "phase": "Running" });
        let pending = json!({ "phase": "Pending" });
        let failed = json!({ "phase": "Failed" });
        let (a, b, both) = (env(&["a"]), env(&["b"]), env(&["a", "b"]));
        let pods = [
            pod("1970-01-01T00:00:10Z", &a, &running, false),
            pod("1970-01-01T00:00:30Z", &both, &running, false),
            pod("1970-01-01T00:00:20Z", &b, &pending, false),
            pod("1970-01-01T00:00:01Z", &both, &failed, false),
            pod("1970-01-01T00:00:02Z", &both, &running, true),
        ];
        let (used, other) = (SourceName::secret("s"), SourceName::secret("t"));
        let ages = ages_of(pods.iter().filter_map(seen), &[used.clone(), other.clone()]);
        let of = |key: &str| ages.get(&used).and_then(|ages| ages.get(key).copied());
        assert_eq!((of("a"), of("b"), of("c")), (Some(10), Some(20), None));
        assert_eq!(ages.get(&other), None);
    }
}
