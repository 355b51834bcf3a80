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
struct Open {
    pods: HashMap<WorkloadKey, Vec<Pod>>,
}

impl Open {
    /// Returns those that are not through, before any pod was seen.
    fn of(sight: &Sight, within: Option<&str>) -> Self {
        let all = sight.index.workloads(None, within);
        let open = all.into_iter().filter(|key| {
            let tracked = sight.index.workload(key);
            tracked.is_some_and(|known| is_open(&known.workload))
        });
        Self {
            pods: open.map(|key| (key, Vec::new())).collect(),
        }
    }

    /// Takes in a pod.
    fn see(&mut self, sight: &Sight, pod: &Pod) {
        let Some((kind, name)) = owner(pod).filter(|_| !self.pods.is_empty()) else {
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
    fn judge(self, sight: &mut Sight) {
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

/// Looks at the pods of what is not through, in a namespace or in all. Pods are only listed where something is not through, or where
/// `also` wants to see them, too. Returns whether they were.
pub(in crate::cli) async fn look(
    sight: &mut Sight,
    session: &Session,
    within: Option<&str>,
    mut also: Option<&mut (dyn FnMut(&Pod) + Send)>,
) -> Result<bool, Error> {
    let mut open = Open::of(sight, within);
    if open.pods.is_empty() && also.is_none() {
        return Ok(false);
    }
    let see = |pod: &Pod| {
        open.see(sight, pod);
        if let Some(also) = &mut also {
            also(pod);
        }
    };
    let mut notes = Vec::new();
    let listed = read::pods_within(session, within, &mut notes, see).await?;
    sight.note(notes);
    if listed {
        open.judge(sight);
    }
    Ok(listed)
}
