//! What this check cannot read, or could not without a compiler: it is forbidden in `src`, so that nothing hides there.

use proc_macro2::{TokenStream, TokenTree};
use syn::{
    Attribute, Item, Meta, UseTree,
    visit::{self, Visit},
};

use crate::{Offence, tokens::is_call, tree::Tree};

pub(crate) fn everywhere(tree: &Tree, offences: &mut Vec<Offence>) {
    let modules = tree.modules.iter().filter(|module| !module.test);
    for module in modules {
        in_items(&module.file, &module.items, offences);
    }
}

/// What cannot be read among the items of a file, and those of its inline modules.
pub(crate) fn in_items(file: &str, items: &[Item], offences: &mut Vec<Offence>) {
    for item in items {
        if let Item::Mod(module) = item {
            in_attributes(file, &module.attrs, offences);
            let inside = module.content.iter().flat_map(|(_, items)| items);
            inside.for_each(|item| in_items(file, std::slice::from_ref(item), offences));
        } else {
            Reading { file, offences }.visit_item(item);
        }
    }
}

/// What cannot be read among the attributes of a module.
pub(crate) fn in_attributes(file: &str, attributes: &[Attribute], offences: &mut Vec<Offence>) {
    let mut reading = Reading { file, offences };
    for attribute in attributes {
        reading.visit_attribute(attribute);
    }
}

struct Reading<'a> {
    file: &'a str,
    offences: &'a mut Vec<Offence>,
}

impl Reading<'_> {
    fn offend(&mut self, line: usize, what: &str) {
        let what = format!("{what} cannot be read, and so is forbidden");
        self.offences.push(Offence::new(self.file, line, what));
    }

    fn extern_crate(&mut self, line: usize) {
        let what = "`extern crate` gives a crate another name, and so is forbidden";
        self.offences.push(Offence::new(self.file, line, what));
    }

    fn take_tokens(&mut self, tokens: TokenStream) {
        let tokens: Vec<_> = tokens.into_iter().collect();
        for (at, token) in tokens.iter().enumerate() {
            match token {
                TokenTree::Group(group) => self.take_tokens(group.stream()),
                TokenTree::Ident(word) => {
                    let line = word.span().start().line;
                    let next = |then: &str| matches!(tokens.get(at + 1), Some(TokenTree::Ident(next)) if next == then);
                    match word.to_string().as_str() {
                        "include" if is_call(&tokens, at + 1) => self.offend(line, "`include!`"),
                        "macro_use" => self.offend(line, "`#[macro_use]`"),
                        "mod" => self.offend(line, "a `mod` in a macro"),
                        "extern" if next("crate") => self.extern_crate(line),
                        _ => {}
                    }
                }
                _ => {}
            }
        }
    }
}

impl<'a> Visit<'a> for Reading<'_> {
    fn visit_item_extern_crate(&mut self, item: &'a syn::ItemExternCrate) {
        self.extern_crate(item.extern_token.span.start().line);
        visit::visit_item_extern_crate(self, item);
    }

    // Those of a module are its children: this one is in a block.
    fn visit_item_mod(&mut self, item: &'a syn::ItemMod) {
        self.offend(item.mod_token.span.start().line, "a `mod` in a block");
    }

    fn visit_macro(&mut self, call: &'a syn::Macro) {
        if let Some(name) = call.path.segments.last()
            && name.ident == "include"
        {
            self.offend(name.ident.span().start().line, "`include!`");
        }
        self.take_tokens(call.tokens.clone());
    }

    // `use std::include as other`.
    fn visit_use_tree(&mut self, tree: &'a UseTree) {
        let named = match tree {
            UseTree::Name(name) => Some(&name.ident),
            UseTree::Rename(rename) => Some(&rename.ident),
            _ => None,
        };
        if let Some(name) = named.filter(|name| *name == "include") {
            self.offend(name.span().start().line, "`include!`");
        }
        visit::visit_use_tree(self, tree);
    }

    fn visit_attribute(&mut self, attribute: &'a Attribute) {
        let name = attribute.path().segments.first();
        let line = name.map_or(1, |name| name.ident.span().start().line);
        if attribute.path().is_ident("macro_use") {
            self.offend(line, "`#[macro_use]`");
        }
        if let Meta::List(list) = &attribute.meta
            && attribute.path().is_ident("cfg_attr")
        {
            let says = |word: &str| says(list.tokens.clone(), word);
            if says("macro_use") {
                self.offend(line, "`#[macro_use]`");
            }
            if says("path") {
                self.offend(line, "`#[cfg_attr(…, path = …)]`");
            }
        }
    }
}

fn says(tokens: TokenStream, word: &str) -> bool {
    tokens.into_iter().any(|token| match token {
        TokenTree::Ident(found) => found == word,
        TokenTree::Group(group) => says(group.stream(), word),
        _ => false,
    })
}
