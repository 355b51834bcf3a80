//! What people and faults do, as values.

use std::{fmt, time::Duration};

use crate::faults::Fault;

/// One operation, and how long nothing else is done after it.
#[derive(Clone, Debug)]
pub struct Step {
    /// What is done.
    pub operation: Operation,
    /// The time until the next one.
    pub wait: Duration,
}

/// The name of a source or workload.
pub(crate) type Name = &'static str;

/// What is done. An operation that makes no sense where it comes does nothing: a part of a schedule is one, too.
#[derive(Clone, Debug)]
pub enum Operation {
    /// What happens to a source.
    Source(Name, OnSource),
    /// What happens to a workload.
    Workload(Name, OnWorkload),
    /// A deploy that comes with a change hangs, and is taken back.
    HangAndUndo(Hang),
    /// Pods that start from now on become ready, or never do.
    Hang(bool),
    /// Something goes wrong.
    Fault(Fault),
    /// All faults end, and nobody does anything until everything is done that can be.
    Rest,
    /// The namespace is deleted with all that is in it, and made again from Git after this time.
    RemakeNamespace(Duration),
    /// Somebody rotates the digest key: puts a new one beside the one before.
    RotateKey,
    /// A backup of etcd is made.
    BackUp,
    /// A backup of etcd is made, a source changes, and etcd is restored.
    BackUpAndRestore {
        /// Which source changes.
        source: Name,
        /// The time until the restore.
        until: Duration,
        /// Whether revisions go on after the last one.
        bump: bool,
    },
    /// etcd is restored from the last backup.
    Restore {
        /// Whether revisions go on after the last one, as `--bump-revision` does.
        bump: bool,
    },
}

/// What happens to a source.
#[derive(Clone, Debug)]
pub enum OnSource {
    /// It gets other data.
    Update,
    /// Its data is changed, and restored after a time.
    UpdateAndBack(Duration),
    /// A key changes that only those read who read all.
    UpdateOther,
    /// It gets the data of another one of its kind.
    Copy,
    /// It is deleted, and made again after a time.
    Recreate(Recreation),
    /// It is deleted.
    Delete,
    /// It is made, where it is not there.
    Create,
    /// It gets another label.
    Label,
    /// It becomes immutable.
    Freeze,
    /// It counts no more, or counts again; with other data in the same write where `changes` is true.
    Ignore {
        /// Whether it is ignored from now on.
        ignored: bool,
        /// Whether its data changes with it.
        changes: bool,
    },
}

/// How a source is made again.
#[derive(Clone, Copy, Debug)]
pub struct Recreation {
    /// How long it is away.
    pub gap: Duration,
    /// Whether its data is the same.
    pub same: bool,
    /// Whether a machine makes it: it has an owner.
    pub owned: bool,
    /// Whether the new one is immutable.
    pub immutable: bool,
    /// Which other source changes while it is away.
    pub meanwhile: Option<Name>,
}

/// What happens to a workload.
#[derive(Clone, Debug)]
pub enum OnWorkload {
    /// Its template becomes another edition.
    Edit(u8),
    /// `kubectl rollout undo`.
    Undo,
    /// A user keeps a copy of it as it is: `kubectl get -o yaml`.
    Export,
    /// The kept copy is written over it: `kubectl replace`.
    ReplaceByExport,
    /// What is in Git is written over it, without what reroll wrote.
    ReplaceByManifest(u8),
    /// Its rollouts are paused, or go on.
    Pause(bool),
    /// It has so many replicas.
    Scale(u8),
    /// reroll only reports, or restarts again.
    Suspend(bool),
    /// It has this place in the order of restarts.
    Wave(i8),
    /// When it is restarted.
    Window(Window),
    /// What waits of it is let go.
    Release,
    /// It opts in, or out.
    OptIn(bool),
    /// It opts in for one source by name.
    OptInFor(u8),
    /// From now on it is restarted for what is deleted and optional, or is not.
    OnDelete(bool),
    /// It is deleted, its pods stay, and it is made again.
    OrphanAndRemake(Remake),
    /// `kubectl replace --force`: it is deleted with its pods, and made again.
    Remake(Remake),
    /// Somebody writes an old `observed` through the status, around the webhook.
    PutBackObserved,
    /// Somebody removes `observed` through the status, around the webhook.
    DropObserved,
    /// Somebody writes an `observed` of a format that there is not, through the status.
    ForgeObserved,
    /// Its annotations become as large as they may be, or small again.
    Fill(bool),
    /// `kubectl rollout restart`.
    RolloutRestart,
}

/// When a workload is restarted.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Window {
    /// Always: nothing is said.
    None,
    /// On every day.
    Open,
    /// In three days.
    Closed,
    /// Nobody can read when.
    Unreadable,
}

/// How a workload is made again.
#[derive(Clone, Copy, Debug)]
pub struct Remake {
    /// From the kept copy, or from Git.
    pub export: bool,
    /// The edition that Git has.
    pub edition: u8,
    /// How long it is away.
    pub gap: Duration,
    /// Which source changes meanwhile, if one does.
    pub changes: Option<Name>,
}

/// A deploy that comes with a change hangs, and is taken back.
#[derive(Clone, Copy, Debug)]
pub struct Hang {
    /// Which workload.
    pub workload: Name,
    /// Which template.
    pub edition: u8,
    /// The source that changes, of all.
    pub source: Name,
    /// Whether it changes before the deploy.
    pub first: bool,
    /// The time between both.
    pub between: Duration,
    /// The time until it is taken back.
    pub until: Duration,
    /// Whether it is taken back by the old manifest, and not by an undo.
    pub by_manifest: bool,
}

impl fmt::Display for Step {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let wait = self.wait.as_millis();
        write!(f, "{}; then {wait} ms", self.operation)
    }
}

impl fmt::Display for Operation {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Source(name, what) => write!(f, "{name} {what}"),
            Self::Workload(name, what) => write!(f, "{name} {what}"),
            Self::HangAndUndo(hang) => hang.fmt(f),
            Self::Hang(true) => write!(f, "pods that start hang from now on"),
            Self::Hang(false) => write!(f, "pods become ready"),
            Self::Fault(fault) => fault.fmt(f),
            Self::Rest => write!(f, "faults end, and everybody waits"),
            Self::RemakeNamespace(gap) => {
                let gap = gap.as_millis();
                write!(
                    f,
                    "the namespace is deleted, and it is made again with all that is in it after {gap} ms"
                )
            }
            Self::RotateKey => write!(f, "the digest key is rotated"),
            Self::BackUp => write!(f, "a backup of etcd is made"),
            Self::BackUpAndRestore {
                source,
                until,
                bump,
            } => {
                let (until, bump) = (
                    until.as_millis(),
                    if *bump { ", with later revisions" } else { "" },
                );
                write!(
                    f,
                    "a backup of etcd is made, {source} changes, and etcd is restored after {until} ms{bump}"
                )
            }
            Self::Restore { bump: false } => write!(f, "etcd is restored"),
            Self::Restore { bump: true } => write!(f, "etcd is restored, with later revisions"),
        }
    }
}

impl fmt::Display for OnSource {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Update => write!(f, "gets other data"),
            Self::UpdateAndBack(after) => {
                let after = after.as_millis();
                write!(f, "gets other data, and its old data back after {after} ms")
            }
            Self::UpdateOther => write!(f, "gets other data in a key that few read"),
            Self::Copy => write!(f, "gets the data of the next one of its kind"),
            Self::Recreate(recreation) => {
                let data = if recreation.same { "the same" } else { "other" };
                let gap = recreation.gap.as_millis();
                write!(
                    f,
                    "is deleted, and made again with {data} data after {gap} ms"
                )?;
                if let Some(other) = recreation.meanwhile {
                    write!(f, ", while {other} changes")?;
                }
                if recreation.owned {
                    write!(f, ", with an owner")?;
                }
                if recreation.immutable {
                    write!(f, ", immutable")?;
                }
                Ok(())
            }
            Self::Delete => write!(f, "is deleted"),
            Self::Create => write!(f, "is made where it is not there"),
            Self::Label => write!(f, "gets another label"),
            Self::Freeze => write!(f, "becomes immutable"),
            Self::Ignore { ignored, changes } => {
                write!(f, "{}", if *ignored { "is ignored" } else { "counts" })?;
                write!(
                    f,
                    "{}",
                    if *changes {
                        ", and gets other data in the same write"
                    } else {
                        ""
                    }
                )
            }
        }
    }
}

impl fmt::Display for OnWorkload {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Edit(edition) => write!(f, "gets edition {edition} of its template"),
            Self::Undo => write!(f, "is undone"),
            Self::Export => write!(f, "is exported"),
            Self::ReplaceByExport => write!(f, "is replaced by its export"),
            Self::ReplaceByManifest(edition) => {
                write!(f, "is replaced by its manifest with edition {edition}")
            }
            Self::Pause(true) => write!(f, "is paused"),
            Self::Pause(false) => write!(f, "is resumed"),
            Self::Scale(replicas) => write!(f, "is scaled to {replicas}"),
            Self::Suspend(true) => write!(f, "suspends restarts"),
            Self::Suspend(false) => write!(f, "suspends restarts no more"),
            Self::Wave(wave) => write!(f, "goes in wave {wave}"),
            Self::Window(Window::None) => write!(f, "has no window any more"),
            Self::Window(Window::Open) => write!(f, "has a window that is open"),
            Self::Window(Window::Closed) => write!(f, "has a window that is closed"),
            Self::Window(Window::Unreadable) => write!(f, "has a window that nobody can read"),
            Self::Release => write!(f, "is let go"),
            Self::OptIn(true) => write!(f, "opts in"),
            Self::OptIn(false) => write!(f, "opts out"),
            Self::OptInFor(at) => write!(f, "opts in for its source {at} only"),
            Self::OnDelete(true) => write!(f, "asks for restarts for what is deleted"),
            Self::OnDelete(false) => write!(f, "asks for no restarts for what is deleted"),
            Self::OrphanAndRemake(remake) => write!(f, "is deleted without its pods{remake}"),
            Self::Remake(remake) => write!(f, "is deleted{remake}"),
            Self::PutBackObserved => write!(f, "gets an old observed by its status"),
            Self::DropObserved => write!(f, "loses observed by its status"),
            Self::ForgeObserved => write!(f, "gets a forged observed by its status"),
            Self::Fill(true) => write!(f, "gets annotations that leave no room"),
            Self::Fill(false) => write!(f, "has room for annotations again"),
            Self::RolloutRestart => write!(f, "is restarted by kubectl"),
        }
    }
}

impl fmt::Display for Remake {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if let Some(source) = self.changes {
            write!(f, ", {source} changes")?;
        }
        let gap = self.gap.as_millis();
        if self.export {
            write!(f, ", and it is made again from its export after {gap} ms")
        } else {
            let edition = self.edition;
            write!(
                f,
                ", and it is made again with edition {edition} after {gap} ms"
            )
        }
    }
}

impl fmt::Display for Hang {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self {
            workload,
            edition,
            source,
            ..
        } = self;
        let (between, until) = (self.between.as_millis(), self.until.as_millis());
        let order = if self.first { "before" } else { "after" };
        let back = if self.by_manifest {
            "its old manifest is applied"
        } else {
            "it is undone"
        };
        write!(
            f,
            "edition {edition} of {workload} hangs, {source} changes {between} ms {order} it, and {back} after {until} ms"
        )
    }
}
