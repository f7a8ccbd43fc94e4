//! Chains of layers made shorter. Where files do not share blocks, every snapshot and copy leaves a layer below its volume,
//! also when the snapshot is long gone: bytes that nobody can reach any more, and a chain that QEMU gives up to open some day
//! (libvirt reads 200 files). A layer between two others on which nothing else stands gives what it has to the one
//! above it, and goes.
//!
//! The one above is changed in its place, so nobody may have it open: all volumes above it are held meanwhile. What they
//! hold stays the same at every instant, so a kill in between does no harm: they are let go, and the layer is found again.
//!
//! What comes into the one above is there twice until the layer has gone. Where there is no room for that above the
//! reserve, the chain stays as long as it is: the disk is everybody's.

use std::collections::HashMap;
use std::time::Duration;

use nephos_db::Error;
use nephos_runtime::crash_point;
use nephos_types::Timestamp;
use tracing::warn;

use super::SOON;
use crate::Block;
use crate::model::layer::{Layer, LayerId, layer_file};
use crate::model::volume::{Status, volume_file};
use crate::store::chains::{self, Above};
use crate::store::volumes;

/// How often it looks.
pub(crate) const EVERY: Duration = Duration::from_secs(10);
/// Layers fetched at a time, and merged in one go.
const BATCH: u32 = 20;
/// Layers looked at in one go: most are below volumes in use, where nothing can be done.
const LOOKS: u32 = 200;
/// After a layer could not be merged it is left alone for so long, and twice as long each further time.
const WAIT_SECS: i64 = 20;
const LONGEST_WAIT_SECS: i64 = 3600;
/// Layers that are left alone at a time. With more, what is known of them is forgotten, and they are tried again.
const LEFT_ALONE: usize = 10_000;

/// What is kept in mind from one go to the next.
#[derive(Default)]
pub(crate) struct Memory {
    /// By back end, the layer that the next go begins behind: everybody comes to their turn.
    marks: HashMap<String, String>,
    /// Layers that could not be merged: until when they are left alone, and for how many seconds that is.
    later: HashMap<LayerId, (Timestamp, i64)>,
}

impl Memory {
    fn mark(&self, backend: &str) -> String {
        self.marks.get(backend).cloned().unwrap_or_default()
    }

    fn is_due(&self, layer: &LayerId, now: Timestamp) -> bool {
        self.later.get(layer).is_none_or(|(until, _)| *until <= now)
    }

    fn merged(&mut self, layer: &LayerId) {
        self.later.remove(layer);
    }

    fn failed(&mut self, layer: &LayerId, now: Timestamp) {
        let wait = self.later.get(layer).map_or(WAIT_SECS, |(_, wait)| {
            wait.saturating_mul(2).min(LONGEST_WAIT_SECS)
        });
        if self.later.len() >= LEFT_ALONE {
            self.later.clear();
        }
        self.later
            .insert(layer.clone(), (now.plus_secs(wait), wait));
    }
}

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
        go(service, name).await?;
    }
    Ok(())
}

/// Looks at layers of a back end where it ended the last time, once around at the most.
async fn go(service: &Block, backend: &str) -> Result<(), Error> {
    let mut after = service.chains().mark(backend);
    let mut around = after.is_empty();
    let (mut looked, mut tried) = (0, 0);
    while looked < LOOKS && tried < BATCH {
        let page = chains::between(&service.core.db, backend, (&after, BATCH)).await?;
        let is_last = page.len() < usize::try_from(BATCH).unwrap_or(0);
        for layer in page {
            looked += 1;
            layer.id.as_str().clone_into(&mut after);
            let due = service.chains().is_due(&layer.id, service.core.clock.now());
            if due && hold(service, &layer).await? {
                tried += 1;
                merge(service, &layer).await?;
            }
        }
        if is_last {
            after.clear();
            if around {
                break;
            }
            around = true;
        }
    }
    service.chains().marks.insert(backend.to_owned(), after);
    Ok(())
}

/// Keeps everybody from the volumes above a layer; false when one of them is in use, or worked on.
async fn hold(service: &Block, layer: &Layer) -> Result<bool, Error> {
    if chains::is_busy(&service.core.db, &layer.id).await? {
        return Ok(false);
    }
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
    let (above_it, base) = (above.file(), below.file());
    let merged = driver
        .rebase(
            (&above_it, (&base, below.format)),
            service.config.reserved_bytes,
            wanted(service, &layer.id),
        )
        .await;
    match &merged {
        Ok(()) => service.chains().merged(&layer.id),
        Err(why) => {
            warn!(%why, layer = %layer.id, "a chain of layers stays as long as it is; it is tried again later");
            let now = service.core.clock.now();
            service.chains().failed(&layer.id, now);
        }
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

/// Comes to its end when somebody waits for a volume that is held. What was merged until then is not done again.
async fn wanted(service: &Block, layer: &LayerId) {
    loop {
        match chains::is_wanted(&service.core.db, layer).await {
            Ok(true) => return,
            Ok(false) => {}
            Err(why) => warn!(%why, "cannot see whether somebody waits for a volume"),
        }
        service.core.clock.sleep(SOON).await;
    }
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
