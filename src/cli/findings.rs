//! The table of findings: what the command line can find wrong, each with a code that never changes its meaning.
//!
//! `RR1xx` are those of `lint`, in manifests; `RR2xx` are those of `doctor`, in a cluster. docs/findings.md has a section for each,
//! which a test compares. A code that is not needed any more is never given to another finding.

use serde::{Serialize, Serializer};

/// Where the sections are.
pub(super) const PAGE: &str = "https://github.com/reroll-dev/reroll/blob/main/docs/findings.md";

/// How much a finding matters.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
#[serde(rename_all = "camelCase")]
pub enum Severity {
    /// It is said, and a command ends with 0 all the same.
    Info,
    /// It may be meant, and most often is not.
    Warning,
    /// It cannot be meant.
    Error,
}

/// What can be found.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Finding {
    /// A key that is none of reroll's.
    UnknownKey,
    /// A key where it means nothing.
    Misplaced,
    /// A value that cannot be read.
    Unreadable,
    /// A value that is no text.
    NotText,
    /// What only reroll writes.
    WrittenByReroll,
    /// A release that each sync would give again.
    ReleaseInFile,
    /// A key that stands twice in one map.
    Twice,
    /// An opt-in that takes nothing.
    SelectsNothing,
    /// A source that is named, and not there.
    NamedIsAbsent,
    /// A CronJob or Job whose opt-in does nothing.
    NoOnChange,
    /// A kind that reroll does not restart.
    NotRestarted,
    /// A volume that old and new pods cannot share.
    OneNodeVolume,
    /// A value that belongs together with others, and is not waited for.
    TogetherInVain,
    /// A key that is named, and does nothing.
    KeyInVain,
    /// An exclusion that leaves nothing out.
    SparedInVain,
    /// Reloader's, and the same here.
    ReloaderSame,
    /// Reloader's, and something else here, or nothing.
    ReloaderDiffers,
    /// No installation is there.
    NotInstalled,
    /// Several installations work in the same namespaces.
    SeveralInstallations,
    /// Some replicas are not ready.
    ReplicasMissing,
    /// Nothing runs.
    NoReplica,
    /// Replicas, or this program, are of another version.
    VersionsDiffer,
    /// Its flags cannot be read.
    FlagsUnread,
    /// Nobody restarts anything.
    NoLeader,
    /// Somebody stopped everything.
    AllSuspended,
    /// Its `ServiceAccount` may not do what its flags ask for.
    RightLacks,
    /// No configuration names the webhook.
    NotRegistered,
    /// A configuration names a webhook that does not run.
    RegisteredInVain,
    /// Nobody answers at its Service.
    Unanswered,
    /// Authority and certificate do not fit, or are expired.
    NotTrusted,
    /// It should have been renewed.
    ExpiresSoon,
    /// `failurePolicy` is not `Ignore`.
    HoldsUp,
    /// It is older than what reroll needs.
    OldServer,
    /// Two restart the same workloads.
    ReloaderBeside,
    /// What `lint` finds, in the cluster.
    LiveUnreadable,
    /// A person has to act.
    Stuck,
    /// A brake, a gate or somebody holds them.
    HeldUp,
    /// Its Events say so.
    HasWarned,
    /// Whoever asks may not install it.
    MayNotInstall,
    /// reroll makes its certificates itself then.
    NoCertManager,
    /// No webhook can be registered.
    NoAdmission,
    /// There is one.
    InstalledAlready,
}

/// A row of the table.
struct Row(&'static str, Severity, &'static str);

impl Finding {
    /// All of them.
    pub const ALL: [Self; 42] = [
        Self::UnknownKey,
        Self::Misplaced,
        Self::Unreadable,
        Self::NotText,
        Self::WrittenByReroll,
        Self::ReleaseInFile,
        Self::Twice,
        Self::SelectsNothing,
        Self::NamedIsAbsent,
        Self::NoOnChange,
        Self::NotRestarted,
        Self::OneNodeVolume,
        Self::TogetherInVain,
        Self::KeyInVain,
        Self::SparedInVain,
        Self::ReloaderSame,
        Self::ReloaderDiffers,
        Self::NotInstalled,
        Self::SeveralInstallations,
        Self::ReplicasMissing,
        Self::NoReplica,
        Self::VersionsDiffer,
        Self::FlagsUnread,
        Self::NoLeader,
        Self::AllSuspended,
        Self::RightLacks,
        Self::NotRegistered,
        Self::RegisteredInVain,
        Self::Unanswered,
        Self::NotTrusted,
        Self::ExpiresSoon,
        Self::HoldsUp,
        Self::OldServer,
        Self::ReloaderBeside,
        Self::LiveUnreadable,
        Self::Stuck,
        Self::HeldUp,
        Self::HasWarned,
        Self::MayNotInstall,
        Self::NoCertManager,
        Self::NoAdmission,
        Self::InstalledAlready,
    ];

    const fn row(self) -> Row {
        use Severity::{Error, Info, Warning};
        match self {
            Self::UnknownKey => Row("RR101", Error, "Unknown key"),
            Self::Misplaced => Row("RR102", Error, "A key where it means nothing"),
            Self::Unreadable => Row("RR103", Error, "A value that cannot be read"),
            Self::NotText => Row("RR104", Error, "A value that is no text"),
            Self::WrittenByReroll => Row("RR105", Warning, "What only reroll writes"),
            Self::ReleaseInFile => Row("RR106", Warning, "A release in a manifest"),
            Self::Twice => Row("RR107", Error, "A key that stands twice"),
            Self::SelectsNothing => Row("RR111", Warning, "The opt-in selects nothing"),
            Self::NamedIsAbsent => Row("RR112", Warning, "No manifest has the named source"),
            Self::NoOnChange => Row("RR113", Warning, "CronJob or Job without on-change"),
            Self::NotRestarted => Row("RR114", Warning, "A kind that reroll does not restart"),
            Self::OneNodeVolume => Row("RR115", Warning, "Rolling update of a one-node volume"),
            Self::TogetherInVain => Row("RR116", Warning, "What belongs together in vain"),
            Self::KeyInVain => Row("RR117", Warning, "A named key that does nothing"),
            Self::SparedInVain => Row("RR118", Warning, "An exclusion that leaves nothing out"),
            Self::ReloaderSame => Row("RR121", Info, "Reloader annotation, same here"),
            Self::ReloaderDiffers => Row("RR122", Warning, "Reloader annotation, different here"),
            Self::NotInstalled => Row("RR201", Error, "No reroll is found"),
            Self::SeveralInstallations => Row(
                "RR202",
                Warning,
                "Several installations in the same namespaces",
            ),
            Self::ReplicasMissing => Row("RR203", Warning, "Replicas are not ready"),
            Self::NoReplica => Row("RR204", Error, "No replica is ready"),
            Self::VersionsDiffer => Row("RR205", Warning, "Versions differ"),
            Self::FlagsUnread => Row("RR206", Warning, "Flags that this program cannot read"),
            Self::NoLeader => Row("RR207", Error, "No replica leads"),
            Self::AllSuspended => Row("RR208", Warning, "All restarts are suspended"),
            Self::RightLacks => Row("RR211", Error, "A right of reroll is missing"),
            Self::NotRegistered => Row("RR221", Error, "The webhook is not registered"),
            Self::RegisteredInVain => {
                Row("RR222", Warning, "A webhook is registered and none runs")
            }
            Self::Unanswered => Row("RR223", Error, "The webhook has no endpoints"),
            Self::NotTrusted => Row("RR224", Error, "API servers cannot trust the webhook"),
            Self::ExpiresSoon => Row("RR225", Warning, "A certificate expires soon"),
            Self::HoldsUp => Row("RR226", Error, "The webhook can hold up writes"),
            Self::OldServer => Row("RR231", Error, "The API server is too old"),
            Self::ReloaderBeside => Row("RR232", Warning, "Reloader runs beside reroll"),
            Self::LiveUnreadable => Row("RR241", Warning, "Objects say what reroll cannot read"),
            Self::Stuck => Row("RR251", Error, "Workloads are stuck"),
            Self::HeldUp => Row("RR252", Warning, "Restarts are held"),
            Self::HasWarned => Row("RR253", Warning, "reroll has warned"),
            Self::MayNotInstall => Row("RR261", Error, "A right to install is missing"),
            Self::NoCertManager => Row("RR262", Info, "cert-manager is not there"),
            Self::NoAdmission => Row("RR263", Error, "Admission is not served"),
            Self::InstalledAlready => Row("RR264", Warning, "reroll is installed already"),
        }
    }

    /// Returns its code, such as `RR101`.
    pub const fn code(self) -> &'static str {
        self.row().0
    }

    /// Returns how much it matters.
    pub const fn severity(self) -> Severity {
        self.row().1
    }

    /// Returns what it is, for people: the heading of its section, behind the code.
    pub const fn title(self) -> &'static str {
        self.row().2
    }

    /// Returns what its section is linked by.
    pub fn anchor(self) -> String {
        let heading = format!("{} {}", self.code(), self.title()).to_lowercase();
        let kept = heading
            .chars()
            .filter(|letter| letter.is_alphanumeric() || " -".contains(*letter));
        kept.map(|letter| if letter == ' ' { '-' } else { letter })
            .collect()
    }

    /// Returns the address of its section.
    pub fn link(self) -> String {
        format!("{PAGE}#{}", self.anchor())
    }

    /// Reads a code, in whatever case.
    ///
    /// # Errors
    /// Where no finding has it, in words.
    pub fn read(code: &str) -> Result<Self, String> {
        let code = code.trim();
        let is_it = |finding: &Self| finding.code().eq_ignore_ascii_case(code);
        let found = Self::ALL.into_iter().find(is_it);
        found.ok_or_else(|| "no finding has this code; they look like RR101".to_owned())
    }
}

impl Severity {
    /// Returns the word for it.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Info => "info",
            Self::Warning => "warning",
            Self::Error => "error",
        }
    }
}

/// As its code.
impl Serialize for Finding {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_str(self.code())
    }
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use super::*;

    #[test]
    fn no_two_share_a_code_and_codes_are_read() {
        let codes: BTreeSet<_> = Finding::ALL.map(Finding::code).into();
        assert_eq!(codes.len(), Finding::ALL.len());
        for finding in Finding::ALL {
            let (start, digits) = finding.code().split_at(2);
            assert!(start == "RR" && digits.len() == 3 && digits.parse::<u16>().is_ok());
            assert_eq!(Finding::read(&finding.code().to_lowercase()), Ok(finding));
        }
        assert!(Finding::read("RR1").is_err());
    }
}
