//! The list itself.

use super::{found, lib};

fn list(layers: &[&str]) -> Vec<String> {
    let lib = lib(layers, &["a", "b"]);
    let test = "#[cfg(test)]\nmod testing;\n";
    found(&[
        ("src/lib.rs", &format!("{lib}{test}")),
        ("src/a.rs", "use crate::b::B;"),
        ("src/b.rs", ""),
        ("src/testing.rs", ""),
    ])
}

#[test]
fn the_list_is_read_as_people_read_it() {
    assert_eq!(list(&["a", "b"]), [""; 0]);
    assert_eq!(
        list(&[
            "a     the first one, which uses b",
            "      and more of it",
            "",
            "{b}   the other"
        ]),
        [""; 0]
    );
}

#[test]
fn the_list_names_all_modules_and_nothing_else() {
    assert_eq!(
        list(&["a"]),
        ["src/lib.rs:10: the list of layers does not name b"]
    );
    assert_eq!(
        list(&["a", "{b, gone}"]),
        ["src/lib.rs:7: the list of layers names gone, which is no module"]
    );
    assert_eq!(
        list(&["a", "b", "testing"]),
        ["src/lib.rs:8: the list of layers names testing, which is no module"]
    );
}

#[test]
fn a_list_that_cannot_be_read_is_an_offence() {
    assert_eq!(
        list(&["{a, b}", "b"]),
        ["src/lib.rs:7: the list of layers names b twice",]
    );
    assert_eq!(
        list(&["a", "b", "{c, d"]),
        ["src/lib.rs:8: a layer is a name or several as {a, b}, not \"{c, d\""]
    );
    let none = "src/lib.rs:1: there is no list of layers: it is a block of `text` under the heading `# Layers`";
    assert_eq!(found(&[("src/lib.rs", "//! The map.\n")]), [none]);
    let elsewhere =
        "//! # Layers\n//!\n//! None.\n//!\n//! # More\n//!\n//! ```text\n//! a\n//! ```\n";
    assert_eq!(found(&[("src/lib.rs", elsewhere)]), [none]);
}
