//! Where restarts do not wait for what becomes of others: `reroll.dev/slow-start: off` on a source or a Namespace.

use super::{Index, gates::set_says};
use crate::model::{object::SlowStart, source::SourceName};

/// Takes in whether a namespace says so.
pub fn set_namespace(index: &mut Index, name: &str, at_once: bool) {
    set_says(index, name, |says| says.at_once = at_once);
}

/// Whether a namespace says so.
pub fn namespace(index: &Index, name: &str) -> bool {
    index
        .namespaces
        .get(name)
        .is_some_and(|space| space.says.at_once)
}

/// Whether a source says so.
pub fn source(index: &Index, namespace: &str, source: &SourceName) -> bool {
    let version = index.source(namespace, source).version();
    version.is_some_and(|version| version.slow_start == SlowStart::Off)
}
