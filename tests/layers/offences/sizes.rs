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
