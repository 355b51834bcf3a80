//! Every path in the code of `src`, and where it leads.

use std::collections::BTreeMap;

use proc_macro2::{Delimiter, Ident, TokenStream, TokenTree};
use syn::{
    Attribute, Expr, Item, ItemUse, Lit, LitStr, Meta, Stmt,
    visit::{self, Visit},
};

use crate::{
    names::{Found, Names, Path, Target, used},
    tokens::{ends_statement, path_at},
    tree::Tree,
};

/// One path in the code.
pub(crate) struct Arrow {
    /// The module in which it stands.
    pub(crate) from: usize,
    pub(crate) line: usize,
    /// The path as it is written.
    pub(crate) written: String,
    pub(crate) found: Found,
    /// Whether a module passes on by it what a module under it has: `pub use self::a::A`.
    passes_on: bool,
}

/// A type, by the module that defines it.
pub(crate) type Type = (usize, String);

/// A block of methods.
pub(crate) struct Impl {
    pub(crate) of: Type,
    pub(crate) at: usize,
    /// Whether it has methods that are no trait's.
    pub(crate) methods: bool,
    /// The types that its methods make of `self`.
    pub(crate) builds: Vec<Type>,
}

/// All arrows and `impl` blocks of the code, tests left out.
#[derive(Default)]
pub(crate) struct Code {
    pub(crate) arrows: Vec<Arrow>,
    pub(crate) impls: Vec<Impl>,
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
    fn take_path(&mut self, path: &Path, line: usize) {
        let found = self.tree.find(self.at, &self.blocks, path);
        self.code.arrows.push(Arrow {
            from: self.at,
            line: self.line.unwrap_or(line),
            written: path.join("::"),
            found,
            passes_on: false,
        });
    }

    /// A macro's tokens, or an attribute's: there, what strings say is code as well.
    fn take_tokens(&mut self, tokens: TokenStream, strings: bool) {
        let tokens: Vec<_> = tokens.into_iter().collect();
        self.blocks.push(Names::default());
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
                TokenTree::Ident(first) => {
                    let (path, tokens_read) = path_at(&tokens, at);
                    if let Some(path) = path {
                        self.take_path(&path, first.span().start().line);
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

    /// The type that a path or reference names, if `src` defines it.
    fn type_of(&self, named: &syn::Type) -> Option<Type> {
        let path = match named {
            syn::Type::Path(path) if path.qself.is_none() => &path.path,
            syn::Type::Reference(to) => return self.type_of(&to.elem),
            syn::Type::Paren(inner) => return self.type_of(&inner.elem),
            _ => return None,
        };
        match self.tree.find(self.at, &self.blocks, &segments(path)).to {
            Target::Item(module, name) => Some((module, name)),
            _ => None,
        }
    }

    /// The types that a method makes of `self`: `Server` of `fn build(self) -> Result<Server, Error>`.
    fn builds(&self, method: &syn::Signature) -> Vec<Type> {
        struct Types<'a>(&'a Reading<'a>, Vec<Type>);
        impl<'a> Visit<'a> for Types<'_> {
            fn visit_type(&mut self, named: &'a syn::Type) {
                self.1.extend(self.0.type_of(named));
                visit::visit_type(self, named);
            }
        }
        let takes_self = method
            .receiver()
            .is_some_and(|receiver| matches!(receiver.kind, syn::ReceiverKind::Value));
        let mut types = Types(self, Vec::new());
        if takes_self {
            types.visit_return_type(&method.output);
        }
        types.1
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
        self.take_path(&segments(path), line);
        visit::visit_path(self, path);
    }

    fn visit_macro(&mut self, call: &'a syn::Macro) {
        self.visit_path(&call.path);
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
        if let Some(of) = self.type_of(&block.self_ty) {
            let methods = || {
                block.items.iter().filter_map(|item| match item {
                    syn::ImplItem::Fn(method) => Some(&method.sig),
                    _ => None,
                })
            };
            let inherent = block.trait_.is_none();
            let builds = methods().filter(|_| inherent);
            self.code.impls.push(Impl {
                of,
                at: self.at,
                methods: inherent && methods().next().is_some(),
                builds: builds.flat_map(|method| self.builds(method)).collect(),
            });
        }
        visit::visit_item_impl(self, block);
    }
}

fn segments(path: &syn::Path) -> Path {
    let global = path.leading_colon.iter().map(|_| String::new());
    let names = path
        .segments
        .iter()
        .map(|segment| segment.ident.to_string());
    global.chain(names).collect()
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
