//! Which parts of which services a process runs.

use std::collections::BTreeMap;
use std::fmt;

use super::{Offer, SERVICES};

/// A part of a service that can run by itself.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Role {
    /// Answers calls.
    Api,
    /// Does the work behind them.
    Worker,
    /// Runs on a host.
    Agent,
}

impl Role {
    const ALL: [Self; 3] = [Self::Api, Self::Worker, Self::Agent];

    /// `api`.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Api => "api",
            Self::Worker => "worker",
            Self::Agent => "agent",
        }
    }
}

/// Parts of services, by service.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Parts(BTreeMap<&'static str, Vec<Role>>);

impl Parts {
    /// Everything.
    #[must_use]
    pub fn all() -> Self {
        let all = SERVICES.iter();
        Self(
            all.map(|offer| (offer.name, offer.roles.to_vec()))
                .collect(),
        )
    }

    /// All calls and no work: for whoever only looks, or makes tables.
    #[must_use]
    pub fn apis() -> Self {
        let all = SERVICES.iter();
        Self(all.map(|offer| (offer.name, vec![Role::Api])).collect())
    }

    /// What `compute`, `compute/api` and the like name; a service alone means what of it does not belong on a host, and
    /// `agents` is every agent.
    ///
    /// # Errors
    /// Which name is none, and which there are.
    pub fn parse(names: &[String]) -> anyhow::Result<Self> {
        let mut parts = Self::default();
        for name in names {
            if name == "agents" {
                for offer in SERVICES.iter().filter(|offer| has(offer, Role::Agent)) {
                    parts.add(offer.name, Role::Agent);
                }
                continue;
            }
            let (offer, role) = split(name).ok_or_else(|| unknown(name))?;
            let of_role = |wanted: &str| {
                let mut all = Role::ALL.into_iter();
                all.find(|role| role.as_str() == wanted && has(offer, *role))
            };
            match role {
                Some(role) => {
                    parts.add(offer.name, of_role(role).ok_or_else(|| unknown(name))?);
                }
                None => {
                    let at_home = offer.roles.iter().filter(|role| **role != Role::Agent);
                    at_home.for_each(|role| parts.add(offer.name, *role));
                }
            }
        }
        Ok(parts)
    }

    /// Whether this part is among them.
    #[must_use]
    pub fn has(&self, service: &str, role: Role) -> bool {
        let roles = self.0.get(service);
        roles.is_some_and(|roles| roles.contains(&role))
    }

    /// Whether any part that needs the service's database is among them.
    #[must_use]
    pub fn builds(&self, service: &str) -> bool {
        self.has(service, Role::Api) || self.has(service, Role::Worker)
    }

    /// Whether any service has this role here.
    #[must_use]
    pub fn any(&self, role: Role) -> bool {
        self.0.values().any(|roles| roles.contains(&role))
    }

    fn add(&mut self, service: &'static str, role: Role) {
        let roles = self.0.entry(service).or_default();
        if !roles.contains(&role) {
            roles.push(role);
        }
    }
}

impl fmt::Display for Parts {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let each = |(service, roles): (&&str, &Vec<Role>)| {
            let one = |role: &Role| format!("{service}/{}", role.as_str());
            roles.iter().map(one).collect::<Vec<_>>()
        };
        let all: Vec<String> = self.0.iter().flat_map(each).collect();
        f.write_str(&all.join(" "))
    }
}

/// The service that is named, and the role behind it. systemd writes a dash in the name of a unit as a slash, and that is taken
/// in the name of a service too.
fn split(name: &str) -> Option<(&'static Offer, Option<&str>)> {
    SERVICES.iter().find_map(|offer| {
        let as_path = offer.name.replace('-', "/");
        let own = name.strip_prefix(offer.name);
        let rest = own.or_else(|| name.strip_prefix(as_path.as_str()))?;
        match rest.strip_prefix('/') {
            Some(role) => Some((offer, Some(role))),
            None => rest.is_empty().then_some((offer, None)),
        }
    })
}

fn has(offer: &Offer, role: Role) -> bool {
    offer.roles.contains(&role)
}

fn unknown(name: &str) -> anyhow::Error {
    let of = |offer: &Offer| {
        let roles = offer.roles.iter();
        let roles: Vec<_> = roles
            .map(|role| format!("{}/{}", offer.name, role.as_str()))
            .collect();
        format!("{} ({})", offer.name, roles.join(", "))
    };
    let known: Vec<_> = SERVICES.iter().map(of).collect();
    anyhow::anyhow!(
        "there is no {name:?} to run; there are agents, {}",
        known.join(", ")
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    fn parse(text: &str) -> String {
        let names: Vec<String> = text.split_whitespace().map(str::to_owned).collect();
        Parts::parse(&names).map_or_else(|why| why.to_string(), |parts| parts.to_string())
    }

    #[test]
    fn parts_are_named_by_service_and_role() {
        assert_eq!(parse("compute"), "compute/api compute/worker");
        assert_eq!(
            parse("network/worker compute/api compute/api"),
            "compute/api network/worker"
        );
        assert_eq!(
            parse("agents"),
            "compute/agent load-balancer/agent network/agent"
        );
        for name in ["load-balancer/api", "load/balancer/api"] {
            assert_eq!(parse(name), "load-balancer/api");
        }
        let whole = parse("load-balancer");
        assert_eq!(
            (parse("load/balancer"), parse("block/")),
            (whole, unknown("block/").to_string())
        );
        assert!(parse("nova").contains("there is no \"nova\" to run; there are agents, identity"));
        assert!(parse("placement/agent").contains("placement/agent"));
    }
}
