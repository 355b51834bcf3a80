//! Kubeconfigs as people have them: several files, contexts, plugins that make tokens, other server names, and proxies.

use std::{
    io::{self, BufRead as _, BufReader, Write as _},
    net::{TcpListener, TcpStream},
    path::{Path, PathBuf},
    process::{Command, Output, Stdio},
    sync::{
        Arc,
        atomic::{AtomicUsize, Ordering},
    },
    thread,
};

use reroll_harness::{Arena, binary};
use serde_json::{Value, json};
use tempfile::TempDir;

use super::{arena, opted_in, sources, web};

/// What a person has.
struct Home {
    folder: TempDir,
    /// The administrator's: the cluster, and the user.
    cluster: Value,
    user: Value,
    namespace: String,
}

/// What `status` said, and its exit code.
struct Said(String, i32);

impl Said {
    fn of(output: Output) -> Self {
        let text = [output.stdout, output.stderr].concat();
        let code = output.status.code().unwrap();
        Self(String::from_utf8(text).unwrap(), code)
    }
}

impl Home {
    fn of(arena: &Arena) -> Self {
        let config = kube::config::Kubeconfig::read_from(arena.cluster.kubeconfig()).unwrap();
        let config = serde_json::to_value(config).unwrap();
        Self {
            folder: tempfile::tempdir().unwrap(),
            cluster: config["clusters"][0]["cluster"].clone(),
            user: config["users"][0]["user"].clone(),
            namespace: arena.namespace.clone(),
        }
    }

    /// Writes a kubeconfig of these parts.
    fn write(
        &self,
        name: &str,
        cluster: Option<&Value>,
        user: Option<&Value>,
        namespace: Option<&str>,
    ) -> PathBuf {
        let mut config = json!({ "apiVersion": "v1", "kind": "Config" });
        if let Some(cluster) = cluster {
            config["clusters"] = json!([{ "name": "c", "cluster": cluster }]);
        }
        if let Some(user) = user {
            config["users"] = json!([{ "name": "u", "user": user }]);
            let mut context = json!({ "cluster": "c", "user": "u" });
            if let Some(namespace) = namespace {
                context["namespace"] = json!(namespace);
            }
            config["contexts"] = json!([{ "name": "work", "context": context }]);
            config["current-context"] = json!("work");
        }
        let path = self.folder.path().join(name);
        std::fs::write(&path, config.to_string()).unwrap();
        path
    }

    /// Asks, with these files in `KUBECONFIG` and these variables.
    async fn status(&self, files: &[&Path], more: &[&str], variables: &[(&str, &str)]) -> Said {
        let mut command = Self::command(files, more, variables);
        let output = tokio::task::spawn_blocking(move || command.output().unwrap());
        Said::of(output.await.unwrap())
    }

    fn command(files: &[&Path], more: &[&str], variables: &[(&str, &str)]) -> Command {
        let mut command = Command::new(binary("reroll").unwrap());
        command
            .arg("status")
            .args(more)
            .args(["--reroll-namespace", "no-such"])
            .env("KUBECONFIG", std::env::join_paths(files).unwrap())
            .stdin(Stdio::null());
        for name in [
            "HTTPS_PROXY",
            "https_proxy",
            "NO_PROXY",
            "no_proxy",
            "ALL_PROXY",
            "all_proxy",
        ] {
            command.env_remove(name);
        }
        command.envs(variables.iter().copied());
        command
    }

    /// Asks with one kubeconfig, of the arena's namespace.
    async fn sees(&self, cluster: &Value, user: &Value, variables: &[(&str, &str)]) {
        let path = self.write("one", Some(cluster), Some(user), Some(&self.namespace));
        self.is_seen(self.status(&[&path], &[], variables).await);
    }

    fn is_seen(&self, said: Said) {
        let Said(text, code) = said;
        let seen = format!("1 workload in namespace {} opted in", self.namespace);
        assert!(text.starts_with(&seen) && code != 1, "{code}: {text}");
    }
}

/// A proxy that connects to wherever it is asked to. Returns its address, and how often it was asked.
fn proxy() -> (String, Arc<AtomicUsize>) {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let address = listener.local_addr().unwrap().to_string();
    let asked = Arc::new(AtomicUsize::new(0));
    let count = Arc::clone(&asked);
    thread::spawn(move || {
        for stream in listener.incoming().flatten() {
            count.fetch_add(1, Ordering::SeqCst);
            thread::spawn(move || connect(stream).ok());
        }
    });
    (address, asked)
}

/// Answers a `CONNECT`, and passes everything on.
fn connect(mut client: TcpStream) -> io::Result<()> {
    let mut lines = BufReader::new(client.try_clone()?).lines();
    let first = lines.next().unwrap_or_else(|| Ok(String::new()))?;
    let to = first.split(' ').nth(1).unwrap_or_default().to_owned();
    for line in lines {
        if line?.is_empty() {
            break;
        }
    }
    let mut server = TcpStream::connect(to)?;
    client.write_all(b"HTTP/1.1 200 Connection established\r\n\r\n")?;
    let (mut from, mut back) = (client.try_clone()?, server.try_clone()?);
    let up = thread::spawn(move || io::copy(&mut from, &mut back));
    io::copy(&mut server, &mut client)?;
    up.join().ok();
    Ok(())
}

#[tokio::test]
async fn cli_takes_kubeconfigs_as_people_have_them() {
    let arena = arena("cli-kubeconfigs").await;
    sources(&arena).await;
    arena.create(&web(&opted_in())).await;
    let home = Home::of(&arena);
    let (cluster, user) = (&home.cluster, &home.user);

    // A client certificate, and the namespace of the context; or none of it, and -n.
    home.sees(cluster, user, &[]).await;
    let plain = home.write("plain", Some(cluster), Some(user), None);
    home.is_seen(home.status(&[&plain], &["-n", &home.namespace], &[]).await);
    let Said(text, _) = home.status(&[&plain], &[], &[]).await;
    assert!(text.contains("namespace default"), "{text}");

    // Clusters in one file, users and contexts in another, and a file that is not there.
    let clusters = home.write("clusters", Some(cluster), None, None);
    let users = home.write("users", None, Some(user), Some(&home.namespace));
    let absent = home.folder.path().join("absent");
    home.is_seen(home.status(&[&absent, &clusters, &users], &[], &[]).await);
    home.is_seen(
        home.status(&[&clusters, &users], &["--context", "work"], &[])
            .await,
    );
    let Said(text, code) = home
        .status(&[&clusters, &users], &["--context", "play"], &[])
        .await;
    assert!(code == 1 && text.contains("play"), "{text}");

    // A program that makes a token.
    arena
        .kubectl(&["create", "serviceaccount", "person"])
        .await
        .ok();
    let account = format!("--serviceaccount={}:person", arena.namespace);
    let bind = [
        "create",
        "rolebinding",
        "person",
        "--clusterrole=admin",
        &account,
    ];
    arena.kubectl(&bind).await.ok();
    let token = arena.kubectl(&["create", "token", "person"]).await.ok();
    let credential = json!({
        "apiVersion": "client.authentication.k8s.io/v1", "kind": "ExecCredential", "status": { "token": token.out.trim() },
    });
    let made = home.folder.path().join("credential");
    std::fs::write(&made, credential.to_string()).unwrap();
    let exec = json!({ "exec": {
        "apiVersion": "client.authentication.k8s.io/v1", "command": "cat", "args": [made], "interactiveMode": "Never",
    } });
    reroll_harness::eventually("the person has rights", async || {
        let path = home.write("exec", Some(cluster), Some(&exec), Some(&home.namespace));
        let Said(text, _) = home.status(&[&path], &[], &[]).await;
        text.starts_with("1 workload").then_some(())
    })
    .await;

    // One that takes longer than a call may is waited for, and that is said.
    let go = home.folder.path().join("go");
    let slow = format!(
        "until test -e {}; do sleep 0.1; done; cat {}",
        go.display(),
        made.display()
    );
    let slow = json!({ "exec": {
        "apiVersion": "client.authentication.k8s.io/v1", "command": "sh", "args": ["-c", slow], "interactiveMode": "Never",
    } });
    let path = home.write("slow", Some(cluster), Some(&slow), Some(&home.namespace));
    let mut command = Home::command(&[&path], &["--request-timeout", "10s"], &[]);
    command.stdout(Stdio::piped()).stderr(Stdio::piped());
    let waited = tokio::task::spawn_blocking(move || {
        let mut reroll = command.spawn().unwrap();
        let mut told = String::new();
        let mut stderr = BufReader::new(reroll.stderr.take().unwrap());
        stderr.read_line(&mut told).unwrap();
        std::fs::write(go, "").unwrap();
        (told, Said::of(reroll.wait_with_output().unwrap()))
    });
    let (told, said) = waited.await.unwrap();
    let waits = "reroll: still waits for sh, the plugin of your kubeconfig that makes the token; interrupt to give up\n";
    assert_eq!(told, waits);
    assert!(said.0.starts_with("1 workload"), "{}", said.0);

    // A name that the certificate has, in place of the address.
    let mut named = cluster.clone();
    named["tls-server-name"] = json!("kubernetes.default.svc");
    home.sees(&named, user, &[]).await;
    named["tls-server-name"] = json!("somebody.else");
    let path = home.write("else", Some(&named), Some(user), Some(&home.namespace));
    let Said(text, code) = home.status(&[&path], &[], &[]).await;
    assert!(code == 1 && text.contains("127.0.0.1"), "{text}");
}

#[tokio::test]
async fn cli_goes_through_proxies() {
    let arena = arena("cli-proxies").await;
    sources(&arena).await;
    arena.create(&web(&opted_in())).await;
    let home = Home::of(&arena);
    let (cluster, user) = (&home.cluster, &home.user);
    let (address, asked) = proxy();
    let url = format!("http://{address}");
    let mut proxied = cluster.clone();
    proxied["proxy-url"] = json!(url);
    let times = || asked.load(Ordering::SeqCst);
    home.sees(&proxied, user, &[]).await;
    let by_file = times();
    assert!(by_file > 0);
    home.sees(cluster, user, &[("HTTPS_PROXY", &url)]).await;
    let by_variable = times();
    assert!(by_variable > by_file);
    home.sees(
        cluster,
        user,
        &[("HTTPS_PROXY", &url), ("NO_PROXY", "127.0.0.1")],
    )
    .await;
    assert_eq!(times(), by_variable, "NO_PROXY counts");
    // One that is not there is named.
    let path = home.write("none", Some(cluster), Some(user), Some(&home.namespace));
    let gone = [("HTTPS_PROXY", "http://127.0.0.1:1")];
    let Said(text, code) = home.status(&[&path], &[], &gone).await;
    assert!(code == 1 && text.contains("127.0.0.1"), "{text}");
    let named = "by the proxy http://127.0.0.1:1 to ";
    assert!(
        text.starts_with("reroll: cannot reach the API server https://") && text.contains(named),
        "{text}"
    );
    // A password on the way there is not shown, and what is no address is called what it is.
    let secret = [("HTTPS_PROXY", "http://me:canary@127.0.0.1:1")];
    let Said(text, code) = home.status(&[&path], &[], &secret).await;
    assert!(
        code == 1 && text.contains(named) && !text.contains("canary"),
        "{text}"
    );
    let Said(text, code) = home
        .status(&[&path], &[], &[("HTTPS_PROXY", "garbage://")])
        .await;
    assert!(
        code == 1
            && text.contains(
                "the address of the proxy (proxy-url, HTTPS_PROXY or HTTP_PROXY) cannot be read"
            ),
        "{text}"
    );
}
