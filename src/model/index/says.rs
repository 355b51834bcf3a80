//! What a Namespace says about when restarts in it are made.

use crate::model::gate::window::Window;

/// What a Namespace says about when restarts in it are made.
#[derive(Clone, Debug, Default, PartialEq)]
pub(super) struct Says {
    /// They do not wait for what becomes of others: `reroll.dev/slow-start: off`.
    pub(super) at_once: bool,
    /// At what days and hours: `reroll.dev/window`.
    pub(super) window: Option<Box<Window>>,
    /// Why none of its workloads restarts: `reroll.dev/suspend`.
    pub(super) stop: Option<String>,
}
