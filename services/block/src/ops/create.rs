//! Making a volume: find a back end, have what it stands on, make its file.

use nephos_db::Tx;
use nephos_ops::{EnqueueError, Failure, Next, OpCx, Operation, Reconcile, StepError, enqueue};
use nephos_runtime::crash_point;
use serde::{Deserialize, Serialize};

use super::layer::{self, Made};
use super::{Asked, SOON, driver, refused, tell};
use crate::model::backend::{Wish, choose};
use crate::model::encryption::{Luks, Passphrase};
use crate::model::layer::{Format, Layer, LayerState};
use crate::model::message::Event;
use crate::model::volume::{Status, Volume, VolumeId};
use crate::store::{backends, encryption, layers, types, volumes};
use crate::{Incoming, Svc};

/// What a volume is made from.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case", tag = "from")]
pub(crate) enum Args {
    /// Nothing: zeroes.
    Nothing {
        /// Only there.
        zone: Option<String>,
    },
    /// An image.
    Image {
        /// Which.
        id: String,
        /// Only there.
        zone: Option<String>,
    },
    /// A backup, whose bytes come when the volume is there.
    Backup {
        /// Only there.
        zone: Option<String>,
    },
    /// A layer that the volume's row names: a snapshot's, or one that is yet to be made of another volume.
    Layer,
}

pub(crate) struct Create;

/// Wants a volume whose row is inserted in the same transaction.
pub(crate) async fn request(
    tx: &mut Tx,
    asked: Asked<'_>,
    volume: &VolumeId,
    args: &Args,
) -> Result<(), EnqueueError> {
    let args = serde_json::to_value(args)?;
    let new = asked.work(<Create as Reconcile<Svc>>::KIND, volume.as_str(), args);
    enqueue(tx, asked.now, new).await.map(|_operation| ())
}

impl Reconcile<Svc> for Create {
    const KIND: &'static str = "volume.create";
    const CUT_OFF: bool = true;

    async fn step(&self, cx: &OpCx<Svc>, op: &Operation) -> Result<Next, StepError> {
        let id = VolumeId::from(op.resource_id.as_str());
        let Some(volume) = volumes::find(cx.db(), &id).await? else {
            return Ok(Next::Done);
        };
        let args: Args = op.args()?;
        let Some(backend) = volume.backend.clone() else {
            return schedule(cx, &volume, &args).await;
        };
        match &args {
            Args::Nothing { .. } => empty(cx, &volume, (&backend, Status::Available)).await,
            Args::Backup { .. } => empty(cx, &volume, (&backend, Status::RestoringBackup)).await,
            Args::Image { id, .. } => of_image(cx, &volume, (&backend, id)).await,
            Args::Layer => of_layer(cx, &volume).await,
        }
    }

    async fn failed(
        &self,
        cx: &OpCx<Svc>,
        op: &Operation,
        failure: &Failure,
        tx: &mut Tx,
    ) -> Result<(), nephos_db::Error> {
        let id = VolumeId::from(op.resource_id.as_str());
        let Some(mut volume) = volumes::find_in(tx, &id).await? else {
            return Ok(());
        };
        let event = match (failure.code, &volume.backend) {
            (413, _) => Event::ImageTooLarge,
            (415, _) => Event::ImageRefused,
            (_, None) => Event::NoBackend,
            (_, Some(_)) => Event::CreateFailed,
        };
        volume.status = Status::Error;
        volume.layer = None;
        volume.updated_at = cx.now();
        volumes::update(tx, &volume).await?;
        tell(
            tx,
            cx,
            op,
            (&volume.owner, "VOLUME", event, &failure.message),
        )
        .await
    }
}

/// Finds the back end.
async fn schedule(cx: &OpCx<Svc>, volume: &Volume, args: &Args) -> Result<Next, StepError> {
    let kind = types::find(cx.db(), &volume.type_id).await?;
    let zone = match args {
        Args::Nothing { zone } | Args::Backup { zone } | Args::Image { zone, .. } => {
            zone.as_deref()
        }
        Args::Layer => None,
    };
    let wish = Wish {
        size_gib: volume.size_gib,
        zone,
        specs: kind.as_ref().map(|kind| &kind.specs),
        only: None,
    };
    let all = backends::list(cx.db()).await?;
    let chosen = match choose(&all, &wish, cx.now()) {
        Ok(chosen) => chosen,
        Err(why) => {
            let words =
                format!("No valid backend was found. No weighed backends available: {why}.");
            return Ok(Next::Fail(Failure::new(words)));
        }
    };
    let mut tx = cx.write("schedule").await?;
    volumes::change(&mut tx, &volume.id, |volume| {
        volume.backend = Some(chosen.name.clone());
        volume.zone.clone_from(&chosen.zone);
        if matches!(args, Args::Image { .. }) {
            volume.status = Status::Downloading;
        }
    })
    .await?;
    tx.commit().await?;
    crash_point!("create.scheduled");
    Ok(Next::Again)
}

async fn empty(
    cx: &OpCx<Svc>,
    volume: &Volume,
    (backend, then): (&str, Status),
) -> Result<Next, StepError> {
    let driver = driver(cx, backend)?;
    let (file, size) = (volume.file(), volume.size_bytes());
    let made = match volume.format {
        Format::Luks => {
            let (luks, key) = encrypted(cx, volume).await?;
            driver.create_encrypted((&file, size), &luks, &key).await
        }
        Format::Raw | Format::Qcow2 => driver.create_empty(&file, size).await,
    };
    if let Err(why) = made {
        return give_up(cx, volume, &why, 500).await;
    }
    crash_point!("create.file");
    finish(cx, volume, (volume.format, None), then).await
}

/// How a volume is to be encrypted, and what opens it.
async fn encrypted(cx: &OpCx<Svc>, volume: &Volume) -> Result<(Luks, Passphrase), StepError> {
    let lost = |why: String| StepError::Permanent(format!("The volume cannot be encrypted: {why}"));
    let of_type = encryption::of_type(cx.db(), &volume.type_id).await?;
    let of_type = of_type.ok_or_else(|| lost("its type does not say how.".to_owned()))?;
    let luks = of_type.luks().map_err(lost)?;
    let key = encryption::key(cx.db(), &volume.id).await?;
    let key = key.ok_or_else(|| lost("its key is gone.".to_owned()))?;
    let key = cx.service().open_key(&volume.id, &key.sealed);
    Ok((luks, key.map_err(|why| lost(why.to_string()))?))
}

/// Over the layer that the volume's row names.
async fn of_layer(cx: &OpCx<Svc>, volume: &Volume) -> Result<Next, StepError> {
    let Some(id) = &volume.layer else {
        return Err(StepError::Permanent(
            "The volume's source is gone.".to_owned(),
        ));
    };
    match layer::ensure_of_volume(cx, id).await? {
        Made::Whole(layer) => place(cx, volume, &layer).await,
        Made::More => Ok(Next::Again),
        Made::Later => Ok(Next::After(SOON)),
        Made::No(why) => give_up(cx, volume, &why, 500).await,
    }
}

/// Makes the volume's file of a layer.
async fn place(cx: &OpCx<Svc>, volume: &Volume, layer: &Layer) -> Result<Next, StepError> {
    let driver = driver(cx, &layer.backend)?;
    let size = volume.size_bytes().max(layer.size_bytes);
    if volume.format == Format::Luks && layer.format != Format::Luks {
        let (luks, key) = encrypted(cx, volume).await?;
        let to = (volume.file(), size);
        let made = driver.encrypt(layer, (&to.0, to.1), (&luks, &key)).await;
        if let Err(why) = made {
            return give_up(cx, volume, &why, 500).await;
        }
        crash_point!("create.encrypted");
        return finish(cx, volume, (Format::Luks, None), Status::Available).await;
    }
    let (format, below) = match driver.copy(layer, (&volume.file(), size)).await {
        Ok(made) => made,
        Err(why) => return give_up(cx, volume, &why, 500).await,
    };
    crash_point!("create.placed");
    finish(cx, volume, (format, below), Status::Available).await
}

/// Has the image's bytes as a layer, fetched once for all volumes of it.
async fn of_image(
    cx: &OpCx<Svc>,
    volume: &Volume,
    (backend, image): (&str, &str),
) -> Result<Next, StepError> {
    let key = volume.image_id.as_deref().unwrap_or(image);
    if let Some(id) = &volume.layer
        && let Some(layer) = layers::find(cx.db(), id).await?
    {
        if layer.state == LayerState::Kept {
            if layer.size_bytes > volume.size_bytes() {
                return too_large(cx, volume, layer.size_bytes).await;
            }
            return place(cx, volume, &layer).await;
        }
        return fetch(cx, volume, (&layer, image)).await;
    }
    let known = layers::of_image(cx.db(), backend, key).await?;
    if known
        .as_ref()
        .is_some_and(|layer| layer.state == LayerState::Doomed)
    {
        // It goes first; then it is fetched anew.
        cx.service().house_now();
        return Ok(Next::After(SOON));
    }
    let layer = known.unwrap_or_else(|| Layer {
        id: layer::id_for(volume.id.as_str()),
        backend: backend.to_owned(),
        format: Format::Raw,
        parent: None,
        source: None,
        image: Some(key.to_owned()),
        size_bytes: 0,
        state: LayerState::Making,
    });
    let mut tx = cx.write("image").await?;
    layers::insert(&mut tx, &layer, cx.now()).await?;
    layers::touch(&mut tx, &layer.id, cx.now()).await?;
    let there = layers::find_in(&mut tx, &layer.id).await?;
    // Another volume of the same image was quicker, or the layer is on its way out: look again.
    if there.is_none_or(|there| there.state == LayerState::Doomed) {
        drop(tx);
        return Ok(Next::After(SOON));
    }
    volumes::change(&mut tx, &volume.id, |volume| {
        volume.layer = Some(layer.id.clone());
    })
    .await?;
    tx.commit().await?;
    crash_point!("create.image_noted");
    Ok(Next::Again)
}

async fn fetch(
    cx: &OpCx<Svc>,
    volume: &Volume,
    (layer, image): (&Layer, &str),
) -> Result<Next, StepError> {
    let driver = driver(cx, &layer.backend)?;
    // Of many volumes of one image, one fetches.
    let _only_one = cx.service().flight(layer.id.as_str()).await;
    if let Some(now) = layers::find(cx.db(), &layer.id).await?
        && now.state == LayerState::Kept
    {
        return Ok(Next::Again);
    }
    let away = |why: nephos_peer::PeerError| {
        if why.is_transient() {
            StepError::Away(why.to_string())
        } else {
            StepError::Permanent(format!("Image {image} cannot be read: {}", why.message))
        }
    };
    let siblings = &cx.service().siblings;
    let shown = siblings.image(None, image).await.map_err(away)?;
    let chunks = siblings.image_data(image).await.map_err(away)?;
    let disk_format = shown.disk_format.unwrap_or_default();
    let incoming = Incoming {
        disk_format: &disk_format,
        size_bytes: shown.size.unwrap_or(0),
        at_most: volume.size_bytes(),
    };
    let size = match driver.import(&layer.file(), &incoming, chunks).await {
        Ok(size) => size,
        Err(why) => {
            let code = if why.to_string().contains("more than the volume") {
                413
            } else {
                415
            };
            return give_up(cx, volume, &why, code).await;
        }
    };
    crash_point!("create.image_fetched");
    let mut tx = cx.write("fetch").await?;
    layers::keep(&mut tx, &layer.id, size, cx.now()).await?;
    tx.commit().await?;
    crash_point!("create.image_kept");
    Ok(Next::Again)
}

async fn too_large(cx: &OpCx<Svc>, volume: &Volume, bytes: u64) -> Result<Next, StepError> {
    let why = crate::DriverError::Refused(format!(
        "the disk in it has {} GiB, more than the volume's {} GiB",
        bytes.div_ceil(1 << 30),
        volume.size_gib
    ));
    give_up(cx, volume, &why, 413).await
}

/// Leaves nothing of a volume that cannot be made.
async fn give_up(
    cx: &OpCx<Svc>,
    volume: &Volume,
    why: &crate::DriverError,
    code: u16,
) -> Result<Next, StepError> {
    if why.is_final()
        && let Some(driver) = volume
            .backend
            .as_deref()
            .and_then(|name| cx.service().driver(name))
    {
        let removed = driver.remove(&volume.file()).await;
        removed.map_err(|why| StepError::Transient(why.to_string()))?;
        if let Some(layer) = &volume.layer
            && volume.image_id.is_some()
        {
            driver
                .drop_parts(&crate::model::layer::layer_file(layer))
                .await
                .map_err(|why| StepError::Transient(why.to_string()))?;
        }
        crash_point!("create.given_up");
        cx.service().house_now();
    }
    let words = if code == 500 {
        "The volume cannot be made"
    } else {
        "The image cannot be copied to the volume"
    };
    match refused(why, words)? {
        Next::Fail(failure) => Ok(Next::Fail(Failure { code, ..failure })),
        other => Ok(other),
    }
}

async fn finish(
    cx: &OpCx<Svc>,
    volume: &Volume,
    (format, below): (Format, Option<crate::model::layer::LayerId>),
    then: Status,
) -> Result<Next, StepError> {
    let mut tx = cx.finish("finish").await?;
    volumes::change(&mut tx, &volume.id, |volume| {
        volume.status = then;
        volume.format = format;
        volume.layer = below;
        volume.updated_at = cx.now();
        volume.launched_at = Some(cx.now());
    })
    .await?;
    tx.commit().await?;
    crash_point!("create.finished");
    Ok(Next::Done)
}
