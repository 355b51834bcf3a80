//! Who wrote sources last, as far as this process saw it: the `ServiceAccount`s of the namespace itself. A workload whose pods
//! write a source that they use restarts itself.
//!
//! It is bounded: who wrote longest ago is forgotten first.

use std::collections::{BTreeMap, VecDeque};

use super::{Digest, SourceKey};

/// The most sources whose writers are known.
const MOST: usize = 1_000;

/// How the API server names a `ServiceAccount`, before its namespace.
const SERVICE_ACCOUNT: &str = "system:serviceaccount:";

/// Who wrote sources last.
#[derive(Debug, Default)]
pub struct Writers {
    by_source: BTreeMap<SourceKey, (Digest, String)>,
    /// In the order of their first writes.
    order: VecDeque<SourceKey>,
}

impl Writers {
    /// Takes in that this user writes this version of a source.
    pub fn wrote(&mut self, source: &SourceKey, version: Digest, user: &str) {
        let Some(account) = service_account(&source.namespace, user) else {
            if self.by_source.remove(source).is_some() {
                self.order.retain(|one| one != source);
            }
            return;
        };
        let written = (version, account.to_owned());
        if self.by_source.insert(source.clone(), written).is_none() {
            self.order.push_back(source.clone());
        }
        while self.order.len() > MOST {
            if let Some(oldest) = self.order.pop_front() {
                self.by_source.remove(&oldest);
            }
        }
    }

    /// Returns the `ServiceAccount` of the source's namespace that wrote this version of it; `None` where it was somebody else,
    /// or that was not seen.
    pub fn account(&self, source: &SourceKey, version: Digest) -> Option<&str> {
        let (written, account) = self.by_source.get(source)?;
        (*written == version).then_some(account)
    }
}

fn service_account<'a>(namespace: &str, user: &'a str) -> Option<&'a str> {
    user.strip_prefix(SERVICE_ACCOUNT)?
        .strip_prefix(namespace)?
        .strip_prefix(':')
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::model::{source::SourceName, testing};

    fn source(name: &str) -> SourceKey {
        SourceKey {
            namespace: "shop".to_owned(),
            source: SourceName::secret(name),
        }
    }

    #[test]
    fn only_accounts_of_the_namespace_are_known_and_only_for_their_version() {
        let key = testing::key();
        let [one, two] = ["1", "2"].map(|text| key.digest([text.as_bytes()]));
        let db = source("db");
        let mut writers = Writers::default();
        for user in [
            "somebody",
            "system:serviceaccount:other:web",
            "system:serviceaccount:shopping:web",
        ] {
            writers.wrote(&db, one, user);
            assert_eq!(writers.account(&db, one), None, "{user}");
        }
        writers.wrote(&db, one, "system:serviceaccount:shop:web");
        assert_eq!(writers.account(&db, one), Some("web"));
        assert_eq!(writers.account(&db, two), None);
        writers.wrote(&db, two, "somebody");
        assert_eq!(writers.account(&db, one), None);
    }

    #[test]
    fn who_wrote_longest_ago_is_forgotten() {
        let version = testing::key().digest([b"1".as_slice()]);
        let mut writers = Writers::default();
        for number in 0..=MOST {
            let user = "system:serviceaccount:shop:web";
            writers.wrote(&source(&format!("s{number}")), version, user);
        }
        assert_eq!(writers.account(&source("s0"), version), None);
        assert_eq!(writers.account(&source("s1"), version), Some("web"));
        assert_eq!((writers.order.len(), writers.by_source.len()), (MOST, MOST));
    }
}
