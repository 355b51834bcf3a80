//! At what days and hours workloads are restarted, what a Namespace says of that, and whether an order was asked for.

use jiff::SignedDuration;
use kube::core::ObjectMeta;

use super::{Index, Tracked, at_once, gates::set_says};
use crate::model::{
    annotation::{RESTART_ON, SLOW_START, SUSPEND, WINDOW},
    gate::window::Window,
    object::SlowStart,
    policy::{Complaint, of_label, window},
};

/// What the annotations of a Namespace say about when restarts in it are made.
#[derive(Debug, Default)]
pub struct Paced {
    at_once: bool,
    hours: Option<Window>,
}

impl Paced {
    /// Reads it. Returns also what cannot be read of all that a Namespace may say.
    pub fn read(meta: &ObjectMeta) -> (Self, Vec<Complaint>) {
        let text = |key| meta.annotations.as_ref().and_then(|all| all.get(key));
        let slow_start = SlowStart::of(meta);
        let of_slow_start = text(SLOW_START).filter(|_| slow_start == SlowStart::Unreadable);
        let label = meta.labels.as_ref().and_then(|all| all.get(RESTART_ON));
        let mut complaints = label.map_or_else(Vec::new, |text| of_label(text));
        complaints.extend(of_slow_start.map(|text| Complaint::of_namespace(text)));
        complaints.extend(Complaint::of_suspension(text(SUSPEND)));
        let hours = text(WINDOW).map(|text| {
            let (hours, complaint) = window(text);
            complaints.extend(complaint);
            hours
        });
        let at_once = slow_start == SlowStart::Off;
        (Self { at_once, hours }, complaints)
    }

    /// Takes it in.
    pub fn take(self, index: &mut Index, name: &str) {
        at_once::set_namespace(index, name, self.at_once);
        set_namespace(index, name, self.hours);
    }
}

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

/// Whether a workload says itself at what time it is restarted, so that its namespace does not.
pub fn is_own(tracked: &Tracked) -> bool {
    let gates = tracked.policy.gates.as_deref();
    gates.is_some_and(|gates| gates.window.is_some())
}

/// Whether a workload of a namespace ever asked for a place in the order of restarts.
pub fn has_waves(index: &Index, namespace: &str) -> bool {
    let space = index.namespaces.get(namespace);
    space.is_some_and(|space| space.has_waves)
}
