//! What is done when etcd's history went back: everything is listed again, and that is said.
//!
//! An API server that was not restarted together with etcd goes on to serve lists of what is lost, from its memory, and so
//! does a watch that goes on from there. That is found out by the Lease, which somebody renews all the time: a write is newer
//! than any list that was answered before it, unless that list is of a history that is no more. As long as it is, everything
//! is listed again every minute, and no more is to be done: what is to be written is decided by what etcd itself says.

use std::{sync::Arc, time::Duration};

use k8s_openapi::api::{coordination::v1::Lease, core::v1::ObjectReference};
use kube::{Api, ResourceExt, api::ListParams};
use tokio::time::{sleep, timeout};
use tokio_util::sync::CancellationToken;

use super::Controller;
use crate::ops::events::EventType;

/// How often is looked whether the Lease was renewed, and how often at most: it is not for as long as it takes a replica to
/// lead again.
const LOOK_EVERY: Duration = Duration::from_millis(500);
const LOOKS: u32 = 80;

/// The Lease of this installation.
pub struct Pulse {
    /// Where it is.
    pub api: Api<Lease>,
    /// What it is called.
    pub name: String,
    /// How long a call may take.
    pub timeout: Duration,
}

impl Pulse {
    async fn read(&self) -> Option<Lease> {
        let found = timeout(self.timeout, self.api.get_opt(&self.name)).await;
        found.ok()?.ok()?
    }

    /// The version of a list of it: from where a watch would go on.
    async fn list(&self) -> Option<u64> {
        let params = ListParams::default().fields(&format!("metadata.name={}", self.name));
        let list = timeout(self.timeout, self.api.list(&params)).await;
        let list = list.ok()?.ok()?;
        list.metadata.resource_version?.parse().ok()
    }

    /// Whether what is written next is newer than a list that was answered before. Nobody may be there to write; and an API
    /// server that does not answer may be another one when it does.
    async fn passes(&self, list: u64) -> bool {
        let mut before = None;
        for _ in 0..LOOKS {
            let version = self.read().await.and_then(|lease| lease.resource_version());
            let Some(number) = version.and_then(|it| it.parse::<u64>().ok()) else {
                return false;
            };
            if number > list {
                return true;
            }
            if before
                .replace(number)
                .is_some_and(|before| before != number)
            {
                return false;
            }
            sleep(LOOK_EVERY).await;
        }
        false
    }
}

impl Controller {
    /// Lists everything again whenever history turns out to have gone back, until `stop`.
    pub async fn mind_history(self: Arc<Self>, pulse: Pulse, stop: CancellationToken) {
        while stop
            .run_until_cancelled(self.history.went_back())
            .await
            .is_some()
        {
            let listed = pulse.list().await;
            tracing::warn!(
                "etcd went back to an earlier state, as after a restore: listing everything again"
            );
            self.state.metrics.history_went_back();
            self.state.index_mut().history_went_back();
            self.history.list();
            self.judge_all();
            if let Some(lease) = pulse.read().await {
                self.report_history(&lease);
            }
            let of_now = async {
                match listed {
                    Some(listed) => pulse.passes(listed).await,
                    None => false,
                }
            };
            if stop.run_until_cancelled(of_now).await == Some(false) {
                tracing::warn!(
                    remedy = "restart the API server, as is to be done after a restore",
                    "the API server lists what etcd does not have any more: listing once more in a minute"
                );
                self.history.list_once_more();
            }
        }
    }

    fn report_history(&self, lease: &Lease) {
        let regarding = ObjectReference {
            api_version: Some("coordination.k8s.io/v1".to_owned()),
            kind: Some("Lease".to_owned()),
            namespace: lease.namespace(),
            name: lease.metadata.name.clone(),
            uid: lease.uid(),
            ..ObjectReference::default()
        };
        // With the time in it no Event repeats another: that would take a right to patch Events.
        let note = format!(
            "{:.0}: etcd went back to an earlier state, as after a restore: reroll lists everything again. If this is said \
             every minute, an API server was not restarted together with etcd: restart it",
            (self.state.clock)()
        );
        self.events
            .publish(regarding, EventType::Warning, "HistoryWentBack", note, None);
    }
}
