//! The OpenAPI document of a service, assembled at run time from its endpoint rows.

use std::collections::BTreeMap;

use serde_json::{Map, Value, json};
use utoipa::ToSchema;
use utoipa::openapi::{RefOr, schema::Schema};

use crate::endpoint::EndpointInfo;
use crate::{Access, router};

/// A schema or a reference to one.
pub type SchemaRef = RefOr<Schema>;

/// Named schemas collected from bodies and replies.
#[derive(Default)]
pub struct Schemas(BTreeMap<String, RefOr<Schema>>);

impl Schemas {
    /// Adds the schema of `T` and of everything in it; gives the reference to it.
    pub fn add<T: ToSchema>(&mut self) -> SchemaRef {
        self.nested::<T>();
        let name = T::name().into_owned();
        self.0.entry(name.clone()).or_insert_with(T::schema);
        RefOr::Ref(utoipa::openapi::Ref::from_schema_name(name))
    }

    /// Adds what `T` refers to, not `T` itself.
    pub fn nested<T: ToSchema>(&mut self) {
        let mut inner = Vec::new();
        T::schemas(&mut inner);
        self.0.extend(inner);
    }
}

/// The document, as JSON.
#[must_use]
pub fn document(title: &str, infos: &[&'static EndpointInfo]) -> Value {
    let mut schemas = Schemas::default();
    let mut paths: BTreeMap<String, Map<String, Value>> = BTreeMap::new();
    let mut newest: Vec<&EndpointInfo> = infos.to_vec();
    // One operation per path and method: of several rows with disjoint versions the newest stands.
    newest.sort_by_key(|info| info.since);
    for info in newest {
        let path = match info.action {
            Some(action) => format!("{}#{action}", info.path),
            None => info.path.replace("*}", "}"),
        };
        let operation = operation(info, &mut schemas);
        paths
            .entry(path)
            .or_default()
            .insert(info.method.as_str().to_lowercase(), operation);
    }
    json!({
        "openapi": "3.1.0",
        "info": {"title": format!("Nephos {title}"), "version": env!("CARGO_PKG_VERSION")},
        "paths": paths,
        "components": {
            "schemas": schemas.0,
            "securitySchemes": {
                "token": {"type": "apiKey", "in": "header", "name": "X-Auth-Token"},
            },
        },
    })
}

fn operation(info: &EndpointInfo, schemas: &mut Schemas) -> Value {
    let mut parameters: Vec<Value> = router::names(info.path)
        .map(|name| json!({"name": name, "in": "path", "required": true, "schema": {"type": "string"}}))
        .collect();
    parameters.extend(query_parameters(info, schemas));
    let mut operation = json!({
        "operationId": info.name,
        "summary": info.doc.trim(),
        "parameters": parameters,
        "responses": {
            info.status.to_string(): response((info.reply_schema)(schemas)),
            "4XX": {"description": "The request was refused; the body says why."},
        },
    });
    if let Some(body) = (info.body_schema)(schemas) {
        insert(
            &mut operation,
            "requestBody",
            json!({
                "required": true,
                "content": {"application/json": {"schema": body}},
            }),
        );
    } else if info.streamed {
        insert(
            &mut operation,
            "requestBody",
            json!({"content": {"application/octet-stream": {}}}),
        );
    }
    match info.access {
        Access::Public => {}
        Access::Authenticated => insert(&mut operation, "security", json!([{"token": []}])),
        Access::Rule(rule) | Access::Loaded(rule) => {
            insert(&mut operation, "security", json!([{"token": []}]));
            insert(&mut operation, "x-policy", json!(rule.name));
        }
    }
    operation
}

fn query_parameters(info: &EndpointInfo, schemas: &mut Schemas) -> Vec<Value> {
    let schema = (info.query_schema)(schemas).and_then(|schema| serde_json::to_value(schema).ok());
    let properties = schema
        .as_ref()
        .and_then(|schema| schema.get("properties")?.as_object());
    properties
        .into_iter()
        .flatten()
        .map(|(name, schema)| json!({"name": name, "in": "query", "schema": schema}))
        .collect()
}

fn response(schema: Option<SchemaRef>) -> Value {
    match schema {
        Some(schema) => json!({
            "description": "Done, or accepted.",
            "content": {"application/json": {"schema": schema}},
        }),
        None => json!({"description": "Done, or accepted."}),
    }
}

fn insert(operation: &mut Value, key: &str, value: Value) {
    if let Some(object) = operation.as_object_mut() {
        object.insert(key.to_owned(), value);
    }
}
