//! How servers stand, read for many at once.

use std::collections::HashMap;

use nephos_db::{Error, FromRow, Row, Tx, Where};

use crate::model::server::{Server, VmState};
use crate::model::spec::ServerId;

/// How a server stands, for whoever compares many with what hosts see of them.
#[derive(Clone, Debug)]
pub(crate) struct Standing {
    pub id: ServerId,
    pub host: Option<String>,
    pub vm_state: VmState,
    pub task_state: Option<String>,
    pub power_state: i64,
    pub generation: i64,
}

impl Standing {
    pub(crate) fn of(server: &Server) -> Self {
        Self {
            id: server.id.clone(),
            host: server.host.clone(),
            vm_state: server.vm_state,
            task_state: server.task_state.clone(),
            power_state: server.power_state,
            generation: server.generation,
        }
    }
}

impl FromRow for Standing {
    fn from_row(row: &Row) -> Result<Self, Error> {
        let state: String = row.get("vm_state")?;
        Ok(Self {
            id: row.get("id")?,
            host: row.get("host")?,
            vm_state: VmState::parse(&state)
                .ok_or_else(|| Error::damaged(format!("vm_state {state}")))?,
            task_state: row.get("task_state")?,
            power_state: row.get("power_state")?,
            generation: row.get("generation")?,
        })
    }
}

/// How these servers stand, by id.
pub(crate) async fn of(tx: &mut Tx, ids: &[&str]) -> Result<HashMap<String, Standing>, Error> {
    let query =
        Where::new("SELECT id, host, vm_state, task_state, power_state, generation FROM servers");
    let found: Vec<Standing> = tx.fetch_where(&query.in_("id", ids)).await?;
    let by_id = found.into_iter().map(|one| (one.id.to_string(), one));
    Ok(by_id.collect())
}
