//! What is asked in Reloader's words, said in reroll's.
//!
//! reroll's words are only told where they mean the same: they are read again, and what they take is compared with what
//! Reloader's take. Where they cannot say it, Reloader's stay, and [`Lack`] says what is missing.

mod globs;

use std::fmt;

use self::globs::globs;
use super::{Defaults, Pattern, Policy, Rules, Selection, patterns::Form, rules::words_of_kinds};
use crate::model::{
    annotation::{
        RESTART_ON,
        reloader::{DOMAIN, IGNORE, PAUSE_PERIOD, ROLLOUT_STRATEGY, SEARCH, selecting},
    },
    source::{SourceKind, SourceName},
    workload::{Asks, Kind, RestartMeans, Workload},
};

/// How reroll's words say what a workload asks for in Reloader's.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct OwnWords {
    /// The opt-in to write; `None` where there is none to write, or none says the same.
    pub restart_on: Option<String>,
    /// The nearest opt-in, where none says the same.
    pub nearest: Option<String>,
    /// What the nearest one lacks.
    pub lacks: Vec<Lack>,
    /// Annotations of Reloader's that stay: reroll has no words of its own for them.
    pub stay: Vec<String>,
    /// Annotations of Reloader's that say nothing any more.
    pub go: Vec<String>,
}

/// What reroll's words cannot say.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Lack {
    /// What asks to be found.
    Search,
    /// An expression that is no glob.
    Expression(SourceKind, String),
    /// What is named counts as a whole, and in reroll's words only the keys that are read.
    Keys(SourceName, Vec<String>),
    /// They take a source in another way.
    Otherwise(SourceName),
    /// What is written cannot be read.
    Unreadable,
}

impl OwnWords {
    /// Returns how reroll's words say what a workload asks for. `names`: the sources that there are beside it.
    pub fn of(
        (kind, workload): (Kind, &Workload),
        defaults: Defaults<'_>,
        names: &[&SourceName],
    ) -> Self {
        let asks = &workload.asks;
        let (policy, _) = Policy::read(asks, defaults);
        let mut own = Self::default();
        let mut selects = Vec::new();
        for key in asks.keys().filter(|key| key.contains(DOMAIN)) {
            let stays = match key.as_str() {
                PAUSE_PERIOD => kind.gathers && policy.gather.is_some(),
                ROLLOUT_STRATEGY => kind.means == RestartMeans::RestartAt,
                key if is_of_selection(key) => {
                    selects.push(key.to_owned());
                    continue;
                }
                _ => false,
            };
            let list = if stays { &mut own.stay } else { &mut own.go };
            list.push(key.clone());
        }
        if selects.is_empty() {
            return own;
        }
        if asks.contains_key(RESTART_ON) {
            own.go.append(&mut selects);
            return own;
        }
        match &policy.selection {
            Selection::Off => own.restart_on = says_off(asks).then(|| "off".to_owned()),
            Selection::Unreadable => own.lacks.push(Lack::Unreadable),
            Selection::Some(rules) => {
                let (words, mut lacks) = rules.in_own_words();
                if let Some(words) = words {
                    let asked = replaced(asks, &selects, &words);
                    let (other, _) = Policy::read(&asked, defaults);
                    if lacks.is_empty() {
                        lacks = differences(rules, &other.selection, workload, names);
                    }
                    let whole = if lacks.is_empty() {
                        &mut own.restart_on
                    } else {
                        &mut own.nearest
                    };
                    *whole = Some(words);
                }
                own.lacks = lacks;
            }
        }
        let list = if own.lacks.is_empty() {
            &mut own.go
        } else {
            &mut own.stay
        };
        list.append(&mut selects);
        own
    }
}

/// Whether an annotation says what is taken, or not.
fn is_of_selection(key: &str) -> bool {
    let excludes = SourceKind::ALL.map(|kind| kind.reloader().exclude);
    key == IGNORE || excludes.contains(&key) || selecting().any(|known| known == key)
}

/// Whether a workload that takes nothing says so itself.
fn says_off(asks: &Asks) -> bool {
    let ignored = asks.get(IGNORE).is_some();
    let all = Defaults {
        all: true,
        ..Defaults::default()
    };
    let by_all = !Policy::read(asks, all).0.opted_in();
    selecting().any(|key| asks.contains_key(key)) || (ignored && by_all)
}

/// Returns what is asked where an opt-in stands in the place of annotations.
fn replaced(asks: &Asks, keys: &[String], words: &str) -> Asks {
    let stay = asks.iter().filter(|(key, _)| !keys.contains(key));
    let stay = stay.map(|(key, value)| (key.clone(), value.clone()));
    let own = (RESTART_ON.to_owned(), words.to_owned());
    stay.chain([own]).collect()
}

/// Returns what an opt-in takes otherwise than another, of what a workload uses and of the sources that there are.
fn differences(
    rules: &Rules,
    other: &Selection,
    workload: &Workload,
    names: &[&SourceName],
) -> Vec<Lack> {
    let Selection::Some(other) = other else {
        return vec![Lack::Unreadable];
    };
    let asked: Vec<_> = rules.names().chain(other.names()).collect();
    let beside = || names.iter().copied().chain(asked.iter().copied());
    let [one, two] =
        [rules, other.as_ref()].map(|rules| rules.select(&workload.references, beside()));
    let all = one
        .iter()
        .chain(two.iter().filter(|(name, _)| !one.contains_key(*name)));
    let lacks = all.filter_map(|(name, _)| match (one.get(name), two.get(name)) {
        (Some(one), Some(two)) if one == two => None,
        (Some(one), Some(two)) if one.whole && !two.whole => {
            let keys = two.keys.keys().cloned().collect();
            Some(Lack::Keys(name.clone(), keys))
        }
        _ => Some(Lack::Otherwise(name.clone())),
    });
    lacks.collect()
}

impl Rules {
    /// Returns the opt-in that is nearest to it in reroll's words, if any is near, and what that lacks.
    fn in_own_words(&self) -> (Option<String>, Vec<Lack>) {
        let mut words = words_of_kinds(self.kinds);
        let mut lacks = Vec::new();
        for pattern in self.named.iter() {
            match pattern.in_own_words() {
                Some(mut names) => words.append(&mut names),
                None => lacks.push(Lack::Expression(pattern.kind(), pattern.text().to_owned())),
            }
        }
        if !self.search.is_empty() {
            lacks.push(Lack::Search);
        }
        if words.is_empty() {
            return (None, lacks);
        }
        // A name that no object can have excludes nothing.
        let excluded = self.excluded.iter().filter_map(Pattern::in_own_words);
        let excluded = excluded.flatten().map(|name| format!("!{name}"));
        words.extend(excluded);
        (Some(words.join(",")), lacks)
    }
}

impl Pattern {
    /// Returns the names and globs that take the same; `None` where none do. A dot in a name is meant as a dot.
    fn in_own_words(&self) -> Option<Vec<String>> {
        let names = match self.form() {
            Form::Exact | Form::Glob | Form::Dotted => vec![self.text().to_owned()],
            Form::Expression => globs(self.text())?,
        };
        let prefix = self.kind().prefix();
        let words = names.iter().map(|name| {
            let word = format!("{prefix}/{name}");
            Self::read(&word).map(|_| word)
        });
        words.collect()
    }
}

impl fmt::Display for Lack {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Search => write!(
                f,
                "there is no word for {SEARCH}, which takes what has match"
            ),
            Self::Expression(kind, text) => {
                write!(f, "no glob says the same as {}/{text}", kind.prefix())
            }
            Self::Keys(source, keys) => write!(
                f,
                "of {} only key {} would count, which the pod template reads, and now all of it does",
                source.spoken(),
                keys.join(", ")
            ),
            Self::Otherwise(source) => write!(f, "{} would count otherwise", source.spoken()),
            Self::Unreadable => f.write_str("what is written cannot be read: correct it first"),
        }
    }
}

#[cfg(test)]
mod tests;
