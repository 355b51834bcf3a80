//! Gates: what people hold restarts by, whatever becomes of others.
//!
//! A gate is read from texts that people write. Reading is total: what cannot be read holds, because whoever wrote it wanted
//! something held.
//!
//! Reading order: [`suspend`] (whether restarts are made at all), [`hours`] (days and hours of a time zone), [`window`].

pub mod hours;
pub mod suspend;
pub mod window;
