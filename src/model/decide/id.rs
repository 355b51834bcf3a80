//! Which restart it is that is due.

use super::Restart;
use crate::model::{digest::DigestKey, observed::Fold, source::References, workload::Workload};

/// Returns which restart it is: a digest of the mark that stands, and of the uids and digests that it would take. A label's edit
/// of a source leaves it, another change does not.
pub fn restart_id(
    workload: &Workload,
    restart: &Restart,
    uses: &References,
    key: &DigestKey,
) -> String {
    let next = &restart.next;
    let versions = Fold::of(key, &next.entries, uses);
    let mut parts = vec!["pending", &next.workload_uid, &workload.restarted_for];
    for fold in [Some(&versions), next.fold.as_ref()].into_iter().flatten() {
        parts.extend([fold.names.as_str(), &fold.uids, &fold.data]);
    }
    let parts = parts.into_iter().map(str::as_bytes);
    key.digest(parts).to_string()
}
