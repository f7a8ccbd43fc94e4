//! Functions of texts.

use percent_encoding::{AsciiSet, NON_ALPHANUMERIC, utf8_percent_encode};
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

pub(super) fn replace(name: &str, args: &Value) -> Evaluated {
    let wrong = || {
        Trouble::wrong(format!(
            "Arguments to \"{name}\" must be a map with \"template\" and \"params\""
        ))
    };
    let map = args
        .as_object()
        .filter(|map| map.len() == 2)
        .ok_or_else(wrong)?;
    let template = map.get("template").ok_or_else(wrong)?;
    let params = match map.get("params").ok_or_else(wrong)? {
        Value::Object(params) => params.clone(),
        Value::Null => Map::new(),
        _other => return Err(wrong()),
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
    // Longest first, so that a name which begins another one does not spoil it.
    keys.sort_by(|left, right| right.0.len().cmp(&left.0.len()).then(left.0.cmp(right.0)));
    if name != "str_replace"
        && let Some((unused, _)) = keys
            .iter()
            .find(|(key, _)| !template.contains(key.as_str()))
    {
        return Err(Trouble::wrong(format!(
            "The following params were not found in the template: {unused}"
        )));
    }
    if name == "str_replace_vstrict" {
        let empty = |value: &Value| value.is_null() || value.as_str().is_some_and(str::is_empty);
        if let Some((key, _)) = keys.iter().find(|(_, value)| empty(value)) {
            return Err(Trouble::wrong(format!(
                "\"{name}\" parameter {key} has no value"
            )));
        }
    }
    let mut out = String::with_capacity(template.len());
    let mut rest = template.as_str();
    while let Some(first) = rest.chars().next() {
        match keys.iter().find(|(key, _)| rest.starts_with(key.as_str())) {
            Some((key, value)) => {
                out.push_str(&shown(value));
                within(out.len())?;
                rest = rest.get(key.len()..).unwrap_or_default();
            }
            None => {
                out.push(first);
                rest = rest.get(first.len_utf8()..).unwrap_or_default();
            }
        }
    }
    Ok(Value::String(out))
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
            Value::Array(items) => texts.extend(items.iter().map(shown)),
            Value::Null => {}
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
        .as_u64()
        .or_else(|| index.as_str()?.parse().ok())
        .ok_or_else(wrong)?;
    let found = usize::try_from(at)
        .ok()
        .and_then(|at| parts.get(at))
        .cloned();
    found.ok_or_else(|| {
        Trouble::wrong(format!(
            "Incorrect index to \"str_split\" should be between 0 and {}",
            parts.len().saturating_sub(1)
        ))
    })
}

pub(super) fn digest(args: &Value) -> Evaluated {
    let wrong = || Trouble::wrong("Argument to \"digest\" must be of the form: [algorithm, value]");
    let (algorithm, text) = match args.as_array().map(Vec::as_slice) {
        Some([Value::String(algorithm), Value::String(text)]) => {
            (algorithm.as_str(), text.as_bytes())
        }
        _other => return Err(wrong()),
    };
    let hex = match algorithm {
        "md5" => hex::encode(md5::Md5::digest(text)),
        "sha1" => hex::encode(sha1::Sha1::digest(text)),
        "sha224" => hex::encode(sha2::Sha224::digest(text)),
        "sha256" => hex::encode(sha2::Sha256::digest(text)),
        "sha384" => hex::encode(sha2::Sha384::digest(text)),
        "sha512" => hex::encode(sha2::Sha512::digest(text)),
        other => {
            return Err(Trouble::wrong(format!(
                "Algorithm must be one of md5, sha1, sha224, sha256, sha384, sha512, not {other}"
            )));
        }
    };
    Ok(Value::String(hex))
}

const IN_URL: &AsciiSet = &NON_ALPHANUMERIC
    .remove(b'-')
    .remove(b'.')
    .remove(b'_')
    .remove(b'~');
const IN_PATH: &AsciiSet = &IN_URL.remove(b'/');

pub(super) fn make_url(args: &Value) -> Evaluated {
    const PARTS: [&str; 8] = [
        "scheme", "username", "password", "host", "port", "path", "query", "fragment",
    ];
    let map = args
        .as_object()
        .ok_or_else(|| Trouble::wrong("The arguments to \"make_url\" must be a map"))?;
    if let Some(unknown) = map.keys().find(|key| !PARTS.contains(&key.as_str())) {
        return Err(Trouble::wrong(format!(
            "Invalid arguments to \"make_url\": {unknown}"
        )));
    }
    let part = |name: &str| map.get(name).map(shown).filter(|text| !text.is_empty());
    let encoded = |text: &str| utf8_percent_encode(text, IN_URL).to_string();
    let mut url = String::new();
    if let Some(scheme) = part("scheme") {
        if scheme.contains(':') {
            return Err(Trouble::wrong("make_url: a scheme has no colon"));
        }
        url.push_str(&scheme);
        url.push(':');
    }
    let mut place = String::new();
    if let Some(user) = part("username") {
        place.push_str(&encoded(&user));
        if let Some(password) = part("password") {
            place.push(':');
            place.push_str(&encoded(&password));
        }
        place.push('@');
    }
    if let Some(host) = part("host") {
        let bare = host.trim_start_matches('[').trim_end_matches(']');
        if bare.contains(':') {
            place.push_str(&format!("[{bare}]"));
        } else {
            place.push_str(bare);
        }
    }
    if let Some(port) = part("port") {
        port.parse::<u16>()
            .map_err(|_| Trouble::wrong(format!("make_url: Invalid port: \"{port}\"")))?;
        place.push(':');
        place.push_str(&port);
    }
    if !place.is_empty() {
        url.push_str("//");
        url.push_str(&place);
    }
    if let Some(path) = part("path") {
        if !place.is_empty() && !path.starts_with('/') {
            url.push('/');
        }
        url.push_str(&utf8_percent_encode(&path, IN_PATH).to_string());
    }
    if let Some(Value::Object(query)) = map.get("query") {
        let pairs: Vec<String> = query
            .iter()
            .map(|(key, value)| format!("{}={}", encoded(key), encoded(&shown(value))))
            .collect();
        if !pairs.is_empty() {
            url.push('?');
            url.push_str(&pairs.join("&"));
        }
    }
    if let Some(fragment) = part("fragment") {
        url.push('#');
        url.push_str(&encoded(&fragment));
    }
    Ok(Value::String(url))
}
