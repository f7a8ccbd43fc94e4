//! Which files there are: a row is written before the first byte and removed after the last one.

use nephos_db::{Arg, Db, Error, ToArg, Tx, args};
use nephos_types::Timestamp;

use crate::model::object::{BlobId, ObjectId};

/// A file that is about to be written.
pub(crate) async fn insert(
    tx: &mut Tx,
    id: &BlobId,
    (process, until): (&str, Timestamp),
) -> Result<(), Error> {
    tx.exec(
        "INSERT INTO blobs (id, state, refs, writer, writer_until, size) VALUES ($1, 'writing', 0, $2, $3, 0)",
        args![id, process, until],
    )
    .await?;
    Ok(())
}

/// Says that its writer lives; false when it was given up.
pub(crate) async fn renew(tx: &mut Tx, id: &BlobId, until: Timestamp) -> Result<bool, Error> {
    let sql = "UPDATE blobs SET writer_until = $1 WHERE id = $2 AND state = 'writing'";
    Ok(tx.exec(sql, args![until, id]).await? == 1)
}

/// Its writer gives it up: its bytes are to be removed.
pub(crate) async fn doom(tx: &mut Tx, id: &BlobId) -> Result<(), Error> {
    let sql = "UPDATE blobs SET state = 'doomed' WHERE id = $1 AND state = 'writing'";
    tx.exec(sql, args![id]).await?;
    Ok(())
}

/// Files whose bytes are to be removed: those that nobody reads any more.
pub(crate) async fn doomed(db: &Db, now: Timestamp, limit: i64) -> Result<Vec<String>, Error> {
    let sql =
        "SELECT id FROM blobs WHERE state = 'doomed' AND read_until <= $1 ORDER BY id LIMIT $2";
    db.fetch_all(sql, args![now, limit]).await
}

/// Rows of one statement.
const AT_ONCE: usize = 32;
/// So many of them, behind `$1`.
macro_rules! thirty_two {
    () => {
        "($2, $3, $4, $5, $6, $7, $8, $9, $10, $11, $12, $13, $14, $15, $16, $17, $18, $19, $20, $21, $22, $23, $24, \
         $25, $26, $27, $28, $29, $30, $31, $32, $33)"
    };
}

/// The arguments of such a statement: what is missing is the last one again.
fn filled(first: impl ToArg, some: &[impl ToArg]) -> Vec<Arg> {
    let last = some.last().into_iter().cycle();
    let all = some.iter().chain(last).take(AT_ONCE).map(ToArg::to_arg);
    std::iter::once(first.to_arg()).chain(all).collect()
}

/// The files of these objects, each listed once, are read until then; false when one has none any more.
pub(crate) async fn read_of(
    tx: &mut Tx,
    objects: &[&ObjectId],
    until: Timestamp,
) -> Result<bool, Error> {
    for some in objects.chunks(AT_ONCE) {
        let count = concat!(
            "SELECT CAST(COUNT(DISTINCT object_id) AS BIGINT) - $1 FROM extents WHERE object_id IN ",
            thirty_two!()
        );
        let wanted = i64::try_from(some.len()).unwrap_or(i64::MAX);
        if tx.fetch_scalar::<i64>(count, filled(wanted, some)).await? != 0 {
            return Ok(false);
        }
        let sql = concat!(
            "UPDATE blobs SET read_until = $1 WHERE read_until < $1 AND id IN \
             (SELECT blob_id FROM extents WHERE object_id IN ",
            thirty_two!(),
            ")"
        );
        tx.exec(sql, filled(until, some)).await?;
    }
    Ok(true)
}

/// These files are read until then, whoever has them.
pub(crate) async fn read(tx: &mut Tx, blobs: &[BlobId], until: Timestamp) -> Result<(), Error> {
    let sql = concat!(
        "UPDATE blobs SET read_until = $1 WHERE read_until < $1 AND id IN ",
        thirty_two!()
    );
    for some in blobs.chunks(AT_ONCE) {
        tx.exec(sql, filled(until, some)).await?;
    }
    Ok(())
}

/// Its bytes are gone.
pub(crate) async fn remove(tx: &mut Tx, id: &str) -> Result<(), Error> {
    let sql = "DELETE FROM blobs WHERE id = $1 AND state = 'doomed'";
    tx.exec(sql, args![id]).await?;
    Ok(())
}

/// Dooms what nobody has been writing any more since `now`.
pub(crate) async fn abandon(tx: &mut Tx, now: Timestamp) -> Result<u64, Error> {
    let sql = "UPDATE blobs SET state = 'doomed' WHERE state = 'writing' AND writer_until < $1";
    tx.exec(sql, args![now]).await
}

/// On a database of one process, whatever another one was writing is written by nobody.
pub(crate) async fn abandon_others(tx: &mut Tx, process: &str) -> Result<u64, Error> {
    let sql = "UPDATE blobs SET state = 'doomed' WHERE state = 'writing' AND writer <> $1";
    tx.exec(sql, args![process]).await
}

/// Whether there is any at all.
pub(crate) async fn any(db: &Db) -> Result<bool, Error> {
    let sql = "SELECT id FROM blobs LIMIT 1";
    Ok(db.fetch_opt::<String>(sql, args![]).await?.is_some())
}

/// Whether a file is known.
pub(crate) async fn is_known(db: &Db, id: &str) -> Result<bool, Error> {
    let sql = "SELECT id FROM blobs WHERE id = $1";
    Ok(db.fetch_opt::<String>(sql, args![id]).await?.is_some())
}

/// Ids behind `after`, up to `up_to`, in order.
pub(crate) async fn between(db: &Db, after: &str, up_to: &str) -> Result<Vec<String>, Error> {
    let sql = "SELECT id FROM blobs WHERE id > $1 AND id <= $2 ORDER BY id";
    db.fetch_all(sql, args![after, up_to]).await
}

/// Of these, the ids of files that must be there.
pub(crate) async fn kept_between(db: &Db, after: &str, up_to: &str) -> Result<Vec<String>, Error> {
    let sql = "SELECT id FROM blobs WHERE id > $1 AND id <= $2 AND state = 'kept' ORDER BY id";
    db.fetch_all(sql, args![after, up_to]).await
}

/// Whether a file must be there.
pub(crate) async fn is_kept(db: &Db, id: &str) -> Result<bool, Error> {
    let sql = "SELECT id FROM blobs WHERE id = $1 AND state = 'kept'";
    Ok(db.fetch_opt::<String>(sql, args![id]).await?.is_some())
}
