//! The product with other surroundings: for tests that end it at a named moment, move its clock, or have another
//! release of it. It is `reroll` but for what these variables say:
//!
//! - `UNDER_TEST_CRASH`: `before-patch`, `answer-unread` or `after-patch`, and `:N` for the N-th time: aborts there;
//! - `UNDER_TEST_CLOCK`: a file with seconds that its clock is off by, read whenever it is asked for the time;
//! - `UNDER_TEST_FORMAT`: the format of `observed`, as of a later release.
#![expect(
    clippy::disallowed_methods,
    reason = "a test program, told by variables"
)]

use std::{
    env, fs,
    process::ExitCode,
    sync::{
        Arc,
        atomic::{AtomicU64, Ordering},
    },
};

use anyhow::Context as _;
use clap::Parser as _;
use jiff::SignedDuration;
use reroll::{
    config::{Cli, Command, Settings},
    controller::restart::{Moment, Probe},
    ops::logging,
    run::{Surroundings, run},
    state::{Clock, system_clock},
};

#[tokio::main]
async fn main() -> ExitCode {
    match start().await {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("under test: {error:#}");
            ExitCode::FAILURE
        }
    }
}

async fn start() -> anyhow::Result<()> {
    let Command::Run(args) = Cli::parse().command;
    let settings = Settings::new(*args)?;
    logging::init(&settings.ops)?;
    let mut surroundings = Surroundings::default();
    if let Ok(path) = env::var("UNDER_TEST_CLOCK") {
        surroundings.clock = clock(path);
    }
    if let Ok(crash) = env::var("UNDER_TEST_CRASH") {
        surroundings.probe = crash_at(&crash)?;
    }
    if let Ok(format) = env::var("UNDER_TEST_FORMAT") {
        surroundings.format = format.parse().context("UNDER_TEST_FORMAT")?;
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

fn crash_at(text: &str) -> anyhow::Result<Probe> {
    let (moment, nth) = text.split_once(':').unwrap_or((text, "1"));
    let nth: u64 = nth.parse().context("UNDER_TEST_CRASH")?;
    let moment = match moment {
        "before-patch" => Moment::BeforePatch,
        "answer-unread" => Moment::AnswerUnread,
        "after-patch" => Moment::AfterPatch,
        other => anyhow::bail!("no such moment: {other}"),
    };
    let met = AtomicU64::new(0);
    Ok(Arc::new(move |at| {
        if at == moment && met.fetch_add(1, Ordering::Relaxed) + 1 == nth {
            std::process::abort();
        }
    }))
}
