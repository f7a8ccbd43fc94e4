//! Moving a volume's bytes to another back end: all of them are read in one and written in the other, and then the first
//! file goes.

use nephos_ops::{OpCx, StepError};

use super::driver;
use crate::model::backend::Backend;
use crate::model::layer::Format;
use crate::model::volume::{Status, Volume};
use crate::store::{snapshots, unmanaged};
use crate::{DriverError, Svc};

/// Why a volume cannot be moved as it is now.
pub(crate) async fn refusal(
    cx: &OpCx<Svc>,
    volume: &Volume,
) -> Result<Option<&'static str>, StepError> {
    let filters = [("volume_id".to_owned(), volume.id.to_string())];
    let listing = snapshots::Listing {
        filters: &filters,
        ..snapshots::Listing::default()
    };
    if snapshots::count(cx.db(), &listing).await? > 0 {
        return Ok(Some(
            "Volume must not have snapshots to be moved to another back end.",
        ));
    }
    if unmanaged::is_kept_of(cx.db(), &volume.id).await? {
        return Ok(Some(
            "Volume has snapshots that are kept in its back end without being managed. They stay where it is.",
        ));
    }
    if volume.status_before == Status::InUse {
        return Ok(Some(
            "A volume in use cannot be moved to another back end. Detach it first.",
        ));
    }
    Ok(None)
}

/// Writes it in another back end; the inner error is that back end's, and nothing is left of the try.
pub(crate) async fn copy(
    cx: &OpCx<Svc>,
    volume: &Volume,
    target: &Backend,
) -> Result<Result<(), DriverError>, StepError> {
    let from = driver(cx, volume.backend.as_deref().unwrap_or_default())?;
    let to = driver(cx, &target.name)?;
    let source = from.folder().join(volume.file());
    let moved = to.adopt((&source, volume.format), &volume.file()).await;
    if moved.is_err() {
        forget(cx, volume, &target.name).await?;
    }
    Ok(moved)
}

/// Why the copy of a volume is of no use whose state an administrator set anew meanwhile: a server may have written into the
/// first file since.
pub(crate) const RESET: &str =
    "The state of the volume was set anew while it moved, so it stays where it is.";

/// Notes in its row where it is now.
pub(crate) fn arrive(volume: &mut Volume, target: &Backend) {
    volume.backend = Some(target.name.clone());
    volume.zone.clone_from(&target.zone);
    // What is encrypted was copied as it is.
    volume.format = match volume.format {
        Format::Luks => Format::Luks,
        Format::Raw | Format::Qcow2 => Format::Raw,
    };
    volume.layer = None;
    volume.migration = Some("success".to_owned());
}

/// Removes what is of it in a back end where it is not.
pub(crate) async fn forget(
    cx: &OpCx<Svc>,
    volume: &Volume,
    backend: &str,
) -> Result<(), StepError> {
    let removed = driver(cx, backend)?.remove(&volume.file()).await;
    removed.map_err(|why| StepError::Transient(why.to_string()))
}

/// Removes what is left of it where it is no longer.
pub(crate) async fn tidy(cx: &OpCx<Svc>, volume: &Volume) -> Result<(), StepError> {
    for name in cx.service().drivers.keys() {
        if Some(name) != volume.backend.as_ref() {
            forget(cx, volume, name).await?;
        }
    }
    Ok(())
}
