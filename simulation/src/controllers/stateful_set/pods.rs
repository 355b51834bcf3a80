//! The pods of a StatefulSet: each has a name of its own.

use serde_json::{Value, json};

use super::{
    super::{
        history::{HASH, template_of},
        objects::{Kind, name},
        pods::from_template,
    },
    Sync,
};

/// The label with a pod's own name.
pub(super) const NAME: &str = "statefulset.kubernetes.io/pod-name";

/// Returns the number at the end of a pod's name.
pub(super) fn ordinal(pod: &Value) -> Option<i64> {
    let (_, number) = name(pod).rsplit_once('-')?;
    number.parse().ok().filter(|number| *number >= 0)
}

impl Sync<'_> {
    /// Returns the pod that an ordinal is to have.
    pub(super) fn new_pod(&self, at: i64, first: i64) -> Value {
        let strategy = &self.set["spec"]["updateStrategy"];
        let kept = if strategy["rollingUpdate"].is_null() {
            let current = self.set["status"]["currentReplicas"].as_i64().unwrap_or(0);
            strategy["type"] == "RollingUpdate" && at < first + current
        } else {
            at < first + self.partition()
        };
        let revision = if kept { &self.current } else { &self.update };
        let template = template_of(revision);
        let prefix = format!("{}-", name(self.set));
        let mut pod = from_template(&template, &prefix, Kind::StatefulSet, self.set);
        let own = format!("{prefix}{at}");
        pod["metadata"]["name"] = json!(own);
        let labels = &mut pod["metadata"]["labels"];
        labels[NAME] = json!(own);
        labels["apps.kubernetes.io/pod-index"] = json!(at.to_string());
        labels[HASH] = json!(name(revision));
        pod["spec"]["hostname"] = json!(own);
        if let Some(service) = self.set["spec"]["serviceName"].as_str()
            && !service.is_empty()
        {
            pod["spec"]["subdomain"] = json!(service);
        }
        pod
    }
}
