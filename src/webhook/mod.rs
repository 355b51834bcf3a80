//! The admission side.

pub mod server;
pub mod tls;
