//! What there is.

use nephos_api::{Json, Public, Reply, Req, endpoint};
use serde::Serialize;
use utoipa::ToSchema;

use crate::Cx;

#[derive(Debug, Serialize, ToSchema)]
pub(crate) struct Versions {
    versions: Vec<Version>,
}

#[derive(Debug, Serialize, ToSchema)]
struct Version {
    id: &'static str,
    status: &'static str,
    links: Vec<Link>,
}

#[derive(Debug, Serialize, ToSchema)]
struct Link {
    rel: &'static str,
    href: String,
}

#[derive(Debug, Serialize, ToSchema)]
pub(crate) struct Resources {
    resources: Vec<Resource>,
}

#[derive(Debug, Serialize, ToSchema)]
struct Resource {
    name: &'static str,
    collection: &'static str,
    links: Vec<Link>,
}

/// The kinds of things, as `GET /v2.0` lists them.
const RESOURCES: [(&str, &str, &str); 12] = [
    ("network", "networks", "networks"),
    ("subnet", "subnets", "subnets"),
    ("subnetpool", "subnetpools", "subnetpools"),
    ("port", "ports", "ports"),
    ("router", "routers", "routers"),
    ("floatingip", "floatingips", "floatingips"),
    ("security_group", "security_groups", "security-groups"),
    (
        "security_group_rule",
        "security_group_rules",
        "security-group-rules",
    ),
    ("address_scope", "address-scopes", "address-scopes"),
    ("rbac_policy", "rbac_policies", "rbac-policies"),
    ("agent", "agents", "agents"),
    ("trunk", "trunks", "trunks"),
];

endpoint! {
    /// List the versions of the API.
    ListVersions: GET "/" => 200,
    policy: Public,
    reply: Json<Versions>,
    handler: list_versions,
}
async fn list_versions(cx: Cx, _req: Req<ListVersions>) -> Reply<ListVersions> {
    let link = Link {
        rel: "self",
        href: cx.url("/v2.0/"),
    };
    Ok(Json(Versions {
        versions: vec![Version {
            id: "v2.0",
            status: "CURRENT",
            links: vec![link],
        }],
    }))
}

endpoint! {
    /// List the kinds of things of version 2.0.
    ListResources: GET "/v2.0" => 200,
    policy: Public,
    reply: Json<Resources>,
    handler: list_resources,
}
async fn list_resources(cx: Cx, _req: Req<ListResources>) -> Reply<ListResources> {
    let resource = |(name, collection, path): (&'static str, &'static str, &str)| Resource {
        name,
        collection,
        links: vec![Link {
            rel: "self",
            href: cx.url(&format!("/v2.0/{path}")),
        }],
    };
    Ok(Json(Resources {
        resources: RESOURCES.into_iter().map(resource).collect(),
    }))
}
