//! Ports that come after their server went. The network service commits nothing for a caller that waits no longer, but a
//! database may take its time to finish what it has begun to commit. So a server that goes while a port of its own is
//! being asked for, or that was given one, is remembered, and its ports are looked for twice.

use nephos_db::{Error, Tx};
use nephos_types::Timestamp;

use crate::model::server::{Nic, Server};
use crate::store::late_ports;
use crate::{Compute, store};

/// When ports are looked for, in seconds after the server went: soon, and when whatever hung has ended.
const LOOKS: [i64; 2] = [120, 3600];

/// Remembers a server that goes, if a port of its own may still come, or one that was given to it be bound.
pub(super) async fn expect(tx: &mut Tx, server: &Server, now: Timestamp) -> Result<(), Error> {
    let asked = |nic: &Nic| nic.ours && nic.port_id.is_empty();
    let given: Vec<&str> = server
        .nics
        .iter()
        .filter(|nic| !nic.ours)
        .map(|nic| nic.port_id.as_str())
        .collect();
    if server.nics.iter().any(asked) || !given.is_empty() {
        let look_at = now.plus_secs(LOOKS[0]);
        late_ports::expect(tx, (&server.id, &given), look_at).await?;
    }
    Ok(())
}

impl Compute {
    /// Removes ports that came after their server went, and gives those back that are its owner's. Says how many. Housekeeping does it every minute.
    ///
    /// # Errors
    /// When the database refuses. A network service that does not answer is asked again next time.
    pub async fn remove_late_ports(&self) -> Result<usize, Error> {
        let db = &self.core.db;
        let now = self.core.clock.now();
        let mut removed = 0;
        for gone in late_ports::due(db, now).await? {
            // A server of that id is none that went.
            if store::servers::get(db, gone.server_id.as_str())
                .await?
                .is_none()
            {
                match self
                    .siblings
                    .end_ports_of(&gone.server_id, &gone.given)
                    .await
                {
                    Ok(ports) => removed += ports,
                    Err(why) => {
                        tracing::warn!(server = %gone.server_id, %why, "cannot look for ports of a server that is gone; looking again in a minute");
                        continue;
                    }
                }
            }
            let done = usize::try_from(gone.looks).unwrap_or(usize::MAX);
            let next = LOOKS.get(done.saturating_add(1));
            let next = next.map(|secs| now.plus_secs(*secs));
            let noted = || async {
                let mut tx = db.write().await?;
                late_ports::looked(&mut tx, &gone, next).await?;
                tx.commit().await
            };
            db.again(noted).await?;
        }
        Ok(removed)
    }
}
