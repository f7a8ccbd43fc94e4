//! Resource types, and the namespaces that are for them.

use nephos_api::{Empty, Fault, Json, Loaded, Reply, Req, With, endpoint};
use nephos_types::Timestamp;
use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

use super::metadef_namespaces::{NamespacePath, check_unprotected, duplicate, load, missing_item};
use crate::model::metadef::{check_description, check_name};
use crate::store::metadefs::{self, Association, ResourceType};
use crate::{Cx, rules};

#[derive(Debug, Deserialize)]
pub(crate) struct AssociationPath {
    namespace: String,
    resource_type: String,
}

/// A resource type that a namespace is for.
#[derive(Debug, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub(crate) struct AssociationBody {
    name: String,
    /// What the names of properties begin with on things of this type.
    #[serde(default)]
    prefix: Option<String>,
    /// Where such things have properties, if they have them in several places.
    #[serde(default)]
    properties_target: Option<String>,
}

impl AssociationBody {
    /// The row.
    pub(crate) fn row(&self, namespace: &str, now: Timestamp) -> Result<Association, Fault> {
        check_name("resource type", &self.name).map_err(Fault::bad_request)?;
        for text in [&self.prefix, &self.properties_target]
            .into_iter()
            .flatten()
        {
            check_description("resource type association", Some(text))
                .map_err(Fault::bad_request)?;
        }
        Ok(Association {
            namespace: namespace.to_owned(),
            resource_type: self.name.clone(),
            prefix: self.prefix.clone(),
            properties_target: self.properties_target.clone(),
            created_at: now,
            updated_at: now,
        })
    }
}

#[derive(Debug, Serialize, ToSchema)]
pub(crate) struct AssociationView {
    name: String,
    #[serde(skip_serializing_if = "Option::is_none")]
    prefix: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    properties_target: Option<String>,
    created_at: Timestamp,
    updated_at: Timestamp,
}

impl From<Association> for AssociationView {
    fn from(association: Association) -> Self {
        Self {
            name: association.resource_type,
            prefix: association.prefix,
            properties_target: association.properties_target,
            created_at: association.created_at,
            updated_at: association.updated_at,
        }
    }
}

#[derive(Debug, Serialize, ToSchema)]
pub(crate) struct AssociationsView {
    resource_type_associations: Vec<AssociationView>,
}

#[derive(Debug, Serialize, ToSchema)]
pub(crate) struct ResourceTypeView {
    name: String,
    created_at: Timestamp,
    updated_at: Timestamp,
}

impl From<ResourceType> for ResourceTypeView {
    fn from(one: ResourceType) -> Self {
        Self {
            name: one.name,
            created_at: one.created_at,
            updated_at: one.updated_at,
        }
    }
}

#[derive(Debug, Serialize, ToSchema)]
pub(crate) struct ResourceTypesView {
    resource_types: Vec<ResourceTypeView>,
}

endpoint! {
    /// List resource types.
    ListResourceTypes: GET "/v2/metadefs/resource_types" => 200,
    policy: rules::ListMetadefResourceTypes,
    reply: Json<ResourceTypesView>,
    handler: list_resource_types,
}
async fn list_resource_types(cx: Cx, _req: Req<ListResourceTypes>) -> Reply<ListResourceTypes> {
    let all = metadefs::resource_types(cx.db()).await?;
    Ok(Json(ResourceTypesView {
        resource_types: all.into_iter().map(ResourceTypeView::from).collect(),
    }))
}

endpoint! {
    /// List the resource types that a namespace is for.
    ListAssociations: GET "/v2/metadefs/namespaces/{namespace}/resource_types" => 200,
    policy: Loaded<rules::GetMetadefResourceType>,
    path: NamespacePath,
    reply: Json<AssociationsView>,
    handler: list_associations,
}
async fn list_associations(cx: Cx, req: Req<ListAssociations>) -> Reply<ListAssociations> {
    let namespace = load(&cx, rules::GetMetadefResourceType, &req.path.namespace).await?;
    let all = metadefs::associations(cx.db(), &[&namespace.name]).await?;
    Ok(Json(AssociationsView {
        resource_type_associations: all.into_iter().map(AssociationView::from).collect(),
    }))
}

endpoint! {
    /// Make a namespace be for a resource type.
    CreateAssociation: POST "/v2/metadefs/namespaces/{namespace}/resource_types" => 201,
    policy: Loaded<rules::AddMetadefAssociation>,
    path: NamespacePath,
    body: Json<AssociationBody>,
    reply: With<Json<AssociationView>>,
    handler: create_association,
}
async fn create_association(cx: Cx, req: Req<CreateAssociation>) -> Reply<CreateAssociation> {
    let namespace = load(&cx, rules::AddMetadefAssociation, &req.path.namespace).await?;
    let row = req.body.row(&namespace.name, cx.now())?;
    let mut tx = cx.write().await?;
    if !metadefs::insert_association(&mut tx, &row).await? {
        let what = "resource type association";
        return Err(duplicate(what, &row.resource_type, &namespace.name));
    }
    tx.commit().await?;
    let path = format!("/v2/metadefs/namespaces/{}/resource_types", namespace.name);
    Ok(With::new(Json(row.into())).header(http::header::LOCATION, &cx.url(&path)))
}

endpoint! {
    /// Make a namespace no longer be for a resource type.
    DeleteAssociation: DELETE "/v2/metadefs/namespaces/{namespace}/resource_types/{resource_type}" => 204,
    policy: Loaded<rules::RemoveMetadefAssociation>,
    path: AssociationPath,
    reply: Empty,
    handler: delete_association,
}
async fn delete_association(cx: Cx, req: Req<DeleteAssociation>) -> Reply<DeleteAssociation> {
    let namespace = load(&cx, rules::RemoveMetadefAssociation, &req.path.namespace).await?;
    check_unprotected(&namespace)?;
    let resource_type = req.path.resource_type.as_str();
    let missing = || missing_item("resource type association", resource_type, &namespace.name);
    if resource_type.contains('\0') {
        return Err(missing());
    }
    let mut tx = cx.write().await?;
    if !metadefs::remove_association(&mut tx, &namespace.name, resource_type).await? {
        return Err(missing());
    }
    tx.commit().await?;
    Ok(Empty)
}
