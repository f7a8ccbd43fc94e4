//! S3 over the same objects: a bucket is a container of the project's account. Signatures, routes and XML are s3s's.

mod bodies;
mod buckets;
mod conditions;
mod digest;
mod errors;
mod keys;
mod list;
mod objects;
mod parts;
mod put;
mod readable;
mod region;
mod tags;
mod wishes;

use std::sync::Arc;

use futures_util::future::BoxFuture;
use futures_util::{FutureExt as _, TryStreamExt as _};
use http::header::CONTENT_RANGE;
use http::{HeaderValue, StatusCode};
use nephos_api::{Dispatch, Payload, Request, Response, Service as _};
use s3s::service::{S3Service, S3ServiceBuilder};
use s3s::validation::NameValidation;
use s3s::{S3, S3Request, S3Response, S3Result, dto, s3_error};

use crate::Svc;
use crate::model::names;
use crate::model::object::Container;
use crate::ops::access::Access;
use crate::store::containers;

/// Largest answer that is not streamed with a known length, in bytes.
const ANSWER_BYTES: usize = 16 * 1024 * 1024;

/// S3 as a listener of its own serves it.
pub(crate) struct Door(S3Service);

impl Door {
    pub(crate) fn new(service: &Arc<Svc>) -> Self {
        let mut builder = S3ServiceBuilder::new(Front(Arc::clone(service)));
        builder.set_auth(keys::Auth(Arc::clone(service)));
        builder.set_validation(AnyContainer);
        Self(builder.build())
    }
}

/// Containers have more names than buckets of Amazon's.
struct AnyContainer;

impl NameValidation for AnyContainer {
    fn validate_bucket_name(&self, name: &str) -> bool {
        !name.is_empty() && names::check_container(name).is_ok()
    }
}

impl Dispatch for Door {
    fn dispatch(&self, request: Request) -> BoxFuture<'static, Response> {
        let service = self.0.clone();
        async move {
            if let Some(refusal) = region::refusal(&request.headers) {
                return refusal;
            }
            let request = match digest::check(request).await {
                Ok(request) => request,
                Err(refusal) => return refusal,
            };
            let Some(request) = bodies::incoming(request) else {
                return refused(StatusCode::BAD_REQUEST);
            };
            match service.call(request).await {
                Ok(answer) => outgoing(answer).await,
                Err(why) => {
                    tracing::error!(?why, "S3 request failed");
                    refused(StatusCode::INTERNAL_SERVER_ERROR)
                }
            }
        }
        .boxed()
    }
}

fn refused(status: StatusCode) -> Response {
    Response {
        status,
        headers: http::HeaderMap::new(),
        body: Payload::Empty,
    }
}

async fn outgoing(answer: http::Response<s3s::Body>) -> Response {
    let (parts, body) = answer.into_parts();
    let mut headers = parts.headers;
    let length = headers.remove(http::header::CONTENT_LENGTH);
    let length = length.and_then(|length| length.to_str().ok()?.parse::<u64>().ok());
    let id = nephos_runtime::ids::request_id();
    if let Ok(id) = HeaderValue::from_str(id.as_str()) {
        headers.insert("x-amz-request-id", id);
    }
    let body = match (body.bytes(), length) {
        (Some(bytes), None) => Payload::Bytes(readable::readable(&headers, bytes)),
        (Some(bytes), Some(length)) if bytes.len() as u64 == length => Payload::Bytes(bytes),
        (_, Some(length)) => Payload::Stream {
            length,
            chunks: Box::pin(body.map_err(std::io::Error::other)),
        },
        (None, None) => bodies::collected(body, ANSWER_BYTES).await,
    };
    // s3s says so of GET only.
    let is_part = parts.status == StatusCode::OK && headers.contains_key(CONTENT_RANGE);
    let status = if is_part {
        StatusCode::PARTIAL_CONTENT
    } else {
        parts.status
    };
    Response {
        status,
        headers,
        body,
    }
}

/// Carries out what s3s has read and checked.
#[derive(Clone)]
struct Front(Arc<Svc>);

impl std::ops::Deref for Front {
    type Target = Svc;
    fn deref(&self) -> &Svc {
        &self.0
    }
}

/// What is wanted of a bucket.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Wish {
    Read,
    List,
    Write,
    Own,
}

/// Who asks, and for which account.
struct Who {
    access: Access,
    account: String,
    /// Whose the bucket must be, and that of what a copy is made of, by the client's own word.
    expects: [Option<String>; 2],
}

/// Where they say so.
const EXPECTED: [&str; 2] = [
    "x-amz-expected-bucket-owner",
    "x-amz-source-expected-bucket-owner",
];

impl Front {
    /// The owner of the key that signed the request.
    async fn who<T>(&self, request: &S3Request<T>) -> S3Result<Who> {
        wishes::check(&request.headers)?;
        wishes::check_version(request.uri.query())?;
        wishes::check_signature(&request.headers, request.uri.query())?;
        let signed = request
            .credentials
            .as_ref()
            .ok_or_else(|| s3_error!(AccessDenied))?;
        let key = keys::find(&self.0, &signed.access_key).await?;
        let project = key
            .caller
            .project_id()
            .ok_or_else(|| s3_error!(AccessDenied))?;
        Ok(Who {
            account: format!("{}{}", names::PREFIX, project.as_str()),
            access: Access {
                caller: Arc::clone(&key.caller),
                policy: self.core().policy.clone(),
                referrer: None,
                grant: None,
            },
            expects: EXPECTED.map(|name| {
                let owner = request.headers.get(name)?;
                Some(String::from_utf8_lossy(owner.as_bytes()).into_owned())
            }),
        })
    }

    /// The bucket, if this may be done with it.
    async fn bucket(&self, who: &Who, name: &str, wish: Wish) -> S3Result<Container> {
        let [expected, _of_source] = &who.expects;
        self.bucket_of(who, (name, expected.as_deref()), wish).await
    }

    /// Likewise, if it is this owner's.
    async fn bucket_of(
        &self,
        who: &Who,
        (name, owner): (&str, Option<&str>),
        wish: Wish,
    ) -> S3Result<Container> {
        let found = containers::get(&self.core.db, &who.account, name).await;
        let found = found.map_err(errors::of_database)?;
        let found =
            found.ok_or_else(|| s3_error!(NoSuchBucket, "The specified bucket does not exist"))?;
        let may = match wish {
            Wish::Read => who.access.reads(&found, false),
            Wish::List => who.access.reads(&found, true),
            Wish::Write => who.access.writes(&found),
            Wish::Own => who.access.owns(&found.account),
        };
        if may && owner.is_none_or(|owner| owner == found.account) {
            Ok(found)
        } else {
            Err(s3_error!(AccessDenied, "Access Denied"))
        }
    }
}

macro_rules! operations {
    ($($name:ident: $input:ident => $output:ident, $handler:path;)+) => {
        #[async_trait::async_trait]
        impl S3 for Front {
            $(
                async fn $name(
                    &self,
                    request: S3Request<dto::$input>,
                ) -> S3Result<S3Response<dto::$output>> {
                    $handler(self, request).await
                }
            )+
        }
    };
}

operations! {
    list_buckets: ListBucketsInput => ListBucketsOutput, buckets::list;
    create_bucket: CreateBucketInput => CreateBucketOutput, buckets::create;
    head_bucket: HeadBucketInput => HeadBucketOutput, buckets::head;
    delete_bucket: DeleteBucketInput => DeleteBucketOutput, buckets::delete;
    get_bucket_versioning: GetBucketVersioningInput => GetBucketVersioningOutput, buckets::versioning;
    get_object_tagging: GetObjectTaggingInput => GetObjectTaggingOutput, tags::get;
    get_bucket_location: GetBucketLocationInput => GetBucketLocationOutput, buckets::location;
    list_objects: ListObjectsInput => ListObjectsOutput, list::first;
    list_objects_v2: ListObjectsV2Input => ListObjectsV2Output, list::second;
    put_object: PutObjectInput => PutObjectOutput, put::put;
    copy_object: CopyObjectInput => CopyObjectOutput, put::copy;
    get_object: GetObjectInput => GetObjectOutput, objects::get;
    head_object: HeadObjectInput => HeadObjectOutput, objects::head;
    delete_object: DeleteObjectInput => DeleteObjectOutput, objects::delete;
    delete_objects: DeleteObjectsInput => DeleteObjectsOutput, objects::delete_many;
    create_multipart_upload: CreateMultipartUploadInput => CreateMultipartUploadOutput, parts::create;
    upload_part: UploadPartInput => UploadPartOutput, parts::put;
    upload_part_copy: UploadPartCopyInput => UploadPartCopyOutput, parts::copy;
    complete_multipart_upload: CompleteMultipartUploadInput => CompleteMultipartUploadOutput, parts::complete;
    abort_multipart_upload: AbortMultipartUploadInput => AbortMultipartUploadOutput, parts::abort;
    list_parts: ListPartsInput => ListPartsOutput, parts::list;
    list_multipart_uploads: ListMultipartUploadsInput => ListMultipartUploadsOutput, parts::uploads;
}
