//! What a name means where it stands: the module or item that a path leads to, through every `use` in between.

use std::collections::BTreeMap;

use syn::{Item, ItemType, ItemUse, UseTree};

use crate::tree::{ROOT, Tree};

/// The segments of a path. The first is empty where the path begins with `::`.
pub(crate) type Path = Vec<String>;

/// The names of one module, or of one block.
#[derive(Default)]
pub(crate) struct Names {
    /// With the line of each.
    pub(crate) defined: BTreeMap<String, usize>,
    /// More than one where a `use` brings in a module and another a function of the same name.
    brought_in: BTreeMap<String, Vec<Path>>,
    globs: Vec<Path>,
    /// Other names of types: `type A = B`.
    pub(crate) aliases: BTreeMap<String, ItemType>,
}

/// One path of a `use`.
pub(crate) struct Used {
    pub(crate) path: Path,
    /// What it is called here; none for `*` and `_`.
    name: Option<String>,
    pub(crate) glob: bool,
    pub(crate) line: usize,
}

/// Where a path leads.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Target {
    Module(usize),
    /// What a module defines itself, or makes by a macro.
    Item(usize, String),
    /// Another crate's, or what has no path at all: a variable, a parameter, the prelude.
    Outside(Path),
    /// What the block defines in which the path stands, or `Self`.
    Here,
}

/// What is known of a path.
#[derive(Clone, Debug)]
pub(crate) struct Found {
    pub(crate) to: Target,
    /// The last module that the path itself names, before any `use` leads elsewhere.
    pub(crate) named: Option<usize>,
    /// How many segments a `use` gives for the first one; zero if the first is not brought in.
    pub(crate) brought_in: usize,
}

/// Names that are being looked up: where (a module, and the depth of a block), and the name. Ends `use a::{self}`.
type Seen = Vec<(usize, usize, String)>;

impl Names {
    /// Takes in what an item defines or brings in.
    pub(crate) fn take(&mut self, item: &Item) {
        let defined = match item {
            Item::Const(item) => &item.ident,
            Item::Enum(item) => &item.ident,
            Item::Fn(item) => &item.sig.ident,
            Item::Static(item) => &item.ident,
            Item::Struct(item) => &item.ident,
            Item::Trait(item) => &item.ident,
            Item::TraitAlias(item) => &item.ident,
            Item::Type(item) => {
                self.aliases.insert(item.ident.to_string(), item.clone());
                &item.ident
            }
            Item::Union(item) => &item.ident,
            Item::Macro(item) => match &item.ident {
                Some(name) => name,
                None => return,
            },
            Item::ExternCrate(item) => {
                let name = item.rename.as_ref().map_or(&item.ident, |(_, name)| name);
                let path = match item.ident.to_string() {
                    own if own == "self" => vec!["crate".to_owned()],
                    other => vec![String::new(), other],
                };
                return self.bring_in(name.to_string(), path);
            }
            Item::Use(item) => {
                return used(item)
                    .into_iter()
                    .for_each(|used| match (used.name, used.glob) {
                        (Some(name), _) => self.bring_in(name, used.path),
                        (None, true) => self.globs.push(used.path),
                        (None, false) => {}
                    });
            }
            _ => return,
        };
        let line = defined.span().start().line;
        self.defined.insert(defined.to_string(), line);
    }

    pub(crate) fn bring_in(&mut self, name: String, path: Path) {
        self.brought_in.entry(name).or_default().push(path);
    }

    fn has(&self, name: &str) -> bool {
        self.defined.contains_key(name) || self.brought_in.contains_key(name)
    }
}

/// The segments of a path in the code.
pub(crate) fn segments(path: &syn::Path) -> Path {
    let global = path.leading_colon.iter().map(|_| String::new());
    let names = path
        .segments
        .iter()
        .map(|segment| segment.ident.to_string());
    global.chain(names).collect()
}

/// The paths of a `use`, one for each name.
pub(crate) fn used(item: &ItemUse) -> Vec<Used> {
    fn walk(tree: &UseTree, before: &Path, found: &mut Vec<Used>) {
        let then = |name: &str| {
            let mut path = before.clone();
            // `a::{self}` is `a`.
            if name != "self" || path.is_empty() {
                path.push(name.to_owned());
            }
            path
        };
        match tree {
            UseTree::Path(tree) => walk(&tree.tree, &then(&tree.ident.to_string()), found),
            UseTree::Group(group) => {
                for tree in &group.items {
                    walk(tree, before, found);
                }
            }
            UseTree::Name(tree) => {
                let path = then(&tree.ident.to_string());
                found.push(Used {
                    name: path.last().cloned(),
                    path,
                    glob: false,
                    line: tree.ident.span().start().line,
                });
            }
            UseTree::Rename(tree) => found.push(Used {
                path: then(&tree.ident.to_string()),
                name: Some(tree.rename.to_string()).filter(|name| name != "_"),
                glob: false,
                line: tree.ident.span().start().line,
            }),
            UseTree::Glob(tree) => found.push(Used {
                path: before.clone(),
                name: None,
                glob: true,
                line: tree.star_token.spans[0].start().line,
            }),
        }
    }
    let mut found = Vec::new();
    let before = item.leading_colon.iter().map(|_| String::new()).collect();
    walk(&item.tree, &before, &mut found);
    found
}

impl Tree {
    /// Where a path leads that stands in a module, inside of blocks with names of their own.
    pub(crate) fn find(&self, at: usize, blocks: &[Names], path: &[String]) -> Found {
        self.look(at, blocks, path, &mut Vec::new())
    }

    fn look(&self, at: usize, blocks: &[Names], path: &[String], seen: &mut Seen) -> Found {
        let Some((first, rest)) = path.split_first() else {
            return Found::to(Target::Here);
        };
        match first.as_str() {
            "" => return Found::to(Target::Outside(rest.to_vec())),
            "Self" => return Found::to(Target::Here),
            "crate" => return self.walk(ROOT, rest, seen),
            "self" | "super" => return self.walk(at, path, seen),
            _ => {}
        }
        for depth in (1..=blocks.len()).rev() {
            if blocks[depth - 1].defined.contains_key(first) {
                return Found::to(Target::Here);
            }
            if let Some(found) = self.bound(at, &blocks[..depth], path, seen) {
                return found;
            }
        }
        if self.modules[at].children.contains_key(first)
            || self.modules[at].names.defined.contains_key(first)
        {
            return self.walk(at, path, seen);
        }
        self.bound(at, &[], path, seen)
            .unwrap_or_else(|| Found::to(Target::Outside(path.to_vec())))
    }

    /// Where a path leads from a module.
    fn walk(&self, at: usize, path: &[String], seen: &mut Seen) -> Found {
        let module = &self.modules[at];
        let named = |to| Found {
            to,
            named: Some(at),
            brought_in: 0,
        };
        let Some((first, rest)) = path.split_first() else {
            return named(Target::Module(at));
        };
        match first.as_str() {
            "self" => return self.walk(at, rest, seen),
            "super" => {
                return module.parent.map_or_else(
                    || Found::to(Target::Here),
                    |parent| self.walk(parent, rest, seen),
                );
            }
            _ => {}
        }
        if let Some(&child) = module.children.get(first) {
            // A module and, say, a function may have one name.
            if !rest.is_empty() || !module.names.has(first) {
                return self.walk(child, rest, seen);
            }
        }
        if module.names.defined.contains_key(first) {
            return named(Target::Item(at, first.clone()));
        }
        match self.bound(at, &[], path, seen) {
            Some(found) => named(found.to),
            None => named(Target::Item(at, first.clone())),
        }
    }

    /// Where a path leads whose first name a `use` brought in: of the innermost of the blocks, or of the module.
    fn bound(
        &self,
        at: usize,
        blocks: &[Names],
        path: &[String],
        seen: &mut Seen,
    ) -> Option<Found> {
        let (first, rest) = path.split_first()?;
        let names = blocks.last().unwrap_or(&self.modules[at].names);
        let place = (at, blocks.len(), first.clone());
        if seen.contains(&place) {
            return None;
        }
        seen.push(place);
        let found = names
            .brought_in
            .get(first)
            .map(|uses| self.brought(at, blocks, uses, rest, seen))
            .or_else(|| {
                names
                    .globs
                    .iter()
                    .find_map(|glob| self.by_glob(at, blocks, glob, path, seen))
            });
        seen.pop();
        found
    }

    fn brought(
        &self,
        at: usize,
        blocks: &[Names],
        uses: &[Path],
        rest: &[String],
        seen: &mut Seen,
    ) -> Found {
        let is_module = |used: &&Path| {
            let found = self.look(at, blocks, used, &mut seen.clone());
            matches!(found.to, Target::Module(_)) != rest.is_empty()
        };
        let path = match uses {
            [one] => one,
            several => several.iter().find(is_module).unwrap_or(&several[0]),
        };
        let whole: Path = path.iter().chain(rest).cloned().collect();
        let mut found = self.look(at, blocks, &whole, seen);
        found.brought_in = path.iter().filter(|segment| !segment.is_empty()).count();
        found
    }

    fn by_glob(
        &self,
        at: usize,
        blocks: &[Names],
        glob: &Path,
        path: &[String],
        seen: &mut Seen,
    ) -> Option<Found> {
        let Target::Module(from) = self.look(at, blocks, glob, seen).to else {
            return None;
        };
        if !self.offers(from, &path[0], &mut Vec::new()) {
            return None;
        }
        let mut found = self.walk(from, path, seen);
        found.brought_in = 1;
        Some(found)
    }

    /// Whether a module has a name, its own or by a `use`.
    fn offers(&self, module: usize, name: &str, seen: &mut Vec<usize>) -> bool {
        if seen.contains(&module) {
            return false;
        }
        seen.push(module);
        let inside = &self.modules[module];
        inside.names.has(name)
            || inside.children.contains_key(name)
            || inside.names.globs.iter().any(|glob| {
                match self.look(module, &[], glob, &mut Vec::new()).to {
                    Target::Module(from) => self.offers(from, name, seen),
                    _ => false,
                }
            })
    }
}

impl Found {
    fn to(to: Target) -> Self {
        Self {
            to,
            named: None,
            brought_in: 0,
        }
    }
}
