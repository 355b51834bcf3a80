//! How well a process does its work, by which it may lead.

use std::sync::Arc;

/// How well this process does its work.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Progress {
    /// It does all its work.
    Good,
    /// It does what it can, but for these reasons does not see everything. Another replica may see more.
    Impaired(Vec<String>),
    /// Its work does not go on, for these reasons.
    None(Vec<String>),
}

/// Returns how well this process does its work.
pub type Work = Arc<dyn Fn() -> Progress + Send + Sync>;
