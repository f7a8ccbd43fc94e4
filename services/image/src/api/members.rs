//! With whom images are shared, and whether they accept.

use nephos_api::{Empty, Fault, Json, Loaded, Reply, Req, endpoint};
use nephos_auth::{Authorized, Rule};
use nephos_types::Timestamp;
use serde::{Deserialize, Serialize};
use serde_json::Value;
use utoipa::ToSchema;

use super::images::{ImagePath, load};
use crate::model::image::{ImageId, MAX_MEMBERS, MemberStatus, Visibility};
use crate::store::images::{self, Seen};
use crate::store::members::{self, Member};
use crate::{Cx, rules};

#[derive(Debug, Deserialize)]
pub(crate) struct MemberPath {
    id: String,
    member: String,
}

/// With whom to share.
#[derive(Debug, Deserialize, ToSchema)]
pub(crate) struct MemberBody {
    /// A project.
    #[schema(value_type = String)]
    #[serde(default)]
    member: Option<Value>,
}

/// What the member says.
#[derive(Debug, Deserialize, ToSchema)]
pub(crate) struct MemberStatusBody {
    /// `accepted`, `rejected` or `pending`.
    #[schema(value_type = String)]
    #[serde(default)]
    status: Option<Value>,
}

#[derive(Debug, Serialize, ToSchema)]
pub(crate) struct MemberView {
    member_id: String,
    image_id: ImageId,
    status: &'static str,
    created_at: Timestamp,
    updated_at: Timestamp,
    schema: &'static str,
}

#[derive(Debug, Serialize, ToSchema)]
pub(crate) struct MembersView {
    members: Vec<MemberView>,
    schema: &'static str,
}

impl From<Member> for MemberView {
    fn from(member: Member) -> Self {
        Self {
            member_id: member.member_id,
            image_id: member.image_id,
            status: member.status.as_str(),
            created_at: member.created_at,
            updated_at: member.updated_at,
            schema: "/v2/schemas/member",
        }
    }
}

/// The image, when it is shared and the caller may do `R` with its members.
async fn load_shared<R: Rule>(
    cx: &Cx,
    rule: R,
    id: &str,
    verb: &str,
) -> Result<Authorized<Seen, R>, Fault> {
    let image = load(cx, rule, id).await.map_err(|fault| {
        if fault.status == http::StatusCode::FORBIDDEN {
            Fault::forbidden(format!("Not allowed to {verb} members for image {id}."))
        } else {
            fault
        }
    })?;
    if image.visibility != Visibility::Shared {
        return Err(Fault::forbidden(format!(
            "Not allowed to {verb} members for image {id}: Only shared images have members."
        )));
    }
    Ok(image)
}

/// The owner sees every member, a member only itself.
fn sees(cx: &Cx, image: &Seen, member: &str) -> bool {
    let project = cx.caller.project_id().map(nephos_types::ProjectId::as_str);
    cx.caller.is_admin()
        || (project.is_some() && image.owner.as_deref() == project)
        || project == Some(member)
}

async fn load_member(cx: &Cx, image: &Seen, member_id: &str) -> Result<Member, Fault> {
    let missing = || {
        Fault::not_found(format!(
            "{member_id} not found in the member list of the image {}.",
            image.id
        ))
    };
    if member_id.contains('\0') || !sees(cx, image, member_id) {
        return Err(missing());
    }
    members::get(cx.db(), &image.id, member_id)
        .await?
        .ok_or_else(missing)
}

endpoint! {
    /// Share an image with a project.
    CreateMember: POST "/v2/images/{id}/members" => 200,
    policy: Loaded<rules::AddMember>,
    path: ImagePath,
    body: Json<MemberBody>,
    reply: Json<MemberView>,
    handler: create_member,
}
async fn create_member(cx: Cx, req: Req<CreateMember>) -> Reply<CreateMember> {
    let member_id = match &req.body.member {
        None => return Err(Fault::bad_request("Member to be added not specified")),
        Some(Value::String(member)) if member.is_empty() => {
            return Err(Fault::bad_request("Member can't be empty"));
        }
        Some(Value::String(member)) if member.chars().count() <= 255 && !member.contains('\0') => {
            member.clone()
        }
        Some(_) => {
            return Err(Fault::bad_request(
                "Expected a member in the form: {\"member\": \"project_id\"}, of at most 255 characters",
            ));
        }
    };
    let image = load_shared(&cx, rules::AddMember, &req.path.id, "create").await?;
    if members::list(cx.db(), &image.id).await?.len() >= MAX_MEMBERS {
        return Err(Fault::too_large(format!(
            "Image member limit exceeded for image {}: at most {MAX_MEMBERS} members.",
            image.id
        )));
    }
    let now = cx.now();
    let member = Member {
        image_id: image.id.clone(),
        member_id,
        status: MemberStatus::Pending,
        created_at: now,
        updated_at: now,
    };
    let mut tx = cx.write().await?;
    if !images::touch(&mut tx, &image.id, image.updated_at).await? {
        return Err(super::fault::no_image(&req.path.id));
    }
    if !members::insert(&mut tx, &member).await? {
        return Err(Fault::conflict(format!(
            "Member {} is duplicated for image {}",
            member.member_id, image.id
        )));
    }
    tx.commit().await?;
    Ok(Json(member.into()))
}

endpoint! {
    /// Accept or reject a shared image.
    UpdateMember: PUT "/v2/images/{id}/members/{member}" => 200,
    policy: Loaded<rules::ModifyMember>,
    path: MemberPath,
    body: Json<MemberStatusBody>,
    reply: Json<MemberView>,
    handler: update_member,
}
async fn update_member(cx: Cx, req: Req<UpdateMember>) -> Reply<UpdateMember> {
    let asked = req
        .body
        .status
        .as_ref()
        .ok_or_else(|| Fault::bad_request("Status not specified"))?;
    let status = asked.as_str().and_then(MemberStatus::parse).ok_or_else(|| {
        Fault::bad_request(
            "Incorrect request: Member status must be one of \"pending\", \"accepted\", \"rejected\"",
        )
    })?;
    let image = load_shared(&cx, rules::ModifyMember, &req.path.id, "update").await?;
    let mut member = load_member(&cx, &image, &req.path.member).await?;
    member.status = status;
    member.updated_at = cx.now();
    let mut tx = cx.write().await?;
    members::update(&mut tx, &member).await?;
    tx.commit().await?;
    Ok(Json(member.into()))
}

endpoint! {
    /// List the members of an image.
    ListMembers: GET "/v2/images/{id}/members" => 200,
    policy: Loaded<rules::GetMembers>,
    path: ImagePath,
    reply: Json<MembersView>,
    handler: list_members,
}
async fn list_members(cx: Cx, req: Req<ListMembers>) -> Reply<ListMembers> {
    let image = load_shared(&cx, rules::GetMembers, &req.path.id, "list").await?;
    let mut all = members::list(cx.db(), &image.id).await?;
    all.retain(|member| sees(&cx, &image, &member.member_id));
    Ok(Json(MembersView {
        members: all.into_iter().map(MemberView::from).collect(),
        schema: "/v2/schemas/members",
    }))
}

endpoint! {
    /// Show a member of an image.
    ShowMember: GET "/v2/images/{id}/members/{member}" => 200,
    policy: Loaded<rules::GetMember>,
    path: MemberPath,
    reply: Json<MemberView>,
    handler: show_member,
}
async fn show_member(cx: Cx, req: Req<ShowMember>) -> Reply<ShowMember> {
    let hidden = |fault: Fault| {
        // Who may not see the members is not told that there are some.
        if fault.status == http::StatusCode::FORBIDDEN {
            Fault::not_found(fault.message)
        } else {
            fault
        }
    };
    let image = load_shared(&cx, rules::GetMember, &req.path.id, "show")
        .await
        .map_err(hidden)?;
    let member = load_member(&cx, &image, &req.path.member).await?;
    Ok(Json(member.into()))
}

endpoint! {
    /// No longer share an image with a project.
    DeleteMember: DELETE "/v2/images/{id}/members/{member}" => 204,
    policy: Loaded<rules::DeleteMember>,
    path: MemberPath,
    reply: Empty,
    handler: delete_member,
}
async fn delete_member(cx: Cx, req: Req<DeleteMember>) -> Reply<DeleteMember> {
    let image = load_shared(&cx, rules::DeleteMember, &req.path.id, "delete").await?;
    let member = load_member(&cx, &image, &req.path.member).await?;
    let mut tx = cx.write().await?;
    members::remove(&mut tx, &image.id, &member.member_id).await?;
    tx.commit().await?;
    Ok(Empty)
}
