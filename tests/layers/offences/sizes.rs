//! Long files, and types that are everywhere.

use super::{found, mods, one_layer};

fn spread(over: &[(&str, &str)]) -> Vec<String> {
    let lib = one_layer();
    let modules: Vec<_> = over.iter().map(|(name, _)| *name).collect();
    let mods = mods(&modules);
    let home = format!("{mods}pub struct T<A>(A);\nimpl<A> T<A> {{\n    fn f() {{}}\n}}");
    let names: Vec<_> = over
        .iter()
        .map(|(name, _)| format!("src/a/{name}.rs"))
        .collect();
    let mut files = vec![("src/lib.rs", lib.as_str()), ("src/a.rs", &home)];
    let parts = names
        .iter()
        .map(String::as_str)
        .zip(over.iter().map(|(_, text)| *text));
    files.extend(parts);
    found(&files)
}

const METHOD: &str = "impl super::T<u8> {\n    fn f() {}\n}";

#[test]
fn a_type_has_methods_in_four_files() {
    assert_eq!(
        spread(&[
            ("b", METHOD),
            (
                "c",
                "use super::T as Other;\nimpl<A> Other<A> {\n    fn f() {}\n}"
            ),
            ("d", "use crate::a::*;\nimpl T<u8> {\n    fn f() {}\n}"),
        ]),
        [
            "src/a.rs:4: T has methods in 4 files, 3 at most: src/a.rs, src/a/b.rs, src/a/c.rs, src/a/d.rs"
        ]
    );
}

#[test]
fn a_type_has_methods_in_three_files_and_other_things_in_more() {
    let three = [("b", METHOD), ("c", METHOD)];
    let others = [
        "impl Trait for super::T<u8> {\n    fn f() {}\n}",
        "impl Drop for super::T<u8> {\n    fn drop(&mut self) {}\n}",
        "#[cfg(test)]\nimpl super::T<u8> {\n    fn f() {}\n}",
        "#[cfg(test)]\nmod tests {\n    impl crate::a::T<u8> {\n        fn f() {}\n    }\n}",
        "impl super::T<u8> {\n    #[cfg(test)]\n    fn f() {}\n}",
        "impl super::T<u8> {\n    const A: u8 = 1;\n}",
        "struct T;\nimpl T {\n    fn f() {}\n}",
        "// impl super::T<u8> {\n//     fn f() {}\n// }",
    ];
    for other in others {
        let found = spread(&[three[0], three[1], ("d", other)]);
        assert_eq!(found, [""; 0], "{other}");
    }
}

#[test]
fn methods_are_counted_however_the_block_is_written() {
    let fourth = [
        "type J = super::T<u8>;\nimpl J {\n    fn f() {}\n}",
        "type J = K;\ntype K = crate::a::T<u8>;\nimpl J {\n    fn f() {}\n}",
        "mod m {\n    pub type J = super::super::T<u8>;\n}\nuse m::J as K;\nimpl K {\n    fn f() {}\n}",
        "type Same<A> = A;\nimpl Same<super::T<u8>> {\n    fn f() {}\n}",
        "type Same<B, A> = A;\nimpl Same<u8, super::T<u8>> {\n    fn f() {}\n}",
        "fn f() {\n    type J = super::T<u8>;\n    impl J {\n        fn f() {}\n    }\n}",
        "fn f() {\n    impl super::T<u8> {\n        fn f() {}\n    }\n}",
        "impl super::T<u8> {\n    methods!();\n}",
        "macro_rules! m {\n    () => {\n        impl $crate::a::T<u8> {\n            fn f() {}\n        }\n    };\n}",
        "macro_rules! m {\n    ($name:ident) => {\n        impl super::T<u8> { $(pub fn $name() {})* }\n    };\n}",
        "m! { impl super::T<u8> { fn f() {} } }",
        "m! { u8, unsafe impl<A> crate::a::T<A> where A: Copy { fn f() {} } }",
        "m! { use super::T as J; impl J<u8> { fn f() {} } }",
        "m! { impl J { fn f() {} } type J = super::T<u8>; }",
        "fn f() { m!(impl super::T<u8> { async fn f() {} }) }",
        "#[made(impl super::T<u8> { fn f() {} })]\nstruct S;",
    ];
    for fourth in fourth {
        let found = spread(&[("b", METHOD), ("c", METHOD), ("d", fourth)]);
        assert_eq!(
            found,
            [
                "src/a.rs:4: T has methods in 4 files, 3 at most: src/a.rs, src/a/b.rs, src/a/c.rs, src/a/d.rs"
            ],
            "{fourth}"
        );
    }
}

#[test]
fn a_block_of_methods_whose_type_is_not_known_cannot_be_read() {
    for block in [
        "impl m!() {\n    fn f() {}\n}",
        "impl <u8 as Trait>::Of {\n    fn f() {}\n}",
        "macro_rules! m {\n    ($t:ty) => { impl $t { fn f() {} } };\n}",
        "macro_rules! m {\n    ($($g:ident)*) => { impl<$($g)*> super::T<$($g)*> { fn f() {} } };\n}",
    ] {
        let found = spread(&[("b", block)]);
        assert_eq!(found.len(), 1, "{block}: {found:#?}");
        let what = "the type of this `impl` cannot be read, and so is forbidden";
        assert!(found[0].ends_with(what), "{block}: {found:#?}");
    }
}

#[test]
fn no_block_of_methods_is_seen_where_none_is() {
    for other in [
        "macro_rules! m {\n    ($t:ty) => { impl Trait for $t { fn f() {} } };\n}",
        "macro_rules! m {\n    ($($t:ty)*) => { $(impl<A> Trait<$($t),*> for super::T<$t> { fn f() {} })* };\n}",
        "macro_rules! m {\n    ($name:ident) => { struct $name; impl $name { fn f() {} } };\n}",
        "m! { enum E { A } impl E { fn f() {} } }",
        "m! { fn f(a: impl Trait) -> impl super::T { fn g() {} } }",
        "m! { impl super::T<u8> { const A: fn() = g; } }",
        "m! { impl Trait for super::T<u8> { fn f() {} } }",
        "fn f() {\n    struct S;\n    type J = S;\n    impl J {\n        fn f() {}\n    }\n}",
        "type J = super::T<u8>;\nimpl Trait for J {\n    fn f() {}\n}",
        "type J = Box<super::T<u8>>;\nimpl Trait for J {\n    fn f() {}\n}",
        "trait Tr {}\nimpl dyn Tr {\n    fn f() {}\n}",
        "#[cfg(test)]\nm! { impl super::T<u8> { fn f() {} } }",
    ] {
        let found = spread(&[("b", METHOD), ("c", METHOD), ("d", other)]);
        assert_eq!(found, [""; 0], "{other}");
    }
}

#[test]
fn a_file_is_long_without_its_tests() {
    let lines = |code: usize, tests: usize| {
        let tests = "    fn f() {}\n".repeat(tests);
        let code = "fn f() {}\n".repeat(code);
        let text = format!("{code}#[cfg(test)]\nmod tests {{\n{tests}}}\n");
        found(&[("src/lib.rs", &one_layer()), ("src/a.rs", &text)])
    };
    assert_eq!(lines(400, 300), [""; 0]);
    assert_eq!(
        lines(401, 0),
        ["src/a.rs:401: has 401 lines without its tests: 400 at most"]
    );
}

#[test]
fn a_file_for_tests_may_be_long() {
    let long = "fn f() {}\n".repeat(500);
    let files = |attribute: &str| {
        found(&[
            ("src/lib.rs", &one_layer()),
            ("src/a.rs", &format!("{attribute}\nmod tests;\n")),
            ("src/a/tests.rs", &long),
        ])
    };
    assert_eq!(files("#[cfg(test)]"), [""; 0]);
    assert_eq!(files("").len(), 1);
}

#[test]
fn main_rs_may_not_be_long_either() {
    let main = "fn f() {}\n".repeat(401);
    let found = found(&[
        ("src/lib.rs", &one_layer()),
        ("src/a.rs", ""),
        ("src/main.rs", &main),
    ]);
    assert_eq!(found.len(), 1, "{found:#?}");
}
