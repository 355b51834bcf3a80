//! Which sources an opt-in selects, in reroll's own words.

use std::sync::{Arc, LazyLock};

use super::{
    complaint::{Complaint, complaint},
    patterns::{Beyond, Pattern, Patterns},
    rules::Rules,
};
use crate::model::{
    annotation::RESTART_ON,
    nearest::nearest,
    source::{KindSet, Named, SourceKind},
};

/// The most entries an opt-in list has; the rest is not read.
pub const MAX_ENTRIES: usize = 1024;

pub(super) static EXPECTED_RESTART_ON: LazyLock<String> = LazyLock::new(|| {
    let kinds = SourceKind::ALL.map(SourceKind::plural).join(", ");
    format!("auto, {kinds}, [!]secret/NAME[#KEY] (or another kind), env, volume or off")
});

/// What an entry should be that is not among those that are read.
pub(super) const EXPECTED_EARLIER: &str =
    "among the first 1024 entries, which are all that reroll reads";

/// What people write for `auto`, in whatever case.
pub const ALL_WORDS: [&str; 7] = ["true", "yes", "on", "all", "any", "enabled", "*"];

/// The words that may be meant by one that nobody knows, and what is said then. Of three letters any may be meant.
const MEANT: [(&str, &str); 5] = [
    ("auto", EXPECTED_AUTO),
    (
        "secrets",
        "an opt-in: did you mean secrets? Nothing restarts until then",
    ),
    (
        "configmaps",
        "an opt-in: did you mean configmaps? Nothing restarts until then",
    ),
    (
        "secretproviderclasses",
        "an opt-in: did you mean secretproviderclasses? Nothing restarts until then",
    ),
    (
        "volume",
        "an opt-in: did you mean volume? Nothing restarts until then",
    ),
];

/// What an opt-in should be that is one of [`ALL_WORDS`], or nearly `auto`.
const EXPECTED_AUTO: &str = "an opt-in: did you mean auto? Nothing restarts until then";

/// Which sources count for a workload.
#[derive(Clone, Debug, PartialEq)]
pub enum Selection {
    /// The workload did not opt in.
    Off,
    /// It did, in words that cannot be read: nothing is decided until a user corrects them.
    Unreadable,
    /// It did.
    Some(Arc<Rules>),
}

impl Selection {
    /// Never takes these, whatever it says: names, or everything of a kind.
    pub(super) fn exclude(&mut self, patterns: impl IntoIterator<Item = Pattern>) {
        let mut patterns = patterns.into_iter().peekable();
        if let (Self::Some(rules), Some(_)) = (self, patterns.peek()) {
            let excluded = &mut Arc::make_mut(rules).excluded;
            patterns.for_each(|pattern| excluded.also(pattern));
        }
    }

    pub(super) fn read(text: &str, complaints: &mut Vec<Complaint>) -> Self {
        let mut rules = Rules::default();
        let (mut named, mut keyed, mut excluded) = (Vec::new(), Vec::new(), Vec::new());
        let mut tokens = text
            .split(',')
            .map(str::trim)
            .filter(|token| !token.is_empty());
        let mut read = 0;
        let kind = |word: &str| {
            SourceKind::ALL
                .into_iter()
                .find(|kind| kind.plural() == word)
        };
        for token in tokens.by_ref().take(MAX_ENTRIES) {
            match token {
                "off" => return Self::Off,
                "auto" => rules.kinds = KindSet::all(),
                "env" => rules.env = true,
                "volume" => rules.volume = true,
                word if let Some(kind) = kind(word) => rules.kinds.insert(kind),
                _ => {
                    let (not, name) = match token.strip_prefix('!') {
                        Some(name) => (true, name),
                        None => (false, token),
                    };
                    let Some(entry) = Named::read(name) else {
                        complaints.push(complaint(RESTART_ON, token, &EXPECTED_RESTART_ON));
                        continue;
                    };
                    let pattern = Pattern::of(&entry.source);
                    match (not, &entry.key) {
                        (true, None) => excluded.push(pattern),
                        (false, None) => named.push(pattern),
                        // It takes a key away, and leaves the source.
                        (true, Some(_)) => {}
                        (false, Some(_)) => keyed.push(pattern),
                    }
                    rules.lists.add(not, entry);
                }
            }
            read += 1;
        }
        if tokens.next().is_some() {
            complaints.push(complaint(RESTART_ON, "…", EXPECTED_EARLIER));
        }
        if read == 0 {
            if let Some(meant) = meant(text.trim()) {
                complaints.retain(|complaint| complaint.key != RESTART_ON);
                complaints.push(complaint(RESTART_ON, text.trim(), meant));
            } else if complaints.is_empty() {
                complaints.push(complaint(RESTART_ON, text, &EXPECTED_RESTART_ON));
            }
            return Self::Unreadable;
        }
        if let Err(beyond) = take(&mut rules, [named, keyed, excluded]) {
            complaints.push(complaint(RESTART_ON, text, expected_within(beyond)));
            return Self::Unreadable;
        }
        // `env` alone, or an exclusion alone, can only mean: of all that is referenced.
        if rules.named.is_empty() && rules.keyed.is_empty() && rules.kinds.is_empty() {
            rules.kinds = KindSet::all();
        }
        Self::Some(Arc::new(rules))
    }
}

/// Takes over what is named, what is named with keys, and what is excluded.
fn take(rules: &mut Rules, lists: [Vec<Pattern>; 3]) -> Result<(), Beyond> {
    let [named, keyed, excluded] = lists.map(Patterns::new);
    (rules.named, rules.keyed, rules.excluded) = (named?, keyed?, excluded?);
    if rules.lists.is_bounded() {
        Ok(())
    } else {
        Err(Beyond::Keys)
    }
}

/// Returns what an opt-in should be that is a single word which nobody knows; `None` where none is near.
fn meant(text: &str) -> Option<&'static str> {
    if ALL_WORDS.iter().any(|word| text.eq_ignore_ascii_case(word)) {
        return Some(EXPECTED_AUTO);
    }
    let single = !text.contains([',', '/', ':', '=', '!', '*']);
    let near = nearest(text, MEANT.iter().map(|(word, _)| *word)).filter(|_| single)?;
    let mut said = MEANT.iter().filter(|(word, _)| *word == near);
    said.next().map(|(_, said)| *said)
}

/// Returns what a list of patterns should be that is beyond a bound.
pub(super) fn expected_within(beyond: Beyond) -> &'static str {
    match beyond {
        Beyond::Globs => "short enough: all globs together have at most 2048 bytes",
        Beyond::Bytes(_) => "short enough: all expressions together have at most 2048 bytes",
        Beyond::Keys => {
            "short enough: all entries with # have at most 4096 bytes, and 16 of them a glob of keys"
        }
        Beyond::Program(_) => {
            "simple enough: all expressions together become at most 128 KiB of program"
        }
    }
}
