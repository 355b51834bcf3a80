//! Why a call to the API server came to nothing.

use std::{future::Future, time::Duration};

use tokio::time::timeout;

/// Why a call failed, mostly a write.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Failure {
    /// The object does not exist any more.
    Gone,
    /// It is not as it was, or something refuses the patch: which of both cannot be told from the answer.
    Conflict,
    /// RBAC or an admission policy does not allow it.
    Forbidden,
    /// The API server is overloaded.
    Overloaded,
    /// No answer in time; the write may have been made.
    Timeout,
    /// Anything else.
    Other,
}

impl Failure {
    pub(super) const fn as_str(self) -> &'static str {
        match self {
            Self::Gone => "gone",
            Self::Conflict => "conflict",
            Self::Forbidden => "forbidden",
            Self::Overloaded => "overloaded",
            Self::Timeout => "timeout",
            Self::Other => "other",
        }
    }

    pub(super) fn of(error: &kube::Error) -> Self {
        match error {
            kube::Error::Api(status) => match status.code {
                404 => Self::Gone,
                409 | 422 => Self::Conflict,
                401 | 403 => Self::Forbidden,
                429 => Self::Overloaded,
                _ => Self::Other,
            },
            _ => Self::Other,
        }
    }
}

/// Makes a call that may take so long.
pub(super) async fn within<T>(
    longest: Duration,
    call: impl Future<Output = kube::Result<T>>,
) -> Result<T, Failure> {
    match timeout(longest, call).await {
        Err(_) => Err(Failure::Timeout),
        Ok(answer) => answer.map_err(|error| Failure::of(&error)),
    }
}
