//! Every path in the code of `src`, and where it leads.

mod impls;

use std::collections::BTreeMap;

use proc_macro2::{Delimiter, Ident, TokenStream, TokenTree};
use syn::{
    Attribute, Expr, Item, ItemUse, Lit, LitStr, Meta, Stmt,
    visit::{self, Visit},
};

use crate::{
    Offence,
    names::{Found, Names, Path, Target, segments, used},
    tokens::{ends_statement, is_call, path_at},
    tree::Tree,
    types::aliases_among,
};

/// One path in the code.
pub(crate) struct Arrow {
    /// The module in which it stands.
    pub(crate) from: usize,
    pub(crate) line: usize,
    /// The path as it is written.
    pub(crate) written: String,
    pub(crate) found: Found,
    pub(crate) how: How,
    /// Whether a module passes on by it what a module under it has: `pub use self::a::A`.
    passes_on: bool,
}

/// How a path is used.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum How {
    /// What it names itself is used.
    Plain,
    /// What is in it can be used as well, without its path: `use a::*`, `type A = a::B`.
    Whole,
    /// It is a macro's, which is called.
    Call,
}

/// A type, by the module that defines it.
pub(crate) type Type = (usize, String);

/// A block of methods.
pub(crate) struct Impl {
    pub(crate) of: Type,
    pub(crate) at: usize,
    /// Whether it has methods that are no trait's. A macro may make them.
    pub(crate) methods: bool,
    /// The types that its methods make of `self`.
    pub(crate) builds: Vec<Type>,
}

/// All arrows and `impl` blocks of the code, tests left out.
#[derive(Default)]
pub(crate) struct Code {
    pub(crate) arrows: Vec<Arrow>,
    pub(crate) impls: Vec<Impl>,
    /// Of `impl` blocks with methods among a macro's tokens: the type, and where they stand.
    pub(crate) impls_in_tokens: Vec<(Type, usize)>,
    /// What cannot be read.
    pub(crate) offences: Vec<Offence>,
}

impl Code {
    pub(crate) fn read(tree: &Tree) -> Self {
        let mut code = Self::default();
        for (at, module) in tree.modules.iter().enumerate() {
            if module.test {
                continue;
            }
            let mut reading = Reading {
                tree,
                at,
                blocks: Vec::new(),
                line: None,
                code: &mut code,
            };
            for item in &module.items {
                reading.visit_item(item);
            }
        }
        code
    }

    /// The arrows between files, each with its first line. That a module is named says nothing of its file: what is
    /// named in it does. And a `pub use` of what a module under it has says no more than `mod`.
    pub(crate) fn between_files<'a>(
        &'a self,
        tree: &'a Tree,
    ) -> BTreeMap<(&'a str, &'a str), &'a Arrow> {
        let mut found: BTreeMap<_, &Arrow> = BTreeMap::new();
        for arrow in &self.arrows {
            let Target::Item(to, _) = arrow.found.to else {
                continue;
            };
            let from = tree.modules[arrow.from].file.as_str();
            let to = tree.modules[to].file.as_str();
            if from != to && !arrow.passes_on {
                let first = found.entry((from, to)).or_insert(arrow);
                if arrow.line < first.line {
                    *first = arrow;
                }
            }
        }
        found
    }
}

/// The items of one module.
struct Reading<'a> {
    tree: &'a Tree,
    at: usize,
    /// What the blocks around define and bring in.
    blocks: Vec<Names>,
    /// The line of a string that is read as code.
    line: Option<usize>,
    code: &'a mut Code,
}

impl Reading<'_> {
    fn take_path(&mut self, path: &Path, line: usize, how: How) {
        let found = self.tree.find(self.at, &self.blocks, path);
        self.code.arrows.push(Arrow {
            from: self.at,
            line: self.line.unwrap_or(line),
            written: path.join("::"),
            found,
            how,
            passes_on: false,
        });
    }

    /// A path that is an arrow to other crates only: as one of `src` it is written elsewhere already.
    fn take_outside(&mut self, path: &Path, line: usize, how: How) {
        let found = self.tree.find(self.at, &self.blocks, path);
        if matches!(found.to, Target::Outside(_)) {
            self.take_path(path, line, how);
        }
    }

    /// A macro's tokens, or an attribute's: there, what strings say is code as well.
    fn take_tokens(&mut self, tokens: TokenStream, strings: bool) {
        let tokens: Vec<_> = tokens.into_iter().collect();
        self.blocks.push(aliases_among(&tokens));
        let mut at = 0;
        while at < tokens.len() {
            at += match &tokens[at] {
                TokenTree::Group(group) => {
                    self.take_tokens(group.stream(), strings);
                    1
                }
                TokenTree::Literal(literal) if strings => {
                    let text = syn::parse_str::<LitStr>(&literal.to_string());
                    if let Ok(text) = text {
                        self.take_string(&text, literal.span().start().line);
                    }
                    1
                }
                TokenTree::Ident(name) if name == "use" => self.take_use(&tokens[at..]),
                // What `pub(in crate::a)` names, it does not use.
                TokenTree::Ident(name) if name == "pub" => match tokens.get(at + 1) {
                    Some(TokenTree::Group(group)) if says_where(group) => 2,
                    _ => 1,
                },
                TokenTree::Ident(name) if name == "impl" => {
                    self.take_impl(&tokens, at, name.span().start().line);
                    1
                }
                TokenTree::Ident(first) => {
                    let (path, tokens_read) = path_at(&tokens, at);
                    if let Some(path) = path {
                        let called = is_call(&tokens, at + tokens_read);
                        let how = if called { How::Call } else { How::Plain };
                        self.take_path(&path, first.span().start().line, how);
                    }
                    tokens_read
                }
                _ => 1,
            };
        }
        self.blocks.pop();
    }

    fn take_uses(&mut self, item: &ItemUse) {
        let public = !matches!(item.vis, syn::Visibility::Inherited);
        for used in used(item) {
            let mut found = self.tree.find(self.at, &self.blocks, &used.path);
            let mut path = used.path;
            if used.glob {
                path.push("*".to_owned());
                if let Target::Module(module) = found.to {
                    found.to = Target::Item(module, "*".to_owned());
                }
            }
            let below = match found.to {
                Target::Item(to, _) => self.tree.around(to).any(|outer| outer == self.at),
                _ => false,
            };
            self.code.arrows.push(Arrow {
                from: self.at,
                line: self.line.unwrap_or(used.line),
                written: path.join("::"),
                found,
                how: if used.glob { How::Whole } else { How::Plain },
                passes_on: public && below,
            });
        }
    }

    /// A `use` among tokens. Returns how many tokens it has.
    fn take_use(&mut self, tokens: &[TokenTree]) -> usize {
        let length = ends_statement(tokens);
        let statement: TokenStream = tokens[..length].iter().cloned().collect();
        let Ok(item) = syn::parse2::<ItemUse>(statement) else {
            return 1;
        };
        self.take_uses(&item);
        if let Some(names) = self.blocks.last_mut() {
            names.take(&Item::Use(item));
        }
        length
    }

    fn take_string(&mut self, text: &LitStr, line: usize) {
        if let Ok(code) = text.value().parse::<TokenStream>() {
            let outer = self.line.replace(line);
            self.take_tokens(code, false);
            self.line = outer;
        }
    }
}

impl<'a> Visit<'a> for Reading<'a> {
    fn visit_item_use(&mut self, item: &'a ItemUse) {
        self.take_uses(item);
    }

    fn visit_path(&mut self, path: &'a syn::Path) {
        let line = path
            .segments
            .first()
            .map_or(1, |first| line_of(&first.ident));
        self.take_path(&segments(path), line, How::Plain);
        visit::visit_path(self, path);
    }

    // An alias lets all of a type be named without its path.
    fn visit_item_type(&mut self, alias: &'a syn::ItemType) {
        visit::visit_item_type(self, alias);
        if let syn::Type::Path(path) = &*alias.ty {
            let line = line_of(&alias.ident);
            self.take_outside(&segments(&path.path), line, How::Whole);
        }
    }

    // `<A>::b` is `A::b`.
    fn visit_expr_path(&mut self, expression: &'a syn::ExprPath) {
        visit::visit_expr_path(self, expression);
        if let Some(of) = &expression.qself
            && of.position == 0
            && let syn::Type::Path(path) = &*of.ty
        {
            let names = expression.path.segments.iter();
            let names = names.map(|segment| segment.ident.to_string());
            let names: Vec<_> = segments(&path.path).into_iter().chain(names).collect();
            let line = expression.path.segments.first();
            let line = line.map_or(1, |first| line_of(&first.ident));
            self.take_outside(&names, line, How::Plain);
        }
    }

    fn visit_macro(&mut self, call: &'a syn::Macro) {
        let line = call.path.segments.first();
        let line = line.map_or(1, |first| line_of(&first.ident));
        self.take_path(&segments(&call.path), line, How::Call);
        self.take_tokens(call.tokens.clone(), false);
    }

    fn visit_attribute(&mut self, attribute: &'a Attribute) {
        let prose = [
            "doc",
            "cfg",
            "allow",
            "expect",
            "warn",
            "deny",
            "forbid",
            "deprecated",
        ];
        if prose.iter().any(|name| attribute.path().is_ident(name)) {
            return;
        }
        self.visit_path(attribute.path());
        match &attribute.meta {
            Meta::Path(_) => {}
            Meta::List(list) => self.take_tokens(list.tokens.clone(), true),
            Meta::NameValue(pair) => match &pair.value {
                Expr::Lit(literal) => {
                    if let Lit::Str(text) = &literal.lit {
                        self.take_string(text, text.span().start().line);
                    }
                }
                value => self.visit_expr(value),
            },
        }
    }

    // Says who may use it, and uses nothing.
    fn visit_vis_restricted(&mut self, _: &'a syn::VisRestricted) {}

    fn visit_block(&mut self, block: &'a syn::Block) {
        let mut names = Names::default();
        for statement in &block.stmts {
            if let Stmt::Item(item) = statement {
                names.take(item);
            }
        }
        self.blocks.push(names);
        visit::visit_block(self, block);
        self.blocks.pop();
    }

    fn visit_item_impl(&mut self, block: &'a syn::ItemImpl) {
        self.take_block(block);
        visit::visit_item_impl(self, block);
    }
}

fn line_of(name: &Ident) -> usize {
    name.span().start().line
}

/// Whether a group after `pub` says where it is public.
fn says_where(group: &proc_macro2::Group) -> bool {
    let words = ["in", "crate", "self", "super"];
    group.delimiter() == Delimiter::Parenthesis
        && matches!(group.stream().into_iter().next(), Some(TokenTree::Ident(first))
            if words.iter().any(|word| first == word))
}
