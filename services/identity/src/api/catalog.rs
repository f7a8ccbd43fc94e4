//! Services and endpoints.

use nephos_api::{Empty, Fault, Json, Loaded, Params, Reply, Req, endpoint};
use nephos_auth::{Rule, Target};
use nephos_db::Tx;
use nephos_runtime::ids;
use serde::Deserialize;
use utoipa::ToSchema;

use super::fault::{not_found, require};
use super::list;
use super::regions::check_region_id;
use super::shape::{Keyed, Many, Named, One, Under};
use super::users::clean;
use crate::model::catalog::{Endpoint, Service};
use crate::model::extra::{Extra, Name};
use crate::{Cx, Svc, rules, store};

impl Named for Service {
    const ONE: &'static str = "service";
    const MANY: &'static str = "services";
    const PATH: &'static str = "/v3/services";
    fn id(&self) -> &str {
        &self.id
    }
}

impl Named for Endpoint {
    const ONE: &'static str = "endpoint";
    const MANY: &'static str = "endpoints";
    const PATH: &'static str = "/v3/endpoints";
    fn id(&self) -> &str {
        &self.id
    }
}

#[derive(Debug, Deserialize)]
pub(crate) struct ServicePath {
    service_id: String,
}

#[derive(Debug, Deserialize)]
pub(crate) struct EndpointPath {
    endpoint_id: String,
}

/// A service to be: `type` is needed to create one.
#[derive(Debug, Deserialize, ToSchema)]
pub(crate) struct ServiceBody {
    #[serde(default, rename = "type")]
    kind: Option<Name<255>>,
    #[serde(default)]
    name: Option<String>,
    #[serde(default)]
    enabled: Option<bool>,
    #[serde(flatten)]
    extra: Extra,
}

impl Keyed for ServiceBody {
    const KEY: &'static str = "service";
}

/// An endpoint to be: `service_id`, `interface` and `url` are needed to create one.
#[derive(Debug, Deserialize, ToSchema)]
pub(crate) struct EndpointBody {
    #[serde(default)]
    service_id: Option<String>,
    #[serde(default)]
    interface: Option<Interface>,
    #[serde(default, deserialize_with = "nephos_api::given::deserialize")]
    region_id: Option<Option<String>>,
    /// The older name of `region_id`; the region is made where it does not exist.
    #[serde(default)]
    region: Option<String>,
    #[serde(default)]
    url: Option<String>,
    #[serde(default)]
    enabled: Option<bool>,
    #[serde(flatten)]
    extra: Extra,
}

impl Keyed for EndpointBody {
    const KEY: &'static str = "endpoint";
}

/// For whom an endpoint is.
#[derive(Clone, Copy, Debug, Deserialize, ToSchema)]
#[serde(rename_all = "lowercase")]
pub(crate) enum Interface {
    Public,
    Internal,
    Admin,
}

impl Interface {
    const fn text(self) -> &'static str {
        match self {
            Self::Public => "public",
            Self::Internal => "internal",
            Self::Admin => "admin",
        }
    }
}

const RESERVED: [&str; 2] = ["id", "links"];

endpoint! {
    /// Create a service.
    CreateService: POST "/v3/services" => 201,
    policy: Loaded<rules::CreateService>,
    body: Json<Under<ServiceBody>>,
    reply: Json<One<Service>>,
    handler: create_service,
}
async fn create_service(cx: Cx, req: Req<CreateService>) -> Reply<CreateService> {
    require(&cx, rules::CreateService, &Target::new())?;
    let Json(Under(mut body)) = req.body;
    let kind = body
        .kind
        .take()
        .ok_or_else(|| Fault::bad_request("'type' is a required property"))?;
    let mut service = Service {
        id: ids::hex(),
        kind: kind.0,
        enabled: true,
        extra: Extra::default(),
    };
    change_service(&mut service, body)?;
    let mut tx = cx.write().await?;
    store::catalog::put_service(&mut tx, &service).await?;
    cx.commit_snapshot(tx).await?;
    Ok(Json(One::new(&cx, service)))
}

fn change_service(service: &mut Service, mut body: ServiceBody) -> Result<(), Fault> {
    clean(&mut body.extra, &RESERVED, Some(&service.id))?;
    if let Some(kind) = body.kind {
        service.kind = kind.0;
    }
    service.enabled = body.enabled.unwrap_or(service.enabled);
    service.extra.merge(body.extra);
    if let Some(name) = body.name {
        service.extra.0.insert("name".to_owned(), name.into());
    }
    Ok(())
}

endpoint! {
    /// List services.
    ListServices: GET "/v3/services" => 200,
    policy: Loaded<rules::ListServices>,
    query: Params,
    reply: Json<Many<Service>>,
    handler: list_services,
}
async fn list_services(cx: Cx, req: Req<ListServices>) -> Reply<ListServices> {
    require(&cx, rules::ListServices, &Target::new())?;
    let services = store::catalog::services(cx.db()).await?;
    list::reply(
        &cx,
        ("/v3/services", &req.query),
        &["type", "name"],
        services,
    )
}

async fn service<R: Rule>(cx: &Cx, rule: R, id: &str) -> Result<Service, Fault> {
    require(cx, rule, &Target::new())?;
    let mut services = store::catalog::services(cx.db()).await?.into_iter();
    services
        .find(|service| service.id == id)
        .ok_or_else(|| not_found("service", id))
}

endpoint! {
    /// Show a service.
    ShowService: GET "/v3/services/{service_id}" => 200,
    policy: Loaded<rules::GetService>,
    path: ServicePath,
    reply: Json<One<Service>>,
    handler: show_service,
}
async fn show_service(cx: Cx, req: Req<ShowService>) -> Reply<ShowService> {
    Ok(Json(One::new(
        &cx,
        service(&cx, rules::GetService, &req.path.service_id).await?,
    )))
}

endpoint! {
    /// Change a service.
    UpdateService: PATCH "/v3/services/{service_id}" => 200,
    policy: Loaded<rules::UpdateService>,
    path: ServicePath,
    body: Json<Under<ServiceBody>>,
    reply: Json<One<Service>>,
    handler: update_service,
}
async fn update_service(cx: Cx, req: Req<UpdateService>) -> Reply<UpdateService> {
    let before = service(&cx, rules::UpdateService, &req.path.service_id).await?;
    let mut service = before.clone();
    let Json(Under(body)) = req.body;
    change_service(&mut service, body)?;
    let mut tx = cx.write().await?;
    store::catalog::update_service(&mut tx, &before, &service).await?;
    cx.commit_snapshot(tx).await?;
    Ok(Json(One::new(&cx, service)))
}

endpoint! {
    /// Remove a service and its endpoints.
    DeleteService: DELETE "/v3/services/{service_id}" => 204,
    policy: Loaded<rules::DeleteService>,
    path: ServicePath,
    reply: Empty,
    handler: delete_service,
}
async fn delete_service(cx: Cx, req: Req<DeleteService>) -> Reply<DeleteService> {
    let service = service(&cx, rules::DeleteService, &req.path.service_id).await?;
    let mut tx = cx.write().await?;
    if store::catalog::count_limits_of(&mut tx, &service.id).await? > 0 {
        return Err(Fault::forbidden(format!(
            "Unable to delete service {} because there are registered limits associated with it.",
            service.id
        )));
    }
    store::catalog::remove_service(&mut tx, &service.id).await?;
    cx.commit_snapshot(tx).await?;
    Ok(Empty)
}

endpoint! {
    /// Create an endpoint.
    CreateEndpoint: POST "/v3/endpoints" => 201,
    policy: Loaded<rules::CreateEndpoint>,
    body: Json<Under<EndpointBody>>,
    reply: Json<One<Endpoint>>,
    handler: create_endpoint,
}
async fn create_endpoint(cx: Cx, req: Req<CreateEndpoint>) -> Reply<CreateEndpoint> {
    require(&cx, rules::CreateEndpoint, &Target::new())?;
    let Json(Under(body)) = req.body;
    let needed = |key: &str| Fault::bad_request(format!("'{key}' is a required property"));
    let mut endpoint = Endpoint {
        id: ids::hex(),
        service_id: body
            .service_id
            .clone()
            .ok_or_else(|| needed("service_id"))?,
        interface: body
            .interface
            .ok_or_else(|| needed("interface"))?
            .text()
            .to_owned(),
        region: None,
        region_id: None,
        url: body.url.clone().ok_or_else(|| needed("url"))?,
        enabled: true,
        extra: Extra::default(),
    };
    let region = change_endpoint(&cx, &mut endpoint, body).await?;
    let mut tx = cx.write().await?;
    ensure_region(&mut tx, region).await?;
    store::catalog::put_endpoint(&mut tx, &endpoint).await?;
    cx.commit_snapshot(tx).await?;
    Ok(Json(One::new(&cx, endpoint)))
}

async fn ensure_region(tx: &mut Tx, region: Option<String>) -> Result<(), Fault> {
    match region {
        Some(region) => Ok(store::catalog::ensure_region(tx, &region).await?),
        None => Ok(()),
    }
}

/// Takes over what the body says; gives the region that is made where there is none.
async fn change_endpoint(
    cx: &Cx,
    endpoint: &mut Endpoint,
    mut body: EndpointBody,
) -> Result<Option<String>, Fault> {
    clean(&mut body.extra, &RESERVED, Some(&endpoint.id))?;
    if let Some(service_id) = body.service_id {
        endpoint.service_id = service_id;
    }
    let services = store::catalog::services(cx.db()).await?;
    if !services
        .iter()
        .any(|service| service.id == endpoint.service_id)
    {
        return Err(Fault::bad_request(format!(
            "Could not find service: {}.",
            endpoint.service_id
        )));
    }
    if let Some(url) = body.url {
        check_url(&url)?;
        endpoint.url = url;
    }
    if let Some(interface) = body.interface {
        interface.text().clone_into(&mut endpoint.interface);
    }
    endpoint.enabled = body.enabled.unwrap_or(endpoint.enabled);
    endpoint.extra.merge(body.extra);
    let mut made = None;
    if let Some(region_id) = body.region_id {
        let regions = store::catalog::regions(cx.db()).await?;
        let known = |id: &&str| regions.iter().any(|region| region.id == **id);
        if let Some(id) = region_id.as_deref().filter(|id| !known(id)) {
            return Err(Fault::bad_request(format!("Could not find region: {id}.")));
        }
        endpoint.region_id = region_id;
    } else if let Some(region) = body.region {
        check_region_id(&region)?;
        endpoint.region_id = Some(region.clone());
        made = Some(region);
    }
    endpoint.region.clone_from(&endpoint.region_id);
    Ok(made)
}

/// `scheme:something`, and only names in it that the catalog knows how to fill.
fn check_url(url: &str) -> Result<(), Fault> {
    let scheme = url.split_once(':').map(|(scheme, rest)| {
        !rest.is_empty()
            && !scheme.is_empty()
            && scheme
                .bytes()
                .all(|byte| byte.is_ascii_alphanumeric() || b"+.-".contains(&byte))
    });
    let mut rest = url;
    let mut holes = true;
    while let Some(at) = rest.find("$(") {
        let tail = rest.get(at + 2..).unwrap_or_default();
        let Some((name, after)) = tail.split_once(")s") else {
            holes = false;
            break;
        };
        holes &= ["project_id", "tenant_id", "user_id"].contains(&name);
        rest = after;
    }
    if scheme == Some(true) && holes && url.len() <= 225 {
        return Ok(());
    }
    Err(Fault::bad_request(format!(
        "The url {url} is no URL of at most 225 characters, or has other names than project_id, tenant_id and user_id to fill in."
    )))
}

endpoint! {
    /// List endpoints.
    ListEndpoints: GET "/v3/endpoints" => 200,
    policy: Loaded<rules::ListEndpoints>,
    query: Params,
    reply: Json<Many<Endpoint>>,
    handler: list_endpoints,
}
async fn list_endpoints(cx: Cx, req: Req<ListEndpoints>) -> Reply<ListEndpoints> {
    require(&cx, rules::ListEndpoints, &Target::new())?;
    let endpoints = store::catalog::endpoints(cx.db()).await?;
    let attributes = ["interface", "service_id", "region_id", "region", "enabled"];
    list::reply(&cx, ("/v3/endpoints", &req.query), &attributes, endpoints)
}

async fn endpoint<R: Rule>(cx: &Cx, rule: R, id: &str) -> Result<Endpoint, Fault> {
    require(cx, rule, &Target::new())?;
    let mut endpoints = store::catalog::endpoints(cx.db()).await?.into_iter();
    endpoints
        .find(|endpoint| endpoint.id == id)
        .ok_or_else(|| not_found("endpoint", id))
}

endpoint! {
    /// Show an endpoint.
    ShowEndpoint: GET "/v3/endpoints/{endpoint_id}" => 200,
    policy: Loaded<rules::GetEndpoint>,
    path: EndpointPath,
    reply: Json<One<Endpoint>>,
    handler: show_endpoint,
}
async fn show_endpoint(cx: Cx, req: Req<ShowEndpoint>) -> Reply<ShowEndpoint> {
    Ok(Json(One::new(
        &cx,
        endpoint(&cx, rules::GetEndpoint, &req.path.endpoint_id).await?,
    )))
}

endpoint! {
    /// Change an endpoint.
    UpdateEndpoint: PATCH "/v3/endpoints/{endpoint_id}" => 200,
    policy: Loaded<rules::UpdateEndpoint>,
    path: EndpointPath,
    body: Json<Under<EndpointBody>>,
    reply: Json<One<Endpoint>>,
    handler: update_endpoint,
}
async fn update_endpoint(cx: Cx, req: Req<UpdateEndpoint>) -> Reply<UpdateEndpoint> {
    let before = endpoint(&cx, rules::UpdateEndpoint, &req.path.endpoint_id).await?;
    let mut endpoint = before.clone();
    let Json(Under(body)) = req.body;
    let region = change_endpoint(&cx, &mut endpoint, body).await?;
    let mut tx = cx.write().await?;
    ensure_region(&mut tx, region).await?;
    store::catalog::update_endpoint(&mut tx, &before, &endpoint).await?;
    cx.commit_snapshot(tx).await?;
    Ok(Json(One::new(&cx, endpoint)))
}

endpoint! {
    /// Remove an endpoint.
    DeleteEndpoint: DELETE "/v3/endpoints/{endpoint_id}" => 204,
    policy: Loaded<rules::DeleteEndpoint>,
    path: EndpointPath,
    reply: Empty,
    handler: delete_endpoint,
}
async fn delete_endpoint(cx: Cx, req: Req<DeleteEndpoint>) -> Reply<DeleteEndpoint> {
    let endpoint = endpoint(&cx, rules::DeleteEndpoint, &req.path.endpoint_id).await?;
    let mut tx = cx.write().await?;
    store::catalog::remove_endpoint(&mut tx, &endpoint.id).await?;
    cx.commit_snapshot(tx).await?;
    Ok(Empty)
}

/// The rows of this file.
pub(super) fn endpoints() -> nephos_api::Endpoints<Svc> {
    nephos_api::routes![
        CreateService,
        ListServices,
        ShowService,
        UpdateService,
        DeleteService,
        CreateEndpoint,
        ListEndpoints,
        ShowEndpoint,
        UpdateEndpoint,
        DeleteEndpoint,
    ]
}
