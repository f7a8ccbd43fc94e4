//! Ended tokens: for other processes of ours as a trust bundle, for others as OS-REVOKE events.

use std::sync::Arc;
use std::time::Duration;

use nephos_api::{Empty, Fault, Json, Loaded, Params, Reply, Req, endpoint};
use nephos_auth::{Revocation, Target};
use nephos_types::Timestamp;
use serde::{Deserialize, Serialize};
use serde_json::{Map, Value, json};
use utoipa::ToSchema;

use super::fault::require;
use super::shape::SelfLink;
use crate::ops::keys::RotateError;
use crate::store::revocations::Revoked;
use crate::{Cx, Svc, rules, store};

/// Revocation events.
#[derive(Debug, Serialize, ToSchema)]
pub(crate) struct EventsView {
    #[schema(value_type = Vec<Object>)]
    events: Vec<Value>,
    links: SelfLink,
}

endpoint! {
    /// List what ended tokens before their time.
    ListRevokeEvents: GET "/v3/OS-REVOKE/events" => 200,
    policy: Loaded<rules::ListRevokeEvents>,
    query: Params,
    reply: Json<EventsView>,
    handler: list_revoke_events,
}
async fn list_revoke_events(cx: Cx, req: Req<ListRevokeEvents>) -> Reply<ListRevokeEvents> {
    require(&cx, rules::ListRevokeEvents, &Target::new())?;
    let since = match req.query.get("since") {
        Some(text) => Some(
            Timestamp::parse(text)
                .ok_or_else(|| Fault::bad_request(format!("invalid date format {text}")))?,
        ),
        None => None,
    };
    let all = store::revocations::list(cx.db(), cx.now()).await?;
    let newer = all
        .iter()
        .filter(|one| since.is_none_or(|since| one.revoked_at >= since));
    let events = newer.map(event).collect();
    let links = SelfLink {
        own: cx.url("/v3/OS-REVOKE/events"),
    };
    Ok(Json(EventsView { events, links }))
}

fn event(revoked: &Revoked) -> Value {
    let Revocation {
        issued_before,
        revision: _,
        audit_id,
        audit_chain_id,
        user_id,
        project_id,
        domain_id,
        domain_scope_id,
        system: _,
        role,
        app_credential_id,
        trust_id,
    } = &revoked.revocation;
    let mut event = Map::new();
    let mut set = |key: &str, value: Value| {
        if !value.is_null() {
            event.insert(key.to_owned(), value);
        }
    };
    set(
        "issued_before",
        json!(Timestamp(*issued_before).iso_micros()),
    );
    set("revoked_at", json!(revoked.revoked_at.iso_micros()));
    set("audit_id", json!(audit_id));
    set("audit_chain_id", json!(audit_chain_id));
    set("user_id", json!(user_id));
    set("project_id", json!(project_id));
    set("domain_id", json!(domain_id));
    set("domain_scope_id", json!(domain_scope_id));
    set("role_name", json!(role));
    set("app_credential_id", json!(app_credential_id));
    set("OS-TRUST:trust_id", json!(trust_id));
    Value::Object(event)
}

/// Keys and revocations.
#[derive(Debug, Serialize)]
#[serde(transparent)]
pub(crate) struct BundleView(Arc<nephos_auth::TrustBundle>);

impl utoipa::PartialSchema for BundleView {
    fn schema() -> utoipa::openapi::RefOr<utoipa::openapi::schema::Schema> {
        utoipa::openapi::ObjectBuilder::new().into()
    }
}
impl ToSchema for BundleView {}

/// The longest that a process may wait for news, in seconds.
const LONGEST_WAIT: u64 = 20;

#[derive(Debug, Deserialize, ToSchema)]
pub(crate) struct BundleQuery {
    /// What is known already.
    #[serde(default)]
    epoch: u64,
    /// Seconds to wait for something newer.
    #[serde(default)]
    wait: u64,
}

endpoint! {
    /// Give keys and revocations, with which another process of the cloud checks tokens by itself.
    ShowTrustBundle: GET "/trust/v1/bundle" => 200,
    policy: Loaded<rules::GetTrustBundle>,
    query: BundleQuery,
    reply: Json<BundleView>,
    handler: show_trust_bundle,
}
async fn show_trust_bundle(cx: Cx, req: Req<ShowTrustBundle>) -> Reply<ShowTrustBundle> {
    require(&cx, rules::GetTrustBundle, &Target::new())?;
    let wait = Duration::from_secs(req.query.wait.min(LONGEST_WAIT));
    Ok(Json(BundleView(
        cx.trust_after(req.query.epoch, wait).await,
    )))
}

endpoint! {
    /// Let the staged signing key sign, and stage a new one.
    RotateKeys: POST "/trust/v1/keys" => 204,
    policy: Loaded<rules::RotateKeys>,
    reply: Empty,
    handler: rotate_keys,
}
async fn rotate_keys(cx: Cx, _req: Req<RotateKeys>) -> Reply<RotateKeys> {
    require(&cx, rules::RotateKeys, &Target::new())?;
    match cx.rotate().await {
        Ok(()) => Ok(Empty),
        Err(why @ RotateError::TooSoon(_)) => Err(Fault::conflict(why.to_string())),
        Err(RotateError::Other(why)) => Err(why.into()),
    }
}

/// The rows of this file.
pub(super) fn endpoints() -> nephos_api::Endpoints<Svc> {
    nephos_api::routes![ListRevokeEvents, RotateKeys, ShowTrustBundle]
}
