//! reroll's watches, as a proxy sees them.

use reroll_harness::{
    PATIENCE,
    proxy::{FaultProxy, RequestLine},
};

/// What one replica watches: Secrets, `ConfigMap`s, three kinds of workload and namespaces; and the Lease, without
/// which it gets along.
pub const WATCHES: usize = 6;

/// Waits until all watches are there again. The webhook sees changes without them, so a sentinel may roll before what
/// was missed is found.
pub async fn are_back(proxy: &FaultProxy, replicas: usize) {
    let open = |proxy: &FaultProxy| {
        let needed =
            |request: &RequestLine| request.is_watch() && !request.path.contains("/leases");
        proxy
            .in_flight()
            .iter()
            .filter(|request| needed(request))
            .count()
            == WATCHES * replicas
    };
    proxy.wait_until(PATIENCE, open).await.unwrap();
}
