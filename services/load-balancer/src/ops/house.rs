//! What goes on without requests: load balancers leave hosts that fell silent, ports that nobody has go, old things are
//! forgotten.

use std::time::Duration;

use nephos_auth::{Caller, Scope};
use nephos_db::Error;
use nephos_ops::{EnqueueError, feed};
use nephos_runtime::Shutdown;
use nephos_types::Timestamp;

use super::{Asked, apply};
use crate::LoadBalancing;
use crate::model::status::Provisioning;
use crate::model::tree::BalancerId;
use crate::store::{balancers, hosts};

/// Hosts are looked at so often.
const LOOK: Duration = Duration::from_secs(10);
/// The rest is done every so many looks.
const TIDY: u32 = 60;
/// A port is made before the row of its load balancer: so long it may be without one.
const PORT_SECS: i64 = 600;

impl LoadBalancing {
    pub(crate) async fn keep_house(&self, shutdown: &Shutdown) -> Result<(), Error> {
        let mut looks = 0;
        loop {
            self.leave_silent_hosts().await?;
            if looks % TIDY == 0 {
                self.tidy().await?;
            }
            looks += 1;
            tokio::select! {
                () = shutdown.wait() => return Ok(()),
                () = self.core.clock.sleep(LOOK) => {}
            }
        }
    }

    /// Load balancers of hosts that fell silent go to others, when there are some.
    ///
    /// # Errors
    /// When the database refuses.
    pub async fn leave_silent_hosts(&self) -> Result<(), Error> {
        let (db, now) = (&self.core.db, self.core.clock.now());
        let hosts = hosts::all(db).await?;
        let lives =
            |host: &hosts::Host| host.seen_at.plus_secs(self.config.host_down_after_secs) > now;
        if !hosts
            .iter()
            .any(|host| lives(host) && host.haproxy.is_some())
        {
            return Ok(());
        }
        for host in hosts
            .iter()
            .filter(|host| host.balancers > 0 && !lives(host))
        {
            tracing::warn!(
                event = "host",
                host = host.host,
                count = host.balancers,
                "the host does not report any more; its load balancers move to others"
            );
            for id in balancers::of_host(db, &host.host).await? {
                db.again(|| self.leave(&id, &host.host, now)).await?;
            }
        }
        Ok(())
    }

    async fn leave(&self, id: &BalancerId, host: &str, now: Timestamp) -> Result<(), Error> {
        let mut tx = self.core.db.write().await?;
        let Some(mut balancer) = balancers::find_in(&mut tx, id).await? else {
            return Ok(());
        };
        let going = balancer.provisioning == Provisioning::PendingDelete;
        if going || balancer.host.as_deref() != Some(host) {
            return Ok(());
        }
        let caller = Caller::new("load-balancer", Scope::Unscoped, &[]);
        let asked = Asked {
            caller: &caller,
            request_id: &nephos_runtime::ids::request_id(),
            now,
        };
        match apply::request_move(&mut tx, asked, &mut balancer).await {
            Ok(()) => tx.commit().await,
            Err(EnqueueError::Db(why)) => Err(why),
            Err(why) => {
                tracing::warn!(%why, load_balancer = %id, "it cannot move yet");
                Ok(())
            }
        }
    }

    /// Removes ports that were made for a load balancer that is not there, and forgets old things.
    ///
    /// # Errors
    /// When the database refuses.
    pub async fn tidy(&self) -> Result<(), Error> {
        let (db, now) = (&self.core.db, self.core.clock.now());
        let prune = || async {
            let mut tx = db.write().await?;
            feed::prune(&mut tx, now).await?;
            tx.commit().await
        };
        db.again(prune).await?;
        let ports = match self.siblings.ports().await {
            Ok(ports) => ports,
            Err(why) => {
                tracing::debug!(%why, "ports without a load balancer are looked for later");
                return Ok(());
            }
        };
        for port in ports {
            let Some(id) = crate::peers::balancer_of(&port) else {
                continue;
            };
            let old = Timestamp::parse(&port.created_at)
                .is_some_and(|made| made.plus_secs(PORT_SECS) < now);
            if !old || balancers::find(db, &id).await?.is_some() {
                continue;
            }
            tracing::info!(port = port.id, load_balancer = %id, "a port was left without its load balancer, and goes");
            if let Err(why) = self.siblings.delete_port(&port.id).await {
                tracing::warn!(%why, port = port.id, "it stays for now");
            }
        }
        Ok(())
    }
}
