//! Which sources an opt-in takes: what is referenced, and what is named.

use std::fmt;

use regex::{Regex, RegexBuilder};
use wildmatch::WildMatch;

use crate::model::source::{KindSet, References, SourceKind, SourceName, Usage};

/// A readable opt-in.
#[expect(
    clippy::struct_excessive_bools,
    reason = "each is a word that people may write"
)]
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Rules {
    /// Whatever is referenced of these kinds.
    pub kinds: KindSet,
    /// Of the referenced ones only those read into environment variables.
    pub env: bool,
    /// Of the referenced ones only those read into files.
    pub volume: bool,
    /// Of the referenced ones those that ask to be found, `reloader.stakater.com/match`.
    pub search: bool,
    /// What is named counts as a whole, whichever of its keys the template reads.
    pub whole: bool,
    /// By name or glob, referenced or not.
    pub named: Vec<Pattern>,
    /// Never these.
    pub excluded: Vec<Pattern>,
}

/// A kind with a name, a glob (`*` and `?`), or a regular expression.
#[derive(Clone, Debug)]
pub struct Pattern {
    kind: SourceKind,
    text: String,
    name: Name,
}

#[derive(Clone, Debug)]
enum Name {
    Exact,
    Glob(WildMatch),
    Regex(Regex),
}

impl Rules {
    /// Returns the references that count, and how they are used. `others` are the names of the namespace's sources
    /// that a glob may match.
    pub fn select<'a>(
        &self,
        references: &References,
        others: impl Iterator<Item = &'a SourceName>,
    ) -> References {
        let mut selected: References = references
            .iter()
            .filter_map(|(source, usage)| Some((source.clone(), self.take(source, usage)?)))
            .collect();
        let mut add = |source: &SourceName| {
            if !self.excludes(source) && !references.contains_key(source) {
                selected.entry(source.clone()).or_insert_with(Usage::named);
            }
        };
        self.named
            .iter()
            .filter_map(Pattern::source)
            .for_each(|source| add(&source));
        if self.has_globs() {
            others.filter(|source| self.names(source)).for_each(add);
        }
        selected
    }

    /// Whether what it selects depends on which sources exist.
    pub fn has_globs(&self) -> bool {
        self.named.iter().any(Pattern::is_open)
    }

    /// Whether a name or glob takes this source.
    pub fn names(&self, source: &SourceName) -> bool {
        self.named.iter().any(|pattern| pattern.matches(source))
    }

    /// Returns how a reference counts, if it does.
    fn take(&self, source: &SourceName, usage: &Usage) -> Option<Usage> {
        let kind = self.kinds.contains(source.kind);
        let narrowed = self.env || self.volume;
        let way = !narrowed || (self.env && usage.env) || (self.volume && usage.volume);
        let named = self.names(source);
        let taken = named || (kind && way);
        // To name what no container reads is to ask for all of it.
        let unread = named && !usage.is_read();
        if !(named || usage.counts()) {
            return None;
        }
        if self.excludes(source) || !(taken || self.search) {
            return None;
        }
        Some(Usage {
            whole: usage.whole || unread || (named && self.whole),
            if_matched: !taken,
            ..usage.clone()
        })
    }

    fn excludes(&self, source: &SourceName) -> bool {
        self.excluded.iter().any(|pattern| pattern.matches(source))
    }
}

/// A bad expression must not cost memory either: the library's limit is 10 MB.
const REGEX_SIZE: usize = 64 * 1024;

impl Pattern {
    /// Reads a name, or a glob.
    pub(super) fn read(text: &str) -> Option<Self> {
        let source: SourceName = text.parse().ok()?;
        let legal = |byte: u8| {
            byte.is_ascii_lowercase() || byte.is_ascii_digit() || b".-*?".contains(&byte)
        };
        if source.name.len() > 253 || !source.name.bytes().all(legal) {
            return None;
        }
        let name = if source.name.contains(['*', '?']) {
            Name::Glob(WildMatch::new(&source.name))
        } else {
            Name::Exact
        };
        Some(Self {
            kind: source.kind,
            text: source.name,
            name,
        })
    }

    /// Returns a pattern that takes exactly this name.
    pub(super) fn exact(kind: SourceKind, name: &str) -> Self {
        Self {
            kind,
            text: name.to_owned(),
            name: Name::Exact,
        }
    }

    /// Returns a pattern that takes everything of a kind.
    pub(super) fn all(kind: SourceKind) -> Self {
        Self {
            kind,
            text: "*".to_owned(),
            name: Name::Glob(WildMatch::new("*")),
        }
    }

    /// Reads a regular expression, which stands between `^` and `$`.
    pub(super) fn regex(kind: SourceKind, text: &str) -> Option<Self> {
        // What matches nothing but itself needs no automaton; most people write names.
        let plain = |byte: u8| byte.is_ascii_alphanumeric() || byte == b'-';
        if text.bytes().all(plain) {
            return Some(Self::exact(kind, text));
        }
        let regex = RegexBuilder::new(&format!("^{text}$"))
            .size_limit(REGEX_SIZE)
            .build();
        Some(Self {
            kind,
            text: text.to_owned(),
            name: Name::Regex(regex.ok()?),
        })
    }

    fn is_open(&self) -> bool {
        !matches!(self.name, Name::Exact)
    }

    fn matches(&self, source: &SourceName) -> bool {
        self.kind == source.kind
            && match &self.name {
                Name::Exact => self.text == source.name,
                Name::Glob(glob) => glob.matches(&source.name),
                Name::Regex(regex) => regex.is_match(&source.name),
            }
    }

    fn source(&self) -> Option<SourceName> {
        (!self.is_open()).then(|| SourceName {
            kind: self.kind,
            name: self.text.clone(),
        })
    }
}

impl PartialEq for Pattern {
    fn eq(&self, other: &Self) -> bool {
        let kind_of = std::mem::discriminant::<Name>;
        (self.kind, &self.text, kind_of(&self.name))
            == (other.kind, &other.text, kind_of(&other.name))
    }
}

impl fmt::Display for Pattern {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}/{}", self.kind.prefix(), self.text)
    }
}

/// The words of the opt-in: read again, they say the same.
impl fmt::Display for Rules {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let kinds: Vec<_> = if self.kinds == KindSet::all() {
            vec!["auto"]
        } else {
            self.kinds.iter().map(SourceKind::plural).collect()
        };
        let ways = [(self.env, "env"), (self.volume, "volume")];
        let ways = ways.into_iter().filter(|(said, _)| *said);
        let words = kinds.into_iter().chain(ways.map(|(_, word)| word));
        let words = words.map(ToOwned::to_owned);
        let named = self.named.iter().map(ToString::to_string);
        let excluded = self.excluded.iter().map(|pattern| format!("!{pattern}"));
        let all: Vec<_> = words.chain(named).chain(excluded).collect();
        f.write_str(&all.join(","))
    }
}
