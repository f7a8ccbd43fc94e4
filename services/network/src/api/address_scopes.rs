//! Address scopes.

use nephos_api::{Empty, Fault, Json, Loaded, Params, Reply, Req, endpoint};
use nephos_auth::Target;
use nephos_db::Tx;
use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

use crate::Cx;
use crate::api::envelope::{self, Keys, Kind, Made, Many, One};
use crate::api::input::{self, Flag, Int, Name};
use crate::api::listing::{self, Filter, Listing, asked_fields, visible};
use crate::api::resource;
use crate::api::{ById, allow};
use crate::model::refusal::Refusal;
use crate::model::sharing::{EVERYBODY, Grant, Grants, SHARED};
use crate::model::subnet_pool::AddressScope;
use crate::rules;
use crate::store::rbac::{self, RbacPolicy};
use crate::store::{Reader, address_scopes, quotas};

pub(crate) struct ScopeKind;

impl Kind for ScopeKind {
    const ONE: &'static str = "address_scope";
    const MANY: &'static str = "address_scopes";
    type View = ScopeView;
    type New = NewScope;
    type Change = ScopeChange;
}

#[derive(Debug, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub(crate) struct NewScope {
    #[serde(default, deserialize_with = "crate::api::input::not_null")]
    name: Option<Name>,
    ip_version: Int,
    #[serde(default, deserialize_with = "crate::api::input::not_null")]
    shared: Option<Flag>,
    project_id: Option<String>,
    tenant_id: Option<String>,
}

#[derive(Debug, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub(crate) struct ScopeChange {
    #[serde(default, deserialize_with = "crate::api::input::not_null")]
    name: Option<Name>,
    #[serde(default, deserialize_with = "crate::api::input::not_null")]
    shared: Option<Flag>,
}

#[derive(Debug, Serialize, ToSchema)]
pub(crate) struct ScopeView {
    id: String,
    tenant_id: String,
    project_id: String,
    name: String,
    ip_version: u8,
    shared: bool,
}

fn view(cx: &Cx, scope: &AddressScope) -> ScopeView {
    ScopeView {
        id: scope.id.clone(),
        tenant_id: scope.project_id.clone(),
        project_id: scope.project_id.clone(),
        name: scope.name.clone(),
        ip_version: scope.ip_version,
        shared: scope.grants.shared_with(resource::own(&cx.caller)),
    }
}

const LISTING: Listing = Listing {
    id: "id",
    updated_at: "",
    marker: "SELECT id, name, project_id, ip_version FROM address_scopes",
    filters: &[
        ("id", Filter::Text("id")),
        ("name", Filter::Text("name")),
        ("project_id", Filter::Text("project_id")),
        ("tenant_id", Filter::Text("project_id")),
        ("ip_version", Filter::Int("ip_version")),
        ("shared", Filter::Custom(listing::shared_is)),
    ],
    sorts: &[
        ("name", "name"),
        ("project_id", "project_id"),
        ("tenant_id", "project_id"),
        ("ip_version", "ip_version"),
    ],
};

endpoint! {
    /// List address scopes.
    ListAddressScopes: GET "/v2.0/address-scopes" => 200,
    policy: rules::GetAddressScope,
    query: Params,
    reply: Json<Many<ScopeKind>>,
    handler: list_scopes,
}
async fn list_scopes(cx: Cx, req: Req<ListAddressScopes>) -> Reply<ListAddressScopes> {
    let query = visible(
        &cx,
        address_scopes::query(),
        "project_id = {}",
        "id IN (SELECT object_id FROM rbac_policies WHERE object_type = 'address_scope' AND target_project IN ('*', {}))",
    );
    let asked = LISTING.read(&cx, query, req.query).await?;
    let found = address_scopes::find(&mut Reader::Db(cx.db()), &asked.query).await?;
    let mut rows = Vec::new();
    for scope in &found {
        rows.push((
            scope.id.clone(),
            envelope::show(&view(&cx, scope), &asked.keys)?,
        ));
    }
    Ok(Json(asked.page(&cx, "/v2.0/address-scopes", rows)))
}

endpoint! {
    /// Show an address scope.
    ShowAddressScope: GET "/v2.0/address-scopes/{id}" => 200,
    policy: Loaded<rules::GetAddressScope>,
    path: ById,
    query: Params,
    reply: Json<One<ScopeKind>>,
    handler: show_scope,
}
async fn show_scope(cx: Cx, req: Req<ShowAddressScope>) -> Reply<ShowAddressScope> {
    let id = req.path.id.as_str();
    let found = address_scopes::get(&mut Reader::Db(cx.db()), id).await?;
    let scope = allow(&cx, rules::GetAddressScope, (id, found))?;
    let keys = Keys::asked(asked_fields(&req.query));
    Ok(Json(One::of(&view(&cx, &scope), &keys)?))
}

endpoint! {
    /// Create one or more address scopes.
    CreateAddressScopes: POST "/v2.0/address-scopes" => 201,
    policy: rules::CreateAddressScope,
    body: envelope::New<ScopeKind>,
    reply: Json<Made<ScopeKind>>,
    handler: create_scopes,
}
async fn create_scopes(cx: Cx, req: Req<CreateAddressScopes>) -> Reply<CreateAddressScopes> {
    let mut tx = cx.write().await?;
    let mut views = Vec::new();
    for new in &req.body.items {
        let project_id = input::project(&cx, new.project_id.as_ref(), new.tenant_id.as_ref())?;
        let shared = new.shared.is_some_and(|flag| flag.0);
        if shared {
            cx.require(
                rules::CreateAddressScopeShared,
                &Target::of_project(&project_id),
            )?;
        }
        let ip_version = match new.ip_version.0 {
            4 => 4,
            6 => 6,
            other => {
                return Err(Refusal::request(format!(
                    "Invalid input for ip_version. Reason: {other} is not in [4, 6]."
                ))
                .into());
            }
        };
        let mut scope = AddressScope {
            id: nephos_runtime::ids::uuid().to_string(),
            project_id,
            name: new.name.clone().unwrap_or_default().0,
            ip_version,
            grants: Grants::default(),
        };
        quotas::take(&mut tx, &scope.project_id, "address_scope", 1).await?;
        address_scopes::insert(&mut tx, &scope).await?;
        if shared {
            share(&mut tx, &mut scope).await?;
        }
        views.push(view(&cx, &scope));
    }
    tx.commit().await?;
    Ok(Json(Made::of(&views, req.body.bulk, &Keys::default())?))
}

async fn share(tx: &mut Tx, scope: &mut AddressScope) -> Result<(), Fault> {
    let policy = RbacPolicy {
        id: nephos_runtime::ids::uuid().to_string(),
        project_id: scope.project_id.clone(),
        object_type: "address_scope".to_owned(),
        object_id: scope.id.clone(),
        action: SHARED.to_owned(),
        target_project: EVERYBODY.to_owned(),
    };
    if rbac::insert(tx, &policy).await? {
        quotas::add(tx, &scope.project_id, "rbac_policy", 1).await?;
    }
    scope.grants.0.push(Grant {
        action: SHARED.to_owned(),
        target: EVERYBODY.to_owned(),
    });
    Ok(())
}

endpoint! {
    /// Change an address scope.
    UpdateAddressScope: PUT "/v2.0/address-scopes/{id}" => 200,
    policy: Loaded<rules::UpdateAddressScope>,
    path: ById,
    body: envelope::Change<ScopeKind>,
    reply: Json<One<ScopeKind>>,
    handler: update_scope,
}
async fn update_scope(cx: Cx, req: Req<UpdateAddressScope>) -> Reply<UpdateAddressScope> {
    let id = req.path.id.as_str();
    let mut tx = cx.write().await?;
    let found = address_scopes::get(&mut Reader::Tx(&mut tx), id).await?;
    let mut scope = allow(&cx, rules::UpdateAddressScope, (id, found))?.into_inner();
    let change = &req.body.0;
    if let Some(name) = &change.name {
        scope.name.clone_from(&name.0);
    }
    if let Some(Flag(shared)) = change.shared {
        cx.require(
            rules::UpdateAddressScopeShared,
            &Target::of_project(&scope.project_id),
        )?;
        if !shared && scope.grants.any(SHARED) {
            return Err(Refusal::invalid(
                "AddressScopeUpdateError",
                format!(
                    "Unable to update address scope {id} : Shared address scope can't be unshared."
                ),
            )
            .into());
        }
        if shared {
            share(&mut tx, &mut scope).await?;
        }
    }
    address_scopes::update(&mut tx, &scope).await?;
    tx.commit().await?;
    Ok(Json(One::of(&view(&cx, &scope), &Keys::default())?))
}

endpoint! {
    /// Delete an address scope.
    DeleteAddressScope: DELETE "/v2.0/address-scopes/{id}" => 204,
    policy: Loaded<rules::DeleteAddressScope>,
    path: ById,
    reply: Empty,
    handler: delete_scope,
}
async fn delete_scope(cx: Cx, req: Req<DeleteAddressScope>) -> Reply<DeleteAddressScope> {
    let id = req.path.id.as_str();
    let mut tx = cx.write().await?;
    let found = address_scopes::get(&mut Reader::Tx(&mut tx), id).await?;
    let scope = allow(&cx, rules::DeleteAddressScope, (id, found))?;
    let pools = address_scopes::pools(&mut tx, id).await?;
    if !pools.is_empty() {
        return Err(Refusal::conflict(
            "AddressScopeInUse",
            format!(
                "Unable to complete operation on address scope {id}. There are one or more subnet pools in use on the address scope: {}",
                pools.join(", ")
            ),
        )
        .into());
    }
    address_scopes::remove(&mut tx, id).await?;
    quotas::give(&mut tx, &scope.project_id, "address_scope", 1).await?;
    tx.commit().await?;
    Ok(Empty)
}
