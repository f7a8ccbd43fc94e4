//! Metadata as clients send it: header names in lower case, and their values.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

/// Longest name of an item behind its prefix, in bytes.
pub(crate) const MAX_NAME_BYTES: usize = 128;
/// Longest value of an item, in bytes.
pub(crate) const MAX_VALUE_BYTES: usize = 256;
/// Most items of one thing. Swift says 90 by default; the HTTP server takes 96 headers, of which clients need some.
pub(crate) const MAX_ITEMS: usize = 80;
/// Names and values of one thing together, in bytes.
pub(crate) const MAX_OVERALL_BYTES: usize = 4096;

/// Headers that an object keeps beside its metadata.
pub(crate) const KEPT_OF_OBJECTS: [&str; 6] = [
    "cache-control",
    "content-disposition",
    "content-encoding",
    "content-language",
    "expires",
    "x-robots-tag",
];

/// What has metadata.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Of {
    /// An account.
    Account,
    /// A container.
    Container,
    /// An object.
    Object,
}

impl Of {
    /// What the names of its items begin with.
    pub(crate) const fn prefix(self) -> &'static str {
        match self {
            Self::Account => "x-account-meta-",
            Self::Container => "x-container-meta-",
            Self::Object => "x-object-meta-",
        }
    }

    const fn removal(self) -> &'static str {
        match self {
            Self::Account => "x-remove-account-meta-",
            Self::Container => "x-remove-container-meta-",
            Self::Object => "x-remove-object-meta-",
        }
    }
}

/// Metadata by header name.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(transparent)]
pub(crate) struct Meta(pub BTreeMap<String, String>);

impl Meta {
    /// A value.
    pub(crate) fn get(&self, name: &str) -> Option<&str> {
        self.0.get(name).map(String::as_str)
    }

    /// Sets a value, or removes it when it is empty.
    pub(crate) fn set(&mut self, name: &str, value: &str) {
        if value.is_empty() {
            self.0.remove(name);
        } else {
            self.0.insert(name.to_owned(), value.to_owned());
        }
    }

    /// Takes what the headers say into what an account or a container has.
    pub(crate) fn merge(&mut self, of: Of, headers: &[(String, String)]) {
        for (name, value) in headers {
            if let Some(rest) = name.strip_prefix(of.removal()) {
                self.0.remove(&format!("{}{rest}", of.prefix()));
            } else if name.starts_with(of.prefix()) {
                self.set(name, value);
            }
        }
    }

    /// What the headers say of an object: its metadata, which replaces all it had.
    pub(crate) fn of_object(headers: &[(String, String)]) -> Self {
        let ours = |name: &str| name.starts_with(Of::Object.prefix());
        let items = headers.iter().filter(|(name, _)| ours(name)).cloned();
        Self(items.collect())
    }

    /// Refuses more than fits.
    ///
    /// # Errors
    /// In Swift's words.
    pub(crate) fn check(&self, of: Of) -> Result<(), String> {
        let (mut count, mut total) = (0, 0);
        for (name, value) in &self.0 {
            let Some(rest) = name.strip_prefix(of.prefix()) else {
                continue;
            };
            count += 1;
            total += rest.len() + value.len();
            let shown = titled(name);
            if rest.is_empty() {
                return Err("Metadata name cannot be empty".to_owned());
            }
            if rest.len() > MAX_NAME_BYTES {
                return Err(format!("Metadata name too long: {shown}"));
            }
            if value.len() > MAX_VALUE_BYTES {
                return Err(format!(
                    "Metadata value longer than {MAX_VALUE_BYTES}: {shown}"
                ));
            }
        }
        if count > MAX_ITEMS {
            return Err(format!("Too many metadata items; max {MAX_ITEMS}"));
        }
        if total > MAX_OVERALL_BYTES {
            return Err(format!("Total metadata too large; max {MAX_OVERALL_BYTES}"));
        }
        Ok(())
    }
}

/// `X-Object-Meta-Color`, as people write header names.
fn titled(name: &str) -> String {
    let part = |part: &str| {
        let mut letters = part.chars();
        let first = letters.next().map(|first| first.to_ascii_uppercase());
        first.into_iter().chain(letters).collect::<String>()
    };
    name.split('-').map(part).collect::<Vec<_>>().join("-")
}

#[cfg(test)]
mod tests {
    use super::*;

    fn headers(pairs: &[(&str, &str)]) -> Vec<(String, String)> {
        let owned = |(name, value): &(&str, &str)| ((*name).to_owned(), (*value).to_owned());
        pairs.iter().map(owned).collect()
    }

    #[test]
    fn items_are_set_and_removed_one_by_one() {
        let mut meta = Meta::default();
        let of = Of::Container;
        meta.merge(
            of,
            &headers(&[
                ("x-container-meta-a", "1"),
                ("x-container-meta-b", "2"),
                ("x-else", "3"),
            ]),
        );
        meta.merge(
            of,
            &headers(&[
                ("x-container-meta-a", ""),
                ("x-remove-container-meta-b", "x"),
                ("x-container-meta-c", "4"),
            ]),
        );
        assert_eq!(
            meta.0.into_iter().collect::<Vec<_>>(),
            headers(&[("x-container-meta-c", "4")])
        );
    }

    #[test]
    fn limits_have_swifts_words() {
        let check =
            |pairs: Vec<(String, String)>| Meta(pairs.into_iter().collect()).check(Of::Object);
        let item = |name: usize, value: usize| {
            (
                format!("x-object-meta-{}", "n".repeat(name)),
                "v".repeat(value),
            )
        };
        assert_eq!(check(vec![item(128, 256)]), Ok(()));
        assert!(
            check(vec![item(129, 1)])
                .unwrap_err()
                .starts_with("Metadata name too long: X-Object-Meta-N")
        );
        assert!(
            check(vec![item(1, 257)])
                .unwrap_err()
                .starts_with("Metadata value longer than 256")
        );
        assert!(check(vec![item(0, 1)]).is_err());
        let many = |count: usize| {
            (0..count)
                .map(|n| (format!("x-object-meta-{n}"), "v".to_owned()))
                .collect::<Vec<_>>()
        };
        assert_eq!(check(many(MAX_ITEMS)), Ok(()));
        assert!(
            check(many(MAX_ITEMS + 1))
                .unwrap_err()
                .starts_with("Too many")
        );
        assert!(
            check(
                (10..30)
                    .map(|n| (format!("x-object-meta-{n}"), "v".repeat(256)))
                    .collect()
            )
            .unwrap_err()
            .starts_with("Total")
        );
    }
}
