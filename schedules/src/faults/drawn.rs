//! Faults from seeds.

use std::time::Duration;

use proptest::{prelude::*, sample::select};

use super::{Effect, Fault, Hook, Lasts, Requests, Watches, Which, Write};
use crate::{drawn::millis, world::SOURCES};

/// Draws a fault.
pub(crate) fn fault() -> impl Strategy<Value = Fault> {
    prop_oneof![
        12 => process(),
        12 => line(),
        6 => watches(),
        5 => servers(),
        5 => hook(),
        5 => leadership(),
        4 => replicas(),
        2 => (which(), -20..20_i8).prop_map(|(which, off)| Fault::Clock(which, off)),
        2 => millis(0..30_000).prop_map(Fault::ControllersAway),
        1 => millis(1_000..120_000).prop_map(Fault::Second),
    ]
}

fn which() -> impl Strategy<Value = Which> {
    prop_oneof![Just(Which::Leader), (0..3_u8).prop_map(Which::Number)]
}

fn process() -> impl Strategy<Value = Fault> {
    let updates = proptest::collection::vec(select(&SOURCES[..]), 0..3);
    let crash = (millis(0..20_000), updates);
    let crash_at = (which(), write(), 0..3_u8, any::<bool>(), millis(0..10_000));
    prop_oneof![
        3 => crash.prop_map(|(away, updates)| Fault::Crash { away, updates }),
        3 => (which(), millis(0..20_000)).prop_map(|(which, away)| Fault::CrashOne(which, away)),
        6 => crash_at.prop_map(|(which, write, before, made, away)| Fault::CrashAt {
            which, write, before, made, away,
        }),
    ]
}

fn write() -> impl Strategy<Value = Write> {
    prop_oneof![
        10 => Just(Write::Workload),
        3 => Just(Write::Lease),
        1 => Just(Write::DigestKey),
        2 => Just(Write::Event),
        1 => Just(Write::Job),
    ]
}

fn line() -> impl Strategy<Value = Fault> {
    let requests = prop_oneof![
        4 => Just(Requests::All),
        3 => Just(Requests::Writes),
        6 => write().prop_map(Requests::Write),
        3 => Just(Requests::Reads),
        2 => Just(Requests::Lists),
    ];
    let code = prop_oneof![
        (Just(429), proptest::option::of(1..4_u8)),
        (select(&[409, 500, 503][..]), Just(None)),
    ];
    let effect = prop_oneof![
        4 => code.prop_map(|(code, after)| Effect::Refused(code, after)),
        1 => Just(Effect::Unsent),
        3 => Just(Effect::Lost),
        2 => millis(0..12_000).prop_map(Effect::Late),
        2 => millis(0..12_000).prop_map(Effect::AnsweredLate),
        2 => millis(0..15_000).prop_map(Effect::Held),
    ];
    (which(), requests, effect, lasts())
        .prop_map(|(which, requests, effect, lasts)| Fault::Line(which, requests, effect, lasts))
}

fn lasts() -> impl Strategy<Value = Lasts> {
    prop_oneof![
        a_while().prop_map(Lasts::For),
        (1..5_u8).prop_map(Lasts::Next)
    ]
}

fn a_while() -> impl Strategy<Value = Duration> {
    prop_oneof![millis(0..2_000), millis(2_000..15_000)]
}

fn watches() -> impl Strategy<Value = Fault> {
    let resource = proptest::option::of(select(&["secrets", "deployments", "namespaces"][..]));
    let stall = prop_oneof![millis(0..10_000), millis(10_000..70_000)];
    let watches = prop_oneof![
        stall.prop_map(Watches::Stall),
        millis(0..20_000).prop_map(Watches::Bookmarks),
        Just(Watches::End),
        Just(Watches::Break),
        Just(Watches::Expire),
    ];
    (which(), resource, watches)
        .prop_map(|(which, resource, watches)| Fault::Watches(which, resource, watches))
}

fn servers() -> impl Strategy<Value = Fault> {
    let lag = (which(), any::<bool>(), millis(0..30_000));
    prop_oneof![
        3 => lag.prop_map(|(which, other, lasts)| Fault::Lag { which, other, lasts }),
        2 => which().prop_map(Fault::Move),
        2 => Just(Fault::Compact),
    ]
}

fn hook() -> impl Strategy<Value = Fault> {
    let hook = prop_oneof![
        3 => Just(Hook::Away),
        2 => millis(0..2_000).prop_map(Hook::AskedLate),
        2 => millis(0..2_000).prop_map(Hook::AnswersLate),
        2 => Just(Hook::Lost),
    ];
    (hook, a_while()).prop_map(|(hook, lasts)| Fault::Hook(hook, lasts))
}

fn leadership() -> impl Strategy<Value = Fault> {
    prop_oneof![
        Just(Fault::LeaseTaken),
        Just(Fault::LeaseDeleted),
        millis(0..20_000).prop_map(Fault::LeaderSleeps),
    ]
}

fn replicas() -> impl Strategy<Value = Fault> {
    let number = prop_oneof![2 => Just(1), 3 => Just(2), 1 => Just(3)];
    prop_oneof![
        number.prop_map(Fault::Scale),
        millis(0..5_000).prop_map(Fault::Upgrade),
    ]
}
