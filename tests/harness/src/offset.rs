//! A reroll whose wall clock is wrong.

use std::{fs, path::PathBuf};

use crate::{Arena, RerollBuilder};

/// How far the wall clock of a reroll is ahead.
pub struct Offset(PathBuf);

impl Offset {
    /// Makes one of an hour 0.
    pub fn new(arena: &Arena) -> Self {
        let offset = Self(std::env::temp_dir().join(format!("reroll-clock-{}", arena.namespace)));
        offset.hours(0);
        offset
    }

    /// Has the clock jump: from now on it is so many hours ahead.
    pub fn hours(&self, hours: i64) {
        self.seconds(hours * 3600);
    }

    /// Has the clock jump: from now on it is so many seconds ahead.
    pub fn seconds(&self, seconds: i64) {
        let next = self.0.with_extension("next");
        fs::write(&next, seconds.to_string()).unwrap();
        fs::rename(next, &self.0).unwrap();
    }

    /// Returns a reroll with this clock.
    pub fn of(&self, reroll: RerollBuilder) -> RerollBuilder {
        reroll.surroundings("UNDER_TEST_CLOCK", self.0.to_str().unwrap())
    }
}

impl Drop for Offset {
    fn drop(&mut self) {
        drop(fs::remove_file(&self.0));
    }
}
