//! `reroll wait`: until every user of a source runs its live version, and no pod is older.
//!
//! It asks again and again, ever more rarely. What passes by itself, such as an API server that is away for a moment, is asked
//! again until the time is over.

use std::{io::Write as _, time::Duration};

use indicatif::{ProgressBar, ProgressStyle};
use tokio::time::{Instant, sleep};

use super::{
    args::WaitArgs,
    ending::Ending,
    error::Error,
    installation::ReadFlags,
    session::Session,
    sight::read,
    status::{self, SourceStatus},
};
use crate::{clock::system_clock, model::version::key_of};

/// The first pause between two looks, and the longest.
const PAUSES: (Duration, Duration) = (Duration::from_secs(1), Duration::from_secs(10));

/// Waits, and prints how it is in the end.
pub(super) async fn wait(args: WaitArgs, read_flags: ReadFlags) -> Result<Ending, Error> {
    let session = Session::open(&args.asking).await?;
    let bar = bar();
    let waited = until(&session, &args, read_flags, &bar).await;
    bar.finish_and_clear();
    let status = waited?;
    let now = system_clock()();
    let print = |report: &SourceStatus, _| status::source_table(report, now);
    session.output.print(&status, print)?;
    let ending = if status.is_stopped() {
        Ending::Stuck
    } else {
        status.ending()
    };
    if ending == Ending::NotYet {
        let (asked, waited) = (args.timeout.as_secs_f64(), "the time is over");
        let _ = writeln!(
            anstream::stderr(),
            "reroll: {waited} (--timeout, {asked} s), and not all have it"
        );
    }
    Ok(ending)
}

/// Returns how it is when there is nothing more to wait for, or the time is over.
async fn until(
    session: &Session,
    args: &WaitArgs,
    read_flags: ReadFlags,
    bar: &ProgressBar,
) -> Result<SourceStatus, Error> {
    let end = Instant::now() + args.timeout;
    let mut pause = PAUSES.0;
    loop {
        let looked = look(session, args, read_flags).await;
        let left = end.saturating_duration_since(Instant::now());
        match looked {
            Ok(status) => {
                let is_over = status.ending() != Ending::NotYet || status.is_stopped();
                if is_over || left.is_zero() {
                    return Ok(status);
                }
                show(bar, &status);
            }
            Err(error) if error.passes() && !left.is_zero() => bar.set_message(error.to_string()),
            Err(error) => return Err(error),
        }
        sleep(pause.min(left)).await;
        pause = (pause * 3 / 2).min(PAUSES.1);
    }
}

async fn look(
    session: &Session,
    args: &WaitArgs,
    read_flags: ReadFlags,
) -> Result<SourceStatus, Error> {
    let within = Some(session.namespace.as_str());
    let mut sight = read::begin(session, &args.asking, within, read_flags).await?;
    let source = status::source_named(
        "wait",
        &args.object,
        &sight.installation,
        &session.namespace,
    )?;
    read::all(&mut sight, session, within).await?;
    let key = key_of(&session.namespace, &source);
    status::of_source(&mut sight, session, &key).await
}

/// Returns a bar on standard error, which shows nothing where that is no terminal.
fn bar() -> ProgressBar {
    let bar = ProgressBar::new(0);
    let style = ProgressStyle::with_template("{bar:24} {pos}/{len} {msg} ({elapsed})");
    if let Ok(style) = style {
        bar.set_style(style);
    }
    bar
}

fn show(bar: &ProgressBar, status: &SourceStatus) {
    bar.set_length(status.sums.all as u64);
    bar.set_position(status.sums.up_to_date as u64);
    bar.set_message(status.sums.words());
}
