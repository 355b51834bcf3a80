//! Metrics, health, Events and logging.
