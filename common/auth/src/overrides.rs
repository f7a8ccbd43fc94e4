//! The operator's `policy.yaml`: names and rules, in the flat YAML that oslo.policy writes, or in JSON.
//!
//! Only that subset is read, strictly: anchors, tags, nesting and duplicates are errors with a line number. A YAML
//! library would accept more and mean other things (`no` is false, `!` is a tag), and none is maintained enough to trust
//! with who may do what.

use std::collections::BTreeMap;

use serde_json::Value;

/// Rules by which an operator replaces defaults.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Overrides(BTreeMap<String, String>);

/// Why a policy file cannot be read.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("policy file, line {line}: {reason}")]
pub struct FileError {
    /// Line, from 1.
    pub line: usize,
    /// What is wrong there.
    pub reason: String,
}

impl Overrides {
    /// Reads a policy file's text.
    ///
    /// # Errors
    /// A [`FileError`] with the line.
    pub fn parse(text: &str) -> Result<Self, FileError> {
        let text = text.trim_start_matches('\u{feff}');
        if text.trim_start().starts_with('{') {
            Self::json(text)
        } else {
            Self::yaml(text)
        }
    }

    /// Sets one rule, as a line of the file would.
    pub fn set(&mut self, name: &str, rule: &str) {
        self.0.insert(name.to_owned(), rule.to_owned());
    }

    /// Names and rules.
    pub fn iter(&self) -> impl Iterator<Item = (&str, &str)> {
        self.0
            .iter()
            .map(|(name, rule)| (name.as_str(), rule.as_str()))
    }

    fn json(text: &str) -> Result<Self, FileError> {
        let raw: BTreeMap<String, Value> =
            serde_json::from_str(text).map_err(|cause| FileError {
                line: cause.line(),
                reason: cause.to_string(),
            })?;
        let mut rules = BTreeMap::new();
        for (name, value) in raw {
            let rule = rule_text(&value).ok_or_else(|| FileError {
                line: 1,
                reason: format!(
                    "\"{name}\" must be a rule: a string, or a list of lists of checks"
                ),
            })?;
            rules.insert(name, rule);
        }
        Ok(Self(rules))
    }

    fn yaml(text: &str) -> Result<Self, FileError> {
        let mut rules = BTreeMap::new();
        let mut reader = Reader {
            rest: text,
            line: 1,
        };
        while reader.skip_to_key()? {
            let line = reader.line;
            let name = reader.key()?;
            let rule = reader.value()?;
            if rules.insert(name.clone(), rule).is_some() {
                return Err(FileError {
                    line,
                    reason: format!("\"{name}\" stands here twice"),
                });
            }
        }
        Ok(Self(rules))
    }
}

/// The text of a JSON rule; the old list form is "any of (all of)".
fn rule_text(value: &Value) -> Option<String> {
    let list = match value {
        Value::String(text) => return Some(text.clone()),
        Value::Array(list) if list.is_empty() => return Some("@".to_owned()),
        Value::Array(list) => list,
        Value::Null | Value::Bool(_) | Value::Number(_) | Value::Object(_) => return None,
    };
    let mut alternatives = Vec::new();
    for inner in list {
        alternatives.push(match inner {
            Value::String(check) => check.clone(),
            Value::Array(checks) if !checks.is_empty() => {
                let checks: Option<Vec<_>> = checks.iter().map(Value::as_str).collect();
                format!("({})", checks?.join(" and "))
            }
            Value::Array(_)
            | Value::Null
            | Value::Bool(_)
            | Value::Number(_)
            | Value::Object(_) => return None,
        });
    }
    Some(alternatives.join(" or "))
}

struct Reader<'a> {
    rest: &'a str,
    line: usize,
}

impl Reader<'_> {
    fn error(&self, reason: &str) -> FileError {
        FileError {
            line: self.line,
            reason: reason.to_owned(),
        }
    }

    fn take(&mut self) -> Option<char> {
        let first = self.rest.chars().next()?;
        self.rest = self.rest.get(first.len_utf8()..).unwrap_or_default();
        self.line += usize::from(first == '\n');
        Some(first)
    }

    fn take_line(&mut self) {
        while let Some(character) = self.take() {
            if character == '\n' {
                return;
            }
        }
    }

    /// Over blank lines, comments and document markers; false at the end of the file.
    fn skip_to_key(&mut self) -> Result<bool, FileError> {
        while !self.rest.is_empty() {
            let line = self.rest.lines().next().unwrap_or_default();
            let bare = line.trim();
            if bare.is_empty() || bare.starts_with('#') || matches!(bare, "---" | "...") {
                self.take_line();
            } else if line.starts_with([' ', '\t']) {
                return Err(self
                    .error("unexpected indentation: rules are flat, one \"name\": \"rule\" each"));
            } else {
                return Ok(true);
            }
        }
        Ok(false)
    }

    fn key(&mut self) -> Result<String, FileError> {
        let key = match self.rest.chars().next() {
            Some(quote @ ('"' | '\'')) => {
                let key = self.quoted(quote)?;
                if !self.rest.starts_with(':') {
                    return Err(self.error("expected ':' after the name"));
                }
                key
            }
            _ => {
                // A plain name may contain colons; it ends at the first one before a blank.
                let line = self.rest.lines().next().unwrap_or_default();
                let end = line
                    .match_indices(':')
                    .map(|(at, _)| at)
                    .find(|&at| {
                        line.get(at + 1..)
                            .is_none_or(|tail| tail.is_empty() || tail.starts_with([' ', '\t']))
                    })
                    .ok_or_else(|| self.error("expected \"name\": \"rule\""))?;
                let key = line.get(..end).unwrap_or_default().to_owned();
                self.rest = self.rest.get(end..).unwrap_or_default();
                key
            }
        };
        self.take();
        if key.is_empty() {
            Err(self.error("a rule needs a name"))
        } else {
            Ok(key)
        }
    }

    fn value(&mut self) -> Result<String, FileError> {
        self.rest = self.rest.trim_start_matches([' ', '\t']);
        if let Some(quote @ ('"' | '\'')) = self.rest.chars().next() {
            let value = self.quoted(quote)?;
            let tail = self.rest.lines().next().unwrap_or_default().trim();
            if !tail.is_empty() && !tail.starts_with('#') {
                return Err(self.error("only a comment may follow a quoted rule"));
            }
            self.take_line();
            return Ok(value);
        }
        let line = self.rest.lines().next().unwrap_or_default();
        let plain = line
            .split(" #")
            .next()
            .unwrap_or_default()
            .trim()
            .to_owned();
        let refused = if plain.is_empty() || plain.starts_with('#') {
            Some("a rule without a text; write \"\" to allow everybody or \"!\" to allow nobody")
        } else if plain == "[]" {
            self.take_line();
            return Ok("@".to_owned());
        } else if plain.starts_with(['[', '{', '&', '*', '!', '|', '>', '%', '@', '`']) {
            Some("put the rule in quotes")
        } else if plain.contains(": ") {
            Some("a rule with a colon and a blank must be in quotes")
        } else {
            None
        };
        if let Some(reason) = refused {
            return Err(self.error(reason));
        }
        self.take_line();
        Ok(plain)
    }

    /// A quoted scalar; line breaks inside are folded to one blank, as YAML has it.
    fn quoted(&mut self, quote: char) -> Result<String, FileError> {
        self.take();
        let mut text = String::new();
        loop {
            match self.take() {
                None => return Err(self.error("a quote is not closed")),
                Some('\n') => {
                    text.truncate(text.trim_end_matches([' ', '\t', '\r']).len());
                    text.push(' ');
                    self.rest = self.rest.trim_start_matches([' ', '\t']);
                }
                Some('\\') if quote == '"' => match self.take() {
                    Some('n') => text.push('\n'),
                    Some('t') => text.push('\t'),
                    Some(same @ ('"' | '\\' | '/')) => text.push(same),
                    Some('\n') => self.rest = self.rest.trim_start_matches([' ', '\t']),
                    _ => return Err(self.error("unknown escape in a quoted rule")),
                },
                Some(same) if same == quote => {
                    if quote == '\'' && self.rest.starts_with('\'') {
                        self.take();
                        text.push('\'');
                    } else {
                        return Ok(text);
                    }
                }
                Some(other) => text.push(other),
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[track_caller]
    fn check(text: &str, expected: &[(&str, &str)]) {
        let overrides = Overrides::parse(text).unwrap();
        assert_eq!(overrides.iter().collect::<Vec<_>>(), expected);
    }

    #[track_caller]
    fn refused(text: &str, line: usize, part: &str) {
        let error = Overrides::parse(text).unwrap_err();
        assert_eq!(error.line, line, "{error}");
        assert!(error.reason.contains(part), "{error}");
    }

    #[test]
    fn the_forms_that_real_clouds_use() {
        check("", &[]);
        check("# nothing\n---\n\n", &[]);
        check("{}", &[]);
        check(
            "\"a:b\": \"role:x\"  # why\n'c': ''\n",
            &[("a:b", "role:x"), ("c", "")],
        );
        check(
            "identity:list_users: role:x or role:y # z\r\nn: []",
            &[("identity:list_users", "role:x or role:y"), ("n", "@")],
        );
        check(
            "a: \"role:x or\n    role:y\"\n",
            &[("a", "role:x or role:y")],
        );
        check("a: '''public'':%(v)s'", &[("a", "'public':%(v)s")]);
        check(
            r#"{"a": "!", "b": [["role:x", "role:y"], "@"]}"#,
            &[("a", "!"), ("b", "(role:x and role:y) or @")],
        );
    }

    #[test]
    fn what_yaml_would_read_differently_is_refused() {
        refused("a: !", 1, "quotes");
        refused("a: @", 1, "quotes");
        refused("a:\n  b: c", 1, "without a text");
        refused("\n  a: b", 2, "indentation");
        refused("a: b: c", 1, "quotes");
        refused("a: |\n  role:x", 1, "quotes");
        refused("a: role:x\na: role:y", 2, "twice");
        refused("a: \"role:x", 1, "not closed");
        refused("just words", 1, "expected");
        refused("{\"a\": 1}", 1, "must be a rule");
        refused("{\"a\": \n", 2, "EOF");
    }

    proptest! {
        #[test]
        fn no_text_makes_the_reader_panic(text in "[a:\"' #\\\\\n{}!@-]{0,60}|.{0,60}") {
            let _ = Overrides::parse(&text);
        }
    }
}
