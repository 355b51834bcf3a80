//! The image, built without an engine by `scripts/image`: what is in it, as whom it runs, and that it is the same
//! again.
//!
//! Without a network there is no base image, so this one has the C library of this machine. What the Dockerfile says of
//! the layer and of the configuration is the same in both.

use std::{
    fs,
    path::{Path, PathBuf},
    process::Command,
};

use serde_json::Value;

/// A folder of its own, removed in the end.
struct Folder(PathBuf);

impl Drop for Folder {
    fn drop(&mut self) {
        drop(fs::remove_dir_all(&self.0));
    }
}

impl Folder {
    fn new(name: &str) -> Self {
        let folder =
            std::env::temp_dir().join(format!("reroll-image-{}-{name}", std::process::id()));
        fs::create_dir_all(&folder).expect("a folder can be made");
        Self(folder)
    }

    fn file(&self, name: &str) -> PathBuf {
        self.0.join(name)
    }
}

fn said(command: &mut Command) -> String {
    let output = command.output().expect("it can be started");
    let text = |bytes: &[u8]| String::from_utf8_lossy(bytes).into_owned();
    assert!(
        output.status.success(),
        "{command:?}: {}",
        text(&output.stderr)
    );
    text(&output.stdout)
}

fn build(output: &Path) -> String {
    let script = Path::new(env!("CARGO_MANIFEST_DIR")).join("scripts/image");
    said(
        Command::new(script)
            .arg(output)
            .args(["--base", "none", "--binary", env!("CARGO_BIN_EXE_reroll")])
            .env("SOURCE_DATE_EPOCH", "1800000000"),
    )
}

fn unpack(archive: &Path, into: &Path) {
    fs::create_dir_all(into).expect("a folder can be made");
    let mut tar = Command::new("tar");
    said(tar.arg("-xf").arg(archive).arg("-C").arg(into));
}

/// Cargo reads no manifest that names a file which is not there.
#[test]
fn the_build_has_all_that_the_manifest_names() {
    let root = Path::new(env!("CARGO_MANIFEST_DIR"));
    let folder = Folder::new("context");
    let dockerfile = fs::read_to_string(root.join("Dockerfile")).unwrap();
    let ignore = fs::read_to_string(root.join(".dockerignore")).unwrap();
    let copied: Vec<&str> = dockerfile
        .lines()
        .filter_map(|line| line.strip_prefix("COPY ")?.rsplit_once(' '))
        .filter(|(sources, _)| !sources.starts_with("--from"))
        .flat_map(|(sources, _)| sources.split(' '))
        .collect();
    assert!(copied.contains(&"src"), "{copied:?}");
    for source in copied {
        let kept = ignore.lines().any(|line| line == format!("!{source}"));
        assert!(kept, ".dockerignore leaves {source} out");
        let mut copy = Command::new("cp");
        copy.args(["--recursive", "--parents", source]);
        said(copy.arg(&folder.0).current_dir(root));
    }
    // What the manifest names is looked for when something is to be built, and before that is looked for.
    let mut check = Command::new(env!("CARGO"));
    check.args(["check", "--offline", "--locked", "--bin", "none-such"]);
    let answer = check.current_dir(&folder.0).output().unwrap();
    let error = String::from_utf8_lossy(&answer.stderr).into_owned();
    assert!(error.contains("no bin target named `none-such`"), "{error}");
}

#[test]
fn the_image_holds_one_program_and_runs_as_nobody() {
    let folder = Folder::new("whole");
    let (image, again) = (folder.file("image.tar"), folder.file("again.tar"));
    let digest = build(&image);
    assert!(digest.starts_with("sha256:"), "{digest}");
    assert_eq!(build(&again), digest, "the same again");
    assert_eq!(fs::read(&again).unwrap(), fs::read(&image).unwrap());

    unpack(&image, &folder.file("image"));
    let read = |name: &str| fs::read_to_string(folder.file("image").join(name)).unwrap();
    let manifest: Value = serde_json::from_str(&read("manifest.json")).unwrap();
    let version = env!("CARGO_PKG_VERSION");
    assert_eq!(manifest[0]["RepoTags"][0], format!("reroll:{version}"));
    let config: Value =
        serde_json::from_str(&read(manifest[0]["Config"].as_str().unwrap())).unwrap();
    let config = &config["config"];
    assert_eq!(config["User"], "65532:65532");
    assert_eq!(
        config["Entrypoint"],
        serde_json::json!(["/usr/local/bin/reroll"])
    );
    assert_eq!(config["Cmd"], serde_json::json!(["run"]));
    assert_eq!(config["Env"], Value::Null);
    let label = |name: &str| &config["Labels"][format!("org.opencontainers.image.{name}")];
    assert_eq!(label("title"), "reroll");
    assert_eq!(label("version"), version);
    assert_eq!(label("licenses"), "Apache-2.0");
    let description = label("description").as_str().unwrap();
    assert!(
        description.ends_with("once, and only then"),
        "{description}"
    );

    let layers = manifest[0]["Layers"].as_array().unwrap();
    assert_eq!(layers.len(), 1);
    let layer = folder.file("image").join(layers[0].as_str().unwrap());
    let listed = said(
        Command::new("tar")
            .args(["--numeric-owner", "-tvf"])
            .arg(&layer),
    );
    for line in listed.lines() {
        let mut words = line.split_whitespace();
        let (mode, owner) = (words.next().unwrap(), words.next().unwrap());
        assert_eq!(owner, "0/0", "{line}");
        assert!(!mode[4..].contains('w'), "others may not write: {line}");
        assert!(!mode.contains('s'), "nothing becomes somebody else: {line}");
        for shell in ["/bin/sh", "/bin/bash", "/busybox"] {
            assert!(!line.ends_with(shell), "{line}");
        }
    }

    // It has all that it loads, and starts.
    let root = folder.file("root");
    unpack(&layer, &root);
    let inside = |path: &str| root.join(path.trim_start_matches('/'));
    let loader = said(
        Command::new("find")
            .arg(&root)
            .args(["-name", "ld-linux-*.so.*"]),
    );
    let libc = said(Command::new("find").arg(&root).args(["-name", "libc.so.6"]));
    let libraries = Path::new(libc.trim()).parent().unwrap();
    let mut start = Command::new(loader.trim());
    start
        .arg("--inhibit-cache")
        .arg("--library-path")
        .arg(libraries);
    let answer = said(start.arg(inside("/usr/local/bin/reroll")).arg("--version"));
    let commit = env!("REROLL_COMMIT");
    let said = format!("reroll {version} (commit {commit})");
    assert_eq!(answer.trim(), said);
    assert!(inside("/usr/share/doc/reroll/LICENSE").exists());
}
