//! A template with values for its parameters and with what is known of its resources: what functions are worked out in.

use std::collections::{BTreeMap, BTreeSet, HashMap};
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::sync::{Mutex, PoisonError};

use serde_json::{Map, Value, json};

use super::environment::Environment;
use super::fact::Fact;
use super::function::{Depth, Trouble, World, evaluate, holds, shown};
use super::graph::references;
use super::refusal::Refusal;
use super::template::{Definition, Deletion, Output, Template};
use super::version::Version;

/// Values that the functions of a stack may make, and its longer texts count as several.
const MAX_WORK: usize = 1_000_000;

/// What a stack is called.
#[derive(Clone, Debug, Default)]
pub(crate) struct Names {
    pub stack: String,
    /// `None` as text in a preview, as the original has it.
    pub stack_id: String,
    pub project: String,
}

/// A template with everything that its functions ask about.
#[derive(Debug)]
pub(crate) struct Scene {
    pub template: Template,
    pub environment: Environment,
    pub files: BTreeMap<String, Value>,
    pub parameters: BTreeMap<String, Value>,
    pub names: Names,
    /// What is known of resources; of others nothing is known yet.
    pub facts: HashMap<String, Fact>,
    /// What the parent says of the resource that this stack is.
    pub facade: Value,
    /// Whether values that are not known yet count as nothing instead of as a reason to wait.
    pub ahead: bool,
    /// Whether it is about the template only: what is given to it and does not fit is let pass.
    pub lenient: bool,
    unknown_touched: AtomicBool,
    /// What its functions have worked on so far.
    spent: AtomicUsize,
    conditions: Mutex<HashMap<String, Option<Known>>>,
    depth: Depth,
}

/// Whether a condition holds, and how many levels deep it stands.
#[derive(Clone, Copy, Debug)]
struct Known {
    holds: bool,
    levels: usize,
}

impl Scene {
    /// Brings a template, an environment and names together.
    ///
    /// With `lenient`, parameters without a value are let pass: a validation is about the template only.
    pub fn new(
        template: Template,
        environment: Environment,
        files: BTreeMap<String, Value>,
        names: Names,
        lenient: bool,
    ) -> Result<Self, Refusal> {
        if let Some(unknown) = environment
            .parameters
            .keys()
            .find(|name| !template.parameters.iter().any(|known| known.name == **name))
        {
            return Err(Refusal::of(
                "UnknownUserParameter",
                format!("The Parameter ({unknown}) was not defined in template."),
            ));
        }
        let mut parameters = BTreeMap::new();
        for parameter in &template.parameters {
            let name = &parameter.name;
            let given = [
                environment.parameters.get(name),
                environment.parameter_defaults.get(name),
                parameter.default.as_ref(),
            ];
            match given.into_iter().flatten().next() {
                Some(value) => {
                    parameters.insert(name.clone(), parameter.value(value)?);
                }
                None if lenient => {}
                None => {
                    return Err(Refusal::of(
                        "UserParameterMissing",
                        format!("The Parameter ({name}) was not provided."),
                    ));
                }
            }
        }
        Ok(Self {
            template,
            environment,
            files,
            parameters,
            names,
            facts: HashMap::new(),
            facade: Value::Null,
            ahead: lenient,
            lenient,
            unknown_touched: AtomicBool::new(false),
            spent: AtomicUsize::new(0),
            conditions: Mutex::default(),
            depth: Depth::default(),
        })
    }

    /// The resources whose condition holds, in the order of the template.
    pub fn enabled(&self) -> Result<Vec<&Definition>, Trouble> {
        let mut enabled = Vec::new();
        for definition in &self.template.resources {
            if self.is_enabled(definition.condition.as_ref())? {
                enabled.push(definition);
            }
        }
        Ok(enabled)
    }

    fn is_enabled(&self, condition: Option<&Value>) -> Result<bool, Trouble> {
        condition.map_or(Ok(true), |condition| holds(self, condition))
    }

    /// A value, and whether something in it is not known yet.
    pub fn work_out(&self, value: &Value) -> Result<(Value, bool), Trouble> {
        self.unknown_touched.store(false, Ordering::Relaxed);
        let worked_out = evaluate(self, value);
        let unknown = self.unknown_touched.swap(false, Ordering::Relaxed);
        match worked_out {
            Err(Trouble::Wrong(_)) if unknown => Ok((Value::Null, true)),
            Err(why) => Err(why),
            Ok(value) => Ok((value, unknown)),
        }
    }

    /// The properties of a resource as its definition gives them, and the names of those that are not known yet.
    pub fn properties(
        &self,
        definition: &Definition,
    ) -> Result<(Map<String, Value>, Vec<String>), Trouble> {
        let mut out = Map::new();
        let mut unknown = Vec::new();
        for (name, value) in &definition.properties {
            let place = |why: Trouble| match why {
                Trouble::Wrong(what) => Trouble::Wrong(format!(
                    "Property error: : resources.{}.properties.{name}: : {what}",
                    definition.name
                )),
                later @ Trouble::NotYet(_) => later,
            };
            let (value, later) = self.work_out(value).map_err(place)?;
            if later {
                unknown.push(name.clone());
            }
            out.insert(name.clone(), value);
        }
        Ok((out, unknown))
    }

    /// The properties of a resource in which a hidden parameter has a part.
    pub fn hidden(&self, resource: &str) -> BTreeSet<String> {
        let hidden: Vec<&str> = self
            .template
            .parameters
            .iter()
            .filter(|parameter| parameter.hidden)
            .map(|parameter| parameter.name.as_str())
            .collect();
        let properties = self
            .template
            .resource(resource)
            .map(|found| &found.properties);
        properties
            .into_iter()
            .flatten()
            .filter(|(_, value)| names(value, &hidden))
            .map(|(name, _)| name.clone())
            .collect()
    }

    /// The values of the outputs whose condition holds, or why one has none.
    pub fn outputs(&self) -> Vec<(&Output, Result<Value, String>)> {
        self.template
            .outputs
            .iter()
            .map(|output| {
                let value = match self.is_enabled(output.condition.as_ref()) {
                    Ok(true) => evaluate(self, &output.value),
                    Ok(false) => Ok(Value::Null),
                    Err(why) => Err(why),
                };
                // What is not there yet is nothing, and no mistake.
                let value = match value {
                    Err(Trouble::NotYet(_)) => Ok(Value::Null),
                    Err(Trouble::Wrong(why)) => Err(why),
                    Ok(value) => Ok(value),
                };
                (output, value)
            })
            .collect()
    }

    /// The parameters as a stack shows them.
    pub fn shown_parameters(&self) -> Map<String, Value> {
        let mut out = json!({
            "OS::stack_id": self.names.stack_id, "OS::stack_name": self.names.stack, "OS::project_id": self.names.project,
        });
        let map = out.as_object_mut().map(std::mem::take).unwrap_or_default();
        let own = self.template.parameters.iter().filter_map(|parameter| {
            let value = self.parameters.get(&parameter.name)?;
            Some((
                parameter.name.clone(),
                Value::String(parameter.shown(value)),
            ))
        });
        map.into_iter().chain(own).collect()
    }

    /// Conditions that are worked out, or (without a value) being worked out.
    fn known_conditions(&self) -> std::sync::MutexGuard<'_, HashMap<String, Option<Known>>> {
        self.conditions
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
    }

    /// What becomes of a resource's thing when the resource goes.
    ///
    /// # Errors
    /// When it is no function of parameters that gives one of the words for it.
    pub fn deletion(&self, definition: &Definition) -> Result<Deletion, Refusal> {
        let wrong =
            |what: String| Refusal::invalid(format!("resources.{}: {what}", definition.name));
        let policy = &definition.deletion_policy;
        let why = |why: Trouble| wrong(format!("deletion_policy: {why}"));
        let mut resources = BTreeSet::new();
        references(self, policy, &mut resources).map_err(why)?;
        if let Some(name) = resources.first() {
            return Err(wrong(format!(
                "deletion_policy: it cannot depend on the resource {name}."
            )));
        }
        let (word, later) = self.work_out(policy).map_err(why)?;
        if later {
            return Ok(Deletion::Delete);
        }
        let known = word.as_str().and_then(Deletion::parse);
        known.ok_or_else(|| wrong(format!("Invalid deletion policy \"{}\"", shown(&word))))
    }

    /// Whether the text of a function names a resource of the template.
    pub fn has_resource(&self, name: &str) -> bool {
        self.template.resource(name).is_some()
    }
}

/// Whether one of these words stands somewhere in a value where a parameter is asked for.
fn names(value: &Value, words: &[&str]) -> bool {
    match value {
        Value::Object(map) => map.iter().any(|(key, value)| {
            let asked = match value {
                Value::Array(path) => path.first(),
                one => Some(one),
            };
            let asked = asked
                .filter(|_| key == "get_param" || key == "Ref")
                .and_then(Value::as_str);
            asked.is_some_and(|name| words.contains(&name)) || names(value, words)
        }),
        Value::Array(items) => items.iter().any(|item| names(item, words)),
        Value::Null | Value::Bool(_) | Value::Number(_) | Value::String(_) => false,
    }
}

impl World for Scene {
    fn version(&self) -> Version {
        self.template.version
    }

    fn spend(&self, work: usize) -> Result<(), Trouble> {
        let before = self.spent.fetch_add(work, Ordering::Relaxed);
        if before.saturating_add(work) <= MAX_WORK {
            return Ok(());
        }
        Err(Trouble::wrong(
            "The functions of the template make more values than a stack may have.",
        ))
    }

    fn depth(&self) -> &Depth {
        &self.depth
    }

    fn parameter(&self, name: &str) -> Result<Value, Trouble> {
        match name {
            "OS::stack_name" => return Ok(json!(self.names.stack)),
            "OS::stack_id" => return Ok(json!(self.names.stack_id)),
            "OS::project_id" => return Ok(json!(self.names.project)),
            _own => {}
        }
        if let Some(value) = self.parameters.get(name) {
            return Ok(value.clone());
        }
        if self.ahead
            && self
                .template
                .parameters
                .iter()
                .any(|parameter| parameter.name == name)
        {
            self.unknown_touched.store(true, Ordering::Relaxed);
            return Ok(Value::Null);
        }
        Err(Trouble::wrong(format!(
            "The Parameter ({name}) was not provided."
        )))
    }

    fn has_resource(&self, name: &str) -> bool {
        Self::has_resource(self, name)
    }

    fn resource(&self, name: &str) -> Result<Value, Trouble> {
        if let Some(fact) = self.facts.get(name) {
            return Ok(fact.reference().clone());
        }
        if !self.has_resource(name) {
            return Err(Trouble::wrong(format!(
                "The specified reference \"{name}\" (in unknown) is incorrect."
            )));
        }
        if self.ahead {
            self.unknown_touched.store(true, Ordering::Relaxed);
            return Ok(json!(name));
        }
        Err(Trouble::NotYet(name.to_owned()))
    }

    fn attribute(
        &self,
        name: &str,
        attribute: Option<&str>,
        path: &[Value],
    ) -> Result<Value, Trouble> {
        if let Some(fact) = self.facts.get(name) {
            return fact.attribute(name, attribute, path);
        }
        if !self.has_resource(name) {
            return Err(Trouble::wrong(format!(
                "The specified reference \"{name}\" (in unknown) is incorrect."
            )));
        }
        if self.ahead {
            self.unknown_touched.store(true, Ordering::Relaxed);
            return Ok(Value::Null);
        }
        Err(Trouble::NotYet(name.to_owned()))
    }

    fn file(&self, name: &str) -> Result<Value, Trouble> {
        let missing = || {
            Trouble::wrong(format!(
                "No content found in the \"files\" section for get_file path: {name}"
            ))
        };
        self.files.get(name).cloned().ok_or_else(missing)
    }

    fn condition(&self, name: &str) -> Result<bool, Trouble> {
        let known = self.known_conditions().get(name).copied();
        match known {
            Some(Some(known)) => {
                self.depth.again(known.levels)?;
                return Ok(known.holds);
            }
            Some(None) => {
                return Err(Trouble::wrong(format!(
                    "Circular definition for condition \"{name}\""
                )));
            }
            None => {}
        }
        let unknown = || Trouble::wrong(format!("Invalid condition \"{name}\""));
        let condition = self.template.conditions.get(name).ok_or_else(unknown)?;
        self.known_conditions().insert(name.to_owned(), None);
        let (value, levels) = self.depth.measured(|| holds(self, condition));
        match value {
            Ok(holds) => {
                let known = Known { holds, levels };
                self.known_conditions().insert(name.to_owned(), Some(known));
            }
            // What is wrong with it is said again, to whoever asks again.
            Err(_) => {
                self.known_conditions().remove(name);
            }
        }
        value
    }

    fn facade(&self, what: &str) -> Result<Value, Trouble> {
        let found = self.facade.get(what).cloned();
        found.ok_or_else(|| {
            Trouble::wrong("resource_facade: this stack is no resource of another one")
        })
    }

    fn zones(&self) -> Result<Value, Trouble> {
        match &self.environment.zones {
            Some(zones) => Ok(json!(zones)),
            None if self.ahead => {
                self.unknown_touched.store(true, Ordering::Relaxed);
                Ok(Value::Null)
            }
            None => Err(Trouble::wrong(
                "Fn::GetAZs: the availability zones are not known. Update the stack, and they are asked for.",
            )),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn scene(template: Value, parameters: Value) -> Result<Scene, Refusal> {
        let environment = Environment {
            parameters: parameters.as_object().cloned().unwrap_or_default(),
            ..Environment::default()
        };
        Scene::new(
            Template::parse(template)?,
            environment,
            BTreeMap::new(),
            Names::default(),
            false,
        )
    }

    fn template() -> Value {
        json!({
            "heat_template_version": "2016-10-14",
            "parameters": {"n": {"type": "number", "default": 1}, "s": {"type": "string"}},
            "conditions": {"big": {"equals": [{"get_param": "n"}, 2]}, "loop": {"not": "loop"}},
            "resources": {"a": {"type": "T"}, "b": {"type": "T", "condition": "big", "properties": {"x": {"get_attr": ["a", "y"]}}}},
            "outputs": {"o": {"value": {"get_param": "none"}}, "later": {"value": {"get_attr": ["a", "y"]}}},
        })
    }

    #[test]
    fn parameters_need_values_and_declarations() {
        assert_eq!(
            scene(template(), json!({})).unwrap_err().kind,
            "UserParameterMissing"
        );
        assert_eq!(
            scene(template(), json!({"s": "", "t": 1}))
                .unwrap_err()
                .kind,
            "UnknownUserParameter"
        );
        let scene = scene(template(), json!({"s": "x", "n": "2"})).unwrap();
        assert_eq!(scene.shown_parameters()["n"], "2");
    }

    #[test]
    fn conditions_decide_which_resources_there_are() {
        let names = |n: i64| {
            let scene = scene(template(), json!({"s": "", "n": n})).unwrap();
            scene
                .enabled()
                .unwrap()
                .iter()
                .map(|found| found.name.clone())
                .collect::<Vec<_>>()
        };
        assert_eq!(names(1), ["a"]);
        assert_eq!(names(2), ["a", "b"]);
        let looping = scene(template(), json!({"s": ""})).unwrap();
        assert!(
            looping
                .condition("loop")
                .unwrap_err()
                .to_string()
                .contains("Circular")
        );
        assert!(looping.condition("none").is_err());
    }

    #[test]
    fn what_is_not_there_yet_is_waited_for_or_passed_over() {
        let mut scene = scene(template(), json!({"s": ""})).unwrap();
        let definition = scene.template.resource("b").unwrap().clone();
        assert_eq!(
            scene.properties(&definition),
            Err(Trouble::NotYet("a".to_owned()))
        );
        scene.ahead = true;
        assert_eq!(scene.properties(&definition).unwrap().1, ["x"]);
        scene.ahead = false;
        let outputs = scene.outputs();
        assert_eq!(
            outputs[0].1,
            Err("The Parameter (none) was not provided.".to_owned())
        );
        assert_eq!(outputs[1].1, Ok(Value::Null));
    }
}
