//! What is logged.

use std::sync::Arc;

use parking_lot::Mutex;

/// The log of this thread.
#[derive(Clone, Default)]
pub(super) struct Log(Arc<Mutex<Vec<u8>>>);

impl Log {
    pub(super) fn keep(&self) -> (tracing::subscriber::DefaultGuard, tracing::Dispatch) {
        let log = self.clone();
        // With one subscriber alone, tracing asks that of whichever thread comes first: another test's has none.
        let second = tracing::Dispatch::new(tracing_subscriber::registry());
        let subscriber = tracing_subscriber::fmt().with_writer(move || log.clone());
        (
            tracing::subscriber::set_default(subscriber.finish()),
            second,
        )
    }

    pub(super) fn count(&self, what: &str) -> usize {
        String::from_utf8_lossy(&self.0.lock())
            .matches(what)
            .count()
    }
}

impl std::io::Write for Log {
    fn write(&mut self, bytes: &[u8]) -> std::io::Result<usize> {
        self.0.lock().extend(bytes);
        Ok(bytes.len())
    }

    fn flush(&mut self) -> std::io::Result<()> {
        Ok(())
    }
}
