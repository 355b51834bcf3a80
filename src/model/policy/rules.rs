//! Which sources an opt-in takes: what is referenced, and what is named.

use std::{cell::LazyCell, fmt};

use super::patterns::{Patterns, Ready};
use crate::model::source::{
    KeyLists, KindSet, ReadyLists, References, SourceKind, SourceName, Usage,
};

/// A readable opt-in.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Rules {
    /// Whatever is referenced of these kinds.
    pub kinds: KindSet,
    /// Of the referenced ones only those read into environment variables.
    pub env: bool,
    /// Of the referenced ones only those read into files.
    pub volume: bool,
    /// Of the referenced ones of these kinds those that ask to be found, `reloader.stakater.com/match`.
    pub search: KindSet,
    /// What is named counts as a whole, whichever of its keys the template reads.
    pub whole: bool,
    /// By name or glob, referenced or not.
    pub named: Patterns,
    /// The same where keys are named as well: only those of [`Self::lists`] count.
    pub keyed: Patterns,
    /// Of which sources only some keys count, whatever takes the source.
    pub lists: KeyLists,
    /// Never these.
    pub excluded: Patterns,
}

impl Rules {
    /// Returns the references that count, and how they are used. `others` are the names of the namespace's sources
    /// that a glob may match.
    pub fn select<'a>(
        &self,
        references: &References,
        others: impl Iterator<Item = &'a SourceName>,
    ) -> References {
        self.select_knowing(references, others, |_, _| None)
    }

    /// Returns the same where some of it is known: how a source counts that is referenced so, or is not.
    pub fn select_knowing<'a, 'b>(
        &self,
        references: &References,
        others: impl Iterator<Item = &'a SourceName>,
        known: impl Fn(&SourceName, Option<&Usage>) -> Option<Option<&'b Usage>>,
    ) -> References {
        let ready = LazyCell::new(|| self.ready());
        let take = |source: &SourceName, usage| match known(source, Some(usage)) {
            Some(known) => known.cloned(),
            None => ready.take(source, usage),
        };
        let mut selected: References = references
            .iter()
            .filter_map(|(source, usage)| Some((source.clone(), take(source, usage)?)))
            .collect();
        let takes = |source: &&SourceName| match known(source, None) {
            Some(known) => known.is_some(),
            None => ready.takes(source),
        };
        let mut add = |source: &SourceName| {
            if let Some(usage) = self.named_usage(source) {
                selected.entry(source.clone()).or_insert(usage);
            }
        };
        let unreferenced = |source: &&SourceName| !references.contains_key(source);
        let exact = self.names().filter(unreferenced);
        exact.filter(takes).for_each(&mut add);
        if self.has_globs() {
            let others = others.filter(unreferenced);
            others.filter(takes).for_each(add);
        }
        selected
    }

    /// Returns how one source counts that is referenced so, or is not. `exists`: or did when it was observed.
    pub fn select_one(
        &self,
        source: &SourceName,
        referenced: Option<&Usage>,
        exists: bool,
    ) -> Option<Usage> {
        match referenced {
            Some(usage) => self.ready().take(source, usage),
            None if (exists || self.has_name(source)) && self.takes(source) => {
                self.named_usage(source)
            }
            None => None,
        }
    }

    /// Returns how a source counts that is named and not referenced; `None` where nothing of it does.
    fn named_usage(&self, source: &SourceName) -> Option<Usage> {
        let usage = Usage::named();
        let usage = self.lists.narrowed(source, &usage).unwrap_or(usage);
        usage.counts().then_some(usage)
    }

    /// Returns whether a name or glob takes a source, excluded or not.
    pub(super) fn naming(&self) -> impl Fn(&SourceName) -> bool {
        let ready = self.ready();
        move |source| ready.names(source)
    }

    /// Whether a name or glob takes this source, and no other excludes it.
    pub fn takes(&self, source: &SourceName) -> bool {
        self.ready().takes(source)
    }

    /// Whether names have to be matched, and not just looked up.
    pub fn has_patterns(&self) -> bool {
        self.has_globs() || self.excluded.is_open()
    }

    /// Whether what it selects depends on which sources exist.
    pub fn has_globs(&self) -> bool {
        self.named.is_open() || self.keyed.is_open()
    }

    /// Returns what is named, and not by a pattern.
    pub fn names(&self) -> impl Iterator<Item = &SourceName> {
        self.named.exact().chain(self.keyed.exact())
    }

    /// Whether it is named, and not by a pattern.
    pub fn has_name(&self, source: &SourceName) -> bool {
        self.named.has_exact(source) || self.keyed.has_exact(source)
    }

    /// Whether expressions take memory while they are ready for use.
    pub fn has_expressions(&self) -> bool {
        self.named.has_expressions()
    }

    /// Whether its expressions are ready for use.
    #[cfg(test)]
    pub(crate) fn is_ready(&self) -> bool {
        self.named.is_ready()
    }

    /// Puts the automata of expressions away; each use makes them again.
    pub fn put_away(&mut self) {
        self.named.put_away();
    }

    fn ready(&self) -> ReadyRules<'_> {
        ReadyRules {
            rules: self,
            named: self.named.ready(),
            keyed: self.keyed.ready(),
            excluded: self.excluded.ready(),
            lists: self.lists.ready(),
        }
    }
}

/// Rules that are ready to look at many names.
struct ReadyRules<'a> {
    rules: &'a Rules,
    named: Ready<'a>,
    keyed: Ready<'a>,
    excluded: Ready<'a>,
    lists: ReadyLists<'a>,
}

impl ReadyRules<'_> {
    fn takes(&self, source: &SourceName) -> bool {
        self.names(source) && !self.excluded.takes(source)
    }

    fn names(&self, source: &SourceName) -> bool {
        self.named.takes(source) || self.keyed.takes(source)
    }

    /// Returns how a reference counts, if it does.
    fn take(&self, source: &SourceName, usage: &Usage) -> Option<Usage> {
        let rules = self.rules;
        let kind = rules.kinds.contains(source.kind);
        let narrowed = rules.env || rules.volume;
        let way = !narrowed || (rules.env && usage.env) || (rules.volume && usage.volume);
        let named = self.names(source);
        let taken = named || (kind && way);
        // To name what no container reads is to ask for all of it.
        let unread = named && !usage.is_read();
        if !(named || usage.counts()) {
            return None;
        }
        if self.excluded.takes(source) || !(taken || rules.search.contains(source.kind)) {
            return None;
        }
        let usage = Usage {
            whole: usage.whole || unread || (named && rules.whole),
            if_matched: !taken,
            ..usage.clone()
        };
        match self.lists.narrowed(source, &usage) {
            Some(narrowed) => narrowed.counts().then_some(narrowed),
            None => Some(usage),
        }
    }
}

/// Returns the words for whatever is referenced of these kinds.
pub(super) fn words_of_kinds(kinds: KindSet) -> Vec<String> {
    if kinds == KindSet::all() {
        return vec!["auto".to_owned()];
    }
    let words = kinds.iter().map(SourceKind::plural);
    words.map(ToOwned::to_owned).collect()
}

/// The words of the opt-in: read again, they say the same.
impl fmt::Display for Rules {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let kinds = words_of_kinds(self.kinds);
        let ways = [(self.env, "env"), (self.volume, "volume")];
        let ways = ways.into_iter().filter(|(said, _)| *said);
        let words = kinds
            .into_iter()
            .chain(ways.map(|(_, word)| word.to_owned()));
        let named = self.named.iter().map(ToString::to_string);
        let excluded = self.excluded.iter().map(|pattern| format!("!{pattern}"));
        let lists = self.lists.iter().map(ToString::to_string);
        let all: Vec<_> = words.chain(named).chain(excluded).chain(lists).collect();
        f.write_str(&all.join(","))
    }
}
