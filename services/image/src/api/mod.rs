//! HTTP: one file per resource.

mod actions;
mod data;
pub(crate) mod fault;
mod images;
mod imports;
mod info;
mod members;
mod metadef_namespaces;
mod metadef_objects;
mod metadef_properties;
mod metadef_resource_types;
mod metadef_tags;
mod patch;
mod schemas;
mod stores;
mod tags;
mod tasks;
mod versions;
mod view;

use nephos_api::{Endpoints, routes};

use crate::Svc;

pub(crate) fn endpoints() -> Endpoints<Svc> {
    routes![
        actions::DeactivateImage,
        actions::ReactivateImage,
        data::DownloadImage,
        data::StageImage,
        data::UploadImage,
        images::CreateImage,
        images::DeleteImage,
        images::ListImages,
        images::ShowImage,
        imports::ImportImage,
        info::ShowImportInfo,
        info::ShowStores,
        info::ShowStoresDetail,
        members::CreateMember,
        members::DeleteMember,
        members::ListMembers,
        members::ShowMember,
        members::UpdateMember,
        metadef_namespaces::CreateNamespace,
        metadef_namespaces::DeleteNamespace,
        metadef_namespaces::ListNamespaces,
        metadef_namespaces::ShowNamespace,
        metadef_namespaces::UpdateNamespace,
        metadef_objects::CreateObject,
        metadef_objects::DeleteObject,
        metadef_objects::DeleteObjects,
        metadef_objects::ListObjects,
        metadef_objects::ShowObject,
        metadef_objects::UpdateObject,
        metadef_properties::CreateProperty,
        metadef_properties::DeleteProperties,
        metadef_properties::DeleteProperty,
        metadef_properties::ListProperties,
        metadef_properties::ShowProperty,
        metadef_properties::UpdateProperty,
        metadef_resource_types::CreateAssociation,
        metadef_resource_types::DeleteAssociation,
        metadef_resource_types::ListAssociations,
        metadef_resource_types::ListResourceTypes,
        metadef_tags::CreateTag,
        metadef_tags::CreateTags,
        metadef_tags::DeleteMetadefTag,
        metadef_tags::DeleteTags,
        metadef_tags::ListTags,
        metadef_tags::ShowTag,
        metadef_tags::UpdateTag,
        patch::UpdateImage,
        schemas::ShowMetadefSchema,
        schemas::ShowSchema,
        stores::DeleteImageFromStore,
        tags::AddTag,
        tags::DeleteTag,
        tasks::CreateTask,
        tasks::ListImageTasks,
        tasks::ListTasks,
        tasks::ShowTask,
        versions::ListVersions,
        versions::ListVersionsExplicitly,
        versions::ShowV2,
    ]
}
