//! Tags of things of any kind.

use nephos_api::{Authenticated, Empty, Fault, Json, Reply, Req, endpoint};
use nephos_auth::{Resource, Target};
use nephos_db::Tx;
use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

use crate::Cx;
use crate::api::input::check_tags;
use crate::model::refusal::Refusal;
use crate::store::{
    Reader, floating_ips, networks, ports, qos, routers, security_groups, subnet_pools, subnets,
    tags, trunks,
};

#[derive(Debug, Deserialize)]
pub(crate) struct OfThing {
    collection: String,
    id: String,
}

#[derive(Debug, Deserialize)]
pub(crate) struct OneTag {
    collection: String,
    id: String,
    tag: String,
}

#[derive(Clone, Debug, Serialize, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub(crate) struct Tags {
    tags: Vec<String>,
}

/// What is done with tags, as rules name it.
#[derive(Clone, Copy)]
enum Verb {
    Get,
    Update,
    Delete,
}

/// The tags of a thing, if the caller may do this with them.
async fn load(
    cx: &Cx,
    reader: &mut Reader<'_>,
    path: &OfThing,
    verb: Verb,
) -> Result<Vec<String>, Fault> {
    let id = path.id.as_str();
    match path.collection.as_str() {
        "networks" => check(
            cx,
            (verb, "network"),
            id,
            networks::get(reader, id).await?,
            |x| &x.tags,
        ),
        "subnets" => check(
            cx,
            (verb, "subnet"),
            id,
            subnets::get(reader, id).await?,
            |x| &x.tags,
        ),
        "ports" => check(cx, (verb, "port"), id, ports::get(reader, id).await?, |x| {
            &x.tags
        }),
        "routers" => check(
            cx,
            (verb, "router"),
            id,
            routers::get(reader, id).await?,
            |x| &x.tags,
        ),
        "floatingips" => check(
            cx,
            (verb, "floatingip"),
            id,
            floating_ips::get(reader, id).await?,
            |x| &x.tags,
        ),
        "subnetpools" => check(
            cx,
            (verb, "subnetpool"),
            id,
            subnet_pools::get(reader, id).await?,
            |x| &x.tags,
        ),
        "security-groups" | "security_groups" => check(
            cx,
            (verb, "security_group"),
            id,
            security_groups::get(reader, id).await?,
            |x| &x.tags,
        ),
        "trunks" => check(
            cx,
            (verb, "trunk"),
            id,
            trunks::get(reader, id).await?,
            |x| &x.tags,
        ),
        "policies" => check(cx, (verb, "policy"), id, qos::get(reader, id).await?, |x| {
            &x.tags
        }),
        other => Err(Refusal::missing("HTTPNotFound", format!("{other} have no tags.")).into()),
    }
}

fn check<T: Resource>(
    cx: &Cx,
    (verb, noun): (Verb, &str),
    id: &str,
    found: Option<T>,
    tags: impl Fn(&T) -> &Vec<String>,
) -> Result<Vec<String>, Fault> {
    let Some(thing) = found.filter(|thing| thing.visible_to(&cx.caller)) else {
        return Err(crate::api::fault::not_found(T::KIND, id).into());
    };
    let verb = match verb {
        Verb::Get => "get",
        Verb::Update => "update",
        Verb::Delete => "delete",
    };
    let rule = format!("{verb}_{noun}:tags");
    let mut target = Target::of_project(thing.project_id().unwrap_or_default());
    thing.target(&mut target);
    if nephos_api::Service::core(&**cx.service())
        .policy
        .check_named(&rule, &cx.caller, &target)
    {
        return Ok(tags(&thing).clone());
    }
    let message = (crate::api::fault::DIALECT.forbidden)(&rule);
    Err(Fault::forbidden(message).kind("PolicyNotAuthorized"))
}

/// Counts the change of tags as a change of the thing.
async fn bump(tx: &mut Tx, path: &OfThing) -> Result<(), Fault> {
    let kind = path.collection.as_str();
    Ok(tags::count_change(tx, kind, &path.id).await?)
}

impl OneTag {
    fn thing(&self) -> OfThing {
        OfThing {
            collection: self.collection.clone(),
            id: self.id.clone(),
        }
    }
}

endpoint! {
    /// List the tags of a thing.
    ListTags: GET "/v2.0/{collection}/{id}/tags" => 200,
    policy: Authenticated,
    path: OfThing,
    reply: Json<Tags>,
    handler: list_tags,
}
async fn list_tags(cx: Cx, req: Req<ListTags>) -> Reply<ListTags> {
    let tags = load(&cx, &mut Reader::Db(cx.db()), &req.path, Verb::Get).await?;
    Ok(Json(Tags { tags }))
}

endpoint! {
    /// Say whether a thing has a tag.
    CheckTag: GET "/v2.0/{collection}/{id}/tags/{tag}" => 204,
    policy: Authenticated,
    path: OneTag,
    reply: Empty,
    handler: check_tag,
}
async fn check_tag(cx: Cx, req: Req<CheckTag>) -> Reply<CheckTag> {
    let tags = load(&cx, &mut Reader::Db(cx.db()), &req.path.thing(), Verb::Get).await?;
    if tags.contains(&req.path.tag) {
        return Ok(Empty);
    }
    Err(no_tag(&req.path.tag).into())
}

fn no_tag(tag: &str) -> Refusal {
    Refusal::missing("TagNotFound", format!("Tag {tag} could not be found."))
}

endpoint! {
    /// Give a thing a tag.
    AddTag: PUT "/v2.0/{collection}/{id}/tags/{tag}" => 201,
    policy: Authenticated,
    path: OneTag,
    reply: Empty,
    handler: add_tag,
}
async fn add_tag(cx: Cx, req: Req<AddTag>) -> Reply<AddTag> {
    let path = req.path.thing();
    let mut tx = cx.write().await?;
    let mut now = load(&cx, &mut Reader::Tx(&mut tx), &path, Verb::Update).await?;
    now.push(req.path.tag.clone());
    check_tags(&now)?;
    tags::insert(&mut tx, &path.id, &req.path.tag).await?;
    bump(&mut tx, &path).await?;
    tx.commit().await?;
    Ok(Empty)
}

endpoint! {
    /// Give a thing several tags besides those it has.
    AddTags: POST "/v2.0/{collection}/{id}/tags" => 200,
    policy: Authenticated,
    path: OfThing,
    body: Json<Tags>,
    reply: Json<Tags>,
    handler: add_tags,
}
async fn add_tags(cx: Cx, req: Req<AddTags>) -> Reply<AddTags> {
    let mut tx = cx.write().await?;
    let mut all = load(&cx, &mut Reader::Tx(&mut tx), &req.path, Verb::Update).await?;
    all.extend(req.body.tags.iter().cloned());
    write(tx, &req.path, &all).await.map(Json)
}

endpoint! {
    /// Give a thing these tags and no others.
    ReplaceTags: PUT "/v2.0/{collection}/{id}/tags" => 200,
    policy: Authenticated,
    path: OfThing,
    body: Json<Tags>,
    reply: Json<Tags>,
    handler: replace_tags,
}
async fn replace_tags(cx: Cx, req: Req<ReplaceTags>) -> Reply<ReplaceTags> {
    let mut tx = cx.write().await?;
    load(&cx, &mut Reader::Tx(&mut tx), &req.path, Verb::Update).await?;
    write(tx, &req.path, &req.body.tags).await.map(Json)
}

async fn write(mut tx: Tx, path: &OfThing, wanted: &[String]) -> Result<Tags, Fault> {
    let wanted = check_tags(wanted)?;
    tags::clear(&mut tx, &path.id).await?;
    for tag in &wanted {
        tags::insert(&mut tx, &path.id, tag).await?;
    }
    bump(&mut tx, path).await?;
    tx.commit().await?;
    Ok(Tags { tags: wanted })
}

endpoint! {
    /// Take a tag from a thing.
    RemoveTag: DELETE "/v2.0/{collection}/{id}/tags/{tag}" => 204,
    policy: Authenticated,
    path: OneTag,
    reply: Empty,
    handler: remove_tag,
}
async fn remove_tag(cx: Cx, req: Req<RemoveTag>) -> Reply<RemoveTag> {
    let path = req.path.thing();
    let mut tx = cx.write().await?;
    load(&cx, &mut Reader::Tx(&mut tx), &path, Verb::Delete).await?;
    if !tags::remove(&mut tx, &path.id, &req.path.tag).await? {
        return Err(no_tag(&req.path.tag).into());
    }
    bump(&mut tx, &path).await?;
    tx.commit().await?;
    Ok(Empty)
}

endpoint! {
    /// Take all tags from a thing.
    RemoveTags: DELETE "/v2.0/{collection}/{id}/tags" => 204,
    policy: Authenticated,
    path: OfThing,
    reply: Empty,
    handler: remove_tags,
}
async fn remove_tags(cx: Cx, req: Req<RemoveTags>) -> Reply<RemoveTags> {
    let mut tx = cx.write().await?;
    load(&cx, &mut Reader::Tx(&mut tx), &req.path, Verb::Delete).await?;
    tags::clear(&mut tx, &req.path.id).await?;
    bump(&mut tx, &req.path).await?;
    tx.commit().await?;
    Ok(Empty)
}
