//! Which keys of a source an opt-in takes, where it does not take all that pods read: `secret/uber#db_32`,
//! `configmap/cfg#feature-*`, `!secret/uber#legacy`.
//!
//! What is taken is what pods read *and* a list names. So a list only makes less of a [`Usage`]. Of a source that is read
//! whole (`envFrom`, a volume without `items`) it makes single keys. Keys that a glob takes are recorded together, under the
//! glob ([`KeyGlob`]): one digest of all of them, as `*` is one of the whole. So a key that comes, or goes, is a change, too.
//!
//! A key that a list leaves out is not compared. Where pods do not start without it, it is still needed
//! ([`Usage::demanded`]): a restart would only break.

use std::{borrow::Cow, fmt};

use litemap::LiteMap;
use wildmatch::WildMatch;

use super::{
    named::{Named, is_glob},
    names::SourceName,
    references::References,
    usage::{Need, Usage},
};

/// The most bytes that the entries with a key have together, and so what `observed` says of them.
pub const MAX_LISTED_BYTES: usize = 4096;

/// The most entries with a glob of keys. Each looks at all keys of a source.
pub const MAX_KEY_GLOBS: usize = 16;

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
        let globs = self.0.iter().filter(|listed| is_glob(&listed.key));
        self.to_string().len() <= MAX_LISTED_BYTES && globs.count() <= MAX_KEY_GLOBS
    }

    /// Returns what is taken of a source that is used so; `None` where that is all of it.
    pub fn narrowed(&self, source: &SourceName, usage: &Usage) -> Option<Usage> {
        if self.is_empty() {
            return None;
        }
        let here = self.0.iter().filter(|listed| listed.is_of(source));
        let (not, only): (Vec<_>, Vec<_>) = here.partition(|listed| listed.excluded);
        let keys = |listed: Vec<&Listed>| listed.into_iter().map(|one| one.key.clone()).collect();
        let list = List {
            only: keys(only),
            not: keys(not),
        };
        (!list.takes_all()).then(|| list.narrowed(usage))
    }

    /// Returns what is taken of all of these.
    pub fn of_all<'a>(&self, references: &'a References) -> Cow<'a, References> {
        if self.is_empty() {
            return Cow::Borrowed(references);
        }
        let narrowed = references.iter().map(|(source, usage)| {
            let narrowed = self.narrowed(source, usage);
            (source.clone(), narrowed.unwrap_or_else(|| usage.clone()))
        });
        Cow::Owned(narrowed.collect())
    }
}

impl Listed {
    fn is_of(&self, source: &SourceName) -> bool {
        self.source.kind == source.kind && fits(&self.source.name, &source.name)
    }

    /// Returns the key as people read it: `key a`, or `key like a-*`.
    pub fn spoken_key(&self) -> String {
        let like = if is_glob(&self.key) { "like " } else { "" };
        format!("key {like}{}", self.key)
    }

    /// Whether it names this key.
    pub fn names(&self, key: &str) -> bool {
        fits(&self.key, key)
    }

    /// Whether nothing of a source that is used so is what it names, though pods read some of it.
    pub fn names_nothing_of(&self, usage: &Usage) -> bool {
        let named = |key: &String| self.names(key);
        usage.is_read() && !usage.whole && !usage.keys.keys().any(named)
    }
}

/// Whether a name is the one that is written, or the glob that is written takes it.
fn fits(written: &str, name: &str) -> bool {
    if is_glob(written) {
        WildMatch::new(written).matches(name)
    } else {
        written == name
    }
}

/// What an opt-in says of the keys of one source.
struct List {
    /// Only these; all where there are none.
    only: Vec<String>,
    /// Not these.
    not: Vec<String>,
}

impl List {
    fn takes_all(&self) -> bool {
        self.not.is_empty() && (self.only.is_empty() || self.only.iter().any(|key| key == ALL))
    }

    fn takes(&self, key: &str) -> bool {
        let is_it = |written: &String| fits(written, key);
        (self.only.is_empty() || self.only.iter().any(is_it)) && !self.not.iter().any(is_it)
    }

    /// Returns the keys under which this is recorded of a source that is read whole.
    fn of_whole(&self) -> Vec<String> {
        let all = self.only.is_empty() || self.only.iter().any(|key| key == ALL);
        let only = if all {
            vec![ALL.to_owned()]
        } else {
            self.only.clone()
        };
        let recorded = only.into_iter().filter_map(|written| {
            if !is_glob(&written) {
                return self.takes(&written).then_some(written);
            }
            // All that it takes is taken away again.
            if self.not.iter().any(|not| not == ALL || *not == written) {
                return None;
            }
            let but = self.not.iter();
            let but = but.filter(|not| is_glob(not) || fits(&written, not));
            Some(but.fold(written.clone(), |name, not| format!("{name}{BUT}{not}")))
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
    glob: WildMatch,
    but: Vec<&'a str>,
    start: &'a str,
}

impl<'a> KeyGlob<'a> {
    /// Reads what is recorded of a source; `None` where it is a key.
    pub fn read(recorded: &'a str) -> Option<Self> {
        let mut parts = recorded.split(BUT);
        let written = parts.next().filter(|written| is_glob(written))?;
        Some(Self {
            glob: WildMatch::new(written),
            but: parts.collect(),
            start: written.split(['*', '?']).next().unwrap_or_default(),
        })
    }

    /// Returns what each key that it takes begins with.
    pub fn start(&self) -> &'a str {
        self.start
    }

    /// Whether it takes a key.
    pub fn takes(&self, key: &str) -> bool {
        self.glob.matches(key) && !self.but.iter().any(|but| fits(but, key))
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
