//! Types of the load-balancing service.

use crate::model::kind::{Balancing, How, Kind, Limits};
use crate::model::property::{Prop, Rule, boolean, float, integer, list, map, text};

const ENABLED: Prop = boolean("admin_state_up", "The administrative state.")
    .in_place()
    .default("true");
const NAME: Prop = text("name", "A name, which need not be unique.").in_place();
const DESCRIPTION: Prop = text("description", "A description for people.")
    .in_place()
    .default("\"\"");

const fn subnet(name: &'static str, doc: &'static str) -> Prop {
    text(name, doc).rule(Rule::Custom("neutron.subnet"))
}
const fn pool(name: &'static str, doc: &'static str) -> Prop {
    text(name, doc).rule(Rule::Custom("octavia.pool"))
}
const fn listener(doc: &'static str) -> Prop {
    text("listener", doc).rule(Rule::Custom("octavia.listener"))
}
const fn balancer(doc: &'static str) -> Prop {
    text("loadbalancer", doc).rule(Rule::Custom("octavia.loadbalancer"))
}
const fn address(name: &'static str, doc: &'static str) -> Prop {
    text(name, doc).rule(Rule::Custom("ip_addr"))
}
const fn port(name: &'static str, doc: &'static str) -> Prop {
    integer(name, doc).rule(Rule::Range(1, 65_535))
}

const BALANCER: &[Prop] = &[
    DESCRIPTION,
    NAME,
    text(
        "provider",
        "What is to run it: one of the providers of the cloud.",
    ),
    address("vip_address", "The address at which it answers."),
    subnet(
        "vip_subnet",
        "The name or ID of the subnet in which it has its address.",
    )
    .required(),
    ENABLED,
    text(
        "tenant_id",
        "The ID of the project that is to own it, if not the stack's; for administrators.",
    )
    .rule(Rule::Custom("keystone.project")),
    text("flavor", "The name or ID of its flavor.").rule(Rule::Custom("octavia.flavor")),
    text("availability_zone", "The availability zone that it is in.")
        .rule(Rule::Custom("octavia.availabilityzone")),
];

/// What is spoken at a listener and by a pool.
const PROTOCOLS: Rule =
    Rule::Allowed(&["TCP", "HTTP", "HTTPS", "TERMINATED_HTTPS", "PROXY", "UDP"]);

const LISTENER: &[Prop] = &[
    port("protocol_port", "The port at which clients are answered.").required(),
    text("protocol", "The protocol that clients speak.")
        .required()
        .rule(PROTOCOLS),
    balancer("The name or ID of the load balancer that listens.").required(),
    pool(
        "default_pool",
        "The name or ID of the pool that is asked unless a policy says otherwise.",
    )
    .in_place(),
    NAME,
    ENABLED,
    DESCRIPTION,
    text(
        "default_tls_container_ref",
        "Where the certificate is with which TLS is ended.",
    )
    .in_place(),
    list(
        "sni_container_refs",
        "Where the certificates of further names are.",
    )
    .in_place(),
    integer(
        "connection_limit",
        "How many connections there may be at once; -1 is any number.",
    )
    .in_place()
    .default("-1")
    .rule(Rule::AtLeast(-1)),
    text("tenant_id", "The ID of the project that owns it."),
    list(
        "allowed_cidrs",
        "The networks whose clients are answered; without any, everybody is.",
    )
    .in_place()
    .rule(Rule::Custom("net_cidr")),
];

const POOL: &[Prop] = &[
    ENABLED,
    DESCRIPTION,
    map(
        "session_persistence",
        "By what a client comes to the same member again.",
    )
    .in_place()
    .of(&[
        text("type", "By what clients are known.")
            .required()
            .rule(Rule::Allowed(&["SOURCE_IP", "HTTP_COOKIE", "APP_COOKIE"])),
        text(
            "cookie_name",
            "The name of the members' own cookie, for type APP_COOKIE.",
        ),
    ]),
    NAME,
    text("lb_algorithm", "Which member is next.")
        .required()
        .in_place()
        .rule(Rule::Allowed(&[
            "ROUND_ROBIN",
            "LEAST_CONNECTIONS",
            "SOURCE_IP",
            "SOURCE_IP_PORT",
        ])),
    listener("The name or ID of the listener whose default pool it is."),
    balancer("The name or ID of the load balancer that it is a pool of."),
    text("protocol", "The protocol that members speak.")
        .required()
        .rule(PROTOCOLS),
    boolean("tls_enabled", "Whether members are asked over TLS.")
        .in_place()
        .default("false"),
];

const MEMBER: &[Prop] = &[
    pool("pool", "The name or ID of the pool.").required(),
    address("address", "The address of the member.").required(),
    port("protocol_port", "The port at which the member answers.").required(),
    address(
        "monitor_address",
        "Another address at which its health is looked at.",
    ),
    port(
        "monitor_port",
        "Another port at which its health is looked at.",
    ),
    integer(
        "weight",
        "How much more than others it is asked; 0 is for no new clients.",
    )
    .in_place()
    .default("1")
    .rule(Rule::Range(0, 256)),
    ENABLED,
    subnet(
        "subnet",
        "The name or ID of the subnet that the member is in.",
    ),
    list("tags", "Words that the member is tagged with.").in_place(),
];

const MONITOR: &[Prop] = &[
    ENABLED,
    integer("delay", "Seconds from one look to the next.")
        .required()
        .in_place()
        .rule(Rule::AtLeast(0)),
    text("expected_codes", "The status codes of a member that is well: 200, or a list such as 200,202, or a range such as 200-204.").in_place(),
    text("http_method", "The method of requests, for type HTTP.")
        .in_place()
        .rule(Rule::Allowed(&[
            "GET", "HEAD", "POST", "PUT", "DELETE", "TRACE", "OPTIONS", "CONNECT", "PATCH",
        ])),
    integer("max_retries", "How many looks one after another say that a member is well again.")
        .required()
        .in_place()
        .rule(Rule::Range(1, 10)),
    pool("pool", "The name or ID of the pool whose members are looked at.").required(),
    integer("timeout", "Seconds that a member has for an answer.")
        .required()
        .in_place()
        .rule(Rule::AtLeast(0)),
    text("type", "How a member is looked at.")
        .required()
        .rule(Rule::Allowed(&["PING", "TCP", "HTTP", "HTTPS", "UDP-CONNECT"])),
    text("url_path", "The path of requests, which begins with a slash.").in_place(),
    text("tenant_id", "The ID of the project that owns it."),
];

const POLICY: &[Prop] = &[
    NAME,
    text("description", "A description for people.").in_place(),
    ENABLED,
    text(
        "action",
        "What is done with requests that fit all rules of the policy.",
    )
    .required()
    .in_place()
    .rule(Rule::Allowed(&[
        "REJECT",
        "REDIRECT_TO_POOL",
        "REDIRECT_TO_URL",
    ])),
    pool(
        "redirect_pool",
        "The name or ID of the pool that is asked, for action REDIRECT_TO_POOL.",
    )
    .in_place(),
    text(
        "redirect_url",
        "Where clients are sent, for action REDIRECT_TO_URL.",
    )
    .in_place(),
    float(
        "position",
        "Which of the listener's policies it is, from 1 on; without, the last.",
    )
    .in_place()
    .rule(Rule::AtLeast(1)),
    listener("The name or ID of the listener whose requests are looked at.").required(),
];

const RULE: &[Prop] = &[
    ENABLED,
    text(
        "l7policy",
        "The name or ID of the policy that it is a rule of.",
    )
    .required()
    .rule(Rule::Custom("octavia.l7policy")),
    text("type", "What of a request is looked at.")
        .required()
        .in_place()
        .rule(Rule::Allowed(&[
            "HOST_NAME",
            "PATH",
            "FILE_TYPE",
            "HEADER",
            "COOKIE",
        ])),
    text("compare_type", "How it is compared.")
        .required()
        .in_place()
        .rule(Rule::Allowed(&[
            "REGEX",
            "STARTS_WITH",
            "ENDS_WITH",
            "CONTAINS",
            "EQUAL_TO",
        ])),
    boolean("invert", "Whether requests are meant that do not fit.")
        .in_place()
        .default("false"),
    text(
        "key",
        "The name of the header or the cookie, for types HEADER and COOKIE.",
    )
    .in_place(),
    text("value", "What it is compared with.")
        .required()
        .in_place(),
];

const fn limit(name: &'static str, doc: &'static str) -> Prop {
    integer(name, doc).in_place().rule(Rule::AtLeast(-1))
}
const QUOTA: &[Prop] = &[
    text("project", "Name or id of the project to set the quota for.")
        .required()
        .rule(Rule::Custom("keystone.project")),
    limit(
        "healthmonitor",
        "How many health monitors there may be; -1 is any number.",
    ),
    limit(
        "listener",
        "How many listeners there may be; -1 is any number.",
    ),
    limit(
        "loadbalancer",
        "How many load balancers there may be; -1 is any number.",
    ),
    limit("pool", "How many pools there may be; -1 is any number."),
    limit("member", "How many members there may be; -1 is any number."),
];

/// A collection of its own, whose things have names and parts.
const WHOLE: Balancing = Balancing {
    many: "",
    one: "",
    within: None,
    names: &[],
    named: true,
    has_parts: true,
};

pub(in crate::model) const KINDS: &[Kind] = &[
    Kind {
        name: "OS::Octavia::LoadBalancer",
        doc: "A resource for managing a load balancer: an address whose clients are handed to members.",
        props: BALANCER,
        attrs: &[
            ("vip_address", "The address at which it answers."),
            (
                "vip_port_id",
                "The ID of the port that has the address, such as for a floating IP.",
            ),
            (
                "vip_subnet_id",
                "The ID of the subnet that the address is in.",
            ),
            ("pools", "The pools of this load balancer."),
            ("flavor_id", "The ID of its flavor."),
        ],
        how: How::Balancing(&Balancing {
            many: "loadbalancers",
            one: "loadbalancer",
            names: &[
                ("vip_subnet", "vip_subnet_id", "subnets"),
                ("flavor", "flavor_id", "flavors"),
                ("tenant_id", "project_id", ""),
            ],
            ..WHOLE
        }),
    },
    Kind {
        name: "OS::Octavia::Listener",
        doc: "A resource for managing a listener: a port at which a load balancer answers.",
        props: LISTENER,
        attrs: &[
            (
                "loadbalancers",
                "The load balancers that this listener is of.",
            ),
            ("default_pool_id", "The ID of its default pool."),
        ],
        how: How::Balancing(&Balancing {
            many: "listeners",
            one: "listener",
            names: &[
                ("loadbalancer", "loadbalancer_id", "loadbalancers"),
                ("default_pool", "default_pool_id", "pools"),
            ],
            ..WHOLE
        }),
    },
    Kind {
        name: "OS::Octavia::Pool",
        doc: "A resource for managing a pool: members that are asked by turns.",
        props: POOL,
        attrs: &[
            (
                "healthmonitor_id",
                "The ID of the health monitor of this pool.",
            ),
            ("listeners", "The listeners whose pool it is."),
            ("members", "The members of this pool."),
        ],
        how: How::Balancing(&Balancing {
            many: "pools",
            one: "pool",
            names: &[
                ("listener", "listener_id", "listeners"),
                ("loadbalancer", "loadbalancer_id", "loadbalancers"),
            ],
            ..WHOLE
        }),
    },
    Kind {
        name: "OS::Octavia::PoolMember",
        doc: "A resource for managing a member of a pool: somebody who answers.",
        props: MEMBER,
        attrs: &[
            ("address", "The address of the member."),
            ("pool_id", "The ID of its pool."),
        ],
        how: How::Balancing(&Balancing {
            many: "members",
            one: "member",
            within: Some(("pool", "pools")),
            names: &[("subnet", "subnet_id", "subnets")],
            named: false,
            has_parts: false,
        }),
    },
    Kind {
        name: "OS::Octavia::HealthMonitor",
        doc: "A resource for managing a health monitor: it looks which members of a pool answer.",
        props: MONITOR,
        attrs: &[("pools", "The pools whose members it looks at.")],
        how: How::Balancing(&Balancing {
            many: "healthmonitors",
            one: "healthmonitor",
            names: &[("pool", "pool_id", "pools")],
            named: false,
            has_parts: false,
            ..WHOLE
        }),
    },
    Kind {
        name: "OS::Octavia::L7Policy",
        doc: "A resource for managing an L7 policy: what is done with requests to a listener that fit all of its rules.",
        props: POLICY,
        attrs: &[("rules", "The rules of this policy.")],
        how: How::Balancing(&Balancing {
            many: "l7policies",
            one: "l7policy",
            names: &[
                ("listener", "listener_id", "listeners"),
                ("redirect_pool", "redirect_pool_id", "pools"),
            ],
            ..WHOLE
        }),
    },
    Kind {
        name: "OS::Octavia::L7Rule",
        doc: "A resource for managing a rule of an L7 policy: which requests fit.",
        props: RULE,
        attrs: &[],
        how: How::Balancing(&Balancing {
            many: "rules",
            one: "rule",
            within: Some(("l7policy", "l7policies")),
            names: &[],
            named: false,
            has_parts: false,
        }),
    },
    Kind {
        name: "OS::Octavia::Quota",
        doc: "A resource for managing quotas of load balancers, for administrators. When it goes, the project has the default quotas.",
        props: QUOTA,
        attrs: &[],
        how: How::Quota(&Limits {
            service: "load-balancer",
            path: "/v2/lbaas/quotas",
            one: "quota",
            defaults: None,
        }),
    },
];
