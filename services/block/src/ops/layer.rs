//! Layers: made of volumes' files and of images, and removed when nobody stands on them.

use nephos_db::Tx;
use nephos_ops::{OpCx, StepError};
use nephos_runtime::crash_point;
use nephos_types::Timestamp;

use super::driver;
use crate::model::attachment::{AttachStatus, Attachment};
use crate::model::layer::{Format, Layer, LayerId, LayerState, layer_file};
use crate::model::volume::{Volume, VolumeId};
use crate::store::{layers, volumes};
use crate::{Driver, DriverError, Svc};

/// What a try to make a layer came to.
pub(crate) enum Made {
    Whole(Layer),
    /// One thing is done; there is more to do at once.
    More,
    /// Somebody else has the volume's file for a moment.
    Later,
    /// It cannot be made now.
    No(DriverError),
}

/// The layer that a thing's own id gives: asked again, a step finds that of its first try.
pub(crate) fn id_for(owner: &str) -> LayerId {
    let namespace = uuid::Uuid::try_parse(owner).unwrap_or_default();
    LayerId::from(nephos_runtime::ids::derived(&namespace, "layer"))
}

/// Notes a layer that is about to be made of a volume's file.
pub(crate) fn of_volume(owner: &str, backend: &str, source: &Volume) -> Layer {
    Layer {
        id: id_for(owner),
        backend: backend.to_owned(),
        format: source.format,
        parent: source.layer.clone(),
        source: Some(source.id.to_string()),
        image: None,
        size_bytes: source.size_bytes(),
        state: LayerState::Making,
    }
}

/// Makes a layer of a volume's file: a reflink where that is possible; else the file itself becomes the layer, and the
/// volume an overlay over it.
pub(crate) async fn ensure_of_volume(cx: &OpCx<Svc>, id: &LayerId) -> Result<Made, StepError> {
    let Some(layer) = layers::find(cx.db(), id).await? else {
        return Err(StepError::Permanent("its layer is gone".to_owned()));
    };
    if layer.state == LayerState::Kept {
        return Ok(Made::Whole(layer));
    }
    let source = VolumeId::from(layer.source.clone().unwrap_or_default());
    let Some(volume) = volumes::find(cx.db(), &source).await? else {
        return Ok(Made::No(DriverError::Refused(format!(
            "volume {source} is gone"
        ))));
    };
    let driver = driver(cx, &layer.backend)?;
    if driver.reflink() {
        let done = driver.reflink_to(&volume.file(), &layer.file(), 0).await;
        if let Err(why) = done {
            return Ok(Made::No(why));
        }
        crash_point!("layer.copied");
        let mut tx = cx.write("copied").await?;
        layers::keep(&mut tx, id, layer.size_bytes, cx.now()).await?;
        tx.commit().await?;
        crash_point!("layer.copy_kept");
        return Ok(Made::Whole(layer));
    }
    freeze(cx, layer, volume).await
}

async fn freeze(cx: &OpCx<Svc>, layer: Layer, volume: Volume) -> Result<Made, StepError> {
    let driver = driver(cx, &layer.backend)?;
    if volume.format == Format::Luks {
        // An overlay over it would not be encrypted.
        return Ok(Made::No(DriverError::Refused(crate::NO_COPY.to_owned())));
    }
    if volume.held_by.as_ref() != Some(&layer.id) {
        let mut tx = cx.write("hold").await?;
        if !volumes::hold(&mut tx, &volume.id, &layer.id).await? {
            drop(tx);
            return busy(cx, &volume).await;
        }
        // As the file is now that nobody else changes it.
        let now = volumes::find_in(&mut tx, &volume.id).await?;
        let Some(now) = now else {
            return Ok(Made::Later);
        };
        layers::describe(
            &mut tx,
            &layer.id,
            (now.format, now.layer.as_ref()),
            now.size_bytes(),
        )
        .await?;
        tx.commit().await?;
        crash_point!("layer.held");
        return Ok(Made::More);
    }
    let size = volume.size_bytes();
    let frozen = driver
        .freeze(&volume.file(), (&layer_file(&layer.id), layer.format), size)
        .await;
    match frozen {
        Ok(()) => {}
        Err(why) if why.is_final() => {
            thaw(driver, &layer.id, &volume).await?;
            let mut tx = cx.write("thawed").await?;
            volumes::let_go(&mut tx, &volume.id, &layer.id).await?;
            tx.commit().await?;
            return Ok(Made::No(why));
        }
        Err(why) => return Err(StepError::Transient(why.to_string())),
    }
    crash_point!("layer.frozen");
    let mut tx = cx.write("frozen").await?;
    settle(&mut tx, cx.now(), &layer.id, &volume).await?;
    tx.commit().await?;
    crash_point!("layer.freeze_kept");
    Ok(Made::Whole(layer))
}

/// Notes that a volume's file is a layer now, and what the volume stands on.
async fn settle(
    tx: &mut Tx,
    now: Timestamp,
    layer: &LayerId,
    volume: &Volume,
) -> Result<(), nephos_db::Error> {
    layers::keep(tx, layer, volume.size_bytes(), now).await?;
    volumes::release(tx, &volume.id, layer, Format::Qcow2).await
}

/// Gives a volume its file back that became a layer, when nothing stands on that yet.
async fn thaw(driver: &Driver, layer: &LayerId, volume: &Volume) -> Result<(), StepError> {
    let thawed = driver.thaw(&volume.file(), &layer_file(layer)).await;
    thawed.map_err(|why| StepError::Transient(why.to_string()))
}

/// Brings volumes back into use that are held for layers which nobody wants any more: work on them failed half way.
pub(crate) async fn give_back(service: &crate::Block) -> Result<(), nephos_db::Error> {
    for (volume, layer) in volumes::held_in_vain(&service.core.db).await? {
        let Some(driver) = volume
            .backend
            .as_deref()
            .and_then(|name| service.driver(name))
        else {
            continue;
        };
        let overlaid = driver.exists(&volume.file()) && driver.exists(&layer_file(&layer));
        if !overlaid && let Err(why) = thaw(driver, &layer, &volume).await {
            tracing::warn!(%why, volume = %volume.id, "a volume does not get its file back; it is tried again");
            continue;
        }
        crash_point!("layer.thawed");
        let settled = || async {
            let mut tx = service.core.db.write().await?;
            if overlaid {
                settle(&mut tx, service.core.clock.now(), &layer, &volume).await?;
            } else {
                volumes::let_go(&mut tx, &volume.id, &layer).await?;
            }
            tx.commit().await
        };
        service.core.db.again(settled).await?;
        crash_point!("layer.given_back");
    }
    Ok(())
}

/// Why a volume's file cannot be had: somebody uses it, or somebody else makes a layer of it.
async fn busy(cx: &OpCx<Svc>, volume: &Volume) -> Result<Made, StepError> {
    let used = crate::store::attachments::of_volumes(cx.db(), &[volume.id.as_str()]).await?;
    let opens = |one: &Attachment| one.host.is_some() || one.status == AttachStatus::Attached;
    if !used.iter().any(opens) {
        return Ok(Made::Later);
    }
    Ok(Made::No(DriverError::Refused(format!(
        "volume {} is in use, and its back end's file system cannot copy a file that is being written; \
         XFS and btrfs can",
        volume.id
    ))))
}

/// Brings to its end what work that was superseded began to do to another volume's file. True: there was nothing.
pub(crate) async fn let_go(cx: &OpCx<Svc>, id: &LayerId) -> Result<bool, StepError> {
    let Some(layer) = layers::find(cx.db(), id).await? else {
        return Ok(true);
    };
    let source = layer.source.as_deref().unwrap_or_default();
    let Some(volume) = volumes::find(cx.db(), &VolumeId::from(source)).await? else {
        return Ok(true);
    };
    if volume.held_by.as_ref() != Some(id) {
        return Ok(true);
    }
    freeze(cx, layer, volume).await?;
    Ok(false)
}
