//! Properties of resource types: which there are, what fits, what a change of one means.

use serde_json::{Map, Value, json};

use super::function::shown;
use super::refusal::Refusal;
use super::{constraint, custom, parameter, pattern};

/// The type of a property.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Type {
    Text,
    Number,
    Integer,
    Boolean,
    List,
    Map,
    Any,
}

/// What a value must satisfy.
#[derive(Clone, Copy, Debug)]
pub(crate) enum Rule {
    Allowed(&'static [&'static str]),
    Range(i64, i64),
    /// A number that is not less.
    AtLeast(i64),
    Length(u64, u64),
    Pattern(&'static str),
    /// What is to be a thing of this kind, or is written in this way; each item of a list.
    Custom(&'static str),
}

impl Rule {
    /// As the API shows it.
    fn described(self) -> Value {
        match self {
            Self::Allowed(values) => json!({"allowed_values": values}),
            Self::Range(min, max) => json!({"range": {"min": min, "max": max}}),
            Self::AtLeast(min) => json!({"range": {"min": min}}),
            Self::Length(min, max) => json!({"length": {"min": min, "max": max}}),
            Self::Pattern(pattern) => json!({"allowed_pattern": pattern}),
            Self::Custom(name) => json!({"custom_constraint": name}),
        }
    }
}

/// A property. Data: every resource type has a constant list of them.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Prop {
    pub name: &'static str,
    pub kind: Type,
    pub doc: &'static str,
    pub required: bool,
    /// As JSON.
    pub default: Option<&'static str>,
    /// Whether a change leaves the resource what it is; else it is replaced.
    pub in_place: bool,
    pub rule: Option<Rule>,
    /// Of a map, or of each map of a list.
    pub fields: &'static [Prop],
}

const fn prop(name: &'static str, kind: Type, doc: &'static str) -> Prop {
    Prop {
        name,
        kind,
        doc,
        required: false,
        default: None,
        in_place: false,
        rule: None,
        fields: &[],
    }
}

macro_rules! makers {
    ($($name:ident => $kind:ident;)+) => {$(
        pub(crate) const fn $name(name: &'static str, doc: &'static str) -> Prop {
            prop(name, Type::$kind, doc)
        }
    )+};
}
makers! {
    text => Text;
    float => Number;
    integer => Integer;
    boolean => Boolean;
    list => List;
    map => Map;
    any => Any;
}

impl Prop {
    pub const fn required(self) -> Self {
        Self {
            required: true,
            ..self
        }
    }
    pub const fn in_place(self) -> Self {
        Self {
            in_place: true,
            ..self
        }
    }
    pub const fn default(self, json: &'static str) -> Self {
        Self {
            default: Some(json),
            ..self
        }
    }
    pub const fn rule(self, rule: Rule) -> Self {
        Self {
            rule: Some(rule),
            ..self
        }
    }
    pub const fn of(self, fields: &'static [Self]) -> Self {
        Self { fields, ..self }
    }

    fn type_name(&self) -> &'static str {
        match self.kind {
            Type::Text => "string",
            Type::Number => "number",
            Type::Integer => "integer",
            Type::Boolean => "boolean",
            Type::List => "list",
            Type::Map => "map",
            Type::Any => "any",
        }
    }

    /// As the API shows a resource type.
    pub fn described(&self) -> Value {
        let mut out = json!({
            "type": self.type_name(), "required": self.required, "update_allowed": self.in_place,
            "immutable": false, "description": self.doc,
        });
        let Some(map) = out.as_object_mut() else {
            return out;
        };
        if let Some(default) = self.default_value() {
            map.insert("default".to_owned(), default);
        }
        let constraints = self.rule.map(|rule| json!([rule.described()]));
        match (self.kind, self.rule, constraints) {
            (Type::List, Some(Rule::Custom(_)), Some(constraints)) => {
                let item = json!({"type": "string", "required": false, "update_allowed": false, "immutable": false, "constraints": constraints});
                map.insert("schema".to_owned(), json!({ "*": item }));
            }
            (_, _, Some(constraints)) => {
                map.insert("constraints".to_owned(), constraints);
            }
            (_, _, None) => {}
        }
        if !self.fields.is_empty() {
            let fields: Map<String, Value> = self
                .fields
                .iter()
                .map(|field| (field.name.to_owned(), field.described()))
                .collect();
            let schema = if self.kind == Type::List {
                json!({"*": {"type": "map", "required": false, "update_allowed": self.in_place, "immutable": false, "schema": fields}})
            } else {
                Value::Object(fields)
            };
            map.insert("schema".to_owned(), schema);
        }
        out
    }

    pub fn default_value(&self) -> Option<Value> {
        self.default
            .and_then(|json| serde_json::from_str(json).ok())
    }
}

/// Fills in what is not given and checks the rest; `unknown` names properties whose value will be known later only.
pub(crate) fn fill(
    props: &[Prop],
    given: &Map<String, Value>,
    unknown: &[String],
) -> Result<Map<String, Value>, Refusal> {
    let wrong = |name: &str, what: String| Refusal::invalid(format!("{name}: {what}"));
    if let Some(stranger) = given
        .keys()
        .find(|key| !props.iter().any(|prop| prop.name == *key))
    {
        return Err(Refusal::invalid(format!("Unknown Property {stranger}")));
    }
    let mut out = Map::new();
    for prop in props {
        let value = given
            .get(prop.name)
            .filter(|value| !value.is_null())
            .cloned();
        if unknown.iter().any(|name| name == prop.name) {
            out.insert(prop.name.to_owned(), value.unwrap_or_default());
            continue;
        }
        match value.or_else(|| prop.default_value()) {
            Some(value) => {
                let fitting = fit(prop, &value).map_err(|what| wrong(prop.name, what))?;
                out.insert(prop.name.to_owned(), fitting);
            }
            None if prop.required => {
                return Err(Refusal::invalid(format!(
                    "Property {} not assigned",
                    prop.name
                )));
            }
            None => {}
        }
    }
    Ok(out)
}

/// The value as the property's type has it.
fn fit(prop: &Prop, value: &Value) -> Result<Value, String> {
    let fitting = match prop.kind {
        Type::Any => value.clone(),
        Type::Text => match value {
            Value::Array(_) | Value::Object(_) => return Err("Value must be a string".to_owned()),
            other => Value::String(shown(other)),
        },
        Type::Number => parameter::number(value)
            .ok_or_else(|| format!("\"{}\" is not a number", shown(value)))?,
        Type::Integer => {
            let number = parameter::number(value).and_then(|number| number.as_i64());
            Value::from(number.ok_or_else(|| format!("\"{}\" is not an integer", shown(value)))?)
        }
        Type::Boolean => {
            let truth = parameter::truth(value);
            Value::Bool(
                truth.ok_or_else(|| format!("\"{}\" is not a valid boolean", shown(value)))?,
            )
        }
        Type::List => {
            let items = match value {
                Value::Array(items) => items.clone(),
                Value::String(text) => text
                    .split(',')
                    .map(|item| Value::from(item.trim()))
                    .collect(),
                other => return Err(format!("\"{}\" is not a list", shown(other))),
            };
            Value::Array(
                items
                    .iter()
                    .enumerate()
                    .map(|(at, item)| fields(prop, item).map_err(|what| format!("{at}: {what}")))
                    .collect::<Result<_, _>>()?,
            )
        }
        Type::Map => match value {
            Value::Object(_) => fields(prop, value)?,
            Value::String(text) => {
                let parsed = serde_json::from_str(text).ok().filter(Value::is_object);
                fields(
                    prop,
                    &parsed.ok_or_else(|| format!("\"{text}\" is not a map"))?,
                )?
            }
            other => return Err(format!("\"{}\" is not a map", shown(other))),
        },
    };
    check(prop.rule, &fitting)?;
    Ok(fitting)
}

fn fields(prop: &Prop, value: &Value) -> Result<Value, String> {
    if prop.fields.is_empty() {
        return Ok(value.clone());
    }
    let map = value
        .as_object()
        .ok_or_else(|| format!("\"{}\" is not a map", shown(value)))?;
    fill(prop.fields, map, &[])
        .map(Value::Object)
        .map_err(|why| why.message)
}

fn check(rule: Option<Rule>, value: &Value) -> Result<(), String> {
    match rule {
        None => Ok(()),
        Some(Rule::Allowed(values)) => {
            let values: Vec<Value> = values.iter().map(|value| Value::from(*value)).collect();
            match value {
                Value::Array(items) => items
                    .iter()
                    .try_for_each(|item| constraint::allowed(item, &values)),
                one => constraint::allowed(one, &values),
            }
        }
        #[expect(clippy::cast_precision_loss, reason = "bounds are small")]
        Some(Rule::Range(min, max)) => {
            constraint::range(value, (Some(min as f64), Some(max as f64)))
        }
        #[expect(clippy::cast_precision_loss, reason = "bounds are small")]
        Some(Rule::AtLeast(min)) => constraint::range(value, (Some(min as f64), None)),
        Some(Rule::Length(min, max)) => constraint::length(value, (Some(min), Some(max))),
        Some(Rule::Pattern(pattern)) => pattern::matches(&shown(value), pattern),
        Some(Rule::Custom(name)) => match value {
            Value::Array(items) => items
                .iter()
                .try_for_each(|item| custom::check(name, &shown(item))),
            one => custom::check(name, &shown(one)),
        },
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const PROPS: &[Prop] = &[
        text("name", "").rule(Rule::Length(1, 5)),
        integer("size", "").required(),
        boolean("up", "").default("true"),
        list("ips", "").of(&[
            text("subnet", "").required(),
            text("ip", "").rule(Rule::Pattern("[0-9.]+")),
        ]),
        map("meta", ""),
        text("mode", "").rule(Rule::Allowed(&["a", "b"])),
        integer("port", "").rule(Rule::Range(1, 10)),
        integer("least", "").rule(Rule::AtLeast(-1)),
        list("nets", "").rule(Rule::Custom("net_cidr")),
    ];

    #[track_caller]
    fn check_fill(given: Value, expected: Result<Value, &str>) {
        let got = fill(PROPS, given.as_object().unwrap(), &[]);
        match (got, expected) {
            (Ok(got), Ok(expected)) => assert_eq!(Value::Object(got), expected),
            (Err(why), Err(words)) => assert!(why.message.contains(words), "{why}"),
            (got, expected) => panic!("{got:?} and not {expected:?}"),
        }
    }

    #[test]
    fn values_are_converted_and_defaults_filled_in() {
        check_fill(
            json!({"size": "3", "name": 12}),
            Ok(json!({"name": "12", "size": 3, "up": true})),
        );
        check_fill(
            json!({"size": 1, "up": "no", "meta": "{\"a\": 1}", "ips": [{"subnet": "s"}]}),
            Ok(json!({"size": 1, "up": false, "ips": [{"subnet": "s"}], "meta": {"a": 1}})),
        );
    }

    #[test]
    fn what_does_not_fit_is_refused_with_its_place() {
        check_fill(json!({}), Err("Property size not assigned"));
        check_fill(
            json!({"size": 1, "colour": 1}),
            Err("Unknown Property colour"),
        );
        check_fill(json!({"size": "x"}), Err("size: \"x\" is not an integer"));
        check_fill(
            json!({"size": 1, "name": "toolong"}),
            Err("name: length (7) is out of range"),
        );
        check_fill(
            json!({"size": 1, "mode": "c"}),
            Err("mode: \"c\" is not an allowed value [a, b]"),
        );
        check_fill(
            json!({"size": 1, "port": 11}),
            Err("port: 11 is out of range (min: 1, max: 10)"),
        );
        check_fill(
            json!({"size": 1, "least": -2}),
            Err("least: -2 is out of range (min: -1, max: None)"),
        );
        check_fill(
            json!({"size": 1, "nets": ["10.0.0.0/8", "x"]}),
            Err("nets: Error validating value 'x': it is no net cidr"),
        );
        check_fill(
            json!({"size": 1, "ips": [{}]}),
            Err("ips: 0: Property subnet not assigned"),
        );
        check_fill(
            json!({"size": 1, "ips": [{"subnet": "s", "ip": "x"}]}),
            Err("does not match pattern"),
        );
        check_fill(json!({"size": 1, "meta": 5}), Err("is not a map"));
        check_fill(
            json!({"size": 1, "up": "perhaps"}),
            Err("is not a valid boolean"),
        );
    }

    #[test]
    fn what_must_hold_is_shown_with_the_type() {
        let least = integer("least", "").rule(Rule::AtLeast(-1)).described();
        assert_eq!(least["constraints"], json!([{"range": {"min": -1}}]));
        let one = text("pool", "").rule(Rule::Custom("octavia.pool"));
        let custom = json!([{"custom_constraint": "octavia.pool"}]);
        assert_eq!(one.described()["constraints"], custom);
        let many = list("nets", "").rule(Rule::Custom("octavia.pool"));
        assert_eq!(many.described()["schema"]["*"]["constraints"], custom);
        assert_eq!(many.described().get("constraints"), None);
    }

    #[test]
    fn what_is_not_known_yet_is_not_judged() {
        let given = json!({"size": null}).as_object().cloned().unwrap();
        assert!(fill(PROPS, &given, &["size".to_owned()]).is_ok());
    }
}
