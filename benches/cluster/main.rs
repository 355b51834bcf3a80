//! Benchmarks on a real control plane: each scenario beside its floor, the same writes made by a plain client in the
//! same run, and beside another reloader where one is given. Ratios count; milliseconds are of this machine.
//!
//! Contenders take turns, so that what else the machine does meets all of them. Nothing here fails for a number.

#![allow(
    unreachable_pub,
    clippy::unwrap_used,
    clippy::panic,
    clippy::print_stdout,
    clippy::missing_panics_doc,
    reason = "a program for one's own machine"
)]

mod allow;
mod bed;
mod contender;
mod direct;
mod scenarios;
#[path = "../../tests/slow_start/simulation.rs"]
mod simulation;
#[path = "../../tests/slow_start/table.rs"]
mod table;

use std::{
    env, fs,
    path::{Path, PathBuf},
};

use clap::{Parser, ValueEnum};
use reroll_harness::{plot, report::Report, turns::turns};

use self::{
    contender::{Binary, Contender, Peer},
    scenarios::Scenario,
};

/// What reports call the binary of --beside.
const BESIDE: &str = "beside";

/// Measures reroll on a real control plane
#[derive(Parser)]
#[command(name = "bench")]
struct Args {
    /// What to measure; everything where nothing is named, or nothing where there is --from
    #[arg(value_enum)]
    scenarios: Vec<Scenario>,
    /// How often each contender does each scenario
    #[arg(long, default_value_t = 5)]
    repeats: usize,
    /// The binary of reroll to measure, instead of the one that is built for it
    #[arg(long, value_name = "PATH", value_parser = program)]
    binary: Option<PathBuf>,
    /// Another binary of reroll, such as an older one: only the two are measured, by turns, and ratios are to this one
    #[arg(long, value_name = "PATH", value_parser = program, conflicts_with = "peer")]
    beside: Option<PathBuf>,
    /// The command of another reloader, which finds the API server by KUBECONFIG
    #[arg(long, requires = "annotation")]
    peer: Option<String>,
    /// The annotation, as KEY=VALUE, that it wants on workloads
    #[arg(long)]
    annotation: Option<String>,
    /// Where to write the results as JSON
    #[arg(long)]
    json: Option<PathBuf>,
    /// Results of an earlier --json to begin with; a scenario that a later one has, or that is measured, replaces its
    #[arg(long)]
    from: Vec<PathBuf>,
    /// The folder to write plots to, as SVG
    #[arg(long)]
    plots: Option<PathBuf>,
    /// Cargo says so
    #[arg(long, hide = true)]
    bench: bool,
}

#[tokio::main]
async fn main() {
    if env::args().any(|argument| argument == allow::ONLY_ALLOW) {
        return allow::serve_only_allowed().await;
    }
    let args = Args::parse();
    let contenders = args.contenders();
    let scenarios = if args.scenarios.is_empty() && args.from.is_empty() {
        Scenario::all()
    } else {
        args.scenarios
    };
    let mut report = Report::default();
    for path in &args.from {
        report.replace(read(path));
    }
    let scenarios: Vec<_> = scenarios.into_iter().flat_map(Scenario::parts).collect();
    for scenario in scenarios.iter().copied() {
        if scenario == Scenario::SlowStart {
            // Time jumps, and there is no cluster: nothing to repeat, and nobody beside it.
            println!("| what happens | simulated | the design says |\n|---|---|---|");
            for row in table::rows() {
                let beyond = if row.is_beyond() { " (beyond)" } else { "" };
                println!("{row}{beyond}");
            }
            continue;
        }
        let measured = measure(scenario, &contenders, args.repeats).await;
        eprintln!("{}", measured.tables());
        report.replace(measured);
        // After each, so that one which fails takes none with it.
        if let Some(path) = &args.json {
            fs::write(path, report.json()).expect("--json can be written");
        }
    }
    if let Some(path) = &args.json {
        fs::write(path, report.json()).expect("--json can be written");
    }
    if let Some(folder) = &args.plots {
        plot::write(&report, folder, title).expect("--plots can be written");
    }
    println!("{}", report.tables());
    for line in scenarios.into_iter().filter_map(with_brakes) {
        println!("{line}");
    }
}

/// Returns what a scenario takes with the brakes on that it is measured without.
fn with_brakes(scenario: Scenario) -> Option<String> {
    let takes = match scenario {
        Scenario::FanOut500 => format!("{:.1} min, simulated", table::healthy_in(500, 2)),
        Scenario::FanOut2000 => format!("{:.1} min, simulated", table::healthy_in(2_000, 2)),
        Scenario::Burst => "the same: a source with one user waits for nobody".to_owned(),
        _ => return None,
    };
    Some(format!(
        "{scenario} runs with --slow-start off and --max-distance 0s; with both on, where each rollout takes 2 s: {takes}."
    ))
}

impl Args {
    fn contenders(&self) -> Vec<Contender> {
        let of = |name, path: &Option<PathBuf>| {
            let path = path.clone();
            Contender::Reroll(Binary { name, path })
        };
        let reroll = of("reroll", &self.binary);
        if self.beside.is_some() {
            return vec![of(BESIDE, &self.beside), reroll];
        }
        let mut contenders = vec![Contender::Floor, Contender::Plainest, reroll];
        if let Some((command, annotation)) = self.peer.as_ref().zip(self.annotation.as_ref()) {
            let (key, value) = annotation.split_once('=').expect("--annotation KEY=VALUE");
            contenders.push(Contender::Peer(Peer {
                command: command.clone(),
                annotation: (key.to_owned(), value.to_owned()),
            }));
        }
        contenders
    }
}

/// A file, by a path that holds wherever it is started.
fn program(path: &str) -> Result<PathBuf, String> {
    let path = fs::canonicalize(path).map_err(|error| error.to_string())?;
    if path.is_file() {
        Ok(path)
    } else {
        Err("it is no file".to_owned())
    }
}

async fn measure(scenario: Scenario, contenders: &[Contender], repeats: usize) -> Report {
    let mut report = Report::default();
    let all: Vec<_> = scenario.contenders(contenders).collect();
    let two = all.iter().any(|contender| contender.to_string() == BESIDE);
    for repeat in 0..repeats {
        for contender in turns(&all, repeat) {
            eprintln!("{scenario}: {contender}, {} of {repeats}", repeat + 1);
            let mut samples = scenario.run(contender, repeat).await;
            if two {
                samples.against(BESIDE);
            }
            report.add(&scenario.to_string(), &contender.to_string(), samples);
        }
    }
    report
}

fn read(path: &Path) -> Report {
    let text = fs::read_to_string(path);
    let text = text.unwrap_or_else(|error| panic!("--from {}: {error}", path.display()));
    Report::parse(&text).unwrap_or_else(|error| panic!("--from {}: {error}", path.display()))
}

/// What `--help` says of a scenario.
fn title(name: &str) -> Option<String> {
    let scenario = Scenario::from_str(name, false).ok()?;
    let value = scenario.to_possible_value()?;
    value.get_help().map(ToString::to_string)
}
