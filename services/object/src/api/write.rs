//! Objects written.

use std::sync::Arc;

use http::{StatusCode, header};
use nephos_api::{Download, Fault, Params, Public, Reply, Req, Stream, With, endpoint};

use super::access::{self, Asked, ObjectPath, Wish};
use super::fault::{over_quota, precondition};
use super::headers::{delete_at, is_true, pairs, type_of_name, value};
use super::objects::metadata;
use super::reply::{self, Answer, set};
use super::{copy, manifests};
use crate::model::names;
use crate::model::object::{Container, Facts, Kind, Object};
use crate::ops::access::Access;
use crate::ops::publish::{Condition, Place};
use crate::ops::write::{Goal, Source, Upload};
use crate::store::{accounts, objects};
use crate::{Cx, Svc};

endpoint! {
    /// Write an object: its bytes, a copy of another's, or a manifest of segments.
    PutObject: PUT "/v1/{account}/{container}/{object*}" => 201,
    policy: Public,
    path: ObjectPath,
    query: Params,
    body: Stream,
    reply: With<Download>,
    handler: put_object,
}
async fn put_object(cx: Cx, req: Req<PutObject>) -> Reply<PutObject> {
    let Req {
        path,
        query,
        body,
        headers,
    } = req;
    let asked = Asked {
        method: "PUT",
        path: &path,
        query: &query,
        headers: &headers,
    };
    match prepare(&cx, &asked).await {
        Ok((access, put)) => write(&cx, (&access, &query), put, body).await,
        Err(fault) => {
            Source::Body(body).drain(&cx.core.clock).await;
            Err(fault)
        }
    }
}

/// Refuses what can be refused before the bytes come.
async fn prepare(cx: &Cx, asked: &Asked<'_>) -> Result<(Access, Put), Fault> {
    let access = access::of_object(cx, asked).await?;
    let (path, query) = (asked.path, asked.query);
    if access.grant.is_some() && query.get("multipart-manifest") == Some("put") {
        return Err(Fault::bad_request(
            "A temporary URL writes an object's bytes, not a manifest of segments.",
        ));
    }
    let place = (path.account.as_str(), path.container.as_str());
    let container = access::container(cx, &access, place, Wish::Write).await?;
    names::check_object(&path.object).map_err(Fault::bad_request)?;
    let pairs = pairs(asked.headers)?;
    let put = Put {
        place: Place {
            container: container.id.clone(),
            name: path.object.clone(),
            condition: condition(cx, &container, &path.object, &pairs).await?,
        },
        facts: facts(cx, &path.object, &pairs, access.grant.is_some())?,
        length: length(&pairs)?,
        container,
        pairs,
    };
    let plain =
        value(&put.pairs, "x-copy-from").is_none() && query.get("multipart-manifest").is_none();
    if plain {
        check_room(cx, (&put.container, &put.place.name), put.length).await?;
    }
    Ok((access, put))
}

async fn write(
    cx: &Cx,
    (access, query): (&Access, &Params),
    put: Put,
    body: Stream,
) -> Result<Answer, Fault> {
    let manifest = query.get("multipart-manifest");
    if let Some(from) = value(&put.pairs, "x-copy-from") {
        let from = from.to_owned();
        return copy::put(cx, access, put, (&from, manifest == Some("get"))).await;
    }
    if manifest == Some("put") {
        return manifests::put(cx, access, put, body).await;
    }
    let etag = value(&put.pairs, "etag").map(|etag| etag.trim_matches('"').to_owned());
    let upload = Upload {
        service: Arc::clone(cx.service()),
        goal: Goal::Object(put.place, put.facts),
        etag: etag.filter(|etag| !etag.is_empty()),
        length: put.length,
    };
    let object = upload.run(Source::Body(body)).await?.object()?;
    Ok(created(&object))
}

/// An object that is about to be written.
pub(crate) struct Put {
    pub place: Place,
    pub facts: Facts,
    pub container: Container,
    /// How many bytes are announced; none when they come in chunks.
    pub length: Option<u64>,
    pub pairs: Vec<(String, String)>,
}

/// 201 with what the client may compare.
pub(crate) fn created(object: &Object) -> Answer {
    let mut answer = reply::empty(StatusCode::CREATED);
    let etag = if object.kind == Kind::Static {
        format!("\"{}\"", object.etag)
    } else {
        object.etag.clone()
    };
    set(&mut answer.headers, header::ETAG.as_str(), &etag);
    reply::set_times(&mut answer.headers, object.updated_at);
    answer
}

/// `If-None-Match: *`: only where nothing is.
async fn condition(
    cx: &Cx,
    container: &Container,
    name: &str,
    pairs: &[(String, String)],
) -> Result<Condition, Fault> {
    match value(pairs, "if-none-match") {
        None => Ok(Condition::None),
        Some("*") => {
            let there = objects::get(cx.db(), &container.id, name).await?;
            // Said before the bytes come, and looked at again when they are there.
            if there.is_some_and(|there| !there.expired(cx.now())) {
                return Err(precondition("A precondition for this request was not met."));
            }
            Ok(Condition::Absent)
        }
        Some(_tags) => Err(Fault::bad_request("If-None-Match only supports *")),
    }
}

fn facts(cx: &Cx, name: &str, pairs: &[(String, String)], by_url: bool) -> Result<Facts, Fault> {
    let meta = metadata(pairs, by_url)?;
    let given = value(pairs, "content-type").filter(|kind| !kind.is_empty());
    let guess = given.is_none() || is_true(pairs, "x-detect-content-type");
    let content_type = if guess {
        type_of_name(name)
    } else {
        given.unwrap_or_default()
    };
    Ok(Facts {
        kind: if meta.get("x-object-manifest").is_some() {
            Kind::Dynamic
        } else {
            Kind::Plain
        },
        size: 0,
        stored: 0,
        etag: String::new(),
        content_type: content_type.to_owned(),
        meta,
        delete_at: delete_at(pairs, cx.now())?,
    })
}

/// How many bytes are announced; none when they come in chunks.
fn length(pairs: &[(String, String)]) -> Result<Option<u64>, Fault> {
    let length = value(pairs, "content-length")
        .map(str::parse::<u64>)
        .transpose();
    let length = length.map_err(|_| Fault::bad_request("Invalid Content-Length header value"))?;
    if length.is_none() && value(pairs, "transfer-encoding").is_none() {
        return Err(Fault::new(
            StatusCode::LENGTH_REQUIRED,
            "Missing Content-Length header.",
        ));
    }
    Ok(length)
}

/// Refuses before the bytes come what could not be kept anyway; what is decided is decided when they are there.
pub(crate) async fn check_room(
    service: &Svc,
    (container, name): (&Container, &str),
    length: Option<u64>,
) -> Result<(), Fault> {
    let limit = service.config.max_object_bytes;
    let Some(length) = length else {
        return Ok(());
    };
    if length > limit {
        return Err(Fault::too_large(format!(
            "Your request is too large: an object has at most {limit} bytes; larger ones are made of segments."
        )));
    }
    let db = &service.core.db;
    let old = objects::get(db, &container.id, name).await?;
    let more = i64::try_from(length).unwrap_or(i64::MAX) - old.as_ref().map_or(0, |old| old.stored);
    let account = accounts::get(db, &container.account)
        .await?
        .unwrap_or_default();
    for (quota, used) in [
        (container.quota.bytes, container.bytes),
        (account.quota.bytes, account.bytes),
    ] {
        if more > 0 && quota.is_some_and(|quota| used.saturating_add(more) > quota) {
            return Err(over_quota());
        }
    }
    for (quota, used) in [
        (container.quota.objects, container.objects),
        (account.quota.objects, account.objects),
    ] {
        if old.is_none() && quota.is_some_and(|quota| used + 1 > quota) {
            return Err(over_quota());
        }
    }
    Ok(())
}
