//! Health monitors: who looks whether members live.

use serde::{Deserialize, Serialize};
use serde_json::Value;

use super::body::{Fields, missing};
use super::refusal::Refusal;
use super::words;

/// What only health monitors have.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub(crate) struct Monitor {
    /// `HTTP`, `PING` or `TCP`.
    #[serde(rename = "type")]
    pub kind: String,
    pub delay: u32,
    pub timeout: u32,
    pub max_retries: u8,
    pub max_retries_down: u8,
    pub http_method: Option<String>,
    pub url_path: Option<String>,
    pub expected_codes: Option<String>,
    /// 1.0 or 1.1.
    pub http_version: Option<f64>,
    pub domain_name: Option<String>,
}

/// Fields that only new monitors have.
pub(crate) const NEW: &[&str] = &["pool_id", "type", "project_id", "tenant_id"];
/// Fields that can change.
pub(crate) const CHANGE: &[&str] = &[
    "delay",
    "timeout",
    "max_retries",
    "max_retries_down",
    "http_method",
    "url_path",
    "expected_codes",
    "http_version",
    "domain_name",
];
const KINDS: &[&str] = &[
    "HTTP",
    "HTTPS",
    "PING",
    "SCTP",
    "TCP",
    "TLS-HELLO",
    "UDP-CONNECT",
];
const METHODS: &[&str] = &[
    "CONNECT", "DELETE", "GET", "HEAD", "OPTIONS", "PATCH", "POST", "PUT", "TRACE",
];
/// Longest delays and timeouts, in seconds: a day.
const MAX_SECONDS: i64 = 86_400;
const OF_HTTP: [&str; 3] = ["http_method", "url_path", "expected_codes"];

impl Monitor {
    pub(crate) fn new(fields: Fields<'_>) -> Result<Self, Refusal> {
        let kind = fields.word("type", KINDS)?.ok_or_else(|| missing("type"))?;
        if !matches!(kind.as_str(), "HTTP" | "PING" | "TCP") {
            return Err(Refusal::unsupported(format!(
                "health monitors of type {kind}; HTTP, TCP and PING are offered"
            )));
        }
        for key in ["delay", "timeout", "max_retries"] {
            if fields.get(key).is_none() {
                return Err(missing(key));
            }
        }
        let http = kind == "HTTP";
        let or = |text: &str| http.then(|| text.to_owned());
        let mut new = Self {
            kind,
            delay: 1,
            timeout: 1,
            max_retries: 1,
            max_retries_down: 3,
            http_method: or("GET"),
            url_path: or("/"),
            expected_codes: or("200"),
            http_version: None,
            domain_name: None,
        };
        new.change(fields)?;
        Ok(new)
    }

    /// Takes in what a body changes.
    pub(crate) fn change(&mut self, fields: Fields<'_>) -> Result<(), Refusal> {
        for (key, field) in [("delay", &mut self.delay), ("timeout", &mut self.timeout)] {
            if fields.has(key) {
                let given = fields.needed_number(key, (1, MAX_SECONDS))?;
                *field = u32::try_from(given).unwrap_or(u32::MAX);
            }
        }
        if fields.has("max_retries") {
            self.max_retries = retries(fields.needed_number("max_retries", (1, 10))?);
        }
        if fields.has("max_retries_down") {
            let given = fields.number("max_retries_down", (1, 10))?;
            self.max_retries_down = retries(given.unwrap_or(3));
        }
        if self.kind == "HTTP" {
            self.change_http(fields)?;
        } else if let Some(key) = OF_HTTP.iter().find(|key| fields.get(key).is_some()) {
            return Err(Refusal::option(
                *key,
                &format!("health monitors of type {}", self.kind),
            ));
        }
        if fields.has("http_version") {
            self.http_version = http_version(fields)?;
        }
        if fields.has("domain_name") {
            let given = fields.text("domain_name")?.filter(|text| !text.is_empty());
            if let Some(odd) = given.filter(|name| !words::is_host_name(name)) {
                return Err(Refusal::input(
                    "domain_name",
                    &odd.into(),
                    "Value should be the name of a host.",
                ));
            }
            self.domain_name = given.map(str::to_owned);
        }
        match (&self.domain_name, self.http_version) {
            (Some(_), None) => Err(Refusal::invalid(
                "'http_version' must be specified when 'domain_name' is provided.",
            )),
            (Some(_), Some(version)) if version < 1.1 => Err(Refusal::option(
                format!("http_version {version:.1}"),
                "health monitors HTTP 1.1 domain name health check",
            )),
            _fine => Ok(()),
        }
    }

    fn change_http(&mut self, fields: Fields<'_>) -> Result<(), Refusal> {
        if fields.has("http_method") {
            let given = fields.word("http_method", METHODS)?;
            self.http_method = given.or_else(|| Some("GET".to_owned()));
        }
        if fields.has("url_path") {
            let given = fields.text("url_path")?.unwrap_or("/");
            words::url_path(given)?;
            self.url_path = Some(given.to_owned());
        }
        if fields.has("expected_codes") {
            let given = fields.text("expected_codes")?.unwrap_or("200");
            if !words::is_codes(given) {
                let why = "Value should be codes like 200, 200,202 or 200-204.";
                return Err(Refusal::input("expected_codes", &given.into(), why));
            }
            self.expected_codes = Some(given.replace(' ', ""));
        }
        Ok(())
    }
}

fn retries(given: i64) -> u8 {
    u8::try_from(given).unwrap_or(u8::MAX)
}

fn http_version(fields: Fields<'_>) -> Result<Option<f64>, Refusal> {
    let Some(value) = fields.get("http_version") else {
        return Ok(None);
    };
    let number = match value {
        Value::Number(number) => Some(number.to_string()),
        Value::String(text) => Some(text.clone()),
        _other => None,
    };
    match number.as_deref() {
        Some("1.0" | "1") => Ok(Some(1.0)),
        Some("1.1") => Ok(Some(1.1)),
        _other => Err(Refusal::input(
            "http_version",
            value,
            "Value should be one of: 1.0, 1.1",
        )),
    }
}
