//! What goes on without requests: load balancers leave hosts that fell silent, ports that nobody has go, old things are
//! forgotten.

use std::time::Duration;

use nephos_auth::{Caller, Scope};
use nephos_db::Error;
use nephos_ops::{EnqueueError, feed};
use nephos_peer::PeerError;
use nephos_runtime::Shutdown;
use nephos_types::Timestamp;

use super::{Asked, apply, delete};
use crate::LoadBalancing;
use crate::model::status::Provisioning;
use crate::model::tree::{Balancer, BalancerId};
use crate::peers::Port;
use crate::store::balancers;
use crate::store::hosts::{self, Host};

/// Hosts are looked at so often.
const LOOK: Duration = Duration::from_secs(10);
/// Who was heard of in so many seconds is heard of now: what hosts say is written down every 30 s.
const HEARD_SECS: i64 = 70;
/// Load balancers that are on their way from host to host at a time.
const MOVES: i64 = 20;
/// Load balancers that failed and are tried again in one look.
const RETRIES: usize = 20;
/// The rest is done every so many looks.
const TIDY: u32 = 60;
/// A port is made before the row of its load balancer: so long it may be without one.
const PORT_SECS: i64 = 600;

impl LoadBalancing {
    pub(crate) async fn keep_house(&self, shutdown: &Shutdown) -> Result<(), Error> {
        let mut looks = 0;
        loop {
            self.look_after_hosts().await?;
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

    /// Load balancers of hosts that fell silent, or that are to be empty, go to others, when there are some; and those that
    /// had no host, or failed on one, are tried again.
    ///
    /// # Errors
    /// When the database refuses.
    pub async fn look_after_hosts(&self) -> Result<(), Error> {
        let (db, now, at) = (
            &self.core.db,
            self.core.clock.now(),
            self.core.clock.monotonic(),
        );
        let down_after = self.config.host_down_after_secs;
        let hosts = hosts::all(db).await?;
        let heard = hosts.iter().any(|host| host.lives(now, HEARD_SECS));
        let heard_for = i64::try_from(self.watch.look(at, heard).as_secs()).unwrap_or(i64::MAX);
        let takes =
            |host: &&Host| host.haproxy.is_some() && !host.drained && host.lives(now, down_after);
        let mut room = MOVES.saturating_sub(balancers::moving(db).await?);
        for host in hosts.iter().filter(|host| host.balancers > 0) {
            let is_lost = heard_for >= down_after && !host.lives(now, down_after);
            let mut others = hosts.iter().filter(|other| other.host != host.host);
            if (is_lost || host.drained) && others.any(|other| takes(&other)) {
                room -= self.leave_host(host, (is_lost, room), now).await?;
            }
        }
        if hosts.iter().any(|host| takes(&host)) {
            for id in balancers::homeless(db).await? {
                db.again(|| self.try_again(&id, now)).await?;
            }
        }
        self.try_failed(now).await
    }

    /// What failed on a host that lives, and what could not be deleted, is tried again, some at a time, with growing pauses:
    /// what was in the way may be gone, and nobody else says so.
    async fn try_failed(&self, now: Timestamp) -> Result<(), Error> {
        let (db, at) = (&self.core.db, self.core.clock.monotonic());
        let since = now.plus_secs(-self.config.host_down_after_secs);
        let mut count = 0;
        for id in balancers::failed(db, since).await? {
            if count == RETRIES {
                break;
            }
            if self.watch.tries(&id, at) {
                db.again(|| self.try_again(&id, now)).await?;
                count += 1;
            }
        }
        for id in balancers::undeleted(db).await? {
            if count == RETRIES {
                break;
            }
            if self.watch.tries(&id, at) {
                db.again(|| self.delete_again(&id, now)).await?;
                count += 1;
            }
        }
        Ok(())
    }

    /// One whose deletion failed is to go all the same.
    async fn delete_again(&self, id: &BalancerId, now: Timestamp) -> Result<(), Error> {
        let mut tx = self.core.db.write().await?;
        let found = balancers::find_in(&mut tx, id).await?;
        let fails = |one: &Balancer| one.provisioning == Provisioning::Error && one.going;
        let Some(mut balancer) = found.filter(fails) else {
            return Ok(());
        };
        let caller = Caller::new("load-balancer", Scope::Unscoped, &[]);
        let asked = Asked {
            caller: &caller,
            request_id: &nephos_runtime::ids::request_id(),
            now,
        };
        match delete::request(&mut tx, asked, &mut balancer).await {
            Ok(()) => tx.commit().await,
            Err(EnqueueError::Db(why)) => Err(why),
            Err(why) => {
                tracing::warn!(%why, load_balancer = %id, "it cannot be deleted yet");
                Ok(())
            }
        }
    }

    /// Lets as many load balancers as there is room for leave a host; how many did.
    async fn leave_host(
        &self,
        host: &Host,
        (is_lost, room): (bool, i64),
        now: Timestamp,
    ) -> Result<i64, Error> {
        let (db, at) = (&self.core.db, self.core.clock.monotonic());
        let mut count = 0;
        for id in balancers::of_host(db, &host.host).await? {
            if count >= room {
                break;
            }
            if self.watch.asks(&id, at) {
                db.again(|| self.leave(&id, &host.host, now)).await?;
                count += 1;
            }
        }
        let name = &host.host;
        match (count, is_lost) {
            (0, _) => {}
            (count, true) => tracing::warn!(
                event = "host",
                host = name,
                count,
                of = host.balancers,
                "the host does not report any more; its load balancers move to others, some at a time"
            ),
            (count, false) => tracing::info!(
                event = "host",
                host = name,
                count,
                of = host.balancers,
                "the host is drained; its load balancers move to others, some at a time"
            ),
        }
        Ok(count)
    }

    /// One that failed: what it should be is wanted again. It stays in error until it is so.
    async fn try_again(&self, id: &BalancerId, now: Timestamp) -> Result<(), Error> {
        let mut tx = self.core.db.write().await?;
        let found = balancers::find_in(&mut tx, id).await?;
        let fails = |one: &Balancer| one.provisioning == Provisioning::Error && !one.going;
        if !found.as_ref().is_some_and(fails) {
            return Ok(());
        }
        let caller = Caller::new("load-balancer", Scope::Unscoped, &[]);
        let asked = Asked {
            caller: &caller,
            request_id: &nephos_runtime::ids::request_id(),
            now,
        };
        match apply::request(&mut tx, asked, id).await {
            Ok(()) => tx.commit().await,
            Err(EnqueueError::Db(why)) => Err(why),
            Err(why) => {
                tracing::warn!(%why, load_balancer = %id, "it cannot be tried again yet");
                Ok(())
            }
        }
    }

    async fn leave(&self, id: &BalancerId, host: &str, now: Timestamp) -> Result<(), Error> {
        let mut tx = self.core.db.write().await?;
        let Some(mut balancer) = balancers::find_in(&mut tx, id).await? else {
            return Ok(());
        };
        if balancer.going || balancer.host.as_deref() != Some(host) {
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
            if let Err(why) = self.tidy_port(&port).await? {
                tracing::warn!(%why, port = port.id, "it stays for now");
            }
        }
        Ok(())
    }

    /// A port that names a load balancer which is not there is given up, unless somebody has changed it since it was listed.
    async fn tidy_port(&self, listed: &Port) -> Result<Result<(), PeerError>, Error> {
        let now = self.core.clock.now();
        let Some(id) = crate::peers::balancer_of(listed) else {
            return Ok(Ok(()));
        };
        let old = Timestamp::parse(&listed.created_at)
            .is_some_and(|made| made.plus_secs(PORT_SECS) < now);
        if !old || balancers::find(&self.core.db, &id).await?.is_some() {
            return Ok(Ok(()));
        }
        // A load balancer that went meanwhile has given its port back, and its owner may use it for something else.
        let port = match self.siblings.port(&listed.id).await {
            Ok(Some(port)) if port.is_of(&id) => port,
            Ok(_its_owners) => return Ok(Ok(())),
            Err(why) => return Ok(Err(why)),
        };
        tracing::info!(port = port.id, load_balancer = %id, "a port was left without its load balancer, and is given up");
        match super::give_up(&self.siblings, &port).await {
            Err(why) if crate::peers::has_changed(&why) => Ok(Ok(())),
            gone => Ok(gone),
        }
    }
}
