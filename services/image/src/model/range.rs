//! The `Range` of a download.

use std::ops::Range;

/// Which bytes of how many.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Wanted {
    /// All of them.
    All,
    /// Some, never none.
    Part(Range<u64>),
    /// None of them is there.
    Unsatisfiable,
    /// Several ranges in one request.
    Several,
}

impl Wanted {
    /// Reads a `Range` header.
    pub(crate) fn parse(header: Option<&str>, size: u64) -> Self {
        let Some(header) = header else {
            return Self::All;
        };
        if header.contains(',') {
            return Self::Several;
        }
        let Some((unit, spec)) = header.split_once('=') else {
            return Self::Unsatisfiable;
        };
        let Some((first, last)) = spec.trim().split_once('-') else {
            return Self::Unsatisfiable;
        };
        let bytes = unit.trim().eq_ignore_ascii_case("bytes");
        let (first, last) = (first.trim(), last.trim());
        let range = match (bytes, first.is_empty()) {
            (false, _) => None,
            (true, true) => suffix(last, size),
            (true, false) => from(first, last, size),
        };
        range.map_or(Self::Unsatisfiable, Self::Part)
    }
}

/// The last so many bytes.
fn suffix(count: &str, size: u64) -> Option<Range<u64>> {
    let count = number(count)?;
    (count > 0 && size > 0).then(|| size.saturating_sub(count)..size)
}

fn from(first: &str, last: &str, size: u64) -> Option<Range<u64>> {
    let first = number(first)?;
    let end = if last.is_empty() {
        size
    } else {
        number(last)?.saturating_add(1).min(size)
    };
    (first < end).then_some(first..end)
}

fn number(digits: &str) -> Option<u64> {
    let plain = !digits.is_empty() && digits.bytes().all(|byte| byte.is_ascii_digit());
    if plain { digits.parse().ok() } else { None }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[track_caller]
    fn check(header: &str, expected: Wanted) {
        assert_eq!(Wanted::parse(Some(header), 10), expected, "{header}");
    }

    #[test]
    fn ranges_as_rfc_7233_and_glance_read_them() {
        assert_eq!(Wanted::parse(None, 10), Wanted::All);
        check("bytes=0-4", Wanted::Part(0..5));
        check("bytes=4-", Wanted::Part(4..10));
        check("bytes=-2", Wanted::Part(8..10));
        check("bytes=-20", Wanted::Part(0..10));
        check("bytes=9-99", Wanted::Part(9..10));
        check("bytes=0-18446744073709551615", Wanted::Part(0..10));
        for odd in [
            "bytes=10-",
            "bytes=4-2",
            "bytes=-0",
            "bytes=-",
            "bytes=a-b",
            "lines=0-1",
            "bytes",
            "bytes=+1-2",
        ] {
            check(odd, Wanted::Unsatisfiable);
        }
        check("bytes=0-1,3-4", Wanted::Several);
        assert_eq!(Wanted::parse(Some("bytes=0-0"), 0), Wanted::Unsatisfiable);
    }
}
