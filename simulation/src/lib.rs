//! A cluster in one process, for the tests of reroll: what reroll rests on, without a process, a port or a real clock.
//!
//! It does not use the library of reroll, so that a mistake there is not repeated here.

pub mod api_server;
pub mod controllers;
pub mod nodes;
