//! Lists: filters, sorting, pages, links, fields. What can be filtered and sorted is data next to the endpoint.

use std::marker::PhantomData;

use nephos_api::{Fault, Params};
use nephos_db::{Arg, Direction, FromRow, Page, Row, ToArg, Where, args};

use crate::Cx;
use crate::api::envelope::{Keys, Kind, Link, Many, Shown};
use crate::api::resource;
use crate::model::refusal::Refusal;

/// How a filter compares.
#[derive(Clone, Copy)]
pub(crate) enum Filter {
    /// A text column.
    Text(&'static str),
    /// A truth column.
    Flag(&'static str),
    /// A number column.
    Int(&'static str),
    /// 4 or 6 written in another way: values become texts by this function.
    Mapped(&'static str, fn(&str) -> String),
    /// Anything else: what to add for the given values; none when a value makes no sense.
    Custom(fn(Where, &[&str], &str) -> Option<Where>),
}

/// What a list takes.
pub(crate) struct Listing {
    /// The column of the id.
    pub id: &'static str,
    /// The column of the time of the last change; empty: none is kept.
    pub updated_at: &'static str,
    /// Filters by the name of their attribute.
    pub filters: &'static [(&'static str, Filter)],
    /// Columns to sort by, by the name of their attribute; none can be NULL.
    pub sorts: &'static [(&'static str, &'static str)],
    /// The query that reads the sort columns of one row.
    pub marker: &'static str,
}

/// A list as one caller asked for it.
pub(crate) struct Asked {
    pub query: Where,
    pub keys: Keys,
    limit: Option<u32>,
    reverse: bool,
    params: Params,
}

/// Keys that are no filters.
const SPECIAL: [&str; 12] = [
    "fields",
    "limit",
    "marker",
    "page_reverse",
    "sort_key",
    "sort_dir",
    "tags",
    "tags-any",
    "not-tags",
    "not-tags-any",
    "changed_since",
    "verbose",
];

impl Listing {
    /// Turns the query string into a query.
    pub async fn read(&self, cx: &Cx, query: Where, params: Params) -> Result<Asked, Fault> {
        let query = self.filtered(cx, query, &params)?;
        let query = self.tagged(query, &params)?;
        let limit = match params.get("limit").filter(|text| !text.is_empty()) {
            None => None,
            Some(text) => match nephos_types::count(text) {
                Some(0) => None,
                Some(limit) => Some(limit.min(1000)),
                None => {
                    return Err(Refusal::request(format!(
                        "Limit must be an integer 0 or greater and not '{text}'"
                    ))
                    .into());
                }
            },
        };
        let reverse = params
            .get("page_reverse")
            .is_some_and(|text| text.eq_ignore_ascii_case("true"));
        let mut sort = self.sort(&params)?;
        if reverse {
            for (_, direction) in &mut sort {
                *direction = match direction {
                    Direction::Asc => Direction::Desc,
                    Direction::Desc => Direction::Asc,
                };
            }
        }
        let after = match params.get("marker").filter(|text| !text.is_empty()) {
            None => None,
            Some(marker) => Some(self.position(cx, &sort, marker).await?),
        };
        let query = query.page(Page { sort, after, limit });
        Ok(Asked {
            query,
            keys: Keys::asked(asked_fields(&params)),
            limit,
            reverse,
            params,
        })
    }

    fn filtered(&self, cx: &Cx, mut query: Where, params: &Params) -> Result<Where, Fault> {
        let mut done: Vec<&str> = Vec::new();
        for (key, _) in &params.0 {
            let key = key.as_str();
            if SPECIAL.contains(&key) || done.contains(&key) {
                continue;
            }
            done.push(key);
            let filter = self
                .filters
                .iter()
                .find(|(name, _)| *name == key)
                .map(|(_, filter)| *filter)
                .ok_or_else(|| {
                    Refusal::request(format!("['{key}'] is invalid attribute for filtering"))
                })?;
            let values: Vec<&str> = params.all(key).collect();
            let own = resource::own(&cx.caller);
            query = filter.narrow(query, &values, own).ok_or_else(|| {
                Refusal::request(format!("Invalid input for filter {key}: {values:?}"))
            })?;
        }
        Ok(query)
    }

    fn tagged(&self, mut query: Where, params: &Params) -> Result<Where, Fault> {
        let tags = |key: &str| -> Option<Vec<Arg>> {
            params
                .get(key)
                .map(|text| text.split(',').map(ToArg::to_arg).collect())
        };
        // All of the tags: one condition each. Any of them: one group each.
        for tag in tags("tags").unwrap_or_default() {
            query = query.raw(self.has_tag(true), vec![tag]);
        }
        if let Some(any) = tags("tags-any") {
            let groups = any
                .into_iter()
                .map(|tag| Where::group().raw(self.has_tag(true), vec![tag]));
            query = query.any(groups.collect());
        }
        if let Some(all) = tags("not-tags") {
            let groups = all
                .into_iter()
                .map(|tag| Where::group().raw(self.has_tag(false), vec![tag]));
            query = query.any(groups.collect());
        }
        for tag in tags("not-tags-any").unwrap_or_default() {
            query = query.raw(self.has_tag(false), vec![tag]);
        }
        if let Some(since) = params.get("changed_since") {
            let at = nephos_types::Timestamp::parse(since).filter(|_| !self.updated_at.is_empty());
            let Some(at) = at else {
                return Err(Refusal::request(format!(
                    "The input changed_since must be in the following format: YYYY-MM-DDTHH:MM:SS and not {since}"
                ))
                .into());
            };
            query = query.ge(self.updated_at, at);
        }
        Ok(query)
    }

    fn has_tag(&self, has: bool) -> &'static str {
        match (self.id.split('.').next().unwrap_or_default(), has) {
            ("s", true) => "s.id IN (SELECT resource_id FROM tags WHERE tag = {})",
            ("s", false) => "s.id NOT IN (SELECT resource_id FROM tags WHERE tag = {})",
            ("p", true) => "p.id IN (SELECT resource_id FROM tags WHERE tag = {})",
            ("p", false) => "p.id NOT IN (SELECT resource_id FROM tags WHERE tag = {})",
            ("f", true) => "f.id IN (SELECT resource_id FROM tags WHERE tag = {})",
            ("f", false) => "f.id NOT IN (SELECT resource_id FROM tags WHERE tag = {})",
            ("r", true) => "r.id IN (SELECT resource_id FROM tags WHERE tag = {})",
            ("r", false) => "r.id NOT IN (SELECT resource_id FROM tags WHERE tag = {})",
            (_plain, true) => "id IN (SELECT resource_id FROM tags WHERE tag = {})",
            (_plain, false) => "id NOT IN (SELECT resource_id FROM tags WHERE tag = {})",
        }
    }

    fn sort(&self, params: &Params) -> Result<Vec<(&'static str, Direction)>, Fault> {
        let keys: Vec<&str> = params.all("sort_key").collect();
        let directions: Vec<&str> = params.all("sort_dir").collect();
        if !directions.is_empty() && directions.len() != keys.len() {
            return Err(
                Refusal::request("The number of sort_keys and sort_dirs must be same").into(),
            );
        }
        let mut sort = Vec::new();
        for (index, key) in keys.iter().enumerate() {
            let column = if *key == "id" {
                self.id
            } else {
                self.sorts
                    .iter()
                    .find(|(name, _)| name == key)
                    .map(|(_, column)| *column)
                    .ok_or_else(|| {
                        Refusal::request(format!("['{key}'] is invalid attribute for sort_keys"))
                    })?
            };
            let direction = match directions.get(index).copied().unwrap_or("asc") {
                "asc" => Direction::Asc,
                "desc" => Direction::Desc,
                other => {
                    return Err(Refusal::request(format!(
                        "sort_dir must be asc or desc and not '{other}'"
                    ))
                    .into());
                }
            };
            sort.push((column, direction));
        }
        if !sort.iter().any(|(column, _)| *column == self.id) {
            let direction = sort
                .last()
                .map_or(Direction::Asc, |(_, direction)| *direction);
            sort.push((self.id, direction));
        }
        Ok(sort)
    }

    /// The sort columns of the marker's row.
    async fn position(
        &self,
        cx: &Cx,
        sort: &[(&'static str, Direction)],
        marker: &str,
    ) -> Result<Vec<Arg>, Fault> {
        let found: Vec<MarkerRow> = cx
            .db()
            .fetch_where(&Where::new(self.marker).eq(self.id, marker))
            .await?;
        let Some(MarkerRow(row)) = found.into_iter().next() else {
            return Err(Refusal::missing(
                "HTTPNotFound",
                format!("Marker {marker} could not be found."),
            )
            .into());
        };
        let mut values = Vec::new();
        for (column, _) in sort {
            let name = column.rsplit('.').next().unwrap_or(column);
            values.push(value_of(&row, name)?);
        }
        Ok(values)
    }
}

/// A row of any columns: a page's marker.
struct MarkerRow(Vec<(&'static str, Arg)>);

/// Every column that any list is sorted by, with how it is read.
const SORTABLE: [&str; 22] = [
    "id",
    "name",
    "project_id",
    "status",
    "network_id",
    "cidr",
    "gateway_ip",
    "mac",
    "device_id",
    "device_owner",
    "host",
    "description",
    "network_type",
    "floating_ip",
    "fixed_ip",
    "direction",
    "ethertype",
    "protocol",
    "object_type",
    "object_id",
    "security_group_id",
    "port_id",
];
const SORTABLE_NUMBERS: [&str; 8] = [
    "mtu",
    "created_at",
    "updated_at",
    "revision",
    "ip_version",
    "default_prefixlen",
    "max_kbps",
    "max_burst_kbps",
];
const SORTABLE_FLAGS: [&str; 5] = [
    "admin_state_up",
    "enable_dhcp",
    "external",
    "is_default",
    "stateful",
];

impl FromRow for MarkerRow {
    fn from_row(row: &Row) -> Result<Self, nephos_db::Error> {
        let mut values = Vec::new();
        for name in SORTABLE {
            if let Ok(value) = row.get::<String>(name) {
                values.push((name, value.to_arg()));
            }
        }
        for name in SORTABLE_NUMBERS {
            if let Ok(value) = row.get::<i64>(name) {
                values.push((name, value.to_arg()));
            }
        }
        for name in SORTABLE_FLAGS {
            if let Ok(value) = row.get::<bool>(name) {
                values.push((name, value.to_arg()));
            }
        }
        Ok(Self(values))
    }
}

fn value_of(row: &[(&'static str, Arg)], name: &str) -> Result<Arg, Fault> {
    row.iter()
        .find(|(known, _)| *known == name)
        .map(|(_, value)| value.clone())
        .ok_or_else(|| Refusal::request(format!("a page cannot be sorted by {name}")).into())
}

/// The fields that a query string asks for.
pub(super) fn asked_fields(params: &Params) -> Vec<String> {
    params
        .all("fields")
        .flat_map(|text| text.split(','))
        .filter(|name| !name.is_empty())
        .map(str::to_owned)
        .collect()
}

impl Filter {
    fn narrow(self, query: Where, values: &[&str], own: &str) -> Option<Where> {
        match self {
            Self::Text(column) => Some(query.in_(column, values.iter().copied())),
            Self::Mapped(column, map) => {
                Some(query.in_(column, values.iter().map(|value| map(value))))
            }
            Self::Int(column) => {
                let numbers: Option<Vec<i64>> =
                    values.iter().map(|value| value.parse().ok()).collect();
                Some(query.in_(column, numbers?))
            }
            Self::Flag(column) => {
                let bits: Option<Vec<bool>> = values.iter().map(|value| flag(value)).collect();
                Some(query.in_(column, bits?))
            }
            Self::Custom(narrow) => narrow(query, values, own),
        }
    }
}

/// The filter `shared`: whether a grant makes the thing part of the caller's or of every project.
pub(super) fn shared_is(query: Where, values: &[&str], own: &str) -> Option<Where> {
    let shared = "id IN (SELECT object_id FROM rbac_policies WHERE action = 'access_as_shared' \
        AND target_project IN ('*', {}))";
    let not = "id NOT IN (SELECT object_id FROM rbac_policies WHERE action = 'access_as_shared' \
        AND target_project IN ('*', {}))";
    match flag(values.first()?)? {
        true => Some(query.raw(shared, args![own])),
        false => Some(query.raw(not, args![own])),
    }
}

/// A truth value of a query string.
pub(super) fn flag(text: &str) -> Option<bool> {
    match text.to_ascii_lowercase().as_str() {
        "true" | "1" => Some(true),
        "false" | "0" => Some(false),
        _other => None,
    }
}

impl Asked {
    /// The page, with links to its neighbours.
    pub fn page<K: Kind>(self, cx: &Cx, path: &str, mut rows: Vec<(String, Shown)>) -> Many<K> {
        if self.reverse {
            rows.reverse();
        }
        let links = self.links(cx, path, &rows);
        Many {
            items: rows.into_iter().map(|(_, shown)| shown).collect(),
            links,
            kind: PhantomData,
        }
    }

    fn links(&self, cx: &Cx, path: &str, rows: &[(String, Shown)]) -> Vec<Link> {
        let Some(limit) = self.limit else {
            return Vec::new();
        };
        let full = rows.len() >= limit as usize;
        let link = |rel, marker: Option<&String>, reverse: bool| {
            let mut pairs: Vec<(&str, &str)> = self
                .params
                .0
                .iter()
                .filter(|(key, _)| key != "marker" && key != "page_reverse")
                .map(|(key, value)| (key.as_str(), value.as_str()))
                .collect();
            if let Some(marker) = marker {
                pairs.push(("marker", marker));
            }
            if reverse {
                pairs.push(("page_reverse", "True"));
            }
            let href = cx.url(&format!("{path}?{}", encoded(&pairs)));
            Link { rel, href }
        };
        let mut links = Vec::new();
        if full || self.reverse {
            links.push(link("next", rows.last().map(|(id, _)| id), false));
        }
        if full || !self.reverse {
            links.push(link("previous", rows.first().map(|(id, _)| id), true));
        }
        links
    }
}

/// A query string of pairs.
fn encoded(pairs: &[(&str, &str)]) -> String {
    let mut text = String::new();
    for (key, value) in pairs {
        if !text.is_empty() {
            text.push('&');
        }
        escape(&mut text, key);
        text.push('=');
        escape(&mut text, value);
    }
    text
}

fn escape(text: &mut String, raw: &str) {
    for byte in raw.bytes() {
        if byte.is_ascii_alphanumeric() || b"-_.~".contains(&byte) {
            text.push(char::from(byte));
        } else {
            text.push_str(&format!("%{byte:02X}"));
        }
    }
}

/// Narrows a list to what the caller may see: the project's own and what is shared with it. `own` is the condition for
/// the former, `granted` the column of ids in grants.
pub(super) fn visible(cx: &Cx, query: Where, own: &'static str, granted: &'static str) -> Where {
    if cx.caller.is_admin() || cx.caller.has_role("service") {
        return query;
    }
    let project = resource::own(&cx.caller);
    let mut groups = vec![Where::group().raw(own, args![project])];
    if !granted.is_empty() {
        groups.push(Where::group().raw(granted, args![project]));
    }
    query.any(groups)
}
