//! What the tables say about each other; `nephos fsck` asks.

use nephos_db::{Db, Error, args};
use nephos_types::Finding;

use super::blobs::Blob;

/// Rows of blobs that are read at once.
const PAGE: i64 = 1000;

/// What contradicts what; nothing when all is well.
pub(crate) async fn findings(db: &Db) -> Result<Vec<Finding>, Error> {
    let mut found = Vec::new();
    for (what, hint, sql) in CHECKS {
        let ids: Vec<String> = db.fetch_all(sql, args![]).await?;
        found.extend(ids.into_iter().map(|id| Finding::new(*what, id, *hint)));
    }
    Ok(found)
}

/// Blobs that are whole, in the order of their ids, after one.
pub(crate) async fn kept(db: &Db, after: &str) -> Result<Vec<Blob>, Error> {
    db.fetch_all(
        "SELECT id, image_id, store, state, writer_until, size, md5, sha512 FROM blobs \
         WHERE state = 'kept' AND id > $1 ORDER BY id LIMIT $2",
        args![after, PAGE],
    )
    .await
}

const CHECKS: &[(&str, &str, &str)] = &[
    (
        "is active and has no data",
        "Delete the image.",
        "SELECT i.id FROM images i WHERE i.status = 'active' AND i.size > 0 AND NOT EXISTS \
         (SELECT 1 FROM blobs b WHERE b.image_id = i.id AND b.state = 'kept')",
    ),
    (
        "waits for data that nobody writes",
        "Delete the image and upload it anew.",
        "SELECT i.id FROM images i WHERE i.status = 'saving' AND NOT EXISTS \
         (SELECT 1 FROM blobs b WHERE b.image_id = i.id)",
    ),
    (
        "is data of no image",
        "Delete its row in blobs; a start of the image service then removes the file.",
        "SELECT b.id FROM blobs b WHERE b.state = 'kept' AND NOT EXISTS \
         (SELECT 1 FROM images i WHERE i.id = b.image_id)",
    ),
];
