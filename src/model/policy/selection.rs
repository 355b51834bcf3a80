//! Which sources an opt-in selects, in reroll's own words.

use std::sync::{Arc, LazyLock};

use super::{
    complaint::{Complaint, complaint},
    meant::{OFF, bare, meant},
    patterns::{Beyond, Pattern, Patterns},
    rules::Rules,
};
use crate::model::{
    annotation::RESTART_ON,
    source::{KindSet, Named, References, SourceKind},
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

/// What a name should be whose kind nobody says.
const BARE: &str = "an entry: say its kind, as in secret/NAME or configmap/NAME";

/// The most entries of which is said what they may mean.
const MOST_MEANT: usize = 8;

/// What is so as long as nothing of an opt-in can be read.
pub(super) const UNTIL_THEN: &str = "Nothing restarts until then";

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
        Self::read_beside(text, &References::new(), complaints)
    }

    /// Reads an opt-in of a workload that uses these.
    pub(super) fn read_beside(
        text: &str,
        references: &References,
        complaints: &mut Vec<Complaint>,
    ) -> Self {
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
                OFF => return Self::Off,
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
                        complaints.push(unreadable(token, references, complaints.len()));
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
            if complaints.is_empty() {
                complaints.push(complaint(RESTART_ON, text, &**EXPECTED_RESTART_ON));
            }
            complaints.iter_mut().for_each(Complaint::of_all);
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

/// Complains of an entry that cannot be read, and says what may be meant.
fn unreadable(entry: &str, references: &References, before: usize) -> Complaint {
    let looked = before < MOST_MEANT;
    let meant = looked.then(|| meant(entry, references)).flatten();
    match (meant, bare(entry)) {
        (Some(meant), _) => Complaint {
            expected: format!("an entry: did you mean {meant}?").into(),
            meant: Some(meant),
            ..complaint(RESTART_ON, entry, "")
        },
        (None, Some(_)) => complaint(RESTART_ON, entry, BARE),
        (None, None) => complaint(RESTART_ON, entry, &**EXPECTED_RESTART_ON),
    }
}

impl Complaint {
    /// Says of an entry beside which nothing can be read what is so until it is corrected.
    fn of_all(&mut self) {
        let Some(meant) = self.meant.as_deref().filter(|_| self.key == RESTART_ON) else {
            return;
        };
        self.expected = match meant {
            OFF => format!("an opt-in: did you mean {OFF}?"),
            meant => format!("an opt-in: did you mean {meant}? {UNTIL_THEN}"),
        }
        .into();
    }
}

/// Returns what a list of patterns should be that is beyond a bound.
pub(super) fn expected_within(beyond: Beyond) -> &'static str {
    match beyond {
        Beyond::Globs => "short enough: all globs together have at most 2048 bytes",
        Beyond::Bytes(_) => "short enough: all expressions together have at most 2048 bytes",
        Beyond::Keys => {
            "short enough: all entries with # have at most 4096 bytes, 16 of them a glob, and 2 one on both sides of #"
        }
        Beyond::Program(_) => {
            "simple enough: all expressions together become at most 128 KiB of program"
        }
    }
}
