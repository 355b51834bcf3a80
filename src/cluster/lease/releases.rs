//! Tells when the leader gives up the Lease.

use futures::{StreamExt, stream::BoxStream};
use k8s_openapi::api::coordination::v1::Lease;
use kube::{
    Api,
    runtime::{WatchStreamExt, watcher},
};

use crate::cluster::liveness::WATCH_SECONDS;

/// Brings one item each time that a leader releases the Lease, so that the other replicas need not wait for their next
/// try. Where the watch fails, they find out by their next try.
pub(super) fn releases(api: Api<Lease>, name: &str) -> BoxStream<'static, ()> {
    let config = watcher::Config::default()
        .fields(&format!("metadata.name={name}"))
        .timeout(WATCH_SECONDS);
    watcher(api, config)
        .default_backoff()
        .filter_map(async |event| match event {
            Ok(watcher::Event::Apply(lease)) => {
                let holder = lease.spec.and_then(|spec| spec.holder_identity);
                holder.is_none_or(|holder| holder.is_empty()).then_some(())
            }
            _ => None,
        })
        .boxed()
}
