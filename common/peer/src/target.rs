//! The path that is asked for, and no other.

use percent_encoding::percent_decode_str;

use crate::PeerError;

/// Whether another path than this one would be asked for over HTTP. Whatever reads an address takes `..` for a step up,
/// however it is written, and `\` for `/`, and leaves line ends and tabs out (URL Standard, 4.4): who may ask for what is
/// below one path would reach what is beside it.
#[must_use]
pub fn strays(target: &str) -> bool {
    let path = target.split(['?', '#']).next().unwrap_or_default();
    let changed = |byte: u8| byte == b'\\' || byte.is_ascii_control();
    let steps = |segment: &str| {
        let decoded: Vec<u8> = percent_decode_str(segment).collect();
        matches!(decoded.as_slice(), b"." | b"..")
    };
    path.bytes().any(changed) || path.split('/').any(steps)
}

/// Refuses a target that strays.
pub(crate) fn check(service: &'static str, target: &str) -> Result<(), PeerError> {
    if !strays(target) {
        return Ok(());
    }
    let words = br#"{"message": "A path has no '.' or '..' between slashes, and no '\\'."}"#;
    Err(PeerError::refused(service, 400, words))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_another_path_would_be_asked_for_strays() {
        for target in [
            "/a/../b",
            "/..",
            "/%2e%2e/b",
            "/.%2E/b",
            "/a/%2E./b?x=1",
            "/a/./b",
            "/a/..\\b",
            "/a\\..\\b",
            "/a/.\t./b",
        ] {
            assert!(strays(target), "{target}");
        }
    }

    #[test]
    fn names_with_dots_are_names() {
        for target in [
            "/a",
            "/a/..b/c..",
            "/a/.../b",
            "/a%2F..%2Fb",
            "/a?x=/../",
            "/a/%5C",
            "/",
        ] {
            assert!(!strays(target), "{target}");
        }
    }
}
