//! What can go wrong when a sibling is asked.

use serde_json::Value;

/// A sibling refused, or did not answer.
#[derive(Clone, Debug, thiserror::Error)]
#[error("{service} {}: {message}", status.map_or_else(|| "did not answer".to_owned(), |code| format!("answered {code}")))]
pub struct PeerError {
    /// Which sibling.
    pub service: &'static str,
    /// Its status; none when there was no answer.
    pub status: Option<u16>,
    /// Its name for the fault, where its format has one: `NetworkNotFound`, `placement.concurrent_update`.
    pub kind: String,
    /// Its words.
    pub message: String,
}

impl PeerError {
    /// No answer at all.
    pub(crate) fn silent(service: &'static str, why: impl std::fmt::Display) -> Self {
        Self {
            service,
            status: None,
            kind: String::new(),
            message: why.to_string(),
        }
    }

    /// A refusal, with the words found in the body of whatever fault format the sibling has.
    pub(crate) fn refused(service: &'static str, status: u16, body: &[u8]) -> Self {
        let value: Value = serde_json::from_slice(body).unwrap_or(Value::Null);
        let inner = first_object(&value);
        let text = |keys: &[&str]| {
            let found = keys.iter().find_map(|key| inner.get(*key)?.as_str());
            found.unwrap_or_default().to_owned()
        };
        let mut message = text(&["message", "detail", "explanation", "faultstring"]);
        if message.is_empty() {
            let shown = body.get(..body.len().min(200)).unwrap_or_default();
            message = String::from_utf8_lossy(shown).into_owned();
        }
        Self {
            service,
            status: Some(status),
            kind: text(&["type", "code", "title"]),
            message,
        }
    }

    /// The sibling has no such thing.
    #[must_use]
    pub fn is_not_found(&self) -> bool {
        self.status == Some(404)
    }

    /// The sibling's state does not allow it now.
    #[must_use]
    pub fn is_conflict(&self) -> bool {
        self.status == Some(409)
    }

    /// Worth trying again without changing anything: no answer, or the sibling's own trouble. What it does not offer (501)
    /// it will not offer later either.
    #[must_use]
    pub fn is_transient(&self) -> bool {
        self.status
            .is_none_or(|code| (code >= 500 && code != 501) || code == 429)
    }
}

/// `{"x": {…}}` and `{"errors": [{…}]}` hold the words one level down.
fn first_object(value: &Value) -> &Value {
    let Some(object) = value.as_object() else {
        return value;
    };
    match object.values().next() {
        Some(inner @ Value::Object(_)) if !object.contains_key("message") => inner,
        Some(Value::Array(items)) => items.first().unwrap_or(value),
        _flat => value,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[track_caller]
    fn check(body: &str, kind: &str, message: &str) {
        let error = PeerError::refused("x", 409, body.as_bytes());
        assert_eq!(
            (error.kind.as_str(), error.message.as_str()),
            (kind, message),
            "{body}"
        );
    }

    #[test]
    fn the_words_are_found_in_every_fault_format() {
        check(
            r#"{"itemNotFound": {"code": 404, "message": "no"}}"#,
            "",
            "no",
        );
        check(
            r#"{"NeutronError": {"type": "InUse", "message": "no", "detail": ""}}"#,
            "InUse",
            "no",
        );
        check(
            r#"{"error": {"code": 401, "title": "Unauthorized", "message": "no"}}"#,
            "Unauthorized",
            "no",
        );
        check(
            r#"{"errors": [{"status": 409, "code": "placement.concurrent_update", "detail": "no"}]}"#,
            "placement.concurrent_update",
            "no",
        );
        check(
            r#"{"message": "no", "code": "404 Not Found", "title": "Not Found"}"#,
            "404 Not Found",
            "no",
        );
        check(
            r#"{"faultcode": "Client", "faultstring": "no", "debuginfo": null}"#,
            "",
            "no",
        );
        check("<html>no</html>", "", "<html>no</html>");
    }

    #[test]
    fn what_is_not_offered_is_not_asked_for_again() {
        let transient = |code| PeerError::refused("x", code, b"no").is_transient();
        assert!(transient(503) && transient(429));
        assert!(!transient(501) && !transient(409));
    }
}
