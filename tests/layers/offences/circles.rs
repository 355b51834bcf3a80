//! Circles of files and of folders, and what looks like one.

use super::{found, one_layer};

fn inside(files: &[(&str, &str)]) -> Vec<String> {
    let lib = one_layer();
    let mut all = vec![("src/lib.rs", lib.as_str())];
    all.extend(files);
    found(&all)
}

#[test]
fn two_files_use_each_other() {
    assert_eq!(
        inside(&[
            ("src/a/mod.rs", "mod b;\nmod c;"),
            ("src/a/b.rs", "pub struct B;\nuse super::c::C;"),
            (
                "src/a/c.rs",
                "pub struct C;\n\nfn f() { vec![super::b::B] }"
            ),
        ]),
        [
            "src/a/b.rs:2: uses `super::c::C` of src/a/c.rs, from where arrows lead back (src/a/c.rs → src/a/b.rs): \
             no circle between files, unless they are parts of one type",
            "src/a/c.rs:3: uses `super::b::B` of src/a/b.rs, from where arrows lead back (src/a/b.rs → src/a/c.rs): \
             no circle between files, unless they are parts of one type",
        ]
    );
    assert_eq!(
        inside(&[
            ("src/a/mod.rs", "mod b;\nmod c;"),
            ("src/a/b.rs", "pub struct B;\nuse super::c::C;"),
            (
                "src/a/c.rs",
                "pub struct C;\n\n#[cfg(test)]\nmod tests { use crate::a::b::B; }"
            ),
        ]),
        [""; 0]
    );
}

#[test]
fn a_file_and_the_one_above_it_use_each_other() {
    let below = "use super::A;\npub fn g(a: A) {}";
    let found = inside(&[
        ("src/a.rs", "mod b;\npub struct A;\nfn f() { b::g(A) }"),
        ("src/a/b.rs", below),
    ]);
    assert_eq!(found.len(), 2, "{found:#?}");
    assert!(found[0].starts_with("src/a.rs:3: uses `b::g` of src/a/b.rs"));
    assert!(found[1].starts_with("src/a/b.rs:1: uses `super::A` of src/a.rs"));
    // Nothing but `mod`, or nothing but passed on.
    for above in [
        "mod b;",
        "mod b;\npub use self::b::g;",
        "pub mod b;\nuse self::b;",
    ] {
        let above = format!("{above}\npub struct A;");
        assert_eq!(
            inside(&[("src/a.rs", &above), ("src/a/b.rs", below)]),
            [""; 0]
        );
    }
    // Passed on and used.
    let above = "mod b;\npub use self::b::g;\npub struct A;\nfn f() { g(A) }";
    assert_eq!(
        inside(&[("src/a.rs", above), ("src/a/b.rs", below)]).len(),
        2
    );
}

#[test]
fn what_is_passed_on_is_where_it_is_defined() {
    let above = "mod b;\nmod c;\npub use self::{b::*, c::C as Other};\npub use d::D;\nmod d;";
    let c = "use super::B;\npub struct C;";
    assert_eq!(
        inside(&[
            ("src/a.rs", above),
            ("src/a/b.rs", "pub struct B;"),
            ("src/a/c.rs", c),
            ("src/a/d.rs", "use super::{B, Other};\npub struct D;"),
        ]),
        [""; 0]
    );
    let found = inside(&[
        ("src/a.rs", above),
        ("src/a/b.rs", "use super::D;\npub struct B;"),
        ("src/a/c.rs", c),
        ("src/a/d.rs", "use super::Other;\npub struct D;"),
    ]);
    let arrows: Vec<_> = found
        .iter()
        .map(|offence| offence.split(", from").next().unwrap())
        .collect();
    assert_eq!(
        arrows,
        [
            "src/a/b.rs:1: uses `super::D` of src/a/d.rs",
            "src/a/c.rs:1: uses `super::B` of src/a/b.rs",
            "src/a/d.rs:1: uses `super::Other` of src/a/c.rs",
        ]
    );
}

#[test]
fn names_that_lead_to_each_other_end() {
    assert_eq!(
        inside(&[
            (
                "src/a.rs",
                "use serde::{self, Serialize};\nmod b;\npub use b::*;\nfn f() { serde::g(); B::new() }"
            ),
            (
                "src/a/b.rs",
                "pub use super::*;\npub use super::C;\npub use self::C as D;"
            ),
        ]),
        [""; 0]
    );
}

/// A type, its methods in a file below, and its builder.
const HOME: &str = "mod part;\nmod builder;\npub struct T;\nimpl T {\n    fn f() { part::g(); builder::Builder::new(); }\n}";
const PART: &str = "use super::T;\npub fn g() {}\nimpl T {\n    fn h(&self) {}\n}";
const BUILDER: &str = "use super::T;\npub struct Builder;\nimpl Builder {\n    pub fn new() -> Self { Self }\n    pub fn build(self) -> Result<T, Error> { T }\n}";

#[test]
fn parts_of_one_type_may_use_each_other() {
    assert_eq!(
        inside(&[
            ("src/a.rs", HOME),
            ("src/a/part.rs", PART),
            ("src/a/builder.rs", BUILDER),
        ]),
        [""; 0]
    );
    // Two parts of it that have no arrow of their own, and one that two types share.
    let both =
        "use super::{T, builder};\npub fn g() { builder::f() }\nimpl T {\n    fn h(&self) {}\n}";
    let builder = format!("{BUILDER}\npub fn f() {{ super::part::g() }}");
    assert_eq!(
        inside(&[
            ("src/a.rs", HOME),
            ("src/a/part.rs", both),
            ("src/a/builder.rs", &builder),
        ]),
        [""; 0]
    );
    let home = "mod b;\nmod c;\npub struct B;\npub struct C;\nfn f() { b::f(); c::f() }";
    assert_eq!(
        inside(&[
            ("src/a.rs", home),
            (
                "src/a/b.rs",
                "pub fn f() {}\nimpl super::B {\n    fn g() {}\n}"
            ),
            (
                "src/a/c.rs",
                "pub fn f() {}\nimpl super::C {\n    fn g() {}\n}"
            ),
        ]),
        [""; 0]
    );
}

#[test]
fn parts_of_different_types_make_a_circle() {
    // a.rs and b.rs are parts of T, b.rs and c.rs of U, c.rs and a.rs of V.
    let home = "mod b;\npub struct T;\npub struct V;\nfn f() { b::f() }";
    let b = "pub mod c;\npub struct U;\npub fn f() { c::f() }\nimpl super::T {\n    fn t() {}\n}";
    let c = "pub fn f(v: crate::a::V) {}\nimpl super::U {\n    fn u() {}\n}\nimpl crate::a::V {\n    fn v() {}\n}";
    let found = inside(&[("src/a.rs", home), ("src/a/b.rs", b), ("src/a/b/c.rs", c)]);
    let places: Vec<_> = found
        .iter()
        .map(|offence| offence.split(": ").next().unwrap())
        .collect();
    assert_eq!(places, ["src/a.rs:4", "src/a/b.rs:3", "src/a/b/c.rs:1"]);
    assert!(
        found[1].contains("(src/a/b/c.rs → src/a.rs → src/a/b.rs)"),
        "{found:#?}"
    );
    // The same three files are parts of one type.
    let c = c.replace("impl super::U", "impl crate::a::T");
    assert_eq!(
        inside(&[("src/a.rs", home), ("src/a/b.rs", b), ("src/a/b/c.rs", &c)]),
        [""; 0]
    );
}

#[test]
fn what_is_implemented_of_a_trait_makes_no_part() {
    let files = |b: &str, c: &str| {
        inside(&[
            ("src/a.rs", "mod b;\nmod c;\npub struct Marker;"),
            (
                "src/a/b.rs",
                &format!("use super::c::C;\npub struct B;\n{b}"),
            ),
            (
                "src/a/c.rs",
                &format!("use super::b::B;\npub struct C;\n{c}"),
            ),
        ])
    };
    let method = "impl super::Marker {\n    fn f() {}\n}";
    for (b, c) in [
        (
            "impl Drop for super::Marker {\n    fn drop(&mut self) {}\n}",
            "impl Clone for super::Marker {\n    fn clone(&self) -> Self { Self }\n}",
        ),
        (
            method,
            "impl Drop for super::Marker {\n    fn drop(&mut self) {}\n}",
        ),
        (method, "impl super::Marker {}"),
        (
            method,
            "macro_rules! m {\n    () => {\n        impl super::Marker { fn g() {} }\n    };\n}",
        ),
    ] {
        assert_eq!(files(b, c).len(), 2, "{c}");
    }
    assert_eq!(files(method, method), [""; 0]);
}

#[test]
fn a_file_that_is_no_part_of_the_type_makes_a_circle() {
    // It takes the type, and neither implements nor builds it.
    let user = "use super::T;\npub fn g(t: T) {}";
    // It lends what it is made of, and so does not build it.
    let lender = "use super::T;\npub struct Builder;\nimpl Builder {\n    pub fn new() -> Self { Self }\n    fn build(&self) -> T { T }\n}";
    // It shows the type, and has no method of it.
    let shower = "use super::T;\npub fn g() {}\nimpl fmt::Display for T {}";
    for (part, builder) in [(user, BUILDER), (shower, BUILDER), (PART, lender)] {
        let found = inside(&[
            ("src/a.rs", HOME),
            ("src/a/part.rs", part),
            ("src/a/builder.rs", builder),
        ]);
        assert_eq!(found.len(), 2, "{found:#?}");
    }
    // It implements a type that is defined beside it, not above it.
    let found = inside(&[
        ("src/a.rs", "mod b;\nmod c;"),
        ("src/a/b.rs", "pub struct T;\nfn f() { super::c::g() }"),
        (
            "src/a/c.rs",
            "use super::b::T;\npub fn g() {}\nimpl T {\n    fn h(&self) {}\n}",
        ),
    ]);
    assert_eq!(found.len(), 2, "{found:#?}");
    // A longer circle runs through what is no part.
    let found = inside(&[
        ("src/a.rs", HOME),
        (
            "src/a/part.rs",
            "use super::builder::x::X;\npub fn g() {}\nimpl super::T {\n    fn h(&self) {}\n}",
        ),
        ("src/a/builder.rs", &format!("pub mod x;\n{BUILDER}")),
        ("src/a/builder/x.rs", "pub struct X(crate::a::T);"),
    ]);
    let arrows: Vec<_> = found
        .iter()
        .map(|offence| offence.split(", from").next().unwrap())
        .collect();
    assert_eq!(
        arrows,
        [
            "src/a.rs:5: uses `part::g` of src/a/part.rs",
            "src/a/builder/x.rs:1: uses `crate::a::T` of src/a.rs",
            "src/a/part.rs:1: uses `super::builder::x::X` of src/a/builder/x.rs",
        ]
    );
}

#[test]
fn two_folders_use_each_other() {
    let files = |inner: &str| {
        inside(&[
            ("src/a.rs", "mod b;\nmod c;"),
            ("src/a/b/mod.rs", "mod inner;\npub struct B;"),
            ("src/a/b/inner.rs", inner),
            ("src/a/c/mod.rs", "mod inner;\npub struct C;"),
            ("src/a/c/inner.rs", "use crate::a::b::B;"),
        ])
    };
    assert_eq!(
        files("use super::super::c::C;"),
        [
            "src/a/b/inner.rs:1: a::b uses a::c (`super::super::c::C`), from where arrows lead back (a::c → a::b): \
             no circle between folders",
            "src/a/c/inner.rs:1: a::c uses a::b (`crate::a::b::B`), from where arrows lead back (a::b → a::c): \
             no circle between folders",
        ]
    );
    assert_eq!(files("use super::B;"), [""; 0]);
}

#[test]
fn a_folder_with_nothing_but_tests_is_none() {
    let files = |attribute: &str| {
        inside(&[
            (
                "src/a.rs",
                "mod b;\nmod c;\npub struct T;\nimpl T {\n    fn f() {}\n}",
            ),
            (
                "src/a/b.rs",
                &format!(
                    "{attribute}\nmod tests;\nuse super::c::C;\npub struct B;\nimpl super::T {{\n    fn g() {{}}\n}}"
                ),
            ),
            ("src/a/b/tests.rs", ""),
            (
                "src/a/c.rs",
                "use super::b::B;\npub struct C;\nimpl super::T {\n    fn h() {}\n}",
            ),
        ])
    };
    assert_eq!(files("#[cfg(test)]"), [""; 0]);
    assert_eq!(files("").len(), 2);
}
