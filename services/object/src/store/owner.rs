//! What a bucket is told that it belongs to.

use nephos_db::{Db, Error, args};

/// The id of this database, which is made when it is asked for first.
pub(crate) async fn id(db: &Db) -> Result<String, Error> {
    let sql = "SELECT id FROM owner WHERE one = 1";
    if let Some(id) = db.fetch_opt::<String>(sql, args![]).await? {
        return Ok(id);
    }
    let new = nephos_runtime::ids::uuid().to_string();
    let make = || async {
        let mut tx = db.write().await?;
        let insert = "INSERT INTO owner (one, id) VALUES (1, $1) ON CONFLICT DO NOTHING";
        tx.exec(insert, args![new]).await?;
        let id = tx.fetch_scalar::<String>(sql, args![]).await?;
        tx.commit().await?;
        Ok(id)
    };
    db.again(make).await
}
