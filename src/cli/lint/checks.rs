//! All checks of all objects. They are total functions: of what was read, and of nothing else.

use super::{
    found::Found, inventory::Inventory, keys, manifests::Manifest, reloader, spots::Role, values,
    workloads::Look,
};
use crate::model::workload::Kinds;

/// Returns what is to be said of objects, in their order, and of each by line.
pub(super) fn check(manifests: &[Manifest], kinds: &Kinds) -> Vec<Found> {
    let inventory = Inventory::of(manifests);
    let mut all = Vec::new();
    for manifest in manifests {
        let mut found = Vec::new();
        let role = Role::of(manifest, kinds);
        keys::check(manifest, role, &mut found);
        keys::twice(manifest, &manifest.root, &mut found);
        if let Role::Workload(kind) = role {
            let workload = &manifest.workload(kind);
            values::of_workload(manifest, workload, &mut found);
            let look = Look {
                manifest,
                kind,
                workload,
                inventory: &inventory,
            };
            look.check(&mut found);
        }
        values::of_others(manifest, role, &mut found);
        reloader::check(manifest, role, &mut found);
        found.sort_by_key(|one| (one.line, one.finding));
        all.append(&mut found);
    }
    all
}

#[cfg(test)]
mod tests;
