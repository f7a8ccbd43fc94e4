//! `If-Match` and its kin.

use nephos_types::Timestamp;

/// What a reader makes its answer depend on.
#[derive(Clone, Debug, Default)]
pub(crate) struct Conditions {
    pub if_match: Option<String>,
    pub if_none_match: Option<String>,
    pub if_modified_since: Option<String>,
    pub if_unmodified_since: Option<String>,
}

/// What follows.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Verdict {
    /// The object is sent.
    Send,
    /// The client has it already: 304.
    NotModified,
    /// It is not what the client takes it for: 412.
    Failed,
}

/// Whether one of the listed tags is `etag`; `*` is any.
pub(crate) fn lists(header: &str, etag: &str) -> bool {
    header.split(',').any(|item| {
        let item = item.trim().trim_start_matches("W/").trim_matches('"');
        item == "*" || item == etag
    })
}

impl Conditions {
    /// Compares with an object of this tag, changed at this time.
    pub(crate) fn check(&self, etag: &str, changed: Timestamp) -> Verdict {
        let at = |text: &Option<String>| text.as_deref().and_then(Timestamp::parse_http);
        // HTTP's times are whole seconds.
        let changed = ceiling(changed);
        match &self.if_match {
            Some(tags) if !lists(tags, etag) => return Verdict::Failed,
            None if at(&self.if_unmodified_since).is_some_and(|at| changed > at) => {
                return Verdict::Failed;
            }
            _holds => {}
        }
        match &self.if_none_match {
            Some(tags) if lists(tags, etag) => Verdict::NotModified,
            None if at(&self.if_modified_since).is_some_and(|at| changed <= at) => {
                Verdict::NotModified
            }
            _holds => Verdict::Send,
        }
    }
}

/// The whole second that is not before.
pub(crate) fn ceiling(at: Timestamp) -> Timestamp {
    Timestamp(
        at.0.saturating_add(999_999)
            .div_euclid(1_000_000)
            .saturating_mul(1_000_000),
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn tags_go_before_times() {
        let changed = Timestamp(1_767_323_045_000_001);
        let set = |name: &str, value: &str| {
            let mut conditions = Conditions::default();
            let value = Some(value.to_owned());
            match name {
                "m" => conditions.if_match = value,
                "n" => conditions.if_none_match = value,
                "s" => conditions.if_modified_since = value,
                _ => conditions.if_unmodified_since = value,
            }
            conditions.check("abc", changed)
        };
        assert_eq!(set("m", "\"abc\""), Verdict::Send);
        assert_eq!(set("m", "x, y"), Verdict::Failed);
        assert_eq!(set("m", "*"), Verdict::Send);
        assert_eq!(set("n", "W/\"abc\""), Verdict::NotModified);
        assert_eq!(set("n", "x"), Verdict::Send);
        assert_eq!(
            set("s", "Fri, 02 Jan 2026 03:04:06 GMT"),
            Verdict::NotModified
        );
        assert_eq!(set("s", "Fri, 02 Jan 2026 03:04:05 GMT"), Verdict::Send);
        assert_eq!(set("u", "Fri, 02 Jan 2026 03:04:05 GMT"), Verdict::Failed);
        assert_eq!(set("u", "Fri, 02 Jan 2026 03:04:06 GMT"), Verdict::Send);
        assert_eq!(set("u", "nonsense"), Verdict::Send);
    }
}
