//! What must hold between the tables.

use nephos_db::{Db, Error, args};

/// Containers whose counts are not those of their objects.
pub(crate) async fn miscounted_containers(db: &Db) -> Result<Vec<String>, Error> {
    db.fetch_all(
        "SELECT c.id FROM containers AS c LEFT JOIN objects AS o ON o.container_id = c.id \
         GROUP BY c.id, c.objects, c.bytes \
         HAVING c.objects <> COUNT(o.id) OR c.bytes <> COALESCE(CAST(SUM(o.stored) AS BIGINT), 0) ORDER BY c.id",
        args![],
    )
    .await
}

/// Accounts whose counts are not those of their containers.
pub(crate) async fn miscounted_accounts(db: &Db) -> Result<Vec<String>, Error> {
    db.fetch_all(
        "SELECT a.name FROM accounts AS a LEFT JOIN containers AS c ON c.account = a.name \
         GROUP BY a.name, a.containers, a.objects, a.bytes \
         HAVING a.containers <> COUNT(c.id) OR a.objects <> COALESCE(CAST(SUM(c.objects) AS BIGINT), 0) \
         OR a.bytes <> COALESCE(CAST(SUM(c.bytes) AS BIGINT), 0) ORDER BY a.name",
        args![],
    )
    .await
}

/// Files that are counted to have another number of owners than they have.
pub(crate) async fn misowned_blobs(db: &Db) -> Result<Vec<String>, Error> {
    db.fetch_all(
        "SELECT id FROM blobs WHERE state = 'kept' AND refs <> \
         (SELECT COUNT(*) FROM extents WHERE extents.blob_id = blobs.id) \
         + (SELECT COUNT(*) FROM parts WHERE parts.blob_id = blobs.id) ORDER BY id",
        args![],
    )
    .await
}

/// Objects whose files are not as many bytes as they should be.
pub(crate) async fn short_objects(db: &Db) -> Result<Vec<String>, Error> {
    db.fetch_all(
        "SELECT o.id FROM objects AS o LEFT JOIN extents AS e ON e.object_id = o.id WHERE o.kind <> 'static' \
         GROUP BY o.id, o.size HAVING o.size <> COALESCE(CAST(SUM(e.size) AS BIGINT), 0) ORDER BY o.id",
        args![],
    )
    .await
}
