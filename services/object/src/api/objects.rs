//! Objects: their metadata changed, and themselves deleted.

use http::StatusCode;
use nephos_api::{Download, Fault, Params, Public, Reply, Req, With, endpoint};

use super::access::{self, Asked, ObjectPath, Wish};
use super::fault::{conflict, not_found};
use super::headers::{delete_at, pairs, value};
use super::reply;
use super::{listing, manifests};
use crate::Cx;
use crate::model::meta::{KEPT_OF_OBJECTS, Meta, Of};
use crate::model::names;
use crate::model::object::Kind;
use crate::ops::publish::Condition;
use crate::store::{containers, objects};

endpoint! {
    /// Change an object's metadata; what is not said again is gone.
    UpdateObject: POST "/v1/{account}/{container}/{object*}" => 202,
    policy: Public,
    path: ObjectPath,
    query: Params,
    reply: With<Download>,
    handler: update_object,
}
async fn update_object(cx: Cx, req: Req<UpdateObject>) -> Reply<UpdateObject> {
    let asked = Asked {
        method: "POST",
        path: &req.path,
        query: &req.query,
        headers: &req.headers,
    };
    let access = access::of_object(&cx, &asked).await?;
    let place = (req.path.account.as_str(), req.path.container.as_str());
    let container = access::container(&cx, &access, place, Wish::Write).await?;
    let pairs = pairs(&req.headers)?;
    let meta = metadata(&pairs, access.grant.is_some())?;
    let delete_at = delete_at(&pairs, cx.now())?;
    let now = cx.now();
    let mut tx = cx.write().await?;
    containers::hold_id(&mut tx, &container.id)
        .await?
        .ok_or_else(not_found)?;
    let found = objects::find(&mut tx, &container.id, &req.path.object).await?;
    let mut object = found
        .filter(|found| !found.expired(now))
        .ok_or_else(not_found)?;
    if object.kind != Kind::Static {
        let manifest = meta.get("x-object-manifest").is_some();
        object.facts.kind = if manifest { Kind::Dynamic } else { Kind::Plain };
    }
    object.facts.meta = meta;
    object.facts.delete_at = delete_at;
    if let Some(kind) = value(&pairs, "content-type").filter(|kind| !kind.is_empty()) {
        kind.clone_into(&mut object.facts.content_type);
    }
    object.updated_at = now;
    if !objects::update(&mut tx, &object).await? {
        return Err(conflict());
    }
    tx.commit().await?;
    Ok(reply::empty(StatusCode::ACCEPTED))
}

/// What an object keeps of the headers of a request.
///
/// # Errors
/// 400 in Swift's words.
pub(crate) fn metadata(pairs: &[(String, String)], by_url: bool) -> Result<Meta, Fault> {
    let mut meta = Meta::of_object(pairs);
    meta.check(Of::Object).map_err(Fault::bad_request)?;
    for name in KEPT_OF_OBJECTS {
        if let Some(given) = value(pairs, name) {
            meta.set(name, given);
        }
    }
    if let Some(given) = value(pairs, "x-object-manifest").filter(|given| !given.is_empty()) {
        if by_url {
            return Err(Fault::bad_request(
                "The header 'X-Object-Manifest' is not allowed in this tempurl",
            ));
        }
        let plain = percent_encoding::percent_decode_str(given).decode_utf8_lossy();
        if names::split_path(&plain).is_none()
            || plain.contains(['?', '&'])
            || plain.starts_with('/')
        {
            return Err(Fault::bad_request(
                "X-Object-Manifest must be in the format container/prefix",
            ));
        }
        meta.set("x-object-manifest", &plain);
    }
    Ok(meta)
}

endpoint! {
    /// Delete an object; with `multipart-manifest=delete`, its segments too.
    DeleteObject: DELETE "/v1/{account}/{container}/{object*}" => 204,
    policy: Public,
    path: ObjectPath,
    query: Params,
    reply: With<Download>,
    handler: delete_object,
}
async fn delete_object(cx: Cx, req: Req<DeleteObject>) -> Reply<DeleteObject> {
    let asked = Asked {
        method: "DELETE",
        path: &req.path,
        query: &req.query,
        headers: &req.headers,
    };
    let access = access::of_object(&cx, &asked).await?;
    let place = (req.path.account.as_str(), req.path.container.as_str());
    let container = access::container(&cx, &access, place, Wish::Write).await?;
    let whole = req.query.get("multipart-manifest") == Some("delete");
    if whole && access.grant.is_some() {
        return Err(Fault::bad_request(
            "A temporary URL deletes an object, not the segments of its manifest.",
        ));
    }
    if whole {
        let format = listing::format(&req.query, &req.headers)?;
        let outcome = manifests::delete(&cx, &access, (&container, &req.path.object)).await?;
        return Ok(outcome.answer(format));
    }
    cx.remove_object(&container.id, &req.path.object, &Condition::None)
        .await?;
    Ok(reply::empty(StatusCode::NO_CONTENT))
}
