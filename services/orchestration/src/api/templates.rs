//! Templates: validation, versions and functions of the language.

use nephos_api::{Fault, Json, Params, Reply, Req, endpoint};
use serde::Deserialize;
use serde_json::{Map, Value, json};

use super::body::{StackBody, shown_environment};
use super::fault::missing;
use super::stack_list::flag;
use super::stacks::{ProjectPath, judged, project};
use super::view::Document;
use crate::model::group::Present;
use crate::model::parameter::Parameter;
use crate::model::scene::{Names, Scene};
use crate::model::version::{FUNCTIONS, Version, function};
use crate::ops::judge;
use crate::ops::offload::offload;
use crate::{Cx, rules};

endpoint! {
    /// Validate a template.
    ValidateTemplate: POST "/v1/{tenant_id}/validate" => 200,
    policy: rules::ValidateTemplate,
    path: ProjectPath,
    query: Params,
    body: Json<StackBody>,
    reply: Json<Document>,
    handler: validate_template,
}
async fn validate_template(cx: Cx, req: Req<ValidateTemplate>) -> Reply<ValidateTemplate> {
    let project = project(&cx, &req.path.tenant_id)?;
    let (template, environment, wanted) = req.body.wanted(None)?;
    let shown = shown_environment(&environment, &template);
    let given = environment.clone();
    let names = Names {
        stack: "validate".to_owned(),
        stack_id: "None".to_owned(),
        project: project.to_owned(),
    };
    let ignores = ignores_types(req.query.get("ignore_errors"))?;
    let parts = (template, environment, wanted.files);
    let (scene, whole) = match judged(&cx, names.clone(), parts.clone(), true).await {
        Ok((scene, _)) => (scene, true),
        // The parameters can be told without its types.
        Err(why) if ignores && why.kind == "ResourceTypeUnavailable" => {
            let scene = Scene::new(parts.0, parts.1, parts.2, names, true)?;
            (scene, false)
        }
        Err(why) => return Err(why),
    };
    let mut out = described(&scene, |parameter| {
        given
            .parameters
            .get(&parameter.name)
            .or_else(|| given.parameter_defaults.get(&parameter.name))
            .cloned()
    });
    out.insert("Environment".to_owned(), shown);
    if flag(&req.query, "show_nested")? && whole {
        let nested = offload(move || nested(&scene)).await?;
        if !nested.is_empty() {
            out.insert("NestedParameters".to_owned(), Value::Object(nested));
        }
    }
    Ok(Json(Document(Value::Object(out))))
}

/// The number of the complaint that a type is of a service which is not there: the only one that can be ignored.
const UNAVAILABLE: &str = "99001";

/// Whether the caller does not want to hear of types that are not available.
fn ignores_types(given: Option<&str>) -> Result<bool, Fault> {
    let given = given.unwrap_or_default();
    let codes = given.split(',').map(str::trim);
    let codes: Vec<&str> = codes.filter(|code| !code.is_empty()).collect();
    match codes.iter().find(|code| **code != UNAVAILABLE) {
        Some(other) => Err(Fault::bad_request(format!(
            "Invalid codes in ignore_errors : {other}"
        ))),
        None => Ok(!codes.is_empty()),
    }
}

fn described(scene: &Scene, given: impl Fn(&Parameter) -> Option<Value>) -> Map<String, Value> {
    let parameters: Map<String, Value> = scene
        .template
        .parameters
        .iter()
        .map(|parameter| {
            (
                parameter.name.clone(),
                parameter.described(given(parameter).as_ref()),
            )
        })
        .collect();
    let mut out = Map::new();
    out.insert("Description".to_owned(), json!(scene.template.description));
    out.insert("Parameters".to_owned(), Value::Object(parameters));
    if !scene.template.groups.is_empty() {
        out.insert("ParameterGroups".to_owned(), json!(scene.template.groups));
    }
    out
}

/// The parameters of the stacks inside, by the resource that each is.
fn nested(scene: &Scene) -> Result<Map<String, Value>, Fault> {
    let mut out = Map::new();
    for definition in scene
        .enabled()
        .map_err(|why| Fault::bad_request(why.to_string()))?
    {
        let target = judge::target(scene, definition)?;
        let (properties, later) = scene
            .properties(definition)
            .map_err(|why| Fault::bad_request(why.to_string()))?;
        if target.kind().is_some() {
            continue;
        }
        let Some(inside) = judge::nested(
            scene,
            (&definition.name, &target),
            &properties,
            Present::default(),
        )?
        else {
            continue;
        };
        let inner = judge::inner_scene(scene, definition, inside, &later)?;
        let mut view = described(&inner, |parameter| {
            properties
                .get(&parameter.name)
                .filter(|_| !later.contains(&parameter.name))
                .cloned()
        });
        view.insert("Type".to_owned(), json!(definition.kind));
        let below = nested(&inner)?;
        if !below.is_empty() {
            view.insert("NestedParameters".to_owned(), Value::Object(below));
        }
        out.insert(definition.name.clone(), Value::Object(view));
    }
    Ok(out)
}

endpoint! {
    /// List the versions of the template language.
    ListTemplateVersions: GET "/v1/{tenant_id}/template_versions" => 200,
    policy: rules::ListVersions,
    path: ProjectPath,
    reply: Json<Document>,
    handler: list_template_versions,
}
async fn list_template_versions(
    cx: Cx,
    req: Req<ListTemplateVersions>,
) -> Reply<ListTemplateVersions> {
    project(&cx, &req.path.tenant_id)?;
    let views: Vec<Value> = Version::listed()
        .map(|(_, date, name)| {
            let aliases: Vec<String> = name.iter().map(|name| format!("heat_template_version.{name}")).collect();
            json!({"version": format!("heat_template_version.{date}"), "type": "hot", "aliases": aliases})
        })
        .collect();
    Ok(Json(Document(json!({ "template_versions": views }))))
}

#[derive(Debug, Deserialize)]
pub(crate) struct VersionPath {
    tenant_id: String,
    template_version: String,
}

endpoint! {
    /// List the functions of a version of the template language.
    ListTemplateFunctions: GET "/v1/{tenant_id}/template_versions/{template_version}/functions" => 200,
    policy: rules::ListFunctions,
    path: VersionPath,
    query: Params,
    reply: Json<Document>,
    handler: list_template_functions,
}
async fn list_template_functions(
    cx: Cx,
    req: Req<ListTemplateFunctions>,
) -> Reply<ListTemplateFunctions> {
    project(&cx, &req.path.tenant_id)?;
    let asked = &req.path.template_version;
    let version = asked
        .strip_prefix("heat_template_version.")
        .and_then(Version::parse);
    let version = version.ok_or_else(|| missing("Template Version", asked))?;
    let conditions = flag(&req.query, "with_condition_func")?;
    let has = |name: &str| {
        function(name, version, false).is_some()
            || (conditions && function(name, version, true).is_some())
    };
    let mut found: Vec<_> = FUNCTIONS
        .iter()
        .filter(|function| has(function.name))
        .collect();
    found.sort_by_key(|function| function.name);
    let views: Vec<Value> = found
        .iter()
        .map(|function| json!({"functions": function.name, "description": function.doc}))
        .collect();
    Ok(Json(Document(json!({ "template_functions": views }))))
}
