//! What a list is asked for: page, order, filters.

use nephos_types::Timestamp;

use super::body::{Refusal, truth};

/// The largest page.
pub(crate) const MAX_LIMIT: u32 = 1000;

/// A list that is asked for.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct ListQuery {
    pub limit: u32,
    pub offset: usize,
    pub marker: Option<String>,
    /// Keys with whether they go down; without the last one, the id.
    pub sort: Vec<(String, bool)>,
    pub filters: Vec<(String, String)>,
    pub all_projects: bool,
    pub with_count: bool,
}

impl ListQuery {
    /// Reads a query; `keys` are those that a list can be sorted by.
    pub(crate) fn parse(pairs: &[(String, String)], keys: &[&str]) -> Result<Self, Refusal> {
        let mut query = Self {
            limit: MAX_LIMIT,
            offset: 0,
            marker: None,
            sort: Vec::new(),
            filters: Vec::new(),
            all_projects: false,
            with_count: false,
        };
        let (mut sort_key, mut sort_dir) = (None, None);
        for (key, value) in pairs {
            match key.as_str() {
                "limit" => query.limit = limit(value)?,
                "offset" => query.offset = offset(value)?,
                "marker" => query.marker = Some(value.clone()),
                "sort" => query.sort = sorted(value)?,
                "sort_key" => sort_key = Some(value.as_str()),
                "sort_dir" => sort_dir = Some(value.as_str()),
                "all_tenants" | "all_projects" => {
                    query.all_projects = truth(value).ok_or_else(|| {
                        format!("Invalid input received: Invalid value '{value}' for all_tenants.")
                    })?;
                }
                "created_at" | "updated_at" => {
                    times(key, value)?;
                    query.filters.push((key.clone(), value.clone()));
                }
                "with_count" => query.with_count = truth(value).unwrap_or(false),
                _filter => query.filters.push((key.clone(), value.clone())),
            }
        }
        if query.sort.is_empty() {
            let down = direction(sort_dir.unwrap_or("desc"))?;
            query.sort = vec![(sort_key.unwrap_or("created_at").to_owned(), down)];
        }
        for (key, _) in &query.sort {
            if !keys.contains(&key.as_str()) {
                return Err(format!(
                    "Invalid input received: {key} is not a key to sort by."
                ));
            }
        }
        Ok(query)
    }
}

/// A comparison with a time, or several: `gt:2026-01-01T00:00:00,lte:…`; without an operator, the same time is meant.
pub(crate) fn times(key: &str, text: &str) -> Result<Vec<(&'static str, Timestamp)>, Refusal> {
    const OPERATORS: [&str; 6] = ["gt", "gte", "eq", "neq", "lt", "lte"];
    let one = |piece: &str| {
        let (word, at) = piece.split_once(':').unwrap_or(("eq", piece));
        let operator = OPERATORS.into_iter().find(|operator| *operator == word);
        // A time has colons itself.
        let (operator, at) = operator.map_or(("eq", piece), |operator| (operator, at));
        let at = Timestamp::parse(at).ok_or_else(|| format!("Invalid {key} value: {text}"))?;
        Ok((operator, at))
    };
    text.split(',').map(one).collect()
}

fn limit(text: &str) -> Result<u32, Refusal> {
    let number: i64 = text
        .parse()
        .map_err(|_| "limit param must be an integer".to_owned())?;
    if number < 0 {
        return Err("limit param must be positive".to_owned());
    }
    Ok(u32::try_from(number).unwrap_or(MAX_LIMIT).min(MAX_LIMIT))
}

fn offset(text: &str) -> Result<usize, Refusal> {
    let wrong = || "offset param must be a non-negative integer".to_owned();
    let number: u32 = text.parse().map_err(|_| wrong())?;
    // What Cinder's database can skip.
    if number > i32::MAX as u32 {
        return Err(wrong());
    }
    usize::try_from(number).map_err(|_| wrong())
}

fn sorted(text: &str) -> Result<Vec<(String, bool)>, Refusal> {
    let pieces = text
        .split(',')
        .map(str::trim)
        .filter(|piece| !piece.is_empty());
    pieces
        .map(|piece| {
            let (key, dir) = piece.split_once(':').unwrap_or((piece, "desc"));
            Ok((key.to_owned(), direction(dir)?))
        })
        .collect()
}

fn direction(word: &str) -> Result<bool, Refusal> {
    match word {
        "desc" => Ok(true),
        "asc" => Ok(false),
        other => Err(format!(
            "Invalid input received: sort_dir '{other}' is not asc or desc."
        )),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn parse(text: &str) -> Result<ListQuery, Refusal> {
        let pairs: Vec<_> = text
            .split('&')
            .filter_map(|pair| pair.split_once('='))
            .map(|(key, value)| (key.to_owned(), value.to_owned()))
            .collect();
        ListQuery::parse(&pairs, &["created_at", "name", "id"])
    }

    #[test]
    fn pages_and_orders_are_read() {
        let query = parse("limit=2&marker=m&sort=name:asc,id&status=error").unwrap();
        assert_eq!((query.limit, query.marker.as_deref()), (2, Some("m")));
        assert_eq!(
            query.sort,
            [("name".to_owned(), false), ("id".to_owned(), true)]
        );
        assert_eq!(query.filters, [("status".to_owned(), "error".to_owned())]);
        assert_eq!(parse("limit=0").unwrap().limit, 0);
        assert_eq!(parse("limit=100000").unwrap().limit, MAX_LIMIT);
        for odd in [
            "limit=-1",
            "limit=x",
            "sort=invalid",
            "sort_key=size",
            "sort_dir=up",
            "offset=-1",
            "created_at=foo:bar",
            "updated_at=gt:yesterday",
            "all_tenants=x",
        ] {
            assert!(parse(odd).is_err(), "{odd}");
        }
    }
}
