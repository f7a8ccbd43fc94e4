//! First claims that come at the same time go through the database together.

use nephos_db::{Db, Error};
use nephos_types::Timestamp;

use super::claims::Refused;
use super::first_claims;
use crate::model::claim::Claim;

/// Those who wait.
pub(crate) type Together = nephos_runtime::Together<Claim, Result<(), Refused>>;

/// Writes the claims; what became of each.
pub(crate) async fn write(db: &Db, now: Timestamp, claims: &[Claim]) -> Vec<Result<(), Refused>> {
    all(db, now, claims).await.unwrap_or_else(|why| {
        let all = claims.iter();
        all.map(|_| Err(Refused::Write(why.clone()))).collect()
    })
}

async fn all(db: &Db, now: Timestamp, claims: &[Claim]) -> Result<Vec<Result<(), Refused>>, Error> {
    let mut w = super::begin(db, now).await?;
    let outcomes = first_claims::write(&mut w, claims).await?;
    if outcomes.iter().any(Result::is_ok) {
        w.commit().await?;
    }
    Ok(outcomes)
}
