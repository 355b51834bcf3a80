//! The modules of `src`, where each really stands, and what is defined and brought in there.

use std::{collections::BTreeMap, mem};

use syn::{Attribute, Item, ItemMod, spanned::Spanned as _};

use crate::{
    Files, Offence,
    names::Names,
    unreadable,
    without_tests::{Lines, is_test, without_tests},
};

/// The crate itself: `lib.rs`.
pub(crate) const ROOT: usize = 0;

/// One module. Inline modules have the file of the module around them.
pub(crate) struct Module {
    /// From the crate's root, which has none.
    pub(crate) path: Vec<String>,
    pub(crate) file: String,
    pub(crate) parent: Option<usize>,
    pub(crate) children: BTreeMap<String, usize>,
    /// Whether it is compiled for tests only. Nothing of it is an arrow.
    pub(crate) test: bool,
    /// The line of its `mod`.
    pub(crate) line: usize,
    pub(crate) names: Names,
    /// Its items, without its modules and without what is for tests only.
    pub(crate) items: Vec<Item>,
}

/// All modules that `lib.rs` leads to.
#[derive(Default)]
pub(crate) struct Tree {
    pub(crate) modules: Vec<Module>,
    /// How many lines each file has without its tests; none for a file that is for tests only.
    pub(crate) lines: BTreeMap<String, Option<usize>>,
    /// What stands before the items of `lib.rs`: its documentation.
    pub(crate) page: Vec<Attribute>,
    /// What could not be read.
    pub(crate) offences: Vec<Offence>,
}

/// Where the files of a module's children are.
#[derive(Clone)]
struct Place {
    file: String,
    /// Of `mod a;`.
    folder: String,
    /// Of `#[path = "…"] mod a;`.
    from: String,
}

impl Tree {
    /// Reads `src/lib.rs` and all that it leads to. `src/main.rs` is read for its size only: it stands on top.
    pub(crate) fn read(files: &Files) -> Self {
        let mut tree = Self::default();
        let root = Module {
            path: Vec::new(),
            file: "src/lib.rs".to_owned(),
            parent: None,
            children: BTreeMap::new(),
            test: false,
            line: 1,
            names: Names::default(),
            items: Vec::new(),
        };
        tree.modules.push(root);
        tree.read_file(files, ROOT, Place::of("src/lib.rs", "src"));
        if let Some(text) = files.get("src/main.rs")
            && let Some(mut main) = tree.parse("src/main.rs", text)
        {
            let mut tests = Lines::default();
            without_tests(&mut main.items, &mut tests);
            unreadable::in_attributes("src/main.rs", &main.attrs, &mut tree.offences);
            unreadable::in_items("src/main.rs", &main.items, &mut tree.offences);
            tree.count("src/main.rs", text, &tests);
        }
        for file in files.keys() {
            if !tree.lines.contains_key(file) {
                let what = "no `mod` of the library leads here, so its arrows are not checked";
                tree.offend(file, 1, what);
            }
        }
        tree
    }

    /// The module of the crate's root that a module is or is under; none for the root.
    pub(crate) fn top(&self, module: usize) -> Option<&str> {
        self.modules[module].path.first().map(String::as_str)
    }

    /// The module and all around it, from the inside.
    pub(crate) fn around(&self, module: usize) -> impl Iterator<Item = usize> {
        std::iter::successors(Some(module), |inner| self.modules[*inner].parent)
    }

    /// Whether it has modules of its own, not counting its tests.
    pub(crate) fn is_folder(&self, module: usize) -> bool {
        let mut children = self.modules[module].children.values();
        children.any(|child| !self.modules[*child].test)
    }

    fn offend(&mut self, file: &str, line: usize, what: impl Into<String>) {
        self.offences.push(Offence::new(file, line, what));
    }

    fn parse(&mut self, file: &str, text: &str) -> Option<syn::File> {
        match syn::parse_file(text) {
            Ok(parsed) => Some(parsed),
            Err(error) => {
                let line = error.span().start().line;
                self.lines.insert(file.to_owned(), None);
                self.offend(file, line, format!("cannot be parsed: {error}"));
                None
            }
        }
    }

    fn count(&mut self, file: &str, text: &str, tests: &Lines) {
        let lines = text.lines().count() - tests.count();
        self.lines.insert(file.to_owned(), Some(lines));
    }

    fn read_file(&mut self, files: &Files, module: usize, place: Place) {
        let Some(text) = files.get(&place.file) else {
            let (file, line) = (place.file.clone(), self.modules[module].line);
            return self.offend(&file, line, "is not there");
        };
        let Some(parsed) = self.parse(&place.file, text) else {
            return;
        };
        if !self.modules[module].test {
            unreadable::in_attributes(&place.file, &parsed.attrs, &mut self.offences);
        }
        if module == ROOT {
            self.page = parsed.attrs;
        }
        let mut tests = Lines::default();
        self.grow(files, module, parsed.items, &place, &mut tests);
        if self.modules[module].test {
            self.lines.insert(place.file, None);
        } else {
            self.count(&place.file, text, &tests);
        }
    }

    /// Takes in the items of a module, and its modules.
    fn grow(
        &mut self,
        files: &Files,
        module: usize,
        items: Vec<Item>,
        place: &Place,
        tests: &mut Lines,
    ) {
        let mut others = Vec::new();
        for item in items {
            match item {
                Item::Mod(child) => self.grow_child(files, module, child, place, tests),
                other => others.push(other),
            }
        }
        without_tests(&mut others, tests);
        for item in &others {
            self.modules[module].names.take(item);
            if let Item::Macro(exported) = item
                && let Some(name) = &exported.ident
                && has(&exported.attrs, "macro_export")
            {
                let mut path = vec!["crate".to_owned()];
                path.extend(self.modules[module].path.iter().cloned());
                path.push(name.to_string());
                self.modules[ROOT].names.bring_in(name.to_string(), path);
            }
        }
        self.modules[module].items = others;
    }

    fn grow_child(
        &mut self,
        files: &Files,
        parent: usize,
        mut child: ItemMod,
        place: &Place,
        tests: &mut Lines,
    ) {
        let name = child.ident.to_string();
        let name = name.trim_start_matches("r#").to_owned();
        let only_for_tests = is_test(&child.attrs);
        if only_for_tests {
            tests.add(child.span());
        }
        if !only_for_tests && !self.modules[parent].test {
            unreadable::in_attributes(&place.file, &child.attrs, &mut self.offences);
        }
        let mut path = self.modules[parent].path.clone();
        path.push(name.clone());
        let module = self.modules.len();
        self.modules.push(Module {
            path,
            file: place.file.clone(),
            parent: Some(parent),
            children: BTreeMap::new(),
            test: only_for_tests || self.modules[parent].test,
            line: child.ident.span().start().line,
            names: Names::default(),
            items: Vec::new(),
        });
        self.modules[parent].children.insert(name.clone(), module);
        let set = child.attrs.iter().find_map(path_set);
        if let Some((_, items)) = mem::take(&mut child.content) {
            let folder = join(&place.folder, set.as_deref().unwrap_or(&name));
            let place = Place {
                file: place.file.clone(),
                from: folder.clone(),
                folder,
            };
            // The lines of a test module are counted once.
            let mut inner = Lines::default();
            let counted = if only_for_tests { &mut inner } else { tests };
            return self.grow(files, module, items, &place, counted);
        }
        let place = if let Some(set) = set {
            let file = join(&place.from, &set);
            Place::of(&file, folder_of(&file))
        } else {
            let folder = join(&place.folder, &name);
            let inside = format!("{folder}/mod.rs");
            if files.contains_key(&inside) {
                Place::of(&inside, &folder)
            } else {
                Place::of(&format!("{folder}.rs"), &folder)
            }
        };
        self.modules[module].file.clone_from(&place.file);
        self.read_file(files, module, place);
    }
}

impl Place {
    fn of(file: &str, folder: &str) -> Self {
        Self {
            file: file.to_owned(),
            folder: folder.to_owned(),
            from: folder_of(file).to_owned(),
        }
    }
}

fn has(attributes: &[Attribute], name: &str) -> bool {
    attributes
        .iter()
        .any(|attribute| attribute.path().is_ident(name))
}

/// `a.rs` of `#[path = "a.rs"]`.
fn path_set(attribute: &Attribute) -> Option<String> {
    let set = attribute.meta.require_name_value().ok()?;
    let syn::Expr::Lit(literal) = &set.value else {
        return None;
    };
    match &literal.lit {
        syn::Lit::Str(text) if set.path.is_ident("path") => Some(text.value()),
        _ => None,
    }
}

fn folder_of(file: &str) -> &str {
    file.rsplit_once('/').map_or("", |(folder, _)| folder)
}

fn join(folder: &str, path: &str) -> String {
    let mut parts: Vec<&str> = folder.split('/').collect();
    for part in path.split('/') {
        match part {
            "." => {}
            ".." => {
                parts.pop();
            }
            part => parts.push(part),
        }
    }
    parts.join("/")
}
