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

/// The files of each type that are parts of it: the file that defines it, and those files of modules under it that have
/// methods of it or build it. What a file implements of a trait makes it no part: every file can do that for any type.
fn parts<'a>(tree: &'a Tree, code: &Code) -> BTreeMap<Type, BTreeSet<&'a str>> {
    let mut parts: BTreeMap<Type, BTreeSet<&str>> = BTreeMap::new();
    for block in code.impls.iter().filter(|block| block.methods) {
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

/// The arrows of circles of files. A circle is none if one type has all its files as parts.
pub(crate) fn of_files(tree: &Tree, code: &Code, offences: &mut Vec<Offence>) {
    let arrows = code.between_files(tree);
    let parts = parts(tree, code);
    let graph = graph(arrows.keys().copied());
    let of_one_type = |files: &[&str]| {
        parts
            .values()
            .any(|parts| files.iter().all(|file| parts.contains(file)))
    };
    for ((from, to), arrow) in arrows {
        // Most often the shortest way back shows the offence. Where it does not, a longer one may.
        let Some(back) = way(&graph, to, from).and_then(|back| {
            if of_one_type(&back) {
                other_way(&graph, to, from, &of_one_type)
            } else {
                Some(back)
            }
        }) else {
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

/// A way along arrows that does not please, through no place twice.
fn other_way<T: Ord + Copy>(
    graph: &Graph<T>,
    from: T,
    to: T,
    pleases: &impl Fn(&[T]) -> bool,
) -> Option<Vec<T>> {
    fn walk<T: Ord + Copy>(
        graph: &Graph<T>,
        back: &BTreeSet<T>,
        way: &mut Vec<T>,
        to: T,
        pleases: &impl Fn(&[T]) -> bool,
    ) -> bool {
        let Some(&here) = way.last() else {
            return false;
        };
        if here == to {
            return !pleases(way);
        }
        for &there in graph.get(&here).into_iter().flatten() {
            if back.contains(&there) && !way.contains(&there) {
                way.push(there);
                if walk(graph, back, way, to, pleases) {
                    return true;
                }
                way.pop();
            }
        }
        false
    }
    // Only what leads on to the end, and is led to from the beginning.
    let places = graph.keys().copied();
    let back: BTreeSet<T> = places
        .filter(|&place| way(graph, from, place).is_some() && way(graph, place, to).is_some())
        .collect();
    // What pleases as a whole pleases in each part of it.
    let all: Vec<T> = back.iter().copied().collect();
    let mut found = vec![from];
    (!pleases(&all) && walk(graph, &back, &mut found, to, pleases)).then_some(found)
}
