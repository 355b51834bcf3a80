//! How reroll reaches the API server.

use std::{path::PathBuf, time::Duration};

use kube::config::{KubeConfigOptions, Kubeconfig, KubeconfigError};

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

/// Why the settings lead to no API server.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum ClientConfigError {
    /// `--kubeconfig` or `--context` names something that cannot be used.
    #[error("--kubeconfig or --context cannot be used: {0}")]
    Kubeconfig(#[from] KubeconfigError),
    /// There is neither a kubeconfig nor a service account.
    #[error("found neither a kubeconfig nor a service account; give --kubeconfig: {0}")]
    Infer(#[from] kube::config::InferConfigError),
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
        let mut config = match (&self.kubeconfig, &self.context) {
            (Some(path), _) => {
                kube::Config::from_custom_kubeconfig(Kubeconfig::read_from(path)?, &options).await?
            }
            (None, _) if let Some(merged) = of_environment()? => {
                kube::Config::from_custom_kubeconfig(merged, &options).await?
            }
            (None, Some(_)) => kube::Config::from_kubeconfig(&options).await?,
            (None, None) => kube::Config::infer().await?,
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

/// Returns what the files that `KUBECONFIG` names say together; `None` where none of them exists. One that does not exist is passed
/// over, as kubectl does; kube ends with it.
fn of_environment() -> Result<Option<Kubeconfig>, KubeconfigError> {
    let named = std::env::var_os("KUBECONFIG").unwrap_or_default();
    let mut merged: Option<Kubeconfig> = None;
    for path in std::env::split_paths(&named).filter(|path| path.exists()) {
        let read = Kubeconfig::read_from(path)?;
        merged = Some(match merged {
            Some(before) => before.merge(read)?,
            None => read,
        });
    }
    Ok(merged)
}
