//! Moving inventories and their allocations between providers in one step.

use std::collections::BTreeMap;
use std::sync::LazyLock;

use nephos_api::version::Version;
use nephos_api::{Empty, Fault, Reply, Req, endpoint};
use serde::Deserialize;
use utoipa::ToSchema;

use super::allocations::{ConsumersBody, STEPS, consumers_schema, of_version};
use super::fault::{INVENTORY_IN_USE, PROVIDER_NOT_FOUND, conflict, no_provider};
use super::form::{Checked, Form};
use super::inventories::{InventoriesBody, inventories_schema};
use super::schema::{self, Object, Schema};
use super::write;
use crate::model::inventory::Inventory;
use crate::model::provider::Provider;
use crate::model::{ClassName, ProviderId};
use crate::store::inventories::{self, remove_others};
use crate::store::{self, Writing, claims, providers};
use crate::{Cx, rules};

#[derive(Debug, Deserialize, ToSchema)]
pub(crate) struct ReshapeBody {
    inventories: BTreeMap<ProviderId, InventoriesBody>,
    allocations: ConsumersBody,
}

impl Checked for ReshapeBody {
    fn schema(version: Version) -> &'static Schema {
        static SCHEMAS: LazyLock<Vec<(Version, Schema)>> = LazyLock::new(|| {
            let schema = |since| {
                let by_provider = Schema::Object(Object {
                    patterns: vec![(schema::UUID, inventories_schema())],
                    min: 1,
                    ..Object::default()
                });
                let object = Object::of(vec![
                    ("inventories", by_provider),
                    ("allocations", consumers_schema(since, 0)),
                ]);
                (since, Schema::Object(object))
            };
            STEPS.into_iter().map(schema).collect()
        });
        of_version(&SCHEMAS, version)
    }
}

endpoint! {
    /// Move inventories and their allocations between providers.
    Reshape: POST "/reshaper" => 204,
    versions: 1.30..,
    policy: rules::Reshape,
    body: Form<ReshapeBody>,
    reply: Empty,
    handler: reshape,
}

type Stock = BTreeMap<ClassName, Inventory>;

/// Inventories that allocations lean on cannot go first, and allocations cannot lean on what is not there yet: so the
/// new inventories come, then the allocations move, then the old inventories go. All in one transaction.
async fn reshape(cx: Cx, req: Req<Reshape>) -> Reply<Reshape> {
    let body = req.body.read()?;
    let claims = body.allocations.claims(cx.version);
    let mut w = write(&cx).await?;
    let mut stocks: Vec<(ProviderId, Stock)> = Vec::new();
    for (id, wanted) in body.inventories {
        let provider = provider_of(&mut w, &id).await?;
        check_generation(&provider, wanted.resource_provider_generation)?;
        let stock = wanted.inventories.into_iter();
        let stock = stock.map(|(class, body)| (class, body.inventory()));
        stocks.push((id, stock.collect()));
    }
    for (id, stock) in stocks.iter().filter(|(_, stock)| !stock.is_empty()) {
        put(&mut w, id, stock).await?;
    }
    claims::replace(&mut w, &claims).await?;
    for (id, stock) in &stocks {
        let mut provider = provider_of(&mut w, id).await?;
        let removed = remove_others(&mut w, &provider, stock).await?;
        removed.map_err(|why| {
            Fault::conflict(format!("update conflict: {why}")).kind(INVENTORY_IN_USE)
        })?;
        providers::raise(&mut w, &mut provider).await?;
    }
    w.commit().await?;
    Ok(Empty)
}

async fn put(w: &mut Writing, id: &ProviderId, stock: &Stock) -> Result<(), Fault> {
    for (class, inventory) in stock {
        if !store::names::has_class(w, class).await? {
            return Err(Fault::bad_request(format!(
                "malformed reshaper data: No such resource class {class}."
            )));
        }
        inventories::put(w, id, class, inventory).await?;
    }
    let mut provider = provider_of(w, id).await?;
    Ok(providers::raise(w, &mut provider).await?)
}

async fn provider_of(w: &mut Writing, id: &ProviderId) -> Result<Provider, Fault> {
    let found = providers::get(w, id).await?;
    found.ok_or_else(|| {
        let why = no_provider(id).message;
        Fault::bad_request(format!(
            "Resource provider {id} in inventories not found: {why}"
        ))
        .kind(PROVIDER_NOT_FOUND)
    })
}

fn check_generation(provider: &Provider, given: i64) -> Result<(), Fault> {
    if provider.generation == given {
        return Ok(());
    }
    Err(conflict(format!(
        "resource provider generation conflict for provider {}: actual: {}, given: {given}",
        provider.id, provider.generation
    )))
}
