//! How the restarts of a workload are braked, by its own words. A value that cannot be read is the default, and said.

use jiff::SignedDuration;

use super::complaint::{Complaint, complaint};
use crate::model::{
    annotation::{ROLLOUT_DEADLINE, SLOW_START, SOAK},
    object::SlowStart,
    text::read_duration,
    workload::Asks,
};

/// The shortest deadline that a restart can have: its controller has to see it first.
const SHORTEST_DEADLINE: SignedDuration = SignedDuration::from_secs(1);
/// The longest deadline that a restart can have.
pub const LONGEST_DEADLINE: SignedDuration = SignedDuration::from_hours(1);

/// How the restarts of a workload are braked.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Brakes {
    /// Whether its restarts wait for what becomes of others.
    pub slow_start: bool,
    /// For how long a new pod has to run.
    pub soak: Option<SignedDuration>,
    /// When a restart that is not good has failed.
    pub deadline: Option<SignedDuration>,
}

impl Default for Brakes {
    fn default() -> Self {
        Self {
            slow_start: true,
            soak: None,
            deadline: None,
        }
    }
}

impl Brakes {
    pub(super) fn read(annotations: &Asks, complaints: &mut Vec<Complaint>) -> Self {
        let text = annotations.get(SLOW_START);
        let slow_start = text.map_or(SlowStart::On, |text| SlowStart::read(text));
        if let (SlowStart::Unreadable, Some(text)) = (slow_start, text) {
            complaints.push(complaint(SLOW_START, text, SlowStart::WORDS));
        }
        Self {
            slow_start: slow_start != SlowStart::Off,
            soak: duration(SOAK, SignedDuration::ZERO, annotations, complaints),
            deadline: duration(ROLLOUT_DEADLINE, SHORTEST_DEADLINE, annotations, complaints),
        }
    }
}

fn duration(
    key: &'static str,
    least: SignedDuration,
    annotations: &Asks,
    complaints: &mut Vec<Complaint>,
) -> Option<SignedDuration> {
    let text = annotations.get(key)?;
    let read = read_duration(text)
        .ok()
        .and_then(|read| SignedDuration::try_from(read).ok());
    let read = read.filter(|read| (least..=LONGEST_DEADLINE).contains(read));
    if read.is_none() {
        complaints.push(complaint(
            key,
            text,
            "a duration such as 30s or 20m, up to 1h",
        ));
    }
    read
}
