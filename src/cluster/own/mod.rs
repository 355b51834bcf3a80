//! The Secrets of reroll's own namespace: the digest key, and the Jobs that are being re-created.

pub mod digest_key;
pub mod stored_jobs;
