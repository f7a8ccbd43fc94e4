//! What surrounds a template: values of parameters, and what its resource types stand for.

use serde_json::{Map, Value, json};

use super::refusal::Refusal;
use super::yaml;

/// An environment.
#[derive(Clone, Debug, Default, PartialEq)]
pub(crate) struct Environment {
    pub parameters: Map<String, Value>,
    pub parameter_defaults: Map<String, Value>,
    pub registry: Map<String, Value>,
    pub event_sinks: Vec<Value>,
    /// How values of parameters go together with those of an environment before this one, by name; `default` for all.
    pub merge_strategies: Map<String, Value>,
    /// The availability zones that there were when the stack was asked for, if its templates ask for them.
    pub zones: Option<Vec<String>>,
}

/// Under which name zones are kept; no section of that name can be given.
const ZONES: &str = "availability zones";

/// What a type or a resource stands for.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Mapped {
    /// A type of this name.
    Kind(String),
    /// A file that came with the template.
    File(String),
}

/// A point in the life of a resource at which it can be held.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Hook {
    PreCreate,
    PostCreate,
    PreUpdate,
    PostUpdate,
    PreDelete,
    PostDelete,
}

const HOOKS: [(&str, Hook); 6] = [
    ("pre-create", Hook::PreCreate),
    ("post-create", Hook::PostCreate),
    ("pre-update", Hook::PreUpdate),
    ("post-update", Hook::PostUpdate),
    ("pre-delete", Hook::PreDelete),
    ("post-delete", Hook::PostDelete),
];
/// The hooks that are carried out here.
const OFFERED: [Hook; 3] = [Hook::PreCreate, Hook::PreUpdate, Hook::PreDelete];

impl Hook {
    pub fn word(self) -> &'static str {
        HOOKS
            .iter()
            .find(|(_, hook)| *hook == self)
            .map_or("", |(word, _)| word)
    }

    pub fn parse(word: &str) -> Option<Self> {
        HOOKS
            .iter()
            .find(|(known, _)| *known == word)
            .map(|(_, hook)| *hook)
    }
}

const SECTIONS: [&str; 6] = [
    "parameters",
    "parameter_defaults",
    "parameter_merge_strategies",
    "resource_registry",
    "event_sinks",
    "encrypted_param_names",
];
/// Keys of a resource's entry in the registry that are no resources of a nested stack.
const ENTRY_KEYS: [&str; 4] = [
    "hooks",
    "restricted_actions",
    "convergence",
    "template_type",
];

impl Environment {
    /// Reads an environment that came as text or as a map; nothing is an empty one.
    pub fn read(given: Option<&Value>) -> Result<Self, Refusal> {
        let wrong = |what: String| Refusal::of("StackValidationFailed", what);
        let parsed;
        let value = match given {
            None | Some(Value::Null) => return Ok(Self::default()),
            Some(Value::String(text)) => {
                parsed = yaml::parse(text)
                    .map_err(|why| wrong(format!("Error parsing environment: {why}")))?;
                &parsed
            }
            Some(value) => value,
        };
        if value.is_null() {
            return Ok(Self::default());
        }
        let map = value.as_object().ok_or_else(|| {
            wrong("The environment is not a valid YAML mapping data type.".to_owned())
        })?;
        if let Some(unknown) = map.keys().find(|key| !SECTIONS.contains(&key.as_str())) {
            return Err(wrong(format!(
                "environment has wrong section \"{unknown}\""
            )));
        }
        let section = |name: &str| match map.get(name) {
            None | Some(Value::Null) => Ok(Map::new()),
            Some(Value::Object(section)) => Ok(section.clone()),
            Some(_) => Err(wrong(format!(
                "environment section \"{name}\" must be a map"
            ))),
        };
        let registry = section("resource_registry")?;
        check_hooks(registry.get("resources"))?;
        let event_sinks = map
            .get("event_sinks")
            .and_then(Value::as_array)
            .cloned()
            .unwrap_or_default();
        if !event_sinks.is_empty() {
            return Err(wrong(
                "event_sinks: there is no message queue service here; leave it out.".to_owned(),
            ));
        }
        Ok(Self {
            parameters: section("parameters")?,
            parameter_defaults: section("parameter_defaults")?,
            registry,
            event_sinks,
            merge_strategies: section("parameter_merge_strategies")?,
            zones: None,
        })
    }

    /// Reads an environment that was kept.
    pub fn recall(kept: &Value) -> Result<Self, Refusal> {
        let mut kept = kept.clone();
        let zones = kept.as_object_mut().and_then(|map| map.remove(ZONES));
        let mut environment = Self::read(Some(&kept))?;
        let name = |zone: &Value| zone.as_str().map(str::to_owned);
        environment.zones = zones
            .as_ref()
            .and_then(Value::as_array)
            .map(|zones| zones.iter().filter_map(name).collect());
        Ok(environment)
    }

    /// A later environment on top of this one.
    pub fn merge(&mut self, later: Self) {
        self.parameters.extend(later.parameters);
        self.parameter_defaults.extend(later.parameter_defaults);
        for (key, value) in later.registry {
            match (self.registry.get_mut(&key), value) {
                (Some(Value::Object(mine)), Value::Object(theirs)) => mine.extend(theirs),
                (_, value) => {
                    self.registry.insert(key, value);
                }
            }
        }
    }

    /// As the API shows it.
    pub fn shown(&self) -> Value {
        let mut registry = self.registry.clone();
        registry.entry("resources").or_insert_with(|| json!({}));
        json!({
            "parameters": self.parameters,
            "parameter_defaults": self.parameter_defaults,
            "resource_registry": registry,
            "event_sinks": self.event_sinks,
        })
    }

    /// As it is kept.
    pub fn kept(&self) -> Value {
        let mut kept = json!({
            "parameters": self.parameters,
            "parameter_defaults": self.parameter_defaults,
            "resource_registry": self.registry,
        });
        if let (Some(map), Some(zones)) = (kept.as_object_mut(), &self.zones) {
            map.insert(ZONES.to_owned(), json!(zones));
        }
        kept
    }

    /// What resource `name` of type `kind` stands for.
    pub fn resolve(&self, kind: &str, name: &str) -> Mapped {
        let mut kind = self.own_mapping(kind, name).unwrap_or(kind).to_owned();
        // A mapping may lead to another one; each is followed once.
        let mut seen = vec![kind.clone()];
        while let Some(next) = self.mapping(&kind) {
            if seen.contains(&next) {
                break;
            }
            seen.push(next.clone());
            kind = next;
        }
        if is_file(&kind) {
            Mapped::File(kind)
        } else {
            Mapped::Kind(kind)
        }
    }

    /// What the entries of a resource say that its type is.
    fn own_mapping(&self, kind: &str, name: &str) -> Option<&str> {
        self.registry
            .get("resources")
            .and_then(Value::as_object)
            .into_iter()
            .flatten()
            .filter(|(pattern, _)| glob(pattern, name))
            .find_map(|(_, entry)| {
                let mut entry = entry.as_object()?.iter();
                let matching = entry.find(|(pattern, to)| to.is_string() && glob(pattern, kind));
                matching.and_then(|(_, to)| to.as_str())
            })
    }

    fn mapping(&self, kind: &str) -> Option<String> {
        self.mapped(kind).map(|(_, target)| target)
    }

    /// What a type is mapped onto, and by which key of the registry.
    fn mapped(&self, kind: &str) -> Option<(&str, String)> {
        if let Some((key, Value::String(found))) = self.registry.get_key_value(kind) {
            return Some((key, found.clone()));
        }
        self.registry.iter().find_map(|(pattern, value)| {
            let target = value.as_str()?;
            let stem = pattern.strip_suffix('*')?;
            let rest = kind.strip_prefix(stem)?;
            let target = target
                .strip_suffix('*')
                .map_or_else(|| target.to_owned(), |target| format!("{target}{rest}"));
            Some((pattern.as_str(), target))
        })
    }

    /// The key of the registry by which a type comes to be a file, directly or over other types.
    fn file_key(&self, kind: &str) -> Option<String> {
        let mut kind = kind.to_owned();
        for _ in 0..self.registry.len() {
            let (key, target) = self.mapped(&kind)?;
            if is_file(&target) {
                return Some(key.to_owned());
            }
            kind = target;
        }
        None
    }

    /// The entries of the registry for a resource.
    fn entries<'a>(&'a self, name: &'a str) -> impl Iterator<Item = &'a Value> {
        self.registry
            .get("resources")
            .and_then(Value::as_object)
            .into_iter()
            .flatten()
            .filter(move |(pattern, value)| value.is_object() && glob(pattern, name))
            .map(|(_, value)| value)
    }

    /// Whether a resource is to be held at this point.
    pub fn holds(&self, name: &str, hook: Hook) -> bool {
        self.entries(name).any(|entry| match entry.get("hooks") {
            Some(Value::String(word)) => word == hook.word(),
            Some(Value::Array(words)) => {
                words.iter().any(|word| word.as_str() == Some(hook.word()))
            }
            _none => false,
        })
    }

    /// Whether what the registry says of a resource forbids `update` or `replace` of it.
    pub fn restricts(&self, name: &str, action: &str) -> bool {
        self.entries(name)
            .any(|entry| match entry.get("restricted_actions") {
                Some(Value::String(word)) => word == action,
                Some(Value::Array(words)) => words.iter().any(|word| word.as_str() == Some(action)),
                _none => false,
            })
    }

    /// The environment of the stack that resource `name` of type `kind` is, without values of parameters. What made a
    /// file of the type does not hold in there, so that a template can stand for a type that it uses itself.
    pub fn nested(&self, name: &str, kind: &str) -> Self {
        let mut registry = self.registry.clone();
        let own = self.own_mapping(kind, name);
        if own.is_none_or(|own| !is_file(own))
            && let Some(key) = self.file_key(own.unwrap_or(kind))
        {
            registry.shift_remove(&key);
        }
        let mut resources = Map::new();
        for entry in self.entries(name).filter_map(Value::as_object) {
            for (key, value) in entry {
                if value.is_object() && !ENTRY_KEYS.contains(&key.as_str()) {
                    resources.insert(key.clone(), value.clone());
                }
            }
        }
        registry.insert("resources".to_owned(), Value::Object(resources));
        Self {
            parameters: Map::new(),
            parameter_defaults: self.parameter_defaults.clone(),
            registry,
            zones: self.zones.clone(),
            ..Self::default()
        }
    }
}

fn check_hooks(resources: Option<&Value>) -> Result<(), Refusal> {
    let Some(map) = resources.and_then(Value::as_object) else {
        return Ok(());
    };
    for (name, entry) in map {
        if name == "hooks" {
            let words: Vec<&str> = match entry {
                Value::String(word) => vec![word.as_str()],
                Value::Array(words) => words.iter().filter_map(Value::as_str).collect(),
                _other => Vec::new(),
            };
            for word in words {
                let offered = Hook::parse(word).is_some_and(|hook| OFFERED.contains(&hook));
                if !offered {
                    let known: Vec<&str> = OFFERED.iter().map(|hook| hook.word()).collect();
                    return Err(Refusal::of(
                        "InvalidBreakPointHook",
                        format!(
                            "Invalid hook type \"{word}\" for resource breakpoint, acceptable hook types are: {}",
                            known.join(", ")
                        ),
                    ));
                }
            }
        } else if entry.is_object() {
            check_hooks(Some(entry))?;
        }
    }
    Ok(())
}

/// Whether a type is a template's file.
pub(crate) fn is_file(kind: &str) -> bool {
    kind.ends_with(".yaml") || kind.ends_with(".yml") || kind.ends_with(".template")
}

/// `*` stands for anything.
pub(crate) fn glob(pattern: &str, text: &str) -> bool {
    let mut parts = pattern.split('*');
    let Some(first) = parts.next() else {
        return text.is_empty();
    };
    let Some(mut rest) = text.strip_prefix(first) else {
        return false;
    };
    let mut last = None;
    for part in parts {
        if let Some(before) = last.replace(part) {
            match rest.find(before) {
                Some(at) => rest = rest.get(at + before.len()..).unwrap_or_default(),
                None => return false,
            }
        }
    }
    last.map_or(rest.is_empty(), |part| rest.ends_with(part))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(value: Value) -> Environment {
        Environment::read(Some(&value)).unwrap()
    }

    #[test]
    fn patterns() {
        for (pattern, text, fits) in [
            ("a*", "ab", true),
            ("*b", "ab", true),
            ("a*c*e", "abcde", true),
            ("a", "ab", false),
            ("*", "", true),
            ("a*b", "a", false),
        ] {
            assert_eq!(glob(pattern, text), fits, "{pattern} {text}");
        }
    }

    #[track_caller]
    fn check(registry: Value, kind: &str, expected: Mapped) {
        let env = read(json!({"resource_registry": registry}));
        assert_eq!(env.resolve(kind, "r"), expected);
    }

    #[test]
    fn types_are_mapped() {
        let kind = |name: &str| Mapped::Kind(name.to_owned());
        let file = |name: &str| Mapped::File(name.to_owned());
        check(json!({}), "OS::X", kind("OS::X"));
        check(json!({}), "x.yaml", file("x.yaml"));
        check(json!({"My": "x.yaml"}), "My", file("x.yaml"));
        check(json!({"A": "B", "B": "C"}), "A", kind("C"));
        check(json!({"A": "B", "B": "A"}), "A", kind("B"));
        check(
            json!({"OS::Old*": "OS::New*"}),
            "OS::OldNet",
            kind("OS::NewNet"),
        );
        check(
            json!({"resources": {"r": {"OS::X": "y.yaml"}}}),
            "OS::X",
            file("y.yaml"),
        );
        check(
            json!({"resources": {"q": {"OS::X": "y.yaml"}}}),
            "OS::X",
            kind("OS::X"),
        );
    }

    #[test]
    fn hooks_and_restrictions_hold_where_they_stand() {
        let env = read(json!({"resource_registry": {"resources": {
            "foo_*": {"hooks": "pre-create"}, "n": {"foo": {"hooks": ["pre-update"]}, "restricted_actions": ["replace"]}}}}));
        assert!(env.holds("foo_1", Hook::PreCreate));
        assert!(!env.holds("bar", Hook::PreCreate));
        assert!(!env.holds("foo", Hook::PreUpdate));
        assert!(env.nested("n", "T").holds("foo", Hook::PreUpdate));
        assert!(env.restricts("n", "replace"));
        assert!(!env.restricts("n", "update"));
    }

    #[test]
    fn a_file_that_stands_for_a_type_may_use_the_type_itself() {
        let env = read(json!({"resource_registry": {
            "OS::X": "x.yaml", "My::X": "OS::X", "OS::Y": "y.yaml", "Old*": "old.yaml"}}));
        for (kind, key) in [("OS::X", "OS::X"), ("My::X", "OS::X"), ("OldOne", "Old*")] {
            let inner = env.nested("r", kind);
            assert_eq!(inner.registry.get(key), None, "{kind}");
            let left = inner.registry.values().filter(|value| value.is_string());
            assert_eq!(left.count(), 3, "{kind}");
        }
        let plain = env.nested("r", "OS::Heat::ResourceGroup");
        assert_eq!(
            plain.resolve("OS::X", "q"),
            Mapped::File("x.yaml".to_owned())
        );
    }

    #[track_caller]
    fn refused(value: Value, words: &str) {
        let why = Environment::read(Some(&value)).unwrap_err();
        assert!(why.message.contains(words), "{why}");
    }

    #[test]
    fn wrong_environments_are_refused() {
        refused(json!({"params": {}}), "wrong section \"params\"");
        refused(json!("a: [\n"), "line");
        refused(json!([1]), "not a valid YAML mapping");
        refused(json!({"parameters": [1]}), "must be a map");
        refused(
            json!({"resource_registry": {"resources": {"r": {"hooks": "sometimes"}}}}),
            "Invalid hook type \"sometimes\"",
        );
        assert_eq!(
            Environment::read(Some(&json!(""))).unwrap(),
            Environment::default()
        );
    }

    #[test]
    fn later_environments_win() {
        let mut env = read(
            json!({"parameters": {"a": 1, "b": 1}, "resource_registry": {"resources": {"x": {}}}}),
        );
        env.merge(read(
            json!({"parameters": {"b": 2}, "resource_registry": {"resources": {"y": {}}}}),
        ));
        assert_eq!(json!(env.parameters), json!({"a": 1, "b": 2}));
        assert_eq!(env.registry["resources"], json!({"x": {}, "y": {}}));
    }
}
