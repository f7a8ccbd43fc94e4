//! A host joins: what it has becomes its inventory in placement, and does again whenever it changes.

use std::collections::BTreeMap;

use nephos_db::Tx;
use nephos_ops::{Failure, New, Next, OpCx, Operation, Reconcile, StepError};
use nephos_runtime::crash_point;
use nephos_types::Timestamp;
use serde_json::{Value, json};
use uuid::Uuid;

use super::{Asked, OPS, step_error};
use crate::model::spec::HostInventory;
use crate::store::aggregates::{self, Aggregate, ZONE};
use crate::{Compute, Config, store};

/// Ids of hosts follow from their names in this namespace, so that a host that comes back is the same one.
const NAMESPACE: Uuid = Uuid::from_u128(0x6e65_7068_6f73_4863_8e6f_7374_0000_0001);

pub(crate) struct Register;

/// Takes in what a host says of itself.
pub(crate) async fn take(
    tx: &mut Tx,
    asked: Asked<'_>,
    inventory: &HostInventory,
    config: &Config,
) -> Result<(), nephos_ops::EnqueueError> {
    let host = &inventory.host;
    let service = nephos_runtime::ids::derived(&NAMESPACE, &format!("service/{host}"));
    let provider = nephos_runtime::ids::derived(&NAMESPACE, &format!("provider/{host}"));
    let ids = (service.to_string(), provider.to_string());
    let known = store::hosts::registered(tx, host).await?;
    store::hosts::put(tx, asked.now, inventory, &config.default_zone, ids).await?;
    // Later, what operators do with aggregates decides.
    let zone = asked.caller.host_zone.as_deref();
    if let Some(zone) = zone.filter(|_| known.is_none()) {
        enter_zone(tx, asked.now, host, zone).await?;
    }
    if known == Some(inventories(inventory, config).to_string()) {
        return Ok(());
    }
    let new = New {
        topic: OPS,
        kind: Register::KIND,
        resource_id: &format!("host/{host}"),
        args: json!({}),
        caller: asked.caller,
        request_id: asked.request_id,
        deadline_secs: 3600,
    };
    nephos_ops::enqueue_or_nudge(tx, asked.now, new).await
}

/// Puts a host into the zone for which it was added: into the aggregate that is this zone, made if there is none.
async fn enter_zone(
    tx: &mut Tx,
    now: Timestamp,
    host: &str,
    zone: &str,
) -> Result<(), nephos_db::Error> {
    aggregates::begin(tx).await?;
    let all = aggregates::all(tx).await?;
    let id = match all.iter().find(|one| one.zone() == Some(zone)) {
        Some(found) => found.id,
        None => {
            let uuid = nephos_runtime::ids::uuid().to_string();
            let taken = all.iter().any(|one| one.name == zone);
            let new = Aggregate {
                id: 0,
                name: if taken { uuid.clone() } else { zone.to_owned() },
                uuid,
                metadata: BTreeMap::from([(ZONE.to_owned(), zone.to_owned())]),
                hosts: Vec::new(),
                created_at: now,
                updated_at: None,
            };
            aggregates::insert(tx, &new).await?
        }
    };
    aggregates::add_host(tx, id, host).await?;
    aggregates::set_zone(tx, host, zone).await
}

/// What placement should know of a host.
pub(crate) fn inventories(host: &HostInventory, config: &Config) -> Value {
    let class = |total: u64, reserved: u64, ratio: f64| {
        json!({
            "total": total, "reserved": reserved.min(total), "min_unit": 1, "max_unit": total.max(1),
            "step_size": 1, "allocation_ratio": ratio,
        })
    };
    let mut all = serde_json::Map::new();
    all.insert(
        "VCPU".into(),
        class(u64::from(host.vcpus), 0, config.cpu_allocation_ratio),
    );
    all.insert(
        "MEMORY_MB".into(),
        class(host.ram_mib, config.reserved_host_memory_mib, 1.0),
    );
    if host.disk_gib > 0 {
        all.insert("DISK_GB".into(), class(host.disk_gib, 0, 1.0));
    }
    Value::Object(all)
}

impl Reconcile<Compute> for Register {
    const KIND: &'static str = "host.register";

    async fn step(&self, cx: &OpCx<Compute>, op: &Operation) -> Result<Next, StepError> {
        let host = op.resource_id.strip_prefix("host/").unwrap_or_default();
        let Some(row) = store::hosts::get(cx.db(), host).await? else {
            return Ok(Next::Done);
        };
        let wanted = inventories(&row.inventory, &cx.config);
        let text = wanted.to_string();
        if row.registered == text {
            return Ok(Next::Done);
        }
        crash_point!("host.before_inventory");
        cx.siblings
            .ensure_provider(&row.provider_id, &row.inventory, wanted)
            .await
            .map_err(step_error)?;
        crash_point!("host.inventory");
        let mut tx = cx.write("registered").await?;
        store::hosts::set_registered(&mut tx, host, &text).await?;
        tx.commit().await?;
        crash_point!("host.registered");
        Ok(Next::Again)
    }

    async fn failed(
        &self,
        _cx: &OpCx<Compute>,
        _op: &Operation,
        _failure: &Failure,
        _tx: &mut Tx,
    ) -> Result<(), nephos_db::Error> {
        // The host's next report tries again.
        Ok(())
    }
}
