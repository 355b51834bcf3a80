//! Faults in words.

use std::fmt;

use super::{Effect, Fault, Hook, Lasts, Requests, Watches, Which, Write};

impl fmt::Display for Fault {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Crash { away, updates } => {
                write!(
                    f,
                    "reroll is killed, {updates:?} change, and it is back after {away:?}"
                )
            }
            Self::CrashOne(which, away) => {
                write!(f, "{which} is killed, and back after {away:?}")
            }
            Self::CrashAt {
                which,
                write,
                before,
                made,
                away,
            } => {
                let moment = if *made { "after" } else { "before" };
                write!(
                    f,
                    "{which} is killed {moment} its write of {write} that comes after {before} others, and back after {away:?}"
                )
            }
            Self::Line(which, requests, effect, lasts) => {
                write!(f, "{requests} of {which} {effect}, {lasts}")
            }
            Self::Watches(which, None, watches) => {
                write!(f, "watches of {which} {watches}")
            }
            Self::Watches(which, Some(resource), watches) => {
                write!(f, "{which}'s watch of {resource} {watches}")
            }
            Self::Lag {
                which,
                other,
                lasts,
            } => {
                let server = if *other { "other" } else { "present" };
                write!(
                    f,
                    "the {server} API server of {which} sees nothing new for {lasts:?}"
                )
            }
            Self::Move(which) => write!(f, "{which} goes to its other API server"),
            Self::Hook(hook, lasts) => write!(f, "the webhook {hook}, for {lasts:?}"),
            Self::LeaseTaken => write!(f, "a stranger takes the Lease"),
            Self::LeaseDeleted => write!(f, "the Lease is deleted"),
            Self::LeaderSleeps(time) => write!(f, "the leader sleeps for {time:?}"),
            Self::Scale(replicas) => write!(f, "reroll has {replicas} replicas"),
            Self::Upgrade(overlap) => {
                write!(
                    f,
                    "a new replica starts, and the oldest ends {overlap:?} later"
                )
            }
            Self::Clock(which, seconds) => {
                write!(f, "the clock of {which} is wrong by {seconds} s")
            }
            Self::Compact => write!(f, "etcd is compacted"),
            Self::ControllersAway(lasts) => write!(f, "the controllers are away for {lasts:?}"),
            Self::Second(lasts) => write!(f, "another installation works here for {lasts:?}"),
        }
    }
}

impl fmt::Display for Which {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Leader => write!(f, "the leader"),
            Self::Number(number) => write!(f, "replica {number}"),
        }
    }
}

impl fmt::Display for Write {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Workload => "a workload",
            Self::Lease => "the Lease",
            Self::DigestKey => "the digest key",
            Self::Event => "an Event",
            Self::Job => "a Job",
        })
    }
}

impl fmt::Display for Requests {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::All => write!(f, "requests"),
            Self::Writes => write!(f, "writes"),
            Self::Write(write) => write!(f, "writes of {write}"),
            Self::Reads => write!(f, "reads"),
            Self::Lists => write!(f, "lists and watches"),
        }
    }
}

impl fmt::Display for Effect {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Refused(code, None) => write!(f, "are refused with {code}"),
            Self::Refused(code, Some(after)) => {
                write!(
                    f,
                    "are refused with {code}, to be tried again after {after} s"
                )
            }
            Self::Unsent => write!(f, "never arrive"),
            Self::Lost => write!(f, "are done, and their answers lost"),
            Self::Late(by) => write!(f, "arrive up to {by:?} late"),
            Self::AnsweredLate(by) => write!(f, "are answered up to {by:?} late"),
            Self::Held(by) => write!(f, "are held up to {by:?}, and then arrive in any case"),
        }
    }
}

impl fmt::Display for Lasts {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::For(time) => write!(f, "for {time:?}"),
            Self::Next(number) => write!(f, "the next {number}"),
        }
    }
}

impl fmt::Display for Watches {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Stall(time) => write!(f, "bring nothing for {time:?}"),
            Self::Bookmarks(time) => write!(f, "bring only bookmarks for {time:?}"),
            Self::End => write!(f, "end"),
            Self::Break => write!(f, "break off"),
            Self::Expire => write!(f, "are too old"),
        }
    }
}

impl fmt::Display for Hook {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Away => write!(f, "is away"),
            Self::AskedLate(by) => write!(f, "is asked up to {by:?} late"),
            Self::AnswersLate(by) => write!(f, "answers up to {by:?} late"),
            Self::Lost => write!(f, "answers, and the answers are lost"),
        }
    }
}
