//! Subnet pools.

use ipnet::IpNet;
use nephos_api::{Empty, Fault, Json, Loaded, Params, Reply, Req, endpoint};
use nephos_auth::Target;
use nephos_db::Tx;
use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

use crate::Cx;
use crate::api::envelope::{self, Keys, Made, Many, One};
use crate::api::input::{self, Flag, Int};
use crate::api::listing::{self, Filter, Listing, asked_fields, visible};
use crate::api::subnet_pool_body::{NewPool, PoolChange, PoolKind, Prefixes, view};
use crate::api::{ById, allow};
use crate::model::address;
use crate::model::refusal::{Class, Refusal};
use crate::model::sharing::{EVERYBODY, Grant, Grants, SHARED};
use crate::model::subnet_pool::{SubnetPool, version};
use crate::rules;
use crate::store::rbac::{self, RbacPolicy};
use crate::store::{Reader, address_scopes, quotas, subnet_pools, subnets, tags};

const LISTING: Listing = Listing {
    id: "id",
    updated_at: "updated_at",
    marker: "SELECT id, name, description, project_id, ip_version, default_prefixlen, is_default, created_at, updated_at, \
        revision FROM subnet_pools",
    filters: &[
        ("id", Filter::Text("id")),
        ("name", Filter::Text("name")),
        ("description", Filter::Text("description")),
        ("project_id", Filter::Text("project_id")),
        ("tenant_id", Filter::Text("project_id")),
        ("ip_version", Filter::Int("ip_version")),
        ("default_prefixlen", Filter::Int("default_prefixlen")),
        ("min_prefixlen", Filter::Int("min_prefixlen")),
        ("max_prefixlen", Filter::Int("max_prefixlen")),
        ("default_quota", Filter::Int("default_quota")),
        ("address_scope_id", Filter::Text("address_scope_id")),
        ("is_default", Filter::Flag("is_default")),
        ("revision_number", Filter::Int("revision")),
        ("shared", Filter::Custom(listing::shared_is)),
    ],
    sorts: &[
        ("name", "name"),
        ("description", "description"),
        ("project_id", "project_id"),
        ("tenant_id", "project_id"),
        ("ip_version", "ip_version"),
        ("default_prefixlen", "default_prefixlen"),
        ("is_default", "is_default"),
        ("revision_number", "revision"),
        ("created_at", "created_at"),
        ("updated_at", "updated_at"),
    ],
};

endpoint! {
    /// List subnet pools.
    ListSubnetPools: GET "/v2.0/subnetpools" => 200,
    policy: rules::GetSubnetpool,
    query: Params,
    reply: Json<Many<PoolKind>>,
    handler: list_pools,
}
async fn list_pools(cx: Cx, req: Req<ListSubnetPools>) -> Reply<ListSubnetPools> {
    let query = visible(
        &cx,
        subnet_pools::query(),
        "project_id = {}",
        "id IN (SELECT object_id FROM rbac_policies WHERE object_type = 'subnetpool' AND target_project IN ('*', {}))",
    );
    let asked = LISTING.read(&cx, query, req.query).await?;
    let found = subnet_pools::find(&mut Reader::Db(cx.db()), &asked.query).await?;
    let mut rows = Vec::new();
    for pool in &found {
        rows.push((
            pool.id.clone(),
            envelope::show(&view(&cx, pool), &asked.keys)?,
        ));
    }
    Ok(Json(asked.page(&cx, "/v2.0/subnetpools", rows)))
}

endpoint! {
    /// Show a subnet pool.
    ShowSubnetPool: GET "/v2.0/subnetpools/{id}" => 200,
    policy: Loaded<rules::GetSubnetpool>,
    path: ById,
    query: Params,
    reply: Json<One<PoolKind>>,
    handler: show_pool,
}
async fn show_pool(cx: Cx, req: Req<ShowSubnetPool>) -> Reply<ShowSubnetPool> {
    let id = req.path.id.as_str();
    let found = subnet_pools::get(&mut Reader::Db(cx.db()), id).await?;
    let pool = allow(&cx, rules::GetSubnetpool, (id, found))?;
    let keys = Keys::asked(asked_fields(&req.query));
    Ok(Json(One::of(&view(&cx, &pool), &keys)?))
}

endpoint! {
    /// Create one or more subnet pools.
    CreateSubnetPools: POST "/v2.0/subnetpools" => 201,
    policy: rules::CreateSubnetpool,
    body: envelope::New<PoolKind>,
    reply: Json<Made<PoolKind>>,
    handler: create_pools,
}
async fn create_pools(cx: Cx, req: Req<CreateSubnetPools>) -> Reply<CreateSubnetPools> {
    let mut tx = cx.write().await?;
    let mut views = Vec::new();
    for new in &req.body.items {
        let pool = create(&cx, &mut tx, new).await?;
        views.push(view(&cx, &pool));
    }
    tx.commit().await?;
    Ok(Json(Made::of(&views, req.body.bulk, &Keys::default())?))
}

fn length(field: &str, asked: Option<Int>, otherwise: u8) -> Result<u8, Refusal> {
    asked.map_or(Ok(otherwise), |int| {
        u8::try_from(int.0).map_err(|_| {
            Refusal::request(format!(
                "Invalid input for {field}. Reason: '{}' is no length of a prefix.",
                int.0
            ))
        })
    })
}

fn quota_of(asked: Option<Int>) -> Result<Option<i64>, Refusal> {
    match asked.map(|int| int.0) {
        Some(quota) if quota < 0 => Err(Refusal::request(format!(
            "Invalid input for default_quota. Reason: '{quota}' should be non-negative."
        ))),
        quota => Ok(quota),
    }
}

fn plan(cx: &Cx, new: &NewPool) -> Result<SubnetPool, Fault> {
    let project_id = input::project(cx, new.project_id.as_ref(), new.tenant_id.as_ref())?;
    let target = Target::of_project(&project_id);
    cx.require(rules::CreateSubnetpool, &target)?;
    let is = |value: Option<Flag>| value.is_some_and(|flag| flag.0);
    if is(new.shared) {
        cx.require(rules::CreateSubnetpoolShared, &target)?;
    }
    if is(new.is_default) {
        cx.require(rules::CreateSubnetpoolIsDefault, &target)?;
    }
    let Some(first) = new.prefixes.0.first() else {
        return Err(Refusal::invalid(
            "EmptySubnetPoolPrefixList",
            "Empty subnet pool prefix list.",
        )
        .into());
    };
    let ip_version = version(*first);
    let (least, most) = if ip_version == 4 { (8, 32) } else { (64, 128) };
    let min_prefixlen = length("min_prefixlen", new.min_prefixlen, least)?;
    let now = cx.now();
    let pool = SubnetPool {
        id: nephos_runtime::ids::uuid().to_string(),
        project_id,
        name: new.name.0.clone(),
        description: new.description.clone().unwrap_or_default().0,
        ip_version,
        prefixes: IpNet::aggregate(&new.prefixes.0),
        default_prefixlen: length("default_prefixlen", new.default_prefixlen, min_prefixlen)?,
        min_prefixlen,
        max_prefixlen: length("max_prefixlen", new.max_prefixlen, most)?,
        default_quota: quota_of(new.default_quota)?,
        address_scope_id: new.address_scope_id.clone(),
        is_default: is(new.is_default),
        revision: 0,
        created_at: now,
        updated_at: now,
        grants: Grants::default(),
        tags: input::check_tags(new.tags.as_deref().unwrap_or_default())?,
    };
    pool.check()?;
    Ok(pool)
}

async fn create(cx: &Cx, tx: &mut Tx, new: &NewPool) -> Result<SubnetPool, Fault> {
    let mut pool = plan(cx, new)?;
    check_scope(cx, tx, &pool).await?;
    quotas::take(tx, &pool.project_id, "subnetpool", 1).await?;
    if !subnet_pools::insert(tx, &pool).await? {
        return Err(default_exists(&pool).into());
    }
    for tag in &pool.tags {
        tags::insert(tx, &pool.id, tag).await?;
    }
    if new.shared.is_some_and(|flag| flag.0) {
        let policy = RbacPolicy {
            id: nephos_runtime::ids::uuid().to_string(),
            project_id: pool.project_id.clone(),
            object_type: "subnetpool".to_owned(),
            object_id: pool.id.clone(),
            action: SHARED.to_owned(),
            target_project: EVERYBODY.to_owned(),
        };
        rbac::insert(tx, &policy).await?;
        quotas::add(tx, &pool.project_id, "rbac_policy", 1).await?;
        pool.grants.0.push(Grant {
            action: SHARED.to_owned(),
            target: EVERYBODY.to_owned(),
        });
    }
    Ok(pool)
}

fn default_exists(pool: &SubnetPool) -> Refusal {
    Refusal::invalid(
        "InvalidInput",
        format!(
            "Invalid input for operation: A default subnetpool for this IP family has already been set. Only one default may exist per IP family: IPv{}.",
            pool.ip_version
        ),
    )
}

/// Refuses a scope that is another's, of the other IP version, or in which the prefixes are taken.
async fn check_scope(cx: &Cx, tx: &mut Tx, pool: &SubnetPool) -> Result<(), Fault> {
    let Some(id) = &pool.address_scope_id else {
        return Ok(());
    };
    let found = address_scopes::get(&mut Reader::Tx(tx), id).await?;
    let scope = allow(cx, rules::GetAddressScope, (id.as_str(), found))?;
    if scope.project_id != pool.project_id && !scope.grants.shared_with(&pool.project_id) {
        return Err(Refusal::invalid(
            "IllegalSubnetPoolAssociationToAddressScope",
            format!("Illegal subnetpool association: subnetpool {} cannot be associated with address scope {id}.", pool.id),
        )
        .into());
    }
    if scope.ip_version != pool.ip_version {
        return Err(Refusal::invalid(
            "IllegalSubnetPoolIpVersionAssociationToAddressScope",
            format!(
                "Illegal subnetpool association: subnetpool {} cannot associate with address scope {id} because subnetpool ip_version is not {}.",
                pool.id, scope.ip_version
            ),
        )
        .into());
    }
    let siblings = subnet_pools::query()
        .eq("address_scope_id", id)
        .not_eq("id", &pool.id);
    for other in subnet_pools::find(&mut Reader::Tx(tx), &siblings).await? {
        let clash = pool.prefixes.iter().any(|mine| {
            other
                .prefixes
                .iter()
                .any(|theirs| address::overlap(*mine, *theirs))
        });
        if clash {
            return Err(Refusal::conflict(
                "AddressScopePrefixConflict",
                format!("Failed to associate address scope: subnetpools within an address scope must have unique prefixes; {} overlaps.", other.id),
            )
            .into());
        }
    }
    Ok(())
}

endpoint! {
    /// Change a subnet pool.
    UpdateSubnetPool: PUT "/v2.0/subnetpools/{id}" => 200,
    policy: Loaded<rules::UpdateSubnetpool>,
    path: ById,
    body: envelope::Change<PoolKind>,
    reply: Json<One<PoolKind>>,
    handler: update_pool,
}
async fn update_pool(cx: Cx, req: Req<UpdateSubnetPool>) -> Reply<UpdateSubnetPool> {
    let id = req.path.id.as_str();
    let mut tx = cx.write().await?;
    let found = subnet_pools::get(&mut Reader::Tx(&mut tx), id).await?;
    let mut pool = allow(&cx, rules::UpdateSubnetpool, (id, found))?.into_inner();
    input::check_if_match(req.header("if-match"), pool.revision)?;
    let change = &req.body.0;
    if change.is_default.is_some() {
        cx.require(
            rules::UpdateSubnetpoolIsDefault,
            &Target::of_project(&pool.project_id),
        )?;
    }
    apply(&mut pool, change)?;
    pool.updated_at = cx.now();
    pool.check()?;
    check_scope(&cx, &mut tx, &pool).await?;
    if pool.is_default {
        let other = subnet_pools::default_of(&mut Reader::Tx(&mut tx), pool.ip_version).await?;
        if other.is_some_and(|other| other.id != pool.id) {
            return Err(default_exists(&pool).into());
        }
    }
    save(&mut tx, &mut pool).await?;
    tx.commit().await?;
    Ok(Json(One::of(&view(&cx, &pool), &Keys::default())?))
}

async fn save(tx: &mut Tx, pool: &mut SubnetPool) -> Result<(), Fault> {
    subnet_pools::update(tx, pool).await?;
    pool.revision += 1;
    Ok(())
}

fn apply(pool: &mut SubnetPool, change: &PoolChange) -> Result<(), Refusal> {
    if let Some(name) = &change.name {
        pool.name.clone_from(&name.0);
    }
    if let Some(description) = &change.description {
        pool.description.clone_from(&description.0);
    }
    if let Some(prefixes) = &change.prefixes {
        let keeps = |old: &IpNet| prefixes.0.iter().any(|new| new.contains(old));
        let aggregated = IpNet::aggregate(&prefixes.0);
        let keeps_all = pool
            .prefixes
            .iter()
            .all(|old| keeps(old) || aggregated.iter().any(|new| new.contains(old)));
        if !keeps_all {
            return Err(Refusal::invalid(
                "IllegalSubnetPoolPrefixUpdate",
                "Illegal update to prefixes: Existing prefixes must be a subset of the new prefixes.",
            ));
        }
        pool.prefixes = aggregated;
    }
    pool.min_prefixlen = length("min_prefixlen", change.min_prefixlen, pool.min_prefixlen)?;
    pool.max_prefixlen = length("max_prefixlen", change.max_prefixlen, pool.max_prefixlen)?;
    pool.default_prefixlen = length(
        "default_prefixlen",
        change.default_prefixlen,
        pool.default_prefixlen,
    )?;
    if let Some(quota) = change.default_quota {
        pool.default_quota = quota_of(quota)?;
    }
    if let Some(scope) = &change.address_scope_id {
        pool.address_scope_id.clone_from(scope);
    }
    if let Some(Flag(is_default)) = change.is_default {
        pool.is_default = is_default;
    }
    Ok(())
}

endpoint! {
    /// Delete a subnet pool.
    DeleteSubnetPool: DELETE "/v2.0/subnetpools/{id}" => 204,
    policy: Loaded<rules::DeleteSubnetpool>,
    path: ById,
    reply: Empty,
    handler: delete_pool,
}
async fn delete_pool(cx: Cx, req: Req<DeleteSubnetPool>) -> Reply<DeleteSubnetPool> {
    let id = req.path.id.as_str();
    let mut tx = cx.write().await?;
    let found = subnet_pools::get(&mut Reader::Tx(&mut tx), id).await?;
    let pool = allow(&cx, rules::DeleteSubnetpool, (id, found))?;
    input::check_if_match(req.header("if-match"), pool.revision)?;
    let cut = subnets::cut_from(&mut tx, std::slice::from_ref(&pool.id)).await?;
    if let Some((cidr, _)) = cut.first() {
        return Err(Refusal::new(
            Class::Invalid,
            "SubnetPoolDeleteError",
            format!("Unable to delete subnet pool: Subnet pool has existing allocations: {cidr}."),
        )
        .into());
    }
    subnet_pools::remove(&mut tx, id).await?;
    quotas::give(&mut tx, &pool.project_id, "subnetpool", 1).await?;
    tx.commit().await?;
    Ok(Empty)
}

#[derive(Debug, Serialize, Deserialize, ToSchema)]
pub(crate) struct PrefixesView {
    #[schema(value_type = Vec<String>)]
    prefixes: Vec<IpNet>,
}

#[derive(Debug, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub(crate) struct PrefixesBody {
    prefixes: Prefixes,
}

endpoint! {
    /// Add prefixes to a subnet pool.
    AddPrefixes: PUT "/v2.0/subnetpools/{id}/add_prefixes" => 200,
    policy: Loaded<rules::AddPrefixes>,
    path: ById,
    body: Json<PrefixesBody>,
    reply: Json<PrefixesView>,
    handler: add_prefixes,
}
async fn add_prefixes(cx: Cx, req: Req<AddPrefixes>) -> Reply<AddPrefixes> {
    let id = req.path.id.as_str();
    let mut tx = cx.write().await?;
    let found = subnet_pools::get(&mut Reader::Tx(&mut tx), id).await?;
    let mut pool = allow(&cx, rules::AddPrefixes, (id, found))?.into_inner();
    pool.prefixes.extend(req.body.prefixes.0.iter().copied());
    pool.prefixes = IpNet::aggregate(&pool.prefixes);
    pool.check()?;
    pool.updated_at = cx.now();
    check_scope(&cx, &mut tx, &pool).await?;
    save(&mut tx, &mut pool).await?;
    tx.commit().await?;
    Ok(Json(PrefixesView {
        prefixes: pool.prefixes,
    }))
}

endpoint! {
    /// Take prefixes from a subnet pool.
    RemovePrefixes: PUT "/v2.0/subnetpools/{id}/remove_prefixes" => 200,
    policy: Loaded<rules::RemovePrefixes>,
    path: ById,
    body: Json<PrefixesBody>,
    reply: Json<PrefixesView>,
    handler: remove_prefixes,
}
async fn remove_prefixes(cx: Cx, req: Req<RemovePrefixes>) -> Reply<RemovePrefixes> {
    let id = req.path.id.as_str();
    let mut tx = cx.write().await?;
    let found = subnet_pools::get(&mut Reader::Tx(&mut tx), id).await?;
    let mut pool = allow(&cx, rules::RemovePrefixes, (id, found))?.into_inner();
    let gone = &req.body.prefixes.0;
    for (cidr, _) in subnets::cut_from(&mut tx, std::slice::from_ref(&pool.id)).await? {
        if gone.iter().any(|prefix| address::overlap(*prefix, cidr)) {
            return Err(Refusal::conflict(
                "IllegalSubnetPoolPrefixUpdate",
                format!("Illegal update to prefixes: {cidr} was cut from them and is in use."),
            )
            .into());
        }
    }
    pool.prefixes = without(&pool.prefixes, gone);
    pool.updated_at = cx.now();
    save(&mut tx, &mut pool).await?;
    tx.commit().await?;
    Ok(Json(PrefixesView {
        prefixes: pool.prefixes,
    }))
}

/// The ranges without the others: what is only partly taken away is split.
fn without(ranges: &[IpNet], gone: &[IpNet]) -> Vec<IpNet> {
    let mut left = Vec::new();
    let mut rest = ranges.to_vec();
    while let Some(range) = rest.pop() {
        if gone.iter().any(|other| other.contains(&range)) {
            continue;
        }
        if gone.iter().any(|other| range.contains(other)) {
            let halves = range.subnets(range.prefix_len() + 1);
            rest.extend(halves.into_iter().flatten());
        } else {
            left.push(range);
        }
    }
    IpNet::aggregate(&left)
}
