//! Patterns that values must match. They are written as Python's `re` reads them (the `allowed_pattern` of templates);
//! what it would not compile is refused, and what it reads in another way than the engine here is rewritten.

use std::iter::Peekable;
use std::str::Chars;

use fancy_regex::{Regex, RegexBuilder};

/// A pattern may look ahead and refer back; what that may take is bounded.
const MAX_STEPS: usize = 100_000;
/// Bytes that a compiled pattern may take: `\w{1,255}` is a large one, because letters are those of all languages.
const MAX_PATTERN: usize = 16 << 20;

/// Whether the pattern can be used at all.
pub(super) fn is_usable(pattern: &str) -> bool {
    compiled(pattern).is_some()
}

/// A text matches where what the pattern finds at its beginning is all of it.
///
/// # Errors
/// Why it does not, in words.
pub(super) fn matches(text: &str, pattern: &str) -> Result<(), String> {
    let found = compiled(pattern).map(|pattern| pattern.find(text));
    match found {
        Some(Ok(Some(found))) if found.end() == text.len() => Ok(()),
        Some(Err(_)) => Err(format!(
            "\"{text}\" cannot be matched with pattern \"{pattern}\" in reasonable time"
        )),
        Some(Ok(_)) | None => Err(format!("\"{text}\" does not match pattern \"{pattern}\"")),
    }
}

fn compiled(pattern: &str) -> Option<Regex> {
    RegexBuilder::new(&format!("\\A(?:{})", rewritten(pattern)?))
        .backtrack_limit(MAX_STEPS)
        .delegate_size_limit(MAX_PATTERN)
        .build()
        .ok()
}

/// The pattern for the engine here; none for what Python does not compile either.
pub(super) fn rewritten(pattern: &str) -> Option<String> {
    let mut out = String::with_capacity(pattern.len() + 8);
    let mut rest = pattern.chars().peekable();
    while let Some(letter) = rest.next() {
        match letter {
            '\\' => escape(&mut rest, &mut out)?,
            '[' => class(&mut rest, &mut out)?,
            '{' => repetition(&mut rest, &mut out),
            '}' => out.push_str("\\}"),
            ']' => out.push_str("\\]"),
            other => out.push(other),
        }
    }
    Some(out)
}

/// What follows a backslash outside of a class.
fn escape(rest: &mut Peekable<Chars<'_>>, out: &mut String) -> Option<()> {
    match *rest.peek()? {
        'Z' => {
            rest.next();
            out.push_str("\\z");
        }
        letter @ ('A' | 'b' | 'B' | 'd' | 'D' | 's' | 'S' | 'w' | 'W') => {
            rest.next();
            out.push('\\');
            out.push(letter);
        }
        // What a group found before; three digits of eight are a character.
        '1'..='9' => {
            let digits = run(rest, 3, |letter| letter.is_ascii_digit());
            let octal = digits.len() == 3 && digits.chars().all(|digit| digit.is_digit(8));
            if octal {
                one(u32::from_str_radix(&digits, 8).ok()?, out)?;
            } else {
                // No group is of a number with three digits.
                let (number, after) = digits.split_at(digits.len().min(2));
                out.push_str(&format!("(?:\\{number}){after}"));
            }
        }
        _character => {
            let letter = character(rest)?;
            one(u32::from(letter), out)?;
        }
    }
    Some(())
}

/// A class of characters: what stands in it is itself, but for ranges and escapes.
fn class(rest: &mut Peekable<Chars<'_>>, out: &mut String) -> Option<()> {
    out.push('[');
    if rest.peek() == Some(&'^') {
        rest.next();
        out.push('^');
    }
    let mut first = true;
    loop {
        let low = match rest.next()? {
            ']' if !first => break,
            letter => member(letter, rest)?,
        };
        first = false;
        let mut ahead = rest.clone();
        let is_range = ahead.next() == Some('-') && ahead.next().is_some_and(|next| next != ']');
        if !is_range {
            low.write(out)?;
            continue;
        }
        rest.next();
        let letter = rest.next()?;
        let (Member::One(low), Member::One(high)) = (low, member(letter, rest)?) else {
            return None;
        };
        if low > high {
            return None;
        }
        one(u32::from(low), out)?;
        out.push('-');
        one(u32::from(high), out)?;
    }
    out.push(']');
    Some(())
}

/// A member of a class.
enum Member {
    One(char),
    /// `\d` and the like.
    Kind(char),
}

impl Member {
    fn write(self, out: &mut String) -> Option<()> {
        match self {
            Self::One(letter) => one(u32::from(letter), out),
            Self::Kind(letter) => {
                out.push('\\');
                out.push(letter);
                Some(())
            }
        }
    }
}

fn member(letter: char, rest: &mut Peekable<Chars<'_>>) -> Option<Member> {
    if letter != '\\' {
        return Some(Member::One(letter));
    }
    match *rest.peek()? {
        kind @ ('d' | 'D' | 's' | 'S' | 'w' | 'W') => {
            rest.next();
            Some(Member::Kind(kind))
        }
        'b' => {
            rest.next();
            Some(Member::One('\u{8}'))
        }
        '1'..='7' => {
            let digits = run(rest, 3, |letter| letter.is_digit(8));
            char::from_u32(u32::from_str_radix(&digits, 8).ok()?).map(Member::One)
        }
        _character => character(rest).map(Member::One),
    }
}

/// A character by an escape: `\n`, `\x41`, `\u00e9`, `\0`, or whatever is no letter or digit itself.
fn character(rest: &mut Peekable<Chars<'_>>) -> Option<char> {
    let hexadecimal = |rest: &mut Peekable<Chars<'_>>, length: usize| {
        let digits = run(rest, length, |letter| letter.is_ascii_hexdigit());
        (digits.len() == length).then_some(())?;
        char::from_u32(u32::from_str_radix(&digits, 16).ok()?)
    };
    Some(match rest.next()? {
        'a' => '\u{7}',
        'f' => '\u{c}',
        'n' => '\n',
        'r' => '\r',
        't' => '\t',
        'v' => '\u{b}',
        'x' => hexadecimal(rest, 2)?,
        'u' => hexadecimal(rest, 4)?,
        'U' => hexadecimal(rest, 8)?,
        '0' => {
            let digits = run(rest, 2, |letter| letter.is_digit(8));
            char::from_u32(u32::from_str_radix(&format!("0{digits}"), 8).ok()?)?
        }
        letter if letter.is_ascii_alphanumeric() => return None,
        itself => itself,
    })
}

/// At most so many letters of a kind.
fn run(rest: &mut Peekable<Chars<'_>>, most: usize, fits: impl Fn(&char) -> bool) -> String {
    let mut out = String::new();
    while out.len() < most
        && let Some(letter) = rest.next_if(&fits)
    {
        out.push(letter);
    }
    out
}

/// `{2}`, `{2,}`, `{,3}` and `{2,3}`; any other brace is itself.
fn repetition(rest: &mut Peekable<Chars<'_>>, out: &mut String) {
    let mut ahead = rest.clone();
    let low = run(&mut ahead, 9, char::is_ascii_digit);
    let comma = ahead.next_if_eq(&',').is_some();
    let high = run(&mut ahead, 9, char::is_ascii_digit);
    if ahead.next() != Some('}') || (low.is_empty() && !comma) {
        out.push_str("\\{");
        return;
    }
    *rest = ahead;
    let low = if low.is_empty() { "0" } else { low.as_str() };
    let comma = if comma { "," } else { "" };
    out.push_str(&format!("{{{low}{comma}{high}}}"));
}

/// A character that means itself, whatever it is.
fn one(code: u32, out: &mut String) -> Option<()> {
    let letter = char::from_u32(code)?;
    if letter.is_ascii_alphanumeric() || letter == '_' {
        out.push(letter);
    } else {
        out.push_str(&format!("\\x{{{code:x}}}"));
    }
    Some(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[track_caller]
    fn check(pattern: &str, fits: &[&str], others: &[&str]) {
        assert!(is_usable(pattern), "{pattern}");
        for text in fits {
            assert_eq!(matches(text, pattern), Ok(()), "{pattern}");
        }
        for text in others {
            assert!(matches(text, pattern).is_err(), "{pattern} fits {text}");
        }
    }

    #[test]
    fn all_of_a_text_is_what_the_pattern_finds_first() {
        check("[a-z]+", &["abc"], &["", "abc1", "1abc", "abc\n"]);
        check("^abc$", &["abc"], &["abc\n"]);
        // The first choice that fits is taken, and leaves a letter.
        check("a|ab", &["a"], &["ab"]);
        check("ab|a", &["a", "ab"], &[]);
        check("(?i)abc", &["ABC"], &[]);
        check("", &[""], &["a"]);
    }

    #[test]
    fn patterns_look_ahead_and_refer_back() {
        check(
            "(?=.*[0-9])(?!admin)[a-z0-9]{3,}",
            &["ab1"],
            &["abc", "admin1"],
        );
        check(r"(\w)\1", &["aa"], &["ab"]);
        check(r"(?P<x>\w)(?P=x)", &["aa"], &["ab"]);
        check(r"(a)\1[0]?", &["aa", "aa0"], &[]);
        check(r"\w{1,255}", &["é1"], &["a b"]);
        check(r"[\w\-\.]{1,253}", &["a-b.c"], &["a/b"]);
    }

    #[test]
    fn what_python_reads_in_another_way() {
        check(r"\Aabc\Z", &["abc"], &["abc\n"]);
        check("a{,3}", &["", "aaa"], &["aaaa"]);
        check("a{2}b{1,}", &["aab", "aabb"], &["ab"]);
        check("a{x}{}", &["a{x}{}"], &["a"]);
        check("{{a}}", &["{{a}}"], &[]);
        check("a]", &["a]"], &[]);
        check("[a&&b]+", &["a&b"], &["c"]);
        check("[a~~b[]+", &["[~a"], &["c"]);
        // A class of a bracket, a colon and letters, and a bracket after it.
        check("[[:alpha:]]", &["a]", ":]", "[]"], &["a", "b]"]);
        check("[]a]+", &["a]"], &["b"]);
        check("[^]a]+", &["b"], &["]"]);
        check("[+--]", &["+", ",", "-"], &["."]);
        check("[a-]+", &["a-"], &["b"]);
        check(r"[\d_-]+", &["1_-"], &["a"]);
        check(r"\<\>\_\-\/", &["<>_-/"], &[]);
        check(r"\x41\u00e9\101\0", &["AéA\0"], &[]);
        check(r"[\b\101-\103]+", &["\u{8}ABC"], &["b"]);
    }

    #[test]
    fn what_python_does_not_compile_is_refused() {
        for pattern in [
            "(", "[a", r"\", r"\p{L}", r"\z", r"\k<a>", r"\x4", "*a", "[z-a]", r"[\d-z]", r"[\q]",
        ] {
            assert!(!is_usable(pattern), "{pattern}");
        }
    }

    #[test]
    fn a_pattern_that_takes_too_long_is_given_up() {
        let why = matches(&"a".repeat(200), r"(?:(a+)\1?)+b").unwrap_err();
        assert!(why.contains("in reasonable time"), "{why}");
    }
}
