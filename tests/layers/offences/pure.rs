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

#[test]
fn what_is_pure_is_not_reported() {
    let pure = [
        "use std::{collections::BTreeMap, fmt, time::Duration};\nuse fmt::Write as _;\nfn f() { fmt::Error; u64::MAX; String::new(); str::from_utf8(b\"\") }",
        "use serde::{self, Deserialize};\n#[derive(Deserialize, serde::Serialize)]\nstruct S<T: Trait>(T::Of);",
        "use kube::core::{ObjectMeta, metadata};\nfn f() { metadata::f(); kube::core::g(); serde_json::json!({ \"a\": tokio }) }",
        "use jiff::Timestamp;\nfn f(a: Timestamp) { Timestamp::UNIX_EPOCH; a.now() }",
        "enum E { A }\nuse E::A;\nfn f(tokio: u8) { format!(\"std::env {tokio}\"); Instantly::now() }",
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
