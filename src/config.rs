//! Flags and environment: the one place that reads them.
