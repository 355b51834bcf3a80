//! What follows for adopted pods: as for any workload, from what they were started with, as far as that is known.

use super::observed_in;
use crate::model::{
    decide::{Ages, CauseKind, Decision, Known, Lookup, Pods, Restart, Subject, decide},
    digest::{Digest, DigestKey},
    observed::{Entries, Entry, Fold, Formers, Observed, Reading},
    source::{References, SourceName, Usage},
    version::Version,
};

/// What follows for adopted pods.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Assessment {
    /// As for any workload.
    pub decision: Decision,
    /// What the pods were started with, as far as known.
    pub before: Observed,
}

/// Decides for adopted pods, the oldest of which was made then. The subject's mark is theirs; `said`: what is known of
/// them ([`super::Adopted::said`]). Without a uid, the subject is being created.
pub fn judge<'a>(
    subject: &Subject,
    oldest: i64,
    said: Option<&Reading>,
    live: &dyn Fn(&SourceName) -> Lookup<'a>,
    key: &DigestKey,
) -> Assessment {
    let known = said.and_then(observed_in);
    let mut before = Observed {
        format: known.map_or(key.format(), |known| known.format),
        key_id: known.map_or_else(|| key.id().to_owned(), |known| known.key_id.clone()),
        workload_uid: subject.uid.to_owned(),
        created_at: subject.uid.is_empty().then_some(subject.created),
        sequence: 0,
        restarted_for: subject.restarted_for.unwrap_or_default().to_owned(),
        entries: Entries::new(),
        fold: known.and_then(|known| fold_that_counts(known, subject.uses, oldest, live, key)),
        formers: Formers::none(),
        lists: known.map_or_else(|| subject.lists(), |known| known.lists.clone()),
    };
    let mut late = Vec::new();
    for (source, usage) in subject.uses.iter().filter(|(_, usage)| usage.is_read()) {
        let entry = known.and_then(|known| known.entries.get(source));
        let folded = entry.is_none() && before.fold.is_some();
        let entry = match (entry, live(source)) {
            (Some(entry), Lookup::Present { version, .. }) => {
                entry_that_counts(entry, version, oldest)
            }
            (Some(entry), _) => Some(entry.clone()),
            (None, Lookup::Present { version, .. })
                if !folded && source.kind.is_readable() && version.changed_at() > oldest =>
            {
                late.push(source.clone());
                Some(unread(version, usage))
            }
            (None, _) => None,
        };
        before
            .entries
            .extend(entry.map(|entry| (source.clone(), entry)));
    }
    let known = match said {
        Some(Reading::Previous(_)) => Known::Previous(&before),
        _ => Known::Observed(&before),
    };
    // What nothing is said of was compared with the age of the pods here.
    let nothing_new = Ages::new();
    let subject = Subject {
        pods: Pods {
            ages: Some(&nothing_new),
            ..subject.pods
        },
        ..*subject
    };
    let mut decision = decide(&subject, known, live, key);
    let causes = match &mut decision {
        Decision::Restart(Restart { causes, .. }) | Decision::Wait { causes, .. } => causes,
        Decision::Undecided(_) | Decision::Keep(_) | Decision::Record(_) => &mut Vec::new(),
    };
    for cause in causes {
        if cause
            .source
            .as_ref()
            .is_some_and(|source| late.contains(source))
        {
            // Which keys were written, no time tells.
            (cause.kind, cause.uids) = (CauseKind::Outdated, None);
            cause.keys.clear();
        }
    }
    Assessment { decision, before }
}

/// Returns the entry, if pods that were made then can have what it says: those that were made after the live source
/// was cannot have read its predecessor. Another uid may come from another cluster, whose resourceVersions say
/// nothing here.
fn entry_that_counts(entry: &Entry, live: &Version, oldest: i64) -> Option<Entry> {
    let other = |uid: &str| uid != live.uid;
    let read = live.changed_at() <= oldest;
    match entry {
        Entry::Seen { uid, .. } | Entry::Deleted { uid, .. } if other(uid) && read => None,
        Entry::Unknown | Entry::Waiting if read => None,
        Entry::Seen { uid, .. } if other(uid) => Some(entry.clone().of_no_version()),
        other => Some(other.clone()),
    }
}

/// Returns the same for entries that were folded: they count together, as a fold does.
fn fold_that_counts<'a>(
    known: &Observed,
    uses: &References,
    oldest: i64,
    live: &dyn Fn(&SourceName) -> Lookup<'a>,
    key: &DigestKey,
) -> Option<Fold> {
    let fold = known.fold.as_ref()?;
    let folded = uses
        .iter()
        .filter(|(source, usage)| usage.is_read() && !known.entries.contains_key(*source));
    let present =
        folded.filter_map(|(source, usage)| Some((source, usage, live(source).version()?)));
    let present: Vec<_> = present.collect();
    let mut versions = present.iter().map(|(_, _, version)| version);
    let read = versions.all(|version| version.changed_at() <= oldest);
    let now = present
        .into_iter()
        .map(|(source, usage, version)| (source, usage, Some(version)));
    let same_objects = Fold::of_versions(key, now).uids == fold.uids;
    (same_objects || !read).then(|| fold.clone())
}

/// Returns the entry of pods that were made before the source was written: its data is other than what they have
/// read.
fn unread(live: &Version, usage: &Usage) -> Entry {
    let now = Entry::of(live, usage).of_no_version();
    now.map_digests(|_, _| Digest::CHANGED)
}
