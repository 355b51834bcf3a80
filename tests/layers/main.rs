//! Checks the arrows of `src` against the list of layers in `lib.rs`, and its sizes.
//!
//! # What is an arrow
//!
//! Every path in the code: in a `use` (grouped, nested, `as`, `*`, `pub use`), in an expression, a type, a pattern, a
//! derive or another attribute (`#[serde(with = "crate::a")]`), and in the tokens of a macro. It leads to the file that
//! defines what it names, through every `use` and `pub use` in between: a file that only passes a name on is not its
//! end. A `pub use` is itself an arrow, but between files it is none from a module to one under it: it says no more
//! than `mod`.
//!
//! No arrows are: what `#[cfg(test)]` keeps for tests, whatever its file is called; comments, documentation and
//! strings; `mod a;`; `pub(in crate::a)`; and a call of a method, whose type is not known here. For files and folders,
//! a module's name alone is none (`use super::a;`): what is named in it is (`a::B`).
//!
//! # The rules
//!
//! 1. Layers: a module of the crate's root uses only modules of layers below its own. `lib.rs` and `main.rs` stand on
//!    top. The list names all modules, and nothing else. A path that begins with what a `use` brought in is not counted
//!    again: the `use` is the arrow.
//! 2. Folders: the arrows between modules side by side, each with all that is under it, form no circle that a folder is
//!    in. A folder is a module with modules of its own.
//! 3. Files: the arrows between files form no circle, unless all files of the circle are parts of one type. The parts
//!    of a type are the file that defines it, and each file of a module under that one's which has methods of it or a
//!    builder of it: a type with a method that takes `self` and returns it, alone or inside of a `Result` or the like.
//!    What a file implements of a trait makes it no part.
//! 4. Types: no type has methods in more than three files, by whatever alias, and also where an `impl` stands among a
//!    macro's tokens. A trait's methods do not count.
//! 5. Sizes: a file has at most 400 lines without its tests.
//! 6. Purity: `model` names nothing but what is pure: no clock, environment, input and output, other machine, chance, or
//!    state that outlives a call. It neither brings in all of what has such a part (`use std::time::*`) nor gives that
//!    another name (`type T = jiff::Timestamp`).
//! 7. What cannot be read is forbidden: `extern crate`, `include!`, `#[macro_use]`, a `mod` in a block or in a macro, a
//!    `path` that depends on a `cfg_attr`, and an `impl` with methods of a type that is not known here.

mod arrows;
mod circles;
mod list;
mod names;
mod offences;
mod pure;
mod sizes;
mod tokens;
mod tree;
mod types;
mod unreadable;
mod without_tests;

use std::{collections::BTreeMap, fmt, fs, path::Path};

use crate::{arrows::Code, tree::Tree};

/// The text of each file of `src`, by its path from the crate's folder.
type Files = BTreeMap<String, String>;

/// What is wrong, and where.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
struct Offence {
    file: String,
    line: usize,
    what: String,
}

impl Offence {
    fn new(file: &str, line: usize, what: impl Into<String>) -> Self {
        Self {
            file: file.to_owned(),
            line,
            what: what.into(),
        }
    }
}

impl fmt::Display for Offence {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(formatter, "{}:{}: {}", self.file, self.line, self.what)
    }
}

/// All offences, in order.
fn check(files: &Files) -> Vec<Offence> {
    let mut tree = Tree::read(files);
    let mut code = Code::read(&tree);
    let mut found = std::mem::take(&mut tree.offences);
    found.append(&mut code.offences);
    unreadable::everywhere(&tree, &mut found);
    let layers = list::layers(&tree.page, &mut found);
    list::unlisted(&tree, &layers, &mut found);
    list::upwards(&tree, &code, &layers, &mut found);
    circles::of_folders(&tree, &code, &mut found);
    circles::of_files(&tree, &code, &mut found);
    sizes::of_types(&tree, &code, &mut found);
    sizes::of_files(&tree, &mut found);
    pure::of_the_core(&tree, &code, &mut found);
    found.sort();
    found.dedup();
    found
}

/// All Rust files of a folder.
fn read(folder: &Path, name: &str, files: &mut Files) {
    for entry in fs::read_dir(folder).expect("src can be read") {
        let path = entry.expect("src can be read").path();
        let inner = path.file_name().and_then(|inner| inner.to_str());
        let name = format!("{name}/{}", inner.expect("names are UTF-8"));
        if path.is_dir() {
            read(&path, &name, files);
        } else if path.extension().is_some_and(|extension| extension == "rs") {
            let text = fs::read_to_string(&path).expect("src can be read");
            files.insert(name, text);
        }
    }
}

#[test]
fn src_keeps_the_rules() {
    let mut files = Files::new();
    let src = Path::new(env!("CARGO_MANIFEST_DIR")).join("src");
    read(&src, "src", &mut files);
    let found: Vec<_> = check(&files).iter().map(ToString::to_string).collect();
    assert!(
        found.is_empty(),
        "{} offences:\n{}",
        found.len(),
        found.join("\n")
    );
}
