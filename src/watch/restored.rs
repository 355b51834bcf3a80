//! Lists everything again when etcd went back to an earlier state, and tells that.
//!
//! One such list may not be enough. An API server that was not restarted together with etcd goes on to serve the lost
//! state from its memory, both in lists and in watches. The Lease shows that. The leader renews it all the time, and a
//! write is newer than any list that was answered before it, unless that list shows a lost state. While lists do,
//! everything is listed again every minute. Nothing more is needed, because a write is decided by what etcd itself
//! says.

use std::{sync::Arc, time::Duration};

use k8s_openapi::api::coordination::v1::Lease;
use kube::{Api, api::ListParams};
use tokio::time::sleep;
use tokio_util::sync::CancellationToken;

use crate::{judge::live::Live, model::object::resource_version};

/// How often the Lease is read to see whether it was renewed.
const LOOK_EVERY: Duration = Duration::from_millis(500);
const LOOKS: u32 = 80;

/// Watches the Lease of this installation for a lost state.
pub struct HistoryWatch {
    live: Live,
    api: Api<Lease>,
    name: String,
}

impl HistoryWatch {
    /// Makes one for the Lease of this name in this namespace.
    pub fn new(live: Live, namespace: &str, name: &str) -> Self {
        Self {
            api: Api::namespaced(live.cluster.client(), namespace),
            live,
            name: name.to_owned(),
        }
    }

    async fn read(&self) -> Option<Lease> {
        self.live.cluster.get(&self.api, &self.name).await.ok()?
    }

    /// Lists the Lease. Returns the resourceVersion of the list, from which a watch would go on.
    async fn list(&self) -> Option<u64> {
        let params = ListParams::default().fields(&format!("metadata.name={}", self.name));
        let list = self.live.cluster.list(&self.api, &params).await.ok()?;
        resource_version(list.metadata.resource_version.as_deref())
    }

    /// Whether the next write of the Lease is newer than `list`. `false` also if no replica writes it in time, or if
    /// the API server does not answer: it may be another one when it answers again.
    async fn passes(&self, list: u64) -> bool {
        let mut before = None;
        for _ in 0..LOOKS {
            let lease = self.read().await.unwrap_or_default();
            let Some(number) = resource_version(lease.metadata.resource_version.as_deref()) else {
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

    /// Lists everything again each time that etcd is proved to have gone back, until `stop`.
    pub async fn run(self, stop: CancellationToken) {
        let judge = Arc::clone(&self.live.judge);
        while stop
            .run_until_cancelled(judge.history.went_back())
            .await
            .is_some()
        {
            let listed = self.list().await;
            judge.state.index_mut().history_went_back();
            judge.history.list();
            judge.judge_all();
            judge.teller.history_went_back(self.read().await.as_ref());
            let of_now = async {
                match listed {
                    Some(listed) => self.passes(listed).await,
                    None => false,
                }
            };
            if stop.run_until_cancelled(of_now).await == Some(false) {
                tracing::warn!(
                    remedy = "restart the API server, as is to be done after a restore",
                    "the API server lists what etcd does not have any more: listing once more in a minute"
                );
                judge.history.proved_elsewhere();
            }
        }
    }
}
