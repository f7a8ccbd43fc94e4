//! The fields of a server that its owner writes, in the forms that Nova takes.

use std::collections::BTreeMap;
use std::net::IpAddr;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use nephos_api::Fault;
use nephos_api::version::v;
use nephos_auth::Target;

use super::Cx;
use super::fault::invalid_text;
use super::server_create::{File, NewServer};
use crate::model::name;
use crate::rules;

/// User data, encoded (Nova's limit is 65535 characters of base64).
const USER_DATA_CHARS: usize = 65_535;

/// What the owner of a new server writes, checked as Nova's schema does before anything is looked up.
pub(super) struct Fields {
    pub(super) name: String,
    pub(super) hostname: Option<String>,
    pub(super) user_data: Option<String>,
    pub(super) files: Vec<(String, String)>,
    pub(super) metadata: BTreeMap<String, String>,
    pub(super) tags: Vec<String>,
    pub(super) access_ipv4: String,
    pub(super) access_ipv6: String,
    pub(super) disk_config: String,
}

/// Reads them.
pub(super) fn fields(cx: &Cx, new: &NewServer) -> Result<Fields, Fault> {
    let text = |given: &Option<String>| given.clone().unwrap_or_default();
    name::check_description(new.description.as_deref(), name::MAX_NAME)
        .map_err(Fault::bad_request)?;
    Ok(Fields {
        name: name::check("name", &new.name).map_err(Fault::bad_request)?,
        hostname: match &new.hostname {
            Some(asked) => Some(hostname(cx, asked)?),
            None => None,
        },
        user_data: new.user_data.as_deref().map(user_data).transpose()?,
        files: files(new.personality.as_deref().unwrap_or_default())?,
        metadata: super::server_metadata::check(&new.metadata)?,
        tags: super::server_tags::check(new.tags.as_deref().unwrap_or_default())?,
        access_ipv4: address("accessIPv4", &text(&new.access_ipv4), false)?,
        access_ipv6: address("accessIPv6", &text(&new.access_ipv6), true)?,
        disk_config: disk_config(new.disk_config.as_deref().unwrap_or("MANUAL"))?,
    })
}

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
        return Err(invalid_text("user_data", text, "is too long"));
    }
    if STANDARD.decode(&compact).is_err() {
        return Err(invalid_text("user_data", text, "is not a 'base64'"));
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
        _other => {
            let kind = if six { "ipv6" } else { "ipv4" };
            Err(invalid_text(field, text, format!("is not a '{kind}'")))
        }
    }
}

/// `AUTO` or `MANUAL`.
pub(crate) fn disk_config(word: &str) -> Result<String, Fault> {
    match word {
        "AUTO" | "MANUAL" => Ok(word.to_owned()),
        other => {
            let field = "OS-DCF:diskConfig";
            Err(invalid_text(
                field,
                other,
                "is not one of ['AUTO', 'MANUAL']",
            ))
        }
    }
}

pub(super) fn files(asked: &[File]) -> Result<Vec<(String, String)>, Fault> {
    let file = |file: &File| {
        let compact: String = file.contents.split_whitespace().collect();
        match STANDARD.decode(&compact) {
            Ok(_) if !file.path.is_empty() => Ok((file.path.clone(), compact)),
            Ok(_) => Err(invalid_text("path", "", "is too short")),
            Err(_) => Err(invalid_text(
                "contents",
                &file.contents,
                "is not a 'base64'",
            )),
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
        return Err(invalid_text("hostname", text, "is no host name"));
    }
    Ok(text.to_owned())
}
