//! The product's programs, which the tests run as they are.

use std::{
    env,
    path::{Path, PathBuf},
};

use anyhow::{Context as _, Result, ensure};

/// Returns the path of a program of the package `reroll`: of `reroll` itself, or of `reroll-under-test`.
///
/// Cargo builds both before it runs a test or a benchmark, and newer ones say where they are. Otherwise they are in
/// the folder above the running program, which is in `deps` or `examples`.
pub fn binary(name: &str) -> Result<PathBuf> {
    if let Some(path) = env::var_os(format!("CARGO_BIN_EXE_{name}")) {
        return Ok(path.into());
    }
    let own = env::current_exe()?;
    let profile = own.parent().and_then(Path::parent);
    let path = profile.context("this program has no folder")?.join(name);
    ensure!(
        path.is_file(),
        "{} is not built: `cargo build --bins` does it",
        path.display()
    );
    Ok(path)
}
