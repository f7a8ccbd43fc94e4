//! SQL. Every write begins with [`begin`]: it takes the next number of the revision row, behind which writers stand in
//! line; so a check and the write that relies on it see the same state on both engines.

pub(crate) mod claims;
pub(crate) mod consumers;
pub(crate) mod first_claims;
pub(crate) mod fsck;
pub(crate) mod inventories;
pub(crate) mod names;
pub(crate) mod providers;
pub(crate) mod reading;

use nephos_db::{Db, Error, Tx, args};
use nephos_types::Timestamp;

/// An open write: the transaction, its number and its time.
pub(crate) struct Writing {
    pub tx: Tx,
    pub number: i64,
    pub now: Timestamp,
}

/// Opens a write.
pub(crate) async fn begin(db: &Db, now: Timestamp) -> Result<Writing, Error> {
    let mut tx = db.guarded().await?;
    let number = tx
        .fetch_scalar(
            "UPDATE revision SET number = number + 1 WHERE id = $1 RETURNING number",
            args![1_i64],
        )
        .await?;
    Ok(Writing { tx, number, now })
}

impl Writing {
    /// Makes it durable.
    pub(crate) async fn commit(self) -> Result<(), Error> {
        self.tx.commit().await
    }
}
