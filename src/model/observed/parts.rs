//! A source of which containers read parts, beside what volumes hold of it.
//!
//! Older releases count all of a volume, whichever files of it containers read. So an entry may have the whole of a source
//! (`*`) where this release counts parts. And the entry of a source of which containers read a part goes on to have the
//! rest as well, as it was when that part was recorded. This release does not compare the rest. It is not rewritten when
//! a key changes that no container reads.

use super::entry::{Entry, KeyState};
use crate::model::{
    digest::Digest,
    source::Usage,
    version::{Version, WHOLE, used_keys, uses_key},
};

impl Entry {
    /// Returns the same with the parts that an older release counted with the whole. Where that is what it was, so are they.
    /// Where it changed, they count as changed: its digest does not tell which of them did. `comparable`: the digest was
    /// made under the key at hand; else the parts are adopted. `None` where that adds nothing, or is not known yet.
    pub fn as_used(&self, version: &Version, usage: &Usage, comparable: bool) -> Option<Self> {
        let mut parted = self.clone();
        let (
            Self::Seen {
                states,
                resource_version,
                ..
            },
            Self::Seen { states: now, .. },
        ) = (&mut parted, Self::of(version, usage))
        else {
            return None;
        };
        let whole = *states.get(WHOLE)?;
        let same = !comparable || whole == KeyState::Seen(version.whole);
        let new = |key: &str| usage.is_of_whole(key) && !states.contains_key(key);
        let parts: Vec<_> = now.into_iter().filter(|(key, _)| new(key)).collect();
        if parts.is_empty() || version.resource_version < *resource_version {
            return None;
        }
        let changed = KeyState::Seen(Digest::CHANGED);
        let parts = parts.into_iter();
        states.extend(parts.map(|(key, state)| (key, if same { state } else { changed })));
        if same {
            // They must not be compared with anything older than the version that they were taken from.
            *resource_version = version.resource_version;
        }
        Some(parted)
    }

    /// Whether it has a whole in the place of this part of it.
    pub(in crate::model) fn has_whole_of(&self, key: &str, usage: &Usage) -> bool {
        usage.is_of_whole(key) && self.lacks(key) && !self.lacks(WHOLE)
    }

    /// Returns the same with what else volumes hold of the source, for older releases: as it was before, where what is used
    /// is what it was; else as it is now, if that is.
    #[must_use]
    pub(in crate::model) fn with_held(
        mut self,
        before: Option<&Self>,
        version: &Version,
        usage: &Usage,
    ) -> Self {
        if usage.held.is_none() {
            return self;
        }
        let held = usage.as_held();
        let now = Self::of(version, &held);
        let as_before = before.filter(|before| before.has_parts(&self, usage));
        let as_now = Self::of(version, usage)
            .has_parts(&self, usage)
            .then_some(&now);
        let said = [as_before, as_now];
        if let Self::Seen { states, .. } = &mut self {
            for key in used_keys(&held).filter(|key| !uses_key(usage, key)) {
                let state = said.into_iter().flatten().find_map(|said| said.seen(key));
                states.extend(state.map(|state| (key.to_owned(), state)));
            }
        }
        self
    }

    fn seen(&self, key: &str) -> Option<KeyState> {
        let Self::Seen { states, .. } = self else {
            return None;
        };
        let state = states.get(key).copied();
        state.filter(|state| matches!(state, KeyState::Seen(_)))
    }

    /// Whether what is used has the same states, whatever the uid.
    fn has_parts(&self, other: &Self, usage: &Usage) -> bool {
        match (self, other) {
            (Self::Seen { states, .. }, Self::Seen { states: others, .. }) => {
                used_keys(usage).all(|key| states.get(key) == others.get(key))
            }
            _ => false,
        }
    }
}
