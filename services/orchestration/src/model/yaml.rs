//! YAML as templates and environments use it, read into JSON values.
//!
//! Scalars follow YAML 1.1 as far as templates depend on it (`yes`, `on` and octal numbers), dates stay text. Aliases
//! are resolved, but what they repeat counts: a small text that means a huge document is refused.

use std::collections::HashMap;

use saphyr_parser::{Event, Parser, ScalarStyle, Span};
use serde_json::{Map, Number, Value};

/// Nested deeper than this, nobody means it.
const MAX_DEPTH: usize = 100;
/// More values than this, aliases included, do not fit in a stack.
const MAX_VALUES: usize = 200_000;

/// Why a text is not YAML, with line and column from 1.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{what} at line {line}, column {column}")]
pub(crate) struct YamlError {
    what: String,
    line: usize,
    column: usize,
}

/// Reads one document. JSON is YAML, too. An empty document is null.
pub(crate) fn parse(text: &str) -> Result<Value, YamlError> {
    let mut reader = Reader {
        stack: Vec::new(),
        anchors: HashMap::new(),
        values: 0,
        documents: 0,
        result: None,
    };
    for next in Parser::new_from_str(text) {
        let (event, span) = next.map_err(|why| YamlError {
            what: format!("not valid YAML: {}", why.info()),
            line: why.marker().line(),
            column: why.marker().col() + 1,
        })?;
        reader.take(event, span)?;
    }
    Ok(reader.result.unwrap_or(Value::Null))
}

enum Open {
    List(Vec<Value>, usize, usize),
    /// The map, the key that waits for its value, the anchor, and how many values there were before it.
    Map(Map<String, Value>, Option<String>, usize, usize),
}

struct Reader {
    stack: Vec<Open>,
    /// What an anchor stands for, and how many values that is.
    anchors: HashMap<usize, (Value, usize)>,
    values: usize,
    documents: usize,
    result: Option<Value>,
}

impl Reader {
    fn take(&mut self, event: Event<'_>, span: Span) -> Result<(), YamlError> {
        match event {
            Event::Nothing | Event::StreamStart | Event::StreamEnd | Event::DocumentEnd => Ok(()),
            Event::DocumentStart(_) => {
                self.documents += 1;
                if self.documents > 1 {
                    return Err(error(span, "a second document begins; one is expected"));
                }
                Ok(())
            }
            Event::Alias(id) => {
                let Some((value, size)) = self.anchors.get(&id).cloned() else {
                    return Err(error(span, "an alias stands before the end of its anchor"));
                };
                self.count(size, span)?;
                self.put(value, 0, span)
            }
            Event::Scalar(text, style, anchor, tag) => {
                self.count(1, span)?;
                if matches!(self.stack.last(), Some(Open::Map(_, None, ..))) {
                    return self.key(&text, span);
                }
                let text_tag = tag.is_some_and(|tag| tag.suffix == "str");
                let value = if style == ScalarStyle::Plain && !text_tag {
                    plain(&text)
                } else {
                    Value::String(text.into_owned())
                };
                self.put(value, anchor, span)
            }
            Event::SequenceStart(anchor, _) => {
                let before = self.values;
                self.open(Open::List(Vec::new(), anchor, before), span)
            }
            Event::MappingStart(anchor, _) => {
                let before = self.values;
                self.open(Open::Map(Map::new(), None, anchor, before), span)
            }
            Event::SequenceEnd | Event::MappingEnd => self.close(span),
        }
    }

    fn count(&mut self, more: usize, span: Span) -> Result<(), YamlError> {
        self.values = self.values.saturating_add(more);
        if self.values > MAX_VALUES {
            return Err(error(
                span,
                &format!("the document means more than {MAX_VALUES} values"),
            ));
        }
        Ok(())
    }

    fn open(&mut self, open: Open, span: Span) -> Result<(), YamlError> {
        self.count(1, span)?;
        if matches!(self.stack.last(), Some(Open::Map(_, None, ..))) {
            return Err(error(span, "a key must be plain text"));
        }
        if self.stack.len() >= MAX_DEPTH {
            return Err(error(
                span,
                &format!("nested deeper than {MAX_DEPTH} levels"),
            ));
        }
        self.stack.push(open);
        Ok(())
    }

    fn key(&mut self, text: &str, span: Span) -> Result<(), YamlError> {
        if let Some(Open::Map(map, key, ..)) = self.stack.last_mut() {
            if map.contains_key(text) {
                return Err(error(span, &format!("the key '{text}' stands here twice")));
            }
            *key = Some(text.to_owned());
        }
        Ok(())
    }

    fn close(&mut self, span: Span) -> Result<(), YamlError> {
        match self.stack.pop() {
            Some(Open::List(items, anchor, before)) => {
                self.remember(anchor, || Value::Array(items.clone()), before);
                self.put(Value::Array(items), 0, span)
            }
            Some(Open::Map(map, _, anchor, before)) => {
                self.remember(anchor, || Value::Object(map.clone()), before);
                self.put(Value::Object(map), 0, span)
            }
            None => Ok(()),
        }
    }

    fn remember(&mut self, anchor: usize, value: impl FnOnce() -> Value, before: usize) {
        if anchor > 0 {
            let size = self.values.saturating_sub(before).max(1);
            self.anchors.insert(anchor, (value(), size));
        }
    }

    fn put(&mut self, value: Value, anchor: usize, span: Span) -> Result<(), YamlError> {
        if anchor > 0 {
            self.anchors.insert(anchor, (value.clone(), 1));
        }
        match self.stack.last_mut() {
            None => self.result = Some(value),
            Some(Open::List(items, ..)) => items.push(value),
            Some(Open::Map(map, key, ..)) => match key.take() {
                // `<<: *defaults`, the merge key of YAML 1.1.
                Some(name) if name == "<<" => merge(map, value, span)?,
                Some(name) => {
                    map.insert(name, value);
                }
                None => return Err(error(span, "a key must be plain text")),
            },
        }
        Ok(())
    }
}

fn merge(map: &mut Map<String, Value>, value: Value, span: Span) -> Result<(), YamlError> {
    let sources = match value {
        Value::Array(items) => items,
        other => vec![other],
    };
    for source in sources {
        let Value::Object(source) = source else {
            return Err(error(span, "only a map can be merged"));
        };
        for (key, value) in source {
            map.entry(key).or_insert(value);
        }
    }
    Ok(())
}

fn error(span: Span, what: &str) -> YamlError {
    YamlError {
        what: what.to_owned(),
        line: span.start.line(),
        column: span.start.col() + 1,
    }
}

/// What a plain scalar means.
fn plain(text: &str) -> Value {
    match text {
        "" | "~" | "null" | "Null" | "NULL" => return Value::Null,
        "true" | "True" | "TRUE" | "yes" | "Yes" | "YES" | "on" | "On" | "ON" => {
            return Value::Bool(true);
        }
        "false" | "False" | "FALSE" | "no" | "No" | "NO" | "off" | "Off" | "OFF" => {
            return Value::Bool(false);
        }
        _other => {}
    }
    number(text).unwrap_or_else(|| Value::String(text.to_owned()))
}

fn number(text: &str) -> Option<Value> {
    let first = text.strip_prefix(['-', '+']).unwrap_or(text);
    if !first.starts_with(|c: char| c.is_ascii_digit() || c == '.') {
        return None;
    }
    if let Some(hex) = text.strip_prefix("0x") {
        return i64::from_str_radix(hex, 16).ok().map(Value::from);
    }
    let digits = first.bytes().all(|byte| byte.is_ascii_digit());
    if digits && first.len() > 1 && first.starts_with('0') {
        let octal = i64::from_str_radix(first.trim_start_matches("0o"), 8).ok();
        return octal.map(|value| Value::from(if text.starts_with('-') { -value } else { value }));
    }
    if digits {
        let text = text.strip_prefix('+').unwrap_or(text);
        return text
            .parse::<i64>()
            .map(Value::from)
            .ok()
            .or_else(|| text.parse::<u64>().map(Value::from).ok());
    }
    let float = first
        .bytes()
        .all(|byte| byte.is_ascii_digit() || matches!(byte, b'.' | b'e' | b'E' | b'+' | b'-'))
        && first.contains('.')
        && first.bytes().filter(|byte| *byte == b'.').count() == 1;
    if !float {
        return None;
    }
    let value: f64 = text.parse().ok()?;
    Number::from_f64(value).map(Value::Number)
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[track_caller]
    fn check(text: &str, expected: Value) {
        assert_eq!(parse(text), Ok(expected), "{text}");
    }

    #[track_caller]
    fn refused(text: &str, expected: &str) {
        let message = parse(text).unwrap_err().to_string();
        assert!(message.contains(expected), "{message}");
    }

    #[test]
    fn scalars_mean_what_yaml_1_1_says() {
        check(
            "[yes, off, ~, 010, 0x1f, 1.5, -3]",
            json!([true, false, null, 8, 31, 1.5, -3]),
        );
        check(
            "[2013-05-23, '1', 10.0.0.1, 1.2.3, 08]",
            json!(["2013-05-23", "1", "10.0.0.1", "1.2.3", "08"]),
        );
        check(
            "a: |\n  x\n  y\nb: >-\n  x\n  y\n",
            json!({"a": "x\ny\n", "b": "x y"}),
        );
        check("", Value::Null);
        check(r#"{"a": [1, {"b": null}]}"#, json!({"a": [1, {"b": null}]}));
    }

    #[test]
    fn anchors_are_resolved_and_merged() {
        check(
            "a: &x {p: 1}\nb: *x\nc:\n  <<: *x\n  q: 2\n",
            json!({"a": {"p": 1}, "b": {"p": 1}, "c": {"p": 1, "q": 2}}),
        );
    }

    #[test]
    fn mistakes_have_a_line_and_a_column() {
        refused("a: 1\nb: [1, 2\nc: 3\n", "line");
        refused("a: 1\n  b: 2\n", "line 2, column");
        refused(
            "a: 1\na: 2\n",
            "the key 'a' stands here twice at line 2, column 1",
        );
        refused("---\na: 1\n---\nb: 1\n", "second document");
        refused("? [a]\n: 1\n", "a key must be plain text");
    }

    #[test]
    fn a_billion_laughs_are_not_laughed() {
        let mut text = "a0: &a0 [lol, lol, lol, lol, lol, lol, lol, lol, lol, lol]\n".to_owned();
        for level in 1..10 {
            let before = format!("*a{}", level - 1);
            let list = vec![before; 10].join(", ");
            text.push_str(&format!("a{level}: &a{level} [{list}]\n"));
        }
        refused(&text, "means more than");
        refused(&"[".repeat(200), "nested deeper");
    }
}
