//! What is known of one source: an entry of `observed`.

use litemap::LiteMap;

use crate::model::{
    digest::Digest,
    source::{Need, SourceName, Usage},
    version::{Version, used_keys},
};

/// What is known of a source's keys, by name; `*` is the whole object.
pub type KeyStates = LiteMap<String, KeyState>;
/// What is known of a workload's sources.
pub type Entries = LiteMap<SourceName, Entry>;

/// What is known of one key of a source, or of the whole (`*`).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum KeyState {
    /// Its data had this digest.
    Seen(Digest),
    /// Required and absent: the kubelet starts the pods once it appears.
    Waiting,
    /// Absent, and pods may run without it.
    Unknown,
}

impl KeyState {
    /// Returns the digest of its data, where it was there.
    pub(super) fn digest(self) -> Option<Digest> {
        match self {
            Self::Seen(digest) => Some(digest),
            Self::Waiting | Self::Unknown => None,
        }
    }
}

/// What is known of one source.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Entry {
    /// It existed.
    Seen {
        /// `metadata.uid`
        uid: String,
        /// `metadata.resourceVersion`
        resource_version: u64,
        /// By used key; `*` is the whole object.
        states: KeyStates,
        /// It was immutable when this was written: a kubelet goes on giving its data to new pods of a node that has a pod
        /// with it, whatever takes its place.
        immutable: bool,
    },
    /// Required and absent while no pod could start: the kubelet starts them once it appears.
    Waiting,
    /// Absent otherwise.
    Unknown,
    /// Its deletion was answered by a restart.
    Deleted {
        /// The uid it had.
        uid: String,
        /// The resourceVersion it was last seen with.
        resource_version: u64,
        /// It was immutable.
        immutable: bool,
    },
}

impl Entry {
    /// Returns the entry for a source that exists. Keys that it lacks are *waiting* where pods do not start without
    /// them, else *unknown*.
    pub fn of(version: &Version, usage: &Usage) -> Self {
        let states = used_keys(usage).map(|key| {
            let absent = || match usage.need_of(key) {
                Need::Required => KeyState::Waiting,
                Need::AsFile | Need::Optional => KeyState::Unknown,
            };
            (
                key.to_owned(),
                version.used(key).map_or_else(absent, KeyState::Seen),
            )
        });
        Self::Seen {
            uid: version.uid.clone(),
            resource_version: version.resource_version,
            states: states.collect(),
            immutable: version.immutable,
        }
    }

    /// Returns the same with each state made another one, by key.
    #[must_use]
    pub(in crate::model) fn map_states(
        mut self,
        change: impl Fn(&str, KeyState) -> KeyState,
    ) -> Self {
        if let Self::Seen { states, .. } = &mut self {
            for (key, state) in states {
                *state = change(key, *state);
            }
        }
        self
    }

    /// Returns the same with each digest made another one, by key.
    #[must_use]
    pub(in crate::model) fn map_digests(self, change: impl Fn(&str, Digest) -> Digest) -> Self {
        self.map_states(|key, state| match state {
            KeyState::Seen(digest) => KeyState::Seen(change(key, digest)),
            KeyState::Waiting | KeyState::Unknown => state,
        })
    }

    /// Returns the same, older than any version: what is known of it says nothing of resourceVersions here.
    #[must_use]
    pub(in crate::model) fn of_no_version(mut self) -> Self {
        if let Self::Seen {
            resource_version, ..
        } = &mut self
        {
            *resource_version = 0;
        }
        self
    }

    /// Whether it says nothing of a key of a source that existed.
    pub(in crate::model) fn lacks(&self, key: &str) -> bool {
        matches!(self, Self::Seen { states, .. } if !states.contains_key(key))
    }

    /// Whether a fold would lose what it says: what is waited for, was answered by a restart, or is no news while it is
    /// older.
    pub(super) fn is_apart(&self, source: &SourceName) -> bool {
        if !source.kind.is_readable() {
            return true;
        }
        match self {
            Self::Waiting | Self::Deleted { .. } => true,
            Self::Seen { states, .. } => states.values().any(|state| *state == KeyState::Waiting),
            Self::Unknown => false,
        }
    }

    /// Whether what it says of was immutable.
    pub(super) fn was_immutable(&self) -> bool {
        matches!(
            self,
            Self::Seen {
                immutable: true,
                ..
            } | Self::Deleted {
                immutable: true,
                ..
            }
        )
    }

    /// Returns the uid that the source had, where it existed.
    pub(in crate::model) fn uid(&self) -> Option<&str> {
        match self {
            Self::Seen { uid, .. } | Self::Deleted { uid, .. } => Some(uid),
            Self::Waiting | Self::Unknown => None,
        }
    }

    /// Whether its deletion was answered by a restart.
    pub(super) fn is_deleted(&self) -> bool {
        matches!(self, Self::Deleted { .. })
    }

    /// Returns the resourceVersion that a live version must not be older than.
    pub fn resource_version(&self) -> u64 {
        match self {
            Self::Seen {
                resource_version, ..
            }
            | Self::Deleted {
                resource_version, ..
            } => *resource_version,
            Self::Waiting | Self::Unknown => 0,
        }
    }
}
