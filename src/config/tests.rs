//! Tests of flags and environment.

use std::{
    fs,
    path::{Path, PathBuf},
    time::Duration,
};

use clap::{CommandFactory as _, FromArgMatches as _, Parser as _};

use super::{installed::without_env, values::parse_duration, *};
use crate::webhook::settings::CertificateSource;

fn parse(flags: &[&str]) -> Result<Settings, String> {
    let command = Cli::command().mut_subcommand("run", without_env);
    let matches = command
        .try_get_matches_from(["reroll", "run"].iter().chain(flags))
        .map_err(|error| error.to_string())?;
    let Command::Run(args) = Cli::from_arg_matches(&matches)
        .map_err(|error| error.to_string())?
        .command
    else {
        panic!("not run");
    };
    Settings::try_from(*args).map_err(|error| error.to_string())
}

fn run_command() -> clap::Command {
    let mut cli = Cli::command();
    cli.build();
    cli.find_subcommand("run").unwrap().clone()
}

#[test]
fn the_command_line_is_well_formed() {
    Cli::command().debug_assert();
    Cli::command_for(Some("run".as_ref())).debug_assert();
}

#[test]
fn help_names_every_flag_default_and_variable() {
    // A variable that is set would be printed with its value.
    let mut command = run_command()
        .term_width(100)
        .mut_args(|arg| arg.hide_env_values(true));
    insta::assert_snapshot!(command.render_long_help());
}

#[test]
fn no_variable_can_be_set_by_a_service_called_reroll() {
    for arg in run_command().get_arguments() {
        let Some(name) = arg.get_env().and_then(|name| name.to_str()) else {
            assert_eq!(arg.get_id(), "help", "every flag has a variable");
            continue;
        };
        for form in ["_PORT", "_PORT_", "_SERVICE_"] {
            assert!(!name.ends_with("_PORT") && !name.contains(form), "{name}");
        }
    }
}

/// Flags, and what the message must say.
const REFUSED: &[(&[&str], &[&str])] = &[
    (
        &[],
        &[
            "needs a certificate",
            "--tls-cert",
            "--webhook-url",
            "--no-webhook",
        ],
    ),
    (
        &["--no-webhook", "--workload-kind=example.com/v1/app"],
        &[
            "--workload-kind <KIND>",
            "\"app\" is not a kind such as App",
        ],
    ),
    (
        &["--no-webhook", "--workload-kind=argoproj.io/v1/Rollout"],
        &[
            "--workload-kind names argoproj.io/Rollout",
            "--optional-kinds",
        ],
    ),
    (
        &[
            "--no-webhook",
            "--workload-kind=a.b/v1/App",
            "--workload-kind=a.b/v2/App",
        ],
        &["--workload-kind names a.b/App"],
    ),
    (
        &["--no-webhook", "--optional-kinds=replicasets"],
        &["--optional-kinds <KINDS>", "cronjobs or jobs"],
    ),
    (&["--tls-cert=a"], &["--tls-cert needs --tls-key as well"]),
    (&["--tls-key=a"], &["--tls-key needs --tls-cert as well"]),
    (
        &[
            "--tls-cert=a",
            "--tls-key=b",
            "--webhook-url=https://[::1]:0",
        ],
        &["--webhook-url makes its own certificate"],
    ),
    (
        &["--certificates-secret=a"],
        &["--certificates-secret needs --webhook-hosts as well"],
    ),
    (
        &["--certificates-secret=a", "--webhook-hosts=a.b.svc"],
        &["--certificates-secret needs --webhook-configurations as well"],
    ),
    (
        &[
            "--certificates-secret=a",
            "--webhook-hosts=a.b.svc",
            "--webhook-configurations=a",
            "--webhook-url=https://[::1]:0",
        ],
        &["--certificates-secret and --webhook-url exclude each other"],
    ),
    (
        &["--no-webhook", "--webhook-url=https://[::1]:0"],
        &["--no-webhook and --webhook-url exclude each other"],
    ),
    (
        &["--webhook-url=http://127.0.0.1"],
        &["--webhook-url <URL>", "by https only"],
    ),
    (
        &["--webhook-url=127.0.0.1:8443"],
        &["--webhook-url <URL>", "https"],
    ),
    (
        &["--webhook-url=https://me@host"],
        &["--webhook-url <URL>", "no user name"],
    ),
    (
        &["--webhook-url=https://host/?a"],
        &["--webhook-url <URL>", "no query"],
    ),
    (
        &["--webhook-url=https://host/#a"],
        &["--webhook-url <URL>", "no query"],
    ),
    (
        &["--namespaces=a,B"],
        &["'B' for '--namespaces <NAMES>'", "lower-case"],
    ),
    (
        &["--namespaces=-a"],
        &["--namespaces <NAMES>", "without '-'"],
    ),
    (
        &["--namespaces=aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa"],
        &["--namespaces <NAMES>", "at most 63"],
    ),
    (&["--own-namespace="], &["--own-namespace <NAME>"]),
    (
        &["--digest-key-secret=A"],
        &["--digest-key-secret <NAME>", "lower-case"],
    ),
    (
        &["--settle=5"],
        &["'5' for '--settle <DURATION>'", "such as 500ms, 5s"],
    ),
    (
        &["--settle=-1s"],
        &["--settle <DURATION>", "must be between 0s and 24h"],
    ),
    (
        &["--settle", "-1s"],
        &[
            "'-1s' for '--settle <DURATION>'",
            "must be between 0s and 24h",
        ],
    ),
    (
        &["--settle=1s ago"],
        &["--settle <DURATION>", "must be between 0s and 24h"],
    ),
    (
        &["--lease-duration", "--no-webhook"],
        &[
            "'--no-webhook' for '--lease-duration <DURATION>'",
            "must be between 2s and 1h",
        ],
    ),
    (
        &["--settle=1d"],
        &["--settle <DURATION>", "expected a duration"],
    ),
    (
        &["--no-webhook", "--settle=20s"],
        &["--settle-max (10s) is shorter than --settle (20s)"],
    ),
    (
        &["--request-timeout=0s"],
        &[
            "--request-timeout <DURATION>",
            "must be between 100ms and 1h",
        ],
    ),
    (
        &["--sweep-interval=0s"],
        &["--sweep-interval <DURATION>", "must be between 1s and 24h"],
    ),
    (
        &["--skip-secret-types=a=b"],
        &["--skip-secret-types <TYPES>", "such as helm.sh/release.v1"],
    ),
    (
        &["--skip-secret-types=it's"],
        &["--skip-secret-types <TYPES>", "letters, digits"],
    ),
    (
        &["--restart-rate=-1"],
        &["--restart-rate <NUMBER>", "per second"],
    ),
    (
        &["--restart-rate=NaN"],
        &["--restart-rate <NUMBER>", "per second"],
    ),
    (
        &["--restart-burst=0"],
        &["--restart-burst <NUMBER>", "0 is not in"],
    ),
    (
        &["--restart-concurrency=0"],
        &["--restart-concurrency <NUMBER>", "0 is not in"],
    ),
    (
        &["--tls-min-version=1.1"],
        &["--tls-min-version <VERSION>", "1.2 or 1.3"],
    ),
    (&["--max-body=17MB"], &["--max-body <SIZE>", "17MiB"]),
    (
        &["--max-body=2GiB"],
        &["--max-body <SIZE>", "between 1 and 1GiB"],
    ),
    (&["--webhook-listen=8443"], &["--webhook-listen <ADDRESS>"]),
    (
        &["--log=info,reroll=loud"],
        &["--log <FILTER>", "such as info"],
    ),
    (
        &["--log-format=xml"],
        &["--log-format <FORMAT>", "auto, human, json"],
    ),
];

#[test]
fn bad_flags_are_refused_by_name() {
    for (flags, parts) in REFUSED {
        let error = parse(flags).expect_err(&format!("{flags:?} must be refused"));
        for part in *parts {
            assert!(
                error.contains(part),
                "{flags:?} says {error:?}, not {part:?}"
            );
        }
    }
}

/// The bounds of each duration.
const BOUNDS: &[(&str, &str, &str)] = &[
    ("--alert-timeout", "100ms", "1h"),
    ("--alert-window", "0s", "24h"),
    ("--authority-lifetime", "10s", "876000h"),
    ("--bake", "0s", "24h"),
    ("--certificate-lifetime", "10s", "876000h"),
    ("--discovery-interval", "100ms", "24h"),
    ("--drain-delay", "0s", "1h"),
    ("--get-budget", "0s", "30s"),
    ("--lease-duration", "2s", "1h"),
    ("--max-distance", "0s", "168h"),
    ("--request-timeout", "100ms", "1h"),
    ("--rollout-deadline", "1s", "1h"),
    ("--settle", "0s", "24h"),
    ("--settle-max", "0s", "24h"),
    ("--soak", "0s", "24h"),
    ("--sweep-interval", "1s", "24h"),
    ("--tls-poll-interval", "100ms", "1h"),
];

#[test]
fn absurd_durations_are_refused_and_the_bounds_are_not() {
    let run = run_command();
    let durations = run.get_arguments().filter(|arg| {
        let names = arg.get_value_names().unwrap_or_default();
        names.iter().any(|name| name == "DURATION")
    });
    // It does nothing any more, so that no value of it is absurd.
    let mut flags: Vec<_> = durations
        .filter_map(clap::Arg::get_long)
        .filter(|long| *long != "workload-interval")
        .map(|long| format!("--{long}"))
        .collect();
    flags.sort_unstable();
    let bounded: Vec<_> = BOUNDS.iter().map(|(flag, ..)| *flag).collect();
    assert_eq!(flags, bounded, "every duration has bounds");
    for (flag, least, most) in BOUNDS {
        let error = |value: Duration| {
            let given = format!("{flag}={}ms", value.as_millis());
            parse(&["--no-webhook", &given]).err()
        };
        let (least, most) = (
            (least, parse_duration(least).unwrap()),
            (most, parse_duration(most).unwrap()),
        );
        let step = Duration::from_millis(1);
        let absurd = [least.1.checked_sub(step), most.1.checked_add(step)];
        for value in absurd.into_iter().flatten() {
            let given = format!("{}ms", value.as_millis());
            let told = format!(
                "error: invalid value '{given}' for '{flag} <DURATION>': must be between {} and {}\n",
                least.0, most.0
            );
            let error = error(value).expect(flag);
            assert!(error.starts_with(&told), "{error}");
        }
        for value in [least.1, most.1] {
            let error = error(value).unwrap_or_default();
            assert!(!error.contains("must be between"), "{error}");
        }
    }
}

#[test]
fn the_page_has_the_bounds_of_each_duration() {
    let page = Path::new(env!("CARGO_MANIFEST_DIR")).join("docs/settings.md");
    let page = fs::read_to_string(page).unwrap();
    let (_, table) = page.split_once("## Bounds of durations").unwrap();
    let (table, _) = table.split_once("\n## ").unwrap();
    let mut told: Vec<(&str, &str, &str)> = Vec::new();
    for row in table.lines().filter(|line| line.starts_with("| `")) {
        let cells: Vec<_> = row.trim_matches(['|', ' ']).split(" | ").collect();
        let [flags, least, most] = cells[..] else {
            panic!("{row}");
        };
        for flag in flags.split(", ") {
            told.push((
                flag.trim_matches('`'),
                least.trim_matches('`'),
                most.trim_matches('`'),
            ));
        }
    }
    told.sort_unstable();
    assert_eq!(told, BOUNDS, "docs/settings.md says other bounds");
}

/// Returns what a template of the chart's defines by this name.
fn defined(name: &str) -> String {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("charts/reroll/templates/_bounds.tpl");
    let text = fs::read_to_string(path).unwrap();
    let begins = format!("{{{{- define \"{name}\" -}}}}\n");
    let (_, rest) = text.split_once(&begins).unwrap();
    let (body, _) = rest.split_once("{{- end -}}").unwrap();
    body.to_owned()
}

#[test]
fn the_chart_refuses_the_same_durations() {
    let table = defined("reroll.bounds");
    let rows: Vec<_> = table
        .lines()
        .map(|line| {
            let (flag, row) = line.split_once(": [").unwrap();
            let cells: Vec<_> = row.trim_end_matches(']').split(", ").collect();
            (flag, cells[1], cells[2])
        })
        .collect();
    assert_eq!(rows, BOUNDS, "charts/reroll/templates/_bounds.tpl");
}

#[test]
fn the_chart_knows_which_flags_may_be_given_again() {
    let run = run_command();
    let again = run
        .get_arguments()
        .filter(|arg| matches!(arg.get_action(), clap::ArgAction::Append));
    let mut again: Vec<_> = again
        .filter_map(clap::Arg::get_long)
        .map(|long| format!("--{long}"))
        .collect();
    again.sort_unstable();
    let listed = defined("reroll.repeatable");
    let listed: Vec<_> = listed.trim_matches(['[', ']', '\n']).split(", ").collect();
    assert_eq!(again, listed, "charts/reroll/templates/_bounds.tpl");
}

#[test]
fn values_arrive_in_settings() {
    let settings = parse(&[
        "--namespaces=b,a,,a",
        "--restart-rate=0",
        "--adopt-rate=0.5",
        "--tls-cert=/tls/tls.crt",
        "--tls-key=/tls/tls.key",
        "--max-body=512 KiB",
        "--settle=0s",
        "--instance=reroll-0",
    ])
    .unwrap();
    let webhook = settings.webhook.unwrap();
    assert_eq!(settings.cluster.namespaces, ["a", "b"]);
    assert_eq!(settings.cluster.instance, "reroll-0");
    assert_eq!(settings.restarts.judge.bounds.all.rate, None);
    assert_eq!(settings.restarts.judge.adopt_rate, Some(0.5));
    assert_eq!(settings.restarts.judge.settle, Duration::ZERO);
    assert_eq!(
        webhook.certificate,
        CertificateSource::Files {
            cert: PathBuf::from("/tls/tls.crt"),
            key: PathBuf::from("/tls/tls.key"),
        }
    );
    assert_eq!(webhook.max_body, 512 * 1024);
    assert!(webhook.local().is_none());
}

#[test]
fn kinds_come_from_flags() {
    let kinds = |flags: &[&str]| {
        let flags: Vec<_> = ["--no-webhook"].iter().chain(flags).copied().collect();
        let kinds = parse(&flags).unwrap().cluster.kinds;
        let optional = kinds.iter().filter(|kind| kind.optional);
        let named: Vec<_> = optional.map(ToString::to_string).collect();
        assert_eq!(kinds.iter().count(), 3 + named.len());
        named.join(" ")
    };
    let known = "argoproj.io/v1alpha1/Rollout apps.openshift.io/v1/DeploymentConfig";
    assert_eq!(kinds(&[]), known);
    assert_eq!(kinds(&["--optional-kinds="]), "");
    assert_eq!(
        kinds(&["--optional-kinds=rollouts", "--workload-kind="]),
        "argoproj.io/v1alpha1/Rollout"
    );
    let batch = parse(&["--no-webhook", "--optional-kinds=jobs,cronjobs"]).unwrap();
    let batch: Vec<_> = batch
        .cluster
        .kinds
        .iter()
        .skip(3)
        .map(ToString::to_string)
        .collect();
    assert_eq!(batch, ["batch/v1/CronJob", "batch/v1/Job"]);
    let more = kinds(&[
        "--workload-kind=a.b/v1/App,a.c/v1/App",
        "--workload-kind=a.b/v1/Bee",
    ]);
    assert_eq!(more, format!("{known} a.b/v1/App a.c/v1/App a.b/v1/Bee"));
    assert_eq!(
        kinds(&[
            "--optional-kinds=",
            "--workload-kind=argoproj.io/v1/Rollout"
        ]),
        "argoproj.io/v1/Rollout"
    );
}

#[test]
fn local_registration_needs_no_certificate() {
    let settings = parse(&["--webhook-url=https://127.0.0.1:0"]).unwrap();
    let webhook = settings.webhook.unwrap();
    let local = webhook.local().unwrap();
    assert_eq!(
        (local.url.port_u16(), local.name.as_str()),
        (Some(0), "reroll-local")
    );
    assert!(!local.allow_remote_api_server);
}

#[test]
fn no_webhook_leaves_none() {
    assert!(parse(&["--no-webhook"]).unwrap().webhook.is_none());
}

#[test]
fn an_empty_namespace_list_means_all() {
    assert!(
        parse(&["--no-webhook", "--namespaces="])
            .unwrap()
            .cluster
            .namespaces
            .is_empty()
    );
}

#[test]
fn defaults_are_those_of_the_help() {
    let settings = parse(&["--tls-cert=a", "--tls-key=b"]).unwrap();
    assert_eq!(settings.cluster.own_namespace, "reroll");
    assert_eq!(settings.restarts.judge.bounds.all.rate, Some(20.0));
    assert_eq!(settings.webhook.unwrap().max_body, 17 << 20);
    assert_eq!(settings.ops.log.filter, "info");
}

#[test]
fn durations() {
    let table = [
        ("500ms", Some(500)),
        ("5s", Some(5_000)),
        (" 2m ", Some(120_000)),
        ("1h30m", Some(5_400_000)),
        ("1.5s", Some(1_500)),
        ("0s", Some(0)),
        ("", None),
        ("5", None),
        ("s", None),
        ("PT5S", Some(5000)),
        ("99999999999999999999h", None),
    ];
    for (value, millis) in table {
        assert_eq!(
            parse_duration(value).ok(),
            millis.map(Duration::from_millis),
            "{value:?}"
        );
    }
}

#[test]
fn version_is_printed() {
    let error = Cli::try_parse_from(["reroll", "--version"]).unwrap_err();
    assert_eq!(
        error.to_string(),
        concat!(
            "reroll ",
            env!("CARGO_PKG_VERSION"),
            " (commit ",
            env!("REROLL_COMMIT"),
            ")\n"
        )
    );
}

/// It is made without what people ask, and is the same.
#[test]
fn run_reads_the_same_alone() {
    let help = |first: Option<&str>| {
        let mut typed = Cli::command_for(first.map(AsRef::as_ref));
        typed.build();
        let run = typed.find_subcommand_mut("run").unwrap();
        (
            run.render_help().to_string(),
            run.render_long_help().to_string(),
        )
    };
    let (short, long) = help(Some("run"));
    assert_eq!((&short, &long), (&help(None).0, &help(Some("status")).1));
    assert!(short.contains("Usage: reroll run [OPTIONS]"), "{short}");
    let typed = ["reroll", "run", "--settle", "3s"];
    let matches = Cli::command_for(Some("run".as_ref())).try_get_matches_from(typed);
    let Command::Run(args) = Cli::from_arg_matches(&matches.unwrap()).unwrap().command else {
        panic!("{typed:?} runs it");
    };
    assert_eq!(args.restarts.settle, Duration::from_secs(3));
}
