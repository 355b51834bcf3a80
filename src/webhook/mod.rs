//! The admission side: what the API server calls before a write is persisted.
//!
//! [`server`] and [`tls`] serve HTTPS. [`routes`] takes the calls. [`sources`] (validating) and [`workloads`] (mutating)
//! answer them by the pure core. [`namespaces`] and [`off`] only say what does nothing, and `keys` finds what stands where it
//! means nothing. `reads` reads for
//! that, and `others` leaves to another installation of reroll what is its own. [`registration`] tells
//! an API server about the webhook where no chart does, [`presence`] looks whether that still stands, and [`certificates`] keeps certificates where no cert-manager does.

pub mod certificates;
mod keys;
pub mod namespaces;
pub mod off;
mod others;
pub mod presence;
mod reads;
pub mod registration;
pub mod review;
pub mod routes;
pub mod server;
pub mod settings;
pub mod sources;
#[cfg(test)]
mod testing;
pub mod tls;
pub mod warnings;
pub mod workloads;
