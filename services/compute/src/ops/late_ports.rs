//! Ports that come when nobody wants them any more. The network service commits nothing for a caller that waits no longer,
//! but a database may take its time to finish what it has begun to commit. So a server that goes while a port of its own
//! is being asked for, or that was given one, is remembered, as is one that gives up a port that it was given; their
//! ports are looked for twice.

use nephos_db::{Error, Tx};
use nephos_peer::PeerError;
use nephos_types::Timestamp;

use crate::model::server::{Nic, Server};
use crate::peers::Port;
use crate::store::late_ports::{self, Gone};
use crate::{Compute, store};

/// When ports are looked for, in seconds afterwards: soon, and when whatever hung has ended.
const LOOKS: [i64; 2] = [120, 3600];

/// Remembers a server that goes, if a port of its own may still come, or one that was given to it be bound.
pub(super) async fn expect(tx: &mut Tx, server: &Server, now: Timestamp) -> Result<(), Error> {
    let asked = |nic: &Nic| nic.ours && nic.port_id.is_empty();
    let given = given(server, |_| true);
    if server.nics.iter().any(asked) || !given.is_empty() {
        let look_at = now.plus_secs(LOOKS[0]);
        late_ports::expect(tx, (&server.id, &given), look_at).await?;
    }
    Ok(())
}

/// Remembers the ports that were given to a server and that it is not to have, because they were not bound in time.
pub(super) async fn give_up(tx: &mut Tx, server: &Server, now: Timestamp) -> Result<(), Error> {
    let given = given(server, |nic| nic.bound.is_none());
    if given.is_empty() {
        return Ok(());
    }
    late_ports::expect(tx, (&server.id, &given), now.plus_secs(LOOKS[0])).await
}

fn given(server: &Server, which: impl Fn(&Nic) -> bool) -> Vec<&str> {
    server
        .nics
        .iter()
        .filter(|nic| !nic.ours && which(nic))
        .map(|nic| nic.port_id.as_str())
        .collect()
}

impl Compute {
    /// Ends ports that came when nobody wanted them any more: removes those of servers that are gone, and gives those back
    /// that are their owner's. Says how many. Housekeeping does it every minute.
    ///
    /// # Errors
    /// When the database refuses. A network service that does not answer is asked again next time.
    pub async fn end_late_ports(&self) -> Result<usize, Error> {
        let db = &self.core.db;
        let now = self.core.clock.now();
        let mut ended = 0;
        for gone in late_ports::due(db, now).await? {
            // Ports before their server: one that it gets meanwhile is not among them.
            let looked = match self.siblings.ports_of(&gone.server_id).await {
                Ok(ports) => {
                    let server = store::servers::get(db, gone.server_id.as_str()).await?;
                    self.end_late_ports_of(&gone, (ports, server)).await
                }
                Err(why) => Err(why),
            };
            match looked {
                Ok(ports) => ended += ports,
                Err(why) => {
                    tracing::warn!(server = %gone.server_id, %why, "cannot look for late ports of a server; looking again in a minute");
                    continue;
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
        Ok(ended)
    }

    async fn end_late_ports_of(
        &self,
        gone: &Gone,
        (ports, server): (Vec<Port>, Option<Server>),
    ) -> Result<usize, PeerError> {
        let mut ended = 0;
        for port in ports {
            let given = gone.given.contains(&port.id);
            let wanted = server
                .as_ref()
                .is_some_and(|server| server.nics.iter().any(|nic| nic.port_id == port.id));
            if wanted || !port.device_owner.starts_with("compute:") {
                continue;
            }
            match (given, &server) {
                (true, _) => self.siblings.unbind_port(&port).await?,
                (false, None) => self.siblings.remove_port(&port.id).await?,
                // A server that lives has its own ports removed with it.
                (false, Some(_)) => continue,
            }
            ended += 1;
        }
        Ok(ended)
    }
}
