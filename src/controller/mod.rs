//! Watches, intents and restarts.
