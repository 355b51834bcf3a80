//! At what days and hours workloads are restarted, and whether an order was asked for.

use jiff::SignedDuration;

use super::{Index, Tracked, gates::set_says};
use crate::model::gate::window::Window;

/// Takes in at what time restarts in a namespace are made, where it says so.
pub fn set_namespace(index: &mut Index, name: &str, window: Option<Window>) {
    set_says(index, name, |says| says.window = window.map(Box::new));
}

/// Returns at what time a workload is restarted, and how long after its first change at the latest, where it or else its
/// namespace says so.
pub fn of<'a>(
    index: &'a Index,
    namespace: &str,
    tracked: &'a Tracked,
) -> Option<(&'a Window, Option<SignedDuration>)> {
    let gates = tracked.policy.gates.as_deref();
    let own = gates.and_then(|gates| gates.window.as_ref());
    let of_namespace = || {
        let space = index.namespaces.get(namespace)?;
        space.says.window.as_deref()
    };
    let window = own.or_else(of_namespace)?;
    Some((window, gates.and_then(|gates| gates.latest)))
}

/// Whether a workload of a namespace ever asked for a place in the order of restarts.
pub fn has_waves(index: &Index, namespace: &str) -> bool {
    let space = index.namespaces.get(namespace);
    space.is_some_and(|space| space.has_waves)
}
