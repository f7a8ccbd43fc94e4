//! Which files of which stores there are: a row is written before the first byte and removed after the last one.

use nephos_blob::Digests;
use nephos_db::{Db, Error, FromRow, Row, Tx, args};
use nephos_types::Timestamp;

use crate::model::image::{BlobId, BlobState, ImageId};
use crate::store::word;

/// A file of a store.
#[derive(Clone, Debug)]
pub(crate) struct Blob {
    pub id: BlobId,
    pub image_id: ImageId,
    pub store: String,
    pub state: BlobState,
    /// Until when the request that writes it counts as alive; 0 when an operation writes it.
    pub writer_until: Timestamp,
    pub digests: Option<Digests>,
}

impl FromRow for Blob {
    fn from_row(row: &Row) -> Result<Self, Error> {
        let state: String = row.get("state")?;
        let (size, md5, sha512) = (
            row.get::<Option<u64>>("size")?,
            row.get("md5")?,
            row.get("sha512")?,
        );
        let digests = match (size, md5, sha512) {
            (Some(size), Some(md5), Some(sha512)) => Some(Digests { size, md5, sha512 }),
            _unfinished => None,
        };
        Ok(Self {
            id: row.get("id")?,
            image_id: row.get("image_id")?,
            store: row.get("store")?,
            state: word(BlobState::parse(&state), "blob state", &state)?,
            writer_until: row.get("writer_until")?,
            digests,
        })
    }
}

/// Who writes a blob.
#[derive(Clone, Copy, Debug)]
pub(crate) struct WrittenBy<'a> {
    /// The process; operations are nobody's in particular.
    pub process: &'a str,
    /// Until when it counts as alive; 0 for an operation, whose lease says that.
    pub until: Timestamp,
}

/// A blob that is about to be written; an operation that comes back finds its own.
pub(crate) async fn insert(
    tx: &mut Tx,
    id: &BlobId,
    (image_id, store): (&ImageId, &str),
    by: WrittenBy<'_>,
) -> Result<(), Error> {
    tx.exec(
        "INSERT INTO blobs (id, image_id, store, state, writer, writer_until, size, md5, sha512) \
         VALUES ($1, $2, $3, $4, $5, $6, NULL, NULL, NULL) ON CONFLICT DO NOTHING",
        args![
            id,
            image_id,
            store,
            BlobState::Writing.as_str(),
            by.process,
            by.until,
        ],
    )
    .await?;
    Ok(())
}

/// Says that its writer lives; false when it was given up.
pub(crate) async fn renew(tx: &mut Tx, id: &BlobId, until: Timestamp) -> Result<bool, Error> {
    let sql = "UPDATE blobs SET writer_until = $1 WHERE id = $2 AND state = $3";
    Ok(tx
        .exec(sql, args![until, id, BlobState::Writing.as_str()])
        .await?
        == 1)
}

/// All bytes are there; false when it was given up.
pub(crate) async fn keep(tx: &mut Tx, id: &BlobId, digests: &Digests) -> Result<bool, Error> {
    let kept = tx
        .exec(
            "UPDATE blobs SET state = $1, size = $2, md5 = $3, sha512 = $4 WHERE id = $5 AND state = $6",
            args![
                BlobState::Kept.as_str(),
                digests.size,
                digests.md5,
                digests.sha512,
                id,
                BlobState::Writing.as_str(),
            ],
        )
        .await?;
    Ok(kept == 1)
}

/// Its bytes are to be removed.
pub(crate) async fn doom(tx: &mut Tx, id: &BlobId) -> Result<bool, Error> {
    let sql = "UPDATE blobs SET state = $1 WHERE id = $2 AND state <> $1";
    Ok(tx.exec(sql, args![BlobState::Doomed.as_str(), id]).await? == 1)
}

/// Its bytes are gone.
pub(crate) async fn remove(tx: &mut Tx, id: &BlobId) -> Result<bool, Error> {
    let sql = "DELETE FROM blobs WHERE id = $1";
    Ok(tx.exec(sql, args![id]).await? == 1)
}

/// A blob that its own writer gives up; false when it was given up already.
pub(crate) async fn remove_unfinished(tx: &mut Tx, id: &BlobId) -> Result<bool, Error> {
    let sql = "DELETE FROM blobs WHERE id = $1 AND state = 'writing'";
    Ok(tx.exec(sql, args![id]).await? == 1)
}

/// One blob.
pub(crate) async fn get(db: &Db, id: &BlobId) -> Result<Option<Blob>, Error> {
    db.fetch_opt(
        "SELECT id, image_id, store, state, writer_until, size, md5, sha512 FROM blobs WHERE id = $1",
        args![id],
    )
    .await
}

/// Every blob of an image, by store.
pub(crate) async fn of_image(db: &Db, image_id: &ImageId) -> Result<Vec<Blob>, Error> {
    db.fetch_all(OF_IMAGE, args![image_id]).await
}

/// As [`of_image`], within a transaction.
pub(crate) async fn of_image_in(tx: &mut Tx, image_id: &ImageId) -> Result<Vec<Blob>, Error> {
    tx.fetch_all(OF_IMAGE, args![image_id]).await
}

const OF_IMAGE: &str = "SELECT id, image_id, store, state, writer_until, size, md5, sha512 FROM blobs \
    WHERE image_id = $1 ORDER BY store, id";

/// Whether there is any at all.
pub(crate) async fn any(db: &Db) -> Result<bool, Error> {
    let sql = "SELECT id FROM blobs LIMIT 1";
    Ok(db.fetch_opt::<String>(sql, args![]).await?.is_some())
}

/// Blobs whose writing request has not been heard of.
pub(crate) async fn abandoned(db: &Db, now: Timestamp) -> Result<Vec<Blob>, Error> {
    db.fetch_all(
        "SELECT id, image_id, store, state, writer_until, size, md5, sha512 FROM blobs \
         WHERE state = 'writing' AND writer_until > 0 AND writer_until < $1 ORDER BY id",
        args![now],
    )
    .await
}

/// On a database of one process, whatever another one was writing is written by nobody.
pub(crate) async fn abandon_others(tx: &mut Tx, process: &str) -> Result<(), Error> {
    let sql = "UPDATE blobs SET writer_until = 1 WHERE state = 'writing' AND writer_until > 1 AND writer <> $1";
    tx.exec(sql, args![process]).await?;
    Ok(())
}
