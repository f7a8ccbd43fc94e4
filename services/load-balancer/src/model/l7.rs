//! L7 policies and rules: which requests go another way.

use serde::{Deserialize, Serialize};

use super::body::{Fields, missing};
use super::refusal::Refusal;
use super::words;

/// What only L7 policies have.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Policy {
    pub action: String,
    pub redirect_pool_id: Option<String>,
    pub redirect_url: Option<String>,
    pub redirect_prefix: Option<String>,
    pub redirect_http_code: Option<u16>,
    /// From 1 on, without gaps.
    pub position: i64,
}

/// What only L7 rules have.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Rule {
    #[serde(rename = "type")]
    pub kind: String,
    pub compare_type: String,
    pub key: Option<String>,
    pub value: String,
    pub invert: bool,
}

/// Fields that only new policies have.
pub(crate) const NEW_POLICY: &[&str] = &[
    "listener_id",
    "project_id",
    "tenant_id",
    "rules",
    "redirect_pool",
];
/// Fields of policies that can change.
pub(crate) const CHANGE_POLICY: &[&str] = &[
    "action",
    "redirect_pool_id",
    "redirect_url",
    "redirect_prefix",
    "redirect_http_code",
    "position",
];
/// Fields of rules.
pub(crate) const RULE: &[&str] = &[
    "type",
    "compare_type",
    "key",
    "value",
    "invert",
    "admin_state_up",
    "tags",
    "project_id",
    "tenant_id",
];
const REJECT: &str = "REJECT";
const TO_POOL: &str = "REDIRECT_TO_POOL";
const TO_URL: &str = "REDIRECT_TO_URL";
const PREFIX: &str = "REDIRECT_PREFIX";
const ACTIONS: &[&str] = &[PREFIX, TO_POOL, TO_URL, REJECT];
const CODES: &[i64] = &[301, 302, 303, 307, 308];
/// Behind all others.
pub(crate) const LAST: i64 = 2_147_483_647;
const KINDS: &[&str] = &[
    "COOKIE",
    "FILE_TYPE",
    "HEADER",
    "HOST_NAME",
    "PATH",
    "SSL_CONN_HAS_CERT",
    "SSL_DN_FIELD",
    "SSL_VERIFY_RESULT",
];
const COMPARES: &[&str] = &["CONTAINS", "ENDS_WITH", "EQUAL_TO", "REGEX", "STARTS_WITH"];

impl Policy {
    pub(crate) fn new(fields: Fields<'_>) -> Result<Self, Refusal> {
        if fields.get("action").is_none() {
            return Err(missing("action"));
        }
        let mut new = Self {
            action: String::new(),
            redirect_pool_id: None,
            redirect_url: None,
            redirect_prefix: None,
            redirect_http_code: None,
            position: LAST,
        };
        new.change(fields)?;
        Ok(new)
    }

    /// Takes in what a body changes; where it sends requests says what it does with them, as in Octavia.
    pub(crate) fn change(&mut self, fields: Fields<'_>) -> Result<(), Refusal> {
        let pool = fields.uuid("redirect_pool_id")?;
        let url = checked_url(fields, "redirect_url")?;
        let prefix = checked_url(fields, "redirect_prefix")?;
        if pool.is_some() && (url.is_some() || prefix.is_some()) {
            return Err(arguments(
                "Cannot specify redirect_pool_id and redirect_url or redirect_prefix at the same time",
            ));
        }
        if let Some(action) = fields.word("action", ACTIONS)? {
            self.action = action;
        }
        for (given, action) in [(&pool, TO_POOL), (&url, TO_URL), (&prefix, PREFIX)] {
            let contradicts = fields.get("action").is_some() && self.action == REJECT;
            if given.is_some() && !contradicts {
                self.action = action.to_owned();
            }
        }
        self.redirect_pool_id = pool.or(self.redirect_pool_id.take());
        self.redirect_url = url.or(self.redirect_url.take());
        self.redirect_prefix = prefix.or(self.redirect_prefix.take());
        if let Some(code) = fields.number("redirect_http_code", (301, 308))? {
            if !CODES.contains(&code) {
                return Err(Refusal::input(
                    "redirect_http_code",
                    &code.into(),
                    "Value should be one of: 301, 302, 303, 307, 308",
                ));
            }
            self.redirect_http_code = u16::try_from(code).ok();
        }
        if let Some(position) = fields.number("position", (1, LAST))? {
            self.position = position;
        }
        self.settle()
    }

    /// Keeps only what its action uses, and refuses one that lacks it.
    fn settle(&mut self) -> Result<(), Refusal> {
        let lacks = |what: &str| arguments(&format!("{what} must not be None"));
        let action = self.action.as_str();
        if action != TO_POOL {
            self.redirect_pool_id = None;
        } else if self.redirect_pool_id.is_none() {
            return Err(lacks("redirect_pool_id"));
        }
        if action != TO_URL {
            self.redirect_url = None;
        } else if self.redirect_url.is_none() {
            return Err(lacks("redirect_url"));
        }
        if action != PREFIX {
            self.redirect_prefix = None;
        } else if self.redirect_prefix.is_none() {
            return Err(lacks("redirect_prefix"));
        }
        if matches!(action, REJECT | TO_POOL) {
            self.redirect_http_code = None;
        } else {
            let _default = self.redirect_http_code.get_or_insert(302);
        }
        Ok(())
    }
}

fn checked_url(fields: Fields<'_>, key: &str) -> Result<Option<String>, Refusal> {
    let given = fields.text(key)?;
    if let Some(text) = given {
        words::url(text)?;
    }
    Ok(given.map(str::to_owned))
}

fn arguments(what: &str) -> Refusal {
    Refusal::plain(format!("Invalid L7 Policy arguments: {what}"))
}

impl Rule {
    pub(crate) fn new(fields: Fields<'_>) -> Result<Self, Refusal> {
        for key in ["type", "compare_type", "value"] {
            if fields.get(key).is_none() {
                return Err(missing(key));
            }
        }
        let mut new = Self {
            kind: String::new(),
            compare_type: String::new(),
            key: None,
            value: String::new(),
            invert: false,
        };
        new.change(fields)?;
        Ok(new)
    }

    /// Takes in what a body changes.
    pub(crate) fn change(&mut self, fields: Fields<'_>) -> Result<(), Refusal> {
        if let Some(kind) = fields.word("type", KINDS)? {
            self.kind = kind;
        }
        if let Some(compare) = fields.word("compare_type", COMPARES)? {
            self.compare_type = compare;
        }
        if fields.has("key") {
            self.key = fields.text("key")?.map(str::to_owned);
        }
        if let Some(value) = fields.text("value")? {
            self.value = value.to_owned();
        }
        if fields.has("invert") {
            self.invert = fields.flag("invert")?.unwrap_or(false);
        }
        self.check()
    }

    fn check(&self) -> Result<(), Refusal> {
        let rule = |what: &str| Refusal::plain(format!("Invalid L7 Rule: {what}"));
        match self.kind.as_str() {
            "HEADER" | "COOKIE" => match &self.key {
                Some(key) => words::token(key, "key")?,
                None => return Err(rule("L7 rule type requires a key")),
            },
            "HOST_NAME" | "PATH" => {}
            "FILE_TYPE" => {
                if !matches!(self.compare_type.as_str(), "EQUAL_TO" | "REGEX") {
                    return Err(rule("invalid comparison type for rule type"));
                }
            }
            other => {
                return Err(Refusal::unsupported(format!(
                    "L7 rules of type {other}: listeners do not end TLS"
                )));
            }
        }
        words::visible(&self.value, "value")?;
        if self.compare_type == "REGEX" {
            words::pattern(&self.value).map_err(|why| {
                rule(&format!("value: unable to parse regular expression: {why}"))
            })?;
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use serde_json::{Value, json};

    use super::*;

    fn policy(body: &Value) -> Result<Policy, Refusal> {
        Policy::new(Fields::of(body, "l7policy").unwrap())
    }

    #[test]
    fn where_requests_go_says_what_is_done() {
        let pool = "2b1c6d8e-0000-4000-8000-000000000001";
        let made =
            policy(&json!({"action": "REDIRECT_TO_URL", "redirect_url": "http://a/"})).unwrap();
        assert_eq!(made.redirect_http_code, Some(302));
        let mut changed = made;
        let body = json!({"redirect_pool_id": pool});
        changed
            .change(Fields::of(&body, "l7policy").unwrap())
            .unwrap();
        assert_eq!(changed.action, TO_POOL);
        assert_eq!(
            (changed.redirect_url, changed.redirect_http_code),
            (None, None)
        );
        for odd in [
            json!({}),
            json!({"action": "JUMP"}),
            json!({"action": TO_POOL}),
            json!({"action": TO_URL}),
            json!({"action": TO_URL, "redirect_url": "a b"}),
            json!({"action": PREFIX}),
            json!({"action": TO_URL, "redirect_url": "http://a/", "redirect_pool_id": pool}),
            json!({"action": TO_URL, "redirect_url": "http://a/", "redirect_http_code": 304}),
            json!({"action": REJECT, "position": 0}),
        ] {
            assert!(policy(&odd).is_err(), "{odd}");
        }
    }

    #[test]
    fn rules_hold_together() {
        let check = |body: &Value| Rule::new(Fields::of(body, "rule").unwrap());
        assert!(
            check(&json!({"type": "PATH", "compare_type": "STARTS_WITH", "value": "/a"})).is_ok()
        );
        for odd in [
            json!({"type": "PATH", "compare_type": "STARTS_WITH"}),
            json!({"type": "PATH", "compare_type": "STARTS_WITH", "value": "a\nb"}),
            json!({"type": "HEADER", "compare_type": "EQUAL_TO", "value": "a"}),
            json!({"type": "HEADER", "compare_type": "EQUAL_TO", "value": "a", "key": "a b"}),
            json!({"type": "FILE_TYPE", "compare_type": "CONTAINS", "value": "a"}),
            json!({"type": "SSL_CONN_HAS_CERT", "compare_type": "EQUAL_TO", "value": "true"}),
            json!({"type": "PATH", "compare_type": "REGEX", "value": "("}),
        ] {
            assert!(check(&odd).is_err(), "{odd}");
        }
    }
}
