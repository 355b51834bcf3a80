//! The product with other surroundings: for tests that end it at a named moment, move its clock, or have another
//! release of it. It is `reroll` but for what these variables say:
//!
//! - `UNDER_TEST_CRASH`: `before-patch`, `answer-unread` or `after-patch`, of a Job `kept`, `deleted` or `created`, and
//!   `:N` for the N-th time: aborts there;
//! - `UNDER_TEST_HANG`: the same, but from then on every restart hangs there, and the thread with it;
//! - `UNDER_TEST_CLOCK`: a file with seconds that its clock is off by, read whenever it is asked for the time;
//! - `UNDER_TEST_FORMAT`: the format of `observed`, as of a later release;
//! - `UNDER_TEST_TRY_AGAIN`: after so many seconds a namespace of another installation is tried again.
#![expect(
    clippy::disallowed_methods,
    reason = "a test program, told by variables"
)]

use std::{
    cmp::Ordering,
    env, fs,
    process::ExitCode,
    sync::{
        Arc,
        atomic::{self, AtomicU64},
    },
    time::Duration,
};

use anyhow::Context as _;
use clap::Parser as _;
use jiff::SignedDuration;
use reroll::{
    config::{Cli, Command, Settings},
    ops::logging,
    restart::moment::Moment,
    run::{Surroundings, run},
    state::{Clock, system_clock},
};

#[tokio::main(flavor = "current_thread")]
async fn main() -> ExitCode {
    match Box::pin(start()).await {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("under test: {error:#}");
            ExitCode::FAILURE
        }
    }
}

async fn start() -> anyhow::Result<()> {
    let Command::Run(args) = Cli::parse().command else {
        anyhow::bail!("it can only run");
    };
    let settings = Settings::try_from(*args)?;
    logging::init(&settings.ops.log)?;
    let mut surroundings = Surroundings::default();
    if let Ok(path) = env::var("UNDER_TEST_CLOCK") {
        surroundings.clock = clock(path);
    }
    if let Ok(crash) = env::var("UNDER_TEST_CRASH") {
        let at = Place::parse(&crash).context("UNDER_TEST_CRASH")?;
        surroundings.probe = Arc::new(move |moment| {
            if at.meets(moment) == Ordering::Equal {
                std::process::abort();
            }
        });
    }
    if let Ok(hang) = env::var("UNDER_TEST_HANG") {
        let at = Place::parse(&hang).context("UNDER_TEST_HANG")?;
        surroundings.probe = Arc::new(move |moment| {
            while at.meets(moment) == Ordering::Greater {
                std::thread::park();
            }
        });
    }
    if let Ok(format) = env::var("UNDER_TEST_FORMAT") {
        surroundings.format = format.parse().context("UNDER_TEST_FORMAT")?;
    }
    if let Ok(seconds) = env::var("UNDER_TEST_TRY_AGAIN") {
        let seconds = seconds.parse().context("UNDER_TEST_TRY_AGAIN")?;
        let after = Duration::from_secs(seconds);
        surroundings.try_again = after..=after;
    }
    run(settings, surroundings).await
}

fn clock(path: String) -> Clock {
    let system = system_clock();
    Arc::new(move || {
        let offset = fs::read_to_string(&path).ok();
        let seconds = offset.and_then(|text| text.trim().parse().ok());
        system() + SignedDuration::from_secs(seconds.unwrap_or(0))
    })
}

/// A moment, the N-th time.
struct Place {
    moment: Moment,
    nth: u64,
    met: AtomicU64,
}

impl Place {
    fn parse(text: &str) -> anyhow::Result<Self> {
        let (moment, nth) = text.split_once(':').unwrap_or((text, "1"));
        let moment = match moment {
            "before-patch" => Moment::BeforePatch,
            "answer-unread" => Moment::AnswerUnread,
            "after-patch" => Moment::AfterPatch,
            "kept" => Moment::Kept,
            "deleted" => Moment::Deleted,
            "created" => Moment::Created,
            other => anyhow::bail!("no such moment: {other}"),
        };
        Ok(Self {
            moment,
            nth: nth.parse()?,
            met: AtomicU64::new(0),
        })
    }

    /// Whether it is before, at, or after the place.
    fn meets(&self, moment: Moment) -> Ordering {
        if moment != self.moment {
            return Ordering::Less;
        }
        let met = self.met.fetch_add(1, atomic::Ordering::Relaxed) + 1;
        met.cmp(&self.nth)
    }
}
