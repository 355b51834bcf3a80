//! reroll's commands that ask no cluster, run as people run them.

use std::{
    io::Write as _,
    path::Path,
    process::{Command, Stdio},
};

use serde_json::Value;

use crate::binary;

/// What a command said, and how it ended.
pub struct Offline {
    /// What it printed.
    pub out: String,
    /// What it complained of.
    pub err: String,
    /// Its exit code.
    pub code: i32,
}

impl Offline {
    /// Runs one in a folder, where it finds no kubeconfig.
    pub fn run(folder: &Path, words: &[&str], stdin: &str) -> Self {
        let mut child = Command::new(binary("reroll").unwrap())
            .args(words)
            .current_dir(folder)
            .env("KUBECONFIG", folder.join("none"))
            .env("HOME", folder)
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            .spawn()
            .unwrap();
        let mut input = child.stdin.take().unwrap();
        // It may end without having read it.
        let _ = input.write_all(stdin.as_bytes());
        drop(input);
        let output = child.wait_with_output().unwrap();
        let text = |bytes: Vec<u8>| String::from_utf8(bytes).unwrap();
        Self {
            out: text(output.stdout),
            err: text(output.stderr),
            code: output.status.code().unwrap(),
        }
    }

    /// Returns all that it said, and its exit code.
    pub fn whole(&self) -> String {
        let Self { out, err, code } = self;
        format!("exit {code}\n{out}{err}")
    }

    /// Reads what it printed.
    pub fn json(&self) -> Value {
        serde_json::from_str(&self.out).unwrap()
    }
}
