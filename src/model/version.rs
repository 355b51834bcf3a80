//! Versions: what a source was at one moment, without its data.
//!
//! A version is the object's `uid` and `resourceVersion` and keyed digests of its data, one per key and one of the
//! whole. Digests are HMAC-SHA-256 under a key of reroll's own: they end up in annotations, and a plain hash there
//! would be a guessing oracle for everyone who may read Deployments. Kind, namespace and name are part of what is
//! digested, so that nobody can compare guesses in a Secret of their own. Labels, annotations and `immutable` are not
//! data.

mod meta;
mod objects;

use std::{collections::BTreeMap, fmt, sync::Arc};

use base64::{Engine as _, display::Base64Display, prelude::BASE64_URL_SAFE_NO_PAD};
use hmac::{Hmac, KeyInit, Mac};
use k8s_openapi::{
    ByteString,
    api::core::v1::{ConfigMap, Secret},
    apimachinery::pkg::apis::meta::v1::ObjectMeta,
};
use sha2::{Digest as _, Sha256};

use self::meta::written;
pub use self::{meta::counts, objects::Shows};
use super::{
    observed::{FORMAT, FORMER_FORMAT},
    source::{SourceKey, SourceKind, SourceName, Usage},
};

/// Raised when what is digested, or how, changes.
const DIGEST_FORMAT: &[u8] = b"reroll-digest-1";

/// A digest, cut to 96 bits: long enough that nobody meets a collision, short enough for an annotation.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Digest([u8; 12]);

impl Digest {
    /// What no data has: stands for data that is known to be other than the live one, and nothing else about it.
    pub const CHANGED: Self = Self([0; 12]);
    /// Length of the printed form.
    pub const PRINTED: usize = 16;

    fn cut(full: &[u8]) -> Self {
        let mut short = [0; 12];
        short.copy_from_slice(&full[..12]);
        Self(short)
    }

    /// Digest of parts that are no secret, under no key, so that it can be compared whatever the key is. Each part has
    /// its length before it.
    pub(super) fn plain<'a>(parts: impl IntoIterator<Item = &'a [u8]>) -> Self {
        let mut hash = Sha256::new();
        for part in parts {
            hash.update((part.len() as u64).to_be_bytes());
            hash.update(part);
        }
        Self::cut(&hash.finalize())
    }

    /// Reads the printed form.
    pub fn parse(text: &str) -> Option<Self> {
        let mut bytes = [0; 12];
        let read = BASE64_URL_SAFE_NO_PAD.decode_slice(text, &mut bytes).ok()?;
        (read == bytes.len()).then_some(Self(bytes))
    }
}

impl fmt::Display for Digest {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(&Base64Display::new(&self.0, &BASE64_URL_SAFE_NO_PAD), f)
    }
}

impl fmt::Debug for Digest {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}

/// The secret key of all digests. It lives in a Secret of reroll's namespace and never leaves this type.
#[derive(Clone)]
pub struct DigestKey {
    key: Vec<u8>,
    id: String,
    previous: Option<Arc<Self>>,
    format: u64,
}

impl fmt::Debug for DigestKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "DigestKey({})", self.id)
    }
}

/// The bytes in the Secret are no usable key.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("a digest key has 32 bytes, this one has {0}")]
pub struct BadKey(pub usize);

impl DigestKey {
    /// Length in bytes.
    pub const LENGTH: usize = 32;

    /// Takes over key bytes.
    ///
    /// # Errors
    /// When they are not [`Self::LENGTH`] bytes.
    pub fn new(key: &[u8]) -> Result<Self, BadKey> {
        if key.len() != Self::LENGTH {
            return Err(BadKey(key.len()));
        }
        let id = Digest::cut(
            &Sha256::new()
                .chain_update(b"reroll-key-id")
                .chain_update(key)
                .finalize(),
        );
        Ok(Self {
            key: key.to_vec(),
            id: id.to_string()[..8].to_owned(),
            previous: None,
            format: FORMAT,
        })
    }

    /// With the key that was used before, so that what was digested with it can still be compared.
    #[must_use]
    pub fn with_previous(self, previous: Option<Self>) -> Self {
        let previous = previous.filter(|previous| previous.id != self.id);
        Self {
            previous: previous.map(Arc::new),
            ..self
        }
    }

    /// As a release with this format of `observed` would use it. The product has one, [`FORMAT`]; tests have two side
    /// by side.
    #[must_use]
    pub fn with_format(self, format: u64) -> Self {
        Self { format, ..self }
    }

    /// The key before, while a rotation lasts.
    pub fn previous(&self) -> Option<&Self> {
        self.previous.as_deref()
    }

    /// The format of an `observed` that needs no newer one.
    pub fn format(&self) -> u64 {
        self.format
    }

    /// The newest format of `observed` that is read.
    pub fn newest_format(&self) -> u64 {
        self.format.max(FORMER_FORMAT)
    }

    /// This key or the one before, whichever has the id.
    pub fn by_id(&self, id: &str) -> Option<&Self> {
        [Some(self), self.previous()]
            .into_iter()
            .flatten()
            .find(|key| key.id == id)
    }

    /// The key itself, to be written where it is kept and nowhere else.
    pub fn bytes(&self) -> &[u8] {
        &self.key
    }

    /// Says which key it is without telling the key.
    pub fn id(&self) -> &str {
        &self.id
    }

    /// Digest of parts, each with its length before it, so that no two lists of parts read the same.
    pub fn digest<'a>(&self, parts: impl IntoIterator<Item = &'a [u8]>) -> Digest {
        let mut mac = self.mac();
        for part in parts {
            update(&mut mac, part);
        }
        Digest::cut(&mac.finalize().into_bytes())
    }

    fn mac(&self) -> Hmac<Sha256> {
        // HMAC takes keys of every length: this cannot fail, and an empty key would only fail to match.
        Hmac::new_from_slice(&self.key)
            .unwrap_or_else(|_| Hmac::new(&hmac::digest::Key::<Hmac<Sha256>>::default()))
    }
}

fn update(mac: &mut Hmac<Sha256>, part: &[u8]) {
    mac.update(&(part.len() as u64).to_be_bytes());
    mac.update(part);
}

/// What a source was at one moment.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Version {
    /// `metadata.uid`; another one means that the object was deleted and recreated.
    pub uid: String,
    /// `metadata.resourceVersion`; 0 where it is not known yet (at admission).
    pub resource_version: u64,
    /// When the data was last written, in unix seconds, as far as `managedFields` tell; else the creation.
    pub written: i64,
    /// A kubelet may serve the old data of an immutable object for a while after it was recreated.
    pub immutable: bool,
    /// `reroll.dev/ignore: "true"`, or Reloader's.
    pub ignored: bool,
    /// `reloader.stakater.com/match: "true"`
    pub matched: bool,
    /// What is known by it.
    pub shows: Shows,
    /// Digest of all keys and values together.
    pub whole: Digest,
    /// Digests by key, sorted.
    keys: Box<[(Box<str>, Digest)]>,
    /// The same under the digest key before, while a rotation lasts.
    pub previous: Option<Box<Self>>,
}

impl Version {
    /// The version of a Secret.
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

    /// The version of a ConfigMap; `data` and `binaryData` share one space of keys.
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
        let mut whole = key.mac();
        identity
            .into_iter()
            .chain([b"whole".as_slice()])
            .for_each(|part| update(&mut whole, part));
        let mut keys = Vec::with_capacity(data.len());
        for (name, value) in data {
            let digest =
                key.digest(
                    identity
                        .into_iter()
                        .chain([b"key".as_slice(), name.as_bytes(), value]),
                );
            update(&mut whole, name.as_bytes());
            update(&mut whole, &digest.0);
            keys.push((Box::from(name), digest));
        }
        let (ignored, matched) = counts(meta);
        Self {
            uid: meta.uid.clone().unwrap_or_default(),
            resource_version: meta
                .resource_version
                .as_deref()
                .and_then(|rv| rv.parse().ok())
                .unwrap_or(0),
            written: written(meta),
            immutable: immutable == Some(true),
            ignored,
            matched,
            shows: Shows::Data,
            whole: Digest::cut(&whole.finalize().into_bytes()),
            keys: keys.into_boxed_slice(),
            previous: previous.map(Box::new),
        }
    }

    /// What its annotations say about who looks at it.
    pub fn counts(&self) -> (bool, bool) {
        (self.ignored, self.matched)
    }

    /// Whether it counts for a workload that uses it so.
    pub fn counts_for(&self, usage: &Usage) -> bool {
        !self.ignored && (self.matched || !usage.if_matched)
    }

    /// Digest of one key, `None` where the source does not have it.
    pub fn key(&self, name: &str) -> Option<Digest> {
        let found = self
            .keys
            .binary_search_by(|(known, _)| (**known).cmp(name))
            .ok()?;
        Some(self.keys[found].1)
    }

    /// Digest of what a workload uses: [`Self::whole`] for `*`.
    pub fn used(&self, key: &str) -> Option<Digest> {
        if key == WHOLE {
            Some(self.whole)
        } else {
            self.key(key)
        }
    }
}

/// How the whole object is written where keys stand. No key of a Secret or ConfigMap can contain it.
pub const WHOLE: &str = "*";

/// The keys under which a usage is recorded: [`WHOLE`] and those read by name.
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

/// Names a source of a namespace.
pub fn key_of(namespace: &str, source: &SourceName) -> SourceKey {
    SourceKey {
        namespace: namespace.to_owned(),
        source: source.clone(),
    }
}

#[cfg(test)]
mod tests;
