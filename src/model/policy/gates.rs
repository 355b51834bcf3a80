//! When a workload is to be restarted, and in which order, by its own words.
//!
//! A window that cannot be read holds. A number that cannot be read is the default. Both are said.

use jiff::SignedDuration;

use super::complaint::{Complaint, complaint};
use crate::model::{
    annotation::{RELEASE, TOGETHER, TOGETHER_LATEST, WAVE, WINDOW, WINDOW_LATEST},
    gate::{
        hours::{Hours, WORDS, ZONES},
        together::{self, Group, LATEST, Wrong},
        window::Window,
    },
    source::{Need, References},
    text::read_duration,
    workload::Asks,
};

/// The longest time for which a window can hold a restart.
const LONGEST: SignedDuration = SignedDuration::from_hours(24 * 366);
/// The longest time for which values that belong together can hold one.
const LONGEST_TOGETHER: SignedDuration = SignedDuration::from_hours(24);

/// What a member of a group should be.
const MEMBER: &str = "secret/NAME or secret/NAME#KEY (or another kind): it is not waited for";
/// What a group should be.
const GROUP: &str =
    "two values at least, such as \"secret/user, secret/pass#password\": nothing is held for it";
/// What a member should be that is not among those that are read.
const EARLIER: &str = "among the first 64 members, which are all that reroll reads";

/// What a workload says of the time and the order of its restarts.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Gates {
    /// At what time they are made.
    pub window: Option<Window>,
    /// How long after the first change that it lacks one is made outside of it all the same.
    pub latest: Option<SignedDuration>,
    /// Which of its values belong together.
    pub together: Option<Together>,
    /// Its place in the order, lower first.
    pub wave: i64,
    /// The id of the one that is let past what holds it.
    pub release: Option<String>,
}

/// What a workload says of values that belong together.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Together {
    /// The groups; at least one.
    pub groups: Vec<Group>,
    /// How long after the first change of a group a restart does not wait for the others.
    pub latest: SignedDuration,
}

impl Gates {
    /// Reads a workload's annotations; `None` where none is about this.
    pub(super) fn read(annotations: &Asks, complaints: &mut Vec<Complaint>) -> Option<Box<Self>> {
        let text = |key| annotations.get(key).map(|text| text.trim());
        let window = text(WINDOW).map(|text| {
            let (window, complaint) = window(text);
            complaints.extend(complaint);
            window
        });
        let latest = text(WINDOW_LATEST).and_then(|text| {
            let latest = duration(text, LONGEST);
            if latest.is_none() {
                let expected = "a duration such as 72h, up to 8784h";
                complaints.push(complaint(WINDOW_LATEST, text, expected));
            }
            latest
        });
        let together = Together::read(text(TOGETHER), text(TOGETHER_LATEST), complaints);
        let wave = text(WAVE).map(|text| {
            let wave = text.parse::<i64>().ok();
            if wave.is_none() {
                complaints.push(complaint(WAVE, text, "a whole number such as -1, 0 or 5"));
            }
            wave.unwrap_or_default()
        });
        let release = text(RELEASE).map(ToOwned::to_owned);
        let gates = Self {
            window,
            latest,
            together,
            wave: wave.unwrap_or_default(),
            release,
        };
        (gates != Self::default()).then(|| Box::new(gates))
    }
}

impl Together {
    /// Counts the keys by themselves that members name, where a workload reads a source as a whole: else it would not be known
    /// whether they changed. What changes of the whole restarts it as ever.
    pub(super) fn count_keys(&self, uses: &mut References) {
        for member in self.groups.iter().flatten() {
            let usage = uses.get_mut(&member.source);
            if let (Some(key), Some(usage)) = (&member.key, usage.filter(|usage| usage.whole)) {
                usage.keys.entry(key.clone()).or_insert(Need::Optional);
            }
        }
    }

    /// Reads it; `None` where nothing is said, or no group is left of what is.
    fn read(
        text: Option<&str>,
        latest: Option<&str>,
        complaints: &mut Vec<Complaint>,
    ) -> Option<Self> {
        let (groups, wrong) = text.map(together::read).unwrap_or_default();
        complaints.extend(wrong.into_iter().map(|wrong| match wrong {
            Wrong::Member(entry) => complaint(TOGETHER, entry, MEMBER),
            Wrong::Alone(group) => complaint(TOGETHER, group, GROUP),
            Wrong::More => complaint(TOGETHER, "…", EARLIER),
        }));
        let latest = latest.map(|text| {
            let read = duration(text, LONGEST_TOGETHER);
            if read.is_none() {
                let expected = "a duration such as 10m, up to 24h";
                complaints.push(complaint(TOGETHER_LATEST, text, expected));
            }
            read.unwrap_or(LATEST)
        });
        let latest = latest.unwrap_or(LATEST);
        (!groups.is_empty()).then_some(Self { groups, latest })
    }
}

/// Reads a duration up to this.
fn duration(text: &str, longest: SignedDuration) -> Option<SignedDuration> {
    let read = SignedDuration::try_from(read_duration(text).ok()?).ok()?;
    (read <= longest).then_some(read)
}

/// Reads a window, of a workload or of a Namespace, and complains of one that cannot be read.
pub fn window(text: &str) -> (Window, Option<Complaint>) {
    let window = Window::read(text);
    let unreadable = window == Window::Unreadable;
    let complaint = unreadable.then(|| match Hours::unknown_zone(text) {
        Some(zone) => complaint(WINDOW, zone, ZONES),
        None => complaint(WINDOW, text, WORDS),
    });
    (window, complaint)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn of_a_window_the_word_is_named_that_cannot_be_read() {
        let said = |text| window(text).1.map(|complaint| complaint.to_string());
        assert_eq!(said("Mon 02:00-03:00 Europe/Berlin"), None);
        let zone = said("Mon 02:00-03:00 Europe/Berlni").unwrap();
        assert_eq!(
            zone,
            "reroll.dev/window: \"Europe/Berlni\" is not a time zone of the IANA database such as Europe/Berlin \
             (without one it is UTC)"
        );
        let all = said("at night").unwrap();
        assert!(
            all.contains("\"at night\" is not days and hours such as"),
            "{all}"
        );
    }
}
