//! Stacks: create, preview, find, show, delete.

use std::collections::BTreeSet;

use http::header;
use nephos_api::{Empty, Fault, Json, Params, Reply, Req, With, endpoint};
use nephos_auth::{Authorized, Resource as Protected, Rule, Target as PolicyTarget};
use serde::{Deserialize, Serialize};
use serde_json::{Map, Value, json};
use utoipa::ToSchema;

use super::body::{StackBody, shown_environment};
use super::fault::{enqueue, no_stack, no_trust, other_project};
use super::view::{self, Document, identity};
use super::zones::note_zones;
use crate::model::environment::Environment;
use crate::model::fitting;
use crate::model::graph;
use crate::model::group::Present;
use crate::model::kind;
use crate::model::refusal::Refusal;
use crate::model::region;
use crate::model::scene::{Names, Scene};
use crate::model::stack::{Action, Stack, StackId, Status};
use crate::model::template::Template;
use crate::ops::judge::{self, Judged};
use crate::ops::offload::offload;
use crate::ops::{facts, request};
use crate::store::stacks;
use crate::{Cx, rules};

#[derive(Debug, Deserialize)]
pub(crate) struct ProjectPath {
    pub tenant_id: String,
}

#[derive(Debug, Deserialize)]
pub(crate) struct NamePath {
    pub tenant_id: String,
    pub stack_name: String,
}

#[derive(Debug, Deserialize)]
pub(crate) struct StackPath {
    pub tenant_id: String,
    pub stack_name: String,
    pub stack_id: String,
}

impl Protected for Stack {
    const KIND: &'static str = "Stack";

    fn project_id(&self) -> Option<&str> {
        Some(&self.project_id)
    }
}

/// The project of the path, which must be the token's.
pub(crate) fn project<'a>(cx: &Cx, tenant: &'a str) -> Result<&'a str, Fault> {
    let own = cx
        .caller
        .project_id()
        .is_some_and(|project| project.as_str() == tenant);
    if own {
        Ok(tenant)
    } else {
        Err(other_project())
    }
}

/// The stack of the path, if the caller may do this with it.
pub(crate) async fn load<R: Rule>(
    cx: &Cx,
    rule: R,
    path: &StackPath,
) -> Result<Authorized<Stack, R>, Fault> {
    project(cx, &path.tenant_id)?;
    let found = stacks::find(cx.db(), &StackId(path.stack_id.clone())).await?;
    let missing = || no_stack(&format!("{}/{}", path.stack_name, path.stack_id));
    let found = found
        .filter(|stack| stack.name == path.stack_name && stack.project_id == path.tenant_id)
        .ok_or_else(missing)?;
    cx.allow(rule, Some(found))
}

/// A scene for a stack that is not there yet, judged.
pub(crate) async fn judged(
    cx: &Cx,
    names: Names,
    (template, environment, files): (
        Template,
        Environment,
        std::collections::BTreeMap<String, Value>,
    ),
    lenient: bool,
) -> Result<(Scene, Judged), Fault> {
    let (scene, judged) = offload(move || -> Result<_, Refusal> {
        let mut scene = Scene::new(template, environment, files, names, lenient)?;
        let judged = judge::judge(&mut scene, 1)?;
        Ok((scene, judged))
    })
    .await?;
    for region in &judged.regions {
        region::check(region, &cx.config.region)?;
    }
    for name in judged.kinds.iter().collect::<BTreeSet<_>>() {
        if !may_use(cx, name) {
            return Err(
                Fault::forbidden(format!("You are not authorized to use {name}."))
                    .kind("Forbidden"),
            );
        }
    }
    Ok((scene, judged))
}

/// Whether the caller may have resources of this type.
fn may_use(cx: &Cx, kind: &str) -> bool {
    let target = PolicyTarget::new();
    match kind {
        "OS::Nova::Flavor" => cx.may(rules::FlavorType, &target),
        "OS::Cinder::QoSAssociation" => cx.may(rules::QosAssociationType, &target),
        "OS::Cinder::QoSSpecs" => cx.may(rules::QosSpecsType, &target),
        "OS::Cinder::Quota" => cx.may(rules::VolumeQuotaType, &target),
        "OS::Nova::HostAggregate" => cx.may(rules::AggregateType, &target),
        "OS::Neutron::Quota" => cx.may(rules::NetworkQuotaType, &target),
        "OS::Nova::Quota" => cx.may(rules::ServerQuotaType, &target),
        "OS::Octavia::Quota" => cx.may(rules::BalancerQuotaType, &target),
        "OS::Neutron::ProviderNet" => cx.may(rules::ProviderNetType, &target),
        "OS::Cinder::EncryptedVolumeType" => cx.may(rules::EncryptedTypeType, &target),
        "OS::Cinder::VolumeType" => cx.may(rules::VolumeTypeType, &target),
        name if name.starts_with("OS::Keystone::") => cx.may(rules::KeystoneTypes, &target),
        _anybodys => true,
    }
}

/// Whether siblings are asked for something of a stack.
pub(crate) fn needs_trust(judged: &Judged) -> bool {
    judged
        .kinds
        .iter()
        .filter_map(|name| kind::find(name))
        .any(kind::Kind::outside)
}

/// Refuses more resources than a stack may have.
pub(crate) fn check_count(cx: &Cx, judged: &Judged) -> Result<(), Fault> {
    let limit = cx.config.max_resources_per_stack;
    if judged.count <= limit {
        return Ok(());
    }
    Err(Fault::bad_request(format!(
        "Request limit exceeded: Maximum resources per stack exceeded ({limit})."
    ))
    .kind("RequestLimitExceeded"))
}

/// A trust of the caller, whom the stack acts for from now on.
pub(crate) async fn trust(cx: &Cx, now: Option<&Stack>) -> Result<Option<String>, Fault> {
    if let Some((id, stack)) = now.and_then(|stack| Some((stack.trust_id.as_deref()?, stack)))
        && stack.user_id == cx.caller.user_id.as_str()
        && cx
            .siblings
            .still_trusted(id)
            .await
            .map_err(|why| no_trust(&why))?
    {
        return Ok(Some(id.to_owned()));
    }
    let token = cx.token().unwrap_or_default();
    cx.siblings
        .borrow_roles(token, &cx.caller)
        .await
        .map(Some)
        .map_err(|why| no_trust(&why))
}

/// Gives back what was lent for something that did not come to be, however late that is.
pub(crate) async fn or_give_back<T>(
    cx: &Cx,
    trust: Option<&str>,
    written: Result<T, Fault>,
) -> Result<T, Fault> {
    let (Some(trust), Err(_)) = (trust, &written) else {
        return written;
    };
    let given = nephos_runtime::request::within(None, cx.siblings.give_back(trust));
    if let Err(why) = given.await {
        tracing::warn!(trust, %why, "a trust cannot be given back; its user can delete it");
    }
    written
}

endpoint! {
    /// Create a stack.
    CreateStack: POST "/v1/{tenant_id}/stacks" => 201,
    policy: rules::StackCreate,
    path: ProjectPath,
    body: Json<StackBody>,
    reply: With<Json<Document>>,
    handler: create_stack,
}
async fn create_stack(cx: Cx, req: Req<CreateStack>) -> Reply<CreateStack> {
    let project = project(&cx, &req.path.tenant_id)?;
    let name = req.body.name()?;
    req.body.for_create()?;
    let (template, mut environment, mut wanted) = req.body.wanted(None)?;
    note_zones(&cx, &mut environment, &mut wanted).await?;
    let id = StackId::from(nephos_runtime::ids::uuid());
    let names = Names {
        stack: name.clone(),
        stack_id: id.0.clone(),
        project: project.to_owned(),
    };
    let (scene, judged) = judged(
        &cx,
        names,
        (template, environment, wanted.files.clone()),
        false,
    )
    .await?;
    check_count(&cx, &judged)?;
    let taken =
        || Fault::conflict(format!("The Stack ({name}) already exists.")).kind("StackExists");
    if stacks::named(cx.db(), project, &name)
        .await?
        .is_some_and(|stack| stack.name == name)
    {
        return Err(taken());
    }
    let trust_id = if needs_trust(&judged) {
        trust(&cx, None).await?
    } else {
        None
    };
    let now = cx.now();
    let stack = Stack {
        root_id: id.clone(),
        id,
        name: name.clone(),
        project_id: project.to_owned(),
        user_id: cx.caller.user_id.0.clone(),
        user_name: cx.caller.user_name.clone(),
        parent_id: None,
        parent_resource: None,
        depth: 1,
        action: Action::Create,
        status: Status::InProgress,
        reason: "Stack CREATE started".to_owned(),
        wanted,
        before: None,
        generation: 1,
        disable_rollback: req.body.disable_rollback()?.unwrap_or(true),
        timeout_mins: req.body.timeout_mins()?,
        tags: req.body.tags()?.unwrap_or_default(),
        trust_id,
        cancel: None,
        facade: Value::Null,
        started_at: now,
        created_at: now,
        updated_at: None,
    };
    let planned = request::rows_of(&stack.id, scene, now).await;
    let written = async {
        let mut tx = cx.write().await?;
        let limit = cx.config.max_stacks_per_project;
        if stacks::count_of_project(&mut tx, project).await? >= limit {
            let message = format!(
                "You have reached the maximum stacks per tenant, {limit}. Please delete some stacks."
            );
            return Err(Fault::bad_request(message).kind("RequestLimitExceeded"));
        }
        let asked = request::Asked {
            caller: &cx.caller,
            request_id: &cx.request_id,
            now,
            keeps: false,
            converge: false,
        };
        if !request::create(&mut tx, &asked, &stack, &planned)
            .await
            .map_err(|why| enqueue(&name, why))?
        {
            return Err(taken());
        }
        Ok(tx.commit().await?)
    };
    or_give_back(&cx, stack.trust_id.as_deref(), written.await).await?;
    let href = cx.url(&stack.path());
    let view = json!({"stack": {"id": stack.id, "links": [{"href": href, "rel": "self"}]}});
    Ok(With::new(Json(Document(view))).header(header::LOCATION, &href))
}

endpoint! {
    /// See what a stack would be, without making it.
    PreviewStack: POST "/v1/{tenant_id}/stacks/preview" => 200,
    policy: rules::StackPreview,
    path: ProjectPath,
    body: Json<StackBody>,
    reply: Json<Document>,
    handler: preview_stack,
}
async fn preview_stack(cx: Cx, req: Req<PreviewStack>) -> Reply<PreviewStack> {
    let project = project(&cx, &req.path.tenant_id)?;
    let name = req.body.name()?;
    req.body.for_create()?;
    let (template, mut environment, mut wanted) = req.body.wanted(None)?;
    note_zones(&cx, &mut environment, &mut wanted).await?;
    let names = Names {
        stack: name.clone(),
        stack_id: "None".to_owned(),
        project: project.to_owned(),
    };
    let parts = (template, environment, wanted.files);
    let (mut scene, _) = judged(&cx, names, parts, false).await?;
    scene.ahead = true;
    let mut view = json!({
        "id": "None", "stack_name": name, "description": scene.template.description,
        "template_description": scene.template.description, "parameters": scene.shown_parameters(),
        "creation_time": cx.now(), "updated_time": null, "deletion_time": null, "notification_topics": [], "capabilities": [],
        "disable_rollback": req.body.disable_rollback()?.unwrap_or(true), "timeout_mins": req.body.timeout_mins()?,
        "stack_owner": cx.caller.user_name, "parent": null, "stack_user_project_id": project,
        "tags": req.body.tags()?, "links": [{"href": cx.url(&format!("/v1/{project}/stacks/{name}/None")), "rel": "self"}],
    });
    if let Some(map) = view.as_object_mut() {
        let resources = offload(move || previewed(&scene, None)).await?;
        map.insert("resources".to_owned(), resources);
    }
    Ok(Json(Document(json!({ "stack": view }))))
}

/// The resources of a scene that is not there; a nested stack is the list of its own.
fn previewed(scene: &Scene, parent: Option<&str>) -> Result<Value, Fault> {
    let needs = graph::needs(scene)?;
    let enabled = scene
        .enabled()
        .map_err(|why| Fault::bad_request(why.to_string()))?;
    let mut out = Vec::new();
    for definition in enabled {
        let target = judge::target(scene, definition)?;
        let (given, later) = scene
            .properties(definition)
            .map_err(|why| Fault::bad_request(why.to_string()))?;
        let properties = match &target {
            judge::Target::Kind(kind) => fitting::properties(kind, &given, &later)?,
            judge::Target::File(_) => given,
        };
        if let Some(nested) = judge::nested(
            scene,
            (&definition.name, &target),
            &properties,
            Present::default(),
        )? {
            let mut inner = judge::inner_scene(scene, definition, nested, &later)?;
            inner.ahead = true;
            out.push(previewed(&inner, Some(&definition.name))?);
            continue;
        }
        let attributes: Map<String, Value> = target
            .kind()
            .map(|kind| {
                kind.attrs
                    .iter()
                    .map(|(name, _)| ((*name).to_owned(), Value::Null))
                    .collect()
            })
            .unwrap_or_default();
        let ids = (scene.names.stack.as_str(), scene.names.stack_id.as_str());
        let mut view = json!({
            "resource_name": definition.name, "resource_type": definition.kind, "resource_action": "INIT", "resource_status": "COMPLETE",
            "resource_status_reason": "", "physical_resource_id": "", "description": definition.description,
            "creation_time": null, "updated_time": null, "stack_name": scene.names.stack,
            "resource_identity": identity(&scene.names.project, ids, &format!("/resources/{}", definition.name)),
            "stack_identity": identity(&scene.names.project, ids, ""),
            "required_by": graph::needed_by(&needs, &definition.name), "properties": properties, "attributes": attributes,
            "metadata": definition.metadata,
        });
        if let (Some(map), Some(parent)) = (view.as_object_mut(), parent) {
            map.insert("parent_resource".to_owned(), json!(parent));
        }
        out.push(view);
    }
    Ok(Value::Array(out))
}

/// The place of a stack that is known by name only.
async fn found(cx: &Cx, path: &NamePath, rest: &str, query: &Params) -> Result<With<Empty>, Fault> {
    let project = project(cx, &path.tenant_id)?;
    let stack = stacks::named(cx.db(), project, &path.stack_name).await?;
    let stack = stack.ok_or_else(|| no_stack(&path.stack_name))?;
    let mut place = cx.url(&format!("{}{rest}", stack.path()));
    for (at, (key, value)) in query.0.iter().enumerate() {
        let sign = if at == 0 { '?' } else { '&' };
        place.push_str(&format!(
            "{sign}{}={}",
            crate::peers::encoded(key),
            crate::peers::encoded(value)
        ));
    }
    Ok(With::new(Empty).header(header::LOCATION, &place))
}

macro_rules! finders {
    ($($(#[doc = $doc:literal])+ $name:ident: $method:ident $path:literal, $handler:ident, $rest:literal;)+) => {$(
        endpoint! {
            $(#[doc = $doc])+
            $name: $method $path => 302,
            policy: rules::StackLookup,
            path: NamePath,
            reply: With<Empty>,
            handler: $handler,
        }
        async fn $handler(cx: Cx, req: Req<$name>) -> Reply<$name> {
            found(&cx, &req.path, $rest, &req.query).await
        }
    )+};
}
finders! {
    /// Find a stack by its name or id.
    FindStack: GET "/v1/{tenant_id}/stacks/{stack_name}", find_stack, "";
    /// Find a stack by its name, to delete it.
    FindStackToDelete: DELETE "/v1/{tenant_id}/stacks/{stack_name}", find_stack_to_delete, "";
    /// Find a stack by its name, to update it.
    FindStackToUpdate: PUT "/v1/{tenant_id}/stacks/{stack_name}", find_stack_to_update, "";
    /// Find a stack by its name, to update some of it.
    FindStackToPatch: PATCH "/v1/{tenant_id}/stacks/{stack_name}", find_stack_to_patch, "";
    /// Find the resources of a stack by its name.
    FindStackResources: GET "/v1/{tenant_id}/stacks/{stack_name}/resources", find_stack_resources, "/resources";
    /// Find the events of a stack by its name.
    FindStackEvents: GET "/v1/{tenant_id}/stacks/{stack_name}/events", find_stack_events, "/events";
    /// Find the template of a stack by its name.
    FindStackTemplate: GET "/v1/{tenant_id}/stacks/{stack_name}/template", find_stack_template, "/template";
    /// Find the environment of a stack by its name.
    FindStackEnvironment: GET "/v1/{tenant_id}/stacks/{stack_name}/environment", find_stack_environment, "/environment";
    /// Find the files of a stack by its name.
    FindStackFiles: GET "/v1/{tenant_id}/stacks/{stack_name}/files", find_stack_files, "/files";
    /// Find the actions of a stack by its name.
    FindStackActions: POST "/v1/{tenant_id}/stacks/{stack_name}/actions", find_stack_actions, "/actions";
}

/// What a client asks of a stack's view.
#[derive(Debug, Default, Deserialize, Serialize, ToSchema)]
pub(crate) struct ShowQuery {
    /// `false` leaves the outputs out.
    #[serde(default)]
    resolve_outputs: Option<String>,
}

endpoint! {
    /// Show a stack.
    ShowStack: GET "/v1/{tenant_id}/stacks/{stack_name}/{stack_id}" => 200,
    policy: rules::StackShow,
    path: StackPath,
    query: ShowQuery,
    reply: Json<Document>,
    handler: show_stack,
}
async fn show_stack(cx: Cx, req: Req<ShowStack>) -> Reply<ShowStack> {
    let stack = load(&cx, rules::StackShow, &req.path).await?;
    let outputs = req
        .query
        .resolve_outputs
        .as_deref()
        .is_none_or(|word| !word.eq_ignore_ascii_case("false"));
    // A template that does not hold any more is shown without its outputs.
    let (view, outputs) = match facts::view(cx.db(), &stack).await {
        Ok(view) if outputs => {
            let (view, found) = facts::outputs(view).await;
            (Some(view), Some(found))
        }
        other => (other.ok(), None),
    };
    Ok(Json(Document(
        json!({"stack": view::stack(&cx, &stack, view.as_ref(), outputs)}),
    )))
}

endpoint! {
    /// Show the template of a stack.
    ShowTemplate: GET "/v1/{tenant_id}/stacks/{stack_name}/{stack_id}/template" => 200,
    policy: rules::StackTemplate,
    path: StackPath,
    reply: Json<Document>,
    handler: show_template,
}
async fn show_template(cx: Cx, req: Req<ShowTemplate>) -> Reply<ShowTemplate> {
    let stack = load(&cx, rules::StackTemplate, &req.path).await?;
    Ok(Json(Document(stack.wanted.template.clone())))
}

endpoint! {
    /// Show the environment of a stack. Hidden values are not shown.
    ShowEnvironment: GET "/v1/{tenant_id}/stacks/{stack_name}/{stack_id}/environment" => 200,
    policy: rules::StackEnvironment,
    path: StackPath,
    reply: Json<Document>,
    handler: show_environment,
}
async fn show_environment(cx: Cx, req: Req<ShowEnvironment>) -> Reply<ShowEnvironment> {
    let stack = load(&cx, rules::StackEnvironment, &req.path).await?;
    let template = Template::parse(stack.wanted.template.clone())?;
    let mut environment = Environment::recall(&stack.wanted.environment)?;
    for parameter in template
        .parameters
        .iter()
        .filter(|parameter| parameter.hidden)
    {
        for values in [
            &mut environment.parameters,
            &mut environment.parameter_defaults,
        ] {
            if let Some(value) = values.get_mut(&parameter.name) {
                *value = json!("******");
            }
        }
    }
    let mut shown = shown_environment(&environment, &template);
    // What is hidden is hidden by its parameter: nothing is encrypted beside that. A validation does not say so.
    if let Some(shown) = shown.as_object_mut() {
        shown.insert("encrypted_param_names".to_owned(), json!([]));
    }
    Ok(Json(Document(shown)))
}

endpoint! {
    /// Show the files of a stack.
    ShowFiles: GET "/v1/{tenant_id}/stacks/{stack_name}/{stack_id}/files" => 200,
    policy: rules::StackFiles,
    path: StackPath,
    reply: Json<Document>,
    handler: show_files,
}
async fn show_files(cx: Cx, req: Req<ShowFiles>) -> Reply<ShowFiles> {
    let stack = load(&cx, rules::StackFiles, &req.path).await?;
    Ok(Json(Document(json!(stack.wanted.files))))
}

endpoint! {
    /// Delete a stack and everything in it.
    DeleteStack: DELETE "/v1/{tenant_id}/stacks/{stack_name}/{stack_id}" => 204,
    policy: rules::StackDelete,
    path: StackPath,
    reply: Empty,
    handler: delete_stack,
}
async fn delete_stack(cx: Cx, req: Req<DeleteStack>) -> Reply<DeleteStack> {
    let stack = load(&cx, rules::StackDelete, &req.path).await?;
    if stack.action == Action::Delete && stack.status == Status::InProgress {
        return Ok(Empty);
    }
    let renewed = renewed_trust(&cx, &stack).await?;
    let written = async {
        let mut tx = cx.write().await?;
        let asked = request::Asked {
            caller: &cx.caller,
            request_id: &cx.request_id,
            now: cx.now(),
            keeps: false,
            converge: false,
        };
        request::delete(&mut tx, &asked, &stack)
            .await
            .map_err(|why| enqueue(&stack.name, why))?;
        if let Some(trust) = &renewed {
            stacks::set_trust(&mut tx, &stack.root_id, Some(trust)).await?;
        }
        tx.commit().await?;
        Ok(Empty)
    };
    or_give_back(&cx, renewed.as_deref(), written.await).await
}

/// Another trust for a stack whose own lends nothing any more: its user is gone, or their roles.
pub(crate) async fn renewed_trust(cx: &Cx, stack: &Stack) -> Result<Option<String>, Fault> {
    let root = stacks::find(cx.db(), &stack.root_id).await?;
    let Some(old) = root.and_then(|root| root.trust_id) else {
        return Ok(None);
    };
    if cx
        .siblings
        .still_trusted(&old)
        .await
        .map_err(|why| no_trust(&why))?
    {
        return Ok(None);
    }
    let token = cx.token().unwrap_or_default();
    cx.siblings
        .borrow_roles(token, &cx.caller)
        .await
        .map(Some)
        .map_err(|why| no_trust(&why))
}
