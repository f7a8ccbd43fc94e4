//! `/servers/{id}/tags`, from 2.26 on.

use http::{StatusCode, header};
use nephos_api::{Empty, Fault, Json, Loaded, Reply, Req, With, endpoint};
use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

use super::server_actions::{change, change_if};
use super::{Cx, ServerPath, name_it, server};
use crate::model::spec::ServerId;
use crate::rules;

/// Tags of one server (Nova's MAX_TAG_COUNT).
const MAX_TAGS: usize = 50;
/// Characters of a tag.
const MAX_LENGTH: usize = 60;

#[derive(Debug, Deserialize)]
pub(crate) struct TagPath {
    id: ServerId,
    tag: String,
}

#[derive(Serialize, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub(crate) struct TagsBody {
    tags: Vec<String>,
}

/// Tags as Nova wants them: 1 to 60 characters, no `/` and no `,`, at most 50; the same twice is once.
pub(crate) fn check(tags: &[String]) -> Result<Vec<String>, Fault> {
    for tag in tags {
        let length = tag.chars().count();
        if !(1..=MAX_LENGTH).contains(&length) || tag.contains(['/', ',']) {
            return Err(Fault::bad_request(format!(
                "Invalid input for field/attribute tags. Value: {tag}. A tag has 1 to {MAX_LENGTH} characters and no \
                 '/' or ','."
            )));
        }
    }
    let mut all = tags.to_vec();
    all.sort_unstable();
    all.dedup();
    if all.len() > MAX_TAGS {
        return Err(too_many());
    }
    Ok(all)
}

fn too_many() -> Fault {
    Fault::bad_request(format!(
        "The number of tags exceeded the per-server limit {MAX_TAGS}"
    ))
}

endpoint! {
    /// List a server's tags.
    ListTags: GET "/v2.1/servers/{id}/tags" => 200,
    versions: 2.26..,
    policy: Loaded<rules::ShowTags>,
    path: ServerPath,
    reply: Json<TagsBody>,
    handler: list_tags,
}

async fn list_tags(cx: Cx, req: Req<ListTags>) -> Reply<ListTags> {
    let id = &req.path.id;
    let server = cx
        .allow(rules::ShowTags, server(&cx, id).await?)
        .map_err(name_it(id))?;
    Ok(Json(TagsBody {
        tags: server.into_inner().tags,
    }))
}

endpoint! {
    /// Replace a server's tags.
    ReplaceTags: PUT "/v2.1/servers/{id}/tags" => 200,
    versions: 2.26..,
    policy: Loaded<rules::ReplaceTags>,
    path: ServerPath,
    body: Json<TagsBody>,
    reply: Json<TagsBody>,
    handler: replace_tags,
}

async fn replace_tags(cx: Cx, req: Req<ReplaceTags>) -> Reply<ReplaceTags> {
    let id = &req.path.id;
    let tags = check(&req.body.tags)?;
    let allowed = cx
        .allow(rules::ReplaceTags, server(&cx, id).await?)
        .map_err(name_it(id))?;
    let new = tags.clone();
    change(&cx, &allowed, |server| server.tags = new).await?;
    Ok(Json(TagsBody { tags }))
}

endpoint! {
    /// Remove all tags of a server.
    DeleteTags: DELETE "/v2.1/servers/{id}/tags" => 204,
    versions: 2.26..,
    policy: Loaded<rules::DeleteTags>,
    path: ServerPath,
    reply: Empty,
    handler: delete_tags,
}

async fn delete_tags(cx: Cx, req: Req<DeleteTags>) -> Reply<DeleteTags> {
    let id = &req.path.id;
    let allowed = cx
        .allow(rules::DeleteTags, server(&cx, id).await?)
        .map_err(name_it(id))?;
    change(&cx, &allowed, |server| server.tags.clear()).await?;
    Ok(Empty)
}

endpoint! {
    /// Say whether a server has a tag.
    ShowTag: GET "/v2.1/servers/{id}/tags/{tag}" => 204,
    versions: 2.26..,
    policy: Loaded<rules::ShowTag>,
    path: TagPath,
    reply: Empty,
    handler: show_tag,
}

async fn show_tag(cx: Cx, req: Req<ShowTag>) -> Reply<ShowTag> {
    let TagPath { id, tag } = &req.path;
    let server = cx
        .allow(rules::ShowTag, server(&cx, id).await?)
        .map_err(name_it(id))?;
    if server.tags.contains(tag) {
        Ok(Empty)
    } else {
        Err(no_tag(id, tag))
    }
}

fn no_tag(id: &ServerId, tag: &str) -> Fault {
    Fault::not_found(format!("Server {id} has no tag '{tag}'"))
}

endpoint! {
    /// Give a server a tag.
    AddTag: PUT "/v2.1/servers/{id}/tags/{tag}" => 201,
    versions: 2.26..,
    policy: Loaded<rules::AddTag>,
    path: TagPath,
    reply: With<Empty>,
    handler: add_tag,
}

async fn add_tag(cx: Cx, req: Req<AddTag>) -> Reply<AddTag> {
    let TagPath { id, tag } = &req.path;
    check(std::slice::from_ref(tag))?;
    let allowed = cx
        .allow(rules::AddTag, server(&cx, id).await?)
        .map_err(name_it(id))?;
    if allowed.tags.contains(tag) {
        return Ok(With::new(Empty).status(StatusCode::NO_CONTENT));
    }
    change_if(&cx, &allowed, |server| {
        server.tags.push(tag.clone());
        server.tags.sort_unstable();
        server.tags.dedup();
        match server.tags.len() > MAX_TAGS {
            true => Err(too_many()),
            false => Ok(()),
        }
    })
    .await?;
    let location = cx.url(&format!(
        "/v2.1/servers/{id}/tags/{}",
        crate::peers::encoded(tag)
    ));
    Ok(With::new(Empty).header(header::LOCATION, &location))
}

endpoint! {
    /// Take a tag from a server.
    DeleteTag: DELETE "/v2.1/servers/{id}/tags/{tag}" => 204,
    versions: 2.26..,
    policy: Loaded<rules::DeleteTag>,
    path: TagPath,
    reply: Empty,
    handler: delete_tag,
}

async fn delete_tag(cx: Cx, req: Req<DeleteTag>) -> Reply<DeleteTag> {
    let TagPath { id, tag } = &req.path;
    let allowed = cx
        .allow(rules::DeleteTag, server(&cx, id).await?)
        .map_err(name_it(id))?;
    change_if(&cx, &allowed, |server| {
        let at = server.tags.iter().position(|known| known == tag);
        server.tags.remove(at.ok_or_else(|| no_tag(id, tag))?);
        Ok(())
    })
    .await?;
    Ok(Empty)
}
