//! A token as Keystone shows it. Made once per token and kept: validation is a look-up.

use std::sync::Arc;

use moka::sync::Cache;
use nephos_api::Fault;
use nephos_auth::{Caller, Scope};
use serde::Serialize;
use serde_json::value::RawValue;
use serde_json::{Map, Value, json};
use utoipa::ToSchema;
use utoipa::openapi::RefOr;
use utoipa::openapi::schema::{ObjectBuilder, Schema};

use crate::{Cx, store};

/// Views that are kept, about 5 KiB each with a catalog.
const KEPT: u64 = 4000;

/// Token views by audit id, revision of roles and catalog, and whether the catalog is in it.
pub(crate) struct TokenBodies(Cache<(String, i64, bool), Arc<RawValue>>);

impl TokenBodies {
    pub(crate) fn new() -> Self {
        Self(Cache::new(KEPT))
    }
}

/// The body of a token, as JSON text.
#[derive(Clone, Debug, Serialize)]
#[serde(transparent)]
pub(crate) struct TokenBody(Arc<RawValue>);

impl utoipa::PartialSchema for TokenBody {
    fn schema() -> RefOr<Schema> {
        ObjectBuilder::new()
            .property("token", ObjectBuilder::new())
            .required("token")
            .into()
    }
}
impl ToSchema for TokenBody {}

#[derive(Serialize)]
struct Envelope {
    token: View,
}

#[derive(Serialize)]
struct View {
    #[serde(flatten)]
    facts: Map<String, Value>,
    #[serde(skip_serializing_if = "Option::is_none")]
    catalog: Option<Arc<RawValue>>,
}

/// The body for a token of this caller.
pub(crate) async fn body(cx: &Cx, caller: &Caller, catalog: bool) -> Result<TokenBody, Fault> {
    let snapshot = cx.snapshot();
    let audit = caller.audit_ids.first().cloned().unwrap_or_default();
    let key = (audit, snapshot.revision, catalog);
    if let Some(kept) = cx.tokens.0.get(&key) {
        return Ok(TokenBody(kept));
    }
    let scoped = caller.scope != Scope::Unscoped;
    let project = caller.project_id().map(|id| id.as_str());
    let catalog = if catalog && scoped {
        snapshot.catalog_of(project, caller.user_id.as_str())
    } else {
        None
    };
    let view = View {
        facts: facts(cx, caller).await?,
        catalog,
    };
    let text = serde_json::value::to_raw_value(&Envelope { token: view })
        .map_err(|_| Fault::internal("The token could not be shown."))?;
    let kept: Arc<RawValue> = Arc::from(text);
    // Tokens of other processes' tests and of old versions may lack an audit id: those are not told apart by it.
    if !key.0.is_empty() {
        cx.tokens.0.insert(key, Arc::clone(&kept));
    }
    Ok(TokenBody(kept))
}

async fn facts(cx: &Cx, caller: &Caller) -> Result<Map<String, Value>, Fault> {
    let mut facts = Map::new();
    let mut set = |key: &str, value: Value| facts.insert(key.to_owned(), value);
    set("methods", json!(caller.methods));
    set(
        "user",
        json!({
            "domain": {"id": caller.user_domain_id, "name": caller.user_domain_name},
            "id": caller.user_id, "name": caller.user_name, "password_expires_at": null,
        }),
    );
    set("audit_ids", json!(caller.audit_ids));
    set("expires_at", json!(caller.expires_at.iso_micros()));
    set("issued_at", json!(caller.issued_at.iso_micros()));
    match &caller.scope {
        Scope::Unscoped => {}
        Scope::System => {
            set("system", json!({"all": true}));
        }
        Scope::Domain { id, name } => {
            set("domain", json!({"id": id, "name": name}));
        }
        Scope::Project {
            id,
            name,
            domain_id,
            domain_name,
            is_domain,
        } => {
            set(
                "project",
                json!({
                    "domain": {"id": domain_id, "name": domain_name}, "id": id, "name": name,
                }),
            );
            set("is_domain", json!(is_domain));
        }
    }
    if caller.scope != Scope::Unscoped {
        let snapshot = cx.snapshot();
        let roles = caller
            .roles
            .iter()
            .filter_map(|name| snapshot.role_named(name));
        let roles: Vec<Value> = roles
            .map(|role| json!({"id": role.id, "name": role.name}))
            .collect();
        set("roles", json!(roles));
    }
    let providers = &cx.snapshot().service_providers;
    if !providers.is_empty() {
        set("service_providers", json!(providers));
    }
    if let Some(trust) = &caller.trust {
        set(
            "OS-TRUST:trust",
            json!({
                "id": trust.id, "trustor_user": {"id": trust.trustor_id},
                "trustee_user": {"id": trust.trustee_id}, "impersonation": trust.impersonation,
            }),
        );
    }
    if let Some(id) = &caller.app_credential_id
        && let Some(app) = store::access::app(cx.db(), id).await?
    {
        let mut shown = json!({"id": app.id, "name": app.name, "restricted": !app.unrestricted});
        if app.has_rules
            && let Some(shown) = shown.as_object_mut()
        {
            let rules = store::access::rules_of_app(cx.db(), id).await?;
            shown.insert("access_rules".to_owned(), json!(rules));
        }
        set("application_credential", shown);
    }
    Ok(facts)
}
