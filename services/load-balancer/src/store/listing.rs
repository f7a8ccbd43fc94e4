//! Lists: filters, order, pages. Which attributes there are is data.

use nephos_db::{Arg, Db, Direction, Error, Page, ToArg, Where};

use super::{balancers, parts};
use crate::model::body::truth;
use crate::model::tree::{Balancer, Kind, Part};

/// How an attribute is kept.
#[derive(Clone, Copy, Debug)]
pub(crate) enum Column {
    Text(&'static str),
    Number(&'static str),
    Flag(&'static str),
    Time(&'static str),
}

impl Column {
    const fn name(self) -> &'static str {
        match self {
            Self::Text(name) | Self::Number(name) | Self::Flag(name) | Self::Time(name) => name,
        }
    }
}

/// The attributes of everything.
const COMMON: &[(&str, Column)] = &[
    ("id", Column::Text("id")),
    ("name", Column::Text("name")),
    ("description", Column::Text("description")),
    ("project_id", Column::Text("project_id")),
    ("tenant_id", Column::Text("project_id")),
    ("admin_state_up", Column::Flag("enabled")),
    ("enabled", Column::Flag("enabled")),
    ("provisioning_status", Column::Text("provisioning_status")),
    ("operating_status", Column::Text("operating_status")),
    ("created_at", Column::Time("created_at")),
    ("updated_at", Column::Time("COALESCE(updated_at, 0)")),
];
const OF_BALANCERS: &[(&str, Column)] = &[
    ("provider", Column::Text("provider")),
    ("vip_address", Column::Text("vip_address")),
    ("vip_port_id", Column::Text("vip_port_id")),
    ("vip_subnet_id", Column::Text("vip_subnet_id")),
    ("vip_network_id", Column::Text("vip_network_id")),
];
const OF_LISTENERS: &[(&str, Column)] = &[
    ("loadbalancer_id", Column::Text("balancer_id")),
    ("load_balancer_id", Column::Text("balancer_id")),
    ("protocol", Column::Text("protocol")),
    ("protocol_port", Column::Number("port")),
    ("default_pool_id", Column::Text("pool_id")),
];
const OF_POOLS: &[(&str, Column)] = &[
    ("loadbalancer_id", Column::Text("balancer_id")),
    ("load_balancer_id", Column::Text("balancer_id")),
    ("protocol", Column::Text("protocol")),
    ("lb_algorithm", Column::Text("variant")),
];
const OF_MEMBERS: &[(&str, Column)] = &[
    ("address", Column::Text("address")),
    ("ip_address", Column::Text("address")),
    ("protocol_port", Column::Number("port")),
    ("pool_id", Column::Text("parent_id")),
];
const OF_MONITORS: &[(&str, Column)] = &[
    ("type", Column::Text("variant")),
    ("pool_id", Column::Text("parent_id")),
];
const OF_POLICIES: &[(&str, Column)] = &[
    ("action", Column::Text("variant")),
    ("listener_id", Column::Text("parent_id")),
    ("position", Column::Number("port")),
    ("redirect_pool_id", Column::Text("pool_id")),
];
const OF_RULES: &[(&str, Column)] = &[
    ("type", Column::Text("variant")),
    ("compare_type", Column::Text("protocol")),
    ("value", Column::Text("address")),
    // The SDK says it in the path and once more here.
    ("l7policy_id", Column::Text("parent_id")),
];

/// What a list is of.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Of {
    Balancers,
    Parts(Kind),
}

impl Of {
    /// How an attribute of its things is kept.
    pub(crate) fn column(self, attribute: &str) -> Option<Column> {
        let own = match self {
            Self::Balancers => OF_BALANCERS,
            Self::Parts(Kind::Listener) => OF_LISTENERS,
            Self::Parts(Kind::Pool) => OF_POOLS,
            Self::Parts(Kind::Member) => OF_MEMBERS,
            Self::Parts(Kind::Monitor) => OF_MONITORS,
            Self::Parts(Kind::Policy) => OF_POLICIES,
            Self::Parts(Kind::Rule) => OF_RULES,
        };
        let mut all = COMMON.iter().chain(own);
        let found = all.find(|(name, _)| *name == attribute);
        found.map(|(_, column)| *column)
    }
}

/// A list that is asked for.
#[derive(Clone, Debug, Default)]
pub(crate) struct Listing {
    pub project: Option<String>,
    /// What all hang on.
    pub parent: Option<String>,
    pub filters: Vec<(Column, String)>,
    pub tags: Vec<(Tagged, Vec<String>)>,
    pub sort: Vec<(Column, bool)>,
    /// Behind this thing.
    pub marker: Option<String>,
    pub reverse: bool,
    pub limit: u32,
}

/// Which things a filter by tags means.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Tagged {
    All,
    Any,
    NotAll,
    NotAny,
}

/// Load balancers.
pub(crate) async fn balancers(db: &Db, listing: &Listing) -> Result<Option<Vec<Balancer>>, Error> {
    let Some(query) = paged(
        db,
        Where::new(balancers::SELECT),
        listing,
        "SELECT * FROM balancers",
    )
    .await?
    else {
        return Ok(None);
    };
    let mut found = db.fetch_where(&query).await?;
    if listing.reverse {
        found.reverse();
    }
    Ok(Some(found))
}

/// Parts of a kind.
pub(crate) async fn parts(
    db: &Db,
    kind: Kind,
    listing: &Listing,
) -> Result<Option<Vec<Part>>, Error> {
    let select = Where::new(parts::SELECT).eq("kind", kind.as_str());
    let select = select.eq_opt("parent_id", listing.parent.as_ref());
    let Some(query) = paged(db, select, listing, "SELECT * FROM parts").await? else {
        return Ok(None);
    };
    let mut found = db.fetch_where(&query).await?;
    if listing.reverse {
        found.reverse();
    }
    Ok(Some(found))
}

/// None: there is no such marker.
async fn paged(
    db: &Db,
    select: Where,
    listing: &Listing,
    whole: &'static str,
) -> Result<Option<Where>, Error> {
    let mut query = filtered(select, listing);
    let direction = |down: bool| match down != listing.reverse {
        true => Direction::Desc,
        false => Direction::Asc,
    };
    let mut sort: Vec<(&'static str, Direction)> = Vec::new();
    for (column, down) in &listing.sort {
        sort.push((column.name(), direction(*down)));
    }
    if !sort.iter().any(|(name, _)| *name == "id") {
        let last = sort.last().map_or(direction(false), |(_, last)| *last);
        sort.push(("id", last));
    }
    let mut after = None;
    if let Some(marker) = &listing.marker {
        let mut values: Vec<Arg> = Vec::new();
        for (name, _) in &sort {
            let column = listing.sort.iter().map(|(column, _)| *column);
            let column = column
                .chain([Column::Text("id")])
                .find(|one| one.name() == *name);
            let Some(value) =
                value_of(db, whole, marker, column.unwrap_or(Column::Text("id"))).await?
            else {
                return Ok(None);
            };
            values.push(value);
        }
        after = Some(values);
    }
    query = query.page(Page {
        sort,
        after,
        limit: Some(listing.limit),
    });
    Ok(Some(query))
}

/// A value of the marker's row.
async fn value_of(
    db: &Db,
    whole: &'static str,
    marker: &str,
    column: Column,
) -> Result<Option<Arg>, Error> {
    let query = Where::new(whole).eq("id", marker);
    let found: Vec<Any> = db.fetch_where(&query).await?;
    let Some(Any(row)) = found.into_iter().next() else {
        return Ok(None);
    };
    let value = row.into_iter().find(|(name, _)| *name == column.name());
    Ok(value.map(|(_, value)| value))
}

/// The values that a row can be sorted by.
struct Any(Vec<(&'static str, Arg)>);

impl nephos_db::FromRow for Any {
    fn from_row(row: &nephos_db::Row) -> Result<Self, Error> {
        let all = [
            COMMON,
            OF_BALANCERS,
            OF_LISTENERS,
            OF_POOLS,
            OF_MEMBERS,
            OF_MONITORS,
            OF_POLICIES,
        ];
        let mut values = Vec::new();
        for (_, column) in all.into_iter().flatten() {
            let name = column.name();
            let value = match column {
                Column::Text(_) => row.get::<String>(name).map(|value| value.to_arg()),
                Column::Flag(_) => row.get::<bool>(name).map(|value| value.to_arg()),
                Column::Time(begin) if begin.starts_with("COALESCE") => row
                    .get::<Option<i64>>("updated_at")
                    .map(|value| value.unwrap_or(0).to_arg()),
                Column::Number(_) | Column::Time(_) => {
                    row.get::<i64>(name).map(|value| value.to_arg())
                }
            };
            // Of the other table there is none.
            if let Ok(value) = value {
                values.push((name, value));
            }
        }
        Ok(Self(values))
    }
}

fn filtered(mut query: Where, listing: &Listing) -> Where {
    query = query.eq_opt("project_id", listing.project.as_ref());
    for (column, value) in &listing.filters {
        query = match column {
            Column::Text(name) => query.eq(name, value),
            Column::Number(name) => query.eq(name, value.parse::<i64>().unwrap_or(-1)),
            Column::Flag(name) => match truth(value) {
                Some(flag) => query.eq(name, flag),
                None => query.raw("1=0", Vec::new()),
            },
            Column::Time(name) => match nephos_types::Timestamp::parse(value) {
                Some(at) => query.ge(name, at).lt(name, at.plus_secs(1)),
                None => query.raw("1=0", Vec::new()),
            },
        };
    }
    for (how, tags) in &listing.tags {
        let one = |has: bool, tag: &String| {
            let condition = if has {
                "id IN (SELECT owner_id FROM tags WHERE tag = {})"
            } else {
                "id NOT IN (SELECT owner_id FROM tags WHERE tag = {})"
            };
            (condition, vec![tag.to_arg()])
        };
        let has = matches!(how, Tagged::All | Tagged::Any);
        if matches!(how, Tagged::All | Tagged::NotAny) {
            for tag in tags {
                let (condition, args) = one(has, tag);
                query = query.raw(condition, args);
            }
        } else {
            let group = |tag| {
                let (condition, args) = one(has, tag);
                Where::group().raw(condition, args)
            };
            query = query.any(tags.iter().map(group).collect());
        }
    }
    query
}
