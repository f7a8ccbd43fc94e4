//! Types that need no other service.

use crate::model::kind::{How, Kind};
use crate::model::property::{Prop, Rule, any, boolean, float, integer, list, map, text};

const TEST: &[Prop] = &[
    text("value", "The input string to be stored.")
        .in_place()
        .default("\"test_string\""),
    boolean(
        "fail",
        "Value which can be set to fail the resource operation to test failure scenarios.",
    )
    .in_place()
    .default("false"),
    boolean(
        "update_replace",
        "Value which can be set to trigger update replace for the particular resource.",
    )
    .in_place()
    .default("false"),
    text(
        "update_replace_value",
        "Some value that can be stored but can not be updated.",
    ),
    float(
        "wait_secs",
        "Seconds to wait after an action (-1 is infinite).",
    )
    .in_place()
    .default("0"),
    map("action_wait_secs", "Options for simulating waiting.")
        .in_place()
        .of(&[
            float(
                "create",
                "Seconds to wait after a create. Defaults to the global wait_secs.",
            ),
            float(
                "update",
                "Seconds to wait after an update. Defaults to the global wait_secs.",
            ),
            float(
                "delete",
                "Seconds to wait after a delete. Defaults to the global wait_secs.",
            ),
        ]),
    float(
        "attr_wait_secs",
        "Number value for timeout during resolving output value; it has no effect.",
    )
    .in_place()
    .default("0"),
    float(
        "constraint_prop_secs",
        "Number value for delay during resolve constraint; it has no effect.",
    )
    .in_place()
    .default("0"),
    text("client_name", "Client to poll; it has no effect.")
        .in_place()
        .default("\"\""),
    text("entity_name", "Client entity to poll; it has no effect.")
        .in_place()
        .default("\"\""),
];

const CLASSES: Rule = Rule::Allowed(&[
    "lettersdigits",
    "letters",
    "lowercase",
    "uppercase",
    "digits",
    "hexdigits",
    "octdigits",
]);
const RANDOM: &[Prop] = &[
    text("sequence", "Sequence of characters to build the random string from; character_classes is the newer property.").rule(CLASSES),
    integer("length", "Length of the string to generate.").default("32").rule(Rule::Range(1, 512)),
    list("character_classes", "A list of character class and their constraints to generate the random string from.").of(&[
        text("class", "A character class and its corresponding min constraint to generate the random string from.").default("\"lettersdigits\"").rule(CLASSES),
        integer("min", "The minimum number of characters from this character class that will be in the generated string.").default("1").rule(Rule::Range(1, 512)),
    ]),
    list("character_sequences", "A list of character sequences and their constraints to generate the random string from.").of(&[
        text("sequence", "A character sequence and its corresponding min constraint to generate the random string from.").required(),
        integer("min", "The minimum number of characters from this sequence that will be in the generated string.").default("1").rule(Rule::Range(1, 512)),
    ]),
    text("salt", "Value which can be set or changed on stack update to trigger the resource for replacement with a new random string."),
];

const DELAY: &[Prop] = &[
    float(
        "min_wait",
        "Minimum time in seconds to wait during the specified actions.",
    )
    .in_place()
    .default("0")
    .rule(Rule::Range(0, i32::MAX as i64)),
    float(
        "max_jitter",
        "Maximum jitter to add to the minimum wait time.",
    )
    .in_place()
    .default("0")
    .rule(Rule::Range(0, i32::MAX as i64)),
    float(
        "jitter_multiplier",
        "Number of seconds to multiply the maximum jitter value by.",
    )
    .in_place()
    .default("1.0")
    .rule(Rule::Range(0, i32::MAX as i64)),
    list("actions", "Actions during which the delay will occur.")
        .in_place()
        .default("[\"CREATE\"]")
        .rule(Rule::Allowed(&["CREATE", "DELETE", "SUSPEND", "RESUME"])),
];

const VALUE: &[Prop] = &[
    text("type", "The type of the 'value' property.")
        .in_place()
        .rule(Rule::Allowed(&[
            "string",
            "number",
            "comma_delimited_list",
            "json",
            "boolean",
        ])),
    any("value", "The expression to generate the 'value' attribute.")
        .required()
        .in_place(),
];

const STACK: &[Prop] = &[
    map("context", "Context for this stack.").in_place().of(&[
        text(
            "region_name",
            "Region name in which this stack will be created. It can only be the region of this cloud.",
        ),
        text(
            "credential_secret_id",
            "Not supported: stacks are made in this cloud only.",
        ),
        text(
            "ca_cert",
            "Not supported: stacks are made in this cloud only.",
        ),
        boolean(
            "insecure",
            "If set, then the server's certificate will not be verified. There is none to verify within this cloud.",
        )
        .default("false"),
    ]),
    any(
        "template",
        "Template that specifies the stack to be created as a resource.",
    )
    .required()
    .in_place(),
    map("parameters", "Set of parameters passed to this stack.")
        .in_place()
        .default("{}"),
    integer(
        "timeout",
        "Number of minutes to wait for this stack creation.",
    )
    .in_place(),
];

const DEFINITION: &[Prop] = &[
    text("type", "The type of the resources in the group.").required(),
    map(
        "properties",
        "Property values for the resources in the group.",
    ),
    map(
        "metadata",
        "Supplied metadata for the resources in the group.",
    ),
];

const CHAIN: &[Prop] = &[
    list("resources", "The list of resource types to create. This list may contain type names or aliases defined in the resource registry.").required().in_place(),
    boolean("concurrent", "If true, the resources in the chain will be created concurrently. If false or omitted, each resource will be treated as having a dependency on the previous resource in the list.").default("false"),
    map("resource_properties", "Properties to pass to each resource being created in the chain."),
];

const ACCESS: &[Prop] = &[list(
    "AllowedResources",
    "Resources that users are allowed to access by the DescribeStackResource API.",
)
.required()];

const GROUP: &[Prop] = &[
    integer("count", "The number of resources to create.").in_place().default("1").rule(Rule::Range(0, 1000)),
    text("index_var", "A variable that this resource will use to replace with the current index of a given resource in the group.").default("\"%index%\"").rule(Rule::Length(3, 100)),
    map("resource_def", "Resource definition for the resources in the group. The value of this property is the definition of a resource just as if it had been declared in the template itself.").required().in_place().of(DEFINITION),
    list("removal_policies", "Policies for removal of resources on update.").in_place().of(&[
        list("resource_list", "List of resources to be removed when doing an update which requires removal of specific resources."),
    ]),
    text("removal_policies_mode", "How to handle changes to removal_policies on update. The default \"append\" mode appends to the internal list, \"update\" replaces it on update.")
        .in_place()
        .default("\"append\"")
        .rule(Rule::Allowed(&["append", "update"])),
];

const SCALING: &[Prop] = &[
    map("resource", "Resource definition for the resources in the group, in HOT format. The value of this property is the definition of a resource just as if it had been declared in the template itself.").required().in_place(),
    integer("max_size", "Maximum number of resources in the group.").required().in_place().rule(Rule::Range(0, 1000)),
    integer("min_size", "Minimum number of resources in the group.").required().in_place().rule(Rule::Range(0, 1000)),
    integer("cooldown", "Cooldown period, in seconds.").in_place().rule(Rule::Range(0, 1_000_000)),
    integer("desired_capacity", "Desired initial number of resources.").in_place().rule(Rule::Range(0, 1000)),
    map("rolling_updates", "Policy for rolling updates in the group, defaulting to no policy at all.").in_place().of(&[
        integer("min_in_service", "The minimum number of resources in service while rolling updates are being executed.").default("0").rule(Rule::Range(0, 1000)),
        integer("max_batch_size", "The maximum number of resources to replace at once.").default("1").rule(Rule::Range(1, 1000)),
        float("pause_time", "The number of seconds to wait between batches of updates.").default("0").rule(Rule::Range(0, 3600)),
    ]),
];

const POLICY: &[Prop] = &[
    text("auto_scaling_group_id", "AutoScaling group ID to apply policy to.").required(),
    float("scaling_adjustment", "Size of adjustment.").required().in_place(),
    text("adjustment_type", "Type of adjustment (absolute or percentage).").required().in_place().rule(Rule::Allowed(&["change_in_capacity", "exact_capacity", "percent_change_in_capacity"])),
    float("cooldown", "Cooldown period, in seconds.").in_place(),
    integer("min_adjustment_step", "Minimum number of resources that are added or removed when the AutoScaling group scales up or down.").in_place().rule(Rule::Range(0, 1000)),
];

const GROUP_ATTRS: &[(&str, &str)] = &[
    (
        "refs",
        "A list of resource IDs for the resources in the group.",
    ),
    (
        "refs_map",
        "A map of resource names to IDs for the resources in the group.",
    ),
    (
        "attributes",
        "A map of resource names to the specified attribute of each individual resource.",
    ),
    ("removed_rsrc_list", "A list of removed resource names."),
];

pub(in crate::model) const KINDS: &[Kind] = &[
    Kind {
        name: "OS::Heat::None",
        doc: "Enables easily disabling certain resources via the resource_registry.",
        props: &[],
        attrs: &[],
        how: How::Nothing,
    },
    Kind {
        name: "OS::Heat::TestResource",
        doc: "A resource which stores the string value that was provided.",
        props: TEST,
        attrs: &[(
            "output",
            "The string that was stored. This value is also available by referencing the resource.",
        )],
        how: How::Test,
    },
    Kind {
        name: "OS::Heat::Delay",
        doc: "A resource that pauses for a configurable amount of time, which may be random in part.",
        props: DELAY,
        attrs: &[],
        how: How::Delay,
    },
    Kind {
        name: "OS::Heat::RandomString",
        doc: "A resource which generates a random string.",
        props: RANDOM,
        attrs: &[(
            "value",
            "The random string generated by this resource. This value is also available by referencing the resource.",
        )],
        how: How::RandomString,
    },
    Kind {
        name: "OS::Heat::Value",
        doc: "A resource which exposes its value property as an attribute.",
        props: VALUE,
        attrs: &[(
            "value",
            "The value generated by this resource's properties 'value' expression, with type determined from the properties 'type'.",
        )],
        how: How::Value,
    },
    Kind {
        name: "OS::Heat::Stack",
        doc: "A resource representing a stack: its template is a property of it.",
        props: STACK,
        attrs: &[
            ("stack_name", "Name of the stack."),
            ("outputs", "A map of the stack's outputs."),
        ],
        how: How::Stack,
    },
    Kind {
        name: "OS::Heat::ResourceGroup",
        doc: "Creates one or more identically configured nested resources.",
        props: GROUP,
        attrs: GROUP_ATTRS,
        how: How::ResourceGroup,
    },
    Kind {
        name: "OS::Heat::ResourceChain",
        doc: "Creates one or more resources of several types with the same configuration, one after another or at once.",
        props: CHAIN,
        attrs: &[
            (
                "refs",
                "A list of resource IDs for the resources in the chain.",
            ),
            (
                "attributes",
                "A map of resource names to the specified attribute of each individual resource.",
            ),
        ],
        how: How::Chain,
    },
    Kind {
        name: "OS::Heat::AccessPolicy",
        doc: "Names the resources that users of CloudFormation may look at. There are no such users here, so it lets nobody look.",
        props: ACCESS,
        attrs: &[],
        how: How::AccessPolicy,
    },
    Kind {
        name: "OS::Heat::AutoScalingGroup",
        doc: "An autoscaling group that can scale arbitrary resources.",
        props: SCALING,
        attrs: &[
            (
                "outputs",
                "A map of resource names to the specified attribute of each individual resource.",
            ),
            (
                "outputs_list",
                "A list of the specified attribute of each individual resource.",
            ),
            (
                "current_size",
                "The current size of AutoscalingResourceGroup.",
            ),
            (
                "refs",
                "A list of resource IDs for the resources in the group.",
            ),
            (
                "refs_map",
                "A map of resource names to IDs for the resources in the group.",
            ),
        ],
        how: How::ScalingGroup,
    },
    Kind {
        name: "OS::Heat::ScalingPolicy",
        doc: "A resource to manage scaling of OS::Heat::AutoScalingGroup: whoever signals it changes the size of the group.",
        props: POLICY,
        attrs: &[
            (
                "signal_url",
                "A url to handle the alarm, with everything in it that is needed to use it.",
            ),
            ("alarm_url", "A signed url to handle the alarm."),
        ],
        how: How::ScalingPolicy,
    },
];
