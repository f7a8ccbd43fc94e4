//! Older versions of objects, kept in a container of their own.

use nephos_types::Timestamp;

/// The media type of the mark that says "here it was deleted".
pub(crate) const DELETED: &str = "application/x-deleted;swift_versions_deleted=1";

/// What the names of all versions of `object` begin with: its length, so that no other object's do.
pub(crate) fn prefix(object: &str) -> String {
    format!("{:03x}{object}/", object.len())
}

/// The name of the version that was current since `at`.
pub(crate) fn name(object: &str, at: Timestamp) -> String {
    format!("{}{}", prefix(object), stamp(at))
}

/// Seconds with five digits behind the point, as Swift writes times.
pub(crate) fn stamp(at: Timestamp) -> String {
    let micros = at.0.max(0);
    format!("{:010}.{:05}", micros / 1_000_000, micros % 1_000_000 / 10)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn versions_sort_by_age_and_do_not_mix() {
        assert_eq!(
            name("o", Timestamp(1_767_323_045_000_070)),
            "001o/1767323045.00007"
        );
        assert!(!name("o/1", Timestamp(0)).starts_with(&prefix("o")));
    }
}
