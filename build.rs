//! Tells the program of which commit it is built, as the variable `REROLL_COMMIT` of its compilation.
//!
//! Who builds it says so by `REROLL_COMMIT`, as the Dockerfile does, which has no `.git`. Otherwise git is asked, but only for
//! a release build: a new HEAD would have all of the crate compiled again, which nobody wants between two tests. Where nobody
//! knows, the commit is `unknown`, and the build goes on.

#![expect(
    clippy::disallowed_methods,
    reason = "cargo tells build scripts by variables"
)]

use std::{env, path::Path, process::Command};

const VARIABLE: &str = "REROLL_COMMIT";

fn main() {
    println!("cargo:rerun-if-changed=build.rs");
    println!("cargo:rerun-if-env-changed={VARIABLE}");
    let commit = said().or_else(of_git).unwrap_or("unknown".to_owned());
    println!("cargo:rustc-env={VARIABLE}={commit}");
}

fn said() -> Option<String> {
    env::var(VARIABLE).ok().filter(|commit| is_commit(commit))
}

/// Whether it is a name of git's: what is printed in lines, labels and annotations has to be one word.
fn is_commit(text: &str) -> bool {
    !text.is_empty() && text.bytes().all(|byte| byte.is_ascii_hexdigit())
}

/// Asks git for HEAD, and cargo to ask again when that moves.
fn of_git() -> Option<String> {
    if env::var("PROFILE").as_deref() != Ok("release") {
        return None;
    }
    // Sources that were unpacked in somebody's repository are no commit of that.
    let top = git(&["rev-parse", "--show-toplevel"])?;
    let here = env::var("CARGO_MANIFEST_DIR").ok()?;
    if Path::new(&top).canonicalize().ok()? != Path::new(&here).canonicalize().ok()? {
        return None;
    }
    // HEAD changes at a checkout of another branch, and the branch's own file, or the list of those that have none, at a
    // commit. Cargo would build each time for a file that is not there. The log has an entry for each move.
    let mut files = vec![
        "HEAD".to_owned(),
        "packed-refs".to_owned(),
        "logs/HEAD".to_owned(),
    ];
    files.extend(git(&["symbolic-ref", "--quiet", "HEAD"]));
    for file in files {
        if let Some(path) = git(&["rev-parse", "--git-path", &file])
            && Path::new(&path).exists()
        {
            println!("cargo:rerun-if-changed={path}");
        }
    }
    git(&["rev-parse", "HEAD"]).filter(|commit| is_commit(commit))
}

/// Returns what git says, here. `None` where there is no git, or it fails.
fn git(arguments: &[&str]) -> Option<String> {
    let output = Command::new("git").args(arguments).output().ok()?;
    let said = String::from_utf8(output.stdout).ok()?;
    let said = said.trim();
    (output.status.success() && !said.is_empty()).then(|| said.to_owned())
}
