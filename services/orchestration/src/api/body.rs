//! What requests say of a stack.

use std::collections::BTreeMap;

use nephos_api::Fault;
use serde::Deserialize;
use serde_json::{Map, Value, json};
use utoipa::ToSchema;

use super::fault::MAX_TEMPLATE_BYTES;
use crate::model::environment::Environment;
use crate::model::function::shown;
use crate::model::merge::Merging;
use crate::model::parameter::truth;
use crate::model::stack::{Stack, Wanted};
use crate::model::template::Template;

/// A stack to be, or what is to change of one. Keys that are not known are ignored, as Heat does.
#[derive(Debug, Default, Deserialize, ToSchema)]
#[serde(default)]
pub(crate) struct StackBody {
    /// Its name.
    pub stack_name: Option<Value>,
    /// A template: a map, or YAML text.
    #[schema(value_type = Object)]
    pub template: Option<Value>,
    /// Where the template is; clients send the template itself.
    pub template_url: Option<String>,
    /// An environment: a map, or YAML text.
    #[schema(value_type = Object)]
    pub environment: Option<Value>,
    /// Names of files that are environments, later ones on top.
    pub environment_files: Option<Vec<String>>,
    /// Files that the template, the environment or each other refer to.
    #[schema(value_type = Object)]
    pub files: Option<Map<String, Value>>,
    /// Values of parameters, on top of the environment's.
    #[schema(value_type = Object)]
    pub parameters: Option<Map<String, Value>>,
    /// Parameters that go back to their defaults.
    pub clear_parameters: Option<Vec<String>>,
    /// Whether a failure stays as it is.
    #[schema(value_type = bool)]
    pub disable_rollback: Option<Value>,
    /// Minutes after which it is given up.
    #[schema(value_type = i64)]
    pub timeout_mins: Option<Value>,
    /// Tags, separated by commas.
    #[schema(value_type = String)]
    pub tags: Option<Value>,
    /// Whether an update looks at what is there first, and makes anew what is gone.
    #[schema(value_type = bool)]
    pub converge: Option<Value>,
    /// Data of a stack that was let go elsewhere.
    #[schema(value_type = Object)]
    pub adopt_stack_data: Option<Value>,
}

fn flag(name: &str, given: Option<&Value>) -> Result<Option<bool>, Fault> {
    let Some(given) = given.filter(|given| !given.is_null()) else {
        return Ok(None);
    };
    let wrong = || {
        Fault::bad_request(format!(
            "Unrecognized value \"{}\" for \"{name}\", acceptable values are: true, false",
            shown(given)
        ))
    };
    truth(given).map(Some).ok_or_else(wrong)
}

impl StackBody {
    /// The name, if it is one.
    pub fn name(&self) -> Result<String, Fault> {
        let name = match &self.stack_name {
            Some(Value::String(name)) => name.clone(),
            Some(_) => String::new(),
            None => return Err(Fault::bad_request("No stack name specified")),
        };
        if crate::model::stack::is_name(&name) {
            return Ok(name);
        }
        Err(Fault::bad_request(format!(
            "Invalid stack name {name} must contain only alphanumeric or \"_-.\" characters, must start with alpha and must be 255 characters or less."
        ))
        .kind("StackValidationFailed"))
    }

    /// What is wanted; `now` is what there is, for a request that gives only what changes.
    pub fn wanted(&self, now: Option<&Stack>) -> Result<(Template, Environment, Wanted), Fault> {
        if self.template_url.is_some() && self.template.is_none() {
            return Err(Fault::bad_request(
                "template_url: templates are not fetched here; send the template itself.",
            ));
        }
        if self
            .adopt_stack_data
            .as_ref()
            .is_some_and(|data| !data.is_null())
        {
            return Err(Fault::bad_request("Stack adopt is not offered here.").kind("NotSupported"));
        }
        let template = match (&self.template, now) {
            (Some(given), _) if !given.is_null() => {
                check_size(given)?;
                Template::read(given)?
            }
            (_, Some(stack)) => Template::parse(stack.wanted.template.clone())?,
            (_, None) => return Err(Fault::bad_request("No template specified")),
        };
        let mut files: BTreeMap<String, Value> = now
            .map(|stack| stack.wanted.files.clone())
            .unwrap_or_default();
        files.extend(crate::ops::judge::files(self.files.clone()));
        let mut environment = match now {
            Some(stack) => Environment::recall(&stack.wanted.environment)?,
            None => Environment::default(),
        };
        environment.merge(Environment::read(self.environment.as_ref())?);
        let mut merging = Merging::new(&template.parameters);
        for name in self.environment_files.iter().flatten() {
            let file = files.get(name).ok_or_else(|| {
                Fault::bad_request(format!(
                    "The environment file {name} did not come with the request."
                ))
            })?;
            let later = Environment::read(Some(file)).map_err(|why| why.at(name))?;
            merging.merge(&mut environment, later, name)?;
        }
        environment
            .parameters
            .extend(self.parameters.clone().unwrap_or_default());
        for name in self.clear_parameters.iter().flatten() {
            environment.parameters.remove(name);
        }
        environment.parameters.retain(|_, value| !value.is_null());
        if now.is_some() {
            // What the template does not have is left out, whoever said it.
            let known = |name: &String| template.parameters.iter().any(|known| known.name == *name);
            environment.parameters.retain(|name, _| known(name));
        }
        let wanted = Wanted {
            template: template.raw.clone(),
            environment: environment.kept(),
            files,
        };
        Ok((template, environment, wanted))
    }

    pub fn disable_rollback(&self) -> Result<Option<bool>, Fault> {
        flag("disable_rollback", self.disable_rollback.as_ref())
    }

    /// Refuses what only an update can be asked.
    pub fn for_create(&self) -> Result<(), Fault> {
        if self.converge.is_none() {
            return Ok(());
        }
        Err(Fault::bad_request(
            "converge flag only supported in stack update (or update preview) request.",
        ))
    }

    pub fn converge(&self) -> Result<bool, Fault> {
        Ok(flag("converge", self.converge.as_ref())?.unwrap_or(false))
    }

    pub fn timeout_mins(&self) -> Result<Option<i64>, Fault> {
        let Some(given) = self.timeout_mins.as_ref().filter(|given| !given.is_null()) else {
            return Ok(None);
        };
        let number = given.as_i64().or_else(|| given.as_str()?.parse().ok());
        let wrong = || {
            Fault::bad_request(format!(
                "Only positive integers are allowed for 'timeout_mins', not {}",
                shown(given)
            ))
        };
        let number = number
            .filter(|number| (0..=1_000_000).contains(number))
            .ok_or_else(wrong)?;
        Ok(Some(number).filter(|number| *number > 0))
    }

    /// The tags; nothing when none are given.
    pub fn tags(&self) -> Result<Option<Vec<String>>, Fault> {
        let list = match &self.tags {
            None | Some(Value::Null) => return Ok(None),
            Some(Value::Array(items)) => items.iter().map(shown).collect(),
            Some(other) => shown(other)
                .split(',')
                .map(str::to_owned)
                .collect::<Vec<_>>(),
        };
        if let Some(long) = list.iter().find(|tag| tag.chars().count() > 80) {
            return Err(Fault::bad_request(format!(
                "Invalid tag, \"{long}\" is longer than 80 characters"
            )));
        }
        Ok(Some(
            list.into_iter().filter(|tag| !tag.is_empty()).collect(),
        ))
    }
}

fn check_size(template: &Value) -> Result<(), Fault> {
    let bytes = match template {
        Value::String(text) => text.len(),
        other => other.to_string().len(),
    };
    if bytes > MAX_TEMPLATE_BYTES {
        return Err(Fault::bad_request(format!("Request limit exceeded: Template size ({bytes} bytes) exceeds maximum allowed size ({MAX_TEMPLATE_BYTES} bytes).")).kind("RequestLimitExceeded"));
    }
    Ok(())
}

/// A template's environment as the API shows it, with the files that stand for types.
pub(crate) fn shown_environment(environment: &Environment, template: &Template) -> Value {
    let mut out = environment.shown();
    if let Some(registry) = out
        .get_mut("resource_registry")
        .and_then(Value::as_object_mut)
    {
        for definition in &template.resources {
            if crate::model::environment::is_file(&definition.kind) {
                registry
                    .entry(definition.kind.clone())
                    .or_insert_with(|| json!(definition.kind));
            }
        }
    }
    out
}
