//! Types of the object service.

use crate::model::kind::{How, Kind};
use crate::model::property::{Prop, boolean, map, text};

const CONTAINER: &[Prop] = &[
    text("name", "Name for the container. If not specified, a unique name will be generated."),
    text("X-Container-Read", "Who may read objects in the container, as an access list of the object service."),
    text("X-Container-Write", "Who may write objects to the container, as an access list of the object service."),
    map("X-Container-Meta", "User-defined metadata of the container. Each key sets the header X-Container-Meta-{key}.").default("{}"),
    map("X-Account-Meta", "User-defined metadata of the account. Each key sets the header X-Account-Meta-{key}.").default("{}"),
    boolean("PurgeOnDelete", "If true, objects in the container are deleted with it. Otherwise a container that is not empty is not deleted.").default("false"),
];

pub(in crate::model) const KINDS: &[Kind] = &[Kind {
    name: "OS::Swift::Container",
    doc: "A resource for managing containers of the object service.",
    props: CONTAINER,
    attrs: &[
        ("DomainName", "The host from the container URL."),
        ("WebsiteURL", "The URL of the container."),
        ("RootURL", "The parent URL of the container."),
        (
            "ObjectCount",
            "The number of objects stored in the container.",
        ),
        ("BytesUsed", "The number of bytes stored in the container."),
        (
            "HeadContainer",
            "A map containing all headers for the container.",
        ),
    ],
    how: How::Container,
}];
