//! Attachments.

use nephos_db::{Db, Direction, Error, FromRow, Page, Row, Tx, Where, args};

use crate::model::attachment::{AttachStatus, Attachment, AttachmentId, Export, Mode};
use crate::model::volume::{Owner, VolumeId};

const SELECT: &str = "SELECT id, volume_id, project_id, user_id, instance_id, host, mountpoint, mode, status, connector, \
     export, chap_user, chap_secret, attached_at, created_at, updated_at FROM attachments";

impl FromRow for Attachment {
    fn from_row(row: &Row) -> Result<Self, Error> {
        let word = |column: &str| row.get::<String>(column);
        let damaged = |word: &str| Error::damaged(format!("attachment {word}"));
        let (mode, status, export) = (word("mode")?, word("status")?, word("export")?);
        let connector: Option<String> = row.get("connector")?;
        let connector = match connector {
            Some(text) => Some(serde_json::from_str(&text).map_err(|_| damaged("connector"))?),
            None => None,
        };
        let (user, secret): (Option<String>, Option<String>) =
            (row.get("chap_user")?, row.get("chap_secret")?);
        Ok(Self {
            id: row.get("id")?,
            volume_id: row.get("volume_id")?,
            owner: Owner {
                project_id: row.get("project_id")?,
                user_id: row.get("user_id")?,
            },
            instance_id: row.get("instance_id")?,
            host: row.get("host")?,
            mountpoint: row.get("mountpoint")?,
            mode: Mode::parse(&mode).ok_or_else(|| damaged(&mode))?,
            status: AttachStatus::parse(&status).ok_or_else(|| damaged(&status))?,
            connector,
            export: Export::parse(&export).ok_or_else(|| damaged(&export))?,
            chap: user.zip(secret),
            attached_at: row.get("attached_at")?,
            created_at: row.get("created_at")?,
            updated_at: row.get("updated_at")?,
        })
    }
}

pub(crate) async fn find(db: &Db, id: &AttachmentId) -> Result<Option<Attachment>, Error> {
    let query = Where::new(SELECT).eq("id", id);
    Ok(db.fetch_where(&query).await?.into_iter().next())
}

pub(crate) async fn find_in(tx: &mut Tx, id: &AttachmentId) -> Result<Option<Attachment>, Error> {
    let query = Where::new(SELECT).eq("id", id);
    Ok(tx.fetch_where(&query).await?.into_iter().next())
}

/// Of several volumes, oldest first.
pub(crate) async fn of_volumes(db: &Db, ids: &[&str]) -> Result<Vec<Attachment>, Error> {
    let query = Where::new(SELECT).in_("volume_id", ids.iter().copied());
    db.fetch_where(&query.page(oldest_first())).await
}

pub(crate) async fn of_volume_in(tx: &mut Tx, id: &VolumeId) -> Result<Vec<Attachment>, Error> {
    let query = Where::new(SELECT).eq("volume_id", id);
    tx.fetch_where(&query.page(oldest_first())).await
}

/// Those for which a target over the network is to exist or exists.
pub(crate) async fn exported(db: &Db) -> Result<Vec<Attachment>, Error> {
    let query = Where::new(SELECT).not_eq("export", Export::No.as_str());
    db.fetch_where(&query.page(oldest_first())).await
}

fn oldest_first() -> Page {
    Page {
        sort: vec![("created_at", Direction::Asc), ("id", Direction::Asc)],
        ..Page::default()
    }
}

/// What is asked for of a list.
#[derive(Clone, Debug, Default)]
pub(crate) struct Listing<'a> {
    pub project: Option<&'a str>,
    pub filters: &'a [(String, String)],
    pub after: Option<&'a Attachment>,
    pub limit: Option<u32>,
}

/// A page of attachments, newest first.
pub(crate) async fn page(db: &Db, listing: &Listing<'_>) -> Result<Vec<Attachment>, Error> {
    let mut select = Where::new(SELECT).eq_opt("project_id", listing.project);
    for (key, value) in listing.filters {
        select = match key.as_str() {
            "id" => select.eq("id", value),
            "volume_id" => select.eq("volume_id", value),
            "instance_id" => select.eq("instance_id", value),
            "status" | "attach_status" => select.eq("status", value),
            "project_id" => select.eq("project_id", value),
            _no_filter => select,
        };
    }
    let after = listing.after.map(|one| args![one.created_at, one.id]);
    let sort = vec![("created_at", Direction::Desc), ("id", Direction::Desc)];
    db.fetch_where(&select.page(Page {
        sort,
        after,
        limit: listing.limit,
    }))
    .await
}

pub(crate) async fn insert(tx: &mut Tx, attachment: &Attachment) -> Result<(), Error> {
    tx.exec(
        "INSERT INTO attachments (id, volume_id, project_id, user_id, instance_id, host, mountpoint, mode, status, \
         connector, export, chap_user, chap_secret, attached_at, created_at, updated_at) \
         VALUES ($1, $2, $3, $4, $5, NULL, NULL, $6, $7, NULL, 'no', NULL, NULL, NULL, $8, $8)",
        args![
            attachment.id,
            attachment.volume_id,
            attachment.owner.project_id,
            attachment.owner.user_id,
            attachment.instance_id,
            attachment.mode.as_str(),
            attachment.status.as_str(),
            attachment.created_at,
        ],
    )
    .await?;
    update(tx, attachment).await
}

/// Writes everything of an attachment that can change.
pub(crate) async fn update(tx: &mut Tx, attachment: &Attachment) -> Result<(), Error> {
    let connector = attachment.connector.as_ref().map(ToString::to_string);
    let (user, secret) = attachment.chap.clone().unzip();
    tx.exec(
        "UPDATE attachments SET instance_id = $1, host = $2, mountpoint = $3, mode = $4, status = $5, \
         connector = $6, export = $7, chap_user = $8, chap_secret = $9, attached_at = $10, updated_at = $11, \
         project_id = $12 WHERE id = $13",
        args![
            attachment.instance_id,
            attachment.host,
            attachment.mountpoint,
            attachment.mode.as_str(),
            attachment.status.as_str(),
            connector,
            attachment.export.as_str(),
            user,
            secret,
            attachment.attached_at,
            attachment.updated_at,
            attachment.owner.project_id,
            attachment.id,
        ],
    )
    .await?;
    Ok(())
}

/// Notes what is there of a target, unless somebody wants it otherwise by now.
pub(crate) async fn move_export(
    tx: &mut Tx,
    id: &AttachmentId,
    (from, to): (Export, Export),
) -> Result<bool, Error> {
    let sql = "UPDATE attachments SET export = $1 WHERE id = $2 AND export = $3";
    Ok(tx.exec(sql, args![to.as_str(), id, from.as_str()]).await? == 1)
}

pub(crate) async fn remove(tx: &mut Tx, id: &AttachmentId) -> Result<bool, Error> {
    let sql = "DELETE FROM attachments WHERE id = $1";
    Ok(tx.exec(sql, args![id]).await? == 1)
}
