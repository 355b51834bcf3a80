//! `make simulate`: runs schedules, and makes a failing one short.

use std::{
    num::NonZero,
    process::ExitCode,
    sync::atomic::{AtomicU64, Ordering::Relaxed},
    thread,
    time::Duration,
};

use clap::Parser;
use indicatif::{ProgressBar, ProgressDrawTarget, ProgressStyle};
use parking_lot::Mutex;
use reroll_schedules::{Schedule, Telling, run, shrink};
use tracing_subscriber::filter::LevelFilter;

// A quarter of the time goes to small allocations, which it makes in a third of the time.
#[global_allocator]
static ALLOCATOR: mimalloc::MiMalloc = mimalloc::MiMalloc;

/// Runs reroll in a simulated cluster through random schedules of operations and faults.
///
/// A schedule that ends badly is said with its seed, made as short as it can be, and told in words.
#[derive(Parser)]
#[command(name = "simulate")]
struct Args {
    /// The first seed; alone, the only one.
    #[arg(long, env = "SEED")]
    seed: Option<u64>,
    /// How many schedules, each with the next seed.
    #[arg(long, env = "SEEDS")]
    seeds: Option<u64>,
    /// Begin no schedule after so many minutes; as many schedules run as do until then, unless there are fewer seeds.
    #[arg(long)]
    minutes: Option<u64>,
    /// How many operations each schedule has.
    #[arg(long, env = "OPERATIONS", default_value_t = 60)]
    operations: usize,
    /// Run one schedule, and tell in words what happens, with the log of reroll.
    #[arg(long)]
    trace: bool,
    /// How many run at the same time; as many as there are processors where nothing is said.
    #[arg(long)]
    jobs: Option<usize>,
    /// Go on after a failure, and tell of each in a line.
    #[arg(long)]
    keep_going: bool,
    /// How many shorter schedules are tried after a failure.
    #[arg(long, default_value_t = 2_000)]
    tries: usize,
}

/// How many schedules run where nothing is said.
const SEEDS: u64 = 1_000;

/// A seed, and how its schedule ended badly.
type Failure = (u64, String);

fn main() -> ExitCode {
    let args = Args::parse();
    let first = args.seed.unwrap_or(0);
    if args.trace {
        tell_logs();
        let schedule = Schedule::draw(first, args.operations);
        say(&schedule.to_string());
        let ended = run(&schedule, Telling::Trace);
        say(&ended.as_ref().err().map_or_else(
            || "It ends well.".to_owned(),
            |wrong| format!("It ends badly: {wrong}"),
        ));
        return code(ended.is_ok());
    }
    let default = match (args.minutes, args.seed) {
        (Some(_), _) => u64::from(u32::MAX),
        (None, Some(_)) => 1,
        (None, None) => SEEDS,
    };
    let seeds = args.seeds.unwrap_or(default);
    let bar = progress(seeds);
    let failures = run_all(first..first.saturating_add(seeds), &args, &bar);
    say(&pace(bar.position(), args.operations, bar.elapsed()));
    if args.keep_going {
        say(&format!("{} ended badly.", failures.len()));
    } else if let Some((seed, wrong)) = failures.first() {
        report(*seed, &args, wrong);
    }
    code(failures.is_empty())
}

/// Lets reroll's log go to standard error.
fn tell_logs() {
    let log = tracing_subscriber::fmt().with_max_level(LevelFilter::DEBUG);
    log.without_time().with_writer(std::io::stderr).init();
}

fn code(well: bool) -> ExitCode {
    if well {
        ExitCode::SUCCESS
    } else {
        ExitCode::FAILURE
    }
}

fn progress(seeds: u64) -> ProgressBar {
    let bar = ProgressBar::with_draw_target(Some(seeds), ProgressDrawTarget::stderr_with_hz(4));
    let style = "{bar:30} {pos}/{len} schedules, {per_sec}, {eta} left";
    if let Ok(style) = ProgressStyle::with_template(style) {
        bar.set_style(style);
    }
    bar
}

/// Runs the schedules of these seeds. Returns those that ended badly, by seed; none is begun after the first, unless it is
/// to go on.
fn run_all(seeds: std::ops::Range<u64>, args: &Args, bar: &ProgressBar) -> Vec<Failure> {
    let (next, failures) = (AtomicU64::new(seeds.start), Mutex::new(Vec::new()));
    let limit = args.minutes.map(Duration::from_mins);
    let in_time = || limit.is_none_or(|limit| bar.elapsed() < limit);
    let work = || {
        while in_time() && (args.keep_going || failures.lock().is_empty()) {
            let seed = next.fetch_add(1, Relaxed);
            if seed >= seeds.end {
                return;
            }
            let schedule = Schedule::draw(seed, args.operations);
            if let Err(wrong) = run(&schedule, Telling::Silent) {
                if args.keep_going {
                    bar.suspend(|| say(&format!("SEED={seed} ends badly: {wrong}")));
                }
                failures.lock().push((seed, wrong));
            }
            bar.inc(1);
        }
    };
    let processors = thread::available_parallelism().map_or(1, NonZero::get);
    thread::scope(|scope| {
        for _ in 0..args.jobs.unwrap_or(processors) {
            scope.spawn(work);
        }
    });
    bar.finish();
    let mut failures = failures.into_inner();
    failures.sort();
    failures
}

fn pace(schedules: u64, operations: usize, took: Duration) -> String {
    #[expect(clippy::cast_precision_loss, reason = "a few")]
    let pace = schedules as f64 / took.as_secs_f64();
    let took = took.as_secs_f64();
    format!("{schedules} schedules of {operations} operations in {took:.1} s: {pace:.1} a second")
}

/// Tells of a schedule that ended badly, and of the shortest part of it that does.
fn report(seed: u64, args: &Args, wrong: &str) {
    say(&format!("SEED={seed} ends badly: {wrong}"));
    let fails = |schedule: &Schedule| run(schedule, Telling::Silent).is_err();
    let (shortest, tries) = shrink(seed, args.operations, args.tries, fails);
    tell_logs();
    if let Err(wrong) = run(&shortest, Telling::Trace) {
        say(&format!("It ends so: {wrong}"));
    }
    say(&format!(
        "{} of {} operations are left after {tries} tries:\n{shortest}",
        shortest.steps.len(),
        args.operations
    ));
    say(&format!(
        "Again: make simulate SEED={seed} OPERATIONS={}",
        args.operations
    ));
}

#[expect(clippy::print_stderr, reason = "a program for people")]
fn say(text: &str) {
    eprintln!("{text}");
}
