//! The words of an expression.

use super::{Fault, Out};

/// A word of an expression.
#[derive(Clone, Debug, PartialEq)]
pub(super) enum Word {
    /// `$` with the name after it, without the sign.
    Variable(String),
    Int(i128),
    Float(f64),
    Text(String),
    /// A name with `(` right after it.
    Call(String),
    Name(String),
    True,
    False,
    Null,
    /// An operator, a bracket or a comma.
    Sign(&'static str),
}

/// Longer ones before those that they begin with.
const SIGNS: [&str; 23] = [
    "=>", "=~", "!~", "!=", ">=", "<=", "->", "?.", "(", ")", "[", "]", "{", "}", ",", ".", "+",
    "-", "*", "/", ">", "<", "=",
];

/// Names that are operators.
const OPERATORS: [&str; 5] = ["mod", "in", "not", "and", "or"];

/// The words of an expression, with the byte where each begins.
pub(super) fn words(expression: &str) -> Out<Vec<(usize, Word)>> {
    let mut lexer = Lexer {
        all: expression,
        at: 0,
    };
    let mut words = Vec::new();
    while let Some((start, word)) = lexer.next_word()? {
        words.push((start, word));
    }
    Ok(words)
}

struct Lexer<'a> {
    all: &'a str,
    at: usize,
}

impl<'a> Lexer<'a> {
    fn rest(&self) -> &'a str {
        self.all.get(self.at..).unwrap_or_default()
    }

    /// The letters here that fit, which are passed.
    fn run(&mut self, fits: impl Fn(char) -> bool) -> &'a str {
        let rest = self.rest();
        let end = rest.find(|letter| !fits(letter)).unwrap_or(rest.len());
        self.at += end;
        rest.get(..end).unwrap_or_default()
    }

    fn next_word(&mut self) -> Out<Option<(usize, Word)>> {
        self.run(|letter| matches!(letter, ' ' | '\t' | '\r' | '\n'));
        let start = self.at;
        let Some(first) = self.rest().chars().next() else {
            return Ok(None);
        };
        let word = match first {
            '$' => {
                self.at += 1;
                Word::Variable(self.run(is_letter).to_owned())
            }
            '\'' | '"' | '`' => self.quoted(first)?,
            digit if digit.is_ascii_digit() => self.number(start)?,
            letter if is_letter(letter) => self.name(start)?,
            _sign => {
                let rest = self.rest();
                let sign = SIGNS.into_iter().find(|sign| rest.starts_with(sign));
                let sign = sign.ok_or_else(|| illegal(first, start))?;
                self.at += sign.len();
                Word::Sign(sign)
            }
        };
        Ok(Some((start, word)))
    }

    /// `12` or `1.5`. A point without a digit after it leads to a member or a method.
    fn number(&mut self, start: usize) -> Out<Word> {
        let mut digits = self.run(|letter| letter.is_ascii_digit()).to_owned();
        let mut after = self.rest().chars();
        let has_part =
            after.next() == Some('.') && after.next().is_some_and(|letter| letter.is_ascii_digit());
        if has_part {
            self.at += 1;
            digits.push('.');
            digits.push_str(self.run(|letter| letter.is_ascii_digit()));
        }
        if let Some(letter) = self.rest().chars().next().filter(|next| is_letter(*next)) {
            return Err(illegal(letter, self.at));
        }
        let wrong = || {
            Fault::new(format!(
                "the number {digits} at position {start} is too large"
            ))
        };
        if has_part {
            return digits.parse().map(Word::Float).map_err(|_| wrong());
        }
        digits.parse().map(Word::Int).map_err(|_| wrong())
    }

    fn name(&mut self, start: usize) -> Out<Word> {
        let name = self.run(is_letter);
        if self.rest().starts_with('(') {
            self.at += 1;
            return Ok(Word::Call(name.to_owned()));
        }
        if name.starts_with("__") {
            return Err(illegal('_', start));
        }
        let operator = OPERATORS.into_iter().find(|operator| *operator == name);
        Ok(match (operator, name) {
            (Some(operator), _) => Word::Sign(operator),
            (None, "true") => Word::True,
            (None, "false") => Word::False,
            (None, "null") => Word::Null,
            (None, _) => Word::Name(name.to_owned()),
        })
    }

    fn quoted(&mut self, quote: char) -> Out<Word> {
        let start = self.at;
        self.at += 1;
        let mut inside = String::new();
        let mut escaped = false;
        for letter in self.rest().chars() {
            self.at += letter.len_utf8();
            if letter == quote && !escaped {
                return Ok(Word::Text(if quote == '`' {
                    inside.replace("\\`", "`")
                } else {
                    unescaped(&inside)
                }));
            }
            inside.push(letter);
            escaped = letter == '\\' && !escaped;
        }
        Err(illegal(quote, start))
    }
}

/// A letter, a digit or an underscore of any language.
fn is_letter(letter: char) -> bool {
    letter == '_' || letter.is_alphanumeric()
}

fn illegal(letter: char, at: usize) -> Fault {
    Fault::new(format!("illegal character '{letter}' at position {at}"))
}

/// Carries out escapes; a backslash before any other letter is itself.
fn unescaped(text: &str) -> String {
    let mut out = String::with_capacity(text.len());
    let mut rest = text;
    while let Some(at) = rest.find('\\') {
        let (before, after) = rest.split_at(at);
        out.push_str(before);
        let after = after.get(1..).unwrap_or_default();
        match escape(after) {
            Some((letter, length)) => {
                out.push(letter);
                rest = after.get(length..).unwrap_or_default();
            }
            None => {
                out.push('\\');
                rest = after;
            }
        }
    }
    out.push_str(rest);
    out
}

/// The character that an escape means, and the bytes of it after its backslash.
fn escape(after: &str) -> Option<(char, usize)> {
    let first = after.chars().next()?;
    let hexadecimal = |length: usize| {
        let digits = after.get(1..=length)?;
        let code = u32::from_str_radix(digits, 16).ok()?;
        Some((char::from_u32(code)?, length + 1))
    };
    let single = |letter| Some((letter, 1));
    match first {
        'U' => hexadecimal(8),
        'u' => hexadecimal(4),
        'x' => hexadecimal(2),
        '0'..='7' => {
            let digits: String = after
                .chars()
                .take(3)
                .take_while(|letter| letter.is_digit(8))
                .collect();
            let code = u32::from_str_radix(&digits, 8).ok()?;
            Some((char::from_u32(code)?, digits.len()))
        }
        '\\' | '\'' | '"' => single(first),
        'a' => single('\u{7}'),
        'b' => single('\u{8}'),
        'f' => single('\u{c}'),
        'n' => single('\n'),
        'r' => single('\r'),
        't' => single('\t'),
        'v' => single('\u{b}'),
        _other => None,
    }
}
