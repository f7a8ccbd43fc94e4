//! Objects read: their metadata, and their bytes.

use futures_util::StreamExt as _;
use http::{HeaderMap, StatusCode};
use nephos_api::{Download, Fault, Params, Payload, Public, Reply, Req, With, endpoint};

use super::access::{self, Asked, ObjectPath, Wish};
use super::fault::precondition;
use super::reply::{self, Answer, set};
use super::{manifests, ranges, temp_url};
use crate::Cx;
use crate::model::condition::{Conditions, Verdict};
use crate::model::names;
use crate::model::object::{Container, Kind, Object};
use crate::ops::access::Access;
use crate::ops::read::{self, Content, ReadError, Reader};

endpoint! {
    /// Read an object.
    GetObject: GET "/v1/{account}/{container}/{object*}" => 200,
    policy: Public,
    path: ObjectPath,
    query: Params,
    reply: With<Download>,
    handler: get_object,
}
async fn get_object(cx: Cx, req: Req<GetObject>) -> Reply<GetObject> {
    let asked = Asked {
        method: "GET",
        path: &req.path,
        query: &req.query,
        headers: &req.headers,
    };
    answer(&cx, &asked).await
}

endpoint! {
    /// Show an object's metadata.
    HeadObject: HEAD "/v1/{account}/{container}/{object*}" => 200,
    policy: Public,
    path: ObjectPath,
    query: Params,
    reply: With<Download>,
    handler: head_object,
}
async fn head_object(cx: Cx, req: Req<HeadObject>) -> Reply<HeadObject> {
    let asked = Asked {
        method: "HEAD",
        path: &req.path,
        query: &req.query,
        headers: &req.headers,
    };
    answer(&cx, &asked).await
}

async fn answer(cx: &Cx, asked: &Asked<'_>) -> Result<Answer, Fault> {
    let access = access::of_object(cx, asked).await?;
    let place = (asked.path.account.as_str(), asked.path.container.as_str());
    let container = access::container(cx, &access, place, Wish::Read).await?;
    read::steady(cx.db(), async || {
        match access::object(cx, &container, &asked.path.object).await {
            Ok(object) => attempt(cx, asked, (&access, &container), &object).await,
            Err(fault) => Ok(Err(fault)),
        }
    })
    .await?
}

async fn attempt(
    cx: &Cx,
    asked: &Asked<'_>,
    (access, container): (&Access, &Container),
    object: &Object,
) -> Result<Result<Answer, Fault>, ReadError> {
    let as_manifest =
        asked.query.get("multipart-manifest") == Some("get") && access.grant.is_none();
    let mut answer = reply::empty(StatusCode::OK);
    if as_manifest && object.kind == Kind::Static {
        show(object, &object.etag, &mut answer.headers);
        return Ok(manifests::show(cx, object, (asked.query, asked.method), answer).await);
    }
    let content = if as_manifest && object.kind == Kind::Dynamic {
        let mut plain = object.clone();
        plain.facts.kind = Kind::Plain;
        Reader::new(cx, access)
            .content(&container.account, &plain, None)
            .await?
    } else if asked.method == "HEAD" && object.kind == Kind::Static {
        // Whether its segments are there, only who reads them is told.
        Content {
            size: u64::try_from(object.size).unwrap_or(0),
            etag: object.etag.clone(),
            ..Content::default()
        }
    } else {
        Reader::new(cx, access)
            .content(&container.account, object, range(asked, &object.etag))
            .await?
    };
    show(object, &content.etag, &mut answer.headers);
    if access.grant.is_some() {
        hide(&mut answer.headers);
        temp_url::dress(asked.query, &object.name, &mut answer.headers);
    }
    match conditions(asked.headers).check(&content.etag, object.updated_at) {
        Verdict::Failed => {
            return Ok(Err(precondition(
                "A precondition for this request was not met.",
            )));
        }
        Verdict::NotModified => {
            answer.status = Some(StatusCode::NOT_MODIFIED);
            return Ok(Ok(answer));
        }
        Verdict::Send => {}
    }
    if asked.method == "HEAD" {
        answer.reply.body = Payload::Stream {
            length: content.size,
            chunks: futures_util::stream::empty().boxed(),
        };
        return Ok(Ok(answer));
    }
    filled(cx, asked, content, answer).await
}

async fn filled(
    cx: &Cx,
    asked: &Asked<'_>,
    content: Content,
    answer: Answer,
) -> Result<Result<Answer, Fault>, ReadError> {
    let range = range(asked, &content.etag);
    ranges::fill(cx.service(), content, range, answer).await
}

/// The range that is asked for. One of what was another object before is none of this one, which has this tag.
fn range<'a>(asked: &Asked<'a>, etag: &str) -> Option<&'a str> {
    let text = |name: &str| {
        asked
            .headers
            .get(name)
            .and_then(|value| value.to_str().ok())
    };
    let same = text("if-range").is_none_or(|tag| tag.trim_matches('"') == etag);
    text("range").filter(|_| same)
}

fn conditions(headers: &HeaderMap) -> Conditions {
    let text = |name: &str| {
        let value = headers.get(name)?.to_str().ok()?;
        Some(value.to_owned())
    };
    Conditions {
        if_match: text("if-match"),
        if_none_match: text("if-none-match"),
        if_modified_since: text("if-modified-since"),
        if_unmodified_since: text("if-unmodified-since"),
    }
}

/// The headers of an object.
pub(crate) fn show(object: &Object, etag: &str, headers: &mut HeaderMap) {
    set(headers, "content-type", &object.content_type);
    set(headers, "accept-ranges", "bytes");
    for (name, value) in &object.meta.0 {
        let shown = if name == "x-object-manifest" {
            names::quoted(value)
        } else {
            value.clone()
        };
        set(headers, name, &shown);
    }
    if object.kind == Kind::Plain {
        set(headers, "etag", etag);
    } else {
        set(headers, "etag", &format!("\"{etag}\""));
    }
    if object.kind == Kind::Static {
        set(headers, "x-static-large-object", "True");
    }
    if let Some(at) = object.delete_at {
        set(headers, "x-delete-at", &at.secs().to_string());
    }
    reply::set_times(headers, object.updated_at);
}

/// What a temporary URL does not show.
fn hide(headers: &mut HeaderMap) {
    let hidden = |name: &str| {
        name.starts_with("x-object-meta-") && !name.starts_with("x-object-meta-public-")
    };
    let names: Vec<_> = headers
        .keys()
        .filter(|name| hidden(name.as_str()))
        .cloned()
        .collect();
    for name in names {
        headers.remove(name);
    }
}
