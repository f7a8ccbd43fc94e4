//! Regions, services and endpoints.

use nephos_db::{Db, Error, FromRow, Row, Tx, args};

use super::{json, parse};
use crate::model::catalog::{Endpoint, Region, Service};

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
    db.fetch_all(
        "SELECT id, description, parent_region_id, extra FROM regions ORDER BY id",
        args![],
    )
    .await
}

/// Every service.
pub(crate) async fn services(db: &Db) -> Result<Vec<Service>, Error> {
    db.fetch_all(
        "SELECT id, type, enabled, extra FROM services ORDER BY type, id",
        args![],
    )
    .await
}

/// Every endpoint.
pub(crate) async fn endpoints(db: &Db) -> Result<Vec<Endpoint>, Error> {
    db.fetch_all(
        "SELECT id, service_id, interface, region_id, url, enabled, extra FROM endpoints \
         ORDER BY interface, id",
        args![],
    )
    .await
}

/// A region as it is now, new or not.
pub(crate) async fn put_region(tx: &mut Tx, region: &Region) -> Result<(), Error> {
    tx.exec(
        "INSERT INTO regions (id, description, parent_region_id, extra) VALUES ($1, $2, $3, $4) \
         ON CONFLICT (id) DO UPDATE SET description = excluded.description, \
         parent_region_id = excluded.parent_region_id, extra = excluded.extra",
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

/// An endpoint as it is now, new or not.
pub(crate) async fn put_endpoint(tx: &mut Tx, endpoint: &Endpoint) -> Result<(), Error> {
    let service = "SELECT id FROM services WHERE id = $1";
    tx.still_there(service, args![endpoint.service_id]).await?;
    if let Some(region) = &endpoint.region_id {
        let sql = "SELECT id FROM regions WHERE id = $1";
        tx.still_there(sql, args![region]).await?;
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

/// A region without children and endpoints.
pub(crate) async fn remove_region(tx: &mut Tx, id: &str) -> Result<(), Error> {
    tx.exec("DELETE FROM regions WHERE id = $1", args![id])
        .await?;
    Ok(())
}

/// A service and its endpoints.
pub(crate) async fn remove_service(tx: &mut Tx, id: &str) -> Result<(), Error> {
    tx.exec("DELETE FROM endpoints WHERE service_id = $1", args![id])
        .await?;
    tx.exec("DELETE FROM services WHERE id = $1", args![id])
        .await?;
    Ok(())
}

/// An endpoint.
pub(crate) async fn remove_endpoint(tx: &mut Tx, id: &str) -> Result<(), Error> {
    tx.exec("DELETE FROM endpoints WHERE id = $1", args![id])
        .await?;
    Ok(())
}
