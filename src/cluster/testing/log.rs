//! What a test logs.

use std::{
    io::{Result, Write},
    sync::Arc,
};

use parking_lot::Mutex;
use tracing::{Dispatch, subscriber::DefaultGuard};

/// The log of this thread.
#[derive(Clone, Default)]
pub(crate) struct Log(Arc<Mutex<Vec<u8>>>);

/// Has what this thread logs heard for as long as the answer is kept. With one subscriber alone, tracing asks that of whichever
/// thread comes first: another test's has none, and then nobody is told.
pub(crate) fn heard() -> Dispatch {
    Dispatch::new(tracing_subscriber::registry())
}

impl Log {
    /// Keeps what is logged for as long as the answer is kept.
    pub(crate) fn keep(&self) -> (DefaultGuard, Dispatch) {
        let (log, heard) = (self.clone(), heard());
        let subscriber = tracing_subscriber::fmt()
            .with_ansi(false)
            .with_writer(move || log.clone());
        (tracing::subscriber::set_default(subscriber.finish()), heard)
    }

    /// Returns how often it says this.
    pub(crate) fn count(&self, what: &str) -> usize {
        String::from_utf8_lossy(&self.0.lock())
            .matches(what)
            .count()
    }

    /// Returns what was logged since the last look.
    pub(crate) fn take(&self) -> String {
        String::from_utf8(std::mem::take(&mut *self.0.lock())).unwrap()
    }
}

impl Write for Log {
    fn write(&mut self, bytes: &[u8]) -> Result<usize> {
        self.0.lock().write(bytes)
    }

    fn flush(&mut self) -> Result<()> {
        Ok(())
    }
}
