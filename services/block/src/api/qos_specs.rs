//! QoS specs: how fast volumes of a type may be read and written.

use nephos_api::{Accepted, Fault, Json, Params, Reply, Req, endpoint};
use serde_json::{Value, json};

use super::fault::no_type;
use super::{ItemPath, ProjectPath, at_project, links, next_link, project_of};
use crate::model::body::{Fields, truth};
use crate::model::list::ListQuery;
use crate::model::qos::{Consumer, Qos, read};
use crate::store::qos::{self, SORT_KEYS};
use crate::{Cx, rules};

fn none(id: &str) -> Fault {
    Fault::not_found(format!("No such QoS spec {id}."))
}

fn invalid(why: impl std::fmt::Display) -> Fault {
    Fault::bad_request(format!("Invalid qos specs: {why}"))
}

fn view(qos: &Qos) -> Value {
    json!({"id": qos.id, "name": qos.name, "consumer": qos.consumer.as_str(), "specs": qos.specs})
}

fn detail(cx: &Cx, path: &str, qos: &Qos) -> Value {
    let rest = format!("qos-specs/{}", qos.id);
    json!({"qos_specs": view(qos), "links": links(cx, &project_of(cx, path), &rest)})
}

endpoint! {
    /// List QoS specs.
    ListQos: GET "/v3/{project_id}/qos-specs" => 200,
    policy: rules::ListQos,
    path: ProjectPath,
    query: Params,
    reply: Json<Value>,
    handler: list_qos,
}
async fn list_qos(cx: Cx, req: Req<ListQos>) -> Reply<ListQos> {
    at_project(&cx, &req.path.project_id)?;
    let asked = ListQuery::parse(&req.query.0, SORT_KEYS).map_err(Fault::bad_request)?;
    let mut filters = Vec::new();
    for (key, value) in asked.filters {
        // Others are passed over, as Cinder does.
        let known = ["id", "name", "consumer"]
            .into_iter()
            .find(|name| *name == key);
        filters.extend(known.map(|name| (name, value)));
    }
    let order = asked.sort.first().cloned();
    let (key, down) = order.unwrap_or_else(|| ("created_at".to_owned(), true));
    let mut found = qos::list(cx.db(), &filters, (&key, down)).await?;
    let mut first = asked.offset;
    if let Some(marker) = &asked.marker {
        let at = found.iter().position(|one| one.id == *marker);
        first += at.ok_or_else(|| none(marker))? + 1;
    }
    let mut found = found.split_off(first.min(found.len()));
    found.truncate(asked.limit as usize);
    let mut body = json!({ "qos_specs": found.iter().map(view).collect::<Vec<_>>() });
    let here = format!("/v3/{}/qos-specs", project_of(&cx, &req.path.project_id));
    let last = found.last().map(|one| one.id.as_str());
    let full = (found.len(), asked.limit, last);
    if let (Some(next), Some(body)) = (
        next_link(&cx, &here, &req.query, full),
        body.as_object_mut(),
    ) {
        body.insert("qos_specs_links".to_owned(), next);
    }
    Ok(Json(body))
}

endpoint! {
    /// Create QoS specs.
    CreateQos: POST "/v3/{project_id}/qos-specs" => 200,
    policy: rules::CreateQos,
    path: ProjectPath,
    body: Json<Value>,
    reply: Json<Value>,
    handler: create_qos,
}
async fn create_qos(cx: Cx, req: Req<CreateQos>) -> Reply<CreateQos> {
    at_project(&cx, &req.path.project_id)?;
    let fields = Fields::inside(&req.body.0, "qos_specs").map_err(Fault::bad_request)?;
    let name = fields.text("name").map_err(Fault::bad_request)?;
    let name = name.filter(|name| !name.is_empty()).ok_or_else(|| {
        Fault::bad_request(
            "Invalid input for field/attribute name. It is required, with 1 to 255 characters.",
        )
    })?;
    let mut rest = fields.0.clone();
    rest.remove("name");
    let (consumer, specs) = read(&rest, false).map_err(invalid)?;
    let new = Qos {
        id: nephos_runtime::ids::uuid().to_string(),
        name,
        consumer: consumer.unwrap_or(Consumer::BackEnd),
        specs,
        created_at: cx.now(),
        updated_at: cx.now(),
    };
    new.check().map_err(invalid)?;
    let mut tx = cx.write().await?;
    if !qos::insert(&mut tx, &new).await? {
        return Err(Fault::conflict(format!(
            "QoS Specs {} already exists.",
            new.name
        )));
    }
    tx.commit().await?;
    Ok(Json(detail(&cx, &req.path.project_id, &new)))
}

endpoint! {
    /// Show QoS specs.
    ShowQos: GET "/v3/{project_id}/qos-specs/{id}" => 200,
    policy: rules::ShowQos,
    path: ItemPath,
    reply: Json<Value>,
    handler: show_qos,
}
async fn show_qos(cx: Cx, req: Req<ShowQos>) -> Reply<ShowQos> {
    at_project(&cx, &req.path.project_id)?;
    let found = qos::find(cx.db(), &req.path.id).await?;
    let found = found.ok_or_else(|| none(&req.path.id))?;
    Ok(Json(detail(&cx, &req.path.project_id, &found)))
}

endpoint! {
    /// Add to QoS specs, or change what they say; volumes that are attached keep what they have.
    UpdateQos: PUT "/v3/{project_id}/qos-specs/{id}" => 200,
    policy: rules::UpdateQos,
    path: ItemPath,
    body: Json<Value>,
    reply: Json<Value>,
    handler: update_qos,
}
async fn update_qos(cx: Cx, req: Req<UpdateQos>) -> Reply<UpdateQos> {
    at_project(&cx, &req.path.project_id)?;
    let fields = Fields::inside(&req.body.0, "qos_specs").map_err(Fault::bad_request)?;
    let (consumer, specs) = read(fields.0, true).map_err(invalid)?;
    let mut tx = cx.write().await?;
    let found = qos::find_in(&mut tx, &req.path.id).await?;
    let mut now = found.ok_or_else(|| none(&req.path.id))?;
    now.consumer = consumer.unwrap_or(now.consumer);
    now.specs.extend(specs);
    now.updated_at = cx.now();
    now.check().map_err(invalid)?;
    qos::update(&mut tx, &now).await?;
    tx.commit().await?;
    Ok(Json(json!({ "qos_specs": fields.0 })))
}

endpoint! {
    /// Remove names from QoS specs.
    DeleteQosKeys: PUT "/v3/{project_id}/qos-specs/{id}/delete_keys" => 202,
    policy: rules::DeleteQos,
    path: ItemPath,
    body: Json<Value>,
    reply: Accepted,
    handler: delete_keys,
}
async fn delete_keys(cx: Cx, req: Req<DeleteQosKeys>) -> Reply<DeleteQosKeys> {
    at_project(&cx, &req.path.project_id)?;
    let keys = req.body.0.get("keys").and_then(Value::as_array);
    let keys: Option<Vec<&str>> = keys.and_then(|keys| keys.iter().map(Value::as_str).collect());
    let keys = keys.ok_or_else(|| {
        Fault::bad_request("Invalid input for field/attribute keys. It is a required list of texts")
    })?;
    let mut tx = cx.write().await?;
    let found = qos::find_in(&mut tx, &req.path.id).await?;
    let mut now = found.ok_or_else(|| none(&req.path.id))?;
    // All of them or, where one is not there, none.
    for key in keys {
        let gone = now.specs.remove(key);
        gone.ok_or_else(|| {
            let id = &req.path.id;
            Fault::not_found(format!("QoS spec {id} has no spec with key {key}."))
        })?;
    }
    now.updated_at = cx.now();
    now.check().map_err(invalid)?;
    qos::update(&mut tx, &now).await?;
    tx.commit().await?;
    Ok(Accepted)
}

endpoint! {
    /// Delete QoS specs that are no type's; with `force`, types' ones too.
    DeleteQos: DELETE "/v3/{project_id}/qos-specs/{id}" => 202,
    policy: rules::DeleteQos,
    path: ItemPath,
    query: Params,
    reply: Accepted,
    handler: delete_qos,
}
async fn delete_qos(cx: Cx, req: Req<DeleteQos>) -> Reply<DeleteQos> {
    at_project(&cx, &req.path.project_id)?;
    let id = req.path.id.as_str();
    let force = match req.query.get("force") {
        Some(word) => truth(word).ok_or_else(|| {
            Fault::bad_request(format!(
                "Invalid value '{word}' for force. It is a boolean."
            ))
        })?,
        None => false,
    };
    let mut tx = cx.write().await?;
    qos::find_in(&mut tx, id).await?.ok_or_else(|| none(id))?;
    if force {
        qos::disassociate_all(&mut tx, id).await?;
    } else {
        let types = qos::associations_in(&mut tx, id).await?;
        let names: Vec<&str> = types.iter().map(|one| one.name.as_str()).collect();
        if !names.is_empty() {
            return Err(Fault::bad_request(format!(
                "Qos specs still in use. They are of these volume types: {}. Disassociate them first, or use force.",
                names.join(", ")
            )));
        }
    }
    qos::remove(&mut tx, id).await?;
    tx.commit().await?;
    Ok(Accepted)
}

endpoint! {
    /// List the types that QoS specs are of.
    ListQosAssociations: GET "/v3/{project_id}/qos-specs/{id}/associations" => 200,
    policy: rules::ListQos,
    path: ItemPath,
    reply: Json<Value>,
    handler: list_associations,
}
async fn list_associations(cx: Cx, req: Req<ListQosAssociations>) -> Reply<ListQosAssociations> {
    at_project(&cx, &req.path.project_id)?;
    let id = req.path.id.as_str();
    qos::find(cx.db(), id).await?.ok_or_else(|| none(id))?;
    let found = qos::associations(cx.db(), id).await?;
    let all: Vec<Value> = found
        .iter()
        .map(|one| json!({"association_type": "volume_type", "name": one.name, "id": one.type_id}))
        .collect();
    Ok(Json(json!({ "qos_associations": all })))
}

fn type_of(query: &Params) -> Result<&str, Fault> {
    let asked = query.get("vol_type_id").filter(|id| !id.is_empty());
    asked.ok_or_else(|| Fault::bad_request("Volume Type id must not be None."))
}

endpoint! {
    /// Make QoS specs those of a type.
    AssociateQos: GET "/v3/{project_id}/qos-specs/{id}/associate" => 202,
    policy: rules::UpdateQos,
    path: ItemPath,
    query: Params,
    reply: Accepted,
    handler: associate,
}
async fn associate(cx: Cx, req: Req<AssociateQos>) -> Reply<AssociateQos> {
    at_project(&cx, &req.path.project_id)?;
    let (id, type_id) = (req.path.id.as_str(), type_of(&req.query)?);
    let mut tx = cx.write().await?;
    qos::find_in(&mut tx, id).await?.ok_or_else(|| none(id))?;
    if let Some(other) = qos::of_type_in(&mut tx, type_id)
        .await?
        .filter(|other| other.id != id)
    {
        return Err(Fault::bad_request(format!(
            "Invalid volume type: Type {type_id} is already associated with another qos specs: {}",
            other.id
        )));
    }
    if !qos::associate(&mut tx, id, type_id, cx.now()).await? {
        return Err(no_type(type_id));
    }
    tx.commit().await?;
    Ok(Accepted)
}

endpoint! {
    /// Make QoS specs those of a type no longer.
    DisassociateQos: GET "/v3/{project_id}/qos-specs/{id}/disassociate" => 202,
    policy: rules::UpdateQos,
    path: ItemPath,
    query: Params,
    reply: Accepted,
    handler: disassociate,
}
async fn disassociate(cx: Cx, req: Req<DisassociateQos>) -> Reply<DisassociateQos> {
    at_project(&cx, &req.path.project_id)?;
    let (id, type_id) = (req.path.id.as_str(), type_of(&req.query)?);
    let mut tx = cx.write().await?;
    qos::find_in(&mut tx, id).await?.ok_or_else(|| none(id))?;
    if !qos::disassociate(&mut tx, id, type_id, cx.now()).await? {
        return Err(no_type(type_id));
    }
    tx.commit().await?;
    Ok(Accepted)
}

endpoint! {
    /// Make QoS specs no type's.
    DisassociateAllQos: GET "/v3/{project_id}/qos-specs/{id}/disassociate_all" => 202,
    policy: rules::UpdateQos,
    path: ItemPath,
    reply: Accepted,
    handler: disassociate_all,
}
async fn disassociate_all(cx: Cx, req: Req<DisassociateAllQos>) -> Reply<DisassociateAllQos> {
    at_project(&cx, &req.path.project_id)?;
    let id = req.path.id.as_str();
    let mut tx = cx.write().await?;
    qos::find_in(&mut tx, id).await?.ok_or_else(|| none(id))?;
    qos::disassociate_all(&mut tx, id).await?;
    tx.commit().await?;
    Ok(Accepted)
}
