//! What comes of a try to get the Lease, and why leadership ends with it.

/// Why leadership ends although no other replica wants it.
pub(super) const NOT_RENEWED: &str = "it could not be renewed in time";

/// The result of a try to get the Lease.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Claim {
    Ours,
    Others,
    /// The API server gave no answer. Leadership that was won before counts until its deadline.
    Unknown,
}

impl Claim {
    /// Returns why leadership ends with this result.
    pub(super) fn why_lost(self) -> &'static str {
        match self {
            Self::Ours | Self::Unknown => NOT_RENEWED,
            Self::Others => "another replica holds it, or may take it",
        }
    }
}
