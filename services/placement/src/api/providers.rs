//! Resource providers.

use std::collections::BTreeSet;
use std::sync::LazyLock;

use http::header;
use nephos_api::version::{Version, v};
use nephos_api::{Empty, Fault, Json, Params, Reply, Req, Shape, With, endpoint};
use nephos_types::Timestamp;
use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

use super::fault::{DUPLICATE_NAME, PROVIDER_HAS_CHILDREN, PROVIDER_IN_USE, no_provider};
use super::form::{Bodiless, Checked, Form, Reads, any_of, check_query, last};
use super::query;
use super::schema::{Object, Schema, Text};
use super::{ProviderPath, all_providers, dated, link, one_provider, versions, write};
use crate::model::provider::{Provider, Stocked};
use crate::model::providers::Providers;
use crate::model::{ProviderId, normal_uuid};
use crate::store::{Writing, providers};
use crate::{Cx, rules};

/// Longest name of a provider.
const LONGEST: usize = 200;
/// 1.14: providers have parents.
const NESTED: Version = v(1, 14);
/// 1.37: a provider may get another parent.
const MOVABLE: Version = v(1, 37);

#[derive(Debug, Serialize, ToSchema)]
pub(crate) struct LinkView {
    pub rel: &'static str,
    pub href: String,
}

#[derive(Debug, Serialize, ToSchema)]
pub(crate) struct ProviderView {
    uuid: ProviderId,
    name: String,
    generation: i64,
    links: Vec<LinkView>,
    parent_provider_uuid: Option<ProviderId>,
    root_provider_uuid: ProviderId,
}

#[derive(Debug, Serialize, ToSchema)]
pub(crate) struct ProvidersView {
    resource_providers: Vec<ProviderView>,
}

fn view(cx: &Cx, provider: &Provider) -> ProviderView {
    let own = link(cx, &format!("/resource_providers/{}", provider.id));
    let rels = [
        "inventories",
        "usages",
        "aggregates",
        "traits",
        "allocations",
    ];
    let mut links: Vec<LinkView> = rels
        .into_iter()
        .map(|rel| LinkView {
            rel,
            href: format!("{own}/{rel}"),
        })
        .collect();
    let href = own;
    links.insert(0, LinkView { rel: "self", href });
    ProviderView {
        uuid: provider.id.clone(),
        name: provider.name.clone(),
        generation: provider.generation,
        links,
        parent_provider_uuid: provider.parent.clone(),
        root_provider_uuid: provider.root.clone(),
    }
}

#[derive(Debug, Deserialize, ToSchema)]
pub(crate) struct NewProviderBody {
    name: String,
    uuid: Option<String>,
    parent_provider_uuid: Option<ProviderId>,
}

#[derive(Debug, Deserialize, ToSchema)]
pub(crate) struct ProviderBody {
    name: String,
    #[serde(default, deserialize_with = "nephos_api::given::deserialize")]
    #[schema(value_type = Option<String>)]
    parent_provider_uuid: Option<Option<ProviderId>>,
}

fn body_schema(more: Vec<(&'static str, Schema)>) -> Schema {
    let object = Object::of(vec![("name", Schema::text(LONGEST))]);
    Schema::Object(object.optional(more))
}

fn parent() -> (&'static str, Schema) {
    let parent = Schema::Nullable(Box::new(Schema::uuid()));
    ("parent_provider_uuid", parent)
}

impl Checked for NewProviderBody {
    fn schema(version: Version) -> &'static Schema {
        static FLAT: LazyLock<Schema> =
            LazyLock::new(|| body_schema(vec![("uuid", Schema::uuid())]));
        static NEWEST: LazyLock<Schema> =
            LazyLock::new(|| body_schema(vec![("uuid", Schema::uuid()), parent()]));
        if version < NESTED { &FLAT } else { &NEWEST }
    }
}

impl Checked for ProviderBody {
    fn schema(version: Version) -> &'static Schema {
        static FLAT: LazyLock<Schema> = LazyLock::new(|| body_schema(Vec::new()));
        static NEWEST: LazyLock<Schema> = LazyLock::new(|| body_schema(vec![parent()]));
        if version < NESTED { &FLAT } else { &NEWEST }
    }
}

endpoint! {
    /// List resource providers.
    ListProviders: GET "/resource_providers" => 200,
    policy: rules::ListProviders,
    query: Params,
    body: Reads,
    reply: With<Json<ProvidersView>> as Shape::each("resource_providers", versions::PROVIDER),
    handler: list_providers,
}

async fn list_providers(cx: Cx, req: Req<ListProviders>) -> Reply<ListProviders> {
    check_query(&req.query, list_schema(cx.version))?;
    let providers = all_providers(&cx).await?;
    let filter = Filter::parse(&cx, &req.query, &providers)?;
    let found = providers.all().iter();
    let found: Vec<&Provider> = found
        .filter(|stocked| filter.takes(stocked))
        .map(|stocked| &stocked.provider)
        .collect();
    let changed = found.iter().map(|provider| provider.updated_at).max();
    let view = ProvidersView {
        resource_providers: found.into_iter().map(|found| view(&cx, found)).collect(),
    };
    Ok(dated(&cx, Json(view), changed.unwrap_or_else(|| cx.now())))
}

fn list_schema(version: Version) -> &'static Schema {
    static SCHEMAS: LazyLock<Vec<(Version, Schema)>> = LazyLock::new(|| {
        let keys = [
            (v(1, 3), "member_of"),
            (v(1, 4), "resources"),
            (v(1, 14), "in_tree"),
            (v(1, 18), "required"),
        ];
        let form = |key| match key {
            "in_tree" => Schema::uuid(),
            _text => Schema::Text(Text::default()),
        };
        let at = |version: Version| {
            let base = [
                ("name", Schema::Text(Text::default())),
                ("uuid", Schema::uuid()),
            ];
            let known = keys.iter().filter(move |(since, _)| *since <= version);
            let more = known.map(|(_, key)| (*key, form(key)));
            (version, any_of(base.into_iter().chain(more).collect()))
        };
        let versions = [v(1, 18), v(1, 14), v(1, 4), v(1, 3), v(1, 0)];
        versions.into_iter().map(at).collect()
    });
    static OLDEST: LazyLock<Schema> = LazyLock::new(|| any_of(Vec::new()));
    let mut schemas = SCHEMAS.iter();
    let found = schemas.find(|(since, _)| *since <= version);
    found.map_or(&OLDEST, |(_, schema)| schema)
}

/// What a list is narrowed to.
struct Filter {
    name: Option<String>,
    uuid: Option<String>,
    /// The root of the tree; none in it when the provider that names the tree is not there.
    tree: Option<Option<ProviderId>>,
    group: crate::model::request::Group,
}

impl Filter {
    fn parse(cx: &Cx, params: &Params, providers: &Providers) -> Result<Self, Fault> {
        let group = query::filter_group(params, cx.version)?;
        if let Some((class, _)) = group
            .resources
            .iter()
            .find(|(class, _)| !providers.has_class(class))
        {
            return Err(query::no_class(class));
        }
        let mut named = group.required.iter().flatten().chain(&group.forbidden);
        if let Some(name) = named.find(|name| !providers.has_trait(name)) {
            return Err(Fault::bad_request(format!(
                "Invalid trait(s) in \"required\" parameter: No such trait(s): {name}."
            )));
        }
        let text = |key| last(params, key).map(str::to_owned);
        let tree = text("in_tree").map(|id| {
            let found = providers.get(&ProviderId(id));
            found.map(|stocked| stocked.provider.root.clone())
        });
        Ok(Self {
            name: text("name").filter(|name| !name.is_empty()),
            uuid: text("uuid"),
            tree,
            group,
        })
    }

    fn takes(&self, stocked: &Stocked) -> bool {
        let provider = &stocked.provider;
        let same = |wanted: &Option<String>, text: &str| {
            wanted.as_ref().is_none_or(|wanted| wanted == text)
        };
        let in_tree = |tree: &Option<ProviderId>| tree.as_ref() == Some(&provider.root);
        same(&self.name, &provider.name)
            && same(&self.uuid, provider.id.as_str())
            && self.tree.as_ref().is_none_or(in_tree)
            && self.group_takes(stocked)
    }

    fn group_takes(&self, stocked: &Stocked) -> bool {
        let group = &self.group;
        let mut resources = group.resources.iter();
        resources.all(|(class, amount)| stocked.fits(class, *amount))
            && stocked.has_traits(&group.required)
            && group.forbidden.is_disjoint(&stocked.traits)
            && stocked.is_member(&group.member_of)
            && !stocked.is_in_any(&group.not_member_of)
    }
}

endpoint! {
    /// Show a resource provider.
    ShowProvider: GET "/resource_providers/{uuid}" => 200,
    policy: rules::ShowProvider,
    path: ProviderPath,
    body: Reads,
    reply: With<Json<ProviderView>> as Shape::one("", versions::PROVIDER),
    handler: show_provider,
}

async fn show_provider(cx: Cx, req: Req<ShowProvider>) -> Reply<ShowProvider> {
    let stocked = one_provider(&cx, &req.path.uuid).await?;
    let view = view(&cx, &stocked.provider);
    Ok(dated(&cx, Json(view), stocked.provider.updated_at))
}

endpoint! {
    /// Create a resource provider.
    CreateProvider: POST "/resource_providers" => 200,
    versions: 1.20..,
    policy: rules::CreateProvider,
    body: Form<NewProviderBody>,
    reply: With<Json<ProviderView>>,
    handler: create_provider,
}

async fn create_provider(cx: Cx, req: Req<CreateProvider>) -> Reply<CreateProvider> {
    let provider = create(&cx, req.body.read()?).await?;
    let location = cx.url(&format!("/resource_providers/{}", provider.id));
    let reply = dated(&cx, Json(view(&cx, &provider)), provider.updated_at);
    Ok(reply.header(header::LOCATION, &location))
}

endpoint! {
    /// Create a resource provider, without showing it.
    CreateProviderSilently: POST "/resource_providers" => 201,
    versions: 1.0..=1.19,
    policy: rules::CreateProvider,
    body: Form<NewProviderBody>,
    reply: With<Empty>,
    handler: create_provider_silently,
}

async fn create_provider_silently(
    cx: Cx,
    req: Req<CreateProviderSilently>,
) -> Reply<CreateProviderSilently> {
    let provider = create(&cx, req.body.read()?).await?;
    let location = cx.url(&format!("/resource_providers/{}", provider.id));
    Ok(With::new(Empty).header(header::LOCATION, &location))
}

async fn create(cx: &Cx, body: NewProviderBody) -> Result<Provider, Fault> {
    let given = body.uuid.as_deref().and_then(normal_uuid);
    let id = given.map_or_else(|| nephos_runtime::ids::uuid().into(), ProviderId);
    let refused = |why: &str| {
        Fault::bad_request(format!(
            "Unable to create resource provider \"{}\", {id}: Object action create failed because: {why}",
            body.name
        ))
    };
    if body.name.is_empty() {
        return Err(refused("name is required"));
    }
    if body.parent_provider_uuid.as_ref() == Some(&id) {
        return Err(refused(
            "parent provider UUID cannot be same as UUID. Please set parent provider UUID to None if there is no parent.",
        ));
    }
    let mut w = write(cx).await?;
    let root = match &body.parent_provider_uuid {
        None => id.clone(),
        Some(parent) => {
            let parent = providers::get(&mut w, parent).await?;
            parent
                .ok_or_else(|| refused("parent provider UUID does not exist."))?
                .root
        }
    };
    check_new(&mut w, &id, &body.name).await?;
    let provider = Provider {
        id: id.clone(),
        name: body.name.clone(),
        generation: 0,
        parent: body.parent_provider_uuid.clone(),
        root,
        created_in: w.number,
        created_at: w.now,
        updated_at: w.now,
    };
    providers::insert(&mut w, &provider).await?;
    w.commit().await?;
    Ok(provider)
}

/// 409 when the id or the name is taken.
async fn check_new(w: &mut Writing, id: &ProviderId, name: &str) -> Result<(), Fault> {
    let mut taken = Vec::new();
    if providers::get(w, id).await?.is_some() {
        taken.push(format!("uuid: {id}"));
    }
    if providers::id_of_name(w, name).await?.is_some() {
        taken.push(format!("name: {name}"));
    }
    if taken.is_empty() {
        return Ok(());
    }
    Err(Fault::conflict(format!(
        "Conflicting resource provider {} already exists.",
        taken.join(", ")
    ))
    .kind(DUPLICATE_NAME))
}

endpoint! {
    /// Update a resource provider.
    UpdateProvider: PUT "/resource_providers/{uuid}" => 200,
    policy: rules::UpdateProvider,
    path: ProviderPath,
    body: Form<ProviderBody>,
    reply: With<Json<ProviderView>> as Shape::one("", versions::PROVIDER),
    handler: update_provider,
}

async fn update_provider(cx: Cx, req: Req<UpdateProvider>) -> Reply<UpdateProvider> {
    one_provider(&cx, &req.path.uuid).await?;
    let body = req.body.read()?;
    let mut w = write(&cx).await?;
    let provider = providers::get(&mut w, &req.path.uuid).await?;
    let mut provider = provider.ok_or_else(|| no_provider(&req.path.uuid))?;
    if let Some(parent) = body.parent_provider_uuid {
        let free = cx.version >= MOVABLE;
        set_parent(&mut w, &mut provider, parent, free).await?;
    }
    let holder = providers::id_of_name(&mut w, &body.name).await?;
    if holder.is_some_and(|holder| holder != provider.id) {
        let taken = format!(
            "Conflicting resource provider {} already exists.",
            body.name
        );
        return Err(Fault::conflict(taken).kind(DUPLICATE_NAME));
    }
    provider.name = body.name;
    provider.updated_at = Timestamp::max(w.now, provider.updated_at);
    providers::update(&mut w, &provider).await?;
    w.commit().await?;
    let view = view(&cx, &provider);
    Ok(dated(&cx, Json(view), provider.updated_at))
}

/// Puts the provider and everything below it under another parent. `free`: whether it may leave the one it has.
async fn set_parent(
    w: &mut Writing,
    provider: &mut Provider,
    parent: Option<ProviderId>,
    free: bool,
) -> Result<(), Fault> {
    let id = provider.id.clone();
    let refused = |why: &str| {
        Fault::bad_request(format!(
            "Unable to save resource provider {id}: Object action update failed because: {why}"
        ))
    };
    let root = match &parent {
        None if provider.parent.is_none() => return Ok(()),
        None if !free => {
            return Err(refused("un-parenting a provider is not currently allowed."));
        }
        None => provider.id.clone(),
        Some(parent) => {
            let found = providers::get(w, parent).await?;
            let found = found.ok_or_else(|| refused("parent provider UUID does not exist."))?;
            if provider.parent.is_some() && provider.parent.as_ref() != Some(parent) && !free {
                return Err(refused("re-parenting a provider is not currently allowed."));
            }
            found.root
        }
    };
    let below: BTreeSet<ProviderId> = providers::subtree(w, provider).await?;
    if parent.as_ref().is_some_and(|parent| below.contains(parent)) {
        return Err(refused(
            "creating loop in the provider tree is not allowed.",
        ));
    }
    for member in &below {
        providers::set_root(w, member, &root).await?;
    }
    provider.parent = parent;
    provider.root = root;
    Ok(())
}

endpoint! {
    /// Delete a resource provider.
    DeleteProvider: DELETE "/resource_providers/{uuid}" => 204,
    policy: rules::DeleteProvider,
    path: ProviderPath,
    body: Bodiless,
    reply: Empty,
    handler: delete_provider,
}

async fn delete_provider(cx: Cx, req: Req<DeleteProvider>) -> Reply<DeleteProvider> {
    let id = &req.path.uuid;
    let mut w = write(&cx).await?;
    if providers::get(&mut w, id).await?.is_none() {
        return Err(Fault::not_found(format!(
            "No resource provider with uuid {id} found for delete"
        )));
    }
    if providers::children(&mut w, id).await? > 0 {
        return Err(Fault::conflict(format!(
            "Unable to delete parent resource provider {id}: It has child resource providers."
        ))
        .kind(PROVIDER_HAS_CHILDREN));
    }
    if providers::allocations(&mut w, id).await? > 0 {
        return Err(Fault::conflict(format!(
            "Unable to delete resource provider {id}: Resource provider has allocations."
        ))
        .kind(PROVIDER_IN_USE));
    }
    providers::remove(&mut w, id).await?;
    w.commit().await?;
    Ok(Empty)
}
