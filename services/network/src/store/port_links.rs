//! Which security groups a port has.

use std::collections::HashMap;

use nephos_db::{Error, Tx, Where, args};

use crate::store::{Pair, Reader, Result};

/// The groups of these ports.
pub(crate) async fn of(
    reader: &mut Reader<'_>,
    ports: &[String],
) -> Result<HashMap<String, Vec<String>>, Error> {
    let query = |ports: &[String]| {
        Where::new("SELECT port_id AS a, security_group_id AS b FROM port_groups")
            .in_("port_id", ports)
            .tail("ORDER BY port_id, place")
    };
    let mut found: HashMap<String, Vec<String>> = HashMap::new();
    for Pair(port, group) in reader.find_for(ports, query).await? {
        found.entry(port).or_default().push(group);
    }
    Ok(found)
}

/// Gives a port these groups.
pub(crate) async fn insert(tx: &mut Tx, port: &str, groups: &[String]) -> Result<(), Error> {
    for (place, group) in groups.iter().enumerate() {
        tx.exec(
            "INSERT INTO port_groups (port_id, security_group_id, place) VALUES ($1, $2, $3)",
            args![port, group, place],
        )
        .await?;
    }
    Ok(())
}

/// Takes all groups from a port.
pub(crate) async fn clear(tx: &mut Tx, port: &str) -> Result<(), Error> {
    tx.exec("DELETE FROM port_groups WHERE port_id = $1", args![port])
        .await?;
    Ok(())
}

/// The ports that have a group.
pub(crate) async fn having(tx: &mut Tx, group: &str) -> Result<Vec<String>, Error> {
    tx.fetch_all(
        "SELECT port_id FROM port_groups WHERE security_group_id = $1 ORDER BY port_id",
        args![group],
    )
    .await
}
