//! Circles of files, and of modules side by side.

use std::collections::{BTreeMap, BTreeSet, VecDeque};

use crate::{
    Offence,
    arrows::{Arrow, Code, Type},
    names::Target,
    tree::{ROOT, Tree},
};

/// What each one uses.
type Graph<T> = BTreeMap<T, BTreeSet<T>>;

/// The files of each type that are parts of it: the file that defines it, and those files of modules under it that
/// implement something for it or build it.
fn parts<'a>(tree: &'a Tree, code: &Code) -> BTreeMap<Type, BTreeSet<&'a str>> {
    let mut parts: BTreeMap<Type, BTreeSet<&str>> = BTreeMap::new();
    for block in &code.impls {
        for of in block.builds.iter().chain([&block.of]) {
            if tree.around(block.at).any(|outer| outer == of.0) {
                let home = tree.modules[of.0].file.as_str();
                let files = parts.entry(of.clone()).or_default();
                files.extend([home, tree.modules[block.at].file.as_str()]);
            }
        }
    }
    parts
}

/// The arrows of circles of files. A circle is none if each of its arrows joins two parts of one type.
pub(crate) fn of_files(tree: &Tree, code: &Code, offences: &mut Vec<Offence>) {
    let arrows = code.between_files(tree);
    let parts = parts(tree, code);
    let graph = graph(arrows.keys().copied());
    for ((from, to), arrow) in arrows {
        let of_one_type = parts
            .values()
            .any(|files| files.contains(from) && files.contains(to));
        let Some(back) = way(&graph, to, from).filter(|_| !of_one_type) else {
            continue;
        };
        let what = format!(
            "uses `{}` of {to}, from where arrows lead back ({}): no circle between files, unless they are parts of one type",
            arrow.written,
            back.join(" → "),
        );
        offences.push(Offence::new(from, arrow.line, what));
    }
}

/// The arrows of circles of modules side by side of which at least one is a folder. Those at the top are the layers'.
pub(crate) fn of_folders(tree: &Tree, code: &Code, offences: &mut Vec<Offence>) {
    let arrows: Vec<_> = code
        .arrows
        .iter()
        .filter_map(|arrow| Some((side_by_side(tree, arrow)?, arrow)))
        .collect();
    let graph = graph(arrows.iter().map(|(pair, _)| *pair));
    let mut seen = BTreeSet::new();
    for ((from, to), arrow) in arrows {
        let Some(back) = way(&graph, to, from) else {
            continue;
        };
        let file = &tree.modules[arrow.from].file;
        let folders = back.iter().any(|module| tree.is_folder(*module));
        if !folders || !seen.insert((file, from, to)) {
            continue;
        }
        let name = |module: &usize| tree.modules[*module].path.join("::");
        let back: Vec<_> = back.iter().map(name).collect();
        let what = format!(
            "{} uses {} (`{}`), from where arrows lead back ({}): no circle between folders",
            name(&from),
            name(&to),
            arrow.written,
            back.join(" → "),
        );
        offences.push(Offence::new(file, arrow.line, what));
    }
}

/// The modules side by side, below the top, under which both ends of an arrow are.
fn side_by_side(tree: &Tree, arrow: &Arrow) -> Option<(usize, usize)> {
    let Target::Item(to, _) = arrow.found.to else {
        return None;
    };
    let from: Vec<_> = tree.around(arrow.from).collect();
    let to: Vec<_> = tree.around(to).collect();
    let mut pairs = from.iter().rev().zip(to.iter().rev());
    let (from, to) = pairs.find(|(from, to)| from != to)?;
    (tree.modules[*from].parent != Some(ROOT)).then_some((*from, *to))
}

fn graph<T: Ord>(arrows: impl Iterator<Item = (T, T)>) -> Graph<T> {
    let mut graph = Graph::new();
    for (from, to) in arrows {
        graph.entry(from).or_default().insert(to);
    }
    graph
}

/// The shortest way along arrows.
fn way<T: Ord + Copy>(graph: &Graph<T>, from: T, to: T) -> Option<Vec<T>> {
    let mut came: BTreeMap<T, T> = BTreeMap::new();
    let mut next = VecDeque::from([from]);
    while let Some(here) = next.pop_front() {
        if here == to {
            let mut way = vec![here];
            while let Some(&before) = way.last().and_then(|last| came.get(last)) {
                way.push(before);
            }
            way.reverse();
            return Some(way);
        }
        for &there in graph.get(&here).into_iter().flatten() {
            if there != from && !came.contains_key(&there) {
                came.insert(there, here);
                next.push_back(there);
            }
        }
    }
    None
}
