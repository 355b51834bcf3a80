//! Which texts are read: files, folders, and what comes in.

use std::{
    fs,
    io::{self, Read as _},
    path::Path,
};

use walkdir::{DirEntry, WalkDir};

/// How files end that are manifests.
const ENDS: [&str; 3] = ["yaml", "yml", "json"];
/// What comes in.
const STDIN: &str = "-";

/// A text, or why there is none.
pub(in crate::cli) struct Input {
    pub(in crate::cli) file: String,
    pub(in crate::cli) text: Result<String, String>,
}

/// Hands on each text of a path, one after another: all of them together may be much. Folders give their files in the order
/// of names.
pub(in crate::cli) fn each(path: &Path, mut see: impl FnMut(Input)) {
    let file = path.display().to_string();
    if path.as_os_str() == STDIN {
        let mut bytes = Vec::new();
        let read = io::stdin().lock().read_to_end(&mut bytes);
        let text = read
            .map_err(|error| error.to_string())
            .and_then(|_| decoded(bytes));
        return see(Input { file, text });
    }
    if !path.is_dir() {
        return see(of_file(path));
    }
    let mut any = false;
    for entry in WalkDir::new(path).sort_by_file_name() {
        match entry {
            Ok(entry) if is_manifest(&entry) => {
                any = true;
                see(of_file(entry.path()));
            }
            Ok(_) => {}
            Err(error) => {
                any = true;
                let file = error.path().unwrap_or(path).display().to_string();
                let why = error
                    .io_error()
                    .map_or_else(|| error.to_string(), io::Error::to_string);
                see(Input {
                    file,
                    text: Err(why),
                });
            }
        }
    }
    if !any {
        let ends = ENDS.map(|end| format!("*.{end}")).join(", ");
        let text = Err(format!(
            "there is no file in this folder that is one of {ends}"
        ));
        see(Input { file, text });
    }
}

/// Whether this is a file, or leads to one, whose name ends as those of manifests do.
fn is_manifest(entry: &DirEntry) -> bool {
    let end = entry.path().extension().and_then(|end| end.to_str());
    end.is_some_and(|end| ENDS.contains(&end)) && entry.path().is_file()
}

fn of_file(path: &Path) -> Input {
    let read = fs::read(path).map_err(|error| error.to_string());
    Input {
        file: path.display().to_string(),
        text: read.and_then(decoded),
    }
}

fn decoded(bytes: Vec<u8>) -> Result<String, String> {
    String::from_utf8(bytes).map_err(|error| {
        let good = error.as_bytes().get(..error.utf8_error().valid_up_to());
        let lines = good
            .unwrap_or_default()
            .iter()
            .filter(|byte| **byte == b'\n');
        format!("line {} is no text in UTF-8", lines.count() + 1)
    })
}
