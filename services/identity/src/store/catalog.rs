//! Regions, services and endpoints.

use nephos_db::{Db, Error, FromRow, Row, Tx, Where, args};

use super::{json, parse};
use crate::model::catalog::{Endpoint, Region, Service};

const SELECT_REGION: &str = "SELECT id, description, parent_region_id, extra FROM regions";
const SELECT_SERVICE: &str = "SELECT id, type, enabled, extra FROM services";
const SELECT_ENDPOINT: &str =
    "SELECT id, service_id, interface, region_id, url, enabled, extra FROM endpoints";

impl FromRow for Region {
    fn from_row(row: &Row) -> Result<Self, Error> {
        Ok(Self {
            id: row.get("id")?,
            description: row.get("description")?,
            parent_region_id: row.get("parent_region_id")?,
            extra: parse(row, "extra")?,
        })
    }
}

impl FromRow for Service {
    fn from_row(row: &Row) -> Result<Self, Error> {
        Ok(Self {
            id: row.get("id")?,
            kind: row.get("type")?,
            enabled: row.get("enabled")?,
            extra: parse(row, "extra")?,
        })
    }
}

impl FromRow for Endpoint {
    fn from_row(row: &Row) -> Result<Self, Error> {
        let region_id: Option<String> = row.get("region_id")?;
        Ok(Self {
            id: row.get("id")?,
            service_id: row.get("service_id")?,
            interface: row.get("interface")?,
            region: region_id.clone(),
            region_id,
            url: row.get("url")?,
            enabled: row.get("enabled")?,
            extra: parse(row, "extra")?,
        })
    }
}

/// Every region.
pub(crate) async fn regions(db: &Db) -> Result<Vec<Region>, Error> {
    db.fetch_where(&every_region()).await
}

/// Every region inside a transaction that changes one.
pub(crate) async fn regions_in(tx: &mut Tx) -> Result<Vec<Region>, Error> {
    tx.fetch_where(&every_region()).await
}

fn every_region() -> Where {
    Where::new(SELECT_REGION).tail("ORDER BY id")
}

/// Every service.
pub(crate) async fn services(db: &Db) -> Result<Vec<Service>, Error> {
    db.fetch_where(&Where::new(SELECT_SERVICE).tail("ORDER BY type, id"))
        .await
}

/// Every endpoint.
pub(crate) async fn endpoints(db: &Db) -> Result<Vec<Endpoint>, Error> {
    db.fetch_where(&Where::new(SELECT_ENDPOINT).tail("ORDER BY interface, id"))
        .await
}

/// A new row below a region that is there.
pub(crate) async fn insert_region(tx: &mut Tx, region: &Region) -> Result<(), Error> {
    if let Some(parent) = &region.parent_region_id {
        region_there(tx, parent).await?;
    }
    tx.exec(
        "INSERT INTO regions (id, description, parent_region_id, extra) VALUES ($1, $2, $3, $4)",
        args![
            region.id,
            region.description,
            region.parent_region_id,
            json(&region.extra)
        ],
    )
    .await?;
    Ok(())
}

/// Makes a region that has nothing but its name; one that is there stays as it is.
pub(crate) async fn ensure_region(tx: &mut Tx, id: &str) -> Result<(), Error> {
    tx.exec(
        "INSERT INTO regions (id, description, parent_region_id, extra) VALUES ($1, '', NULL, '{}') \
         ON CONFLICT DO NOTHING",
        args![id],
    )
    .await?;
    Ok(())
}

/// The row as it is now, unless it is no longer `before`.
pub(crate) async fn update_region(
    tx: &mut Tx,
    before: &Region,
    region: &Region,
) -> Result<(), Error> {
    let row = Where::new(SELECT_REGION).eq("id", &region.id);
    tx.still(&row, before).await?;
    if let Some(parent) = &region.parent_region_id {
        region_there(tx, parent).await?;
    }
    tx.exec(
        "UPDATE regions SET description = $1, parent_region_id = $2, extra = $3 WHERE id = $4",
        args![
            region.description,
            region.parent_region_id,
            json(&region.extra),
            region.id
        ],
    )
    .await?;
    Ok(())
}

/// Makes sure that a region that was seen is still there.
pub(super) async fn region_there(tx: &mut Tx, id: &str) -> Result<(), Error> {
    let sql = "SELECT id FROM regions WHERE id = $1";
    tx.still_there(sql, args![id]).await
}

/// Makes sure that a service that was seen is still there.
pub(super) async fn service_there(tx: &mut Tx, id: &str) -> Result<(), Error> {
    let sql = "SELECT id FROM services WHERE id = $1";
    tx.still_there(sql, args![id]).await
}

/// A service as it is now, new or not.
pub(crate) async fn put_service(tx: &mut Tx, service: &Service) -> Result<(), Error> {
    tx.exec(
        "INSERT INTO services (id, type, enabled, extra) VALUES ($1, $2, $3, $4) \
         ON CONFLICT (id) DO UPDATE SET type = excluded.type, enabled = excluded.enabled, \
         extra = excluded.extra",
        args![
            service.id,
            service.kind,
            service.enabled,
            json(&service.extra)
        ],
    )
    .await?;
    Ok(())
}

/// The row as it is now, unless it is no longer `before`.
pub(crate) async fn update_service(
    tx: &mut Tx,
    before: &Service,
    service: &Service,
) -> Result<(), Error> {
    let row = Where::new(SELECT_SERVICE).eq("id", &service.id);
    tx.still(&row, before).await?;
    put_service(tx, service).await
}

/// An endpoint as it is now, new or not, of a service and in a region that are there.
pub(crate) async fn put_endpoint(tx: &mut Tx, endpoint: &Endpoint) -> Result<(), Error> {
    service_there(tx, &endpoint.service_id).await?;
    if let Some(region) = &endpoint.region_id {
        region_there(tx, region).await?;
    }
    tx.exec(
        "INSERT INTO endpoints (id, service_id, interface, region_id, url, enabled, extra) \
         VALUES ($1, $2, $3, $4, $5, $6, $7) ON CONFLICT (id) DO UPDATE SET \
         service_id = excluded.service_id, interface = excluded.interface, \
         region_id = excluded.region_id, url = excluded.url, enabled = excluded.enabled, \
         extra = excluded.extra",
        args![
            endpoint.id,
            endpoint.service_id,
            endpoint.interface,
            endpoint.region_id,
            endpoint.url,
            endpoint.enabled,
            json(&endpoint.extra)
        ],
    )
    .await?;
    Ok(())
}

/// The row as it is now, unless it is no longer `before`.
pub(crate) async fn update_endpoint(
    tx: &mut Tx,
    before: &Endpoint,
    endpoint: &Endpoint,
) -> Result<(), Error> {
    let row = Where::new(SELECT_ENDPOINT).eq("id", &endpoint.id);
    tx.still(&row, before).await?;
    put_endpoint(tx, endpoint).await
}

/// How many regions, endpoints and registered limits hang on a region.
pub(crate) async fn count_in_region(tx: &mut Tx, id: &str) -> Result<i64, Error> {
    tx.fetch_scalar(
        "SELECT (SELECT COUNT(*) FROM regions WHERE parent_region_id = $1) \
         + (SELECT COUNT(*) FROM endpoints WHERE region_id = $1) \
         + (SELECT COUNT(*) FROM registered_limits WHERE region_id = $1)",
        args![id],
    )
    .await
}

/// How many registered limits are of a service.
pub(crate) async fn count_limits_of(tx: &mut Tx, service_id: &str) -> Result<i64, Error> {
    tx.fetch_scalar(
        "SELECT COUNT(*) FROM registered_limits WHERE service_id = $1",
        args![service_id],
    )
    .await
}

/// A region on which nothing hangs.
pub(crate) async fn remove_region(tx: &mut Tx, id: &str) -> Result<(), Error> {
    tx.exec_some("DELETE FROM regions WHERE id = $1", args![id])
        .await?;
    Ok(())
}

/// A service and its endpoints.
pub(crate) async fn remove_service(tx: &mut Tx, id: &str) -> Result<(), Error> {
    tx.exec("DELETE FROM endpoints WHERE service_id = $1", args![id])
        .await?;
    tx.exec_some("DELETE FROM services WHERE id = $1", args![id])
        .await?;
    Ok(())
}

/// An endpoint.
pub(crate) async fn remove_endpoint(tx: &mut Tx, id: &str) -> Result<(), Error> {
    tx.exec_some("DELETE FROM endpoints WHERE id = $1", args![id])
        .await?;
    Ok(())
}
