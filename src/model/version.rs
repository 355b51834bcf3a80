//! Versions: what a source was at one moment, without its data.
//!
//! A version has the object's `uid` and `resourceVersion`, and keyed digests of its data ([`super::digest`]): one for
//! each key and one of the whole. Kind, namespace and name are part of what is digested, so that tenants cannot
//! compare guesses in a Secret of their own. Labels, annotations and `immutable` are not data.

mod meta;
mod objects;
mod of_object;

use std::collections::{BTreeMap, BTreeSet};

use k8s_openapi::{
    ByteString,
    api::core::v1::{ConfigMap, Secret},
    apimachinery::pkg::apis::meta::v1::ObjectMeta,
};

use self::meta::written;
pub use self::{
    meta::{counts, writer},
    objects::Shows,
    of_object::{OfKind, SourceObject},
};
use super::{
    digest::{Digest, DigestKey, PlainParts},
    object::{SlowStart, resource_version},
    recreation::Origin,
    source::{KeyGlob, References, SourceKey, SourceKind, SourceName, Usage},
};

/// Raised when what is digested, or how, changes.
const DIGEST_FORMAT: &[u8] = b"reroll-digest-1";

/// Names of keys with the digests of their values.
type Keys = Box<[(Box<str>, Digest)]>;

/// What a source was at one moment.
#[derive(Clone, Debug, PartialEq, Eq)]
#[expect(
    clippy::struct_excessive_bools,
    reason = "each is a fact of its own about the object"
)]
pub struct Version {
    /// `metadata.uid`; another one means that the object was deleted and recreated.
    pub uid: String,
    /// `metadata.resourceVersion`; 0 where it is not known yet (at admission).
    pub resource_version: u64,
    /// When the data was last written, in unix seconds, as far as `managedFields` tell; else the creation.
    pub written: i64,
    /// When it was seen to have other data than before, in unix seconds, where `managedFields` do not tell: a key that is
    /// removed leaves no time there. Else 0.
    pub noticed: i64,
    /// A kubelet goes on giving the data of an immutable object to new pods for as long as any pod on its node names it,
    /// also after the object was deleted or recreated.
    pub immutable: bool,
    /// It is of a type that is neither listed nor watched: only a read shows it.
    pub skipped: bool,
    /// `reroll.dev/ignore: "true"`, or Reloader's.
    pub ignored: bool,
    /// `reloader.stakater.com/match: "true"`
    pub matched: bool,
    /// `reroll.dev/slow-start`
    pub slow_start: SlowStart,
    /// What its metadata says about its being recreated.
    pub origin: Origin,
    /// What is known by it.
    pub shows: Shows,
    /// Digest of all keys and values together.
    pub whole: Digest,
    /// Digests by key, sorted; `None` where they were put away, see [`Self::put_keys_away`].
    keys: Option<Keys>,
    /// The same under the digest key before, while a rotation lasts.
    pub previous: Option<Box<Self>>,
}

impl Version {
    /// Returns the version of a Secret.
    pub fn of_secret(key: &DigestKey, namespace: &str, secret: &Secret) -> Self {
        let data = secret
            .data
            .iter()
            .flatten()
            .map(|(name, ByteString(value))| (name.as_str(), value.as_slice()));
        Self::new(
            key,
            namespace,
            SourceKind::Secret,
            &secret.metadata,
            secret.immutable,
            data.collect(),
        )
    }

    /// Returns the version of a ConfigMap; `data` and `binaryData` share one space of keys.
    pub fn of_config_map(key: &DigestKey, namespace: &str, map: &ConfigMap) -> Self {
        let text = map
            .data
            .iter()
            .flatten()
            .map(|(name, value)| (name.as_str(), value.as_bytes()));
        let binary = map
            .binary_data
            .iter()
            .flatten()
            .map(|(name, ByteString(value))| (name.as_str(), value.as_slice()));
        let data = text.chain(binary).collect();
        Self::new(
            key,
            namespace,
            SourceKind::ConfigMap,
            &map.metadata,
            map.immutable,
            data,
        )
    }

    fn new(
        key: &DigestKey,
        namespace: &str,
        kind: SourceKind,
        meta: &ObjectMeta,
        immutable: Option<bool>,
        data: BTreeMap<&str, &[u8]>,
    ) -> Self {
        let previous = key
            .previous()
            .map(|key| Self::new(key, namespace, kind, meta, immutable, data.clone()));
        let name = meta.name.as_deref().unwrap_or_default();
        let identity = [
            DIGEST_FORMAT,
            kind.as_str().as_bytes(),
            namespace.as_bytes(),
            name.as_bytes(),
        ];
        let mut keys: Vec<(Box<str>, Digest)> = Vec::with_capacity(data.len());
        for (name, value) in data {
            let digest =
                key.digest(
                    identity
                        .into_iter()
                        .chain([b"key".as_slice(), name.as_bytes(), value]),
                );
            keys.push((Box::from(name), digest));
        }
        let by_key = keys
            .iter()
            .flat_map(|(name, digest)| [name.as_bytes(), digest.bytes()]);
        let whole = key.digest(
            identity
                .into_iter()
                .chain([b"whole".as_slice()])
                .chain(by_key),
        );
        let (ignored, matched) = counts(meta);
        Self {
            uid: meta.uid.clone().unwrap_or_default(),
            resource_version: resource_version(meta.resource_version.as_deref()).unwrap_or(0),
            written: written(meta),
            noticed: 0,
            immutable: immutable == Some(true),
            skipped: false,
            ignored,
            slow_start: SlowStart::of(meta),
            matched,
            origin: Origin::of(meta),
            shows: Shows::Data,
            whole,
            keys: Some(keys.into_boxed_slice()),
            previous: previous.map(Box::new),
        }
    }

    /// Returns when its data became this, in unix seconds: no earlier than that, as far as is known.
    pub fn changed_at(&self) -> i64 {
        self.written.max(self.noticed)
    }

    /// Takes over from the version before when its data became this, or takes `now` where nothing else tells.
    #[must_use]
    pub fn after(mut self, before: &Self, now: i64) -> Self {
        if before.uid != self.uid {
            return self;
        }
        if before.whole == self.whole {
            self.noticed = before.noticed;
        } else if self.written <= before.changed_at() {
            self.noticed = now;
        }
        self
    }

    /// Returns what its annotations say about who looks at it.
    pub fn counts(&self) -> (bool, bool) {
        (self.ignored, self.matched)
    }

    /// Whether it counts for a workload that uses it so.
    pub fn counts_for(&self, usage: &Usage) -> bool {
        !self.ignored && (self.matched || !usage.if_matched)
    }

    /// Returns the digest of one key, `None` where the source does not have it. Ask only where [`Self::tells`].
    pub fn key(&self, name: &str) -> Option<Digest> {
        let keys = self.keys.as_deref()?;
        let found = keys
            .binary_search_by(|(known, _)| (**known).cmp(name))
            .ok()?;
        Some(keys[found].1)
    }

    /// Returns the names of its keys; none where it does not tell of single keys.
    pub fn names(&self) -> impl Iterator<Item = &str> {
        self.keys.iter().flatten().map(|(name, _)| &**name)
    }

    /// Forgets the digests of single keys, where nobody uses any: a ConfigMap may have 60,000. Somebody who begins to use
    /// one needs the source to be read again.
    pub fn put_keys_away(&mut self) {
        self.keys = None;
        if let Some(previous) = &mut self.previous {
            previous.put_keys_away();
        }
    }

    /// Returns of how many single keys it has digests.
    pub fn size(&self) -> usize {
        self.keys.as_ref().map_or(0, |keys| keys.len())
    }

    /// Whether it tells all of what is used so.
    pub fn tells(&self, usage: &Usage) -> bool {
        self.keys.is_some() || !usage.names_keys()
    }

    /// Whether it tells of every single key, and not merely of the whole.
    pub fn tells_all(&self) -> bool {
        self.keys.is_some()
    }

    /// Whether it lacks a key that new pods need.
    pub fn lacks(&self, usage: &Usage) -> bool {
        usage.demanded().any(|key| self.used(key).is_none())
    }

    /// Returns the digest of what a workload uses: [`Self::whole`] for `*`, and one of all keys that a [`KeyGlob`] takes.
    pub fn used(&self, key: &str) -> Option<Digest> {
        if key == WHOLE {
            return Some(self.whole);
        }
        match KeyGlob::read(key) {
            Some(glob) => self.together(&glob),
            None => self.key(key),
        }
    }

    /// Returns how many letters globs go through to tell what is used so.
    pub fn letters_passed(&self, usage: &Usage) -> usize {
        let keys = self.keys.as_deref().unwrap_or_default();
        let globs = usage.keys.keys().filter_map(|key| KeyGlob::read(key));
        let passed = globs.filter_map(|glob| Some(letters_passed(near(keys, &glob)?, &glob)));
        passed.sum()
    }

    /// Returns one digest of all keys that a glob takes; `None` where it takes none. It is made of their digests, which are
    /// under the digest key, so it needs none: who cannot make those cannot make this.
    fn together(&self, glob: &KeyGlob<'_>) -> Option<Digest> {
        let keys = self.keys.as_deref()?;
        let Some(near) = near(keys, glob) else {
            return Some(self.whole);
        };
        let mut taken = near.iter().filter(|(name, _)| glob.takes(name)).peekable();
        taken.peek()?;
        let mut parts = PlainParts::default();
        for (name, digest) in taken {
            parts.part(&[name.as_bytes()]);
            parts.part(&[digest.bytes()]);
        }
        Some(parts.finish())
    }
}

/// Of a source with more keys than this a glob takes the whole: anybody may write a ConfigMap of 60,000 keys, and each
/// workload that uses it looks at all of them.
pub const MOST_MATCHED: usize = 4096;

/// The same of letters that a glob has to go through. Those of a prefix are looked up.
pub const MOST_PASSED: usize = 32 * 1024;

/// Returns the keys that a glob may take, sorted, by what they begin with; `None` where they are more than it may look at.
fn near<'a>(
    keys: &'a [(Box<str>, Digest)],
    glob: &KeyGlob<'_>,
) -> Option<&'a [(Box<str>, Digest)]> {
    if keys.len() > MOST_MATCHED {
        return None;
    }
    let first = keys.partition_point(|(name, _)| **name < *glob.start());
    let behind = keys[first..].partition_point(|(name, _)| name.starts_with(glob.start()));
    let near = &keys[first..first + behind];
    (letters_passed(near, glob) <= MOST_PASSED).then_some(near)
}

/// Returns how many letters a glob goes through in these keys.
fn letters_passed(keys: &[(Box<str>, Digest)], glob: &KeyGlob<'_>) -> usize {
    match glob.passes() {
        0 => 0,
        passes => keys.iter().map(|(name, _)| name.len()).sum::<usize>() * passes,
    }
}

/// How the whole object is written where keys stand. No key of a Secret or ConfigMap can contain it.
pub const WHOLE: &str = "*";

/// Returns the keys under which a usage is recorded: [`WHOLE`] and those read by name.
pub fn used_keys(usage: &Usage) -> impl Iterator<Item = &str> {
    usage
        .whole
        .then_some(WHOLE)
        .into_iter()
        .chain(usage.keys.keys().map(String::as_str))
}

/// Whether a usage is recorded under this key, see [`used_keys`].
pub fn uses_key(usage: &Usage, key: &str) -> bool {
    if key == WHOLE {
        usage.whole
    } else {
        usage.keys.contains_key(key)
    }
}

/// Returns the sources of which more is used than before: all of one, or a key that was not.
pub fn newly_used(before: &References, now: &References) -> BTreeSet<SourceName> {
    let is_new = |(source, usage): &(&SourceName, &Usage)| {
        let before = before.get(*source);
        let mut keys = used_keys(usage);
        before.is_none_or(|before| keys.any(|key| !uses_key(before, key)))
    };
    let new = now.iter().filter(is_new);
    new.map(|(source, _)| source.clone()).collect()
}

/// Returns the key of a source of a namespace.
pub fn key_of(namespace: &str, source: &SourceName) -> SourceKey {
    SourceKey {
        namespace: namespace.to_owned(),
        source: source.clone(),
    }
}

#[cfg(test)]
mod tests;
