//! How reroll reaches the API server.

use std::{
    env,
    error::Error as _,
    path::{Path, PathBuf},
    time::Duration,
};

use kube::config::{KubeConfigOptions, Kubeconfig, KubeconfigError};

use super::credentials::of_kubeconfig;

/// How long a connection to the API server may bring nothing. A watch is kept open for less time than that.
const SILENCE: Duration = Duration::from_secs(40);

/// Which API server to talk to, and how long to wait for it.
#[derive(Clone, Debug)]
pub struct ConnectionSettings {
    /// A kubeconfig file; `None` for the usual inference.
    pub kubeconfig: Option<PathBuf>,
    /// The kubeconfig context; `None` for the current one.
    pub context: Option<String>,
    /// The longest time that one API call may take.
    pub request_timeout: Duration,
}

/// Why the settings lead to no API server. No variant has a source: its text is told once.
#[derive(Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum ClientConfigError {
    /// A kubeconfig that is named cannot be used.
    #[error("{named} cannot be used: {why}; give a kubeconfig that can be read: --kubeconfig FILE")]
    File {
        /// What names it: a flag, a variable, or the usual place.
        named: &'static str,
        /// What is wrong with it.
        why: String,
    },
    /// There is no such context.
    #[error(
        "--context or the current context cannot be used: there is no \"{0}\"; `kubectl config get-contexts` lists those that there are"
    )]
    Context(String),
    /// Nothing is where the variable says, and there is no service account.
    #[error(
        "KUBECONFIG names {0}, which is not there, and there is no service account; set KUBECONFIG right, or give --kubeconfig FILE"
    )]
    Absent(String),
    /// There is neither a kubeconfig nor a service account.
    #[error(
        "found neither a kubeconfig nor a service account: {0}; set KUBECONFIG, or give --kubeconfig FILE"
    )]
    Infer(String),
}

impl ClientConfigError {
    /// Returns what is wrong with a kubeconfig that `named` names.
    fn of(named: &'static str, error: KubeconfigError) -> Self {
        match error {
            KubeconfigError::LoadContext(context) => Self::Context(context),
            other => Self::File {
                named,
                why: of_kubeconfig(&other),
            },
        }
    }

    /// Returns why none could be found. `named` is what `KUBECONFIG` has.
    fn found_none(named: &[PathBuf], why: String) -> Self {
        if named.is_empty() || named.iter().any(|path| path.exists()) {
            return Self::Infer(why);
        }
        let paths: Vec<_> = named
            .iter()
            .map(|path| path.display().to_string())
            .collect();
        Self::Absent(paths.join(" and "))
    }
}

// === impl ConnectionSettings ===

impl ConnectionSettings {
    /// Returns the client configuration. Takes `--kubeconfig` and `--context` where given, else `KUBECONFIG`,
    /// `~/.kube/config` or the pod's service account, in kube's order.
    ///
    /// Built-in retries are off. kube repeats 429, 503 and 504 up to 15 times, with delays that grow to 1000 s. The
    /// Lease and every timeout of reroll need the answer sooner.
    ///
    /// # Errors
    /// When the given flags cannot be used, or kube finds neither a kubeconfig nor a service account.
    pub async fn client_config(&self) -> Result<kube::Config, ClientConfigError> {
        let options = KubeConfigOptions {
            context: self.context.clone(),
            ..KubeConfigOptions::default()
        };
        let named = named_by_environment();
        let place = if named.is_empty() {
            "~/.kube/config"
        } else {
            "KUBECONFIG"
        };
        let given = match (&self.kubeconfig, &self.context) {
            (Some(path), _) => {
                let read = Kubeconfig::read_from(path);
                Some(("--kubeconfig", read))
            }
            (None, _) if let Some(merged) = merged(&named).transpose() => Some((place, merged)),
            (None, Some(_)) => Some((place, Kubeconfig::read())),
            (None, None) => None,
        };
        let mut config = match given {
            Some((named, read)) => {
                let of = |error| ClientConfigError::of(named, error);
                let read = read.map_err(of)?;
                kube::Config::from_custom_kubeconfig(read, &options)
                    .await
                    .map_err(of)?
            }
            None => kube::Config::infer().await.map_err(|error| {
                let kubeconfig = error.source().and_then(|cause| cause.downcast_ref());
                let nothing = || "no file can be read".to_owned();
                let why = kubeconfig.map_or_else(nothing, of_kubeconfig);
                ClientConfigError::found_none(&named, why)
            })?,
        };
        config.default_retry = false;
        // `Cluster` limits its own calls. These limits are for calls without one: lists of watches, and watches until
        // the API server answers.
        config.connect_timeout = Some(self.request_timeout);
        config.write_timeout = Some(self.request_timeout);
        config.read_timeout = Some(SILENCE);
        config.reset_reader_on_write = true;
        Ok(config)
    }
}

/// Returns the files that `KUBECONFIG` names.
fn named_by_environment() -> Vec<PathBuf> {
    let named = env::var_os("KUBECONFIG").unwrap_or_default();
    let paths = env::split_paths(&named);
    paths.filter(|path| path != Path::new("")).collect()
}

/// Returns what these files say together; `None` where none of them exists. One that does not exist is passed over, as
/// kubectl does; kube ends with it.
fn merged(named: &[PathBuf]) -> Result<Option<Kubeconfig>, KubeconfigError> {
    let mut merged: Option<Kubeconfig> = None;
    for path in named.iter().filter(|path| path.exists()) {
        let read = Kubeconfig::read_from(path)?;
        merged = Some(match merged {
            Some(before) => before.merge(read)?,
            None => read,
        });
    }
    Ok(merged)
}

#[cfg(test)]
mod tests {
    use super::*;

    async fn refused(kubeconfig: &Path, context: Option<&str>) -> String {
        let settings = ConnectionSettings {
            kubeconfig: Some(kubeconfig.to_owned()),
            context: context.map(str::to_owned),
            request_timeout: Duration::from_secs(1),
        };
        let error = anyhow::Error::from(settings.client_config().await.unwrap_err());
        format!("{error:#}")
    }

    #[tokio::test]
    async fn a_kubeconfig_that_cannot_be_used_is_told_once_with_its_remedy() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("config");
        let file = path.display();
        let remedy = "give a kubeconfig that can be read: --kubeconfig FILE";
        assert_eq!(
            refused(&path, None).await,
            format!(
                "--kubeconfig cannot be used: {file}: No such file or directory (os error 2); {remedy}"
            )
        );
        let empty = "apiVersion: v1\nkind: Config\n";
        std::fs::write(&path, "users:\n- {name: u, user: {token: [hunter2]}}\n").unwrap();
        let told = refused(&path, None).await;
        assert!(
            told.contains("(line 2, column ") && !told.contains("hunter2"),
            "{told}"
        );
        std::fs::write(&path, empty).unwrap();
        assert_eq!(
            refused(&path, None).await,
            format!("--kubeconfig cannot be used: failed to determine current context; {remedy}")
        );
        assert_eq!(
            refused(&path, Some("nobody")).await,
            "--context or the current context cannot be used: there is no \"nobody\"; `kubectl config get-contexts` lists those that there are"
        );
    }

    #[test]
    fn what_is_not_where_the_variable_says_is_named() {
        let folder = tempfile::tempdir().unwrap();
        let there = folder.path().to_owned();
        let told = |named: &[PathBuf]| {
            ClientConfigError::found_none(named, "no file".to_owned()).to_string()
        };
        assert_eq!(
            told(&["/not/there".into(), "/nor/there".into()]),
            "KUBECONFIG names /not/there and /nor/there, which is not there, and there is no service account; set KUBECONFIG right, or give --kubeconfig FILE"
        );
        let neither = "found neither a kubeconfig nor a service account: no file; set KUBECONFIG, or give --kubeconfig FILE";
        assert_eq!(told(&[]), neither);
        assert_eq!(told(&["/not/there".into(), there]), neither);
    }
}
