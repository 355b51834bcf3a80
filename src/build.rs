//! What this program is: its version, and the commit that it was built of.

/// The version, as in `Cargo.toml`.
pub const VERSION: &str = env!("CARGO_PKG_VERSION");

/// The commit, as git names it; `unknown` where the build was not told, and could not ask git (`build.rs`).
pub const COMMIT: &str = env!("REROLL_COMMIT");

/// Both, as `--version` says it.
pub const BOTH: &str = concat!(
    env!("CARGO_PKG_VERSION"),
    " (commit ",
    env!("REROLL_COMMIT"),
    ")"
);
