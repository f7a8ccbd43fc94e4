//! Lists as clients ask for them: filters, order, pages, links, fields.

use nephos_api::{Fault, Params};
use nephos_auth::{Rule, Target};
use serde_json::{Value, json};

use crate::Cx;
use crate::model::refusal::Refusal;
use crate::store::listing::{Column, Listing, Of, Tagged};

/// The largest page.
const MAX: u32 = 1000;
/// Keys that are no filters.
const SPECIAL: [&str; 14] = [
    "fields",
    "limit",
    "marker",
    "sort",
    "sort_key",
    "sort_dir",
    "page_reverse",
    "tags",
    "tags-any",
    "not-tags",
    "not-tags-any",
    "project_id",
    "tenant_id",
    "additive_only",
];

/// A list that is asked for, and which fields of its things.
#[derive(Debug)]
pub(crate) struct Asked {
    pub listing: Listing,
    fields: Vec<String>,
    limited: bool,
    params: Params,
}

/// Reads a list of what is of the caller's project, for whom `here` allows it, or of all projects for whom `everywhere` does.
pub(crate) fn read<E: Rule, R: Rule>(
    cx: &Cx,
    params: Params,
    of: Of,
    (everywhere, here): (E, R),
) -> Result<Asked, Fault> {
    let named = params.get("project_id").or_else(|| params.get("tenant_id"));
    let named = named
        .filter(|project| !project.is_empty())
        .map(str::to_owned);
    let own = cx.caller.project_id().map(|project| project.0.clone());
    let target = Target::of_project(named.as_deref().unwrap_or_default());
    let project = if cx.may(everywhere, &target) {
        named
    } else {
        let project = named.or(own);
        let target = Target::of_project(project.as_deref().unwrap_or_default());
        cx.require(here, &target)?;
        Some(project.ok_or_else(|| Fault::forbidden("The token is of no project."))?)
    };
    let mut asked = read_any(params, of)?;
    asked.listing.project = project;
    Ok(asked)
}

/// Reads a list of what hangs on one thing.
pub(crate) fn read_below(params: Params, of: Of, parent: &str) -> Result<Asked, Fault> {
    let mut asked = read_any(params, of)?;
    asked.listing.parent = Some(parent.to_owned());
    Ok(asked)
}

fn read_any(params: Params, of: Of) -> Result<Asked, Refusal> {
    let mut listing = Listing {
        limit: MAX,
        marker: params
            .get("marker")
            .filter(|text| !text.is_empty())
            .map(str::to_owned),
        reverse: params
            .get("page_reverse")
            .is_some_and(|text| text.eq_ignore_ascii_case("true")),
        ..Listing::default()
    };
    let mut limited = false;
    if let Some(text) = params.get("limit").filter(|text| !text.is_empty()) {
        let wrong = || Refusal::plain(format!("Supplied pagination limit '{text}' is not valid."));
        let limit: u32 = text.parse().map_err(|_| wrong())?;
        if limit > 0 {
            listing.limit = limit.min(MAX);
            limited = true;
        }
    }
    for (key, value) in &params.0 {
        if SPECIAL.contains(&key.as_str()) {
            continue;
        }
        let column = of.column(key);
        let column = column
            .ok_or_else(|| Refusal::plain(format!("{key} is not an attribute to filter by.")))?;
        listing.filters.push((column, value.clone()));
    }
    for (key, how) in [
        ("tags", Tagged::All),
        ("tags-any", Tagged::Any),
        ("not-tags", Tagged::NotAll),
        ("not-tags-any", Tagged::NotAny),
    ] {
        let texts = params.all(key).flat_map(|text| text.split(','));
        let tags: Vec<String> = texts
            .filter(|text| !text.is_empty())
            .map(str::to_owned)
            .collect();
        if !tags.is_empty() {
            listing.tags.push((how, tags));
        }
    }
    listing.sort = sort(&params, of)?;
    Ok(Asked {
        listing,
        fields: fields_of(&params),
        limited,
        params,
    })
}

/// `sort=name:desc,id` or `sort_key=name&sort_dir=desc`; without, in the order of their making.
fn sort(params: &Params, of: Of) -> Result<Vec<(Column, bool)>, Refusal> {
    let mut pairs: Vec<(String, String)> = Vec::new();
    for text in params.all("sort").flat_map(|text| text.split(',')) {
        let (key, direction) = text.split_once(':').unwrap_or((text, "asc"));
        pairs.push((key.to_owned(), direction.to_owned()));
    }
    let mut directions = params.all("sort_dir");
    for key in params.all("sort_key") {
        let direction = directions.next().unwrap_or("asc");
        pairs.push((key.to_owned(), direction.to_owned()));
    }
    if pairs.is_empty() {
        pairs.push(("created_at".to_owned(), "asc".to_owned()));
    }
    let mut sort = Vec::new();
    for (key, direction) in pairs {
        let column = of.column(&key);
        let column = column
            .ok_or_else(|| Refusal::plain(format!("Supplied sort key '{key}' is not valid.")))?;
        let down = match direction.as_str() {
            "asc" => false,
            "desc" => true,
            other => {
                let words = format!("Supplied sort direction '{other}' is not valid.");
                return Err(Refusal::plain(words));
            }
        };
        sort.push((column, down));
    }
    Ok(sort)
}

/// The fields that a query asks for; none: all.
pub(crate) fn fields_of(params: &Params) -> Vec<String> {
    let texts = params.all("fields").flat_map(|text| text.split(','));
    texts
        .filter(|text| !text.is_empty())
        .map(str::to_owned)
        .collect()
}

/// A view with just these fields.
pub(crate) fn only(mut view: Value, fields: &[String]) -> Value {
    if let Some(view) = view.as_object_mut()
        && !fields.is_empty()
    {
        view.retain(|key, _| fields.iter().any(|field| field == key));
    }
    view
}

/// There is no such marker.
pub(crate) fn no_marker(asked: &Asked) -> Fault {
    let marker = asked.listing.marker.as_deref().unwrap_or_default();
    Refusal::plain(format!(
        "Supplied pagination marker '{marker}' is not valid."
    ))
    .into()
}

impl Asked {
    /// The page, with links to its neighbours where there may be some.
    pub(crate) fn page(self, cx: &Cx, (path, key): (&str, &str), views: Vec<Value>) -> Value {
        let id = |view: Option<&Value>| {
            let id = view.and_then(|view| view.get("id")).and_then(Value::as_str);
            id.map(str::to_owned)
        };
        let (first, last) = (id(views.first()), id(views.last()));
        let full = u32::try_from(views.len()).is_ok_and(|count| count >= self.listing.limit);
        let mut links = Vec::new();
        // Whoever asks for no limit gets the largest page, and the way to what is left.
        if self.limited || full {
            if full && let Some(last) = last {
                links.push(self.link(cx, path, ("next", &last)));
            }
            if self.listing.marker.is_some()
                && let Some(first) = first
            {
                links.push(self.link(cx, path, ("previous", &first)));
            }
        }
        let views: Vec<Value> = views
            .into_iter()
            .map(|view| only(view, &self.fields))
            .collect();
        json!({ (key): views, (format!("{key}_links")): links })
    }

    fn link(&self, cx: &Cx, path: &str, (rel, marker): (&str, &str)) -> Value {
        let kept = self.params.0.iter();
        let kept = kept.filter(|(key, _)| key != "marker" && key != "page_reverse");
        let mut pairs: Vec<(&str, &str)> = kept
            .map(|(key, value)| (key.as_str(), value.as_str()))
            .collect();
        pairs.push(("marker", marker));
        if rel == "previous" {
            pairs.push(("page_reverse", "True"));
        }
        let query = serde_urlencoded::to_string(&pairs).unwrap_or_default();
        json!({"rel": rel, "href": cx.url(&format!("/v2.0/lbaas/{path}?{query}"))})
    }
}
