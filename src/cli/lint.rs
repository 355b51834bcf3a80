//! `reroll lint`: what in manifests reroll cannot read, or would not do as it looks. It asks no cluster.
//!
//! What an opt-in means, and what of it cannot be read, is the model's to say: a manifest is read into the same
//! [`Workload`](crate::model::workload::Workload) and [`Policy`](crate::model::Policy) as an object of a cluster. Here stands what
//! only whoever looks at files can know: keys that nobody knows, keys where they mean nothing, what is not among the files.
//!
//! Invariants:
//! - any text gives findings, or an error with its line;
//! - no byte of a Secret's data is printed;
//! - a file that cannot be read keeps no other from being checked.
//!
//! Reading order: `tree` (YAML with lines), `manifests` (objects), `inventory` (what they have together), `spots` (where keys stand),
//! `found`, `nearest` (what was meant), `checks`, then each check: `keys`, `values`, `workloads`, `reloader`; `input` and `shape` are what goes in and what comes out.

mod checks;
mod found;
mod input;
mod inventory;
mod keys;
pub(super) mod manifests;
mod nearest;
mod reloader;
mod shape;
mod spots;
mod tree;
mod values;
mod workloads;

use std::{collections::BTreeSet, path::PathBuf};

#[cfg(test)]
pub(super) use self::shape::Report as Answer;
use self::{
    input::{Input, each},
    manifests::Manifest,
    shape::{Report, Unreadable, table},
};
use super::{
    args::LintArgs, ending::Ending, error::Error, installation::ReadFlags, output::Output,
};
use crate::model::workload::{Kinds, NAMED};

/// How Helm's templates look, before Helm has made YAML of them.
const TEMPLATE: &str = "{{";

/// What was read of files.
#[derive(Default)]
pub(super) struct Read {
    /// How many could be read.
    files: usize,
    pub(super) manifests: Vec<Manifest>,
    unreadable: Vec<Unreadable>,
}

/// Checks manifests.
pub(super) fn lint(args: &LintArgs, read_flags: ReadFlags) -> Result<Ending, Error> {
    let kinds = kinds(&args.workload_kind, read_flags)?;
    let read = read(&args.filename, args.namespace.as_deref());
    let mut found = checks::check(&read.manifests, &kinds);
    found.retain(|one| !args.ignore.contains(&one.finding));
    let report = Report::new((read.files, read.manifests.len()), found, read.unreadable);
    Output::of(args.output, args.color).print(&report, table)?;
    match report.unreadable() {
        Some(lines) => Err(Error::Manifests(lines)),
        None if report.is_fine() => Ok(Ending::Fine),
        None => Ok(Ending::NotYet),
    }
}

/// Reads the manifests of files and folders. `namespace` is where those belong that do not say it.
pub(super) fn read(paths: &[PathBuf], namespace: Option<&str>) -> Read {
    let mut read = Read::default();
    let mut seen = BTreeSet::new();
    for path in paths {
        each(path, |Input { file, text }| match text {
            // A file may be named beside the folder that it is in.
            _ if !seen.insert(file.clone()) => {}
            Ok(text) => match manifests::read(&file, &text, namespace) {
                Ok(mut manifests) => {
                    read.files += 1;
                    read.manifests.append(&mut manifests);
                }
                Err(error) => {
                    let mut why = error.why;
                    if text.contains(TEMPLATE) {
                        why +=
                            " (is it a template of a chart? Give what `helm template` makes of it)";
                    }
                    read.unreadable.push(Unreadable::new(file, error.line, why));
                }
            },
            Err(why) => read.unreadable.push(Unreadable::new(file, None, why)),
        });
    }
    read
}

impl Read {
    /// Returns the manifests, or which files cannot be read.
    pub(super) fn all(self) -> Result<Vec<Manifest>, Error> {
        match shape::lines(&self.unreadable) {
            Some(lines) => Err(Error::Manifests(lines)),
            None => Ok(self.manifests),
        }
    }
}

/// Returns all kinds that reroll can restart, and those that a person names. The flags of `reroll run` read the names.
fn kinds(named: &[String], read_flags: ReadFlags) -> Result<Kinds, Error> {
    let optional: Vec<_> = NAMED.iter().map(|(kind, _)| kind.plural).collect();
    let flag = |name: &String| format!("--workload-kind={name}");
    let mut flags: Vec<_> = named.iter().map(flag).collect();
    flags.push(format!("--optional-kinds={}", optional.join(",")));
    let read = read_flags(&flags, &[]).map(|flags| flags.kinds);
    read.ok_or_else(|| {
        Error::Usage(format!(
            "--workload-kind {}: expected GROUP/VERSION/KIND[=PLURAL][:POINTER], each kind once; `reroll run --help` has more",
            named.join(" ")
        ))
    })
}
