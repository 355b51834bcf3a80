//! Who wrote sources last, as far as this process knows: what admission saw, and what the API server showed.
//!
//! Invariants:
//! - a write that admission saw counts only for the version that the API server shows, by uid, data and time ([`Print`]): what
//!   was refused by others, or is a dry run, names nobody;
//! - where two users asked for the same version, neither is named;
//! - it is bounded: who wrote longest ago is forgotten first. Only writes of sources that are used are told.

use std::collections::{BTreeMap, VecDeque};

use jiff::Timestamp;

use super::{Digest, SourceKey, Version, change::Change};

/// The most sources whose writers are known.
const MOST: usize = 1_000;

/// How the API server names a `ServiceAccount`, before its namespace.
const SERVICE_ACCOUNT: &str = "system:serviceaccount:";

/// A write of a source, as its object shows it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Print {
    uid: String,
    /// `None` for its deletion.
    whole: Option<Digest>,
    /// When its data was written, in unix seconds.
    written: i64,
}

impl Print {
    /// Returns the write that made this version.
    pub fn of(version: &Version) -> Self {
        Self {
            uid: version.uid.clone(),
            whole: Some(version.whole),
            written: version.written,
        }
    }

    /// Whether a write of this object's data at this time, as its metadata tell, is the one.
    pub fn is_of(&self, uid: &str, at: Timestamp) -> bool {
        self.uid == uid && self.whole.is_some() && self.written == at.as_second()
    }

    /// Returns the deletion of this object.
    pub fn deletion(uid: &str) -> Self {
        Self {
            uid: uid.to_owned(),
            whole: None,
            written: 0,
        }
    }
}

/// What is known of who made a version.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Who {
    /// This is known.
    Known(Change),
    /// Nothing tells.
    Nobody,
    /// Nobody looked yet.
    Ask,
}

/// Who wrote sources last.
#[derive(Debug, Default)]
pub struct Writers {
    by_source: BTreeMap<SourceKey, Writes>,
    /// In the order of their last writes.
    order: VecDeque<SourceKey>,
}

/// The last writes of one source.
#[derive(Debug, Default)]
struct Writes {
    /// What admission saw, and may be refused; `None` of a change that two users asked for.
    claimed: Option<(Print, Option<Change>)>,
    /// What the API server showed.
    shown: Option<(Print, Option<Change>)>,
}

impl Writers {
    /// Takes in that admission saw this write. What was asked for first counts, if the same is asked for again.
    pub fn claim(&mut self, source: &SourceKey, print: Print, change: Option<Change>) {
        let writes = self.writes(source);
        match &mut writes.claimed {
            Some((claimed, by)) if *claimed == print => {
                let user = |change: &Option<Change>| change.as_ref()?.user.clone();
                if user(by) != user(&change) {
                    *by = None;
                }
            }
            claimed => *claimed = Some((print, change)),
        }
    }

    /// Takes in that the API server does not show what admission saw: others refused it, or it is past.
    pub fn refuse(&mut self, source: &SourceKey, uid: Option<&str>, whole: Option<Digest>) {
        if let Some(writes) = self.by_source.get_mut(source) {
            let refused =
                |print: &Print| print.whole == whole && uid.is_none_or(|uid| print.uid == uid);
            writes.claimed.take_if(|(claimed, _)| refused(claimed));
        }
    }

    /// Takes in that the API server shows this write, with the field manager that it tells.
    pub fn show(&mut self, source: &SourceKey, print: Print, manager: Option<&str>) {
        let writes = self.writes(source);
        if writes
            .shown
            .as_ref()
            .is_some_and(|(shown, _)| *shown == print)
        {
            return;
        }
        let claimed = writes
            .claimed
            .as_ref()
            .filter(|(claimed, _)| *claimed == print);
        let change = match claimed.and_then(|(_, change)| change.clone()) {
            Some(change) if change.manager.is_none() => {
                Change::by(change.at, change.user.as_deref(), manager)
            }
            Some(change) => Some(change),
            None => Timestamp::from_second(print.written)
                .ok()
                .and_then(|at| Change::by(at, None, manager)),
        };
        writes.shown = Some((print, change));
    }

    /// Takes in that a version shows another time by now, though its data is the same: a field manager that owns some of it
    /// wrote a label.
    pub fn restate(&mut self, source: &SourceKey, before: &Print, now: &Print) {
        let writes = self.by_source.get_mut(source);
        let all = writes.map(|writes| [&mut writes.claimed, &mut writes.shown]);
        for (print, _) in all.into_iter().flatten().flatten() {
            if print == before {
                *print = now.clone();
            }
        }
    }

    /// Returns what is known of who made this version.
    pub fn who(&self, source: &SourceKey, print: &Print) -> Who {
        let Some(writes) = self.by_source.get(source) else {
            return Who::Ask;
        };
        let of = |write: &Option<(Print, Option<Change>)>| {
            let (known, change) = write.as_ref()?;
            (known == print).then(|| change.clone())
        };
        match (of(&writes.shown), of(&writes.claimed)) {
            (Some(Some(change)), _) | (_, Some(Some(change))) => Who::Known(change),
            (Some(None), _) => Who::Nobody,
            (None, _) => Who::Ask,
        }
    }

    /// Returns the `ServiceAccount` of the source's namespace that wrote this version of it; `None` where it was somebody else,
    /// or that was not seen.
    pub fn account(&self, source: &SourceKey, version: Digest) -> Option<&str> {
        let writes = self.by_source.get(source)?;
        let all = [&writes.shown, &writes.claimed];
        let of_version = all.into_iter().flatten();
        let mut of_version = of_version.filter(|(print, _)| print.whole == Some(version));
        let user = of_version.find_map(|(_, change)| change.as_ref()?.user.as_deref())?;
        service_account(&source.namespace, user)
    }

    /// Returns the writes of a source, which is now the one that was written last.
    fn writes(&mut self, source: &SourceKey) -> &mut Writes {
        if self.by_source.contains_key(source) {
            self.order.retain(|one| one != source);
        }
        self.order.push_back(source.clone());
        while self.order.len() > MOST {
            if let Some(oldest) = self.order.pop_front() {
                self.by_source.remove(&oldest);
            }
        }
        self.by_source.entry(source.clone()).or_default()
    }
}

fn service_account<'a>(namespace: &str, user: &'a str) -> Option<&'a str> {
    user.strip_prefix(SERVICE_ACCOUNT)?
        .strip_prefix(namespace)?
        .strip_prefix(':')
}

#[cfg(test)]
mod tests;
