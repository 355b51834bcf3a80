//! Gates: what a user holds restarts by, whatever becomes of others. A gate whose value cannot be read holds, and says so.
//!
//! Reading order: [`hours`] (days and hours of a time zone), [`window`].

pub mod hours;
pub mod window;
