//! Objects uploaded in parts.

use std::sync::Arc;

use futures_util::StreamExt as _;
use s3s::{S3Request, S3Response, S3Result, dto, s3_error};

use super::bodies::Checked;
use super::conditions::{Conditions, of_place};
use super::errors::{of_database, of_write};
use super::list::{encodes, time};
use super::objects::steady;
use super::put::{Described, check_key, http_date, length, md5_of, room, source};
use super::{Front, Who, Wish};
use crate::model::names::quoted;
use crate::model::object::{Object, Part, PartsUpload, UploadId};
use crate::ops::parts::tag_of;
use crate::ops::read::Content;
use crate::ops::write::{Goal, Source, Upload, WriteError, Written};
use crate::store::uploads as store;

/// Parts are numbered from 1 to this.
const MAX_PARTS: i32 = 10_000;
/// Most entries of one answer.
const PAGE: i32 = 1000;

/// The upload of this id, key and bucket.
async fn upload(
    front: &Front,
    who: &Who,
    (bucket, key, id): (&str, &str, &str),
) -> S3Result<PartsUpload> {
    let bucket = front.bucket(who, bucket, Wish::Write).await?;
    let found = store::get(&front.core.db, &UploadId::from(id)).await;
    let found = found.map_err(of_database)?;
    let found = found.filter(|found| found.container_id == bucket.id && found.name == key);
    found.ok_or_else(|| of_write(WriteError::NoUpload))
}

pub(super) async fn create(
    front: &Front,
    request: S3Request<dto::CreateMultipartUploadInput>,
) -> S3Result<S3Response<dto::CreateMultipartUploadOutput>> {
    let who = front.who(&request).await?;
    let input = request.input;
    let bucket = front.bucket(&who, &input.bucket, Wish::Write).await?;
    check_key(&input.key)?;
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
    let upload = PartsUpload {
        id: UploadId::from(nephos_runtime::ids::uuid()),
        container_id: bucket.id,
        name: input.key.clone(),
        content_type: described.content_type(),
        meta: described.meta()?,
        created_at: front.core.clock.now(),
    };
    front.begin_parts(&upload).await.map_err(of_write)?;
    Ok(S3Response::new(dto::CreateMultipartUploadOutput {
        bucket: Some(input.bucket),
        key: Some(input.key),
        upload_id: Some(upload.id.0),
        ..dto::CreateMultipartUploadOutput::default()
    }))
}

fn number(number: i32) -> S3Result<i64> {
    if (1..=MAX_PARTS).contains(&number) {
        Ok(i64::from(number))
    } else {
        Err(s3_error!(
            InvalidArgument,
            "Part number must be an integer between 1 and 10000, inclusive"
        ))
    }
}

pub(super) async fn put(
    front: &Front,
    request: S3Request<dto::UploadPartInput>,
) -> S3Result<S3Response<dto::UploadPartOutput>> {
    let who = front.who(&request).await?;
    let S3Request {
        input,
        headers,
        trailing_headers,
        ..
    } = request;
    let number = number(input.part_number)?;
    let place = (
        input.bucket.as_str(),
        input.key.as_str(),
        input.upload_id.as_str(),
    );
    let found = upload(front, &who, place).await?;
    let length = length(&headers, input.content_length);
    let bucket = front.bucket(&who, &input.bucket, Wish::Write).await?;
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
        goal: Goal::Part(found.id, number),
        etag: md5_of(input.content_md5.as_deref())?,
        length,
    };
    let body = Checked::new(input.body, expected, trailing_headers, &headers);
    let part = part(upload.run(Source::Chunks(body.boxed())).await)?;
    Ok(S3Response::new(dto::UploadPartOutput {
        e_tag: Some(dto::ETag::Strong(part.etag)),
        ..dto::UploadPartOutput::default()
    }))
}

fn part(written: Result<Written, WriteError>) -> S3Result<Part> {
    match written.map_err(of_write)? {
        Written::Part(part) => Ok(part),
        Written::Object(_) => Err(of_write(WriteError::GivenUp)),
    }
}

pub(super) async fn copy(
    front: &Front,
    request: S3Request<dto::UploadPartCopyInput>,
) -> S3Result<S3Response<dto::UploadPartCopyOutput>> {
    let who = front.who(&request).await?;
    let input = request.input;
    let number = number(input.part_number)?;
    let place = (
        input.bucket.as_str(),
        input.key.as_str(),
        input.upload_id.as_str(),
    );
    let found = upload(front, &who, place).await?;
    let (from, key) = source(front, &who, &input.copy_source).await?;
    let conditions = Conditions {
        matches: input.copy_source_if_match,
        differs: input.copy_source_if_none_match,
        since: input.copy_source_if_modified_since,
        unchanged_since: input.copy_source_if_unmodified_since,
    };
    let open = async |object: Object, mut content: Content| {
        conditions.of_source(&content.etag, object.updated_at)?;
        if let Some(range) = &input.copy_source_range {
            content = within(&content, range)?;
        }
        let size = content.size;
        Ok((size, content.stream(&front.0).await?))
    };
    let (size, chunks) = steady((front, &who), (&from, key), open).await?;
    let upload = Upload {
        service: Arc::clone(&front.0),
        goal: Goal::Part(found.id, number),
        etag: None,
        length: Some(size),
    };
    let part = part(upload.run(Source::Chunks(chunks)).await)?;
    let result = dto::CopyPartResult {
        e_tag: Some(dto::ETag::Strong(part.etag)),
        last_modified: Some(time(part.created_at)),
        ..dto::CopyPartResult::default()
    };
    Ok(S3Response::new(dto::UploadPartCopyOutput {
        copy_part_result: Some(result),
        ..dto::UploadPartCopyOutput::default()
    }))
}

/// The bytes that a copy takes, from the first to the last of them.
fn within(content: &Content, range: &str) -> S3Result<Content> {
    let ends = range
        .strip_prefix("bytes=")
        .and_then(|ends| ends.split_once('-'));
    let number = |text: &str| text.parse::<u64>().ok();
    let ends = ends.and_then(|(first, last)| number(first).zip(number(last)));
    match ends {
        Some((first, last)) if first <= last && last < content.size => {
            Ok(content.within(first..last + 1))
        }
        _other => Err(s3s::S3Error::with_message(
            s3s::S3ErrorCode::InvalidArgument,
            format!(
                "Range specified is not valid for source object of size: {}",
                content.size
            ),
        )),
    }
}

pub(super) async fn complete(
    front: &Front,
    request: S3Request<dto::CompleteMultipartUploadInput>,
) -> S3Result<S3Response<dto::CompleteMultipartUploadOutput>> {
    let who = front.who(&request).await?;
    let input = request.input;
    let place = (
        input.bucket.as_str(),
        input.key.as_str(),
        input.upload_id.as_str(),
    );
    let listed = input
        .multipart_upload
        .and_then(|list| list.parts)
        .unwrap_or_default();
    let has_checksum = |part: &dto::CompletedPart| {
        part.checksum_crc32.is_some()
            || part.checksum_crc32c.is_some()
            || part.checksum_crc64nvme.is_some()
            || part.checksum_sha1.is_some()
            || part.checksum_sha256.is_some()
    };
    let of_whole = input.checksum_crc32.is_some()
        || input.checksum_crc32c.is_some()
        || input.checksum_crc64nvme.is_some()
        || input.checksum_sha1.is_some()
        || input.checksum_sha256.is_some();
    if of_whole || listed.iter().any(has_checksum) {
        return Err(s3_error!(
            NotImplemented,
            "Parts are checked when they come; afterwards, there are their ETags."
        ));
    }
    let missing = || s3_error!(MalformedXML, "Every part needs a number and an ETag.");
    let wanted: Option<Vec<(i64, String)>> = listed
        .into_iter()
        .map(|part| Some((i64::from(part.part_number?), part.e_tag?.into_value())))
        .collect();
    let wanted = wanted.ok_or_else(missing)?;
    let condition = of_place(input.if_match, input.if_none_match)?;
    let made = match upload(front, &who, place).await {
        Ok(found) => {
            let wish = (wanted.as_slice(), input.mpu_object_size);
            front.complete_parts(&found.id, wish, &condition).await
        }
        Err(why) => {
            let done = completed(front, &who, place, &wanted).await?;
            let tag = done.ok_or(why)?;
            return Ok(whole(&input.bucket, &input.key, tag));
        }
    };
    let object = made.map_err(of_write)?;
    Ok(whole(&input.bucket, &input.key, object.facts.etag))
}

fn whole(bucket: &str, key: &str, tag: String) -> S3Response<dto::CompleteMultipartUploadOutput> {
    S3Response::new(dto::CompleteMultipartUploadOutput {
        location: Some(format!("/{bucket}/{key}")),
        bucket: Some(bucket.to_owned()),
        key: Some(key.to_owned()),
        e_tag: Some(dto::ETag::Strong(tag)),
        ..dto::CompleteMultipartUploadOutput::default()
    })
}

/// Asked for again, because the answer was lost: the tag of what this upload became, of these parts.
async fn completed(
    front: &Front,
    who: &Who,
    (bucket, key, id): (&str, &str, &str),
    wanted: &[(i64, String)],
) -> S3Result<Option<String>> {
    let bucket = front.bucket(who, bucket, Wish::Write).await?;
    let made = store::finished(&front.core.db, &UploadId::from(id), (&bucket.id, key)).await;
    let tag = tag_of(wanted.iter().map(|(_, tag)| tag.as_str()));
    Ok(made.map_err(of_database)?.filter(|made| *made == tag))
}

pub(super) async fn abort(
    front: &Front,
    request: S3Request<dto::AbortMultipartUploadInput>,
) -> S3Result<S3Response<dto::AbortMultipartUploadOutput>> {
    let who = front.who(&request).await?;
    let input = request.input;
    let place = (
        input.bucket.as_str(),
        input.key.as_str(),
        input.upload_id.as_str(),
    );
    let found = upload(front, &who, place).await?;
    front.abort_parts(&found.id).await.map_err(of_write)?;
    Ok(S3Response::with_status(
        dto::AbortMultipartUploadOutput::default(),
        http::StatusCode::NO_CONTENT,
    ))
}

pub(super) async fn list(
    front: &Front,
    request: S3Request<dto::ListPartsInput>,
) -> S3Result<S3Response<dto::ListPartsOutput>> {
    let who = front.who(&request).await?;
    let input = request.input;
    let place = (
        input.bucket.as_str(),
        input.key.as_str(),
        input.upload_id.as_str(),
    );
    let found = upload(front, &who, place).await?;
    let max = input.max_parts.unwrap_or(PAGE).clamp(0, PAGE);
    let behind = i64::from(input.part_number_marker.unwrap_or(0));
    let page = (behind, i64::from(max) + 1);
    let parts = store::parts(&front.core.db, &found.id, page)
        .await
        .map_err(of_database)?;
    let more = parts.len() > usize::try_from(max).unwrap_or(0);
    let view = |part: Part| dto::Part {
        e_tag: Some(dto::ETag::Strong(part.etag)),
        last_modified: Some(time(part.created_at)),
        part_number: i32::try_from(part.number).ok(),
        size: Some(part.size),
        ..dto::Part::default()
    };
    let parts: Vec<dto::Part> = parts
        .into_iter()
        .take(usize::try_from(max).unwrap_or(0))
        .map(view)
        .collect();
    let next = parts.last().and_then(|last| last.part_number);
    Ok(S3Response::new(dto::ListPartsOutput {
        bucket: Some(input.bucket),
        key: Some(input.key),
        upload_id: Some(input.upload_id),
        is_truncated: Some(more),
        max_parts: Some(max),
        part_number_marker: input.part_number_marker,
        next_part_number_marker: next.filter(|_| more),
        parts: Some(parts),
        ..dto::ListPartsOutput::default()
    }))
}

pub(super) async fn uploads(
    front: &Front,
    request: S3Request<dto::ListMultipartUploadsInput>,
) -> S3Result<S3Response<dto::ListMultipartUploadsOutput>> {
    let who = front.who(&request).await?;
    let input = request.input;
    let bucket = front.bucket(&who, &input.bucket, Wish::List).await?;
    if input.delimiter.is_some() {
        return Err(s3_error!(
            NotImplemented,
            "Uploads are listed without delimiter."
        ));
    }
    let prefix = input.prefix.clone().unwrap_or_default();
    let max = input.max_uploads.unwrap_or(PAGE).clamp(0, PAGE);
    let marker = input.key_marker.clone().unwrap_or_default();
    // Without an id, the marker's own uploads are behind it.
    let id = input
        .upload_id_marker
        .clone()
        .unwrap_or_else(|| "~".to_owned());
    let limit = i64::from(max) + 1;
    let found = store::page(&front.core.db, (&bucket.id, &prefix), (&marker, &id), limit).await;
    let found = found.map_err(of_database)?;
    let count = usize::try_from(max).unwrap_or(0);
    let more = found.len() > count;
    let last = found.get(count.wrapping_sub(1)).filter(|_| more);
    let (next_key, next_id) = last
        .map(|last| (last.name.clone(), last.id.0.clone()))
        .unzip();
    let encode = encodes(input.encoding_type.as_ref());
    let shown = |name: String| if encode { quoted(&name) } else { name };
    let view = |upload: PartsUpload| dto::MultipartUpload {
        initiated: Some(time(upload.created_at)),
        key: Some(shown(upload.name)),
        upload_id: Some(upload.id.0),
        ..dto::MultipartUpload::default()
    };
    Ok(S3Response::new(dto::ListMultipartUploadsOutput {
        bucket: Some(input.bucket),
        is_truncated: Some(more),
        prefix: input.prefix.map(shown),
        key_marker: input.key_marker.map(shown),
        upload_id_marker: input.upload_id_marker,
        max_uploads: Some(max),
        encoding_type: input.encoding_type,
        next_key_marker: next_key.map(shown),
        next_upload_id_marker: next_id,
        uploads: Some(found.into_iter().take(count).map(view).collect()),
        ..dto::ListMultipartUploadsOutput::default()
    }))
}
