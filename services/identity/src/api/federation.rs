//! What federation is configured by: identity providers, their protocols, mappings and service providers.
//!
//! These are records; the log-in through an identity provider itself is not offered. Enabled service providers are
//! shown in tokens, as clients expect.

use nephos_api::{Empty, Fault, Json, Loaded, Params, Reply, Req, endpoint};
use nephos_db::Tx;
use nephos_runtime::ids;
use nephos_types::ProjectId;
use serde_json::{Value, json};

use super::documents::{self, Document, DocumentPath, Given, Kind, ParentPath, permit};
use super::fault::not_found;
use super::shape::{Many, One, Under};
use crate::model::directory::Project;
use crate::model::extra::Extra;
use crate::{Cx, Svc, rules, store};

/// What stands before the state of a SAML exchange where nothing else is asked for.
const RELAY_STATE_PREFIX: &str = "ss:mem:";

fn wrong(key: &str, expected: &str) -> Fault {
    Fault::bad_request(format!(
        "Invalid input for field '{key}': {expected} is expected."
    ))
}

fn check_text(whole: &Extra, keys: &[&str]) -> Result<(), Fault> {
    let bad = |key: &&&str| {
        whole
            .0
            .get(**key)
            .is_some_and(|value| !value.is_string() && !value.is_null())
    };
    keys.iter()
        .find(bad)
        .map_or(Ok(()), |key| Err(wrong(key, "a text")))
}

fn check_enabled(whole: &Extra) -> Result<(), Fault> {
    match whole.0.get("enabled") {
        Some(Value::Bool(_)) | None => Ok(()),
        Some(_) => Err(wrong("enabled", "a boolean")),
    }
}

fn check_keys(whole: &Extra, keys: &[&str]) -> Result<(), Fault> {
    let unknown = whole.0.keys().find(|key| !keys.contains(&key.as_str()));
    unknown.map_or(Ok(()), |key| {
        Err(Fault::bad_request(format!(
            "Additional properties are not allowed ('{key}' was unexpected)"
        )))
    })
}

/// Somebody who says who a user is.
#[derive(Debug)]
pub(crate) struct IdentityProvider;

impl Kind for IdentityProvider {
    const ONE: &'static str = "identity_provider";
    const MANY: &'static str = "identity_providers";
    const PATH: &'static str = "/v3/OS-FEDERATION/identity_providers";
    const CALLED: &'static str = "Identity Provider";
    const FILTERS: &'static [&'static str] = &["id", "enabled"];
    const UNIQUE: Option<(&'static str, &'static str)> = Some(("remote_ids", "remote ID"));

    fn check(whole: &Extra) -> Result<(), Fault> {
        let keys = [
            "id",
            "enabled",
            "description",
            "remote_ids",
            "domain_id",
            "authorization_ttl",
        ];
        check_keys(whole, &keys)?;
        check_text(whole, &["description", "domain_id"])?;
        check_enabled(whole)?;
        let ttl = whole.0.get("authorization_ttl");
        if ttl.is_some_and(|ttl| !ttl.is_null() && !ttl.is_u64()) {
            return Err(wrong("authorization_ttl", "a number of minutes, or null,"));
        }
        let texts = |list: &Vec<Value>| list.iter().all(Value::is_string);
        match whole.0.get("remote_ids") {
            None | Some(Value::Null) => Ok(()),
            Some(Value::Array(list)) if texts(list) => Ok(()),
            Some(_) => Err(wrong("remote_ids", "a list of texts")),
        }
    }
}

/// How an identity provider speaks, and which mapping reads it.
#[derive(Debug)]
pub(crate) struct Protocol;

impl Kind for Protocol {
    const ONE: &'static str = "protocol";
    const MANY: &'static str = "protocols";
    const PATH: &'static str = "/v3/OS-FEDERATION/identity_providers/{parent}/protocols";
    const CALLED: &'static str = "federated protocol";
    const PARENT: Option<&'static str> = Some(IdentityProvider::ONE);

    fn check(whole: &Extra) -> Result<(), Fault> {
        check_keys(whole, &["id", "mapping_id", "remote_id_attribute"])?;
        check_text(whole, &["remote_id_attribute"])?;
        match whole.0.get("mapping_id") {
            Some(Value::String(_)) => Ok(()),
            _absent_or_other => Err(wrong("mapping_id", "the id of a mapping")),
        }
    }
}

/// What an identity provider's words mean here.
#[derive(Debug)]
pub(crate) struct Mapping;

impl Kind for Mapping {
    const ONE: &'static str = "mapping";
    const MANY: &'static str = "mappings";
    const PATH: &'static str = "/v3/OS-FEDERATION/mappings";
    const CALLED: &'static str = "mapping";

    fn check(whole: &Extra) -> Result<(), Fault> {
        check_keys(whole, &["id", "rules", "schema_version"])?;
        check_text(whole, &["schema_version"])?;
        let list = |rule: &Value, key: &str| rule.get(key).and_then(Value::as_array).cloned();
        let good = |rule: &Value| {
            let local = list(rule, "local").is_some_and(|local| local.iter().all(Value::is_object));
            let typed = |remote: &Value| remote.get("type").is_some_and(Value::is_string);
            local
                && list(rule, "remote").is_some_and(|all| !all.is_empty() && all.iter().all(typed))
        };
        match whole.0.get("rules").and_then(Value::as_array) {
            Some(rules) if !rules.is_empty() && rules.iter().all(good) => Ok(()),
            _absent_or_other => Err(wrong(
                "rules",
                "a list of rules, each with a list 'local' and a list 'remote' whose entries have a type,",
            )),
        }
    }
}

/// Another cloud that believes this one.
#[derive(Debug)]
pub(crate) struct ServiceProvider;

impl Kind for ServiceProvider {
    const ONE: &'static str = "service_provider";
    const MANY: &'static str = "service_providers";
    const PATH: &'static str = "/v3/OS-FEDERATION/service_providers";
    const CALLED: &'static str = "Service Provider";
    const IN_SNAPSHOT: bool = true;
    const FILTERS: &'static [&'static str] = &["id", "enabled"];

    fn check(whole: &Extra) -> Result<(), Fault> {
        let keys = [
            "id",
            "enabled",
            "description",
            "auth_url",
            "sp_url",
            "relay_state_prefix",
        ];
        check_keys(whole, &keys)?;
        check_text(whole, &["description", "relay_state_prefix"])?;
        check_enabled(whole)?;
        for key in ["auth_url", "sp_url"] {
            let url = whole.0.get(key).and_then(Value::as_str);
            let good = url.is_some_and(|url| url.contains(':') && url.len() <= 225);
            if !good {
                return Err(wrong(key, "a URL of at most 225 characters"));
            }
        }
        Ok(())
    }
}

endpoint! {
    /// List identity providers.
    ListIdentityProviders: GET "/v3/OS-FEDERATION/identity_providers" => 200,
    policy: Loaded<rules::ListIdentityProviders>,
    query: Params,
    reply: Json<Many<Document<IdentityProvider>>>,
    handler: documents::list::<_, IdentityProvider, rules::ListIdentityProviders>,
}
endpoint! {
    /// Create an identity provider.
    CreateIdentityProvider: PUT "/v3/OS-FEDERATION/identity_providers/{id}" => 201,
    policy: Loaded<rules::CreateIdentityProvider>,
    path: DocumentPath,
    body: Json<Under<Given<IdentityProvider>>>,
    reply: Json<One<Document<IdentityProvider>>>,
    handler: create_identity_provider,
}
endpoint! {
    /// Show an identity provider.
    ShowIdentityProvider: GET "/v3/OS-FEDERATION/identity_providers/{id}" => 200,
    policy: Loaded<rules::GetIdentityProvider>,
    path: DocumentPath,
    reply: Json<One<Document<IdentityProvider>>>,
    handler: documents::show::<_, IdentityProvider, rules::GetIdentityProvider>,
}
endpoint! {
    /// Change an identity provider.
    UpdateIdentityProvider: PATCH "/v3/OS-FEDERATION/identity_providers/{id}" => 200,
    policy: Loaded<rules::UpdateIdentityProvider>,
    path: DocumentPath,
    body: Json<Under<Given<IdentityProvider>>>,
    reply: Json<One<Document<IdentityProvider>>>,
    handler: update_identity_provider,
}
endpoint! {
    /// Remove an identity provider.
    DeleteIdentityProvider: DELETE "/v3/OS-FEDERATION/identity_providers/{id}" => 204,
    policy: Loaded<rules::DeleteIdentityProvider>,
    path: DocumentPath,
    reply: Empty,
    handler: documents::remove::<_, IdentityProvider, rules::DeleteIdentityProvider>,
}
endpoint! {
    /// List protocols.
    ListProtocols: GET "/v3/OS-FEDERATION/identity_providers/{parent}/protocols" => 200,
    policy: Loaded<rules::ListProtocols>,
    path: ParentPath,
    query: Params,
    reply: Json<Many<Document<Protocol>>>,
    handler: documents::list_below::<_, Protocol, rules::ListProtocols>,
}
endpoint! {
    /// Create a protocol.
    CreateProtocol: PUT "/v3/OS-FEDERATION/identity_providers/{parent}/protocols/{id}" => 201,
    policy: Loaded<rules::CreateProtocol>,
    path: DocumentPath,
    body: Json<Under<Given<Protocol>>>,
    reply: Json<One<Document<Protocol>>>,
    handler: create_protocol,
}
endpoint! {
    /// Show a protocol.
    ShowProtocol: GET "/v3/OS-FEDERATION/identity_providers/{parent}/protocols/{id}" => 200,
    policy: Loaded<rules::GetProtocol>,
    path: DocumentPath,
    reply: Json<One<Document<Protocol>>>,
    handler: documents::show::<_, Protocol, rules::GetProtocol>,
}
endpoint! {
    /// Change a protocol.
    UpdateProtocol: PATCH "/v3/OS-FEDERATION/identity_providers/{parent}/protocols/{id}" => 200,
    policy: Loaded<rules::UpdateProtocol>,
    path: DocumentPath,
    body: Json<Under<Given<Protocol>>>,
    reply: Json<One<Document<Protocol>>>,
    handler: update_protocol,
}
endpoint! {
    /// Remove a protocol.
    DeleteProtocol: DELETE "/v3/OS-FEDERATION/identity_providers/{parent}/protocols/{id}" => 204,
    policy: Loaded<rules::DeleteProtocol>,
    path: DocumentPath,
    reply: Empty,
    handler: documents::remove::<_, Protocol, rules::DeleteProtocol>,
}
endpoint! {
    /// List mappings.
    ListMappings: GET "/v3/OS-FEDERATION/mappings" => 200,
    policy: Loaded<rules::ListMappings>,
    query: Params,
    reply: Json<Many<Document<Mapping>>>,
    handler: documents::list::<_, Mapping, rules::ListMappings>,
}
endpoint! {
    /// Create a mapping.
    CreateMapping: PUT "/v3/OS-FEDERATION/mappings/{id}" => 201,
    policy: Loaded<rules::CreateMapping>,
    path: DocumentPath,
    body: Json<Under<Given<Mapping>>>,
    reply: Json<One<Document<Mapping>>>,
    handler: documents::create::<_, Mapping, rules::CreateMapping>,
}
endpoint! {
    /// Show a mapping.
    ShowMapping: GET "/v3/OS-FEDERATION/mappings/{id}" => 200,
    policy: Loaded<rules::GetMapping>,
    path: DocumentPath,
    reply: Json<One<Document<Mapping>>>,
    handler: documents::show::<_, Mapping, rules::GetMapping>,
}
endpoint! {
    /// Change a mapping.
    UpdateMapping: PATCH "/v3/OS-FEDERATION/mappings/{id}" => 200,
    policy: Loaded<rules::UpdateMapping>,
    path: DocumentPath,
    body: Json<Under<Given<Mapping>>>,
    reply: Json<One<Document<Mapping>>>,
    handler: documents::update::<_, Mapping, rules::UpdateMapping>,
}
endpoint! {
    /// Remove a mapping.
    DeleteMapping: DELETE "/v3/OS-FEDERATION/mappings/{id}" => 204,
    policy: Loaded<rules::DeleteMapping>,
    path: DocumentPath,
    reply: Empty,
    handler: documents::remove::<_, Mapping, rules::DeleteMapping>,
}
endpoint! {
    /// List service providers.
    ListServiceProviders: GET "/v3/OS-FEDERATION/service_providers" => 200,
    policy: Loaded<rules::ListServiceProviders>,
    query: Params,
    reply: Json<Many<Document<ServiceProvider>>>,
    handler: documents::list::<_, ServiceProvider, rules::ListServiceProviders>,
}
endpoint! {
    /// Create a service provider.
    CreateServiceProvider: PUT "/v3/OS-FEDERATION/service_providers/{id}" => 201,
    policy: Loaded<rules::CreateServiceProvider>,
    path: DocumentPath,
    body: Json<Under<Given<ServiceProvider>>>,
    reply: Json<One<Document<ServiceProvider>>>,
    handler: create_service_provider,
}
endpoint! {
    /// Show a service provider.
    ShowServiceProvider: GET "/v3/OS-FEDERATION/service_providers/{id}" => 200,
    policy: Loaded<rules::GetServiceProvider>,
    path: DocumentPath,
    reply: Json<One<Document<ServiceProvider>>>,
    handler: documents::show::<_, ServiceProvider, rules::GetServiceProvider>,
}
endpoint! {
    /// Change a service provider.
    UpdateServiceProvider: PATCH "/v3/OS-FEDERATION/service_providers/{id}" => 200,
    policy: Loaded<rules::UpdateServiceProvider>,
    path: DocumentPath,
    body: Json<Under<Given<ServiceProvider>>>,
    reply: Json<One<Document<ServiceProvider>>>,
    handler: documents::update::<_, ServiceProvider, rules::UpdateServiceProvider>,
}
endpoint! {
    /// Remove a service provider.
    DeleteServiceProvider: DELETE "/v3/OS-FEDERATION/service_providers/{id}" => 204,
    policy: Loaded<rules::DeleteServiceProvider>,
    path: DocumentPath,
    reply: Empty,
    handler: documents::remove::<_, ServiceProvider, rules::DeleteServiceProvider>,
}

/// Without a domain of its own, the users of an identity provider get a new one.
async fn create_identity_provider(
    cx: Cx,
    req: Req<CreateIdentityProvider>,
) -> Reply<CreateIdentityProvider> {
    permit::<rules::CreateIdentityProvider>(&cx)?;
    let Json(Under(mut given)) = req.body;
    let asked = given
        .get("domain_id")
        .and_then(Value::as_str)
        .map(str::to_owned);
    if let Some(id) = &asked {
        let domain = store::projects::get(cx.db(), id).await?;
        if !domain.is_some_and(|domain| domain.is_domain) {
            return Err(not_found("domain", id));
        }
    }
    let mut tx = cx.write().await?;
    let domain_id = match asked {
        Some(id) => {
            store::projects::there(&mut tx, &id).await?;
            id
        }
        None => new_domain(&mut tx, &req.path.id).await?,
    };
    given.default_to("domain_id", json!(domain_id));
    given.default_to("enabled", json!(false));
    given.default_to("description", Value::Null);
    given.default_to("remote_ids", json!([]));
    given.default_to("authorization_ttl", Value::Null);
    documents::insert(&cx, tx, &req.path, given).await
}

async fn new_domain(tx: &mut Tx, idp: &str) -> Result<String, Fault> {
    let id = ids::hex();
    let domain = Project {
        id: ProjectId(id.clone()),
        name: id.clone(),
        domain_id: None,
        parent_id: None,
        is_domain: true,
        enabled: true,
        description: format!("Auto generated federated domain for Identity Provider: {idp}"),
        options: Extra::default(),
        tags: Vec::new(),
        extra: Extra::default(),
    };
    store::projects::insert(tx, &domain).await?;
    Ok(id)
}

/// Its domain is chosen once.
async fn update_identity_provider(
    cx: Cx,
    req: Req<UpdateIdentityProvider>,
) -> Reply<UpdateIdentityProvider> {
    permit::<rules::UpdateIdentityProvider>(&cx)?;
    if req.body.0.0.get("domain_id").is_some() {
        return Err(Fault::bad_request(
            "Additional properties are not allowed ('domain_id' was unexpected)",
        ));
    }
    documents::update::<_, IdentityProvider, rules::UpdateIdentityProvider>(cx, req).await
}

/// With a domain go the identity providers whose users are in it.
pub(super) async fn remove_providers_of(tx: &mut Tx, domain_id: &str) -> Result<(), Fault> {
    let kind = IdentityProvider::ONE;
    let all = store::documents::list_in(tx, kind, "").await?;
    let text = |body: &Extra, key: &str| body.0.get(key).and_then(Value::as_str).map(str::to_owned);
    let of_it = all
        .iter()
        .filter(|body| text(body, "domain_id").as_deref() == Some(domain_id));
    for id in of_it.filter_map(|body| text(body, "id")) {
        store::documents::remove(tx, (kind, "", &id)).await?;
    }
    Ok(())
}

async fn create_protocol(cx: Cx, req: Req<CreateProtocol>) -> Reply<CreateProtocol> {
    permit::<rules::CreateProtocol>(&cx)?;
    check_mapping(&cx, &req.body.0.0).await?;
    documents::create::<CreateProtocol, Protocol, rules::CreateProtocol>(cx, req).await
}

async fn update_protocol(cx: Cx, req: Req<UpdateProtocol>) -> Reply<UpdateProtocol> {
    permit::<rules::UpdateProtocol>(&cx)?;
    check_mapping(&cx, &req.body.0.0).await?;
    documents::update::<UpdateProtocol, Protocol, rules::UpdateProtocol>(cx, req).await
}

/// A protocol refers to a mapping that exists.
async fn check_mapping(cx: &Cx, given: &Given<Protocol>) -> Result<(), Fault> {
    let Some(mapping) = given.get("mapping_id").and_then(Value::as_str) else {
        return Ok(());
    };
    match store::documents::get(cx.db(), Mapping::ONE, "", mapping).await? {
        Some(_) => Ok(()),
        None => Err(Fault::bad_request(format!(
            "Could not find mapping: {mapping}."
        ))),
    }
}

async fn create_service_provider(
    cx: Cx,
    req: Req<CreateServiceProvider>,
) -> Reply<CreateServiceProvider> {
    permit::<rules::CreateServiceProvider>(&cx)?;
    let Json(Under(mut given)) = req.body;
    given.default_to("enabled", json!(false));
    given.default_to("description", Value::Null);
    given.default_to("relay_state_prefix", json!(RELAY_STATE_PREFIX));
    let tx = cx.write().await?;
    documents::insert(&cx, tx, &req.path, given).await
}

/// The rows of this file.
pub(super) fn endpoints() -> nephos_api::Endpoints<Svc> {
    nephos_api::routes![
        ListIdentityProviders,
        CreateIdentityProvider,
        ShowIdentityProvider,
        UpdateIdentityProvider,
        DeleteIdentityProvider,
        ListProtocols,
        CreateProtocol,
        ShowProtocol,
        UpdateProtocol,
        DeleteProtocol,
        ListMappings,
        CreateMapping,
        ShowMapping,
        UpdateMapping,
        DeleteMapping,
        ListServiceProviders,
        CreateServiceProvider,
        ShowServiceProvider,
        UpdateServiceProvider,
        DeleteServiceProvider,
    ]
}
