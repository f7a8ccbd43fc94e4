//! Lists: filters by any attribute, `name__contains` and the like, `limit` and `marker`.

use nephos_api::{Fault, Json, Params};
use nephos_db::{Direction, Page, Where, args};
use serde::Serialize;
use serde_json::Value;

use super::shape::{Linked, Links, Many, Named};
use crate::Cx;

/// How a filter's value is compared.
#[derive(Clone, Copy)]
enum Compare {
    Equal,
    Contains,
    Starts,
    Ends,
}

/// One filter of a query string.
struct Filter<'a> {
    attribute: &'a str,
    compare: Compare,
    /// Whether case counts.
    exact: bool,
    wanted: &'a str,
}

/// The list as the query asks for it. `attributes` are those that may be filtered by; other keys are ignored, as Keystone does.
pub(crate) fn reply<T: Named + Serialize>(
    cx: &Cx,
    asked: (&str, &Params),
    attributes: &[&str],
    items: Vec<T>,
) -> Result<Json<Many<T>>, Fault> {
    let (path, params) = asked;
    let filters: Vec<Filter<'_>> = params
        .0
        .iter()
        .filter_map(|(key, value)| filter(key, value, attributes))
        .collect();
    let mut items: Vec<T> = items;
    if !filters.is_empty() {
        items.retain(|item| {
            let shown = serde_json::to_value(item).unwrap_or_default();
            filters.iter().all(|filter| filter.takes(&shown))
        });
    }
    items.sort_by(|a, b| a.id().cmp(b.id()));
    let (items, next) = page(params, items)?;
    let links = Links {
        own: cx.url(&with_query(path, params, None)),
        previous: None,
        next: next.map(|marker| cx.url(&with_query(path, params, Some(&marker)))),
    };
    let items = items
        .into_iter()
        .map(|item| Linked::new(cx, item))
        .collect();
    Ok(Json(Many { items, links }))
}

/// Most things of a page (Keystone's `max_db_limit`).
const MOST: usize = 1000;

/// The rows that the page can be made of, cut by the database: from the marker on, one more than the page holds. Only
/// where nothing is left out after reading: `by` names the filters that the query has already. `id` is the column,
/// `from` the condition that it is at least the marker.
pub(crate) fn narrow(
    query: Where,
    (id, from): (&'static str, &'static str),
    params: &Params,
    by: &[&str],
) -> Where {
    let fits = |key: &str| matches!(key, "limit" | "marker") || by.contains(&key);
    let limit = params
        .get("limit")
        .and_then(|limit| limit.parse::<usize>().ok());
    let Some(limit) = limit.filter(|_| params.0.iter().all(|(key, _)| fits(key))) else {
        return query;
    };
    let (query, marked) = match params.get("marker") {
        Some(marker) => (query.raw(from, args![marker]), 1),
        None => (query, 0),
    };
    let rows = MOST.min(limit) + 1 + marked;
    query.page(Page {
        sort: vec![(id, Direction::Asc)],
        after: None,
        limit: u32::try_from(rows).ok(),
    })
}

fn page<T: Named>(params: &Params, items: Vec<T>) -> Result<(Vec<T>, Option<String>), Fault> {
    let mut items = items;
    if let Some(marker) = params.get("marker") {
        let at = items
            .iter()
            .position(|item| item.id() == marker)
            .ok_or_else(|| Fault::not_found(format!("Marker {marker} could not be found.")))?;
        items.drain(..=at);
    }
    let Some(limit) = params.get("limit") else {
        return Ok((items, None));
    };
    let is_number = !limit.is_empty() && limit.bytes().all(|byte| byte.is_ascii_digit());
    let limit = is_number
        .then(|| limit.parse::<usize>().unwrap_or(MOST))
        .filter(|limit| *limit > 0)
        .ok_or_else(|| Fault::bad_request("limit must be a whole number greater than 0."))?
        .min(MOST);
    let more = items.len() > limit;
    items.truncate(limit);
    let next = if more {
        items.last().map(|item| item.id().to_owned())
    } else {
        None
    };
    Ok((items, next))
}

pub(super) fn with_query(path: &str, params: &Params, marker: Option<&str>) -> String {
    let mut pairs: Vec<(&str, &str)> = params
        .0
        .iter()
        .map(|(key, value)| (key.as_str(), value.as_str()))
        .filter(|(key, _)| marker.is_none() || *key != "marker")
        .collect();
    pairs.extend(marker.map(|marker| ("marker", marker)));
    if pairs.is_empty() {
        return path.to_owned();
    }
    let query: Vec<String> = pairs
        .iter()
        .map(|(key, value)| format!("{}={}", encode(key), encode(value)))
        .collect();
    format!("{path}?{}", query.join("&"))
}

/// Percent-encodes everything that is not plainly safe in a query.
pub(crate) fn encode(text: &str) -> String {
    let mut encoded = String::with_capacity(text.len());
    for byte in text.bytes() {
        if byte.is_ascii_alphanumeric() || b"-_.~:".contains(&byte) {
            encoded.push(char::from(byte));
        } else {
            encoded.push_str(&format!("%{byte:02X}"));
        }
    }
    encoded
}

fn filter<'a>(key: &'a str, wanted: &'a str, attributes: &[&str]) -> Option<Filter<'a>> {
    let (attribute, how) = key.split_once("__").unwrap_or((key, "equals"));
    if !attributes.contains(&attribute) {
        return None;
    }
    let (exact, plain) = match how.strip_prefix('i') {
        Some(rest) => (false, rest),
        None => (true, how),
    };
    let compare = match plain {
        "equals" | "exact" => Compare::Equal,
        "contains" => Compare::Contains,
        "startswith" => Compare::Starts,
        "endswith" => Compare::Ends,
        _unknown => return None,
    };
    Some(Filter {
        attribute,
        compare,
        exact,
        wanted,
    })
}

impl Filter<'_> {
    fn takes(&self, shown: &Value) -> bool {
        match shown.get(self.attribute) {
            Some(Value::Bool(flag)) => *flag == is_true(self.wanted),
            Some(Value::String(text)) => self.takes_text(text),
            Some(Value::Number(number)) => number.to_string() == self.wanted,
            _null_or_absent => false,
        }
    }

    fn takes_text(&self, text: &str) -> bool {
        let fold = |text: &str| {
            if self.exact {
                text.to_owned()
            } else {
                text.to_lowercase()
            }
        };
        let (text, wanted) = (fold(text), fold(self.wanted));
        match self.compare {
            Compare::Equal => text == wanted,
            Compare::Contains => text.contains(&wanted),
            Compare::Starts => text.starts_with(&wanted),
            Compare::Ends => text.ends_with(&wanted),
        }
    }
}

/// A flag in a query: anything but `0` and `false` is true, so is a key without a value.
pub(crate) fn is_true(text: &str) -> bool {
    !matches!(
        text.to_ascii_lowercase().as_str(),
        "0" | "false" | "no" | "off"
    )
}

/// Whether a key-only flag is set.
pub(crate) fn flag(params: &Params, key: &str) -> bool {
    params.get(key).is_some_and(is_true)
}
