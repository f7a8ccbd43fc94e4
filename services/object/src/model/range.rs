//! `Range: bytes=…`

/// What of `size` bytes is asked for.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Wanted {
    /// All of it: no range, or one that means nothing.
    All,
    /// These, each within the size.
    Parts(Vec<std::ops::Range<u64>>),
    /// None of what was asked for is there.
    Nothing,
}

/// More ranges than this at once are an attack, not a wish.
const MAX_RANGES: usize = 50;

/// Reads the header against an object of `size` bytes.
pub(crate) fn wanted(header: Option<&str>, size: u64) -> Wanted {
    let Some(list) = header.and_then(|header| header.trim().strip_prefix("bytes=")) else {
        return Wanted::All;
    };
    let (mut parts, mut any) = (Vec::new(), false);
    for item in list
        .split(',')
        .map(str::trim)
        .filter(|item| !item.is_empty())
    {
        let Some(part) = one(item, size) else {
            return Wanted::All;
        };
        any = true;
        parts.extend(part);
    }
    if !any {
        return Wanted::All;
    }
    if parts.is_empty() || parts.len() > MAX_RANGES {
        return Wanted::Nothing;
    }
    Wanted::Parts(parts)
}

/// `None`: no range at all. `Some(None)`: one of which nothing is there.
fn one(item: &str, size: u64) -> Option<Option<std::ops::Range<u64>>> {
    let (first, last) = item.split_once('-')?;
    if first.is_empty() {
        let count: u64 = last.parse().ok()?;
        let start = size.saturating_sub(count);
        return Some((count > 0 && size > 0).then_some(start..size));
    }
    let start: u64 = first.parse().ok()?;
    let end = if last.is_empty() {
        size
    } else {
        let last: u64 = last.parse().ok()?;
        if last < start {
            return None;
        }
        last.saturating_add(1).min(size)
    };
    Some((start < size).then_some(start..end))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[track_caller]
    fn check(header: &str, expected: Wanted) {
        assert_eq!(wanted(Some(header), 10), expected, "{header}");
    }

    #[track_caller]
    fn check_one(header: &str, start: u64, end: u64) {
        check(header, Wanted::Parts(std::iter::once(start..end).collect()));
    }

    #[test]
    fn ranges_as_http_has_them() {
        check_one("bytes=0-3", 0, 4);
        check_one("bytes=8-", 8, 10);
        check_one("bytes=-3", 7, 10);
        check_one("bytes=-30", 0, 10);
        check("bytes=0-0,9-99", Wanted::Parts(vec![0..1, 9..10]));
        check("bytes=10-", Wanted::Nothing);
        check("bytes=-0", Wanted::Nothing);
        for all in ["bytes=5-2", "bytes=x-", "bytes=", "items=0-1", "bytes=-"] {
            check(all, Wanted::All);
        }
        assert_eq!(wanted(Some("bytes=0-"), 0), Wanted::Nothing);
        assert_eq!(wanted(None, 10), Wanted::All);
    }
}
