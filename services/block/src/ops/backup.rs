//! Making a backup: piece by piece into the object service, then the object that describes it. Where it is made of a volume
//! that nobody uses, that volume waits; one in use gives a layer first, and a snapshot is one already.

use nephos_db::Tx;
use nephos_ops::{EnqueueError, Failure, Next, OpCx, Operation, Reconcile, StepError, enqueue};
use nephos_runtime::crash_point;
use serde_json::json;

use super::layer::{self, Made};
use super::objects::{away, read_segment};
use super::{Asked, SOON, driver, refused, tell};
use crate::model::backup::{
    About, Backup, BackupId, BackupStatus, CHUNK, CHUNKS, Chunk, Head, SEGMENT, Segment, checksum,
};
use crate::model::layer::Format;
use crate::model::message::Event;
use crate::model::snapshot::SnapshotStatus;
use crate::model::volume::{Status, VolumeId, gib_bytes};
use crate::store::{attachments, backups, layers, metadata, snapshots, volumes};
use crate::{Driver, Svc};

pub(crate) struct Create;

/// Wants a backup whose row is inserted in the same transaction.
pub(crate) async fn request(
    tx: &mut Tx,
    asked: Asked<'_>,
    id: &BackupId,
) -> Result<(), EnqueueError> {
    let new = asked.work(<Create as Reconcile<Svc>>::KIND, id.as_str(), json!({}));
    enqueue(tx, asked.now, new).await.map(|_operation| ())
}

impl Reconcile<Svc> for Create {
    const KIND: &'static str = "backup.create";

    async fn step(&self, cx: &OpCx<Svc>, op: &Operation) -> Result<Next, StepError> {
        let id = BackupId::from(op.resource_id.as_str());
        let Some(backup) = backups::find(cx.db(), &id).await? else {
            return Ok(Next::Done);
        };
        // Whoever set its state by hand wants it so.
        if backup.status != BackupStatus::Creating {
            let mut tx = cx.finish("superseded").await?;
            if let Some(mut now) = backups::find_in(&mut tx, &id).await? {
                release(&mut tx, &now, cx.now()).await?;
                now.layer = None;
                backups::update(&mut tx, &now).await?;
            }
            tx.commit().await?;
            return Ok(Next::Done);
        }
        let source = match source(cx, &backup).await? {
            Found::Ready(source) => source,
            Found::NotYet(next) => return Ok(next),
        };
        if backup.progress < backup.segments() {
            copy(cx, &backup, &source).await
        } else {
            finish(cx, backup).await
        }
    }

    async fn failed(
        &self,
        cx: &OpCx<Svc>,
        op: &Operation,
        failure: &Failure,
        tx: &mut Tx,
    ) -> Result<(), nephos_db::Error> {
        let id = BackupId::from(op.resource_id.as_str());
        let Some(mut backup) = backups::find_in(tx, &id).await? else {
            return Ok(());
        };
        release(tx, &backup, cx.now()).await?;
        backup.status = BackupStatus::Error;
        backup.fail_reason = Some(failure.message.chars().take(255).collect());
        backup.layer = None;
        backup.updated_at = cx.now();
        backups::update(tx, &backup).await?;
        // Its objects go behind the answers.
        backups::set_leftover(tx, &id, true).await?;
        cx.service().house_now();
        let what = (
            &backup.owner,
            "VOLUME_BACKUP",
            Event::BackupFailed,
            failure.message.as_str(),
        );
        tell(tx, cx, op, what).await
    }
}

/// Gives a volume or a snapshot back the state it had before a backup was made of it.
pub(crate) async fn release(
    tx: &mut Tx,
    backup: &Backup,
    now: nephos_types::Timestamp,
) -> Result<(), nephos_db::Error> {
    if let Some(snapshot) = &backup.snapshot_id {
        let found = snapshots::find_in(tx, &snapshot.as_str().into()).await?;
        if let Some(mut snapshot) = found.filter(|found| found.status == SnapshotStatus::BackingUp)
        {
            snapshot.status = SnapshotStatus::Available;
            snapshot.updated_at = now;
            snapshots::update(tx, &snapshot).await?;
        }
        return Ok(());
    }
    let id = VolumeId::from(backup.volume_id.as_str());
    let used = !attachments::of_volume_in(tx, &id).await?.is_empty();
    let to = if used {
        Status::InUse
    } else {
        Status::Available
    };
    volumes::move_status(tx, &id, (Status::BackingUp, to), now).await?;
    Ok(())
}

/// Where the bytes are.
struct Source<'a> {
    driver: &'a Driver,
    file: String,
    format: Format,
}

enum Found<'a> {
    Ready(Source<'a>),
    NotYet(Next),
}

async fn source<'a>(cx: &'a OpCx<Svc>, backup: &Backup) -> Result<Found<'a>, StepError> {
    let gone = |what: &str| StepError::Permanent(format!("The {what} is gone."));
    if let Some(id) = &backup.layer {
        let layer = match layer::ensure_of_volume(cx, id).await? {
            Made::Whole(layer) => layer,
            Made::More => return Ok(Found::NotYet(Next::Again)),
            Made::Later => return Ok(Found::NotYet(Next::After(SOON))),
            Made::No(why) => {
                let next = refused(&why, "The volume cannot be backed up while it is in use")?;
                return Ok(Found::NotYet(next));
            }
        };
        if backup.snapshot_id.is_none() {
            let volume = VolumeId::from(backup.volume_id.as_str());
            let volume = volumes::find(cx.db(), &volume).await?;
            if volume.is_some_and(|volume| volume.status == Status::BackingUp) {
                // The layer is all that is needed: the volume is its users' again.
                let mut tx = cx.write("release").await?;
                release(&mut tx, backup, cx.now()).await?;
                tx.commit().await?;
                crash_point!("backup.released");
                return Ok(Found::NotYet(Next::Again));
            }
        }
        return Ok(Found::Ready(Source {
            driver: driver(cx, &layer.backend)?,
            file: layer.file(),
            format: layer.format,
        }));
    }
    let id = VolumeId::from(backup.volume_id.as_str());
    let volume = volumes::find(cx.db(), &id).await?;
    let volume = volume.filter(|volume| volume.status == Status::BackingUp);
    let volume = volume.ok_or_else(|| gone("volume, as it was when the backup was asked for,"))?;
    // A copy that was asked for before changes the form of the volume's file; none can be asked for now.
    if volume.held_by.is_some() || layers::made_of(cx.db(), id.as_str()).await? > 0 {
        return Ok(Found::NotYet(Next::After(SOON)));
    }
    Ok(Found::Ready(Source {
        driver: driver(cx, volume.backend.as_deref().unwrap_or_default())?,
        file: volume.file(),
        format: volume.format,
    }))
}

/// Brings the next segment that has anything in it to the object service.
async fn copy(cx: &OpCx<Svc>, backup: &Backup, source: &Source<'_>) -> Result<Next, StepError> {
    let siblings = &cx.service().siblings;
    let size = gib_bytes(backup.size_gib);
    let file = (source.file.as_str(), source.format);
    let from = u64::try_from(backup.progress).unwrap_or(0) * SEGMENT;
    if from == 0 {
        let made = siblings.put_container(&backup.container).await;
        made.map_err(|why| away("The container cannot be made", &why))?;
        crash_point!("backup.container");
    }
    let found = match source.driver.next_data(file, (from, size)).await {
        Ok(found) => found,
        Err(why) => return refused(&why, "The volume cannot be read"),
    };
    let Some(at) = found else {
        return advance(cx, backup, (backup.segments(), 0), None).await;
    };
    let number = i64::try_from(at / SEGMENT).unwrap_or(i64::MAX);
    let (segment, own) = match send(cx, backup, source, number).await? {
        Ok(sent) => sent,
        Err(why) => return refused(&why, "The volume cannot be read"),
    };
    if segment.chunks.is_empty() {
        return advance(cx, backup, (number + 1, 0), None).await;
    }
    let bytes = serde_json::to_vec(&segment).unwrap_or_default();
    let sum = checksum(&bytes);
    let name = backup.segment_name(number);
    let sent = siblings.put_object((&backup.container, &name), bytes.into());
    sent.await
        .map_err(|why| away("The backup cannot be stored", &why))?;
    crash_point!("backup.segment");
    advance(cx, backup, (number + 1, own), Some((number, &sum))).await
}

type Sent = Result<(Segment, i64), crate::DriverError>;

/// Stores what is not zeroes and not in the backup below; what the segment is then, and how many objects are new.
async fn send(
    cx: &OpCx<Svc>,
    backup: &Backup,
    source: &Source<'_>,
    number: i64,
) -> Result<Sent, StepError> {
    let below = match &backup.parent_id {
        Some(parent) => below(cx, parent, number).await?,
        None => Segment::default(),
    };
    let first = u64::try_from(number).unwrap_or(0) * CHUNKS;
    let file = (source.file.as_str(), source.format);
    let piece = (first * CHUNK, SEGMENT);
    let window = match source.driver.window(file, piece, backup.id.as_str()).await {
        Ok(window) => window,
        Err(why) => return Ok(Err(why)),
    };
    let (mut segment, mut own) = (Segment::default(), 0);
    for at in first..first + CHUNKS {
        let (bytes, sha256) = match window.read(at * CHUNK, CHUNK).await {
            Ok(Some(read)) => read,
            Ok(None) => continue,
            Err(why) => return Ok(Err(why)),
        };
        let same = |chunk: &&Chunk| chunk.at == at && chunk.sha256 == sha256;
        if let Some(known) = below.chunks.iter().find(same) {
            segment.chunks.push(known.clone());
            continue;
        }
        let object = backup.chunk_name(at);
        let sent = cx
            .service()
            .siblings
            .put_object((&backup.container, &object), bytes);
        sent.await
            .map_err(|why| away("The backup cannot be stored", &why))?;
        crash_point!("backup.chunk");
        own += 1;
        segment.chunks.push(Chunk {
            at,
            sha256,
            container: backup.container.clone(),
            object,
        });
    }
    if let Err(why) = source.driver.drop_window(window).await {
        return Ok(Err(why));
    }
    Ok(Ok((segment, own)))
}

/// The same segment of the backup that this one stands on.
async fn below(cx: &OpCx<Svc>, parent: &str, number: i64) -> Result<Segment, StepError> {
    let parent = backups::find(cx.db(), &BackupId::from(parent)).await?;
    let Some(parent) = parent else {
        return Err(StepError::Permanent(
            "The backup that this one was to stand on is gone.".to_owned(),
        ));
    };
    let there = backups::segments(cx.db(), &parent.id, (number, Some(1))).await?;
    match there.first() {
        Some((found, sum)) if *found == number => read_segment(cx, &parent, (number, sum)).await,
        _nothing_but_zeroes => Ok(Segment::default()),
    }
}

async fn advance(
    cx: &OpCx<Svc>,
    backup: &Backup,
    (progress, own): (i64, i64),
    segment: Option<(i64, &str)>,
) -> Result<Next, StepError> {
    let mut tx = cx.write("copy").await?;
    if let Some(segment) = segment {
        backups::keep_segment(&mut tx, &backup.id, segment).await?;
    }
    backups::advance(&mut tx, &backup.id, (progress, own)).await?;
    tx.commit().await?;
    crash_point!("backup.advanced");
    Ok(Next::Again)
}

/// Writes the object that describes it; then it is whole.
async fn finish(cx: &OpCx<Svc>, backup: Backup) -> Result<Next, StepError> {
    let db = cx.db();
    let volume = volumes::find(db, &VolumeId::from(backup.volume_id.as_str())).await?;
    let about = match volume {
        Some(volume) => About {
            metadata: metadata::of(db, metadata::VOLUME, volume.id.as_str()).await?,
            image: metadata::of(db, metadata::IMAGE, volume.id.as_str()).await?,
            bootable: volume.bootable,
            name: volume.name,
            description: volume.description,
        },
        None => About::default(),
    };
    let segments = backups::segments(db, &backup.id, (0, None)).await?;
    let head = Head::new(backup.size_gib, about, segments);
    let bytes = serde_json::to_vec(&head).unwrap_or_default();
    let sum = checksum(&bytes);
    let name = backup.head_name();
    let sent = cx
        .service()
        .siblings
        .put_object((&backup.container, &name), bytes.into());
    sent.await
        .map_err(|why| away("The backup cannot be stored", &why))?;
    crash_point!("backup.described");
    let mut tx = cx.finish("finish").await?;
    let now = backups::find_in(&mut tx, &backup.id).await?;
    if let Some(mut now) = now {
        release(&mut tx, &now, cx.now()).await?;
        now.layer = None;
        now.updated_at = cx.now();
        if now.status == BackupStatus::Creating {
            now.status = BackupStatus::Available;
            now.checksum = Some(sum);
        }
        backups::update(&mut tx, &now).await?;
    }
    tx.commit().await?;
    crash_point!("backup.finished");
    // A layer that was made for it goes.
    cx.service().house_now();
    Ok(Next::Done)
}
