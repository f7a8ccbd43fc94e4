//! Whether a template can be made at all: its types, the properties of its resources, what they refer to; nested
//! templates included.

use std::collections::BTreeMap;

use serde_json::{Map, Value};

use crate::model::environment::{Environment, Mapped};
use crate::model::fitting;
use crate::model::function::{Trouble, World as _};
use crate::model::graph::{self, Reference};
use crate::model::group::{self, Present};
use crate::model::kind::{self, How, Kind};
use crate::model::refusal::Refusal;
use crate::model::region;
use crate::model::scene::{Names, Scene};
use crate::model::stack::MAX_DEPTH;
use crate::model::template::{Definition, Deletion, Template};

/// A resource type, or the file that stands for one.
#[derive(Clone, Debug)]
pub(crate) enum Target {
    Kind(&'static Kind),
    File(String),
}

impl Target {
    /// As it is kept with the resource.
    pub fn name(&self) -> &str {
        match self {
            Self::Kind(kind) => kind.name,
            Self::File(file) => file,
        }
    }

    /// The type, unless it is a file.
    pub const fn kind(&self) -> Option<&'static Kind> {
        match self {
            Self::Kind(kind) => Some(kind),
            Self::File(_) => None,
        }
    }
}

/// What the type of a resource stands for.
pub(crate) fn target(scene: &Scene, definition: &Definition) -> Result<Target, Refusal> {
    match scene
        .environment
        .resolve(&definition.kind, &definition.name)
    {
        Mapped::File(file) if scene.files.contains_key(&file) => Ok(Target::File(file)),
        Mapped::File(file) => Err(Refusal::invalid(format!(
            "The template file {file} of the resource {} did not come with the request.",
            definition.name
        ))),
        Mapped::Kind(name) => kind::find(&name)
            .map(Target::Kind)
            .ok_or_else(|| unknown(&name)),
    }
}

fn unknown(name: &str) -> Refusal {
    match kind::service_away(name) {
        Some(service) => Refusal::of(
            "ResourceTypeUnavailable",
            format!(
                "HEAT-E99001 Service {service} is not available for resource type {name}, reason: there is no {service} service in this cloud."
            ),
        ),
        None => Refusal::of(
            "StackValidationFailed",
            format!("The Resource Type ({name}) could not be found."),
        ),
    }
}

/// What a resource's nested stack is made of.
#[derive(Clone, Debug)]
pub(crate) struct Nested {
    pub template: Value,
    pub environment: Environment,
}

/// The nested stack of a resource with these properties; none for one that is no stack.
pub(crate) fn nested(
    scene: &Scene,
    (name, target): (&str, &Target),
    properties: &Map<String, Value>,
    present: Present<'_>,
) -> Result<Option<Nested>, Refusal> {
    let kind = scene.template.resource(name).map_or("", |own| &own.kind);
    let mut environment = scene.environment.nested(name, kind);
    let read = |given: &Value| {
        Template::read(given)
            .map(|template| template.raw)
            .map_err(|why| why.at(name))
    };
    let template = match target {
        Target::File(file) => {
            environment.parameters = properties.clone();
            read(scene.files.get(file).unwrap_or(&Value::Null))
                .map_err(|why| Refusal::of(why.kind, format!("{file}: {why}")))?
        }
        Target::Kind(kind) if matches!(kind.how, How::Stack) => {
            let parameters = properties.get("parameters").and_then(Value::as_object);
            environment.parameters = parameters.cloned().unwrap_or_default();
            let template = properties.get("template").unwrap_or(&Value::Null);
            match region::named(properties) {
                Some(region) => {
                    Template::read(template)
                        .map_err(|why| region::refused(region, &why))?
                        .raw
                }
                None => read(template)?,
            }
        }
        Target::Kind(kind) if kind.nested() => group::template(kind.how, properties, present)?,
        Target::Kind(_) => return Ok(None),
    };
    Ok(Some(Nested {
        template,
        environment,
    }))
}

/// What a judgement found out on its way.
#[derive(Clone, Debug, Default)]
pub(crate) struct Judged {
    /// Every type that is used, nested templates included.
    pub kinds: Vec<&'static str>,
    /// Resources in all.
    pub count: i64,
    /// Every region that a stack is to be in.
    pub regions: Vec<String>,
}

impl Judged {
    /// Takes over what was found out of a stack inside.
    fn and(&mut self, below: Self) {
        self.kinds.extend(below.kinds);
        self.count += below.count;
        self.regions.extend(below.regions);
    }
}

/// Judges a scene at this depth.
pub(crate) fn judge(scene: &mut Scene, depth: i64) -> Result<Judged, Refusal> {
    let ahead = std::mem::replace(&mut scene.ahead, true);
    let judged = judge_ahead(scene, depth);
    scene.ahead = ahead;
    judged
}

fn judge_ahead(scene: &Scene, depth: i64) -> Result<Judged, Refusal> {
    // The outermost stack is at depth 1 and stands in none.
    if depth > MAX_DEPTH + 1 {
        return Err(Refusal::of(
            "RequestLimitExceeded",
            format!("Request limit exceeded: Recursion depth exceeds {MAX_DEPTH}."),
        ));
    }
    for name in scene.template.conditions.keys() {
        scene
            .condition(name)
            .map_err(|why| Refusal::invalid(format!("conditions.{name}: {why}")))?;
    }
    let needs = graph::needs(scene)?;
    graph::order(&needs)?;
    check_outputs(scene)?;
    let mut judged = Judged::default();
    let enabled = scene
        .enabled()
        .map_err(|why| Refusal::invalid(why.to_string()))?;
    for definition in enabled {
        judged.count += 1;
        judged.and(judge_resource(scene, definition, depth)?);
        if judged.count > 10_000 {
            return Err(Refusal::of(
                "RequestLimitExceeded",
                "Request limit exceeded: the stack has more than 10000 resources.",
            ));
        }
    }
    Ok(judged)
}

fn judge_resource(scene: &Scene, definition: &Definition, depth: i64) -> Result<Judged, Refusal> {
    let place = format!("resources.{}", definition.name);
    let target = target(scene, definition)?;
    let (given, later) = scene
        .properties(definition)
        .map_err(|why| Refusal::invalid(why.to_string()))?;
    scene
        .work_out(&definition.metadata)
        .map_err(|why| Refusal::invalid(format!("{place}.metadata: {why}")))?;
    for value in definition.properties.values() {
        check_attributes(scene, value)?;
    }
    let copies = target.kind().is_some_and(Kind::leaves_copies);
    if scene.deletion(definition)? == Deletion::Snapshot && !copies {
        return Err(Refusal::invalid(format!(
            "{place}: \"Snapshot\" deletion policy not supported"
        )));
    }
    let mut judged = Judged::default();
    let properties = match &target {
        Target::Kind(kind) => {
            judged.kinds.push(kind.name);
            fitting::properties(kind, &given, &later).map_err(|why| {
                Refusal::of(
                    why.kind,
                    format!("Property error: {place}.properties: {why}"),
                )
            })?
        }
        Target::File(_) => given,
    };
    if matches!(target.kind().map(|kind| kind.how), Some(How::ResourceGroup)) {
        let wrong =
            |why: &dyn std::fmt::Display| Refusal::invalid(format!("{place}.update_policy: {why}"));
        let worked_out = scene.work_out(&definition.update_policy);
        let (policy, unknown) = worked_out.map_err(|why| wrong(&why))?;
        if !unknown {
            group::policy(&policy).map_err(|why| wrong(&why))?;
        }
    }
    if matches!(target.kind().map(|kind| kind.how), Some(How::AccessPolicy)) {
        let named = properties.get("AllowedResources").and_then(Value::as_array);
        let named = named.into_iter().flatten().filter_map(Value::as_str);
        let stranger = named.into_iter().find(|name| !scene.has_resource(name));
        if let Some(stranger) = stranger {
            return Err(Refusal::invalid(format!(
                "{place}: AccessPolicy resource {stranger} not in stack"
            )));
        }
    }
    let stack = matches!(target.kind().map(|kind| kind.how), Some(How::Stack));
    let region = region::named(&properties)
        .filter(|_| stack && !later.iter().any(|name| name == "context"))
        .map(str::to_owned);
    judged.regions.extend(region);
    // What a group is made of is judged when it is known.
    if target.kind().is_some_and(Kind::nested) && !later.is_empty() {
        return Ok(judged);
    }
    let present = Present::default();
    let Some(nested) = nested(scene, (&definition.name, &target), &properties, present)? else {
        return Ok(judged);
    };
    let mut inner = inner_scene(scene, definition, nested, &later).map_err(|why| why.at(&place))?;
    judged.and(judge(&mut inner, depth + 1).map_err(|why| why.at(&place))?);
    Ok(judged)
}

/// The scene of a nested stack before it is there.
pub(crate) fn inner_scene(
    scene: &Scene,
    definition: &Definition,
    nested: Nested,
    later: &[String],
) -> Result<Scene, Refusal> {
    let names = Names {
        stack: format!("{}-{}", scene.names.stack, definition.name),
        stack_id: "None".to_owned(),
        project: scene.names.project.clone(),
    };
    let template = Template::parse(nested.template)?;
    let mut environment = nested.environment;
    // A value that is known later only counts as not given: the nested template is judged without it.
    let known = |name: &String, value: &Value| !(later.contains(name) || value.is_null());
    environment
        .parameters
        .retain(|name, value| known(name, value));
    let missing = template.parameters.iter().find(|parameter| {
        parameter.default.is_none()
            && !environment.parameters.contains_key(&parameter.name)
            && !environment.parameter_defaults.contains_key(&parameter.name)
            && !later.contains(&parameter.name)
            && !later.iter().any(|name| name == "parameters")
    });
    if let Some(parameter) = missing.filter(|_| !scene.lenient) {
        return Err(Refusal::invalid(format!(
            "Property {} not assigned",
            parameter.name
        )));
    }
    let declared = |name: &String| template.parameters.iter().any(|known| known.name == *name);
    let stranger = environment.parameters.keys().find(|name| !declared(name));
    if let Some(stranger) = stranger.filter(|_| !scene.lenient) {
        return Err(Refusal::invalid(format!("Unknown Property {stranger}")));
    }
    environment.parameters.retain(|name, _| declared(name));
    let mut inner = Scene::new(template, environment, scene.files.clone(), names, true)?;
    inner.lenient = scene.lenient;
    inner.facade = facade(scene, definition);
    Ok(inner)
}

/// What a nested template may ask of the resource that it stands for.
pub(crate) fn facade(scene: &Scene, definition: &Definition) -> Value {
    let deletion = scene.deletion(definition).map(Deletion::word);
    serde_json::json!({
        "metadata": definition.metadata, "deletion_policy": deletion.unwrap_or_default(),
        "update_policy": definition.update_policy,
    })
}

/// Attributes that a value refers to are those that the types of their resources have.
fn check_attributes(scene: &Scene, value: &Value) -> Result<(), Refusal> {
    let mut wrong = None;
    let mut meet = |reference: Reference<'_>| {
        let Reference::Attribute(name, Some(attribute)) = reference else {
            return;
        };
        let found = scene.template.resource(name);
        let kind = found.and_then(|definition| target(scene, definition).ok()?.kind());
        if kind.is_some_and(|kind| !kind.shows(attribute)) {
            wrong = Some(format!(
                "The Referenced Attribute ({name} {attribute}) is incorrect."
            ));
        }
    };
    // What else is wrong with it is said where it is worked out.
    let _elsewhere = graph::visit(scene, value, &mut meet);
    wrong.map_or(Ok(()), |why| {
        Err(Refusal::of("InvalidTemplateAttribute", why))
    })
}

/// Outputs may refer to resources of the template only. What else is wrong with one shows in its value.
fn check_outputs(scene: &Scene) -> Result<(), Refusal> {
    for output in &scene.template.outputs {
        let mut found = std::collections::BTreeSet::new();
        if graph::references(scene, &output.value, &mut found).is_err() {
            continue;
        }
        check_attributes(scene, &output.value)?;
        if let Some(stranger) = found.iter().find(|name| !scene.has_resource(name)) {
            return Err(Refusal::of(
                "InvalidTemplateReference",
                format!(
                    "The specified reference \"{stranger}\" (in outputs.{}.value) is incorrect.",
                    output.name
                ),
            ));
        }
    }
    Ok(())
}

/// A trouble while a stack is made, as its reason shows it.
pub(crate) fn in_words(why: Trouble) -> String {
    why.to_string()
}

/// Files that a request sends: text each, or a map that is JSON already.
pub(crate) fn files(given: Option<Map<String, Value>>) -> BTreeMap<String, Value> {
    given.unwrap_or_default().into_iter().collect()
}
