//! What is used: of a provider, and by a project.

use std::collections::BTreeMap;
use std::sync::LazyLock;

use nephos_api::{Json, Loaded, Params, Reply, Req, With, endpoint};
use nephos_auth::Target;
use serde::Serialize;
use utoipa::ToSchema;

use super::form::{Reads, check_query, last};
use super::schema::{Object, Pattern, Schema, Text};
use super::{ProviderPath, dated, one_provider};
use crate::model::{ClassName, names};
use crate::store::consumers::{self, TypeUsage};
use crate::{Cx, rules};

#[derive(Debug, Serialize, ToSchema)]
pub(crate) struct ProviderUsagesView {
    resource_provider_generation: i64,
    usages: BTreeMap<ClassName, i64>,
}

#[derive(Debug, Serialize, ToSchema)]
pub(crate) struct UsagesView {
    /// By consumer type; in it by class, and the number of consumers.
    usages: BTreeMap<String, BTreeMap<String, i64>>,
}

#[derive(Debug, Serialize, ToSchema)]
pub(crate) struct UntypedUsagesView {
    usages: BTreeMap<ClassName, i64>,
}

endpoint! {
    /// List the usages of a provider.
    ListProviderUsages: GET "/resource_providers/{uuid}/usages" => 200,
    policy: rules::ProviderUsages,
    path: ProviderPath,
    body: Reads,
    reply: With<Json<ProviderUsagesView>>,
    handler: list_provider_usages,
}

async fn list_provider_usages(cx: Cx, req: Req<ListProviderUsages>) -> Reply<ListProviderUsages> {
    let stocked = one_provider(&cx, &req.path.uuid).await?;
    let stock = stocked.inventories.iter();
    let view = ProviderUsagesView {
        resource_provider_generation: stocked.provider.generation,
        usages: stock
            .map(|(class, dated)| (class.clone(), dated.inventory.used))
            .collect(),
    };
    Ok(dated(&cx, Json(view), cx.now()))
}

endpoint! {
    /// List the usages of a project by consumer type.
    ListUsages: GET "/usages" => 200,
    versions: 1.38..,
    policy: Loaded<rules::TotalUsages>,
    query: Params,
    body: Reads,
    reply: With<Json<UsagesView>>,
    handler: list_usages,
}

/// A type, or one of the two words that stand for several.
const CONSUMER_TYPE: Pattern = Pattern {
    text: "^[A-Z0-9_]+$|^all|^unknown$",
    matches: |text| names::is_name(text) || text.starts_with("all") || text == "unknown",
};
/// The key for consumers made by versions without types.
const UNKNOWN: &str = "unknown";

async fn list_usages(cx: Cx, req: Req<ListUsages>) -> Reply<ListUsages> {
    static QUERY: LazyLock<Schema> = LazyLock::new(|| {
        let consumer_type = Schema::Text(Text {
            min: 1,
            max: Some(255),
            pattern: Some(CONSUMER_TYPE),
            uuid: false,
        });
        query_schema(vec![("consumer_type", consumer_type)])
    });
    let (project, user) = allowed(&cx, &req.query, &QUERY)?;
    let wanted = last(&req.query, "consumer_type");
    let used = consumers::usage(cx.db(), project, user).await?;
    let counts = consumers::count(cx.db(), project, user).await?;
    let shown = |consumer_type: &Option<String>| {
        let name = consumer_type.as_deref().unwrap_or(UNKNOWN);
        match wanted {
            None => Some(name.to_owned()),
            Some("all") => Some("all".to_owned()),
            Some(wanted) => (wanted == name).then(|| name.to_owned()),
        }
    };
    let mut usages: BTreeMap<String, BTreeMap<String, i64>> = BTreeMap::new();
    for TypeUsage {
        consumer_type,
        class,
        used,
    } in used
    {
        if let Some(name) = shown(&consumer_type) {
            let classes = usages.entry(name).or_default();
            *classes.entry(class.to_string()).or_default() += used;
        }
    }
    for count in counts {
        let name = shown(&count.consumer_type);
        if let Some(classes) = name.and_then(|name| usages.get_mut(&name)) {
            *classes.entry("consumer_count".to_owned()).or_default() += count.consumers;
        }
    }
    Ok(dated(&cx, Json(UsagesView { usages }), cx.now()))
}

endpoint! {
    /// List the usages of a project.
    ListUsagesUntyped: GET "/usages" => 200,
    versions: 1.9..=1.37,
    policy: Loaded<rules::TotalUsages>,
    query: Params,
    body: Reads,
    reply: With<Json<UntypedUsagesView>>,
    handler: list_usages_untyped,
}

async fn list_usages_untyped(cx: Cx, req: Req<ListUsagesUntyped>) -> Reply<ListUsagesUntyped> {
    static QUERY: LazyLock<Schema> = LazyLock::new(|| query_schema(Vec::new()));
    let (project, user) = allowed(&cx, &req.query, &QUERY)?;
    let mut usages: BTreeMap<ClassName, i64> = BTreeMap::new();
    for usage in consumers::usage(cx.db(), project, user).await? {
        *usages.entry(usage.class).or_default() += usage.used;
    }
    Ok(dated(&cx, Json(UntypedUsagesView { usages }), cx.now()))
}

fn query_schema(more: Vec<(&'static str, Schema)>) -> Schema {
    let project = Object::of(vec![("project_id", Schema::filled(255))]);
    let user = vec![("user_id", Schema::filled(255))];
    Schema::Object(project.optional(user).optional(more))
}

/// The project and user asked about, when this caller may ask.
fn allowed<'a>(
    cx: &Cx,
    query: &'a Params,
    schema: &Schema,
) -> Result<(&'a str, Option<&'a str>), nephos_api::Fault> {
    let project = last(query, "project_id").unwrap_or_default();
    cx.require(rules::TotalUsages, &Target::of_project(project))?;
    check_query(query, schema)?;
    Ok((project, last(query, "user_id")))
}
