//! Where a server goes: filters that say why, weighers that prefer.
//!
//! Placement has already said which hosts have room; what is left is a matter of this service: hosts that are up and
//! enabled, the zone, hosts that were tried. Every host that falls out is counted under the constraint that removed it,
//! so that a refusal can name its cause and what would help.

use std::collections::BTreeMap;

use super::server_group::Members;
use super::spec::HostInventory;

/// A host as the scheduler sees it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Host {
    /// Its name.
    pub name: String,
    /// Its resource provider.
    pub provider: String,
    /// Its zone.
    pub zone: String,
    /// An admin took it out of service.
    pub disabled: bool,
    /// It has reported lately.
    pub up: bool,
    /// Whether placement offers it for this server.
    pub has_room: bool,
    /// Free memory in MiB, for weighing.
    pub ram_free_mib: u64,
}

/// Whether a running guest of one host can go on on another.
///
/// # Errors
/// Why not, in a sentence.
pub fn fits_alive(from: &HostInventory, to: &HostInventory) -> Result<(), String> {
    for host in [from, to] {
        if !host.moves_running {
            return Err(format!(
                "The hypervisor of host {} cannot move running guests.",
                host.host
            ));
        }
    }
    let (here, there) = (&from.virt_type, &to.virt_type);
    if here != there || from.cpu.arch != to.cpu.arch {
        return Err(format!(
            "Guests of host {} run by {here} on {}, and those of host {} by {there} on {}.",
            from.host, from.cpu.arch, to.host, to.cpu.arch
        ));
    }
    if to.hypervisor_version < from.hypervisor_version {
        return Err(format!(
            "The hypervisor of host {} is older than that of host {}.",
            to.host, from.host
        ));
    }
    // Translated guests see a processor that is QEMU's own.
    if here != "kvm" {
        return Ok(());
    }
    if from.cpu.vendor != to.cpu.vendor {
        return Err(format!(
            "The processor of host {} is of {}, and that of host {} of {}.",
            from.host, from.cpu.vendor, to.host, to.cpu.vendor
        ));
    }
    let lacks = |feature: &&String| !to.cpu.features.contains(feature);
    let lacking: Vec<&str> = from
        .cpu
        .features
        .iter()
        .filter(lacks)
        .map(String::as_str)
        .collect();
    if lacking.is_empty() {
        return Ok(());
    }
    Err(format!(
        "Unacceptable CPU info: the processor of host {} lacks what that of host {} has: {}.",
        to.host,
        from.host,
        lacking.join(", ")
    ))
}

/// What a server wants besides room.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Wish {
    /// Only this zone.
    pub zone: Option<String>,
    /// Only this host; an admin may ask.
    pub host: Option<String>,
    /// Not these: they were tried.
    pub excluded: Vec<String>,
    /// What room means, for people: `1 VCPU, 128 MEMORY_MB, 1 DISK_GB`.
    pub room: String,
    /// The group it is in.
    pub group: Option<Members>,
    /// Chooses among hosts that are about as good, so that servers made at the same time do not all want the same one.
    pub spread: usize,
}

/// Why no host fits: constraint by constraint in the order they were tried.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Explanation {
    /// All hosts there are.
    pub hosts: usize,
    /// Constraint → hosts it removed.
    pub removed: Vec<(&'static str, String, Vec<String>)>,
    /// What placement says of room.
    pub room: Room,
}

/// What hosts lack, in words that follow a number of hosts: `2 of 3`.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Room {
    /// Hosts that placement knows.
    pub hosts: usize,
    /// So many lack this.
    pub lacks: Vec<(usize, String)>,
    /// Which: `one: cannot give 64 VCPU`. For admins.
    pub names: Vec<String>,
}

const NO_ROOM: &str = "has no room";

type Filter = fn(&Host, &Wish) -> bool;

/// The constraints, cheapest to understand first; each with words and advice.
const FILTERS: &[(&str, &str, Filter)] = &[
    ("is disabled", "An operator can enable hosts.", |host, _| {
        !host.disabled
    }),
    (
        "does not report",
        "An operator should look at its agent.",
        |host, _| host.up,
    ),
    (
        "is in another availability zone",
        "Leave the zone out, or choose another.",
        |host, wish| wish.zone.as_ref().is_none_or(|zone| *zone == host.zone),
    ),
    (
        "is not the host asked for",
        "Leave the host out.",
        |host, wish| wish.host.as_ref().is_none_or(|name| *name == host.name),
    ),
    (
        "was tried and failed",
        "The log of its agent says why.",
        |host, wish| !wish.excluded.contains(&host.name),
    ),
    (
        "may take no more servers of the group, or has none of them",
        "Another server group, or none, may fit.",
        |host, wish| {
            wish.group
                .as_ref()
                .is_none_or(|group| group.allow(&host.name))
        },
    ),
    (
        NO_ROOM,
        "Delete servers that are not needed; where something is left, a smaller flavor may fit.",
        |host, _| host.has_room,
    ),
];

/// The host to try, or why there is none.
///
/// # Errors
/// How many hosts each constraint removed.
pub fn choose(hosts: &[Host], wish: &Wish) -> Result<Host, Explanation> {
    let mut left: Vec<&Host> = hosts.iter().collect();
    let mut explanation = Explanation {
        hosts: hosts.len(),
        ..Explanation::default()
    };
    for (what, advice, keeps) in FILTERS {
        let (stay, gone): (Vec<_>, Vec<_>) = left.into_iter().partition(|host| keeps(host, wish));
        if !gone.is_empty() {
            let names = gone.into_iter().map(|host| host.name.clone()).collect();
            explanation
                .removed
                .push((what, (*advice).to_owned(), names));
        }
        left = stay;
    }
    // What a soft policy prefers comes before all else.
    if let Some(group) = &wish.group {
        let penalty = |host: &&Host| group.penalty(&host.name);
        let least = left.iter().map(penalty).min().unwrap_or(0);
        left.retain(|host| penalty(host) == least);
    }
    // Most free memory first (Nova's RAMWeigher spreads by default), within a tenth; by name, so that the same world
    // gives the same answer.
    let most = left.iter().map(|host| host.ram_free_mib).max().unwrap_or(0);
    left.retain(|host| host.ram_free_mib >= most - most / 10);
    left.sort_by(|a, b| a.name.cmp(&b.name));
    let chosen = wish
        .spread
        .checked_rem(left.len())
        .and_then(|at| left.get(at));
    chosen.map(|host| (*host).clone()).ok_or(explanation)
}

impl Explanation {
    /// For the server's owner: numbers and advice, no host names.
    #[must_use]
    pub fn message(&self, wish: &Wish) -> String {
        if self.hosts == 0 {
            return "No valid host was found. No host has joined this cloud yet.".to_owned();
        }
        let parts: Vec<String> = self
            .removed
            .iter()
            .map(|(what, advice, hosts)| {
                let why = if *what == NO_ROOM {
                    self.lacks()
                } else {
                    String::new()
                };
                format!("{} of {} {what}{why}. {advice}", hosts.len(), self.hosts)
            })
            .collect();
        let room = if wish.room.is_empty() {
            String::new()
        } else {
            format!(" for {}", wish.room)
        };
        format!("No valid host was found{room}. {}", parts.join(" "))
    }

    /// `: 2 of 3 cannot give 64 VCPU (the most that one can give now is 16)`.
    fn lacks(&self) -> String {
        let of = self.room.hosts;
        let lacks = self.room.lacks.iter();
        let lacks: Vec<String> = lacks
            .map(|(hosts, what)| format!("{hosts} of {of} {what}"))
            .collect();
        if lacks.is_empty() {
            String::new()
        } else {
            format!(": {}", lacks.join(", "))
        }
    }

    /// For admins: the names too.
    #[must_use]
    pub fn details(&self) -> String {
        let by: BTreeMap<&str, &Vec<String>> = self
            .removed
            .iter()
            .map(|(what, _, hosts)| (*what, hosts))
            .collect();
        let by = by
            .iter()
            .map(|(what, hosts)| format!("{}: {what}", hosts.join(", ")));
        by.chain(self.room.names.iter().cloned())
            .collect::<Vec<_>>()
            .join("; ")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn host(name: &str) -> Host {
        Host {
            name: name.to_owned(),
            provider: format!("p-{name}"),
            zone: "nova".to_owned(),
            disabled: false,
            up: true,
            has_room: true,
            ram_free_mib: 100,
        }
    }

    #[test]
    fn the_emptiest_host_that_passes_wins() {
        let mut hosts = [host("a"), host("b"), host("c")];
        hosts[1].ram_free_mib = 200;
        assert_eq!(choose(&hosts, &Wish::default()).unwrap().name, "b");
        hosts[1].up = false;
        assert_eq!(choose(&hosts, &Wish::default()).unwrap().name, "a");
        let second = Wish {
            spread: 3,
            ..Wish::default()
        };
        assert_eq!(choose(&hosts, &second).unwrap().name, "c");
    }

    #[test]
    fn a_refusal_counts_by_constraint_and_names_hosts_only_to_admins() {
        let mut hosts = [host("a"), host("b"), host("c")];
        hosts[0].disabled = true;
        hosts[1].zone = "other".to_owned();
        hosts[2].has_room = false;
        let wish = Wish {
            zone: Some("nova".into()),
            room: "64 VCPU".into(),
            ..Wish::default()
        };
        let why = choose(&hosts, &wish).unwrap_err();
        let message = why.message(&wish);
        assert!(message.contains("for 64 VCPU"), "{message}");
        assert!(message.contains("1 of 3 is disabled"), "{message}");
        assert!(
            message.contains("1 of 3 has no room. Delete servers"),
            "{message}"
        );
        assert!(why.details().contains("b: is in another availability zone"));
        assert!(
            choose(&[], &wish)
                .unwrap_err()
                .message(&wish)
                .contains("No host has joined")
        );
    }
}
