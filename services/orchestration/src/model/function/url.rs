//! Puts a URL together, as Python's `urllib` does.

use percent_encoding::{AsciiSet, NON_ALPHANUMERIC, utf8_percent_encode};
use serde_json::Value;

use super::text::shown;
use super::{Evaluated, Trouble};

const IN_URL: &AsciiSet = &NON_ALPHANUMERIC
    .remove(b'-')
    .remove(b'.')
    .remove(b'_')
    .remove(b'~');
const IN_PATH: &AsciiSet = &IN_URL.remove(b'/');
const IN_HOST: &AsciiSet = &IN_URL.remove(b':');
/// In a query a space is a plus.
const IN_QUERY: &AsciiSet = &IN_PATH.remove(b' ');
/// Schemes whose addresses have a host, if only an empty one.
const WITH_HOST: [&str; 25] = [
    "ftp", "http", "gopher", "nntp", "telnet", "imap", "wais", "file", "mms", "https", "shttp",
    "snews", "prospero", "rtsp", "rtsps", "rtspu", "rsync", "svn", "svn+ssh", "sftp", "nfs", "git",
    "git+ssh", "ws", "wss",
];

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
    let in_query = |text: &str| {
        utf8_percent_encode(text, IN_QUERY)
            .to_string()
            .replace(' ', "+")
    };
    let scheme = part("scheme").unwrap_or_default();
    if scheme.contains(':') {
        return Err(Trouble::wrong("URL \"scheme\" should not contain ':'"));
    }
    let mut place = String::new();
    let (user, password) = (part("username"), part("password"));
    if user.is_some() || password.is_some() {
        place.push_str(&encoded(&user.unwrap_or_default()));
        if let Some(password) = password {
            place.push(':');
            place.push_str(&encoded(&password));
        }
        place.push('@');
    }
    if let Some(host) = part("host") {
        let inside = host
            .strip_prefix('[')
            .and_then(|host| host.strip_suffix(']'));
        let bare = utf8_percent_encode(inside.unwrap_or(&host), IN_HOST).to_string();
        if bare.contains(':') {
            place.push_str(&format!("[{bare}]"));
        } else {
            place.push_str(&bare);
        }
    }
    if let Some(port) = part("port") {
        let number: Option<u16> = port.parse().ok().filter(|port| *port > 0);
        let number = number.ok_or_else(|| {
            Trouble::wrong(format!(
                "Invalid URL port \"{port}\", must be in range 1-65535"
            ))
        })?;
        place.push_str(&format!(":{number}"));
    }
    let path = part("path").unwrap_or_default();
    let path = utf8_percent_encode(&path, IN_PATH).to_string();
    let empty_host = path.starts_with("//")
        || (WITH_HOST.contains(&scheme.as_str()) && (path.is_empty() || path.starts_with('/')));
    let mut url = if scheme.is_empty() {
        String::new()
    } else {
        format!("{scheme}:")
    };
    if !place.is_empty() || empty_host {
        url.push_str("//");
        url.push_str(&place);
    }
    if !place.is_empty() && !path.is_empty() && !path.starts_with('/') {
        url.push('/');
    }
    url.push_str(&path);
    if let Some(Value::Object(query)) = map.get("query") {
        let pairs: Vec<String> = query
            .iter()
            .map(|(key, value)| format!("{}={}", in_query(key), in_query(&shown(value))))
            .collect();
        if !pairs.is_empty() {
            url.push('?');
            url.push_str(&pairs.join("&"));
        }
    }
    if let Some(fragment) = part("fragment") {
        url.push('#');
        url.push_str(&utf8_percent_encode(&fragment, IN_PATH).to_string());
    }
    Ok(Value::String(url))
}
