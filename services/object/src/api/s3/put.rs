//! Objects written: from a body, or as a copy.

use std::sync::Arc;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use futures_util::StreamExt as _;
use s3s::{S3Request, S3Response, S3Result, dto, s3_error};

use super::bodies::Checked;
use super::conditions::{Conditions, of_headers, of_place};
use super::errors::of_write;
use super::list::time;
use super::objects::{Stop, is_plain, steady};
use super::wishes::NO_VERSION;
use super::{Front, Who, Wish};
use crate::api::write::check_room;
use crate::model::meta::{Meta, Of};
use crate::model::names;
use crate::model::object::{Container, Facts, Kind, Object};
use crate::ops::publish::Place;
use crate::ops::read::{Content, ReadError};
use crate::ops::write::{Goal, Source, Upload, WriteError, Written};
use crate::store::objects;

/// What an object is beside its bytes, as a request says.
#[derive(Default)]
pub(super) struct Described {
    pub content_type: Option<String>,
    pub metadata: Option<dto::Metadata>,
    pub kept: [(&'static str, Option<String>); 5],
}

impl Described {
    /// Its metadata in Swift's form.
    pub(super) fn meta(&self) -> S3Result<Meta> {
        let mut meta = Meta::default();
        for (name, value) in self.metadata.iter().flatten() {
            let name = format!("x-object-meta-{}", name.to_ascii_lowercase());
            meta.0.insert(name, value.clone());
        }
        meta.check(Of::Object)
            .map_err(|why| s3s::S3Error::with_message(s3s::S3ErrorCode::MetadataTooLarge, why))?;
        for (name, value) in &self.kept {
            meta.set(name, value.as_deref().unwrap_or_default());
        }
        Ok(meta)
    }

    /// Its media type: as said, else Amazon's word for any bytes.
    pub(super) fn content_type(&self) -> String {
        let said = self.content_type.clone();
        said.unwrap_or_else(|| "binary/octet-stream".to_owned())
    }
}

/// Refuses a key that is too long.
pub(super) fn check_key(key: &str) -> S3Result<()> {
    names::check_object(key).map_err(|_| s3_error!(KeyTooLongError, "Your key is too long"))
}

/// A time in HTTP's words.
pub(super) fn http_date(at: &dto::Timestamp) -> Option<String> {
    let mut words = Vec::new();
    at.format(dto::TimestampFormat::HttpDate, &mut words).ok()?;
    String::from_utf8(words).ok()
}

/// The MD5 that a client said, in hex.
pub(super) fn md5_of(said: Option<&str>) -> S3Result<Option<String>> {
    let Some(said) = said else {
        return Ok(None);
    };
    let bytes = STANDARD.decode(said).ok().filter(|bytes| bytes.len() == 16);
    let bytes = bytes
        .ok_or_else(|| s3_error!(InvalidDigest, "The Content-MD5 you specified is not valid."))?;
    Ok(Some(hex::encode(bytes)))
}

/// The length of the bytes themselves, without what a signature of chunks adds.
pub(super) fn length(headers: &http::HeaderMap, declared: Option<i64>) -> Option<u64> {
    let decoded = headers.get("x-amz-decoded-content-length");
    let decoded = decoded.and_then(|value| value.to_str().ok()?.parse().ok());
    decoded.or_else(|| {
        let chunked = headers.contains_key("x-amz-decoded-content-length")
            || headers.contains_key(http::header::TRANSFER_ENCODING);
        declared
            .filter(|_| !chunked)
            .and_then(|length| u64::try_from(length).ok())
    })
}

pub(super) async fn put(
    front: &Front,
    request: S3Request<dto::PutObjectInput>,
) -> S3Result<S3Response<dto::PutObjectOutput>> {
    let who = front.who(&request).await?;
    let S3Request {
        input,
        headers,
        trailing_headers,
        ..
    } = request;
    let bucket = front.bucket(&who, &input.bucket, Wish::Write).await?;
    check_key(&input.key)?;
    let described = Described {
        content_type: input.content_type,
        metadata: input.metadata,
        kept: [
            ("cache-control", input.cache_control),
            ("content-disposition", input.content_disposition),
            (
                "content-encoding",
                input.content_encoding.and_then(without_chunks),
            ),
            ("content-language", input.content_language),
            ("expires", input.expires.as_ref().and_then(http_date)),
        ],
    };
    let place = Place {
        container: bucket.id.clone(),
        name: input.key.clone(),
        condition: of_place(input.if_match, input.if_none_match)?,
    };
    // Said before the bytes come, and looked at again when they are there.
    let there = objects::get(&front.core.db, &bucket.id, &input.key).await;
    let there = there.map_err(super::errors::of_database)?;
    let live = there.filter(|there| !there.expired(front.core.clock.now()));
    place.condition.check(live.as_ref()).map_err(of_write)?;
    let length = length(&headers, input.content_length);
    room(front, &bucket, &input.key, length).await?;
    let expected = dto::Checksum {
        checksum_crc32: input.checksum_crc32,
        checksum_crc32c: input.checksum_crc32c,
        checksum_crc64nvme: input.checksum_crc64nvme,
        checksum_sha1: input.checksum_sha1,
        checksum_sha256: input.checksum_sha256,
        checksum_type: None,
    };
    let upload = Upload {
        service: Arc::clone(&front.0),
        goal: Goal::Object(place, plain(&described)?),
        etag: md5_of(input.content_md5.as_deref())?,
        length,
    };
    let body = Checked::new(input.body, expected, trailing_headers, &headers);
    let written = upload.run(Source::Chunks(body.boxed())).await;
    let object = written
        .and_then(crate::ops::write::Written::object)
        .map_err(of_write)?;
    Ok(S3Response::new(dto::PutObjectOutput {
        e_tag: Some(dto::ETag::Strong(object.facts.etag)),
        ..dto::PutObjectOutput::default()
    }))
}

/// `aws-chunked` is how the body came, not what it is.
fn without_chunks(encoding: String) -> Option<String> {
    let rest: Vec<&str> = encoding
        .split(',')
        .map(str::trim)
        .filter(|part| !part.is_empty() && *part != "aws-chunked")
        .collect();
    (!rest.is_empty()).then(|| rest.join(","))
}

fn plain(described: &Described) -> S3Result<Facts> {
    Ok(Facts {
        kind: Kind::Plain,
        size: 0,
        stored: 0,
        etag: String::new(),
        content_type: described.content_type(),
        meta: described.meta()?,
        delete_at: None,
    })
}

/// Refuses what the quotas have no room for, before its bytes come.
pub(super) async fn room(
    front: &Front,
    bucket: &Container,
    key: &str,
    length: Option<u64>,
) -> S3Result<()> {
    match check_room(front, (bucket, key), length).await {
        Ok(()) => Ok(()),
        Err(fault) if fault.status == http::StatusCode::PAYLOAD_TOO_LARGE => {
            let limit = front.config.max_object_bytes;
            let too_large = length.is_some_and(|length| length > limit);
            let why = if too_large {
                crate::ops::write::WriteError::TooLarge(limit)
            } else {
                crate::ops::write::WriteError::Quota
            };
            Err(of_write(why))
        }
        Err(fault) => {
            tracing::error!(%fault, "cannot look for room");
            Err(s3_error!(
                InternalError,
                "The request could not be carried out."
            ))
        }
    }
}

/// The bucket and the key of what a copy is made of.
pub(super) async fn source<'a>(
    front: &Front,
    who: &Who,
    from: &'a dto::CopySource,
) -> S3Result<(Container, &'a str)> {
    let dto::CopySource::Bucket {
        bucket,
        key,
        version_id,
    } = from
    else {
        return Err(s3_error!(
            NotImplemented,
            "A copy is made of a key of a bucket."
        ));
    };
    if version_id.as_deref().is_some_and(|id| id != NO_VERSION) {
        return Err(s3_error!(
            InvalidArgument,
            "Invalid version id specified: objects have one version, null."
        ));
    }
    let [_of_bucket, owner] = &who.expects;
    let bucket = front.bucket_of(who, (bucket, owner.as_deref()), Wish::Read);
    Ok((bucket.await?, key))
}

pub(super) async fn copy(
    front: &Front,
    request: S3Request<dto::CopyObjectInput>,
) -> S3Result<S3Response<dto::CopyObjectOutput>> {
    let who = front.who(&request).await?;
    let S3Request { input, headers, .. } = request;
    let bucket = front.bucket(&who, &input.bucket, Wish::Write).await?;
    check_key(&input.key)?;
    let (from, key) = source(front, &who, &input.copy_source).await?;
    let replace = input.metadata_directive.as_ref();
    let replace =
        replace.is_some_and(|directive| directive.as_str() == dto::MetadataDirective::REPLACE);
    let described = if replace {
        let described = Described {
            content_type: input.content_type,
            metadata: input.metadata,
            kept: [
                ("cache-control", input.cache_control),
                ("content-disposition", input.content_disposition),
                ("content-encoding", input.content_encoding),
                ("content-language", input.content_language),
                ("expires", input.expires.as_ref().and_then(http_date)),
            ],
        };
        Some((described.content_type(), described.meta()?))
    } else {
        None
    };
    if described.is_none() && from.id == bucket.id && key == input.key {
        return Err(s3_error!(
            InvalidRequest,
            "This copy request is illegal because it is trying to copy an object to itself without changing the object's \
             metadata, storage class, website redirect location or encryption attributes."
        ));
    }
    let place = Place {
        container: bucket.id,
        name: input.key,
        condition: of_headers(&headers)?,
    };
    let conditions = Conditions {
        matches: input.copy_source_if_match,
        differs: input.copy_source_if_none_match,
        since: input.copy_source_if_modified_since,
        unchanged_since: input.copy_source_if_unmodified_since,
    };
    let make = async |source: Object, content: Content| {
        conditions.of_source(&content.etag, source.updated_at)?;
        let mut facts = source.facts.clone();
        if let Some((content_type, meta)) = &described {
            facts.content_type.clone_from(content_type);
            facts.meta = meta.clone();
        }
        facts.delete_at = None;
        if !is_plain(&source) {
            return rewritten(front, content, (place.clone(), facts)).await;
        }
        match front.copy(&source, &place, facts).await {
            Err(WriteError::SourceGone) => Err(ReadError::Replaced.into()),
            done => Ok(done.map_err(of_write)?),
        }
    };
    let object = steady((front, &who), (&from, key), make).await?;
    let result = dto::CopyObjectResult {
        e_tag: Some(dto::ETag::Strong(object.facts.etag)),
        last_modified: Some(time(object.updated_at)),
        ..dto::CopyObjectResult::default()
    };
    Ok(S3Response::new(dto::CopyObjectOutput {
        copy_object_result: Some(result),
        ..dto::CopyObjectOutput::default()
    }))
}

/// A large object of Swift's becomes one of its own bytes.
async fn rewritten(
    front: &Front,
    content: Content,
    (place, mut facts): (Place, Facts),
) -> Result<Object, Stop> {
    facts.kind = Kind::Plain;
    facts.meta.set("x-object-manifest", "");
    let upload = Upload {
        service: Arc::clone(&front.0),
        goal: Goal::Object(place, facts),
        etag: None,
        length: Some(content.size),
    };
    let chunks = content.stream(&front.0).await?;
    let written = upload.run(Source::Chunks(chunks)).await;
    Ok(written.and_then(Written::object).map_err(of_write)?)
}
