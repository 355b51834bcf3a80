//! `reroll wait`: until every user of a source runs its live version, and no pod is older.
//!
//! It asks again and again, ever more rarely. What passes by itself, such as an API server that is away for a moment, is asked
//! again until the time is over.

use std::time::Duration;

use indicatif::{ProgressBar, ProgressStyle};
use tokio::time::{Instant, sleep};

use super::{
    args::WaitArgs,
    ending::Ending,
    error::Error,
    installation::{Installation, ReadFlags},
    output::Output,
    session::Session,
    sight::{Sight, read},
    status::{self, SourceStatus},
};
use crate::{clock::system_clock, model::version::key_of};

/// The first pause between two looks, and the longest.
const PAUSES: (Duration, Duration) = (Duration::from_secs(1), Duration::from_secs(10));

/// Waits, and prints how it is in the end.
pub(super) async fn wait(args: WaitArgs, read_flags: ReadFlags) -> Result<Ending, Error> {
    let end = Instant::now() + args.timeout;
    let bar = bar();
    let mut pause = PAUSES.0;
    let (status, output) = loop {
        let (session, looked) = look(&args, read_flags).await?;
        let left = end.saturating_duration_since(Instant::now());
        match looked {
            Ok(status) => {
                show(&bar, &status);
                if status.ending() != Ending::NotYet || status.is_stopped() || left.is_zero() {
                    break (status, session.output);
                }
            }
            Err(error) if error.passes() && !left.is_zero() => bar.set_message(error.to_string()),
            Err(error) => {
                bar.finish_and_clear();
                return Err(error);
            }
        }
        sleep(pause.min(left)).await;
        pause = (pause * 3 / 2).min(PAUSES.1);
    };
    bar.finish_and_clear();
    finish(&status, &output)
}

fn finish(status: &SourceStatus, output: &Output) -> Result<Ending, Error> {
    let now = system_clock()();
    output.print(status, |report, _| status::source_table(report, now))?;
    Ok(if status.is_stopped() {
        Ending::Stuck
    } else {
        status.ending()
    })
}

/// Looks once. What was typed wrong, and a connection that cannot be made, fail at once.
async fn look(
    args: &WaitArgs,
    read_flags: ReadFlags,
) -> Result<(Session, Result<SourceStatus, Error>), Error> {
    let session = Session::open(&args.asking).await?;
    let looked = status_of(&session, args, read_flags).await;
    Ok((session, looked))
}

async fn status_of(
    session: &Session,
    args: &WaitArgs,
    read_flags: ReadFlags,
) -> Result<SourceStatus, Error> {
    let within = Some(session.namespace.as_str());
    let asked = args.asking.reroll_namespace.as_deref();
    let installation = Installation::find(session, asked, within, read_flags).await?;
    let source = status::source_named(&args.object, &installation)?;
    let mut sight = Sight::new(installation, system_clock()())?;
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
