//! Checks on the source itself: arrows between crates and rooms, one door per outside world,
//! transactions, sizes and words.
//!
//! Every check is a function from text to findings, so that it can be shown a sin and must see it.

mod arrows;
mod source;
mod transactions;
mod words;

pub use arrows::{check_crates, check_doors, check_rooms};
pub use source::{Crate, File, Workspace};
pub use transactions::check_transactions;
pub use words::{check_paths, check_sizes, check_words};

/// Something that is not as it should be.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Finding {
    /// Where: `services/compute/src/api/servers.rs:12`.
    pub place: String,
    /// What.
    pub what: String,
}

impl std::fmt::Display for Finding {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "{}: {}", self.place, self.what)
    }
}
