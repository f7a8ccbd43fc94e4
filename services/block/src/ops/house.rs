//! Housekeeping: reports back ends, removes layers that nobody stands on, keeps targets as they should be.

use std::collections::BTreeMap;
use std::time::Duration;

use nephos_db::Error;
use nephos_runtime::crash_point;
use tracing::warn;

use crate::model::backend::Backend;
use crate::store::{backends, layers, messages};
use crate::{Block, Room};

/// Bytes of images that no volume was made of for so long go.
const IMAGES_KEPT_SECS: i64 = 24 * 3600;
/// Layers removed at a time.
const BATCH: u32 = 100;

/// Says what room there is in the back ends of this process.
pub(crate) async fn report(service: &Block) -> Result<(), Error> {
    // Those on one file system have the same room, and are measured at the same moment.
    let mut measured: BTreeMap<u64, Room> = BTreeMap::new();
    for (name, driver) in &service.drivers {
        let device = driver.device();
        let known = device.and_then(|device| measured.get(&device).copied());
        let room = match known.map_or_else(|| driver.room(), Ok) {
            Ok(room) => room,
            Err(why) => {
                warn!(%why, backend = name, "a back end cannot be measured, and counts as down soon; is its folder there, and readable?");
                continue;
            }
        };
        if let Some(device) = device {
            measured.insert(device, room);
        }
        let namespace = uuid::Uuid::NAMESPACE_URL;
        let id =
            nephos_runtime::ids::derived(&namespace, &format!("{}@{name}", service.config.host));
        let backend = Backend {
            name: name.clone(),
            id: id.to_string(),
            host: service.config.host.clone(),
            zone: service.config.zone.clone(),
            folder: driver.folder().display().to_string(),
            portal: service
                .targets
                .as_ref()
                .map(|targets| targets.portal().to_string()),
            reflink: driver.reflink(),
            total_bytes: room.total,
            free_bytes: room.free.saturating_sub(service.config.reserved_bytes),
            disabled: false,
            disabled_reason: None,
            frozen: false,
            reported_at: service.core.clock.now(),
            provisioned_gib: 0,
        };
        let noted = || async {
            let mut tx = service.core.db.write().await?;
            backends::report(&mut tx, &backend).await?;
            tx.commit().await
        };
        service.core.db.again(noted).await?;
    }
    Ok(())
}

/// Removes layers that nobody stands on; those below them come to their turn.
pub(crate) async fn sweep(service: &Block) -> Result<(), Error> {
    let now = service.core.clock.now();
    let prune = || async {
        let mut tx = service.core.db.write().await?;
        messages::prune(&mut tx, now).await?;
        tx.commit().await
    };
    service.core.db.again(prune).await?;
    super::objects::sweep(service).await?;
    // Before layers go: the only bytes of a volume may be in one.
    super::layer::give_back(service).await?;
    loop {
        let doom = || async {
            let mut tx = service.core.db.write().await?;
            layers::doom_unused(&mut tx, now.plus_secs(-IMAGES_KEPT_SECS)).await?;
            tx.commit().await
        };
        service.core.db.again(doom).await?;
        let mut removed = 0;
        for layer in layers::doomed(&service.core.db, BATCH).await? {
            let Some(driver) = service.driver(&layer.backend) else {
                continue;
            };
            crash_point!("sweep.doomed");
            if let Err(why) = driver.remove(&layer.file()).await {
                warn!(%why, layer = %layer.id, "a layer cannot be removed");
                continue;
            }
            crash_point!("sweep.file");
            let forget = || async {
                let mut tx = service.core.db.write().await?;
                layers::remove(&mut tx, &layer.id).await?;
                tx.commit().await
            };
            service.core.db.again(forget).await?;
            removed += 1;
        }
        if removed == 0 {
            return Ok(());
        }
    }
}

/// How often the housekeeping looks without being told.
pub(crate) const LOOK_EVERY: Duration = Duration::from_secs(2);
