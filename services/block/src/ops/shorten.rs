//! Chains of layers made shorter. Where files do not share blocks, every snapshot and copy leaves a layer below its volume,
//! also when the snapshot is long gone: bytes that nobody can reach any more, and a chain that QEMU gives up to open some day
//! (libvirt reads 200 files). A layer between two others on which nothing else stands gives what it has to the one
//! above it, and goes.
//!
//! The one above is changed in its place, so nobody may have it open: all volumes above it are held meanwhile. What they
//! hold stays the same at every instant, so a kill in between does no harm: they are let go, and the layer is found again.

use std::time::Duration;

use nephos_db::Error;
use nephos_runtime::crash_point;
use tracing::warn;

use crate::Block;
use crate::model::layer::{Layer, layer_file};
use crate::model::volume::{Status, volume_file};
use crate::store::chains::{self, Above};
use crate::store::volumes;

/// How often it looks.
pub(crate) const EVERY: Duration = Duration::from_secs(10);
/// Layers looked at in one go.
const BATCH: u32 = 20;

/// Makes the chains of this process's back ends as short as can be now.
pub(crate) async fn shorten(service: &Block) -> Result<(), Error> {
    for name in service.drivers.keys() {
        // Nothing is being merged now, so whoever is still held was held by a process that was killed. Work that was asked
        // for since waits for that.
        let freed = || async {
            let mut tx = service.core.db.write().await?;
            chains::let_all_go(&mut tx, name).await?;
            tx.commit().await
        };
        service.core.db.again(freed).await?;
        for layer in chains::between(&service.core.db, name, BATCH).await? {
            if hold(service, &layer).await? {
                merge(service, &layer).await?;
            }
        }
    }
    Ok(())
}

/// Keeps everybody from the volumes above a layer; false when one of them is in use, or worked on.
async fn hold(service: &Block, layer: &Layer) -> Result<bool, Error> {
    let attempt = || async {
        let mut tx = service.core.db.write().await?;
        // As this transaction sees them: somebody may have come to stand on it, or have begun to read it.
        if chains::above(&mut tx, &layer.id).await?.is_none()
            || chains::is_read(&mut tx, &layer.id).await?
        {
            return Ok(false);
        }
        for id in chains::volumes(&mut tx, &layer.id).await? {
            let volume = volumes::find_in(&mut tx, &id).await?;
            let idle = volume.is_some_and(|volume| volume.status == Status::Available);
            if !idle || !volumes::hold(&mut tx, &id, &layer.id).await? {
                return Ok(false);
            }
        }
        tx.commit().await?;
        Ok::<_, Error>(true)
    };
    service.core.db.again(attempt).await
}

/// Gives what a layer has to the one file above it.
async fn merge(service: &Block, layer: &Layer) -> Result<(), Error> {
    crash_point!("shorten.held");
    let db = &service.core.db;
    // As it stands now: what is below it may be another since it was found.
    let found = chains::around(db, &layer.id).await?;
    let (Some((above, below)), Some(driver)) = (found, service.driver(&layer.backend)) else {
        return Ok(());
    };
    let base = below.file();
    let merged = driver.rebase(&above.file(), (&base, below.format)).await;
    if let Err(why) = &merged {
        warn!(%why, layer = %layer.id, "a chain of layers stays as long as it is; it is tried again");
    }
    crash_point!("shorten.merged");
    let settle = || async {
        let mut tx = db.write().await?;
        if merged.is_ok() {
            chains::stand_on(&mut tx, &above, &below.id).await?;
        }
        chains::let_go(&mut tx, &layer.id).await?;
        tx.commit().await
    };
    db.again(settle).await?;
    crash_point!("shorten.noted");
    service.house_now();
    Ok(())
}

impl Above {
    /// Its file's name in its back end.
    fn file(&self) -> String {
        match self {
            Self::Volume(id) => volume_file(id),
            Self::Layer(id) => layer_file(id),
        }
    }
}
