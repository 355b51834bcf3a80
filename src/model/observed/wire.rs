//! How the annotation's content is written as text: compact JSON, and the MAC.
//!
//! The MAC is the last member in every format, and covers the text before it. So a release tells what a newer one wrote
//! from a forgery, although it cannot read it.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

use super::{
    Observed, Reading,
    entry::Entries,
    fold::Fold,
    former::{Formers, Unrecorded},
    wire_entry::{WireEntry, is_zero},
};
use crate::model::{digest::DigestKey, format::FORMAT, source::KeyLists};

#[derive(Serialize, Deserialize)]
struct Wire {
    v: u64,
    k: String,
    r#for: String,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    at: Option<i64>,
    n: u64,
    rf: String,
    #[serde(default)]
    s: BTreeMap<String, WireEntry>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    f: Option<Fold>,
    /// Former entries, oldest first.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    p: Vec<(String, WireEntry)>,
    /// What else there may be: 1 unseen, 2 more.
    #[serde(default, skip_serializing_if = "is_zero")]
    q: u8,
    /// Which keys the opt-in took.
    #[serde(default, skip_serializing_if = "String::is_empty")]
    o: String,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    m: Option<String>,
}

/// What stands between the text that the MAC covers and the MAC.
const BEFORE_MAC: &str = ",\"m\":\"";

impl Observed {
    /// Reads the annotation's text.
    pub fn read(text: &str, key: &DigestKey) -> Reading {
        match serde_json::from_str::<Head>(text) {
            Ok(head) if head.v > key.newest_format() => return newer(text, head, key),
            // Each format so far has all that the one before has, so every older one reads like it.
            Ok(head) if head.v >= FORMAT => {}
            Ok(_) | Err(_) => return Reading::Foreign,
        }
        let Ok(mut wire) = serde_json::from_str::<Wire>(text) else {
            return Reading::Foreign;
        };
        // Only what would be printed again exactly so: else a damaged field that has a default would read as absent.
        if wire.text() != text {
            return Reading::Foreign;
        }
        let mac = wire.m.take();
        let made_with = key.by_id(&wire.k);
        if made_with.is_some_and(|key| mac != Some(wire.mac(key))) {
            return Reading::Foreign;
        }
        let current = wire.k == key.id();
        match (Self::from_wire(wire), made_with) {
            (Some(observed), Some(_)) if current => Reading::Genuine(observed),
            (Some(observed), Some(_)) => Reading::Previous(observed),
            (Some(observed), None) => Reading::OtherKey(observed),
            (None, _) => Reading::Foreign,
        }
    }

    /// Returns the annotation's text, under the key whose digests it has.
    pub fn print(&self, key: &DigestKey) -> String {
        let mut wire = self.to_wire();
        wire.m = Some(wire.mac(key.by_id(&self.key_id).unwrap_or(key)));
        wire.text()
    }

    fn to_wire(&self) -> Wire {
        Wire {
            v: self.format.max(self.least_format()),
            k: self.key_id.clone(),
            r#for: self.workload_uid.clone(),
            at: self.created_at,
            n: self.sequence,
            rf: self.restarted_for.clone(),
            s: self
                .entries
                .iter()
                .map(|(name, entry)| (name.to_string(), WireEntry::of(entry)))
                .collect(),
            f: self.fold.clone(),
            p: self
                .formers
                .iter()
                .map(|(name, entry)| (name.to_string(), WireEntry::of(entry)))
                .collect(),
            q: match self.formers.unrecorded {
                Unrecorded::Nothing => 0,
                Unrecorded::Unseen => 1,
                Unrecorded::More => 2,
            },
            o: self.lists.to_string(),
            m: None,
        }
    }

    fn from_wire(wire: Wire) -> Option<Self> {
        let mut entries = Entries::with_capacity(wire.s.len());
        for (name, entry) in wire.s {
            entries.insert(name.parse().ok()?, entry.into_entry()?);
        }
        let mut former = Vec::with_capacity(wire.p.len());
        for (name, entry) in wire.p {
            former.push((name.parse().ok()?, entry.into_entry()?));
        }
        Some(Self {
            format: wire.v,
            key_id: wire.k,
            workload_uid: wire.r#for,
            created_at: wire.at,
            sequence: wire.n,
            restarted_for: wire.rf,
            entries,
            fold: wire.f,
            formers: Formers {
                entries: former,
                unrecorded: match wire.q {
                    0 => Unrecorded::Nothing,
                    1 => Unrecorded::Unseen,
                    2 => Unrecorded::More,
                    _ => return None,
                },
            },
            lists: KeyLists::read(&wire.o)?,
        })
    }
}

/// What can be read of every format.
#[derive(Deserialize)]
struct Head {
    v: u64,
    #[serde(default)]
    k: String,
    #[serde(default)]
    r#for: String,
}

/// Returns what a format that is not known is: a newer release's, or forged. Under a key that is not known nothing
/// can tell which, so it is for the digest key to be found out.
fn newer(text: &str, head: Head, key: &DigestKey) -> Reading {
    let Some(made_with) = key.by_id(&head.k) else {
        if head.k.is_empty() {
            return Reading::Foreign;
        }
        return Reading::OtherKey(Observed {
            format: head.v,
            key_id: head.k,
            workload_uid: head.r#for,
            created_at: None,
            sequence: 0,
            restarted_for: String::new(),
            entries: Entries::new(),
            fold: None,
            formers: Formers::default(),
            lists: KeyLists::default(),
        });
    };
    let covered = text.rsplit_once(BEFORE_MAC).and_then(|(covered, mac)| {
        let mac = mac.strip_suffix("\"}")?;
        Some((format!("{covered}}}"), mac))
    });
    match covered {
        Some((covered, mac)) if mac == mac_of(&covered, made_with) => Reading::Newer(head.v),
        _ => Reading::Foreign,
    }
}

/// Returns the code of a text, which has none yet.
fn mac_of(text: &str, key: &DigestKey) -> String {
    key.digest([b"observed".as_slice(), text.as_bytes()])
        .to_string()
}

impl Wire {
    fn text(&self) -> String {
        // Only maps with keys that are no strings cannot be printed, and there are none.
        serde_json::to_string(self).unwrap_or_default()
    }

    fn mac(&self, key: &DigestKey) -> String {
        mac_of(&self.text(), key)
    }
}
