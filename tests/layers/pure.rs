//! The core names nothing but what is pure.

use crate::{Offence, arrows::Code, names::Target, tree::Tree};

/// The module of the root that is pure, with all under it.
const CORE: &str = "model";
/// The crates that it may name: no runtime, no client, no clock, no environment.
const CRATES: [&str; 15] = [
    "std",
    "core",
    "alloc",
    "serde",
    "litemap",
    "serde_json",
    "k8s_openapi",
    "json_patch",
    "sha2",
    "hmac",
    "jiff",
    "base64",
    "regex",
    "wildmatch",
    "thiserror",
];
/// What it may name of other crates.
const PARTS: [&str; 1] = ["kube::core"];
/// The parts of these crates that are a clock, the environment, or another machine.
const NOT_PURE: [&str; 9] = [
    "std::env",
    "std::fs",
    "std::net",
    "std::process",
    "std::thread",
    "std::time::SystemTime",
    "std::time::Instant",
    "jiff::Timestamp::now",
    "jiff::Zoned::now",
];
/// What looks like a crate, and is a type.
const PRIMITIVES: [&str; 17] = [
    "bool", "char", "f32", "f64", "i8", "i16", "i32", "i64", "i128", "isize", "str", "u8", "u16",
    "u32", "u64", "u128", "usize",
];

pub(crate) fn of_the_core(tree: &Tree, code: &Code, offences: &mut Vec<Offence>) {
    for arrow in &code.arrows {
        let Target::Outside(path) = &arrow.found.to else {
            continue;
        };
        if tree.top(arrow.from) != Some(CORE) {
            continue;
        }
        // What was brought in is said once, where it was.
        let said = arrow.found.brought_in > 0 && impure(&path[..arrow.found.brought_in]).is_some();
        if let Some(what) = impure(path).filter(|_| !said) {
            let what = format!("{CORE} names {what}: it names only what is pure");
            offences.push(Offence::new(
                &tree.modules[arrow.from].file,
                arrow.line,
                what,
            ));
        }
    }
}

/// What of a path is not pure.
fn impure(path: &[String]) -> Option<String> {
    let begins = |with: &&str| {
        let with: Vec<_> = with.split("::").collect();
        path.len() >= with.len() && with.iter().zip(path).all(|(with, name)| with == name)
    };
    if let Some(named) = NOT_PURE.iter().find(|named| begins(named)) {
        return Some((*named).to_owned());
    }
    let (first, rest) = path.split_first()?;
    // One name alone is a variable, or the prelude's; a parameter and a type of the prelude begin with a capital.
    let is_type = first.starts_with(char::is_uppercase) || PRIMITIVES.contains(&first.as_str());
    let pure =
        is_type || rest.is_empty() || CRATES.contains(&first.as_str()) || PARTS.iter().any(begins);
    (!pure).then(|| path.join("::"))
}
