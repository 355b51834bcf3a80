//! Whether a pod of a namespace may have an older value of a source than the live one, and what is said of those that may.
//!
//! A pod reads its variables once and its files mostly once. So what it has is told by when it was made, never by when a
//! container of it started again: that one reads variables from what its kubelet knows. The times of a pod and of a version
//! have whole seconds, and perhaps two API servers wrote them. So a pod that was made at about the time of the version counts as
//! older, unless its workload shows that it has no pods of an older template, and that this template has the live version. What
//! shows that of all its pods is a restart for the version, or a record of an earlier one that the version changed nothing of. A
//! record of the version itself shows it of those pods only that were not made before it was written: a workload that opted in
//! since has pods that were there before.
//!
//! Pods that ended do not count. Pods that are being deleted do, until they are gone: their containers run.

use std::collections::BTreeSet;

use jiff::{SignedDuration, Timestamp};
use k8s_openapi::api::core::v1::Pod;

use super::later;
use crate::model::{
    SourceName, WorkloadKey,
    digest::DigestKey,
    source::references,
    text::{first_of, some_of},
    workload::VersionId,
};

/// So far may the clocks of two API servers be apart.
const APART: i64 = 2;
/// A pod that is still being deleted so long after it should be gone is told of.
const GOING: SignedDuration = SignedDuration::from_mins(1);
/// The most pods, and the most workloads, that are named.
const NAMED: usize = 5;

/// Who made a pod: kind and name.
pub type Owner = (String, String);

/// A version, and what is known of its users.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Asked {
    /// Of which source.
    pub source: SourceName,
    /// When the version was written, in unix seconds.
    pub written: i64,
    /// The users that have no pods of an older template, and whose template has the version: of those pods that are not being
    /// deleted this is known.
    pub current: BTreeSet<Owner>,
    /// The users of which this is recorded, and nothing shows that no pod was there before the version.
    pub recorded: BTreeSet<Owner>,
    /// The users that name the source in their opt-in alone: their pods do not show that they use it.
    pub unnamed: BTreeSet<Owner>,
    /// All users.
    pub users: BTreeSet<Owner>,
}

/// What is read off a pod, once for all sources.
#[derive(Clone, Debug)]
pub struct Shown {
    /// `metadata.name`
    pub name: String,
    made: i64,
    /// When it should be gone.
    pub goes: Option<Timestamp>,
    /// Who made it.
    pub owner: Option<Owner>,
    uses: Vec<SourceName>,
}

/// The pods that may have an older value.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Older {
    /// How many there are.
    pub all: usize,
    /// How many of them a person is told of: not those that are about to be gone.
    pub told: usize,
    /// The first of these, in words.
    pub named: BTreeSet<String>,
    /// Whether no user made one of them: then it has been there since the version was written, and was never proven to have it.
    pub of_others: bool,
}

impl Shown {
    /// Reads a pod; `None` where it has ended.
    pub fn of(pod: &Pod) -> Option<Self> {
        let phase = pod.status.as_ref().and_then(|it| it.phase.as_deref());
        if matches!(phase, Some("Succeeded" | "Failed")) {
            return None;
        }
        let meta = &pod.metadata;
        let uses = references(&serde_json::json!({ "spec": pod.spec }));
        let uses = uses.into_iter().filter(|(_, usage)| usage.is_read());
        // One whose age does not show counts as older than everything.
        let made = meta.creation_timestamp.as_ref();
        Some(Self {
            name: meta.name.clone().unwrap_or_default(),
            made: made.map_or(i64::MIN, |time| time.0.as_second()),
            goes: meta.deletion_timestamp.as_ref().map(|time| time.0),
            owner: owner(pod),
            uses: uses.map(|(source, _)| source).collect(),
        })
    }

    /// Whether it may have an older value of a source.
    pub fn is_older(&self, asked: &Asked) -> bool {
        let is_of = |all: &BTreeSet<Owner>| self.owner.as_ref().is_some_and(|it| all.contains(it));
        let uses = self.uses.contains(&asked.source) || is_of(&asked.unnamed);
        let is_younger = self.made > asked.written.saturating_add(APART);
        let is_known =
            is_of(&asked.current) || is_of(&asked.recorded) && self.made >= asked.written;
        uses && !is_younger && (self.goes.is_some() || !is_known)
    }

    /// Returns it as people are told of it: `web-1 (of Deployment web, being deleted)`.
    pub fn spoken(&self) -> String {
        let mut words = self.name.clone();
        let of = self.owner.as_ref();
        let of = of.map(|(kind, name)| format!("of {kind} {name}"));
        let goes = self.goes.map(|_| "being deleted".to_owned());
        let said: Vec<_> = of.into_iter().chain(goes).collect();
        if !said.is_empty() {
            words = format!("{words} ({})", said.join(", "));
        }
        words
    }
}

impl Older {
    /// Takes in a pod.
    pub fn see(&mut self, pod: &Shown, asked: &Asked, now: Timestamp) {
        if !pod.is_older(asked) {
            return;
        }
        self.all += 1;
        let owner = pod.owner.as_ref();
        self.of_others |= owner.is_none_or(|owner| !asked.users.contains(owner));
        if pod.goes.is_some_and(|goes| now < later(goes, GOING)) {
            return;
        }
        self.told += 1;
        self.named.insert(pod.spoken());
        if self.named.len() > NAMED {
            self.named.pop_last();
        }
    }

    /// Returns what a person is told of them, where so many workloads run the version.
    pub fn words(&self, users: usize) -> String {
        let (run, told) = (workloads_run(users), self.told);
        let may = match told {
            1 => "1 pod that is older may have".to_owned(),
            _ => format!("{told} pods that are older may have"),
        };
        let named = some_of(self.named.iter().map(String::as_str), told);
        format!(
            "{run} this version, but {may} the value before: {named}. Keep that valid until none is left"
        )
    }
}

/// Returns what a person is told where no pod has an older value: who uses the version, and how long after it was written
/// the last of them had it.
pub fn words(users: &[WorkloadKey], after: SignedDuration) -> String {
    let named: Vec<_> = users.iter().map(WorkloadKey::spoken).collect();
    let (count, after) = (users.len(), spoken(after));
    let named = first_of(&named, NAMED);
    let last = if count == 1 { "" } else { "the last " };
    let run = workloads_run(count);
    format!("{run} this version, {last}after {after}, and no older pod is left: {named}")
}

fn workloads_run(count: usize) -> String {
    match count {
        1 => "1 workload runs".to_owned(),
        _ => format!("{count} workloads run"),
    }
}

/// Returns what tells a version, and what is said of it, from all others, as part of the name of an Event: every process that
/// says it makes the same name.
pub fn print(
    key: &DigestKey,
    (version, written): (VersionId, i64),
    said: &BTreeSet<String>,
) -> String {
    let written = written.to_be_bytes();
    let parts = [b"converged".as_slice(), version.bytes(), &written];
    let said = said.iter().map(String::as_bytes);
    key.digest(parts.into_iter().chain(said)).label()
}

/// Returns who made a pod: a workload, where a `ReplicaSet` of it did.
/// Returns which workload a pod is of: the kind, and the name.
pub fn owner(pod: &Pod) -> Option<Owner> {
    let meta = &pod.metadata;
    let owners = meta.owner_references.iter().flatten();
    let owner = owners.into_iter().find(|it| it.controller == Some(true))?;
    let label = |name: &str| meta.labels.as_ref()?.get(name);
    let of = |kind: &str, name: &str| Some((kind.to_owned(), name.to_owned()));
    if owner.kind == "ReplicaSet" {
        for (kind, hash) in [
            ("Rollout", label("rollouts-pod-template-hash")),
            ("Deployment", label("pod-template-hash")),
        ] {
            let stem = hash.and_then(|hash| owner.name.strip_suffix(hash.as_str()));
            if let Some(name) = stem.and_then(|stem| stem.strip_suffix('-')) {
                return of(kind, name);
            }
        }
    }
    of(&owner.kind, &owner.name)
}

/// Returns a time as people say it.
fn spoken(time: SignedDuration) -> String {
    let seconds = time.as_secs().max(0);
    match seconds {
        0..120 => format!("{seconds} s"),
        120..7200 => format!("{} min", seconds / 60),
        _ => format!("{} h", seconds / 3600),
    }
}

#[cfg(test)]
mod tests;
