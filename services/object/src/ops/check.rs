//! Whether rows and files fit together. Changes nothing, so the cloud may run meanwhile.

use std::collections::HashSet;

use futures_util::StreamExt as _;
use nephos_blob::Page;
use nephos_db::Error;
use nephos_types::Finding;

use crate::Svc;
use crate::store::{blobs, check as store};

/// Everything that does not fit.
pub(crate) async fn check(service: &Svc) -> Result<Vec<Finding>, Error> {
    let mut found = Vec::new();
    let mut find = |ids: Vec<String>, what: &str, hint: &str| {
        found.extend(ids.into_iter().map(|id| Finding::new(what, id, hint)));
    };
    let db = &service.core.db;
    let recount = "A backup of the database has the right figures, or a container of the same objects made anew.";
    find(
        store::miscounted_containers(db).await?,
        "a container whose counts are not those of its objects",
        recount,
    );
    find(
        store::miscounted_accounts(db).await?,
        "an account whose counts are not those of its containers",
        recount,
    );
    find(
        store::misowned_blobs(db).await?,
        "a file with another number of owners than is counted",
        "Its objects can be read; copy them, then delete them.",
    );
    find(
        store::short_objects(db).await?,
        "an object whose files are not as many bytes as it",
        "Upload it again.",
    );
    files(service, &mut found).await?;
    Ok(found)
}

/// Rows without a file, and files without a row.
async fn files(service: &Svc, found: &mut Vec<Finding>) -> Result<(), Error> {
    let mut pages = service.store.pages();
    while let Some(page) = pages.next().await {
        match page {
            Ok(page) => {
                lost(service, &page, found).await?;
                strange(service, page, found).await?;
            }
            Err(why) => found.push(Finding::new(
                format!("cannot be listed: {why}"),
                service.store.location(),
                "Look at [object]: the disk, the mount and its permissions, or the bucket and its key.",
            )),
        }
    }
    Ok(())
}

/// Rows whose file is not there.
async fn lost(service: &Svc, page: &Page, found: &mut Vec<Finding>) -> Result<(), Error> {
    let db = &service.core.db;
    let there: HashSet<&String> = page.keys.iter().collect();
    for id in blobs::kept_between(db, &page.after, &page.up_to).await? {
        if there.contains(&id) {
            continue;
        }
        // What came after the list was made is there now; what went has no row any more.
        match service.store.size(&id).await {
            Ok(None) if blobs::is_kept(db, &id).await? => {
                let hint = "Restore the file from a backup, or upload its objects again.";
                found.push(Finding::new("is a row whose file is not there", id, hint));
            }
            Ok(_) => {}
            Err(why) => found.push(Finding::new(
                format!("cannot be looked at: {why}"),
                id,
                "Look at [object] and at what it names.",
            )),
        }
    }
    Ok(())
}

/// Files without a row.
async fn strange(service: &Svc, page: Page, found: &mut Vec<Finding>) -> Result<(), Error> {
    let known = blobs::between(&service.core.db, &page.after, &page.up_to).await?;
    for id in page.keys {
        if known.binary_search(&id).is_err() && !blobs::is_known(&service.core.db, &id).await? {
            let hint = "The housekeeping removes it within an hour, if it is one of this cloud's.";
            found.push(Finding::new("is a file without a row", id, hint));
        }
    }
    Ok(())
}
