//! Image data: upload, stage, download.

use std::sync::Arc;

use http::{HeaderName, StatusCode, header};
use nephos_api::{
    Download, Empty, Endpoint, Fault, Hosts, Loaded, Params, Payload, Reply, Req, Stream, With,
    endpoint,
};
use nephos_peer::PeerError;
use nephos_types::HostName;

use super::fault::{no_image, too_large, upload, wrong_status};
use super::images::{ImagePath, load};
use crate::model::image::{BlobId, BlobState, Image, ImageId, STAGING, Status};
use crate::model::range::Wanted;
use crate::ops::upload::{Upload, UploadError, alive_until};
use crate::store::{blobs, images};
use crate::{Cx, rules};

endpoint! {
    /// Upload an image's data.
    UploadImage: PUT "/v2/images/{id}/file" => 204,
    policy: Hosts<Loaded<rules::UploadImage>>,
    path: ImagePath,
    body: Stream,
    reply: Empty,
    handler: upload_image,
}
async fn upload_image(cx: Cx, req: Req<UploadImage>) -> Reply<UploadImage> {
    let image = match &cx.caller.host {
        Some(host) => {
            let id = &req.path.id;
            let parsed = ImageId::parse(id).ok_or_else(|| no_image(id))?;
            let brings = cx.siblings.brings(host, &parsed).await;
            of_host(&cx, (host, &parsed), brings).await?
        }
        None => {
            let image = load(&cx, rules::UploadImage, &req.path.id).await?;
            image.into_inner().image
        }
    };
    let expected = expected_bytes(&cx, &req)?;
    let store = match req.header("x-image-meta-store") {
        Some(name) if cx.config.stores.iter().any(|known| known == name) => name.to_owned(),
        Some(name) => {
            return Err(Fault::bad_request(format!(
                "Unknown scheme '{name}' found in URI: there is no such store."
            )));
        }
        None => cx.default_store().to_owned(),
    };
    receive(&cx, (image, Status::Saving), (store, expected), req.body).await
}

endpoint! {
    /// Stage an image's data, to be imported afterwards.
    StageImage: PUT "/v2/images/{id}/stage" => 204,
    policy: Loaded<rules::ModifyImage>,
    path: ImagePath,
    body: Stream,
    reply: Empty,
    handler: stage_image,
}
async fn stage_image(cx: Cx, req: Req<StageImage>) -> Reply<StageImage> {
    let image = load(&cx, rules::ModifyImage, &req.path.id).await?;
    let expected = expected_bytes(&cx, &req)?;
    let image = image.into_inner().image;
    let staging = STAGING.to_owned();
    receive(
        &cx,
        (image, Status::Uploading),
        (staging, expected),
        req.body,
    )
    .await
}

/// Marks the image as being written and lets a task of its own bring the bytes in, so that a client that goes away
/// cannot leave anything half done.
async fn receive(
    cx: &Cx,
    (image, status): (Image, Status),
    (store, expected): (String, Option<u64>),
    body: Stream,
) -> Result<Empty, Fault> {
    // The bytes do not come again, but nothing of them was read yet.
    let begin = || begin(cx, &image.id, (status, &store));
    let (image, blob) = cx.db().again(begin).await?;
    let id = image.id.clone();
    let upload_task = Upload {
        service: Arc::clone(cx.service()),
        image_id: image.id,
        blob,
        store,
        expected,
        disk_format: image.disk_format.unwrap_or_default(),
        container_format: image.container_format.unwrap_or_default(),
    };
    let (tell, told) = tokio::sync::oneshot::channel();
    nephos_runtime::spawn("image.upload", async move {
        let _client_gone = tell.send(upload_task.run(body).await);
    });
    let cut_off = |_| Fault::internal("The upload was cut off. The image will be queued again.");
    let outcome: Result<(), UploadError> = told.await.map_err(cut_off)?;
    outcome
        .map(|()| Empty)
        .map_err(|why| upload(id.as_str(), why))
}

/// The image as it is when its data begins to come, and the name of the data.
async fn begin(
    cx: &Cx,
    id: &ImageId,
    (status, store): (Status, &str),
) -> Result<(Image, BlobId), Fault> {
    let image = images::find(cx.db(), id).await?;
    let image = image.ok_or_else(|| no_image(id.as_str()))?;
    if image.status != Status::Queued {
        return Err(wrong_status(image.status, status));
    }
    let missing = image.missing_formats();
    if let Some(missing) = missing.filter(|_| status == Status::Saving) {
        return Err(Fault::bad_request(missing));
    }
    let blob = BlobId::from(nephos_runtime::ids::uuid());
    let now = cx.now();
    let mut tx = cx.write().await?;
    images::begin_data(&mut tx, &image, status, now).await?;
    let by = blobs::WrittenBy {
        process: &cx.process,
        until: alive_until(now),
    };
    blobs::insert(&mut tx, &blob, (&image.id, store), by).await?;
    tx.commit().await?;
    Ok((image, blob))
}

/// How many bytes the client says there are, checked against the limit before any of them comes.
fn expected_bytes<E: Endpoint<Body = Stream>>(cx: &Cx, req: &Req<E>) -> Result<Option<u64>, Fault> {
    let content_type = req.content_type().unwrap_or_default();
    if content_type != "application/octet-stream" {
        return Err(Fault::unsupported_media_type(format!(
            "Invalid content type {content_type}; image data is application/octet-stream"
        )));
    }
    let expected = match req.header("x-openstack-image-size") {
        Some(size) => Some(size.trim().parse().map_err(|_| {
            Fault::bad_request("Invalid or missing image size in request headers.")
        })?),
        None => req.body.declared_bytes,
    };
    let limit = cx.config.max_image_bytes;
    if expected.is_some_and(|bytes| bytes > limit) {
        return Err(too_large(limit));
    }
    Ok(expected)
}

endpoint! {
    /// Download an image's data, or a range of it.
    DownloadImage: GET "/v2/images/{id}/file" => 200,
    policy: Hosts<Loaded<rules::DownloadImage>>,
    path: ImagePath,
    query: Params,
    reply: With<Download>,
    handler: download_image,
}
async fn download_image(cx: Cx, req: Req<DownloadImage>) -> Reply<DownloadImage> {
    let image = match &cx.caller.host {
        Some(host) => wanted_on(&cx, host, &req.path.id).await?,
        None => {
            let image = load(&cx, rules::DownloadImage, &req.path.id).await?;
            image.into_inner().image
        }
    };
    if image.status == Status::Deactivated && !cx.caller.is_admin() {
        return Err(Fault::forbidden(
            "The requested image has been deactivated. Image data download is forbidden.",
        ));
    }
    let preferred = preferred_stores(&cx, &req.query)?;
    let mut kept: Vec<blobs::Blob> = blobs::of_image(cx.db(), &image.id).await?;
    kept.retain(|blob| blob.state == BlobState::Kept && blob.store != STAGING);
    kept.sort_by_key(|blob| {
        let wish = preferred.iter().position(|name| *name == blob.store);
        let default = blob.store != cx.default_store();
        (wish.unwrap_or(usize::MAX), default)
    });
    let Some(size) = kept
        .iter()
        .find_map(|blob| Some(blob.digests.as_ref()?.size))
    else {
        // Glance has no 404 for an image without data.
        return Ok(With::new(octets(Payload::Empty)).status(StatusCode::NO_CONTENT));
    };
    let (range, part) = match Wanted::parse(req.header("range"), size) {
        Wanted::All => (0..size, false),
        Wanted::Part(range) => (range, true),
        Wanted::Several => {
            return Err(Fault::bad_request(
                "Requests with multiple ranges are not supported in Glance. You may make multiple single-range \
                 requests instead.",
            ));
        }
        Wanted::Unsatisfiable => {
            return Err(Fault::range_not_satisfiable(format!(
                "Invalid Range header: of this image the bytes 0-{} can be asked for.",
                size.saturating_sub(1)
            ))
            .header(header::CONTENT_RANGE, &format!("bytes */{size}")));
        }
    };
    let length = range.end - range.start;
    let content_range = format!(
        "bytes {}-{}/{size}",
        range.start,
        range.end.saturating_sub(1)
    );
    let chunks = open(&cx, &kept, range).await?;
    let mut reply = With::new(octets(Payload::Stream { length, chunks }))
        .header(header::ACCEPT_RANGES, "bytes");
    if part {
        reply = reply
            .status(StatusCode::PARTIAL_CONTENT)
            .header(header::CONTENT_RANGE, &content_range);
    }
    if let Some(checksum) = &image.data.checksum {
        reply = reply
            .header(HeaderName::from_static("content-md5"), checksum)
            .header(header::ETAG, &format!("\"{checksum}\""));
    }
    Ok(reply)
}

/// The image, for a host on which a server is made of it. The others do not exist for that host.
async fn wanted_on(cx: &Cx, host: &HostName, id: &str) -> Result<Image, Fault> {
    let parsed = ImageId::parse(id).ok_or_else(|| no_image(id))?;
    let needed = cx.siblings.needs(host, &parsed).await;
    of_host(cx, (host, &parsed), needed).await
}

/// The image, if compute says that it is this host's affair.
async fn of_host(
    cx: &Cx,
    (host, id): (&HostName, &ImageId),
    said: Result<bool, PeerError>,
) -> Result<Image, Fault> {
    let is_its = said.map_err(|why| {
        tracing::warn!(%host, image = %id, %why, "cannot ask which images a host has to do with");
        Fault::unavailable(
            "The compute service, which knows what this host needs, does not answer. Try again later.",
        )
    })?;
    let found = images::find(cx.db(), id).await?;
    found
        .filter(|_| is_its)
        .ok_or_else(|| no_image(id.as_str()))
}

fn octets(body: Payload) -> Download {
    Download {
        content_type: "application/octet-stream",
        body,
    }
}

/// The stores that the caller would rather read from.
fn preferred_stores(cx: &Cx, query: &Params) -> Result<Vec<String>, Fault> {
    let names = query.get("prefer").unwrap_or_default().split(',');
    let names: Vec<String> = names
        .map(str::trim)
        .filter(|name| !name.is_empty())
        .map(str::to_owned)
        .collect();
    match names.iter().find(|name| !cx.config.stores.contains(name)) {
        Some(unknown) => Err(Fault::bad_request(format!(
            "Store '{unknown}' is not configured."
        ))),
        None => Ok(names),
    }
}

/// The first of the image's blobs that can be read.
async fn open(
    cx: &Cx,
    kept: &[blobs::Blob],
    range: std::ops::Range<u64>,
) -> Result<nephos_blob::Chunks, Fault> {
    for blob in kept {
        let Some(store) = cx.store(&blob.store) else {
            continue;
        };
        match store.read(blob.id.as_str(), range.clone()).await {
            Ok(chunks) => return Ok(chunks),
            Err(why) => {
                tracing::error!(image = %blob.image_id, store = blob.store, %why, "image data cannot be read");
            }
        }
    }
    Err(Fault::unavailable(
        "The image's data cannot be read from any of its stores now. Try again later.",
    ))
}
