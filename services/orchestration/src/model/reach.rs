//! Which of the files of a request a nested stack can come to: it keeps those only, so that a file that one member of
//! a group uses is not kept with each of the others.
//!
//! A name of a file counts wherever it stands. Where a name is put together by functions, all files count.

use std::collections::{BTreeMap, BTreeSet};

use serde_json::Value;

use super::environment::{Environment, is_file};
use super::yaml;

/// The files that a template in an environment can come to, over other templates too.
pub(crate) fn reachable(
    template: &Value,
    environment: &Environment,
    files: &BTreeMap<String, Value>,
) -> BTreeMap<String, Value> {
    if files.is_empty() {
        return BTreeMap::new();
    }
    let mut scan = Scan {
        files,
        found: BTreeSet::new(),
        open: Vec::new(),
        all: false,
    };
    scan.value(template);
    scan.value(&environment.kept());
    while let Some(name) = scan.open.pop() {
        match files.get(name) {
            Some(Value::String(text)) if text.contains("heat_template_version") => {
                // What is no template holds no names; what is a broken one fails when it is read.
                if let Ok(inner) = yaml::parse(text) {
                    scan.value(&inner);
                }
            }
            Some(inner @ Value::Object(_)) => scan.value(inner),
            _text => {}
        }
        if scan.all {
            return files.clone();
        }
    }
    if scan.all {
        return files.clone();
    }
    let found = scan.found;
    files
        .iter()
        .filter(|(name, _)| found.contains(name.as_str()))
        .map(|(name, file)| (name.clone(), file.clone()))
        .collect()
}

struct Scan<'a> {
    files: &'a BTreeMap<String, Value>,
    found: BTreeSet<&'a str>,
    /// Those that are not looked into yet.
    open: Vec<&'a str>,
    all: bool,
}

impl Scan<'_> {
    /// Takes note of a name; whether it is one.
    fn name(&mut self, text: &str) -> bool {
        let Some((name, _)) = self.files.get_key_value(text) else {
            return false;
        };
        if self.found.insert(name) {
            self.open.push(name);
        }
        true
    }

    fn value(&mut self, value: &Value) {
        match value {
            Value::String(text) => {
                self.name(text);
            }
            Value::Array(items) => items.iter().for_each(|item| self.value(item)),
            Value::Object(map) => {
                for (key, value) in map {
                    self.name(key);
                    self.all |= match (key.as_str(), value) {
                        ("get_file", Value::String(name)) => !self.name(name),
                        ("type", Value::String(kind)) => is_file(kind) && !self.name(kind),
                        ("get_file" | "type", Value::Object(_) | Value::Array(_)) => true,
                        _other => false,
                    };
                    self.value(value);
                }
            }
            Value::Null | Value::Bool(_) | Value::Number(_) => {}
        }
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[track_caller]
    fn check(template: Value, registry: Value, expected: &[&str]) {
        let inner = "heat_template_version: 2018-08-31\nresources: {r: {type: c.yaml, properties: {x: {get_file: text}}}}";
        let files = [
            ("a.yaml", inner),
            ("b.yaml", "heat_template_version: 2018-08-31"),
            ("c.yaml", "heat_template_version: 2018-08-31"),
            ("text", "a.yaml"),
            ("other", "b.yaml"),
        ];
        let files = files.map(|(name, text)| (name.to_owned(), json!(text)));
        let environment = json!({ "resource_registry": registry });
        let environment = Environment::read(Some(&environment)).unwrap();
        let found = reachable(&template, &environment, &files.into_iter().collect());
        let names: Vec<&str> = found.keys().map(String::as_str).collect();
        assert_eq!(names, expected, "{template}");
    }

    #[test]
    fn what_can_be_come_to_is_kept() {
        let all = ["a.yaml", "b.yaml", "c.yaml", "other", "text"];
        let one = |kind: &str| json!({"resources": {"r": {"type": kind}}});
        check(one("a.yaml"), json!({}), &["a.yaml", "c.yaml", "text"]);
        check(one("b.yaml"), json!({}), &["b.yaml"]);
        check(one("X"), json!({"X": "b.yaml"}), &["b.yaml"]);
        check(one("X"), json!({}), &[]);
        check(json!({"x": {"get_file": "other"}}), json!({}), &["other"]);
        check(
            json!({"x": {"get_file": {"get_param": "p"}}}),
            json!({}),
            &all,
        );
        check(json!({"x": {"get_file": "%name%"}}), json!({}), &all);
        check(one("%index%.yaml"), json!({}), &all);
    }
}
