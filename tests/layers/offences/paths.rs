//! Every way to write an arrow, and what is none.

use super::{found, lib};

/// Code of `low` and `side` with an arrow to `high`: what it is, the code, and the lines of its arrows.
const ARROWS: &[(&str, &str, &[usize])] = &[
    ("a use", "use crate::high::A;", &[1]),
    ("a use of a module", "use crate::high;", &[1]),
    (
        "a grouped use",
        "use crate::{\n    base::B,\n    high::A,\n};",
        &[3],
    ),
    (
        "a nested use",
        "use crate::{\n    base::{B, c::C},\n    high::{\n        a::{A, D},\n    },\n};",
        &[4, 4],
    ),
    ("a use of self", "use crate::{high::{self}, base};", &[1]),
    ("a use as", "use crate::high::A as B;", &[1]),
    ("a use as nothing", "use crate::high::Trait as _;", &[1]),
    (
        "a use as, and what it brings in",
        "use crate::high as other;\nfn f() { other::g() }",
        &[1],
    ),
    ("a pub use", "pub use crate::high::A;", &[1]),
    ("a glob", "use crate::high::*;", &[1]),
    (
        "a use in a function",
        "fn f() {\n    use crate::high::A;\n    A::new();\n}",
        &[2],
    ),
    ("super", "use super::high::A;", &[1]),
    ("self and super", "use self::super::high::A;", &[1]),
    (
        "super twice",
        "mod inner {\n    use super::super::high::A;\n}",
        &[2],
    ),
    ("an expression", "fn f() {\n    crate::high::g();\n}", &[2]),
    ("a type", "struct S {\n    field: crate::high::A,\n}", &[2]),
    (
        "an argument of a type",
        "type T = Vec<Box<crate::high::A>>;",
        &[1],
    ),
    (
        "an argument of a function",
        "fn f() { g::<crate::high::A>() }",
        &[1],
    ),
    ("a trait", "impl crate::high::Trait for u8 {}", &[1]),
    ("a bound", "fn f(a: impl crate::high::Trait) {}", &[1]),
    (
        "a trait's type",
        "fn f() -> <u8 as crate::high::Trait>::Out { g() }",
        &[1],
    ),
    (
        "a pattern",
        "fn f(a: u8) {\n    match a {\n        crate::high::A => {}\n        _ => {}\n    }\n}",
        &[3],
    ),
    (
        "select!",
        "async fn f() {\n    tokio::select! {\n        () = crate::high::g() => {}\n    }\n}",
        &[3],
    ),
    (
        "a macro in a macro",
        "fn f() {\n    assert!(matches!(1, crate::high::A { .. }), \"{}\", 1);\n}",
        &[2],
    ),
    (
        "an argument of a type in a macro",
        "fn f() { vec![Vec::<crate::high::A>::new()] }",
        &[1],
    ),
    (
        "a range in a macro",
        "fn f() { vec![0..crate::high::A] }",
        &[1],
    ),
    (
        "super in a macro",
        "fn f() { format!(\"{}\", super::high::A) }",
        &[1],
    ),
    (
        "a use in a macro",
        "proptest! {\n    fn f() {\n        use crate::{base::B, high::A};\n    }\n}",
        &[3],
    ),
    (
        "a macro's definition",
        "macro_rules! m {\n    () => {\n        $crate::high::g()\n    };\n}",
        &[3],
    ),
    ("a macro's own path", "fn f() { crate::high::m!() }", &[1]),
    (
        "a string in an attribute",
        "struct S {\n    #[serde(with = \"crate::high::seconds\")]\n    field: u8,\n}",
        &[2],
    ),
    (
        "a path in an attribute",
        "#[derive(Debug, crate::high::A)]\nstruct S;",
        &[1],
    ),
    (
        "an attribute's own path",
        "#[crate::high::marked]\nfn f() {}",
        &[1],
    ),
    (
        "a value of an attribute",
        "#[command(version = crate::high::VERSION)]\nstruct S;",
        &[1],
    ),
    (
        "what is not for tests",
        "#[cfg(not(test))]\nuse crate::high::A;\n#[cfg(any(test, unix))]\nuse crate::high::B;",
        &[2, 4],
    ),
];

/// Code of `low` without an arrow to `high`.
const NONE: &[(&str, &str)] = &[
    ("a comment", "// crate::high::A\n/* crate::high::A */"),
    (
        "documentation",
        "/// [`crate::high::A`]\n#[doc = \"crate::high::A\"]\nfn f() {}",
    ),
    ("a string", "const A: &str = \"crate::high::A\";"),
    (
        "a string in a macro",
        "fn f() { format!(\"crate::high::A {}\", 1) }",
    ),
    (
        "a reason",
        "#[expect(unused, reason = \"crate::high::A\")]\nfn f() {}",
    ),
    ("who may see it", "pub(in crate::high) fn f() {}"),
    (
        "who may see it in a macro",
        "m! { pub(in crate::high) fn f() {} }",
    ),
    (
        "another crate",
        "use ::high::A;\nfn f() { high::B::new(); ::high::C::new() }",
    ),
    (
        "a variable",
        "fn f(high: High) { high.a; format!(\"{}\", high.a) }",
    ),
    ("a field in a macro", "fn f() { vec![a.high::<u8>()] }"),
    (
        "a module of its own",
        "mod high { pub fn g() {} }\nfn f() { high::g(); self::high::g() }",
    ),
    (
        "a lower layer",
        "use crate::base::{A, b::B};\nfn f() { select! { crate::base::g() => super::base::h() } }",
    ),
    (
        "a module for tests",
        "#[cfg(test)]\nmod tests {\n    use crate::high::A;\n}",
    ),
    ("a use for tests", "#[cfg(test)]\nuse crate::high::A;"),
    (
        "a function for tests",
        "#[cfg(all(test, unix))]\nfn f() { crate::high::g() }",
    ),
    (
        "a method for tests",
        "struct S;\nimpl S {\n    #[cfg(test)]\n    fn f() { crate::high::g() }\n}",
    ),
    (
        "a statement for tests",
        "fn f() {\n    #[cfg(test)]\n    crate::high::g();\n    #[cfg(test)]\n    let a = crate::high::A;\n}",
    ),
    (
        "a field for tests",
        "struct S {\n    #[cfg(test)]\n    a: crate::high::A,\n}\nfn f() -> S { S { #[cfg(test)] a: crate::high::A } }",
    ),
    (
        "an arm for tests",
        "fn f() { match 1 { #[cfg(test)] 2 => crate::high::g(), _ => {} } }",
    ),
];

fn layers(low: &str) -> Vec<String> {
    let lib = lib(&["high", "low", "base"], &["high", "low", "base"]);
    found(&[
        ("src/lib.rs", &lib),
        ("src/high.rs", ""),
        ("src/low.rs", low),
        ("src/base.rs", ""),
    ])
}

#[test]
fn arrows_are_seen_however_they_are_written() {
    for (what, code, lines) in ARROWS {
        let found = layers(code);
        assert_eq!(found.len(), lines.len(), "{what}: {found:#?}");
        for (offence, line) in found.iter().zip(*lines) {
            let begins = format!("src/low.rs:{line}: low uses high (`");
            assert!(offence.starts_with(&begins), "{what}: {offence}");
            assert!(
                offence.ends_with("which is above it: a layer uses only what is below it"),
                "{what}: {offence}"
            );
        }
    }
}

#[test]
fn the_same_arrows_are_right_from_above() {
    for (what, code, _) in ARROWS {
        let lib = lib(&["low", "high", "base"], &["high", "low", "base"]);
        let found = found(&[
            ("src/lib.rs", &lib),
            ("src/high.rs", ""),
            ("src/low.rs", code),
            ("src/base.rs", ""),
        ]);
        assert_eq!(found, [""; 0], "{what}");
    }
}

#[test]
fn what_is_no_arrow_is_not_reported() {
    for (what, code) in NONE {
        assert_eq!(layers(code), [""; 0], "{what}");
    }
}

#[test]
fn super_is_where_the_module_is_not_where_the_file_is() {
    let lib = lib(&["high", "low"], &["high", "low"]);
    let found = found(&[
        ("src/lib.rs", &lib),
        ("src/high.rs", ""),
        (
            "src/low/mod.rs",
            "mod plain;\nmod folder;\n#[path = \"elsewhere/odd.rs\"]\nmod moved;\nmod inline {\n    mod deep;\n}",
        ),
        (
            "src/low/plain.rs",
            "use super::super::high::A;\nuse super::high::A;",
        ),
        (
            "src/low/folder/mod.rs",
            "mod inner;\nuse super::super::high::A;",
        ),
        (
            "src/low/folder/inner.rs",
            "use super::super::super::high::A;",
        ),
        (
            "src/low/elsewhere/odd.rs",
            "mod beside;\nuse super::super::high::A;",
        ),
        (
            "src/low/elsewhere/beside.rs",
            "use super::super::super::high::A;",
        ),
        (
            "src/low/inline/deep.rs",
            "use super::super::super::high::A;",
        ),
    ]);
    let places: Vec<_> = found
        .iter()
        .map(|offence| offence.split(": ").next().unwrap())
        .collect();
    assert_eq!(
        places,
        [
            "src/low/elsewhere/beside.rs:1",
            "src/low/elsewhere/odd.rs:2",
            "src/low/folder/inner.rs:1",
            "src/low/folder/mod.rs:2",
            "src/low/inline/deep.rs:1",
            "src/low/plain.rs:1",
        ]
    );
}

#[test]
fn a_file_is_for_tests_by_its_attribute_not_by_its_name() {
    let lib = lib(&["high", "low"], &["high", "low"]);
    let files = |attribute: &str| {
        found(&[
            ("src/lib.rs", &lib),
            ("src/high.rs", ""),
            ("src/low.rs", &format!("{attribute}\nmod tests;")),
            ("src/low/tests.rs", "mod more;\nuse crate::high::A;"),
            ("src/low/tests/more.rs", "use crate::high::A;"),
        ])
    };
    assert_eq!(files("#[cfg(test)]"), [""; 0]);
    assert_eq!(files("").len(), 2);
}

#[test]
fn what_is_not_read_is_said() {
    let lib = lib(&["a"], &["a"]);
    let found = found(&[
        ("src/lib.rs", &lib),
        ("src/main.rs", "mod own;\nfn main() {}"),
        ("src/a.rs", "mod gone;\nmod broken;"),
        ("src/a/broken.rs", "fn f() {\n    let = 1;\n}"),
        ("src/own.rs", "use crate::a::A;"),
    ]);
    assert_eq!(found.len(), 3, "{found:#?}");
    assert!(found[0].starts_with("src/a/broken.rs:2: cannot be parsed: "));
    assert_eq!(
        found[1..],
        [
            "src/a/gone.rs:1: is not there",
            "src/own.rs:1: no `mod` of the library leads here, so its arrows are not checked",
        ]
    );
}
