//! What must hold between the services, and between them and the host.

use std::collections::BTreeSet;

use super::Finding;
use super::host::HostPicture;
use super::picture::{Picture, Server};

/// Everything that does not hold.
pub(super) fn check(picture: &Picture) -> Vec<Finding> {
    let mut findings = Vec::new();
    allocations(picture, &mut findings);
    stuck(picture, &mut findings);
    ports(picture, &mut findings);
    usage(picture, &mut findings);
    if let Some(host) = &picture.host {
        on_host(picture, host, &mut findings);
    }
    findings.sort();
    findings
}

fn find(kind: &'static str, id: &str, what: String) -> Finding {
    Finding {
        kind,
        id: id.to_owned(),
        what,
    }
}

/// Whether an operation works on it now.
fn is_moving(picture: &Picture, id: &str) -> bool {
    picture.operations.iter().any(|live| live.resource == id)
}

fn allocations(picture: &Picture, findings: &mut Vec<Finding>) {
    for (consumer, host) in &picture.allocations {
        if is_moving(picture, consumer) {
            continue;
        }
        match picture.servers.get(consumer) {
            None => {
                let what = format!(
                    "placement holds resources of {host} for it, and there is no such server"
                );
                findings.push(find("allocation without server", consumer, what));
            }
            Some(server) if server.host.as_ref() != Some(host) => {
                let at = server.host.as_deref().unwrap_or("no host");
                let what = format!("placement holds resources of {host} for it, and it is on {at}");
                findings.push(find("allocation on another host", consumer, what));
            }
            Some(_) => {}
        }
    }
    for server in picture.servers.values() {
        let Some(host) = &server.host else { continue };
        let held = picture
            .allocations
            .contains(&(server.id.clone(), host.clone()));
        if !held && !is_moving(picture, &server.id) && !server.status.starts_with("SHELVED") {
            let what = format!("it is on {host}, and placement holds nothing for it there");
            findings.push(find("server without allocation", &server.id, what));
        }
    }
}

/// Work that will never end, and states that nobody will end.
fn stuck(picture: &Picture, findings: &mut Vec<Finding>) {
    for live in picture
        .operations
        .iter()
        .filter(|live| live.deadline.plus_secs(60) < picture.now)
    {
        let what = format!(
            "{} of {} in {} is past its deadline in step {}",
            live.kind, live.resource, live.service, live.step
        );
        findings.push(find("operation past its deadline", &live.id, what));
    }
    for server in picture.servers.values() {
        let changing = server.status == "BUILD" || server.task_state.is_some();
        if changing && !is_moving(picture, &server.id) {
            let task = server.task_state.as_deref().unwrap_or("nothing");
            let what = format!(
                "it is {} (doing: {task}), and no operation works on it",
                server.status
            );
            findings.push(find("stuck server", &server.id, what));
        }
    }
}

fn ports(picture: &Picture, findings: &mut Vec<Finding>) {
    for port in picture
        .ports
        .iter()
        .filter(|port| port.device_owner.starts_with("compute:"))
    {
        if is_moving(picture, &port.device_id) {
            continue;
        }
        match picture.servers.get(&port.device_id) {
            None => {
                let what = format!(
                    "it belongs to the server {}, which does not exist",
                    port.device_id
                );
                findings.push(find("port without server", &port.id, what));
            }
            Some(server)
                if !port.host.is_empty()
                    && server.host.as_deref().is_some_and(|host| host != port.host) =>
            {
                let what = format!(
                    "it is bound to {}, and its server {} is on {:?}",
                    port.host, server.id, server.host
                );
                findings.push(find("port on another host", &port.id, what));
            }
            Some(_) => {}
        }
    }
}

fn usage(picture: &Picture, findings: &mut Vec<Finding>) {
    for usage in picture
        .usage
        .iter()
        .filter(|usage| usage.kept != usage.counted)
    {
        let what = format!(
            "{} are counted as used, and there are {}",
            usage.kept, usage.counted
        );
        findings.push(find(
            "quota usage",
            &format!("{} of {}", usage.what, usage.project),
            what,
        ));
    }
}

fn on_host(picture: &Picture, host: &HostPicture, findings: &mut Vec<Finding>) {
    let here = |server: &&Server| server.host.as_ref() == Some(&host.name);
    let servers: BTreeSet<&str> = picture
        .servers
        .values()
        .filter(here)
        .map(|server| server.id.as_str())
        .collect();
    let settled = |id: &str| !is_moving(picture, id);
    for id in host
        .domains
        .iter()
        .filter(|id| !servers.contains(id.as_str()) && settled(id))
    {
        findings.push(find(
            "guest without server",
            id,
            format!("{} runs it or has it defined", host.name),
        ));
    }
    for id in host
        .files
        .iter()
        .filter(|id| !servers.contains(id.as_str()) && settled(id))
    {
        findings.push(find(
            "files without server",
            id,
            format!("{} keeps files of it", host.name),
        ));
    }
    let taps: BTreeSet<String> = picture.ports.iter().map(|port| tap(&port.id)).collect();
    for name in host.taps.iter().filter(|name| !taps.contains(*name)) {
        findings.push(find(
            "tap without port",
            name,
            format!("the device is on {}", host.name),
        ));
    }
    for server in picture.servers.values().filter(here) {
        if server.status == "ACTIVE" && settled(&server.id) && !host.domains.contains(&server.id) {
            let what = format!(
                "it should run on {}, where nothing of it is defined",
                host.name
            );
            findings.push(find("server without guest", &server.id, what));
        }
    }
}

fn tap(port: &str) -> String {
    format!("tap{}", port.chars().take(11).collect::<String>())
}

#[cfg(test)]
mod tests {
    use nephos_types::Timestamp;

    use super::super::picture::{Flavor, Live, Port, Usage};
    use super::*;

    fn server(id: &str, status: &str, host: Option<&str>) -> Server {
        Server {
            id: id.into(),
            status: status.into(),
            host: host.map(Into::into),
            flavor: Flavor { vcpus: 1, ram: 64 },
            ..Server::default()
        }
    }

    fn port(id: &str, server: &str, host: &str) -> Port {
        Port {
            id: id.into(),
            device_id: server.into(),
            device_owner: "compute:nova".into(),
            host: host.into(),
        }
    }

    /// One server in good order on one host.
    fn good() -> Picture {
        let mut picture = Picture::default();
        picture
            .servers
            .insert("s1".into(), server("s1", "ACTIVE", Some("h1")));
        picture.allocations.insert(("s1".into(), "h1".into()));
        picture.ports.push(port("p1", "s1", "h1"));
        picture.usage.push(Usage {
            project: "x".into(),
            what: "cores".into(),
            kept: 1,
            counted: 1,
        });
        picture.host = Some(HostPicture {
            name: "h1".into(),
            domains: ["s1".to_owned()].into(),
            files: ["s1".to_owned()].into(),
            taps: ["tapp1".to_owned()].into(),
        });
        picture
    }

    #[track_caller]
    fn finds(kind: &str, id: &str, spoil: impl FnOnce(&mut Picture)) {
        let mut picture = good();
        spoil(&mut picture);
        let found = check(&picture);
        assert!(
            found
                .iter()
                .any(|finding| finding.kind == kind && finding.id == id),
            "{kind} of {id} not in {found:?}"
        );
        let live = |resource: &str| Live {
            service: "compute",
            id: "o".into(),
            kind: "server.boot".into(),
            resource: resource.into(),
            step: "claim".into(),
            deadline: Timestamp(i64::MAX),
        };
        // What is being worked on is no finding, but for what no operation explains.
        picture.operations.extend(["s1", "s2"].map(live));
        let explained = [
            "quota usage",
            "tap without port",
            "operation past its deadline",
        ];
        let left: Vec<_> = check(&picture)
            .into_iter()
            .filter(|finding| !explained.contains(&finding.kind))
            .collect();
        assert_eq!(left, []);
    }

    #[test]
    fn a_cloud_in_good_order_has_no_findings() {
        assert_eq!(check(&good()), []);
    }

    #[test]
    fn every_corruption_is_found() {
        finds("allocation without server", "s2", |picture| {
            picture.allocations.insert(("s2".into(), "h1".into()));
        });
        finds("allocation on another host", "s1", |picture| {
            picture.allocations.insert(("s1".into(), "h2".into()));
        });
        finds("server without allocation", "s1", |picture| {
            picture.allocations.clear()
        });
        finds("port without server", "p2", |picture| {
            picture.ports.push(port("p2", "s2", ""))
        });
        finds("port on another host", "p1", |picture| {
            picture.ports = vec![port("p1", "s1", "h2")]
        });
        finds("stuck server", "s1", |picture| {
            picture
                .servers
                .insert("s1".into(), server("s1", "BUILD", Some("h1")));
        });
        finds("quota usage", "cores of x", |picture| {
            picture.usage = vec![Usage {
                project: "x".into(),
                what: "cores".into(),
                kept: 2,
                counted: 1,
            }];
        });
        let on_host = |spoil: fn(&mut HostPicture)| {
            move |picture: &mut Picture| spoil(picture.host.as_mut().unwrap())
        };
        finds(
            "guest without server",
            "s2",
            on_host(|host| host.domains.extend(["s2".into()])),
        );
        finds(
            "files without server",
            "s2",
            on_host(|host| host.files.extend(["s2".into()])),
        );
        finds(
            "tap without port",
            "tapp2",
            on_host(|host| host.taps.extend(["tapp2".into()])),
        );
        finds(
            "server without guest",
            "s1",
            on_host(|host| host.domains.clear()),
        );
    }

    #[test]
    fn an_operation_past_its_deadline_is_found() {
        let mut picture = good();
        picture.now = Timestamp(0).plus_secs(1000);
        picture.operations.push(Live {
            service: "compute",
            id: "o1".into(),
            kind: "server.boot".into(),
            resource: "s1".into(),
            step: "claim".into(),
            deadline: Timestamp(0),
        });
        let found = check(&picture);
        assert_eq!(found.len(), 1, "{found:?}");
        assert_eq!(
            (found[0].kind, found[0].id.as_str()),
            ("operation past its deadline", "o1")
        );
    }
}
