//! What must hold between the services and the host, and of work that is under way.

use std::collections::BTreeSet;

use nephos_network::agent::Difference;

use super::Finding;
use super::host::HostPicture;
use super::picture::{Picture, Server};

/// Everything that does not hold.
pub(super) fn check(picture: &Picture) -> Vec<Finding> {
    let mut findings = Vec::new();
    overdue(picture, &mut findings);
    if let Some(host) = &picture.host {
        on_host(picture, host, &mut findings);
    }
    findings
}

/// An operation ends at its deadline at the latest; a worker that runs sees to that.
fn overdue(picture: &Picture, findings: &mut Vec<Finding>) {
    let late = |deadline: nephos_types::Timestamp| deadline.plus_secs(60) < picture.now;
    for live in picture.operations.iter().filter(|live| late(live.deadline)) {
        findings.push(Finding {
            by: live.service,
            id: live.id.clone(),
            what: format!(
                "operation {} of {} is past its deadline in step {}",
                live.kind, live.resource, live.step
            ),
            hint: "Start the cloud: its workers end it.".to_owned(),
        });
    }
}

fn on_host(picture: &Picture, host: &HostPicture, findings: &mut Vec<Finding>) {
    let moving: BTreeSet<&str> = picture
        .operations
        .iter()
        .map(|live| live.resource.as_str())
        .collect();
    let here = |server: &&Server| server.host.as_ref() == Some(&host.name);
    let servers: BTreeSet<&str> = picture
        .servers
        .values()
        .filter(here)
        .map(|server| server.id.as_str())
        .collect();
    // What a resized server was is kept where it was, until its owner decides.
    let kept = |id: &String| {
        let server = picture.servers.get(id);
        server.is_some_and(|server| server.status == "VERIFY_RESIZE")
    };
    let orphan =
        |id: &&String| !servers.contains(id.as_str()) && !moving.contains(id.as_str()) && !kept(id);
    let mut find = |id: &str, what: &str, hint: &str| {
        findings.push(Finding {
            by: "host",
            id: id.to_owned(),
            what: what.to_owned(),
            hint: hint.to_owned(),
        });
    };
    for id in host.domains.iter().filter(orphan) {
        find(
            id,
            "a guest that is no server of this host",
            "The host's agent removes it a minute after its start.",
        );
    }
    for id in host.files.iter().filter(orphan) {
        find(
            id,
            "files of a guest that is no server of this host",
            "The host's agent removes them a minute after its start.",
        );
    }
    let taps: BTreeSet<String> = picture.ports.iter().map(|port| tap(&port.id)).collect();
    for name in host.taps.iter().filter(|name| !taps.contains(*name)) {
        find(
            name,
            "a tap device of no port",
            "The host's network agent removes it within a minute.",
        );
    }
    for Difference { id, what } in &host.network {
        find(
            id,
            what,
            "While the cloud runs, the host's network agent puts it right within a minute.",
        );
    }
    let settled = |server: &&Server| !moving.contains(server.id.as_str());
    for server in picture.servers.values().filter(here).filter(settled) {
        for (what, hint) in of_server(server, host) {
            find(&server.id, what, hint);
        }
    }
}

/// What does not hold of a server on its host that nobody works on.
fn of_server(server: &Server, host: &HostPicture) -> Vec<(&'static str, &'static str)> {
    let mut found = Vec::new();
    let runs = server.status == "ACTIVE";
    if runs && !host.domains.contains(&server.id) {
        found.push((
            "a server that is not defined on its host",
            "Start the cloud: the host's agent defines it.",
        ));
    }
    if runs && host.off.contains(&server.id) {
        found.push((
            "an active server whose guest is switched off",
            "While the cloud runs, the server becomes SHUTOFF within a minute; then start it.",
        ));
    }
    let is_made = ["ACTIVE", "PAUSED", "SUSPENDED", "SHUTOFF"].contains(&server.status.as_str());
    // One that boots from a volume has no disk of its host.
    if is_made && server.image.is_object() && !host.disks.contains(&server.id) {
        found.push((
            "a server whose disk is not on its host",
            "Put the file back before the server starts again, or rebuild the server: its next start makes a disk anew from \
             its image.",
        ));
    }
    found
}

fn tap(port: &str) -> String {
    format!("tap{}", port.chars().take(11).collect::<String>())
}

#[cfg(test)]
mod tests {
    use nephos_types::Timestamp;

    use super::super::picture::{Live, Port};
    use super::*;

    /// One server in good order on one host.
    fn good() -> Picture {
        let mut picture = Picture::default();
        let server = Server {
            id: "s1".into(),
            status: "ACTIVE".into(),
            host: Some("h1".into()),
            image: serde_json::json!({"id": "i"}),
        };
        picture.servers.insert("s1".into(), server);
        picture.ports.push(Port { id: "p1".into() });
        picture.host = Some(HostPicture {
            name: "h1".into(),
            domains: ["s1".to_owned()].into(),
            off: BTreeSet::new(),
            files: ["s1".to_owned()].into(),
            disks: ["s1".to_owned()].into(),
            taps: ["tapp1".to_owned()].into(),
            network: BTreeSet::new(),
        });
        picture
    }

    fn live(resource: &str, deadline: Timestamp) -> Live {
        Live {
            service: "compute",
            id: format!("o-{resource}"),
            kind: "server.boot".into(),
            resource: resource.into(),
            step: "claim".into(),
            deadline,
        }
    }

    #[track_caller]
    fn finds(id: &str, what: &str, spoil: impl FnOnce(&mut HostPicture)) {
        let mut picture = good();
        spoil(picture.host.as_mut().unwrap());
        let found = check(&picture);
        let hit = |finding: &Finding| finding.id == id && finding.what.contains(what);
        assert!(
            found.len() == 1 && found.iter().all(hit),
            "{what} of {id} is not {found:?}"
        );
    }

    #[test]
    fn a_host_in_good_order_has_no_findings() {
        assert_eq!(check(&good()), []);
    }

    #[test]
    fn what_is_on_the_host_and_belongs_to_nobody_is_found() {
        finds("s2", "a guest", |host| {
            host.domains.extend(["s2".to_owned()])
        });
        finds("s2", "files", |host| host.files.extend(["s2".to_owned()]));
        finds("tapp2", "a tap", |host| {
            host.taps.extend(["tapp2".to_owned()])
        });
        finds("nx-a", "is missing", |host| {
            let (id, what) = ("nx-a".to_owned(), "a network device that is missing");
            host.network.insert(Difference { id, what });
        });
        finds("s1", "not defined", |host| host.domains.clear());
    }

    #[test]
    fn a_guest_that_is_off_or_without_its_disk_is_found() {
        finds("s1", "switched off", |host| {
            host.off.extend(["s1".to_owned()])
        });
        finds("s1", "disk is not", |host| host.disks.clear());
        let mut rooted = good();
        rooted.host.as_mut().unwrap().disks.clear();
        for server in rooted.servers.values_mut() {
            server.image = serde_json::json!("");
        }
        assert_eq!(check(&rooted), []);
        let mut picture = good();
        for server in picture.servers.values_mut() {
            server.status = "SHUTOFF".to_owned();
        }
        picture.host.as_mut().unwrap().off.extend(["s1".to_owned()]);
        assert_eq!(check(&picture), []);
        // One that is off still has a disk.
        picture.host.as_mut().unwrap().disks.clear();
        assert_eq!(check(&picture).len(), 1);
    }

    #[test]
    fn what_is_being_worked_on_is_no_finding() {
        let mut picture = good();
        let host = picture.host.as_mut().unwrap();
        host.domains = ["s2".to_owned()].into();
        host.files.extend(["s2".to_owned()]);
        picture.operations = ["s1", "s2"].map(|id| live(id, Timestamp(i64::MAX))).into();
        assert_eq!(check(&picture), []);
    }

    #[test]
    fn what_a_resized_server_was_may_be_on_its_former_host() {
        let mut picture = good();
        let elsewhere = Server {
            id: "s2".into(),
            status: "VERIFY_RESIZE".into(),
            host: Some("h2".into()),
            image: serde_json::json!({"id": "i"}),
        };
        picture.servers.insert("s2".into(), elsewhere);
        let host = picture.host.as_mut().unwrap();
        host.domains.extend(["s2".to_owned()]);
        host.files.extend(["s2".to_owned()]);
        assert_eq!(check(&picture), []);
    }

    #[test]
    fn an_operation_past_its_deadline_is_found() {
        let mut picture = good();
        picture.now = Timestamp(0).plus_secs(1000);
        picture.operations.push(live("s1", Timestamp(0)));
        let found = check(&picture);
        assert!(
            found.len() == 1 && found.iter().all(|finding| finding.id == "o-s1"),
            "{found:?}"
        );
    }
}
