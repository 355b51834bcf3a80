//! Which restart of a workload is due right now.

use super::{Index, Overlay};
use crate::model::{
    decide::{Decision, restart_id},
    workload::WorkloadKey,
};

/// Returns the id of the restart that is due of a workload; `None` where none is, as far as is known.
pub fn id(index: &Index, key: &WorkloadKey) -> Option<String> {
    let tracked = index.workload(key)?;
    match index.assess(key, &Overlay::new())? {
        Decision::Restart(restart) => Some(restart_id(
            &tracked.workload,
            &restart,
            tracked.uses(),
            index.key(),
        )),
        _ => None,
    }
}
