//! A workload as followed through its events.

use crate::model::{
    decide::Subject,
    observed::{Observed, Reading},
    policy::{Complaint, Defaults, Policy},
    source::References,
    version::DigestKey,
    workload::Workload,
};

/// A workload and what follows from its annotations.
#[derive(Debug)]
pub struct Tracked {
    /// As last read.
    pub workload: Workload,
    /// What it asks for, its namespace's default included.
    pub policy: Policy,
    /// What of that cannot be read.
    pub complaints: Vec<Complaint>,
    /// What counts of what it uses, where that is not just what its template refers to: most often it is, and there are
    /// thousands of them.
    uses: Option<References>,
    /// What was observed: the annotation's content, or what is newer than it.
    pub(super) memory: Option<Reading>,
    /// The id of a digest key that is not known here, where the annotation was written under one.
    pub(super) other_key: Option<String>,
    /// The highest sequence that was read from the annotation.
    pub(super) written: u64,
    /// An annotation text that must not count any more, because the workload opted out after it was written.
    pub(super) void: Option<String>,
    /// Whether a container that needs what is absent has ever started, once somebody looked.
    pub(super) started: Option<bool>,
}

impl Tracked {
    /// Follows a workload from what was known of it to what was read now.
    pub(super) fn follow(
        workload: Workload,
        before: Option<Self>,
        defaults: Defaults<'_>,
        key: &DigestKey,
    ) -> Self {
        let before = before.filter(|known| known.workload.uid == workload.uid);
        let (policy, complaints) = Policy::of(&workload, defaults);
        let mut void = before.as_ref().and_then(|known| known.void.clone());
        if !policy.opted_in() {
            void = workload.observed.clone().or(void);
            return Self {
                workload,
                policy,
                complaints,
                uses: Some(References::new()),
                memory: None,
                other_key: None,
                written: 0,
                void,
                started: None,
            };
        }
        let text = workload
            .observed
            .as_ref()
            .filter(|text| void.as_ref() != Some(*text));
        // Of most events it is not news, and to read it takes most of their time.
        let known = before.as_ref().filter(|known| known.has_read(&workload));
        let reading = match known {
            Some(_) => None,
            None => text.map(|text| Observed::read(text, key)),
        };
        let mut written = before.as_ref().map_or(0, |known| known.written);
        if let Some(Reading::Genuine(read) | Reading::Previous(read)) = &reading
            && read.is_of(&workload.uid)
        {
            written = written.max(read.sequence);
        }
        let other_key = match &reading {
            None => known.and_then(|known| known.other_key.clone()),
            Some(Reading::OtherKey(read)) if read.is_of(&workload.uid) => Some(read.key_id.clone()),
            _ => None,
        };
        let same_uses = |known: &&Self| {
            known.workload.references == workload.references
                && known.policy.selection == policy.selection
        };
        let started = before
            .as_ref()
            .filter(same_uses)
            .and_then(|known| known.started);
        let memory = match before.and_then(|known| known.memory) {
            Some(remembered) if !supersedes(reading.as_ref(), &remembered, &workload.uid) => {
                Some(remembered)
            }
            _ => reading,
        };
        Self {
            workload,
            policy,
            complaints,
            uses: Some(References::new()),
            memory,
            other_key,
            written,
            void,
            started,
        }
    }

    /// Whether it is opted in and nobody has written `observed` on it.
    pub fn is_bare(&self) -> bool {
        self.policy.opted_in() && self.workload.observed.is_none()
    }

    /// Whether this text was read before, and what it says, or something newer, is remembered.
    fn has_read(&self, now: &Workload) -> bool {
        let remembers = matches!(
            self.memory,
            Some(Reading::Genuine(_) | Reading::Previous(_))
        );
        remembers && self.workload.observed == now.observed
    }

    /// What counts of what it uses.
    pub fn uses(&self) -> &References {
        self.uses.as_ref().unwrap_or(&self.workload.references)
    }

    /// From now on this counts.
    pub(super) fn set_uses(&mut self, uses: References) {
        self.uses = (uses != self.workload.references).then_some(uses);
    }

    /// From now on nothing counts; gives what did.
    pub(super) fn take_uses(&mut self) -> References {
        let uses = self.uses.replace(References::new());
        uses.unwrap_or_else(|| self.workload.references.clone())
    }

    /// What [`decide`](crate::model::decide::decide) looks at; `uses` are [`Self::uses`] without ignored sources.
    pub fn subject<'a>(&'a self, uses: &'a References) -> Subject<'a> {
        Subject {
            uid: &self.workload.uid,
            created: self.workload.created,
            generation: self.workload.generation,
            restarted_for: self.workload.mark(),
            uses,
            policy: &self.policy,
            started: self.started,
        }
    }

    /// What was observed, where it is readable.
    pub fn observed(&self) -> Option<&Observed> {
        match &self.memory {
            Some(Reading::Genuine(observed) | Reading::Previous(observed)) => Some(observed),
            _ => None,
        }
    }

    /// The annotation as it should be, where it is not: the text to write, or `Some(None)` to remove it.
    #[expect(
        clippy::option_option,
        reason = "to write nothing, a text, or its absence"
    )]
    pub(super) fn unwritten(&self, key: &DigestKey) -> Option<Option<String>> {
        if !self.policy.opted_in() {
            return (self.workload.observed.is_some() || self.workload.last_restart)
                .then_some(None);
        }
        match &self.memory {
            Some(Reading::Genuine(observed) | Reading::Previous(observed)) => {
                let text = observed.print(key);
                (self.workload.observed.as_ref() != Some(&text)).then_some(Some(text))
            }
            _ => None,
        }
    }
}

/// Whether an annotation's content counts against what is remembered of the same workload.
#[expect(clippy::match_same_arms, reason = "the rows of a table, in its order")]
pub(super) fn supersedes(reading: Option<&Reading>, remembered: &Reading, uid: &str) -> bool {
    match (reading, remembered) {
        (Some(Reading::Newer(_)), _) => true,
        (
            Some(Reading::Genuine(read) | Reading::Previous(read)),
            Reading::Genuine(known) | Reading::Previous(known),
        ) => read.sequence >= known.sequence && read.is_of(uid),
        (
            Some(Reading::Genuine(_) | Reading::Previous(_) | Reading::OtherKey(_)),
            Reading::OtherKey(_) | Reading::Foreign | Reading::Newer(_),
        ) => true,
        // Nothing is remembered of what a newer release wrote, so when that is gone the workload is adopted afresh.
        (_, Reading::Foreign) | (None, Reading::Newer(_)) => true,
        _ => false,
    }
}
