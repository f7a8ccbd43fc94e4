//! Types of the identity service, for administrators.

use crate::model::kind::{Directory, Field, How, Kind};
use crate::model::property::{Prop, Rule, boolean, list, text};

const fn name(doc: &'static str) -> Prop {
    text("name", doc).in_place()
}

const fn description(doc: &'static str) -> Prop {
    text("description", doc).in_place().default("\"\"")
}

const fn enabled(doc: &'static str) -> Prop {
    boolean("enabled", doc).in_place().default("true")
}

const DOMAIN: Prop = text(
    "domain",
    "Name or ID of keystone domain. It cannot be changed.",
)
.in_place()
.default("\"default\"");

const ROLES: Prop = list(
    "roles",
    "List of role assignments: those that were there before are left where they are.",
)
.in_place()
.of(&[
    text("role", "Keystone role, by name or ID.").required(),
    text("project", "Keystone project, by name or ID."),
    text("domain", "Keystone domain, by name or ID."),
]);

const PROJECT: &[Prop] = &[
    name("Name of keystone project."),
    DOMAIN,
    description("Description of keystone project."),
    enabled("This project is enabled or disabled."),
    text(
        "parent",
        "The name or ID of parent of this keystone project in hierarchy.",
    ),
    list("tags", "A list of tags for labeling and sorting projects.")
        .in_place()
        .default("[]"),
];

const USER: &[Prop] = &[
    name("Name of keystone user."),
    DOMAIN,
    description("Description of keystone user."),
    enabled("Keystone user is enabled or disabled."),
    text("email", "Email address of keystone user.").in_place(),
    text("password", "Password of keystone user.").in_place(),
    text(
        "default_project",
        "Name or ID of default project of keystone user.",
    )
    .in_place(),
    list(
        "groups",
        "Keystone user groups, by name or ID. The user stays in those that others have put it into.",
    )
    .in_place(),
    ROLES,
];

const GROUP: &[Prop] = &[
    name("Name of keystone group."),
    DOMAIN,
    description("Description of keystone group."),
    ROLES,
];

const ROLE: &[Prop] = &[
    name("Name of keystone role."),
    text("domain", "Name or ID of keystone domain."),
];

const DOMAINS: &[Prop] = &[
    name("The name of the domain."),
    text("description", "Description of keystone domain.").in_place(),
    enabled("This domain is enabled or disabled."),
];

const REGION: &[Prop] = &[
    text(
        "id",
        "The user-defined region ID; it is URL-encoded, and has to be one that there is not yet.",
    ),
    text(
        "parent_region",
        "The ID of the parent region, if the region is a child of another one.",
    )
    .in_place(),
    text("description", "Description of keystone region.").in_place(),
    enabled("This region is enabled or disabled."),
];

const SERVICE: &[Prop] = &[
    name("Name of keystone service."),
    text("description", "Description of keystone service.").in_place(),
    text("type", "Type of keystone Service.")
        .required()
        .in_place(),
    enabled("This service is enabled or disabled."),
];

const ENDPOINT: &[Prop] = &[
    name("Name of keystone endpoint."),
    text("region", "ID of keystone region.").in_place(),
    text("service", "Name or ID of keystone service.")
        .required()
        .in_place(),
    text("interface", "Interface type of keystone service endpoint.")
        .required()
        .in_place()
        .rule(Rule::Allowed(&["public", "internal", "admin"])),
    text("url", "URL of keystone service endpoint.")
        .required()
        .in_place(),
    enabled("This endpoint is enabled or disabled."),
];

const USER_ROLES: &[Prop] = &[
    text("user", "Name or ID of keystone user.")
        .required()
        .in_place(),
    ROLES,
];

const GROUP_ROLES: &[Prop] = &[
    text("group", "Name or ID of keystone group.")
        .required()
        .in_place(),
    ROLES,
];

const OF_DOMAIN: Field = Field::of("domain", "domain_id", "domains");
const DESCRIPTION: Field = Field::plain("description").or("\"\"");
const ENABLED: Field = Field::plain("enabled");

pub(in crate::model) const KINDS: &[Kind] = &[
    Kind {
        name: "OS::Keystone::Project",
        doc: "A resource for keystone projects, for administrators. The default security group of a project that goes is removed with it.",
        props: PROJECT,
        attrs: &[
            ("name", "Project name."),
            ("parent_id", "Parent project id."),
            ("domain_id", "Domain id for project."),
            ("enabled", "Flag of enable project."),
            (
                "is_domain",
                "Indicates whether the project also acts as a domain.",
            ),
        ],
        how: How::Directory(&Directory {
            many: "projects",
            one: "project",
            fields: &[
                OF_DOMAIN,
                DESCRIPTION,
                ENABLED,
                Field::of("parent", "parent_id", "projects"),
                Field::plain("tags").or("[]"),
            ],
        }),
    },
    Kind {
        name: "OS::Keystone::User",
        doc: "A resource for keystone users, for administrators.",
        props: USER,
        attrs: &[
            ("name", "User name."),
            ("default_project_id", "Default project id for user."),
            ("domain_id", "Domain id for user."),
            ("enabled", "Flag of enable user."),
            ("password_expires_at", "Show user password expiration time."),
        ],
        how: How::Directory(&Directory {
            many: "users",
            one: "user",
            fields: &[
                OF_DOMAIN,
                DESCRIPTION,
                ENABLED,
                Field::plain("email").or("null"),
                Field::of("default_project", "default_project_id", "projects").or("null"),
            ],
        }),
    },
    Kind {
        name: "OS::Keystone::Group",
        doc: "A resource for keystone groups, for administrators.",
        props: GROUP,
        attrs: &[],
        how: How::Directory(&Directory {
            many: "groups",
            one: "group",
            fields: &[OF_DOMAIN, DESCRIPTION],
        }),
    },
    Kind {
        name: "OS::Keystone::Role",
        doc: "A resource for keystone roles, for administrators.",
        props: ROLE,
        attrs: &[],
        how: How::Directory(&Directory {
            many: "roles",
            one: "role",
            fields: &[OF_DOMAIN],
        }),
    },
    Kind {
        name: "OS::Keystone::Domain",
        doc: "A resource for keystone domains, for administrators. One that goes is disabled first, and takes with it everything that it owns.",
        props: DOMAINS,
        attrs: &[],
        how: How::Directory(&Directory {
            many: "domains",
            one: "domain",
            fields: &[DESCRIPTION, ENABLED],
        }),
    },
    Kind {
        name: "OS::Keystone::Region",
        doc: "A resource for keystone regions, for administrators.",
        props: REGION,
        attrs: &[],
        how: How::Directory(&Directory {
            many: "regions",
            one: "region",
            fields: &[
                Field::of("parent_region", "parent_region_id", "regions").or("null"),
                DESCRIPTION,
                ENABLED,
            ],
        }),
    },
    Kind {
        name: "OS::Keystone::Service",
        doc: "A resource for keystone services, for administrators. Its endpoints go with it.",
        props: SERVICE,
        attrs: &[],
        how: How::Directory(&Directory {
            many: "services",
            one: "service",
            fields: &[DESCRIPTION, Field::plain("type"), ENABLED],
        }),
    },
    Kind {
        name: "OS::Keystone::Endpoint",
        doc: "A resource for the endpoints of keystone services, for administrators.",
        props: ENDPOINT,
        attrs: &[],
        how: How::Directory(&Directory {
            many: "endpoints",
            one: "endpoint",
            fields: &[
                Field::of("region", "region_id", "regions").or("null"),
                Field::of("service", "service_id", "services"),
                Field::plain("interface"),
                Field::plain("url"),
                ENABLED,
            ],
        }),
    },
    Kind {
        name: "OS::Keystone::UserRoleAssignment",
        doc: "A resource for granting roles to a user, for administrators.",
        props: USER_ROLES,
        attrs: &[],
        how: How::RoleAssignment("user", "users"),
    },
    Kind {
        name: "OS::Keystone::GroupRoleAssignment",
        doc: "A resource for granting roles to a group, for administrators.",
        props: GROUP_ROLES,
        attrs: &[],
        how: How::RoleAssignment("group", "groups"),
    },
];
