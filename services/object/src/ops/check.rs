//! Whether rows and files fit together. Changes nothing, so the cloud may run meanwhile.

use std::collections::BTreeSet;

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
    for (low, high, store) in service.folders() {
        // Rows before files and again after them: what comes or goes meanwhile is neither.
        let before = blobs::kept_between(&service.core.db, &low, &high).await?;
        let files: BTreeSet<String> = match store.list().await {
            Ok(files) => files.into_iter().collect(),
            Err(why) => {
                found.push(Finding::new(
                    format!("cannot be listed: {why}"),
                    low,
                    "Look at [object] folder: the disk, the mount, its permissions.",
                ));
                continue;
            }
        };
        if before.is_empty() && files.is_empty() {
            continue;
        }
        let after = blobs::between(&service.core.db, &low, &high).await?;
        let known = |id: &String| after.binary_search(id).is_ok();
        let gone = before.iter().filter(|id| !files.contains(*id) && known(id));
        found.extend(gone.map(|id| {
            let hint = "Restore the file from a backup, or upload its objects again.";
            Finding::new("is a row whose file is not there", id, hint)
        }));
        found.extend(files.iter().filter(|id| !known(id)).map(|id| {
            let hint = "A start of the object service removes it.";
            Finding::new("is a file without a row", id, hint)
        }));
    }
    Ok(())
}
