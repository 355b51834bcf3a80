//! Flags and environment: the one place that reads them.
//!
//! A person types [`Cli`]; the program works with [`Settings`]: plain values that have been checked, so that no code behind
//! this module asks whether a flag makes sense. `TryFrom` is the only way from one to the other. Each room defines the
//! settings that it uses, and no room imports this module.
//!
//! Every flag of `reroll run` can also be given as an environment variable. No variable may be called like `REROLL_PORT` or
//! `REROLL_…_SERVICE_HOST`: the kubelet sets variables of that form in every pod beside a Service called `reroll`. A test
//! checks the names.

mod args;
mod choice;
mod convert;
mod environment;
mod error;
mod installed;
mod kinds;
mod selector;
mod settings;
mod values;

pub use args::{Cli, Command, RunArgs};
pub use environment::Given;
pub use error::ConfigError;
pub use installed::installed;
pub use settings::{ClusterSettings, RestartSettings, Settings};

#[cfg(test)]
mod tests;
