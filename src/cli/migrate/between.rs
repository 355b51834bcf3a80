//! What differs between what Reloader does with a workload and what reroll does, beyond what each annotation means.

use super::{
    seen::Seen,
    theirs::Theirs,
    today::{Here, There},
};
use crate::{
    cli::lint::{manifests::Manifest, tree::Node},
    model::{
        Kind, SourceKind,
        annotation::ON_CHANGE,
        source::References,
        workload::{KINDS, NAMED, RestartMeans, Workload, off_by_default},
    },
};

/// What both of them do with one workload.
pub(super) struct Between<'a> {
    pub(super) seen: &'a Seen,
    pub(super) theirs: Option<&'a Theirs>,
    pub(super) manifest: &'a Manifest,
    pub(super) kind: Kind,
    pub(super) there: &'a There,
    pub(super) here: &'a Here,
}

impl Between<'_> {
    /// Returns all that differs. `workload` was read by Reloader's names of annotations.
    pub(super) fn all(&self, workload: &Workload) -> Vec<String> {
        let mut all = self.in_words(workload);
        all.extend(self.otherwise());
        all.extend(self.optional());
        all.extend(self.paused(workload));
        all.extend(self.csi());
        all
    }

    /// Returns what is done otherwise, beyond what each annotation means.
    fn in_words(&self, workload: &Workload) -> Vec<String> {
        let (kind, there, here) = (self.kind, self.there, self.here);
        let mut all = Vec::new();
        if let Some(word) = kind
            .means
            .asked_by()
            .filter(|_| !workload.asks.contains_key(ON_CHANGE) && !there.takes.is_empty())
        {
            all.push(format!(
                "a change does nothing here without {ON_CHANGE}: {word}"
            ));
        }
        for (name, usage) in &here.takes {
            let keys: Vec<_> = usage.keys.keys().map(String::as_str).collect();
            if !usage.whole && !keys.is_empty() {
                let plural = if keys.len() == 1 { "key" } else { "keys" };
                all.push(format!(
                    "of {} only {plural} {} counts here, which it reads",
                    name.spoken(),
                    keys.join(", ")
                ));
            }
        }
        let told = here.complaints.iter().filter(|one| !one.is_not_enough());
        all.extend(told.map(ToString::to_string));
        all
    }

    /// Returns what counts there and not here, or here and not there.
    fn otherwise(&self) -> Vec<String> {
        if matches!(self.kind.means, RestartMeans::Run | RestartMeans::Recreate) {
            return Vec::new();
        }
        let conventions = &self.seen.conventions;
        let by_flags = self.theirs.is_some_and(|theirs| {
            theirs.vocabulary() != conventions.vocabulary || theirs.all() != conventions.all
        });
        let until = if by_flags {
            ", until reroll has the flags above"
        } else {
            ""
        };
        let only = |one: &References, other: &References| {
            let only = one.keys().filter(|name| !other.contains_key(*name));
            let names: Vec<_> = only.map(ToString::to_string).collect();
            names.join(", ")
        };
        let lists = [
            (only(&self.there.takes, &self.here.takes), "only there"),
            (only(&self.here.takes, &self.there.takes), "only here"),
        ];
        let some = lists.into_iter().filter(|(names, _)| !names.is_empty());
        some.map(|(names, place)| format!("{names} counts {place}{until}"))
            .collect()
    }

    /// Returns that a kind counts only where the chart says so, where nobody can tell whether it does.
    fn optional(&self) -> Option<String> {
        let is = |known: Kind| known == self.kind;
        let value = if off_by_default().any(is) {
            "optional"
        } else if KINDS.iter().any(is) || NAMED.iter().any(|(known, _)| is(known)) {
            return None;
        } else {
            "custom"
        };
        self.seen.files.is_some().then(|| {
            format!(
                "reroll restarts {}s where kinds.{value} of the chart has {}",
                self.kind.kind, self.kind.plural
            )
        })
    }

    /// Returns that Reloader does not look at what the Secrets Store CSI driver provides.
    fn csi(&self) -> Option<String> {
        let off = self
            .theirs
            .is_some_and(|theirs| !theirs.is_on("enable-csi-integration"));
        let class = SourceKind::SecretProviderClass;
        let takes = |all: &References| all.keys().any(|name| name.kind == class);
        (off && takes(&self.there.takes) && takes(&self.here.takes)).then(|| {
            format!(
                "{}es count here; Reloader needs --enable-csi-integration",
                class.as_str()
            )
        })
    }

    /// Returns that Reloader left it paused, or has it paused now.
    fn paused(&self, workload: &Workload) -> Option<String> {
        let is_paused = self.manifest.root.at(&["spec", "paused"]).map(Node::json);
        let by_reloader = workload
            .asks
            .contains_key("deployment.reloader.stakater.com/paused-at");
        (by_reloader && is_paused == Some(true.into())).then(|| {
            format!("it is paused, and nobody resumes it when Reloader is gone: kubectl rollout resume deployment/{}", self.manifest.name)
        })
    }
}
