//! Layers side by side, names that `lib.rs` passes on, and names that are passed on below.

use super::{found, lib};

fn two(layers: &[&str], one: &str, other: &str) -> Vec<String> {
    let lib = lib(layers, &["one", "other", "base"]);
    found(&[
        ("src/lib.rs", &lib),
        ("src/one/mod.rs", one),
        ("src/other/mod.rs", other),
        ("src/base.rs", "pub struct B;"),
    ])
}

#[test]
fn modules_of_one_layer_do_not_use_each_other() {
    let side_by_side = ["{one, other}", "base"];
    assert_eq!(
        two(
            &side_by_side,
            "use crate::base::B;\nuse crate::other::A;",
            ""
        ),
        [
            "src/one/mod.rs:2: one uses other (`crate::other::A`): modules of one layer do not use each other"
        ]
    );
    assert_eq!(
        two(&side_by_side, "", "use super::one::A;"),
        [
            "src/other/mod.rs:1: other uses one (`super::one::A`): modules of one layer do not use each other"
        ]
    );
    let both = "use crate::base::B;\nuse self::inner::A;\nmod inner { pub struct A; }";
    assert_eq!(two(&side_by_side, both, both), [""; 0]);
    assert_eq!(
        two(&["one", "other", "base"], "use crate::other::A;", ""),
        [""; 0]
    );
}

#[test]
fn what_lib_rs_passes_on_is_where_it_comes_from() {
    let all = |low: &str| {
        let lib = lib(&["high", "low", "base"], &["high", "low", "base"]);
        let lib = format!("{lib}pub use high::A;\npub use base::B;\npub fn own() {{}}\n");
        found(&[
            ("src/lib.rs", &lib),
            ("src/high.rs", "pub struct A;"),
            ("src/low.rs", low),
            ("src/base.rs", "pub struct B;"),
        ])
    };
    assert_eq!(all("use crate::B;"), [""; 0]);
    assert_eq!(
        all("use crate::A;\nfn f() { crate::own() }"),
        [
            "src/low.rs:1: low uses high (`crate::A`), which is above it: a layer uses only what is below it",
            "src/low.rs:2: low uses `crate::own` of lib.rs, which stands above all layers",
        ]
    );
}

#[test]
fn the_whole_crate_is_not_brought_in_under_another_name() {
    for code in ["use crate as me;", "use super as me;", "use crate::*;"] {
        let found = two(
            &["one", "other", "base"],
            "",
            &format!("{code}\nfn f() {{ me::one::A }}"),
        );
        assert_eq!(found.len(), 1, "{found:#?}");
        assert!(found[0].starts_with("src/other/mod.rs:1: other uses `"));
        assert!(found[0].ends_with("` of lib.rs, which stands above all layers"));
    }
}

#[test]
fn who_passes_on_what_is_above_is_reported_not_who_takes_it() {
    let lib = lib(&["high", "low", "base"], &["high", "low", "base"]);
    let found = found(&[
        ("src/lib.rs", &lib),
        ("src/high.rs", "pub struct A;"),
        ("src/low.rs", "use crate::base::A;"),
        ("src/base.rs", "pub use crate::high::A;"),
    ]);
    assert_eq!(
        found,
        [
            "src/base.rs:1: base uses high (`crate::high::A`), which is above it: a layer uses only what is below it"
        ]
    );
}
