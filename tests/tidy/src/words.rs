//! Sizes, words and paths.

use crate::{File, Finding};

/// Lines of product in one file, at most.
const HARD_LINES: usize = 800;
/// Words that say nothing, as names of files and folders.
const EMPTY_NAMES: [&str; 9] = [
    "utils", "util", "helpers", "helper", "common", "manager", "base", "misc", "stuff",
];
/// Marks of unfinished work.
const MARKS: [&str; 5] = ["TODO", "FIXME", "XXX", "unimplemented!", "todo!"];
/// Where files of one machine stand.
const MACHINE_PATHS: [&str; 3] = ["/work/", "/home/", "/root/"];

/// Files that have grown beyond one idea.
#[must_use]
pub fn check_sizes(files: &[File]) -> Vec<Finding> {
    let long = |file: &&File| file.is_rust() && file.product().lines().count() > HARD_LINES;
    files
        .iter()
        .filter(long)
        .map(|file| Finding {
            place: file.path.clone(),
            what: format!(
                "{} lines; {HARD_LINES} is the limit, split it by idea",
                file.product().lines().count()
            ),
        })
        .collect()
}

/// Names that say nothing and marks of unfinished work.
#[must_use]
pub fn check_words(files: &[File]) -> Vec<Finding> {
    let mut findings = Vec::new();
    for file in files.iter().filter(|file| !is_about_words(file)) {
        let parts = file
            .path
            .split('/')
            .map(|part| part.split('.').next().unwrap_or(part));
        let named = file
            .is_rust()
            .then(|| parts.skip(1).find(|part| EMPTY_NAMES.contains(part)))
            .flatten();
        if let Some(name) = named {
            let what = format!("`{name}` does not say what is in it");
            findings.push(Finding {
                place: file.path.clone(),
                what,
            });
        }
        for (at, line) in file.text.lines().enumerate() {
            if let Some(mark) = MARKS.iter().find(|mark| is_mark(line, mark)) {
                let what = format!("{mark} is for work in progress");
                findings.push(Finding {
                    place: file.place(at + 1),
                    what,
                });
            }
        }
    }
    findings
}

/// Paths that exist on one machine only.
#[must_use]
pub fn check_paths(files: &[File]) -> Vec<Finding> {
    let mut findings = Vec::new();
    for file in files
        .iter()
        .filter(|file| !is_about_words(file) && !file.path.starts_with("deploy/guest-image/"))
    {
        for (at, line) in file.text.lines().enumerate() {
            let found = MACHINE_PATHS.iter().find(|path| begins_path(line, path));
            if let Some(path) = found {
                let what = format!("{path} is a path of one machine");
                findings.push(Finding {
                    place: file.place(at + 1),
                    what,
                });
            }
        }
    }
    findings
}

/// This crate names what it looks for; lock files are not ours to word.
fn is_about_words(file: &File) -> bool {
    file.path.starts_with("tests/tidy/") || file.path.ends_with(".lock") || file.path == "LICENSE"
}

/// As a word of its own: `mktemp -d XXXXXX` is none.
fn is_mark(line: &str, mark: &str) -> bool {
    let part_of_word = |c: Option<char>| c.is_some_and(|c| c.is_alphanumeric() || c == '_');
    line.match_indices(mark).any(|(at, _)| {
        let before = line.get(..at).unwrap_or_default().chars().next_back();
        let after = line
            .get(at + mark.len()..)
            .unwrap_or_default()
            .chars()
            .next();
        !part_of_word(before) && !part_of_word(after)
    })
}

/// `"/root/x` and ` /root/x`, not `…/identity/root/x`.
fn begins_path(line: &str, path: &str) -> bool {
    line.match_indices(path).any(|(at, _)| {
        let before = line.get(..at).unwrap_or_default().chars().next_back();
        before.is_none_or(|last| !last.is_alphanumeric() && !"}*)._-".contains(last))
    })
}
