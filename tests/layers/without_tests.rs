//! Takes away what is compiled for tests only, by `#[cfg(test)]`, and counts its lines.

use std::collections::BTreeSet;

use proc_macro2::Span;
use syn::{
    Attribute, Field, Item, Meta, Token,
    punctuated::Punctuated,
    spanned::Spanned,
    visit_mut::{self, VisitMut},
};

/// Lines of a file.
#[derive(Default)]
pub(crate) struct Lines(BTreeSet<usize>);

impl Lines {
    pub(crate) fn add(&mut self, span: Span) {
        self.0.extend(span.start().line..=span.end().line);
    }

    pub(crate) fn count(&self) -> usize {
        self.0.len()
    }
}

/// Whether it is compiled for tests only: `#[cfg(test)]`, or `#[cfg(all(test, …))]`.
pub(crate) fn is_test(attributes: &[Attribute]) -> bool {
    attributes.iter().any(|attribute| match &attribute.meta {
        Meta::List(list) if list.path.is_ident("cfg") => {
            syn::parse2(list.tokens.clone()).is_ok_and(|condition| asks_for_test(&condition))
        }
        _ => false,
    })
}

fn asks_for_test(condition: &Meta) -> bool {
    match condition {
        Meta::Path(path) => path.is_ident("test"),
        Meta::List(all) if all.path.is_ident("all") => all
            .parse_args_with(Punctuated::<Meta, Token![,]>::parse_terminated)
            .is_ok_and(|all| all.iter().any(asks_for_test)),
        _ => false,
    }
}

/// Takes items for tests out, and what is for tests inside of the others.
pub(crate) fn without_tests(items: &mut Vec<Item>, tests: &mut Lines) {
    let mut taking = Taking(tests);
    taking.keep(items, attributes_of);
    for item in items {
        taking.visit_item_mut(item);
    }
}

struct Taking<'a>(&'a mut Lines);

impl Taking<'_> {
    fn keep<T: Spanned>(&mut self, from: &mut Vec<T>, attributes: impl Fn(&T) -> &[Attribute]) {
        from.retain(|one| {
            let test = is_test(attributes(one));
            if test {
                self.0.add(one.span());
            }
            !test
        });
    }

    fn keep_fields(&mut self, fields: &mut Punctuated<Field, Token![,]>) {
        let mut all: Vec<_> = std::mem::take(fields).into_iter().collect();
        self.keep(&mut all, |field| &field.attrs);
        fields.extend(all);
    }
}

impl VisitMut for Taking<'_> {
    fn visit_item_impl_mut(&mut self, block: &mut syn::ItemImpl) {
        self.keep(&mut block.items, |item| match item {
            syn::ImplItem::Const(item) => &item.attrs,
            syn::ImplItem::Fn(item) => &item.attrs,
            syn::ImplItem::Type(item) => &item.attrs,
            syn::ImplItem::Macro(item) => &item.attrs,
            _ => &[],
        });
        visit_mut::visit_item_impl_mut(self, block);
    }

    fn visit_item_trait_mut(&mut self, definition: &mut syn::ItemTrait) {
        self.keep(&mut definition.items, |item| match item {
            syn::TraitItem::Const(item) => &item.attrs,
            syn::TraitItem::Fn(item) => &item.attrs,
            syn::TraitItem::Type(item) => &item.attrs,
            syn::TraitItem::Macro(item) => &item.attrs,
            _ => &[],
        });
        visit_mut::visit_item_trait_mut(self, definition);
    }

    fn visit_block_mut(&mut self, block: &mut syn::Block) {
        self.keep(&mut block.stmts, |statement| match statement {
            syn::Stmt::Local(local) => &local.attrs,
            syn::Stmt::Item(item) => attributes_of(item),
            syn::Stmt::Macro(call) => &call.attrs,
            syn::Stmt::Expr(expression, _) => match expression {
                syn::Expr::Block(block) => &block.attrs,
                syn::Expr::If(block) => &block.attrs,
                syn::Expr::Call(call) => &call.attrs,
                syn::Expr::MethodCall(call) => &call.attrs,
                _ => &[],
            },
        });
        visit_mut::visit_block_mut(self, block);
    }

    fn visit_expr_match_mut(&mut self, expression: &mut syn::ExprMatch) {
        self.keep(&mut expression.arms, |arm| &arm.attrs);
        visit_mut::visit_expr_match_mut(self, expression);
    }

    fn visit_item_enum_mut(&mut self, definition: &mut syn::ItemEnum) {
        let mut all: Vec<_> = std::mem::take(&mut definition.variants)
            .into_iter()
            .collect();
        self.keep(&mut all, |variant| &variant.attrs);
        definition.variants.extend(all);
        visit_mut::visit_item_enum_mut(self, definition);
    }

    fn visit_fields_named_mut(&mut self, fields: &mut syn::FieldsNamed) {
        self.keep_fields(&mut fields.named);
        visit_mut::visit_fields_named_mut(self, fields);
    }

    fn visit_fields_unnamed_mut(&mut self, fields: &mut syn::FieldsUnnamed) {
        self.keep_fields(&mut fields.unnamed);
        visit_mut::visit_fields_unnamed_mut(self, fields);
    }

    fn visit_expr_struct_mut(&mut self, expression: &mut syn::ExprStruct) {
        let mut all: Vec<_> = std::mem::take(&mut expression.fields).into_iter().collect();
        self.keep(&mut all, |field| &field.attrs);
        expression.fields.extend(all);
        visit_mut::visit_expr_struct_mut(self, expression);
    }
}

fn attributes_of(item: &Item) -> &[Attribute] {
    match item {
        Item::Const(item) => &item.attrs,
        Item::Enum(item) => &item.attrs,
        Item::ExternCrate(item) => &item.attrs,
        Item::Fn(item) => &item.attrs,
        Item::ForeignMod(item) => &item.attrs,
        Item::Impl(item) => &item.attrs,
        Item::Macro(item) => &item.attrs,
        Item::Mod(item) => &item.attrs,
        Item::Static(item) => &item.attrs,
        Item::Struct(item) => &item.attrs,
        Item::Trait(item) => &item.attrs,
        Item::TraitAlias(item) => &item.attrs,
        Item::Type(item) => &item.attrs,
        Item::Union(item) => &item.attrs,
        Item::Use(item) => &item.attrs,
        _ => &[],
    }
}
