//! Objects read and deleted.

use s3s::dto::{ETagCondition, StreamingBlob};
use s3s::{S3Error, S3Request, S3Response, S3Result, dto, s3_error};

use super::bodies::Alone;
use super::errors::{of_database, of_read, of_write};
use super::list::time;
use super::{Front, Who, Wish};
use crate::model::object::{Container, Kind, Object};
use crate::ops::read::{self, Content, ReadError, Reader};
use crate::ops::write::WriteError;
use crate::store::objects;

/// Most keys of one request to delete many.
const MAX_DELETES: usize = 1000;

/// What a reader makes its answer depend on.
struct Conditions {
    matches: Option<ETagCondition>,
    differs: Option<ETagCondition>,
    since: Option<dto::Timestamp>,
    unchanged_since: Option<dto::Timestamp>,
}

/// An object that may be read, and what it is.
pub(super) async fn found(front: &Front, bucket: &Container, key: &str) -> S3Result<Object> {
    let found = objects::get(&front.core.db, &bucket.id, key)
        .await
        .map_err(of_database)?;
    let found = found.filter(|found| !found.expired(front.core.clock.now()));
    found.ok_or_else(|| s3_error!(NoSuchKey, "The specified key does not exist."))
}

impl Conditions {
    fn check(&self, content: &Content, object: &Object) -> S3Result<()> {
        // HTTP's times are whole seconds, as those that clients were shown.
        let changed = time(nephos_types::Timestamp(
            object.updated_at.0 / 1_000_000 * 1_000_000,
        ));
        let same = |condition: &ETagCondition| match condition {
            ETagCondition::Any => true,
            ETagCondition::ETag(tag) => tag.value() == content.etag,
        };
        let failed = || {
            s3_error!(
                PreconditionFailed,
                "At least one of the pre-conditions you specified did not hold"
            )
        };
        match &self.matches {
            Some(condition) if !same(condition) => return Err(failed()),
            None if self
                .unchanged_since
                .as_ref()
                .is_some_and(|at| changed > *at) =>
            {
                return Err(failed());
            }
            _holds => {}
        }
        match &self.differs {
            Some(condition) if same(condition) => Err(s3_error!(NotModified)),
            None if self.since.as_ref().is_some_and(|at| changed <= *at) => {
                Err(s3_error!(NotModified))
            }
            _holds => Ok(()),
        }
    }
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
        let content = reader.content(&who.account, &object, 0).await?;
        match make(object, content).await {
            Ok(made) => Ok(Ok(made)),
            Err(Stop::Read(why)) => Err(why),
            Err(Stop::Answer(why)) => Ok(Err(why)),
        }
    };
    read::steady(attempt).await.map_err(of_read)?
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
        conditions.check(&content, &object)?;
        let size = content.size;
        let range = input.range.map(|range| range.check(size)).transpose();
        let range = range.map_err(S3Error::from)?;
        let mut output = described(&object, &content);
        let part = match &range {
            Some(range) => {
                let last = range.end.saturating_sub(1);
                output.content_range = Some(format!("bytes {}-{last}/{size}", range.start));
                content.within(range.clone())
            }
            None => content,
        };
        output.content_length = i64::try_from(part.size).ok();
        let chunks = part.stream(&front.0).await?;
        output.body = Some(StreamingBlob::wrap(Alone::new(chunks)));
        Ok((range, output))
    };
    let (range, mut output) = steady((front, &who), (&bucket, &input.key), open).await?;
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
    let mut response = S3Response::new(output);
    response.status = range.map(|_| http::StatusCode::PARTIAL_CONTENT);
    Ok(response)
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
    conditions.check(&content, &object)?;
    let shown = described(&object, &content);
    Ok(S3Response::new(dto::HeadObjectOutput {
        accept_ranges: shown.accept_ranges,
        cache_control: shown.cache_control,
        content_disposition: shown.content_disposition,
        content_encoding: shown.content_encoding,
        content_language: shown.content_language,
        content_length: i64::try_from(content.size).ok(),
        content_type: shown.content_type,
        e_tag: shown.e_tag,
        last_modified: shown.last_modified,
        metadata: shown.metadata,
        ..dto::HeadObjectOutput::default()
    }))
}

pub(super) async fn delete(
    front: &Front,
    request: S3Request<dto::DeleteObjectInput>,
) -> S3Result<S3Response<dto::DeleteObjectOutput>> {
    let who = front.who(&request).await?;
    let bucket = front
        .bucket(&who, &request.input.bucket, Wish::Write)
        .await?;
    if request.input.if_match.is_some() {
        return Err(s3_error!(
            NotImplemented,
            "Objects are deleted without conditions."
        ));
    }
    remove(front, &bucket, &request.input.key).await?;
    Ok(S3Response::with_status(
        dto::DeleteObjectOutput::default(),
        http::StatusCode::NO_CONTENT,
    ))
}

/// What is not there is deleted already.
async fn remove(front: &Front, bucket: &Container, key: &str) -> S3Result<()> {
    match front.remove_object(&bucket.id, key).await {
        Ok(()) | Err(WriteError::NoObject) => Ok(()),
        Err(why) => Err(of_write(why)),
    }
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
        match remove(front, &bucket, &object.key).await {
            Ok(()) => deleted.push(dto::DeletedObject {
                key: Some(object.key),
                ..dto::DeletedObject::default()
            }),
            Err(why) => errors.push(dto::Error {
                code: Some(why.code().as_str().to_owned()),
                key: Some(object.key),
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
