//! What containers read of the volumes of a pod.
//!
//! - The kubelet makes no volume that no container mounts. So it does not matter to the pod, not even whether its source
//!   exists.
//! - A volume that a container mounts whole is read whole: all keys, or those of its `items`.
//! - Of a volume that all containers mount by `subPath`, only the files at or below those paths are read. The kubelet still
//!   makes the whole volume, for which each required source and each key in its `items` must exist.
//! - What `subPathExpr` names is known only where it has no variable.
//!
//! What the Secrets Store CSI driver calls the files of its volumes is not known. So such a volume is always read whole.

use litemap::LiteMap;
use serde_json::Value;

use super::{
    bounds::{COUNTED, MAX_KEYS},
    excess::excess,
    found::{References, add, items, named},
};
use crate::model::source::{
    kinds::SourceKind,
    usage::{Held, Need, Usage},
};

/// Adds what the volumes of a pod's spec refer to.
pub(super) fn volume_references(spec: &Value, found: &mut References) {
    let mut added = 0;
    for volume in items(&spec["volumes"]) {
        let mounts = Mounts::of(spec, &volume["name"]);
        for kind in SourceKind::ALL {
            let fields = kind.fields();
            let Some((pointer, name)) = fields.volume else {
                continue;
            };
            let of_driver = |driver: &str| volume["csi"]["driver"] == *driver;
            if let Some(reference) = volume.pointer(pointer)
                && fields.driver.is_none_or(of_driver)
            {
                let usage = match &mounts {
                    Mounts::Parts(_) if !kind.is_readable() => in_files(reference, &Mounts::Whole),
                    mounts => in_files(reference, mounts),
                };
                add(found, kind, &reference[name], usage);
            }
        }
        let projected: Vec<_> = items(&volume["projected"]["sources"]).collect();
        let provided = Provided::by(&projected, &mounts);
        for (number, source) in projected.iter().enumerate() {
            for (kind, reference) in named(source, |fields| fields.projected) {
                let elsewhere = |path: &Path| provided.besides(number, path);
                let usage = in_files(reference, &mounts).beside(reference, &mounts, elsewhere);
                added += usage.size();
                add(found, kind, &reference["name"], usage);
            }
            if added > ROOM || found.len() >= COUNTED {
                // Several may have been of one source.
                if excess(found).is_some() {
                    return;
                }
                added = 0;
            }
        }
    }
}

/// So many keys are added before it is looked whether there are more than reroll follows: each source may have as many as
/// there are mounts.
const ROOM: usize = 16 * MAX_KEYS;

/// Which files the sources of a projected volume may have.
#[derive(Default)]
struct Provided<'a> {
    /// Two sources that may have any file, by their numbers.
    any: Vec<usize>,
    /// The paths of others.
    listed: Vec<(usize, Path<'a>)>,
}

impl<'a> Provided<'a> {
    fn by(sources: &[&'a Value], mounts: &Mounts) -> Self {
        let mut provided = Self::default();
        if !matches!(mounts, Mounts::Parts(_)) {
            // Nobody asks.
            return provided;
        }
        for (number, source) in sources.iter().enumerate() {
            match files(source) {
                Some(paths) => provided
                    .listed
                    .extend(paths.into_iter().map(|path| (number, path))),
                None if provided.any.len() < 2 => provided.any.push(number),
                None => {}
            }
        }
        provided
    }

    /// Whether another source than this one may have a file at or below a path.
    fn besides(&self, number: usize, path: &Path) -> bool {
        let other = |one: &usize| *one != number;
        let mut listed = self.listed.iter().filter(|(one, _)| other(one));
        self.any.iter().any(other) || listed.any(|(_, own)| meet(own, path))
    }
}

/// A path within a volume, by its parts.
type Path<'a> = Vec<&'a str>;

/// How the containers of a pod mount one of its volumes.
enum Mounts<'a> {
    /// None of them does.
    Nothing,
    /// One of them mounts the whole.
    Whole,
    /// They mount what is at or below these paths.
    Parts(Vec<Path<'a>>),
}

impl<'a> Mounts<'a> {
    fn of(spec: &'a Value, volume: &Value) -> Self {
        let containers = ["initContainers", "containers"]
            .into_iter()
            .flat_map(|list| items(&spec[list]));
        let mounts = containers.flat_map(|container| items(&container["volumeMounts"]));
        let mounts = mounts.filter(|mount| mount["name"].is_string() && mount["name"] == *volume);
        let parts: Option<Vec<_>> = mounts.map(mounted_part).collect();
        match parts {
            None => Self::Whole,
            Some(parts) if parts.is_empty() => Self::Nothing,
            Some(parts) => Self::Parts(parts),
        }
    }
}

/// Returns the path within the volume that a mount names; `None`: all of it, or what cannot be known.
fn mounted_part(mount: &Value) -> Option<Path<'_>> {
    let literal = |path: &&str| !path.contains('$');
    let of = |field: &str| mount[field].as_str().filter(|path| !path.is_empty());
    let path = match (of("subPath"), of("subPathExpr")) {
        (_, Some(path)) => Some(path).filter(literal)?,
        (path, None) => path?,
    };
    let parts = parts(path);
    // The kubelet's own links begin so, such as `..data`: what is behind them is the whole.
    let own = parts.iter().any(|part| part.starts_with(".."));
    (!parts.is_empty() && !own).then_some(parts)
}

fn parts(path: &str) -> Path<'_> {
    let parts = path.split('/');
    parts
        .filter(|part| !part.is_empty() && *part != ".")
        .collect()
}

/// Whether one of two paths is the other, or lies below it.
fn meet(a: &Path, b: &Path) -> bool {
    a.iter().zip(b).all(|(a, b)| a == b)
}

/// Returns how containers use what a volume, or a part of a projected one, takes from a source.
fn in_files(reference: &Value, mounts: &Mounts) -> Usage {
    let need = Need::of(reference.get("optional"));
    let listed: Vec<(String, Path)> = taken(reference)
        .map(|(key, path)| (key.to_owned(), parts(path.unwrap_or(key))))
        .collect();
    let keys = |need: Need, reads: &dyn Fn(&Path) -> bool| -> LiteMap<String, Need> {
        let read = listed.iter().filter(|(_, path)| reads(path));
        read.map(|(key, _)| (key.clone(), need)).collect()
    };
    let held = |need: Need| Held {
        whole: listed.is_empty(),
        keys: keys(need, &|_| true),
    };
    let usage = match mounts {
        Mounts::Nothing => {
            return Usage::of_keys(Need::Optional, LiteMap::new()).of_held(held(Need::Optional));
        }
        Mounts::Whole if listed.is_empty() => Usage::of_all(need),
        Mounts::Whole => Usage::of_keys(need, keys(need, &|_| true)),
        Mounts::Parts(mounted) if listed.is_empty() => {
            let files = mounted.iter().filter_map(|path| path.first());
            let files = files.map(|key| ((*key).to_owned(), need.min(Need::AsFile)));
            Usage::of_keys(need, files.collect())
        }
        Mounts::Parts(mounted) => {
            let reads = |path: &Path| mounted.iter().any(|mounted| meet(mounted, path));
            Usage::of_keys(need, keys(need, &reads))
        }
    };
    Usage {
        volume: true,
        ..usage.of_held(held(need))
    }
}

impl Usage {
    /// Returns the same beside the other sources of a projected volume. A file that another source may provide as well is
    /// needed of none.
    fn beside(
        mut self,
        reference: &Value,
        mounts: &Mounts,
        elsewhere: impl Fn(&Path) -> bool,
    ) -> Self {
        let Mounts::Parts(mounted) = mounts else {
            return self;
        };
        if taken(reference).next().is_some() {
            return self;
        }
        for path in mounted {
            if let Some(need) = path.first().and_then(|key| self.keys.get_mut(*key))
                && elsewhere(path)
            {
                *need = Need::Optional;
            }
        }
        self
    }
}

/// Returns the paths of a source of a projected volume; `None` where it may have any file.
fn files(source: &Value) -> Option<Vec<Path<'_>>> {
    const PATHS: [&str; 4] = [
        "path",
        "keyPath",
        "certificateChainPath",
        "credentialBundlePath",
    ];
    let members = source.as_object().into_iter().flatten();
    let members = members.filter(|(_, member)| member.is_object());
    let mut all = Vec::new();
    for (_, member) in members {
        let own = PATHS.into_iter().map(|field| &member[field]);
        let listed = items(&member["items"]).map(|item| &item["path"]);
        let before = all.len();
        all.extend(own.chain(listed).filter_map(Value::as_str).map(parts));
        if all.len() == before {
            return None;
        }
    }
    Some(all)
}

/// Returns the `items` of a reference: keys, and the paths at which they are files.
fn taken(reference: &Value) -> impl Iterator<Item = (&str, Option<&str>)> {
    items(&reference["items"])
        .filter_map(|item| Some((item["key"].as_str()?, item["path"].as_str())))
}

#[cfg(test)]
mod tests;
