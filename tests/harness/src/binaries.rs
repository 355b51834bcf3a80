//! The product's programs, which the tests run as they are.

use std::{
    env,
    path::{Path, PathBuf},
};

use anyhow::{Context as _, Result, ensure};

/// Returns the path of a program of the package `reroll`: of `reroll` itself, or of `reroll-under-test`.
///
/// `REROLL_PROFILE` names the profile of Cargo that both were built with; `make test` sets it. Without it, they are those that
/// Cargo builds before it runs a test or a benchmark. Newer ones say where they are. Otherwise they are in the folder above
/// the running program, which is in `deps` or `examples`.
pub fn binary(name: &str) -> Result<PathBuf> {
    let own = env::current_exe()?;
    let of_profile = own.parent().and_then(Path::parent);
    let of_profile = of_profile.context("this program has no folder")?;
    let path = match env::var_os("REROLL_PROFILE").filter(|profile| !profile.is_empty()) {
        Some(profile) => of_profile.with_file_name(profile).join(name),
        None => match env::var_os(format!("CARGO_BIN_EXE_{name}")) {
            Some(path) => return Ok(path.into()),
            None => of_profile.join(name),
        },
    };
    ensure!(
        path.is_file(),
        "{} is not built: `cargo build --bins` does it, with the profile of REROLL_PROFILE if that is set",
        path.display()
    );
    Ok(path)
}
