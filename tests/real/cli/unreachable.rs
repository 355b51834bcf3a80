//! API servers that refuse, that do not answer, and that cut the connection: an error that names the address, in time.

use std::{
    io::{Read as _, Write as _},
    net::{TcpListener, TcpStream},
    path::PathBuf,
    thread,
    time::{Duration, Instant},
};

use super::run;

/// Every command that asks the API server.
const COMMANDS: [&[&str]; 12] = [
    &["history"],
    &["migrate"],
    &["explain", "deploy/web"],
    &["status", "secret/db"],
    &["pods"],
    &["plan", "secret/db"],
    &["suspend", "deploy/web"],
    &["resume", "deploy/web"],
    &["release", "deploy/web"],
    &["version"],
    &["doctor"],
    &["doctor", "--pre"],
];

/// Writes a kubeconfig of this address.
fn kubeconfig(folder: &tempfile::TempDir, address: &str) -> PathBuf {
    let path = folder.path().join("config");
    let text = format!(
        "apiVersion: v1\nkind: Config\ncurrent-context: c\nclusters: [{{name: c, cluster: {{server: \"http://{address}\"}}}}]\n\
         users: [{{name: c, user: {{}}}}]\ncontexts: [{{name: c, context: {{cluster: c, user: c}}}}]\n"
    );
    std::fs::write(&path, text).unwrap();
    path
}

/// Serves connections in this way until the test ends.
fn serve(each: fn(TcpStream)) -> String {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let address = listener.local_addr().unwrap().to_string();
    thread::spawn(move || {
        for stream in listener.incoming().flatten() {
            thread::spawn(move || each(stream));
        }
    });
    address
}

fn read_request(stream: &mut TcpStream) {
    let mut bytes = [0; 4096];
    let _ = stream.read(&mut bytes);
}

#[tokio::test]
async fn cli_names_the_api_server_that_cannot_be_reached() {
    let refused = || {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        listener.local_addr().unwrap().to_string()
    };
    let servers = [
        ("nobody listens", refused()),
        (
            "it is silent",
            serve(|stream| {
                let _kept = stream;
                thread::sleep(Duration::from_hours(1));
            }),
        ),
        ("it cuts", serve(|mut stream| read_request(&mut stream))),
        (
            "it refuses",
            serve(|mut stream| {
                read_request(&mut stream);
                let answer = "HTTP/1.1 503 Service Unavailable\r\ncontent-length: 0\r\n\r\n";
                let _ = stream.write_all(answer.as_bytes());
            }),
        ),
    ];
    for (name, address) in servers {
        let folder = tempfile::tempdir().unwrap();
        let config = kubeconfig(&folder, &address);
        for words in COMMANDS {
            let began = Instant::now();
            let answer = run(&config, &[words, &["--request-timeout", "2s"]].concat()).await;
            let said = format!("{name}, {words:?}: {}{}", answer.out, answer.err);
            assert_eq!(answer.code, 1, "{said}");
            assert!(answer.err.contains(&address), "{said}");
            assert_eq!(answer.out, "", "{said}");
            // Far more than the deadline of one call: the machine may be busy.
            assert!(began.elapsed() < Duration::from_mins(1), "{said}");
        }
    }
}
