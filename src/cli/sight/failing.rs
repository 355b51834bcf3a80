//! The restarts that failed, as the pods of those show it that are not through.

use std::collections::HashMap;

use k8s_openapi::api::core::v1::Pod;

use super::{Sight, read};
use crate::{
    cli::{error::Error, session::Session},
    model::{
        WorkloadKey,
        brake::{
            converged::owner,
            once::{failure, is_open},
        },
    },
};

/// The restarts that are not through, and their pods.
pub(in crate::cli) struct Open {
    pods: HashMap<WorkloadKey, Vec<Pod>>,
}

impl Open {
    /// Returns those that are not through, before any pod was seen.
    pub(in crate::cli) fn of(sight: &Sight, within: Option<&str>) -> Self {
        let all = sight.index.workloads(None, within);
        let open = all.into_iter().filter(|key| {
            let tracked = sight.index.workload(key);
            tracked.is_some_and(|known| is_open(&known.workload))
        });
        Self {
            pods: open.map(|key| (key, Vec::new())).collect(),
        }
    }

    /// Whether all are through.
    pub(in crate::cli) fn is_empty(&self) -> bool {
        self.pods.is_empty()
    }

    /// Takes in a pod.
    pub(in crate::cli) fn see(&mut self, sight: &Sight, pod: &Pod) {
        let Some((kind, name)) = owner(pod).filter(|_| !self.is_empty()) else {
            return;
        };
        let Some(kind) = sight.index.kinds().iter().find(|it| it.kind == kind) else {
            return;
        };
        let namespace = pod.metadata.namespace.clone().unwrap_or_default();
        let key = WorkloadKey {
            kind,
            namespace,
            name,
        };
        if let Some(pods) = self.pods.get_mut(&key) {
            pods.push(pod.clone());
        }
    }

    /// Takes note of which of them failed.
    pub(in crate::cli) fn judge(self, sight: &mut Sight) {
        let (patience, now) = (sight.installation.flags.patience, sight.now);
        for (key, pods) in self.pods {
            let Some(known) = sight.index.workload(&key) else {
                continue;
            };
            let asks = &known.policy.brakes;
            let shown = (pods.as_slice(), key.namespace.as_str());
            if let Some(failure) = failure(&known.workload, asks, shown, patience, now) {
                sight.failures.insert(key, failure);
            }
        }
    }
}

/// Looks at the pods of what is not through, in a namespace or in all.
pub(in crate::cli) async fn look(
    sight: &mut Sight,
    session: &Session,
    within: Option<&str>,
) -> Result<(), Error> {
    let mut open = Open::of(sight, within);
    if open.is_empty() {
        return Ok(());
    }
    let mut notes = Vec::new();
    let see = |pod: &Pod| open.see(sight, pod);
    let listed = read::pods_within(session, within, &mut notes, see).await?;
    sight.note(notes);
    if listed {
        open.judge(sight);
    }
    Ok(())
}
