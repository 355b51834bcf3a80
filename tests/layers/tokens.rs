//! Paths among the tokens of a macro, which syn does not parse.

use proc_macro2::{Spacing, TokenTree};

use crate::names::Path;

/// The path that begins with the word at this place, if the word begins one, and how many tokens it has.
pub(crate) fn path_at(tokens: &[TokenTree], at: usize) -> (Option<Path>, usize) {
    let mut path = Vec::new();
    let mut end = at;
    while let Some(TokenTree::Ident(name)) = tokens.get(end) {
        path.push(name.to_string());
        end += 1;
        if !(is_double(tokens, end, ':')
            && matches!(tokens.get(end + 2), Some(TokenTree::Ident(_))))
        {
            break;
        }
        end += 2;
    }
    (begins_path(tokens, at).then_some(path), end - at)
}

/// How many tokens there are up to the next semicolon and with it.
pub(crate) fn ends_statement(tokens: &[TokenTree]) -> usize {
    let semicolon = tokens.iter().position(|token| is_mark(Some(token), ';'));
    semicolon.map_or(tokens.len(), |at| at + 1)
}

/// Whether a macro is called at this place, after its path: `!` and a group, and not `!=`.
pub(crate) fn is_call(tokens: &[TokenTree], at: usize) -> bool {
    is_mark(tokens.get(at), '!') && matches!(tokens.get(at + 1), Some(TokenTree::Group(_)))
}

/// Neither `b` of `a.b`, nor of `::b` or `<A>::b`, nor of `'b`.
fn begins_path(tokens: &[TokenTree], at: usize) -> bool {
    let before = |back: usize| at.checked_sub(back).and_then(|at| tokens.get(at));
    let range = is_mark(before(1), '.') && is_mark(before(2), '.');
    let field = is_mark(before(1), '.') && !range;
    let global = at >= 2 && is_double(tokens, at - 2, ':');
    !field && !global && !is_mark(before(1), '\'')
}

fn is_double(tokens: &[TokenTree], at: usize, mark: char) -> bool {
    matches!(tokens.get(at), Some(TokenTree::Punct(first))
        if first.as_char() == mark && first.spacing() == Spacing::Joint)
        && is_mark(tokens.get(at + 1), mark)
}

pub(crate) fn is_mark(token: Option<&TokenTree>, mark: char) -> bool {
    matches!(token, Some(TokenTree::Punct(found)) if found.as_char() == mark)
}
