//! The commands of docs/getting-started.md, typed one after the other as they stand there.

use std::{
    fs,
    os::unix::fs::PermissionsExt as _,
    path::Path,
    process::{Command, Stdio},
};

use reroll_harness::{Arena, Recorder, binary};
use tempfile::TempDir;

use super::arena;

/// The commands of the page that need a machine with containers, or make what a test has already.
const NOT_HERE: [&str; 5] = [
    "kind create cluster",
    "helm install",
    "kubectl reroll doctor",
    "kubectl create namespace shop",
    "kind delete cluster",
];

/// Returns the commands of a page: its indented lines, joined where one ends with a backslash.
fn commands(page: &str) -> Vec<String> {
    let lines = page.lines().filter_map(|line| line.strip_prefix("    "));
    let lines: Vec<_> = lines.collect();
    let text = lines.join("\n").replace("\\\n", " ");
    text.lines().map(ToOwned::to_owned).collect()
}

/// Makes a `kubectl` that has the plugin, as the administrator of the arena's cluster.
fn kubectl(arena: &Arena) -> TempDir {
    let folder = tempfile::tempdir().unwrap();
    let config = arena.cluster.kubeconfig().display();
    let plugin = binary("reroll").unwrap();
    let kubectl = arena.cluster.kubectl();
    let script = format!(
        "#!/bin/bash\nexport KUBECONFIG='{config}' NO_PROXY='*'\nif [ \"$1\" = reroll ]; then\n  shift\n  exec '{}' \"$@\" \
         --reroll-namespace '{}'\nfi\nexec '{}' \"$@\"\n",
        plugin.display(),
        arena.own_namespace,
        Path::new(kubectl.get_program()).display(),
    );
    let path = folder.path().join("kubectl");
    fs::write(&path, script).unwrap();
    fs::set_permissions(&path, fs::Permissions::from_mode(0o755)).unwrap();
    folder
}

/// Types a command. Returns all that was printed, and the exit code.
async fn typed(path: &Path, command: &str) -> (String, i32) {
    let mut shell = Command::new("bash");
    shell
        .args([
            "-c",
            &format!("exec 2>&1; PATH='{}':$PATH; {command}", path.display()),
        ])
        .stdin(Stdio::null());
    let output = tokio::task::spawn_blocking(move || shell.output().unwrap());
    let output = output.await.unwrap();
    let text = String::from_utf8(output.stdout).unwrap();
    (text, output.status.code().unwrap())
}

#[tokio::test]
async fn the_page_does_what_it_says() {
    let page = Path::new(env!("CARGO_MANIFEST_DIR")).join("docs/getting-started.md");
    let commands = commands(&fs::read_to_string(page).unwrap());
    let is_not_here = |command: &&String| NOT_HERE.iter().any(|one| command.starts_with(one));
    assert_eq!(commands.iter().filter(is_not_here).count(), NOT_HERE.len());
    let arena = arena("getting-started").await;
    let reroll = arena.reroll().start().await;
    let bin = kubectl(&arena);
    let recorder = Recorder::start(&arena).await;
    // `set env` changes the template once. Then each wait ends with one restart more.
    let mut rollouts = 1;
    for command in commands.iter().filter(|command| !is_not_here(command)) {
        let here = command.replace("-n shop", &format!("-n {}", arena.namespace));
        let (text, code) = typed(bin.path(), &here).await;
        // 2 and 3: something is to be looked at, as the page says of it.
        let is_fine = code == 0 || command.starts_with("kubectl reroll") && code > 1;
        assert!(is_fine, "{command}: {code}\n{text}");
        if command.starts_with("kubectl reroll wait") {
            assert_eq!(code, 0, "{command}\n{text}");
            rollouts += 1;
            recorder.reaches("Deployment", "web", rollouts).await;
        }
        if command.contains("-n shop annotate") {
            arena.adopted("Deployment", "web").await;
        }
    }
    recorder.settle(&arena).await;
    recorder.expect("Deployment", "web", 4);
    drop(reroll);
}
