use super::*;

fn at(text: &str) -> Timestamp {
    text.parse().unwrap()
}

fn included(hours: &str, now: &str) -> bool {
    let read = Hours::read(hours).unwrap_or_else(|| panic!("{hours} cannot be read"));
    read.include(at(now))
}

#[test]
fn days_and_hours_include_a_moment_or_not() {
    // 2026-11-23 is a Monday.
    let rows = [
        (
            "Mon-Fri 22:00-04:00, Sun Europe/Berlin",
            "2026-11-23T20:59:59Z",
            false,
        ),
        (
            "Mon-Fri 22:00-04:00, Sun Europe/Berlin",
            "2026-11-23T21:00:00Z",
            true,
        ),
        (
            "Mon-Fri 22:00-04:00, Sun Europe/Berlin",
            "2026-11-24T02:59:59Z",
            true,
        ),
        (
            "Mon-Fri 22:00-04:00, Sun Europe/Berlin",
            "2026-11-24T03:00:00Z",
            false,
        ),
        // It belongs to Friday, its first day.
        ("Mon-Fri 22:00-04:00", "2026-11-28T03:59:59Z", true),
        ("Mon-Fri 22:00-04:00", "2026-11-28T04:00:00Z", false),
        // Monday's early hours would be Sunday's.
        ("Mon-Fri 22:00-04:00", "2026-11-23T01:00:00Z", false),
        ("Mon-Fri 22:00-04:00, Sun", "2026-11-29T00:00:00Z", true),
        ("Mon-Fri 22:00-04:00, Sun", "2026-11-29T23:59:59Z", true),
        ("Mon-Fri 22:00-04:00, Sun", "2026-11-30T00:00:00Z", false),
        ("02:00-03:00", "2026-11-25T02:30:00Z", true),
        ("sat-mon 00:00-24:00", "2026-11-23T23:59:59Z", true),
        ("sat-mon 00:00-24:00", "2026-11-24T00:00:00Z", false),
        ("SAT-MON", "2026-11-28T12:00:00Z", true),
        ("Mon,Wed 1:00-2:00,Fri", "2026-11-23T12:00:00Z", true),
        ("Mon,Wed 1:00-2:00,Fri", "2026-11-25T00:59:59Z", false),
        ("Mon,Wed 1:00-2:00,Fri", "2026-11-27T12:00:00Z", true),
        (
            "Mon 12:00-13:00 America/New_York",
            "2026-11-23T17:00:00Z",
            true,
        ),
        ("Mon 12:00-13:00 Asia/Kolkata", "2026-11-23T06:30:00Z", true),
        (
            "Mon 12:00-13:00 Asia/Kolkata",
            "2026-11-23T06:29:59Z",
            false,
        ),
        ("  Tue   05:00-06:00   UTC ", "2026-11-24T05:00:00Z", true),
    ];
    for (hours, now, expected) in rows {
        assert_eq!(included(hours, now), expected, "{hours} at {now}");
    }
}

#[test]
fn when_clocks_change_a_time_is_the_next_that_exists_or_the_first_of_two() {
    // In Berlin 02:00 to 03:00 does not exist on 2026-03-29, and comes twice on 2026-10-25.
    let rows = [
        (
            "Sun 02:30-04:00 Europe/Berlin",
            "2026-03-29T00:59:59Z",
            false,
        ),
        (
            "Sun 02:30-04:00 Europe/Berlin",
            "2026-03-29T01:00:00Z",
            true,
        ),
        (
            "Sun 02:30-04:00 Europe/Berlin",
            "2026-03-29T01:59:59Z",
            true,
        ),
        (
            "Sun 02:30-04:00 Europe/Berlin",
            "2026-03-29T02:00:00Z",
            false,
        ),
        (
            "Sun 01:00-02:30 Europe/Berlin",
            "2026-03-29T00:59:59Z",
            true,
        ),
        (
            "Sun 01:00-02:30 Europe/Berlin",
            "2026-03-29T01:00:00Z",
            false,
        ),
        (
            "Sun 02:00-02:30 Europe/Berlin",
            "2026-10-25T00:00:00Z",
            true,
        ),
        (
            "Sun 02:00-02:30 Europe/Berlin",
            "2026-10-25T00:30:00Z",
            false,
        ),
        (
            "Sun 02:00-02:30 Europe/Berlin",
            "2026-10-25T01:00:00Z",
            false,
        ),
        (
            "Sun 02:30-03:00 Europe/Berlin",
            "2026-10-25T01:59:59Z",
            true,
        ),
        // Midnight itself does not exist in Santiago on 2026-09-06: the day begins at 01:00.
        ("Sun America/Santiago", "2026-09-06T03:59:59Z", false),
        ("Sun America/Santiago", "2026-09-06T04:00:00Z", true),
        ("Sat America/Santiago", "2026-09-06T03:59:59Z", true),
        ("Sat America/Santiago", "2026-09-06T04:00:00Z", false),
    ];
    for (hours, now, expected) in rows {
        assert_eq!(included(hours, now), expected, "{hours} at {now}");
    }
}

#[test]
fn they_begin_next() {
    let rows = [
        (
            "Sun 02:00-04:00",
            "2026-11-23T12:00:00Z",
            "2026-11-29T02:00:00Z",
        ),
        (
            "Sun 02:00-04:00",
            "2026-11-29T02:00:00Z",
            "2026-12-06T02:00:00Z",
        ),
        (
            "Mon-Fri 22:00-04:00, Sun Europe/Berlin",
            "2026-11-28T12:00:00Z",
            "2026-11-28T23:00:00Z",
        ),
        // There is no such hour on the next Sunday.
        (
            "Sun 02:15-02:45 Europe/Berlin",
            "2026-03-25T00:00:00Z",
            "2026-04-05T00:15:00Z",
        ),
    ];
    for (hours, now, expected) in rows {
        let next = Hours::read(hours).unwrap().next(at(now));
        assert_eq!(next, Some(at(expected)), "{hours} at {now}");
    }
}

#[test]
fn what_is_not_understood_whole_is_not_read() {
    let rows = [
        "",
        " ",
        "nights",
        "Mon-",
        "Mon-Fri 22:00",
        "Mon-Fri 22-04",
        "Mon-Fri 22:00-25:00",
        "Mon-Fri 22:60-23:00",
        "Mon-Fri 22:00-4:0",
        "Mon-Fri 22:00-22:00",
        "Mon-Fri 24:00-04:00",
        "Mon Fri 22:00-23:00",
        "Mon 22:00-23:00 Europe/Nowhere",
        "Mon 22:00-23:00 Europe/Berlin Europe/Berlin",
        "Mon 22:00-23:00 Europe/Berlin, Sun UTC",
        "Europe/Berlin",
        "Mon,,Tue",
        ",",
        "Mon +1:00-+2:00",
        "Mon -1:00-2:00",
        "Montag 22:00-23:00",
    ];
    for text in rows {
        assert_eq!(Hours::read(text), None, "{text}");
    }
    assert_eq!(Hours::read(&["Mon"; MOST_PARTS + 1].join(",")), None);
    assert!(Hours::read(&["Mon"; MOST_PARTS].join(",")).is_some());
}

proptest::proptest! {
    /// Whatever is written, it is read or not; and where it begins next, it is open then, and was not for the moment before.
    #[test]
    fn reading_is_total_and_the_next_beginning_is_one(
        text in "(Mon|tue|Wed-Sat|Sun)? ?([0-2]?[0-9]:[0-5][0-9]-[0-2]?[0-9]:[0-5][0-9])?(, ?(Fri|Sat-Sun))? ?(Europe/Berlin|Pacific/Apia|America/Santiago|UTC)?",
        seconds in 0_i64..4_000_000_000,
    ) {
        let now = Timestamp::from_second(seconds).unwrap();
        if let Some(hours) = Hours::read(&text) {
            let next = hours.next(now).unwrap();
            proptest::prop_assert!(next > now && hours.include(next));
        }
    }

    #[test]
    fn any_text_is_read_or_not(text in ".{0,40}") {
        let _ = Hours::read(&text);
    }
}

#[test]
fn a_time_zone_that_there_is_not_is_named() {
    let rows = [
        (
            "Mon-Fri 22:00-04:00, Sun Europe/Berlni",
            Some("Europe/Berlni"),
        ),
        ("02:00-03:00 GMT+2", Some("GMT+2")),
        ("Mon CEST", Some("CEST")),
        // What else cannot be read is no less wrong.
        ("at night", None),
        ("Mon 25:00-26:00", None),
        ("Mon 22:00-22:00 Europe/Berlni", None),
        ("", None),
        ("Europe/Berlin", None),
        ("Mon-Fri 22:00-04:00, Sun Europe/Berlin", None),
    ];
    for (text, zone) in rows {
        assert_eq!(Hours::unknown_zone(text), zone, "{text}");
    }
}
