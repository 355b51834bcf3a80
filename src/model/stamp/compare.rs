//! What an entry has against what there is now, and what becomes of its keys.

use crate::model::{
    observed::{Entry, KeyState},
    source::{Need, Usage},
};

/// Whether nothing changed that pods have.
pub(super) fn same_versions(before: &Entry, now: &Entry) -> bool {
    match (before, now) {
        (Entry::Seen { uid: a, .. }, Entry::Seen { uid: b, .. }) => {
            a == b && same_data(before, now)
        }
        _ => before == now,
    }
}

/// Whether the data is the same, whatever the uid.
pub(super) fn same_data(before: &Entry, now: &Entry) -> bool {
    match (before, now) {
        (Entry::Seen { states: old, .. }, Entry::Seen { states: new, .. }) => new
            .iter()
            .all(|(key, state)| old.get(key).is_none_or(|old| old == state)),
        _ => false,
    }
}

/// Returns the old entry with exactly the keys that are used now, so that nothing is written where nothing changed.
pub(super) fn with_keys_of(before: &Entry, now: &Entry) -> Entry {
    match (before, now) {
        (
            Entry::Seen {
                uid,
                resource_version,
                states: old,
                immutable,
            },
            Entry::Seen {
                states,
                resource_version: live,
                immutable: is_immutable,
                uid: live_uid,
            },
        ) => {
            // A key that is used newly must not be compared with anything older than the version it was seen in.
            let newly = states.keys().any(|key| !old.contains_key(key));
            Entry::Seen {
                uid: uid.clone(),
                resource_version: if newly {
                    *resource_version.max(live)
                } else {
                    *resource_version
                },
                states: states.clone(),
                immutable: if newly && uid == live_uid {
                    *is_immutable
                } else {
                    *immutable
                },
            }
        }
        _ => before.clone(),
    }
}

/// Returns the old entry with exactly the keys that are used now: as they were, and the new ones as they are.
pub(super) fn with_new_keys_of(before: &Entry, now: &Entry) -> Entry {
    let mut entry = with_keys_of(before, now);
    if let (Entry::Seen { states, .. }, Entry::Seen { states: old, .. }) = (&mut entry, before) {
        for (key, state) in states {
            if let Some(old) = old.get(key) {
                *state = *old;
            }
        }
    }
    entry
}

/// Whether what pods have is absent, all of it or a key that new pods need.
pub(super) fn is_away(former: &Entry, now: &Entry, usage: &Usage) -> bool {
    match (former, now) {
        (_, Entry::Waiting | Entry::Unknown) => true,
        (Entry::Seen { states: old, .. }, Entry::Seen { states, .. }) => {
            let has = |key| matches!(old.get(key), Some(KeyState::Seen(_)));
            let mut absent = states.iter().filter(|(key, state)| match state {
                KeyState::Seen(_) => false,
                KeyState::Waiting => true,
                KeyState::Unknown => usage.need_of(key) != Need::Optional,
            });
            absent.any(|(key, _)| has(key))
        }
        _ => false,
    }
}
