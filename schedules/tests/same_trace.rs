//! The same seed is the same schedule, byte for byte: each request with its body and the code of its answer, each
//! review with its answer, and each line that anyone logs, with its simulated time.
//!
//! Each seed runs twice in this process, which finds what the first run leaves behind, and once in another process, which
//! finds what each process draws for itself, such as the order of hash maps.
//!
//! tokio's own chance has a seed only where tokio is built with `--cfg tokio_unstable`. Without it nothing is compared,
//! unless `REROLL_SAME_SEEDS` says how many seeds.
#![allow(
    clippy::unwrap_used,
    clippy::panic,
    reason = "what fails here fails the test"
)]

use std::{
    borrow::Cow,
    cell::{Cell, RefCell},
    fmt,
    fs::{read_to_string, write},
    io,
    path::Path,
    process::{Child, Command},
};

use reroll_schedules::{Schedule, Telling, run};
use tokio::{runtime::Handle, time::Instant};
use tracing::subscriber::with_default;
use tracing_subscriber::{
    filter::LevelFilter,
    fmt::{format::Writer, time::FormatTime},
};

/// How many operations each schedule has.
const OPERATIONS: usize = 60;
/// How many seeds are compared.
const SEEDS: &str = "REROLL_SAME_SEEDS";
/// Where the other process writes its traces.
const DIRECTORY: &str = "REROLL_TRACES";
/// How much of two lines is shown, around the first difference.
const SHOWN: usize = 400;

thread_local! {
    static TRACE: RefCell<Vec<u8>> = const { RefCell::new(Vec::new()) };
    static BEGAN: Cell<Option<Instant>> = const { Cell::new(None) };
}

/// Writes to the trace of this thread.
struct Trace;

/// Simulated time since the first line.
struct Simulated;

impl io::Write for Trace {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        TRACE.with_borrow_mut(|trace| trace.extend(bytes));
        Ok(bytes.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

impl FormatTime for Simulated {
    fn format_time(&self, line: &mut Writer<'_>) -> fmt::Result {
        // Where no runtime is, no simulated time is.
        if Handle::try_current().is_err() {
            return write!(line, "after the end");
        }
        let now = Instant::now();
        let began = BEGAN.get().unwrap_or(now);
        BEGAN.set(Some(began));
        write!(line, "{:>10.6}", (now - began).as_secs_f64())
    }
}

/// Runs a schedule. Returns its trace.
fn trace(seed: u64) -> String {
    TRACE.take();
    BEGAN.take();
    let lines = tracing_subscriber::fmt()
        .with_max_level(LevelFilter::TRACE)
        .with_ansi(false)
        .with_timer(Simulated)
        .with_writer(|| Trace)
        .finish();
    let schedule = Schedule::draw(seed, OPERATIONS);
    let ended = with_default(lines, || run(&schedule, Telling::Silent));
    let lines = String::from_utf8(TRACE.take()).unwrap();
    let lines = lines.lines().map(without_moment);
    lines
        .chain([format!("{ended:?}").into()])
        .collect::<Vec<_>>()
        .join("\n")
}

/// Takes the moment out that kube logs by the system's own clock, when a watch waits. How long it waits is beside it.
fn without_moment(line: &str) -> Cow<'_, str> {
    let cut = || {
        let (before, rest) = line.split_once("=Instant {")?;
        let (_, after) = rest.split_once('}')?;
        let by_kube = before.contains(" kube_runtime::utils::");
        by_kube.then(|| format!("{before}{after}"))
    };
    cut().map_or(line.into(), Cow::Owned)
}

/// Returns where two traces differ first, in words.
fn difference(one: &str, other: &str) -> Option<String> {
    if one == other {
        return None;
    }
    let (mut ones, mut others) = (one.lines(), other.lines());
    let mut before = Vec::new();
    let none = "(it ends there)";
    loop {
        let (one, other) = (ones.next(), others.next());
        if one == other
            && let Some(same) = one
        {
            before.push(same);
            continue;
        }
        let (one, other) = (one.unwrap_or(none), other.unwrap_or(none));
        let same = one.bytes().zip(other.bytes());
        let at = same.take_while(|(one, other)| one == other).count();
        let around = |line: &str| {
            let from = line.floor_char_boundary(at.saturating_sub(SHOWN / 2));
            let to = line.floor_char_boundary(at + SHOWN / 2);
            let time = line.get(..10).unwrap_or_default();
            format!("[{time}] …{}…", &line[from..to])
        };
        let last = before.iter().rev().take(3).rev();
        let last = last.map(|line| &line[..line.floor_char_boundary(SHOWN)]);
        let last: Vec<_> = last.collect();
        let number = before.len() + 1;
        return Some(format!(
            "line {number}, byte {at}\nbefore:  {}\none has: {}\nother:   {}",
            last.join("\n         "),
            around(one),
            around(other)
        ));
    }
}

#[expect(
    clippy::disallowed_methods,
    reason = "a test program, told by variables"
)]
fn variable(name: &str) -> Option<String> {
    std::env::var(name).ok()
}

fn seeds() -> u64 {
    let told = variable(SEEDS).map(|seeds| seeds.parse().unwrap());
    told.unwrap_or(if cfg!(tokio_unstable) { 20 } else { 0 })
}

/// Is run by the other test, in another process.
#[test]
fn it_writes_traces_where_it_is_told_to() {
    let Some(directory) = variable(DIRECTORY) else {
        return;
    };
    for seed in 0..seeds() {
        let file = Path::new(&directory).join(seed.to_string());
        write(file, trace(seed)).unwrap();
    }
}

#[test]
fn the_same_seed_is_the_same_schedule() {
    if seeds() == 0 {
        eprintln!("traces are not compared: that takes RUSTFLAGS=\"--cfg tokio_unstable\"");
        return;
    }
    let directory = tempfile::tempdir().unwrap();
    let mut other_process = other_process(directory.path());
    let mut wrong = Vec::new();
    for seed in 0..seeds() {
        let first = trace(seed);
        if let Some(difference) = difference(&first, &trace(seed)) {
            wrong.push(format!("seed {seed}, again in this process: {difference}"));
        }
        write(directory.path().join(format!("{seed}-here")), first).unwrap();
    }
    assert!(other_process.wait().unwrap().success());
    for seed in 0..seeds() {
        let read = |name: String| read_to_string(directory.path().join(name)).unwrap();
        if let Some(difference) = difference(&read(format!("{seed}-here")), &read(seed.to_string()))
        {
            wrong.push(format!("seed {seed}, in another process: {difference}"));
        }
    }
    assert!(
        wrong.is_empty(),
        "of {} seeds:\n{}",
        seeds(),
        wrong.join("\n\n")
    );
}

fn other_process(directory: &Path) -> Child {
    Command::new(std::env::current_exe().unwrap())
        .args(["--exact", "it_writes_traces_where_it_is_told_to"])
        .env(DIRECTORY, directory)
        .env(SEEDS, seeds().to_string())
        .spawn()
        .unwrap()
}
