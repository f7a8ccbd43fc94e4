//! What a list of images is asked for: filters, order and page.

use nephos_types::Timestamp;

use super::image::Visibility;

/// Images of a page when nothing is said.
pub(crate) const DEFAULT_LIMIT: u32 = 25;
/// Images of a page at most.
pub(crate) const MAX_LIMIT: u32 = 1000;
/// More pieces in one filter would only be a burden.
const MAX_VALUES: usize = 1000;

/// What a list is asked for.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct ListQuery {
    pub filters: Vec<Filter>,
    pub hidden: bool,
    pub visibility: VisibilityFilter,
    pub member_status: MemberFilter,
    pub sort: Vec<(SortKey, bool)>,
    pub limit: u32,
    pub marker: Option<String>,
}

/// Which images shared with the caller are wanted, by what the caller said to them.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum MemberFilter {
    All,
    Only(super::image::MemberStatus),
}

/// Which visibilities are wanted.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum VisibilityFilter {
    /// All but the community images of others.
    Usual,
    /// All, community images included.
    All,
    Only(Visibility),
}

/// A condition that an image must meet.
#[derive(Clone, Debug, PartialEq)]
pub(crate) enum Filter {
    /// One of these values.
    Text(TextKey, Vec<String>),
    /// This number.
    Number(NumberKey, i64),
    AtLeast(NumberKey, i64),
    AtMost(NumberKey, i64),
    /// From the first (inclusive) to the second (exclusive), or outside of that.
    Time {
        key: TimeKey,
        from: Option<Timestamp>,
        until: Option<Timestamp>,
        outside: bool,
    },
    Protected(bool),
    Tag(String),
    Property(String, String),
    /// Nothing meets it.
    Never,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum TextKey {
    Name,
    Id,
    Status,
    ContainerFormat,
    DiskFormat,
    Owner,
    Checksum,
    HashAlgo,
    HashValue,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum NumberKey {
    Size,
    VirtualSize,
    MinRam,
    MinDisk,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum TimeKey {
    Created,
    Updated,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum SortKey {
    Name,
    Status,
    ContainerFormat,
    DiskFormat,
    Size,
    Id,
    CreatedAt,
    UpdatedAt,
}

const SORT_KEYS: [(&str, SortKey); 8] = [
    ("name", SortKey::Name),
    ("status", SortKey::Status),
    ("container_format", SortKey::ContainerFormat),
    ("disk_format", SortKey::DiskFormat),
    ("size", SortKey::Size),
    ("id", SortKey::Id),
    ("created_at", SortKey::CreatedAt),
    ("updated_at", SortKey::UpdatedAt),
];

impl ListQuery {
    /// Reads the query string's pairs.
    pub(crate) fn parse(pairs: &[(String, String)]) -> Result<Self, String> {
        let mut query = Self {
            filters: Vec::new(),
            hidden: false,
            visibility: VisibilityFilter::Usual,
            member_status: MemberFilter::Only(super::image::MemberStatus::Accepted),
            sort: sorting(pairs)?,
            limit: DEFAULT_LIMIT,
            marker: None,
        };
        for (key, value) in pairs {
            if value.contains('\0') || key.contains('\0') {
                return Err(format!(
                    "The value of '{}' contains a NUL character.",
                    key.replace('\0', "")
                ));
            }
            query.take(key, value)?;
        }
        Ok(query)
    }

    fn take(&mut self, key: &str, value: &str) -> Result<(), String> {
        match key {
            "sort" | "sort_key" | "sort_dir" => {}
            "limit" => self.limit = limit(value)?,
            "marker" => self.marker = Some(value.to_owned()),
            "member_status" => self.member_status = member_status(value)?,
            "visibility" => self.visibility = visibility(value)?,
            "os_hidden" => self.hidden = flag(key, &value.to_ascii_lowercase())?,
            "protected" => self.filters.push(Filter::Protected(flag(key, value)?)),
            "tag" => self.filters.push(Filter::Tag(value.trim().to_owned())),
            "changes-since" => {
                return Err("The \"changes-since\" filter is no longer available on v2.".to_owned());
            }
            "created_at" => self.filters.push(time(TimeKey::Created, key, value)?),
            "updated_at" => self.filters.push(time(TimeKey::Updated, key, value)?),
            _other => self.filters.push(other_filter(key, value)?),
        }
        Ok(())
    }
}

fn other_filter(key: &str, value: &str) -> Result<Filter, String> {
    let with_operator = match key {
        "name" => Some(TextKey::Name),
        "id" => Some(TextKey::Id),
        "status" => Some(TextKey::Status),
        "container_format" => Some(TextKey::ContainerFormat),
        "disk_format" => Some(TextKey::DiskFormat),
        _other => None,
    };
    if let Some(key) = with_operator {
        return text(key, value);
    }
    let plain = match key {
        "owner" => Some(TextKey::Owner),
        "checksum" => Some(TextKey::Checksum),
        "os_hash_algo" => Some(TextKey::HashAlgo),
        "os_hash_value" => Some(TextKey::HashValue),
        _other => None,
    };
    if let Some(key) = plain {
        return Ok(Filter::Text(key, vec![value.to_owned()]));
    }
    if let Some(key) = number_key(key) {
        // What is no number equals none.
        return Ok(value
            .parse()
            .map_or(Filter::Never, |value| Filter::Number(key, value)));
    }
    let bound = |suffix: &str| number_key(key.strip_suffix(suffix)?);
    let number = || {
        value
            .trim()
            .parse()
            .map_err(|_| "Unable to filter on a range with a non-numeric value.".to_owned())
    };
    if let Some(key) = bound("_min") {
        return Ok(Filter::AtLeast(key, number()?));
    }
    if let Some(key) = bound("_max") {
        return Ok(Filter::AtMost(key, number()?));
    }
    Ok(Filter::Property(key.to_owned(), value.to_owned()))
}

fn number_key(key: &str) -> Option<NumberKey> {
    match key {
        "size" => Some(NumberKey::Size),
        "virtual_size" => Some(NumberKey::VirtualSize),
        "min_ram" => Some(NumberKey::MinRam),
        "min_disk" => Some(NumberKey::MinDisk),
        _other => None,
    }
}

/// `value`, `eq:value` or `in:a,"b,c"`.
fn text(key: TextKey, value: &str) -> Result<Filter, String> {
    let (operator, value) = split_operator(value);
    match operator {
        "eq" => Ok(Filter::Text(key, vec![value.to_owned()])),
        "in" => Ok(Filter::Text(key, quoted_list(value)?)),
        unknown => Err(format!("Unable to filter by unknown operator '{unknown}'.")),
    }
}

/// Glance takes what stands before the first colon for an operator, unless the whole is a time.
fn split_operator(value: &str) -> (&str, &str) {
    match value.split_once(':') {
        Some((operator, rest)) if Timestamp::parse(value).is_none() => (operator, rest),
        _whole => ("eq", value),
    }
}

/// Values between commas; one in double quotes may hold commas.
fn quoted_list(text: &str) -> Result<Vec<String>, String> {
    let mut values = Vec::new();
    let mut rest = text;
    loop {
        let (value, behind) = match rest.strip_prefix('"') {
            Some(quoted) => {
                let (value, behind) = quoted.split_once('"').ok_or_else(|| unquoted(text))?;
                if !behind.is_empty() && !behind.starts_with(',') {
                    return Err(unquoted(text));
                }
                (value, behind.strip_prefix(','))
            }
            None => match rest.split_once(',') {
                Some((value, behind)) => (value, Some(behind)),
                None => (rest, None),
            },
        };
        if value.contains('"') {
            return Err(unquoted(text));
        }
        values.push(value.to_owned());
        if values.len() > MAX_VALUES {
            return Err(format!("A filter takes at most {MAX_VALUES} values."));
        }
        match behind {
            Some(behind) => rest = behind,
            None => return Ok(values),
        }
    }
}

fn unquoted(text: &str) -> String {
    format!("Invalid filter value {text}. The quote is not closed or is in the middle of a value.")
}

fn time(key: TimeKey, name: &str, value: &str) -> Result<Filter, String> {
    let (operator, text) = split_operator(value);
    let at = Timestamp::parse(text).ok_or_else(|| {
        format!("Bad \"{name}\" query filter format. Use ISO 8601 DateTime notation.")
    })?;
    // Images show whole seconds: all of a second's images are equal to it.
    let next = at.plus_secs(1);
    let (from, until, outside) = match operator {
        "eq" => (Some(at), Some(next), false),
        "neq" => (Some(at), Some(next), true),
        "gt" => (Some(next), None, false),
        "gte" => (Some(at), None, false),
        "lt" => (None, Some(at), false),
        "lte" => (None, Some(next), false),
        unknown => {
            return Err(format!("Unable to filter by unknown operator '{unknown}'."));
        }
    };
    Ok(Filter::Time {
        key,
        from,
        until,
        outside,
    })
}

fn limit(value: &str) -> Result<u32, String> {
    let value = value.trim();
    if value.starts_with('-') {
        return Err("limit param must be positive".to_owned());
    }
    let limit = nephos_types::count(value.trim_start_matches('+'));
    let limit = limit.ok_or_else(|| "limit param must be an integer".to_owned())?;
    Ok(limit.min(MAX_LIMIT))
}

fn member_status(value: &str) -> Result<MemberFilter, String> {
    if value == "all" {
        return Ok(MemberFilter::All);
    }
    super::image::MemberStatus::parse(value)
        .map(MemberFilter::Only)
        .ok_or_else(|| format!("Invalid status: {value}"))
}

fn visibility(value: &str) -> Result<VisibilityFilter, String> {
    match value {
        "" => Ok(VisibilityFilter::Usual),
        "all" => Ok(VisibilityFilter::All),
        _word => Visibility::parse(value)
            .map(VisibilityFilter::Only)
            .ok_or_else(|| format!("Invalid visibility value: {value}")),
    }
}

fn flag(key: &str, value: &str) -> Result<bool, String> {
    match value {
        "true" => Ok(true),
        "false" => Ok(false),
        _other => Err(format!(
            "Invalid value '{value}' for '{key}' filter. Valid values are 'true' or 'false'."
        )),
    }
}

/// The order: `sort=name:asc,size` or `sort_key=name&sort_dir=asc`; true is descending.
fn sorting(pairs: &[(String, String)]) -> Result<Vec<(SortKey, bool)>, String> {
    let all = |wanted: &str| -> Vec<&str> {
        pairs
            .iter()
            .filter(|(key, _)| key == wanted)
            .map(|(_, value)| value.trim())
            .collect()
    };
    let (sort, keys, dirs) = (all("sort"), all("sort_key"), all("sort_dir"));
    let mut sorted = Vec::new();
    if let Some(sort) = sort.last() {
        if !keys.is_empty() || !dirs.is_empty() {
            return Err("Old and new sorting syntax cannot be combined".to_owned());
        }
        for part in sort.split(',') {
            let (key, dir) = part.split_once(':').unwrap_or((part, "desc"));
            let dir = if dir.is_empty() { "desc" } else { dir };
            sorted.push((sort_key(key.trim())?, descending(dir.trim())?));
        }
    } else {
        if dirs.len() > 1 && dirs.len() != keys.len() {
            return Err("Number of sort dirs does not match the number of sort keys".to_owned());
        }
        for (at, key) in keys.iter().enumerate() {
            let dir = dirs.get(at).or(dirs.first()).copied().unwrap_or("desc");
            sorted.push((sort_key(key)?, descending(dir)?));
        }
        if keys.is_empty() {
            let dir = dirs.first().copied().unwrap_or("desc");
            sorted.push((SortKey::CreatedAt, descending(dir)?));
        }
    }
    // What is sorted by twice has no second meaning; the id makes the order total.
    let mut seen: Vec<SortKey> = Vec::new();
    sorted.retain(|(key, _)| {
        let new = !seen.contains(key);
        seen.push(*key);
        new
    });
    let last = sorted.first().is_none_or(|(_, descending)| *descending);
    for key in [SortKey::CreatedAt, SortKey::Id] {
        if !seen.contains(&key) {
            sorted.push((key, last));
        }
    }
    Ok(sorted)
}

fn sort_key(name: &str) -> Result<SortKey, String> {
    SORT_KEYS
        .iter()
        .find(|(known, _)| *known == name)
        .map(|(_, key)| *key)
        .ok_or_else(|| {
            let available: Vec<&str> = SORT_KEYS.iter().map(|(name, _)| *name).collect();
            format!(
                "Invalid sort key: {name}. It must be one of the following: {}.",
                available.join(", ")
            )
        })
}

fn descending(dir: &str) -> Result<bool, String> {
    match dir {
        "asc" => Ok(false),
        "desc" => Ok(true),
        _other => Err(format!("Invalid sort direction: {dir}")),
    }
}

#[cfg(test)]
mod tests;
