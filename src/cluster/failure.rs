//! Why a call to the API server failed: one vocabulary for reads, writes and lists.
//!
//! The words never quote the answer, because it may hold a Secret's data. Message and reason of a `Status` are parts of
//! the answer: kube puts there what it cannot decode (kube 5.0.0, `handle_api_errors`).

use std::{error::Error, fmt};

use super::credentials::of_credentials;

/// Why a call failed.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Failure {
    /// The object, or its namespace, does not exist (any more).
    Gone,
    /// An object of this name exists already.
    Exists,
    /// The object has changed, or an admission webhook, a policy or the schema refuses the write. The answer does not
    /// tell which.
    Conflict,
    /// RBAC or an admission policy does not allow it.
    Forbidden,
    /// The API server does not know who asks: a token or certificate is not valid, or not any more.
    Unauthorized,
    /// The API server is overloaded.
    Overloaded,
    /// No answer came in time. If it was a write, the API server may have made it.
    Timeout,
    /// The API server answered with another HTTP status.
    Refused(u16),
    /// What the API server answered cannot be read.
    Unreadable,
    /// The connection failed. The text is the client's own and quotes no answer.
    Unreachable(String),
}

impl Failure {
    /// Returns the class of an error of kube's client.
    pub fn of(error: &kube::Error) -> Self {
        match error {
            kube::Error::Api(status) => match status.code {
                404 => Self::Gone,
                409 if status.is_already_exists() => Self::Exists,
                409 | 422 => Self::Conflict,
                401 => Self::Unauthorized,
                403 => Self::Forbidden,
                429 => Self::Overloaded,
                0 => Self::Unreadable,
                code => Self::Refused(code),
            },
            kube::Error::SerdeError(_) | kube::Error::FromUtf8(_) => Self::Unreadable,
            kube::Error::Service(cause) => Self::Unreachable(causes(cause.as_ref())),
            kube::Error::HyperError(cause) => Self::Unreachable(causes(cause)),
            kube::Error::Auth(cause) => Self::Unreachable(causes(cause)),
            other => Self::Unreachable(other.to_string()),
        }
    }

    /// Whether the same call may succeed later though nobody does anything about it: the API server is away,
    /// overloaded or broken for a while.
    pub const fn passes(&self) -> bool {
        match self {
            Self::Overloaded | Self::Timeout | Self::Unreachable(_) => true,
            Self::Refused(code) => *code >= 500,
            Self::Gone
            | Self::Exists
            | Self::Conflict
            | Self::Forbidden
            | Self::Unauthorized
            | Self::Unreadable => false,
        }
    }

    /// Every word for metrics.
    pub const WORDS: [&str; 6] = [
        "gone",
        "conflict",
        "forbidden",
        "overloaded",
        "timeout",
        "other",
    ];

    /// Returns the word that metrics and log fields use.
    pub const fn as_str(&self) -> &'static str {
        match self {
            Self::Gone => "gone",
            Self::Exists | Self::Conflict => "conflict",
            Self::Forbidden | Self::Unauthorized => "forbidden",
            Self::Overloaded => "overloaded",
            Self::Timeout => "timeout",
            Self::Refused(_) | Self::Unreadable | Self::Unreachable(_) => "other",
        }
    }

    /// Returns what a person at the prompt is told of a call that failed. That no API server is reached comes before what was to
    /// be done there.
    pub fn of_call(&self, what: &str, address: &str) -> String {
        match self {
            Self::Unreachable(why) => {
                format!("cannot reach the API server {address} to {what}: {why}")
            }
            why => format!("cannot {what}: {why} (API server {address})"),
        }
    }

    /// Returns the fixed words that Events and alerts tell people.
    pub const fn words(&self) -> &'static str {
        match self {
            Self::Forbidden => "RBAC or an admission policy does not allow it",
            Self::Unauthorized => {
                "you are not logged in (401): the token or certificate is not valid, or not any more"
            }
            Self::Exists | Self::Conflict => {
                "the write is refused, by an admission webhook, a policy or its schema"
            }
            Self::Overloaded => "the API server is overloaded",
            Self::Timeout => "the API server did not answer in time",
            Self::Unreadable => "the API server's answer cannot be read",
            Self::Gone | Self::Refused(_) | Self::Unreachable(_) => {
                "the API server answered with an error"
            }
        }
    }
}

impl fmt::Display for Failure {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Gone => f.write_str("there is no such object, or no such namespace"),
            Self::Exists => f.write_str("there is an object of this name already"),
            Self::Refused(code) => write!(f, "{} ({code})", self.words()),
            Self::Unreachable(why) => f.write_str(why),
            other => f.write_str(other.words()),
        }
    }
}

impl std::error::Error for Failure {}

/// Returns the texts of an error of the connection and of its causes, each once: what could not be done, and why.
fn causes(error: &(dyn Error + 'static)) -> String {
    let mut text = of_credentials(error).unwrap_or_else(|| error.to_string());
    let mut next = error.source().filter(|_| of_credentials(error).is_none());
    while let Some(cause) = next {
        if let Some(words) = of_credentials(cause) {
            return words;
        }
        let words = cause.to_string();
        if !text.contains(&words) {
            text = format!("{text}: {words}");
        }
        next = cause.source();
    }
    text
}

#[cfg(test)]
mod tests {
    use kube::core::Status;

    use super::*;

    fn of(reason: &str, code: u16) -> Failure {
        let status = Status::failure("canary", reason).with_code(code);
        Failure::of(&kube::Error::Api(Box::new(status)))
    }

    #[test]
    fn codes_have_their_class() {
        for (reason, code, expected, word) in [
            ("NotFound", 404, Failure::Gone, "gone"),
            ("AlreadyExists", 409, Failure::Exists, "conflict"),
            ("Conflict", 409, Failure::Conflict, "conflict"),
            ("Invalid", 422, Failure::Conflict, "conflict"),
            ("Unauthorized", 401, Failure::Unauthorized, "forbidden"),
            ("Forbidden", 403, Failure::Forbidden, "forbidden"),
            ("TooManyRequests", 429, Failure::Overloaded, "overloaded"),
            ("InternalError", 500, Failure::Refused(500), "other"),
            ("canary", 0, Failure::Unreadable, "other"),
        ] {
            assert_eq!(of(reason, code), expected);
            assert_eq!(expected.as_str(), word);
            assert!(Failure::WORDS.contains(&word), "{word}");
            assert_eq!(expected.passes(), [429, 500].contains(&code), "{reason}");
        }
    }

    #[test]
    fn what_happened_to_the_connection_is_told_with_its_cause() {
        let cut = std::io::Error::other(std::io::Error::other("reset by peer"));
        let failure = Failure::of(&kube::Error::Service(Box::new(cut)));
        assert_eq!(failure.to_string(), "reset by peer");
        assert!(failure.passes() && Failure::Timeout.passes());
    }

    #[test]
    fn no_part_of_the_answer_is_told() {
        for code in [0, 403, 404, 409, 422, 500] {
            let failure = of("canary", code);
            assert!(!failure.to_string().contains("canary"), "{failure}");
        }
        let garbled = serde_json::from_str::<u8>("\"canary\"").unwrap_err();
        let failure = Failure::of(&kube::Error::SerdeError(garbled));
        assert_eq!(
            failure.to_string(),
            "the API server's answer cannot be read"
        );
    }
}
