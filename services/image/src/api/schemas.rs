//! JSON schemas of what this API shows.

use nephos_api::{Authenticated, Fault, Json, Reply, Req, endpoint};
use serde::Deserialize;
use serde_json::Value;

use crate::Cx;
use crate::model::schema;

#[derive(Debug, Deserialize)]
pub(crate) struct SchemaPath {
    name: String,
}

fn no_schema() -> Fault {
    Fault::not_found("The resource could not be found.")
}

endpoint! {
    /// Show a schema: image, images, member, members, task, tasks.
    ShowSchema: GET "/v2/schemas/{name}" => 200,
    policy: Authenticated,
    path: SchemaPath,
    reply: Json<Value>,
    handler: show_schema,
}
async fn show_schema(_cx: Cx, req: Req<ShowSchema>) -> Reply<ShowSchema> {
    schema::named(&req.path.name)
        .map(Json)
        .ok_or_else(no_schema)
}

endpoint! {
    /// Show a schema of metadata definitions: namespace, object, property, tag, resource_type, and their plurals.
    ShowMetadefSchema: GET "/v2/schemas/metadefs/{name}" => 200,
    policy: Authenticated,
    path: SchemaPath,
    reply: Json<Value>,
    handler: show_metadef_schema,
}
async fn show_metadef_schema(_cx: Cx, req: Req<ShowMetadefSchema>) -> Reply<ShowMetadefSchema> {
    schema::named_metadef(&req.path.name)
        .map(Json)
        .ok_or_else(no_schema)
}
