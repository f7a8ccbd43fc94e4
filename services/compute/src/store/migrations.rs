//! Moves of servers in SQL.

use nephos_db::{Arg, Db, Error, FromRow, Page, Row, Tx, Where, args};
use nephos_types::Timestamp;

use super::{json, parsed};
use crate::model::migration::{Kind, Migration, Phase, Status};
use crate::model::spec::ServerId;

const SELECT: &str = "SELECT id, uuid, server_id, project_id, user_id, kind, status, phase, source_host, dest_host, \
     wanted_host, old_flavor, new_flavor, old_epoch, old_want, source_generation, extra_cores, extra_ram, message, \
     created_at, updated_at, ended_at, session FROM migrations";

impl FromRow for Migration {
    fn from_row(row: &Row) -> Result<Self, Error> {
        let (kind, status): (String, String) = (row.get("kind")?, row.get("status")?);
        let phase: String = row.get("phase")?;
        let odd = |word: &str| Error::damaged(format!("migrations: {word}"));
        Ok(Self {
            id: row.get("id")?,
            uuid: row.get("uuid")?,
            server_id: row.get("server_id")?,
            project_id: row.get("project_id")?,
            user_id: row.get("user_id")?,
            kind: Kind::parse(&kind).ok_or_else(|| odd(&kind))?,
            status: Status::parse(&status).ok_or_else(|| odd(&status))?,
            phase: Phase::parse(&phase).ok_or_else(|| odd(&phase))?,
            source_host: row.get("source_host")?,
            dest_host: row.get("dest_host")?,
            wanted_host: row.get("wanted_host")?,
            old_flavor: parsed(&row.get::<String>("old_flavor")?)?,
            new_flavor: parsed(&row.get::<String>("new_flavor")?)?,
            old_epoch: row.get("old_epoch")?,
            old_want: row.get("old_want")?,
            source_generation: row.get("source_generation")?,
            session: row.get("session")?,
            extra_cores: row.get("extra_cores")?,
            extra_ram: row.get("extra_ram")?,
            message: row.get("message")?,
            created_at: row.get("created_at")?,
            updated_at: row.get("updated_at")?,
            ended_at: row.get("ended_at")?,
        })
    }
}

/// Inserts one under the next number, whatever number it has.
pub(crate) async fn insert(tx: &mut Tx, new: &Migration) -> Result<(), Error> {
    let id: i64 = tx
        .fetch_scalar(
            "UPDATE counters SET value = value + 1 WHERE name = $1 RETURNING value",
            args!["migrations"],
        )
        .await?;
    tx.exec(
        "INSERT INTO migrations (id, uuid, server_id, project_id, user_id, kind, status, phase, source_host, dest_host, \
         wanted_host, old_flavor, new_flavor, old_epoch, old_want, source_generation, extra_cores, extra_ram, message, \
         created_at, updated_at, ended_at, session) VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11, $12, $13, $14, $15, $16, \
         $17, $18, $19, $20, $20, $21, $22)",
        args![
            id,
            new.uuid,
            new.server_id,
            new.project_id,
            new.user_id,
            new.kind.word(),
            new.status.word(),
            new.phase.word(),
            new.source_host,
            new.dest_host,
            new.wanted_host,
            json(&new.old_flavor)?,
            json(&new.new_flavor)?,
            new.old_epoch,
            new.old_want,
            new.source_generation,
            new.extra_cores,
            new.extra_ram,
            new.message,
            new.created_at,
            new.ended_at,
            new.session,
        ],
    )
    .await?;
    Ok(())
}

/// Writes everything that can change.
pub(crate) async fn update(tx: &mut Tx, now: Timestamp, one: &Migration) -> Result<(), Error> {
    tx.exec(
        "UPDATE migrations SET status = $1, phase = $2, dest_host = $3, source_generation = $4, extra_cores = $5, \
         extra_ram = $6, message = $7, updated_at = $8, ended_at = $9 WHERE uuid = $10",
        args![
            one.status.word(),
            one.phase.word(),
            one.dest_host,
            one.source_generation,
            one.extra_cores,
            one.extra_ram,
            one.message,
            now,
            one.ended_at,
            one.uuid,
        ],
    )
    .await?;
    Ok(())
}

/// Notes how far a move is that holds nothing.
pub(crate) async fn note(
    tx: &mut Tx,
    now: Timestamp,
    uuid: &str,
    (status, dest): (Status, Option<&str>),
) -> Result<(), Error> {
    tx.exec(
        "UPDATE migrations SET status = $1, dest_host = $2, updated_at = $3 WHERE uuid = $4",
        args![status.word(), dest, now, uuid],
    )
    .await?;
    Ok(())
}

/// The move of a server that has not ended.
pub(crate) async fn live(db: &Db, server: &ServerId) -> Result<Option<Migration>, Error> {
    let query = Where::new(SELECT).eq("server_id", server);
    let found = db.fetch_where(&query.is_null("ended_at")).await?;
    Ok(found.into_iter().next())
}

/// The same inside a transaction.
pub(crate) async fn lock(tx: &mut Tx, server: &ServerId) -> Result<Option<Migration>, Error> {
    let query = Where::new(SELECT).eq("server_id", server);
    let found = tx.fetch_where(&query.is_null("ended_at")).await?;
    Ok(found.into_iter().next())
}

/// What a list may be filtered by.
#[derive(Clone, Debug, Default)]
pub(crate) struct Filter {
    pub equal: Vec<(&'static str, Arg)>,
    /// Where it was or goes.
    pub host: Option<String>,
    pub changed_since: Option<Timestamp>,
    pub changed_before: Option<Timestamp>,
}

pub(crate) async fn list(db: &Db, filter: &Filter, page: Page) -> Result<Vec<Migration>, Error> {
    let mut query = Where::new(SELECT);
    for (column, value) in &filter.equal {
        query = query.eq(column, value.clone());
    }
    if let Some(host) = &filter.host {
        query = query.any(vec![
            Where::group().eq("source_host", host),
            Where::group().eq("dest_host", host),
        ]);
    }
    if let Some(since) = filter.changed_since {
        query = query.ge("updated_at", since);
    }
    if let Some(before) = filter.changed_before {
        query = query.le("updated_at", before);
    }
    db.fetch_where(&query.page(page)).await
}

/// The move of this id.
pub(crate) async fn get(db: &Db, uuid: &str) -> Result<Option<Migration>, Error> {
    let found = db.fetch_where(&Where::new(SELECT).eq("uuid", uuid)).await?;
    Ok(found.into_iter().next())
}

/// Ids of moves that have not ended: they hold room in placement.
pub(crate) async fn live_ids(db: &Db) -> Result<Vec<String>, Error> {
    let sql = "SELECT uuid FROM migrations WHERE ended_at IS NULL";
    db.fetch_all(sql, args![]).await
}

/// Moves that ended before.
pub(crate) async fn prune(tx: &mut Tx, before: Timestamp) -> Result<(), Error> {
    tx.exec("DELETE FROM migrations WHERE ended_at < $1", args![before])
        .await?;
    Ok(())
}
