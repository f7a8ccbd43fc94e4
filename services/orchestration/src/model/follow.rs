//! What a resource comes after though its template does not say so, because of what services do on their own: a port
//! gets its address from whatever subnets its network has by then, a floating IP needs a way to its port.
//!
//! The rules are those of the original (`add_dependencies` of its resource types). They stand on what the template
//! says, never on what is there already, so that they are the same before and after. None is made where the other
//! resource needs this one: then the template knows better.

use std::collections::{BTreeMap, BTreeSet};

use serde_json::{Value, json};

use super::environment::Mapped;
use super::function::{Depth, Trouble, World, evaluate};
use super::graph::Needs;
use super::scene::Scene;
use super::template::Definition;
use super::version::Version;

const SUBNET: &str = "OS::Neutron::Subnet";
const PORT: &str = "OS::Neutron::Port";
const ROUTER: &str = "OS::Neutron::Router";
const INTERFACE: &str = "OS::Neutron::RouterInterface";
const GATEWAY: &str = "OS::Neutron::RouterGateway";
const FLOATING: &str = "OS::Neutron::FloatingIP";
const ASSOCIATION: &str = "OS::Neutron::FloatingIPAssociation";
const SERVER: &str = "OS::Nova::Server";
const ROUTE: &str = "OS::Neutron::ExtraRoute";
const ROUTES: &str = "OS::Neutron::ExtraRouteSet";

/// Adds to what resources need those that they come after.
pub(super) fn follow(scene: &Scene, enabled: &[&Definition], needs: &mut Needs) {
    let things: Vec<Thing<'_>> = enabled
        .iter()
        .filter_map(|definition| Thing::of(scene, definition))
        .collect();
    let mut more: Vec<(&str, &str)> = Vec::new();
    for one in &things {
        let direct = needs.get(one.name());
        let direct: Vec<&Thing<'_>> = things
            .iter()
            .filter(|other| direct.is_some_and(|direct| direct.contains(other.name())))
            .collect();
        let after: Vec<&str> = things
            .iter()
            .filter(|other| other.name() != one.name() && one.comes_after(other, &direct, &things))
            .map(Thing::name)
            .collect();
        if !after.is_empty() {
            let waiting = those_that_need(needs, one.name());
            let after = after.into_iter().filter(|name| !waiting.contains(name));
            more.extend(after.map(|other| (one.name(), other)));
        }
    }
    for (name, other) in more {
        if let Some(own) = needs.get_mut(name) {
            own.insert(other.to_owned());
        }
    }
}

/// The resources that need this one, directly or through others.
fn those_that_need<'a>(needs: &'a Needs, name: &'a str) -> BTreeSet<&'a str> {
    let mut needed_by: BTreeMap<&str, Vec<&str>> = BTreeMap::new();
    for (one, own) in needs {
        for other in own {
            needed_by.entry(other).or_default().push(one);
        }
    }
    let mut found = BTreeSet::new();
    let mut open = vec![name];
    while let Some(here) = open.pop() {
        for next in needed_by.get(here).into_iter().flatten() {
            if found.insert(*next) {
                open.push(next);
            }
        }
    }
    found
}

/// A resource of a type that comes after others, or that others come after.
struct Thing<'a> {
    definition: &'a Definition,
    kind: &'static str,
    /// What it is in, or belongs to: a network, a router, a subnet. Nothing when that is not known yet.
    network: Option<Value>,
    router: Option<Value>,
    subnet: Option<Value>,
    /// The networks of a server; the addresses of a port.
    list: Vec<Value>,
}

impl<'a> Thing<'a> {
    fn of(scene: &Scene, definition: &'a Definition) -> Option<Self> {
        let mapped = scene
            .environment
            .resolve(&definition.kind, &definition.name);
        // What stands for a type is in its place, too: a file that is mapped onto a subnet.
        let is = |kind: &str| {
            definition.kind == kind || matches!(&mapped, Mapped::Kind(name) if name == kind)
        };
        let kinds = [
            SUBNET,
            PORT,
            ROUTER,
            INTERFACE,
            GATEWAY,
            FLOATING,
            ASSOCIATION,
            SERVER,
            ROUTE,
            ROUTES,
        ];
        let kind = kinds.into_iter().find(|kind| is(kind))?;
        let one = |name: &str| {
            let value = definition.properties.get(name)?;
            let value = evaluate(&Said(scene), value).ok()?;
            Some(value).filter(|value| !empty(value))
        };
        let either = |name: &str| one(name).or_else(|| one(&format!("{name}_id")));
        let network = match kind {
            ROUTER => one("external_gateway_info").and_then(|info| part(&info, "network")),
            FLOATING => either("floating_network"),
            _other => either("network"),
        };
        let list = match kind {
            SERVER => one("networks"),
            PORT => one("fixed_ips"),
            _other => None,
        };
        Some(Self {
            definition,
            kind,
            network,
            router: either("router"),
            subnet: either("subnet"),
            list: list
                .and_then(|list| list.as_array().cloned())
                .unwrap_or_default(),
        })
    }

    fn name(&self) -> &'a str {
        &self.definition.name
    }

    /// `direct` are the things that it needs, `all` those of the template.
    fn comes_after(&self, other: &Self, direct: &[&Self], all: &[Self]) -> bool {
        let same_network = || self.network.is_some() && self.network == other.network;
        match (self.kind, other.kind) {
            (PORT | ROUTER | GATEWAY, SUBNET) | (FLOATING, GATEWAY | ROUTER) => same_network(),
            (GATEWAY | ROUTE | ROUTES, INTERFACE) | (ROUTE, GATEWAY) => {
                self.router.is_some() && self.router == other.router
            }
            (SERVER, SUBNET) => self.may_be_in(other),
            (SERVER, INTERFACE) => self.floats_over(other),
            (FLOATING | ASSOCIATION, INTERFACE) => {
                direct.iter().any(|port| port.behind(other, all))
            }
            _else => false,
        }
    }

    /// Whether a server may get an address of a subnet: whatever is not known yet may be.
    fn may_be_in(&self, subnet: &Self) -> bool {
        let mut nics = self.list.iter();
        let network = |nic: &Value| part(nic, "network").or_else(|| part(nic, "uuid"));
        nics.any(|nic| match (network(nic), &subnet.network) {
            (Some(mine), Some(network)) => mine == *network,
            _not_known => true,
        })
    }

    /// Whether the way from a floating IP of this server to its nic leads over a router's interface, as far as known.
    fn floats_over(&self, interface: &Self) -> bool {
        let mut floating = self
            .list
            .iter()
            .filter(|nic| part(nic, "floating_ip").is_some());
        floating.any(|nic| match (part(nic, "subnet"), &interface.subnet) {
            (Some(mine), Some(subnet)) => mine == *subnet,
            _not_known => true,
        })
    }

    /// Whether the way to this port, or to a port of this server, leads over a router's interface, as far as known.
    fn behind(&self, interface: &Self, all: &[Self]) -> bool {
        if self.kind == SERVER {
            return true;
        }
        let Some(subnet) = interface.subnet.as_ref() else {
            return self.kind == PORT;
        };
        let own = self
            .list
            .iter()
            .map(|ip| part(ip, "subnet").or_else(|| part(ip, "subnet_id")));
        let own: Vec<Value> = own.flatten().collect();
        if !own.is_empty() {
            return own.contains(subnet);
        }
        let named = |thing: &&Self| thing.kind == SUBNET && refers(subnet, thing.name());
        let network = all.iter().find(named).map(|found| &found.network);
        self.kind == PORT && network.is_none_or(|network| *network == self.network)
    }
}

fn empty(value: &Value) -> bool {
    value.is_null() || value.as_str() == Some("")
}

fn part(value: &Value, name: &str) -> Option<Value> {
    value.get(name).filter(|value| !empty(value)).cloned()
}

fn refers(value: &Value, name: &str) -> bool {
    let named = |function: &str| value.get(function).and_then(Value::as_str) == Some(name);
    named("get_resource") || named("Ref")
}

/// A template as it stands: a resource is a reference to it, an attribute is not known.
struct Said<'a>(&'a Scene);

impl World for Said<'_> {
    fn version(&self) -> Version {
        self.0.version()
    }
    fn spend(&self, work: usize) -> Result<(), Trouble> {
        self.0.spend(work)
    }
    fn depth(&self) -> &Depth {
        self.0.depth()
    }
    fn parameter(&self, name: &str) -> Result<Value, Trouble> {
        self.0.parameter(name)
    }
    fn has_resource(&self, name: &str) -> bool {
        self.0.has_resource(name)
    }
    fn resource(&self, name: &str) -> Result<Value, Trouble> {
        Ok(json!({ "get_resource": name }))
    }
    fn attribute(&self, _: &str, _: Option<&str>, _: &[Value]) -> Result<Value, Trouble> {
        Ok(Value::Null)
    }
    fn file(&self, name: &str) -> Result<Value, Trouble> {
        self.0.file(name)
    }
    fn condition(&self, name: &str) -> Result<bool, Trouble> {
        self.0.condition(name)
    }
    fn facade(&self, what: &str) -> Result<Value, Trouble> {
        self.0.facade(what)
    }
    fn zones(&self) -> Result<Value, Trouble> {
        self.0.zones()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::model::environment::Environment;
    use crate::model::graph::{needs, order};
    use crate::model::scene::Names;
    use crate::model::template::Template;

    fn all(resources: Value) -> Needs {
        let template = json!({"heat_template_version": "2018-08-31", "resources": resources});
        let scene = Scene::new(
            Template::parse(template).unwrap(),
            Environment::default(),
            BTreeMap::new(),
            Names::default(),
            false,
        );
        let needs = needs(&scene.unwrap()).unwrap();
        order(&needs).unwrap();
        needs
    }

    fn thing(kind: &str, properties: Value) -> Value {
        json!({"type": kind, "properties": properties})
    }

    fn of(name: &str) -> Value {
        json!({ "get_resource": name })
    }

    #[track_caller]
    fn check(needs: &Needs, name: &str, expected: &[&str]) {
        let found: Vec<&str> = needs[name].iter().map(String::as_str).collect();
        assert_eq!(found, expected, "{name}");
    }

    #[test]
    fn what_gets_an_address_comes_after_the_subnets_of_its_network() {
        let needs = all(json!({
            "net": thing("OS::Neutron::Net", json!({})),
            "other": thing("OS::Neutron::Net", json!({})),
            "a": thing(SUBNET, json!({"network": of("net"), "cidr": "10.0.0.0/24"})),
            "b": thing(SUBNET, json!({"network_id": of("net"), "cidr": "10.0.1.0/24"})),
            "c": thing(SUBNET, json!({"network": of("other"), "cidr": "10.0.2.0/24"})),
            "port": thing(PORT, json!({"network_id": of("net")})),
            "server": thing(SERVER, json!({"networks": [{"network": of("net")}]})),
            "ported": thing(SERVER, json!({"networks": [{"port": of("port")}]})),
            "plain": thing(SERVER, json!({})),
            "router": thing(ROUTER, json!({"external_gateway_info": {"network": of("other")}})),
        }));
        check(&needs, "port", &["a", "b", "net"]);
        check(&needs, "server", &["a", "b", "net"]);
        check(&needs, "ported", &["a", "b", "c", "port"]);
        check(&needs, "plain", &[]);
        check(&needs, "router", &["c", "other"]);
    }

    #[test]
    fn a_floating_ip_comes_after_the_way_to_its_port() {
        let needs = all(json!({
            "net": thing("OS::Neutron::Net", json!({})),
            "sub": thing(SUBNET, json!({"network": of("net"), "cidr": "10.0.0.0/24"})),
            "far": thing(SUBNET, json!({"network": "far", "cidr": "10.0.1.0/24"})),
            "r": thing(ROUTER, json!({"external_gateway_info": {"network": "public"}})),
            "r2": thing(ROUTER, json!({})),
            "in": thing(INTERFACE, json!({"router_id": of("r"), "subnet_id": of("sub")})),
            "in2": thing(INTERFACE, json!({"router": of("r2"), "subnet": of("far")})),
            "gate": thing(GATEWAY, json!({"router_id": of("r2"), "network_id": "public"})),
            "port": thing(PORT, json!({"network": of("net")})),
            "fixed": thing(PORT, json!({"network": "far", "fixed_ips": [{"subnet": of("far")}]})),
            "ip": thing(FLOATING, json!({"floating_network_id": "public", "port_id": of("port")})),
            "lone": thing(FLOATING, json!({"floating_network": "public"})),
            "bond": thing(ASSOCIATION, json!({"floatingip_id": of("lone"), "port_id": of("fixed")})),
        }));
        check(&needs, "ip", &["gate", "in", "port", "r"]);
        check(&needs, "lone", &["gate", "r"]);
        check(&needs, "bond", &["fixed", "in2", "lone"]);
        check(&needs, "gate", &["in2", "r2"]);
    }

    #[test]
    fn who_is_needed_does_not_come_after() {
        let needs = all(json!({
            "server": thing(SERVER, json!({"networks": [{"port": "p"}]})),
            "sub": {"type": SUBNET, "depends_on": "server", "properties": {"network": "n", "cidr": "10.0.0.0/24"}},
        }));
        check(&needs, "server", &[]);
        check(&needs, "sub", &["server"]);
    }
}
