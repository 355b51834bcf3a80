//! When a workload is to be restarted, and in which order, by its own words.
//!
//! A window that cannot be read holds. A number that cannot be read is the default. Both are said.

use jiff::SignedDuration;

use super::complaint::{Complaint, complaint};
use crate::model::{
    annotation::{RELEASE, WAVE, WINDOW, WINDOW_LATEST},
    gate::{
        hours::{Hours, WORDS, ZONES},
        window::Window,
    },
    text::read_duration,
    workload::Asks,
};

/// The longest time for which a window can hold a restart.
const LONGEST: SignedDuration = SignedDuration::from_hours(24 * 366);

/// What a workload says of the time and the order of its restarts.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Gates {
    /// At what time they are made.
    pub window: Option<Window>,
    /// How long after the first change that it lacks one is made outside of it all the same.
    pub latest: Option<SignedDuration>,
    /// Its place in the order, lower first.
    pub wave: i64,
    /// The id of the one that is let past what holds it.
    pub release: Option<String>,
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
            let latest = read_duration(text).ok();
            let latest = latest.and_then(|latest| SignedDuration::try_from(latest).ok());
            let latest = latest.filter(|latest| *latest <= LONGEST);
            if latest.is_none() {
                let expected = "a duration such as 72h, up to 8784h";
                complaints.push(complaint(WINDOW_LATEST, text, expected));
            }
            latest
        });
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
            wave: wave.unwrap_or_default(),
            release,
        };
        (gates != Self::default()).then(|| Box::new(gates))
    }
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
