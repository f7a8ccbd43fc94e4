//! `/os-migrations`: how servers came to other hosts and sizes.

use std::collections::BTreeMap;

use nephos_api::version::v;
use nephos_api::{Fault, Json, Params, Reply, Req, Shape, endpoint};
use nephos_auth::Target;
use nephos_db::{Direction, Page, ToArg as _};
use nephos_types::Timestamp;
use serde::Serialize;
use utoipa::ToSchema;

use super::flavors::Link;
use super::versions::MIGRATION_VIEW;
use super::{Cx, page_limit, refuse_unknown};
use crate::model::migration::Migration;
use crate::store::hosts::HostRow;
use crate::store::migrations::Filter;
use crate::{rules, store};

/// A move as the newest version shows it. Flavors have no numbers here, so those are null.
#[derive(Serialize, ToSchema)]
pub(crate) struct MigrationView {
    id: i64,
    uuid: String,
    instance_uuid: String,
    migration_type: &'static str,
    status: &'static str,
    source_compute: Option<String>,
    source_node: Option<String>,
    dest_compute: Option<String>,
    dest_node: Option<String>,
    dest_host: Option<String>,
    old_instance_type_id: Option<i64>,
    new_instance_type_id: Option<i64>,
    user_id: String,
    project_id: String,
    created_at: String,
    updated_at: Option<String>,
    /// To how far it is, while it is under way with a guest that runs.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    links: Vec<Link>,
}

#[derive(Serialize, ToSchema)]
pub(crate) struct MigrationList {
    migrations: Vec<MigrationView>,
    #[serde(skip_serializing_if = "Vec::is_empty")]
    migrations_links: Vec<Link>,
}

endpoint! {
    /// List how servers came to other hosts and sizes.
    ListMigrations: GET "/v2.1/os-migrations" => 200,
    policy: rules::ListMigrations,
    query: Params,
    reply: Json<MigrationList> as Shape::each("migrations", MIGRATION_VIEW),
    handler: list_migrations,
}

/// What a list may be asked by, and since when.
const KNOWN: &[&str] = &[
    "hidden",
    "host",
    "instance_uuid",
    "source_compute",
    "status",
    "migration_type",
    "limit",
    "marker",
    "changes-since",
];
const KNOWN_2_66: &[&str] = &["changes-before"];
const KNOWN_2_80: &[&str] = &["user_id", "project_id"];

async fn list_migrations(cx: Cx, req: Req<ListMigrations>) -> Reply<ListMigrations> {
    let query = &req.query;
    let mut known = KNOWN.to_vec();
    if cx.version >= v(2, 66) {
        known.extend(KNOWN_2_66);
    }
    if cx.version >= v(2, 80) {
        known.extend(KNOWN_2_80);
    }
    refuse_unknown(&cx, query, v(2, 59), &known)?;
    let own = cx.caller.project_id().map(|project| project.as_str());
    if query
        .get("project_id")
        .is_none_or(|asked| Some(asked) != own)
    {
        cx.require(rules::ListAllMigrations, &Target::new())?;
    }
    let sees_hosts = cx.may(rules::ShowMigrationHosts, &Target::new());
    let filter = filter(&cx, query)?;
    let (page, limit) = page(&cx, query).await?;
    let found = store::migrations::list(cx.db(), &filter, page).await?;
    let paged = cx.version >= v(2, 59);
    let last = found.last().filter(|_| paged && found.len() == limit);
    let next = last.map(|last| Link {
        rel: "next",
        href: super::server_list::next_url(&cx, "/v2.1/os-migrations", query, &last.uuid),
    });
    let migrations_links = next.into_iter().collect();
    let hosts: BTreeMap<String, HostRow> = store::hosts::list(cx.db())
        .await?
        .into_iter()
        .map(|row| (row.host.clone(), row))
        .collect();
    let views = found.into_iter().map(|one| {
        let links = links(&cx, &one);
        view(one, &hosts, sees_hosts, links)
    });
    Ok(Json(MigrationList {
        migrations: views.collect(),
        migrations_links,
    }))
}

fn filter(cx: &Cx, query: &Params) -> Result<Filter, Fault> {
    let mut filter = Filter {
        host: query.get("host").map(str::to_owned),
        ..Filter::default()
    };
    let columns = [
        ("instance_uuid", "server_id"),
        ("source_compute", "source_host"),
        ("status", "status"),
        ("migration_type", "kind"),
        ("user_id", "user_id"),
        ("project_id", "project_id"),
    ];
    for (key, column) in columns {
        if let Some(value) = query.get(key) {
            filter.equal.push((column, value.to_arg()));
        }
    }
    let time = |key: &str| -> Result<Option<Timestamp>, Fault> {
        let wrong = |text: &str| {
            Fault::bad_request(format!(
                "Invalid input for query parameters {key}. Value: {text}. '{text}' is not a 'date-time'"
            ))
        };
        query
            .get(key)
            .map(|text| Timestamp::parse(text).ok_or_else(|| wrong(text)))
            .transpose()
    };
    if cx.version >= v(2, 59) {
        filter.changed_since = time("changes-since")?;
    }
    if cx.version >= v(2, 66) {
        filter.changed_before = time("changes-before")?;
    }
    if let (Some(since), Some(before)) = (filter.changed_since, filter.changed_before)
        && before < since
    {
        return Err(Fault::bad_request(
            "The value of changes-since must be less than or equal to changes-before.",
        ));
    }
    Ok(filter)
}

/// The newest first; pages from 2.59 on.
async fn page(cx: &Cx, query: &Params) -> Result<(Page, usize), Fault> {
    let paged = cx.version >= v(2, 59);
    let limit = page_limit(query.get("limit").filter(|_| paged))?;
    let after = match query.get("marker").filter(|_| paged) {
        None => None,
        Some(marker) => {
            let missing = || Fault::bad_request(format!("Marker {marker} could not be found."));
            let at = store::migrations::get(cx.db(), marker).await?;
            let at = at.ok_or_else(missing)?;
            Some(vec![at.created_at.to_arg(), at.id.to_arg()])
        }
    };
    let page = Page {
        sort: vec![("created_at", Direction::Desc), ("id", Direction::Desc)],
        after,
        limit: Some(limit),
    };
    Ok((page, usize::try_from(limit).unwrap_or(usize::MAX)))
}

fn links(cx: &Cx, one: &Migration) -> Vec<Link> {
    if !one.is_on_its_way() {
        return Vec::new();
    }
    let target = format!("/servers/{}/migrations/{}", one.server_id, one.id);
    let link = |rel, href| Link { rel, href };
    vec![
        link("self", cx.url(&format!("/v2.1{target}"))),
        link("bookmark", cx.url(&target)),
    ]
}

fn view(
    one: Migration,
    hosts: &BTreeMap<String, HostRow>,
    sees_hosts: bool,
    links: Vec<Link>,
) -> MigrationView {
    let seen = |host: Option<String>| host.filter(|_| sees_hosts);
    let node = |host: Option<&String>| {
        let row = hosts.get(host?)?;
        Some(row.inventory.hypervisor_hostname.clone())
    };
    let address = |host: Option<&String>| Some(hosts.get(host?)?.inventory.host_ip.clone());
    MigrationView {
        id: one.id,
        uuid: one.uuid,
        instance_uuid: one.server_id.into(),
        migration_type: one.kind.word(),
        status: one.status.word(),
        source_node: seen(node(Some(&one.source_host))),
        source_compute: seen(Some(one.source_host)),
        dest_node: seen(node(one.dest_host.as_ref())),
        dest_host: seen(address(one.dest_host.as_ref())),
        dest_compute: seen(one.dest_host),
        old_instance_type_id: None,
        new_instance_type_id: None,
        user_id: one.user_id,
        project_id: one.project_id,
        created_at: one.created_at.iso_naive(),
        updated_at: Some(one.updated_at.iso_naive()),
        links,
    }
}
