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
//! `live` checks an object of a cluster.

mod checks;
mod found;
pub(super) mod input;
pub(super) mod inventory;
mod keys;
pub(super) mod live;
pub(super) mod manifests;
pub(super) mod reloader;
pub(super) mod shape;
pub(super) mod spots;
pub(super) mod tree;
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
    pub(super) files: usize,
    pub(super) manifests: Vec<Manifest>,
    pub(super) unreadable: Vec<Unreadable>,
}

/// Checks manifests.
pub(super) fn lint(args: &LintArgs, read_flags: ReadFlags) -> Result<Ending, Error> {
    let kinds = kinds(&args.workload_kind, read_flags)?;
    let Read {
        files,
        manifests,
        unreadable,
    } = read(&args.filename, args.namespace.as_deref());
    let mut found = checks::check(&manifests, &kinds);
    found.retain(|one| !args.ignore.contains(&one.finding));
    let report = Report::new((files, manifests.len()), found, unreadable);
    Output::of(args.output, args.color).print(&report, table)?;
    match report.unreadable() {
        Some(lines) => Err(Error::Manifests(lines)),
        None if report.is_empty() => Err(nothing(&args.filename)),
        None if report.is_fine() => Ok(Ending::Fine),
        None => Ok(Ending::NotYet),
    }
}

impl Read {
    /// Returns the manifests, or which files cannot be read.
    pub(super) fn all(self) -> Result<Vec<Manifest>, Error> {
        match Unreadable::of_all(&self.unreadable) {
            Some(lines) => Err(Error::Manifests(lines)),
            None => Ok(self.manifests),
        }
    }
}

/// Says that files have no object: most often what should make them failed, or made none.
pub(super) fn nothing(paths: &[PathBuf]) -> Error {
    let names: Vec<_> = paths
        .iter()
        .map(|path| path.display().to_string())
        .collect();
    Error::Usage(format!(
        "nothing was read: no object is in {}: an object has apiVersion and kind",
        names.join(", ")
    ))
}

/// Reads the manifests of files. `namespace` is where those belong that do not say it.
pub(super) fn read(paths: &[PathBuf], namespace: Option<&str>) -> Read {
    let mut all = Read::default();
    let mut seen = BTreeSet::new();
    for path in paths {
        each(path, |Input { file, text }| match text {
            // A file may be named beside the folder that it is in.
            _ if !seen.insert(file.clone()) => {}
            Ok(text) => match manifests::read(&file, &text, namespace) {
                Ok(mut read) => {
                    all.files += 1;
                    all.manifests.append(&mut read);
                }
                Err(error) => {
                    let mut why = error.why;
                    if text.contains(TEMPLATE) {
                        why +=
                            " (is it a template of a chart? Give what `helm template` makes of it)";
                    }
                    all.unreadable.push(Unreadable::new(file, error.line, why));
                }
            },
            Err(why) => all.unreadable.push(Unreadable::new(file, None, why)),
        });
    }
    all
}

/// Returns all kinds that reroll can restart, and those that a person names. The flags of `reroll run` read the names.
pub(super) fn kinds(named: &[String], read_flags: ReadFlags) -> Result<Kinds, Error> {
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
