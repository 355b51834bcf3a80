//! Sources (Secrets, ConfigMaps and SecretProviderClasses): their kinds, their names, and how a pod template uses them.

mod kinds;
mod named;
mod names;
mod references;
mod usage;

pub use self::{
    kinds::{KindSet, ReloaderKeys, SourceKind},
    named::{Named, is_glob},
    names::{NotASource, SourceKey, SourceName},
    references::{Excess, MAX_KEYS, MAX_SOURCES, References, containers_using, excess, references},
    usage::{Held, Need, Usage},
};
