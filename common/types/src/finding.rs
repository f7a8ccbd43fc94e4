//! What a consistency check finds.

use serde::Serialize;

/// Something that does not fit together.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize)]
pub struct Finding {
    /// The thing concerned.
    pub id: String,
    /// What is wrong with it.
    pub what: String,
    /// What helps.
    pub hint: String,
}

impl Finding {
    /// What is wrong, with which thing, and what helps.
    #[must_use]
    pub fn new(what: impl Into<String>, id: impl Into<String>, hint: impl Into<String>) -> Self {
        Self {
            id: id.into(),
            what: what.into(),
            hint: hint.into(),
        }
    }
}
