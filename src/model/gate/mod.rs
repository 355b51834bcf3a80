//! Gates: what people hold restarts by, whatever becomes of others.
//!
//! A gate is read from texts that people write. Reading is total: what cannot be read holds, because whoever wrote it wanted
//! something held. A group that cannot be read holds nothing: nobody knows what of it belongs together.
//!
//! Reading order: [`suspend`] (whether restarts are made at all), [`hours`] (days and hours of a time zone), [`window`],
//! [`together`] (values that belong together).

pub mod hours;
pub mod suspend;
pub mod together;
pub mod window;
