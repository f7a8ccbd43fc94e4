//! A new volume of a type whose volumes are encrypted: its key, or why there is none.

use nephos_api::Fault;
use nephos_db::Tx;

use super::super::fault::invalid_input;
use super::From;
use crate::Cx;
use crate::model::encryption::Passphrase;
use crate::model::layer::Format;
use crate::model::volume::{Volume, VolumeId};
use crate::store::encryption::{self, Key};
use crate::store::{layers, snapshots, volumes};

/// Notes that a volume will be encrypted, with its key, by what its type says in this transaction.
pub(super) async fn settle(
    cx: &Cx,
    tx: &mut Tx,
    (volume, from): (&mut Volume, &From),
) -> Result<(), Fault> {
    let of_type = encryption::of_type_in(tx, &volume.type_id).await?;
    let source = source(tx, from).await?;
    let refused = |why: &str| invalid_input(format!("The volume cannot be encrypted: {why}"));
    let Some(of_type) = of_type else {
        return match source {
            Some((_, Format::Luks)) => Err(invalid_input(
                "The source is encrypted, and volumes of its type are not any more. Make the volume of another source.",
            )),
            _plain => Ok(()),
        };
    };
    of_type.luks().map_err(|why| refused(&why))?;
    let key = match (&source, from) {
        (Some((source, Format::Luks)), _) => {
            let key = encryption::key_in(tx, source).await?;
            let key = key.ok_or_else(|| refused("the key of its source is gone."))?;
            cx.open_key(source, &key.sealed)
        }
        (Some(_plain), _) => {
            return Err(refused(
                "its source is not, and is older than the encryption of its type. Retype the source first.",
            ));
        }
        (None, From::Backup(_)) => {
            return Err(refused(
                "it is made of a backup. Bring the backup back into a volume of a type without encryption.",
            ));
        }
        // 256 random bits.
        (None, _) => Ok(Passphrase(format!(
            "{}{}",
            nephos_runtime::ids::hex(),
            nephos_runtime::ids::hex()
        ))),
    };
    // With another secret than those before it, it would be lost as soon as the right one is back.
    let known = encryption::any_key_in(tx).await?;
    let fits = known.map_or(Ok(()), |known| {
        cx.open_key(&known.volume, &known.sealed).map(|_opens| ())
    });
    let sealed = fits.and(key);
    let sealed = sealed.and_then(|key| cx.close_key(&volume.id, &key));
    let sealed = sealed.map_err(|why| {
        tracing::warn!(%why, "an encrypted volume cannot be made");
        Fault::unavailable(
            "Encrypted volumes cannot be made at the moment. Ask an administrator of the cloud to look at the log of the block service.",
        )
    })?;
    let id = nephos_runtime::ids::uuid().to_string();
    encryption::keep_key(tx, &volume.id, &Key { id, sealed }).await?;
    volume.format = Format::Luks;
    Ok(())
}

/// The volume that the new one has its bytes and its key of, and how those are written; none: an image, or nothing.
async fn source(tx: &mut Tx, from: &From) -> Result<Option<(VolumeId, Format)>, Fault> {
    Ok(match from {
        From::Nothing | From::Backup(_) | From::Image(_) => None,
        From::Volume(source) => {
            let now = volumes::find_in(tx, &source.id).await?;
            now.map(|now| (now.id, now.format))
        }
        From::Snapshot(snapshot) => {
            let now = snapshots::find_in(tx, &snapshot.id).await?;
            let layer = match now.and_then(|now| now.layer) {
                Some(id) => layers::find_in(tx, &id).await?,
                None => None,
            };
            layer.map(|layer| (snapshot.volume_id.clone(), layer.format))
        }
    })
}
