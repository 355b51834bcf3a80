//! The door to the API server.

pub mod connection;
