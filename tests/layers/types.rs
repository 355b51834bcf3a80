//! Which type a type's name leads to, through every alias of it, and what `impl` blocks are among tokens.

use proc_macro2::{Delimiter, TokenStream, TokenTree};
use syn::{GenericArgument, GenericParam, Item, ItemImpl, ItemType, PathArguments};

use crate::{
    names::{Names, Target, segments},
    tokens::{ends_statement, is_mark},
    tree::Tree,
};

/// The most aliases that lead to one another.
const ALIASES: usize = 16;

/// An `impl` among tokens.
pub(crate) struct InTokens {
    /// None where it cannot be read.
    pub(crate) block: Option<ItemImpl>,
    /// Whether it has methods that are no trait's.
    pub(crate) methods: bool,
}

impl Tree {
    /// Where the type leads that a name, a reference or a `dyn Trait` stands for.
    pub(crate) fn type_of(&self, at: usize, blocks: &[Names], named: &syn::Type) -> Target {
        self.type_through(at, blocks, named, ALIASES)
    }

    fn type_through(
        &self,
        at: usize,
        blocks: &[Names],
        named: &syn::Type,
        aliases: usize,
    ) -> Target {
        let inner = |inner| self.type_through(at, blocks, inner, aliases);
        let path = match named {
            syn::Type::Path(path) if path.qself.is_none() => &path.path,
            syn::Type::Reference(to) => return inner(&to.elem),
            syn::Type::Paren(parentheses) => return inner(&parentheses.elem),
            syn::Type::Group(group) => return inner(&group.elem),
            syn::Type::TraitObject(object) => {
                let traits = object.bounds.iter().find_map(|bound| match bound {
                    syn::TypeParamBound::Trait(bound) => Some(&bound.path),
                    _ => None,
                });
                match traits {
                    Some(path) => path,
                    None => return Target::Outside(Vec::new()),
                }
            }
            _ => return Target::Outside(Vec::new()),
        };
        let segments = segments(path);
        let found = self.find(at, blocks, &segments).to;
        let (alias, of, depth) = match &found {
            Target::Item(module, name) => {
                let alias = self.modules[*module].names.aliases.get(name);
                (alias, *module, 0)
            }
            Target::Here => {
                let mut depths = (1..=blocks.len()).rev();
                let depth =
                    depths.find(|depth| blocks[depth - 1].defined.contains_key(&segments[0]));
                let depth = depth.filter(|_| segments.len() == 1);
                let alias = depth.and_then(|depth| blocks[depth - 1].aliases.get(&segments[0]));
                (alias, at, depth.unwrap_or(0))
            }
            _ => (None, at, 0),
        };
        match alias.filter(|_| aliases > 0) {
            None => found,
            Some(alias) => match argument(alias, path) {
                Some(argument) => self.type_through(at, blocks, argument, aliases - 1),
                None => self.type_through(of, &blocks[..depth], &alias.ty, aliases - 1),
            },
        }
    }
}

/// `A` of `J<A>`, where `type J<T> = T`.
fn argument<'a>(alias: &ItemType, used: &'a syn::Path) -> Option<&'a syn::Type> {
    let syn::Type::Path(of) = &*alias.ty else {
        return None;
    };
    let name = of.path.get_ident()?;
    let types = alias.generics.params.iter();
    let mut types = types.filter_map(|parameter| match parameter {
        GenericParam::Type(parameter) => Some(&parameter.ident),
        _ => None,
    });
    let at = types.position(|parameter| parameter == name)?;
    let PathArguments::AngleBracketed(arguments) = &used.segments.last()?.arguments else {
        return None;
    };
    let types = arguments.args.iter();
    let mut types = types.filter_map(|argument| match argument {
        GenericArgument::Type(argument) => Some(argument),
        _ => None,
    });
    types.nth(at)
}

/// What the aliases among tokens say.
pub(crate) fn aliases_among(tokens: &[TokenTree]) -> Names {
    let mut names = Names::default();
    for (at, token) in tokens.iter().enumerate() {
        if matches!(token, TokenTree::Ident(word) if word == "type") {
            let statement = without_dollars(&tokens[at..at + ends_statement(&tokens[at..])]);
            if let Ok(alias) = syn::parse2::<ItemType>(statement) {
                names.take(&Item::Type(alias));
            }
        }
    }
    names
}

/// The `impl` block that begins at this place; none for a type like `impl Trait`.
pub(crate) fn impl_at(tokens: &[TokenTree], at: usize) -> Option<InTokens> {
    let is_type = match at.checked_sub(1).and_then(|before| tokens.get(before)) {
        Some(TokenTree::Punct(before)) => match before.as_char() {
            // Of `->`, not of `=>`.
            '>' => at >= 2 && is_mark(tokens.get(at - 2), '-'),
            mark => ":<&=".contains(mark),
        },
        Some(TokenTree::Ident(before)) => before == "mut",
        _ => false,
    };
    let is_body = |token: &TokenTree| matches!(token, TokenTree::Group(group) if group.delimiter() == Delimiter::Brace);
    let length = tokens[at..].iter().position(is_body)?;
    let header = &tokens[at..at + length];
    if is_type || header.iter().any(|token| is_mark(Some(token), ';')) {
        return None;
    }
    let Some(TokenTree::Group(body)) = tokens.get(at + length) else {
        return None;
    };
    let mut block = without_dollars(header);
    block.extend([TokenTree::Group(proc_macro2::Group::new(
        Delimiter::Brace,
        TokenStream::new(),
    ))]);
    let block = syn::parse2::<ItemImpl>(block).ok();
    let is_for = |token: &TokenTree| matches!(token, TokenTree::Ident(word) if word == "for");
    let of_a_trait = match &block {
        Some(block) => block.trait_.is_some(),
        None => header.iter().any(is_for),
    };
    Some(InTokens {
        block,
        methods: !of_a_trait && has_methods(body.stream()),
    })
}

/// Whether tokens define a type of this name.
pub(crate) fn defines(tokens: &[TokenTree], name: &str) -> bool {
    tokens.iter().enumerate().any(|(at, token)| {
        let is_definition = matches!(token, TokenTree::Ident(word)
            if ["struct", "enum", "union", "trait"].iter().any(|definition| word == definition));
        let named = at + 1 + usize::from(is_mark(tokens.get(at + 1), '$'));
        is_definition && matches!(tokens.get(named), Some(TokenTree::Ident(word)) if word == name)
    })
}

/// `fn` of a function, not of a type like `fn()`, also where it is repeated: `$(fn $name() {})*`.
fn has_methods(body: TokenStream) -> bool {
    let tokens: Vec<_> = body.into_iter().collect();
    tokens.iter().enumerate().any(|(at, token)| match token {
        TokenTree::Ident(word) => {
            word == "fn"
                && (matches!(tokens.get(at + 1), Some(TokenTree::Ident(_)))
                    || is_mark(tokens.get(at + 1), '$'))
        }
        TokenTree::Group(group) => {
            group.delimiter() == Delimiter::Parenthesis && has_methods(group.stream())
        }
        _ => false,
    })
}

/// A macro's `$crate::A` and `$name`, as if they were names.
fn without_dollars(tokens: &[TokenTree]) -> TokenStream {
    let is_name = |token: &&TokenTree| !is_mark(Some(token), '$');
    let names = tokens.iter().filter(is_name).cloned();
    names
        .map(|token| match token {
            TokenTree::Group(group) => {
                let inner: Vec<_> = group.stream().into_iter().collect();
                let inner = proc_macro2::Group::new(group.delimiter(), without_dollars(&inner));
                TokenTree::Group(inner)
            }
            other => other,
        })
        .collect()
}
