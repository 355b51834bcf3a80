//! Why a command failed, in words that name what was to be done, and what a person can do.

use crate::cluster::{Failure, connection::ClientConfigError};

/// Why a command failed.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum Error {
    /// No API server can be told.
    #[error(transparent)]
    Config(#[from] ClientConfigError),
    /// The client cannot be made.
    #[error("cannot connect to {address}: {why}")]
    Client {
        /// The API server.
        address: String,
        /// Why.
        why: String,
    },
    /// A call failed without which there is no answer.
    #[error("{}", .why.of_call(.what, .address))]
    Call {
        /// What was to be done, such as `read Deployment web in shop`.
        what: String,
        /// The API server.
        address: String,
        /// Why.
        why: Failure,
    },
    /// What was typed names nothing.
    #[error("{0}")]
    Usage(String),
    /// Manifests cannot be read.
    #[error("{0}")]
    Manifests(String),
    /// The answer cannot be written.
    #[error("cannot write the answer: {0}")]
    Write(#[from] std::io::Error),
}

/// Returns an error and its causes in one line, each once: one that says its cause itself is not followed by it.
pub fn once(causes: impl Iterator<Item = String>) -> String {
    causes.fold(String::new(), |told, cause| {
        if told.is_empty() {
            cause
        } else if told.contains(&cause) {
            told
        } else {
            format!("{told}: {cause}")
        }
    })
}

impl Error {
    /// Whether it may pass though nobody does anything about it.
    pub(super) fn passes(&self) -> bool {
        matches!(self, Self::Call { why, .. } if why.passes())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_cause_is_told_once() {
        let none = "No such file or directory (os error 2)";
        let outer = format!("cannot read tls.crt: {none}");
        for (causes, expected) in [
            (vec![outer.as_str(), none], outer.clone()),
            (vec!["cannot read tls.crt", none], outer.clone()),
            (vec![none], none.to_owned()),
            (vec!["a", "b", "c"], "a: b: c".to_owned()),
            (vec![], String::new()),
        ] {
            let told = once(causes.iter().map(ToString::to_string));
            assert_eq!(told, expected);
        }
    }
}
