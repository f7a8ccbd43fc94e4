//! What texts of users may be made of: some of them stand in the configuration of haproxy, where nothing may leave its word.

use regex_syntax::ast::{self, Ast, parse::Parser};

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
    // HTTP has codes from 100 to 599, and haproxy looks for no others.
    let code = |code: &str| {
        let digits = code.len() == 3 && code.bytes().all(|byte| byte.is_ascii_digit());
        digits && ("100"..="599").contains(&code)
    };
    if let Some((first, last)) = text.split_once('-') {
        return code(first) && code(last) && first <= last;
    }
    text.len() <= 255
        && text.split(',').count() <= CODES
        && text.split(',').map(str::trim).all(code)
}

/// Codes of one monitor at most: they stand in one line of the configuration.
const CODES: usize = 50;
/// Most of a pattern, as the number of bytes that it takes when it is read; haproxy's reader has room for 64 KiB.
const PATTERN_BYTES: usize = 64 * 1024;

/// A regular expression that haproxy's reader (PCRE) takes and reads as it is meant: what is written in the same way there
/// and in Rust's. So neither looking around nor back is in it.
pub(crate) fn pattern(text: &str) -> Result<(), String> {
    let read = Parser::new().parse(text);
    let read = read.map_err(|why| why.kind().to_string())?;
    regex_syntax::ast::visit(&read, Common)?;
    let mut whole = regex::bytes::RegexBuilder::new(text);
    let whole = whole.unicode(false).size_limit(PATTERN_BYTES).build();
    whole.map(|_| ()).map_err(|why| match why {
        regex::Error::CompiledTooBig(_) => "it repeats too much".to_owned(),
        other => other.to_string(),
    })
}

/// Refuses what only Rust's regular expressions have.
struct Common;

impl Common {
    fn literal(one: &ast::Literal) -> Result<(), String> {
        use ast::HexLiteralKind::{UnicodeLong, UnicodeShort};
        use ast::LiteralKind::{HexBrace, HexFixed};
        match &one.kind {
            HexBrace(_) | HexFixed(UnicodeShort | UnicodeLong) => {
                Err(r"of numbers of characters, \x with two digits is known".to_owned())
            }
            _plain => Ok(()),
        }
    }

    fn flags(flags: &ast::Flags) -> Result<(), String> {
        use ast::Flag::{CRLF, Unicode};
        let odd =
            |item: &ast::FlagsItem| matches!(item.kind, ast::FlagsItemKind::Flag(CRLF | Unicode));
        match flags.items.iter().any(odd) {
            true => Err("the flags u and R are not known".to_owned()),
            false => Ok(()),
        }
    }
}

impl ast::Visitor for Common {
    type Output = ();
    type Err = String;

    fn finish(self) -> Result<(), String> {
        Ok(())
    }

    fn visit_pre(&mut self, read: &Ast) -> Result<(), String> {
        use ast::AssertionKind::{
            WordBoundaryEnd, WordBoundaryEndAngle, WordBoundaryEndHalf, WordBoundaryStart,
            WordBoundaryStartAngle, WordBoundaryStartHalf,
        };
        match read {
            Ast::Literal(one) => Self::literal(one),
            Ast::Flags(set) => Self::flags(&set.flags),
            Ast::Group(group) => match &group.kind {
                ast::GroupKind::NonCapturing(flags) => Self::flags(flags),
                ast::GroupKind::CaptureName { name, .. } => {
                    let fine = |one: char| one.is_ascii_alphanumeric() || one == '_';
                    let fine = name.name.len() <= 32 && name.name.chars().all(fine);
                    fine.then_some(())
                        .ok_or_else(|| format!("{} is no name of a group", name.name))
                }
                ast::GroupKind::CaptureIndex(_) => Ok(()),
            },
            Ast::ClassUnicode(_) => Err("classes of Unicode are not known".to_owned()),
            Ast::Assertion(one) => match &one.kind {
                WordBoundaryStart
                | WordBoundaryEnd
                | WordBoundaryStartAngle
                | WordBoundaryEndAngle
                | WordBoundaryStartHalf
                | WordBoundaryEndHalf => {
                    Err(r"of the bounds of words, \b and \B are known".to_owned())
                }
                _plain => Ok(()),
            },
            _plain => Ok(()),
        }
    }

    fn visit_class_set_item_pre(&mut self, item: &ast::ClassSetItem) -> Result<(), String> {
        match item {
            ast::ClassSetItem::Literal(one) => Self::literal(one),
            ast::ClassSetItem::Range(range) => {
                Self::literal(&range.start)?;
                Self::literal(&range.end)
            }
            ast::ClassSetItem::Unicode(_) => Err("classes of Unicode are not known".to_owned()),
            ast::ClassSetItem::Bracketed(_) => Err("a class cannot have another within".to_owned()),
            _plain => Ok(()),
        }
    }

    fn visit_class_set_binary_op_pre(&mut self, _op: &ast::ClassSetBinaryOp) -> Result<(), String> {
        Err("classes cannot be taken from each other".to_owned())
    }
}

/// Patterns of all kinds that are taken.
#[cfg(test)]
pub(crate) const PATTERNS: &[&str] = &[
    "^/a",
    "a|b|",
    "(a)(?:b)(?P<c_1>d)",
    "(?i)a(?-i)b(?U:c+)",
    "[^]a-f0-9_-]+?",
    "[[:alpha:]]*",
    r"\d\w\s\D\W\S\b\B",
    r"\x41\n\t",
    "a{2}b{2,}c{2,100}",
    "(a{20}){20}",
    r"\.(png|jpe?g)$",
    "(?s).",
    "a++",
    r"\A\/\z",
    "(?x) a b",
];

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
    fn patterns_are_those_that_haproxy_reads_in_the_same_way() {
        for fine in PATTERNS {
            assert_eq!(pattern(fine), Ok(()), "{fine}");
        }
        for odd in [
            "(",
            "[a",
            "*a",
            "a{2,1}",
            "(?u)a",
            "(?R)a",
            r"\u0041",
            r"\x{41}",
            r"\pL",
            r"\<a",
            "[a--b]",
            "[[:odd:]]",
            "[[a]b]",
            "(?P<a.b>c)",
            "((a{100}){100}){100}",
            "(?=a)",
            r"(a)\1",
        ] {
            assert!(pattern(odd).is_err(), "{odd}");
        }
    }

    #[test]
    fn codes_and_names_of_hosts() {
        for fine in ["200", "200,202", "200-204", "200, 201"] {
            assert!(is_codes(fine), "{fine}");
        }
        for odd in [
            "", "20", "200-", "204-200", "200;202", "2000", "abc", "099", "600", "200-600",
        ] {
            assert!(!is_codes(odd), "{odd}");
        }
        assert!(!is_codes(&vec!["200"; 51].join(",")));
        assert!(is_host_name("www.example.com"));
        for odd in ["", "-a", "a..b", "a b", "a\nb", "a/b"] {
            assert!(!is_host_name(odd), "{odd:?}");
        }
    }
}
