//! An S3 in memory, reached without a socket, whose requests can be made to fail: the other end of a bucket in tests.

use std::collections::BTreeMap;
use std::fmt;
use std::sync::{Arc, Mutex};

use aws_sdk_s3::Client;
use aws_sdk_s3::config::http::{HttpRequest, HttpResponse};
use aws_sdk_s3::config::retry::RetryConfig;
use aws_sdk_s3::config::timeout::TimeoutConfig;
use aws_sdk_s3::config::{HttpClient, RuntimeComponents, SharedHttpClient};
use aws_sdk_s3::error::ConnectorError;
use aws_sdk_s3::primitives::SdkBody;
use aws_smithy_runtime_api::client::http::{
    HttpConnector, HttpConnectorFuture, HttpConnectorSettings, SharedHttpConnector,
};
use bytes::{Bytes, BytesMut};
use futures_util::{Stream, TryStreamExt as _};
use s3s::auth::SimpleAuth;
use s3s::dto::*;
use s3s::service::{S3Service, S3ServiceBuilder};
use s3s::{S3, S3Request, S3Response, S3Result, s3_error};
use std::time::Duration;

use super::{Bucket, BucketSettings, connect};

/// The bucket that is there.
pub(super) const BUCKET: &str = "blobs";

pub(super) fn settings() -> BucketSettings {
    BucketSettings {
        endpoint: Some("http://other.example".to_owned()),
        bucket: BUCKET.to_owned(),
        region: "us-east-1".to_owned(),
        path_style: true,
        access_key: "the-access-key".to_owned(),
        secret_key: "the-secret-key".to_owned(),
    }
}

/// How a request goes wrong.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Fault {
    /// Nobody listens.
    Closed,
    /// Never answered.
    Silent,
    /// Carried out, and the answer is lost.
    Lost,
    /// Answered so, with this code.
    Answer(u16, &'static str),
    /// Carried out, and the body of the answer breaks off after so many bytes.
    Broken(usize),
}

/// What it has, and what was asked of it.
#[derive(Clone, Default)]
pub(super) struct Other(Arc<Mutex<Inside>>);

#[derive(Default)]
pub(super) struct Inside {
    pub objects: BTreeMap<String, Bytes>,
    pub uploads: BTreeMap<String, (String, BTreeMap<i32, Bytes>)>,
    /// Requests, by what they want.
    pub asked: Vec<&'static str>,
    /// Keys of a page at most.
    pub page: Option<usize>,
    faults: Vec<(&'static str, usize, Fault)>,
    begun: usize,
}

impl fmt::Debug for Other {
    fn fmt(&self, to: &mut fmt::Formatter<'_>) -> fmt::Result {
        to.write_str("Other")
    }
}

impl Other {
    pub(super) fn inside<T>(&self, look: impl FnOnce(&mut Inside) -> T) -> T {
        look(&mut self.0.lock().unwrap())
    }

    /// Lets the next requests that want this go wrong.
    pub(super) fn fail(&self, what: &'static str, times: usize, fault: Fault) {
        self.inside(|inside| inside.faults.push((what, times, fault)));
    }

    pub(super) fn asked(&self, what: &str) -> usize {
        self.inside(|inside| inside.asked.iter().filter(|asked| **asked == what).count())
    }

    pub(super) fn bucket(&self) -> Bucket {
        self.bucket_of(&settings())
    }

    /// A bucket as the service has it, but for pauses between tries.
    pub(super) fn bucket_of(&self, settings: &BucketSettings) -> Bucket {
        let mut service = S3ServiceBuilder::new(self.clone());
        service.set_auth(SimpleAuth::from_single("the-access-key", "the-secret-key"));
        let wire = Wire {
            other: self.clone(),
            service: service.build(),
        };
        let at_once = Duration::from_millis(1);
        let retries = RetryConfig::standard()
            .with_max_attempts(3)
            .with_initial_backoff(at_once)
            .with_max_backoff(at_once);
        let patience = TimeoutConfig::builder().operation_attempt_timeout(Duration::from_secs(10));
        let config = connect::config(settings, SharedHttpClient::new(wire))
            .retry_config(retries)
            .timeout_config(patience.build());
        Bucket::over(settings, Client::from_conf(config.build()))
    }

    fn fault(&self, what: &'static str) -> Option<Fault> {
        self.inside(|inside| {
            inside.asked.push(what);
            let due = |(wants, times, _): &&mut (&str, usize, Fault)| *wants == what && *times > 0;
            let (_, times, fault) = inside.faults.iter_mut().find(due)?;
            *times -= 1;
            Some(*fault)
        })
    }
}

/// Hands requests over.
#[derive(Clone, Debug)]
struct Wire {
    other: Other,
    service: S3Service,
}

impl HttpClient for Wire {
    fn http_connector(
        &self,
        _settings: &HttpConnectorSettings,
        _components: &RuntimeComponents,
    ) -> SharedHttpConnector {
        SharedHttpConnector::new(self.clone())
    }
}

impl HttpConnector for Wire {
    fn call(&self, request: HttpRequest) -> HttpConnectorFuture {
        let wire = self.clone();
        HttpConnectorFuture::new(async move { wire.answer(request).await })
    }
}

impl Wire {
    async fn answer(self, request: HttpRequest) -> Result<HttpResponse, ConnectorError> {
        let fault = self.other.fault(wanted(&request));
        match fault {
            Some(Fault::Closed) => {
                let refused = std::io::Error::from(std::io::ErrorKind::ConnectionRefused);
                return Err(ConnectorError::io(refused.into()));
            }
            Some(Fault::Silent) => std::future::pending().await,
            Some(Fault::Answer(status, code)) => {
                let body = format!("<Error><Code>{code}</Code><Message>so it is</Message></Error>");
                let answer = http::Response::builder().status(status);
                let answer = answer.body(SdkBody::from(body)).unwrap();
                return Ok(answer.try_into().unwrap());
            }
            Some(Fault::Lost | Fault::Broken(_)) | None => {}
        }
        let mut request = request.try_into_http1x().unwrap();
        // It is signed, and hyper would write it.
        let host = request.uri().authority().unwrap().as_str().parse().unwrap();
        request.headers_mut().insert(http::header::HOST, host);
        let request = request.map(|body| {
            let bytes = body.bytes().expect("a body that can be sent again");
            s3s::Body::from(Bytes::copy_from_slice(bytes))
        });
        let (head, mut body) = self.service.call(request).await.unwrap().into_parts();
        if fault == Some(Fault::Lost) {
            return Err(ConnectorError::timeout("the answer was lost".into()));
        }
        let mut bytes = BytesMut::new();
        while let Some(chunk) = body.try_next().await.unwrap() {
            bytes.extend_from_slice(&chunk);
        }
        let body = match fault {
            Some(Fault::Broken(after)) => broken(bytes.freeze().slice(..after)),
            _whole => SdkBody::from(bytes.freeze()),
        };
        Ok(http::Response::from_parts(head, body).try_into().unwrap())
    }
}

/// A body that breaks off behind these bytes.
fn broken(bytes: Bytes) -> SdkBody {
    let off = std::io::Error::from(std::io::ErrorKind::ConnectionReset);
    let chunks = futures_util::stream::iter([Ok(bytes), Err(off)]);
    SdkBody::from_body_1_x(s3s::Body::from(StreamingBlob::wrap(chunks)))
}

/// What a request wants.
fn wanted(request: &HttpRequest) -> &'static str {
    let query = request.uri().split_once('?').map_or("", |(_, query)| query);
    let has = |name: &str| {
        let mut pairs = query.split('&');
        pairs.any(|pair| pair.split('=').next() == Some(name))
    };
    match request.method() {
        "GET" if has("list-type") => "list",
        "GET" if has("uploads") => "uploads",
        "GET" => "get",
        "HEAD" => "head",
        "POST" if has("uploads") => "begin",
        "POST" => "complete",
        "PUT" if has("partNumber") => "part",
        "PUT" => "put",
        "DELETE" if has("uploadId") => "abort",
        _delete => "delete",
    }
}

impl Inside {
    fn of_bucket(&mut self, bucket: &str) -> S3Result<&mut Self> {
        if bucket == BUCKET {
            Ok(self)
        } else {
            Err(s3_error!(NoSuchBucket))
        }
    }
}

async fn collected(
    body: Option<impl Stream<Item = Result<Bytes, s3s::StdError>> + Unpin>,
) -> S3Result<Bytes> {
    let (mut bytes, mut body) = (BytesMut::new(), body.unwrap());
    while let Some(chunk) = body.try_next().await.map_err(|_| s3_error!(BadDigest))? {
        bytes.extend_from_slice(&chunk);
    }
    Ok(bytes.freeze())
}

#[async_trait::async_trait]
impl S3 for Other {
    async fn put_object(
        &self,
        req: S3Request<PutObjectInput>,
    ) -> S3Result<S3Response<PutObjectOutput>> {
        let bytes = collected(req.input.body).await?;
        let mut inside = self.0.lock().unwrap();
        let inside = inside.of_bucket(&req.input.bucket)?;
        inside.objects.insert(req.input.key, bytes);
        Ok(S3Response::new(PutObjectOutput::default()))
    }

    async fn head_object(
        &self,
        req: S3Request<HeadObjectInput>,
    ) -> S3Result<S3Response<HeadObjectOutput>> {
        let mut inside = self.0.lock().unwrap();
        let found = inside
            .of_bucket(&req.input.bucket)?
            .objects
            .get(&req.input.key);
        let found = found.ok_or_else(|| s3_error!(NoSuchKey))?;
        Ok(S3Response::new(HeadObjectOutput {
            content_length: i64::try_from(found.len()).ok(),
            ..HeadObjectOutput::default()
        }))
    }

    async fn get_object(
        &self,
        req: S3Request<GetObjectInput>,
    ) -> S3Result<S3Response<GetObjectOutput>> {
        let mut inside = self.0.lock().unwrap();
        let found = inside
            .of_bucket(&req.input.bucket)?
            .objects
            .get(&req.input.key);
        let found = found.ok_or_else(|| s3_error!(NoSuchKey))?.clone();
        let range = req.input.range.unwrap().check(found.len() as u64)?;
        let found = found.slice(range.start as usize..range.end as usize);
        Ok(S3Response::new(GetObjectOutput {
            content_length: i64::try_from(found.len()).ok(),
            body: Some(StreamingBlob::from(s3s::Body::from(found))),
            ..GetObjectOutput::default()
        }))
    }

    async fn delete_object(
        &self,
        req: S3Request<DeleteObjectInput>,
    ) -> S3Result<S3Response<DeleteObjectOutput>> {
        let mut inside = self.0.lock().unwrap();
        inside
            .of_bucket(&req.input.bucket)?
            .objects
            .remove(&req.input.key);
        Ok(S3Response::new(DeleteObjectOutput::default()))
    }

    async fn create_multipart_upload(
        &self,
        req: S3Request<CreateMultipartUploadInput>,
    ) -> S3Result<S3Response<CreateMultipartUploadOutput>> {
        let mut inside = self.0.lock().unwrap();
        let inside = inside.of_bucket(&req.input.bucket)?;
        inside.begun += 1;
        let id = format!("upload-{:03}", inside.begun);
        inside
            .uploads
            .insert(id.clone(), (req.input.key, BTreeMap::new()));
        Ok(S3Response::new(CreateMultipartUploadOutput {
            upload_id: Some(id),
            ..CreateMultipartUploadOutput::default()
        }))
    }

    async fn upload_part(
        &self,
        req: S3Request<UploadPartInput>,
    ) -> S3Result<S3Response<UploadPartOutput>> {
        let bytes = collected(req.input.body).await?;
        let mut inside = self.0.lock().unwrap();
        let upload = inside.uploads.get_mut(&req.input.upload_id);
        let (_, parts) = upload.ok_or_else(|| s3_error!(NoSuchUpload))?;
        let tag = format!("{}-{}", req.input.part_number, bytes.len());
        parts.insert(req.input.part_number, bytes);
        Ok(S3Response::new(UploadPartOutput {
            e_tag: Some(ETag::Strong(tag)),
            ..UploadPartOutput::default()
        }))
    }

    async fn complete_multipart_upload(
        &self,
        req: S3Request<CompleteMultipartUploadInput>,
    ) -> S3Result<S3Response<CompleteMultipartUploadOutput>> {
        let mut inside = self.0.lock().unwrap();
        let upload = inside.uploads.remove(&req.input.upload_id);
        let (key, parts) = upload.ok_or_else(|| s3_error!(NoSuchUpload))?;
        let wanted = req.input.multipart_upload.unwrap().parts.unwrap();
        let mut whole = BytesMut::new();
        for part in &wanted {
            let bytes = &parts[&part.part_number.unwrap()];
            let tag = format!("{}-{}", part.part_number.unwrap(), bytes.len());
            assert_eq!(part.e_tag, Some(ETag::Strong(tag)));
            whole.extend_from_slice(bytes);
        }
        inside.objects.insert(key, whole.freeze());
        Ok(S3Response::new(CompleteMultipartUploadOutput::default()))
    }

    async fn abort_multipart_upload(
        &self,
        req: S3Request<AbortMultipartUploadInput>,
    ) -> S3Result<S3Response<AbortMultipartUploadOutput>> {
        let mut inside = self.0.lock().unwrap();
        match inside.uploads.remove(&req.input.upload_id) {
            Some(_) => Ok(S3Response::new(AbortMultipartUploadOutput::default())),
            None => Err(s3_error!(NoSuchUpload)),
        }
    }

    async fn list_objects_v2(
        &self,
        req: S3Request<ListObjectsV2Input>,
    ) -> S3Result<S3Response<ListObjectsV2Output>> {
        let mut inside = self.0.lock().unwrap();
        let inside = inside.of_bucket(&req.input.bucket)?;
        let prefix = req.input.prefix.unwrap_or_default();
        let after = req.input.continuation_token.unwrap_or_default();
        let keys = inside.objects.keys();
        let mut keys: Vec<&String> = keys
            .filter(|key| key.starts_with(&prefix) && **key > after)
            .collect();
        let most = inside.page.unwrap_or(req.input.max_keys.unwrap() as usize);
        let more = keys.len() > most;
        keys.truncate(most);
        let object = |key: &&String| Object {
            key: Some((*key).clone()),
            ..Object::default()
        };
        Ok(S3Response::new(ListObjectsV2Output {
            is_truncated: Some(more),
            next_continuation_token: more.then(|| keys[most - 1].clone()),
            contents: Some(keys.iter().map(object).collect()),
            ..ListObjectsV2Output::default()
        }))
    }

    async fn list_multipart_uploads(
        &self,
        req: S3Request<ListMultipartUploadsInput>,
    ) -> S3Result<S3Response<ListMultipartUploadsOutput>> {
        let mut inside = self.0.lock().unwrap();
        let inside = inside.of_bucket(&req.input.bucket)?;
        let prefix = req.input.prefix.unwrap_or_default();
        let after = (
            req.input.key_marker.unwrap_or_default(),
            req.input.upload_id_marker.unwrap_or_default(),
        );
        let uploads = inside.uploads.iter();
        let mut uploads: Vec<(String, String)> = uploads
            .map(|(id, (key, _))| (key.clone(), id.clone()))
            .filter(|place| place.0.starts_with(&prefix) && *place > after)
            .collect();
        uploads.sort();
        let most = inside
            .page
            .unwrap_or(req.input.max_uploads.unwrap() as usize);
        let more = uploads.len() > most;
        uploads.truncate(most);
        let next = more.then(|| uploads[most - 1].clone());
        let upload = |(key, id): (String, String)| MultipartUpload {
            key: Some(key),
            upload_id: Some(id),
            ..MultipartUpload::default()
        };
        Ok(S3Response::new(ListMultipartUploadsOutput {
            is_truncated: Some(more),
            next_key_marker: next.as_ref().map(|(key, _)| key.clone()),
            next_upload_id_marker: next.map(|(_, id)| id),
            uploads: Some(uploads.into_iter().map(upload).collect()),
            ..ListMultipartUploadsOutput::default()
        }))
    }
}
