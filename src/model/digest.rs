//! Digests, and the key that they are made with.
//!
//! Digests are HMAC-SHA-256 under a key of reroll's own. They end up in annotations, and a plain hash there would be a
//! guessing oracle for everyone who may read Deployments.

use std::{fmt, sync::Arc};

use base64::{Engine as _, display::Base64Display, prelude::BASE64_URL_SAFE_NO_PAD};
use hmac::{Hmac, KeyInit, Mac};
use sha2::{Digest as _, Sha256};

use super::{
    format::{FORMAT, NEWEST_FORMAT},
    text::{printable, shortened},
};

/// A digest, cut to 96 bits: long enough that collisions do not happen, short enough for an annotation.
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

    /// Returns the digest of parts that are no secret, see [`PlainParts`].
    pub(super) fn plain<'a>(parts: impl IntoIterator<Item = &'a [u8]>) -> Self {
        let mut digest = PlainParts::default();
        for part in parts {
            digest.part(&[part]);
        }
        digest.finish()
    }

    pub(super) const fn bytes(&self) -> &[u8] {
        &self.0
    }

    /// Returns the first 64 bits as hexadecimal digits: a part of a name in the API.
    pub(super) fn label(&self) -> String {
        let digits = self.0.iter().take(8);
        let digits = digits.flat_map(|byte| [byte >> 4, byte & 15]);
        digits
            .filter_map(|digit| char::from_digit(digit.into(), 16))
            .collect()
    }

    /// Returns the printed form.
    pub(super) fn printed(&self) -> [u8; Self::PRINTED] {
        let mut printed = [0; Self::PRINTED];
        // Twelve bytes are sixteen characters.
        let written = BASE64_URL_SAFE_NO_PAD.encode_slice(self.0, &mut printed);
        debug_assert_eq!(written, Ok(Self::PRINTED));
        printed
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

/// Makes the digest of parts that are no secret, under no key, so that it can be compared whatever the key is.
#[derive(Clone, Default)]
pub(super) struct PlainParts(Sha256);

impl PlainParts {
    /// Adds a part, which is all these pieces together, with its length before it.
    pub(super) fn part(&mut self, pieces: &[&[u8]]) {
        with_length(pieces, |bytes| self.0.update(bytes));
    }

    pub(super) fn finish(self) -> Digest {
        Digest::cut(&self.0.finalize())
    }
}

/// Makes the digest of parts under a key.
#[derive(Clone)]
pub(super) struct KeyedParts(Hmac<Sha256>);

impl KeyedParts {
    /// Adds a part, which is all these pieces together, with its length before it.
    pub(super) fn part(&mut self, pieces: &[&[u8]]) {
        with_length(pieces, |bytes| self.0.update(bytes));
    }

    pub(super) fn finish(self) -> Digest {
        Digest::cut(&self.0.finalize().into_bytes())
    }
}

/// Hands over a part, its length first: so no two lists of parts read the same.
fn with_length(pieces: &[&[u8]], mut take: impl FnMut(&[u8])) {
    let length: usize = pieces.iter().map(|piece| piece.len()).sum();
    take(&(length as u64).to_be_bytes());
    for piece in pieces {
        take(piece);
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

/// Returns an id of a digest key as it is told: whoever may write an annotation can name any. What is no id of ours is cut.
pub fn told_id(id: &str) -> String {
    // One character more is the mark that something was cut.
    shortened(&printable(id), DigestKey::ID_LENGTH + 1).into_owned()
}

/// The bytes in the Secret are no usable key.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("a digest key has 32 bytes, this one has {0}")]
pub struct BadKey(pub usize);

impl DigestKey {
    /// Length in bytes.
    pub const LENGTH: usize = 32;
    /// Length of an id.
    pub const ID_LENGTH: usize = 8;

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
            id: id.to_string()[..Self::ID_LENGTH].to_owned(),
            previous: None,
            format: FORMAT,
        })
    }

    /// Returns the key with the one that was used before, so that what was digested with it can still be compared.
    #[must_use]
    pub fn with_previous(self, previous: Option<Self>) -> Self {
        let previous = previous.filter(|previous| previous.id != self.id);
        Self {
            previous: previous.map(Arc::new),
            ..self
        }
    }

    /// Returns the key as a release with this format of `observed` would use it. The product has one, [`FORMAT`];
    /// tests have two side by side.
    #[must_use]
    pub fn with_format(self, format: u64) -> Self {
        Self { format, ..self }
    }

    /// Returns the key before, while a rotation lasts.
    pub fn previous(&self) -> Option<&Self> {
        self.previous.as_deref()
    }

    /// Returns the format of an `observed` that needs no newer one.
    pub fn format(&self) -> u64 {
        self.format
    }

    /// Returns the newest format of `observed` that is read.
    pub fn newest_format(&self) -> u64 {
        self.format.max(NEWEST_FORMAT)
    }

    /// Returns this key or the one before, whichever has the id.
    pub fn by_id(&self, id: &str) -> Option<&Self> {
        [Some(self), self.previous()]
            .into_iter()
            .flatten()
            .find(|key| key.id == id)
    }

    /// Returns the key itself, to be written where it is kept and nowhere else.
    pub fn bytes(&self) -> &[u8] {
        &self.key
    }

    /// Returns an id that says which key it is without telling the key.
    pub fn id(&self) -> &str {
        &self.id
    }

    /// Returns the digest of parts, each with its length before it, so that no two lists of parts read the same.
    pub fn digest<'a>(&self, parts: impl IntoIterator<Item = &'a [u8]>) -> Digest {
        let mut digest = self.parts();
        for part in parts {
            digest.part(&[part]);
        }
        digest.finish()
    }

    /// Begins a digest of parts.
    pub(super) fn parts(&self) -> KeyedParts {
        // HMAC takes keys of every length: this cannot fail, and an empty key would only fail to match.
        let mac = Hmac::<Sha256>::new_from_slice(&self.key)
            .unwrap_or_else(|_| Hmac::new(&hmac::digest::Key::<Hmac<Sha256>>::default()));
        KeyedParts(mac)
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;
    use crate::model::testing::{key, other_key};

    proptest! {
        #[test]
        fn a_digest_reads_back(bytes in any::<[u8; 12]>()) {
            let digest = Digest(bytes);
            let text = digest.to_string();
            prop_assert_eq!(text.len(), Digest::PRINTED);
            prop_assert_eq!(Digest::parse(&text), Some(digest));
        }

        #[test]
        fn whatever_is_read_as_a_digest_is_how_it_is_printed(text in "[-_A-Za-z0-9]{14,18}|.{16}") {
            if let Some(digest) = Digest::parse(&text) {
                prop_assert_eq!(digest.to_string(), text);
            }
        }

        #[test]
        fn parts_are_told_apart_by_their_lengths(a in proptest::collection::vec(".{0,3}", 0..4), b in proptest::collection::vec(".{0,3}", 0..4)) {
            let digest = |parts: &[String]| key().digest(parts.iter().map(String::as_bytes));
            let plain = |parts: &[String]| Digest::plain(parts.iter().map(String::as_bytes));
            prop_assert_eq!(digest(&a) == digest(&b), a == b);
            prop_assert_eq!(plain(&a) == plain(&b), a == b);
        }
    }

    #[test]
    fn keys_of_the_wrong_length_are_refused() {
        assert_eq!(DigestKey::new(&[0; 31]).unwrap_err(), BadKey(31));
        assert_eq!(DigestKey::new(&[]).unwrap_err(), BadKey(0));
        assert_ne!(key().id(), other_key().id());
        let said = format!("{:?}", key());
        assert_eq!(
            said,
            format!("DigestKey({})", key().id()),
            "never the key itself"
        );
    }

    #[test]
    fn an_id_that_is_none_of_ours_is_told_in_part() {
        let ours = key().id().to_owned();
        assert_eq!(ours.len(), DigestKey::ID_LENGTH);
        assert_eq!(told_id(&ours), ours);
        assert_eq!(told_id("abc"), "abc");
        assert_eq!(told_id(&"x".repeat(20_000)), "xxxxxxxx…");
        assert_eq!(told_id("a\nb\u{1b}c"), "abc");
    }
}
