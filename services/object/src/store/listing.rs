//! Pages of names.

use nephos_db::{Db, Direction, Error, FromRow, Page, Row, Where};
use nephos_types::Timestamp;

use super::word;
use crate::model::listing::Bounds;
use crate::model::object::{ContainerId, Kind};

/// An object as lists show it.
#[derive(Clone, Debug)]
pub(crate) struct ObjectLine {
    pub name: String,
    pub kind: Kind,
    pub size: i64,
    pub etag: String,
    pub content_type: String,
    pub updated_at: Timestamp,
}

/// A container as lists show it.
#[derive(Clone, Debug)]
pub(crate) struct ContainerLine {
    pub name: String,
    pub objects: i64,
    pub bytes: i64,
    pub updated_at: Timestamp,
}

impl FromRow for ObjectLine {
    fn from_row(row: &Row) -> Result<Self, Error> {
        let kind: String = row.get("kind")?;
        Ok(Self {
            name: row.get("name")?,
            kind: word(Kind::parse(&kind), "kind of object", &kind)?,
            size: row.get("size")?,
            etag: row.get("etag")?,
            content_type: row.get("content_type")?,
            updated_at: row.get("updated_at")?,
        })
    }
}

impl FromRow for ContainerLine {
    fn from_row(row: &Row) -> Result<Self, Error> {
        Ok(Self {
            name: row.get("name")?,
            objects: row.get("objects")?,
            bytes: row.get("bytes")?,
            updated_at: row.get("updated_at")?,
        })
    }
}

/// The next objects of a container.
pub(crate) async fn objects(
    db: &Db,
    container: &ContainerId,
    bounds: &Bounds,
    page: (usize, bool),
) -> Result<Vec<ObjectLine>, Error> {
    let select = Where::new("SELECT name, kind, size, etag, content_type, updated_at FROM objects")
        .eq("container_id", container);
    db.fetch_where(&within(select, bounds, page)).await
}

/// The next containers of an account.
pub(crate) async fn containers(
    db: &Db,
    account: &str,
    bounds: &Bounds,
    page: (usize, bool),
) -> Result<Vec<ContainerLine>, Error> {
    let select = Where::new("SELECT name, objects, bytes, updated_at FROM containers")
        .eq("account", account);
    db.fetch_where(&within(select, bounds, page)).await
}

/// Names within the bounds, in order.
pub(super) fn within(mut select: Where, bounds: &Bounds, (limit, reverse): (usize, bool)) -> Where {
    if let Some((low, out)) = &bounds.low {
        select = if *out {
            select.gt("name", low)
        } else {
            select.ge("name", low)
        };
    }
    if let Some(high) = &bounds.high {
        select = select.lt("name", high);
    }
    let direction = if reverse {
        Direction::Desc
    } else {
        Direction::Asc
    };
    select.page(Page {
        sort: vec![("name", direction)],
        after: None,
        limit: Some(u32::try_from(limit).unwrap_or(u32::MAX)),
    })
}
