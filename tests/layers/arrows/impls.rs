//! `impl` blocks: which type they are of, whether they have methods, and what those build.

use proc_macro2::TokenTree;
use syn::visit::{self, Visit};

use super::{Impl, Reading, Type};
use crate::{
    Offence,
    names::Target,
    types::{defines, impl_at},
};

impl Reading<'_> {
    /// An `impl` block, its methods, and what they build.
    pub(super) fn take_block(&mut self, block: &syn::ItemImpl) {
        let inherent = block.trait_.is_none();
        let methods = || {
            block.items.iter().filter_map(|item| match item {
                syn::ImplItem::Fn(method) => Some(&method.sig),
                _ => None,
            })
        };
        let is_macro = |item: &syn::ImplItem| matches!(item, syn::ImplItem::Macro(_));
        let any = methods().next().is_some() || block.items.iter().any(is_macro);
        match self.tree.type_of(self.at, &self.blocks, &block.self_ty) {
            Target::Item(module, name) => {
                let builds = methods().filter(|_| inherent);
                self.code.impls.push(Impl {
                    of: (module, name),
                    at: self.at,
                    methods: inherent && any,
                    builds: builds.flat_map(|method| self.builds(method)).collect(),
                });
            }
            Target::Here => {}
            Target::Module(_) | Target::Outside(_) => {
                if inherent && any {
                    let line = block.impl_token.span.start().line;
                    self.cannot_be_read("the type of this `impl`", line);
                }
            }
        }
    }

    /// An `impl` among tokens. Its header and its body are read as tokens after it.
    pub(super) fn take_impl(&mut self, tokens: &[TokenTree], at: usize, line: usize) {
        let Some(found) = impl_at(tokens, at).filter(|found| found.methods) else {
            return;
        };
        let of = found
            .block
            .map(|block| self.tree.type_of(self.at, &self.blocks, &block.self_ty));
        match of {
            Some(Target::Item(module, name)) => {
                let block = ((module, name), self.at);
                self.code.impls_in_tokens.push(block);
            }
            Some(Target::Here) => {}
            Some(Target::Outside(path)) if path.len() == 1 && defines(tokens, &path[0]) => {}
            _ => self.cannot_be_read("the type of this `impl`", line),
        }
    }

    fn cannot_be_read(&mut self, what: &str, line: usize) {
        let file = &self.tree.modules[self.at].file;
        let what = format!("{what} cannot be read, and so is forbidden");
        let line = self.line.unwrap_or(line);
        self.code.offences.push(Offence::new(file, line, what));
    }

    /// The type that a path or reference names, if `src` defines it.
    fn type_of(&self, named: &syn::Type) -> Option<Type> {
        match self.tree.type_of(self.at, &self.blocks, named) {
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
