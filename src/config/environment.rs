//! What of the environment a person is told: which variable a refused value came from, and which variables nobody reads.
//!
//! Values are never told here beyond what clap tells of a flag: a variable may hold a secret.

use std::env;

use clap::{
    Arg, CommandFactory as _,
    error::{ContextKind, ContextValue},
};

use super::{ConfigError, RunArgs};
use crate::model::nearest::nearest;

/// How the variables of flags begin.
const PREFIX: &str = "REROLL_";

/// Variables of this project's own builds and tests, without the prefix. They stand in the environment of a reroll that a
/// test starts.
const OF_TESTS: [&str; 12] = [
    "ADOPTIONS",
    "BEFORE",
    "CACHE",
    "COMMIT",
    "DOWNLOAD",
    "KUBERNETES",
    "MODEL_ROUNDS",
    "NODE",
    "OVERLOAD",
    "PROFILE",
    "SEED",
    "USE_KUBECONFIG",
];

/// What the process was given: arguments, and the names of variables.
#[derive(Debug, Default)]
pub struct Given {
    args: Vec<String>,
    variables: Vec<String>,
}

impl Given {
    /// Returns what this process was given.
    pub fn of_process() -> Self {
        let args = env::args_os().map(|arg| arg.to_string_lossy().into_owned());
        let names = env::vars_os().map(|(name, _)| name.to_string_lossy().into_owned());
        Self {
            args: args.collect(),
            variables: names.collect(),
        }
    }

    /// Names the variable in place of the flag, where the refused value came from it.
    #[must_use]
    pub fn blame(&self, mut error: clap::Error) -> clap::Error {
        let Some(ContextValue::String(named)) = error.get(ContextKind::InvalidArg) else {
            return error;
        };
        // As in `--settle <DURATION>`.
        let flag = named.split(' ').next().unwrap_or(named);
        let flags = RunArgs::command();
        let is_it = |arg: &&Arg| flag.strip_prefix("--") == arg.get_long();
        let arg = flags.get_arguments().find(is_it);
        if let Some(variable) = arg.and_then(|arg| self.variable(arg)) {
            let told = format!("{variable} (environment variable of {flag})");
            error.insert(ContextKind::InvalidArg, ContextValue::String(told));
        }
        error
    }

    /// Returns the text of an error, and which of the flags that it names were set by which variable.
    pub fn explain(&self, error: &ConfigError) -> String {
        let mut text = error.to_string();
        let words = text.clone();
        let named = |long: &str| {
            words
                .split(|c: char| !(c.is_ascii_alphanumeric() || c == '-'))
                .any(|word| word.strip_prefix("--") == Some(long))
        };
        let mut before = "; ";
        for arg in RunArgs::command().get_arguments() {
            if let Some(long) = arg.get_long()
                && named(long)
                && let Some(variable) = self.variable(arg)
            {
                text = format!("{text}{before}the environment variable {variable} sets --{long}");
                before = ", ";
            }
        }
        text
    }

    /// Returns a sentence for each variable that looks like one of reroll's and is none.
    pub fn unknown(&self) -> Vec<String> {
        let flags = RunArgs::command();
        let names = flags.get_arguments().filter_map(Arg::get_env);
        let known: Vec<_> = names
            .filter_map(|name| name.to_str()?.strip_prefix(PREFIX))
            .collect();
        let rest = self
            .variables
            .iter()
            .filter_map(|name| name.strip_prefix(PREFIX));
        let mut rest: Vec<_> = rest
            .filter(|rest| !known.contains(rest) && !OF_TESTS.contains(rest) && !is_link(rest))
            .collect();
        rest.sort_unstable();
        let told = |rest: &str| {
            let remedy = nearest(rest, known.iter().copied()).map_or_else(
                || "`reroll run --help` names those that there are".to_owned(),
                |meant| format!("did you mean {PREFIX}{meant}?"),
            );
            format!("the environment variable {PREFIX}{rest} does nothing: {remedy}")
        };
        rest.into_iter().map(told).collect()
    }

    /// Returns the variable that an argument has its value from; `None` where it was given as a flag, or not at all.
    fn variable(&self, arg: &Arg) -> Option<&str> {
        let (variable, long) = (arg.get_env()?, arg.get_long()?);
        if is_given(long, &self.args) {
            return None;
        }
        let mut names = self.variables.iter();
        names
            .find(|name| variable == name.as_str())
            .map(String::as_str)
    }
}

/// Whether arguments give a flag of this name.
pub(super) fn is_given(long: &str, args: &[String]) -> bool {
    args.iter().any(|given| {
        let rest = given
            .strip_prefix("--")
            .and_then(|flag| flag.strip_prefix(long));
        rest.is_some_and(|rest| rest.is_empty() || rest.starts_with('='))
    })
}

/// Whether the kubelet sets such a variable in pods beside a Service whose name begins with `reroll`. `rest` is what follows
/// [`PREFIX`].
fn is_link(rest: &str) -> bool {
    let name = format!("_{rest}");
    name.ends_with("_SERVICE_HOST")
        || name.contains("_SERVICE_PORT")
        || name.ends_with("_PORT")
        || name.contains("_PORT_")
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use clap::builder::Resettable;

    use super::*;

    fn given(args: &[&str], variables: &[&str]) -> Given {
        let owned = |words: &[&str]| words.iter().map(|word| (*word).to_owned()).collect();
        Given {
            args: owned(args),
            variables: owned(variables),
        }
    }

    /// The first line of what is told of a value that is refused. That it came as a flag makes no difference to clap.
    fn told(given: &Given, flag: &str) -> String {
        let flags = RunArgs::command().mut_args(|arg| arg.env(Resettable::Reset));
        let error = flags.try_get_matches_from(["run", flag]).unwrap_err();
        let text = given.blame(error).to_string();
        text.lines().next().unwrap().to_owned()
    }

    #[test]
    fn a_refused_value_is_blamed_on_what_it_came_from() {
        let by_variable = given(&["reroll", "run"], &["REROLL_SETTLE"]);
        assert_eq!(
            told(&by_variable, "--settle=soon"),
            "error: invalid value 'soon' for 'REROLL_SETTLE (environment variable of --settle)': expected a duration such as 500ms, 5s, 2m or 1h30m; it must be between 0s and 24h"
        );
        let by_flag = "error: invalid value 'soon' for '--settle <DURATION>': expected a duration such as 500ms, 5s, 2m or 1h30m; it must be between 0s and 24h";
        for args in [["--settle", "soon"], ["--settle=soon", ""]] {
            let both = given(&args, &["REROLL_SETTLE"]);
            assert_eq!(told(&both, "--settle=soon"), by_flag, "the flag wins");
        }
        let another = given(&["--settle-max=5s"], &["REROLL_SETTLE_MAX"]);
        assert_eq!(told(&another, "--settle=soon"), by_flag);
        // One that is chosen from words, and one of a number.
        let more = given(&[], &["REROLL_LOG_FORMAT", "REROLL_RESTART_BURST"]);
        for (flag, variable) in [
            (
                "--log-format=xml",
                "'REROLL_LOG_FORMAT (environment variable of --log-format)'",
            ),
            (
                "--restart-burst=0",
                "'REROLL_RESTART_BURST (environment variable of --restart-burst)'",
            ),
        ] {
            assert!(
                told(&more, flag).contains(variable),
                "{}",
                told(&more, flag)
            );
        }
    }

    #[test]
    fn flags_that_make_no_sense_together_are_told_with_their_variables() {
        let error = ConfigError::SettleMax {
            settle: Duration::from_secs(20),
            max: Duration::from_secs(10),
        };
        let plain = "--settle-max (10s) is shorter than --settle (20s)";
        assert_eq!(
            given(&["--settle=20s"], &["REROLL_SETTLE"]).explain(&error),
            plain
        );
        assert_eq!(given(&[], &["REROLL_SOAK"]).explain(&error), plain);
        assert_eq!(
            given(&[], &["REROLL_SETTLE"]).explain(&error),
            format!("{plain}; the environment variable REROLL_SETTLE sets --settle")
        );
        assert_eq!(
            given(&[], &["REROLL_SETTLE", "REROLL_SETTLE_MAX"]).explain(&error),
            format!(
                "{plain}; the environment variable REROLL_SETTLE sets --settle, the environment variable REROLL_SETTLE_MAX sets --settle-max"
            )
        );
    }

    #[test]
    fn variables_that_nobody_reads_are_told() {
        let one = |name| given(&[], &[name]).unknown();
        assert_eq!(
            one("REROLL_SETTEL"),
            ["the environment variable REROLL_SETTEL does nothing: did you mean REROLL_SETTLE?"]
        );
        assert_eq!(
            one("REROLL_FOR_THE_BIRDS"),
            [
                "the environment variable REROLL_FOR_THE_BIRDS does nothing: `reroll run --help` names those that there are"
            ]
        );
        for right in [
            "REROLL_SETTLE",
            "REROLL_PORT",
            "REROLL_PORT_443_TCP",
            "REROLL_PORT_443_TCP_ADDR",
            "REROLL_SERVICE_HOST",
            "REROLL_SERVICE_PORT",
            "REROLL_SERVICE_PORT_HTTPS",
            "REROLL_METRICS_SERVICE_HOST",
            "REROLL_METRICS_PORT_8080_TCP_PROTO",
            "REROLL_SEED",
            "REROLLED",
            "POD_NAME",
            "ALERT_ON_RELOAD",
        ] {
            assert!(one(right).is_empty(), "{right}");
        }
    }

    /// What these export stands in the environment of every reroll that a test starts.
    #[test]
    fn nothing_of_the_tests_themselves_is_told() {
        let scripts = [
            include_str!("../../Makefile"),
            include_str!("../../.ci/run"),
            include_str!("../../tests/cluster/up"),
            include_str!("../../tests/cluster/node"),
        ];
        let words = scripts
            .iter()
            .flat_map(|text| text.split(|c: char| !c.is_ascii_uppercase() && c != '_'));
        let names: Vec<_> = words.filter(|word| word.starts_with(PREFIX)).collect();
        assert!(names.contains(&"REROLL_KUBERNETES"), "{names:?}");
        for name in names {
            assert!(given(&[], &[name]).unknown().is_empty(), "{name}");
        }
    }
}
