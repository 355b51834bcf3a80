//! How long a file is, and over how many files the methods of a type are spread.

use std::collections::{BTreeMap, BTreeSet};

use crate::{
    Offence,
    arrows::{Code, Type},
    tree::Tree,
};

/// The most lines of a file without its tests.
const LINES: usize = 400;
/// The most files in which one type has methods.
const FILES: usize = 3;

pub(crate) fn of_files(tree: &Tree, offences: &mut Vec<Offence>) {
    for (file, lines) in &tree.lines {
        if let Some(lines) = lines.filter(|lines| *lines > LINES) {
            let what = format!("has {lines} lines without its tests: {LINES} at most");
            offences.push(Offence::new(file, lines, what));
        }
    }
}

pub(crate) fn of_types(tree: &Tree, code: &Code, offences: &mut Vec<Offence>) {
    let mut spread: BTreeMap<&Type, BTreeSet<&str>> = BTreeMap::new();
    let blocks = code.impls.iter().filter(|block| block.methods);
    let blocks = blocks.map(|block| (&block.of, block.at));
    let in_tokens = code.impls_in_tokens.iter().map(|(of, at)| (of, *at));
    for (of, at) in blocks.chain(in_tokens) {
        let files = spread.entry(of).or_default();
        files.insert(&tree.modules[at].file);
    }
    for ((module, name), files) in spread {
        if files.len() > FILES {
            let module = &tree.modules[*module];
            let line = module.names.defined.get(name).copied();
            let files: Vec<_> = files.into_iter().collect();
            let what = format!(
                "{name} has methods in {} files, {FILES} at most: {}",
                files.len(),
                files.join(", ")
            );
            offences.push(Offence::new(&module.file, line.unwrap_or(1), what));
        }
    }
}
