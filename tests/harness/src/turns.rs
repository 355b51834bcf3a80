//! The order of contenders.

/// Returns all contenders in the order of this repeat. Each is first in its turn, because those before it leave objects
/// behind that slow the API server. With two of them the order alternates.
pub fn turns<T>(all: &[T], repeat: usize) -> impl Iterator<Item = &T> {
    let first = repeat.checked_rem(all.len()).unwrap_or_default();
    all.iter().cycle().skip(first).take(all.len())
}
