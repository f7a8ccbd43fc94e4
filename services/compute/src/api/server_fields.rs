//! The fields of a server that its owner writes, in the forms that Nova takes.

use std::net::IpAddr;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use nephos_api::Fault;
use nephos_api::version::v;
use nephos_auth::Target;

use super::Cx;
use super::server_create::{File, NewServer};
use crate::rules;

/// User data, encoded (Nova's limit is 65535 characters of base64).
const USER_DATA_CHARS: usize = 65_535;

/// `zone`, or for admins `zone:host`; from 2.74 on `host` by its own key.
pub(super) fn zone_and_host(
    cx: &Cx,
    new: &NewServer,
) -> Result<(Option<String>, Option<String>), Fault> {
    let asked = new
        .availability_zone
        .as_deref()
        .filter(|zone| !zone.is_empty());
    let (zone, host) = match asked.and_then(|asked| asked.split_once(':')) {
        Some((zone, host)) => {
            let host = host.split(':').next().unwrap_or_default();
            (
                Some(zone.to_owned()).filter(|zone| !zone.is_empty()),
                Some(host.to_owned()),
            )
        }
        None => (asked.map(str::to_owned), None),
    };
    let host = host.filter(|host| !host.is_empty());
    let host = host
        .or_else(|| new.host.clone())
        .or_else(|| new.hypervisor_hostname.clone());
    if host.is_some() {
        cx.require(rules::CreateServerOnHost, &Target::new())?;
    }
    Ok((zone, host))
}

pub(super) fn user_data(text: &str) -> Result<String, Fault> {
    let compact: String = text.split_whitespace().collect();
    if text.len() > USER_DATA_CHARS {
        return Err(Fault::bad_request(format!(
            "Invalid input for field/attribute user_data. It is longer than {USER_DATA_CHARS} characters."
        )));
    }
    if STANDARD.decode(&compact).is_err() {
        return Err(Fault::bad_request(
            "Invalid input for field/attribute user_data. It must be base64.",
        ));
    }
    Ok(compact)
}

/// An address that the owner notes; empty is none.
pub(crate) fn address(field: &str, text: &str, six: bool) -> Result<String, Fault> {
    if text.is_empty() {
        return Ok(String::new());
    }
    match text.parse::<IpAddr>() {
        Ok(address) if address.is_ipv6() == six => Ok(address.to_string()),
        _other => Err(Fault::bad_request(format!(
            "Invalid input for field/attribute {field}. Value: {text}. It is no IPv{} address.",
            if six { 6 } else { 4 }
        ))),
    }
}

/// `AUTO` or `MANUAL`.
pub(crate) fn disk_config(word: &str) -> Result<String, Fault> {
    match word {
        "AUTO" | "MANUAL" => Ok(word.to_owned()),
        other => Err(Fault::bad_request(format!(
            "Invalid input for field/attribute OS-DCF:diskConfig. '{other}' is neither AUTO nor MANUAL."
        ))),
    }
}

pub(super) fn files(asked: &[File]) -> Result<Vec<(String, String)>, Fault> {
    let file = |file: &File| {
        let compact: String = file.contents.split_whitespace().collect();
        match STANDARD.decode(&compact) {
            Ok(_) if !file.path.is_empty() => Ok((file.path.clone(), compact)),
            _wrong => Err(Fault::bad_request(format!(
                "Invalid input for field/attribute contents. The file '{}' needs a path and base64 content.",
                file.path
            ))),
        }
    };
    asked.iter().map(file).collect()
}

/// A host name that the user chose: letters, digits and hyphens; from 2.94 on with dots; 255 characters.
pub(crate) fn hostname(cx: &Cx, text: &str) -> Result<String, Fault> {
    let label = |label: &str| {
        !label.is_empty()
            && label.len() <= 63
            && !label.starts_with('-')
            && !label.ends_with('-')
            && label.chars().all(|c| c.is_ascii_alphanumeric() || c == '-')
    };
    let dotted = text.contains('.') && cx.version < v(2, 94);
    if text.len() > 255 || dotted || !text.split('.').all(label) {
        return Err(Fault::bad_request(format!(
            "Invalid input for field/attribute hostname. '{text}' is no host name."
        )));
    }
    Ok(text.to_owned())
}
