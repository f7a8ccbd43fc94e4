//! `/servers/{id}/metadata`.

use std::collections::BTreeMap;

use nephos_api::{Empty, Fault, Json, Loaded, Reply, Req, endpoint};
use nephos_auth::{Authorized, Rule};
use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

use super::{Cx, ServerPath, fault, name_it, server};
use crate::model::server::Server;
use crate::model::spec::ServerId;
use crate::{rules, store};

type Items = BTreeMap<String, String>;

#[derive(Debug, Deserialize)]
pub(crate) struct ItemPath {
    id: ServerId,
    key: String,
}

#[derive(Serialize, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub(crate) struct MetadataBody {
    metadata: Items,
}

#[derive(Serialize, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub(crate) struct ItemBody {
    meta: Items,
}

/// Keys of 1 to 255 characters, values of at most 255 (Nova's schema).
pub(crate) fn check(items: &Items) -> Result<Items, Fault> {
    let allowed = |c: char| c.is_ascii_alphanumeric() || matches!(c, '-' | '_' | ':' | '.' | ' ');
    for (key, value) in items {
        let length = key.chars().count();
        if !(1..=255).contains(&length) || !key.chars().all(allowed) {
            let value = serde_json::json!(items);
            let said =
                format!("'{key}' does not match any of the regexes: '^[a-zA-Z0-9-_:. ]{{1,255}}$'");
            return Err(fault::invalid("metadata", &value, said));
        }
        if value.chars().count() > 255 {
            return Err(fault::invalid_text(key, value, "is too long"));
        }
    }
    Ok(items.clone())
}

async fn change<R: Rule>(
    cx: &Cx,
    allowed: &Authorized<Server, R>,
    with: impl FnOnce(&mut Items) -> Result<(), Fault> + Send,
) -> Result<Items, Fault> {
    allowed
        .check_unlocked(cx.caller.is_admin())
        .map_err(|why| fault::refused(allowed, "update metadata", why))?;
    let limits = store::quota::limits(cx.db(), allowed.project_id.as_str()).await?;
    let most = limits.get("metadata_items").copied().unwrap_or(128);
    let mut tx = cx.write().await?;
    let fresh = store::servers::lock(&mut tx, &allowed.id).await?;
    let mut fresh = fresh.ok_or_else(|| fault::no_server(allowed.id.as_str()))?;
    with(&mut fresh.metadata)?;
    if most >= 0 && fresh.metadata.len() > usize::try_from(most).unwrap_or(usize::MAX) {
        return Err(Fault::forbidden(format!(
            "Maximum number of metadata items exceeds {most}"
        )));
    }
    fresh.updated_at = cx.now();
    store::servers::update(&mut tx, &fresh).await?;
    tx.commit().await?;
    Ok(fresh.metadata)
}

endpoint! {
    /// Show a server's metadata.
    ListMetadata: GET "/v2.1/servers/{id}/metadata" => 200,
    policy: Loaded<rules::ShowMetadata>,
    path: ServerPath,
    reply: Json<MetadataBody>,
    handler: list_metadata,
}

async fn list_metadata(cx: Cx, req: Req<ListMetadata>) -> Reply<ListMetadata> {
    let id = &req.path.id;
    let server = cx
        .allow(rules::ShowMetadata, server(&cx, id).await?)
        .map_err(name_it(id))?;
    Ok(Json(MetadataBody {
        metadata: server.into_inner().metadata,
    }))
}

endpoint! {
    /// Add to a server's metadata.
    CreateMetadata: POST "/v2.1/servers/{id}/metadata" => 200,
    policy: Loaded<rules::CreateMetadata>,
    path: ServerPath,
    body: Json<MetadataBody>,
    reply: Json<MetadataBody>,
    handler: create_metadata,
}

async fn create_metadata(cx: Cx, req: Req<CreateMetadata>) -> Reply<CreateMetadata> {
    let id = &req.path.id;
    let asked = check(&req.body.metadata)?;
    let allowed = cx
        .allow(rules::CreateMetadata, server(&cx, id).await?)
        .map_err(name_it(id))?;
    let metadata = change(&cx, &allowed, |items| {
        items.extend(asked);
        Ok(())
    })
    .await?;
    Ok(Json(MetadataBody { metadata }))
}

endpoint! {
    /// Replace a server's metadata.
    ReplaceMetadata: PUT "/v2.1/servers/{id}/metadata" => 200,
    policy: Loaded<rules::ReplaceMetadata>,
    path: ServerPath,
    body: Json<MetadataBody>,
    reply: Json<MetadataBody>,
    handler: replace_metadata,
}

async fn replace_metadata(cx: Cx, req: Req<ReplaceMetadata>) -> Reply<ReplaceMetadata> {
    let id = &req.path.id;
    let asked = check(&req.body.metadata)?;
    let allowed = cx
        .allow(rules::ReplaceMetadata, server(&cx, id).await?)
        .map_err(name_it(id))?;
    let metadata = change(&cx, &allowed, |items| {
        *items = asked;
        Ok(())
    })
    .await?;
    Ok(Json(MetadataBody { metadata }))
}

fn no_item() -> Fault {
    Fault::not_found("Metadata item was not found")
}

endpoint! {
    /// Show one item of a server's metadata.
    ShowMetadataItem: GET "/v2.1/servers/{id}/metadata/{key}" => 200,
    policy: Loaded<rules::ShowMetadataItem>,
    path: ItemPath,
    reply: Json<ItemBody>,
    handler: show_metadata_item,
}

async fn show_metadata_item(cx: Cx, req: Req<ShowMetadataItem>) -> Reply<ShowMetadataItem> {
    let ItemPath { id, key } = &req.path;
    let server = cx
        .allow(rules::ShowMetadataItem, server(&cx, id).await?)
        .map_err(name_it(id))?;
    let value = server.metadata.get(key).cloned().ok_or_else(no_item)?;
    Ok(Json(ItemBody {
        meta: BTreeMap::from([(key.clone(), value)]),
    }))
}

endpoint! {
    /// Set one item of a server's metadata.
    UpdateMetadataItem: PUT "/v2.1/servers/{id}/metadata/{key}" => 200,
    policy: Loaded<rules::UpdateMetadata>,
    path: ItemPath,
    body: Json<ItemBody>,
    reply: Json<ItemBody>,
    handler: update_metadata_item,
}

async fn update_metadata_item(cx: Cx, req: Req<UpdateMetadataItem>) -> Reply<UpdateMetadataItem> {
    let ItemPath { id, key } = &req.path;
    let meta = check(&req.body.meta)?;
    if meta.len() != 1 || !meta.contains_key(key) {
        return Err(Fault::bad_request("Request body and URI mismatch"));
    }
    let allowed = cx
        .allow(rules::UpdateMetadata, server(&cx, id).await?)
        .map_err(name_it(id))?;
    let asked = meta.clone();
    change(&cx, &allowed, |items| {
        items.extend(asked);
        Ok(())
    })
    .await?;
    Ok(Json(ItemBody { meta }))
}

endpoint! {
    /// Remove one item of a server's metadata.
    DeleteMetadataItem: DELETE "/v2.1/servers/{id}/metadata/{key}" => 204,
    policy: Loaded<rules::DeleteMetadata>,
    path: ItemPath,
    reply: Empty,
    handler: delete_metadata_item,
}

async fn delete_metadata_item(cx: Cx, req: Req<DeleteMetadataItem>) -> Reply<DeleteMetadataItem> {
    let ItemPath { id, key } = &req.path;
    let allowed = cx
        .allow(rules::DeleteMetadata, server(&cx, id).await?)
        .map_err(name_it(id))?;
    change(&cx, &allowed, |items| {
        items.remove(key).map(|_| ()).ok_or_else(no_item)
    })
    .await?;
    Ok(Empty)
}
