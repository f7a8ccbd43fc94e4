//! The aggregates of a provider.

use std::sync::LazyLock;

use nephos_api::version::{Version, v};
use nephos_api::{Json, Reply, Req, Shape, With, endpoint};
use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

use super::fault::{conflict, no_provider};
use super::form::{Checked, Form, Reads};
use super::schema::{Object, Schema};
use super::{ProviderPath, dated, one_provider, versions, write};
use crate::model::AggregateId;
use crate::store::providers;
use crate::{Cx, rules};

/// 1.19: the body names the generation it was made for.
const WITH_GENERATION: Version = v(1, 19);

#[derive(Debug, Deserialize, ToSchema)]
#[serde(untagged)]
pub(crate) enum AggregatesBody {
    List(Vec<String>),
    Guarded {
        aggregates: Vec<String>,
        resource_provider_generation: i64,
    },
}

impl Checked for AggregatesBody {
    fn schema(version: Version) -> &'static Schema {
        fn list() -> Schema {
            Schema::List {
                items: Box::new(Schema::uuid()),
                min: 0,
                unique: true,
            }
        }
        static LIST: LazyLock<Schema> = LazyLock::new(list);
        static GUARDED: LazyLock<Schema> = LazyLock::new(|| {
            Schema::Object(Object::of(vec![
                ("aggregates", list()),
                ("resource_provider_generation", Schema::integer()),
            ]))
        });
        if version < WITH_GENERATION {
            &LIST
        } else {
            &GUARDED
        }
    }
}

#[derive(Debug, Serialize, ToSchema)]
pub(crate) struct AggregatesView {
    aggregates: Vec<AggregateId>,
    resource_provider_generation: i64,
}

endpoint! {
    /// List the aggregates of a provider.
    ListAggregates: GET "/resource_providers/{uuid}/aggregates" => 200,
    versions: 1.1..,
    policy: rules::ListAggregates,
    path: ProviderPath,
    body: Reads,
    reply: With<Json<AggregatesView>> as Shape::one("", versions::AGGREGATES),
    handler: list_aggregates,
}

async fn list_aggregates(cx: Cx, req: Req<ListAggregates>) -> Reply<ListAggregates> {
    let stocked = one_provider(&cx, &req.path.uuid).await?;
    let view = AggregatesView {
        aggregates: stocked.aggregates.clone(),
        resource_provider_generation: stocked.provider.generation,
    };
    Ok(dated(&cx, Json(view), cx.now()))
}

endpoint! {
    /// Set the aggregates of a provider.
    SetAggregates: PUT "/resource_providers/{uuid}/aggregates" => 200,
    versions: 1.1..,
    policy: rules::UpdateAggregates,
    path: ProviderPath,
    body: Form<AggregatesBody>,
    reply: With<Json<AggregatesView>> as Shape::one("", versions::AGGREGATES),
    handler: set_aggregates,
}

async fn set_aggregates(cx: Cx, req: Req<SetAggregates>) -> Reply<SetAggregates> {
    one_provider(&cx, &req.path.uuid).await?;
    let (aggregates, expected) = match req.body.read()? {
        AggregatesBody::List(list) => (list, None),
        AggregatesBody::Guarded {
            aggregates,
            resource_provider_generation,
        } => (aggregates, Some(resource_provider_generation)),
    };
    let mut w = write(&cx).await?;
    let provider = providers::get(&mut w, &req.path.uuid).await?;
    let mut provider = provider.ok_or_else(|| no_provider(&req.path.uuid))?;
    if expected.is_some_and(|expected| expected != provider.generation) {
        return Err(conflict(
            "Resource provider's generation already changed. Please update the generation and try again.",
        ));
    }
    let aggregates: Vec<AggregateId> = aggregates.into_iter().map(AggregateId).collect();
    providers::set_aggregates(&mut w, &provider.id, &aggregates).await?;
    if expected.is_some() {
        providers::raise(&mut w, &mut provider).await?;
    } else {
        providers::touch(&mut w, &provider.id).await?;
    }
    w.commit().await?;
    let view = AggregatesView {
        aggregates,
        resource_provider_generation: provider.generation,
    };
    Ok(dated(&cx, Json(view), cx.now()))
}
