//! Floating IPs.

use nephos_db::{Error, FromRow, Row, Tx, Where, args};

use crate::model::router::{FloatingIp, FloatingStatus, PortDetails};
use crate::store::{Reader, Result, news, parsed, parsed_opt, ports, quotas, tags};

const SELECT: &str = "SELECT f.id, f.project_id, f.description, f.network_id, f.floating_ip, f.floating_port_id, \
     f.port_id, f.fixed_ip, f.router_id, f.status, f.revision, f.created_at, f.updated_at, p.name AS port_name, \
     p.network_id AS port_network, p.mac, p.admin_state_up, p.status AS port_status, p.device_id, p.device_owner \
     FROM floating_ips f LEFT JOIN ports p ON p.id = f.port_id";

impl FromRow for FloatingIp {
    fn from_row(row: &Row) -> Result<Self, Error> {
        let status: String = row.get("status")?;
        let port_id: Option<String> = row.get("port_id")?;
        let port_details = match &port_id {
            None => None,
            Some(_) => Some(PortDetails {
                name: row.get("port_name")?,
                network_id: row.get("port_network")?,
                mac: row.get("mac")?,
                admin_state_up: row.get("admin_state_up")?,
                status: row.get("port_status")?,
                device_id: row.get("device_id")?,
                device_owner: row.get("device_owner")?,
            }),
        };
        Ok(Self {
            id: row.get("id")?,
            project_id: row.get("project_id")?,
            description: row.get("description")?,
            network_id: row.get("network_id")?,
            floating_ip: parsed(row, "floating_ip")?,
            floating_port_id: row.get("floating_port_id")?,
            port_id,
            fixed_ip: parsed_opt(row, "fixed_ip")?,
            router_id: row.get("router_id")?,
            status: if status == FloatingStatus::Active.as_str() {
                FloatingStatus::Active
            } else {
                FloatingStatus::Down
            },
            revision: row.get("revision")?,
            created_at: row.get("created_at")?,
            updated_at: row.get("updated_at")?,
            port_details,
            tags: Vec::new(),
        })
    }
}

/// Which port a floating IP stands for.
struct PortOf(Option<String>);

impl FromRow for PortOf {
    fn from_row(row: &Row) -> Result<Self, nephos_db::Error> {
        Ok(Self(row.get("port_id")?))
    }
}

/// All floating IPs, to be narrowed; columns are `f.…`.
pub(crate) fn query() -> Where {
    Where::new(SELECT)
}

/// With tags.
pub(crate) async fn find(reader: &mut Reader<'_>, query: &Where) -> Result<Vec<FloatingIp>, Error> {
    let mut found: Vec<FloatingIp> = reader.find(query).await?;
    let ids: Vec<String> = found.iter().map(|one| one.id.clone()).collect();
    if ids.is_empty() {
        return Ok(found);
    }
    let mut tags = tags::of(reader, &ids).await?;
    for one in &mut found {
        one.tags = tags.remove(&one.id).unwrap_or_default();
    }
    Ok(found)
}

pub(crate) async fn get(reader: &mut Reader<'_>, id: &str) -> Result<Option<FloatingIp>, Error> {
    Ok(find(reader, &query().eq("f.id", id)).await?.pop())
}

/// Says no when the port's address has a floating IP already.
pub(crate) async fn insert(tx: &mut Tx, one: &FloatingIp) -> Result<bool, Error> {
    let made = tx
        .exec(
            "INSERT INTO floating_ips (id, project_id, description, network_id, floating_ip, floating_port_id, port_id, \
             fixed_ip, router_id, status, revision, created_at, updated_at) \
             VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11, $12, $13) ON CONFLICT DO NOTHING",
            args![
                one.id,
                one.project_id,
                one.description,
                one.network_id,
                one.floating_ip.to_string(),
                one.floating_port_id,
                one.port_id,
                one.fixed_ip.map(|ip| ip.to_string()).unwrap_or_default(),
                one.router_id,
                one.status.as_str(),
                one.revision,
                one.created_at,
                one.updated_at,
            ],
        )
        .await?;
    news::of_port(tx, one.created_at, one.port_id.as_deref()).await?;
    Ok(made > 0)
}

/// The row as it is now, if nobody changed it since it was read.
pub(crate) async fn update(tx: &mut Tx, one: &FloatingIp) -> Result<(), Error> {
    let before: Option<PortOf> = tx
        .fetch_opt(
            "SELECT port_id FROM floating_ips WHERE id = $1",
            args![one.id],
        )
        .await?;
    if let Some(PortOf(before)) = before {
        news::of_port(tx, one.updated_at, before.as_deref()).await?;
    }
    news::of_port(tx, one.updated_at, one.port_id.as_deref()).await?;
    tx.exec_some(
            "UPDATE floating_ips SET description = $1, port_id = $2, fixed_ip = $3, router_id = $4, \
             status = CASE WHEN COALESCE(port_id, '') = COALESCE($2, '') AND COALESCE(router_id, '') = COALESCE($4, '') \
             THEN status ELSE $5 END, revision = revision + 1, updated_at = $6 WHERE id = $7 AND revision = $8",
            args![
                one.description,
                one.port_id,
                one.fixed_ip.map(|ip| ip.to_string()).unwrap_or_default(),
                one.router_id,
                one.status.as_str(),
                one.updated_at,
                one.id,
                one.revision,
            ],
        )
        .await?;
    Ok(())
}

/// What the host of a router saw: its floating IPs work, or do not.
pub(crate) async fn set_status(
    tx: &mut Tx,
    router: &str,
    status: FloatingStatus,
) -> Result<(), Error> {
    tx.exec(
        "UPDATE floating_ips SET status = $1 WHERE router_id = $2 AND status <> $1",
        args![status.as_str(), router],
    )
    .await?;
    Ok(())
}

/// Whether the port's address has a floating IP other than this one.
pub(crate) async fn other_of(tx: &mut Tx, one: &FloatingIp) -> Result<Option<String>, Error> {
    tx.fetch_opt(
        "SELECT id FROM floating_ips WHERE port_id = $1 AND fixed_ip = $2 AND id <> $3",
        args![
            one.port_id,
            one.fixed_ip.map(|ip| ip.to_string()).unwrap_or_default(),
            one.id
        ],
    )
    .await
}

/// Takes the port away from the floating IPs that stand for it; gives the routers that are to know.
pub(crate) async fn release_port(tx: &mut Tx, port: &str) -> Result<Vec<String>, Error> {
    let routers = tx
        .fetch_all(
            "SELECT DISTINCT router_id FROM floating_ips WHERE port_id = $1 AND router_id IS NOT NULL",
            args![port],
        )
        .await?;
    tx.exec(
        "UPDATE floating_ips SET port_id = NULL, fixed_ip = '', router_id = NULL, status = 'DOWN', \
         revision = revision + 1 WHERE port_id = $1",
        args![port],
    )
    .await?;
    Ok(routers)
}

pub(crate) async fn remove(tx: &mut Tx, id: &str) -> Result<(), Error> {
    tags::clear(tx, id).await?;
    tx.exec_some("DELETE FROM floating_ips WHERE id = $1", args![id])
        .await?;
    Ok(())
}

/// The floating IPs of a router.
pub(crate) async fn of_router(
    reader: &mut Reader<'_>,
    router: &str,
) -> Result<Vec<FloatingIp>, Error> {
    let query = query().eq("f.router_id", router).tail("ORDER BY f.id");
    reader.find(&query).await
}

/// Takes the floating IPs of a network away that stand for nothing: they do not keep it.
pub(crate) async fn drop_idle(tx: &mut Tx, network: &str) -> Result<(), Error> {
    let query = query().eq("f.network_id", network).is_null("f.port_id");
    for one in find(&mut Reader::Tx(tx), &query).await? {
        discard(tx, &one).await?;
    }
    Ok(())
}

/// Takes a floating IP, its port and its place in the quota away.
pub(crate) async fn discard(tx: &mut Tx, one: &FloatingIp) -> Result<(), Error> {
    news::of_port(tx, one.updated_at, one.port_id.as_deref()).await?;
    remove(tx, &one.id).await?;
    ports::remove(tx, &one.floating_port_id).await?;
    quotas::give(tx, &one.project_id, "floatingip", 1).await
}
