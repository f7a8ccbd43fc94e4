//! One attribute of an image as a request sets it: read once, with Glance's limits.

use std::collections::BTreeSet;

use serde_json::{Map, Value};

use super::image::{
    CONTAINER_FORMATS, DISK_FORMATS, Image, ImageId, MAX_PROPERTIES, MAX_TAGS, Status,
    VISIBILITIES, Visibility,
};

/// Never in the body of a create.
const DISALLOWED: &[&str] = &["direct_url", "self", "file", "schema", "stores"];
/// Set by the service only.
const READ_ONLY: &[&str] = &[
    "created_at",
    "updated_at",
    "status",
    "checksum",
    "size",
    "virtual_size",
    "direct_url",
    "self",
    "file",
    "schema",
    "stores",
    "id",
    "os_hash_algo",
    "os_hash_value",
];
/// Names that no property may have.
const RESERVED: &[&str] = &["location", "locations", "deleted", "deleted_at"];
const RESERVED_PREFIX: &str = "os_glance";
const MAX_NAME: usize = 255;
/// What a TEXT column of the original holds.
const MAX_VALUE_BYTES: usize = 65_535;

/// One attribute with a value that may be stored.
#[derive(Clone, Debug, PartialEq)]
pub(crate) enum Attribute {
    Name(Option<String>),
    Visibility(Visibility),
    Protected(bool),
    Hidden(bool),
    Owner(Option<String>),
    ContainerFormat(Option<String>),
    DiskFormat(Option<String>),
    MinRam(i64),
    MinDisk(i64),
    Tags(BTreeSet<String>),
    Property(String, String),
}

/// Why a request cannot set something.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Refusal {
    /// 400.
    Invalid(String),
    /// 403.
    Forbidden(String),
    /// 409.
    Conflict(String),
    /// 413.
    TooMany(String),
}

impl Attribute {
    /// The base attributes that [`Attribute::parse`] knows besides properties.
    pub(crate) const BASE: &[&str] = &[
        "name",
        "visibility",
        "protected",
        "os_hidden",
        "owner",
        "container_format",
        "disk_format",
        "min_ram",
        "min_disk",
        "tags",
    ];

    /// Refuses names that requests cannot set.
    pub(crate) fn check_settable(name: &str) -> Result<(), Refusal> {
        if READ_ONLY.contains(&name) {
            return Err(Refusal::Forbidden(format!(
                "Attribute '{name}' is read-only."
            )));
        }
        if RESERVED.contains(&name) || name.starts_with(RESERVED_PREFIX) {
            return Err(Refusal::Forbidden(format!(
                "Attribute '{name}' is reserved."
            )));
        }
        Ok(())
    }

    /// Reads one attribute.
    pub(crate) fn parse(name: &str, value: &Value) -> Result<Self, Refusal> {
        Ok(match name {
            "name" => Self::Name(nullable(name, value)?),
            "visibility" => {
                let word = text(name, value, MAX_NAME)?;
                Self::Visibility(
                    Visibility::parse(&word)
                        .ok_or_else(|| not_one_of(name, &word, VISIBILITIES))?,
                )
            }
            "protected" => Self::Protected(boolean(name, value)?),
            "os_hidden" => Self::Hidden(boolean(name, value)?),
            "owner" => Self::Owner(nullable(name, value)?),
            "container_format" => Self::ContainerFormat(format(name, value, CONTAINER_FORMATS)?),
            "disk_format" => Self::DiskFormat(format(name, value, DISK_FORMATS)?),
            "min_ram" => Self::MinRam(amount(name, value)?),
            "min_disk" => Self::MinDisk(amount(name, value)?),
            "tags" => Self::Tags(tags(value)?),
            _property => Self::Property(property_name(name)?, text(name, value, MAX_VALUE_BYTES)?),
        })
    }

    /// Sets it on an image.
    pub(crate) fn apply(self, image: &mut Image) -> Result<(), Refusal> {
        match self {
            Self::Name(name) => image.name = name,
            Self::Visibility(visibility) => image.visibility = visibility,
            Self::Protected(protected) => image.protected = protected,
            Self::Hidden(hidden) => image.hidden = hidden,
            Self::Owner(owner) => image.owner = owner,
            Self::ContainerFormat(format) => {
                check_queued(image, "container_format")?;
                image.container_format = format;
            }
            Self::DiskFormat(format) => {
                check_queued(image, "disk_format")?;
                image.disk_format = format;
            }
            Self::MinRam(mib) => image.min_ram = mib,
            Self::MinDisk(gib) => image.min_disk = gib,
            Self::Tags(tags) => image.tags = tags,
            Self::Property(name, value) => {
                image.properties.insert(name, value);
            }
        }
        Ok(())
    }
}

/// What is asked for in a create.
#[derive(Clone, Debug, Default, PartialEq)]
pub(crate) struct NewImage {
    pub id: Option<ImageId>,
    pub attributes: Vec<Attribute>,
    /// Whether an owner was named.
    pub owner: Option<Option<String>>,
}

impl NewImage {
    /// Reads the body of a create.
    pub(crate) fn parse(body: &Map<String, Value>) -> Result<Self, Refusal> {
        let mut new = Self::default();
        if let Some(name) = DISALLOWED.iter().find(|name| body.contains_key(**name)) {
            return Err(Refusal::Forbidden(format!(
                "Attribute '{name}' is read-only."
            )));
        }
        for (name, value) in body {
            if name == "id" {
                let id = text(name, value, MAX_NAME)?;
                let parsed = ImageId::parse(&id).ok_or_else(|| {
                    Refusal::Invalid(format!("'{id}' is not a UUID, as an id must be"))
                })?;
                new.id = Some(ImageId(parsed.0.to_ascii_lowercase()));
                continue;
            }
            Attribute::check_settable(name)?;
            let attribute = Attribute::parse(name, value)?;
            if let Attribute::Owner(owner) = &attribute {
                new.owner = Some(owner.clone());
            }
            new.attributes.push(attribute);
        }
        Ok(new)
    }
}

/// Refuses an image with more of something than Glance's defaults allow.
pub(crate) fn check_counts(image: &Image) -> Result<(), Refusal> {
    let properties = image
        .properties
        .keys()
        .filter(|name| !name.starts_with(RESERVED_PREFIX))
        .count();
    for (what, count, limit) in [
        ("properties", properties, MAX_PROPERTIES),
        ("tags", image.tags.len(), MAX_TAGS),
    ] {
        if count > limit {
            return Err(Refusal::TooMany(format!(
                "The limit has been exceeded on the number of allowed image {what}. \
                 Attempted: {count}, Maximum: {limit}"
            )));
        }
    }
    Ok(())
}

/// One tag.
pub(crate) fn tag(tag: &str) -> Result<String, Refusal> {
    text("tags", &Value::from(tag), MAX_NAME)
}

fn check_queued(image: &Image, name: &str) -> Result<(), Refusal> {
    if image.status == Status::Queued {
        return Ok(());
    }
    Err(Refusal::Forbidden(format!(
        "Attribute {name} can be only replaced for a queued image."
    )))
}

fn tags(value: &Value) -> Result<BTreeSet<String>, Refusal> {
    let list = value
        .as_array()
        .ok_or_else(|| wrong_type("tags", value, "array"))?;
    list.iter().map(|tag| text("tags", tag, MAX_NAME)).collect()
}

fn property_name(name: &str) -> Result<String, Refusal> {
    if name.chars().count() > MAX_NAME {
        return Err(Refusal::Invalid(
            "Custom property should not be greater than 255 characters.".to_owned(),
        ));
    }
    if name.is_empty() {
        return Err(Refusal::Invalid("A property needs a name.".to_owned()));
    }
    text("property", &Value::from(name), MAX_NAME)
}

fn nullable(name: &str, value: &Value) -> Result<Option<String>, Refusal> {
    if value.is_null() {
        return Ok(None);
    }
    text(name, value, MAX_NAME).map(Some)
}

fn format(name: &str, value: &Value, known: &[&str]) -> Result<Option<String>, Refusal> {
    let Some(format) = nullable(name, value)? else {
        return Ok(None);
    };
    if known.contains(&format.as_str()) {
        Ok(Some(format))
    } else {
        Err(not_one_of(name, &format, known))
    }
}

fn text(name: &str, value: &Value, max: usize) -> Result<String, Refusal> {
    let text = value
        .as_str()
        .ok_or_else(|| wrong_type(name, value, "string"))?;
    if text.chars().count() > max {
        let shown: String = text.chars().take(40).collect();
        return Err(invalid(
            name,
            &format!("'{shown}…' is longer than {max} characters"),
        ));
    }
    if text.contains('\0') {
        return Err(invalid(name, "it contains a NUL character"));
    }
    Ok(text.to_owned())
}

fn boolean(name: &str, value: &Value) -> Result<bool, Refusal> {
    value
        .as_bool()
        .ok_or_else(|| wrong_type(name, value, "boolean"))
}

fn amount(name: &str, value: &Value) -> Result<i64, Refusal> {
    let amount = value
        .as_i64()
        .ok_or_else(|| wrong_type(name, value, "integer"))?;
    if amount < 0 {
        return Err(Refusal::Invalid(format!(
            "Invalid value '{amount}' for parameter '{name}': Cannot be a negative value"
        )));
    }
    if amount > i64::from(i32::MAX) {
        return Err(Refusal::Invalid(format!(
            "Invalid value '{amount}' for parameter '{name}': it is larger than {}",
            i32::MAX
        )));
    }
    Ok(amount)
}

fn wrong_type(name: &str, value: &Value, wanted: &str) -> Refusal {
    let mut shown = value.to_string();
    if shown.len() > 60 {
        shown = shown.chars().take(60).chain(['…']).collect();
    }
    invalid(name, &format!("{shown} is not of type '{wanted}'"))
}

fn not_one_of(name: &str, value: &str, known: &[&str]) -> Refusal {
    invalid(
        name,
        &format!("'{value}' is not one of {}", known.join(", ")),
    )
}

fn invalid(name: &str, why: &str) -> Refusal {
    Refusal::Invalid(format!(
        "Provided object does not match schema 'image': {why}: {name}"
    ))
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[track_caller]
    fn check(name: &str, value: Value, expected: Option<Attribute>) {
        assert_eq!(
            Attribute::parse(name, &value).ok(),
            expected,
            "{name} {value}"
        );
    }

    #[test]
    fn attributes_are_read_with_their_limits() {
        check("name", json!(null), Some(Attribute::Name(None)));
        check("name", json!("x".repeat(256)), None);
        check("name", json!("a\0b"), None);
        check("min_ram", json!(-1), None);
        check("min_ram", json!(2_147_483_648_i64), None);
        check("min_disk", json!(1.5), None);
        check("min_disk", json!(3), Some(Attribute::MinDisk(3)));
        check("disk_format", json!("floppy"), None);
        check(
            "disk_format",
            json!(null),
            Some(Attribute::DiskFormat(None)),
        );
        check("protected", json!("true"), None);
        check("visibility", json!("secret"), None);
        check(
            "tags",
            json!(["a", "b", "a"]),
            Some(Attribute::Tags(["a".into(), "b".into()].into())),
        );
        check("tags", json!("a"), None);
        check("os_distro", json!(5), None);
        check(
            "os_distro",
            json!("debian"),
            Some(Attribute::Property("os_distro".into(), "debian".into())),
        );
    }

    #[test]
    fn what_the_service_sets_is_refused() {
        for name in [
            "status",
            "checksum",
            "self",
            "os_glance_import_task",
            "location",
            "deleted",
        ] {
            let body = json!({ name: "x" });
            let refused = NewImage::parse(body.as_object().unwrap());
            assert!(
                matches!(refused, Err(Refusal::Forbidden(_))),
                "{name}: {refused:?}"
            );
        }
        let bad_id = json!({"id": "not-a-uuid"});
        assert!(matches!(
            NewImage::parse(bad_id.as_object().unwrap()),
            Err(Refusal::Invalid(_))
        ));
    }
}
