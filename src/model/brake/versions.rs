//! For which versions a restart is.

use std::collections::BTreeMap;

use crate::model::{
    decide::Cause,
    digest::{Digest, DigestKey},
    source::SourceName,
    version::Version,
    workload::{Changed, SOURCES, VersionId},
};

/// Returns what a restart for these causes is for: the versions that `version` returns. Of very many, and of those that
/// cannot be named, the namespace.
pub fn versions<'a>(
    causes: &[Cause],
    key: &DigestKey,
    version: impl Fn(&SourceName) -> Option<&'a Version>,
) -> BTreeMap<Changed, VersionId> {
    let changed = |cause: &Cause| match &cause.source {
        Some(source) => Changed::Source(source.clone()),
        None => Changed::Namespace,
    };
    let id = |changed: &Changed| match changed {
        Changed::Source(source) => version_id(key, version(source)),
        Changed::Namespace => Digest::CHANGED,
    };
    let changed = causes.iter().map(changed);
    let versions: BTreeMap<_, _> = changed.map(|one| (one.clone(), id(&one))).collect();
    if versions.len() > SOURCES {
        return BTreeMap::from([(Changed::Namespace, Digest::CHANGED)]);
    }
    versions
}

/// Returns the id of a version that a restart takes; `None`: of a source that is absent.
pub fn version_id(key: &DigestKey, version: Option<&Version>) -> VersionId {
    let Some(version) = version else {
        return key.digest([b"absent".as_slice()]);
    };
    key.digest([b"version", version.uid.as_bytes(), version.whole.bytes()])
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::model::decide::CauseKind;

    #[test]
    fn very_many_sources_count_as_one_of_the_namespace() {
        let key = crate::model::testing::key();
        let cause = |number: usize| {
            let source = SourceName::secret(format!("s{number}"));
            Cause::plain(CauseKind::Updated, Some(&source))
        };
        let of = |number| {
            let causes: Vec<_> = (0..number).map(cause).collect();
            versions(&causes, &key, |_| None)
        };
        assert_eq!(of(SOURCES).len(), SOURCES);
        assert_eq!(
            of(SOURCES + 1).keys().collect::<Vec<_>>(),
            [&Changed::Namespace]
        );
        let rolled_back = [Cause::plain(CauseKind::RolledBack, None)];
        let versions = versions(&rolled_back, &key, |_| None);
        assert_eq!(versions.keys().collect::<Vec<_>>(), [&Changed::Namespace]);
    }
}
