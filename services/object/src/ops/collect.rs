//! Removes bytes that no row knows. A row is there before its bytes and goes after them, so nobody wants them: they are what
//! a machine kept that lost its database's last second, what a writer left that was stopped in the very act of opening, or
//! what reached a bucket after its writer was given up.

use std::sync::PoisonError;
use std::time::Duration;

use futures_util::StreamExt as _;
use nephos_blob::Page;
use nephos_db::Error;
use nephos_types::Timestamp;
use tracing::warn;

use crate::Svc;
use crate::store::{blobs, owner};

/// How often all of the store is looked through.
const EVERY: Duration = Duration::from_secs(3600);
/// How soon again, when not all of it could be.
const AGAIN: Duration = Duration::from_secs(60);

/// Looks through the store, unless that was done not long ago.
pub(crate) async fn when_due(service: &Svc) -> Result<(), Error> {
    let now = service.core.clock.now();
    if now < *due(service) {
        return Ok(());
    }
    let pause = if collect(service).await? {
        EVERY
    } else {
        AGAIN
    };
    *due(service) = service.core.clock.now().plus(pause);
    Ok(())
}

fn due(service: &Svc) -> std::sync::MutexGuard<'_, Timestamp> {
    let due = service.collection.lock();
    due.unwrap_or_else(PoisonError::into_inner)
}

/// True when all of it was seen.
async fn collect(service: &Svc) -> Result<bool, Error> {
    // A database that knows no file at all beside a store full of them is the wrong one.
    if !blobs::any(&service.core.db).await? {
        return Ok(true);
    }
    // Whoever could not be asked at the start is asked now: what another database knows is not ours to remove.
    let id = owner::id(&service.core.db).await?;
    if let Err(why) = service.store.claim(&id).await {
        warn!(%why, "the store is not looked through for what nobody knows");
        return Ok(false);
    }
    let (mut pages, mut all) = (service.store.pages(), true);
    while let Some(page) = pages.next().await {
        match page {
            Ok(page) => clear(service, page).await?,
            Err(why) => {
                all = false;
                warn!(%why, "the store cannot be looked through for what nobody knows");
            }
        }
    }
    Ok(all)
}

async fn clear(service: &Svc, page: Page) -> Result<(), Error> {
    let known = blobs::between(&service.core.db, &page.after, &page.up_to).await?;
    for key in page.keys {
        // Only what looks like ours: somebody may keep other files there.
        let ours = uuid::Uuid::try_parse(&key).is_ok() && key.len() == 36;
        if !ours || known.binary_search(&key).is_ok() {
            continue;
        }
        // Unfinished ones may stand in other pages than their rows.
        if blobs::is_known(&service.core.db, &key).await? {
            continue;
        }
        match service.store.remove(&key).await {
            Ok(()) => warn!(blob = key, "removed a file that nobody knows"),
            Err(why) => warn!(blob = key, %why, "cannot remove a file that nobody knows"),
        }
    }
    Ok(())
}
