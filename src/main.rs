//! The `reroll` program.

fn main() {}
