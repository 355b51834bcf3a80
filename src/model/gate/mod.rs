//! Gates: what people say about when restarts are made at all.
//!
//! A gate is read from texts that people write. Reading is total: what cannot be read holds, because whoever wrote it wanted
//! something held.

pub mod suspend;
