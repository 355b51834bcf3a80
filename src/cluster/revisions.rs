//! What the revisions of a workload tell of its past. Its revisions are its `ReplicaSet`s or its `ControllerRevision`s.
//!
//! A tool that replaces a workload while reroll is down removes `observed` from it, and the mark (`restarted-for`) from
//! its template. The revisions still have both. The mark is in the template that each revision was made of. The
//! annotations are there because the workload's controller copies them to its revisions (a Deployment's whenever they
//! change, the others' when the revision is made) and never removes any. So revisions tell that reroll looked after the
//! workload, and the newest may tell which versions its pods have.
//!
//! A user who opts out removes `observed` too, but leaves the template alone. So if the template still has its mark,
//! the workload was opted out, and its past does not count.
//!
//! Pure, but for the list that is read. Of that list only the fields that count here are kept.

use k8s_openapi::{
    api::apps::v1::{ControllerRevision, ReplicaSet},
    apimachinery::pkg::apis::meta::v1::Time,
};
use kube::{
    Resource,
    api::ListParams,
    core::{NamespaceResourceScope, Request, Selector},
};
use serde::Deserialize;
use serde_json::Value;

use super::{Cluster, Failure};
use crate::model::{
    Version, WorkloadKey,
    annotation::RESTARTED_FOR,
    decide::CREATE_WINDOW,
    digest::DigestKey,
    observed::{Entry, Observed, Reading},
    source::{SourceName, Usage},
    workload::{Revisions as RevisionKind, Workload, selector},
};

/// A list of `ReplicaSet`s or `ControllerRevision`s, with only the fields that count here.
#[derive(Debug, Default, Deserialize)]
pub struct Revisions {
    items: Vec<Revision>,
}

#[derive(Debug, Deserialize)]
struct Revision {
    metadata: Metadata,
    /// The spec of a `ReplicaSet`.
    spec: Option<Templated>,
    /// The data of a `ControllerRevision`: whatever its owner wrote.
    data: Option<Value>,
}

#[derive(Debug, Default, Deserialize)]
#[serde(default, rename_all = "camelCase")]
struct Metadata {
    creation_timestamp: Option<Time>,
    annotations: Written,
    owner_references: Vec<Owner>,
}

#[derive(Debug, Deserialize)]
struct Owner {
    uid: String,
}

#[derive(Debug, Default, Deserialize)]
#[serde(default)]
struct Templated {
    template: Template,
}

#[derive(Debug, Default, Deserialize)]
#[serde(default)]
struct Template {
    metadata: TemplateMetadata,
}

#[derive(Debug, Default, Deserialize)]
#[serde(default)]
struct TemplateMetadata {
    annotations: Written,
}

/// The annotations of reroll on an object.
#[derive(Debug, Default, Deserialize)]
#[serde(default)]
struct Written {
    #[serde(rename = "reroll.dev/observed")]
    observed: Option<String>,
    #[serde(rename = "reroll.dev/restarted-for")]
    restarted_for: Option<String>,
}

impl Revisions {
    /// Returns those that a workload with this uid owns.
    fn owned(&self, uid: &str) -> impl Iterator<Item = &Revision> {
        let own = move |revision: &&Revision| {
            let mut owners = revision.metadata.owner_references.iter();
            owners.any(|owner| owner.uid == uid)
        };
        self.items.iter().filter(own)
    }
}

impl Revision {
    fn made(&self) -> Option<i64> {
        let made = self.metadata.creation_timestamp.as_ref();
        made.map(|time| time.0.as_second())
    }

    /// Returns the mark of the template that the revision was made of; empty where there is none.
    fn mark(&self) -> &str {
        let own = self.spec.as_ref();
        let own = own.and_then(|spec| spec.template.metadata.annotations.restarted_for.as_deref());
        let kept = || {
            let template = self
                .data
                .as_ref()?
                .pointer("/spec/template/metadata/annotations")?;
            template.get(RESTARTED_FOR)?.as_str()
        };
        own.or_else(kept).unwrap_or_default()
    }
}

/// The workload whose revisions are read.
#[derive(Clone, Copy, Debug)]
pub struct Whose<'a> {
    /// `metadata.uid`
    uid: &'a str,
    /// `metadata.creationTimestamp`, in unix seconds.
    created: i64,
    /// The mark on its template; empty where there is none.
    mark: &'a str,
    /// The text of its `observed`, where another writer has adopted it by now. A copy of that text on a revision tells
    /// nothing.
    observed: Option<&'a str>,
}

impl<'a> Whose<'a> {
    /// Takes what counts from a workload as it was read.
    pub fn of(workload: &'a Workload) -> Self {
        Self {
            uid: &workload.uid,
            created: workload.created,
            mark: workload.marks.template.as_deref().unwrap_or_default(),
            observed: workload.observed.as_deref(),
        }
    }
}

/// What a workload's revisions tell.
#[derive(Debug, Default, PartialEq, Eq)]
pub struct Past {
    /// When the newest revision was made, in unix seconds.
    pub newest: Option<i64>,
    /// Whether reroll looked after the workload before: its template has no mark, and a revision has a mark or an
    /// `observed` that belongs to the workload.
    pub was_ours: bool,
    /// What the pods were started with, if the newest revision tells it.
    observed: Option<Observed>,
}

impl Past {
    /// Returns the past of a workload that is its own only revision, made at this time in unix seconds.
    pub fn of_itself(made: i64) -> Self {
        Self {
            newest: Some(made),
            ..Self::default()
        }
    }

    /// Reads the past from those of the listed revisions that the workload owns.
    pub fn of(listed: &Revisions, whose: Whose, key: &DigestKey) -> Self {
        let mut past = Self::default();
        for revision in listed.owned(whose.uid) {
            let (made, mark) = (revision.made(), revision.mark());
            let text = revision.metadata.annotations.observed.as_deref();
            let text = text.filter(|text| whose.observed != Some(*text));
            let read = text.map(|text| Observed::read(text, key));
            let read = read.filter(|read| is_of(read, whose, made));
            past.was_ours |= !mark.is_empty() || read.is_some();
            // Only the newest revision counts: pods of an older one that was rolled back to are newer than its copy of
            // `observed`. Of two revisions made in the same second either may be the newest, so then none counts.
            if made >= past.newest {
                let only = made > past.newest && mark == whose.mark;
                past.observed = match read {
                    Some(Reading::Genuine(read)) if only && read.restarted_for == mark => {
                        Some(read)
                    }
                    _ => None,
                };
            }
            past.newest = past.newest.max(made);
        }
        past.was_ours &= whose.mark.is_empty();
        past
    }

    /// Whether the pods are known to have this version of everything that they use of a source.
    pub fn has(&self, source: &SourceName, usage: &Usage, version: &Version) -> bool {
        let entries = self.observed.as_ref().map(|observed| &observed.entries);
        let known = entries.and_then(|entries| entries.get(source));
        let as_used = known.and_then(|known| known.as_used(version, usage, true));
        match (as_used.as_ref().or(known), Entry::of(version, usage)) {
            (
                Some(Entry::Seen {
                    uid: a,
                    states: old,
                    ..
                }),
                Entry::Seen {
                    uid: b,
                    states: new,
                    ..
                },
            ) => *a == b && new.iter().all(|(key, mark)| old.get(key) == Some(mark)),
            _ => false,
        }
    }
}

/// Returns when the revision of a workload's template with this mark was made, in unix seconds; `None` where there is none. A mark is never
/// used twice, so that was after the write that set it.
///
/// # Errors
/// When the API server refuses, or does not answer in time.
pub async fn made(
    cluster: &Cluster,
    key: &WorkloadKey,
    mark: &str,
) -> Result<Option<i64>, Failure> {
    let Some(Listed {
        workload,
        revisions,
    }) = listed(cluster, key).await?
    else {
        return Ok(None);
    };
    let mut owned = revisions.owned(&workload.uid);
    let with_mark = owned.find(|revision| revision.mark() == mark);
    Ok(with_mark.and_then(Revision::made))
}

/// Reads what the workload's revisions tell. Returns it, and whether the workload's controller has yet to see the
/// workload as it is now.
///
/// # Errors
/// When the API server refuses, or does not answer in time.
pub async fn past(
    cluster: &Cluster,
    key: &WorkloadKey,
    digest_key: &DigestKey,
) -> Result<(Past, bool), Failure> {
    let Some(Listed {
        workload,
        revisions,
    }) = listed(cluster, key).await?
    else {
        return Ok((Past::default(), false));
    };
    if key.kind.revisions == Some(RevisionKind::Itself) {
        return Ok((Past::of_itself(workload.created), false));
    }
    let past = Past::of(&revisions, Whose::of(&workload), digest_key);
    Ok((past, workload.is_behind()))
}

/// A workload and its revisions, as they were read.
struct Listed {
    workload: Workload,
    /// None where the workload is its own only one.
    revisions: Revisions,
}

/// Reads a workload and its revisions; `None` where it is gone, or has none that can be found.
async fn listed(cluster: &Cluster, key: &WorkloadKey) -> Result<Option<Listed>, Failure> {
    let Some(kind) = key.kind.revisions else {
        return Ok(None);
    };
    let Some(object) = cluster.workload(key).await? else {
        return Ok(None);
    };
    let Some(selector) = selector(key.kind, &object) else {
        return Ok(None);
    };
    let revisions = match kind {
        RevisionKind::Itself => Revisions::default(),
        RevisionKind::ReplicaSets => list::<ReplicaSet>(cluster, key, &selector).await?,
        RevisionKind::ControllerRevisions => {
            list::<ControllerRevision>(cluster, key, &selector).await?
        }
    };
    let workload = Workload::read(key.kind, &object);
    Ok(Some(Listed {
        workload,
        revisions,
    }))
}

/// Lists the objects of a kind whose labels the workload's selector of pods selects. The list has no limit. There are
/// only a dozen objects or so, but with a limit the API server would read those of the whole namespace from etcd.
async fn list<K>(
    cluster: &Cluster,
    key: &WorkloadKey,
    pods: &Selector,
) -> Result<Revisions, Failure>
where
    K: Resource<DynamicType = (), Scope = NamespaceResourceScope>,
{
    let params = ListParams::default().labels_from(pods);
    let request = Request::new(K::url_path(&(), Some(&key.namespace))).list(&params);
    let request = request.map_err(|_| Failure::Forbidden)?;
    cluster.read_alone(request).await
}

/// Whether an `observed` on a revision made at `made` belongs to the workload. It does not if another workload's
/// manifest brought it along. That of a former workload of the same name counts if the revision is older than the
/// workload.
fn is_of(read: &Reading, whose: Whose, made: Option<i64>) -> bool {
    let (Reading::Genuine(read) | Reading::Previous(read) | Reading::OtherKey(read)) = read else {
        return false;
    };
    let own = match read.created_at {
        Some(at) if read.workload_uid.is_empty() => {
            at.abs_diff(whose.created) <= CREATE_WINDOW.unsigned_abs()
        }
        _ => read.workload_uid == whose.uid,
    };
    own || made.is_some_and(|made| made < whose.created)
}

#[cfg(test)]
mod tests;
