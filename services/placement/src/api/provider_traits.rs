//! The traits of a provider.

use std::collections::BTreeSet;
use std::sync::LazyLock;

use nephos_api::version::Version;
use nephos_api::{Empty, Fault, Json, Reply, Req, With, endpoint};
use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

use super::fault::{conflict, no_provider};
use super::form::{Bodiless, Checked, Form, Reads};
use super::schema::{Object, Schema};
use super::{ProviderPath, dated, one_provider, write};
use crate::model::{TraitName, names};
use crate::store::{self, providers};
use crate::{Cx, rules};

#[derive(Debug, Deserialize, ToSchema)]
pub(crate) struct ProviderTraitsBody {
    traits: Vec<TraitName>,
    resource_provider_generation: i64,
}

impl Checked for ProviderTraitsBody {
    fn schema(_version: Version) -> &'static Schema {
        static SCHEMA: LazyLock<Schema> = LazyLock::new(|| {
            let list = Schema::List {
                items: Box::new(Schema::filled(names::LONGEST)),
                min: 0,
                unique: false,
            };
            Schema::Object(Object::of(vec![
                ("traits", list),
                ("resource_provider_generation", Schema::integer()),
            ]))
        });
        &SCHEMA
    }
}

#[derive(Debug, Serialize, ToSchema)]
pub(crate) struct ProviderTraitsView {
    traits: Vec<TraitName>,
    resource_provider_generation: i64,
}

endpoint! {
    /// List the traits of a provider.
    ListProviderTraits: GET "/resource_providers/{uuid}/traits" => 200,
    versions: 1.6..,
    policy: rules::ListProviderTraits,
    path: ProviderPath,
    body: Reads,
    reply: With<Json<ProviderTraitsView>>,
    handler: list_provider_traits,
}

async fn list_provider_traits(cx: Cx, req: Req<ListProviderTraits>) -> Reply<ListProviderTraits> {
    let stocked = one_provider(&cx, &req.path.uuid).await?;
    let view = ProviderTraitsView {
        traits: stocked.listed_traits().cloned().collect(),
        resource_provider_generation: stocked.provider.generation,
    };
    Ok(dated(&cx, Json(view), cx.now()))
}

endpoint! {
    /// Set the traits of a provider.
    SetProviderTraits: PUT "/resource_providers/{uuid}/traits" => 200,
    versions: 1.6..,
    policy: rules::UpdateProviderTraits,
    path: ProviderPath,
    body: Form<ProviderTraitsBody>,
    reply: With<Json<ProviderTraitsView>>,
    handler: set_provider_traits,
}

async fn set_provider_traits(cx: Cx, req: Req<SetProviderTraits>) -> Reply<SetProviderTraits> {
    let body = req.body.read()?;
    let mut w = write(&cx).await?;
    let provider = providers::get(&mut w, &req.path.uuid).await?;
    let mut provider = provider.ok_or_else(|| no_provider(&req.path.uuid))?;
    if provider.generation != body.resource_provider_generation {
        return Err(conflict(
            "Resource provider's generation already changed. Please update the generation and try again.",
        ));
    }
    let traits: BTreeSet<TraitName> = body.traits.into_iter().collect();
    let mut unknown = Vec::new();
    for name in &traits {
        if !store::names::has_trait(&mut w, name).await? {
            unknown.push(name.as_str());
        }
    }
    if !unknown.is_empty() {
        return Err(Fault::bad_request(format!(
            "No such trait {}",
            unknown.join(", ")
        )));
    }
    if providers::traits(&mut w, &provider.id).await? != traits {
        providers::set_traits(&mut w, &provider.id, &traits).await?;
        providers::raise(&mut w, &mut provider).await?;
    }
    w.commit().await?;
    let view = ProviderTraitsView {
        traits: traits.into_iter().collect(),
        resource_provider_generation: provider.generation,
    };
    Ok(dated(&cx, Json(view), cx.now()))
}

endpoint! {
    /// Remove the traits of a provider.
    DeleteProviderTraits: DELETE "/resource_providers/{uuid}/traits" => 204,
    versions: 1.6..,
    policy: rules::DeleteProviderTraits,
    path: ProviderPath,
    body: Bodiless,
    reply: Empty,
    handler: delete_provider_traits,
}

async fn delete_provider_traits(
    cx: Cx,
    req: Req<DeleteProviderTraits>,
) -> Reply<DeleteProviderTraits> {
    let mut w = write(&cx).await?;
    let provider = providers::get(&mut w, &req.path.uuid).await?;
    let mut provider = provider.ok_or_else(|| no_provider(&req.path.uuid))?;
    if !providers::traits(&mut w, &provider.id).await?.is_empty() {
        providers::set_traits(&mut w, &provider.id, &BTreeSet::new()).await?;
        providers::raise(&mut w, &mut provider).await?;
    }
    w.commit().await?;
    Ok(Empty)
}
