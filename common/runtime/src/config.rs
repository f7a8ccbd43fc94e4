//! `nephos.toml`: one file, every key with a working default.

use std::path::{Path, PathBuf};

use figment::Figment;
use figment::providers::{Format, Toml};
use serde::de::DeserializeOwned;

/// The file as read; each service takes its own section.
#[derive(Clone, Debug)]
pub struct ConfigFile {
    figment: Figment,
    sections: Vec<String>,
}

/// What is wrong with the file: the key, the place, what was expected.
#[derive(Debug, thiserror::Error)]
#[error("{}: {why}", path.display())]
pub struct ConfigError {
    path: PathBuf,
    why: String,
}

impl ConfigFile {
    /// Reads `path`. A file that does not exist is an empty one when `optional`.
    ///
    /// # Errors
    /// When it cannot be read or is not TOML.
    pub fn read(path: &Path, optional: bool) -> Result<Self, ConfigError> {
        let fail = |why: String| ConfigError {
            path: path.to_owned(),
            why,
        };
        let text = match std::fs::read_to_string(path) {
            Ok(text) => text,
            Err(why) if optional && why.kind() == std::io::ErrorKind::NotFound => String::new(),
            Err(why) => return Err(fail(why.to_string())),
        };
        Self::parse(&text).map_err(fail)
    }

    /// Reads the text of a file.
    ///
    /// # Errors
    /// What is wrong, in words.
    pub fn parse(text: &str) -> Result<Self, String> {
        let figment = Figment::from(Toml::string(text));
        let whole: std::collections::BTreeMap<String, figment::value::Value> =
            figment.extract().map_err(|why| why.to_string())?;
        Ok(Self {
            figment,
            sections: whole.into_keys().collect(),
        })
    }

    /// The section `[name]`, or its defaults when the file has none.
    ///
    /// # Errors
    /// An unknown key or a value of the wrong type, named.
    pub fn section<T: DeserializeOwned + Default>(&self, name: &str) -> Result<T, ConfigError> {
        if !self.sections.iter().any(|section| section == name) {
            return Ok(T::default());
        }
        self.figment.extract_inner(name).map_err(|why| ConfigError {
            path: PathBuf::from("nephos.toml"),
            why: format!("section [{name}]: {why}"),
        })
    }

    /// Refuses sections that nobody knows: a misspelt one would otherwise be silently ignored.
    ///
    /// # Errors
    /// Names the unknown section and the known ones.
    pub fn check_sections(&self, known: &[&str]) -> Result<(), ConfigError> {
        match self
            .sections
            .iter()
            .find(|section| !known.contains(&section.as_str()))
        {
            None => Ok(()),
            Some(unknown) => Err(ConfigError {
                path: PathBuf::from("nephos.toml"),
                why: format!(
                    "unknown section [{unknown}]; known are: {}",
                    known.join(", ")
                ),
            }),
        }
    }
}
