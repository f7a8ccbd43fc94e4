//! `/flavors`.

use std::collections::BTreeMap;

use nephos_api::{Empty, Fault, Json, Params, Reply, Req, Shape, endpoint, quoted};
use nephos_db::{Direction, Page, args};
use serde::{Deserialize, Serialize};
use serde_json::Value;
use utoipa::ToSchema;

use super::versions::{FLAVOR_BRIEF, FLAVOR_CREATE, FLAVOR_VIEW};
use super::{Cx, fault, page_limit, truth};
use crate::model::flavor::{Flavor, FlavorId, MAX_SIZE};
use crate::model::name;
use crate::{rules, store};

#[derive(Debug, Deserialize)]
pub(crate) struct FlavorPath {
    pub id: FlavorId,
}

/// A flavor as the newest version shows it.
#[derive(Serialize, ToSchema)]
pub(crate) struct FlavorView {
    id: String,
    name: String,
    ram: u64,
    disk: u64,
    swap: u64,
    #[serde(rename = "OS-FLV-EXT-DATA:ephemeral")]
    ephemeral: u64,
    #[serde(rename = "OS-FLV-DISABLED:disabled")]
    disabled: bool,
    vcpus: u32,
    #[serde(rename = "os-flavor-access:is_public")]
    is_public: bool,
    rxtx_factor: f64,
    links: Vec<Link>,
    description: Option<String>,
    extra_specs: BTreeMap<String, String>,
}

/// Where something is.
#[derive(Serialize, ToSchema)]
pub(crate) struct Link {
    pub rel: &'static str,
    pub href: String,
}

/// The two links that everything of Nova has.
pub(crate) fn links(cx: &Cx, kind: &str, id: &str) -> Vec<Link> {
    vec![
        Link {
            rel: "self",
            href: cx.url(&format!("/v2.1/{kind}/{id}")),
        },
        Link {
            rel: "bookmark",
            href: cx.url(&format!("/{kind}/{id}")),
        },
    ]
}

fn view(cx: &Cx, flavor: Flavor) -> FlavorView {
    FlavorView {
        links: links(cx, "flavors", flavor.id.as_str()),
        id: flavor.id.into(),
        name: flavor.name,
        ram: flavor.ram_mib,
        disk: flavor.disk_gib,
        swap: flavor.swap_mib,
        ephemeral: flavor.ephemeral_gib,
        disabled: false,
        vcpus: flavor.vcpus,
        is_public: flavor.is_public,
        rxtx_factor: flavor.rxtx_factor,
        description: flavor.description,
        extra_specs: flavor.extra_specs,
    }
}

#[derive(Serialize, ToSchema)]
pub(crate) struct FlavorReply {
    flavor: FlavorView,
}

#[derive(Serialize, ToSchema)]
pub(crate) struct FlavorList {
    flavors: Vec<FlavorView>,
    #[serde(skip_serializing_if = "Vec::is_empty")]
    flavors_links: Vec<Link>,
}

#[derive(Serialize, ToSchema)]
pub(crate) struct BriefFlavor {
    id: String,
    name: String,
    links: Vec<Link>,
    description: Option<String>,
}

#[derive(Serialize, ToSchema)]
pub(crate) struct BriefFlavorList {
    flavors: Vec<BriefFlavor>,
    #[serde(skip_serializing_if = "Vec::is_empty")]
    flavors_links: Vec<Link>,
}

/// A flavor that the caller may see; 404 else.
pub(crate) async fn visible(cx: &Cx, id: &str) -> Result<Flavor, Fault> {
    let missing = || Fault::not_found(format!("Flavor {id} could not be found."));
    let flavor = store::flavors::get(cx.db(), id)
        .await?
        .ok_or_else(missing)?;
    if flavor.is_public || cx.caller.is_admin() {
        return Ok(flavor);
    }
    let allowed = store::flavors::access(cx.db(), &flavor.id).await?;
    let project = cx
        .caller
        .project_id()
        .map_or("", |project| project.as_str());
    if allowed.iter().any(|allowed| allowed == project) {
        Ok(flavor)
    } else {
        Err(missing())
    }
}

async fn page(cx: &Cx, query: &Params) -> Result<(Vec<Flavor>, u32), Fault> {
    let number = |key: &str| -> Result<Option<u64>, Fault> {
        let wrong = |_| Fault::bad_request(format!("Invalid {key}: it must be a whole number."));
        query
            .get(key)
            .map(|text| text.parse().map_err(wrong))
            .transpose()
    };
    let is_public = match (cx.caller.is_admin(), query.get("is_public")) {
        (true, Some(word)) => match word.to_ascii_lowercase().as_str() {
            "none" => None,
            "0" | "f" | "false" | "no" | "off" | "n" => Some(false),
            "1" | "t" | "true" | "yes" | "on" | "y" => Some(true),
            _other => {
                return Err(Fault::bad_request(format!(
                    "Invalid is_public filter [{word}]"
                )));
            }
        },
        (true, None) => Some(true),
        (false, _) => None,
    };
    let project = cx
        .caller
        .project_id()
        .map(|project| project.to_string())
        .unwrap_or_default();
    let filter = store::flavors::Filter {
        is_public,
        visible_to: (!cx.caller.is_admin()).then_some(project),
        min_ram_mib: number("minRam")?,
        min_disk_gib: number("minDisk")?,
    };
    let column = match query.get("sort_key").unwrap_or("flavorid") {
        "flavorid" | "id" => "id",
        "name" => "name",
        "memory_mb" | "ram" => "ram_mib",
        "vcpus" => "vcpus",
        "root_gb" | "disk" => "disk_gib",
        "created_at" => "created_at",
        "swap" => "swap_mib",
        "ephemeral_gb" => "ephemeral_gib",
        other => return Err(Fault::bad_request(format!("Invalid sort key '{other}'"))),
    };
    let direction = match query.get("sort_dir").unwrap_or("asc") {
        "asc" => Direction::Asc,
        "desc" => Direction::Desc,
        other => {
            return Err(Fault::bad_request(format!(
                "Invalid sort direction '{other}'"
            )));
        }
    };
    let limit = page_limit(query.get("limit"))?;
    let after = match query.get("marker") {
        None => None,
        Some(marker) => {
            let missing = || Fault::bad_request(format!("marker [{marker}] not found"));
            let at = store::flavors::get(cx.db(), marker)
                .await?
                .ok_or_else(missing)?;
            let first = match column {
                "name" => args![at.name],
                "ram_mib" => args![at.ram_mib],
                "vcpus" => args![at.vcpus],
                "disk_gib" => args![at.disk_gib],
                "created_at" => args![at.created_at],
                "swap_mib" => args![at.swap_mib],
                "ephemeral_gib" => args![at.ephemeral_gib],
                _id => args![at.id],
            };
            Some(first.into_iter().chain(args![at.id]).collect())
        }
    };
    let sort = vec![(column, direction), ("id", direction)];
    let page = Page {
        sort,
        after,
        limit: Some(limit),
    };
    Ok((store::flavors::list(cx.db(), &filter, page).await?, limit))
}

fn next(cx: &Cx, path: &str, query: &Params, last: Option<&str>) -> Vec<Link> {
    let Some(last) = last else { return Vec::new() };
    vec![Link {
        rel: "next",
        href: super::server_list::next_url(cx, path, query, last),
    }]
}

endpoint! {
    /// List flavors.
    ListFlavors: GET "/v2.1/flavors" => 200,
    policy: rules::ListFlavors,
    query: Params,
    reply: Json<BriefFlavorList> as Shape::each("flavors", FLAVOR_BRIEF),
    handler: list_flavors,
}

async fn list_flavors(cx: Cx, req: Req<ListFlavors>) -> Reply<ListFlavors> {
    let (flavors, limit) = page(&cx, &req.query).await?;
    let full = flavors.len() == usize::try_from(limit).unwrap_or(usize::MAX);
    let last = flavors
        .last()
        .filter(|_| full)
        .map(|flavor| flavor.id.as_str());
    let flavors_links = next(&cx, "/v2.1/flavors", &req.query, last);
    let brief = |flavor: Flavor| BriefFlavor {
        links: links(&cx, "flavors", flavor.id.as_str()),
        id: flavor.id.into(),
        name: flavor.name,
        description: flavor.description,
    };
    Ok(Json(BriefFlavorList {
        flavors: flavors.into_iter().map(brief).collect(),
        flavors_links,
    }))
}

endpoint! {
    /// List flavors with details.
    ListFlavorsDetail: GET "/v2.1/flavors/detail" => 200,
    policy: rules::ListFlavors,
    query: Params,
    reply: Json<FlavorList> as Shape::each("flavors", FLAVOR_VIEW),
    handler: list_flavors_detail,
}

async fn list_flavors_detail(cx: Cx, req: Req<ListFlavorsDetail>) -> Reply<ListFlavorsDetail> {
    let (flavors, limit) = page(&cx, &req.query).await?;
    let full = flavors.len() == usize::try_from(limit).unwrap_or(usize::MAX);
    let last = flavors
        .last()
        .filter(|_| full)
        .map(|flavor| flavor.id.as_str());
    let flavors_links = next(&cx, "/v2.1/flavors/detail", &req.query, last);
    let flavors = flavors
        .into_iter()
        .map(|flavor| view(&cx, flavor))
        .collect();
    Ok(Json(FlavorList {
        flavors,
        flavors_links,
    }))
}

endpoint! {
    /// Show a flavor.
    ShowFlavor: GET "/v2.1/flavors/{id}" => 200,
    policy: rules::ListFlavors,
    path: FlavorPath,
    reply: Json<FlavorReply> as Shape::one("flavor", FLAVOR_VIEW),
    handler: show_flavor,
}

async fn show_flavor(cx: Cx, req: Req<ShowFlavor>) -> Reply<ShowFlavor> {
    let flavor = visible(&cx, req.path.id.as_str()).await?;
    Ok(Json(FlavorReply {
        flavor: view(&cx, flavor),
    }))
}

#[derive(Deserialize, ToSchema)]
pub(crate) struct FlavorBody {
    flavor: NewFlavor,
}

/// Numbers may come as text, as in all of Nova.
#[derive(Deserialize, ToSchema)]
pub(crate) struct NewFlavor {
    name: String,
    #[serde(default)]
    id: Option<serde_json::Value>,
    ram: Number,
    vcpus: Number,
    disk: Number,
    #[serde(default)]
    swap: Option<Number>,
    #[serde(default, rename = "OS-FLV-EXT-DATA:ephemeral")]
    ephemeral: Option<Number>,
    #[serde(default)]
    rxtx_factor: Option<Number>,
    #[serde(default, rename = "os-flavor-access:is_public")]
    is_public: Option<Truth>,
    #[serde(default)]
    description: Option<String>,
}

/// A number, or its text.
#[derive(Clone, Debug, Deserialize, ToSchema)]
#[serde(untagged)]
pub(crate) enum Number {
    /// As it should be.
    Number(f64),
    /// As some clients send it.
    Text(String),
}

impl Number {
    /// A whole number in a range.
    pub(crate) fn whole(&self, name: &str, least: i64, most: i64) -> Result<u64, Fault> {
        let value = match self {
            Self::Number(number) if number.fract() == 0.0 => format!("{number}").parse().ok(),
            Self::Number(_) => None,
            Self::Text(text) if text.is_empty() => Some(0),
            Self::Text(text) => text.parse::<i64>().ok(),
        };
        let inside = value.filter(|value| (least..=most).contains(value));
        inside
            .and_then(|value| u64::try_from(value).ok())
            .ok_or_else(|| fault::invalid(name, &self.given(), self.why_not(value, least, most)))
    }

    fn given(&self) -> Value {
        match self {
            Self::Number(number) if number.fract() == 0.0 => format!("{number}")
                .parse()
                .map_or(Value::Null, Value::Number),
            Self::Number(number) => Value::from(*number),
            Self::Text(text) => Value::from(text.as_str()),
        }
    }

    fn why_not(&self, value: Option<i64>, least: i64, most: i64) -> String {
        let given = quoted(&self.given());
        match value {
            Some(value) if value < least => format!("{given} is less than the minimum of {least}"),
            Some(_) => format!("{given} is greater than the maximum of {most}"),
            None => format!("{given} is not of type 'integer'"),
        }
    }

    fn real(&self) -> Option<f64> {
        match self {
            Self::Number(number) => Some(*number),
            Self::Text(text) => text.parse().ok(),
        }
    }
}

/// Yes or no, or the text of it.
#[derive(Clone, Debug, Deserialize, ToSchema)]
#[serde(untagged)]
enum Truth {
    /// As it should be.
    Truth(bool),
    /// As some clients send it.
    Text(String),
}

impl Truth {
    fn read(&self, name: &str) -> Result<bool, Fault> {
        match self {
            Self::Truth(truth) => Ok(*truth),
            Self::Text(text) => truth(text).ok_or_else(|| {
                Fault::bad_request(format!(
                    "Invalid input for field/attribute {name}. Value: {text}. '{text}' is not one of [True, 'True', 'TRUE', \
                     'true', '1', 'ON', 'On', 'on', 'YES', 'Yes', 'yes', False, 'False', 'FALSE', 'false', '0', 'OFF', 'Off', \
                     'off', 'NO', 'No', 'no']"
                ))
            }),
        }
    }
}

endpoint! {
    /// Make a flavor.
    CreateFlavor: POST "/v2.1/flavors" => 200,
    policy: rules::CreateFlavor,
    body: Json<FlavorBody> as Shape::one("flavor", FLAVOR_CREATE).keys(&["name", "id", "ram", "vcpus", "disk", "swap",
        "OS-FLV-EXT-DATA:ephemeral", "rxtx_factor", "os-flavor-access:is_public", "description"]),
    reply: Json<FlavorReply> as Shape::one("flavor", FLAVOR_VIEW),
    handler: create_flavor,
}

async fn create_flavor(cx: Cx, req: Req<CreateFlavor>) -> Reply<CreateFlavor> {
    let new = &req.body.0.flavor;
    let is_public = new.is_public.as_ref();
    let is_public = is_public.map_or(Ok(true), |truth| truth.read("os-flavor-access:is_public"))?;
    name::check_description(new.description.as_deref(), name::MAX_FLAVOR_DESCRIPTION)
        .map_err(Fault::bad_request)?;
    let flavor = Flavor {
        id: flavor_id(new.id.as_ref())?,
        name: name::check("name", &new.name).map_err(Fault::bad_request)?,
        description: new.description.clone(),
        vcpus: u32::try_from(new.vcpus.whole("vcpus", 1, MAX_SIZE)?).unwrap_or(u32::MAX),
        ram_mib: new.ram.whole("ram", 1, MAX_SIZE)?,
        disk_gib: new.disk.whole("disk", 0, MAX_SIZE)?,
        ephemeral_gib: optional(new.ephemeral.as_ref(), "OS-FLV-EXT-DATA:ephemeral")?,
        swap_mib: optional(new.swap.as_ref(), "swap")?,
        rxtx_factor: match &new.rxtx_factor {
            None => 1.0,
            Some(number) => number
                .real()
                .filter(|factor| *factor > 0.0)
                .ok_or_else(|| {
                    Fault::bad_request(
                        "Invalid input for field/attribute rxtx_factor. It must be above 0.",
                    )
                })?,
        },
        is_public,
        extra_specs: BTreeMap::new(),
        created_at: cx.now(),
    };
    let mut tx = cx.write().await?;
    if !store::flavors::insert(&mut tx, &flavor).await? {
        return Err(Fault::conflict(format!(
            "Flavor with name {} or ID {} already exists.",
            flavor.name, flavor.id
        )));
    }
    tx.commit().await?;
    Ok(Json(FlavorReply {
        flavor: view(&cx, flavor),
    }))
}

fn optional(number: Option<&Number>, name: &str) -> Result<u64, Fault> {
    number.map_or(Ok(0), |number| number.whole(name, 0, MAX_SIZE))
}

fn flavor_id(asked: Option<&serde_json::Value>) -> Result<FlavorId, Fault> {
    let text = match asked {
        None | Some(serde_json::Value::Null) => None,
        Some(serde_json::Value::String(text)) if text == "auto" => None,
        Some(serde_json::Value::String(text)) => Some(text.clone()),
        Some(serde_json::Value::Number(number)) => Some(number.to_string()),
        Some(_) => {
            return Err(Fault::bad_request(
                "Invalid input for field/attribute id. It must be text.",
            ));
        }
    };
    let Some(text) = text else {
        return Ok(nephos_runtime::ids::uuid().into());
    };
    let allowed = |character: char| {
        character.is_ascii_alphanumeric() || matches!(character, '_' | '-' | '.' | ' ')
    };
    let trimmed = text.trim() == text;
    if text.is_empty() || text.len() > 255 || !text.chars().all(allowed) || !trimmed {
        return Err(Fault::bad_request(
            "Invalid input for field/attribute id. It may hold letters, digits, '.', '-', '_' and blanks inside.",
        ));
    }
    Ok(text.into())
}

#[derive(Deserialize, ToSchema)]
pub(crate) struct FlavorUpdateBody {
    flavor: FlavorUpdate,
}

#[derive(Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub(crate) struct FlavorUpdate {
    description: Option<String>,
}

endpoint! {
    /// Change a flavor's description.
    UpdateFlavor: PUT "/v2.1/flavors/{id}" => 200,
    versions: 2.55..,
    policy: rules::UpdateFlavor,
    path: FlavorPath,
    body: Json<FlavorUpdateBody>,
    reply: Json<FlavorReply> as Shape::one("flavor", FLAVOR_VIEW),
    handler: update_flavor,
}

async fn update_flavor(cx: Cx, req: Req<UpdateFlavor>) -> Reply<UpdateFlavor> {
    let before = visible(&cx, req.path.id.as_str()).await?;
    let mut flavor = before.clone();
    let description = &req.body.0.flavor.description;
    name::check_description(description.as_deref(), name::MAX_FLAVOR_DESCRIPTION)
        .map_err(Fault::bad_request)?;
    flavor.description.clone_from(description);
    let mut tx = cx.write().await?;
    store::flavors::update(&mut tx, &before, &flavor).await?;
    tx.commit().await?;
    Ok(Json(FlavorReply {
        flavor: view(&cx, flavor),
    }))
}

endpoint! {
    /// Delete a flavor. Servers keep their copy of it.
    DeleteFlavor: DELETE "/v2.1/flavors/{id}" => 202,
    policy: rules::DeleteFlavor,
    path: FlavorPath,
    reply: Empty,
    handler: delete_flavor,
}

async fn delete_flavor(cx: Cx, req: Req<DeleteFlavor>) -> Reply<DeleteFlavor> {
    let flavor = visible(&cx, req.path.id.as_str()).await?;
    let mut tx = cx.write().await?;
    store::flavors::remove(&mut tx, &flavor.id).await?;
    tx.commit().await?;
    Ok(Empty)
}
