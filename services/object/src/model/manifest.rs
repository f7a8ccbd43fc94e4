//! Manifests of large objects.

use md5::{Digest as _, Md5};
use serde::{Deserialize, Serialize};
use serde_json::Value;

use super::names;

/// Most segments of one manifest.
pub(crate) const MAX_SEGMENTS: usize = 1000;
/// Largest manifest in bytes.
pub(crate) const MAX_BYTES: usize = 8 * 1024 * 1024;
/// How deep manifests may name manifests.
pub(crate) const MAX_DEPTH: usize = 10;
/// Pieces that all segments come to in the end.
pub(crate) const MAX_PIECES: usize = 100_000;

/// A segment as a client asks for it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Wish {
    /// `/container/object`.
    pub path: String,
    pub etag: Option<String>,
    pub size_bytes: Option<i64>,
    pub range: Option<String>,
}

/// A segment as the service keeps it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Segment {
    /// `/container/object`.
    pub name: String,
    pub hash: String,
    /// Of the whole segment.
    pub bytes: i64,
    pub content_type: String,
    pub last_modified: String,
    /// `first-last`, both included; all of it when there is none.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub range: Option<String>,
    /// Whether it is a manifest itself.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub sub_slo: bool,
}

impl Segment {
    /// The bytes of it that belong to the large object.
    pub(crate) fn span(&self) -> std::ops::Range<u64> {
        let size = u64::try_from(self.bytes).unwrap_or(0);
        let read = |range: &str| {
            let (first, last) = range.split_once('-')?;
            let (first, last): (u64, u64) = (first.parse().ok()?, last.parse().ok()?);
            Some(first.min(size)..last.saturating_add(1).min(size))
        };
        self.range.as_deref().and_then(read).unwrap_or(0..size)
    }
}

/// Reads a manifest.
///
/// # Errors
/// In Swift's words, one line for each thing that is wrong.
pub(crate) fn parse(body: &[u8]) -> Result<Vec<Wish>, String> {
    let parsed: Result<Value, _> = serde_json::from_slice(body);
    let Ok(Value::Array(items)) = parsed else {
        return Err(if parsed.is_ok() {
            "Manifest must be a list.\n".to_owned()
        } else {
            "Manifest must be valid JSON.\n".to_owned()
        });
    };
    if items.is_empty() {
        return Err("Manifest must have at least one segment.\n".to_owned());
    }
    let (mut wishes, mut errors) = (Vec::new(), String::new());
    for (index, item) in items.iter().enumerate() {
        match wish(item) {
            Ok(wish) => wishes.push(wish),
            Err(why) => errors.push_str(&format!("Index {index}: {why}\n")),
        }
    }
    if errors.is_empty() {
        Ok(wishes)
    } else {
        Err(errors)
    }
}

fn wish(item: &Value) -> Result<Wish, String> {
    let item = item.as_object().ok_or("not a JSON object")?;
    let known = ["path", "etag", "size_bytes", "range"];
    if let Some(key) = item.keys().find(|key| !known.contains(&key.as_str())) {
        return Err(format!("extraneous keys \"{key}\""));
    }
    let path = item.get("path").ok_or("missing keys \"path\"")?;
    let path = path.as_str().ok_or("\"path\" must be a string")?;
    let (container, object) = names::split_path(path)
        .ok_or("path does not refer to an object. Path must be of the form /container/object.")?;
    let text = |key: &str| match item.get(key) {
        None | Some(Value::Null) => Ok(None),
        Some(Value::String(text)) => Ok(Some(text.clone())),
        Some(_other) => Err(format!("\"{key}\" must be a string")),
    };
    let size_bytes = match item.get("size_bytes") {
        None | Some(Value::Null) => None,
        Some(Value::String(text)) => Some(text.parse().map_err(|_| "invalid size_bytes")?),
        Some(number) => Some(number.as_i64().ok_or("invalid size_bytes")?),
    };
    if size_bytes.is_some_and(|size| size < 1) {
        return Err("too small; each segment must be at least 1 byte.".to_owned());
    }
    Ok(Wish {
        path: format!("/{container}/{object}"),
        etag: text("etag")?.map(|etag| etag.trim_matches('"').to_ascii_lowercase()),
        size_bytes,
        range: text("range")?,
    })
}

/// The range of a wish against a segment of `size` bytes, as it is kept.
///
/// # Errors
/// In Swift's words.
pub(crate) fn range_of(asked: &str, size: u64) -> Result<String, String> {
    use super::range::{Wanted, wanted};
    match wanted(Some(&format!("bytes={asked}")), size) {
        Wanted::Parts(parts) => match parts.as_slice() {
            [part] => Ok(format!("{}-{}", part.start, part.end.saturating_sub(1))),
            _several => Err("Multiple Ranges".to_owned()),
        },
        Wanted::Nothing => Err("Unsatisfiable Range".to_owned()),
        Wanted::All => Err("Invalid Range".to_owned()),
    }
}

/// The tag of a large object: that of its segments' tags.
pub(crate) fn etag<'a>(segments: impl Iterator<Item = (&'a str, Option<&'a str>)>) -> String {
    let mut hash = Md5::new();
    for (etag, range) in segments {
        match range {
            Some(range) => hash.update(format!("{etag}:{range};")),
            None => hash.update(etag),
        }
    }
    hex::encode(hash.finalize())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_manifest_is_read_and_its_mistakes_are_named() {
        let good = br#"[{"path": "c/o", "etag": "AB", "size_bytes": "3", "range": "0-1"}, {"path": "/c/p/q"}]"#;
        let wishes = parse(good).unwrap();
        assert_eq!(wishes[0].path, "/c/o");
        assert_eq!(
            (wishes[0].etag.as_deref(), wishes[0].size_bytes),
            (Some("ab"), Some(3))
        );
        assert_eq!(wishes[1].path, "/c/p/q");
        for (bad, why) in [
            (&b"{"[..], "valid JSON"),
            (b"{}", "must be a list"),
            (b"[]", "at least one"),
            (b"[1]", "Index 0: not a JSON object"),
            (br#"[{"path": "c"}]"#, "does not refer to an object"),
            (br#"[{"path": "c/o", "data": "x"}]"#, "extraneous"),
            (br#"[{"path": "c/o", "size_bytes": 0}]"#, "too small"),
        ] {
            assert!(parse(bad).unwrap_err().contains(why), "{why}");
        }
    }

    #[test]
    fn ranges_of_segments() {
        assert_eq!(range_of("-2", 10).as_deref(), Ok("8-9"));
        assert_eq!(range_of("0-", 10).as_deref(), Ok("0-9"));
        assert!(
            range_of("0-1,3-4", 10).is_err()
                && range_of("x", 10).is_err()
                && range_of("20-", 10).is_err()
        );
    }
}
