//! Lists the namespaces that were selected late, each on its own and once.

use std::{collections::BTreeSet, sync::Arc};

use super::{Then, Watch, Watched, Watches};
use crate::{cluster::DiscoveredKind, model::csi::Part};

/// Lists these namespaces, for ever. `always` are the kinds that every cluster has.
pub async fn list(watches: Arc<Watches>, always: Vec<Watched>) {
    loop {
        let name = watches.namespaces.next_unlisted().await;
        let served: BTreeSet<_> = watches.cluster.served().kinds().into_iter().collect();
        for part in Part::ALL {
            if !served.contains(&DiscoveredKind::Csi(part)) {
                watches.judge.part_absent(part, Some(&name));
            }
        }
        let served = served.into_iter().map(Watched::of);
        for what in always.iter().copied().chain(served) {
            let watch = Watch {
                what,
                within: Some(name.clone()),
                // The watch of all namespaces brings what changes from now on.
                then: Then::End,
            };
            watch.run(Arc::clone(&watches)).await;
        }
        tracing::info!(namespace = name, "listed a namespace that is selected now");
    }
}
