//! The table of the kinds of sources: one row each.
//!
//! A new kind begins with a row here. Besides that it needs what no table can say: how its object becomes a version
//! ([`crate::model::version`]), how it is watched, read and reviewed.

use std::fmt;

/// The kinds of object that pods read at start.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum SourceKind {
    /// `v1/ConfigMap`
    ConfigMap,
    /// `v1/Secret`
    Secret,
    /// `secrets-store.csi.x-k8s.io/v1/SecretProviderClass`, see [`crate::model::csi`]
    SecretProviderClass,
}

/// One kind of source.
struct Row {
    kind: &'static str,
    api_version: &'static str,
    plural: &'static str,
    short_name: &'static str,
    list_name: &'static str,
    prefix: &'static str,
    help: &'static str,
    readable: bool,
    newest: Option<&'static str>,
    fields: Fields,
    reloader: ReloaderKeys,
}

/// The fields by which a pod template refers to a kind.
#[derive(Clone, Copy, Debug)]
pub(super) struct Fields {
    /// In `valueFrom` of a variable; it names the object and a key.
    pub variable: Option<&'static str>,
    /// In an item of `envFrom`.
    pub env_from: Option<&'static str>,
    /// In a volume: a JSON pointer, and the field there that has the name.
    pub volume: Option<(&'static str, &'static str)>,
    /// In a source of a projected volume.
    pub projected: Option<&'static str>,
    /// The CSI driver that the volume must be of.
    pub driver: Option<&'static str>,
}

/// The annotations of Stakater Reloader about one kind.
#[derive(Clone, Copy, Debug)]
pub struct ReloaderKeys {
    /// All of the kind that are referenced.
    pub auto: &'static str,
    /// By name: regular expressions, separated by commas.
    pub reload: &'static str,
    /// Those that never count: names, separated by commas.
    pub exclude: &'static str,
}

const CONFIG_MAP: Row = Row {
    kind: "ConfigMap",
    api_version: "v1",
    plural: "configmaps",
    short_name: "cm",
    list_name: "list of configmaps",
    prefix: "configmap",
    help: "ConfigMaps",
    readable: true,
    newest: Some("c"),
    fields: Fields {
        variable: Some("configMapKeyRef"),
        env_from: Some("configMapRef"),
        volume: Some(("/configMap", "name")),
        projected: Some("configMap"),
        driver: None,
    },
    reloader: ReloaderKeys {
        auto: "configmap.reloader.stakater.com/auto",
        reload: "configmap.reloader.stakater.com/reload",
        exclude: "configmaps.exclude.reloader.stakater.com/reload",
    },
};

const SECRET: Row = Row {
    kind: "Secret",
    api_version: "v1",
    plural: "secrets",
    short_name: "",
    list_name: "list of secrets",
    prefix: "secret",
    help: "Secrets",
    readable: true,
    newest: Some("s"),
    fields: Fields {
        variable: Some("secretKeyRef"),
        env_from: Some("secretRef"),
        volume: Some(("/secret", "secretName")),
        projected: Some("secret"),
        driver: None,
    },
    reloader: ReloaderKeys {
        auto: "secret.reloader.stakater.com/auto",
        reload: "secret.reloader.stakater.com/reload",
        exclude: "secrets.exclude.reloader.stakater.com/reload",
    },
};

const SECRET_PROVIDER_CLASS: Row = Row {
    kind: "SecretProviderClass",
    api_version: "secrets-store.csi.x-k8s.io/v1",
    plural: "secretproviderclasses",
    short_name: "",
    list_name: "list of secretproviderclasses",
    prefix: "secretproviderclass",
    help: "What the Secrets Store CSI driver provides",
    readable: false,
    newest: None,
    fields: Fields {
        variable: None,
        env_from: None,
        volume: Some(("/csi/volumeAttributes", "secretProviderClass")),
        projected: None,
        driver: Some("secrets-store.csi.k8s.io"),
    },
    reloader: ReloaderKeys {
        auto: "secretproviderclass.reloader.stakater.com/auto",
        reload: "secretproviderclass.reloader.stakater.com/reload",
        exclude: "secretproviderclasses.exclude.reloader.stakater.com/reload",
    },
};

impl SourceKind {
    /// Every kind, in the order in which people are told of them.
    pub const ALL: [Self; 3] = [Self::Secret, Self::ConfigMap, Self::SecretProviderClass];

    const fn row(self) -> &'static Row {
        match self {
            Self::ConfigMap => &CONFIG_MAP,
            Self::Secret => &SECRET,
            Self::SecretProviderClass => &SECRET_PROVIDER_CLASS,
        }
    }

    /// Returns Kubernetes' name of the kind, which is its label in metrics, too.
    pub const fn as_str(self) -> &'static str {
        self.row().kind
    }

    /// Returns Kubernetes' `apiVersion` of the kind.
    pub const fn api_version(self) -> &'static str {
        self.row().api_version
    }

    /// Returns the name of the kind in URLs, which is what people write for all of a kind: in `--ignore-resources`, and
    /// in an opt-in.
    pub const fn plural(self) -> &'static str {
        self.row().plural
    }

    /// Returns what people call the kind for short; empty where there is no such name.
    pub const fn short_name(self) -> &'static str {
        self.row().short_name
    }

    /// Returns the kind that people call so, in whatever case.
    pub fn called(word: &str) -> Option<Self> {
        let word = word.to_ascii_lowercase();
        Self::ALL.into_iter().find(|kind| {
            let names = [kind.prefix(), kind.plural(), kind.short_name()];
            !word.is_empty() && names.contains(&word.as_str())
        })
    }

    /// Returns what readiness calls the first list of the kind.
    pub const fn list_name(self) -> &'static str {
        self.row().list_name
    }

    /// Returns how opt-ins and `observed` write the kind: `secret/NAME`.
    pub const fn prefix(self) -> &'static str {
        self.row().prefix
    }

    /// Returns what `--help` says of the kind.
    pub const fn help(self) -> &'static str {
        self.row().help
    }

    /// Whether its data stands in one object, which can be read and whose absence means something. What a
    /// SecretProviderClass provides stands in the statuses of the pods that mount it.
    pub const fn is_readable(self) -> bool {
        self.row().readable
    }

    /// Returns the member of a fold that has the newest resourceVersion of the kind. None where numbers of the kind cannot
    /// be compared.
    pub(in crate::model) const fn newest(self) -> Option<&'static str> {
        self.row().newest
    }

    /// Returns the fields by which a pod template refers to the kind.
    pub(super) const fn fields(self) -> &'static Fields {
        &self.row().fields
    }

    /// Returns the annotations of Stakater Reloader about the kind.
    pub const fn reloader(self) -> &'static ReloaderKeys {
        &self.row().reloader
    }

    const fn bit(self) -> u8 {
        1 << self as u8
    }
}

/// A set of kinds of sources.
#[derive(Clone, Copy, Default, PartialEq, Eq)]
pub struct KindSet(u8);

impl KindSet {
    /// Returns all kinds.
    pub fn all() -> Self {
        SourceKind::ALL.into_iter().collect()
    }

    /// Whether there are none in it.
    pub const fn is_empty(self) -> bool {
        self.0 == 0
    }

    /// Whether this kind is in it.
    pub const fn contains(self, kind: SourceKind) -> bool {
        self.0 & kind.bit() != 0
    }

    /// Adds a kind.
    pub const fn insert(&mut self, kind: SourceKind) {
        self.0 |= kind.bit();
    }

    /// Removes a kind. Returns whether it was in it.
    pub const fn remove(&mut self, kind: SourceKind) -> bool {
        let had = self.contains(kind);
        self.0 &= !kind.bit();
        had
    }

    /// Returns the kinds in it, in the order in which people are told of them.
    pub fn iter(self) -> impl Iterator<Item = SourceKind> {
        SourceKind::ALL
            .into_iter()
            .filter(move |kind| self.contains(*kind))
    }
}

impl FromIterator<SourceKind> for KindSet {
    fn from_iter<I: IntoIterator<Item = SourceKind>>(kinds: I) -> Self {
        let mut set = Self::default();
        kinds.into_iter().for_each(|kind| set.insert(kind));
        set
    }
}

impl fmt::Debug for KindSet {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_set().entries(self.iter()).finish()
    }
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use super::*;

    #[test]
    fn rows_do_not_share_words() {
        let words = |of: fn(SourceKind) -> &'static str| {
            let words: BTreeSet<_> = SourceKind::ALL.into_iter().map(of).collect();
            assert_eq!(words.len(), SourceKind::ALL.len(), "{words:?}");
        };
        words(SourceKind::as_str);
        words(SourceKind::plural);
        words(SourceKind::prefix);
        words(|kind| kind.reloader().auto);
        words(|kind| kind.reloader().reload);
        words(|kind| kind.reloader().exclude);
        let newest: Vec<_> = SourceKind::ALL
            .iter()
            .filter_map(|kind| kind.newest())
            .collect();
        let apart: BTreeSet<_> = newest.iter().collect();
        assert_eq!(newest.len(), apart.len());
    }

    #[test]
    fn a_set_has_what_was_inserted() {
        for kind in SourceKind::ALL {
            let mut set = KindSet::default();
            assert!(set.is_empty() && !set.contains(kind));
            set.insert(kind);
            assert_eq!(set.iter().collect::<Vec<_>>(), [kind]);
            assert_eq!(format!("{set:?}"), format!("{{{kind:?}}}"));
            assert!(set.remove(kind) && !set.remove(kind));
            assert!(set.is_empty());
            let mut all = KindSet::all();
            assert!(all.remove(kind));
            assert_eq!(all.iter().count(), SourceKind::ALL.len() - 1);
        }
    }
}
