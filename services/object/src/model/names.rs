//! Names of accounts, containers and objects, and their order.

/// Longest container name in bytes.
pub(crate) const MAX_CONTAINER_BYTES: usize = 256;
/// Longest object name in bytes.
pub(crate) const MAX_OBJECT_BYTES: usize = 1024;
/// What an account's name begins with; the id of its project follows.
pub(crate) const PREFIX: &str = "AUTH_";

/// The project of an account.
pub(crate) fn project_of(account: &str) -> Option<&str> {
    account.strip_prefix(PREFIX).filter(|id| !id.is_empty())
}

/// Refuses a container's name that is too long or has a slash in it.
///
/// # Errors
/// In Swift's words.
pub(crate) fn check_container(name: &str) -> Result<(), String> {
    if name.len() > MAX_CONTAINER_BYTES {
        return Err(format!(
            "Container name length of {} longer than {MAX_CONTAINER_BYTES}",
            name.len()
        ));
    }
    if name.contains('/') {
        return Err("Container name cannot contain slashes".to_owned());
    }
    Ok(())
}

/// Refuses an object's name that is too long.
///
/// # Errors
/// In Swift's words.
pub(crate) fn check_object(name: &str) -> Result<(), String> {
    if name.len() > MAX_OBJECT_BYTES {
        return Err(format!(
            "Object name length of {} longer than {MAX_OBJECT_BYTES}",
            name.len()
        ));
    }
    Ok(())
}

/// `/container/object` apart.
pub(crate) fn split_path(path: &str) -> Option<(&str, &str)> {
    let (container, object) = path.strip_prefix('/').unwrap_or(path).split_once('/')?;
    (!container.is_empty() && !object.is_empty()).then_some((container, object))
}

/// The first text behind all that begin with `prefix`, in byte order; none when there is no such text.
pub(crate) fn behind(prefix: &str) -> Option<String> {
    let mut text = prefix.to_owned();
    while let Some(last) = text.pop() {
        let next = match last {
            '\u{d7ff}' => Some('\u{e000}'),
            other => char::from_u32(other as u32 + 1),
        };
        if let Some(next) = next {
            text.push(next);
            return Some(text);
        }
    }
    None
}

/// Percent-encoded as a path.
pub(crate) fn quoted(path: &str) -> String {
    use percent_encoding::{AsciiSet, NON_ALPHANUMERIC, utf8_percent_encode};
    const PATH: &AsciiSet = &NON_ALPHANUMERIC
        .remove(b'/')
        .remove(b'-')
        .remove(b'_')
        .remove(b'.')
        .remove(b'~');
    utf8_percent_encode(path, PATH).to_string()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn behind_a_prefix_is_the_next_text_in_byte_order() {
        assert_eq!(behind("a/").as_deref(), Some("a0"));
        assert_eq!(behind("a\u{10ffff}").as_deref(), Some("b"));
        assert_eq!(behind("\u{d7ff}").as_deref(), Some("\u{e000}"));
        assert_eq!(behind(""), None);
        assert!("a/\u{10ffff}zzz" < behind("a/").unwrap().as_str());
    }

    #[test]
    fn paths_come_apart_at_the_first_slash() {
        assert_eq!(split_path("/c/o/p"), Some(("c", "o/p")));
        assert_eq!(split_path("c/o"), Some(("c", "o")));
        assert_eq!(split_path("/c/"), None);
        assert_eq!(quoted("/c/ü x"), "/c/%C3%BC%20x");
    }
}
