//! Tags of things.

use std::collections::HashMap;

use nephos_db::{Tx, Where, args};

use crate::store::{Pair, Reader, Result};

/// The tags of these things, sorted.
pub(crate) async fn of(
    reader: &mut Reader<'_>,
    ids: &[String],
) -> Result<HashMap<String, Vec<String>>, nephos_db::Error> {
    let query = |ids: &[String]| {
        Where::new("SELECT resource_id AS a, tag AS b FROM tags")
            .in_("resource_id", ids)
            .tail("ORDER BY tag")
    };
    let mut found: HashMap<String, Vec<String>> = HashMap::new();
    for Pair(id, tag) in reader.find_for(ids, query).await? {
        found.entry(id).or_default().push(tag);
    }
    Ok(found)
}

/// Tags a thing; again, it changes nothing.
pub(crate) async fn insert(tx: &mut Tx, id: &str, tag: &str) -> Result<(), nephos_db::Error> {
    tx.exec(
        "INSERT INTO tags (resource_id, tag) VALUES ($1, $2) ON CONFLICT (resource_id, tag) DO NOTHING",
        args![id, tag],
    )
    .await?;
    Ok(())
}

/// Takes a tag away; says whether it was there.
pub(crate) async fn remove(tx: &mut Tx, id: &str, tag: &str) -> Result<bool, nephos_db::Error> {
    let sql = "DELETE FROM tags WHERE resource_id = $1 AND tag = $2";
    Ok(tx.exec(sql, args![id, tag]).await? > 0)
}

/// Takes all tags away.
pub(crate) async fn clear(tx: &mut Tx, id: &str) -> Result<(), nephos_db::Error> {
    tx.exec("DELETE FROM tags WHERE resource_id = $1", args![id])
        .await?;
    Ok(())
}

/// Counts a change of tags as a change of the thing, by the name of its collection in the API.
pub(crate) async fn count_change(
    tx: &mut Tx,
    collection: &str,
    id: &str,
) -> Result<(), nephos_db::Error> {
    let sql = match collection {
        "networks" => "UPDATE networks SET revision = revision + 1 WHERE id = $1",
        "subnets" => "UPDATE subnets SET revision = revision + 1 WHERE id = $1",
        "ports" => "UPDATE ports SET revision = revision + 1 WHERE id = $1",
        "routers" => "UPDATE routers SET revision = revision + 1 WHERE id = $1",
        "floatingips" => "UPDATE floating_ips SET revision = revision + 1 WHERE id = $1",
        "subnetpools" => "UPDATE subnet_pools SET revision = revision + 1 WHERE id = $1",
        "policies" => "UPDATE qos_policies SET revision = revision + 1 WHERE id = $1",
        "trunks" => "UPDATE trunks SET revision = revision + 1 WHERE id = $1",
        _groups => "UPDATE security_groups SET revision = revision + 1 WHERE id = $1",
    };
    tx.exec(sql, args![id]).await?;
    Ok(())
}
