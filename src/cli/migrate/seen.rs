//! What was read of a cluster, or of files, in one form.

use super::theirs::Theirs;
use crate::{
    cli::lint::{
        Read, inventory::Inventory, manifests::Manifest, reloader::is_reloaders, shape::Unreadable,
        spots::Role,
    },
    model::{Conventions, workload::Kinds},
};

/// What was read.
pub(super) struct Seen {
    /// Objects that bear an annotation of Reloader's.
    pub(super) bearers: Vec<Manifest>,
    /// The sources that there are, and what Namespaces say.
    pub(super) inventory: Inventory,
    /// The Reloaders that are installed.
    pub(super) theirs: Vec<Theirs>,
    /// What holds in reroll.
    pub(super) conventions: Conventions,
    /// The kinds that reroll restarts.
    pub(super) kinds: Kinds,
    /// All kinds that it could restart.
    pub(super) known: Kinds,
    /// Of which files, and how many objects were in them; `None` for a cluster.
    pub(super) files: Option<(usize, usize)>,
    pub(super) notes: Vec<String>,
    pub(super) unreadable: Vec<Unreadable>,
    /// Whether all workloads may be read.
    pub(super) complete: bool,
}

impl Seen {
    /// Takes in what was read of files.
    pub(super) fn of_files(read: Read, kinds: Kinds) -> Self {
        let theirs: Vec<_> = read.manifests.iter().filter_map(Theirs::of).collect();
        let inventory = Inventory::of(&read.manifests);
        let files = Some((read.files, read.manifests.len()));
        let all = read.manifests.into_iter();
        let bearers = all.filter(|one| bears(one, &kinds, theirs.first()));
        Self {
            bearers: bearers.collect(),
            inventory,
            theirs,
            conventions: Conventions::default(),
            known: kinds.clone(),
            kinds,
            files,
            notes: Vec::new(),
            unreadable: read.unreadable,
            complete: true,
        }
    }
}

/// Whether an object, or its pod template, bears an annotation that is called as Reloader's are.
pub(super) fn bears(manifest: &Manifest, kinds: &Kinds, theirs: Option<&Theirs>) -> bool {
    let role = Role::of(manifest, kinds);
    if matches!(role, Role::Other | Role::Lease) {
        return false;
    }
    let mut spots = role.spots(manifest).into_iter();
    spots.any(|spot| {
        spot.said().any(|said| {
            let meant = theirs.and_then(|theirs| theirs.meant(said.key));
            is_reloaders(said.key) || meant.is_some()
        })
    })
}
