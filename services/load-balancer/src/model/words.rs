//! What texts of users may be made of: some of them stand in the configuration of haproxy, where nothing may leave its word.

use super::refusal::Refusal;

/// Whether each character may stand in a token of HTTP (RFC 9110: names of headers and cookies).
pub(crate) fn is_token(text: &str) -> bool {
    let fine = |byte: u8| byte.is_ascii_alphanumeric() || b"!#$%&'*+-.^_`|~".contains(&byte);
    !text.is_empty() && text.bytes().all(fine)
}

/// A token for haproxy: without what its configuration reads in its own way.
pub(crate) fn token(text: &str, what: &str) -> Result<(), Refusal> {
    if is_token(text) && !text.bytes().any(|byte| b"#$'%\"\\`".contains(&byte)) {
        return Ok(());
    }
    Err(Refusal::invalid(format!("Invalid characters in {what}")))
}

/// Text of a rule: visible characters and spaces within.
pub(crate) fn visible(text: &str, what: &str) -> Result<(), Refusal> {
    let fine = text.chars().all(|one| one == ' ' || one.is_ascii_graphic());
    if fine && !text.is_empty() && text.trim() == text {
        return Ok(());
    }
    Err(Refusal::invalid(format!("Invalid characters in {what}")))
}

/// A path with an optional query, as a monitor asks for it.
pub(crate) fn url_path(text: &str) -> Result<(), Refusal> {
    let fine = |byte: u8| byte.is_ascii_alphanumeric() || b"/-._~%!$&()*+,;=:@?".contains(&byte);
    if text.starts_with('/') && text.bytes().all(fine) && percents_are_whole(text) {
        return Ok(());
    }
    Err(Refusal::plain(format!("Not a valid URLPath: {text}")))
}

fn percents_are_whole(text: &str) -> bool {
    let mut pieces = text.split('%');
    let _before_the_first = pieces.next();
    pieces.all(|piece| {
        let hex = piece.as_bytes().get(..2);
        hex.is_some_and(|two| two.iter().all(u8::is_ascii_hexdigit))
    })
}

/// An absolute URL of HTTP.
pub(crate) fn url(text: &str) -> Result<(), Refusal> {
    let refused = || Refusal::plain(format!("Not a valid URL: {text}"));
    let fine = |byte: u8| byte.is_ascii_alphanumeric() || b"/-._~%!$&()*+,;=:@?#[]".contains(&byte);
    let rest = text
        .strip_prefix("http://")
        .or_else(|| text.strip_prefix("https://"));
    let host = rest.and_then(|rest| rest.split(['/', '?', '#']).next());
    let named = host.is_some_and(|host| !host.is_empty() && !host.contains(['%', '$']));
    if named && text.bytes().all(fine) && percents_are_whole(text) {
        return Ok(());
    }
    Err(refused())
}

/// The name of a host.
pub(crate) fn is_host_name(text: &str) -> bool {
    let label = |label: &str| {
        (1..=63).contains(&label.len())
            && !label.starts_with('-')
            && !label.ends_with('-')
            && label
                .bytes()
                .all(|byte| byte.is_ascii_alphanumeric() || byte == b'-')
    };
    text.len() <= 255 && text.strip_suffix('.').unwrap_or(text).split('.').all(label)
}

/// `200`, `200,202` or `200-204`, as Octavia takes them.
pub(crate) fn is_codes(text: &str) -> bool {
    let code = |code: &str| code.len() == 3 && code.bytes().all(|byte| byte.is_ascii_digit());
    if let Some((first, last)) = text.split_once('-') {
        return code(first) && code(last) && first <= last;
    }
    text.len() <= 255 && text.split(',').map(str::trim).all(code)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn nothing_leaves_its_word() {
        for odd in ["a b", "a\nb", "a\"b", "a'b", "a$b", "a#b", "", "a\\b", "ä"] {
            assert!(token(odd, "x").is_err(), "{odd:?}");
        }
        for odd in ["", "x", "/a b", "/a\n", "/a\"", "/%2", "/a'b", "/a#b", "/ä"] {
            assert!(url_path(odd).is_err(), "{odd:?}");
        }
        for odd in [
            "",
            "ftp://a/",
            "http://",
            "http:///x",
            "http://a/\n",
            "http://a b/",
            "http://a/\"",
            "/x",
            "http://$x/",
        ] {
            assert!(url(odd).is_err(), "{odd:?}");
        }
        assert!(visible("a\nb", "x").is_err());
        assert!(visible(" a", "x").is_err());
        assert!(token("X-Forwarded-For", "x").is_ok());
        assert!(url_path("/health?deep=1&x=%20").is_ok());
        assert!(url("https://example.com:8443/a?b=c").is_ok());
        assert!(visible("a b", "x").is_ok());
    }

    #[test]
    fn codes_and_names_of_hosts() {
        for fine in ["200", "200,202", "200-204", "200, 201"] {
            assert!(is_codes(fine), "{fine}");
        }
        for odd in ["", "20", "200-", "204-200", "200;202", "2000", "abc"] {
            assert!(!is_codes(odd), "{odd}");
        }
        assert!(is_host_name("www.example.com"));
        for odd in ["", "-a", "a..b", "a b", "a\nb", "a/b"] {
            assert!(!is_host_name(odd), "{odd:?}");
        }
    }
}
