//! Brings staged, remote or already stored data into stores: look what is there, do the next thing, come back.

use std::sync::Arc;

use futures_util::StreamExt;
use nephos_blob::{Chunks, Digests};
use nephos_db::Tx;
use nephos_ops::{
    EnqueueError, Failure, New, Next, OpCx, Operation, Reconcile, StepError, enqueue,
};
use nephos_runtime::crash_point;
use nephos_types::Timestamp;
use serde::{Deserialize, Serialize};
use tracing::{info, warn};

use super::upload::{OnDisk, data_of, verdict};
use super::{TOPIC, fetch, remove};
use crate::model::image::{BlobId, BlobState, Data, Image, ImageId, STAGING, Status, TaskId};
use crate::model::inspect::judge;
use crate::store::blobs::{self, Blob, WrittenBy};
use crate::store::tasks::{Progress, Task};
use crate::store::{images, tasks};
use crate::{Cx, Svc};

/// An import that takes longer has failed.
const WITHIN_SECS: i64 = 24 * 3600;
/// Tasks are shown for two days, as Glance does.
pub(crate) const SHOW_SECS: i64 = 48 * 3600;

/// The properties in which an image shows its import, under Glance's names.
const TASK: &str = "os_glance_import_task";
const LEFT: &str = "os_glance_importing_to_stores";
const FAILED: &str = "os_glance_failed_import";

/// Where the data comes from.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub(crate) enum Source {
    /// Staged by its owner.
    Staged,
    /// From the web.
    Web { uri: String },
    /// From a store that has it.
    Copy,
}

/// What an import is to do.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub(crate) struct Args {
    pub task: TaskId,
    pub source: Source,
    pub stores: Vec<String>,
    /// Whether a store that fails makes the whole fail.
    pub all_must_succeed: bool,
    /// Whether the image was made for this import and goes with it when it fails.
    pub owns_image: bool,
}

/// Brings data into stores.
pub(crate) struct Import;

/// Begins an import in the transaction that moved the image to where it may begin.
pub(crate) async fn request(
    tx: &mut Tx,
    cx: &Cx,
    task: &Task,
    args: &Args,
) -> Result<(), EnqueueError> {
    let id = &task.image_id;
    tasks::insert(tx, task).await?;
    images::set_property(tx, id, TASK, Some(args.task.as_str())).await?;
    images::set_property(tx, id, LEFT, Some(&args.stores.join(","))).await?;
    images::set_property(tx, id, FAILED, Some("")).await?;
    let new = New {
        topic: TOPIC,
        kind: <Import as Reconcile<Svc>>::KIND,
        resource_id: id.as_str(),
        args: serde_json::to_value(args)?,
        caller: &cx.caller,
        request_id: &cx.request_id,
        deadline_secs: WITHIN_SECS,
    };
    enqueue(tx, cx.now(), new).await.map(|_operation| ())
}

/// What a step looks at.
struct World {
    image: Image,
    blobs: Vec<Blob>,
    args: Args,
}

impl World {
    fn kept(&self, store: &str) -> Option<&Blob> {
        self.blobs
            .iter()
            .find(|blob| blob.store == store && blob.state == BlobState::Kept)
    }

    /// The blob to copy from, once there is one.
    fn source(&self) -> Option<&Blob> {
        match self.args.source {
            Source::Copy => self
                .blobs
                .iter()
                .find(|blob| blob.store != STAGING && blob.state == BlobState::Kept),
            Source::Staged | Source::Web { .. } => self.kept(STAGING),
        }
    }

    fn failed(&self) -> Vec<&str> {
        let failed = self.image.properties.get(FAILED).map_or("", String::as_str);
        failed.split(',').filter(|name| !name.is_empty()).collect()
    }

    /// The first store that has neither got the data nor failed to.
    fn next_store(&self) -> Option<&str> {
        let failed = self.failed();
        self.args
            .stores
            .iter()
            .map(String::as_str)
            .find(|store| self.kept(store).is_none() && !failed.contains(store))
    }

    /// Stores still to come after `done`, as the image shows them.
    fn left_after(&self, done: &str) -> String {
        let failed = self.failed();
        let left: Vec<&str> = self
            .args
            .stores
            .iter()
            .map(String::as_str)
            .filter(|store| *store != done && self.kept(store).is_none() && !failed.contains(store))
            .collect();
        left.join(",")
    }
}

impl Reconcile<Svc> for Import {
    const KIND: &'static str = "image.import";
    const CUT_OFF: bool = true;

    async fn step(&self, cx: &OpCx<Svc>, op: &Operation) -> Result<Next, StepError> {
        let id = ImageId::from(op.resource_id.as_str());
        let Some(image) = images::find(cx.db(), &id).await? else {
            return Ok(Next::Done);
        };
        let blobs = blobs::of_image(cx.db(), &id).await?;
        let world = World {
            image,
            blobs,
            args: op.args()?,
        };
        let Some(source) = world.source() else {
            let Source::Web { uri } = &world.args.source else {
                let why = "The data to import is not there any more.";
                return Ok(Next::Fail(Failure::new(why)));
            };
            return download(cx, op, &id, uri).await;
        };
        if world.image.data.hash_value.is_none() {
            return inspect(cx, &world, source).await;
        }
        match world.next_store() {
            Some(store) => copy(cx, op, &world, (source, store)).await,
            None => finish(cx, &world).await,
        }
    }

    async fn failed(
        &self,
        cx: &OpCx<Svc>,
        op: &Operation,
        failure: &Failure,
        tx: &mut Tx,
    ) -> Result<(), nephos_db::Error> {
        let Ok(args) = op.args::<Args>() else {
            return Ok(());
        };
        let id = ImageId::from(op.resource_id.as_str());
        let own: Vec<BlobId> = args.stores.iter().map(|store| blob_id(op, store)).collect();
        for blob in blobs::of_image_in(tx, &id).await? {
            // A copy leaves alone what was there before it; the others leave nothing.
            if args.source != Source::Copy || own.contains(&blob.id) {
                doom(tx, cx.now(), &blob.id).await?;
            }
        }
        if args.owns_image {
            images::remove_unconditionally(tx, &id).await?;
        } else if args.source != Source::Copy {
            let moves = (Status::Importing, Status::Queued);
            images::move_status_with_data(tx, &id, moves, &Data::default(), cx.now()).await?;
        }
        images::set_property(tx, &id, TASK, None).await?;
        images::set_property(tx, &id, LEFT, Some("")).await?;
        images::set_property(tx, &id, FAILED, Some(&args.stores.join(","))).await?;
        end_task(tx, &args.task, ("failure", &failure.message), cx.now()).await
    }
}

/// Asked again, a step finds the blob of its first try.
fn blob_id(op: &Operation, store: &str) -> BlobId {
    let namespace = uuid::Uuid::try_parse(op.id.as_str()).unwrap_or_default();
    BlobId::from(nephos_runtime::ids::derived(&namespace, store))
}

async fn begin_blob(
    cx: &OpCx<Svc>,
    id: &BlobId,
    (image, store): (&ImageId, &str),
) -> Result<(), StepError> {
    let mut tx = cx.write("write").await?;
    let by = WrittenBy {
        process: "",
        until: Timestamp(0),
    };
    blobs::insert(&mut tx, id, (image, store), by).await?;
    tx.commit().await?;
    crash_point!("import.blob_noted");
    Ok(())
}

/// Fetches from the web into the staging area.
async fn download(
    cx: &OpCx<Svc>,
    op: &Operation,
    image: &ImageId,
    uri: &str,
) -> Result<Next, StepError> {
    let id = blob_id(op, STAGING);
    begin_blob(cx, &id, (image, STAGING)).await?;
    let fetched = match fetch::fetch(cx.service(), uri).await {
        Ok(fetched) => fetched,
        Err(why) => return Ok(Next::Fail(Failure::new(why))),
    };
    let limit = cx.config.max_image_bytes;
    if fetched.size.is_some_and(|size| size > limit) {
        return Ok(Next::Fail(too_large(limit)));
    }
    let mut writer = cx.staging.write(id.as_str()).await.map_err(blob_error)?;
    let mut chunks = fetched.chunks;
    let mut seen = 0;
    while let Some(chunk) = chunks.next().await {
        let bytes = match chunk {
            Ok(bytes) => bytes,
            Err(why) => return Ok(Next::Fail(Failure::new(why))),
        };
        seen += bytes.len() as u64;
        if seen > limit {
            return Ok(Next::Fail(too_large(limit)));
        }
        writer.write(bytes).await.map_err(blob_error)?;
    }
    let digests = writer.flush().await.map_err(blob_error)?;
    crash_point!("import.downloaded");
    writer.finish().await.map_err(blob_error)?;
    crash_point!("import.download_visible");
    let mut tx = cx.write("download").await?;
    blobs::keep(&mut tx, &id, &digests).await?;
    tx.commit().await?;
    crash_point!("import.download_kept");
    Ok(Next::Again)
}

fn too_large(limit: u64) -> Failure {
    Failure::new(format!(
        "The image is too large: at most {limit} bytes are accepted."
    ))
}

/// Judges the data and notes its digests.
async fn inspect(cx: &OpCx<Svc>, world: &World, source: &Blob) -> Result<Next, StepError> {
    let image = &world.image;
    let digests = source
        .digests
        .clone()
        .ok_or_else(|| StepError::Permanent("the staged data has no digests".to_owned()))?;
    let judged = judge_stored(cx, source, digests.size, image.disk_format.clone()).await?;
    let must_match = cx.must_match(image.container_format.as_deref().unwrap_or_default());
    let virtual_size = match verdict(judged, must_match) {
        Ok(virtual_size) => virtual_size,
        Err(why) => return Ok(Next::Fail(Failure::new(why))),
    };
    let data = data_of(&digests, virtual_size);
    let now = cx.now();
    let mut tx = cx.write("inspect").await?;
    let moves = (Status::Importing, Status::Importing);
    images::move_status_with_data(&mut tx, &image.id, moves, &data, now).await?;
    let progress = Progress {
        status: "processing",
        message: "",
        expires_at: None,
        now,
    };
    tasks::update(&mut tx, &world.args.task, progress).await?;
    tx.commit().await?;
    crash_point!("import.inspected");
    Ok(Next::Again)
}

async fn judge_stored(
    cx: &OpCx<Svc>,
    blob: &Blob,
    size: u64,
    disk_format: Option<String>,
) -> Result<Result<Option<u64>, crate::model::inspect::Objection>, StepError> {
    let store = store_of(cx, &blob.store)?;
    let look = move |file: &std::fs::File| {
        judge(
            &OnDisk { file, size },
            disk_format.as_deref().unwrap_or_default(),
        )
    };
    store
        .examine(blob.id.as_str(), look)
        .await
        .map_err(blob_error)
}

/// Copies the data into one store.
async fn copy(
    cx: &OpCx<Svc>,
    op: &Operation,
    world: &World,
    (source, store): (&Blob, &str),
) -> Result<Next, StepError> {
    let id = blob_id(op, store);
    begin_blob(cx, &id, (&world.image.id, store)).await?;
    match copy_bytes(cx, source, (&id, store)).await {
        Ok(digests) => {
            crash_point!("import.copied");
            let mut tx = cx.write("copy").await?;
            blobs::keep(&mut tx, &id, &digests).await?;
            let left = world.left_after(store);
            images::set_property(&mut tx, &world.image.id, LEFT, Some(&left)).await?;
            tx.commit().await?;
            crash_point!("import.copy_kept");
            Ok(Next::Again)
        }
        Err(why) if world.args.all_must_succeed => Ok(Next::Fail(Failure::new(why))),
        Err(why) => {
            warn!(image = %world.image.id, store, why, "a store does not take an image");
            let failed: Vec<&str> = world.failed().into_iter().chain([store]).collect();
            let mut tx = cx.write("copy").await?;
            doom(&mut tx, cx.now(), &id).await?;
            images::set_property(&mut tx, &world.image.id, FAILED, Some(&failed.join(","))).await?;
            let left = world.left_after(store);
            images::set_property(&mut tx, &world.image.id, LEFT, Some(&left)).await?;
            tx.commit().await?;
            Ok(Next::Again)
        }
    }
}

async fn copy_bytes(
    cx: &OpCx<Svc>,
    source: &Blob,
    (id, store): (&BlobId, &str),
) -> Result<Digests, String> {
    let say =
        |why: nephos_blob::Error| format!("The store {store} does not take the image: {why}.");
    let (from, to) = (
        cx.store(&source.store)
            .ok_or("The store that has the image is not configured any more.")?,
        cx.store(store)
            .ok_or_else(|| format!("The store {store} is not configured any more."))?,
    );
    let expected = source
        .digests
        .as_ref()
        .ok_or("The data to copy is not complete.")?;
    let mut chunks: Chunks = from
        .read(source.id.as_str(), 0..expected.size)
        .await
        .map_err(|why| format!("The data to copy cannot be read: {why}."))?;
    let mut writer = to.write(id.as_str()).await.map_err(say)?;
    while let Some(chunk) = chunks.next().await {
        let bytes = chunk.map_err(|why| format!("The data to copy cannot be read: {why}."))?;
        writer.write(bytes).await.map_err(say)?;
    }
    let digests = writer.flush().await.map_err(say)?;
    if digests != *expected {
        return Err("The data is not what it was when it came: its digest differs.".to_owned());
    }
    crash_point!("import.copy_flushed");
    writer.finish().await.map_err(say)?;
    Ok(digests)
}

/// All stores have it or have failed: the image is active, what was staged goes.
async fn finish(cx: &OpCx<Svc>, world: &World) -> Result<Next, StepError> {
    let id = &world.image.id;
    if world
        .args
        .stores
        .iter()
        .all(|store| world.kept(store).is_none())
    {
        let why = "None of the stores takes the image.";
        return Ok(Next::Fail(Failure::new(why)));
    }
    let now = cx.now();
    let mut tx = cx.finish("finish").await?;
    if world.args.source != Source::Copy {
        let moves = (Status::Importing, Status::Active);
        images::move_status(&mut tx, id, moves, now).await?;
    }
    for staged in world.blobs.iter().filter(|blob| blob.store == STAGING) {
        doom(&mut tx, now, &staged.id).await?;
    }
    images::set_property(&mut tx, id, TASK, None).await?;
    images::set_property(&mut tx, id, LEFT, Some("")).await?;
    end_task(&mut tx, &world.args.task, ("success", ""), now).await?;
    tx.commit().await?;
    crash_point!("import.finished");
    info!(image = %id, "image imported");
    Ok(Next::Done)
}

async fn end_task(
    tx: &mut Tx,
    task: &TaskId,
    (status, message): (&'static str, &str),
    now: Timestamp,
) -> Result<(), nephos_db::Error> {
    let progress = Progress {
        status,
        message,
        expires_at: Some(now.plus_secs(SHOW_SECS)),
        now,
    };
    tasks::update(tx, task, progress).await
}

async fn doom(tx: &mut Tx, now: Timestamp, id: &BlobId) -> Result<(), nephos_db::Error> {
    remove::request_blob(tx, now, id)
        .await
        .map_err(|why| match why {
            EnqueueError::Db(why) => why,
            other => nephos_db::Error::damaged(other.to_string()),
        })
}

fn store_of<'a>(cx: &'a OpCx<Svc>, name: &str) -> Result<&'a nephos_blob::Folder, StepError> {
    let service: &'a Arc<Svc> = cx.service();
    service
        .store(name)
        .ok_or_else(|| StepError::Permanent(format!("the store {name} is not configured any more")))
}

/// A full disk does not get better by waiting; the rest may.
fn blob_error(error: nephos_blob::Error) -> StepError {
    match error {
        nephos_blob::Error::Full => StepError::Permanent(
            "Image storage media is full: there is not enough disk space.".to_owned(),
        ),
        other => StepError::Transient(other.to_string()),
    }
}
