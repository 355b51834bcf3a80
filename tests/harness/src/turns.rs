//! Who goes first.

/// All of them, in the order of this repeat: each is the first in its turn, for those before leave objects behind, which the
/// API server bears. Of two the order alternates.
pub fn turns<T>(all: &[T], repeat: usize) -> impl Iterator<Item = &T> {
    let first = repeat.checked_rem(all.len()).unwrap_or_default();
    all.iter().cycle().skip(first).take(all.len())
}
