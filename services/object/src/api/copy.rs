//! Copies: `X-Copy-From`, and `COPY`, which comes here as such.

use std::sync::Arc;

use http::StatusCode;
use nephos_api::Fault;
use nephos_types::Timestamp;

use super::access::{self, Wish};
use super::fault::precondition;
use super::headers::{is_true, value};
use super::reply::{Answer, set};
use super::write::{Put, created};
use crate::Cx;
use crate::model::condition::{Conditions, Verdict, ceiling};
use crate::model::meta::{KEPT_OF_OBJECTS, Meta, Of};
use crate::model::names;
use crate::model::object::{Facts, Kind, Object};
use crate::model::range::{Wanted, wanted};
use crate::ops::access::Access;
use crate::ops::publish::Place;
use crate::ops::read::{self, Content, ReadError, Reader};
use crate::ops::write::{Goal, Source, Upload, WriteError, Written};

/// Writes a copy of what `from` names.
pub(crate) async fn put(
    cx: &Cx,
    access: &Access,
    put: Put,
    (from, as_manifest): (&str, bool),
) -> Result<Answer, Fault> {
    if value(&put.pairs, "content-length").is_some_and(|length| length != "0") {
        return Err(Fault::bad_request("Copy requests require a zero byte body"));
    }
    let from = percent_encoding::percent_decode_str(from)
        .decode_utf8_lossy()
        .into_owned();
    let wrong =
        || precondition("X-Copy-From header must be of the form <container name>/<object name>");
    let (container, name) = names::split_path(&from).ok_or_else(wrong)?;
    let account = value(&put.pairs, "x-copy-from-account").unwrap_or(&put.container.account);
    let account = percent_encoding::percent_decode_str(account)
        .decode_utf8_lossy()
        .into_owned();
    let source = access::container(cx, access, (&account, container), Wish::Read).await?;
    let attempt = async || {
        let object = match access::object(cx, &source, name).await {
            Ok(object) => object,
            Err(fault) => return Ok(Err(fault)),
        };
        let range = value(&put.pairs, "range").filter(|_| !as_manifest);
        let content = if (object.kind == Kind::Plain && range.is_none()) || as_manifest {
            None
        } else {
            let mut reader = Reader::new(cx, access);
            Some(reader.content(&account, &object, range).await?)
        };
        // Of a dynamic large object, what it is now has a tag, not its row.
        let tag = content
            .as_ref()
            .map_or(&object.etag, |content| &content.etag);
        if let Some(fault) = unwanted(&put, (tag, object.updated_at)) {
            return Ok(Err(fault));
        }
        let facts = facts(&put, &object, as_manifest);
        if let Err(why) = facts.meta.check(Of::Object) {
            return Ok(Err(Fault::bad_request(why)));
        }
        let copied = match content {
            None => match cx.copy(&object, &put.place, facts).await {
                Err(WriteError::SourceGone) => return Err(ReadError::Replaced),
                done => done.map_err(Fault::from),
            },
            Some(content) => {
                let content = match part(content, range) {
                    Ok(content) => content,
                    Err(fault) => return Ok(Err(fault)),
                };
                rewritten(cx, put.place.clone(), facts, content).await?
            }
        };
        Ok(copied.map(|copied| (object, copied)))
    };
    let (object, copied) = read::steady(cx.db(), attempt).await??;
    let mut answer = created(&copied);
    let path = names::quoted(&format!("{container}/{name}"));
    set(&mut answer.headers, "x-copied-from", &path);
    set(&mut answer.headers, "x-copied-from-account", &account);
    let changed = ceiling(object.updated_at).http();
    set(&mut answer.headers, "x-copied-from-last-modified", &changed);
    for (name, value) in &copied.meta.0 {
        set(&mut answer.headers, name, value);
    }
    Ok(answer)
}

/// Conditions are about what is copied; only `If-None-Match: *` is about where it goes.
fn unwanted(put: &Put, (tag, changed): (&str, Timestamp)) -> Option<Fault> {
    let text = |name: &str| value(&put.pairs, name).map(str::to_owned);
    let conditions = Conditions {
        if_match: text("if-match"),
        if_none_match: text("if-none-match").filter(|tags| tags != "*"),
        if_modified_since: text("if-modified-since"),
        if_unmodified_since: text("if-unmodified-since"),
    };
    match conditions.check(tag, changed) {
        Verdict::Send => None,
        Verdict::NotModified => Some(Fault::new(StatusCode::NOT_MODIFIED, "")),
        Verdict::Failed => Some(precondition("A precondition for this request was not met.")),
    }
}

/// What of the source is copied.
fn part(content: Content, range: Option<&str>) -> Result<Content, Fault> {
    match wanted(range, content.size) {
        Wanted::All => Ok(content),
        Wanted::Parts(parts) => match parts.as_slice() {
            [part] => Ok(content.within(part.clone())),
            _several => Err(Fault::bad_request("A copy is made of one range.")),
        },
        Wanted::Nothing => Err(Fault::new(
            StatusCode::RANGE_NOT_SATISFIABLE,
            "The Range requested is not available.",
        )),
    }
}

/// A large object becomes one of its own bytes.
async fn rewritten(
    cx: &Cx,
    place: Place,
    facts: Facts,
    content: Content,
) -> Result<Result<Object, Fault>, ReadError> {
    let limit = cx.config.max_object_bytes;
    let length = content.size;
    if length > limit {
        return Ok(Err(Fault::too_large(format!(
            "The copy would have more than {limit} bytes; copy the manifest with multipart-manifest=get."
        ))));
    }
    let upload = Upload {
        service: Arc::clone(cx.service()),
        goal: Goal::Object(place, facts),
        etag: None,
        length: Some(length),
    };
    let chunks = content.stream(cx.service()).await?;
    let written = upload.run(Source::Chunks(chunks)).await;
    Ok(written.and_then(Written::object).map_err(Fault::from))
}

/// What the copy is: as its source, unless the request says otherwise.
fn facts(put: &Put, source: &Object, as_manifest: bool) -> Facts {
    let mut facts = source.facts.clone();
    let fresh = is_true(&put.pairs, "x-fresh-metadata");
    let mut meta = if fresh {
        Meta::default()
    } else {
        source.meta.clone()
    };
    meta.0.remove("x-object-manifest");
    meta.0.extend(put.facts.meta.0.clone());
    if as_manifest {
        for (name, value) in source
            .meta
            .0
            .iter()
            .filter(|(name, _)| *name == "x-object-manifest")
        {
            meta.set(name, value);
        }
    } else {
        facts.kind = put.facts.kind;
    }
    if fresh {
        for name in KEPT_OF_OBJECTS {
            meta.set(name, put.facts.meta.get(name).unwrap_or_default());
        }
    }
    facts.meta = meta;
    if value(&put.pairs, "content-type").is_some_and(|kind| !kind.is_empty()) {
        facts.content_type.clone_from(&put.facts.content_type);
    }
    let kept = facts.delete_at.filter(|_| !fresh);
    facts.delete_at = put.facts.delete_at.or(kept);
    facts
}
