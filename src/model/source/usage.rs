//! How one pod template uses one source.

use litemap::LiteMap;
use serde_json::Value;

/// Whether pods start without it. Where two references differ, the one that needs more wins.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Need {
    /// Pods start without it.
    Optional,
    /// A file that a container mounts by `subPath` from a volume without `items`. Where the key is absent, the kubelet
    /// makes a directory of that name. The pods start, and the container has a directory in the place of its file.
    AsFile,
    /// The kubelet does not start a container without it.
    Required,
}

impl Need {
    /// Reads the field `optional` of a reference.
    pub(super) fn of(optional: Option<&Value>) -> Self {
        if optional.and_then(Value::as_bool) == Some(true) {
            Self::Optional
        } else {
            Self::Required
        }
    }
}

/// How one pod template uses one source: all references to it, merged.
#[expect(
    clippy::struct_excessive_bools,
    reason = "each is a fact of its own about the references"
)]
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Usage {
    /// Whether pods start while the source is absent.
    pub need: Need,
    /// All keys are read (`envFrom`, or a volume without `items` that is mounted whole).
    pub whole: bool,
    /// Keys that are read by name.
    pub keys: LiteMap<String, Need>,
    /// What volumes and variables refer to, whether a container reads it or not; `None` where that is just what is read.
    /// Older releases counted all of it.
    pub held: Option<Box<Held>>,
    /// Keys that the opt-in leaves out and new pods need all the same.
    pub left_out: Option<Box<LiteMap<String, Need>>>,
    /// Read into environment variables somewhere.
    pub env: bool,
    /// Read into files somewhere.
    pub volume: bool,
    /// One container does not start without it, and another does: a pod that waits for it may run without it in part.
    pub mixed: bool,
    /// It counts only while the source asks to be found (`reloader.stakater.com/match`).
    pub if_matched: bool,
}

/// What of a source is referred to, whether a container reads it or not.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Held {
    /// All keys.
    pub whole: bool,
    /// Keys by name. The kubelet makes no volume without those of its `items` that are required.
    pub keys: LiteMap<String, Need>,
}

impl Usage {
    /// Returns how a source counts that the opt-in names although the template does not refer to it.
    pub fn named() -> Self {
        Self::of_all(Need::Optional)
    }

    /// Returns the usage of all keys.
    pub(super) fn of_all(need: Need) -> Self {
        Self {
            whole: true,
            ..Self::of_keys(need, LiteMap::new())
        }
    }

    /// Returns the usage of some keys.
    pub(super) fn of_keys(need: Need, keys: LiteMap<String, Need>) -> Self {
        Self {
            need,
            whole: false,
            keys,
            held: None,
            left_out: None,
            env: false,
            volume: false,
            mixed: false,
            if_matched: false,
        }
    }

    /// Returns the same as a part of what a volume holds.
    pub(super) fn of_held(mut self, held: Held) -> Self {
        self.hold(Some(held));
        self
    }

    /// Takes in another reference to the same source.
    pub(super) fn merge(&mut self, other: &Self) {
        let differs = self.held.is_some() || other.held.is_some();
        let held = differs.then(|| self.held().merged(other.held()));
        let read = self.read().merged(other.read());
        self.need = self.need.max(other.need);
        (self.whole, self.keys) = (read.whole, read.keys);
        self.mixed |= other.mixed;
        self.env |= other.env;
        self.volume |= other.volume;
        self.hold(held);
    }

    /// Whether anything of it is read. Where nothing is, no other data and no other uid is a change.
    pub fn is_read(&self) -> bool {
        self.whole || !self.keys.is_empty()
    }

    /// Returns whether all of a pod waits for it: what pods may have started without, in part, is optional then.
    pub fn need_of_all(&self) -> Need {
        if self.mixed {
            Need::Optional
        } else {
            self.need
        }
    }

    /// Whether it names a key, one included that no container reads.
    pub fn names_keys(&self) -> bool {
        self.size() > 0
    }

    /// Returns how many keys it names, those included that no container reads.
    pub(super) fn size(&self) -> usize {
        let held = self.held.as_ref().map_or(0, |held| held.keys.len());
        let left_out = self.left_out.as_ref().map_or(0, |keys| keys.len());
        self.keys.len() + held + left_out
    }

    /// Whether it matters to pods: they read it, or do not start without it.
    pub fn counts(&self) -> bool {
        self.is_read() || self.need == Need::Required
    }

    /// Returns whether pods start without a key.
    pub fn need_of(&self, key: &str) -> Need {
        let held = self.held.as_ref().and_then(|held| held.keys.get(key));
        let left_out = self.left_out.as_ref().and_then(|keys| keys.get(key));
        let needs = self.keys.get(key).into_iter().chain(held).chain(left_out);
        needs.copied().max().unwrap_or(Need::Optional)
    }

    /// Returns the keys without which new pods do not start, or start without what they read.
    pub fn demanded(&self) -> impl Iterator<Item = &str> {
        let held = self.held.iter().flat_map(|held| held.keys.iter());
        let left_out = self.left_out.iter().flat_map(|keys| keys.iter());
        let all = self.keys.iter().chain(held).chain(left_out);
        all.filter(|(_, need)| **need != Need::Optional)
            .map(|(key, _)| key.as_str())
    }

    /// Whether a key is read that older releases counted only with the whole.
    pub fn is_of_whole(&self, key: &str) -> bool {
        let held = self.held.as_ref();
        held.is_some_and(|held| held.whole && !held.keys.contains_key(key))
            && self.keys.contains_key(key)
    }

    /// Returns how releases counted it that did not look at which files of a volume a container reads.
    #[must_use]
    pub fn as_held(&self) -> Self {
        let Held { whole, keys } = self.held();
        Self {
            whole,
            keys,
            held: None,
            volume: self.volume || self.held.is_some(),
            ..self.clone()
        }
    }

    fn read(&self) -> Held {
        Held {
            whole: self.whole,
            keys: self.keys.clone(),
        }
    }

    fn held(&self) -> Held {
        let held = self.held.as_deref().cloned();
        held.unwrap_or_else(|| self.read())
    }

    fn hold(&mut self, held: Option<Held>) {
        let held = held.filter(|held| *held != self.read());
        self.held = held.map(Box::new);
    }
}

impl Held {
    fn merged(mut self, other: Self) -> Self {
        self.whole |= other.whole;
        for (key, need) in other.keys {
            let known = self.keys.entry(key).or_insert(need);
            *known = (*known).max(need);
        }
        self
    }
}
