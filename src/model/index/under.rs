//! Whose `observed` a workload has, by the digest key that it is under.

use crate::model::{
    digest::DigestKey,
    observed::Reading,
    peer::{Hands, key_id_in},
    workload::{Workload, Writer},
};

/// The digest key that a workload's `observed` is under.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(super) enum Under {
    /// Ours, or there is none.
    #[default]
    Ours,
    /// This one, which is not ours: an installation may have written it.
    Other(String),
    /// This one, in the place of ours, and no reroll wrote it: it is no installation's.
    Forged(String),
    /// It is of another workload, or cannot be read: nobody's.
    Nobody,
}

impl Under {
    /// Returns what a text that was read just now is under. `before`: what the one before was under, and whether a text of ours
    /// was read and is remembered.
    pub(super) fn read(
        reading: Option<&Reading>,
        workload: &Workload,
        before: Option<(&Self, bool)>,
    ) -> Self {
        let read = match reading {
            None | Some(Reading::Newer(_)) => return Self::Ours,
            Some(Reading::Genuine(read) | Reading::Previous(read)) if read.is_of(&workload.uid) => {
                return Self::Ours;
            }
            Some(Reading::OtherKey(read)) if read.is_of(&workload.uid) => read,
            Some(_) => return Self::Nobody,
        };
        let key_id = read.key_id.clone();
        let was_ours = before.is_some_and(|(under, remembered)| match under {
            Self::Ours | Self::Nobody => remembered,
            Self::Other(_) => false,
            Self::Forged(_) => true,
        });
        if was_ours && workload.observed_by == Writer::Another {
            Self::Forged(key_id)
        } else {
            Self::Other(key_id)
        }
    }

    /// Returns what the text of a workload that did not opt in is under.
    pub(super) fn of_opted_out(workload: &Workload, key: &DigestKey) -> Self {
        let id = workload.observed.as_deref().and_then(key_id_in);
        let other = id.filter(|id| key.by_id(id).is_none());
        other.map_or(Self::Ours, Self::Other)
    }

    /// Returns the key, where it is not ours.
    pub(super) fn other_key(&self) -> Option<&String> {
        match self {
            Self::Ours | Self::Nobody => None,
            Self::Other(id) | Self::Forged(id) => Some(id),
        }
    }

    /// Returns the key, where it may be another installation's.
    pub(super) fn installation(&self) -> Option<&str> {
        match self {
            Self::Other(id) => Some(id),
            Self::Ours | Self::Forged(_) | Self::Nobody => None,
        }
    }

    /// Returns how an `observed` changed hands, by what it was under and is under, each with whether it is there.
    pub(super) fn changed_hands(before: &(Self, bool), now: &(Self, bool)) -> Option<Hands> {
        match (before.0.installation(), now.0.installation()) {
            (None, Some(key_id)) if before.1 => Some(Hands::Replaced {
                key_id: key_id.to_owned(),
            }),
            // What a person puts there is no sign that the other one leaves it to us.
            (Some(key_id), None) if now.1 && now.0 == Self::Ours => Some(Hands::Ours {
                key_id: key_id.to_owned(),
            }),
            _ => None,
        }
    }
}
