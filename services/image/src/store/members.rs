//! With whom images are shared.

use nephos_db::{Db, Error, FromRow, Row, Tx, args};
use nephos_types::Timestamp;

use crate::model::image::{ImageId, MemberStatus};
use crate::store::word;

/// A project with which an image is shared.
#[derive(Clone, Debug)]
pub(crate) struct Member {
    pub image_id: ImageId,
    pub member_id: String,
    pub status: MemberStatus,
    pub created_at: Timestamp,
    pub updated_at: Timestamp,
}

impl FromRow for Member {
    fn from_row(row: &Row) -> Result<Self, Error> {
        let status: String = row.get("status")?;
        Ok(Self {
            image_id: row.get("image_id")?,
            member_id: row.get("member_id")?,
            status: word(MemberStatus::parse(&status), "member status", &status)?,
            created_at: row.get("created_at")?,
            updated_at: row.get("updated_at")?,
        })
    }
}

pub(crate) async fn list(db: &Db, image_id: &ImageId) -> Result<Vec<Member>, Error> {
    db.fetch_all(
        "SELECT image_id, member_id, status, created_at, updated_at FROM image_members WHERE image_id = $1 \
         ORDER BY created_at, member_id",
        args![image_id],
    )
    .await
}

pub(crate) async fn get(
    db: &Db,
    image_id: &ImageId,
    member_id: &str,
) -> Result<Option<Member>, Error> {
    db.fetch_opt(
        "SELECT image_id, member_id, status, created_at, updated_at FROM image_members \
         WHERE image_id = $1 AND member_id = $2",
        args![image_id, member_id],
    )
    .await
}

/// False when the image has this member already.
pub(crate) async fn insert(tx: &mut Tx, member: &Member) -> Result<bool, Error> {
    let inserted = tx
        .exec(
            "INSERT INTO image_members (image_id, member_id, status, created_at, updated_at) \
             VALUES ($1, $2, $3, $4, $5) ON CONFLICT DO NOTHING",
            args![
                member.image_id,
                member.member_id,
                member.status.as_str(),
                member.created_at,
                member.updated_at,
            ],
        )
        .await?;
    Ok(inserted == 1)
}

/// A conflict when it is gone by now.
pub(crate) async fn update(tx: &mut Tx, member: &Member) -> Result<(), Error> {
    tx.exec_some(
            "UPDATE image_members SET status = $1, updated_at = $2 WHERE image_id = $3 AND member_id = $4",
            args![
                member.status.as_str(),
                member.updated_at,
                member.image_id,
                member.member_id,
            ],
        )
        .await?;
    Ok(())
}

/// A conflict when it is gone by now.
pub(crate) async fn remove(tx: &mut Tx, image_id: &ImageId, member_id: &str) -> Result<(), Error> {
    let sql = "DELETE FROM image_members WHERE image_id = $1 AND member_id = $2";
    tx.exec_some(sql, args![image_id, member_id]).await?;
    Ok(())
}
