//! Static large objects: manifests written, shown, and deleted with their segments.

use std::collections::{HashMap, HashSet};

use futures_util::StreamExt as _;
use http::StatusCode;
use nephos_api::{Fault, Params, Payload, Stream};
use serde_json::{Value, json};

use super::bulk::{self, Outcome};
use super::fault::plain;
use super::headers::value;
use super::listing::list_time;
use super::reply::{Answer, set};
use super::write::{Put, created};
use crate::Cx;
use crate::model::manifest::{self, MAX_BYTES, MAX_PIECES, MAX_SEGMENTS, Segment, Wish};
use crate::model::names;
use crate::model::object::{Container, Kind, Object};
use crate::ops::access::Access;
use crate::ops::publish::{Files, Next};
use crate::ops::read::Reader;
use crate::store::objects;

/// Writes a manifest, if all its segments are there.
pub(crate) async fn put(
    cx: &Cx,
    access: &Access,
    put: Put,
    mut body: Stream,
) -> Result<Answer, Fault> {
    let body = bulk::whole(&mut body, MAX_BYTES).await?;
    let bad = |why: String| plain(StatusCode::BAD_REQUEST, why);
    let wishes = manifest::parse(&body).map_err(bad)?;
    if wishes.len() > MAX_SEGMENTS {
        return Err(plain(
            StatusCode::PAYLOAD_TOO_LARGE,
            format!("Number of object-backed segments must be <= {MAX_SEGMENTS}"),
        ));
    }
    let segments = segments(cx, access, &put, &wishes).await?;
    let span = |segment: &Segment| segment.span().end - segment.span().start;
    let size = segments.iter().map(span).sum::<u64>();
    let tags = segments
        .iter()
        .map(|segment| (segment.hash.as_str(), segment.range.as_deref()));
    let etag = manifest::etag(tags);
    let said = value(&put.pairs, "etag").map(|said| said.trim_matches('"'));
    if said.is_some_and(|said| !said.is_empty() && said != etag) {
        return Err(Fault::new(
            StatusCode::UNPROCESSABLE_ENTITY,
            "Unable to process the contained instructions: the segments have another checksum than the ETag says.",
        ));
    }
    let text = serde_json::to_string(&segments).unwrap_or_default();
    let mut facts = put.facts;
    facts.kind = Kind::Static;
    facts.meta.set("x-object-manifest", "");
    facts.size = i64::try_from(size).unwrap_or(i64::MAX);
    facts.stored = i64::try_from(text.len()).unwrap_or(i64::MAX);
    facts.etag = etag;
    let next = Next {
        facts,
        files: Files::Written(Vec::new()),
        segments: Some(&text),
    };
    let object = cx.put(&put.place, next).await?;
    Ok(created(&object))
}

/// Looks at every segment.
///
/// # Errors
/// 400 with a line for each that is not as the manifest says.
async fn segments(
    cx: &Cx,
    access: &Access,
    put: &Put,
    wishes: &[Wish],
) -> Result<Vec<Segment>, Fault> {
    let account = put.container.account.as_str();
    let own =
        |wish: &Wish| names::split_path(&wish.path) == Some((&put.container.name, &put.place.name));
    if let Some(index) = wishes.iter().position(own) {
        return Err(plain(
            StatusCode::BAD_REQUEST,
            format!("Index {index}: manifest must not include itself as a segment\n"),
        ));
    }
    let mut reader = Reader::new(cx, access);
    let (mut found, mut errors) = (Vec::new(), Vec::new());
    // One that is listed a thousand times is looked at once.
    let mut known: HashMap<&str, Option<Object>> = HashMap::new();
    for wish in wishes {
        let object = match (known.get(wish.path.as_str()), names::split_path(&wish.path)) {
            (Some(object), _) => object.clone(),
            (None, Some((container, name))) => {
                let object = match reader.container(account, container).await? {
                    Some(container) => objects::get(cx.db(), &container.id, name).await?,
                    None => None,
                };
                let object = object.filter(|object| !object.expired(cx.now()));
                known.insert(&wish.path, object.clone());
                object
            }
            (None, None) => None,
        };
        match object
            .ok_or_else(|| "404 Not Found".to_owned())
            .and_then(|object| fit(wish, &object))
        {
            Ok(segment) => found.push(segment),
            Err(why) => errors.push((wish.path.clone(), why)),
        }
    }
    if errors.is_empty() {
        return Ok(found);
    }
    let line = |(path, why): &(String, String)| format!("{path}, {why}\n");
    let lines: String = errors.iter().map(line).collect();
    Err(plain(StatusCode::BAD_REQUEST, format!("Errors:\n{lines}")))
}

fn fit(wish: &Wish, object: &Object) -> Result<Segment, String> {
    if wish.size_bytes.is_some_and(|size| size != object.size) {
        return Err("Size Mismatch".to_owned());
    }
    if wish.etag.as_ref().is_some_and(|etag| *etag != object.etag) {
        return Err("Etag Mismatch".to_owned());
    }
    if object.size < 1 {
        return Err("Too Small; each segment must be at least 1 byte.".to_owned());
    }
    if object.kind == Kind::Dynamic {
        return Err("a dynamic manifest cannot be a segment".to_owned());
    }
    let size = u64::try_from(object.size).unwrap_or(0);
    let range = wish
        .range
        .as_deref()
        .map(|range| manifest::range_of(range, size));
    Ok(Segment {
        name: wish.path.clone(),
        hash: object.etag.clone(),
        bytes: object.size,
        content_type: object.content_type.clone(),
        last_modified: list_time(object.updated_at),
        range: range.transpose()?,
        sub_slo: object.kind == Kind::Static,
    })
}

/// The manifest itself as the answer.
pub(crate) async fn show(
    cx: &Cx,
    object: &Object,
    (query, method): (&Params, &str),
    mut answer: Answer,
) -> Result<Answer, Fault> {
    let segments = objects::segments(cx.db(), &object.id).await?;
    let raw = |segment: &Segment| {
        let mut view = json!({
            "path": segment.name, "etag": segment.hash, "size_bytes": segment.bytes,
        });
        if let (Some(range), Some(view)) = (&segment.range, view.as_object_mut()) {
            view.insert("range".to_owned(), json!(range));
        }
        view
    };
    let text = if query.get("format") == Some("raw") {
        Value::Array(segments.iter().map(raw).collect()).to_string()
    } else {
        serde_json::to_string(&segments).unwrap_or_default()
    };
    set(
        &mut answer.headers,
        "content-type",
        "application/json; charset=utf-8",
    );
    let length = text.len() as u64;
    answer.reply.body = if method == "HEAD" {
        Payload::Stream {
            length,
            chunks: futures_util::stream::empty().boxed(),
        }
    } else {
        Payload::Bytes(text.into())
    };
    Ok(answer)
}

/// Deletes the segments of a manifest, and it behind them.
pub(crate) async fn delete(
    cx: &Cx,
    access: &Access,
    (container, name): (&Container, &str),
) -> Result<Outcome, Fault> {
    let mut outcome = Outcome::default();
    let account = container.account.as_str();
    let found = objects::get(cx.db(), &container.id, name).await?;
    let path = format!("/{}/{name}", container.name);
    if let Some(found) = &found {
        if found.kind != Kind::Static {
            return Ok(Outcome::refused(
                &path,
                "400 Bad Request: Not an SLO manifest",
            ));
        }
        for path in below(cx, access, (account, found), &path).await? {
            outcome.one(cx, access, (account, &path, &path)).await?;
        }
    }
    outcome.one(cx, access, (account, &path, &path)).await?;
    Ok(outcome)
}

/// All segments of a manifest, and of those of them that are manifests, each once; but not `path`, where it is itself:
/// manifests may name each other in a circle.
///
/// # Errors
/// 413 when there are too many, or the manifests are too long to be looked through.
async fn below(
    cx: &Cx,
    access: &Access,
    (account, manifest): (&str, &Object),
    path: &str,
) -> Result<Vec<String>, Fault> {
    let mut reader = Reader::new(cx, access);
    let mut open = vec![manifest.id.clone()];
    let (mut names, mut looked) = (Vec::new(), 0);
    let mut known = HashSet::from([path.to_owned()]);
    while let Some(id) = open.pop() {
        for segment in objects::segments(cx.db(), &id).await? {
            looked += 1;
            if looked > MAX_PIECES || names.len() >= bulk::MAX_DELETES {
                return Err(Fault::too_large("Too many segments to delete at once."));
            }
            if !known.insert(segment.name.clone()) {
                continue;
            }
            if segment.sub_slo
                && let Some((container, name)) = names::split_path(&segment.name)
                && let Some(container) = reader.container(account, container).await?
                && let Some(inner) = objects::get(cx.db(), &container.id, name).await?
            {
                open.push(inner.id);
            }
            names.push(segment.name);
        }
    }
    Ok(names)
}
