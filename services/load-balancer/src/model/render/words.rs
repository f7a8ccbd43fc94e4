//! Words of users in haproxy's configuration. Pure.
//!
//! The file is lines of words. Within single quotes nothing means anything to haproxy but the quote itself, so a word of a
//! user's stands in them; a control character has no business in any. Where haproxy reads a format, `%` is doubled.

/// Longest word of a user's, in bytes.
const LONGEST: usize = 1024;
/// What a token of HTTP may have beside letters and digits, as far as no grammar of haproxy gives it a meaning.
const OF_TOKENS: &str = "!#$&*+-.^_|~";

/// A word that means just what it says.
pub fn word(text: &str) -> Result<String, String> {
    if text.len() > LONGEST {
        return Err(format!("a value is longer than {LONGEST} bytes"));
    }
    if text.chars().any(char::is_control) {
        return Err("a value has a control character in it".to_owned());
    }
    Ok(format!("'{}'", text.replace('\'', r"'\''")))
}

/// The same where haproxy reads a format.
pub fn format(text: &str) -> Result<String, String> {
    word(&text.replace('%', "%%"))
}

/// The name of a header or a cookie.
pub fn token(text: &str) -> Result<&str, String> {
    let may = |c: char| c.is_ascii_alphanumeric() || OF_TOKENS.contains(c);
    if text.is_empty() || text.len() > 255 || !text.chars().all(may) {
        return Err(format!(
            "{text:?} is no name of a header or a cookie: letters, digits and {OF_TOKENS} may be in it, 255 at most"
        ));
    }
    Ok(text)
}

/// An id of ours.
pub fn id(text: &str) -> Result<&str, String> {
    let may = |c: char| c.is_ascii_alphanumeric() || c == '-';
    if text.is_empty() || text.len() > 64 || !text.chars().all(may) {
        return Err(format!("{text:?} is no id"));
    }
    Ok(text)
}

/// The codes that a monitor takes for good: `200`, `200,202`, `200-204`.
pub fn codes(text: &str) -> Result<String, String> {
    let wrong = || format!("{text:?} is no list of HTTP status codes, as 200,202-204");
    let one = |text: &str| {
        let code = text.parse::<u16>().map_err(|_not_one| wrong())?;
        let is_one = (100..=599).contains(&code) && text.len() == 3;
        is_one.then_some(code).ok_or_else(wrong)
    };
    let mut all = Vec::new();
    for part in text.split(',').map(str::trim) {
        all.push(match part.split_once('-') {
            Some((first, last)) => format!("{}-{}", one(first)?, one(last)?),
            None => one(part)?.to_string(),
        });
    }
    if all.len() > 50 {
        return Err(wrong());
    }
    Ok(all.join(","))
}

/// The method of a request.
pub fn method(text: &str) -> Result<&str, String> {
    let fine = (1..=16).contains(&text.len()) && text.bytes().all(|b| b.is_ascii_uppercase());
    fine.then_some(text)
        .ok_or_else(|| format!("{text:?} is no method of HTTP"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_word_stays_one_whatever_is_in_it() {
        assert_eq!(word("a b\"c$HOME\\").unwrap(), "'a b\"c$HOME\\'");
        assert_eq!(word("it's").unwrap(), r"'it'\''s'");
        assert_eq!(format("/100%25").unwrap(), "'/100%%25'");
        for hostile in ["a\nb", "a\rb", "\0", "a\u{85}b", "\t"] {
            assert!(word(hostile).is_err(), "{hostile:?}");
        }
        assert!(word(&"x".repeat(1025)).is_err());
    }

    #[test]
    fn names_are_tokens_and_nothing_else() {
        assert_eq!(token("X-Request_ID").unwrap(), "X-Request_ID");
        for hostile in ["", "a b", "a)b", "a'b", "a,b", "a\"", "a\n", "a%b", "ä"] {
            assert!(token(hostile).is_err(), "{hostile:?}");
        }
        assert!(id("11111111-1111-4111-8111-111111111111").is_ok());
        for hostile in ["", "a b", "a\nb", "../x", "a:b"] {
            assert!(id(hostile).is_err(), "{hostile:?}");
        }
    }

    #[test]
    fn codes_and_methods_are_what_they_should_be() {
        assert_eq!(codes("200, 202-204").unwrap(), "200,202-204");
        for hostile in ["", "20", "200-", "600", "200;201", "200 201", "0200", "+20"] {
            assert!(codes(hostile).is_err(), "{hostile:?}");
        }
        assert_eq!(method("GET").unwrap(), "GET");
        for hostile in ["", "get", "GET /", "G\nT"] {
            assert!(method(hostile).is_err(), "{hostile:?}");
        }
    }
}
