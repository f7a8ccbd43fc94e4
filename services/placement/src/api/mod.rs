//! HTTP, one file per resource.

mod aggregates;
mod allocations;
mod candidates;
mod classes;
mod explain;
pub(crate) mod fault;
mod form;
mod inventories;
mod provider_traits;
mod providers;
mod query;
mod reshaper;
mod root;
mod schema;
mod traits;
mod usages;
mod versions;

use std::sync::Arc;

use http::header;
use nephos_api::version::v;
use nephos_api::{Endpoints, Fault, With, routes};
use nephos_types::Timestamp;
use serde::Deserialize;

use crate::model::provider::Stocked;
use crate::model::providers::Providers;
use crate::model::{ClassName, ConsumerId, ProviderId, TraitName};
use crate::store::{self, Writing};
use crate::{Cx, Svc};

/// Every call.
pub(crate) fn endpoints() -> Endpoints<Svc> {
    routes![
        aggregates::ListAggregates,
        aggregates::SetAggregates,
        allocations::DeleteAllocations,
        allocations::ListAllocations,
        allocations::ListProviderAllocations,
        allocations::SetAllocations,
        allocations::SetManyAllocations,
        candidates::ListCandidates,
        classes::CreateClass,
        classes::DeleteClass,
        classes::EnsureClass,
        classes::ListClasses,
        classes::RenameClass,
        classes::ShowClass,
        explain::ExplainCandidates,
        inventories::CreateInventory,
        inventories::DeleteInventories,
        inventories::DeleteInventoriesUnknown,
        inventories::DeleteInventory,
        inventories::ListInventories,
        inventories::SetInventories,
        inventories::ShowInventory,
        inventories::UpdateInventory,
        provider_traits::DeleteProviderTraits,
        provider_traits::ListProviderTraits,
        provider_traits::SetProviderTraits,
        providers::CreateProvider,
        providers::CreateProviderSilently,
        providers::DeleteProvider,
        providers::ListProviders,
        providers::ShowProvider,
        providers::UpdateProvider,
        reshaper::Reshape,
        root::Discover,
        traits::CreateTrait,
        traits::DeleteTrait,
        traits::ListTraits,
        traits::ShowTrait,
        usages::ListProviderUsages,
        usages::ListUsages,
        usages::ListUsagesUntyped,
    ]
}

#[derive(Debug, Deserialize)]
pub(crate) struct ProviderPath {
    uuid: ProviderId,
}

#[derive(Debug, Deserialize)]
pub(crate) struct InventoryPath {
    uuid: ProviderId,
    resource_class: ClassName,
}

#[derive(Debug, Deserialize)]
pub(crate) struct ClassPath {
    name: ClassName,
}

#[derive(Debug, Deserialize)]
pub(crate) struct TraitPath {
    name: TraitName,
}

#[derive(Debug, Deserialize)]
pub(crate) struct ConsumerPath {
    consumer_uuid: ConsumerId,
}

/// The providers as they stand now.
async fn all_providers(cx: &Cx) -> Result<Arc<Providers>, Fault> {
    Ok(cx.reading.now(cx.db()).await?)
}

/// One provider as it stands now.
async fn one_provider(cx: &Cx, id: &ProviderId) -> Result<Arc<Stocked>, Fault> {
    let providers = all_providers(cx).await?;
    let found = providers.get(id).cloned();
    found.ok_or_else(|| fault::no_provider(id))
}

/// Opens a write.
async fn write(cx: &Cx) -> Result<Writing, Fault> {
    Ok(store::begin(cx.db(), cx.now()).await?)
}

/// Since 1.15 a reply says when it changed last and that it must not be kept.
fn dated<R>(cx: &Cx, reply: R, at: Timestamp) -> With<R> {
    let reply = With::new(reply);
    // 1.15: cache headers.
    if cx.version < v(1, 15) {
        return reply;
    }
    let at = at.format("%a, %d %b %Y %H:%M:%S GMT");
    reply
        .header(header::LAST_MODIFIED, &at)
        .header(header::CACHE_CONTROL, "no-cache")
}

/// A path as links show it: with the service's prefix, without the origin.
fn link(cx: &Cx, path: &str) -> String {
    let url = cx.url(path);
    let behind_origin = url.split_once("://").map_or(url.as_str(), |(_, rest)| rest);
    let start = behind_origin.find('/').unwrap_or(behind_origin.len());
    behind_origin.get(start..).unwrap_or_default().to_owned()
}
