//! The source as the checks see it.

use std::collections::BTreeSet;
use std::path::{Path, PathBuf};
use std::process::Command;

use serde_json::Value;

/// The whole checkout.
#[derive(Clone, Debug, Default)]
pub struct Workspace {
    /// Its crates.
    pub crates: Vec<Crate>,
    /// Every tracked text file.
    pub files: Vec<File>,
}

/// A crate and what it depends on within the workspace.
#[derive(Clone, Debug, Default)]
pub struct Crate {
    /// `nephos-compute`.
    pub name: String,
    /// `services/compute`.
    pub folder: String,
    /// Names of `[dependencies]` that are ours.
    pub dependencies: BTreeSet<String>,
    /// Names of `[dev-dependencies]` that are ours.
    pub dev_dependencies: BTreeSet<String>,
}

/// A file.
#[derive(Clone, Debug, Default)]
pub struct File {
    /// Relative to the root.
    pub path: String,
    /// All of it.
    pub text: String,
}

impl Workspace {
    /// Reads the checkout this crate stands in.
    ///
    /// # Errors
    /// When git or cargo does not answer.
    pub fn read() -> Result<Self, String> {
        let root = Path::new(env!("CARGO_MANIFEST_DIR")).join("../..");
        let root = root.canonicalize().map_err(|why| why.to_string())?;
        Ok(Self {
            crates: crates(&root)?,
            files: files(&root)?,
        })
    }
}

impl File {
    /// The lines that are the product: from the first to the tests at the end, without those in a file of tests.
    #[must_use]
    pub fn product(&self) -> &str {
        let tests = self.path.contains("/tests/") || self.path.ends_with("/tests.rs");
        if tests {
            return "";
        }
        let end = self
            .text
            .find("#[cfg(test)]\nmod tests {")
            .unwrap_or(self.text.len());
        self.text.get(..end).unwrap_or_default()
    }

    /// Numbered lines of the product that are not comments.
    pub fn code(&self) -> impl Iterator<Item = (usize, &str)> {
        self.product()
            .lines()
            .enumerate()
            .map(|(at, line)| (at + 1, line))
            .filter(|(_, line)| !line.trim_start().starts_with("//"))
    }

    /// `path:line`.
    #[must_use]
    pub fn place(&self, line: usize) -> String {
        format!("{}:{line}", self.path)
    }

    /// Whether it is Rust.
    #[must_use]
    pub fn is_rust(&self) -> bool {
        self.path.ends_with(".rs")
    }
}

fn crates(root: &Path) -> Result<Vec<Crate>, String> {
    let output = output(Command::new(env!("CARGO")).current_dir(root).args([
        "metadata",
        "--no-deps",
        "--offline",
        "--format-version=1",
    ]))?;
    let metadata: Value = serde_json::from_slice(&output).map_err(|why| why.to_string())?;
    let packages = metadata.get("packages").and_then(Value::as_array);
    Ok(packages
        .into_iter()
        .flatten()
        .map(|package| read_crate(root, package))
        .collect())
}

fn read_crate(root: &Path, package: &Value) -> Crate {
    let text = |value: &Value, key: &str| {
        value
            .get(key)
            .and_then(Value::as_str)
            .unwrap_or_default()
            .to_owned()
    };
    let manifest = PathBuf::from(text(package, "manifest_path"));
    let folder = manifest
        .parent()
        .and_then(|folder| folder.strip_prefix(root).ok());
    let mut found = Crate {
        name: text(package, "name"),
        folder: folder.unwrap_or(Path::new("")).display().to_string(),
        ..Crate::default()
    };
    for dependency in package
        .get("dependencies")
        .and_then(Value::as_array)
        .into_iter()
        .flatten()
    {
        let name = text(dependency, "name");
        if !name.starts_with("nephos") {
            continue;
        }
        match text(dependency, "kind").as_str() {
            "dev" => found.dev_dependencies.insert(name),
            _normal_or_build => found.dependencies.insert(name),
        };
    }
    found
}

fn files(root: &Path) -> Result<Vec<File>, String> {
    let listed = output(Command::new("git").current_dir(root).args([
        "ls-files",
        "-z",
        "--cached",
        "--others",
        "--exclude-standard",
    ]))?;
    let listed = String::from_utf8_lossy(&listed).into_owned();
    let read = |path: &str| {
        let text = std::fs::read_to_string(root.join(path)).ok()?;
        Some(File {
            path: path.to_owned(),
            text,
        })
    };
    Ok(listed
        .split('\0')
        .filter(|path| !path.is_empty())
        .filter_map(read)
        .collect())
}

fn output(command: &mut Command) -> Result<Vec<u8>, String> {
    let done = command
        .output()
        .map_err(|why| format!("{command:?}: {why}"))?;
    if done.status.success() {
        Ok(done.stdout)
    } else {
        Err(format!(
            "{command:?}: {}",
            String::from_utf8_lossy(&done.stderr)
        ))
    }
}
