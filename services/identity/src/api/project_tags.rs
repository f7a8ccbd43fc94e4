//! The tags of projects.

use nephos_api::{Empty, Json, Loaded, Reply, Req, With, endpoint};
use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

use super::fault::not_found;
use super::list;
use super::projects::{ProjectPath, check_tags, load, save};
use super::shape::SelfLink;
use crate::model::directory::Project;
use crate::{Cx, Svc, rules};

#[derive(Debug, Deserialize)]
pub(crate) struct TagPath {
    project_id: String,
    value: String,
}

/// The tags of a project.
#[derive(Debug, Deserialize, ToSchema)]
pub(crate) struct TagsBody {
    tags: Vec<String>,
}

/// The tags of a project, and where they are.
#[derive(Debug, Serialize, ToSchema)]
pub(crate) struct TagsView {
    tags: Vec<String>,
    links: SelfLink,
}

fn tags_view(cx: &Cx, project: &Project) -> TagsView {
    let own = cx.url(&format!("/v3/projects/{}/tags", project.id));
    TagsView {
        tags: project.tags.clone(),
        links: SelfLink { own },
    }
}

endpoint! {
    /// List the tags of a project.
    ListProjectTags: GET "/v3/projects/{project_id}/tags" => 200,
    policy: Loaded<rules::ListProjectTags>,
    path: ProjectPath,
    reply: Json<TagsView>,
    handler: list_project_tags,
}
async fn list_project_tags(cx: Cx, req: Req<ListProjectTags>) -> Reply<ListProjectTags> {
    let project = load(&cx, rules::ListProjectTags, &req.path.project_id).await?;
    Ok(Json(tags_view(&cx, &project)))
}

endpoint! {
    /// Replace the tags of a project.
    UpdateProjectTags: PUT "/v3/projects/{project_id}/tags" => 200,
    policy: Loaded<rules::UpdateProjectTags>,
    path: ProjectPath,
    body: Json<TagsBody>,
    reply: Json<TagsView>,
    handler: update_project_tags,
}
async fn update_project_tags(cx: Cx, req: Req<UpdateProjectTags>) -> Reply<UpdateProjectTags> {
    let before = load(&cx, rules::UpdateProjectTags, &req.path.project_id)
        .await?
        .into_inner();
    let mut project = before.clone();
    let Json(body) = req.body;
    project.tags = check_tags(body.tags)?;
    save(&cx, &before, &project).await?;
    Ok(Json(tags_view(&cx, &project)))
}

endpoint! {
    /// Remove the tags of a project.
    DeleteProjectTags: DELETE "/v3/projects/{project_id}/tags" => 204,
    policy: Loaded<rules::DeleteProjectTags>,
    path: ProjectPath,
    reply: Empty,
    handler: delete_project_tags,
}
async fn delete_project_tags(cx: Cx, req: Req<DeleteProjectTags>) -> Reply<DeleteProjectTags> {
    let before = load(&cx, rules::DeleteProjectTags, &req.path.project_id)
        .await?
        .into_inner();
    let mut project = before.clone();
    project.tags.clear();
    save(&cx, &before, &project).await?;
    Ok(Empty)
}

endpoint! {
    /// Say whether a project has a tag.
    CheckProjectTag: GET "/v3/projects/{project_id}/tags/{value}" => 204,
    policy: Loaded<rules::GetProjectTag>,
    path: TagPath,
    reply: Empty,
    handler: check_project_tag,
}
async fn check_project_tag(cx: Cx, req: Req<CheckProjectTag>) -> Reply<CheckProjectTag> {
    let project = load(&cx, rules::GetProjectTag, &req.path.project_id).await?;
    if !project.tags.contains(&req.path.value) {
        return Err(not_found("project tag", &req.path.value));
    }
    Ok(Empty)
}

endpoint! {
    /// Add a tag to a project.
    CreateProjectTag: PUT "/v3/projects/{project_id}/tags/{value}" => 201,
    policy: Loaded<rules::CreateProjectTag>,
    path: TagPath,
    reply: With<Empty>,
    handler: create_project_tag,
}
async fn create_project_tag(cx: Cx, req: Req<CreateProjectTag>) -> Reply<CreateProjectTag> {
    let before = load(&cx, rules::CreateProjectTag, &req.path.project_id)
        .await?
        .into_inner();
    let mut project = before.clone();
    if !project.tags.contains(&req.path.value) {
        project.tags.push(req.path.value.clone());
        project.tags = check_tags(project.tags)?;
        save(&cx, &before, &project).await?;
    }
    let own = format!(
        "/v3/projects/{}/tags/{}",
        project.id,
        list::encode(&req.path.value)
    );
    Ok(With::new(Empty).header(http::header::LOCATION, &cx.url(&own)))
}

endpoint! {
    /// Remove a tag of a project.
    DeleteProjectTag: DELETE "/v3/projects/{project_id}/tags/{value}" => 204,
    policy: Loaded<rules::DeleteProjectTag>,
    path: TagPath,
    reply: Empty,
    handler: delete_project_tag,
}
async fn delete_project_tag(cx: Cx, req: Req<DeleteProjectTag>) -> Reply<DeleteProjectTag> {
    let before = load(&cx, rules::DeleteProjectTag, &req.path.project_id)
        .await?
        .into_inner();
    let mut project = before.clone();
    project.tags.retain(|tag| *tag != req.path.value);
    if project.tags.len() == before.tags.len() {
        return Err(not_found("project tag", &req.path.value));
    }
    save(&cx, &before, &project).await?;
    Ok(Empty)
}

/// The rows of this file.
pub(super) fn endpoints() -> nephos_api::Endpoints<Svc> {
    nephos_api::routes![
        ListProjectTags,
        UpdateProjectTags,
        DeleteProjectTags,
        CheckProjectTag,
        CreateProjectTag,
        DeleteProjectTag,
    ]
}
