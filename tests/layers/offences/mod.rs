//! Each kind of offence, written as a small tree and found, beside code that looks like one and is none.

mod circles;
mod layers;
mod list;
mod paths;
mod pure;
mod sizes;
mod unreadable;

use crate::{Files, check};

/// What the check says of these files.
fn found(files: &[(&str, &str)]) -> Vec<String> {
    let text = |(name, text): &(&str, &str)| ((*name).to_owned(), (*text).to_owned());
    let files: Files = files.iter().map(text).collect();
    check(&files).iter().map(ToString::to_string).collect()
}

/// A `lib.rs` with this list of layers, and these modules.
fn lib(layers: &[&str], modules: &[&str]) -> String {
    let begin = "//! The map.\n//!\n//! # Layers\n//!\n//! ```text\n";
    let layers: Vec<_> = layers
        .iter()
        .map(|layer| format!("//! {layer}\n"))
        .collect();
    format!("{begin}{}//! ```\n\n{}", layers.concat(), mods(modules))
}

fn mods(modules: &[&str]) -> String {
    let mods: Vec<_> = modules
        .iter()
        .map(|module| format!("pub mod {module};\n"))
        .collect();
    mods.concat()
}

/// A `lib.rs` with one layer, `a`, for what happens inside of one.
fn one_layer() -> String {
    lib(&["a"], &["a"])
}
