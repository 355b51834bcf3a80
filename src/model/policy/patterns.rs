//! The names that an opt-in asks for: one list of exact names, globs and expressions.
//!
//! Whoever may annotate a workload writes it, so what it costs is bounded by its bytes and by what it becomes, and not by
//! how many entries it has:
//! - globs of one list have at most [`MAX_BYTES`] together, and so do its expressions of one kind;
//! - those expressions become one automaton, of at most [`MAX_PROGRAM`] bytes. It reads bytes: names are ASCII
//!   (RFC 1123), so `\w` and `\d` are, too;
//! - it steps over each byte of a name once, whatever it looks for (the `regex` crate backtracks nowhere), and so do globs
//!   ([`Glob`]).
//!
//! What is beyond a bound is not read in part: the list is unreadable, and people are told the bound.

use std::{collections::BTreeSet, fmt, sync::Arc};

use regex::bytes::{RegexSet, RegexSetBuilder};
use regex_syntax::ParserBuilder;

use crate::model::source::{
    Glob, KindSet, MAX_KEY_GLOBS, MAX_LISTED_BYTES, MAX_WIDE_GLOBS, Named, SourceKind, SourceName,
    is_glob,
};

/// The most bytes that the globs of a list have together, and its expressions of one kind.
pub const MAX_BYTES: usize = 2048;

/// The most bytes of the automaton that the expressions of one kind become.
pub const MAX_PROGRAM: usize = 128 * 1024;

/// A kind with a name, a glob (`*` and `?`), or a regular expression.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Pattern {
    kind: SourceKind,
    text: String,
    form: Form,
}

/// How it is meant.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Form {
    Exact,
    Glob,
    /// An expression of which nothing but dots stands for something else: `kube-root-ca.crt`.
    Dotted,
    Expression,
}

/// A list of them.
#[derive(Clone, Debug, Default)]
pub struct Patterns {
    list: Vec<Pattern>,
    /// The kinds of which it takes everything.
    all: KindSet,
    exact: BTreeSet<SourceName>,
    globs: Vec<(SourceKind, Glob)>,
    dotted: Vec<SourceName>,
    expressions: Vec<Expressions>,
}

/// The expressions of one kind, by commas: no entry of a list has one.
#[derive(Clone, Debug)]
struct Expressions {
    kind: SourceKind,
    text: String,
    /// `None` while it is put away, and is made again for each use.
    compiled: Option<Arc<RegexSet>>,
}

/// A list is beyond a bound.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum Beyond {
    /// Of [`MAX_BYTES`].
    #[error("globs of more than {MAX_BYTES} bytes")]
    Globs,
    /// Of [`MAX_BYTES`], by the expressions of this kind.
    #[error("expressions of more than {MAX_BYTES} bytes")]
    Bytes(SourceKind),
    /// Of [`MAX_LISTED_BYTES`], of [`MAX_KEY_GLOBS`] or of [`MAX_WIDE_GLOBS`].
    #[error(
        "entries with a key of more than {MAX_LISTED_BYTES} bytes, or more than {MAX_KEY_GLOBS} with a glob, or {MAX_WIDE_GLOBS} with one on both sides of #"
    )]
    Keys,
    /// Of [`MAX_PROGRAM`], by the expressions of this kind.
    #[error("expressions that become more than {MAX_PROGRAM} bytes")]
    Program(SourceKind),
}

impl Pattern {
    /// Reads a name, or a glob.
    pub(super) fn read(text: &str) -> Option<Self> {
        let named = Named::read(text).filter(|named| named.key.is_none())?;
        Some(Self::of(&named.source))
    }

    /// Returns the pattern that a name is, or a glob.
    pub(super) fn of(source: &SourceName) -> Self {
        Self {
            kind: source.kind,
            text: source.name.clone(),
            form: if is_glob(&source.name) {
                Form::Glob
            } else {
                Form::Exact
            },
        }
    }

    /// Returns a pattern that takes exactly this name.
    pub(super) fn exact(kind: SourceKind, name: &str) -> Self {
        Self {
            kind,
            text: name.to_owned(),
            form: Form::Exact,
        }
    }

    /// Returns a pattern that takes everything of a kind.
    pub(super) fn all(kind: SourceKind) -> Self {
        Self {
            kind,
            text: "*".to_owned(),
            form: Form::Glob,
        }
    }

    /// Reads a regular expression, which stands between `^` and `$`; `None` where it is none.
    pub(super) fn expression(kind: SourceKind, text: &str) -> Option<Self> {
        // What matches nothing but itself needs no automaton; most people write names.
        let plain = |byte: u8| byte.is_ascii_alphanumeric() || byte == b'-';
        let form = if text.bytes().all(plain) {
            Form::Exact
        } else if text.bytes().all(|byte| plain(byte) || byte == b'.') {
            Form::Dotted
        } else {
            let mut parser = ParserBuilder::new().unicode(false).utf8(false).build();
            parser.parse(&anchored(text)).ok()?;
            Form::Expression
        };
        Some(Self {
            kind,
            text: text.to_owned(),
            form,
        })
    }

    /// Returns the kind.
    pub(super) const fn kind(&self) -> SourceKind {
        self.kind
    }

    /// Returns what is written.
    pub(super) fn text(&self) -> &str {
        &self.text
    }

    /// Returns how it is meant.
    pub(super) const fn form(&self) -> Form {
        self.form
    }

    fn source(&self) -> SourceName {
        SourceName {
            kind: self.kind,
            name: self.text.clone(),
        }
    }
}

impl Patterns {
    /// Makes a list of them.
    ///
    /// # Errors
    /// Where they are beyond a bound.
    pub(super) fn new(list: Vec<Pattern>) -> Result<Self, Beyond> {
        let mut patterns = Self::default();
        let mut bytes = 0;
        for pattern in list {
            if pattern.form == Form::Glob && !pattern.is_all() {
                bytes += pattern.text.len();
            }
            patterns.add(pattern);
        }
        if bytes > MAX_BYTES {
            return Err(Beyond::Globs);
        }
        for expressions in &mut patterns.expressions {
            if expressions.text.len() > MAX_BYTES {
                return Err(Beyond::Bytes(expressions.kind));
            }
            let compiled = expressions.compile();
            expressions.compiled = Some(compiled.ok_or(Beyond::Program(expressions.kind))?);
        }
        Ok(patterns)
    }

    /// Adds a pattern that costs nothing: a name, or everything of a kind.
    pub(super) fn also(&mut self, pattern: Pattern) {
        debug_assert!(pattern.form == Form::Exact || pattern.is_all());
        self.add(pattern);
    }

    fn add(&mut self, pattern: Pattern) {
        match pattern.form {
            Form::Exact => drop(self.exact.insert(pattern.source())),
            Form::Glob if pattern.is_all() => self.all.insert(pattern.kind),
            Form::Glob => self.globs.push((pattern.kind, Glob::new(&pattern.text))),
            Form::Dotted => self.dotted.push(pattern.source()),
            Form::Expression => self.add_expression(&pattern),
        }
        self.list.push(pattern);
    }

    fn add_expression(&mut self, pattern: &Pattern) {
        let known = self.expressions.iter_mut();
        match known.into_iter().find(|known| known.kind == pattern.kind) {
            Some(known) => {
                known.text.push(',');
                known.text.push_str(&pattern.text);
            }
            None => self.expressions.push(Expressions {
                kind: pattern.kind,
                text: pattern.text.clone(),
                compiled: None,
            }),
        }
    }

    /// Whether there is none.
    pub fn is_empty(&self) -> bool {
        self.list.is_empty()
    }

    /// Returns them as they are written.
    pub(super) fn iter(&self) -> impl Iterator<Item = &Pattern> {
        self.list.iter()
    }

    /// Returns those names that need not exist to be taken.
    pub(super) fn exact(&self) -> impl Iterator<Item = &SourceName> {
        self.exact.iter()
    }

    /// Whether it has exactly this name.
    pub(super) fn has_exact(&self, source: &SourceName) -> bool {
        self.exact.contains(source)
    }

    /// Whether what it takes depends on which sources exist.
    pub fn is_open(&self) -> bool {
        self.list.iter().any(|pattern| pattern.form != Form::Exact)
    }

    /// Whether it has expressions, which take memory while they are ready for use.
    pub fn has_expressions(&self) -> bool {
        !self.expressions.is_empty()
    }

    /// Whether its expressions are ready for use.
    #[cfg(test)]
    pub(super) fn is_ready(&self) -> bool {
        let mut expressions = self.expressions.iter();
        expressions.all(|expressions| expressions.compiled.is_some())
    }

    /// Puts the automata of its expressions away; each use makes them again.
    pub fn put_away(&mut self) {
        for expressions in &mut self.expressions {
            expressions.compiled = None;
        }
    }

    /// Gets it ready to look at many names.
    pub fn ready(&self) -> Ready<'_> {
        let ready = |of: &Expressions| {
            let kept = of.compiled.clone();
            // It was within the bounds when it was read.
            let compiled = kept.or_else(|| of.compile())?;
            Some((of.kind, compiled))
        };
        Ready {
            patterns: self,
            expressions: self.expressions.iter().filter_map(ready).collect(),
        }
    }
}

/// A list that is ready for use.
#[derive(Debug)]
pub struct Ready<'a> {
    patterns: &'a Patterns,
    expressions: Vec<(SourceKind, Arc<RegexSet>)>,
}

impl Ready<'_> {
    /// Whether any of them takes this source.
    pub fn takes(&self, source: &SourceName) -> bool {
        let patterns = self.patterns;
        patterns.all.contains(source.kind)
            || patterns.exact.contains(source)
            || patterns
                .globs
                .iter()
                .any(|(kind, glob)| *kind == source.kind && glob.takes(&source.name))
            || patterns.dotted.iter().any(|dotted| fits(dotted, source))
            || self
                .expressions
                .iter()
                .any(|(kind, set)| *kind == source.kind && set.is_match(source.name.as_bytes()))
    }
}

impl Expressions {
    /// Returns the automaton; `None` where it is too large.
    fn compile(&self) -> Option<Arc<RegexSet>> {
        let all = self.text.split(',').map(anchored);
        let compiled = RegexSetBuilder::new(all)
            .unicode(false)
            .size_limit(MAX_PROGRAM)
            .build();
        compiled.ok().map(Arc::new)
    }
}

impl Pattern {
    fn is_all(&self) -> bool {
        self.form == Form::Glob && self.text == "*"
    }
}

/// Returns an expression as Reloader reads it: `a|b` is open at one end of each.
fn anchored(text: &str) -> String {
    format!("^{text}$")
}

/// Whether a name is a text in which dots stand for any letter.
fn fits(dotted: &SourceName, source: &SourceName) -> bool {
    dotted.kind == source.kind
        && dotted.name.len() == source.name.len()
        && dotted
            .name
            .bytes()
            .zip(source.name.bytes())
            .all(|(one, other)| one == b'.' || one == other)
}

/// They are the same where they say the same.
impl PartialEq for Patterns {
    fn eq(&self, other: &Self) -> bool {
        self.list == other.list
    }
}

impl fmt::Display for Pattern {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}/{}", self.kind.prefix(), self.text)
    }
}

#[cfg(test)]
mod tests;
