//! Counts as clients write them.

/// A count as a query string has it: digits alone. One that is more than fits is as much as fits, since pages have a bound
/// of their own.
#[must_use]
pub fn count(text: &str) -> Option<u32> {
    let is_count = !text.is_empty() && text.bytes().all(|byte| byte.is_ascii_digit());
    is_count.then(|| text.parse().unwrap_or(u32::MAX))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_count_is_digits_and_as_much_as_fits() {
        assert_eq!(count("007"), Some(7));
        assert_eq!(count("99999999999999999999999"), Some(u32::MAX));
        for wrong in ["", "-1", "+1", "1.5", "x", "１"] {
            assert_eq!(count(wrong), None, "{wrong}");
        }
    }
}
