//! Consumers and their allocations, read.

use nephos_db::{Db, Error, FromRow, Row, Where, args};
use nephos_types::Timestamp;

use super::Writing;
use crate::model::{ClassName, ConsumerId, ProviderId};

/// Who holds allocations.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct Consumer {
    pub id: ConsumerId,
    pub generation: i64,
    pub project_id: String,
    pub user_id: String,
    pub consumer_type: Option<String>,
}

/// One allocation.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct Allocation {
    pub consumer: ConsumerId,
    pub provider: ProviderId,
    pub class: ClassName,
    pub used: i64,
    pub created_at: Timestamp,
    /// The generation of its provider, or of its consumer, whichever the list is not about.
    pub generation: i64,
}

/// What consumers of a type use of a class.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct TypeUsage {
    pub consumer_type: Option<String>,
    pub class: ClassName,
    pub used: i64,
}

/// How many consumers of a type there are.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct TypeCount {
    pub consumer_type: Option<String>,
    pub consumers: i64,
}

impl FromRow for Consumer {
    fn from_row(row: &Row) -> Result<Self, Error> {
        Ok(Self {
            id: row.get("uuid")?,
            generation: row.get("generation")?,
            project_id: row.get("project_id")?,
            user_id: row.get("user_id")?,
            consumer_type: row.get("consumer_type")?,
        })
    }
}

impl FromRow for Allocation {
    fn from_row(row: &Row) -> Result<Self, Error> {
        Ok(Self {
            consumer: row.get("consumer_uuid")?,
            provider: row.get("provider_uuid")?,
            class: row.get("resource_class")?,
            used: row.get("used")?,
            created_at: row.get("created_at")?,
            generation: row.get("generation")?,
        })
    }
}

impl FromRow for TypeUsage {
    fn from_row(row: &Row) -> Result<Self, Error> {
        Ok(Self {
            consumer_type: row.get("consumer_type")?,
            class: row.get("resource_class")?,
            used: row.get("used")?,
        })
    }
}

impl FromRow for TypeCount {
    fn from_row(row: &Row) -> Result<Self, Error> {
        Ok(Self {
            consumer_type: row.get("consumer_type")?,
            consumers: row.get("consumers")?,
        })
    }
}

/// One by its id.
pub(crate) async fn show(db: &Db, id: &ConsumerId) -> Result<Option<Consumer>, Error> {
    db.fetch_opt(
        "SELECT uuid, generation, project_id, user_id, consumer_type FROM consumers WHERE uuid = $1",
        args![id],
    )
    .await
}

/// The same within a write.
pub(crate) async fn get(w: &mut Writing, id: &ConsumerId) -> Result<Option<Consumer>, Error> {
    w.tx.fetch_opt(
        "SELECT uuid, generation, project_id, user_id, consumer_type FROM consumers WHERE uuid = $1",
        args![id],
    )
    .await
}

/// What a consumer holds, with the generations of the providers.
pub(crate) async fn allocations(db: &Db, id: &ConsumerId) -> Result<Vec<Allocation>, Error> {
    db.fetch_all(
        "SELECT a.consumer_uuid, a.provider_uuid, a.resource_class, a.used, a.created_at, p.generation \
         FROM allocations a JOIN resource_providers p ON p.uuid = a.provider_uuid WHERE a.consumer_uuid = $1 \
         ORDER BY p.created_in, a.resource_class",
        args![id],
    )
    .await
}

/// What a consumer holds, within a write.
pub(crate) async fn held(w: &mut Writing, id: &ConsumerId) -> Result<Vec<Allocation>, Error> {
    w.tx.fetch_all(
        "SELECT a.consumer_uuid, a.provider_uuid, a.resource_class, a.used, a.created_at, p.generation \
         FROM allocations a JOIN resource_providers p ON p.uuid = a.provider_uuid WHERE a.consumer_uuid = $1",
        args![id],
    )
    .await
}

/// What is held of a provider, with the generations of the consumers.
pub(crate) async fn on_provider(db: &Db, id: &ProviderId) -> Result<Vec<Allocation>, Error> {
    db.fetch_all(
        "SELECT a.consumer_uuid, a.provider_uuid, a.resource_class, a.used, a.created_at, c.generation \
         FROM allocations a JOIN consumers c ON c.uuid = a.consumer_uuid WHERE a.provider_uuid = $1 \
         ORDER BY a.created_at, a.consumer_uuid, a.resource_class",
        args![id],
    )
    .await
}

/// What a project (or one user in it) uses, by consumer type and class.
pub(crate) async fn usage(
    db: &Db,
    project: &str,
    user: Option<&str>,
) -> Result<Vec<TypeUsage>, Error> {
    let query = Where::new(
        "SELECT c.consumer_type, a.resource_class, CAST(SUM(a.used) AS BIGINT) AS used \
         FROM allocations a JOIN consumers c ON c.uuid = a.consumer_uuid",
    )
    .eq("c.project_id", project)
    .eq_opt("c.user_id", user)
    .tail("GROUP BY c.consumer_type, a.resource_class");
    db.fetch_where(&query).await
}

/// How many consumers a project (or one user in it) has, by type.
pub(crate) async fn count(
    db: &Db,
    project: &str,
    user: Option<&str>,
) -> Result<Vec<TypeCount>, Error> {
    let query = Where::new("SELECT c.consumer_type, COUNT(*) AS consumers FROM consumers c")
        .eq("c.project_id", project)
        .eq_opt("c.user_id", user)
        .tail("GROUP BY c.consumer_type");
    db.fetch_where(&query).await
}
