//! Why a template, an environment or a request is not accepted.

/// A refusal of what a client sent, under the name that the original has for it.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{message}")]
pub(crate) struct Refusal {
    /// `StackValidationFailed`, `InvalidTemplateReference`, …
    pub kind: &'static str,
    /// What is wrong, and where.
    pub message: String,
}

impl Refusal {
    /// The general case: something in the template does not hold.
    pub fn invalid(message: impl Into<String>) -> Self {
        Self {
            kind: "StackValidationFailed",
            message: message.into(),
        }
    }

    /// Under a name of its own.
    pub fn of(kind: &'static str, message: impl Into<String>) -> Self {
        Self {
            kind,
            message: message.into(),
        }
    }

    /// Says where it was: `resources.server.properties.image`.
    pub fn at(self, place: &str) -> Self {
        Self {
            kind: self.kind,
            message: format!("{place}: {}", self.message),
        }
    }
}
