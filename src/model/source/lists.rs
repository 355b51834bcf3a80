//! Which keys of a source an opt-in takes, where it does not take all that pods read: `secret/uber#db_32`,
//! `configmap/cfg#feature-*`, `!secret/uber#legacy`.
//!
//! What is taken is what pods read *and* a list names. So a list only makes less of a [`Usage`]. Of a source that is read
//! whole (`envFrom`, a volume without `items`) it makes single keys. Keys that a glob takes are recorded together, under the
//! glob ([`KeyGlob`]): one digest of all of them, as `*` is one of the whole. So a key that comes, or goes, is a change, too.
//!
//! A key that a list leaves out is not compared. Where pods do not start without it, it is still needed
//! ([`Usage::demanded`]): a restart would only break.

use std::{borrow::Cow, collections::BTreeSet, fmt};

use litemap::LiteMap;

use super::{
    glob::{Glob, is_glob},
    named::Named,
    names::SourceName,
    references::References,
    usage::{Need, Usage},
};

/// The most bytes that the entries with a key have together, and so what `observed` says of them.
pub const MAX_LISTED_BYTES: usize = 4096;

/// The most entries with a glob. Each of keys looks at all keys of a source, and each of names at all sources.
pub const MAX_KEY_GLOBS: usize = 16;

/// The most entries with a glob of names and one of keys: they look at all keys of all sources.
pub const MAX_WIDE_GLOBS: usize = 2;

/// All keys of a source: how the whole is written where keys stand.
const ALL: &str = "*";

/// The entries of an opt-in that name keys, in an order that does not depend on how they are written.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct KeyLists(Vec<Listed>);

/// One of them.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Listed {
    /// It takes the key away.
    pub excluded: bool,
    /// What it names.
    pub source: SourceName,
    /// The key, or a glob.
    pub key: String,
}

impl KeyLists {
    /// Adds an entry; one without a key says nothing here.
    pub fn add(&mut self, excluded: bool, named: Named) {
        let Some(key) = named.key else {
            return;
        };
        let listed = Listed {
            excluded,
            source: named.source,
            key,
        };
        if let Err(place) = self.0.binary_search(&listed) {
            self.0.insert(place, listed);
        }
    }

    /// Reads what [`Self`] prints; `None` where it is something else.
    pub fn read(text: &str) -> Option<Self> {
        let mut lists = Self::default();
        for entry in text.split(',').filter(|_| !text.is_empty()) {
            let (excluded, name) = match entry.strip_prefix('!') {
                Some(name) => (true, name),
                None => (false, entry),
            };
            let named = Named::read(name).filter(|named| named.key.is_some())?;
            lists.add(excluded, named);
        }
        (lists.to_string() == text).then_some(lists)
    }

    /// Whether all that pods read is taken.
    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// Returns its entries.
    pub fn iter(&self) -> impl Iterator<Item = &Listed> {
        self.0.iter()
    }

    /// Whether there are no more than reroll follows.
    pub fn is_bounded(&self) -> bool {
        let globs = |listed: &&Listed| [&listed.source.name, &listed.key].map(|name| is_glob(name));
        let globs: Vec<_> = self.0.iter().map(|listed| globs(&listed)).collect();
        let any = globs.iter().filter(|globs| globs.contains(&true)).count();
        let wide = globs.iter().filter(|globs| !globs.contains(&false)).count();
        self.to_string().len() <= MAX_LISTED_BYTES && any <= MAX_KEY_GLOBS && wide <= MAX_WIDE_GLOBS
    }

    /// Returns what is taken of a source that is used so; `None` where that is all of it.
    pub fn narrowed(&self, source: &SourceName, usage: &Usage) -> Option<Usage> {
        self.ready().narrowed(source, usage)
    }

    /// Returns what is taken of all of these.
    pub fn of_all<'a>(&self, references: &'a References) -> Cow<'a, References> {
        if self.is_empty() {
            return Cow::Borrowed(references);
        }
        let ready = self.ready();
        let narrowed = references.iter().map(|(source, usage)| {
            let narrowed = ready.narrowed(source, usage);
            (source.clone(), narrowed.unwrap_or_else(|| usage.clone()))
        });
        Cow::Owned(narrowed.collect())
    }

    /// Gets them ready to look at many sources.
    pub fn ready(&self) -> ReadyLists<'_> {
        let ready = |listed| (Written::of(&Listed::source(listed).name), listed);
        ReadyLists(self.0.iter().map(ready).collect())
    }
}

/// Lists that are ready for use.
pub struct ReadyLists<'a>(Vec<(Written<'a>, &'a Listed)>);

impl ReadyLists<'_> {
    /// Returns what is taken of a source that is used so; `None` where that is all of it.
    pub fn narrowed(&self, source: &SourceName, usage: &Usage) -> Option<Usage> {
        let is_here = |(name, listed): &&(Written, &Listed)| {
            listed.source.kind == source.kind && name.takes(&source.name)
        };
        let here = self.0.iter().filter(is_here).map(|(_, listed)| *listed);
        let (not, only): (Vec<_>, Vec<_>) = here.partition(|listed| listed.excluded);
        let list = List {
            only: Words::of(only),
            not: Words::of(not),
        };
        (!list.takes_all()).then(|| list.narrowed(usage))
    }
}

impl Listed {
    fn source(&self) -> &SourceName {
        &self.source
    }

    /// Returns the key as people read it: `key a`, or `key like a-*`.
    pub fn spoken_key(&self) -> String {
        let like = if is_glob(&self.key) { "like " } else { "" };
        format!("key {like}{}", self.key)
    }

    /// Whether it names one of these keys.
    pub fn names_any<'a>(&self, mut keys: impl Iterator<Item = &'a str>) -> bool {
        let written = Written::of(&self.key);
        keys.any(|key| written.takes(key))
    }

    /// Whether nothing of a source that is used so is what it names, though pods read some of it.
    pub fn names_nothing_of(&self, usage: &Usage) -> bool {
        let keys = usage.keys.keys().map(String::as_str);
        usage.is_read() && !usage.whole && !self.names_any(keys)
    }
}

/// A name, or a glob, that is ready for use.
enum Written<'a> {
    Exact(&'a str),
    Glob(Glob),
}

impl<'a> Written<'a> {
    fn of(text: &'a str) -> Self {
        if is_glob(text) {
            Self::Glob(Glob::new(text))
        } else {
            Self::Exact(text)
        }
    }

    fn takes(&self, name: &str) -> bool {
        match self {
            Self::Exact(written) => *written == name,
            Self::Glob(glob) => glob.takes(name),
        }
    }
}

/// Keys, and globs of keys.
#[derive(Default)]
struct Words<'a> {
    all: Vec<&'a str>,
    exact: BTreeSet<&'a str>,
    globs: Vec<Glob>,
}

impl<'a> Words<'a> {
    fn of(listed: Vec<&'a Listed>) -> Self {
        listed.into_iter().map(|one| one.key.as_str()).collect()
    }

    /// Whether any of them takes a key.
    fn take(&self, key: &str) -> bool {
        self.exact.contains(key) || self.globs.iter().any(|glob| glob.takes(key))
    }

    fn have(&self, written: &str) -> bool {
        self.all.contains(&written)
    }
}

impl<'a> FromIterator<&'a str> for Words<'a> {
    fn from_iter<I: IntoIterator<Item = &'a str>>(all: I) -> Self {
        let all: Vec<_> = all.into_iter().collect();
        let (globs, exact): (Vec<&str>, Vec<&str>) = all.iter().partition(|name| is_glob(name));
        Self {
            exact: exact.into_iter().collect(),
            globs: globs.into_iter().map(Glob::new).collect(),
            all,
        }
    }
}

/// What an opt-in says of the keys of one source.
struct List<'a> {
    /// Only these; all where there are none.
    only: Words<'a>,
    /// Not these.
    not: Words<'a>,
}

impl List<'_> {
    fn takes_all(&self) -> bool {
        self.not.all.is_empty() && (self.only.all.is_empty() || self.only.have(ALL))
    }

    fn takes(&self, key: &str) -> bool {
        (self.only.all.is_empty() || self.only.take(key)) && !self.not.take(key)
    }

    /// Returns the keys under which this is recorded of a source that is read whole.
    fn of_whole(&self) -> Vec<String> {
        let all = self.only.all.is_empty() || self.only.have(ALL);
        let only = if all { &[ALL][..] } else { &self.only.all };
        let recorded = only.iter().filter_map(|written| {
            if !is_glob(written) {
                return self.takes(written).then(|| (*written).to_owned());
            }
            // All that it takes is taken away again.
            if self.not.have(ALL) || self.not.have(written) {
                return None;
            }
            let glob = Glob::new(written);
            let but = self.not.all.iter();
            let but = but.filter(|not| is_glob(not) || glob.takes(not));
            Some(but.fold((*written).to_owned(), |name, not| {
                format!("{name}{BUT}{not}")
            }))
        });
        recorded.collect()
    }

    fn narrowed(&self, usage: &Usage) -> Usage {
        let mut narrowed = Usage {
            whole: false,
            keys: LiteMap::new(),
            held: None,
            left_out: None,
            ..usage.clone()
        };
        let mut left_out = LiteMap::new();
        let held = usage.held.iter().flat_map(|held| held.keys.iter());
        for (key, need) in usage.keys.iter() {
            if self.takes(key) {
                narrowed.keys.insert(key.clone(), *need);
            }
        }
        for (key, need) in usage.keys.iter().chain(held) {
            match narrowed.keys.get_mut(key) {
                Some(known) => *known = (*known).max(*need),
                None if *need != Need::Optional => {
                    let known = left_out.entry(key.clone()).or_insert(*need);
                    *known = (*known).max(*need);
                }
                None => {}
            }
        }
        if usage.whole {
            for key in self.of_whole() {
                // Pods start without any one of them.
                narrowed.keys.try_insert(key, Need::Optional);
            }
        }
        narrowed.left_out = (!left_out.is_empty()).then(|| Box::new(left_out));
        narrowed
    }
}

/// As it is read, in an order of its own.
impl fmt::Display for KeyLists {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let all: Vec<_> = self.0.iter().map(ToString::to_string).collect();
        f.write_str(&all.join(","))
    }
}

impl fmt::Display for Listed {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let not = if self.excluded { "!" } else { "" };
        write!(f, "{not}{}#{}", self.source, self.key)
    }
}

/// What stands before each key, or glob, that a glob does not take. No key can contain it.
const BUT: char = '!';

/// Keys that are recorded together, under a name that no key can have: `feature-*`, or `*!legacy` for all but one.
pub struct KeyGlob<'a> {
    glob: Glob,
    but: Words<'a>,
}

impl<'a> KeyGlob<'a> {
    /// Reads what is recorded of a source; `None` where it is a key.
    pub fn read(recorded: &'a str) -> Option<Self> {
        let mut parts = recorded.split(BUT);
        let written = parts.next().filter(|written| is_glob(written))?;
        Some(Self {
            glob: Glob::new(written),
            but: parts.collect(),
        })
    }

    /// Returns what each key that it takes begins with.
    pub fn start(&self) -> &str {
        self.glob.start()
    }

    /// Returns how often it goes through each letter of a key, to see whether it takes it.
    pub fn passes(&self) -> usize {
        usize::from(!self.glob.is_prefix()) + self.but.globs.len()
    }

    /// Whether it takes a key.
    pub fn takes(&self, key: &str) -> bool {
        self.glob.takes(key) && !self.but.take(key)
    }
}

/// Returns what is recorded of a source as people read it: a key, or `feature-* but feature-x`.
pub fn spoken_key(recorded: &str) -> Cow<'_, str> {
    match recorded.split_once(BUT) {
        None => Cow::Borrowed(recorded),
        Some((glob, but)) => {
            let glob = if glob == ALL { "all" } else { glob };
            let but: Vec<_> = but.split(BUT).collect();
            Cow::Owned(format!("{glob} but {}", but.join(" and ")))
        }
    }
}

/// Returns the word for one or several of what is recorded of a source.
pub fn key_word<'a>(mut recorded: impl Iterator<Item = &'a str>) -> &'static str {
    let first = recorded.next();
    let one = recorded.next().is_none() && first.is_some_and(|key| !is_glob(key));
    if one { "key" } else { "keys" }
}

#[cfg(test)]
mod tests;
