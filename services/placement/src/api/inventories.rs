//! The inventories of a provider.

use std::collections::BTreeMap;
use std::sync::LazyLock;

use http::header;
use nephos_api::version::{Version, v};
use nephos_api::{Empty, Fault, Json, Reply, Req, With, endpoint};
use nephos_types::Timestamp;
use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

use super::fault::{CONCURRENT_UPDATE, INVENTORY_IN_USE, conflict, no_provider};
use super::form::{Bodiless, Checked, Form, Reads};
use super::schema::{self, Object, Schema, Text};
use super::{InventoryPath, ProviderPath, dated, one_provider, write};
use crate::model::inventory::{Inventory, MAX};
use crate::model::provider::{Provider, Stocked};
use crate::model::{ClassName, ProviderId};
use crate::store::inventories::{self, in_use, remove_others};
use crate::store::{self, Writing, providers};
use crate::{Cx, rules};

/// Largest ratio: the largest single-precision number.
const MAX_RATIO: f64 = 3.402_82e38;
/// 1.26: everything of a class may be reserved.
const ALL_RESERVED: Version = v(1, 26);

#[derive(Clone, Debug, Deserialize, ToSchema)]
pub(crate) struct InventoryBody {
    resource_provider_generation: Option<i64>,
    resource_class: Option<ClassName>,
    total: i64,
    #[serde(default)]
    reserved: i64,
    #[serde(default = "one")]
    min_unit: i64,
    #[serde(default = "largest")]
    max_unit: i64,
    #[serde(default = "one")]
    step_size: i64,
    #[serde(default = "one_to_one")]
    allocation_ratio: f64,
}

const fn one() -> i64 {
    1
}
const fn largest() -> i64 {
    MAX
}
const fn one_to_one() -> f64 {
    1.0
}

impl InventoryBody {
    pub(crate) fn inventory(&self) -> Inventory {
        Inventory {
            total: self.total,
            reserved: self.reserved,
            min_unit: self.min_unit,
            max_unit: self.max_unit,
            step_size: self.step_size,
            allocation_ratio: self.allocation_ratio,
            used: 0,
        }
    }
}

/// A body for one class, which the path names.
#[derive(Debug, Deserialize, ToSchema)]
#[serde(transparent)]
pub(crate) struct OneInventoryBody(InventoryBody);

/// A body for one class, which the body names.
#[derive(Debug, Deserialize, ToSchema)]
#[serde(transparent)]
pub(crate) struct NewInventoryBody(InventoryBody);

#[derive(Debug, Deserialize, ToSchema)]
pub(crate) struct InventoriesBody {
    pub resource_provider_generation: i64,
    pub inventories: BTreeMap<ClassName, InventoryBody>,
}

/// An inventory with some more keys.
fn record(required: Vec<(&'static str, Schema)>, optional: Vec<(&'static str, Schema)>) -> Schema {
    let number = |min| Schema::Integer {
        min: Some(min),
        max: Some(MAX),
    };
    let mut always = vec![("total", number(1))];
    always.extend(required);
    let object = Object::of(always).optional(vec![
        ("reserved", number(0)),
        ("min_unit", number(1)),
        ("max_unit", number(1)),
        ("step_size", number(1)),
        ("allocation_ratio", Schema::Number { max: MAX_RATIO }),
    ]);
    Schema::Object(object.optional(optional))
}

/// The inventories of a provider, by class.
pub(crate) fn inventories_schema() -> Schema {
    let generation = || ("resource_provider_generation", Schema::integer());
    let by_class = Schema::Object(Object {
        patterns: vec![(schema::NAME, record(Vec::new(), vec![generation()]))],
        open: true,
        ..Object::default()
    });
    Schema::Object(Object::of(vec![generation(), ("inventories", by_class)]))
}

impl Checked for InventoriesBody {
    fn schema(_version: Version) -> &'static Schema {
        static SCHEMA: LazyLock<Schema> = LazyLock::new(inventories_schema);
        &SCHEMA
    }
}

impl Checked for OneInventoryBody {
    fn schema(_version: Version) -> &'static Schema {
        static SCHEMA: LazyLock<Schema> = LazyLock::new(|| {
            record(
                vec![("resource_provider_generation", Schema::integer())],
                Vec::new(),
            )
        });
        &SCHEMA
    }
}

impl Checked for NewInventoryBody {
    fn schema(_version: Version) -> &'static Schema {
        static SCHEMA: LazyLock<Schema> = LazyLock::new(|| {
            let class = Schema::Text(Text {
                pattern: Some(schema::NAME),
                ..Text::default()
            });
            let generation = ("resource_provider_generation", Schema::integer());
            record(vec![("resource_class", class)], vec![generation])
        });
        &SCHEMA
    }
}

#[derive(Debug, Serialize, ToSchema)]
pub(crate) struct InventoryView {
    total: i64,
    reserved: i64,
    min_unit: i64,
    max_unit: i64,
    step_size: i64,
    allocation_ratio: f64,
    /// Of a single inventory only, and as upstream only when it is not 0.
    #[serde(skip_serializing_if = "Option::is_none")]
    resource_provider_generation: Option<i64>,
}

#[derive(Debug, Serialize, ToSchema)]
pub(crate) struct InventoriesView {
    resource_provider_generation: i64,
    inventories: BTreeMap<ClassName, InventoryView>,
}

fn view(inventory: &Inventory, generation: Option<i64>) -> InventoryView {
    InventoryView {
        total: inventory.total,
        reserved: inventory.reserved,
        min_unit: inventory.min_unit,
        max_unit: inventory.max_unit,
        step_size: inventory.step_size,
        allocation_ratio: inventory.allocation_ratio,
        resource_provider_generation: generation.filter(|number| *number != 0),
    }
}

endpoint! {
    /// List the inventories of a provider.
    ListInventories: GET "/resource_providers/{uuid}/inventories" => 200,
    policy: rules::ListInventories,
    path: ProviderPath,
    body: Reads,
    reply: With<Json<InventoriesView>>,
    handler: list_inventories,
}

async fn list_inventories(cx: Cx, req: Req<ListInventories>) -> Reply<ListInventories> {
    let stocked = one_provider(&cx, &req.path.uuid).await?;
    let dates = stocked.inventories.values().map(|dated| dated.updated_at);
    let changed = dates.max().unwrap_or_else(|| cx.now());
    Ok(dated(&cx, Json(all_of(&stocked)), changed))
}

fn all_of(stocked: &Stocked) -> InventoriesView {
    let all = stocked.inventories.iter();
    InventoriesView {
        resource_provider_generation: stocked.provider.generation,
        inventories: all
            .map(|(class, dated)| (class.clone(), view(&dated.inventory, None)))
            .collect(),
    }
}

endpoint! {
    /// Show an inventory.
    ShowInventory: GET "/resource_providers/{uuid}/inventories/{resource_class}" => 200,
    policy: rules::ShowInventory,
    path: InventoryPath,
    body: Reads,
    reply: With<Json<InventoryView>>,
    handler: show_inventory,
}

async fn show_inventory(cx: Cx, req: Req<ShowInventory>) -> Reply<ShowInventory> {
    let (id, class) = (&req.path.uuid, &req.path.resource_class);
    let stocked = one_provider(&cx, id).await?;
    let found = stocked.inventories.get(class);
    let found =
        found.ok_or_else(|| Fault::not_found(format!("No inventory of class {class} for {id}")))?;
    let view = view(&found.inventory, Some(stocked.provider.generation));
    Ok(dated(&cx, Json(view), found.updated_at))
}

endpoint! {
    /// Create an inventory.
    CreateInventory: POST "/resource_providers/{uuid}/inventories" => 201,
    policy: rules::CreateInventory,
    path: ProviderPath,
    body: Form<NewInventoryBody>,
    reply: With<Json<InventoryView>>,
    handler: create_inventory,
}

async fn create_inventory(cx: Cx, req: Req<CreateInventory>) -> Reply<CreateInventory> {
    one_provider(&cx, &req.path.uuid).await?;
    let NewInventoryBody(body) = req.body.read()?;
    let class = body.resource_class.clone().unwrap_or_else(|| "".into());
    let inventory = body.inventory();
    let refused = |id: &ProviderId, why: &str| {
        Fault::bad_request(format!(
            "Unable to create inventory for resource provider {id}: {why}"
        ))
    };
    let mut w = write(&cx).await?;
    let mut provider = provider_of(&mut w, &req.path.uuid).await?;
    check_capacity(cx.version, &provider, &class, &inventory)
        .map_err(|why| refused(&provider.id, &why))?;
    if !store::names::has_class(&mut w, &class).await? {
        let why = format!("No such resource class {class}.");
        return Err(refused(&provider.id, &why));
    }
    let old = inventories::of_provider(&mut w, &provider.id).await?;
    if old.contains_key(&class) {
        return Err(conflict(format!(
            "Update conflict: an inventory of class {class} exists already."
        )));
    }
    inventories::put(&mut w, &provider.id, &class, &inventory).await?;
    providers::raise(&mut w, &mut provider).await?;
    let now = w.now;
    w.commit().await?;
    let path = format!("/resource_providers/{}/inventories/{class}", provider.id);
    let reply = dated(&cx, Json(view(&inventory, Some(provider.generation))), now);
    Ok(reply.header(header::LOCATION, &cx.url(&path)))
}

endpoint! {
    /// Set all inventories of a provider.
    SetInventories: PUT "/resource_providers/{uuid}/inventories" => 200,
    policy: rules::UpdateInventories,
    path: ProviderPath,
    body: Form<InventoriesBody>,
    reply: With<Json<InventoriesView>>,
    handler: set_inventories,
}

async fn set_inventories(cx: Cx, req: Req<SetInventories>) -> Reply<SetInventories> {
    one_provider(&cx, &req.path.uuid).await?;
    let body = req.body.read()?;
    let mut w = write(&cx).await?;
    let mut provider = provider_of(&mut w, &req.path.uuid).await?;
    check_generation(&provider, Some(body.resource_provider_generation))?;
    let stock = body.inventories.into_iter();
    let stock: BTreeMap<ClassName, Inventory> = stock
        .map(|(class, body)| (class, body.inventory()))
        .collect();
    for (class, inventory) in &stock {
        check_capacity(cx.version, &provider, class, inventory).map_err(|why| {
            Fault::bad_request(format!(
                "Unable to update inventory for resource provider {}: {why}",
                provider.id
            ))
        })?;
    }
    replace(&mut w, &mut provider, &stock).await?;
    let now = w.now;
    w.commit().await?;
    let view = InventoriesView {
        resource_provider_generation: provider.generation,
        inventories: stock
            .into_iter()
            .map(|(class, inventory)| (class, view(&inventory, None)))
            .collect(),
    };
    Ok(dated(&cx, Json(view), now))
}

/// Makes `stock` all that the provider has.
async fn replace(
    w: &mut Writing,
    provider: &mut Provider,
    stock: &BTreeMap<ClassName, Inventory>,
) -> Result<(), Fault> {
    for class in stock.keys() {
        if !store::names::has_class(w, class).await? {
            return Err(Fault::bad_request(format!(
                "Unknown resource class in inventory for resource provider {}: No such resource class {class}.",
                provider.id
            )));
        }
    }
    let removed = remove_others(w, provider, stock).await?;
    removed
        .map_err(|why| Fault::conflict(format!("update conflict: {why}")).kind(INVENTORY_IN_USE))?;
    for (class, inventory) in stock {
        inventories::put(w, &provider.id, class, inventory).await?;
    }
    Ok(providers::raise(w, provider).await?)
}

endpoint! {
    /// Update an inventory.
    UpdateInventory: PUT "/resource_providers/{uuid}/inventories/{resource_class}" => 200,
    policy: rules::UpdateInventories,
    path: InventoryPath,
    body: Form<OneInventoryBody>,
    reply: With<Json<InventoryView>>,
    handler: update_inventory,
}

async fn update_inventory(cx: Cx, req: Req<UpdateInventory>) -> Reply<UpdateInventory> {
    let class = &req.path.resource_class;
    one_provider(&cx, &req.path.uuid).await?;
    let OneInventoryBody(body) = req.body.read()?;
    let inventory = body.inventory();
    let mut w = write(&cx).await?;
    let mut provider = provider_of(&mut w, &req.path.uuid).await?;
    check_generation(&provider, body.resource_provider_generation)?;
    check_capacity(cx.version, &provider, class, &inventory).map_err(|why| {
        Fault::bad_request(format!(
            "Unable to update inventory for resource provider {}: {why}",
            provider.id
        ))
    })?;
    if !store::names::has_class(&mut w, class).await? {
        return Err(Fault::not_found(format!("No such resource class {class}.")));
    }
    let old = inventories::of_provider(&mut w, &provider.id).await?;
    if !old.contains_key(class) {
        return Err(Fault::bad_request(format!(
            "No inventory record with resource class for resource provider {}: No inventory of class {class} found.",
            provider.id
        )));
    }
    inventories::put(&mut w, &provider.id, class, &inventory).await?;
    providers::raise(&mut w, &mut provider).await?;
    let now: Timestamp = w.now;
    w.commit().await?;
    let view = view(&inventory, Some(provider.generation));
    Ok(dated(&cx, Json(view), now))
}

endpoint! {
    /// Delete an inventory.
    DeleteInventory: DELETE "/resource_providers/{uuid}/inventories/{resource_class}" => 204,
    policy: rules::DeleteInventories,
    path: InventoryPath,
    body: Bodiless,
    reply: Empty,
    handler: delete_inventory,
}

async fn delete_inventory(cx: Cx, req: Req<DeleteInventory>) -> Reply<DeleteInventory> {
    let class = &req.path.resource_class;
    let mut w = write(&cx).await?;
    let mut provider = provider_of(&mut w, &req.path.uuid).await?;
    let old = inventories::of_provider(&mut w, &provider.id).await?;
    let Some(inventory) = old.get(class) else {
        return Err(Fault::not_found(format!(
            "No inventory of class {class} found for delete"
        )));
    };
    if inventory.used > 0 {
        // Upstream gives this one the code of an update conflict.
        return Err(Fault::conflict(format!(
            "Unable to delete inventory of class {class}: {}",
            in_use(class.as_str(), &provider.id)
        ))
        .kind(CONCURRENT_UPDATE));
    }
    inventories::remove(&mut w, &provider.id, class).await?;
    providers::raise(&mut w, &mut provider).await?;
    w.commit().await?;
    Ok(Empty)
}

endpoint! {
    /// Delete all inventories of a provider.
    DeleteInventories: DELETE "/resource_providers/{uuid}/inventories" => 204,
    versions: 1.5..,
    policy: rules::DeleteInventories,
    path: ProviderPath,
    body: Bodiless,
    reply: Empty,
    handler: delete_inventories,
}

async fn delete_inventories(cx: Cx, req: Req<DeleteInventories>) -> Reply<DeleteInventories> {
    let mut w = write(&cx).await?;
    let mut provider = provider_of(&mut w, &req.path.uuid).await?;
    let removed = remove_others(&mut w, &provider, &BTreeMap::new()).await?;
    removed.map_err(|why| Fault::conflict(why).kind(INVENTORY_IN_USE))?;
    providers::raise(&mut w, &mut provider).await?;
    w.commit().await?;
    Ok(Empty)
}

endpoint! {
    /// Say that this version cannot delete all inventories of a provider.
    DeleteInventoriesUnknown: DELETE "/resource_providers/{uuid}/inventories" => 405,
    versions: 1.0..=1.4,
    policy: rules::DeleteInventories,
    path: ProviderPath,
    body: Bodiless,
    reply: Empty,
    handler: delete_inventories_unknown,
}

async fn delete_inventories_unknown(
    _cx: Cx,
    _req: Req<DeleteInventoriesUnknown>,
) -> Reply<DeleteInventoriesUnknown> {
    let refused = "The method specified is not allowed for this resource.";
    Err(Fault::method_not_allowed(refused).header(header::ALLOW, "GET, POST, PUT"))
}

async fn provider_of(w: &mut Writing, id: &ProviderId) -> Result<Provider, Fault> {
    let found = providers::get(w, id).await?;
    found.ok_or_else(|| no_provider(id))
}

fn check_generation(provider: &Provider, given: Option<i64>) -> Result<(), Fault> {
    if given.is_some_and(|given| given != provider.generation) {
        return Err(conflict("resource provider generation conflict"));
    }
    Ok(())
}

fn check_capacity(
    version: Version,
    provider: &Provider,
    class: &ClassName,
    inventory: &Inventory,
) -> Result<(), String> {
    let capacity = inventory.capacity();
    let (bad, than) = if version < ALL_RESERVED {
        (capacity <= 0, "greater than or equal to total")
    } else {
        (capacity < 0, "greater than total")
    };
    if !bad {
        return Ok(());
    }
    Err(format!(
        "Invalid inventory for '{class}' on resource provider '{}'. The reserved value is {than}.",
        provider.id
    ))
}
