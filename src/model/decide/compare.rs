//! One source key by key.

use super::gains::Gain;
use crate::model::{
    digest::Digest,
    observed::{Entry, KeyState, KeyStates},
    source::{Need, Usage},
    version::Version,
};

/// What pods have of a key that they gained and that was written since: something that nothing has any more. It stays so until a
/// restart, whatever else is recorded meanwhile.
pub(super) const CHANGED: KeyState = KeyState::Seen(Digest::CHANGED);

/// One source's states, old beside new, on the keys that are used now.
pub(super) struct Compared {
    /// Keys whose data is other than what was seen.
    pub(super) changed: Vec<String>,
    /// The states if nothing restarts: old ones where there are, new ones where the key is new or was waited for.
    pub(super) kept: KeyStates,
    /// Whether any of `kept` is a new one.
    pub(super) adopted: bool,
    /// Whether how old pods are must be looked up for a key that is new.
    pub(super) asks: bool,
}

impl Compared {
    #[expect(clippy::match_same_arms, reason = "the rows of a table, in its order")]
    /// Compares the keys that both have; `comparable`: digests were made under the same key; `gain` tells of a key that
    /// is new.
    pub(super) fn of(
        old: &KeyStates,
        new: &KeyStates,
        usage: &Usage,
        comparable: bool,
        gain: impl Fn(&str) -> Gain,
    ) -> Self {
        let mut compared = Self {
            changed: Vec::new(),
            kept: KeyStates::new(),
            adopted: false,
            asks: false,
        };
        for (key, new_state) in new {
            let required = usage.need_of(key) != Need::Optional;
            let (kept, changed) = match (old.get(key), new_state) {
                (None, new @ KeyState::Seen(_)) => match gain(key) {
                    Gain::Adopt => (*new, false),
                    Gain::Ask => {
                        compared.asks = true;
                        continue;
                    }
                    Gain::Changed => (CHANGED, true),
                },
                (None, new) => (*new, false),
                (Some(KeyState::Seen(_)), KeyState::Seen(_)) if !comparable => (*new_state, false),
                (Some(old @ KeyState::Seen(before)), KeyState::Seen(after)) => {
                    (*old, before != after)
                }
                (Some(old @ KeyState::Seen(_)), KeyState::Waiting | KeyState::Unknown) => {
                    (*old, !required)
                }
                (Some(KeyState::Waiting), new) => (*new, false),
                (Some(old @ KeyState::Unknown), KeyState::Seen(_)) => (*old, true),
                (Some(old @ KeyState::Unknown), KeyState::Waiting | KeyState::Unknown) => {
                    (*old, false)
                }
            };
            compared.adopted |= old.get(key) != Some(&kept);
            compared.kept.insert(key.clone(), kept);
            if changed {
                compared.changed.push(key.clone());
            }
        }
        compared
    }
}

/// Whether a key is absent that new pods need, and that pods may have. Where no pod is known to have a file, new ones are no
/// worse off without it.
pub(super) fn lacks_more(usage: &Usage, version: &Version, old: &KeyStates) -> bool {
    usage.demanded().any(|key| {
        let had = matches!(old.get(key), Some(KeyState::Seen(_)));
        version.used(key).is_none() && (had || usage.need_of(key) == Need::Required)
    })
}

/// Returns the entry with absent required keys as *unknown*: pods run, so they may run without them.
pub(super) fn unknown_keys(entry: Entry) -> Entry {
    entry.map_states(|_, state| match state {
        KeyState::Waiting => KeyState::Unknown,
        KeyState::Seen(_) | KeyState::Unknown => state,
    })
}
