//! Clocks of a process that are moved on from outside: that of the day, and that by which it waits.

use std::{fs, path::Path, process::Command, time::Duration};

use tokio::time::sleep;

use crate::RerollBuilder;

const SOURCE: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/clock/moved.c");
/// How far at once: no call to the API server may come too late for it.
const STEP: Duration = Duration::from_secs(2);
const BETWEEN: Duration = Duration::from_millis(50);

/// The clocks of a process.
pub struct MovedClocks {
    folder: tempfile::TempDir,
    by: Duration,
}

impl MovedClocks {
    /// Of a process that does not run yet. A C compiler makes what moves them.
    pub fn new() -> Self {
        let clocks = Self {
            folder: tempfile::tempdir().unwrap(),
            by: Duration::ZERO,
        };
        fs::write(clocks.seconds(), 0_i64.to_ne_bytes()).unwrap();
        let made = Command::new("cc")
            .args(["-shared", "-fPIC", "-O2", "-Wall", "-Wextra", "-o"])
            .arg(clocks.library())
            .arg(SOURCE)
            .status();
        assert!(made.unwrap().success(), "cc makes {SOURCE}");
        clocks
    }

    /// Starts a process with them.
    #[must_use]
    pub fn of(&self, builder: RerollBuilder) -> RerollBuilder {
        let text = |path: &Path| path.to_str().unwrap().to_owned();
        builder
            .surroundings("LD_PRELOAD", &text(&self.library()))
            .surroundings("UNDER_TEST_MOVED", &text(&self.seconds()))
    }

    /// Lets a time pass, in small steps, forty times as fast as it does.
    pub async fn pass(&mut self, time: Duration) {
        let end = self.by + time;
        while self.by < end {
            self.by = end.min(self.by + STEP);
            let seconds = i64::try_from(self.by.as_secs()).unwrap();
            // Not truncated before: the process reads these bytes at any time.
            let file = fs::File::options()
                .write(true)
                .open(self.seconds())
                .unwrap();
            std::os::unix::fs::FileExt::write_all_at(&file, &seconds.to_ne_bytes(), 0).unwrap();
            sleep(BETWEEN).await;
        }
    }

    fn library(&self) -> std::path::PathBuf {
        self.folder.path().join("moved.so")
    }

    fn seconds(&self) -> std::path::PathBuf {
        self.folder.path().join("seconds")
    }
}

impl Default for MovedClocks {
    fn default() -> Self {
        Self::new()
    }
}
