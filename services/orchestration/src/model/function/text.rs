//! Functions of texts.

use serde_json::{Map, Value};
use sha1::Digest as _;

use super::{Evaluated, MAX_TEXT, Trouble};

/// As Python's `str()`, which templates see; maps and lists as JSON.
pub(crate) fn shown(value: &Value) -> String {
    match value {
        Value::Null => String::new(),
        Value::Bool(true) => "True".to_owned(),
        Value::Bool(false) => "False".to_owned(),
        Value::String(text) => text.clone(),
        Value::Number(number) => number.to_string(),
        Value::Array(_) | Value::Object(_) => {
            let mut out = String::new();
            dump(value, &mut out);
            out
        }
    }
}

/// JSON as Python writes it: a space after each comma and colon, and nothing but ASCII.
fn dump(value: &Value, out: &mut String) {
    match value {
        Value::Array(items) => {
            out.push('[');
            for (at, item) in items.iter().enumerate() {
                out.push_str(if at > 0 { ", " } else { "" });
                dump(item, out);
            }
            out.push(']');
        }
        Value::Object(map) => {
            out.push('{');
            for (at, (key, value)) in map.iter().enumerate() {
                out.push_str(if at > 0 { ", " } else { "" });
                dump_text(key, out);
                out.push_str(": ");
                dump(value, out);
            }
            out.push('}');
        }
        Value::String(text) => dump_text(text, out),
        Value::Null | Value::Bool(_) | Value::Number(_) => out.push_str(&value.to_string()),
    }
}

fn dump_text(text: &str, out: &mut String) {
    for letter in Value::String(text.to_owned()).to_string().chars() {
        if letter.is_ascii() {
            out.push(letter);
        } else {
            let mut units = [0; 2];
            for unit in letter.encode_utf16(&mut units) {
                out.push_str(&format!("\\u{unit:04x}"));
            }
        }
    }
}

/// Refuses a text that is too long.
pub(super) fn within(length: usize) -> Result<(), Trouble> {
    if length <= MAX_TEXT {
        return Ok(());
    }
    Err(Trouble::wrong(format!(
        "The functions of the template make a text of more than {MAX_TEXT} bytes."
    )))
}

/// A value in the place of a name in a text: maps and lists as JSON whose keys are in order.
pub(super) fn in_text(value: &Value) -> String {
    match value {
        Value::Array(_) | Value::Object(_) => shown(&sorted(value)),
        plain => shown(plain),
    }
}

fn sorted(value: &Value) -> Value {
    match value {
        Value::Array(items) => items.iter().map(sorted).collect(),
        Value::Object(map) => {
            let mut pairs: Vec<(&String, &Value)> = map.iter().collect();
            pairs.sort_by_key(|(key, _)| *key);
            let pairs = pairs.into_iter();
            Value::Object(
                pairs
                    .map(|(key, value)| (key.clone(), sorted(value)))
                    .collect(),
            )
        }
        plain => plain.clone(),
    }
}

/// A piece of a text: as it was, or what has taken a name's place, in which no name counts.
enum Piece {
    Given(String),
    Filled(String),
}

/// Puts a value in all places of a name; whether there were any. `made` are the bytes of what was put in so far.
fn fill(
    pieces: Vec<Piece>,
    (name, value): (&str, &str),
    made: &mut usize,
) -> Result<(Vec<Piece>, bool), Trouble> {
    let mut out = Vec::with_capacity(pieces.len());
    let mut found = false;
    for piece in pieces {
        let Piece::Given(text) = piece else {
            out.push(piece);
            continue;
        };
        for (at, part) in text.split(name).enumerate() {
            if at > 0 {
                found = true;
                *made = made.saturating_add(value.len());
                within(*made)?;
                out.push(Piece::Filled(value.to_owned()));
            }
            if !part.is_empty() {
                out.push(Piece::Given(part.to_owned()));
            }
        }
    }
    Ok((out, found))
}

pub(super) fn replace(name: &str, args: &Value) -> Evaluated {
    let wrong = || {
        Trouble::wrong(format!(
            "Arguments to \"{name}\" must be a map with \"template\" and \"params\""
        ))
    };
    let map = args.as_object().ok_or_else(wrong)?;
    let template = map.get("template").ok_or_else(wrong)?;
    put_in(name, map.get("params").ok_or_else(wrong)?, template)
}

/// Puts values in the place of names. The longest name goes first, over the whole text.
pub(super) fn put_in(name: &str, params: &Value, template: &Value) -> Evaluated {
    let params = match params {
        Value::Object(params) => params.clone(),
        Value::Null => Map::new(),
        _other => {
            return Err(Trouble::wrong(format!(
                "\"{name}\" parameters must be a mapping"
            )));
        }
    };
    let template = match template {
        Value::String(text) => text,
        Value::Null => return Ok(Value::Null),
        _other => {
            return Err(Trouble::wrong(format!(
                "\"{name}\" template must be a string"
            )));
        }
    };
    let mut keys: Vec<(&String, &Value)> =
        params.iter().filter(|(key, _)| !key.is_empty()).collect();
    let length = |key: &str| key.chars().count();
    keys.sort_by(|(left, _), (right, _)| length(right).cmp(&length(left)).then(left.cmp(right)));
    if name == "str_replace_vstrict"
        && let Some((key, _)) = keys.iter().find(|(_, value)| is_empty(value))
    {
        return Err(Trouble::wrong(format!(
            "{name} has an undefined or empty value for param {key}, must be a defined non-empty value"
        )));
    }
    let mut pieces = vec![Piece::Given(template.clone())];
    let mut unused: Vec<&str> = Vec::new();
    let mut made = 0;
    for (key, value) in keys {
        let (filled, found) = fill(pieces, (key, &in_text(value)), &mut made)?;
        pieces = filled;
        if !found {
            unused.push(key);
        }
    }
    if name != "str_replace" && name != "Fn::Replace" && !unused.is_empty() {
        return Err(Trouble::wrong(format!(
            "The following params were not found in the template: {}",
            unused.join(",")
        )));
    }
    let texts: Vec<String> = pieces
        .into_iter()
        .map(|(Piece::Given(text) | Piece::Filled(text))| text)
        .collect();
    within(texts.iter().map(String::len).sum())?;
    Ok(Value::String(texts.concat()))
}

/// Nothing, or nothing in it.
fn is_empty(value: &Value) -> bool {
    match value {
        Value::Null => true,
        Value::String(text) => text.is_empty(),
        Value::Array(items) => items.is_empty(),
        Value::Object(map) => map.is_empty(),
        Value::Bool(_) | Value::Number(_) => false,
    }
}

pub(super) fn join(args: &Value) -> Evaluated {
    let wrong = || {
        Trouble::wrong(
            "Incorrect arguments to \"list_join\" should be: [\" \", [\"str1\", \"str2\"]]",
        )
    };
    let items = args.as_array().ok_or_else(wrong)?;
    let (delimiter, lists) = items.split_first().ok_or_else(wrong)?;
    let delimiter = delimiter.as_str().ok_or_else(wrong)?;
    let mut texts = Vec::new();
    for list in lists {
        match list {
            Value::Array(items) => texts.extend(items.iter().map(in_text)),
            nothing if is_empty(nothing) => {}
            _other => return Err(Trouble::wrong("Items to join must be lists")),
        }
    }
    let length = texts.iter().map(String::len).sum::<usize>();
    within(length.saturating_add(texts.len().saturating_mul(delimiter.len())))?;
    Ok(Value::String(texts.join(delimiter)))
}

pub(super) fn split(args: &Value) -> Evaluated {
    let wrong = || {
        Trouble::wrong(
            "Incorrect arguments to \"str_split\" should be: [\",\", \"string to split\", (index)]",
        )
    };
    let (delimiter, text, index) = match args.as_array().map(Vec::as_slice) {
        Some([delimiter, text]) => (delimiter, text, None),
        Some([delimiter, text, index]) => (delimiter, text, Some(index)),
        _other => return Err(wrong()),
    };
    let delimiter = delimiter
        .as_str()
        .filter(|text| !text.is_empty())
        .ok_or_else(wrong)?;
    if text.is_null() {
        return Ok(Value::Null);
    }
    let parts: Vec<Value> = text
        .as_str()
        .ok_or_else(wrong)?
        .split(delimiter)
        .map(Value::from)
        .collect();
    let Some(index) = index else {
        return Ok(Value::Array(parts));
    };
    let at = index
        .as_i64()
        .or_else(|| index.as_str()?.trim().parse().ok())
        .ok_or_else(wrong)?;
    let found = position(at, parts.len())
        .and_then(|at| parts.get(at))
        .cloned();
    found.ok_or_else(|| {
        Trouble::wrong(format!(
            "Incorrect index to \"str_split\" should be between 0 and {}",
            parts.len().saturating_sub(1)
        ))
    })
}

/// Where something stands among so many, also counted from the end: -1 is the last.
pub(super) fn position(at: i64, count: usize) -> Option<usize> {
    let count = i64::try_from(count).ok()?;
    usize::try_from(if at < 0 { at.checked_add(count)? } else { at }).ok()
}

/// The digest of an algorithm whose library stands on a newer release of the trait.
fn newer<D: sha3::Digest>(bytes: &[u8]) -> String {
    hex::encode(D::digest(bytes))
}

pub(super) fn digest(args: &Value) -> Evaluated {
    let wrong = || Trouble::wrong("Argument to \"digest\" must be of the form: [algorithm, value]");
    let (algorithm, text) = match args.as_array().map(Vec::as_slice) {
        Some([Value::String(algorithm), Value::String(text)]) => (algorithm, text),
        // A value that is not known yet.
        Some([Value::String(_), Value::Null]) => return Ok(Value::Null),
        _other => return Err(wrong()),
    };
    let bytes: Option<Vec<u8>> = text
        .chars()
        .map(|letter| u8::try_from(u32::from(letter)).ok())
        .collect();
    let bytes = bytes.ok_or_else(|| {
        Trouble::wrong("\"digest\": the value has characters that are not in Latin-1.")
    })?;
    let hex = match algorithm.to_ascii_lowercase().as_str() {
        "md5" => hex::encode(md5::Md5::digest(bytes)),
        "sha1" => hex::encode(sha1::Sha1::digest(bytes)),
        "sha224" => hex::encode(sha2::Sha224::digest(bytes)),
        "sha256" => hex::encode(sha2::Sha256::digest(bytes)),
        "sha384" => hex::encode(sha2::Sha384::digest(bytes)),
        "sha512" => hex::encode(sha2::Sha512::digest(bytes)),
        "sha512_224" => hex::encode(sha2::Sha512_224::digest(bytes)),
        "sha512_256" => hex::encode(sha2::Sha512_256::digest(bytes)),
        "sha3_224" => newer::<sha3::Sha3_224>(&bytes),
        "sha3_256" => newer::<sha3::Sha3_256>(&bytes),
        "sha3_384" => newer::<sha3::Sha3_384>(&bytes),
        "sha3_512" => newer::<sha3::Sha3_512>(&bytes),
        "blake2b" => newer::<blake2::Blake2b512>(&bytes),
        "blake2s" => newer::<blake2::Blake2s256>(&bytes),
        _other => {
            return Err(Trouble::wrong(format!(
                "Algorithm must be one of md5, sha1, sha224, sha256, sha384, sha512, sha512_224, sha512_256, sha3_224, sha3_256, sha3_384, sha3_512, blake2b, blake2s, not {algorithm}"
            )));
        }
    };
    Ok(Value::String(hex))
}
