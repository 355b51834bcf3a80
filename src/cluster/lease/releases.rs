//! Tells when somebody gives the Lease up.

use futures::{StreamExt, stream::BoxStream};
use k8s_openapi::api::coordination::v1::Lease;
use kube::{
    Api,
    runtime::{WatchStreamExt, watcher},
};

use crate::cluster::WATCH_SECONDS;

/// Tells when somebody releases the Lease, so that nobody waits for the next look. Where the watch fails, looking now and
/// then is all there is.
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
