//! Objects read and deleted.

use std::ops::Range;

use s3s::dto::{ETagCondition, StreamingBlob};
use s3s::{S3Error, S3Request, S3Response, S3Result, dto, s3_error};

use super::bodies::Alone;
use super::conditions::{Conditions, of_removal};
use super::errors::{of_database, of_read, of_write};
use super::list::time;
use super::wishes::NO_VERSION;
use super::{Front, Who, Wish};
use crate::model::object::{Container, Kind, Object};
use crate::ops::publish::Condition;
use crate::ops::read::{self, Content, ReadError, Reader};
use crate::ops::write::WriteError;
use crate::store::objects;

/// Most keys of one request to delete many.
const MAX_DELETES: usize = 1000;

/// An object that may be read, and what it is.
pub(super) async fn found(front: &Front, bucket: &Container, key: &str) -> S3Result<Object> {
    let found = objects::get(&front.core.db, &bucket.id, key)
        .await
        .map_err(of_database)?;
    let found = found.filter(|found| !found.expired(front.core.clock.now()));
    found.ok_or_else(|| s3_error!(NoSuchKey, "The specified key does not exist."))
}

/// What an object is, with what `make` makes of it; again, when it was replaced meanwhile.
pub(super) async fn steady<T, F>(
    (front, who): (&Front, &Who),
    (bucket, key): (&Container, &str),
    make: impl Fn(Object, Content) -> F,
) -> S3Result<T>
where
    F: Future<Output = Result<T, Stop>>,
{
    let attempt = || async {
        let object = match found(front, bucket, key).await {
            Ok(object) => object,
            Err(why) => return Ok(Err(why)),
        };
        let mut reader = Reader::new(front, &who.access);
        let content = reader.content(&who.account, &object, None).await?;
        match make(object, content).await {
            Ok(made) => Ok(Ok(made)),
            Err(Stop::Read(why)) => Err(why),
            Err(Stop::Answer(why)) => Ok(Err(why)),
        }
    };
    read::steady(&front.core.db, attempt)
        .await
        .map_err(of_read)?
}

/// Why nothing is made of an object.
pub(super) enum Stop {
    /// It cannot be read.
    Read(ReadError),
    /// The client is told something else.
    Answer(S3Error),
}

impl From<ReadError> for Stop {
    fn from(why: ReadError) -> Self {
        Self::Read(why)
    }
}

impl From<S3Error> for Stop {
    fn from(why: S3Error) -> Self {
        Self::Answer(why)
    }
}

pub(super) async fn get(
    front: &Front,
    request: S3Request<dto::GetObjectInput>,
) -> S3Result<S3Response<dto::GetObjectOutput>> {
    let who = front.who(&request).await?;
    let input = request.input;
    let bucket = front.bucket(&who, &input.bucket, Wish::Read).await?;
    let conditions = Conditions {
        matches: input.if_match,
        differs: input.if_none_match,
        since: input.if_modified_since,
        unchanged_since: input.if_unmodified_since,
    };
    let open = async |object: Object, content: Content| {
        conditions.of_reader(&content.etag, object.updated_at)?;
        let size = content.size;
        let (range, parts) = asked_for((input.range, input.part_number), &content)?;
        let mut output = described(&object, &content);
        output.parts_count = parts;
        let part = match &range {
            Some(range) => {
                output.content_range = shown(range, size);
                content.within(range.clone())
            }
            None => content,
        };
        output.content_length = i64::try_from(part.size).ok();
        let chunks = part.stream(&front.0).await?;
        output.body = Some(StreamingBlob::wrap(Alone::new(chunks)));
        Ok(output)
    };
    let mut output = steady((front, &who), (&bucket, &input.key), open).await?;
    for (asked, shown) in [
        (input.response_cache_control, &mut output.cache_control),
        (
            input.response_content_disposition,
            &mut output.content_disposition,
        ),
        (
            input.response_content_encoding,
            &mut output.content_encoding,
        ),
        (
            input.response_content_language,
            &mut output.content_language,
        ),
        (input.response_content_type, &mut output.content_type),
    ] {
        if asked.is_some() {
            *shown = asked;
        }
    }
    Ok(S3Response::new(output))
}

fn described(object: &Object, content: &Content) -> dto::GetObjectOutput {
    let kept = |name: &str| object.meta.get(name).map(str::to_owned);
    let own = object.meta.0.iter().filter_map(|(name, value)| {
        let name = name.strip_prefix("x-object-meta-")?;
        Some((name.to_owned(), value.clone()))
    });
    dto::GetObjectOutput {
        accept_ranges: Some("bytes".to_owned()),
        cache_control: kept("cache-control"),
        content_disposition: kept("content-disposition"),
        content_encoding: kept("content-encoding"),
        content_language: kept("content-language"),
        content_type: Some(object.content_type.clone()),
        e_tag: Some(dto::ETag::Strong(content.etag.clone())),
        expires: kept("expires")
            .and_then(|at| dto::Timestamp::parse(dto::TimestampFormat::HttpDate, &at).ok()),
        last_modified: Some(time(object.updated_at)),
        metadata: Some(own.collect()),
        ..dto::GetObjectOutput::default()
    }
}

pub(super) async fn head(
    front: &Front,
    request: S3Request<dto::HeadObjectInput>,
) -> S3Result<S3Response<dto::HeadObjectOutput>> {
    let who = front.who(&request).await?;
    let input = request.input;
    let bucket = front.bucket(&who, &input.bucket, Wish::Read).await?;
    let conditions = Conditions {
        matches: input.if_match,
        differs: input.if_none_match,
        since: input.if_modified_since,
        unchanged_since: input.if_unmodified_since,
    };
    let both = async |object: Object, content: Content| Ok((object, content));
    let (object, content) = steady((front, &who), (&bucket, &input.key), both).await?;
    conditions.of_reader(&content.etag, object.updated_at)?;
    let (range, parts) = asked_for((input.range, input.part_number), &content)?;
    let facts = described(&object, &content);
    let part = match &range {
        Some(range) => range.end.saturating_sub(range.start),
        None => content.size,
    };
    Ok(S3Response::new(dto::HeadObjectOutput {
        accept_ranges: facts.accept_ranges,
        cache_control: facts.cache_control,
        content_disposition: facts.content_disposition,
        content_encoding: facts.content_encoding,
        content_language: facts.content_language,
        content_length: i64::try_from(part).ok(),
        content_range: range.as_ref().and_then(|range| shown(range, content.size)),
        content_type: facts.content_type,
        e_tag: facts.e_tag,
        expires: facts.expires,
        last_modified: facts.last_modified,
        metadata: facts.metadata,
        parts_count: parts,
        ..dto::HeadObjectOutput::default()
    }))
}

/// The bytes that a request asks for, all of them when it says nothing, and of how many parts the object was made.
fn asked_for(
    (range, part): (Option<dto::Range>, Option<i32>),
    content: &Content,
) -> S3Result<(Option<Range<u64>>, Option<i32>)> {
    let Some(number) = part else {
        let range = range.map(|range| range.check(content.size)).transpose();
        return Ok((range.map_err(S3Error::from)?, None));
    };
    if range.is_some() {
        return Err(s3_error!(
            InvalidRequest,
            "Cannot specify both Range header and partNumber query parameter"
        ));
    }
    let count = content.parts();
    let none = || {
        let mut error = s3_error!(InvalidPart, "The requested partnumber is not satisfiable");
        error.set_status_code(http::StatusCode::RANGE_NOT_SATISFIABLE);
        error
    };
    let at = usize::try_from(number)
        .ok()
        .and_then(|at| at.checked_sub(1));
    let at = at.filter(|at| *at < count.unwrap_or(1)).ok_or_else(none)?;
    let range = match count {
        Some(_) => content.part(at),
        None => 0..content.size,
    };
    Ok((
        Some(range),
        count.and_then(|count| i32::try_from(count).ok()),
    ))
}

/// `Content-Range`; there is none of a part without bytes (RFC 9110, 14.4: its last byte is not before its first).
fn shown(range: &Range<u64>, size: u64) -> Option<String> {
    let last = range
        .end
        .checked_sub(1)
        .filter(|last| range.start <= *last)?;
    Some(format!("bytes {}-{last}/{size}", range.start))
}

pub(super) async fn delete(
    front: &Front,
    request: S3Request<dto::DeleteObjectInput>,
) -> S3Result<S3Response<dto::DeleteObjectOutput>> {
    let who = front.who(&request).await?;
    let bucket = front
        .bucket(&who, &request.input.bucket, Wish::Write)
        .await?;
    let input = request.input;
    if input.if_match_size.is_some() || input.if_match_last_modified_time.is_some() {
        return Err(only_by_tag());
    }
    let condition = match input.if_match {
        Some(ETagCondition::Any) | None => Condition::None,
        Some(ETagCondition::ETag(tag)) => of_removal(Some(tag)),
    };
    remove(front, &bucket, (&input.key, &condition)).await?;
    Ok(S3Response::with_status(
        dto::DeleteObjectOutput::default(),
        http::StatusCode::NO_CONTENT,
    ))
}

fn only_by_tag() -> S3Error {
    s3_error!(
        NotImplemented,
        "Objects are deleted by name, and on condition of their tag."
    )
}

/// What is not there is deleted already.
async fn remove(
    front: &Front,
    bucket: &Container,
    (key, condition): (&str, &Condition),
) -> S3Result<()> {
    match front.remove_object(&bucket.id, key, condition).await {
        Ok(()) | Err(WriteError::NoObject) => Ok(()),
        Err(why) => Err(of_write(why)),
    }
}

/// One of many.
async fn remove_one(
    front: &Front,
    bucket: &Container,
    object: dto::ObjectIdentifier,
) -> S3Result<()> {
    if object.size.is_some() || object.last_modified_time.is_some() {
        return Err(only_by_tag());
    }
    if object
        .version_id
        .is_some_and(|version| version != NO_VERSION)
    {
        return Err(s3_error!(
            NoSuchVersion,
            "The specified version does not exist."
        ));
    }
    let condition = of_removal(object.e_tag);
    remove(front, bucket, (&object.key, &condition)).await
}

pub(super) async fn delete_many(
    front: &Front,
    request: S3Request<dto::DeleteObjectsInput>,
) -> S3Result<S3Response<dto::DeleteObjectsOutput>> {
    let who = front.who(&request).await?;
    let bucket = front
        .bucket(&who, &request.input.bucket, Wish::Write)
        .await?;
    let asked = request.input.delete;
    if asked.objects.len() > MAX_DELETES {
        return Err(s3_error!(
            MalformedXML,
            "At most 1000 keys are deleted at once."
        ));
    }
    let quiet = asked.quiet.unwrap_or(false);
    let (mut deleted, mut errors) = (Vec::new(), Vec::new());
    for object in asked.objects {
        let key = Some(object.key.clone());
        match remove_one(front, &bucket, object).await {
            Ok(()) => deleted.push(dto::DeletedObject {
                key,
                ..dto::DeletedObject::default()
            }),
            Err(why) => errors.push(dto::Error {
                code: Some(why.code().as_str().to_owned()),
                key,
                message: why.message().map(str::to_owned),
                version_id: None,
            }),
        }
    }
    Ok(S3Response::new(dto::DeleteObjectsOutput {
        deleted: (!quiet).then_some(deleted),
        errors: Some(errors),
        ..dto::DeleteObjectsOutput::default()
    }))
}

/// Whether its bytes are its own, so that a copy can have the same files.
pub(super) fn is_plain(object: &Object) -> bool {
    object.kind == Kind::Plain
}
