//! Resource types.

use nephos_api::{Fault, Json, Params, Reply, Req, endpoint};
use serde::Deserialize;
use serde_json::{Value, json};

use super::fault::missing;
use super::stack_list::flag;
use super::stacks::{ProjectPath, project};
use super::view::Document;
use crate::model::environment::glob;
use crate::model::kind::{self, Kind};
use crate::{Cx, rules};

#[derive(Debug, Deserialize)]
pub(crate) struct TypePath {
    tenant_id: String,
    type_name: String,
}

endpoint! {
    /// List resource types.
    ListResourceTypes: GET "/v1/{tenant_id}/resource_types" => 200,
    policy: rules::ListResourceTypes,
    path: ProjectPath,
    query: Params,
    reply: Json<Document>,
    handler: list_resource_types,
}
async fn list_resource_types(cx: Cx, req: Req<ListResourceTypes>) -> Reply<ListResourceTypes> {
    project(&cx, &req.path.tenant_id)?;
    let described = flag(&req.query, "with_description")?;
    let supported = req
        .query
        .get("support_status")
        .is_none_or(|status| status.eq_ignore_ascii_case("SUPPORTED"));
    let matches = |kind: &&Kind| match req.query.get("name").filter(|name| !name.is_empty()) {
        // Heat reads the name as a regular expression; `*` alone is what people write.
        Some(name) => {
            glob(name, kind.name)
                || regex::Regex::new(name).is_ok_and(|pattern| pattern.is_match(kind.name))
        }
        None => true,
    };
    let mut found: Vec<&Kind> = kind::all().filter(|_| supported).filter(matches).collect();
    found.sort_by_key(|kind| kind.name);
    let views: Vec<Value> = found
        .iter()
        .map(|kind| {
            if described {
                json!({"resource_type": kind.name, "description": kind.doc})
            } else {
                json!(kind.name)
            }
        })
        .collect();
    Ok(Json(Document(json!({ "resource_types": views }))))
}

fn load(cx: &Cx, path: &TypePath) -> Result<&'static Kind, Fault> {
    project(cx, &path.tenant_id)?;
    if let Some(found) = kind::find(&path.type_name) {
        return Ok(found);
    }
    match kind::service_away(&path.type_name) {
        Some(service) => Err(Fault::not_found(format!(
            "The Resource Type ({}) is not available: there is no {service} service in this cloud.",
            path.type_name
        ))
        .kind("ResourceTypeUnavailable")),
        None => Err(missing("Resource Type", &path.type_name)),
    }
}

endpoint! {
    /// Show a resource type.
    ShowResourceType: GET "/v1/{tenant_id}/resource_types/{type_name}" => 200,
    policy: rules::ResourceSchema,
    path: TypePath,
    reply: Json<Document>,
    handler: show_resource_type,
}
async fn show_resource_type(cx: Cx, req: Req<ShowResourceType>) -> Reply<ShowResourceType> {
    Ok(Json(Document(load(&cx, &req.path)?.described())))
}

endpoint! {
    /// Make a template that has one resource of a type.
    MakeTemplate: GET "/v1/{tenant_id}/resource_types/{type_name}/template" => 200,
    policy: rules::GenerateTemplate,
    path: TypePath,
    query: Params,
    reply: Json<Document>,
    handler: make_template,
}
async fn make_template(cx: Cx, req: Req<MakeTemplate>) -> Reply<MakeTemplate> {
    let kind = load(&cx, &req.path)?;
    // Who says nothing wants the form of CloudFormation, in the original too.
    match req.query.get("template_type") {
        Some("hot") => Ok(Json(Document(kind.template()))),
        None | Some("cfn") => Ok(Json(Document(kind.cfn_template()))),
        Some(other) => Err(Fault::bad_request(format!(
            "Template type is not supported: {other}; 'hot' and 'cfn' are."
        ))),
    }
}
