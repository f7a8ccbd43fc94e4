//! Why a request is refused, before it becomes HTTP.

/// A refusal in Octavia's words.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Refusal {
    pub class: Class,
    pub words: String,
}

/// What kind of refusal it is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Class {
    /// 400: the request is wrong.
    Invalid,
    /// 403: more than the quota.
    Quota,
    /// 404: what it names is not there.
    Missing,
    /// 409: the state does not allow it.
    Conflict,
    /// 501: Octavia knows it, and it is not offered here.
    Unsupported,
}

impl Refusal {
    fn of(class: Class, words: impl Into<String>) -> Self {
        Self {
            class,
            words: words.into(),
        }
    }

    /// The request does not hold together.
    pub(crate) fn invalid(detail: impl std::fmt::Display) -> Self {
        Self::of(Class::Invalid, format!("Validation failure: {detail}"))
    }

    /// A value that an attribute cannot have.
    pub(crate) fn option(value: impl std::fmt::Display, option: &str) -> Self {
        Self::of(
            Class::Invalid,
            format!("{value} is not a valid option for {option}"),
        )
    }

    /// A value that is not of an attribute's form (WSME's words).
    pub(crate) fn input(
        field: &str,
        value: &serde_json::Value,
        why: impl std::fmt::Display,
    ) -> Self {
        let shown: String = value.to_string().chars().take(80).collect();
        Self::of(
            Class::Invalid,
            format!("Invalid input for field/attribute {field}. Value: {shown}. {why}"),
        )
    }

    /// Words of its own.
    pub(crate) fn plain(words: impl Into<String>) -> Self {
        Self::of(Class::Invalid, words)
    }

    pub(crate) fn missing(kind: &str, id: &str) -> Self {
        Self::of(Class::Missing, format!("{kind} {id} not found."))
    }

    pub(crate) fn conflict(words: impl Into<String>) -> Self {
        Self::of(Class::Conflict, words)
    }

    pub(crate) fn quota(kind: &str) -> Self {
        Self::of(
            Class::Quota,
            format!("Quota has been met for resources: {kind}"),
        )
    }

    /// What haproxy could do and this service does not offer.
    pub(crate) fn unsupported(what: impl std::fmt::Display) -> Self {
        Self::of(
            Class::Unsupported,
            format!("Provider 'haproxy' does not support a requested option: {what}"),
        )
    }
}
