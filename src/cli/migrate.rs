//! `reroll migrate`: from Stakater Reloader. What it does today with each workload that bears an annotation of its, what reroll
//! does with the same annotations, what differs, and how reroll's own words say it. It writes nothing.
//!
//! What an annotation means is not said here: `lint::reloader` has the table of what each means in reroll, and
//! [`OwnWords`](crate::model::policy::OwnWords) of the model says it in reroll's words, and reads them again. What stands here is
//! what Reloader does, and what its flags are in reroll.
//!
//! Objects of a cluster and of files are looked at in the same form. Of sources in a cluster only the metadata is read.
//!
//! Reading order: `theirs` (Reloader as it is installed), `flags` (each of its flags in reroll), `seen` (what was read), `live`
//! (from a cluster), `today` (what each of them does), `between` (what differs), `advice` (what to write), `row`, `steps`, `shape`.

mod advice;
mod between;
mod flags;
mod live;
mod row;
mod seen;
mod shape;
mod steps;
mod theirs;
mod today;

#[cfg(test)]
pub(super) use self::shape::Report as Answer;
use self::{
    seen::Seen,
    shape::{Report, table},
};
use super::{
    args::MigrateArgs, ending::Ending, error::Error, installation::ReadFlags, lint, output::Output,
    session::Session,
};

/// Answers.
pub(super) async fn migrate(args: MigrateArgs, read_flags: ReadFlags) -> Result<Ending, Error> {
    let seen = if args.filename.is_empty() {
        let session = Session::open(&args.asking).await?;
        let within = (!args.all_namespaces).then_some(session.namespace.as_str());
        live::read(&session, &args.asking, within, read_flags).await?
    } else {
        let kinds = lint::kinds(&[], read_flags)?;
        let read = lint::read(&args.filename, args.asking.namespace.as_deref());
        Seen::of_files(read, kinds)
    };
    let complete = seen.complete;
    let report = Report::of(seen);
    Output::new(&args.asking).print(&report, table)?;
    match report.unreadable() {
        Some(lines) => Err(Error::Manifests(lines)),
        None if complete => Ok(Ending::Fine),
        None => Ok(Ending::NotYet),
    }
}
