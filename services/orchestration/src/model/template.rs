//! A template: parameters, conditions, resources and outputs, as they are declared.

use std::collections::HashMap;

use serde_json::{Map, Value};

use super::function::check_queries;
use super::parameter::Parameter;
use super::refusal::Refusal;
use super::version::{Version, function};
use super::yaml;

/// A stack has at most so many resources of its own.
pub(crate) const MAX_RESOURCES: usize = 1000;

/// A template.
#[derive(Clone, Debug)]
pub(crate) struct Template {
    pub version: Version,
    /// As it was given.
    pub raw: Value,
    pub description: String,
    pub parameters: Vec<Parameter>,
    pub groups: Vec<Value>,
    pub conditions: Map<String, Value>,
    pub resources: Vec<Definition>,
    pub outputs: Vec<Output>,
    /// Where each resource stands among them.
    places: HashMap<String, usize>,
}

/// A resource as a template defines it; its values may hold functions.
#[derive(Clone, Debug, Default, PartialEq)]
pub(crate) struct Definition {
    pub name: String,
    pub kind: String,
    pub description: String,
    pub properties: Map<String, Value>,
    pub metadata: Value,
    pub depends_on: Vec<String>,
    /// A word, or a function of parameters that gives one.
    pub deletion_policy: Value,
    pub update_policy: Value,
    pub condition: Option<Value>,
    /// A thing that is there already: it is used, never changed.
    pub external_id: Option<Value>,
}

/// What becomes of a resource's thing when the resource goes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Deletion {
    Delete,
    Retain,
    /// It goes, and a copy of it stays.
    Snapshot,
}

impl Deletion {
    /// By its word, which newer versions of the language write small.
    pub fn parse(word: &str) -> Option<Self> {
        [Self::Delete, Self::Retain, Self::Snapshot]
            .into_iter()
            .find(|known| known.word().eq_ignore_ascii_case(word))
    }

    pub const fn word(self) -> &'static str {
        match self {
            Self::Delete => "Delete",
            Self::Retain => "Retain",
            Self::Snapshot => "Snapshot",
        }
    }
}

/// A value that a stack shows.
#[derive(Clone, Debug)]
pub(crate) struct Output {
    pub name: String,
    pub description: String,
    pub value: Value,
    pub condition: Option<Value>,
}

const SECTIONS: [&str; 7] = [
    "heat_template_version",
    "description",
    "parameters",
    "parameter_groups",
    "resources",
    "outputs",
    "conditions",
];
const RESOURCE_KEYS: [&str; 9] = [
    "type",
    "properties",
    "metadata",
    "depends_on",
    "deletion_policy",
    "update_policy",
    "description",
    "condition",
    "external_id",
];

impl Template {
    /// Reads a template that came as text or already as a map.
    pub fn read(given: &Value) -> Result<Self, Refusal> {
        match given {
            Value::String(text) => {
                let raw = yaml::parse(text).map_err(|why| {
                    Refusal::of("InvalidTemplate", format!("Error parsing template: {why}"))
                })?;
                Self::parse(raw)
            }
            Value::Object(_) => Self::parse(given.clone()),
            _other => Err(Refusal::of(
                "InvalidTemplate",
                "The template is not a JSON object or YAML mapping.",
            )),
        }
    }

    /// Reads a template.
    pub fn parse(raw: Value) -> Result<Self, Refusal> {
        let Some(map) = raw.as_object() else {
            return Err(Refusal::of(
                "InvalidTemplate",
                "The template is not a JSON object or YAML mapping.",
            ));
        };
        let version = version_of(map)?;
        if let Some(unknown) = map.keys().find(|key| {
            !SECTIONS.contains(&key.as_str()) || (*key == "conditions" && version < Version::NEWTON)
        }) {
            return Err(Refusal::of(
                "InvalidTemplateSection",
                format!("The template section is invalid: {unknown}"),
            ));
        }
        let parameters = section(map, "parameters")?
            .iter()
            .map(|(name, value)| Parameter::parse(name, value))
            .collect::<Result<Vec<_>, _>>()?;
        let groups = groups(map, &parameters)?;
        let resources = section(map, "resources")?
            .iter()
            .map(|(name, value)| Definition::parse(name, value, version))
            .collect::<Result<Vec<_>, _>>()?;
        if resources.len() > MAX_RESOURCES {
            return Err(Refusal::of(
                "RequestLimitExceeded",
                format!(
                    "Request limit exceeded: Template exceeds {MAX_RESOURCES} resources per stack."
                ),
            ));
        }
        let outputs = section(map, "outputs")?
            .iter()
            .map(|(name, value)| Output::parse(name, value, version))
            .collect::<Result<Vec<_>, _>>()?;
        if function("yaql", version, false).is_some() {
            for name in ["conditions", "resources", "outputs"] {
                check_queries(section(map, name)?, name).map_err(Refusal::invalid)?;
            }
        }
        Ok(Self {
            version,
            description: map
                .get("description")
                .filter(|value| !value.is_null())
                .map_or_else(|| "No description".to_owned(), super::function::shown),
            parameters,
            groups,
            conditions: section(map, "conditions")?.clone(),
            places: resources
                .iter()
                .enumerate()
                .map(|(at, definition)| (definition.name.clone(), at))
                .collect(),
            resources,
            outputs,
            raw: raw.clone(),
        })
    }

    /// The template of a stack that has nothing.
    pub fn empty() -> Value {
        serde_json::json!({"heat_template_version": "2016-10-14"})
    }

    /// The definition of this name.
    pub fn resource(&self, name: &str) -> Option<&Definition> {
        self.resources.get(*self.places.get(name)?)
    }
}

fn version_of(map: &Map<String, Value>) -> Result<Version, Refusal> {
    let of = |message: String| {
        Refusal::of(
            "InvalidTemplateVersion",
            format!("The template version is invalid: {message}"),
        )
    };
    if map.contains_key("HeatTemplateFormatVersion") || map.contains_key("AWSTemplateFormatVersion")
    {
        return Err(of("templates in the format of CloudFormation are not offered; \"heat_template_version\" is.".to_owned()));
    }
    let Some(given) = map.get("heat_template_version") else {
        return Err(Refusal::of(
            "InvalidTemplate",
            "Template format version not found.",
        ));
    };
    let text = super::function::shown(given);
    Version::parse(&text).ok_or_else(|| {
        of(format!(
            "\"heat_template_version: {text}\". \"heat_template_version\" should be one of: {}",
            Version::names().join(", ")
        ))
    })
}

/// A section that maps names; absent and null are nothing.
fn section<'a>(map: &'a Map<String, Value>, name: &str) -> Result<&'a Map<String, Value>, Refusal> {
    static NOTHING: std::sync::LazyLock<Map<String, Value>> = std::sync::LazyLock::new(Map::new);
    match map.get(name) {
        None | Some(Value::Null) => Ok(&NOTHING),
        Some(Value::Object(section)) => {
            if let Some(wrong) = section.keys().find(|name| {
                name.is_empty() || name.contains('/') || name.chars().any(char::is_control)
            }) {
                return Err(Refusal::invalid(format!(
                    "\"{name}\" has a name that cannot be used: \"{}\"",
                    wrong.escape_debug()
                )));
            }
            Ok(section)
        }
        Some(_) => Err(Refusal::invalid(format!(
            "\"{name}\" must contain a map of names. Check the indentation of that section."
        ))),
    }
}

fn groups(map: &Map<String, Value>, parameters: &[Parameter]) -> Result<Vec<Value>, Refusal> {
    let wrong = |what: String| {
        Refusal::invalid(format!("Parameter Groups error: parameter_groups: {what}"))
    };
    let groups = match map.get("parameter_groups") {
        None | Some(Value::Null) => return Ok(Vec::new()),
        Some(Value::Array(groups)) => groups,
        Some(_) => return Err(wrong("The parameter_groups should be a list.".to_owned())),
    };
    let mut seen = Vec::new();
    for group in groups {
        let names = group.get("parameters").and_then(Value::as_array);
        let names = names.ok_or_else(|| {
            wrong("The grouped parameters must be provided for each parameter group.".to_owned())
        })?;
        for name in names.iter().filter_map(Value::as_str) {
            if seen.contains(&name) {
                return Err(wrong(format!(
                    "The {name} parameter must be assigned to one parameter group only."
                )));
            }
            if !parameters.iter().any(|parameter| parameter.name == name) {
                return Err(wrong(format!(
                    "The grouped parameter {name} does not reference a valid parameter."
                )));
            }
            seen.push(name);
        }
    }
    Ok(groups.clone())
}

impl Definition {
    /// Reads a resource of a template.
    pub fn parse(name: &str, value: &Value, version: Version) -> Result<Self, Refusal> {
        let wrong = |what: &str| Refusal::invalid(format!("resources.{name}: {what}"));
        let map = value
            .as_object()
            .ok_or_else(|| wrong("Resource definition must be a map"))?;
        if let Some(unknown) = map.keys().find(|key| {
            let new =
                matches!(key.as_str(), "condition" | "external_id") && version < Version::NEWTON;
            new || !RESOURCE_KEYS.contains(&key.as_str())
        }) {
            return Err(Refusal::invalid(format!(
                "Invalid keyword \"{unknown}\" inside a resource definition: resources.{name}"
            )));
        }
        let kind = match map.get("type") {
            Some(Value::String(kind)) if !kind.is_empty() => kind.clone(),
            Some(_) => return Err(wrong("Resource type must be string")),
            None => return Err(wrong("Each Resource must contain a type key")),
        };
        let properties = match map.get("properties") {
            None | Some(Value::Null) => Map::new(),
            Some(Value::Object(properties)) => properties.clone(),
            Some(_) => return Err(wrong("Resource properties must be a map")),
        };
        let depends_on = match map.get("depends_on") {
            None | Some(Value::Null) => Vec::new(),
            Some(Value::String(one)) => vec![one.clone()],
            Some(Value::Array(items)) => items.iter().map(super::function::shown).collect(),
            Some(_) => return Err(wrong("depends_on must be a name or a list of names")),
        };
        let deletion_policy = match map.get("deletion_policy") {
            None | Some(Value::Null) => Value::from(Deletion::Delete.word()),
            Some(Value::String(word)) => {
                let known = Deletion::parse(word);
                let known =
                    known.ok_or_else(|| wrong(&format!("Invalid deletion policy \"{word}\"")))?;
                Value::from(known.word())
            }
            Some(function @ Value::Object(_)) => function.clone(),
            Some(other) => return Err(wrong(&format!("Invalid deletion policy \"{other}\""))),
        };
        Ok(Self {
            name: name.to_owned(),
            kind,
            description: map
                .get("description")
                .map(super::function::shown)
                .unwrap_or_default(),
            properties,
            metadata: map
                .get("metadata")
                .cloned()
                .unwrap_or_else(|| Value::Object(Map::new())),
            depends_on,
            deletion_policy,
            update_policy: map.get("update_policy").cloned().unwrap_or(Value::Null),
            condition: map.get("condition").cloned(),
            external_id: map
                .get("external_id")
                .filter(|value| !value.is_null())
                .cloned(),
        })
    }
}

impl Output {
    fn parse(name: &str, value: &Value, version: Version) -> Result<Self, Refusal> {
        let wrong = |what: &str| Refusal::invalid(format!("outputs.{name}: {what}"));
        let map = value
            .as_object()
            .ok_or_else(|| wrong("Output definition must be a map"))?;
        if let Some(unknown) = map.keys().find(|key| {
            let known = matches!(key.as_str(), "value" | "description")
                || (*key == "condition" && version >= Version::NEWTON);
            !known
        }) {
            return Err(wrong(&format!(
                "Invalid keyword \"{unknown}\" inside an output definition"
            )));
        }
        Ok(Self {
            name: name.to_owned(),
            description: map
                .get("description")
                .map_or_else(|| "No description given".to_owned(), super::function::shown),
            value: map
                .get("value")
                .cloned()
                .ok_or_else(|| wrong("Each output must contain a value key."))?,
            condition: map.get("condition").cloned(),
        })
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[track_caller]
    fn refused(more: Value, kind: &str, words: &str) {
        let mut raw = json!({"heat_template_version": "2016-10-14"});
        for (key, value) in more.as_object().unwrap() {
            raw[key] = value.clone();
        }
        let why = Template::parse(raw).unwrap_err();
        assert_eq!(why.kind, kind, "{why}");
        assert!(why.message.contains(words), "{why}");
    }

    #[test]
    fn a_whole_template_is_read() {
        let text = "heat_template_version: 2013-05-23\nparameters: {p: {type: string}}\n\
            resources:\n  r: {type: T, depends_on: q, deletion_policy: Retain}\n  q: {type: T}\noutputs: {o: {value: 1}}\n";
        let template = Template::read(&json!(text)).unwrap();
        assert_eq!(template.version, Version::V2013_05);
        assert_eq!(template.resource("r").unwrap().depends_on, ["q"]);
        assert_eq!(template.resource("r").unwrap().deletion_policy, "Retain");
        assert_eq!(
            template.outputs.first().unwrap().description,
            "No description given"
        );
        assert_eq!(template.description, "No description");
    }

    #[test]
    fn wrong_templates_are_refused_with_the_place() {
        refused(
            json!({"heat_template_version": "invalid"}),
            "InvalidTemplateVersion",
            "The template version is invalid",
        );
        refused(
            json!({"resource": {}}),
            "InvalidTemplateSection",
            "The template section is invalid: resource",
        );
        refused(
            json!({"resources": []}),
            "StackValidationFailed",
            "\"resources\" must contain a map",
        );
        refused(
            json!({"resources": {"r": {}}}),
            "StackValidationFailed",
            "resources.r: Each Resource must contain a type key",
        );
        refused(
            json!({"resources": {"r": {"type": "T", "propertys": {}}}}),
            "StackValidationFailed",
            "Invalid keyword \"propertys\"",
        );
        refused(
            json!({"resources": {"r": {"type": "T", "deletion_policy": "Burn"}}}),
            "StackValidationFailed",
            "Invalid deletion policy",
        );
        refused(
            json!({"resources": {"a/b": {"type": "T"}}}),
            "StackValidationFailed",
            "cannot be used",
        );
        refused(
            json!({"outputs": {"o": {}}}),
            "StackValidationFailed",
            "must contain a value key",
        );
        refused(
            json!({"parameter_groups": [{"parameters": ["x"]}]}),
            "StackValidationFailed",
            "does not reference a valid parameter",
        );
        let broken = Template::read(&json!("heat_template_version: [\n")).unwrap_err();
        assert!(broken.message.contains("line"), "{broken}");
        assert!(Template::read(&json!("just text")).is_err());
        assert!(
            Template::parse(json!({}))
                .unwrap_err()
                .message
                .contains("version not found")
        );
        let old = json!({"heat_template_version": "2013-05-23", "conditions": {}});
        assert_eq!(
            Template::parse(old).unwrap_err().kind,
            "InvalidTemplateSection"
        );
    }
}
