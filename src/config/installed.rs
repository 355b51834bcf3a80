//! The flags of a reroll that is installed, as its Deployment has them: for the command line, which decides as it does.
//!
//! The environment of whoever asks says nothing about it, so no variable is read here but those of its container.

use clap::{
    Arg, ArgAction, Command as Flags, CommandFactory as _, FromArgMatches as _, builder::Resettable,
};

use super::{RunArgs, environment::is_given, settings::ClusterSettings};
use crate::{cli, model::Conventions};

/// Reads the arguments behind `run`, and the variables of the container; `None` where a flag is not known, as that of a newer
/// release.
pub fn installed(args: &[String], environment: &[(String, String)]) -> Option<cli::Flags> {
    let flags = RunArgs::command();
    let given = |arg: &Arg| from_environment(arg, args, environment);
    let more: Vec<_> = flags.get_arguments().filter_map(given).collect();
    let flags = without_env(flags.no_binary_name(true));
    read(flags, more.iter().chain(args))
}

/// Returns the same, where no variable of this process counts.
pub(super) fn without_env(flags: Flags) -> Flags {
    flags.mut_args(|arg| arg.env(Resettable::Reset))
}

fn read<'a>(mut flags: Flags, args: impl Iterator<Item = &'a String>) -> Option<cli::Flags> {
    let matches = flags.try_get_matches_from_mut(args).ok()?;
    let read = RunArgs::from_arg_matches(&matches).ok()?;
    let cluster = ClusterSettings::try_from(read.cluster).ok()?;
    Some(cli::Flags {
        conventions: Conventions::try_from(read.conventions).ok()?,
        slow_start: read.restarts.slow_start,
        kinds: cluster.kinds,
        namespaces: cluster.namespaces,
        patience: read.restarts.patience(),
        lease: cluster.lease_name,
        digest_key: cluster.digest_key_secret,
        webhook: (!read.webhook.no_webhook).then_some(cli::Webhook {
            certificate: read.webhook.tls_cert,
            certificates_secret: read.webhook.certificates_secret,
            configurations: read.webhook.webhook_configurations,
        }),
    })
}

/// Returns a variable as the flag that it stands for, where that is not given.
fn from_environment(
    arg: &Arg,
    args: &[String],
    environment: &[(String, String)],
) -> Option<String> {
    let (variable, long) = (arg.get_env()?, arg.get_long()?);
    let (_, value) = environment
        .iter()
        .find(|(name, _)| variable == name.as_str())?;
    if is_given(long, args) {
        return None;
    }
    let flag = format!("--{long}");
    match arg.get_action() {
        ArgAction::SetTrue => matches!(value.as_str(), "true" | "1" | "yes").then_some(flag),
        _ => Some(format!("{flag}={value}")),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::model::workload::CRON_JOB;

    fn owned(words: &[&str]) -> Vec<String> {
        words.iter().map(|word| (*word).to_owned()).collect()
    }

    #[test]
    fn flags_and_variables_count_and_the_flag_wins() {
        let args = owned(&[
            "--rollout-deadline=90s",
            "--auto-all",
            "--optional-kinds=cronjobs",
            "--lease-name",
            "mine",
        ]);
        let variables = [
            ("REROLL_LEASE_NAME", "theirs"),
            ("REROLL_NAMESPACES", "a,b"),
            ("SOMETHING", "else"),
        ];
        let variables = variables.map(|(name, value)| (name.to_owned(), value.to_owned()));
        let flags = installed(&args, &variables).unwrap();
        assert!(flags.conventions.all);
        assert!(flags.kinds.iter().any(|kind| kind == &CRON_JOB));
        assert_eq!(flags.patience.deadline.as_secs(), 90);
        assert_eq!(flags.lease, "mine");
        assert_eq!(flags.namespaces, ["a", "b"]);
        assert_eq!(flags.digest_key, "reroll-digest-key");
        assert_eq!(flags.webhook, Some(cli::Webhook::default()));
        let without = installed(&owned(&["--no-webhook"]), &[]).unwrap();
        assert_eq!(without.webhook, None);
    }

    #[test]
    fn a_flag_of_a_newer_release_is_said_to_be_unknown() {
        assert!(installed(&owned(&["--of-a-newer-release"]), &[]).is_none());
    }
}
