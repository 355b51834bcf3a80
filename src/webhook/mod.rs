//! The admission side.
