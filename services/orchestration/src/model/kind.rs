//! Resource types: what each is called, has and shows. Pure data; how one is made stands in `ops/resource/`.

use serde_json::{Map, Value, json};

use super::kinds::{
    cinder, glance, heat, keystone, neutron, neutron_shared, neutron_trunk, nova, object, octavia,
    signals, software,
};
use super::property::{Prop, Type};

/// A resource type.
#[derive(Debug)]
pub(crate) struct Kind {
    pub name: &'static str,
    pub doc: &'static str,
    pub props: &'static [Prop],
    /// Attributes with what they mean.
    pub attrs: &'static [(&'static str, &'static str)],
    pub how: How,
}

/// How a resource of a type is brought about.
#[derive(Clone, Copy, Debug)]
pub(crate) enum How {
    /// Accepts everything and is nothing.
    Nothing,
    /// Shows its value.
    Value,
    RandomString,
    Test,
    /// Takes its time.
    Delay,
    SoftwareComponent,
    WaitHandle,
    WaitCondition,
    SoftwareConfig,
    CloudConfig,
    MultipartMime,
    Deployment,
    /// A server that is not of this cloud.
    DeployedServer,
    /// One deployment per server, as a nested stack.
    Deployments,
    /// A nested stack whose template is a property.
    Stack,
    ResourceGroup,
    /// Resources of several types with the same properties, as a nested stack.
    Chain,
    AccessPolicy,
    ScalingGroup,
    ScalingPolicy,
    /// A thing of a sibling's collection.
    Rest(&'static Rest),
    SecurityGroup,
    RbacPolicy,
    /// A rule of a QoS policy.
    BandwidthRule,
    Trunk,
    /// A part of a load balancer, or one itself.
    Balancing(&'static Balancing),
    RouterInterface,
    RouterGateway,
    /// Routes that a router has beside those of its interfaces.
    ExtraRoutes,
    FloatingIpAssociation,
    Server,
    KeyPair,
    Flavor,
    Volume,
    VolumeAttachment,
    VolumeType,
    /// How volumes of a type are encrypted.
    VolumeEncryption,
    QosSpecs,
    QosAssociation,
    VolumeQuota,
    /// What a project may have of a sibling's things.
    Quota(&'static Limits),
    ServerGroup,
    HostAggregate,
    WebImage,
    Container,
    /// A thing of the identity service.
    Directory(&'static Directory),
    /// Roles of a user or a group: the property that names it, and the collection that has it.
    RoleAssignment(&'static str, &'static str),
}

/// A collection of a sibling, whose things are made, changed and removed in the usual way.
#[derive(Debug)]
pub(crate) struct Rest {
    pub service: &'static str,
    /// `/v2.0/networks`.
    pub path: &'static str,
    /// `network`.
    pub one: &'static str,
    /// `networks`.
    pub many: &'static str,
    /// Properties that name a thing of another collection: property, field of the body, collection. Without a collection
    /// it is just another name for the field.
    pub names: &'static [(&'static str, &'static str, &'static str)],
    /// Whether it can be changed.
    pub updates: bool,
    /// Whether it has no description, so that it is recognised by its name until its id is noted.
    pub by_name: bool,
}

/// A collection of the load-balancing service.
#[derive(Debug)]
pub(crate) struct Balancing {
    /// `pools`.
    pub many: &'static str,
    /// `pool`.
    pub one: &'static str,
    /// The property that names the thing to which the collection belongs, and that thing's collection.
    pub within: Option<(&'static str, &'static str)>,
    /// Properties that have another name in bodies: property, field, and the collection of the thing that is named, if one
    /// is.
    pub names: &'static [(&'static str, &'static str, &'static str)],
    /// Whether it has a name.
    pub named: bool,
    /// Whether it shows what has become a part of it since it was made.
    pub has_parts: bool,
}

/// A collection of the identity service.
#[derive(Debug)]
pub(crate) struct Directory {
    /// `projects`: its path below `/v3`, and what lists are called.
    pub many: &'static str,
    /// `project`.
    pub one: &'static str,
    /// What its things have besides a name.
    pub fields: &'static [Field],
}

/// A field of a thing, and the property that says it.
#[derive(Debug)]
pub(crate) struct Field {
    pub prop: &'static str,
    pub field: &'static str,
    /// The collection of the thing that is named, if one is.
    pub names: Option<&'static str>,
    /// As JSON, what it is where nothing is said; nothing, if the service knows best.
    usual: Option<&'static str>,
}

impl Field {
    pub const fn plain(name: &'static str) -> Self {
        Self {
            prop: name,
            field: name,
            names: None,
            usual: None,
        }
    }

    pub const fn of(prop: &'static str, field: &'static str, collection: &'static str) -> Self {
        Self {
            prop,
            field,
            names: Some(collection),
            usual: None,
        }
    }

    pub const fn or(self, json: &'static str) -> Self {
        Self {
            usual: Some(json),
            ..self
        }
    }

    pub fn usual(&self) -> Option<Value> {
        self.usual.and_then(|json| serde_json::from_str(json).ok())
    }
}

/// The limits that a quota of block storage may set.
pub(crate) const BLOCK_LIMITS: [&str; 5] = [
    "gigabytes",
    "volumes",
    "backups",
    "backup_gigabytes",
    "snapshots",
];

/// Where a sibling has the quotas of projects.
#[derive(Debug)]
pub(crate) struct Limits {
    pub service: &'static str,
    /// `/v2.0/quotas`, below which is a project's.
    pub path: &'static str,
    /// `quota`.
    pub one: &'static str,
    /// `default`, below a project's; nothing where null brings a default back.
    pub defaults: Option<&'static str>,
}

/// Types of services that are not here.
const AWAY: &[(&str, &str)] = &[
    ("AWS::", "CloudFormation"),
    ("OS::Aodh::", "alarming"),
    ("OS::Barbican::", "key-manager"),
    ("OS::Blazar::", "reservation"),
    ("OS::Congress::", "policy"),
    ("OS::Designate::", "dns"),
    ("OS::Heat::InstanceGroup", "CloudFormation"),
    ("OS::Ironic::", "baremetal"),
    ("OS::Magnum::", "container-infra"),
    ("OS::Manila::", "share"),
    ("OS::Mistral::", "workflow"),
    ("OS::Monasca::", "monitoring"),
    ("OS::Neutron::BGPVPN", "BGP VPN"),
    ("OS::Neutron::Firewall", "firewall"),
    ("OS::Neutron::FlowClassifier", "service chaining"),
    ("OS::Neutron::HealthMonitor", "load-balancer"),
    ("OS::Neutron::IKEPolicy", "VPN"),
    ("OS::Neutron::IPsec", "VPN"),
    ("OS::Neutron::L2Gateway", "layer 2 gateway"),
    ("OS::Neutron::LBaaS", "load-balancer"),
    ("OS::Neutron::LoadBalancer", "load-balancer"),
    ("OS::Neutron::Pool", "load-balancer"),
    ("OS::Neutron::PortChain", "service chaining"),
    ("OS::Neutron::PortPair", "service chaining"),
    ("OS::Neutron::QoS", "network QoS"),
    ("OS::Neutron::TaaS", "tap"),
    ("OS::Neutron::VPNService", "VPN"),
    (
        "OS::Octavia::AvailabilityZone",
        "load balancer availability zone",
    ),
    ("OS::Octavia::Flavor", "load balancer flavor"),
    ("OS::Sahara::", "data-processing"),
    ("OS::Senlin::", "clustering"),
    ("OS::Trove::", "database"),
    ("OS::Vitrage::", "root cause analysis"),
    ("OS::Zaqar::", "messaging"),
    ("OS::Zun::", "container"),
];

/// Attributes that the original has and that are nothing in this cloud.
const NOTHING_HERE: [(&str, &str); 8] = [
    ("OS::Heat::DeployedServer", "os_collect_config"),
    ("OS::Heat::WaitConditionHandle", "token"),
    ("OS::Neutron::Net", "l2_adjacency"),
    ("OS::Neutron::Net", "segments"),
    ("OS::Neutron::Port", "dns_assignment"),
    ("OS::Neutron::Port", "propagate_uplink_status"),
    ("OS::Nova::Server", "console_urls"),
    ("OS::Nova::Server", "os_collect_config"),
];

/// Every type there is, by name.
pub(crate) fn all() -> impl Iterator<Item = &'static Kind> {
    [
        cinder::KINDS,
        glance::KINDS,
        heat::KINDS,
        keystone::KINDS,
        signals::KINDS,
        software::KINDS,
        neutron::KINDS,
        neutron_shared::KINDS,
        neutron_trunk::KINDS,
        nova::KINDS,
        object::KINDS,
        octavia::KINDS,
    ]
    .into_iter()
    .flatten()
}

/// The type of this name.
pub(crate) fn find(name: &str) -> Option<&'static Kind> {
    all().find(|kind| kind.name == name)
}

/// The service that a type would need, when it is one that is not here.
pub(crate) fn service_away(name: &str) -> Option<&'static str> {
    AWAY.iter()
        .find(|(prefix, _)| name.starts_with(prefix))
        .map(|(_, service)| *service)
}

impl Kind {
    /// Whether a resource of this type is a stack of its own.
    pub const fn nested(&self) -> bool {
        matches!(
            self.how,
            How::Stack | How::ResourceGroup | How::Chain | How::ScalingGroup | How::Deployments
        )
    }

    /// Whether what is not well, or made in part only, is brought about again as it is: another one in its place could
    /// not be made beside what is left of it.
    pub const fn mends(&self) -> bool {
        let alone = matches!(
            self.how,
            How::ExtraRoutes | How::Directory(_) | How::RoleAssignment(..)
        );
        self.nested() || alone
    }

    /// Whether a copy of its thing can stay when it goes (`deletion_policy: snapshot`).
    pub const fn leaves_copies(&self) -> bool {
        matches!(self.how, How::Volume | How::Server)
    }

    /// Whether somebody can tell it something.
    pub const fn signalled(&self) -> bool {
        matches!(
            self.how,
            How::WaitHandle | How::Deployment | How::ScalingPolicy
        )
    }

    /// Whether a resource of this type may have an attribute of this name.
    pub fn shows(&self, attribute: &str) -> bool {
        let any = matches!(self.how, How::Nothing | How::Deployment) || self.nested();
        let listed = |attributes: &[(&str, &str)]| {
            let mut attributes = attributes.iter();
            attributes.any(|(name, _)| *name == attribute)
        };
        any || listed(self.attrs)
            || listed(&[SHOW])
            || NOTHING_HERE.contains(&(self.name, attribute))
    }

    /// Whether what is wanted now says that a change of this property replaces the resource.
    pub fn replaces(&self, property: &str, wanted: &Map<String, Value>) -> bool {
        let policy = wanted.get(&format!("{property}_update_policy"));
        let server = matches!(self.how, How::Server);
        // Without any a server keeps what networks it has: there is no way back to those of the beginning.
        let no_networks = || !wanted.get("networks").is_some_and(Value::is_array);
        policy.and_then(Value::as_str) == Some("REPLACE")
            || (server && property == "networks" && no_networks())
            || (server && property == "image" && !wanted.get("image").is_some_and(Value::is_string))
    }

    /// Whether sibling services are asked for it.
    pub const fn outside(&self) -> bool {
        matches!(
            self.how,
            How::Rest(_)
                | How::SecurityGroup
                | How::RbacPolicy
                | How::BandwidthRule
                | How::Trunk
                | How::Balancing(_)
                | How::RouterInterface
                | How::RouterGateway
                | How::ExtraRoutes
                | How::FloatingIpAssociation
                | How::Server
                | How::KeyPair
                | How::Flavor
                | How::Volume
                | How::VolumeAttachment
                | How::VolumeType
                | How::VolumeEncryption
                | How::QosSpecs
                | How::QosAssociation
                | How::VolumeQuota
                | How::Quota(_)
                | How::ServerGroup
                | How::HostAggregate
                | How::WebImage
                | How::Container
                | How::Directory(_)
                | How::RoleAssignment(..)
        )
    }

    /// As the API shows the type.
    pub fn described(&self) -> Value {
        let props: Map<String, Value> = self
            .props
            .iter()
            .map(|prop| (prop.name.to_owned(), prop.described()))
            .collect();
        let attrs: Map<String, Value> = self
            .attrs
            .iter()
            .chain(&[SHOW])
            .map(|(name, doc)| ((*name).to_owned(), json!({"description": doc})))
            .collect();
        json!({
            "resource_type": self.name, "properties": props, "attributes": attrs,
            "support_status": {"status": "SUPPORTED", "message": null, "version": null, "previous_status": null},
            "description": self.doc,
        })
    }

    /// A template that has one resource of this type and a parameter for each of its properties.
    pub fn template(&self) -> Value {
        let short = self.name.rsplit("::").next().unwrap_or(self.name);
        let mut parameters = Map::new();
        let mut properties = Map::new();
        for prop in self.props {
            let kind = match prop.kind {
                Type::Text | Type::Any => "string",
                Type::Number | Type::Integer => "number",
                Type::Boolean => "boolean",
                Type::List => "comma_delimited_list",
                Type::Map => "json",
            };
            let mut parameter = json!({"type": kind, "description": prop.doc});
            if let (Some(map), Some(default)) = (parameter.as_object_mut(), prop.default_value()) {
                map.insert("default".to_owned(), default);
            }
            parameters.insert(prop.name.to_owned(), parameter);
            properties.insert(prop.name.to_owned(), json!({"get_param": prop.name}));
        }
        let outputs: Map<String, Value> = self
            .attrs
            .iter()
            .chain(&[SHOW])
            .map(|(name, doc)| {
                (
                    (*name).to_owned(),
                    json!({"description": doc, "value": {"get_attr": [short, name]}}),
                )
            })
            .collect();
        json!({
            "heat_template_version": "2016-10-14",
            "description": format!("Initial template of {short}"),
            "parameters": parameters,
            "resources": {short: {"type": self.name, "properties": properties}},
            "outputs": outputs,
        })
    }
}

impl Kind {
    /// The same in the words of CloudFormation; as a stack's template it is not taken here.
    pub fn cfn_template(&self) -> Value {
        let short = self.name.rsplit("::").next().unwrap_or(self.name);
        let mut parameters = Map::new();
        let mut properties = Map::new();
        for prop in self.props {
            let kind = match prop.kind {
                Type::Text | Type::Any => "String",
                Type::Number | Type::Integer => "Number",
                Type::Boolean => "Boolean",
                Type::List => "CommaDelimitedList",
                Type::Map => "Json",
            };
            let mut parameter = json!({"Type": kind, "Description": prop.doc});
            if let (Some(map), Some(default)) = (parameter.as_object_mut(), prop.default_value()) {
                map.insert("Default".to_owned(), default);
            }
            parameters.insert(prop.name.to_owned(), parameter);
            properties.insert(prop.name.to_owned(), json!({"Ref": prop.name}));
        }
        let output = |(name, doc): &(&str, &str)| {
            let value = json!({"Fn::GetAtt": [short, name]});
            let output = json!({"Description": doc, "Value": value});
            ((*name).to_owned(), output)
        };
        let outputs: Map<String, Value> = self.attrs.iter().chain(&[SHOW]).map(output).collect();
        json!({
            "HeatTemplateFormatVersion": "2012-12-12",
            "Description": format!("Initial template of {short}"),
            "Parameters": parameters,
            "Resources": {short: {"Type": self.name, "Properties": properties}},
            "Outputs": outputs,
        })
    }
}

/// Every type has it.
const SHOW: (&str, &str) = ("show", "Detailed information about resource.");

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_are_unique_and_defaults_are_json() {
        let mut names: Vec<&str> = all().map(|kind| kind.name).collect();
        let count = names.len();
        names.sort_unstable();
        names.dedup();
        assert_eq!(names.len(), count);
        for kind in all() {
            for prop in kind.props {
                let wrong = prop.default.is_some() && prop.default_value().is_none();
                assert!(!wrong, "{} {}", kind.name, prop.name);
            }
        }
    }

    #[test]
    fn a_type_shows_itself() {
        let test = find("OS::Heat::TestResource").unwrap();
        assert_eq!(test.described()["properties"]["wait_secs"]["default"], 0);
        assert_eq!(
            test.template()["resources"]["TestResource"]["type"],
            "OS::Heat::TestResource"
        );
        let cfn = test.cfn_template();
        assert_eq!(cfn["Parameters"]["fail"]["Type"], "Boolean");
        assert_eq!(
            cfn["Outputs"]["output"]["Value"],
            json!({"Fn::GetAtt": ["TestResource", "output"]})
        );
        assert!(test.shows("output") && test.shows("show") && !test.shows("colour"));
        assert!(find("OS::Heat::ResourceGroup").unwrap().shows("colour"));
        assert_eq!(service_away("OS::Barbican::Order"), Some("key-manager"));
        assert_eq!(service_away("OS::Neutron::TaaS"), Some("tap"));
        let flavors = service_away("OS::Octavia::FlavorProfile");
        assert_eq!(flavors, Some("load balancer flavor"));
        for here in [
            "OS::Nova::Server",
            "OS::Neutron::Port",
            "OS::Swift::Container",
            "OS::Octavia::Pool",
        ] {
            assert_eq!(service_away(here), None);
        }
    }
}
