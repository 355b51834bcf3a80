//! Tests of the flags of alerts.

use clap::Parser;

use super::*;

const URL: &str = "https://hooks.example/services/T0/B0/hush";

#[derive(Debug, Parser)]
struct Line {
    #[command(flatten)]
    alerts: AlertArgs,
}

fn line(flags: &[&str]) -> Line {
    use clap::{CommandFactory as _, FromArgMatches as _};
    let command = Line::command().mut_args(|arg| arg.env(clap::builder::Resettable::Reset));
    let matches = command.try_get_matches_from(["reroll"].iter().chain(flags));
    Line::from_arg_matches(&matches.unwrap()).unwrap()
}

fn settings(flags: &[&str]) -> Result<Option<AlertSettings>, ConfigError> {
    line(flags).alerts.settings()
}

fn url(text: &str) -> AlertTarget {
    AlertTarget::Url(text.parse().unwrap())
}

#[test]
fn nothing_is_told_unless_asked_for() {
    assert!(settings(&[]).unwrap().is_none());
    assert!(settings(&["--alert-url="]).unwrap().is_none());
    // What Reloader would not have told, reroll does not tell.
    let theirs = ["--reloader-alert-webhook-url", URL];
    assert!(settings(&theirs).unwrap().is_none());
}

#[test]
fn flags_arrive() {
    let plain = settings(&["--alert-url", URL, "--alert-sink=slack"])
        .unwrap()
        .unwrap();
    assert_eq!(plain.target, url(URL));
    assert_eq!(plain.sink, AlertSinkKind::Slack);
    assert_eq!(plain.on, [AlertKind::Restarted, AlertKind::Failing]);
    assert_eq!(plain.window, Duration::from_secs(5));
    assert_eq!(plain.timeout, Duration::from_secs(10));
    let all = settings(&[
        "--alert-url-file=/alerts/url",
        "--alert-sink=json",
        "--alert-on=failing",
        "--alert-prefix= prod ",
        "--alert-window=0s",
        "--alert-timeout=1s",
        "--alert-proxy=proxy.example:3128",
        "--alert-ca-file=/alerts/ca.crt",
    ]);
    let all = all.unwrap().unwrap();
    assert_eq!(all.target, AlertTarget::File("/alerts/url".into()));
    assert_eq!(all.on, [AlertKind::Failing]);
    assert_eq!(all.prefix, "prod");
    let proxy = all.proxy.intercept(&Uri::from_static(URL)).unwrap();
    assert_eq!(proxy.uri(), "http://proxy.example:3128/");
    assert_eq!(all.ca_file, Some("/alerts/ca.crt".into()));
}

#[test]
fn what_was_set_for_reloader_counts_and_our_own_wins() {
    let theirs = [
        "--reloader-alert-on-reload=true",
        "--reloader-alert-webhook-url",
        URL,
        "--reloader-alert-sink=teams",
        "--reloader-alert-additional-info=prod",
        "--reloader-alert-webhook-proxy=http://proxy.example",
    ];
    let taken = settings(&theirs).unwrap().unwrap();
    assert_eq!((taken.sink, &*taken.prefix), (AlertSinkKind::Teams, "prod"));
    assert_eq!(taken.target, url(URL));
    assert!(taken.proxy.intercept(&Uri::from_static(URL)).is_some());
    let ours = [
        "--alert-url=http://127.0.0.1:1",
        "--alert-sink=json",
        "--alert-prefix=mine",
    ];
    let both = settings(&[&theirs[..], &ours[..]].concat());
    let both = both.unwrap().unwrap();
    assert_eq!((both.sink, &*both.prefix), (AlertSinkKind::Json, "mine"));
    assert_eq!(both.target, url("http://127.0.0.1:1"));
    // Their default.
    let text = settings(&theirs[..3]).unwrap().unwrap();
    assert_eq!(text.sink, AlertSinkKind::Text);
}

#[test]
fn what_cannot_be_used_is_refused_by_name_and_never_shown() {
    let table: &[(&[&str], &[&str])] = &[
        (
            &["--alert-url", URL],
            &["--alert-sink is needed", "slack, teams"],
        ),
        (
            &["--alert-sink=slack"],
            &["--alert-sink needs --alert-url or --alert-url-file"],
        ),
        (
            &["--alert-url=hooks.example/hush", "--alert-sink=slack"],
            &["--alert-url expected a URL"],
        ),
        (
            &[
                "--alert-url=https://me:hush@hooks.example",
                "--alert-sink=slack",
            ],
            &["--alert-url expected", "without a user name"],
        ),
        (
            &["--alert-url=ftp://hush", "--alert-sink=slack"],
            &["http or https"],
        ),
        (
            &["--alert-url", URL, "--alert-url-file=/hush"],
            &["--alert-url excludes --alert-url-file"],
        ),
        (
            &[
                "--alert-url",
                URL,
                "--alert-sink=text",
                "--alert-proxy=socks5://hush",
            ],
            &["--alert-proxy expected the URL of an HTTP proxy"],
        ),
        (
            &[
                "--reloader-alert-on-reload=true",
                "--reloader-alert-webhook-url=hush",
            ],
            &["ALERT_WEBHOOK_URL expected a URL"],
        ),
    ];
    for (flags, parts) in table {
        let error = settings(flags).expect_err(&format!("{flags:?}"));
        let error = error.to_string();
        assert!(!error.contains("hush"), "{error}");
        for part in *parts {
            assert!(
                error.contains(part),
                "{flags:?} says {error:?}, not {part:?}"
            );
        }
    }
}

#[test]
fn secrets_do_not_show() {
    let line = line(&[
        "--alert-url",
        URL,
        "--alert-sink=slack",
        "--alert-proxy=http://me:hush@proxy.example",
        "--reloader-alert-webhook-url=https://h/hush",
    ]);
    let settings = line.alerts.settings().unwrap();
    let shown = format!("{line:?} {settings:?}");
    assert!(!shown.contains("hush"), "{shown}");
    assert!(shown.contains("https://hooks.example/…"), "{shown}");
    let AlertTarget::Url(url) = settings.unwrap().target else {
        panic!("a URL was given")
    };
    assert_eq!(url.secret(), URL);
    assert_eq!(url.host(), "hooks.example");
}

#[test]
fn alerts_that_nobody_says_where_to_send_are_told_and_end_nothing() {
    for (flags, told) in [
        (&["--reloader-alert-on-reload=true"][..], true),
        (
            &[
                "--reloader-alert-on-reload=true",
                "--reloader-alert-webhook-url= ",
            ],
            true,
        ),
        (
            &[
                "--reloader-alert-on-reload=true",
                "--reloader-alert-webhook-url",
                URL,
            ],
            false,
        ),
        (
            &[
                "--reloader-alert-on-reload=true",
                "--alert-url",
                URL,
                "--alert-sink=text",
            ],
            false,
        ),
        (
            &[
                "--reloader-alert-on-reload=true",
                "--alert-url-file=/f",
                "--alert-sink=text",
            ],
            false,
        ),
        (&["--reloader-alert-on-reload=false"], false),
        (&[], false),
    ] {
        let line = line(flags);
        assert_eq!(line.alerts.doubt().is_some(), told, "{flags:?}");
        assert_eq!(
            line.alerts.settings().unwrap().is_none(),
            told || flags.len() < 2,
            "{flags:?}"
        );
    }
}

#[test]
fn reloaders_sinks_are_read_in_any_case() {
    for (text, sink) in [
        ("slack", AlertSinkKind::Slack),
        ("Slack", AlertSinkKind::Slack),
        (" TEAMS ", AlertSinkKind::Teams),
        ("GChat", AlertSinkKind::Gchat),
        ("pigeon", AlertSinkKind::Text),
        ("", AlertSinkKind::Text),
    ] {
        let sink_flag = format!("--reloader-alert-sink={text}");
        let flags = [
            "--reloader-alert-on-reload=true",
            "--reloader-alert-webhook-url",
            URL,
            &sink_flag,
        ];
        assert_eq!(settings(&flags).unwrap().unwrap().sink, sink, "{text}");
    }
}
