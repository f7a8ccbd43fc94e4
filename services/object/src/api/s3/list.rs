//! Lists of objects, in both forms.

use std::time::{Duration, UNIX_EPOCH};

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use nephos_types::Timestamp;
use s3s::{S3Request, S3Response, S3Result, dto, s3_error};

use super::errors::of_database;
use super::{Front, Wish};
use crate::model::listing::{Entry, Gather, Wish as Names};
use crate::model::names::quoted;
use crate::model::object::Container;
use crate::store::listing::{ObjectLine, objects};

/// Most keys of one answer, as S3 has it.
const MAX_KEYS: i32 = 1000;

/// A time as s3s takes it.
pub(super) fn time(at: Timestamp) -> dto::Timestamp {
    let micros = u64::try_from(at.0).unwrap_or(0);
    dto::Timestamp::from(UNIX_EPOCH + Duration::from_micros(micros))
}

/// A page of a list.
struct Listed {
    objects: Vec<dto::Object>,
    folders: Vec<dto::CommonPrefix>,
    /// The last name, when there are more behind it.
    last: Option<String>,
}

async fn listed(
    front: &Front,
    (bucket, with_owner): (&Container, bool),
    names: Names,
    encode: bool,
) -> S3Result<Listed> {
    let owner = with_owner.then(|| owner(bucket));
    let limit = names.limit;
    let wish = Names {
        limit: limit + 1,
        ..names
    };
    let mut gather: Gather<ObjectLine> = Gather::new(wish);
    while !gather.full() {
        let missing = gather.missing();
        let rows = objects(&front.core.db, &bucket.id, &gather.bounds, (missing, false)).await;
        let rows = rows.map_err(of_database)?;
        let last = rows.len() < missing;
        for row in rows {
            let name = row.name.clone();
            gather.take(&name, row);
        }
        if last {
            break;
        }
    }
    let more = gather.entries.len() > limit;
    let shown = |name: &str| {
        if encode {
            quoted(name)
        } else {
            name.to_owned()
        }
    };
    let mut page = Listed {
        objects: Vec::new(),
        folders: Vec::new(),
        last: None,
    };
    for entry in gather.entries.into_iter().take(limit) {
        match entry {
            Entry::Item(line) => {
                page.objects.push(dto::Object {
                    key: Some(shown(&line.name)),
                    e_tag: Some(dto::ETag::Strong(line.etag)),
                    last_modified: Some(time(line.updated_at)),
                    owner: owner.clone(),
                    size: Some(line.size),
                    storage_class: Some(dto::ObjectStorageClass::from_static(
                        dto::ObjectStorageClass::STANDARD,
                    )),
                    ..dto::Object::default()
                });
                page.last = Some(line.name);
            }
            Entry::Folder(name) => {
                page.folders.push(dto::CommonPrefix {
                    prefix: Some(shown(&name)),
                });
                page.last = Some(name);
            }
        }
    }
    page.last = page.last.filter(|_| more);
    Ok(page)
}

/// Whose a bucket is: the id is that which lists of buckets show.
fn owner(bucket: &Container) -> dto::Owner {
    dto::Owner {
        display_name: Some(bucket.account.clone()),
        id: Some(bucket.account.clone()),
    }
}

fn limit(max: Option<i32>) -> S3Result<(usize, i32)> {
    let max = max.unwrap_or(MAX_KEYS).min(MAX_KEYS);
    let limit = usize::try_from(max);
    let limit = limit.map_err(|_| s3_error!(InvalidArgument, "max-keys must not be negative"))?;
    Ok((limit, max))
}

/// Whether names are asked for as parts of a URL are written: XML has no control characters.
pub(super) fn encodes(encoding: Option<&dto::EncodingType>) -> bool {
    encoding.is_some_and(|encoding| encoding.as_str() == dto::EncodingType::URL)
}

pub(super) async fn first(
    front: &Front,
    request: S3Request<dto::ListObjectsInput>,
) -> S3Result<S3Response<dto::ListObjectsOutput>> {
    let who = front.who(&request).await?;
    let input = request.input;
    let bucket = front.bucket(&who, &input.bucket, Wish::List).await?;
    let (limit, max) = limit(input.max_keys)?;
    let encode = encodes(input.encoding_type.as_ref());
    let names = Names {
        prefix: input.prefix.clone().unwrap_or_default(),
        delimiter: input.delimiter.clone().unwrap_or_default(),
        marker: input.marker.clone(),
        limit,
        ..Names::default()
    };
    let page = listed(front, (&bucket, true), names, encode).await?;
    let shown = |name: String| if encode { quoted(&name) } else { name };
    Ok(S3Response::new(dto::ListObjectsOutput {
        name: Some(input.bucket),
        prefix: Some(shown(input.prefix.unwrap_or_default())),
        marker: Some(shown(input.marker.unwrap_or_default())),
        max_keys: Some(max),
        is_truncated: Some(page.last.is_some()),
        contents: Some(page.objects),
        common_prefixes: Some(page.folders),
        delimiter: input.delimiter,
        next_marker: page.last.map(shown),
        encoding_type: input.encoding_type,
        ..dto::ListObjectsOutput::default()
    }))
}

pub(super) async fn second(
    front: &Front,
    request: S3Request<dto::ListObjectsV2Input>,
) -> S3Result<S3Response<dto::ListObjectsV2Output>> {
    let who = front.who(&request).await?;
    let input = request.input;
    let bucket = front.bucket(&who, &input.bucket, Wish::List).await?;
    let (limit, max) = limit(input.max_keys)?;
    let encode = encodes(input.encoding_type.as_ref());
    let wrong = || {
        s3_error!(
            InvalidArgument,
            "The continuation token provided is incorrect"
        )
    };
    let behind = match &input.continuation_token {
        Some(token) => {
            let name = URL_SAFE_NO_PAD.decode(token).map_err(|_| wrong())?;
            Some(String::from_utf8(name).map_err(|_| wrong())?)
        }
        None => input.start_after.clone(),
    };
    let names = Names {
        prefix: input.prefix.clone().unwrap_or_default(),
        delimiter: input.delimiter.clone().unwrap_or_default(),
        marker: behind,
        limit,
        ..Names::default()
    };
    let with_owner = input.fetch_owner.unwrap_or(false);
    let page = listed(front, (&bucket, with_owner), names, encode).await?;
    let shown = |name: String| if encode { quoted(&name) } else { name };
    let count = page.objects.len() + page.folders.len();
    Ok(S3Response::new(dto::ListObjectsV2Output {
        name: Some(input.bucket),
        prefix: Some(shown(input.prefix.unwrap_or_default())),
        max_keys: Some(max),
        key_count: i32::try_from(count).ok(),
        continuation_token: input.continuation_token,
        is_truncated: Some(page.last.is_some()),
        next_continuation_token: page.last.map(|name| URL_SAFE_NO_PAD.encode(name)),
        contents: Some(page.objects),
        common_prefixes: Some(page.folders),
        delimiter: input.delimiter,
        encoding_type: input.encoding_type,
        start_after: input.start_after.map(shown),
        ..dto::ListObjectsV2Output::default()
    }))
}
