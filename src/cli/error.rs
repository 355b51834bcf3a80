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

impl Error {
    /// Whether it may pass though nobody does anything about it.
    pub(super) fn passes(&self) -> bool {
        matches!(self, Self::Call { why, .. } if why.passes())
    }
}
