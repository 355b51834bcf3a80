//! What the core names.

use super::{found, lib};

fn core(code: &str) -> Vec<String> {
    let lib = lib(&["high", "model"], &["high", "model"]);
    found(&[
        ("src/lib.rs", &lib),
        // The others may name what they like.
        ("src/high.rs", code),
        ("src/model/mod.rs", "mod inner;"),
        ("src/model/inner.rs", code),
    ])
}

#[test]
fn what_is_not_pure_is_found_in_the_core_only() {
    let impure = [
        ("use tokio::spawn;", 1, "tokio::spawn"),
        ("use std::{fmt, fs::File};", 1, "std::fs"),
        (
            "use std::time::{Duration, Instant as Moment};\nfn f() { Moment::now(); }",
            1,
            "std::time::Instant",
        ),
        (
            "use std::time;\nfn f() { time::SystemTime::now(); }",
            2,
            "std::time::SystemTime",
        ),
        ("fn f() -> u8 { std::env::args(); 1 }", 1, "std::env"),
        (
            "use jiff::Timestamp;\nfn f() { g(Timestamp::now) }",
            2,
            "jiff::Timestamp::now",
        ),
        ("fn f() { vec![jiff::Zoned::now()] }", 1, "jiff::Zoned::now"),
        (
            "fn f() {\n    tracing::info!(\"a\");\n}",
            2,
            "tracing::info",
        ),
        ("use kube::{Client, core::ObjectMeta};", 1, "kube::Client"),
        ("#[tokio::main]\nasync fn f() {}", 1, "tokio::main"),
        (
            "struct S {\n    #[serde(with = \"humantime_serde::option\")]\n    a: u8,\n}",
            2,
            "humantime_serde::option",
        ),
    ];
    for (code, line, what) in impure {
        assert_eq!(
            core(code),
            [format!(
                "src/model/inner.rs:{line}: model names {what}: it names only what is pure"
            )],
            "{code}"
        );
    }
}

/// Code with a clock, state or the like under another name: the line, and what is said to be named.
const HIDDEN: &[(&str, usize, &str)] = &[
    (
        "use std::time::*;\nfn f() { SystemTime::now(); }",
        1,
        "all of std::time",
    ),
    ("use std::*;", 1, "all of std"),
    ("use std::{fmt, sync::*};", 1, "all of std::sync"),
    ("use std::time;\nuse time::*;", 2, "all of std::time"),
    ("fn f() {\n    use std::time::*;\n}", 2, "all of std::time"),
    ("m! {\n    use std::time::*;\n}", 2, "all of std::time"),
    ("use std::env::*;", 1, "std::env"),
    (
        "use jiff::*;\nfn f() { Timestamp::now() }",
        1,
        "all of jiff",
    ),
    ("use k8s_openapi::jiff::*;", 1, "all of jiff"),
    ("use tokio::*;\nfn f() { spawn() }", 1, "tokio"),
    ("use kube::*;", 1, "kube"),
    (
        "type T = jiff::Timestamp;\nfn f() { T::now() }",
        1,
        "all of jiff::Timestamp",
    ),
    (
        "fn f() {\n    type T = jiff::Zoned;\n    T::now()\n}",
        2,
        "all of jiff::Zoned",
    ),
    (
        "fn f() { <jiff::Timestamp>::now() }",
        1,
        "jiff::Timestamp::now",
    ),
    (
        "use k8s_openapi::jiff::Timestamp;\nfn f() { Timestamp::now() }",
        2,
        "jiff::Timestamp::now",
    ),
    (
        "fn f() { k8s_openapi::jiff::Zoned::now() }",
        1,
        "jiff::Zoned::now",
    ),
    (
        "use jiff::tz::TimeZone;\nfn f() { TimeZone::system() }",
        2,
        "jiff::tz::TimeZone::system",
    ),
    ("use std::io;", 1, "std::io"),
    ("use std::io::{Read as _, stdin};", 1, "std::io"),
    ("use std::os::unix::fs;", 1, "std::os"),
    (
        "fn f() { std::time::UNIX_EPOCH.elapsed() }",
        1,
        "std::time::UNIX_EPOCH",
    ),
    (
        "use std::collections::hash_map::{Entry, RandomState};",
        1,
        "std::collections::hash_map::RandomState",
    ),
    (
        "use std::collections::hash_map::*;",
        1,
        "all of std::collections::hash_map",
    ),
    (
        "use std::hash::{Hash, RandomState};",
        1,
        "std::hash::RandomState",
    ),
    (
        "static A: std::sync::Mutex<u8> = std::sync::Mutex::new(1);",
        1,
        "std::sync::Mutex",
    ),
    (
        "use std::sync::RwLock;\nconst A: RwLock<u8> = RwLock::new(1);",
        1,
        "std::sync::RwLock",
    ),
    (
        "static A: ::std::sync::OnceLock<u8> = g();",
        1,
        "std::sync::OnceLock",
    ),
    (
        "static A: core::sync::atomic::AtomicU64 = g();",
        1,
        "std::sync::atomic",
    ),
    ("thread_local! { static A: u8 = 1 }", 1, "std::thread_local"),
    ("fn f() { option_env!(\"A\") }", 1, "std::option_env"),
    ("const A: &str = env!(\"A\");", 1, "std::env"),
    ("const A: &str = core::env!(\"A\");", 1, "std::env"),
    (
        "fn f() {\n    format!(\"{}\", env!(\"A\"))\n}",
        2,
        "std::env",
    ),
    ("use std::option_env as other;", 1, "std::option_env"),
    ("fn f() { println!(\"a\") }", 1, "std::println"),
];

#[test]
fn what_hides_a_clock_or_state_is_found() {
    for (code, line, what) in HIDDEN {
        assert_eq!(
            core(code),
            [format!(
                "src/model/inner.rs:{line}: model names {what}: it names only what is pure"
            )],
            "{code}"
        );
    }
}

#[test]
fn what_is_pure_is_not_reported() {
    let pure = [
        "use std::{collections::BTreeMap, fmt, time::Duration};\nuse fmt::Write as _;\nfn f() { fmt::Error; u64::MAX; String::new(); str::from_utf8(b\"\") }",
        "use serde::{self, Deserialize};\n#[derive(Deserialize, serde::Serialize)]\nstruct S<T: Trait>(T::Of);",
        "use kube::core::{ObjectMeta, metadata};\nfn f() { metadata::f(); kube::core::g(); serde_json::json!({ \"a\": tokio }) }",
        "use jiff::Timestamp;\nfn f(a: Timestamp) { Timestamp::UNIX_EPOCH; a.now() }",
        "enum E { A }\nuse E::A;\nfn f(tokio: u8) { format!(\"std::env {tokio}\"); Instantly::now() }",
        "use std::hash::{DefaultHasher, Hash, Hasher as _};\nfn f() { DefaultHasher::new() }",
        "use std::fmt::*;\nuse serde_json::*;\nuse kube::core::*;\nuse std::collections::btree_map::*;",
        "use std::{collections::hash_map::Entry, sync::{Arc, LazyLock}};\nstatic A: LazyLock<String> = LazyLock::new(g);",
        "fn f(env: u8, dbg: u8) { vec![env, dbg]; if env != dbg { assert!(env != (1)) } }",
        "type T = Vec<jiff::Timestamp>;\ntype D = std::time::Duration;\nfn f() { D::ZERO; <D>::ZERO; jiff::tz::TimeZone::UTC }",
        "use k8s_openapi::{api::core::v1::Secret, jiff::Timestamp};\nfn f() { Timestamp::UNIX_EPOCH }",
        "// std::env\n/// `std::env`\n#[cfg(test)]\nmod tests { use tokio::spawn; }",
    ];
    for code in pure {
        assert_eq!(core(code), [""; 0], "{code}");
    }
}

#[test]
fn the_core_uses_no_other_layer() {
    let found = core("use crate::high::A;");
    assert_eq!(found.len(), 1, "{found:#?}");
    assert!(found[0].starts_with("src/model/inner.rs:1: model uses high"));
}
