//! What cannot be read, and what is read though it looks like that.

use super::{found, lib};

/// What is said of code in `lib.rs`, in `main.rs` and in modules, without what is said of layers.
fn everywhere(code: &str) -> Vec<Vec<String>> {
    let files = |root: &str, main: &str, module: &str| {
        let lib = format!("{}{root}", lib(&["a", "judge"], &["a", "judge"]));
        let found = found(&[
            ("src/lib.rs", &lib),
            ("src/main.rs", main),
            ("src/judge.rs", "pub struct Judge;\n"),
            ("src/a.rs", module),
        ]);
        let others = found.into_iter();
        others
            .filter(|offence| !offence.contains("layers"))
            .collect()
    };
    vec![
        files(code, "", ""),
        files("", code, ""),
        files("", "", code),
        files("", "", &format!("mod inner {{\n{code}\n}}")),
    ]
}

#[test]
fn no_crate_gets_another_name() {
    for code in [
        "extern crate self as me;",
        "extern crate self as me;\npub use me::judge::Judge;",
        "pub extern crate std as other;",
        "#[cfg(unix)]\nextern crate alloc;",
        "fn f() {\n    extern crate self as me;\n}",
        "macro_rules! m {\n    () => {\n        extern crate self as me;\n    };\n}",
        "m! { extern crate alloc; }",
    ] {
        for found in everywhere(code) {
            assert_eq!(found.len(), 1, "{code}: {found:#?}");
            let what = ": `extern crate` gives a crate another name, and so is forbidden";
            assert!(found[0].ends_with(what), "{code}: {found:#?}");
        }
    }
}

#[test]
fn what_cannot_be_read_is_forbidden() {
    for (code, what) in [
        ("include!(\"x.inc\");", "`include!`"),
        ("std::include!(\"x.inc\");", "`include!`"),
        ("fn f() { include!(\"x.inc\") }", "`include!`"),
        ("fn f() { vec![include!(\"x.inc\")] }", "`include!`"),
        ("use std::include as other;", "`include!`"),
        ("#[macro_use]\nmod m {}", "`#[macro_use]`"),
        ("#[cfg_attr(all(), macro_use)]\nmod m {}", "`#[macro_use]`"),
        ("mod m {\n    #![macro_use]\n}", "`#[macro_use]`"),
        (
            "#[cfg_attr(all(), path = \"x.rs\")]\nmod m {}",
            "`#[cfg_attr(…, path = …)]`",
        ),
        ("fn f() {\n    mod m {}\n}", "a `mod` in a block"),
        ("const A: () = {\n    mod m {}\n};", "a `mod` in a block"),
        (
            "struct S;\nimpl S {\n    fn f() { mod m {} }\n}",
            "a `mod` in a block",
        ),
        ("m! { mod m {} }", "a `mod` in a macro"),
        (
            "macro_rules! m {\n    () => {\n        pub mod m;\n    };\n}",
            "a `mod` in a macro",
        ),
    ] {
        for found in everywhere(code) {
            assert_eq!(found.len(), 1, "{code}: {found:#?}");
            let what = format!(": {what} cannot be read, and so is forbidden");
            assert!(found[0].ends_with(&what), "{code}: {found:#?}");
        }
    }
}

#[test]
fn a_file_in_which_macros_are_for_all_is_found_by_its_own_attribute() {
    let lib = lib(&["a"], &["a"]);
    assert_eq!(
        found(&[("src/lib.rs", &lib), ("src/a.rs", "\n#![macro_use]")]),
        ["src/a.rs:2: `#[macro_use]` cannot be read, and so is forbidden"]
    );
}

#[test]
fn what_can_be_read_is_not_reported() {
    for code in [
        "#[cfg(test)]\nmod tests {\n    extern crate self as me;\n    include!(\"x.inc\");\n    fn f() { mod m {} }\n}",
        "#[cfg(test)]\n#[macro_use]\nmod tests {}",
        "fn f() {\n    #[cfg(test)]\n    mod m {}\n}",
        "#[cfg(test)]\nextern crate alloc;",
        "fn f() { include_str!(\"x\"); include_bytes!(\"x\"); include(1) }\nfn include(a: u8) {}",
        "extern \"C\" fn f() {}\nmod m {}\nfn g(modulo: u8) { h!(module) }",
        "#[cfg_attr(test, derive(Debug))]\nstruct S;",
        "// extern crate self as me;\n/// `include!` and `mod m` in words\nfn f() {}",
    ] {
        for found in everywhere(code) {
            assert_eq!(found, [""; 0], "{code}");
        }
    }
}
