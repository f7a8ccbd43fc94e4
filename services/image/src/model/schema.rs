//! What things look like, as JSON schemas that clients ask for.

use serde_json::{Map, Value, json};

use super::image::{CONTAINER_FORMATS, DISK_FORMATS, VISIBILITIES};

const UUID: &str =
    "^([0-9a-fA-F]){8}-([0-9a-fA-F]){4}-([0-9a-fA-F]){4}-([0-9a-fA-F]){4}-([0-9a-fA-F]){12}$";

/// The schema of this name, if there is one.
pub(crate) fn named(name: &str) -> Option<Value> {
    Some(match name {
        "image" => image(),
        "images" => collection("images", image()),
        "member" => plain("member", member()),
        "members" => collection("members", plain("member", member())),
        "task" => plain("task", task(true)),
        "tasks" => collection("tasks", plain("task", task(false))),
        _unknown => return None,
    })
}

/// The schema of this name of a metadata definition, if there is one.
pub(crate) fn named_metadef(name: &str) -> Option<Value> {
    let with_required = |name: &str, properties: Value, required: &[&str]| {
        let mut schema = plain(name, properties);
        set(&mut schema, "required", json!(required));
        schema
    };
    let namespace = || with_required("namespace", namespace(), &["namespace"]);
    let object = || with_required("object", object(), &["name"]);
    let property = || with_required("property", property(), &["name", "title", "type"]);
    let tag = || with_required("tag", tag(), &["name"]);
    let association = || with_required("resource_type_association", association(), &["name"]);
    Some(match name {
        "namespace" => namespace(),
        "namespaces" => collection("namespaces", namespace()),
        "object" => object(),
        "objects" => collection("objects", object()),
        "property" => property(),
        "properties" => by_name("properties", property()),
        "tag" => tag(),
        "tags" => collection("tags", tag()),
        "resource_type" => association(),
        "resource_types" => collection("resource_type_associations", association()),
        _unknown => return None,
    })
}

fn plain(name: &str, properties: Value) -> Value {
    json!({"name": name, "properties": properties, "additionalProperties": false})
}

fn collection(name: &str, item: Value) -> Value {
    let mut properties = Map::new();
    properties.insert(name.to_owned(), json!({"type": "array", "items": item}));
    paged(name, properties)
}

fn by_name(name: &str, item: Value) -> Value {
    let mut properties = Map::new();
    let all = json!({"type": "object", "additionalProperties": item});
    properties.insert(name.to_owned(), all);
    paged(name, properties)
}

fn paged(name: &str, mut properties: Map<String, Value>) -> Value {
    for link in ["first", "next", "schema"] {
        properties.insert(link.to_owned(), json!({"type": "string"}));
    }
    json!({
        "name": name,
        "properties": properties,
        "links": [
            {"rel": "first", "href": "{first}"},
            {"rel": "next", "href": "{next}"},
            {"rel": "describedby", "href": "{schema}"},
        ],
    })
}

fn set(schema: &mut Value, key: &str, value: Value) {
    if let Some(object) = schema.as_object_mut() {
        object.insert(key.to_owned(), value);
    }
}

/// A property with a description and, when the service alone sets it, `readOnly`.
fn of(kind: Value, description: &str) -> Value {
    json!({"type": kind, "description": description})
}

fn shown(kind: Value, description: &str) -> Value {
    json!({"type": kind, "description": description, "readOnly": true})
}

fn nullable(kind: &str) -> Value {
    json!(["null", kind])
}

fn choice(words: &[&str]) -> Vec<Value> {
    std::iter::once(Value::Null)
        .chain(words.iter().map(|word| json!(word)))
        .collect()
}

fn image() -> Value {
    let mut schema = plain("image", image_properties());
    set(
        &mut schema,
        "additionalProperties",
        json!({"type": "string"}),
    );
    let links = json!([
        {"rel": "self", "href": "{self}"},
        {"rel": "enclosure", "href": "{file}"},
        {"rel": "describedby", "href": "{schema}"},
    ]);
    set(&mut schema, "links", links);
    schema
}

fn image_properties() -> Value {
    json!({
        "id": {"type": "string", "pattern": UUID, "description": "The image's id."},
        "name": {"type": ["null", "string"], "maxLength": 255, "description": "A name for people."},
        "status": {"type": "string", "readOnly": true, "description": "Where the image is in its life.",
            "enum": ["queued", "saving", "active", "killed", "deleted", "uploading", "importing",
                "pending_delete", "deactivated"]},
        "visibility": {"type": "string", "enum": VISIBILITIES, "description": "Who may see the image."},
        "protected": of(json!("boolean"), "A protected image cannot be deleted."),
        "os_hidden": of(json!("boolean"), "A hidden image is in lists only on request."),
        "checksum": shown(nullable("string"), "MD5 of the data."),
        "os_hash_algo": shown(nullable("string"), "The algorithm of os_hash_value."),
        "os_hash_value": shown(nullable("string"), "Digest of the data, in hex."),
        "owner": {"type": ["null", "string"], "maxLength": 255, "description": "The project that owns the image."},
        "size": shown(nullable("integer"), "Bytes of the data."),
        "virtual_size": shown(nullable("integer"), "Bytes of the disk that a guest sees."),
        "container_format": {"type": ["null", "string"], "enum": choice(CONTAINER_FORMATS),
            "description": "What wraps the disk."},
        "disk_format": {"type": ["null", "string"], "enum": choice(DISK_FORMATS),
            "description": "The format of the disk."},
        "created_at": shown(json!("string"), "When the image was created."),
        "updated_at": shown(json!("string"), "When the image was last changed."),
        "tags": {"type": "array", "items": {"type": "string", "maxLength": 255},
            "description": "Words by which the image is found."},
        "min_ram": of(json!("integer"), "MiB of memory that a server needs."),
        "min_disk": of(json!("integer"), "GiB of disk that a server needs."),
        "self": shown(json!("string"), "Where the image is."),
        "file": shown(json!("string"), "Where the image's data is."),
        "schema": shown(json!("string"), "Where this schema is."),
        "stores": shown(json!("string"), "The stores that have the data, with commas between."),
    })
}

fn member() -> Value {
    json!({
        "member_id": of(json!("string"), "The project with which the image is shared."),
        "image_id": {"type": "string", "pattern": UUID, "description": "The image."},
        "created_at": of(json!("string"), "Since when it is shared."),
        "updated_at": of(json!("string"), "When the member last said something."),
        "status": {"type": "string", "enum": ["pending", "accepted", "rejected"],
            "description": "What the member says."},
        "schema": shown(json!("string"), "Where this schema is."),
    })
}

fn task(detail: bool) -> Value {
    let mut properties = json!({
        "id": {"type": "string", "pattern": UUID, "description": "The task's id."},
        "type": {"type": "string", "enum": ["import", "api_image_import"], "description": "What it does."},
        "status": {"type": "string", "enum": ["pending", "processing", "success", "failure"],
            "description": "How far it is."},
        "owner": of(json!("string"), "The project that began it."),
        "image_id": of(json!("string"), "The image that it works on."),
        "request_id": of(json!("string"), "The request that began it."),
        "user_id": of(json!("string"), "The user who began it."),
        "expires_at": of(nullable("string"), "When it is forgotten."),
        "created_at": of(json!("string"), "When it began."),
        "updated_at": of(json!("string"), "When it last got further."),
        "self": shown(json!("string"), "Where the task is."),
        "schema": shown(json!("string"), "Where this schema is."),
    });
    if detail {
        set(
            &mut properties,
            "input",
            of(nullable("object"), "What was asked for."),
        );
        set(
            &mut properties,
            "result",
            of(nullable("object"), "What came of it."),
        );
        set(
            &mut properties,
            "message",
            of(json!("string"), "Why it failed."),
        );
    }
    properties
}

fn namespace() -> Value {
    json!({
        "namespace": {"type": "string", "maxLength": 80, "description": "The namespace's name."},
        "display_name": {"type": "string", "maxLength": 80, "description": "A name for people."},
        "description": {"type": "string", "maxLength": 500, "description": "What it is about."},
        "visibility": {"type": "string", "enum": ["public", "private"], "description": "Who may see it."},
        "protected": of(json!("boolean"), "A protected namespace cannot be deleted."),
        "owner": {"type": "string", "maxLength": 255, "description": "The project that owns it."},
        "created_at": shown(json!("string"), "When it was created."),
        "updated_at": shown(json!("string"), "When it was last changed."),
        "self": shown(json!("string"), "Where it is."),
        "schema": shown(json!("string"), "Where this schema is."),
        "resource_type_associations": {"type": "array", "items": {"type": "object", "properties": association()}},
        "properties": {"type": "object", "additionalProperties": {"type": "object", "properties": property()}},
        "objects": {"type": "array", "items": {"type": "object", "properties": object()}},
        "tags": {"type": "array", "items": {"type": "object", "properties": tag()}},
    })
}

fn object() -> Value {
    json!({
        "name": {"type": "string", "maxLength": 80, "description": "The object's name."},
        "description": of(json!("string"), "What it is about."),
        "required": {"type": "array", "items": {"type": "string"},
            "description": "Names of the properties that must be given."},
        "properties": {"type": "object", "additionalProperties": {"type": "object", "properties": property()}},
        "created_at": shown(json!("string"), "When it was created."),
        "updated_at": shown(json!("string"), "When it was last changed."),
        "self": shown(json!("string"), "Where it is."),
        "schema": shown(json!("string"), "Where this schema is."),
    })
}

fn property() -> Value {
    json!({
        "name": {"type": "string", "maxLength": 80, "description": "The property's name."},
        "title": of(json!("string"), "A name for people."),
        "description": of(json!("string"), "What it is about."),
        "type": {"type": "string", "enum": ["array", "boolean", "integer", "number", "object", "string"],
            "description": "What its values are."},
        "operators": {"type": "array", "items": {"type": "string"}, "description": "How values may be compared."},
        "enum": of(json!("array"), "The values there are."),
        "minimum": of(json!("number"), "The smallest value."),
        "maximum": of(json!("number"), "The largest value."),
        "minLength": of(json!("integer"), "The shortest text."),
        "maxLength": of(json!("integer"), "The longest text."),
        "pattern": of(json!("string"), "A regular expression for texts."),
        "items": of(json!("object"), "What the values of a list are."),
        "minItems": of(json!("integer"), "The shortest list."),
        "maxItems": of(json!("integer"), "The longest list."),
        "uniqueItems": of(json!("boolean"), "Whether no value of a list stands twice."),
        "additionalItems": of(json!("boolean"), "Whether a list may be longer."),
        "default": {"description": "What is meant when nothing is said."},
        "readonly": of(json!("boolean"), "Whether it is only shown."),
    })
}

fn tag() -> Value {
    json!({
        "name": {"type": "string", "maxLength": 80, "description": "The tag."},
        "created_at": shown(json!("string"), "When it was created."),
        "updated_at": shown(json!("string"), "When it was last changed."),
    })
}

fn association() -> Value {
    json!({
        "name": {"type": "string", "maxLength": 80, "description": "The resource type."},
        "prefix": of(json!("string"), "What the names of properties begin with on things of this type."),
        "properties_target": of(json!("string"), "Where such things have these properties."),
        "created_at": shown(json!("string"), "When it was created."),
        "updated_at": shown(json!("string"), "When it was last changed."),
    })
}
