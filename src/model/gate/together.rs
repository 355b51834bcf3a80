//! Values that belong together: `reroll.dev/together`.
//!
//! When one of a group has changed since the pods of a workload started, its restart waits until each has, or until some time
//! after the first of them (`reroll.dev/together-latest`). Then it is one restart for all.
//!
//! Nothing is remembered: whether one has changed follows from what pods were started with and from what is there now, and since
//! when from when that was written, or first seen.

use jiff::{SignedDuration, Timestamp};

use crate::model::{annotation::TOGETHER, source::Named, text::first_of};

/// The most members that are read, all groups together.
pub const MOST: usize = 64;
/// So long after the first change a restart is made all the same.
pub const LATEST: SignedDuration = SignedDuration::from_mins(5);
/// The most members that one line names.
const NAMED: usize = 4;

/// A value of a group: all that a workload reads of a source, or one key of it, of which nothing else counts.
pub type Member = Named;

/// Values that belong together: at least two, each once.
pub type Group = Vec<Member>;

/// What of a list of groups counts for nothing.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Wrong<'a> {
    /// A member that cannot be read.
    Member(&'a str),
    /// A group that has not two members.
    Alone(&'a str),
    /// There are more members than are read.
    More,
}

/// How a member stands, where a restart is due.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Standing {
    /// It has changed since the pods started; when it was written last, where that is known.
    Moved(Option<Timestamp>),
    /// Pods have it as it is, or it went and may come back.
    Stays,
    /// It counts for nothing.
    Idle(Idle),
}

/// Why a member counts for nothing.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Idle {
    /// The workload does not restart on its source.
    NotUsed,
    /// The workload does not read its key, or its opt-in leaves the key out.
    NotRead,
    /// It is not there, and was not when the pods started.
    Absent,
    /// Of very many sources what was observed is combined, and tells nothing of one.
    Untold,
}

/// A group of which some members have changed and some have not.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Apart {
    /// Until when its restart waits, where nothing changes.
    pub until: Timestamp,
    /// Those that have not.
    pub stay: Vec<Member>,
}

/// Returns the groups of a list, and what of it counts for nothing. Total: what can be read counts.
pub fn read(text: &str) -> (Vec<Group>, Vec<Wrong<'_>>) {
    let (mut groups, mut wrong) = (Vec::new(), Vec::new());
    let mut left = MOST;
    for part in text.split(';').map(str::trim) {
        let mut group = Group::new();
        let mut unreadable = false;
        let members = part.split(',').map(str::trim).filter(|it| !it.is_empty());
        for entry in members {
            if left == 0 {
                wrong.push(Wrong::More);
                return (groups, wrong);
            }
            left -= 1;
            match member(entry) {
                Some(member) if !group.contains(&member) => group.push(member),
                Some(_) => {}
                None => {
                    unreadable = true;
                    wrong.push(Wrong::Member(entry));
                }
            }
        }
        match group.len() {
            0 | 1 if unreadable => {}
            // A separator at the end begins no group.
            0 if part.is_empty() && !groups.is_empty() => {}
            0 | 1 => wrong.push(Wrong::Alone(part)),
            _ => groups.push(group),
        }
    }
    (groups, wrong)
}

/// Returns what holds a restart: the members that it waits for, and until when. `since` tells since when one of these has changed
/// that was last written then.
pub fn holds(
    groups: &[Vec<(&Member, Standing)>],
    since: impl Fn(&Member, Option<Timestamp>) -> Timestamp,
    latest: SignedDuration,
    now: Timestamp,
) -> Option<Apart> {
    let apart = groups.iter().filter_map(|group| {
        let moved = group
            .iter()
            .filter_map(|(member, standing)| match standing {
                Standing::Moved(written) => Some(since(member, *written)),
                Standing::Stays | Standing::Idle(_) => None,
            });
        let until = moved.min()?.checked_add(latest).unwrap_or(Timestamp::MAX);
        let stay: Vec<_> = staying(group).collect();
        (!stay.is_empty() && now < until).then_some((until, stay))
    });
    let mut all: Option<Apart> = None;
    for (until, stay) in apart {
        let apart = all.get_or_insert_with(|| Apart {
            until,
            stay: Vec::new(),
        });
        apart.until = apart.until.max(until);
        for member in stay {
            if !apart.stay.contains(member) {
                apart.stay.push(member.clone());
            }
        }
    }
    all
}

/// Returns the members that have not changed of groups of which others have.
pub fn left_behind<'a>(groups: &[Vec<(&'a Member, Standing)>]) -> Vec<&'a Member> {
    let moves = |group: &&Vec<(&Member, Standing)>| {
        let mut standings = group.iter().map(|(_, standing)| standing);
        standings.any(|standing| matches!(standing, Standing::Moved(_)))
    };
    let mut left: Vec<_> = groups
        .iter()
        .filter(moves)
        .flat_map(|group| staying(group))
        .collect();
    left.sort();
    left.dedup();
    left
}

fn staying<'a>(group: &[(&'a Member, Standing)]) -> impl Iterator<Item = &'a Member> {
    let stays = group
        .iter()
        .filter(|(_, standing)| *standing == Standing::Stays);
    stays.map(|(member, _)| *member)
}

/// Names members, not more than a few.
pub fn listed<'a>(members: impl IntoIterator<Item = &'a Member>) -> String {
    let all: Vec<_> = members.into_iter().map(spoken).collect();
    first_of(&all, NAMED)
}

/// Reads a member. What it names is one value: no letter stands for others.
fn member(entry: &str) -> Option<Member> {
    Member::read(entry).filter(Member::is_exact)
}

/// Returns a member as people say it: `Secret db (key password)`.
pub fn spoken(member: &Member) -> String {
    let source = member.source.spoken();
    match &member.key {
        Some(key) => format!("{source} (key {key})"),
        None => source,
    }
}

/// Returns what is said of a member that counts for nothing.
pub fn idles(member: &Member, why: Idle) -> String {
    let name = spoken(member);
    let why = match why {
        Idle::NotUsed => "the workload does not restart on it",
        Idle::NotRead => "the workload does not restart on that key",
        Idle::Absent => "it does not exist",
        Idle::Untold => "the workload uses too many sources",
    };
    format!("{TOGETHER} does not wait for {name}: {why}")
}

#[cfg(test)]
mod tests;
