//! The consistency check: everything that servers have outside their rows, compared with the rows.

use std::collections::{BTreeMap, BTreeSet};

use nephos_api::Check;
use nephos_db::Error;
use nephos_peer::PeerError;
use nephos_types::Finding;

use crate::{Compute, store};

impl Check for Compute {
    /// Here and at the siblings. A database or sibling that does not answer is a finding too.
    async fn check(&self) -> Result<Vec<Finding>, Error> {
        let mut findings = Vec::new();
        if let Err(why) = self.check_here(&mut findings).await {
            findings.push(Finding::new(
                format!("cannot be checked: {why}"),
                "database",
                "Look at the database.",
            ));
        }
        if let Err(why) = self.check_siblings(&mut findings).await {
            findings.push(Finding::new(
                format!("cannot be checked: {why}"),
                why_service(&why),
                "Start that service and check again.",
            ));
        }
        Ok(findings)
    }
}

impl Compute {
    /// Mends what can be mended by counting: quota usage. Says how many numbers were wrong. Housekeeping does it too.
    ///
    /// # Errors
    /// When the database refuses.
    pub async fn repair(&self) -> Result<usize, Error> {
        let mut tx = self.core.db.write().await?;
        let wrong = store::check::recount(&mut tx).await?;
        tx.commit().await?;
        Ok(wrong)
    }

    async fn check_here(&self, findings: &mut Vec<Finding>) -> Result<(), Error> {
        let db = &self.core.db;
        for (id, state) in store::check::stuck(db).await? {
            let hint = "Delete the server, or let an admin reset its state.";
            findings.push(Finding::new(
                format!("is {state}, and nobody works on it"),
                id,
                hint,
            ));
        }
        for id in store::check::feed_orphans(db).await? {
            findings.push(Finding::new(
                "is wanted on a host, and is no server there",
                id,
                "Its host keeps a guest that nobody owns; delete its feed item.",
            ));
        }
        let counted = store::check::counted(db).await?;
        let noted = store::check::noted(db).await?;
        let keys: BTreeSet<_> = counted.keys().chain(noted.keys()).collect();
        for key in keys {
            let (real, known) = (counted.get(key).unwrap_or(&0), noted.get(key).unwrap_or(&0));
            if real != known {
                let what = format!("quota usage of {} is noted as {known} and is {real}", key.1);
                findings.push(Finding::new(
                    what,
                    &*key.0,
                    "The service counts it anew within the hour.",
                ));
            }
        }
        Ok(())
    }

    async fn check_siblings(&self, findings: &mut Vec<Finding>) -> Result<(), Trouble> {
        let servers: BTreeMap<String, Option<String>> =
            store::check::hosts_of_servers(&self.core.db).await?;
        let mut claimed: BTreeMap<String, String> = BTreeMap::new();
        let moves = store::migrations::live_ids(&self.core.db).await?;
        let moves: BTreeSet<String> = moves.into_iter().collect();
        for host in store::hosts::states(&self.core.db, None).await? {
            for consumer in self.siblings.claims_on(&host.provider_id).await? {
                if !servers.contains_key(&consumer) && !moves.contains(&consumer) {
                    let what = format!("has room on host {} and is no server", host.host);
                    findings.push(Finding::new(
                        what,
                        &*consumer,
                        "Delete the allocation in placement.",
                    ));
                }
                claimed.insert(consumer, host.host.clone());
            }
        }
        let placed = servers
            .iter()
            .filter_map(|(id, host)| Some((id, host.as_ref()?)));
        for (id, host) in placed {
            if claimed.get(id) != Some(host) {
                let what = format!("is on host {host} and has no room there");
                findings.push(Finding::new(
                    what,
                    &**id,
                    "Delete the server and make it anew.",
                ));
            }
        }
        for used in store::check::volumes_in_use(&self.core.db).await? {
            let (project, id) = (&used.project, &used.attachment);
            let gone = !self.siblings.has_attachment(project, id).await?;
            // It may have been taken out since.
            if gone
                && store::check::volumes_in_use(&self.core.db)
                    .await?
                    .contains(&used)
            {
                let what = format!("has volume {}, which is not attached to it", used.volume);
                let hint = "Somebody ended the attachment in the block service: take the volume out of the server.";
                findings.push(Finding::new(what, used.server, hint));
            }
        }
        let bound = store::check::ports_bound(&self.core.db).await?;
        let ports = self.siblings.ports_of_servers().await?;
        let plugged: BTreeSet<(String, String)> = ports
            .iter()
            .map(|port| (port.device_id.clone(), port.id.clone()))
            .collect();
        let lost: Vec<_> = bound.difference(&plugged).collect();
        if !lost.is_empty() {
            // They may have been taken out since.
            let still = store::check::ports_bound(&self.core.db).await?;
            for (server, port) in lost.into_iter().filter(|one| still.contains(one)) {
                let what = format!("has port {port}, which is not plugged into it");
                let hint = "The port is gone, or another server's: detach the interface, or delete the server.";
                findings.push(Finding::new(what, &**server, hint));
            }
        }
        for port in ports {
            if !servers.contains_key(&port.device_id) {
                let what = format!("is plugged into {}, which is no server", port.device_id);
                findings.push(Finding::new(
                    what,
                    port.id,
                    "Delete the port in the network service, or take its device_id away if it is somebody's own.",
                ));
            }
        }
        Ok(())
    }
}

#[derive(Debug, thiserror::Error)]
enum Trouble {
    #[error(transparent)]
    Peer(#[from] PeerError),
    #[error(transparent)]
    Db(#[from] Error),
}

const fn why_service(why: &Trouble) -> &'static str {
    match why {
        Trouble::Peer(why) => why.service,
        Trouble::Db(_) => "database",
    }
}
