//! Whatever is killed, nothing of a cluster with real nodes is left: no process, mount, cgroup, network device or file.

use std::{
    collections::BTreeSet,
    fs,
    io::{BufRead as _, BufReader},
    os::unix::{fs::MetadataExt as _, process::CommandExt as _},
    path::{Path, PathBuf},
    process::{Child, Command, Stdio},
};

use reroll_harness::eventually;
use serde_json::Value;

use crate::reads::IMAGE;

const UP: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/tests/cluster/up");

/// How a cluster ends.
#[derive(Clone, Copy, Debug, PartialEq)]
enum End {
    /// Who wanted it is gone.
    Orderly,
    /// A node dies, and then nobody wants the cluster any more.
    Node,
    /// Its supervisor is killed when it runs.
    Supervisor,
    /// Its supervisor is killed while it makes the nodes.
    Starting,
    /// All processes outside the nodes are killed. What is left is removed by the next who comes.
    Everybody,
}

/// A cluster whose folder is its own.
struct Cluster {
    folder: tempfile::TempDir,
    supervisor: Child,
    user: Option<Child>,
    name: String,
}

/// What there is of a machine beside processes.
#[derive(Debug, PartialEq)]
struct Machine {
    mounts: BTreeSet<String>,
    devices: BTreeSet<String>,
}

impl Machine {
    fn look() -> Self {
        let mounts = fs::read_to_string("/proc/self/mounts").unwrap();
        Self {
            mounts: mounts.lines().map(str::to_owned).collect(),
            devices: entries("/sys/class/net"),
        }
    }
}

#[tokio::test]
async fn nothing_is_left_whatever_is_killed() {
    use End::{Everybody, Node, Orderly, Starting, Supervisor};
    for end in [Orderly, Node, Supervisor, Starting, Everybody] {
        let before = Machine::look();
        let mut cluster = Cluster::start(end != Starting).await;
        // The nodes are made, whatever else is.
        let namespaces = eventually("each node has a namespace", async || {
            let namespaces = cluster.namespaces();
            (namespaces.len() == 2 && !cluster.cgroups().is_empty()).then_some(namespaces)
        })
        .await;
        assert!(cluster.runs(&namespaces), "it is seen that it runs");
        cluster.end(end);
        let what = format!("nothing is left after {end:?}");
        eventually(&what, async || {
            let left = cluster.runs(&namespaces)
                || !cluster.cgroups().is_empty()
                || cluster.files().iter().any(|file| !has_end(file, "lock"))
                || Machine::look() != before;
            (!left).then_some(())
        })
        .await;
    }
}

impl Cluster {
    /// Starts one. If it is to be whole, a pod runs on it.
    async fn start(whole: bool) -> Self {
        let folder = tempfile::tempdir().unwrap();
        let mut command = Command::new(UP);
        command
            .args(["serve", "real-nodes"])
            .env("TMPDIR", folder.path())
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .process_group(0);
        let mut supervisor = command.spawn().unwrap();
        if !whole {
            let clusters = clusters(folder.path());
            let name = eventually("a cluster has its folder", async || {
                let mut all = entries(&clusters).into_iter();
                all.find(|name| !has_end(name, "lock"))
            })
            .await;
            return Self {
                folder,
                supervisor,
                user: None,
                name,
            };
        }
        let stdout = supervisor.stdout.take().unwrap();
        let line = tokio::task::spawn_blocking(move || {
            let mut line = String::new();
            BufReader::new(stdout).read_line(&mut line).unwrap();
            line
        });
        let facts: Value = serde_json::from_str(&line.await.unwrap()).unwrap();
        let kubectl = |arguments: &[&str]| {
            let bin = Path::new(facts["bin"].as_str().unwrap());
            let mut command = Command::new(bin.join("kubectl"));
            let kubeconfig = facts["kubeconfig"].as_str().unwrap();
            command.args(["--kubeconfig", kubeconfig]).args(arguments);
            command.stdout(Stdio::null());
            command
        };
        let image = format!("--image={IMAGE}");
        let run = ["run", "pod", &image, "--image-pull-policy=Never"];
        assert!(kubectl(&run).status().unwrap().success());
        let wait = ["wait", "--for=condition=Ready", "pod/pod", "--timeout=2m"];
        assert!(kubectl(&wait).status().unwrap().success());
        // A user of the cluster, who does not end by himself. Of a test that was killed this is reroll.
        let user = kubectl(&["get", "pods", "--watch"]).spawn().unwrap();
        Self {
            folder,
            supervisor,
            user: Some(user),
            name: facts["name"].as_str().unwrap().to_owned(),
        }
    }

    fn end(&mut self, how: End) {
        match how {
            End::Orderly => {}
            End::Node => {
                let first = self.first_processes().swap_remove(0);
                kill(&[first]);
            }
            End::Supervisor | End::Starting => kill(&[self.supervisor.id().to_string()]),
            End::Everybody => {
                let watcher = processes(|line| line.contains(UP) && line.contains("watch"));
                let own = |pid: &String| {
                    let environment = fs::read(format!("/proc/{pid}/environ")).unwrap_or_default();
                    let folder = self.folder.path().to_str().unwrap();
                    String::from_utf8_lossy(&environment).contains(folder)
                };
                let mut all: Vec<_> = watcher.into_iter().filter(own).collect();
                assert_eq!(all.len(), 1, "who watches the supervisor");
                all.push(self.supervisor.id().to_string());
                kill(&all);
                self.supervisor.wait().unwrap();
                let sweep = Command::new(UP)
                    .arg("sweep")
                    .env("TMPDIR", self.folder.path())
                    .status();
                assert!(sweep.unwrap().success());
            }
        }
        drop(self.supervisor.stdin.take());
        self.supervisor.wait().unwrap();
    }

    /// The first process of each node's namespaces, as this machine numbers them.
    fn first_processes(&self) -> Vec<String> {
        let nodes = format!(
            "{}/{}/nodes/",
            clusters(self.folder.path()).display(),
            self.name
        );
        processes(|line| {
            line.contains("inside") && line.contains(&nodes) && !line.starts_with("unshare")
        })
    }

    /// The process namespaces of its nodes.
    fn namespaces(&self) -> BTreeSet<u64> {
        let own = namespace("self");
        let all = self.first_processes();
        let all = all.iter().filter_map(|pid| namespace(pid));
        all.filter(|namespace| Some(*namespace) != own).collect()
    }

    /// Whether any process of it, or of these namespaces, is there.
    fn runs(&self, namespaces: &BTreeSet<u64>) -> bool {
        let folder = self.folder.path().to_str().unwrap();
        let inside = entries("/proc")
            .iter()
            .any(|pid| namespace(pid).is_some_and(|namespace| namespaces.contains(&namespace)));
        inside || !processes(|line| line.contains(folder)).is_empty()
    }

    fn cgroups(&self) -> Vec<PathBuf> {
        let mounts = fs::read_to_string("/proc/self/mounts").unwrap();
        let paths = mounts.lines().filter_map(|line| {
            let mut words = line.split(' ').skip(1);
            let (path, kind) = (words.next()?, words.next()?);
            kind.starts_with("cgroup").then(|| PathBuf::from(path))
        });
        let prefix = format!("{}-", self.name);
        let own = |path: PathBuf| {
            let all = entries(&path)
                .into_iter()
                .filter(|name| name.starts_with(&prefix));
            all.map(|name| path.join(name)).collect::<Vec<_>>()
        };
        paths.flat_map(own).collect()
    }

    fn files(&self) -> BTreeSet<String> {
        entries(clusters(self.folder.path()))
    }
}

impl Drop for Cluster {
    fn drop(&mut self) {
        drop(self.supervisor.stdin.take());
        drop(self.supervisor.wait());
        if let Some(user) = &mut self.user {
            drop(user.kill());
            drop(user.wait());
        }
    }
}

fn clusters(folder: &Path) -> PathBuf {
    let user = fs::metadata("/proc/self").unwrap().uid();
    folder.join(format!("reroll-clusters-{user}"))
}

fn has_end(name: &str, end: &str) -> bool {
    Path::new(name)
        .extension()
        .is_some_and(|found| found == end)
}

fn entries(folder: impl AsRef<Path>) -> BTreeSet<String> {
    let all = fs::read_dir(folder).into_iter().flatten().flatten();
    all.map(|entry| entry.file_name().to_string_lossy().into_owned())
        .collect()
}

/// The processes whose command line is such a one.
fn processes(such: impl Fn(&str) -> bool) -> Vec<String> {
    let line = |pid: &String| {
        let line = fs::read(format!("/proc/{pid}/cmdline")).unwrap_or_default();
        String::from_utf8_lossy(&line).replace('\0', " ")
    };
    let all = entries("/proc").into_iter();
    all.filter(|pid| pid.bytes().all(|byte| byte.is_ascii_digit()) && such(&line(pid)))
        .collect()
}

fn namespace(pid: &str) -> Option<u64> {
    Some(fs::metadata(format!("/proc/{pid}/ns/pid")).ok()?.ino())
}

fn kill(pids: &[String]) {
    let status = Command::new("kill").arg("-KILL").args(pids).status();
    assert!(status.unwrap().success());
}
