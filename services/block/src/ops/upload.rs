//! Making an image of a volume: the image is there without bytes, and gets them.

use nephos_db::Tx;
use nephos_ops::{EnqueueError, Failure, Next, OpCx, Operation, Reconcile, StepError, enqueue};
use nephos_peer::PeerError;
use nephos_runtime::crash_point;
use serde::{Deserialize, Serialize};

use super::{Asked, SOON, driver, refused, tell};
use crate::Svc;
use crate::model::message::Event;
use crate::model::volume::{Status, Volume, VolumeId};
use crate::store::volumes;

pub(crate) struct Upload;

#[derive(Serialize, Deserialize)]
struct Args {
    image: String,
    disk_format: String,
}

/// Wants the bytes of a volume in an image that waits for them.
pub(crate) async fn request(
    tx: &mut Tx,
    asked: Asked<'_>,
    volume: &VolumeId,
    (image, disk_format): (&str, &str),
) -> Result<(), EnqueueError> {
    let args = serde_json::to_value(Args {
        image: image.to_owned(),
        disk_format: disk_format.to_owned(),
    })?;
    let new = asked.work(<Upload as Reconcile<Svc>>::KIND, volume.as_str(), args);
    enqueue(tx, asked.now, new).await.map(|_operation| ())
}

impl Reconcile<Svc> for Upload {
    const KIND: &'static str = "volume.upload";

    async fn step(&self, cx: &OpCx<Svc>, op: &Operation) -> Result<Next, StepError> {
        let id = VolumeId::from(op.resource_id.as_str());
        let Some(volume) = volumes::find(cx.db(), &id).await? else {
            return Ok(Next::Done);
        };
        let args: Args = op.args()?;
        let image = cx.service().siblings.image(None, &args.image).await;
        let image = image.map_err(|why| away(&args.image, &why))?;
        match image.status.as_str() {
            "queued" => send(cx, &volume, &args).await,
            // A try that was cut off; the image service sees soon that nobody writes any more.
            "saving" => Ok(Next::After(SOON * 10)),
            "active" => finish(cx, &volume).await,
            other => Err(StepError::Permanent(format!(
                "Image {} is {other}.",
                args.image
            ))),
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
        let Some(volume) = volumes::find_in(tx, &id).await? else {
            return Ok(());
        };
        // A half written file that stays goes with the volume, or when the process starts anew.
        let back = (Status::Uploading, Status::Available);
        volumes::move_status(tx, &id, back, cx.now()).await?;
        let what = (
            &volume.owner,
            "VOLUME",
            Event::UploadFailed,
            failure.message.as_str(),
        );
        tell(tx, cx, op, what).await
    }
}

fn away(image: &str, why: &PeerError) -> StepError {
    if why.is_transient() || why.status == Some(401) {
        StepError::Away(why.to_string())
    } else {
        StepError::Permanent(format!(
            "Image {image} does not take the bytes of the volume: {}",
            why.message
        ))
    }
}

/// Sends the bytes, in the format that the image has.
async fn send(cx: &OpCx<Svc>, volume: &Volume, args: &Args) -> Result<Next, StepError> {
    let driver = driver(cx, volume.backend.as_deref().unwrap_or_default())?;
    let made = driver
        .export(&volume.file(), volume.format, &args.disk_format)
        .await;
    let file = match made {
        Ok(file) => file,
        Err(why) => return refused(&why, "The image cannot be made of the volume"),
    };
    crash_point!("upload.converted");
    let outgoing = file.open().await;
    let outgoing = outgoing.map_err(|why| StepError::Transient(why.to_string()))?;
    let sent = cx.service().siblings.upload_image(&args.image, outgoing);
    sent.await.map_err(|why| match why.status {
        // Somebody else sends, or has sent, its bytes: the next look tells.
        Some(409) => StepError::Transient(why.message),
        _other => away(&args.image, &why),
    })?;
    crash_point!("upload.sent");
    Ok(Next::Again)
}

async fn finish(cx: &OpCx<Svc>, volume: &Volume) -> Result<Next, StepError> {
    let driver = driver(cx, volume.backend.as_deref().unwrap_or_default())?;
    let dropped = driver.drop_export(&volume.file()).await;
    dropped.map_err(|why| StepError::Transient(why.to_string()))?;
    crash_point!("upload.tidied");
    let mut tx = cx.finish("finish").await?;
    let back = (Status::Uploading, Status::Available);
    volumes::move_status(&mut tx, &volume.id, back, cx.now()).await?;
    tx.commit().await?;
    crash_point!("upload.finished");
    Ok(Next::Done)
}
