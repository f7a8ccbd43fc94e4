//! A consistency check of what the tables say about each other.

use nephos_db::{Db, Error, args};
use nephos_types::Finding;

/// What contradicts what; nothing when all is well.
pub(crate) async fn findings(db: &Db) -> Result<Vec<Finding>, Error> {
    let mut found = Vec::new();
    for (what, sql) in CHECKS {
        let ids: Vec<String> = db.fetch_all(sql, args![]).await?;
        found.extend(ids.into_iter().map(|id| Finding::new(*what, id, HINT)));
    }
    Ok(found)
}

const HINT: &str =
    "Write the allocations of its consumers anew (PUT /allocations), or delete them.";

const CHECKS: &[(&str, &str)] = &[
    (
        "inventory whose usage is not the sum of its allocations",
        "SELECT i.provider_uuid || ' ' || i.resource_class FROM inventories i WHERE i.used <> \
         (SELECT COALESCE(CAST(SUM(a.used) AS BIGINT), 0) FROM allocations a \
         WHERE a.provider_uuid = i.provider_uuid AND a.resource_class = i.resource_class)",
    ),
    (
        "allocation without an inventory",
        "SELECT a.consumer_uuid FROM allocations a LEFT JOIN inventories i \
         ON i.provider_uuid = a.provider_uuid AND i.resource_class = a.resource_class \
         WHERE i.provider_uuid IS NULL",
    ),
    (
        "consumer without an allocation",
        "SELECT c.uuid FROM consumers c LEFT JOIN allocations a ON a.consumer_uuid = c.uuid \
         WHERE a.consumer_uuid IS NULL",
    ),
    (
        "provider whose root is not its parent's",
        "SELECT p.uuid FROM resource_providers p JOIN resource_providers q ON q.uuid = p.parent_uuid \
         WHERE p.root_uuid <> q.root_uuid",
    ),
    (
        "top provider that is not its own root",
        "SELECT p.uuid FROM resource_providers p WHERE p.parent_uuid IS NULL AND p.root_uuid <> p.uuid",
    ),
];
