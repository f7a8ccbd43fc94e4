//! The members of pools.

use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

use nephos_api::{Accepted, Empty, Fault, Json, Loaded, Params, Reply, Req, endpoint};
use serde_json::Value;

use super::{
    Change, ChildPath, ParentPath, Replacement, child, list_parts, listing, new_part, part,
    relabel, show_part, shown,
};
use crate::model::body::{Fields, Label, missing, truth};
use crate::model::member::{CHANGE, Member, NEW};
use crate::model::refusal::Refusal;
use crate::model::tree::{Detail, Kind, Part, Tree};
use crate::store::listing::Of;
use crate::{Cx, rules};

const KIND: Kind = Kind::Member;

endpoint! {
    /// Add a member to a pool.
    CreateMember: POST "/v2/lbaas/pools/{parent}/members" => 201,
    policy: Loaded<rules::CreateMember>,
    path: ParentPath,
    body: Json<Value>,
    reply: Json<Value>,
    handler: create_member,
}
async fn create_member(cx: Cx, req: Req<CreateMember>) -> Reply<CreateMember> {
    let parent = req.path.parent.as_str();
    let pool = part(&cx, rules::CreateMember, (Kind::Pool, parent)).await?;
    let fields = Fields::inside(&req.body.0, "member")?;
    subnet_is_there(&cx, fields).await?;
    let mut change = Change::begin(&cx, &pool.balancer_id).await?;
    change.part(Kind::Pool, parent)?;
    let id = change
        .make(&cx, |graph| graph.member(parent, fields))
        .await?;
    let tree = change.done(&cx).await?;
    Ok(Json(shown(&tree, KIND, id.as_str(), "member")?))
}

/// A member may say in which subnet it is; it must be one that the caller sees.
async fn subnet_is_there(cx: &Cx, fields: Fields<'_>) -> Result<(), Fault> {
    let Some(id) = fields.uuid("subnet_id")? else {
        return Ok(());
    };
    let found = cx
        .siblings
        .subnet(cx.token().unwrap_or_default(), &id)
        .await;
    match found {
        Ok(_seen) => Ok(()),
        Err(why) if why.is_not_found() => Err(super::fault::not_found("Subnet", &id)),
        Err(why) => Err(super::fault::from_peer(&why)),
    }
}

endpoint! {
    /// List the members of a pool.
    ListMembers: GET "/v2/lbaas/pools/{parent}/members" => 200,
    policy: Loaded<rules::ListMembers>,
    path: ParentPath,
    query: Params,
    reply: Json<Value>,
    handler: list_members,
}
async fn list_members(cx: Cx, req: Req<ListMembers>) -> Reply<ListMembers> {
    let parent = req.path.parent.as_str();
    let _seen = part(&cx, rules::ListMembers, (Kind::Pool, parent)).await?;
    let asked = listing::read_below(req.query, Of::Parts(KIND), parent)?;
    let path = format!("pools/{parent}/members");
    Ok(Json(
        list_parts(&cx, (KIND, asked), (&path, "members")).await?,
    ))
}

endpoint! {
    /// Show a member.
    ShowMember: GET "/v2/lbaas/pools/{parent}/members/{id}" => 200,
    policy: Loaded<rules::GetMember>,
    path: ChildPath,
    query: Params,
    reply: Json<Value>,
    handler: show_member,
}
async fn show_member(cx: Cx, req: Req<ShowMember>) -> Reply<ShowMember> {
    let one = child(&cx, rules::GetMember, (KIND, &req.path)).await?;
    Ok(Json(show_part(&cx, &one, ("member", &req.query)).await?))
}

endpoint! {
    /// Change a member.
    UpdateMember: PUT "/v2/lbaas/pools/{parent}/members/{id}" => 200,
    policy: Loaded<rules::UpdateMember>,
    path: ChildPath,
    body: Json<Value>,
    reply: Json<Value>,
    handler: update_member,
}
async fn update_member(cx: Cx, req: Req<UpdateMember>) -> Reply<UpdateMember> {
    let one = child(&cx, rules::UpdateMember, (KIND, &req.path)).await?;
    let fields = Fields::inside(&req.body.0, "member")?.only(&[Label::FIELDS, CHANGE])?;
    let mut change = Change::begin(&cx, &one.balancer_id).await?;
    let mut now = change.part(KIND, &req.path.id)?;
    relabel(&mut now, Label::read(fields)?);
    if let Some(member) = now.member_mut() {
        member.change(fields)?;
    }
    change.update(&cx, now).await?;
    let tree = change.done(&cx).await?;
    Ok(Json(shown(&tree, KIND, &req.path.id, "member")?))
}

endpoint! {
    /// Make the members of a pool these; with `additive_only=true` those that are not named stay.
    ReplaceMembers: PUT "/v2/lbaas/pools/{parent}/members" => 202,
    policy: Loaded<rules::UpdateMember>,
    path: ParentPath,
    query: Params,
    body: Json<Value>,
    reply: Accepted,
    handler: replace_members,
}
async fn replace_members(cx: Cx, req: Req<ReplaceMembers>) -> Reply<ReplaceMembers> {
    let parent = req.path.parent.as_str();
    let pool = part(&cx, rules::UpdateMember, (Kind::Pool, parent)).await?;
    super::require(&cx, rules::CreateMember, &pool.project_id)?;
    let additive = req.query.get("additive_only").and_then(truth) == Some(true);
    if !additive {
        super::require(&cx, rules::DeleteMember, &pool.project_id)?;
    }
    let body = Fields::of(&req.body.0, "body")?.only(&[&["members"]])?;
    if body.get("members").is_none() {
        return Err(missing("members").into());
    }
    let mut wanted = Vec::new();
    let mut subnets = BTreeSet::new();
    for value in body.list("members")? {
        let fields = Fields::of(value, "members")?.only(&[Label::FIELDS, NEW, CHANGE])?;
        let member = Member::new(fields)?;
        // Most name the same one.
        if subnets.insert(member.subnet_id.clone()) {
            subnet_is_there(&cx, fields).await?;
        }
        wanted.push((fields, member));
    }
    let mut change = Change::begin(&cx, &pool.balancer_id).await?;
    change.part(Kind::Pool, parent)?;
    let news = compared(&cx, &change.tree, parent, (wanted, additive))?;
    change.replace(&cx, news).await?;
    change.done(&cx).await?;
    Ok(Accepted)
}

/// What becomes of a pool's members, by one look at each of those that are there and of those that are wanted.
fn compared(
    cx: &Cx,
    tree: &Tree,
    pool: &str,
    (wanted, additive): (Vec<(Fields<'_>, Member)>, bool),
) -> Result<Replacement, Refusal> {
    let there = tree.below(KIND, pool).filter_map(|part| {
        let place = part.member()?.place();
        Some((place, part.clone()))
    });
    let mut there: BTreeMap<_, Part> = there.collect();
    let mut named = BTreeSet::new();
    let mut news = Replacement::default();
    for (fields, member) in wanted {
        let place = member.place();
        if !named.insert(place.clone()) {
            return Err(member.is_twice());
        }
        let Some(before) = there.remove(&place) else {
            tree.not_a_listener(&member)?;
            let what = (Label::read(fields)?, Detail::Member(member));
            news.new.push(new_part(tree, cx, pool, what));
            continue;
        };
        let mut now = before.clone();
        relabel(&mut now, Label::read(fields)?);
        if let Some(old) = now.member_mut() {
            old.change(fields)?;
        }
        if now != before {
            news.changed.push(now);
        }
    }
    if !additive {
        news.gone = there.into_values().collect();
    }
    for (after, part) in (0..).zip(&mut news.new) {
        part.created_at = part.created_at.plus(Duration::from_micros(after));
    }
    Ok(news)
}

endpoint! {
    /// Remove a member from its pool.
    DeleteMember: DELETE "/v2/lbaas/pools/{parent}/members/{id}" => 204,
    policy: Loaded<rules::DeleteMember>,
    path: ChildPath,
    reply: Empty,
    handler: delete_member,
}
async fn delete_member(cx: Cx, req: Req<DeleteMember>) -> Reply<DeleteMember> {
    let one = child(&cx, rules::DeleteMember, (KIND, &req.path)).await?;
    let mut change = Change::begin(&cx, &one.balancer_id).await?;
    change.part(KIND, &req.path.id)?;
    change.remove(&cx, &req.path.id).await?;
    change.done(&cx).await?;
    Ok(Empty)
}
