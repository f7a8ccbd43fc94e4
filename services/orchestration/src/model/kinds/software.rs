//! Software configurations, their parts, and their deployment to servers.

use super::signals::TRANSPORTS;
use crate::model::kind::{How, Kind};
use crate::model::property::{Prop, Rule, any, boolean, list, map, text};

const INPUT: &[Prop] = &[
    text("name", "Name of the input.").required(),
    text("description", "Description of the input."),
    text("type", "Type of the value of the input.")
        .default("\"String\"")
        .rule(Rule::Allowed(&[
            "String",
            "Number",
            "CommaDelimitedList",
            "Json",
            "Boolean",
        ])),
    any(
        "default",
        "Default value for the input if none is specified.",
    ),
    boolean(
        "replace_on_change",
        "Replace the deployment instead of updating it when the input value changes.",
    )
    .default("false"),
];
const OUTPUT: &[Prop] = &[
    text("name", "Name of the output.").required(),
    text("description", "Description of the output."),
    text("type", "Type of the value of the output.")
        .default("\"String\"")
        .rule(Rule::Allowed(&[
            "String",
            "Number",
            "CommaDelimitedList",
            "Json",
            "Boolean",
        ])),
    boolean(
        "error_output",
        "Denotes that the deployment is in an error state if this output has a value.",
    )
    .default("false"),
];

const CONFIG: &[Prop] = &[
    text("group", "Namespace to group this software config by when delivered to a server. This may imply what configuration tool is going to perform the configuration.").default("\"Heat::Ungrouped\""),
    text("config", "Configuration script or manifest which specifies what actual configuration is performed."),
    map("options", "Map containing options specific to the configuration management tool used by this resource."),
    list("inputs", "Schema representing the inputs that this software config is expecting.").of(INPUT),
    list("outputs", "Schema representing the outputs that this software config will produce.").of(OUTPUT),
];
const COMPONENT: &[Prop] = &[
    list("configs", "The list of configurations for the different lifecycle actions of the represented software component.").required().of(&[
        list("actions", "Lifecycle actions to which the configuration applies.").default("[\"CREATE\", \"UPDATE\"]"),
        text("config", "Configuration script or manifest which specifies what actual configuration is performed."),
        text("tool", "The configuration tool used to actually apply the configuration on a server.").required(),
    ]),
    list("inputs", "Schema representing the inputs that this software config is expecting.").of(INPUT),
    list("outputs", "Schema representing the outputs that this software config will produce.").of(OUTPUT),
    map("options", "Map containing options specific to the configuration management tool used by this resource."),
];
const STRUCTURED: &[Prop] = &[
    text("group", "Namespace to group this software config by when delivered to a server. This may imply what configuration tool is going to perform the configuration.").default("\"Heat::Ungrouped\""),
    map("config", "Map representing the configuration data structure which will be serialized to JSON format."),
    map("options", "Map containing options specific to the configuration management tool used by this resource."),
    list("inputs", "Schema representing the inputs that this software config is expecting.").of(INPUT),
    list("outputs", "Schema representing the outputs that this software config will produce.").of(OUTPUT),
];
const CLOUD: &[Prop] = &[map(
    "cloud_config",
    "Map representing the cloud-config data structure which will be formatted as YAML.",
)];
const MIME: &[Prop] = &[text("group", "Namespace to group this multi-part configs by when delivered to a server. This may imply what configuration tool is going to perform the configuration.").default("\"Heat::Ungrouped\""), list("parts", "Parts belonging to this message.").of(&[
    text("config", "Content of part to attach, either inline or by referencing the ID of another software config resource.").required(),
    text("filename", "Optional filename to associate with part."),
    text("type", "Whether the part content is text or multipart.").default("\"text\"").rule(Rule::Allowed(&["text", "multipart"])),
    text("subtype", "Optional subtype to specify with the type."),
])];

const ACTIONS: Rule = Rule::Allowed(&["CREATE", "UPDATE", "DELETE", "SUSPEND", "RESUME"]);

pub(super) const TRANSPORT: Prop = text("software_config_transport", "How the server should receive the metadata required for software configuration. No agent in a guest is configured here: one that is to learn of deployments has to know credentials and ask for them itself.")
    .in_place()
    .default("\"POLL_SERVER_CFN\"")
    .rule(Rule::Allowed(&["POLL_SERVER_CFN", "POLL_SERVER_HEAT", "POLL_TEMP_URL"]));

const DEPLOYMENT: &[Prop] = &[
    text("config", "ID of software configuration resource to execute when applying to the server.").in_place(),
    text("server", "ID of resource to apply configuration to. Normally this should be a Nova server ID.").required(),
    map("input_values", "Input values to apply to the software configuration on this server.").in_place(),
    list("actions", "Which lifecycle actions of the deployment resource will result in this deployment being triggered.").in_place().default("[\"CREATE\", \"UPDATE\"]").rule(ACTIONS),
    text("name", "Name of the derived config associated with this deployment. This is used to apply a sort order to the list of configurations currently deployed to a server.").in_place(),
    text("signal_transport", "How the server should signal to heat with the deployment output values.").in_place().default("\"CFN_SIGNAL\"").rule(TRANSPORTS),
];
const DEPLOYMENTS: &[Prop] = &[
    text("config", "ID of software configuration resource to execute when applying to the servers.").in_place(),
    map("servers", "A map of names and server IDs to apply configuration to. The name is arbitrary.").required().in_place(),
    map("input_values", "Input values to apply to the software configuration on the servers.").in_place(),
    list("actions", "Which lifecycle actions of the deployment resource will result in this deployment being triggered.").in_place().default("[\"CREATE\", \"UPDATE\"]").rule(ACTIONS),
    text("name", "Name of the derived config associated with this deployment.").in_place(),
    text("signal_transport", "How the server should signal to heat with the deployment output values.").in_place().default("\"CFN_SIGNAL\"").rule(TRANSPORTS),
];
const STRUCTURED_DEPLOYMENT: &[Prop] = &[
    text("config", "ID of software configuration resource to execute when applying to the server.").in_place(),
    text("server", "ID of resource to apply configuration to. Normally this should be a Nova server ID.").required(),
    map("input_values", "Input values to apply to the software configuration on this server.").in_place(),
    list("actions", "Which lifecycle actions of the deployment resource will result in this deployment being triggered.").in_place().default("[\"CREATE\", \"UPDATE\"]").rule(ACTIONS),
    text("name", "Name of the derived config associated with this deployment. This is used to apply a sort order to the list of configurations currently deployed to a server.").in_place(),
    text("signal_transport", "How the server should signal to heat with the deployment output values.").in_place().default("\"CFN_SIGNAL\"").rule(TRANSPORTS),
    text("input_key", "Name of the key by which places in the configuration are recognised that take the value of an input.").in_place().default("\"get_input\""),
    text("input_values_validate", "Whether an input that is taken must have a value: STRICT, or LAX.").in_place().default("\"LAX\"").rule(Rule::Allowed(&["LAX", "STRICT"])),
];
const STRUCTURED_DEPLOYMENTS: &[Prop] = &[
    text("config", "ID of software configuration resource to execute when applying to the servers.").in_place(),
    map("servers", "A map of names and server IDs to apply configuration to. The name is arbitrary.").required().in_place(),
    map("input_values", "Input values to apply to the software configuration on the servers.").in_place(),
    list("actions", "Which lifecycle actions of the deployment resource will result in this deployment being triggered.").in_place().default("[\"CREATE\", \"UPDATE\"]").rule(ACTIONS),
    text("name", "Name of the derived config associated with this deployment.").in_place(),
    text("signal_transport", "How the server should signal to heat with the deployment output values.").in_place().default("\"CFN_SIGNAL\"").rule(TRANSPORTS),
    text("input_key", "Name of the key by which places in the configuration are recognised that take the value of an input.").in_place().default("\"get_input\""),
    text("input_values_validate", "Whether an input that is taken must have a value: STRICT, or LAX.").in_place().default("\"LAX\"").rule(Rule::Allowed(&["LAX", "STRICT"])),
];
const CONFIG_ATTRS: &[(&str, &str)] = &[("config", "The config value of the software config.")];
const DEPLOYMENT_ATTRS: &[(&str, &str)] = &[
    (
        "deploy_stdout",
        "Captured stdout from the configuration execution.",
    ),
    (
        "deploy_stderr",
        "Captured stderr from the configuration execution.",
    ),
    (
        "deploy_status_code",
        "Returned status code from the configuration execution.",
    ),
];
const DEPLOYMENTS_ATTRS: &[(&str, &str)] = &[
    (
        "deploy_stdouts",
        "A map of Nova names and captured stdouts from the configuration execution to each server.",
    ),
    (
        "deploy_stderrs",
        "A map of Nova names and captured stderrs from the configuration execution to each server.",
    ),
    (
        "deploy_status_codes",
        "A map of Nova names and returned status code from the configuration execution.",
    ),
    (
        "refs",
        "A list of resource IDs for the resources in the group.",
    ),
    (
        "refs_map",
        "A map of resource names to IDs for the resources in the group.",
    ),
];

const DEPLOYED: &[Prop] = &[
    text("name", "Server name.").in_place(),
    map("metadata", "This property is ignored, as in the original.").in_place(),
    TRANSPORT,
];

pub(in crate::model) const KINDS: &[Kind] = &[
    Kind {
        name: "OS::Heat::DeployedServer",
        doc: "A resource for a server that is there already and that this cloud did not make: its ID is what deployments name as their server, and its metadata lists them.",
        props: DEPLOYED,
        attrs: &[("name", "Name of the server.")],
        how: How::DeployedServer,
    },
    Kind {
        name: "OS::Heat::SoftwareConfig",
        doc: "A resource for describing and storing software configuration.",
        props: CONFIG,
        attrs: CONFIG_ATTRS,
        how: How::SoftwareConfig,
    },
    Kind {
        name: "OS::Heat::SoftwareComponent",
        doc: "A resource for describing and storing the configurations of a component, one for each action on it.",
        props: COMPONENT,
        attrs: &[(
            "configs",
            "The list of configurations for the lifecycle actions of the component.",
        )],
        how: How::SoftwareComponent,
    },
    Kind {
        name: "OS::Heat::CloudConfig",
        doc: "A configuration resource for representing cloud-init cloud-config.",
        props: CLOUD,
        attrs: CONFIG_ATTRS,
        how: How::CloudConfig,
    },
    Kind {
        name: "OS::Heat::MultipartMime",
        doc: "Assembles a collection of software configurations as a multi-part mime.",
        props: MIME,
        attrs: CONFIG_ATTRS,
        how: How::MultipartMime,
    },
    Kind {
        name: "OS::Heat::SoftwareDeployment",
        doc: "Associates a server with some configuration which is to be executed.",
        props: DEPLOYMENT,
        attrs: DEPLOYMENT_ATTRS,
        how: How::Deployment,
    },
    Kind {
        name: "OS::Heat::SoftwareDeployments",
        doc: "Associates a group of servers with some configuration.",
        props: DEPLOYMENTS,
        attrs: DEPLOYMENTS_ATTRS,
        how: How::Deployments,
    },
    Kind {
        name: "OS::Heat::SoftwareDeploymentGroup",
        doc: "Associates a group of servers with some configuration.",
        props: DEPLOYMENTS,
        attrs: DEPLOYMENTS_ATTRS,
        how: How::Deployments,
    },
    Kind {
        name: "OS::Heat::StructuredConfig",
        doc: "A resource which has the same properties as a software configuration, but for a map as its configuration.",
        props: STRUCTURED,
        attrs: CONFIG_ATTRS,
        how: How::SoftwareConfig,
    },
    Kind {
        name: "OS::Heat::StructuredDeployment",
        doc: "Associates a server with a structured configuration, in which the values of inputs take their places.",
        props: STRUCTURED_DEPLOYMENT,
        attrs: DEPLOYMENT_ATTRS,
        how: How::Deployment,
    },
    Kind {
        name: "OS::Heat::StructuredDeployments",
        doc: "Associates a group of servers with a structured configuration.",
        props: STRUCTURED_DEPLOYMENTS,
        attrs: DEPLOYMENTS_ATTRS,
        how: How::Deployments,
    },
    Kind {
        name: "OS::Heat::StructuredDeploymentGroup",
        doc: "Associates a group of servers with a structured configuration.",
        props: STRUCTURED_DEPLOYMENTS,
        attrs: DEPLOYMENTS_ATTRS,
        how: How::Deployments,
    },
];
